"""`terminal policy run --live`: what it plays, and how its results print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from terminal.app.output import print_json
from terminal.errors import Mistake, ScenariosDiffer, TerminalError
from terminal.lab.live.play import LiveFile, LiveScenario, PlayedLive, play_live
from terminal.policy.policy import Policy
from terminal.scenario.load import (
    load_scenarios,
    played_from,
    scenario_files,
    split_reference,
    supplied_scenarios,
)
from terminal.scenario.mistakes import PlayMistake, unplayable
from terminal.scenario.result import require_region
from terminal.scenario.schema import ScenarioFile
from terminal.scenario.words import place


class LiveSummary:
    """Counts what was played, prints it, and ends the command accordingly."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self.scenarios = self.taps = self.differing = self.sales = self.starts = 0
        self.lacking: list[str] = []

    def take(self, path: Path, played: LiveFile, sales: int, policy: Policy) -> None:
        """Print one file's results."""
        self.scenarios += len(played.scenarios)
        self.taps += sum(len(scenario.taps) for scenario in played.scenarios)
        self.differing += sum(not scenario.ok for scenario in played.scenarios)
        self.sales += sales
        self.starts += played.starts
        for scenario in played.scenarios:
            if self._json:
                print_json(_as_builtins(path, scenario))
            elif not scenario.ok:
                _show_differences(path, scenario, policy)
        for one in played.lacking:
            self.lacking.append(f"{path}#{one.scenario} {one.name}: {', '.join(one.facts)}")
            if self._json:
                missing = {"file": str(path), "scenario": one.scenario, "name": one.name}
                print_json({**missing, "not_played": list(one.facts)})

    def conclude(self) -> None:
        """Print the totals; raises `ScenariosDiffer` when a running terminal decided otherwise than the pure run."""
        if self._json:
            counted = {"scenarios": self.scenarios, "taps": self.taps, "differing": self.differing}
            left_out = {"not_played": len(self.lacking), "sales": self.sales}
            print_json({"totals": {**counted, **left_out, "starts": self.starts}})
        else:
            for line in self.lacking:
                print(f"not played: {line}")
            print(f"{self.scenarios} scenarios, {self.taps} taps live: {self.differing} differ")
            print(f"  {self.starts} starts; {len(self.lacking)} scenarios and {self.sales} sales not played")
        if self.differing:
            raise ScenariosDiffer(
                f"{self.differing} of {self.scenarios} scenarios come out otherwise on a running terminal",
                "Play them again with --keep and look at the journals in its folder.",
            )


def play_all(
    doc: str,
    policy: Policy,
    references: Sequence[Path] | None,
    *,
    keep: Path | None,
    restarts: bool,
    json: bool,
) -> None:
    """Play what `references` name (FILE, FILE#3, or a folder) live; raises `ScenariosDiffer`."""
    tally = LiveSummary(json)
    document = doc if not Path(doc).suffix else str(Path(doc).absolute())
    with _folder(keep) as folder:
        for number, (path, wanted) in enumerate(_wanted(policy, references).items(), start=1):
            file = load_scenarios(path)
            with played_from(path):
                require_region(file, policy)
                numbers = _numbers(file, wanted)
                played = play_live(file, policy, document, folder / str(number), numbers, restarts=restarts)
            tally.take(path, played, 0 if wanted else len(file.sales), policy)
    tally.conclude()


def _numbers(file: ScenarioFile, wanted: set[int]) -> list[int]:
    """The scenarios that are asked for, all of them where none is named."""
    held = len(file.scenarios)
    numbers = sorted(wanted) or list(range(1, held + 1))
    if not 1 <= numbers[0] <= numbers[-1] <= held:
        missing = numbers[-1] if numbers[-1] > held else numbers[0]
        raise unplayable(Mistake("", PlayMistake.NO_SCENARIO, {"number": missing, "count": held}))
    return numbers


def _wanted(policy: Policy, references: Sequence[Path] | None) -> dict[Path, set[int]]:
    """The files and the scenarios in them that are asked for; an empty set for all of a file."""
    if not references:
        return {path: set() for path in supplied_scenarios(policy.document.header.id)}
    found: dict[Path, set[int]] = {}
    for reference in references:
        named, number, _tap = split_reference(str(reference))
        for path in scenario_files([named]):
            found.setdefault(path, set()).update(() if number is None else (number,))
    return found


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where terminals and cards are, kept when that is asked for."""
    if keep is None:
        with TemporaryDirectory(prefix="live-") as made:
            yield Path(made)
        return
    try:
        keep.mkdir(parents=True)
    except OSError as error:
        raise TerminalError(f"{keep} cannot be made ({error.strerror})", "Name a new folder.") from error
    yield keep.absolute()


def _show_differences(path: Path, scenario: LiveScenario, policy: Policy) -> None:
    print(f"{path}#{scenario.number} {scenario.name} ({scenario.rider})")
    differing = (tap for tap in scenario.taps if tap.differences)
    for _, of_one_tap in groupby(differing, key=lambda tap: tap.pure.tap):
        tap, *others = of_one_tap
        more = f" (and {len(others)} times more)" if others else ""
        print(f"  tap {tap.pure.tap}, {place(tap.pure, policy)}{more}")
        for one in tap.differences:
            print(f"    {one.what}: expected {one.expected}, got {one.got}")


def _as_builtins(path: Path, scenario: LiveScenario) -> dict[str, Any]:
    return {
        "file": str(path),
        "scenario": scenario.number,
        "name": scenario.name,
        "rider": scenario.rider,
        "ok": scenario.ok,
        "taps": [_tap(tap) for tap in scenario.taps],
    }


def _tap(tap: PlayedLive) -> dict[str, Any]:
    differing = [{"what": one.what, "expected": one.expected, "got": one.got} for one in tap.differences]
    return {"tap": tap.pure.tap, "turn": tap.pure.turn, **asdict(tap.live), "differences": differing}
