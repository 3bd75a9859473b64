"""What another author adds to a terminal."""
