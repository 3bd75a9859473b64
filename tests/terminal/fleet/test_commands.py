"""`terminal fleet` from the outside: set-up that may be repeated, the report, and failures in one line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from bench.cards import SteppedClock, phone, phone_bus
from terminal.audit.verifying import verify_dossier
from terminal.clock import from_unix_ms
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.journal.records import build_record, parse_record
from terminal.policy.document.rights import TripLimit
from terminal.policy.policy import Policy
from terminal.tap import take_tap
from tests.terminal.fleet.town import Chain, plain, through
from tests.terminal.journal.samples import INTENT, day
from tests.terminal.updates.bundle.repository import ROLES, Publisher
from tests.terminal.updates.bundle.test_live_bundles import lab_issuers_toml

SECRET = "correct-horse"


def terminal(*arguments: str, group: str = "fleet", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "terminal.cli.app", group, *arguments]
    where = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90, env=where)


def collector(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = terminal(*arguments, group="collector")
    assert done.returncode == 0, done.stderr
    return done


def test_prepare_again_and_again_and_the_report(town):
    where = ("--nats", *town.stream.servers, "--stream", town.stream.name, "--database", town.dsn)
    for gib in ("1", "2"):
        done = terminal("prepare", *where, "--replicas", "1", "--max-gib", gib)
        assert done.returncode == 0, done.stderr
    bodies = [build_record(record) for record in day(20)]
    false = msgspec.structs.replace(parse_record(bodies[2]), charge_minor=900_000)
    bodies[2] = build_record(false)
    chain = Chain(bodies)
    town.enrol(chain)

    async def play():
        async with town.gateways() as (gateway,):
            for batch in chain.batches(8):
                through(await gateway.take(batch), town, chain)
            await gateway.take(plain(8, 1).batch(1, 1))
        await town.consume()

    asyncio.run(play())
    done = terminal("report", "--database", town.dsn, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    totals = reconcile(chain.records(), CardRegistry()).total
    assert report["total"]["charged_minor"] == {"RUB": totals.charged_in("RUB")} != {"RUB": 0}
    assert report["total"]["taps"] == 20
    assert [(alarm["kind"], alarm["sequence"]) for alarm in report["alarms"]] == [("proof_differs", 3)]
    sums = report["total"]["proofs"]["differing"]["RUB"]
    assert (sums["taps"], sums["charged_minor"], sums["overstated_minor"]) == (1, 3_400, 896_600)
    assert report["total"]["proofs"]["no_registry"]["RUB"]["taps"] == 19
    assert [(count["kind"], count["terminal"]) for count in report["strangers"]] == [("unknown_terminal", 8)]
    assert "STRANGER unknown_terminal  terminal 8" in terminal("report", "--database", town.dsn).stdout


def ridden_apart(folder: Path) -> list[Chain]:
    """The rows of two terminals that do not hear each other, where one phone rode by a limit of one ride."""
    clock, own, chains = SteppedClock(), phone(), []
    own.power_on()
    for number in (70001, 70002):
        (folder / str(number)).mkdir()
        terminal = phone_bus(folder / str(number), clock, number=number)
        document = terminal.policy.document
        limits = (TripLimit(trips=1, counter="concession_month"),)
        limited = (msgspec.structs.replace(one, limits=limits) for one in document.concessions)
        terminal.policy = Policy.of(msgspec.structs.replace(document, concessions=tuple(limited)))
        assert take_tap(own, terminal).outcome.message == "ok_benefit"
        with closing(terminal.journal) as journal:
            chains.append(Chain([build_record(row.record) for row in journal.rows()], number))
        assert terminal.held is not None
        terminal.held.close()
    return chains


def test_phones_are_proven_by_the_issuers_of_the_bundles_that_the_gateway_serves(town, tmp_path):
    chains = ridden_apart(tmp_path)
    town.enrol(*chains)

    async def play():
        async with town.gateways() as (gateway,):
            for chain in chains:
                for batch in chain.batches(8):
                    through(await gateway.take(batch), town, chain)
        await town.consume()

    def reported(*words: str) -> dict:
        where = ("--database", town.dsn, "--folder", str(town.folder / "gateway"))
        done = terminal("report", *where, "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def proofs(report: dict) -> dict[str, int]:
        return {proof: sums["RUB"]["taps"] for proof, sums in report["total"]["proofs"].items()}

    asyncio.run(play())
    assert proofs(reported()) == {"no_issuers": 2}, "none are served yet"
    publisher = Publisher(town.folder / "gateway" / "bundles", {**ROLES, "issuers": (2, 3)})
    publisher.put("issuers", "region", {"issuers.toml": lab_issuers_toml()})
    publisher.publish()
    for _ in range(2):
        report = reported()
        assert proofs(report) == {"proven": 2}
        (alarm,) = report["alarms"]
        assert (alarm["kind"], alarm["detail"]) == (
            "limit_passed",
            "rides_apart count=2 of=1 since=2026-09-01",
        )
    others = tmp_path / "others.toml"
    others.write_text(lab_issuers_toml().decode().replace('issuer = "ru-34"', 'issuer = "ru-02"'), "utf-8")
    assert proofs(reported("--issuers", str(others))) == {"failed": 2}, (
        "a file that is named takes their place"
    )


def test_what_cannot_be_reached_is_one_line(town):
    for arguments in (
        ("report", "--database", "host=/nonexistent"),
        ("consumer", "--database", town.dsn),
    ):
        done = terminal(*arguments, FLEET_NATS=f"nats://consumer:{SECRET}@127.0.0.1:9")
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode != 0
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr


def test_a_day_is_audited_from_the_database_as_from_a_folder(town, tmp_path):
    """The index of days follows what came since; an auditor needs the dossier alone."""
    records = day(20)
    chain = Chain([build_record(record) for record in records])
    town.enrol(chain)

    async def play(first: int, last: int) -> None:
        async with town.gateways() as (gateway,):
            for n in range(first, last, 8):
                through(await gateway.take(chain.batch(n, min(n + 7, last))), town, chain)
        await town.consume()

    def audited(*words: str) -> dict:
        folder = ("--folder", str(town.folder / "gateway"), "--database", town.dsn)
        service_day = from_unix_ms(INTENT.at_ms).astimezone(ZoneInfo("Europe/Moscow")).date().isoformat()
        return json.loads(collector("audit", service_day, *folder, "--json", *words).stdout)

    asyncio.run(play(1, 16))
    first = audited("--out", str(tmp_path / "first.json"))["statement"]
    assert (first["complete"], first["totals"][0]["facts"]) == (False, 8)
    asyncio.run(play(17, 40))
    second = audited("--after", str(tmp_path / "first.json"), "--dossier", str(tmp_path / "dossier"))[
        "statement"
    ]
    assert (second["totals"][0]["facts"], second["totals"][0]["sum_minor"]) == (20, 20 * INTENT.charge_minor)
    assert second["supplement"]["rows"] == [[7, 17, 40]]
    assert not verify_dossier(tmp_path / "dossier", town.key.public_key().public_bytes_raw()).differences
