"""Composition root: one file per command; the only place that may import sim."""
