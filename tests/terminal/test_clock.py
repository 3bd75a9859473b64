"""Times and the milliseconds that records hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.clock import from_unix_ms, unix_ms

FIRST_MS = unix_ms(datetime.min.replace(tzinfo=UTC))
LAST_MS = unix_ms(datetime.max.replace(tzinfo=UTC))
FLOATS_ARE_EXACT_MS = range(1_100_000_000_000, 2_147_483_648_000)
"""November 2004 to January 2038: outside of it the float product may fall a millisecond short."""


@given(st.integers(FIRST_MS, LAST_MS))
def test_every_millisecond_comes_back(ms: int) -> None:
    assert unix_ms(from_unix_ms(ms)) == ms


@given(st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Asia/Yekaterinburg")])))
def test_what_is_less_than_a_millisecond_is_dropped(at: datetime) -> None:
    assert timedelta(0) <= at - from_unix_ms(unix_ms(at)) < timedelta(milliseconds=1)


@given(st.integers(FLOATS_ARE_EXACT_MS.start * 1000, FLOATS_ARE_EXACT_MS.stop * 1000 - 1))
def test_it_is_what_floats_said_in_our_years(microseconds: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    seconds = at.timestamp()
    assert unix_ms(at) == int(seconds * 1000.0)


@given(st.integers(FLOATS_ARE_EXACT_MS.start, FLOATS_ARE_EXACT_MS.stop - 1))
def test_the_way_back_is_what_floats_said_in_our_years(ms: int) -> None:
    seconds = ms / 1000
    assert from_unix_ms(ms) == datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("at", "ms"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (datetime(2026, 9, 15, 7, 30, 0, 1999, tzinfo=UTC), 1_789_457_400_001),
        (datetime(2026, 9, 15, 12, 30, tzinfo=ZoneInfo("Asia/Yekaterinburg")), 1_789_457_400_000),
    ],
)
def test_some_times(at: datetime, ms: int) -> None:
    assert unix_ms(at) == ms


def test_floats_lose_a_millisecond_after_2038() -> None:
    short = next(ms for ms in range(2_147_483_648_000, 2_147_483_650_000) if int(ms / 1000 * 1000.0) != ms)
    assert unix_ms(from_unix_ms(short)) == short


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        unix_ms(datetime(2026, 9, 15))  # noqa: DTZ001 the mistake itself


@pytest.mark.parametrize("ms", [FIRST_MS - 1, LAST_MS + 1, 2**63, -(2**63)])
def test_no_calendar_has_this_time(ms: int) -> None:
    with pytest.raises(OverflowError):
        from_unix_ms(ms)
