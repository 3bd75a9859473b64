"""A city of terminals by their next contacts: how fast what is published reaches them, and what that costs."""
