"""A fleet's rows decided again: through gateway, stream and consumer into PostgreSQL, and from there by the command."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from msgspec.structs import replace

from bench.impact import FIRST, resident_of, tap_of_day
from bench.recomputing import StoredBus
from terminal.app.collector import enrol, trust
from terminal.clock import SystemClock, unix_ms
from terminal.codes import Admission, ReturnCause, SetKind
from terminal.collector.fleet import database as fleet
from terminal.decision.outcome import Message
from terminal.journal.operation_records import SetActivated, SetReturned
from terminal.journal.records import AnyRecord, Intent, Unwritten, build_record, parse_record
from terminal.policy.load import DEMO_REGION, load_region
from terminal.policy.policy import Policy
from terminal.trail import TrailEntry
from tests.terminal.cli.conftest import ENVIRONMENT
from tests.terminal.fleet.town import Chain, Town, through
from tests.terminal.updates.published import region
from tests.terminal.updates.served import serving
from tests.terminal.updates.test_live_trial import publish

PATIENCE_S = 60.0


def rides(number: int, taps: int) -> list[bytes]:
    """The rows of a terminal's morning; the last charged ride is changed."""
    rng, policy, bus = random.Random(number), Policy.of(load_region(DEMO_REGION)), StoredBus.of(number)
    residents = [resident_of(rng, policy) for _ in range(4)]
    for tap in range(taps):
        tap_of_day(rng.choice(residents), bus, policy, FIRST + timedelta(seconds=600 * tap))
    bodies = [row[2] for row in bus.rows]
    for at, body in reversed(list(enumerate(bodies))):
        record = parse_record(body)
        if isinstance(record, Intent) and record.charge_minor:
            bodies[at] = build_record(replace(record, charge_minor=1))
            return bodies
    raise AssertionError("no ride was charged")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "terminal.cli.app", *map(str, words)]


def said(*words: object) -> dict[str, Any]:
    done = subprocess.run(
        command(*words, "--json"), capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def refused_riders(number: int, riders: int) -> list[bytes]:
    """The rows of a terminal that took demo:2 on trial, and whose riders it all refuses."""
    at_ms = unix_ms(SystemClock().now())
    rows: list[AnyRecord] = [SetActivated(at_ms, SetKind.REGION.value, "demo", 1, bytes(32), at_ms)]
    rows.append(SetActivated(at_ms, SetKind.REGION.value, "demo", 2, bytes([2]) * 32, at_ms, 7))
    trail = (TrailEntry("t-34:no_funds"),)
    cards = (number.to_bytes(4) + rider.to_bytes(4) for rider in range(riders))
    message, refused = Message.NO_FUNDS.value, Admission.REFUSED
    rows += [Unwritten(at_ms, card, "bus", 1, message, refused, "demo:2", trail, 0, 0) for card in cards]
    return [build_record(one) for one in rows]


def test_a_tariff_is_taken_back_from_a_group_through_a_gateway(town: Town, tmp_path: Path) -> None:
    """Gateway, consumer, follower and one bus are processes of the product; the riders of two more buses are rows."""
    buses, published = (
        [Chain(refused_riders(number, 110), number) for number in (8, 9)],
        tmp_path / "published",
    )
    town.enrol(*buses)
    (tmp_path / "bus/state").mkdir(parents=True)
    enrol(tmp_path / "bus/state", 70001, tmp_path / "gateway")
    trust(tmp_path / "bus/state", tmp_path / "gateway")
    published.mkdir()
    publish(published / "region.toml", region(1))
    _gateway, url = town.start_gateway()
    town.start_consumer()
    follower = [*command("fleet", "recompute", "--folder", tmp_path / "follower", "--database", town.dsn)]
    town.processes.append(subprocess.Popen(follower, stdout=subprocess.PIPE))
    tables: dict[str, Mapping[str, object]] = {"updates": {"folder": published}, "collector": {"url": url}}
    with serving(tmp_path / "bus", "adult_purse", ENVIRONMENT, **tables) as served:
        served.said("ready")
        publish(published / "region.toml", region(2, trial_days=7))
        served.said("in_force", kind="region", edition="demo:2")
        for bus in buses:
            for batch in bus.batches(60):
                assert httpx.post(f"{url}/v1/batches", content=batch).status_code == 200
        served.said("in_force", kind="region", edition="demo:1")
        (row,) = [one for one in served.rows() if isinstance(one, SetReturned)]
        assert (row.version, row.cause, row.back_to) == (2, ReturnCause.GROUP, 1)
        served.said("update", code="update:taken_back", version=2)
    (alarm,) = [one for one in fleet.alarms(town.dsn) if one.kind == "withdrawn"]
    assert alarm.detail.startswith("group_refused edition=demo:2 ")


def test_a_fleets_rows_are_decided_again_beside_its_consumers(town: Town, tmp_path: Path) -> None:
    chain = Chain(rides(7, 12), 7)
    town.enrol(chain)

    async def play(batches: list[bytes]) -> None:
        async with town.gateways() as (gateway,):
            for batch in batches:
                through(await gateway.take(batch), town, chain)
        await town.consume()

    first, *others = chain.batches(10)
    asyncio.run(play([first]))
    folder = tmp_path / "follower"
    where = ("--folder", folder, "--database", town.dsn)
    before = said("fleet", "verdicts", *where)
    assert (before["not_recomputed"], before["not_recomputed_s"] >= 0) == (10, True)
    said("collector", "documents", "add", DEMO_REGION, "--folder", folder)
    running = subprocess.Popen(
        command("fleet", "recompute", *where, "--json"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline()) == {"ready": True}
        asyncio.run(play(others))
        until_s = time.monotonic() + PATIENCE_S
        while (found := said("fleet", "verdicts", *where))["not_recomputed"]:
            assert time.monotonic() < until_s
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0
        running.stdout.close()
    finally:
        running.kill()
        running.wait()
    decided = sum(isinstance(parse_record(body), Intent) for body in chain.bodies)
    assert (found["recomputed"], found["differing"]) == (decided - 1, 1)
    (alarm,) = [one for one in fleet.alarms(town.dsn) if one.kind == "recomputed"]
    assert alarm.detail.startswith("decided_otherwise what=charge_minor recorded=1 ")
