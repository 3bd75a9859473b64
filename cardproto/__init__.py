"""Card protocol of the resident card: bytes to meaning and back, without I/O, clock or randomness."""
