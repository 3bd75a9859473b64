"""How `terminal policy` prints: JSON for programs, lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from msgspec.structs import asdict

from cardproto.resident.records.event import MOST_INSIDE
from terminal.app.knows import said_of
from terminal.app.output import print_json
from terminal.errors import Mistake, ScenariosDiffer
from terminal.money import money
from terminal.policy.document.schema import RegionDocument
from terminal.policy.journeys.checks import persons_held, reserve_unit_minor
from terminal.policy.needs import Need
from terminal.policy.policy import Policy
from terminal.policy.unpriced import UnpricedRides, unpriced
from terminal.scenario.compare import Difference
from terminal.scenario.diff import Change, RiderDiff
from terminal.scenario.mistakes import PlayMistake, unplayable
from terminal.scenario.play import play
from terminal.scenario.result import Miss, Result, SaleResult, as_builtins
from terminal.scenario.schema import ScenarioFile
from terminal.scenario.words import place, tap_lines
from terminal.trail_steps import step_line
from terminal.trail_words import ENGLISH

SHOWN_UNPRICED: Final = 10
"""Kinds of refused rides that are printed for people."""


def show_document(document: RegionDocument, json: bool, unknown: Sequence[Need] = ()) -> None:
    """What a document that loads is about; `unknown`: what a terminal cannot know and the document answers itself."""
    header = document.header
    holds = {
        "id": header.id,
        "version": header.version,
        "region": header.region,
        "currency": header.currency,
        "valid_from": header.valid_from.isoformat(),
        "valid_to": header.valid_to.isoformat(),
        "concessions": len(document.concessions),
        "products": len(document.products),
        "meal_kinds": len(document.meals.kinds),
        "meal_entitlements": len(document.meals.entitlements),
    }
    persons = persons_held(document)
    if persons is not None:
        holds["persons_held"] = persons
    refused = unpriced(document)
    if json:
        lists = {
            "unknown": [asdict(need) for need in unknown],
            "fare_unknown": [r.as_json() for r in refused.rides],
        }
        print_json({"ok": True, **holds, **lists, "fare_unknown_more": refused.more})
        return
    print(f"{header.id} version {header.version} is sound")
    for name, value in list(holds.items())[2:]:
        print(f"  {name:<18} {value}")
    if persons is not None:
        print("check-in: the fare to the terminus is held, where that is not known the dearest of the route;")
        print(f"  there is room for the dearest fare of {persons} of {MOST_INSIDE} persons")
        unit_minor = reserve_unit_minor(document) or 1
        if unit_minor > 1:
            print(
                f"  what is held is rounded down to a multiple of {money(unit_minor, header.currency, ENGLISH)}"
            )
    _show_unpriced(refused)
    _show_needs(unknown)


def _show_unpriced(refused: UnpricedRides) -> None:
    """Who is refused for want of a fare: by route, mode, places and time, summarised."""
    if not refused.rides:
        return
    print('refused with "fare unknown", * any, ? not named or not known:')
    for ride in refused.rides[:SHOWN_UNPRICED]:
        print(f"  route {ride.route}, mode {ride.mode}, from {ride.begins} to {ride.ends}, when {ride.when}")
    more = len(refused.rides) - SHOWN_UNPRICED
    if more > 0 or refused.more:
        print(f"  and {max(more, 0)}{' or more' if refused.more else ''} others: see --json")


def show_unknown(unknown: Sequence[Need], json: bool) -> None:
    """What a terminal cannot know of what a document needs, where that is too much."""
    if json:
        print_json({"ok": False, "unknown": [asdict(need) for need in unknown]})
    else:
        _show_needs(unknown)


def _show_needs(unknown: Sequence[Need]) -> None:
    for need in unknown:
        own = "; the document's own rule for that holds" if need.answered else ""
        print(f"{'warning' if need.answered else 'refused'}: {said_of(need)}{own}")


class RunSummary:
    """Counts what was run and ends the command accordingly."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self.scenarios = self.taps = self.sales = self.differing = self.differing_sales = 0

    def take(self, path: Path, results: Sequence[Result], policy: Policy) -> None:
        """Print one file's results."""
        self.scenarios += len(results)
        self.taps += sum(len(result.played) for result in results)
        self.differing += sum(not result.ok for result in results)
        for result in results:
            if self._json:
                print_json(_as_builtins(path, result, policy))
            elif not result.ok:
                _show_misses(path, result, policy)

    def take_sales(self, path: Path, results: Sequence[SaleResult]) -> None:
        """Print one file's sales."""
        self.sales += len(results)
        for result in results:
            self.differing_sales += not result.ok
            if self._json:
                print_json(_sale_as_builtins(path, result))
            elif not result.ok:
                case = result.case
                print(
                    f"{path} sale {result.number}: product {case.product} for {case.month:%Y-%m} on {case.on}"
                )
                for difference in result.differences:
                    print(f"    {_difference(difference)}")

    def conclude(self) -> None:
        """Print the totals; raises `ScenariosDiffer` when any scenario did not come out as written."""
        if not self._json:
            counted = f"{self.scenarios} scenarios, {self.taps} taps"
            sales = f", {self.sales} sales" if self.sales else ""
            print(f"{counted}{sales}: {self.differing + self.differing_sales} differ")
        if self.differing or self.differing_sales:
            what = "scenarios and sales" if self.sales else "scenarios"
            raise ScenariosDiffer(
                f"{self.differing + self.differing_sales} of {self.scenarios + self.sales} {what} do not come out as "
                "written",
                "Correct the document or the expectation; `terminal policy explain` shows why.",
            )


def show_changes(changes: Sequence[Change], json: bool) -> None:
    """The values in which two documents differ."""
    if json:
        print_json({"document": [_change(change) for change in changes]})
        return
    print(f"the documents differ in {len(changes)} values" if changes else "the documents are equal")
    for change in changes:
        print(f"  {change.what}: {change.old} → {change.new}")


def show_diffs(
    path: Path, found: Sequence[RiderDiff], scenarios: int, old: Policy, new: Policy, json: bool
) -> None:
    """Who would notice, tap by tap."""
    if json:
        for impact in found:
            print_json(_rider_diff(path, impact, old.currency, new.currency))
        return
    print(f"{path}: {len(found)} of {scenarios} scenarios change")
    for impact in found:
        before = money(impact.old_charge_minor, old.currency, ENGLISH)
        sums = f"{before} → {money(impact.new_charge_minor, new.currency, ENGLISH)}"
        print(f"  #{impact.number} {impact.name} ({impact.rider}): in all {sums}")
        for _, alike in groupby(impact.taps, key=lambda tap: (tap.played.tap, repr(tap.changes))):
            first, *others = alike
            changes = "; ".join(f"{c.what}: {c.old} → {c.new}" for c in first.changes)
            more = f" (and {len(others)} times more)" if others else ""
            print(f"    tap {first.played.tap}, {place(first.played, new)}: {changes}{more}")


def show_explained(
    file: ScenarioFile, number: int | None, tap: int | None, policy: Policy, language: str, json: bool
) -> None:
    """Each decision of one scenario, or of all, step by step."""
    if number is not None and not 1 <= number <= len(file.scenarios):
        values = {"number": number, "count": len(file.scenarios)}
        raise unplayable(Mistake("", PlayMistake.NO_SCENARIO, values))
    for index in range(1, len(file.scenarios) + 1) if number is None else (number,):
        scenario = file.scenarios[index - 1]
        shown = [played for played in play(file, index, policy) if tap in (None, played.tap)]
        if not shown:
            asked = {"tap": tap or 0, "number": index, "count": len(scenario.taps)}
            raise unplayable(Mistake(f"scenarios[{index - 1}]", PlayMistake.NO_TAP, asked))
        if json:
            for played in shown:
                print_json({"scenario": index, "name": scenario.name, **as_builtins(played, policy)})
            continue
        print(f"#{index} {scenario.name} ({scenario.rider})")
        for played in shown:
            print("\n".join(tap_lines(played, policy, language)))


def _show_misses(path: Path, result: Result, policy: Policy) -> None:
    print(f"{path}#{result.number} {result.name} ({result.rider})")
    for _, of_one_tap in groupby(result.misses, key=lambda miss: miss.played.tap):
        miss, *others = of_one_tap
        more = f" (and {len(others)} times more)" if others else ""
        print(f"  tap {miss.played.tap}, {place(miss.played, policy)}{more}")
        for difference in miss.differences:
            print(f"    {_difference(difference)}")
        for reason in miss.played.decision.facts:
            print(f"      {step_line(reason, policy.currency)}")
    for difference in result.total:
        print(f"  {_difference(difference)}")


def _difference(difference: Difference) -> str:
    return f"{difference.what}: expected {difference.expected}, got {difference.got}"


def _as_builtins(path: Path, result: Result, policy: Policy) -> dict[str, Any]:
    return {
        "file": str(path),
        "scenario": result.number,
        "name": result.name,
        "rider": result.rider,
        "ok": result.ok,
        "differences": [_miss(miss) for miss in result.misses],
        "total": _differences(result.total),
        "taps": [as_builtins(played, policy) for played in result.played],
    }


def _miss(miss: Miss) -> dict[str, Any]:
    listed = _differences(miss.differences)
    return {"tap": miss.played.tap, "turn": miss.played.turn, "differences": listed}


def _differences(found: Sequence[Difference]) -> list[dict[str, Any]]:
    return [{"what": one.what, "expected": one.expected, "got": one.got} for one in found]


def _sale_as_builtins(path: Path, result: SaleResult) -> dict[str, Any]:
    return {
        "file": str(path),
        "sale": result.number,
        "product": result.case.product,
        "month": result.case.month,
        "on": result.case.on,
        "ok": result.ok,
        "differences": _differences(result.differences),
    }


def _change(change: Change) -> dict[str, Any]:
    return {"what": change.what, "old": change.old, "new": change.new}


def _rider_diff(path: Path, impact: RiderDiff, old_currency: str, new_currency: str) -> dict[str, Any]:
    return {
        "file": str(path),
        "scenario": impact.number,
        "name": impact.name,
        "rider": impact.rider,
        "old_charge_minor": impact.old_charge_minor,
        "new_charge_minor": impact.new_charge_minor,
        "old_currency": old_currency,
        "new_currency": new_currency,
        "taps": [
            {"tap": tap.played.tap, "turn": tap.played.turn, "changes": [_change(c) for c in tap.changes]}
            for tap in impact.taps
        ],
    }
