"""Each process of a fleet killed with -9 while it works: what was acknowledged is stored, and stored once."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from dataclasses import replace

import httpx
import pytest

from terminal.collector.fleet.stream import FleetStream
from terminal.errors import CollectorError
from terminal.sync import wire
from tests.terminal.fleet.servers import nats_cluster, until
from tests.terminal.fleet.town import Chain, Town, plain, through

COPYING = "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 20 AND datname = current_database()"
SLOW = (
    """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END'""",
    "CREATE TRIGGER slow BEFORE INSERT ON record FOR EACH ROW EXECUTE FUNCTION slow()",
)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 120))


async def fill(town: Town, chains: list[Chain], size: int) -> None:
    async with town.gateways() as (gateway,):
        for chain in chains:
            for batch in chain.batches(size):
                through(await gateway.take(batch), town, chain)


class Uploads(threading.Thread):
    """A terminal that sends its rows over HTTP, batch after batch, until all are acknowledged."""

    def __init__(self, town: Town, chain: Chain, urls: list[str], size: int = 20) -> None:
        super().__init__(daemon=True)
        self.town, self.chain, self.urls, self.size = town, chain, urls, size
        self.acknowledged, self.failures = 0, 0

    def run(self) -> None:
        rng = random.Random(self.chain.terminal)
        with httpx.Client(timeout=15) as client:
            while self.acknowledged < len(self.chain.bodies):
                first = self.acknowledged + 1
                data = self.chain.batch(first, min(first + self.size - 1, len(self.chain.bodies)))
                try:
                    answer = client.post(rng.choice(self.urls) + wire.BATCHES_PATH, content=data)
                except httpx.HTTPError:
                    self.failures += 1
                    time.sleep(0.02)
                    continue
                if answer.status_code != 200:
                    self.failures += 1
                    time.sleep(0.02)
                    continue
                ack = wire.parse_ack(answer.content)
                assert wire.ack_is_genuine(ack, self.town.key.public_key())
                assert ack.head_hash == self.chain.heads[ack.through].hash
                self.acknowledged = ack.through


def everything(chains: list[Chain]):
    return [record for chain in chains for record in chain.records()]


def test_a_consumer_killed_in_the_middle_of_copy(town):
    chains = [plain(number, 400) for number in range(7, 12)]
    town.enrol(*chains)
    run(fill(town, chains, 100))
    for statement in SLOW:
        town.tell(statement)
    for _ in range(3):
        consumer = town.start_consumer(messages=10)
        until("some rows of a COPY are in", lambda: town.ask(COPYING), every_s=0.01)
        os.kill(consumer.pid, 9)
        consumer.wait()
        assert town.stored() == []
        until("PostgreSQL has noticed", lambda: not town.ask(COPYING))
    town.tell("DROP TRIGGER slow ON record")
    run(town.consume())
    assert town.stored() == everything(chains)
    assert town.alarms() == []


def test_postgresql_killed_while_it_is_written(town, postgres):
    chains = [plain(number, 1_000, size=300) for number in (7, 8, 9)]
    town.enrol(*chains)
    consumer = town.start_consumer(messages=10)
    _, url = town.start_gateway()
    uploads = [Uploads(town, chain, [url]) for chain in chains]
    for upload in uploads:
        upload.start()
    for _ in range(2):
        until("something is stored", lambda: len(town.stored()) > 100)
        postgres.kill()
        time.sleep(0.3)
        postgres.start()
    for upload in uploads:
        upload.join(60)
    assert [upload.acknowledged for upload in uploads] == [1_000] * 3
    until("all is stored", lambda: len(town.stored()) == 3_000)
    run(town.until_consumed())
    assert consumer.poll() is None
    assert town.stored() == everything(chains)
    assert town.alarms() == []


def test_gateways_killed_while_they_answer(town):
    chains = [plain(number, 600) for number in (7, 8, 9)]
    town.enrol(*chains)
    gateways = [town.start_gateway() for _ in range(3)]
    urls = [url for _, url in gateways]
    uploads = [Uploads(town, chain, urls, size=5) for chain in chains]
    for upload in uploads:
        upload.start()
    for victim, _ in gateways[:2]:
        time.sleep(0.3)
        os.kill(victim.pid, 9)
    for upload in uploads:
        upload.join(60)
    assert [upload.acknowledged for upload in uploads] == [600] * 3
    assert sum(upload.failures for upload in uploads) > 0
    run(town.consume())
    assert town.stored() == everything(chains)
    assert town.alarms() == []


@pytest.fixture
def cluster(tmp_path):
    servers = nats_cluster(tmp_path)
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()


async def leader(town: Town) -> str:
    stream = await FleetStream.open(town.stream)
    try:
        info = await stream._jetstream.stream_info(town.stream.name)
    finally:
        await stream.close()
    assert info.cluster is not None
    return info.cluster.leader or ""


def test_the_leader_of_three_nats_servers_killed_again_and_again(cluster, postgres, tmp_path):
    town = Town(
        tmp_path, tuple(server.url for server in cluster), postgres.new_database(), "FLEET", replicas=3
    )
    until("the cluster has formed", lambda: prepared(town), every_s=0.5)
    chains = [plain(number, 1_500, size=200) for number in (7, 8)]
    town.enrol(*chains)
    urls = [town.start_gateway()[1] for _ in range(2)]
    consumer = town.start_consumer(messages=20)
    uploads = [Uploads(town, chain, urls, size=10) for chain in chains]
    for upload in uploads:
        upload.start()
    try:
        for _ in range(2):
            before = sum(upload.acknowledged for upload in uploads)
            until("uploads go on", lambda before=before: sum(u.acknowledged for u in uploads) > before + 100)
            name = run(leader(town))
            victim = next(server for server in cluster if server.name == name)
            victim.kill()
            time.sleep(1)
            victim.start()
        for upload in uploads:
            upload.join(90)
        assert [upload.acknowledged for upload in uploads] == [1_500] * 2
        until("all is stored", lambda: len(town.stored()) == 3_000)
        assert consumer.poll() is None
        assert town.stored() == everything(chains)
        assert town.alarms() == []
    finally:
        town.end_processes()


def prepared(town: Town) -> bool:
    town.stream = replace(town.stream, answer_s=5.0)
    try:
        run(town.prepare())
    except CollectorError:
        return False
    return True
