"""A terminal's journal and a collector in one process, joined by a wire that can misbehave."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.journal import Journal
from terminal.sync.address import TlsFiles
from terminal.sync.client import SealedParts, SyncClient
from terminal.sync.exchange import Answer
from terminal.sync.wire import encode, parse_batch


class StepClock:
    """Every look at it is one millisecond later."""

    def __init__(self) -> None:
        self._now = datetime(2026, 2, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now

    def ahead(self, ms: int) -> None:
        self._now += timedelta(milliseconds=ms)

    def monotonic(self) -> float:
        return self._now.timestamp()


class Wire:
    """Carries batches to a collector in the same process. `alter` may change an answer or raise `CollectorError`."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.batches: list[bytes] = []
        self.answers: list[Answer] = []
        self.alter: Callable[[Answer], Answer] = lambda answer: answer
        self.strips = False
        """Whether it takes out what rows sealed."""

    def upload(self, batch: bytes) -> Answer:
        if self.strips:
            batch = encode(msgspec.structs.replace(parse_batch(batch), sealed=()))
        self.batches.append(batch)
        reply = self.intake.take(batch)
        self.answers.append(Answer(reply.status, reply.body))
        return self.alter(self.answers[-1])

    def abort(self) -> None:
        pass

    def use(self, tls: TlsFiles) -> None:
        pass

    def close(self) -> None:
        pass


def no_answer(_: Answer) -> Answer:
    raise CollectorError("the answer was lost", "Try again.")


class Collector:
    """A collector's folder without the process."""

    def __init__(self, folder: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.clock = StepClock()
        self.store = CollectorStore(folder / "collector.db")
        self.enrolment = Enrolment(folder / "terminals")
        self.intake = Intake(self.store, self.enrolment, self.key, self.clock)

    def stored(self, terminal: int) -> list[tuple[int, bytes]]:
        return [(sequence, body) for number, sequence, body in self.store.records() if number == terminal]

    def strangers(self) -> list[tuple[str, int, str, int]]:
        """Kind, terminal, detail, times of what strangers tried; the newest first."""
        self.store.keep_strangers(self.intake.strangers.take())
        return [(count.kind, *count[2:5]) for count in self.store.strangers()]

    def alarms(self) -> list[tuple[str, int, int]]:
        return [(alarm.kind, alarm.terminal, alarm.sequence) for alarm in self.store.alarms()]


class Station:
    """One enrolled terminal with its journal and sync client."""

    def __init__(
        self, folder: Path, collector: Collector, terminal: int = 7, batch_records: int = 200
    ) -> None:
        self.collector = collector
        self.key = Ed25519PrivateKey.generate()
        collector.enrolment.enrol(terminal, self.key.public_key())
        self.wire = Wire(collector.intake)
        self.journal = Journal.open(folder / f"{terminal}.db", terminal)
        self.heard: list[int] = []
        """The times that the collector signed, as far as they count."""
        self.client = self.new_client(batch_records)

    def new_client(self, batch_records: int = 200, sealed: SealedParts | None = None) -> SyncClient:
        return SyncClient(
            self.journal,
            self.wire,
            self.key,
            self.collector.key.public_key(),
            self.collector.clock,
            batch_records=batch_records,
            on_time=self.heard.append,
            sealed=sealed,
        )

    def rows(self) -> list[tuple[int, bytes]]:
        return [(row.sequence, row.body) for row in self.journal.rows(limit=100_000)]

    def append(self, records: list) -> None:
        for pending in [self.journal.begin(record) for record in records]:
            pending.wait()
