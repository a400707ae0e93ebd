"""One trial: its rounds of fit, selection, evaluation and labeling."""
