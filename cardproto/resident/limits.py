"""The largest numbers that an event on the card can state (`cardproto.resident.records.event`). Documents, settings and
journals keep within them, so that no tap comes to a number that cannot be written.

They stand apart from the record's codec because a check of a number should not load it.
"""

from __future__ import annotations

from typing import Final

LARGEST_TERMINAL: Final = (1 << 20) - 1
LARGEST_SEQUENCE: Final = (1 << 28) - 1
LARGEST_MINOR: Final = (1 << 21) - 1
LARGEST_ROUTE: Final = (1 << 15) - 1
MOST_TRANSFERS: Final = 15
"""Means "this many or more"."""
LONGEST_AGE_S: Final = (1 << 17) - 2
"""Since the first tap of an open journey: 36 hours. All ones stand for no journey."""
