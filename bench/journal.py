"""The journal on a slow disk, sealed, full, and caught up while taps go on.

The slow disk is emulated under the real SQLite: a VFS (apsw) over files in memory in which every sync sleeps 20 ms, as
an SD card's does.
Catching up is measured against the collector as a process of its own, over HTTP on the loopback. BENCH_ROWS sets how
many rows are caught up; 480000 are the 240 000 taps a journal must hold.
"""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.cards import SteppedClock, bus, resident
from bench.result import Result, at_least, at_most, median_us
from terminal.app.collector import collector_process, enrol, trust
from terminal.app.station import IDENTITY_FILE
from terminal.app.uplink import COLLECTOR_KEY_FILE
from terminal.clock import SystemClock, unix_ms
from terminal.journal.chain import link
from terminal.journal.checkpoint import Notary
from terminal.journal.database import transaction
from terminal.journal.journal import Journal
from terminal.journal.numbers import NEVER_RESERVED, Numbers, boot_id
from terminal.journal.records import AnyRecord, Committed, Intent, build_record
from terminal.journal.room import CAPACITY_ROWS, ROW_BYTES
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import Row, insert_row, read_state, row_columns, write_state
from terminal.lab.stress.faults.disk import Disk, stormy_disks
from terminal.lab.stress.run import storm_folder
from terminal.sync.background import BackgroundSync, Backoff
from terminal.sync.client import SyncClient, SyncReport
from terminal.sync.credentials import load_or_make_keys
from terminal.sync.identity import read_public_key
from terminal.sync.link import HttpLink
from terminal.sync.wire import MAX_BATCH_RECORDS
from terminal.tap import take_tap

FLUSH_S: Final = 0.020
APPENDS: Final = 400
NUMBER: Final = 70_009
ROWS: Final = int(os.environ.get("BENCH_ROWS", "60000"))
COUNTED_ROWS: Final = 6_000
KEY: Final = JournalKey(bytes(range(32)))


class SlowDisk(Disk):
    """Every sync takes as long as on a card that is slow to flush."""

    syncs = 0

    def synced(self, name: str) -> None:
        time.sleep(FLUSH_S)
        self.syncs += 1
        super().synced(name)


def slow_flush() -> Iterator[Result]:
    """Appends one after the other on the slow disk, among them every two hundredth in a quiet moment's work."""
    with tempfile.TemporaryDirectory(dir=storm_folder()) as place:
        folder = Path(place)
        disk = SlowDisk(folder, random.Random(1))
        with stormy_disks([disk]):
            journal = Journal.open(folder / "journal.db", NUMBER, key=KEY)
            intent, committed = _tap()
            flushes, syncs = [], []
            for number in range(APPENDS):
                if number % 200 == 199:
                    time.sleep(1.0)  # the moment at which the log is folded
                start, before = time.perf_counter(), disk.syncs
                journal.append(committed if number % 2 else intent)
                syncs.append(disk.syncs - before)
                flushes.append((time.perf_counter() - start) / FLUSH_S)
            journal.close()
    flushes.sort()
    p50, p99 = flushes[len(flushes) // 2], flushes[-len(flushes) // 100 - 1]
    note = f"median {p50:.2f}, worst {flushes[-1]:.2f}; a sync sleeps {FLUSH_S * 1000:.0f} ms"
    yield at_most("append with a flush of 20 ms, p99", p99, "flushes", 2, note)
    syncs.sort()
    note = f"counted: median {syncs[len(syncs) // 2]}, worst {syncs[-1]}"
    yield at_most("syncs an append waits for, p99", syncs[-len(syncs) // 100 - 1], "syncs", 2, note)


def sealing() -> Iterator[Result]:
    """What sealing adds to a record; it runs in the writer thread, before the flush."""
    body = build_record(_tap()[0])
    row = Row(1, body, bytes(32))
    sealed, plain = Contents(NUMBER, KEY), Contents(NUMBER, None)
    cost_us = median_us(lambda: row_columns(sealed, row)) - median_us(lambda: row_columns(plain, row))
    yield at_most("CPU of sealing one record", cost_us, "us", 20, f"AES-256-GCM over {len(body)} bytes")
    columns = row_columns(sealed, row)
    open_us = median_us(lambda: sealed.open(1, 1, columns[1]))  # type: ignore[arg-type]
    yield at_most("CPU of opening one record", open_us, "us", 20)


def capacity() -> Iterator[Result]:
    """A journal filled with real taps as far as ROWS say: bytes of a tap, and how long it takes to open."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "journal.db"
        fill(path, ROWS)
        per_tap = path.stat().st_size / (ROWS / 2)
        yield at_most(
            "bytes of a tap in the journal", per_tap, "bytes", 2 * ROW_BYTES, f"{ROWS} rows, sealed"
        )
        full_mb = CAPACITY_ROWS * per_tap / 2 / (1 << 20)
        stated_mb = CAPACITY_ROWS * ROW_BYTES / (1 << 20)
        yield at_most(
            f"disk of a full journal ({CAPACITY_ROWS} rows)", full_mb, "MB", stated_mb, "extrapolated"
        )
        start = time.process_time()
        Journal.open(path, NUMBER, key=KEY).close()
        yield at_most("CPU of opening a filled journal", time.process_time() - start, "s", 0.5)


def catching_up() -> Iterator[Result]:
    """One terminal's backlog into a real collector while taps go on; and the same taps with nothing to catch up."""
    with tempfile.TemporaryDirectory() as place:
        folder, collector = Path(place) / "terminal", Path(place) / "collector"
        folder.mkdir()
        path = folder / "journal.db"
        fill(path, ROWS)
        enrol(folder, NUMBER, collector)
        with collector_process(collector) as url:
            trust(folder, collector)
            journal = Journal.open(path, NUMBER, key=KEY)
            quiet_ms = _taps(journal, lambda waited: waited >= 300)
            reports: list[SyncReport] = []
            link = HttpLink(url)
            client = _client(journal, folder, link)
            backlog = journal.head.sequence
            used = resource.getrusage(resource.RUSAGE_SELF)
            start = time.perf_counter()
            sync = BackgroundSync(client, SystemClock(), Backoff(random.Random(1)), on_report=reports.append)
            sync.start()
            busy_ms = _taps(journal, lambda _: journal.acknowledged_through >= backlog or _failed(reports))
            took_s = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_SELF)
            sync.stop()
            link.close()
            journal.close()
    cpu_us = (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime) * 1e6 / backlog
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs_us = (children.ru_utime + children.ru_stime) * 1e6 / backlog
    note = (
        f"{backlog} rows in {took_s:.1f} s beside {len(busy_ms)} taps; CPU a row: terminal {cpu_us:.0f} us, "
        f"collector {theirs_us:.0f} us with its start"
    )
    yield at_least("catching up, one terminal", backlog / took_s, "records/s", 5_000, note)
    for name, of in (("p99", _p99), ("worst", max)):
        note = f"{of(busy_ms):.1f} ms while catching up, {of(quiet_ms):.1f} ms without"
        yield at_most(
            f"append while catching up, {name}", of(busy_ms) / of(quiet_ms), "times as long", 3, note
        )


def flushes_beside_an_upload() -> Iterator[Result]:
    """How many flushes of the journal an append waits for while a backlog is sent: counted, whatever else runs."""
    with tempfile.TemporaryDirectory(dir=storm_folder()) as place:
        folder, collector = Path(place) / "terminal", Path(place) / "collector"
        folder.mkdir()
        fill(folder / "journal.db", COUNTED_ROWS)
        enrol(folder, NUMBER, collector)
        disk = SlowDisk(folder, random.Random(1))
        with stormy_disks([disk]), collector_process(collector) as url:
            trust(folder, collector)
            journal = Journal.open(folder / "journal.db", NUMBER, key=KEY)
            link = HttpLink(url)
            backlog, reports = journal.head.sequence, list[SyncReport]()
            client = _client(journal, folder, link, batch_records=20)
            sync = BackgroundSync(client, SystemClock(), Backoff(random.Random(1)), on_report=reports.append)
            sync.start()
            waited: list[int] = []
            while journal.acknowledged_through < backlog and not _failed(reports):
                before = disk.syncs
                journal.append(_tap()[0])
                waited.append(disk.syncs - before)
            sync.stop()
            link.close()
            journal.close()
    waited.sort()
    median, worst = waited[len(waited) // 2], waited[-1]
    note = f"{len(waited)} appends beside {backlog // 20} batches: median {median}, worst {worst}"
    p99 = waited[-len(waited) // 100 - 1]
    yield at_most("flushes an append waits for while catching up, p99", p99, "flushes", 3, note)


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else values[0]


def _client(
    journal: Journal, folder: Path, link: HttpLink, batch_records: int = MAX_BATCH_RECORDS
) -> SyncClient:
    key = load_or_make_keys(folder / IDENTITY_FILE)
    journal.notary = Notary(key, SystemClock(), "bench:1")
    theirs = read_public_key(folder / COLLECTOR_KEY_FILE)
    return SyncClient(journal, link, key, theirs, SystemClock(), batch_records=batch_records)


def _failed(reports: list[SyncReport]) -> bool:
    for report in reports:
        if report.problem is not None:
            raise report.problem
    return False


def _taps(journal: Journal, done: Callable[[int], bool]) -> list[float]:
    """One append every 10 ms until `done`; the milliseconds each waited for its flush."""
    intent, _ = _tap()
    waited: list[float] = []
    while not done(len(waited)):
        start = time.perf_counter()
        journal.append(intent)
        waited.append((time.perf_counter() - start) * 1000)
        time.sleep(0.01)
    return waited


def fill(path: Path, rows: int) -> None:
    """A sealed journal with that many rows of taps, put into the file at once."""
    journal = Journal.open(path, NUMBER, key=KEY)
    head = journal.head
    journal.close()
    contents = Contents(NUMBER, KEY)
    connection = sqlite3.connect(path, isolation_level=None)
    with transaction(connection):
        for record in _many(rows):
            body = build_record(record)
            row = Row(head.sequence + 1, body, link(head.hash, body))
            insert_row(connection, contents, row)
            head = head._replace(sequence=row.sequence, hash=row.hash)
        state = read_state(connection, contents)
        write_state(connection, contents, state._replace(noted=head))
    connection.close()
    numbers = Numbers(path, contents, NEVER_RESERVED, head, boot_id())
    numbers.begin()
    numbers.close()


def _many(rows: int) -> Iterator[AnyRecord]:
    """Taps of as many cards, all proven, now."""
    intent, committed = _tap()
    now_ms = unix_ms(SystemClock().now())
    for sequence in range(1, rows, 2):
        card = random.Random(sequence).randbytes(8)
        yield msgspec.structs.replace(intent, at_ms=now_ms, card_ref=card)
        yield msgspec.structs.replace(committed, at_ms=now_ms, intent=sequence, tmc=sequence)


def _tap() -> tuple[Intent, Committed]:
    """What a real tap on a real terminal left in its journal."""
    if not _CACHE:
        with tempfile.TemporaryDirectory() as folder:
            terminal = bus(Path(folder), SteppedClock())
            card = resident("adult_purse")
            card.power_on()
            take_tap(card, terminal)
            _CACHE.extend(row.record for row in terminal.journal.rows(terminal.journal.head.sequence - 2))
            terminal.journal.close()
    intent, committed = _CACHE
    assert isinstance(intent, Intent)
    assert isinstance(committed, Committed)
    return intent, committed


_CACHE: list[AnyRecord] = []
