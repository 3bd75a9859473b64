"""A fleet's database that a version wrote: restored, prepared again, and reported on with a sealed card registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tests.golden.asked import copied, differences
from tests.golden.fleet import DUMP, MOMENT, REPORT, restore
from tests.golden.test_golden import VERSIONS, said
from tests.terminal.fleet.servers import NatsServer, Postgres
from tests.terminal.fleet.test_commands import terminal

KEYS_UNUSABLE = 11


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copied(request.param, tmp_path)


@pytest.fixture
def dsn(golden: Path, postgres: Postgres) -> str:
    made = postgres.new_database()
    restore(made, golden / DUMP)
    return made


def by_proof(report: Any) -> dict[str, int]:
    return {proof: one["RUB"]["taps"] for proof, one in report["total"]["proofs"].items()}


def test_it_is_prepared_as_it_is_and_says_what_it_said(
    golden: Path, dsn: str, nats_server: NatsServer
) -> None:
    servers = ("--nats", nats_server.url, "--stream", "RESTORED", "--replicas", "1", "--max-gib", "1")
    prepared = terminal("prepare", *servers, "--database", dsn)
    assert prepared.returncode == 0, prepared.stderr
    registry, keys = golden / "office/registry.sealed", golden / "office/collector.keys"
    asked = ("report", "--database", dsn, "--json")
    report = msgspec.json.decode(
        terminal(*asked, "--registry", str(registry), "--registry-keys", str(keys)).stdout
    )
    assert differences(msgspec.json.decode((golden / REPORT).read_bytes()), report, MOMENT) == []
    day = said(golden.name, "collector-day")
    assert isinstance(day, dict)
    bus = day["lines"][0]
    rows = said(golden.name, "bus-rows")
    assert isinstance(rows, list)
    cash_minor = sum(row["sum_minor"] for row in rows if row["kind"] == "CashSale")
    assert report["terminals"][bus["name"]]["charged_minor"] == {"RUB": bus["counted_minor"] - cash_minor}
    without = msgspec.json.decode(terminal(*asked).stdout)
    assert by_proof(without) != by_proof(report), "the registry was opened, and it says which taps are proven"
    bus_keys = ("--registry-keys", str(golden / "office/bus.keys"))
    for given, words in (((), "is sealed, and no keys are at hand"), (bus_keys, "no storage key 'registry'")):
        answer = terminal(*asked, "--registry", str(registry), *given)
        assert (answer.returncode, answer.stdout) == (KEYS_UNUSABLE, "")
        assert words in answer.stderr
        assert answer.stderr.count("\n") == 1


def test_one_of_a_later_program_is_refused_and_stays(golden: Path, dsn: str, nats_server: NatsServer) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("INSERT INTO fleet_schema VALUES (3)")
    servers = ("--nats", nats_server.url, "--stream", "LATER", "--replicas", "1", "--max-gib", "1")
    for words in (("prepare", *servers), ("report",)):
        answer = terminal(*words, "--database", dsn)
        assert (answer.returncode, answer.stdout) != (0, "")
        assert "has schema 3, this program works with 2. Use the program" in answer.stderr
        assert answer.stderr.count("\n") == 1
