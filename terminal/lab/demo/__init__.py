"""A scripted morning in a town, and how it is printed."""
