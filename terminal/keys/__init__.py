"""Keys that never leave their provider."""
