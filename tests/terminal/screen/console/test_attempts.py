"""Waits after wrong PINs, by the table of `terminal.access.attempts`."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.access.attempts import ATTEMPTS_FILE, LOCKED_FROM, LONG_WAIT_S, Attempts, key_of, wait_after
from terminal.errors import StaffError

KEY = "typed:77"
NOW_MS = 1_700_000_000_000
TABLE = [0, 0, 0, 5, 15, 60, 300, *[900] * 33, 14400, 14400, 14400]


def tried(folder: Path, times: int) -> Attempts:
    attempts = Attempts(folder)
    for number in range(1, times + 1):
        assert attempts.begin(KEY, NOW_MS) == number
    return attempts


def test_each_wrong_pin_makes_the_next_try_wait_as_long_as_the_table_says(tmp_path: Path) -> None:
    assert [wait_after(count, KEY) for count in range(len(TABLE))] == TABLE
    assert wait_after(1000, KEY) == 4 * 3600
    attempts = Attempts(tmp_path)
    waits = [attempts.wait_s(KEY, NOW_MS)]
    for _ in TABLE[1:]:
        attempts.begin(KEY, NOW_MS)
        waits.append(attempts.wait_s(KEY, NOW_MS))
    assert waits == TABLE
    assert LOCKED_FROM == 7


def test_strangers_make_the_owner_of_a_long_secret_wait_five_minutes_at_most(tmp_path: Path) -> None:
    """And wrong short PINs, of which all could be tried, not at all; the arithmetic is that of the module."""
    attempts = Attempts(tmp_path)
    for number in range(1000):
        for pin in ("2580", f"{number:06}"):
            attempts.begin(key_of("typed", "77", pin), NOW_MS)
        attempts.begin(key_of("page", "77"), NOW_MS)
    assert attempts.wait_s(key_of("typed", "77", "2581"), NOW_MS) == 4 * 3600
    for owner in (key_of("typed", "77", "802513"), key_of("page", "77")):
        assert attempts.wait_s(owner, NOW_MS) == attempts.wait_s(owner, NOW_MS - 10**9) == LONG_WAIT_S
    assert attempts.wait_s(key_of("card", "77", "2580"), NOW_MS) == 0, "the holder of the card"
    assert Attempts(tmp_path / "another").wait_s(key_of("typed", "77", "2580"), NOW_MS) == 0, "elsewhere"
    tries_a_day = {most_s: 86_400 // most_s for most_s in (4 * 3600, LONG_WAIT_S)}
    assert tries_a_day == {14_400: 6, 300: 288}
    assert sum(TABLE[:40]) > 8 * 3600
    assert 39 / (10_000 - 10 - 14) < 0.004
    assert 6 / (10_000 - 10 - 14) < 0.0007
    assert 288 / 10**6 < 0.0003
    assert attempts.unlock("77")
    assert attempts.wait_s(key_of("typed", "77", "802513"), NOW_MS) == 0


@pytest.mark.parametrize(
    ("later_ms", "left_s"), [(0, 5), (1, 5), (1000, 4), (4999, 1), (5000, 0), (9000, 0), (-60_000, 5)]
)
def test_a_wait_ends_by_itself_and_no_clock_makes_it_longer(
    tmp_path: Path, later_ms: int, left_s: int
) -> None:
    attempts = tried(tmp_path, 3)
    assert attempts.wait_s(KEY, NOW_MS + later_ms) == left_s
    assert attempts.wait_s("card:77", NOW_MS) == 0, "counted apart"


@pytest.mark.parametrize("before", [1, 2, 3, 6])
def test_a_try_that_could_not_be_looked_at_does_not_count(tmp_path: Path, before: int) -> None:
    attempts = tried(tmp_path, before)
    attempts.begin("card:77", NOW_MS)
    attempts.unchecked(KEY)
    assert attempts.wait_s(KEY, NOW_MS) == 0, "it was not this try's fault"
    assert attempts.wait_s(KEY, 0) == 0
    assert (attempts.begin(KEY, NOW_MS), attempts.begin("card:77", NOW_MS)) == (before, 2)
    assert Attempts(tmp_path).begin(KEY, NOW_MS) == before + 1, "on the disk, too"


def test_a_try_whose_wait_was_ended_meanwhile_needs_no_taking_back(tmp_path: Path) -> None:
    attempts = tried(tmp_path, 1)
    assert Attempts(tmp_path).unlock("77")
    attempts.unchecked(KEY)
    assert attempts.begin(KEY, NOW_MS) == 1


def test_a_colleague_ends_three_waits_in_a_row_and_none_begins_anew(tmp_path: Path) -> None:
    attempts = tried(tmp_path, 39)
    for number in (40, 41, 42):
        assert attempts.lift(KEY)
        assert attempts.wait_s(KEY, NOW_MS) == 0
        assert attempts.begin(KEY, NOW_MS) == number, "what was wrong still counts"
        assert Attempts(tmp_path).wait_s(KEY, NOW_MS) == 4 * 3600
    assert not Attempts(tmp_path).lift(KEY)
    assert attempts.wait_s(KEY, NOW_MS) == 4 * 3600
    attempts.begin("card:77", NOW_MS)
    assert (attempts.wrong_of("77"), attempts.wrong_of("78")) == (43, 0)
    attempts.right(KEY)
    assert attempts.lift(KEY)


def test_after_the_right_pin_it_starts_over_and_unlocking_says_whether_there_was_anything(
    tmp_path: Path,
) -> None:
    attempts = tried(tmp_path, 8)
    attempts.begin("typed:78", NOW_MS)
    attempts.right(KEY)
    assert (attempts.wait_s(KEY, NOW_MS), attempts.begin(KEY, NOW_MS)) == (0, 1)
    attempts.begin("card:77", NOW_MS)
    attempts.begin("second:77", NOW_MS)
    assert attempts.unlock("77")
    assert not attempts.unlock("77")
    assert [attempts.begin(f"{how}:77", NOW_MS) for how in ("card", "typed", "second")] == [1, 1, 1]
    assert attempts.begin("typed:78", NOW_MS) == 2


def test_the_first_wrong_pin_makes_the_folder_and_what_cannot_be_read_does_not_begin_anew(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state" / "terminal"
    attempts = tried(folder, 1)
    (folder / ATTEMPTS_FILE).write_text("{", "utf-8")
    with pytest.raises(StaffError, match="cannot be read"):
        attempts.begin(KEY, NOW_MS)
    with pytest.raises(StaffError, match="cannot be read"):
        Attempts(folder)
