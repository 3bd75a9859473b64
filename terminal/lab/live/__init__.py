"""Scenarios played live: through terminals started as in service, moved by hand (ADR 33)."""
