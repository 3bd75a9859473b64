"""The index and the incremental charge agree with the specification read row by row, on feeds nobody wrote."""

from __future__ import annotations

from hypothesis import given

from terminal.policy.gtfs.charging import Charged, alight
from terminal.policy.gtfs.checks import tables_problems
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import NOTHING
from terminal.policy.gtfs.tables import GtfsTables
from tests.terminal.policy.gtfs import reading
from tests.terminal.policy.gtfs.feeds import board, match_leg
from tests.terminal.policy.gtfs.invented import BRIEF, as_leg, draft_feeds, feeds, rides


@BRIEF
@given(feeds(), rides())
def test_the_index_finds_the_rules_a_scan_finds(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    assert not list(tables_problems(tables))
    index = FeedFares.of(GtfsFares(destination=Destination.DEAREST, tables=tables)).index
    for ride in legs:
        scanned = {tables.fare_leg_rules.index(rule) + 1 for rule in reading.matching(tables, ride)}
        assert {product.leg_rule for product in match_leg(index, as_leg(ride))} == scanned


@BRIEF
@given(feeds() | draft_feeds(), rides())
def test_charges_add_up_to_what_the_whole_journey_costs(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    """With both ends known; what was paid too much in between is kept and counted, never given back."""
    fares = FeedFares.of(
        GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=24 * 3600)
    )
    state = NOTHING
    for ride, cost in zip(legs, reading.journeys(tables, legs), strict=True):
        taken = board(fares, state, as_leg(ride), (), None)
        if cost is None:
            assert not isinstance(taken, Charged)
            continue
        assert isinstance(taken, Charged)
        assert taken.charge_minor >= 0
        before, state = state, taken.state
        assert state.journey is not None
        step = next((step for step in taken.steps if step.rule == "G-02"), None)
        assert (step is not None) == (state.journey.transfers > 0)
        if state.journey.transfers == 0:
            assert taken.charge_minor == state.journey.total_minor == state.journey.paid_minor
        else:
            assert before.journey is not None
            assert state.journey.paid_minor == before.journey.paid_minor + taken.charge_minor
            assert state.journey.paid_minor >= state.journey.total_minor


@BRIEF
@given(feeds() | draft_feeds(), rides())
def test_totals_are_those_of_the_reading(tables: GtfsTables, legs: list[reading.Ride]) -> None:
    fares = FeedFares.of(
        GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=24 * 3600)
    )
    state, finished = NOTHING, 0
    for ride, cost in zip(legs, reading.journeys(tables, legs), strict=True):
        taken = board(fares, state, as_leg(ride), (), None)
        if not isinstance(taken, Charged):
            assert cost is None
            continue
        assert taken.state.journey is not None
        if taken.state.journey.transfers == 0 and state.journey is not None:
            finished += state.journey.total_minor
        state = taken.state
        assert state.journey is not None
        assert finished + state.journey.total_minor == cost


@BRIEF
@given(feeds() | draft_feeds(), rides())
def test_both_taps_take_what_one_tap_with_the_end_known_takes(
    tables: GtfsTables, legs: list[reading.Ride]
) -> None:
    fares = FeedFares.of(
        GtfsFares(destination=Destination.DEAREST, tables=tables, longest_change_s=24 * 3600)
    )
    known, unknown = NOTHING, NOTHING
    for ride in legs:
        whole = as_leg(ride)
        at_once = board(fares, known, whole, (), None)
        first = board(fares, unknown, Leg(whole.route, whole.departed_at, whole.from_stop), (), None)
        if not isinstance(at_once, Charged):
            continue
        assert isinstance(first, Charged), "an end that has a fare can be reached"
        assert whole.arrived_at is not None
        second = alight(fares, first.state, ride.end, whole.arrived_at, (), None)
        assert isinstance(second, Charged)
        assert first.charge_minor >= 0
        assert first.charge_minor + second.charge_minor == at_once.charge_minor
        assert second.state == at_once.state
        known, unknown = at_once.state, second.state
