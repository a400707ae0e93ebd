"""Acquisition strategies: one module a family."""
