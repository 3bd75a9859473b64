"""Bank cards, and phones that act as such: proven offline, registered, charged later. Not certified."""

from __future__ import annotations

from typing import Final

BANK: Final = "bank"
"""The medium's name, as terminal.toml lists it."""
