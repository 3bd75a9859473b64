"""Read one resident card into an immutable snapshot: select, authenticate, read."""
