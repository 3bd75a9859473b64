"""A fleet's rows decided again: through gateway, stream and consumer into PostgreSQL, and from there by the command."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.impact import FIRST, resident_of, tap_of_day
from bench.recomputing import StoredBus
from terminal.collector.fleet import database as fleet
from terminal.journal.records import Intent, build_record, parse_record
from terminal.policy.load import DEMO_REGION, load_region
from terminal.policy.policy import Policy
from tests.terminal.fleet.town import Chain, Town, through

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
