"""The desk's half that knows no terminal: a shelf of cards, what they hold, what was said and how long it took."""
