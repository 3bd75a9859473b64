"""Mistakes in files that people write: all of them found, each with its place, and said in words that help."""
