"""Data sets and the transforms that make pools of them."""
