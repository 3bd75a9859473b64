"""Which facts of a trip each rule looks at, found by deciding again: where one fact is otherwise and an effect of the
rule comes or goes, the rule depends on that fact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.load import REGIONS, load_region
from terminal.policy.needs import needs
from terminal.policy.policy import Policy
from terminal.scenario import play
from terminal.scenario.load import load_scenarios, scenario_files, supplied_scenarios
from terminal.trip.facts import Trip
from terminal.trip.stated import ROW_FIELDS, restore

LONG_S: Final = 10**8
OTHERWISE: Final[Mapping[str, Mapping[str, bool | int | str]]] = {
    "reader_ok": {"reader_ok": False},
    "on_break": {"on_break": True},
    "clock.suspect": {"clock.suspect": True},
    "freshness.deny_list_age_s": {"freshness.deny_list_age_s": LONG_S},
    "canteen.day_closed": {"canteen.day_closed": True},
    "canteen.paid_stopped": {"canteen.paid_stopped": True},
    "place.source": {"place.source": "hand"},
    "inspection": {"inspection": True},
    "shift": {"shift": 0},
}
"""What is tried at every tap of the scenarios besides leaving out what is stated there."""


@dataclass(frozen=True)
class Made:
    """A decision and what it was made from."""

    snapshot: Any
    policy: Policy
    trip: Trip
    now: datetime
    decision: Decision

    def again(self, trip: Trip) -> Decision:
        return decide(self.snapshot, self.policy, trip, self.now)


@cache
def facts_by_rule() -> Mapping[str, frozenset[str]]:
    """Rule → the facts it looks at, in the supplied documents and their scenarios."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(REGIONS.glob("*.toml")):
        for need in needs(load_region(path.stem)):
            found[need.rule].add(need.fact)
    for made in decisions():
        here = _trail(made.decision)
        for fact, trip in _without(made.trip):
            if fact not in ROW_FIELDS:
                for rule in _rules(here - _trail(made.again(trip))):
                    found[rule].add(fact)
        for fact, stated in OTHERWISE.items():
            for rule in _rules(_trail(made.again(restore(made.trip, stated))) - here):
                found[rule].add(fact)
    return {rule: frozenset(facts) for rule, facts in found.items()}


def decisions() -> Iterator[Made]:
    """Every decision that the supplied scenarios come to."""
    made: list[Made] = []

    def noting(snapshot: Any, policy: Policy, trip: Trip, now: datetime) -> Decision:
        decision = decide(snapshot, policy, trip, now)
        made.append(Made(snapshot, policy, trip, now, decision))
        return decision

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "decide", noting)
        for path in sorted(REGIONS.glob("*.toml")):
            policy = Policy.of(load_region(path.stem))
            for scenarios in scenario_files(supplied_scenarios(path.stem)):
                file = load_scenarios(scenarios)
                for number in range(1, len(file.scenarios) + 1):
                    play.play(file, number, policy)
    yield from made


def _without(part: Any, within: str = "") -> Iterator[tuple[str, Any]]:
    """`part` with one fact at a time as a terminal assumes it."""
    for field in fields(part):
        assumed = field.default if field.default_factory is NODEFAULT else field.default_factory()
        value, name = getattr(part, field.name), within + field.name
        if assumed is NODEFAULT or value == assumed:
            continue
        if not isinstance(value, Struct) or assumed is None:
            yield name, replace(part, **{field.name: assumed})
        if isinstance(value, Struct):
            for below, changed in _without(value, f"{name}."):
                yield below, replace(part, **{field.name: changed})


def _trail(decision: Decision) -> set[tuple[str, tuple[tuple[str, int | str], ...]]]:
    return {(reason.code, tuple(sorted(reason.inputs.items()))) for reason in decision.facts}


def _rules(steps: set[tuple[str, Any]]) -> set[str]:
    return {code.partition(":")[0].upper() for code, _ in steps}
