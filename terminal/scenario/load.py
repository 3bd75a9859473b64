"""Scenario files: from TOML to a checked `ScenarioFile`, or all their mistakes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from terminal.errors import Mistake, MistakeCode, ScenarioFileError
from terminal.mistakes.document import parsed, read
from terminal.mistakes.finding import placed
from terminal.mistakes.form import FileForm, other_schema
from terminal.mistakes.reading import Unreadable, content_of
from terminal.policy.base import Thing, moment_problems, unique, unknown
from terminal.policy.mistakes import NameMistake
from terminal.scenario.mistakes import unplayable
from terminal.scenario.schema import SCENARIO_SCHEMA, Card, Scenario, ScenarioFile
from terminal.texts import N_

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
    """Return the checked file at `path`; raises `ScenarioFileError` with all mistakes, their places and advice."""
    return read(SCENARIO_FILES, path)


def parse_scenarios(text: str, name: str) -> ScenarioFile:
    """Return the checked file in TOML `text`; `name` is the file in errors."""
    return parsed(SCENARIO_FILES, text.encode(), name)


@contextmanager
def played_from(source: Path | str) -> Iterator[None]:
    """What is found wrong inside, while scenarios are played, gets the name of their file and the lines in it, or the
    lines in the text they are from.
    """
    try:
        yield
    except ScenarioFileError as error:
        raise unplayable(*_placed(error.mistakes, source)) from error


def _placed(mistakes: tuple[Mistake, ...], source: Path | str) -> Iterable[Mistake]:
    if isinstance(source, str):
        return placed(SCENARIO_FILES, mistakes, source.encode(), "")
    try:
        content = content_of(source, SCENARIO_FILES.most_bytes)
        return placed(SCENARIO_FILES, mistakes, content, str(source))
    except Unreadable:  # it has changed since
        return [replace(one, file=str(source)) for one in mistakes]


def card_of(file: ScenarioFile, scenario: Scenario) -> Card | None:
    """The resident card of one of the file's scenarios, if it has one."""
    return file.cards[scenario.card] if isinstance(scenario.card, str) else scenario.card


class ScenarioMistake(MistakeCode):
    """What may be wrong with scenarios beyond their types."""

    NO_MEDIUM = (
        "scenario_medium",
        N_("needs `card`, `bank_card`, both for a card that is both, or `cash`"),
        N_("State what the rider pays with."),
    )
    NO_MOMENT = (
        "scenario_moment",
        N_("needs one of `at` and `after_s`"),
        N_("State the moment in one way."),
    )
    FIRST_AFTER = (
        "scenario_first_after",
        N_("the first tap has none before it"),
        N_("State its moment with `at`."),
    )
    NOT_REPEATED = (
        "scenario_not_repeated",
        N_("the tap is not repeated"),
        N_("Add `repeat` or use `expect`."),
    )


def _problems(file: ScenarioFile) -> Iterator[Mistake]:
    yield from unique("scenarios", (scenario.name for scenario in file.scenarios), key="name")
    for index, scenario in enumerate(file.scenarios):
        at = f"scenarios[{index}]"
        by_card = scenario.card is not None or scenario.bank_card is not None
        if by_card == (scenario.cash is not None):
            yield Mistake(at, ScenarioMistake.NO_MEDIUM)
        if isinstance(scenario.card, str) and scenario.card not in file.cards:
            yield unknown(f"{at}.card", Thing.CARD, scenario.card, file.cards)
        yield from _times(at, scenario)


def _times(at: str, scenario: Scenario) -> Iterator[Mistake]:
    for index, tap in enumerate(scenario.taps):
        here = f"{at}.taps[{index}]"
        visit = tap.issuing_point
        yield from moment_problems(
            {f"{here}.at": tap.at, f"{here}.issuing_point.at": None if visit is None else visit.at}
        )
        if (tap.at is None) == (tap.after_s is None):
            yield Mistake(here, ScenarioMistake.NO_MOMENT)
        elif index == 0 and tap.at is None:
            yield Mistake(here, ScenarioMistake.FIRST_AFTER)
        if tap.expect_last is not None and tap.repeat is None:
            yield Mistake(f"{here}.expect_last", ScenarioMistake.NOT_REPEATED)


_UNKNOWN_CARD: Final[frozenset[MistakeCode]] = frozenset(
    {NameMistake.UNKNOWN, NameMistake.UNKNOWN_NEAR, NameMistake.NONE_KNOWN}
)
SCENARIO_FILES: Final = FileForm(
    ScenarioFile,
    ScenarioFileError,
    checks=_problems,
    beforehand=lambda raw: other_schema(raw, "schema", SCENARIO_SCHEMA),
    follows=lambda path: _UNKNOWN_CARD if path.startswith("cards") else frozenset(),
)
