"""The collectors as processes under load: what one batch costs each of them, and how many bytes a tap leaves where.

CPU seconds of every process are read, not only wall time: the machine is small and shared, and the load generator
runs on it too. docs/sizing.md sizes fleets from these figures.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.cards import SteppedClock, bus, resident
from bench.result import Result, at_least, at_most
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.server import prepare_stream
from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings
from terminal.collector.fleet.stream import FleetStream, StreamLine
from terminal.errors import CollectorError
from terminal.journal.chain import Head, genesis, link
from terminal.journal.records import Intent, Unwritten, parse_record
from terminal.sync.wire import BATCHES_PATH, build_batch, encode
from terminal.tap import take_tap
from tests.terminal.fleet.servers import (
    NatsServer,
    Postgres,
    free_ports,
    nats_cluster,
    postgres_program,
    until,
)

TERMINALS: Final = 16
LOADS: Final = ((2, 3_200), (20, 1_600), (200, 480))
"""Records of a batch, batches in all: one tap at once, a busy minute, catching up."""
TICKS: Final = os.sysconf("SC_CLK_TCK")
RIDES: Final = 600
ENTERING: Final = 5_000
KINDS: Final = ("adult_purse", "month_pass", "social_pack_45")


@dataclass(frozen=True)
class Taps:
    """Rows of a real terminal's journal, and how many taps they are."""

    bodies: tuple[bytes, ...]
    taps: int
    journal_bytes: int


def real_taps() -> Taps:
    """A morning of passes and purses at one bus door, as its journal has it."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SteppedClock()
        terminal = bus(Path(folder), clock)
        for ride in range(RIDES):
            clock.next_ride()
            if ride % 10 == 0:
                card = resident(KINDS[ride // 10 % len(KINDS)])
            card.power_on()
            take_tap(card, terminal)
        terminal.journal.checkpoint()
        bodies = tuple(row.body for row in terminal.journal.rows(0, 10 * RIDES))
        terminal.journal.close()
        taps = sum(isinstance(parse_record(body), Intent | Unwritten) for body in bodies)
        return Taps(bodies, taps, folder_bytes(Path(folder)))


def folder_bytes(folder: Path) -> int:
    """Bytes of disk below a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


class Cpu:
    """CPU seconds of processes and their children, since it was made."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._before = self._total()

    def seconds(self) -> float:
        return self._total() - self._before

    def _total(self) -> float:
        return sum(map(_cpu_s, self._roots))


def _cpu_s(process: int) -> float:
    """Of the process, its ended children, and those that run."""
    stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return sum(map(int, stat[11:15])) / TICKS + sum(map(_cpu_s, map(int, children)))


def memory_mb(process: int) -> float:
    """Resident memory."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


class Load:
    """Terminals that upload their rows as fast as they are acknowledged, each over one connection."""

    def __init__(self, bodies: tuple[bytes, ...], first_number: int, enrolment: Enrolment) -> None:
        self._bodies = bodies
        self._signer = Ed25519PrivateKey.generate()
        self._heads = [genesis(first_number + n) for n in range(TERMINALS)]
        for n in range(TERMINALS):
            enrolment.enrol(first_number + n, self._signer.public_key())
        self._first_number = first_number
        self.wire_bytes = 0

    def batches(self, records: int, count: int) -> list[list[bytes]]:
        """`count` batches of `records` rows, signed, by terminal."""
        return [[self._next(n, records) for _ in range(count // TERMINALS)] for n in range(TERMINALS)]

    def _next(self, terminal: int, records: int) -> bytes:
        previous = head = self._heads[terminal]
        start = previous.sequence % len(self._bodies)
        bodies = tuple(self._bodies[(start + n) % len(self._bodies)] for n in range(records))
        for body in bodies:
            head = Head(head.sequence + 1, link(head.hash, body))
        self._heads[terminal] = head
        number = self._first_number + terminal
        return encode(build_batch(number, previous, bodies, head, head.sequence, self._signer))

    def send(self, url: str, batches: list[list[bytes]]) -> float:
        """Upload; seconds until the last acknowledgement."""
        host, port = url.removeprefix("http://").split(":")
        start = time.perf_counter()
        asyncio.run(self._send(host, int(port), batches))
        return time.perf_counter() - start

    async def _send(self, host: str, port: int, batches: list[list[bytes]]) -> None:
        await asyncio.gather(*(self._upload(host, port, mine) for mine in batches))

    async def _upload(self, host: str, port: int, batches: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for batch in batches:
            head = f"POST {BATCHES_PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(batch)}\r\n\r\n"
            writer.write(head.encode() + batch)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length:")[2].split()[0])
            body = await reader.readexactly(length)
            assert b" 200 " in answer[:20], (answer, body)
            self.wire_bytes += len(head) + len(batch) + len(answer) + length
        writer.close()
        await writer.wait_closed()


def sizes() -> Iterator[Result]:
    """What a tap leaves in the terminal."""
    taps = real_taps()
    yield at_most("records of a tap", len(taps.bodies) / taps.taps, "records", 2.2)
    body_bytes = sum(map(len, taps.bodies)) / taps.taps
    yield at_most("record bytes of a tap", body_bytes, "bytes", 1_024)
    yield at_most("journal file bytes of a tap", taps.journal_bytes / taps.taps, "bytes", 2_048)


def embedded() -> Iterator[Result]:
    """The embedded collector: HTTP, signatures, SQLite, its books, one process."""
    taps = real_taps()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        with program("collector", "--folder", str(folder), "--port", "0") as (process, said):
            load = Load(taps.bodies, 1_000, Enrolment(folder / "terminals"))
            load.send(str(said["url"]), load.batches(20, 480))  # its files get their first size
            time.sleep(1)
            for records, count in LOADS:
                batches = load.batches(records, count)
                load.wire_bytes, cpu, before = 0, Cpu(process.pid), folder_bytes(folder)
                wall_s = load.send(str(said["url"]), batches)
                time.sleep(2)  # its books follow
                yield from costs("embedded", records, count, wall_s, cpu.seconds(), load.wire_bytes)
                disk = (folder_bytes(folder) - before) / (records * count)
                yield at_most(f"embedded: batches of {records}, disk", disk, "bytes a record", 2_048)
            yield at_most("embedded: memory", memory_mb(process.pid), "MB", 300)


def costs(
    name: str, records: int, count: int, wall_s: float, cpu_s: float, wire_bytes: int
) -> Iterator[Result]:
    """What a load took."""
    label = f"{name}: batches of {records}"
    rate = records * count / wall_s
    goal = {2: 500, 20: 5_000, 200: 20_000}[records]
    yield at_least(f"{label}, records", rate, "per s", goal, f"{count / wall_s:.0f} batches per s")
    yield at_most(
        f"{label}, CPU of the receiving process", cpu_s / count * 1e3, "ms a batch", 3 + records / 20
    )
    yield at_most(f"{label}, on the wire", wire_bytes / (records * count), "bytes a record", 600)


def fleet() -> Iterator[Result]:
    """Gateway, one NATS server (sync always), consumer and PostgreSQL (fsync on), a process each."""
    if postgres_program("initdb") is None:
        yield Result("fleet", float("nan"), "", "", None, "PostgreSQL is not installed")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        server = NatsServer(folder, "single", free_ports(1)[0])
        stack.callback(server.kill)
        server.start()
        yield from _fleet(stack, folder, [server], replicas=1, loads=LOADS, name="fleet")


def cluster() -> Iterator[Result]:
    """The same with three NATS servers that all keep every message, all on this machine and its one disk."""
    if postgres_program("initdb") is None:
        yield Result("fleet of three", float("nan"), "", "", None, "PostgreSQL is not installed")
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        servers = nats_cluster(folder)
        for server in servers:
            stack.callback(server.kill)
            server.start()
        yield from _fleet(stack, folder, servers, replicas=3, loads=LOADS, name="fleet R3")


def _fleet(
    stack: ExitStack,
    folder: Path,
    servers: list[NatsServer],
    *,
    replicas: int,
    loads: tuple[tuple[int, int], ...],
    name: str,
) -> Iterator[Result]:
    postgres = Postgres(flushes=True)
    stack.callback(postgres.remove)
    postgres.start()
    dsn = postgres.new_database()
    where = [*(part for server in servers for part in ("--nats", server.url)), "--database", dsn]
    prepare = [sys.executable, "-m", "terminal.cli.app", "fleet", "prepare", *where]
    prepare += ["--replicas", str(replicas), "--max-gib", "2"]
    until(
        "the cluster has formed",
        lambda: subprocess.run(prepare, capture_output=True, check=False).returncode == 0,
    )
    gateway, said = stack.enter_context(
        program("fleet", "gateway", "--folder", str(folder / "gateway"), "--port", "0", *where)
    )
    load = Load(real_taps().bodies, 1_000, Enrolment(folder / "gateway" / "terminals"))
    brokers = [server.process.pid for server in servers if server.process is not None]
    stores = [folder / server.name for server in servers]
    for records, count in loads:
        batches = load.batches(records, count)
        load.wire_bytes, cpu, broker = 0, Cpu(gateway.pid), Cpu(*brokers)
        kept = sum(map(folder_bytes, stores))
        wall_s = load.send(str(said["url"]), batches)
        yield from costs(name, records, count, wall_s, cpu.seconds(), load.wire_bytes)
        label = f"{name}: batches of {records}"
        yield at_most(f"{label}, CPU of NATS", broker.seconds() / count * 1e3, "ms a batch", 5)
        disk = (sum(map(folder_bytes, stores)) - kept) / (records * count)
        yield at_most(f"{label}, disk of NATS until trimmed", disk, "bytes a record", 1_500 * replicas)
        yield from _consuming(dsn, where, records, count, label, postmaster(postgres))
    yield at_most(f"{name}: memory of a gateway", memory_mb(gateway.pid), "MB", 200)
    yield at_most(f"{name}: memory of a NATS server", memory_mb(brokers[0]), "MB", 500)


def entering() -> Iterator[Result]:
    """How many batches one stream of three servers takes in, each flushed by all three onto this one disk."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        servers = nats_cluster(folder)
        for server in servers:
            stack.callback(server.kill)
            server.start()
        where = StreamSettings(tuple(server.url for server in servers))
        until("the cluster has formed", lambda: _prepared(where))
        bodies = real_taps().bodies[:2]
        for turn, in_flight in enumerate((16, 128)):
            cpu = Cpu(*(server.process.pid for server in servers if server.process is not None))
            terminals = range(1 + turn * ENTERING, 1 + (turn + 1) * ENTERING)
            wall_s = asyncio.run(_enter(where, bodies, terminals, in_flight))
            label = f"one stream of three servers, {in_flight} batches in flight"
            yield at_least(f"{label}, taken in", ENTERING / wall_s, "batches per s", 1_000)
            yield at_most(f"{label}, CPU of NATS", cpu.seconds() / ENTERING * 1e3, "ms a batch", 5)


def _prepared(where: StreamSettings) -> bool:
    try:
        asyncio.run(prepare_stream(where, ConsumerSettings(), 3, 1 << 30))
    except CollectorError:
        return False
    return True


async def _enter(where: StreamSettings, bodies: tuple[bytes, ...], terminals: range, in_flight: int) -> float:
    signer, batches = Ed25519PrivateKey.generate(), []
    for number in terminals:
        head = genesis(number)
        for body in bodies:
            head = Head(head.sequence + 1, link(head.hash, body))
        batch = build_batch(number, genesis(number), bodies, head, 1, signer)
        batches.append((batch, head.hash, encode(batch)))
    waiting = iter(batches)
    stream = await FleetStream.open(where)

    async def sender() -> None:
        for batch, last_hash, data in waiting:
            await stream.extend(batch, last_hash, data, StreamLine(0, None))

    start = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(in_flight)))
    wall_s = time.perf_counter() - start
    await stream.close()
    return wall_s


def postmaster(postgres: Postgres) -> int:
    """The process all of PostgreSQL descends from."""
    return int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])


def _consuming(
    dsn: str, where: list[str], records: int, count: int, label: str, database: int
) -> Iterator[Result]:
    """What waits in the stream into the database, by one consumer."""
    written, held = _ask(dsn, WRITTEN), _ask(dsn, HELD)
    sent = records * count
    goal = _ask(dsn, STORED) + sent
    with program("fleet", "consumer", *where) as (consumer, _):
        cpu, postgres_cpu, start = Cpu(consumer.pid), Cpu(database), time.perf_counter()
        until("all is stored", lambda: _ask(dsn, STORED) == goal)
        wall_s = time.perf_counter() - start
        yield at_least(
            f"{label}, stored by COPY, records",
            sent / wall_s,
            "per s",
            {2: 1_000, 20: 5_000, 200: 20_000}[records],
            f"{count / wall_s:.0f} batches per s",
        )
        yield at_most(f"{label}, CPU of the consumer", cpu.seconds() / count * 1e3, "ms a batch", 10)
        yield at_most(f"{label}, CPU of PostgreSQL", postgres_cpu.seconds() / count * 1e3, "ms a batch", 10)
        yield at_most(f"{label}, memory of the consumer", memory_mb(consumer.pid), "MB", 300)
    yield at_most(f"{label}, disk of the tables", (_ask(dsn, HELD) - held) / sent, "bytes a record", 1_024)
    log = (_ask(dsn, WRITTEN) - written) / sent
    yield at_most(f"{label}, PostgreSQL's write-ahead log", log, "bytes a record", 2_048)


STORED: Final = "SELECT sum(sequence) FROM terminal"
HELD: Final = "SELECT pg_total_relation_size('record') + pg_total_relation_size('receipt')"
WRITTEN: Final = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"


def _ask(dsn: str, query: str) -> int:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(query.encode()).fetchone()
    return int(found[0] or 0) if found else 0


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, object]]]:
    """A `terminal` command that says when it is ready; ended afterwards."""
    command = [sys.executable, "-m", "terminal.cli.app", *arguments, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, msgspec.json.decode(process.stdout.readline(), type=dict[str, object])
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
