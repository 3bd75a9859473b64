"""A resident's phone over near field: three exchanges, no money, its state with the terminal."""

from __future__ import annotations

from typing import Final

PHONE: Final = "phone"
"""The medium's name, as terminal.toml lists it."""
