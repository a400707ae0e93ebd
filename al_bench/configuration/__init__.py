"""From words and files to one checked configuration, and from its nodes to objects."""
