"""Cards that were rolled to their next keys, and cards of the layout before, at a terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardGone
from cardproto.resident.layout import FILE_EVENTS, PURSE_TAP
from cardproto.resident.records.event import EVENT_BYTES, EventKind, build_event, parse_event
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, tear_after, tear_before
from sim.issuing import ReloadPoint
from sim.lab_keys import load_lab_keys
from sim.reader import SimReader
from terminal.journal.records import Committed, Intent, NotCommitted, parse_record
from terminal.journal.taps import End
from terminal.lab.town import Town
from tests.flows.conftest import FRONT, REAR, OpenTown
from tests.sim.bench import SERVICE_DAY, Counting
from tests.sim.test_reload_point import validating

REGION = 34
ROLL_EXCHANGES = 4
"""Select, authenticate (2), RollKeySet."""


def rolled(town: Town, resident: str, faults: FaultPlan | None = None) -> None:
    """What a terminal with the roll key does to the card, torn or not."""
    card = town.cards[resident]
    reader = SimReader("roll point", town.clock)
    reader.present(card, faults)
    connection = reader.wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    try:
        ReloadPoint(connection, load_lab_keys().for_card(card.uid, REGION), Counting(), SERVICE_DAY).roll(1)
    finally:
        reader.remove()


def key_versions(town: Town) -> list[int]:
    rows = (parse_record(row.body) for row in town.terminals[FRONT.number].journal.rows(0, 1000))
    return [row.key_version for row in rows if isinstance(row, Intent)]


@pytest.mark.parametrize("resident", ["adult_purse", "adult_purse_random_uid", "month_pass"])
def test_a_rolled_card_is_opened_with_its_new_keys(town_of: OpenTown, resident: str) -> None:
    with town_of(resident, stops=(FRONT,)) as town:
        before = town.tap(FRONT.number, resident).report
        rolled(town, resident)
        town.clock.advance(7200)
        first = town.tap(FRONT.number, resident).report
        town.clock.advance(7200)
        again = town.tap(FRONT.number, resident).report
        assert [report.end for report in (before, first, again)] == [End.COMMITTED] * 3
        assert key_versions(town) == [1, 2, 2]
        assert first.exchanges == before.exchanges + 2
        known = not resident.endswith("random_uid")
        assert again.exchanges == before.exchanges + (0 if known else 2), "a random UID is never recognised"


@pytest.mark.parametrize("tear", [tear_before, tear_after])
@pytest.mark.parametrize("exchange", range(1, ROLL_EXCHANGES + 1))
def test_a_torn_roll_leaves_the_old_set_or_the_new_one_and_both_open(
    town_of: OpenTown, tear: Callable[[int], FaultPlan], exchange: int
) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        with pytest.raises(CardGone):
            rolled(town, "adult_purse", tear(exchange))
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.end is End.COMMITTED
        done = exchange == ROLL_EXCHANGES and tear is tear_after
        assert key_versions(town) == [2 if done else 1]
        assert report.exchanges == PURSE_TAP.exchanges + (2 if done else 0)


def test_a_card_of_layout_1_is_named_to_the_operator_and_left_alone(town_of: OpenTown) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        card = town.cards["adult_purse"]
        assert isinstance(card, VirtualCard)
        write_layout_1(card)
        before = card.image()
        report = town.tap(FRONT.number, "adult_purse").report
        assert (report.end, report.outcome.message) == (End.NOTHING_WRITTEN, "unknown_card")
        assert "layout 1, not 2: issue the card anew" in report.operator
        assert "\n" not in report.operator
        assert card.image() == before


def write_layout_1(card: VirtualCard) -> None:
    """A newest event as the first layout had it: version 1 in the first half-byte."""
    desfire = validating(card)
    desfire.write_record(FILE_EVENTS, 0, b"\x13".ljust(EVENT_BYTES, b"\0"), CommMode.MAC)
    desfire.commit_transaction(return_mac=True)
    card.power_off()


def damage_and_repair(card: VirtualCard) -> None:
    """A stolen validator writes what nobody understands; an issuing point appends the running state anew."""
    newest = parse_event(validating(card).read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES))
    repaired = newest._replace(kind=EventKind.CORRECTION, terminal=0, sequence=newest.sequence + 1)
    write_layout_1(card)
    card.power_on()
    desfire = validating(card)
    desfire.write_record(FILE_EVENTS, 0, build_event(repaired), CommMode.MAC)
    desfire.commit_transaction(return_mac=True)
    card.power_off()


def ends_at_front(town: Town) -> list[str]:
    rows = (parse_record(row.body) for row in town.terminals[FRONT.number].journal.rows(0, 1000))
    return [type(row).__name__ for row in rows if isinstance(row, Committed | NotCommitted)]


def test_damage_behind_the_newest_event_stops_no_tap_where_one_is_open(town_of: OpenTown) -> None:
    """Whether the open tap came before or after it: what the damage was is unknown, newer events are not."""
    with town_of("adult_purse") as town:
        card = town.cards["adult_purse"]
        assert isinstance(card, VirtualCard)
        assert town.tap(FRONT.number, "adult_purse", tear_after(8)).report.end is End.UNRESOLVED
        card.power_on()
        damage_and_repair(card)
        for number in (REAR.number, FRONT.number):
            town.clock.advance(3600)
            assert town.tap(number, "adult_purse").report.end is End.COMMITTED
        assert ends_at_front(town) == ["Committed"], "the first tap stays open"
        town.clock.advance(3600)
        assert town.tap(FRONT.number, "adult_purse", tear_after(9)).report.end is End.UNRESOLVED
        for number in (REAR.number, FRONT.number):
            town.clock.advance(3600)
            assert town.tap(number, "adult_purse").report.end is End.COMMITTED
        assert ends_at_front(town) == ["Committed"] * 3, "the second one is settled"
