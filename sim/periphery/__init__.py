"""Twins of the devices around a reader: lines in memory, a scanner and a printer on pseudo-terminals, with faults."""
