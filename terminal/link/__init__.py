"""What terminals of one place tell each other over the local network: marks of who got what (ADR 72)."""
