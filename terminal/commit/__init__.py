"""Put a write plan on the card and prove it; settle taps whose end is unknown."""
