"""Card protocol of the resident card: bytes to meaning and back, with no I/O, clock or randomness of its own."""
