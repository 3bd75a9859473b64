"""Every interleaving up to the stated depth, and that the checker sees what it should see."""

from __future__ import annotations

import pytest

from terminal.media.resident.machine import ENDS, TRANSITIONS, Course, IllegalStep, WriteState, WriteStep
from tests.formal.explore import explore
from tests.formal.world import Broken, Rules


def test_nothing_bad_can_be_reached(capsys: pytest.CaptureFixture[str]) -> None:
    """At most one charge per granted ride, a record for each, and every unresolved tap ends."""
    explored = explore(4, 1)
    with capsys.disabled():
        print(f"\nformal core: {explored}")
    assert explored.worlds > 10_000


def test_the_collector_is_right_at_any_moment() -> None:
    """Whatever part of either journal has arrived, it counts no ride the card does not hold."""
    assert explore(3, 2, any_prefix=True).worlds > 1_000


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (Rules(intent_before_commit=False), "charge|record|number|count"),
        (Rules(tell_before_record=False), "charged twice"),
        (Rules(unknown_is_open=False), "contradiction|charged twice|forget"),
        (Rules(settle_before_serve=False), "charged twice"),
    ],
    ids=["commit first", "record before telling", "unknown is failed", "serve before settling"],
)
def test_a_broken_order_is_found(rules: Rules, why: str) -> None:
    with pytest.raises(Broken, match=why):
        explore(3, 1, rules)


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
