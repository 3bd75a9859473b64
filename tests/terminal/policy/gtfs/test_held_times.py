"""Which timeframes hold is remembered: at every second as when each is asked anew, also where clocks change."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from terminal.policy.gtfs.services import HeldTimes, Service, ServiceWindow

WORKDAYS = Service(0b001_1111, date(2026, 1, 1), date(2026, 12, 31), removed=frozenset({date(2026, 3, 30)}))
SUNDAYS = Service(0b100_0000, date(2026, 1, 1), date(2026, 12, 31), added=frozenset({date(2026, 10, 26)}))
TIMEFRAMES = (
    (),
    (ServiceWindow(7 * 3600, 10 * 3600 + 1, WORKDAYS), ServiceWindow(6600, 10_000, SUNDAYS)),
    (ServiceWindow(0, 7200, SUNDAYS), ServiceWindow(5400, 86_401, WORKDAYS)),
    (ServiceWindow(3600 * 7 + 61, 3600 * 7 + 62, WORKDAYS),),
)
CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
)
"""When clocks in Berlin are put forward, and back; and on Lord Howe forward, in the middle of an hour."""


def asked_anew(moment: int, zone: ZoneInfo) -> frozenset[int]:
    local = datetime.fromtimestamp(moment, zone)
    held = (number for number, windows in enumerate(TIMEFRAMES) if any(one.covers(local) for one in windows))
    return frozenset({0, *held})


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/Volgograd", "Australia/Lord_Howe"])
def test_what_holds_is_the_same_as_asked_anew(zone: str) -> None:
    times, clocks, draw = HeldTimes(TIMEFRAMES), ZoneInfo(zone), random.Random(zone)
    for change in CHANGES:
        middle = int(change.timestamp())
        near = [draw.randrange(middle - 90_000, middle + 180_000) for _ in range(3000)]
        edges = [middle + hour * 3600 + second for hour in range(-26, 50) for second in (-1, 0, 1, 61, 62)]
        for moment in sorted(near) + edges + near:
            assert times.at(moment, clocks) == asked_anew(moment, clocks), moment


def test_two_zones_at_one_moment_are_told_apart() -> None:
    times, moment = HeldTimes(TIMEFRAMES), int(datetime(2026, 9, 15, 5, 30, tzinfo=UTC).timestamp())
    berlin, london = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London")
    assert times.at(moment, berlin) == {0, 1, 2}
    assert times.at(moment, london) == {0, 2}
    assert times.at(moment, berlin) == {0, 1, 2}
