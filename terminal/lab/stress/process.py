"""Rounds of a storm with real processes: a terminal killed with -9 at any moment, a collector killed while it commits.

Slow, a second or so each, because Python starts anew every time; the volume is played in one process. Disks are the
machine's own, flushes are real, power stays on.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sim.card.virtual import VirtualCard
from terminal.app.collector import enrol, start_collector, trust
from terminal.app.simulated import issue_residents
from terminal.app.station import open_journal
from terminal.app.uplink import Uplink, sync_client
from terminal.clock import SystemClock
from terminal.codes import Admission
from terminal.collector.office import DATABASE_FILE
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore
from terminal.decoding import decode_json
from terminal.journal.journal import Journal
from terminal.journal.records import Intent, parse_record
from terminal.lab.stress.checkers.check import Findings
from terminal.lab.stress.riders import StressRider
from terminal.lab.town import DAY
from terminal.lab.world import purse_minor
from terminal.policy.load import load_region
from terminal.sync.client import SyncReport

if TYPE_CHECKING:
    from terminal.lab.stress.run import StormResult

NUMBER: Final = 72_001
TAPS_A_ROUND: Final = 12
BATCH_RECORDS: Final = 7
GAP_S: Final = 400
"""Between rides, longer than any window in which trying again is the same ride."""


class Terminal9:
    """A terminal process and the pipe to it."""

    def __init__(self, state: Path) -> None:
        command = [sys.executable, "-m", "terminal.lab.stress.child", str(state), str(NUMBER)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 our own program
        assert self.hear() is not None, "a terminal opens what a killed one left"

    def say(self, value: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(value) + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return decode_json(line, dict[str, Any]) if line else None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class Rounds:
    """One terminal's journal and a few cards through many killed processes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 a seeded storm blows the same way again
        self.state, self.collector = folder / "terminal", folder / "collector"
        document = load_region("demo")
        self.currency = document.header.currency
        cards = issue_residents(
            ["adult_purse", "month_pass", "adult_purse"], document.header.region, DAY, rng=self.rng.randbytes
        )
        self.riders = [
            StressRider(card, purse_minor(card)) for card in cards if isinstance(card, VirtualCard)
        ]
        self.day_s = 0.0
        self.found = Findings()
        self.let_in: set[tuple[int, int]] = set()
        self.written, self.heard = 0, False

    def terminal_round(self) -> None:
        """A few rides; at one of them the process is killed, between two exchanges or inside a flush."""
        terminal, killed_at = Terminal9(self.state), self.rng.randrange(TAPS_A_ROUND)
        for tap in range(killed_at + 1):
            rider = self.rng.choice(self.riders)
            self.day_s += GAP_S
            self._tap(terminal, rider, self.rng.randint(1, 10) if tap == killed_at else None)
        written_before_the_kill = 0 if self.heard else self.written
        again = Terminal9(self.state)
        self.day_s += 8
        self._tap(again, rider, None)
        again.kill()
        if written_before_the_kill + self.written > 1:
            self.found.duplicated += 1
            self.found.problems.append("charged twice over a kill before it was let in")

    def _tap(self, terminal: Terminal9, rider: StressRider, kill_at: int | None) -> None:
        self.found.taps += 1
        self.heard = False
        rider.card.power_on()
        terminal.say({"tap": True, "day_s": self.day_s})
        exchange = 0
        while (said := terminal.hear()) is not None and "apdu" in said:
            command = bytes.fromhex(said["apdu"])
            exchange += command[:1] != b"\xff"
            answer = rider.card.transmit(command)
            if exchange == kill_at and self.rng.random() < 0.5:
                break
            terminal.say({"answer": answer.hex()})
            if exchange == kill_at:
                time.sleep(self.rng.random() * 0.004)
                break
        else:
            self._done(said)
        if kill_at is not None:
            terminal.kill()
            self.found.faults_injected["kill_9_terminal"] += 1
        rider.card.power_off()
        self.written = rider.look()

    def _done(self, said: dict[str, Any] | None) -> None:
        assert said is not None, "only this process ends the child"
        done = said["done"]
        self.heard = done["admission"] == Admission.LET_IN
        self.found.granted += self.heard
        if done["end"] in ("committed", "recovered"):
            self.let_in.add((NUMBER, done["sequence"]))

    def collector_rounds(self, times: int) -> None:
        """Send the journal to a collector that is killed again and again while it takes it."""
        enrol(self.state, NUMBER, self.collector)
        with open_journal(self.state, NUMBER) as journal:
            for number in range(times + 1):
                self.found.faults_injected["kill_9_collector"] += number < times
                report = self._collector_round(journal, killed=number < times)
            self.found.lost += report.unsent

    def _collector_round(self, journal: Journal, *, killed: bool) -> SyncReport:
        """Upload as in service, though in shorter batches, to a collector that is `killed` at any moment or lives."""
        process, url = start_collector(self.collector)
        trust(self.state, self.collector)
        kill = threading.Timer(self.rng.random() * 0.05, process.kill)
        if killed:
            kill.start()
        with sync_client(
            journal, Uplink(self.state, url), SystemClock(), batch_records=BATCH_RECORDS
        ) as client:
            report = client.sync_once()
        kill.cancel()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        return report

    def check(self) -> Findings:
        store = CollectorStore(self.collector / DATABASE_FILE)
        held = {(row.terminal, row.sequence): parse_record(row.body) for row in store.records()}
        books = reconcile(store.records(), CardRegistry())
        store.close()
        found, on_cards = self.found, {tap for rider in self.riders for tap in rider.events}
        found.records, found.rides = len(held), len(on_cards)
        found.lost += sum(not isinstance(held.get(tap), Intent) for tap in on_cards)
        found.lost += len(self.let_in - on_cards)
        spent_minor = sum(rider.start_minor - purse_minor(rider.card) for rider in self.riders)
        found.charged_minor = books.total.charged_in(self.currency)
        found.money_mismatch_minor = abs(spent_minor - found.charged_minor)
        found.unresolved_settled = books.total.unresolved_settled
        found.unresolved_open = books.total.unresolved_open
        found.problems += [f"alarm {alarm.kind} at row {alarm.sequence}" for alarm in books.findings]
        return found


def play_processes(rounds: int, seed: int) -> Findings:
    """`rounds` killed terminals and about as many killed collectors, then the audit."""
    with tempfile.TemporaryDirectory(prefix="resident-card-storm-") as folder:
        play = Rounds(Path(folder), seed)
        for _ in range(rounds):
            play.terminal_round()
        play.collector_rounds(max(1, rounds // 2))
        return play.check()


def add_processes(result: StormResult, rounds: int, seed: int) -> None:
    """Add what real processes went through to the storm's totals."""
    result.findings.add(play_processes(rounds, seed))
