"""Devices around the reader, each behind a port: none of them can end a tap or hold one up (docs/periphery.md)."""
