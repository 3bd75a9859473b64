"""A portion given without a card is decided again from its row, the rows before it and the roster."""

from __future__ import annotations

import pytest
from msgspec import structs

from terminal.canteen.facts import Replay
from terminal.canteen.issuing import How
from terminal.decision.recompute import RecomputeGap
from terminal.journal.canteen_records import MealServed, ServedBy
from terminal.recompute.rows import RECOMPUTED, Verdict, VerdictKind, moment_of, verdict_of
from tests.terminal.canteen.conftest import OpenCanteen
from tests.terminal.canteen.school import Canteen, child, order

PAYING = {"hot_minor": 10_000}


def verdicts(school: Canteen, **changed: object) -> list[Verdict]:
    """Of every portion in the journal, with these fields of its row changed, or of its meal."""
    counter, found = school.canteen, []
    assert counter.journal is not None
    assert counter.roster is not None
    replay = Replay(counter.journal.terminal, counter.policy, counter.roster)
    for row in counter.journal.rows(limit=1000):
        if isinstance(row.record, MealServed):
            meal = {
                name: value for name, value in changed.items() if name in row.record.meal.__struct_fields__
            }
            own = {name: value for name, value in changed.items() if name not in meal}
            record = structs.replace(row.record, meal=structs.replace(row.record.meal, **meal), **own)
            pupil = replay.listed_at(record, moment_of(record))
            found.append(verdict_of(replay.terminal, row.sequence, record, counter.policy, pupil))
        replay.follow(row.sequence, row.record)
    return found


@pytest.fixture
def school(canteen: OpenCanteen) -> Canteen:
    """Free, paid and ordered portions; the second of a pupil follows from the first."""
    school = canteen(
        child(1, 11), child(2, grade=7, class_id="7b", orders=(order("lunch"),), **PAYING), child(3, **PAYING)
    )
    assert school.told(1, 2, 3, serving="breakfast") == ["meal_ok"] * 3
    assert school.told(1, serving="lunch", at="12:00") == ["meal_ok"]
    assert school.told(2, serving="lunch", at="12:00", how=How.PRE_ORDER) == ["meal_ok"]
    return school


def test_what_was_given_without_a_card_follows_from_roster_and_rows(school: Canteen) -> None:
    assert verdicts(school) == [RECOMPUTED] * 5


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"sources": {"parents": 1}}, "meal"),
        ({"category": "meals_1"}, "meal"),
        ({"class_id": "9c"}, "meal"),
        ({"day": "2026-09-14"}, "meal"),
        ({"flags": ("was_absent",)}, "meal"),
        ({"reasons": ()}, "reasons"),
        ({"kind": "tea"}, "meal"),
        ({"tariff": "demo:9"}, "tariff"),
    ],
)
def test_a_portion_that_does_not_follow_differs(
    school: Canteen, changed: dict[str, object], what: str
) -> None:
    found = verdicts(school, **changed)
    assert [one.kind for one in found] == [VerdictKind.DIFFERING] * 5
    assert {deviation.what for one in found for deviation in one.deviations} == {what}


def test_a_portion_of_orders_is_for_those_who_ordered(school: Canteen) -> None:
    found = verdicts(school, how=ServedBy.PRE_ORDER)
    assert [one.kind for one in found] == [VerdictKind.DIFFERING] * 4 + [VerdictKind.RECOMPUTED]
    assert found[0].deviations[0].recomputed == "meal_not_ordered"


@pytest.mark.parametrize(
    ("changed", "gap"),
    [
        ({"roster": 8}, RecomputeGap.ROSTER),
        ({"pupil": bytes(8)}, RecomputeGap.ROSTER),
        ({"spare": 1}, RecomputeGap.FACTS),
    ],
)
def test_a_portion_whose_facts_are_not_at_hand_is_not_decided(
    school: Canteen, changed: dict[str, object], gap: RecomputeGap
) -> None:
    found = verdicts(school, **changed)
    assert {(one.kind, one.reason) for one in found} == {(VerdictKind.UNPROVEN, gap)}
