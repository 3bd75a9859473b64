"""Who sends too much is told to wait, and nobody can make the collector run out of anything."""

from __future__ import annotations

import asyncio
import shutil
import threading

import httpx
import pytest

from terminal.collector.limits import KEPT_BUCKETS, Limits, TokenBuckets
from terminal.collector.store import CollectorStore
from terminal.journal.records import Started
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES
from tests.terminal.collector.office import HandClock, Terminal, Town
from tests.terminal.journal.samples import INTENT


def town_of(tmp_path, **limits) -> tuple[Town, Terminal]:
    town = Town(tmp_path, limits=Limits(**limits))
    seven = town.terminal(7)
    seven.write(*[Started(INTENT.at_ms, f"{n}") for n in range(8)])
    return town, seven


def test_a_bucket_gives_what_it_holds_and_says_when_there_is_more():
    clock = HandClock()
    buckets = TokenBuckets(2.0, 4, clock.monotonic)
    assert [buckets.take("a") for _ in range(6)] == [0, 0, 0, 0, 1, 1]
    assert buckets.take("b") == 0
    clock.move(seconds=1)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]
    slow = TokenBuckets(0.1, 1, clock.monotonic)
    assert [slow.take("a") for _ in range(2)] == [0, 10]
    clock.move(seconds=10)
    assert slow.take("a") == 0


def test_buckets_of_strangers_do_not_fill_the_memory():
    buckets = TokenBuckets(1.0, 1, HandClock().monotonic)
    for number in range(KEPT_BUCKETS + 500):
        buckets.take(number)
    assert len(buckets) == KEPT_BUCKETS


def test_an_address_that_sends_too_much_waits_and_others_do_not(tmp_path):
    town, seven = town_of(tmp_path, address_per_s=0.5, address_burst=2)
    near = town.client("10.0.0.1")
    batch = seven.batch(1, 1)
    assert [near.post(BATCHES_PATH, content=batch).status_code for _ in range(2)] == [200, 200]
    refused = near.post(BATCHES_PATH, content=batch)
    assert (refused.status_code, refused.json()["error"]) == (429, "busy")
    assert refused.headers["retry-after"] == "2"
    assert town.client("10.0.0.2").post(BATCHES_PATH, content=batch).status_code == 200
    town.clock.move(seconds=2)
    assert near.post(BATCHES_PATH, content=batch).status_code == 200
    town.close()


def test_a_terminal_that_sends_too_much_waits_but_no_stranger_can_use_it_up(tmp_path):
    town, seven = town_of(tmp_path, terminal_per_s=0.25, terminal_burst=2)
    forger = Terminal(7, town.clock)
    forger.bodies = seven.bodies
    client = town.client()
    for _ in range(5):
        assert client.post(BATCHES_PATH, content=forger.batch(1, 1)).status_code == 403
    answers = [client.post(BATCHES_PATH, content=seven.batch(n, n)) for n in (1, 2, 3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"] == "4"
    assert len(list(town.collector.store.records())) == 2
    town.clock.move(seconds=4)
    assert client.post(BATCHES_PATH, content=seven.batch(3, 3)).status_code == 200
    town.close()


def test_a_nearly_full_disk_takes_nothing_and_says_so(tmp_path):
    town, seven = town_of(tmp_path, free_bytes=shutil.disk_usage(tmp_path).total * 2)
    client = town.client()
    refused = client.post(BATCHES_PATH, content=seven.batch(1, 1))
    assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "60"
    assert client.get("/v1/health").json()["status"] == "disk_nearly_full"
    assert town.alarms() == [("disk", 0, 0)]
    town.close()


def test_a_slow_store_fills_a_bounded_queue_and_no_more(tmp_path, monkeypatch):
    town, seven = town_of(tmp_path, in_hand=3)
    go, original = threading.Event(), CollectorStore.receive

    def slow(*arguments):
        go.wait(30)
        return original(*arguments)

    monkeypatch.setattr(CollectorStore, "receive", slow)

    async def story() -> list[httpx.Response]:
        transport = httpx.ASGITransport(town.app, client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            waiting = [
                asyncio.create_task(client.post(BATCHES_PATH, content=seven.batch(1, 1))) for _ in range(3)
            ]
            while town.in_hand() < 3:
                await asyncio.sleep(0.005)
            refused = await client.post(BATCHES_PATH, content=seven.batch(1, 1))
            go.set()
            return [refused, *await asyncio.gather(*waiting)]

    refused, *taken = asyncio.run(story())
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert [answer.status_code for answer in taken] == [200, 200, 200]
    assert town.in_hand() == 0
    town.close()


def test_a_body_that_is_too_long_or_too_slow_is_given_up(tmp_path):
    town, _ = town_of(tmp_path, body_s=0.05)

    async def dribble():
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(town.app, client=("10.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            large = await client.post(BATCHES_PATH, content=bytes(MAX_BATCH_BYTES + 1))
            assert large.status_code == 413
            return await client.post(BATCHES_PATH, content=dribble())

    answer = asyncio.run(asyncio.wait_for(story(), 30))
    assert answer.status_code == 400
    assert "within 0.05 seconds" in answer.json()["advice"]
    assert town.in_hand() == 0
    town.close()


@pytest.mark.parametrize("broken", ["collector.db", "books.db"])
def test_a_database_that_fails_is_unavailable_and_never_an_error_page(tmp_path, broken):
    town, seven = town_of(tmp_path)
    town.send(seven)
    store = town.collector.store if broken == "collector.db" else town.collector.books
    store._connection.close()
    (tmp_path / broken).write_bytes(b"no database" * 1_000)
    client = town.client()
    for path in ("/operator/", "/operator/v1/report", "/operator/v1/terminals", "/operator/v1/days"):
        assert client.get(path).status_code in (200, 503), path
    town.collector.follower.stop()
