"""Plays the demo's morning and adds everything up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.faults import FaultPlan, tear_after, tear_before
from terminal.app.collector import collector_process, enrol, report, trust
from terminal.app.output import report_as_json
from terminal.app.station import journal_key
from terminal.app.uplink import Uplink, sync_client
from terminal.codes import Admission
from terminal.collector.proof import DISBELIEVED, Proof
from terminal.journal.verify import verify
from terminal.lab.demo.script import MORNING, STOPS, DemoStep
from terminal.lab.town import DAY, Town, TownTap, open_town
from terminal.sync.client import SyncReport
from terminal.trip.shifts import close_shift

Progress = Callable[[str, int, int], None]


def proofs_of(total: dict[str, Any]) -> tuple[int, int]:
    """How many committed taps the cards prove, and how many rows they contradict, in the collector's report."""
    taps = Counter(
        {proof: sum(one["taps"] for one in sums.values()) for proof, sums in total["proofs"].items()}
    )
    return taps[Proof.PROVEN], sum(taps[proof] for proof in (*DISBELIEVED, Proof.DIFFERING))


@dataclass(frozen=True, slots=True)
class PlayedStep:
    """One step of the script and what came of it."""

    step: DemoStep
    tap: TownTap


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Everything the demo found out, money in minor units of `currency`; `spent_minor` is what purses really lost."""

    played: tuple[PlayedStep, ...]
    journal_records: int
    journals_sound: bool
    flushes: int
    synced: int
    collector: dict[str, Any]
    purses_before_minor: int
    purses_after_minor: int
    currency: str

    @property
    def admissions(self) -> Counter[Admission]:
        """How many taps were let in, were inside already, or were refused."""
        return Counter(played.tap.report.outcome.admission for played in self.played)

    @property
    def spent_minor(self) -> int:
        return self.purses_before_minor - self.purses_after_minor

    @property
    def charged_minor(self) -> int:
        """What the collector's records say was charged."""
        return int(self.collector["total"]["charged_minor"].get(self.currency, 0))

    @property
    def balanced(self) -> bool:
        """Money on the cards and money in the records agree to the minor unit, and no record or tap is missing."""
        total = self.collector["total"]
        return (
            self.spent_minor == self.charged_minor
            and self.journal_records == self.synced == total["records"]
            and total["unresolved_open"] == 0
            and proofs_of(total)[1] == 0
            and self.journals_sound
        )

    def as_json(self, language: str) -> dict[str, Any]:
        taps = [
            {
                "resident": played.step.resident,
                "terminal": played.step.stop.number,
                "place": played.step.stop.place,
                "note": played.step.note,
                "air_ms": round(played.tap.air_ms, 3),
                **report_as_json(played.tap.report, language),
            }
            for played in self.played
        ]
        return {
            "taps": len(self.played),
            **{admission.value: self.admissions[admission] for admission in Admission},
            "journal_records": self.journal_records,
            "synced": self.synced,
            "collector_records": self.collector["total"]["records"],
            "balanced": self.balanced,
            "currency": self.currency,
            "spent_minor": self.spent_minor,
            "charged_minor": self.charged_minor,
            "collector": self.collector,
            "tap_list": taps,
        }


def play(folder: Path, seed: int, progress: Progress) -> DemoResult:
    """Play the morning in `folder`; `progress(what, done, total)` is called as it goes."""
    with open_town(folder, STOPS, (step.resident for step in MORNING), DAY, seed) as town:
        before_minor = town.purses_minor()
        played = []
        for number, step in enumerate(MORNING):
            progress("tapping", number, len(MORNING))
            town.at(DAY, step.time)
            played.append(PlayedStep(step, town.tap(step.stop.number, step.resident, _faults(step))))
        for terminal in town.terminals.values():
            close_shift(terminal.journal, town.clock.now())
        found, synced = _collect(town, progress)
        journals = [terminal.journal for terminal in town.terminals.values()]
        return DemoResult(
            played=tuple(played),
            journal_records=sum(journal.head.sequence for journal in journals),
            journals_sound=all(verify(journal.path, journal_key(journal.path)).ok for journal in journals),
            flushes=sum(journal.flushes for journal in journals),
            synced=sum(sync.uploaded for sync in synced),
            collector=found,
            purses_before_minor=before_minor,
            purses_after_minor=town.purses_minor(),
            currency=town.world.policy.currency,
        )


def _faults(step: DemoStep) -> FaultPlan | None:
    if step.tear is None:
        return None
    when, exchange = step.tear
    return tear_before(exchange) if when == "before" else tear_after(exchange)


def _collect(town: Town, progress: Progress) -> tuple[dict[str, Any], list[SyncReport]]:
    """Start a collector, send every journal, and let it reconcile with the issuing point's card registry."""
    folder = town.folder / "collector"
    for number in town.terminals:
        enrol(town.folder / str(number), number, folder)
    registry = town.world.write_registry(list(town.cards.values()))
    with collector_process(folder, registry) as url:
        reports = []
        for done, (number, terminal) in enumerate(town.terminals.items()):
            progress("sending", done, len(town.terminals))
            state = town.folder / str(number)
            trust(state, folder)
            with sync_client(terminal.journal, Uplink(state, url), town.clock) as client:
                reports.append(client.sync_once())
            if reports[-1].problem is not None:
                raise reports[-1].problem
        return report(url), reports
