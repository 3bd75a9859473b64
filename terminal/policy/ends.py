"""How long a region document holds, what its own switch says of the time after it, while no successor is there, and
what it says of signed bundles that do not come.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from terminal.codes import BundleFault, DocumentFault, Trouble
from terminal.policy.document.schema import Ages, RegionDocument

WARNED_BEFORE: Final = timedelta(days=7)
"""How long before the end of its document a terminal begins to warn its staff."""

BUNDLES_WARNED_DAYS: Final = 7


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


ADVICE: Final = "Get its successor from the operator."


def trouble_of(document: RegionDocument, now: datetime, follows: datetime | None = None) -> Trouble | None:
    """What staff have to know of the document's end at `now`, with whole days; None long before it, and while a
    successor waits that `follows` without a gap.
    """
    header, end = document.header, end_of(document, now)
    inputs: dict[str, int | str] = {"document": f"{header.id}:{header.version}"}
    if end is DocumentEnd.PAST:
        return Trouble(DocumentFault.ENDED, inputs | {"days": (now - header.valid_to).days})
    if end is DocumentEnd.GOES_ON:
        return Trouble(DocumentFault.GOES_ON, inputs | {"days": (goes_on_until(document) - now).days})
    if header.valid_to - now > WARNED_BEFORE or (follows is not None and follows <= header.valid_to):
        return None
    return Trouble(DocumentFault.ENDS, inputs | {"days": (header.valid_to - now).days})


def bundles_trouble(ages: Ages, issued_at: datetime | None, now: datetime) -> Trouble | None:
    """What staff have to know of the age of the newest signed bundles (O-14): the highest rung they are on; None for
    none, and where none were accepted yet.
    """
    days = 0 if issued_at is None else (now - issued_at).days
    rungs: list[tuple[int | None, BundleFault]] = [
        (ages.bundles_stop_days, BundleFault.STOPPED),
        (ages.bundles_limited_days, BundleFault.LIMITED),
        (BUNDLES_WARNED_DAYS, BundleFault.STALE),
    ]
    fault = next((fault for rung, fault in rungs if rung is not None and days >= rung), None)
    return None if fault is None else Trouble(fault, {"days": days})
