"""Where cards come from: presence of a card on a reader, PC/SC or simulated."""
