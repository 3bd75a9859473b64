"""A running gateway and its strangers: our terminals upload meanwhile, what strangers tried reaches the database."""

from __future__ import annotations

import threading

import httpx

from bench.strangers import Crowd
from terminal.collector.callers import ConnectionShares
from terminal.sync import wire
from tests.terminal.fleet.servers import until
from tests.terminal.fleet.test_commands import terminal
from tests.terminal.fleet.town import plain


def test_strangers_at_a_gateway_refuse_none_of_ours_and_are_in_the_report(town):
    ours = plain(7, 60)
    town.enrol(ours)
    gateway, url = town.start_gateway()
    town.start_consumer()
    host, _, port = url.removeprefix("http://").partition(":")
    crowd, ended = Crowd(host, int(port), idle=400, slow=30, addresses=4), threading.Event()

    def press() -> None:
        while not ended.is_set():
            crowd.turn()

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        with httpx.Client(timeout=30, trust_env=False) as client:
            stranger = client.post(url + wire.BATCHES_PATH, content=plain(8, 1).batch(1, 1))
            assert (stranger.status_code, stranger.json()["error"]) == (403, "unknown_terminal")
            deep = client.post(url + wire.BATCHES_PATH, content=b"\x91" * 4_000)
            assert (deep.status_code, deep.json()["error"]) == (400, "malformed")
            for batch in ours.batches(1):
                answer = client.post(url + wire.BATCHES_PATH, content=batch)
                assert answer.status_code == 200, answer.content
        until("what strangers tried is in the database", town.strangers)
        most = 4 * ConnectionShares().stranger_address
        until("connections beyond the shares are ended", lambda: crowd.ended >= 400 - most)
    finally:
        ended.set()
        pressing.join()
        crowd.close()
    assert gateway.poll() is None
    assert [count[:3] for count in town.strangers()] == [("unknown_terminal", "127.0.0.1", 8)]
    assert town.alarms() == []
    done = terminal("report", "--database", town.dsn)
    assert "STRANGER unknown_terminal 127.0.0.1 terminal 8: is not enrolled, 1 times" in done.stdout
