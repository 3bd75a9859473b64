"""What goes wrong in a stress run: the plan, and the parts of a terminal that fail on demand."""
