"""The follower: how many records a second it decides again, and what of it is the decision.

The rows are those of the generated days (`bench.impact`): every tap decided by `decide`, its rows built as a terminal
builds them, and stored as a collector stores them. A record is a row: half of them are ends of taps, which are gone
through and not decided. BENCH_RECOMPUTE_TAPS sets how many taps there are.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.impact import FIRST, TAPS_OF_A_CARD, resident_of, tap_of_day
from bench.result import Result, at_least
from terminal.clock import unix_ms
from terminal.codes import SetKind
from terminal.collector.office import DATABASE_FILE
from terminal.collector.store import CollectorStore, connect
from terminal.journal.chain import Head, genesis, link
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import AnyRecord, build_record
from terminal.policy.load import DEMO_REGION, load_region
from terminal.policy.policy import Policy
from terminal.recompute import DOCUMENTS_FOLDER
from terminal.recompute.documents import DocumentFolder

TAPS: Final = int(os.environ.get("BENCH_RECOMPUTE_TAPS", "20000"))
TERMINALS: Final = 40
GOAL_PER_S: Final = 15_000
DAY_S: Final = 16 * 3600


@dataclass(slots=True)
class StoredBus:
    """A terminal whose rows go into a collector's database as they are written."""

    number: int
    head: Head
    rows: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, number: int) -> StoredBus:
        bus = cls(number, genesis(number))
        digest = sha256(DEMO_REGION.read_bytes()).digest()
        at_ms = unix_ms(FIRST)
        bus.append(SetActivated(at_ms, SetKind.REGION.value, "demo", 1, digest, at_ms))
        return bus

    def append(self, record: AnyRecord) -> None:
        body = build_record(record)
        self.head = Head(self.head.sequence + 1, link(self.head.hash, body))
        self.rows.append((self.number, self.head.sequence, body, self.head.hash))


def make_collector(folder: Path, taps: int, terminals: int = TERMINALS, seed: int = 14) -> list[StoredBus]:
    """A collector's folder that holds a day of so many taps, and the document that decided them."""
    rng, policy = random.Random(seed), Policy.of(load_region(DEMO_REGION))
    buses = [StoredBus.of(70_001 + index) for index in range(terminals)]
    residents = [resident_of(rng, policy) for _ in range(max(1, taps // TAPS_OF_A_CARD))]
    for number in range(taps):
        at = FIRST + timedelta(seconds=int(number * DAY_S / taps))
        tap_of_day(rng.choice(residents), rng.choice(buses), policy, at)
    folder.mkdir(parents=True, exist_ok=True)
    CollectorStore(folder / DATABASE_FILE).close()
    store_rows(folder, buses)
    DocumentFolder(folder / DOCUMENTS_FOLDER).add(DEMO_REGION)
    return buses


def store_rows(folder: Path, buses: list[StoredBus]) -> None:
    """Into the database as one batch of each terminal."""
    with closing(connect(folder / DATABASE_FILE)) as connection:
        connection.execute("BEGIN")
        for bus in buses:
            connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", bus.rows)
            last, at_ms = bus.head, unix_ms(FIRST)
            values = (bus.number, *last, last.sequence, at_ms, at_ms, last.sequence)
            connection.execute("INSERT OR REPLACE INTO terminal VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            receipt = (bus.number, bus.rows[0][1], last.sequence, at_ms, at_ms, b"")
            connection.execute("INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?)", receipt)
            bus.rows.clear()
        connection.execute("COMMIT")


def following() -> Iterator[Result]:
    """`terminal collector recompute --once` over the generated day, as a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "collector"
        buses = make_collector(folder, TAPS)
        rows = sum(bus.head.sequence for bus in buses)
        command = [sys.executable, "-m", "terminal.cli.app", "collector", "recompute", "--once"]
        before, start = _children_s(), time.perf_counter()
        subprocess.run([*command, "--folder", str(folder), "--json"], check=True, capture_output=True)
        wall_s, cpu_s = time.perf_counter() - start, _children_s() - before
    note = f"{rows} rows of {TAPS} taps; {cpu_s:.1f} s CPU, {wall_s:.1f} s, load {os.getloadavg()[0]:.1f}"
    yield at_least("records recomputed", rows / cpu_s, "records/s CPU", GOAL_PER_S, note)


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    for result in following():
        result.print()
