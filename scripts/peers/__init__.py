"""The same active-learning run in other tools: a file a tool, each a process of its own."""
