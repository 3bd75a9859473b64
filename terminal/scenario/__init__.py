"""Scenarios: a card, a list of taps and what must come of each, played through the same `decide` as on a terminal."""
