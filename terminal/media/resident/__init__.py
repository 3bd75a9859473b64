"""The resident card: open it into an immutable snapshot, put a write plan on it, settle an unresolved tap."""

from typing import Final

RESIDENT: Final = "resident"
"""The medium's name in terminal.toml."""
