"""What a new region document would change, and for whom: the same scenarios under the old one and the new one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from terminal.policy.document.schema import RegionDocument
from terminal.policy.policy import Policy
from terminal.scenario.compare import counters_of
from terminal.scenario.play import Played, play
from terminal.scenario.schema import ScenarioFile


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs: `what` names it, a path inside a document or a part of a tap's result."""

    what: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class ChangedTap:
    """A tap that would come out differently."""

    played: Played
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class RiderDiff:
    """What one rider would notice. Charges are over all his taps."""

    number: int
    name: str
    rider: str
    old_charge_minor: int
    new_charge_minor: int
    taps: tuple[ChangedTap, ...]


def rider_diffs(file: ScenarioFile, old: Policy, new: Policy) -> Iterator[RiderDiff]:
    """The scenarios of `file` that come out differently under `new`, in order.

    Each document plays the whole story for itself, so a counter that runs differently is seen where it matters.
    """
    for number, scenario in enumerate(file.scenarios, start=1):
        before, after = play(file, number, old), play(file, number, new)
        changed = [
            ChangedTap(then, changes)
            for now, then in zip(before, after, strict=True)
            if (changes := tuple(_changes(now, old, then, new)))
        ]
        if changed:
            sums = _charged(before), _charged(after)
            yield RiderDiff(number, scenario.name, scenario.rider, *sums, tuple(changed))


def document_changes(old: RegionDocument, new: RegionDocument) -> list[Change]:
    """The values in which two documents differ, by their path."""
    before, after = (dict(_flat("", msgspec.to_builtins(document))) for document in (old, new))
    paths = list(dict.fromkeys([*before, *after]))
    return [
        Change(path, before.get(path), after.get(path))
        for path in paths
        if before.get(path) != after.get(path)
    ]


def _charged(played: list[Played]) -> int:
    return sum(tap.decision.outcome.charge_minor for tap in played)


def _changes(now: Played, old: Policy, then: Played, new: Policy) -> Iterator[Change]:
    for (what, before), (_, after) in zip(_stated(now), _stated(then), strict=True):
        if before != after:
            yield Change(what, before, after)
    counted, recounted = counters_of(now, old), counters_of(then, new)
    for name in counted.keys() & recounted.keys():
        if counted[name] != recounted[name]:
            yield Change(f"counters.{name}", counted[name], recounted[name])


def _stated(played: Played) -> list[tuple[str, object]]:
    """What the rider and his accounts notice of a tap."""
    outcome, meal = played.decision.outcome, played.decision.meal
    return [
        ("message", str(outcome.message)),
        ("admission", outcome.admission.value),
        ("charge_minor", outcome.charge_minor),
        ("values", dict(outcome.values)),
        ("sources", None if meal is None else dict(meal.sources)),
        ("hot_minor", played.hot_minor),
    ]


def _flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), below)
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        labels = [_label(item) for item in value]
        for index, (label, below) in enumerate(zip(labels, value, strict=True)):
            known = label if label and labels.count(label) == 1 else str(index)
            yield from _flat(f"{path}[{known}]", below)
    else:
        yield path, value


def _label(item: object) -> str:
    """Entries of a table are known by their id or code, so that one more in the middle changes nothing else."""
    if not isinstance(item, dict):
        return ""
    return next((f"{key}={item[key]}" for key in ("id", "name", "code") if key in item), "")
