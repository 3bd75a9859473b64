"""Measured budgets: counts and ratios of one run as JSON lines, each beside its goal. Never a test."""
