"""What every journal record has, whatever it is about."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True):
    """Base of every kind. `at_ms` is the terminal's clock when the fact was known."""

    at_ms: int
