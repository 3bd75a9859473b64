"""What a replay cannot know is named: by reason, how often, and where."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sim.air import VirtualClock
from sim.faults import tear_after, tear_before
from terminal.lab.stress.faults.plan import Kind
from terminal.lab.stress.play import play
from terminal.lab.stress.run import TownSeed
from terminal.lab.stress.world import open_storm_town
from terminal.policy.load import DEMO_REGION
from tests.terminal.cli.inside import Run
from tests.terminal.impact.conftest import (
    FRONT,
    OTHER,
    Impact,
    changed,
    gaps_of,
    group,
    reload_point,
    ride,
    totals_of,
    town,
)

FARE = "transport_card = 2400"


def journal_of(days: Path, number: int = FRONT.number) -> Path:
    return days / str(number) / "journal.db"


def rows_removed(journal: Path, first: int, last: int) -> None:
    """The file as it is when these rows are not in it."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute("DELETE FROM row WHERE sequence BETWEEN ? AND ?", (first, last))


def test_a_ride_elsewhere_lets_both_replays_begin_anew(tmp_path: Path, impact: Impact) -> None:
    """Two rides here, one on a bus without a journal here, one here: 3 of 24.00 and of 26.00 are counted."""
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 2)
        ride(opened, "adult_purse", 1, OTHER)
        ride(opened, "adult_purse", 1)
    shutil.rmtree(tmp_path / "days" / str(OTHER.number))
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    assert totals_of(found) == (7_200, 7_200, 7_800)
    assert gaps_of(found) == {"card_first_seen": 1, "other_terminal": 1}
    (example,) = next(gap for gap in found["gaps"] if gap["kind"] == "other_terminal")["examples"]
    assert example["terminal"] == FRONT.number


def test_missing_rows_are_named_and_the_exit_code_says_so(tmp_path: Path, impact: Impact) -> None:
    """The first ride is row 3 with its commit in row 4 and so on: rows 5 and 6 are those of the second of three."""
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 3)
        last = opened.terminals[FRONT.number].journal.head.sequence
    rows_removed(journal_of(tmp_path / "days"), last - 3, last - 2)
    found = impact("demo", "demo", tmp_path / "days", code=26)
    assert totals_of(found) == (4_800, 4_800, 4_800)
    assert gaps_of(found) == {"card_first_seen": 1, "rows_missing": 1, "numbers_missing": 2}


def test_a_damaged_row_is_left_out_by_name(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 3)
        last = opened.terminals[FRONT.number].journal.head.sequence
    with closing(sqlite3.connect(journal_of(tmp_path / "days"), isolation_level=None)) as connection:
        connection.execute("UPDATE row SET body = zeroblob(300) WHERE sequence = ?", (last - 3,))
    found = impact("demo", "demo", tmp_path / "days", code=26)
    assert gaps_of(found) == {"card_first_seen": 1, "rows_missing": 1, "row_damaged": 1}


def test_a_journal_that_does_not_open_is_named_beside_the_others(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 2)
    broken = journal_of(tmp_path / "days", OTHER.number)
    broken.write_bytes(b"no database at all")
    found = impact("demo", "demo", tmp_path / "days", code=26)
    assert totals_of(found) == (4_800, 4_800, 4_800)
    (gap,) = (gap for gap in found["gaps"] if gap["kind"] == "journal_unreadable")
    assert gap["examples"][0]["file"] == str(broken)


def pages_spoiled(journal: Path) -> None:
    """The second half of the file is overwritten, as a dying disk does it."""
    size = journal.stat().st_size
    with journal.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * (size - size // 2))


def test_a_journal_that_fails_on_the_way_is_named_and_the_others_are_replayed(
    tmp_path: Path, impact: Impact
) -> None:
    with town(tmp_path / "days", "adult_purse", "student_half_price") as opened:
        ride(opened, "adult_purse", 60)
        ride(opened, "student_half_price", 2, OTHER)
    shutil.copytree(tmp_path / "days", tmp_path / "whole")
    broken = journal_of(tmp_path / "days")
    pages_spoiled(broken)
    found = impact("demo", "demo", tmp_path / "days", code=26)
    (gap,) = (gap for gap in found["gaps"] if gap["kind"] == "journal_unreadable")
    assert gap["examples"][0]["file"] == str(broken)
    assert found["cards"] >= 1
    assert group(found, "route", str(OTHER.route))["taps"] == 2

    shutil.copytree(tmp_path / "whole" / str(FRONT.number), tmp_path / "days" / "a copy")
    copied = impact("demo", "demo", tmp_path / "days", code=26)
    assert totals_of(copied) == totals_of(impact("demo", "demo", tmp_path / "whole")), "the copy has its rows"


def test_where_no_tap_can_be_read_the_damaged_file_is_named(tmp_path: Path, run: Run) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 2)
    broken = journal_of(tmp_path / "days")
    broken.write_bytes(broken.read_bytes()[:5_000])
    answer = run("policy", "impact", "demo", "demo", "--journal", tmp_path / "days")
    assert (answer.returncode, answer.stdout) == (26, "")
    assert str(broken) in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_the_same_terminal_twice_is_replayed_once(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 2)
    shutil.copytree(tmp_path / "days" / str(FRONT.number), tmp_path / "days" / "copy")
    assert totals_of(impact("demo", "demo", tmp_path / "days")) == (4_800, 4_800, 4_800)


def test_two_terminals_under_one_number_are_refused(tmp_path: Path, run: Run) -> None:
    for name, rides in (("one", 1), ("two", 2)):
        with town(tmp_path / "days" / name, "adult_purse") as opened:
            opened.clock.advance(rides * 100)
            ride(opened, "adult_purse", rides)
    answer = run("policy", "impact", "demo", "demo", "--journal", tmp_path / "days")
    assert answer.returncode == 22
    assert "terminal 70001 has two rows" in answer.stderr


def test_another_version_in_force_is_named(tmp_path: Path, impact: Impact) -> None:
    """The days were decided by version 1, the old document given is version 3 with another fare."""
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 3)
    other = changed(tmp_path, FARE, "transport_card = 2500", "other", 3)
    found = impact(other, changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    assert totals_of(found) == (7_200, 7_500, 7_800)
    assert gaps_of(found) == {"card_first_seen": 1, "other_document": 1, "follows_earlier": 2}


def test_a_document_changed_under_the_same_version_is_named(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 1)
    same = changed(tmp_path, FARE, "transport_card = 2500", "same", 1)
    assert gaps_of(impact(same, same, tmp_path / "days")) == {"card_first_seen": 1, "old_differs": 1}


def test_a_journal_of_another_tariff_is_refused(tmp_path: Path, run: Run) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 1)
    text = DEMO_REGION.read_text(encoding="utf-8").replace('id = "demo"', 'id = "elsewhere"', 1)
    (tmp_path / "elsewhere.toml").write_text(text, encoding="utf-8")
    answer = run("policy", "impact", "elsewhere.toml", "elsewhere.toml", "--journal", tmp_path / "days")
    assert answer.returncode == 20
    assert "no tap there was decided by a document of elsewhere" in answer.stderr


@pytest.mark.parametrize(("plan", "gap"), [(tear_after(8), None), (tear_before(8), "not_committed")])
def test_a_torn_tap_is_settled_by_the_cards_next_row(
    tmp_path: Path, impact: Impact, plan: Any, gap: str | None
) -> None:
    """The commit's answer was lost: whether the card took it shows when the card comes back, to another terminal."""
    with town(tmp_path / "days", "adult_purse") as opened:
        opened.clock.advance(3_700)
        opened.tap(FRONT.number, "adult_purse", plan)
        ride(opened, "adult_purse", 1, OTHER)
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    rides = 2 if gap is None else 1
    assert totals_of(found) == (rides * 2_400, rides * 2_400, rides * 2_600)
    assert gaps_of(found) == {"card_first_seen": 1} | ({gap: 1} if gap else {})


def test_a_torn_tap_without_a_later_row_is_not_counted(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "adult_purse", "student_half_price") as opened:
        ride(opened, "student_half_price", 1)
        opened.tap(FRONT.number, "adult_purse", tear_after(8))
    found = impact("demo", "demo", tmp_path / "days")
    assert totals_of(found) == (2_000, 2_000, 2_000)
    assert gaps_of(found)["unresolved"] == 1


def test_rights_written_elsewhere_are_followed(tmp_path: Path, impact: Impact) -> None:
    with town(tmp_path / "days", "adult_purse") as opened:
        ride(opened, "adult_purse", 20)
        opened.clock.advance(60)
        reload_point(opened, "adult_purse").set_rights(lambda rights: rights, opened.clock.now())
        ride(opened, "adult_purse", 1)
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2000"), tmp_path / "days")
    assert totals_of(found) == (48_000, 48_000, 42_000), "the new purse went on beyond the change"
    assert gaps_of(found) == {"card_first_seen": 1, "other_change": 1}


def test_a_stress_runs_days_under_one_document_differ_in_nothing(tmp_path: Path, impact: Impact) -> None:
    """Buses and canteens with every kind of fault but invented rows, their journals beside the collector's database."""
    seed = TownSeed(2, 6, 30)
    (tmp_path / "days").mkdir()
    with open_storm_town(tmp_path / "days", seed.seed, 6, seed.riders, seed.pupils, disks=False) as opened:
        play(opened, seed.plan(400, frozenset(Kind) - {Kind.FALSE_ROWS}), lambda _count: None)
    found = impact("demo", "demo", tmp_path / "days")
    recorded, old, new = totals_of(found)
    assert recorded == old == new > 0
    assert found["total"]["changed"] == 0
    assert found["total"]["taps"] > 100
    unexplained = {"old_differs", "other_document", "follows_earlier", "rows_missing", "out_of_order"}
    assert not unexplained & gaps_of(found).keys(), gaps_of(found)


def test_taps_of_terminals_whose_clocks_disagree_are_taken_in_the_order_of_the_card(
    tmp_path: Path, impact: Impact
) -> None:
    """The other bus's clock is a quarter of an hour behind: its row bears an earlier time than the ride before it."""
    with town(tmp_path / "days", "adult_purse") as opened:
        opened.terminals[OTHER.number].clock = Behind(opened.clock, 900)
        ride(opened, "adult_purse", 3)
        for stop in (OTHER, FRONT, OTHER, FRONT):
            opened.clock.advance(400)
            opened.tap(stop.number, "adult_purse")
    found = impact("demo", changed(tmp_path, FARE, "transport_card = 2600"), tmp_path / "days")
    recorded, old, _ = totals_of(found)
    assert recorded == old
    assert found["total"]["taps"] == 7
    assert gaps_of(found) == {"card_first_seen": 1}


class Behind:
    """A terminal's clock that is so many seconds behind."""

    def __init__(self, clock: VirtualClock, behind_s: float) -> None:
        self._clock, self._by = clock, timedelta(seconds=behind_s)

    def now(self) -> datetime:
        return self._clock.now() - self._by

    def monotonic(self) -> float:
        return self._clock.monotonic()
