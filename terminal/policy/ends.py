"""How long a region document holds, and what its own switch says of the time after it, while no successor is there."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from terminal.policy.document.schema import RegionDocument

WARNED_BEFORE: Final = timedelta(days=7)
"""How long before the end of its document a terminal begins to warn its staff."""


class DocumentEnd(Enum):
    """Where a moment lies against the end of a document."""

    AHEAD = auto()
    """It is in force."""
    GOES_ON = auto()
    """It has ended and, by `[ended] go_on_days`, decides on; every row is marked."""
    PAST = auto()
    """No longer: a bus is out of order, a canteen serves what budgets pay and sells nothing."""


def goes_on_until(document: RegionDocument) -> datetime:
    """The moment from which the document decides no paid ride and no paid meal any more."""
    return document.header.valid_to + timedelta(days=document.ended.go_on_days)


def end_of(document: RegionDocument, now: datetime) -> DocumentEnd:
    """Which it is at `now` (aware), where the clock can be trusted."""
    if now < document.header.valid_to:
        return DocumentEnd.AHEAD
    return DocumentEnd.GOES_ON if now < goes_on_until(document) else DocumentEnd.PAST
