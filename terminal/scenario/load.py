"""Scenario files: from TOML to a checked `ScenarioFile`, or one precise error."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from terminal.errors import ScenarioFileError
from terminal.policy.base import Problem, unique
from terminal.scenario.schema import SCENARIO_SCHEMA, Card, Scenario, ScenarioFile

SCENARIOS: Final = Path(__file__).parents[1] / "policy" / "scenarios"
"""The files that come with the terminal, one or more for each supplied region."""


def scenario_files(paths: Iterable[Path]) -> list[Path]:
    """The files of `paths` in order, a folder's `*.toml` by name; raises `ScenarioFileError` when there is none."""
    files = [file for path in paths for file in (sorted(path.glob("*.toml")) if path.is_dir() else [path])]
    if not files:
        listed = ", ".join(map(str, paths)) or "no path given"
        raise ScenarioFileError(
            f"no scenario files: {listed}", "Give TOML files or a folder that holds some."
        )
    return files


def supplied_scenarios(region: str) -> list[Path]:
    """The files that come with the terminal for the document of this id."""
    return [path for path in sorted(SCENARIOS.glob("*.toml")) if load_scenarios(path).region == region]


def split_reference(text: str) -> tuple[Path, int | None, int | None]:
    """ "FILE", "FILE#3" or "FILE#3.2": the file, the scenario in it and the tap of that, counted from 1."""
    path, marked, place = text.partition("#")
    scenario, dotted, tap = place.partition(".")
    if (marked and not scenario.isdecimal()) or (dotted and not tap.isdecimal()):
        raise ScenarioFileError(f"{text!r} names no scenario", "Write FILE, FILE#3 or FILE#3.2.")
    return Path(path), int(scenario) if marked else None, int(tap) if dotted else None


def load_scenarios(path: Path) -> ScenarioFile:
    """Return the checked file at `path`; raises `ScenarioFileError` with file, path inside it and advice."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ScenarioFileError(f"no scenario file {path}", "Give the path of a TOML file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioFileError(f"{path} cannot be read: {error}", "Give a TOML file in UTF-8.") from error
    return parse_scenarios(text, str(path))


def parse_scenarios(text: str, name: str) -> ScenarioFile:
    """Return the checked file in TOML `text`; `name` is the file in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioFileError(f"{name} is not TOML: {error}", "Correct that line.") from error
    schema = raw.get("schema")
    if isinstance(schema, int) and schema != SCENARIO_SCHEMA:
        raise ScenarioFileError(
            f"{name}: schema: schema {schema}, this program knows {SCENARIO_SCHEMA}",
            "Update the program, or write the file for its schema.",
        )
    try:
        scenarios = msgspec.convert(raw, ScenarioFile)
    except msgspec.ValidationError as error:
        from terminal.policy.explain import place_of  # noqa: PLC0415 only needed when something is wrong

        where, advice = place_of(error, raw, ScenarioFile)
        raise ScenarioFileError(f"{name}: {where}", advice) from error
    found = list(_problems(scenarios))
    if found:
        first, others = found[0], len(found) - 1
        more = f" (and {others} more)" if others else ""
        raise ScenarioFileError(f"{name}: {first.path}: {first.what}{more}", first.advice)
    return scenarios


def card_of(file: ScenarioFile, scenario: Scenario) -> Card | None:
    """The resident card of one of the file's scenarios, if it has one."""
    return file.cards[scenario.card] if isinstance(scenario.card, str) else scenario.card


def _problems(file: ScenarioFile) -> Iterator[Problem]:
    yield from unique("scenarios", (scenario.name for scenario in file.scenarios), key="name")
    for index, scenario in enumerate(file.scenarios):
        at = f"scenarios[{index}]"
        media = [
            medium for medium in (scenario.card, scenario.bank_card, scenario.cash) if medium is not None
        ]
        if len(media) != 1:
            yield Problem(
                at, "needs one of `card`, `bank_card` and `cash`", "State what the rider pays with."
            )
        if isinstance(scenario.card, str) and scenario.card not in file.cards:
            known = ", ".join(file.cards) or "none in this file"
            yield Problem(f"{at}.card", f"unknown card {scenario.card!r}", f"Known: {known}.")
        yield from _times(at, scenario)


def _times(at: str, scenario: Scenario) -> Iterator[Problem]:
    for index, tap in enumerate(scenario.taps):
        here = f"{at}.taps[{index}]"
        if (tap.at is None) == (tap.after_s is None):
            yield Problem(here, "needs one of `at` and `after_s`", "State the moment in one way.")
        elif index == 0 and tap.at is None:
            yield Problem(here, "the first tap has none before it", "State its moment with `at`.")
        if tap.expect_last is not None and tap.repeat is None:
            yield Problem(f"{here}.expect_last", "the tap is not repeated", "Add `repeat` or use `expect`.")
