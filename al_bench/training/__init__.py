"""Training: recipes, one step, epochs with early stopping, and trainers of many trials."""
