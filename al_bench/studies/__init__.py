"""Measurements of trained networks that are no curve: one module a study."""
