"""Canteen work: roster, class lists, buffet, corrections and reports, over the same journal as taps."""
