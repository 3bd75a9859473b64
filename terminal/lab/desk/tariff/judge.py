"""What the playground's page is answered: one order in, one answer out, from nothing but the texts in the order.

The document is judged first. Where it is sound, what the order asks for besides is done under it: the story's taps, a
scenario file, the comparison with another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from terminal.errors import ScenarioFileError
from terminal.lab.desk.tariff.shown import (
    change_shown,
    difference_shown,
    document_shown,
    mistake_shown,
    played_shown,
    problem_shown,
)
from terminal.lab.desk.tariff.story import Story, file_of, played, read_story, saved, story_of
from terminal.lab.desk.words import KnownLanguage
from terminal.money import money
from terminal.policy.load import policy_from_text
from terminal.policy.policy import Policy
from terminal.scenario.diff import RiderDiff, document_changes, rider_diffs
from terminal.scenario.load import parse_scenarios, played_from
from terminal.scenario.result import Result, require_region, run, run_sales
from terminal.scenario.schema import ScenarioFile

LONGEST_TEXT: Final = 1_000_000
"""Bytes of a document or a scenario file."""
MOST_SHOWN: Final = 100
"""Scenarios, taps of each, and values of a comparison, of which details are shown; all are counted."""

Want = Literal["story", "save", "scenarios", "take", "compare"]


class TariffOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page wants to know of the text it holds.

    `tab` is the page's own name for itself: its newer order takes the place of an older one. `source` is what the text
    began as, which says where the files of its feed lie.
    """

    tab: Annotated[str, Meta(min_length=8, max_length=40)]
    text: str
    source: Annotated[str, Meta(max_length=200)] = ""
    language: KnownLanguage = "ru"
    wants: Annotated[tuple[Want, ...], Meta(max_length=5)] = ()
    story: dict[str, Any] | None = None
    scenarios: str = ""
    number: Annotated[int, Meta(ge=1, le=100_000)] = 1
    """The scenario to be taken as a story."""
    original: str = ""
    """The version to be compared with."""


def answer(order: TariffOrder, folder: Path) -> dict[str, Any]:
    """The page's answer in JSON values; the files of a feed lie in `folder`."""
    policy, mistakes = _judged(order.text, folder, order.language)
    found: dict[str, Any] = {"mistakes": mistakes}
    if policy is None:
        return found
    found["document"] = document_shown(policy, order.language)
    for want in order.wants:
        found[want] = _tried(WANTS[want], order, policy, folder)
    return found


def _judged(text: str, folder: Path, language: str) -> tuple[Policy | None, list[dict[str, Any]]]:
    """The document ready for deciding, or what is wrong with it."""
    found = policy_from_text(text.encode(), "", folder)
    if isinstance(found, Policy):
        return found, []
    return None, [mistake_shown(one, language) for one in found]


Worked = Callable[[TariffOrder, Policy, Path], dict[str, Any]]


def _tried(work: Worked, order: TariffOrder, policy: Policy, folder: Path) -> dict[str, Any]:
    """What `work` finds, or what is wrong with what it was given."""
    try:
        return work(order, policy, folder)
    except ScenarioFileError as error:
        return {"problem": problem_shown(error, order.language)}


def _story(order: TariffOrder) -> Story:
    return read_story(order.story or {})


def _play(order: TariffOrder, policy: Policy, _folder: Path) -> dict[str, Any]:
    taps = played(_story(order), policy)
    return {
        "taps": [played_shown(tap, policy, order.language) for tap in taps],
        "charge_minor": sum(tap.decision.outcome.charge_minor for tap in taps),
    }


def _save(order: TariffOrder, policy: Policy, _folder: Path) -> dict[str, Any]:
    found = saved(_story(order), policy)
    return {"text": found.text, "taps": found.taps, "differing": found.differing}


def _file(order: TariffOrder) -> ScenarioFile:
    return parse_scenarios(order.scenarios, "")


def _run(order: TariffOrder, policy: Policy, _folder: Path) -> dict[str, Any]:
    file = _file(order)
    with played_from(order.scenarios):
        results, sales = run(file, policy), run_sales(file, policy)
    return {
        "scenarios": [
            {
                "number": one.number,
                "name": one.name,
                "rider": one.rider,
                "taps": len(one.played),
                "ok": one.ok,
            }
            for one in results
        ],
        "taps": sum(len(one.played) for one in results),
        "differing": sum(not one.ok for one in results) + sum(not one.ok for one in sales),
        "differences": [_result_shown(one, policy, order.language) for one in results if not one.ok][
            :MOST_SHOWN
        ],
        "sales": [
            {
                "number": one.number,
                "product": one.case.product,
                "on": one.case.on,
                "differences": [
                    difference_shown(d, policy.currency, order.language) for d in one.differences
                ],
            }
            for one in sales
            if not one.ok
        ][:MOST_SHOWN],
        "sales_total": len(sales),
    }


def _result_shown(result: Result, policy: Policy, language: str) -> dict[str, Any]:
    return {
        "number": result.number,
        "taps": [
            {
                **played_shown(miss.played, policy, language),
                "differences": [difference_shown(d, policy.currency, language) for d in miss.differences],
            }
            for miss in result.misses[:MOST_SHOWN]
        ],
        "total": [difference_shown(d, policy.currency, language) for d in result.total],
    }


def _take(order: TariffOrder, _policy: Policy, _folder: Path) -> dict[str, Any]:
    return {"story": story_of(_file(order), order.number)}


def _compare(order: TariffOrder, policy: Policy, folder: Path) -> dict[str, Any]:
    """The values that differ, and who notices: the story's rider, and those of the scenario file."""
    before, mistakes = _judged(order.original, folder, order.language)
    if before is None:
        return {"mistakes": mistakes}
    changes = document_changes(before.document, policy.document)
    return {
        "values": [change_shown(one, before, policy, order.language) for one in changes[:MOST_SHOWN]],
        "values_total": len(changes),
        "story": _riders(lambda: _story_file(order, policy), order, before, policy)
        if order.story is not None and order.story.get("taps")
        else None,
        "scenarios": _riders(lambda: _file_for(order, before, policy), order, before, policy)
        if order.scenarios.strip()
        else None,
    }


def _story_file(order: TariffOrder, policy: Policy) -> ScenarioFile:
    """The story alone; it may be played in two regions."""
    return file_of(_story(order), policy.document.header.id)


def _file_for(order: TariffOrder, *policies: Policy) -> ScenarioFile:
    """The scenario file, if it was written for the region of all `policies`."""
    file = _file(order)
    with played_from(order.scenarios):
        for policy in policies:
            require_region(file, policy)
    return file


def _riders(
    file: Callable[[], ScenarioFile], order: TariffOrder, before: Policy, after: Policy
) -> dict[str, Any]:
    """Who pays or reads something else, with sums."""
    try:
        asked = file()
        found = list(rider_diffs(asked, before, after))
    except ScenarioFileError as error:
        return {"problem": problem_shown(error, order.language)}
    return {
        "total": len(asked.scenarios),
        "changed": len(found),
        "riders": [_rider_shown(one, before, after, order.language) for one in found[:MOST_SHOWN]],
    }


def _rider_shown(diff: RiderDiff, old: Policy, new: Policy, language: str) -> dict[str, Any]:
    return {
        "number": diff.number,
        "name": diff.name,
        "rider": diff.rider,
        "old": money(diff.old_charge_minor, old.currency, language),
        "new": money(diff.new_charge_minor, new.currency, language),
        "taps": [
            {
                "tap": tap.played.tap,
                "turn": tap.played.turn,
                "at": tap.played.at.astimezone(new.zone).replace(tzinfo=None),
                "changes": [change_shown(one, old, new, language) for one in tap.changes],
            }
            for tap in diff.taps[:MOST_SHOWN]
        ],
        "taps_total": len(diff.taps),
    }


WANTS: Final[Mapping[Want, Worked]] = MappingProxyType(
    {"story": _play, "save": _save, "scenarios": _run, "take": _take, "compare": _compare}
)
