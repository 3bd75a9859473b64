"""Acceptance of real cards: what holds of all that no public document confirms, found on an expendable card."""
