"""Recipes and trainers."""
