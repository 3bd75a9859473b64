"""What a new region document would have done to days that were recorded: rows read, replayed, summed and shown."""
