"""O-06: a journal that takes nothing stops sales, not entitled meals, and nothing of them is lost or doubled."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from terminal.canteen.closing import report_of
from terminal.canteen.corrections import annul
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ledger import Ledger
from terminal.canteen.roster import Roster
from terminal.canteen.spare_log import SpareLog
from terminal.decision.canteen.effects import AccountEffect
from terminal.errors import JournalDamaged, JournalError
from terminal.journal.canteen_records import MealLine, MealServed
from terminal.journal.journal import Journal
from tests.terminal.canteen.school import (
    CASHIER,
    POLICY,
    PRICES,
    TODAY,
    Canteen,
    child,
    open_canteen,
    ref,
    roster_document,
)

PUPILS = (
    child(1, 10, buffet_minor=9_000),
    child(2, 11),
    child(3, grade=7, class_id="7b", hot_minor=20_000, buffet_minor=9_000),
)
MEAL = MealServed(
    1, ref(1), 1, "class_list", CASHIER, MealLine("s", "3a", "lunch", "2026-09-15", {"federal": 5}, "10"), "t"
)


def without_journal(folder: Path) -> Canteen:
    """A counter whose journal cannot be opened."""
    roster = Roster.of(roster_document(*PUPILS), POLICY)
    school_counter = CanteenCounter(80001, POLICY, None, roster, SpareLog(folder / "80001.spare"), PRICES)
    school_counter.start()
    return Canteen(school_counter)


def test_o_06_a_full_journal_takes_entitled_meals_and_nothing_that_is_paid(tmp_path: Path) -> None:
    with open_canteen(tmp_path, *PUPILS, capacity_rows=1) as school:
        assert school.canteen.paid_stopped, "the opening of the shift is the one row it holds"
        assert school.told(1, 3, serving="breakfast") == ["meal_ok", "selling_stopped"]
        assert school.sell(1, bun=1).decision.outcome.message == "selling_stopped"
        given, *_ = school.give(2, serving="breakfast")
        assert given.sequence == 3, "into the journal itself"
        assert annul(school.canteen, ref(2), CASHIER, school.at("09:01")).of == 3, "and can be annulled"
        assert report_of(school.canteen, TODAY).control.difference_minor == 0


def test_o_06_without_a_journal_entitled_meals_go_into_the_spare_log(tmp_path: Path) -> None:
    school = without_journal(tmp_path)
    given, *_ = school.give(1, serving="breakfast")
    assert (given.outcome.message, given.sequence) == ("meal_ok", None)
    assert given.facts[-1].effect is AccountEffect.IN_SPARE_LOG
    assert school.told(1, 3, serving="breakfast") == ["meal_already", "selling_stopped"], (
        "M-19 holds all the same"
    )
    assert school.sell(1, bun=1).decision.outcome.message == "selling_stopped"
    with pytest.raises(JournalError):
        annul(school.canteen, ref(1), CASHIER, school.at("09:01"))
    again = without_journal(tmp_path)
    assert again.told(1, serving="breakfast") == ["meal_already"], "also after a restart"


def test_o_06_the_spare_log_is_brought_into_the_journal_once(tmp_path: Path) -> None:
    school = without_journal(tmp_path)
    school.give(1, 2, serving="breakfast")
    spare = (tmp_path / "80001.spare").read_bytes()
    with open_canteen(tmp_path, *PUPILS) as repaired:
        assert not (tmp_path / "80001.spare").exists()
        assert repaired.told(1, 2, serving="breakfast") == ["meal_already", "meal_already"]
        report = repaired.report()
        assert [finding.flags for finding in report.uncertain] == [("from_spare_log",)] * 2
        assert (report.served, report.control.difference_minor) == (2, 0)
    (tmp_path / "80001.spare").write_bytes(spare)  # the power went between the last row and the removal
    with open_canteen(tmp_path, *PUPILS) as again:
        assert again.report().served == 2
        assert again.report().duplicates == ()


def test_o_06_a_journal_that_breaks_while_serving(tmp_path: Path) -> None:
    with open_canteen(tmp_path, *PUPILS) as school:
        assert school.told(1, serving="breakfast") == ["meal_ok"]
        assert isinstance(school.canteen.journal, Journal)
        school.canteen.journal.close()  # whatever the cause: from here on every append fails
        assert school.told(2, 3, serving="breakfast") == ["meal_ok", "selling_stopped"]
        assert school.told(1, 2, serving="breakfast") == ["meal_already", "meal_already"]
        assert len(school.canteen.spare.meals()) == 1


def test_o_06_when_no_disk_takes_it_the_child_still_eats(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    roster = Roster.of(roster_document(*PUPILS), POLICY)
    school = Canteen(CanteenCounter(80001, POLICY, None, roster, SpareLog(tmp_path / "file" / "spare")))
    given, *_ = school.give(1, serving="breakfast")
    assert given.outcome.accepted
    assert given.facts[-1].effect is AccountEffect.ON_PAPER
    assert school.told(1, serving="breakfast") == ["meal_already"], "while the terminal runs"


def test_a_line_that_a_power_cut_left_unfinished_is_no_meal(tmp_path: Path) -> None:
    log = SpareLog(tmp_path / "spare")
    first = log.append(MEAL)
    with (tmp_path / "spare").open("ab") as file:
        file.write(b"00ff 01")
    assert log.meals() == [first]
    second = log.append(MEAL)
    assert log.meals() == [first, second]
    assert first.number != second.number, "the same meal twice is two lines"


@pytest.mark.parametrize(
    "change", [lambda line: line.replace(b"a", b"b"), lambda line: line[:-9], lambda _: b""]
)
def test_a_changed_spare_log_is_not_taken_for_meals(tmp_path: Path, change: object) -> None:
    log = SpareLog(tmp_path / "spare")
    log.append(MEAL)
    log.append(MEAL)
    lines = (tmp_path / "spare").read_bytes().split(b"\n")
    assert callable(change)
    lines[0] = change(lines[0])
    (tmp_path / "spare").write_bytes(b"\n".join(lines))
    with pytest.raises(JournalDamaged, match="line 1 "):
        log.meals()


def test_a_spare_meal_counts_in_the_ledger_by_its_number() -> None:
    ledger = Ledger()
    ledger.apply((80001, 4), msgspec.structs.replace(MEAL, spare=77))
    assert ledger.spare == {77}
