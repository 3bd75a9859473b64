"""One terminal through several machines, and the collector that must not be fooled by any of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake
from terminal.collector.store import CollectorStore
from terminal.journal.journal import Journal
from terminal.journal.key_file import load_key, load_or_create_key
from terminal.journal.records import AnyRecord, Intent, parse_record
from terminal.keys.sealing import StorageKeys
from terminal.operations.archive import BackupHeader
from terminal.operations.backup import Source, back_up
from terminal.operations.restore import NewHardware, Restoration, restore
from terminal.sync.client import SyncClient, SyncReport
from tests.terminal.journal.samples import committed, intent
from tests.terminal.sync.station import Wire

NUMBER = 7
KEYS = {"journal": bytes(range(32)), "backup": bytes(range(1, 33)), "roster": bytes(range(2, 34))}


class SteadyClock:
    """A clock that is right, and moved by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 9, 15, 3, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Back:
    """The collector, and everything machines share."""

    def __init__(self, folder: Path) -> None:
        self.clock = SteadyClock()
        self.key = Ed25519PrivateKey.generate()
        self.store = CollectorStore(folder / "collector.db")
        self.enrolment = Enrolment(folder / "terminals")
        self.intake = Intake(self.store, self.enrolment, self.key, self.clock)
        self.sealer = StorageKeys(KEYS)

    def strangers(self) -> list[tuple[str, int, str, int]]:
        """Kind, terminal, detail, times of what strangers tried; the newest first."""
        self.store.keep_strangers(self.intake.strangers.take())
        return [(count.kind, *count[2:5]) for count in self.store.strangers()]

    def alarms(self) -> list[tuple[str, int]]:
        return [(alarm.kind, alarm.sequence) for alarm in self.store.alarms()]

    def detail(self, kind: str) -> str:
        return next(alarm.detail for alarm in self.store.alarms() if alarm.kind == kind)

    def held(self) -> dict[int, AnyRecord]:
        return {row.sequence: parse_record(row.body) for row in self.store.records()}


class Machine:
    """One piece of hardware with a folder of its own."""

    def __init__(self, folder: Path, back: Back, identity: Ed25519PrivateKey | None = None) -> None:
        self.folder, self.back, self.clock = folder, back, back.clock
        self.identity = identity or Ed25519PrivateKey.generate()
        self.wire = Wire(back.intake)
        self.path = folder / "journal.db"
        self.journal: Journal | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def enrol(self) -> None:
        self.back.enrolment.enrol(NUMBER, self.identity.public_key())

    def start(self) -> Journal:
        self.journal = Journal.open(self.path, NUMBER, key=load_or_create_key(self.path, self.back.sealer))
        return self.journal

    def stop(self) -> None:
        if self.journal is not None:
            self.journal.close()

    def take(self, taps: int) -> list[int]:
        """So many paid rides; the sequence numbers the cards hold afterwards."""
        assert self.journal is not None
        numbers = []
        for _ in range(taps):
            numbers.append(self.journal.append(intent()))
            self.journal.append(committed(numbers[-1]))
        return numbers

    def take_torn(self) -> int:
        """A ride whose end nobody heard."""
        assert self.journal is not None
        return self.journal.append(msgspec.structs.replace(intent(), card_ref=b"torncard"))

    def sync(self) -> SyncReport:
        assert self.journal is not None
        key = self.back.key.public_key()
        return SyncClient(self.journal, self.wire, self.identity, key, self.back.clock).sync_once()

    def back_up(self, target: Path) -> BackupHeader:
        key = load_key(self.path, self.back.sealer)
        source = Source(self.folder, self.path, "bus", "a program 1", key, self.back.sealer)
        return back_up(source, target, self.back.clock.now())

    def restore(self, backup: Path) -> Restoration:
        hardware = NewHardware(
            self.folder, self.path, NUMBER, "a_program", "2", self.back.sealer, self.identity, self.clock
        )
        return restore(backup, hardware, self.wire, lambda _unpacked: self.back.key.public_key())

    def rows(self) -> dict[int, AnyRecord]:
        assert self.journal is not None
        return {row.sequence: row.record for row in self.journal.rows(limit=100_000)}

    def rides(self) -> set[int]:
        return {sequence for sequence, record in self.rows().items() if isinstance(record, Intent)}
