"""What a tap came to against what its author expected: the differences, and nothing when there are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from terminal.policy.base import Thing, unknown
from terminal.policy.policy import Policy
from terminal.scenario.card import meal_mask
from terminal.scenario.mistakes import unplayable
from terminal.scenario.play import Played
from terminal.scenario.schema import Expect, Scenario
from terminal.trail import Reason


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that did not come as expected, in the words of the scenario file."""

    what: str
    expected: object
    got: object


def differences(played: Played, policy: Policy) -> list[Difference]:
    """Everything in which the tap differs from what its author expects of it.

    Raises `ScenarioFileError` for an expectation the document has no word for.
    """
    found: dict[str, Difference] = {}
    for expect in played.expect:
        found |= {difference.what: difference for difference in _compare(expect, played, policy)}
    return list(found.values())


def counters_of(played: Played, policy: Policy) -> dict[str, int]:
    """The card's counters after the tap, by name."""
    if played.after is None:
        return {}
    return {counter.name: counter.read(played.after.event.counters) for counter in policy.counters}


def paid_by(played: Played) -> str:
    """What covered the tap, "nothing" where nothing was written or kept."""
    plan = played.decision.write_plan
    return "nothing" if plan is None else plan.paid_by.name.lower()


def balance_minor(played: Played) -> int | None:
    """The purse after the tap; None without a resident card."""
    return None if played.after is None else played.after.event.balance_after_minor


def _compare(expect: Expect, played: Played, policy: Policy) -> Iterator[Difference]:
    decision, event = played.decision, None if played.after is None else played.after.event
    outcome, meal = decision.outcome, decision.meal
    pairs: list[tuple[str, object, object]] = [
        ("message", expect.message.value, str(outcome.message)),
        ("charge_minor", expect.charge_minor, outcome.charge_minor),
        ("admission", expect.admission, outcome.admission.value),
        ("balance_minor", expect.balance_minor, balance_minor(played)),
        ("paid_by", expect.paid_by, paid_by(played)),
        ("transfers", expect.transfers, None if event is None else event.transfers),
        ("written", expect.written, played.written),
        ("sources", expect.sources, None if meal is None else dict(meal.sources)),
        ("meal_minor", expect.meal_minor, None if meal is None else meal.sum_minor),
        ("hot_minor", expect.hot_minor, played.hot_minor),
    ]
    if expect.meals is not None:
        mask = meal_mask(expect.meals, policy)
        pairs.append(("meals", _names(mask, policy), _names(0 if event is None else event.meals, policy)))
    for what, expected, got in pairs:
        if expected is not None and expected != got:
            yield Difference(what, expected, got)
    yield from _named("counters", expect.counters, counters_of(played, policy))
    yield from _named("values", expect.values, outcome.values, missing=None)
    if not _in_order(expect.reasons, decision.facts):
        exactly = any(":" in reason for reason in expect.reasons)
        got = [reason.code if exactly else reason.rule for reason in decision.facts]
        yield Difference("reasons", list(expect.reasons), got)
    if not set(expect.flags) <= set(decision.flags):
        yield Difference("flags", list(expect.flags), list(decision.flags))


def total_differences(scenario: Scenario, played: Sequence[Played]) -> list[Difference]:
    """In what all taps together differ from what the scenario expects."""
    expected = scenario.total
    if expected is None:
        return []
    meals = [tap.decision.meal for tap in played if tap.decision.meal is not None]
    pairs = (
        (
            "total.charge_minor",
            expected.charge_minor,
            sum(tap.decision.outcome.charge_minor for tap in played),
        ),
        ("total.meals_minor", expected.meals_minor, sum(meal.sum_minor for meal in meals)),
    )
    return [Difference(what, wanted, got) for what, wanted, got in pairs if wanted not in (None, got)]


def _named(
    what: str, expected: Mapping[str, int | str], got: Mapping[str, int | str], missing: int | None = 0
) -> Iterator[Difference]:
    for name, value in expected.items():
        if what == "counters" and name not in got:
            raise unplayable(unknown("counters", Thing.COUNTER, name, got))
        if got.get(name, missing) != value:
            yield Difference(f"{what}.{name}", value, got.get(name, missing))


def _in_order(expected: Sequence[str], trail: Sequence[Reason]) -> bool:
    """Whether the expected rules or effects stand in the trail in this order, with others between them or not."""
    rest = iter(trail)
    return all(any(wanted in (step.rule, step.code) for step in rest) for wanted in expected)


def _names(mask: int, policy: Policy) -> list[str]:
    return [kind.id for kind in policy.document.meals.kinds if mask >> kind.bit & 1]
