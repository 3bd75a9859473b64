"""A file of scenarios played live, and where a running terminal differs from the pure run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from terminal.app.simulated import laboratory_keys
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.lab.live.cards import IssuingOffice, LiveCard
from terminal.lab.live.lane import Lane, LiveResult
from terminal.lab.live.lists import ListedHolder, ListOffice
from terminal.lab.live.plan import Lacking, LaneKey, LivePlan, LiveTap, plan_of
from terminal.policy.policy import Policy
from terminal.scenario.card import local_time
from terminal.scenario.compare import Difference, balance_minor
from terminal.scenario.load import card_of
from terminal.scenario.mistakes import mistakes_at
from terminal.scenario.play import Played
from terminal.scenario.schema import Card, ScenarioFile


@dataclass(frozen=True, slots=True)
class PlayedLive:
    """One tap: as the pure run has it, as the running terminal has it, and in what the two differ."""

    pure: Played
    live: LiveResult
    differences: tuple[Difference, ...]


@dataclass(slots=True)
class LiveScenario:
    """One scenario, played live. `number` counts from 1 as in the file."""

    number: int
    name: str
    rider: str
    taps: list[PlayedLive] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not any(tap.differences for tap in self.taps)


@dataclass(frozen=True, slots=True)
class LiveFile:
    """What came of one file: its scenarios in order, those that could not be played, and how many starts it took."""

    scenarios: tuple[LiveScenario, ...]
    lacking: tuple[Lacking, ...]
    starts: int


def play_live(
    file: ScenarioFile,
    policy: Policy,
    document: str,
    folder: Path,
    wanted: Sequence[int],
    *,
    restarts: bool = False,
) -> LiveFile:
    """Play these scenarios of `file` through terminals that are started for `document`, in `folder`; with `restarts`,
    power and the vehicle's sources fail between taps.

    Raises `ScenarioFileError` for what no card can hold, and `LiveFailed` when a terminal does not do what is asked.
    """
    plan = plan_of(file, policy, wanted)
    run = _LiveRun(file, policy, document, folder, plan)
    with run.lanes_open(restarts=restarts) as lanes:
        for key, index, tap in plan.in_order():
            run.take(lanes[key], index, tap)
        starts = sum(lane.terminal.starts for lane in lanes.values())
    return LiveFile(tuple(run.scenarios.values()), tuple(plan.lacking), starts)


class _LiveRun:
    def __init__(
        self, file: ScenarioFile, policy: Policy, document: str, folder: Path, plan: LivePlan
    ) -> None:
        self._file = file
        self._policy = policy
        self._document = document
        self._folder = folder
        self._plan = plan
        self._office = IssuingOffice(folder / "cards", policy)
        lacking = {one.scenario for one in plan.lacking}
        self.scenarios = {
            number: LiveScenario(number, file.scenarios[number - 1].name, file.scenarios[number - 1].rider)
            for number in plan.pure
            if number not in lacking
        }
        self._cards = {
            number: card for number in self.scenarios if (card := self._issued(number)) is not None
        }
        self._service_card = self._office.issue("service card", Card())
        keys = load_file_keys(laboratory_keys(), UNLIMITED)
        self._lists = ListOffice(policy, keys, dict(self._holders()))

    def take(self, lane: Lane, index: int, tap: LiveTap) -> None:
        """One tap on its lane, compared with what the pure run says."""
        card = self._cards.get(tap.scenario)
        self._visit(tap, card)
        live = lane.take(index, None if card is None else card.path)
        found = tuple(_differences(tap.played, live))
        self.scenarios[tap.scenario].taps.append(PlayedLive(tap.played, live, found))

    @contextmanager
    def lanes_open(self, *, restarts: bool) -> Iterator[dict[LaneKey, Lane]]:
        """The lanes, none of them started; ended at the end, at once where something went wrong."""
        lanes = {
            key: Lane(
                self._folder / f"lane-{number}",
                key,
                taps,
                self._document,
                self._policy,
                self._lists,
                self._service_card,
                restarts=restarts,
            )
            for number, (key, taps) in enumerate(self._plan.lanes.items(), start=1)
        }
        try:
            yield lanes
            for lane in lanes.values():
                lane.close()
        finally:
            for lane in lanes.values():
                lane.kill()

    def _holders(self) -> Iterator[tuple[int, ListedHolder]]:
        for number, live in self._cards.items():
            scenario = self._file.scenarios[number - 1]
            card = card_of(self._file, scenario)
            yield number, ListedHolder(live, card, scenario.bank_card, scenario.pupil)

    def _issued(self, number: int) -> LiveCard | None:
        scenario = self._file.scenarios[number - 1]
        card, bank = card_of(self._file, scenario), scenario.bank_card
        if card is None and bank is None:
            return None
        today = self._plan.pure[number][0].at.date()
        with mistakes_at(f"scenarios[{number - 1}].card"):
            return self._office.issue(f"{self._file.region}#{number} {scenario.name}", card, bank, today)

    def _visit(self, tap: LiveTap, card: LiveCard | None) -> None:
        """What the issuing point does before the tap, if it does anything."""
        step = self._file.scenarios[tap.scenario - 1].taps[tap.played.tap - 1]
        if step.issuing_point is not None and card is not None and tap.played.turn == 1:
            self._office.visit(card, step.issuing_point, local_time(step.issuing_point.at, self._policy))


def _differences(pure: Played, live: LiveResult) -> Iterator[Difference]:
    outcome = pure.decision.outcome
    pairs: list[tuple[str, object, object]] = [
        ("message", str(outcome.message), live.message),
        ("admission", outcome.admission.value, live.admission),
        ("charge_minor", outcome.charge_minor, live.charge_minor),
        ("balance_minor", balance_minor(pure), live.balance_minor),
    ]
    if live.reasons is not None:
        pairs.append(("reasons", [reason.code for reason in pure.decision.facts], list(live.reasons)))
    for what, expected, got in pairs:
        if expected != got:
            yield Difference(what, expected, got)
