"""Posteriors over networks."""
