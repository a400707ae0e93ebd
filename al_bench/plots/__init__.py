"""Figures, one module each, in one style; ``al-bench plot`` finds every module with a ``draw``."""
