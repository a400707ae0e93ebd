"""``al-bench report``: stored results as one page to send to a co-author."""
