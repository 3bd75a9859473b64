"""The counters a card carries: their places in its record, and what an author must keep to."""
