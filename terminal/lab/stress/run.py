"""A storm of any length: town after town, each from its own seed, in as many processes as asked for.

A violation is played again with fewer and fewer steps until none can be left out, so that what remains is a story.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import msgspec

from cardcli import VERSION
from terminal.decoding import DOCUMENT_BYTES, decode_json, read_within
from terminal.errors import ProfileError, TerminalError
from terminal.lab.stress.checkers.check import Findings, check
from terminal.lab.stress.checkers.digest import Digest, DigestListener, digest_of, together
from terminal.lab.stress.faults.disk import available
from terminal.lab.stress.faults.plan import CARDS, NEEDS_APSW, Kind, Planner, StressStep
from terminal.lab.stress.play import play
from terminal.lab.stress.residents import LABORATORY
from terminal.lab.stress.world import Storm, StormTown, open_storm_town, split_terminals
from terminal.media.resident.machine import IllegalStep

MEMORY: Final = Path("/dev/shm")  # noqa: S108 a memory file system, used below a folder of our own
TOWN_TAPS: Final = 4_000
SEED_STEP: Final = 1_000_003
ENOUGH_TAPS: Final = 20_000
"""From so many taps on every kind of fault that was asked for has to have happened."""
EVERY_REGION: Final = "every"
REGIONS: Final = (
    LABORATORY,
    "volgograd",
    "st_petersburg",
    "bashkortostan",
    "belgorod",
    "sakhalin",
    "chelyabinsk",
    "novosibirsk",
    "tyumen",
)
"""The regions of a storm's towns, in this order."""
SHRINK_S: Final = 60.0
LINE_BEGINS: Final = b'{"town":'
"""Of a log."""
REPORT_EVERY: Final = 100
PUPILS_SHARE: Final = 5
RARELY: Final = (50_000, 10, 10)
"""Thresholds of the cyclic garbage collector in a town, all of which every full collection walks."""

Progress = Callable[[int, int], None]
"""`(taps, faults survived)` since the last call."""


class TownSeed(msgspec.Struct, frozen=True):
    """What a town is built from; with its steps, all that a replay needs."""

    seed: int
    terminals: int = 8
    cards: int = 40
    region: str = LABORATORY
    issued: tuple[str, ...] = ()
    """Kinds of cards that are among them."""

    @property
    def riders(self) -> int:
        return self.cards - self.pupils

    @property
    def pupils(self) -> int:
        return max(1, self.cards // PUPILS_SHARE)

    def plan(self, taps: int, faults: frozenset[Kind]) -> list[StressStep]:
        buses, canteens = split_terminals(self.terminals)
        return Planner(self.seed, buses, canteens, self.riders, self.pupils).plan(taps, faults)


class Violation(msgspec.Struct, frozen=True):
    """What went wrong, and the shortest list of steps found that still goes wrong. It is its own replay file."""

    town: TownSeed
    problems: list[str]
    planned_steps: int
    replay: list[StressStep]


@dataclass(slots=True)
class StormResult:
    """All towns together; `violations` holds one entry for each town that was not sound."""

    seed: int
    towns: int = 0
    findings: Findings = field(default_factory=Findings)
    violations: list[Violation] = field(default_factory=list)
    wall_s: float = 0.0
    unavailable: tuple[str, ...] = ()
    journals_in_memory: bool = False

    @property
    def digest(self) -> Digest | None:
        """Of all towns; None when none was asked for, or a violation ended the storm at some town or other."""
        return together(self.findings.digests) if self.findings.digests and not self.violations else None

    def as_json(self) -> dict[str, Any]:
        found, digest = self.findings, self.digest
        return {
            "seed": self.seed,
            "taps": found.taps,
            "granted": found.granted,
            "rides_on_cards": found.rides,
            "records": found.records,
            "lost": found.lost,
            "duplicated": found.duplicated,
            "money_mismatch_minor": found.money_mismatch_minor,
            "misjudged": found.misjudged,
            "unnoticed": found.unnoticed,
            "decided": found.decided,
            "charged_minor": found.charged_minor,
            "unresolved_open": found.unresolved_open,
            "unresolved_settled": found.unresolved_settled,
            "faults_injected": dict(sorted(found.faults_injected.items())),
            "faults_total": found.faults_injected.total(),
            "faults_unavailable": list(self.unavailable),
            "restarts": found.restarts,
            "towns": self.towns,
            "journals_in_memory": self.journals_in_memory,
            "taps_per_s": round(found.taps / self.wall_s, 1) if self.wall_s else 0.0,
            "taps_per_cpu_s": round(found.taps / found.cpu_s, 1) if found.cpu_s else 0.0,
            "wall_s": round(self.wall_s, 1),
            "violations": msgspec.to_builtins(self.violations),
            **({"digest": digest.as_json()} if digest else {}),
        }


def play_town(
    town: TownSeed,
    steps: Sequence[StressStep],
    progress: Progress = lambda _taps, _faults: None,
    folder: Path | None = None,
    *,
    digest: bool = False,
    at_once: bool = False,
    watch: Callable[[Storm], None] = lambda _count: None,
) -> Findings:
    """One town from opening to audit, with a digest if asked for. Whatever ends it early is a problem found, too;
    `at_once`: so does the first tap that comes to something else than it should. `watch` sees the counts at each step.
    """
    reported, began_s = Storm(), time.process_time()
    opened: StormTown | None = None

    def on_step(count: Storm) -> None:
        watch(count)
        if count.taps - reported.taps >= REPORT_EVERY:
            faults = count.faults.total()
            progress(count.taps - reported.taps, faults - reported.restarts)
            reported.taps, reported.restarts = count.taps, faults
        if at_once and opened is not None and opened.truth.found:
            raise AssertionError(opened.truth.found[0].what)

    prefix = "resident-card-storm-"
    with (
        _collecting_rarely(),
        tempfile.TemporaryDirectory(dir=folder or storm_folder(), prefix=prefix) as place,
    ):
        try:
            with open_storm_town(
                Path(place),
                town.seed,
                town.terminals,
                town.riders,
                town.pupils,
                disks=available(),
                region=town.region,
                cards=town.issued,
            ) as opened:
                listener = DigestListener(opened) if digest else None
                play(opened, steps, on_step)
                found = check(opened)
                if listener:
                    found.digests.append((town.seed, digest_of(opened, listener)))
                progress(found.taps - reported.taps, found.faults_injected.total() - reported.restarts)
                found.cpu_s = time.process_time() - began_s
                return found
        except (TerminalError, IllegalStep, AssertionError, LookupError, sqlite3.Error) as end:
            return Findings(
                taps=reported.taps, problems=[f"the storm ended early: {type(end).__name__}: {end}"]
            )


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def storm_folder() -> Path | None:
    """A memory file system where there is one."""
    return MEMORY if MEMORY.is_dir() else None


def storm(
    taps: int,
    seed: int,
    faults: frozenset[Kind],
    progress: Progress,
    *,
    terminals: int = 8,
    cards: int = 40,
    region: str = EVERY_REGION,
    jobs: int = 1,
    shrink_s: float = SHRINK_S,
    digest: bool = False,
    log: Path | None = None,
) -> StormResult:
    """Play `taps` presentations or a few more; stop early at the first violation.

    Each town that ends is a line of the file `log`; those that are there already are not played again, `sum_of` adds
    them up.
    """
    started = time.monotonic()
    unavailable = () if available() else tuple(sorted(faults & NEEDS_APSW))
    result = StormResult(seed, unavailable=unavailable, journals_in_memory=storm_folder() is not None)
    faults -= frozenset(unavailable)
    plans = towns_of(taps, seed, faults, TownSeed(seed, terminals, cards, region))
    for town, planned, found in _towns(
        plans, faults, progress, jobs, digest=digest, log=TownLog(log, faults)
    ):
        result.towns += 1
        result.findings.add(found)
        if not found.sound:
            steps = town.plan(planned, faults)
            result.violations.append(shrink(town, steps, found, shrink_s))
            break
    result.findings.problems += _never_struck(faults, result.findings)
    result.wall_s = time.monotonic() - started
    return result


def _never_struck(faults: Collection[str], found: Findings) -> list[str]:
    """Kinds of faults that had their chance and never happened: a run without them would prove less than it says."""
    if found.taps < ENOUGH_TAPS:
        return []
    return [f"{kind} never happened" for kind in sorted(faults) if not found.faults_injected[kind]]


def towns_of(taps: int, seed: int, faults: frozenset[Kind], like: TownSeed) -> list[tuple[TownSeed, int]]:
    """The towns of a storm of so many taps, each with its share; one after the other in every region."""
    regions = REGIONS if like.region == EVERY_REGION else (like.region,)
    cards = tuple(sorted(faults.intersection(CARDS)))
    return [
        (
            msgspec.structs.replace(
                like, seed=seed * SEED_STEP + number, region=regions[number % len(regions)], issued=cards
            ),
            min(TOWN_TAPS, taps - first),
        )
        for number, first in enumerate(range(0, taps, TOWN_TAPS))
    ]


class TownLog:
    """Towns that have ended, one JSON line each; a storm that is cut off goes on behind them."""

    def __init__(self, path: Path | None, faults: frozenset[Kind]) -> None:
        """Raises `ProfileError` when the file is no log of a storm."""
        self._path = path
        self._faults = sorted(faults)
        lines = ended_towns(path) if path is not None and path.exists() else []
        self._ended = {line.town: line for line in lines if line.faults == self._faults}

    def ended(self, town: TownSeed, planned: int) -> Findings | None:
        """What was found in that town, if it was played to its end."""
        line = self._ended.get(town)
        return None if line is None or line.planned != planned else line.findings()

    def write(self, town: TownSeed, planned: int, found: Findings) -> None:
        if self._path is not None and found.sound:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(EndedTown.of(town, planned, self._faults, found)) + b"\n")


class EndedTown(msgspec.Struct, frozen=True):
    """A sound town of a storm's log, the version of the program that played it, and its processor time."""

    town: TownSeed
    planned: int
    faults: list[str]
    counts: dict[str, int]
    faults_injected: dict[str, int]
    cpu_s: float = 0.0
    version: str = ""

    @classmethod
    def of(cls, town: TownSeed, planned: int, faults: list[Kind], found: Findings) -> EndedTown:
        counts = {name: n for name in Findings.__slots__ if isinstance(n := getattr(found, name), int)}
        named = [str(kind) for kind in faults]
        return cls(town, planned, named, counts, dict(found.faults_injected), round(found.cpu_s, 2), VERSION)

    def findings(self) -> Findings:
        found = Findings(faults_injected=Counter(self.faults_injected), cpu_s=self.cpu_s)
        for name, count in self.counts.items():
            setattr(found, name, count)
        return found


def ended_towns(log: Path) -> list[EndedTown]:
    """The towns in a storm's log. A last line that was cut off, as by a power cut, is taken away from the file.

    Raises `ProfileError` when it is no log of a storm.
    """
    try:
        whole, end, cut = read_within(log, DOCUMENT_BYTES).rpartition(b"\n")
        if cut and not cut.startswith(LINE_BEGINS):
            raise msgspec.DecodeError("a line without an end")
        lines = [decode_json(line, EndedTown) for line in whole.splitlines()]
        if any(line.counts.keys() - set(Findings.__slots__) for line in lines):
            raise msgspec.DecodeError("it counts what is not known here")
        if cut:
            os.truncate(log, len(whole + end))
    except (OSError, msgspec.DecodeError) as error:
        raise ProfileError(f"{log} is no log of a storm: {error}", "Give another file.") from error
    return lines


def sum_of(logs: Sequence[Path]) -> StormResult:
    """All towns of these logs together, each once. Raises `ProfileError`."""
    towns = {line.town: line for log in logs for line in ended_towns(log)}
    result = StormResult(min((town.seed // SEED_STEP for town in towns), default=0), towns=len(towns))
    for line in towns.values():
        result.findings.add(line.findings())
    faults = {kind for line in towns.values() for kind in line.faults}
    result.findings.problems += _never_struck(faults, result.findings)
    return result


def _towns(
    plans: Sequence[tuple[TownSeed, int]],
    faults: frozenset[Kind],
    progress: Progress,
    jobs: int,
    *,
    digest: bool,
    log: TownLog,
) -> Iterator[tuple[TownSeed, int, Findings]]:
    left = []
    for town, planned in plans:
        found = log.ended(town, planned)
        if found is None:
            left.append((town, planned))
        else:
            progress(found.taps, found.faults_injected.total())
            yield town, planned, found
    played = _one_by_one if jobs <= 1 else partial(_side_by_side, jobs=jobs)
    for town, planned, found in played(left, faults, progress, digest=digest):
        log.write(town, planned, found)
        yield town, planned, found


def _one_by_one(
    plans: Sequence[tuple[TownSeed, int]], faults: frozenset[Kind], progress: Progress, *, digest: bool
) -> Iterator[tuple[TownSeed, int, Findings]]:
    for town, planned in plans:
        yield town, planned, play_town(town, town.plan(planned, faults), progress, digest=digest)


def _side_by_side(
    plans: Sequence[tuple[TownSeed, int]],
    faults: frozenset[Kind],
    progress: Progress,
    *,
    digest: bool,
    jobs: int,
) -> Iterator[tuple[TownSeed, int, Findings]]:
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=50)
    with _main_left_alone(), pool:
        running: dict[Future[Findings], tuple[TownSeed, int]] = {}
        waiting = iter(plans)
        while True:
            for town, planned in waiting:
                play_one = partial(_play_planned, town, planned, faults, digest=digest)
                running[pool.submit(play_one)] = town, planned
                if len(running) > jobs:
                    break
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                town, planned = running.pop(done)
                found = done.result()
                progress(found.taps, found.faults_injected.total())
                yield town, planned, found


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """New processes would run the installed command's script once more, which has no guard: so they find none."""
    main = vars(sys.modules["__main__"])
    script = main.pop("__file__", None)
    try:
        yield
    finally:
        if script is not None:
            main["__file__"] = script


def _play_planned(town: TownSeed, planned: int, faults: frozenset[Kind], *, digest: bool) -> Findings:
    return play_town(town, town.plan(planned, faults), digest=digest)


def shrink(town: TownSeed, steps: list[StressStep], found: Findings, limit_s: float = SHRINK_S) -> Violation:
    """Delta debugging: leave out ever smaller pieces while the town still ends badly, for at most `limit_s`."""
    until, best = time.monotonic() + limit_s, list(steps)
    pieces = 2
    while len(best) > 1 and time.monotonic() < until:
        size = -(-len(best) // pieces)
        for start in range(0, len(best), size):
            fewer = best[:start] + best[start + size :]
            if fewer and time.monotonic() < until:
                again = play_town(town, fewer)
                if not again.sound:
                    best, found, pieces = fewer, again, max(2, pieces - 1)
                    break
        else:
            if size == 1:
                break
            pieces = min(len(best), pieces * 2)
    return Violation(town, _why(found), len(steps), best)


def _why(found: Findings) -> list[str]:
    counts = f"lost {found.lost}, duplicated {found.duplicated}, money {found.money_mismatch_minor}"
    return [f"{counts}, unresolved {found.unresolved_open}", *found.problems[:10]]


def load_replay(path: Path) -> Violation:
    """A violation written by an earlier storm; raises `ProfileError`."""
    try:
        return decode_json(read_within(path, DOCUMENT_BYTES), Violation)
    except (OSError, msgspec.DecodeError) as error:
        raise ProfileError(
            f"{path} is no replay: {error}", "Give one entry of `violations` of a storm."
        ) from error
