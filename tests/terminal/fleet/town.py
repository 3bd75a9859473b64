"""A fleet in one place: terminals reduced to their rows, gateways and consumers as objects or as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.clock import SystemClock
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet import database as fleet
from terminal.collector.fleet.consumer import Consumer
from terminal.collector.fleet.database import FleetDatabase
from terminal.collector.fleet.gateway import Gateway
from terminal.collector.fleet.server import prepare_stream
from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings
from terminal.collector.fleet.stream import FleetStream
from terminal.collector.limits import TokenBuckets
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.store import StoredRecord
from terminal.collector.strangers import Strangers
from terminal.journal.chain import Head, genesis, link
from terminal.sync import wire
from terminal.sync.identity import load_or_create_key
from tests.terminal.sync.station import Collector

QUICK = ConsumerSettings(idle_s=0.2, redeliver_s=2.0, again_s=0.05, trim_s=3600)


class Chain:
    """A terminal reduced to its rows: batches of any stretch of them."""

    def __init__(self, bodies: list[bytes], terminal: int = 7, key: Ed25519PrivateKey | None = None) -> None:
        self.terminal, self.bodies = terminal, bodies
        self.key = key or Ed25519PrivateKey.from_private_bytes(terminal.to_bytes(32, "big"))
        self.heads = [genesis(terminal)]
        for body in bodies:
            self.heads.append(Head(self.heads[-1].sequence + 1, link(self.heads[-1].hash, body)))

    def batch(
        self, first: int, last: int, *, head: int | None = None, confirmed: int = 0, at_ms: int = 1
    ) -> bytes:
        return wire.encode(
            wire.build_batch(
                self.terminal,
                self.heads[first - 1],
                tuple(self.bodies[first - 1 : last]),
                self.heads[last if head is None else head],
                at_ms,
                self.key,
                confirmed_through=confirmed,
            )
        )

    def batches(self, size: int = 5) -> list[bytes]:
        return [
            self.batch(n, min(n + size, len(self.bodies) + 1) - 1)
            for n in range(1, len(self.bodies) + 1, size)
        ]

    def records(self) -> list[StoredRecord]:
        return [StoredRecord(self.terminal, n, body) for n, body in enumerate(self.bodies, 1)]


def plain(terminal: int, rows: int, mark: str = "row", size: int = 0) -> Chain:
    return Chain([b"\x01%s %d " % (mark.encode(), n) + bytes(size) for n in range(1, rows + 1)], terminal)


class Town:
    """Where the servers are, and everything started there."""

    def __init__(self, folder: Path, servers: tuple[str, ...], dsn: str, name: str, replicas: int) -> None:
        self.folder, self.dsn, self.replicas = folder, dsn, replicas
        self.stream = StreamSettings(servers, name, answer_s=5.0)
        self.key = load_or_create_key(folder / "gateway" / "collector.key")
        self.enrolment = Enrolment(folder / "gateway" / "terminals")
        self.clock = SystemClock()
        self.processes: list[subprocess.Popen[bytes]] = []

    async def prepare(self) -> None:
        fleet.prepare(self.dsn)
        await prepare_stream(self.stream, QUICK, self.replicas, 64 << 20)

    def enrol(self, *chains: Chain) -> None:
        for chain in chains:
            self.enrolment.enrol(chain.terminal, chain.key.public_key())

    @asynccontextmanager
    async def gateways(
        self, count: int = 1, buckets: TokenBuckets | None = None
    ) -> AsyncIterator[list[Gateway]]:
        streams = [await FleetStream.open(self.stream) for _ in range(count)]
        gateways = []
        for stream in streams:
            strangers = Strangers()
            gateways.append(
                Gateway(stream, self.database_head, self.enrolment, self.key, self.clock, strangers, buckets)
            )
            stream.on_reconnect = gateways[-1].forget
        try:
            yield gateways
        finally:
            for gateway, stream in zip(gateways, streams, strict=True):
                if counts := gateway._strangers.take():
                    await stream.keep_strangers(counts)
            for stream in streams:
                await stream.close()

    async def database_head(self, terminal: int) -> Head:
        database = await FleetDatabase.open(self.dsn)
        try:
            return await database.head(terminal)
        finally:
            await database.close()

    @asynccontextmanager
    async def consumer(self, settings: ConsumerSettings = QUICK) -> AsyncIterator[Consumer]:
        stream, stop = await FleetStream.open(self.stream), asyncio.Event()
        consumer = Consumer(stream, self.dsn, settings)
        running = asyncio.create_task(consumer.run(stop))
        try:
            yield consumer
        finally:
            stop.set()
            await running
            await stream.close()

    async def consume(self, **changes) -> None:
        """Let a consumer run until nothing waits."""
        async with self.consumer(replace(QUICK, **changes)):
            await self.until_consumed()

    async def until_consumed(self) -> None:
        stream = await FleetStream.open(self.stream)
        async with asyncio.timeout(60):
            while await self._waiting(stream):
                await asyncio.sleep(0.1)
        await stream.close()

    async def _waiting(self, stream: FleetStream) -> int:
        subscriptions = [await stream.subscribe(notes=notes) for notes in (False, True)]
        infos = [await subscription.consumer_info() for subscription in subscriptions]
        for subscription in subscriptions:
            await subscription.unsubscribe()
        return sum(info.num_pending + info.num_ack_pending for info in infos)

    async def messages(self) -> list[tuple[int, int]]:
        """First and last row of each message in the stream, oldest first."""
        stream = await FleetStream.open(self.stream)
        info = await stream._jetstream.stream_info(self.stream.name)
        found = []
        for number in range(info.state.first_seq, info.state.last_seq + 1):
            with contextlib.suppress(Exception):
                message = await stream._jetstream.get_msg(self.stream.name, number)
                batch = wire.parse_batch(message.data)
                found.append((batch.first, batch.last))
        await stream.close()
        return found

    # What the database holds

    def stored(self) -> list[StoredRecord]:
        return list(fleet.records(self.dsn))

    def alarms(self) -> list[tuple[str, int, int]]:
        return [(alarm.kind, alarm.terminal, alarm.sequence) for alarm in fleet.alarms(self.dsn)]

    def strangers(self) -> list[tuple[str, str, int, str, int]]:
        """Kind, address, terminal, detail, times; the newest first."""
        return [count[:5] for count in fleet.strangers(self.dsn)]

    def ask(self, query: str):
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query).fetchall()

    def tell(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement)

    def totals(self):
        return reconcile(fleet.records(self.dsn), CardRegistry()).total

    # Processes

    def start(self, *arguments: str) -> tuple[subprocess.Popen[bytes], dict]:
        command = [sys.executable, "-m", "terminal.cli.app", "fleet", *arguments, "--json"]
        for server in self.stream.servers:
            command += ["--nats", server]
        command += ["--stream", self.stream.name, "--database", self.dsn]
        log = (self.folder / f"process{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        self.processes.append(process)
        line = process.stdout.readline()
        assert line, Path(log.name).read_text()
        return process, json.loads(line)

    def start_gateway(self) -> tuple[subprocess.Popen[bytes], str]:
        process, said = self.start("gateway", "--folder", str(self.folder / "gateway"), "--port", "0")
        return process, said["url"]

    def start_consumer(self, messages: int = 100) -> subprocess.Popen[bytes]:
        return self.start("consumer", "--messages", str(messages))[0]

    def end_processes(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.kill(process.pid, 9)
            process.wait()
            process.stdout.close()


def through(reply, town: Town, chain: Chain) -> int:
    """The row a reply acknowledges, after every check a terminal makes."""
    assert reply.status == 200, reply.body
    ack = wire.parse_ack(reply.body)
    assert wire.ack_is_genuine(ack, town.key.public_key())
    assert (ack.terminal, ack.head_hash) == (chain.terminal, chain.heads[ack.through].hash)
    return ack.through


def refusal(reply) -> tuple[int, str, int | None]:
    """Status, reason and the row it wants."""
    body = msgspec.json.decode(reply.body, type=wire.Refusal)
    return reply.status, body.error, body.wants


def embedded(folder: Path, chains: list[Chain], batches: list[bytes]) -> Collector:
    """The same batches in the embedded collector."""
    collector = Collector(Path(tempfile.mkdtemp(dir=folder)))
    for chain in chains:
        collector.enrolment.enrol(chain.terminal, chain.key.public_key())
    for batch in batches:
        assert collector.intake.take(batch).status == 200
    return collector
