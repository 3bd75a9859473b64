"""The money behind bank cards: taps proven once more, journeys, charges, what was refused and what is owed."""
