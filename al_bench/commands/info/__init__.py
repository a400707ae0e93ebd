"""``al-bench info``: a stored run in words, and what differs between two."""
