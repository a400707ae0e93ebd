"""How text appears on a terminal and in files: names of others steer nothing there."""
