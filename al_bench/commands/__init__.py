"""What one types: a module a verb, and what it says on the terminal."""
