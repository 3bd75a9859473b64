"""The rides of one card, or of one route within some hours, for who answers a passenger: each charge with its rule.

A card is named by a reference, a keyed hash (D-01), one for each purpose: any will do. With the card in hand it is read
by `terminal explain`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple

from terminal.clock import from_unix_ms
from terminal.collector.books_reader import books_failures
from terminal.collector.card_names import references
from terminal.collector.ride import FoundRide, find_ride
from terminal.collector.settlement.legs import held_legs
from terminal.collector.store import read_only
from terminal.collector.views import OperatorViews
from terminal.journal.records import Intent
from terminal.journal.taps import End, TapId

MOST_RIDES: Final = 500
CARD_REF: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_OF_CARD: Final = (
    "SELECT terminal, sequence FROM history WHERE card = ?1 UNION"
    " SELECT terminal, sequence FROM watched WHERE card = ?1"
)


class CardAccount(NamedTuple):
    """The rides of a card in the order of its own events, as far as they have come, the newest `MOST_RIDES`.

    `balance_minor` is after the last one that came true; None where none has. `currency` is that of the last one.
    """

    rides: list[FoundRide]
    balance_minor: int | None
    currency: str
    last_at_ms: int
    last_row: TapId = (0, 0)


def card_statement(views: OperatorViews, card_ref: bytes) -> CardAccount:
    """What the collector holds of a card, by whichever of its references it is named. Raises `CollectorError`."""
    with books_failures(views.books.path), closing(read_only(views.books.path)) as books:
        rows = {row for one in references(books, card_ref) for row in books.execute(_OF_CARD, (one,))}
    found = [one for row in sorted(rows) if (one := find_ride(views.store, (row[0], row[1]))) is not None]
    rides = sorted(found, key=lambda one: (one.tap.record.at_ms, one.tap.terminal, one.tap.sequence))[
        -MOST_RIDES:
    ]
    for one in reversed(_in_line(rides)):
        last, row = one.tap.record, (one.tap.terminal, one.tap.sequence)
        if isinstance(last, Intent):
            return CardAccount(rides, last.balance_after_minor, last.currency, last.at_ms, row)
    return CardAccount(rides, None, "", 0)


def _in_line(rides: list[FoundRide]) -> list[FoundRide]:
    """Those that came true, as the card's events follow one another: no clock decides which is the newest."""
    true = [one for one in rides if one.tap.end is End.COMMITTED]
    found_by = {
        (one.tap.record.prev_terminal, one.tap.record.prev_sequence)
        for one in true
        if isinstance(one.tap.record, Intent)
    }
    newest = [one for one in true if (one.tap.terminal, one.tap.sequence) not in found_by]
    return [one for one in true if one not in newest] + newest


def rides_on(views: OperatorViews, route: int, day: str, since: time, until: time) -> Iterator[FoundRide]:
    """The rides and cash sales on a route on a service day between two local times. Raises `CollectorError`."""
    with held_legs(views.books.path, views.store) as held:
        zone, count = held.calendar.zone, 0
        for tap in held.taps(day):
            at = from_unix_ms(tap.record.at_ms).astimezone(zone)
            if tap.record.route == route and since <= at.time() <= until and count < MOST_RIDES:
                count += 1
                yield FoundRide(tap, tuple(views.store.alarms_about(tap.terminal, tap.sequence)))


def around(at: datetime, minutes: int) -> tuple[time, time]:
    """The times so many minutes before and after, within the day."""
    before, after = at - timedelta(minutes=minutes), at + timedelta(minutes=minutes)
    first = before.time() if before.date() == at.date() else time.min
    last = after.time() if after.date() == at.date() else time.max
    return first, last
