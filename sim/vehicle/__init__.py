"""A vehicle that runs a trip of a routes document: an on-board computer, a receiver of positions, or a recording."""
