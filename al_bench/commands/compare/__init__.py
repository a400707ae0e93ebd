"""``al-bench compare``: paired statistics of stored results."""
