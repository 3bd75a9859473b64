"""Every interleaving up to the stated depth, and that the walk sees what it should see."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import pytest

from terminal.media.resident.machine import ENDS, TRANSITIONS, Course, IllegalStep, WriteState, WriteStep
from tests.formal.explore import EACH_KIND, WALKS, explore
from tests.formal.rides import SIGHTINGS, Broken, Rules
from tests.formal.world import Bounds

AT_LEAST: Final = MappingProxyType(
    {
        "writes": 100_000,
        "check-in": 30_000,
        "check-in and a crash": 12_000,
        "two cards": 7_500,
        "two cards and a crash": 5_000,
        "every clock": 6_500,
        "clocks": 13_000,
        "torn writes by wrong clocks": 35_000,
        "check-in by wrong clocks": 2_500,
        "check-in at uncertain places": 4_000,
        "torn check-ins at uncertain places": 11_000,
    }
)
"""How many worlds a walk meets at least: fewer mean that a part of it is no longer walked."""
RIDES: Final = ("soon", "on", "late")


@pytest.mark.parametrize("name", WALKS)
def test_nothing_bad_can_be_reached(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ride is paid once and on record, every exit is one, no count begins anew, and every unresolved tap ends."""
    explored = explore(WALKS[name])
    with capsys.disabled():
        print(f"\nformal core, {name}: {explored}")
    assert explored.worlds >= AT_LEAST[name]


@pytest.mark.parametrize("bounds", [Bounds(3, 2), Bounds(2, 1, cards=2, check_in=True, moves=RIDES)])
def test_the_collector_is_right_at_any_moment(bounds: Bounds) -> None:
    """Whatever part of either journal has arrived, it counts no ride the cards do not hold."""
    assert explore(bounds, any_prefix=True).worlds > 1_000


WRITES: Final = Bounds(3, 1)
CHECK_IN: Final = Bounds(3, 0, 1, check_in=True, moves=RIDES)
TWO_CARDS: Final = Bounds(3, 0, 1, cards=2, check_in=True, moves=RIDES)
PLACES: Final = Bounds(2, 0, 0, terminals=1, check_in=True, moves=("on",), sightings=tuple(SIGHTINGS))
TWO_TORN: Final = Bounds(3, 0, 2, cards=2, moves=("soon",))
DENIAL: Final = Bounds(2, 0, 0, cards=2, denial=True)
WRONG_CLOCKS: Final = Bounds(4, 0, 0, terminals=1, moves=("soon", "tomorrow"), clocks=EACH_KIND)


@pytest.mark.parametrize(
    ("rules", "bounds", "why"),
    [
        (Rules(intent_before_commit=False), WRITES, "charge|record|number|count"),
        (Rules(tell_before_record=False), WRITES, "charged twice"),
        (Rules(unknown_is_open=False), WRITES, "contradiction|charged twice|forget"),
        (Rules(settle_before_serve=False), WRITES, "charged twice"),
        (Rules(settle_by_card=False), TWO_TORN, "charged twice"),
        (Rules(deny_by_card=False), DENIAL, "refused another card"),
        (Rules(inside_after_recovery=False), CHECK_IN, "boarded anew"),
        (Rules(inside_by_card=False), TWO_CARDS, "not begun with this card|were due"),
        (Rules(suspect_clock_lifts_nothing=False), WRONG_CLOCKS, "rides are counted|suspect clock moved"),
        (Rules(only_signed_time_lowers=False), WRONG_CLOCKS, "not signed lowered"),
        (Rules(lowering_keeps_counters=False), WRONG_CLOCKS, "rides are counted"),
        (Rules(estimates_never_upward=False), PLACES, "made the ride dearer|were due|said of a place"),
        (Rules(old_places_are_none=False), PLACES, "made the ride dearer|were due|said of a place"),
        (Rules(every_exit_closes=False), PLACES, "left the ride open"),
    ],
    ids=lambda value: next((n for n in Rules._fields if not getattr(value, n, True)), ""),
)
def test_a_broken_rule_is_found(rules: Rules, bounds: Bounds, why: str) -> None:
    with pytest.raises(Broken, match=why):
        explore(bounds, rules)


def test_every_state_can_be_left_or_is_an_end() -> None:
    for state in WriteState:
        leaves = [step for step in WriteStep if (state, step) in TRANSITIONS]
        assert bool(leaves) != (state in ENDS)


def test_what_is_not_in_the_table_is_refused() -> None:
    for state in WriteState:
        for step in WriteStep:
            course = Course(state)
            if (state, step) in TRANSITIONS:
                assert course.take(step) is TRANSITIONS[state, step] is course.state
            else:
                with pytest.raises(IllegalStep):
                    course.take(step)
                assert course.state is state


def test_money_moves_only_behind_a_durable_intent() -> None:
    """In the table itself: the way to SENT is through INTENDED, from BEGUN."""
    assert [s for (s, _), after in TRANSITIONS.items() if after is WriteState.SENT] == [WriteState.INTENDED]
    assert [s for (s, _), after in TRANSITIONS.items() if after is WriteState.INTENDED] == [WriteState.BEGUN]
