"""The exchange budget of `cardproto.resident.layout`, each tap including the card's own proof."""

from __future__ import annotations

import pytest

from cardproto.resident.layout import PASS_TAP, PURSE_TAP, ExchangeBudget
from terminal.journal.records import Committed, parse_record
from terminal.journal.taps import End
from terminal.lab.town import TerminalSite
from tests.flows.conftest import COUNTER_A, FRONT, OpenTown


@pytest.mark.parametrize(
    ("resident", "stop", "budget"),
    [
        ("month_pass", FRONT, PASS_TAP),
        ("social_pack_45", FRONT, PASS_TAP),
        ("free_pensioner", FRONT, PASS_TAP),
        ("pupil_grade3", COUNTER_A, PASS_TAP),
        ("pupil_two_meals", COUNTER_A, PASS_TAP),
        ("adult_purse", FRONT, PURSE_TAP),
        ("student_half_price", FRONT, PURSE_TAP),
    ],
)
def test_a_tap_stays_within_its_budget(
    town_of: OpenTown, resident: str, stop: TerminalSite, budget: ExchangeBudget
) -> None:
    with town_of(resident, stops=(stop,)) as town:
        report = town.tap(stop.number, resident).report
        assert report.end is End.COMMITTED
        assert report.exchanges <= budget.exchanges
        assert report.apdu_bytes <= budget.apdu_bytes
        records = [parse_record(row.body) for row in town.terminals[stop.number].journal.rows()]
        (committed,) = [record for record in records if isinstance(record, Committed)]
        assert committed.tmc is not None
        assert len(committed.tmv) == 8


def test_a_tap_flushes_twice_and_waits_once(town_of: OpenTown) -> None:
    """Intent (overlapped with the card) and outcome (after the signal): two durable commits, no more."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        journal = town.terminals[FRONT.number].journal
        before = journal.flushes
        signalled_at: list[int] = []
        town.terminals[FRONT.number].signal = lambda _outcome: signalled_at.append(journal.flushes - before)
        town.tap(FRONT.number, "adult_purse")
        assert signalled_at == [1]
        assert journal.flushes - before == 2
