"""Append-only, hash-chained journal of everything the terminal did."""
