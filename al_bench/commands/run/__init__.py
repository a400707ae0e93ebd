"""``al-bench run``: the words that were typed, and the job or sweep that they compose."""
