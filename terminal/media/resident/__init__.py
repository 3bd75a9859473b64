"""The resident card: open it into an immutable snapshot, put a write plan on it, settle an unresolved tap."""
