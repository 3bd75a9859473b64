"""Codes that stand in journal rows and are meant for more than one room: closed enums, never prose.

Readers of a row compare these values; words for them are made where they are shown.
"""

from __future__ import annotations

from enum import StrEnum


class Admission(StrEnum):
    """Whether the way is free for the person who presented something."""

    LET_IN = "let_in"
    """Come in, or go out: the only value that opens a gate or a door. It stands for one person's ride or meal, so an
    honest double tap within the time of the document's guards is let in again."""
    REFUSED = "refused"
    """No ride, no meal, and what to do about it is in the message."""
    INSIDE = "inside"
    """Nothing is refused and nothing opens: the right is in use by a person inside (T-36), an inspector only asked
    (T-70), or the card belongs to staff."""
