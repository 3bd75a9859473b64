"""Stage 9: what became of an earlier tap, by the events that the card holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cardproto.resident.records.event import Event, EventKind
from terminal.media.resident.settle import Settlement, settle

INTENDED, BEFORE, LATER, LAST, OTHER = (7, 20), (3, 9), (8, 41), (9, 5), (5, 5)


def event(tap: tuple[int, int]) -> Event:
    return Event(EventKind.RIDE, datetime(2026, 9, 15, tzinfo=UTC), *tap, 0, 0)


@pytest.mark.parametrize(
    ("kept", "came"),
    [
        ([INTENDED], Settlement.COMMITTED),
        ([INTENDED, BEFORE], Settlement.COMMITTED),
        ([BEFORE], Settlement.NOT_COMMITTED),
        ([BEFORE, OTHER], Settlement.NOT_COMMITTED),
        ([LATER, INTENDED, BEFORE], Settlement.COMMITTED),  # it came true, and there was a tap in between
        ([LATER, INTENDED], Settlement.COMMITTED),
        ([LATER, BEFORE], Settlement.NOT_COMMITTED),
        ([LAST, LATER, BEFORE], Settlement.NOT_COMMITTED),
        ([LAST, LATER], Settlement.STILL_OPEN),  # neither is kept any more
        ([(INTENDED[0], 21)], Settlement.STILL_OPEN),
        ([(6, INTENDED[1])], Settlement.STILL_OPEN),
    ],
)
def test_an_earlier_tap_is_settled_by_what_the_card_says(
    kept: list[tuple[int, int]], came: Settlement
) -> None:
    events = [event(tap) for tap in kept]
    asked: list[int] = []

    def recent() -> list[Event]:
        asked.append(1)
        return events

    assert settle(events[0], recent, INTENDED, BEFORE) is came
    assert len(asked) == (kept[0] not in (INTENDED, BEFORE)), "one more exchange only where it is needed"
