"""The money behind bank cards over a fleet, by the product's own processes: gateway, NATS, consumer, PostgreSQL,
settler, statement. Consumers and settlers are killed; nothing is lost or charged twice.
"""

from __future__ import annotations

import json
import random
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.collector.bank.charging import refund_subject
from terminal.collector.bank.ledger import open_ledger
from terminal.collector.bank.settle import lone
from terminal.collector.bank.statement import statement_of
from terminal.collector.fleet.bank_rides import FleetRides
from terminal.collector.office import office_at
from terminal.collector.office_says import OfficeCode
from terminal.collector.users import OfficeRole, Who
from terminal.errors import CollectorError
from tests.terminal.cli.conftest import Run, Start, run, start  # noqa: F401 fixtures
from tests.terminal.collector.bank_town import (
    KEYS,
    BankTerminal,
    bank_document,
    card_of,
    day,
    kept_document,
    read,
    token_of,
)
from tests.terminal.collector.office import user_of
from tests.terminal.collector.test_bank import oracle
from tests.terminal.collector.test_bank_live import Runs
from tests.terminal.fleet.servers import NatsServer, postgres_program, until
from tests.terminal.fleet.town import Town

OFFICE = "office"
AT_MS = 1_770_000_000_000
SETTLE = ("collector", "bank", "settle", "--json", "--pause-h", 0)


def uploaded(url: str, terminal: BankTerminal, key: Ed25519PrivateKey) -> None:
    """Its batch through the gateway, twice: an answer was lost."""
    batch = terminal.batch(key, AT_MS)
    for _ in range(2):
        assert httpx.post(f"{url}/v1/batches", content=batch, timeout=30).status_code == 200
    terminal.sent = len(terminal.bodies)


def test_a_fleets_rides_are_charged_once_whoever_is_killed(
    town: Town,
    nats_server: NatsServer,
    tmp_path: Path,
    run: Run,  # noqa: F811
    start: Start,  # noqa: F811
) -> None:
    chance, document = random.Random(5), kept_document(tmp_path / OFFICE, bank_document(tmp_path))
    buses = [BankTerminal(number, document, route) for number, route in ((7, 7), (8, 9))]
    keys = {bus.number: Ed25519PrivateKey.from_private_bytes(bytes([bus.number]) * 32) for bus in buses}
    for number, key in keys.items():
        town.enrolment.enrol(number, key.public_key())
    cards = [card_of(40 + n) for n in range(3)]
    numbers = [read(card, day(2)).opened.pan.in_clear for card in cards]
    stories: dict[bytes, list[tuple[Any, int]]] = {}
    moments = sorted(chance.sample(range(0, 16 * 60, 7), 15))

    def ride(minutes: list[int]) -> None:
        for minute in minutes:
            at, bus = day(3) + timedelta(minutes=minute - 6 * 60), chance.choice(buses)
            one = read(chance.choice(cards), at)
            bus.tap(one, at)
            stories.setdefault(token_of(one), []).append((at, bus.route))

    _, url = town.start_gateway()
    consumer = town.start_consumer(messages=1)
    ride(moments[:10])
    for bus in buses:
        uploaded(url, bus, keys[bus.number])
    consumer.kill()
    ride(moments[10:])
    for bus in buses:
        uploaded(url, bus, keys[bus.number])
    town.start_consumer()
    sealed = sum(len(bus.sealed) for bus in buses)
    until("every row is stored", lambda: town.ask("SELECT count(*) FROM sealed_row") == [(sealed,)])

    fleet = ("--folder", OFFICE, "--database", town.dsn)
    orders = tmp_path / OFFICE / "bank/acquirer/out/000001.json"
    first = start(*SETTLE, *fleet, "--every", 1)
    until("orders are written", orders.exists)
    other = run(*SETTLE, "--folder", "other", "--database", town.dsn)
    assert (other.returncode, other.stderr.count("\n")) == (CollectorError.exit_code, 1)
    assert "another process settles the bank cards of this fleet" in other.stderr
    first.kill()
    first.wait()
    with (
        closing(FleetRides(town.dsn)) as rides,
        lone(tmp_path / "other", KEYS, tmp_path, fleet=rides) as elsewhere,
        pytest.raises(CollectorError, match="another ledger settles the bank cards of this fleet"),
    ):
        elsewhere.run(AT_MS)

    settling = start(*SETTLE, *fleet, "--every", 1)
    runs = Runs(settling)
    assert runs.until(lambda _: True)["unproven"] == 0

    def acquirer(*words: object) -> None:
        answered = run("collector", "bank", "acquirer", "--folder", OFFICE, *words)
        assert answered.returncode == 0, answered.stderr

    acquirer("--twice")
    until("answers were taken in", lambda: not list((tmp_path / OFFICE / "bank/acquirer/in").iterdir()))
    until("nothing sealed is left", lambda: town.ask("SELECT sum(length(body)) FROM sealed_row") == [(0,)])
    for bus in buses:  # all of it once more: what was let go does not come back
        bus.sent = 0
        uploaded(url, bus, keys[bus.number])
    costs = {token: sum(oracle(sorted(story))) for token, story in stories.items()}
    with open_ledger(tmp_path / OFFICE, reading=True) as ledger:
        money = {token: statement_of(ledger, token).as_json() for token in costs}
    assert {token: charged(one) for token, one in money.items()} == costs
    token = next(iter(costs))
    shown = run("collector", "statement", "--folder", OFFICE, "--token", token.hex(), "--json")
    assert json.loads(shown.stdout) == json.loads(msgspec.json.encode(money[token])), shown.stderr
    memory = json.loads((tmp_path / OFFICE / "bank/acquirer/stand-in.json").read_text())
    assert sum(memory["approved"].values()) == sum(costs.values())

    (charge, *_) = (one for one in money[token]["demands"] if one["kind"] == "charge")
    asks, confirms = (Who(ref, frozenset({OfficeRole.MONEY})) for ref in ("21", "22"))
    with office_at(tmp_path / OFFICE) as office:
        for who in (asks, confirms):
            user_of(tmp_path / OFFICE, who.ref, OfficeRole.MONEY)
        asked = office.refund(asks, refund_subject(charge["id"], 100), "rode once")
        assert office.confirm(asks, asked.number).says is OfficeCode.SAME_PERSON
        assert office.confirm(confirms, asked.number).says is OfficeCode.DONE
    runs.until(lambda one: one["refunds"] > 0)
    assert town.ask("SELECT sum(length(body)) FROM sealed_row") == [(0,)]
    settling.terminate()
    said = settling.communicate(timeout=60)
    assert all("CollectorError" not in one for one in said)
    no_number_in(town, nats_server, tmp_path, numbers)


def charged(found: Any) -> int:
    """What the acquirer has approved; each ride stands in one charge."""
    charges = [one for one in found["demands"] if one["kind"] == "charge"]
    assert all(one["state"] == "approved" for one in charges)
    rides = [(item["terminal"], item["sequence"]) for one in charges for item in one["rides"]]
    assert len(rides) == len(set(rides))
    return sum(one["amount_minor"] for one in charges)


def no_number_in(town: Town, nats: NatsServer, folder: Path, numbers: list[str]) -> None:
    """In no dump of the database, no message, no file but the acquirer's."""
    program = postgres_program("pg_dump")
    assert program
    dump = subprocess.run([program, "--dbname", town.dsn], capture_output=True, check=True).stdout
    assert b"COPY public.sealed_row" in dump
    own = folder / OFFICE / "bank/acquirer/out"
    files = [path for place in (folder, nats.store) for path in place.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files if own not in path.parents]
    for number in numbers:
        packed = bytes.fromhex(number + "F" * (len(number) % 2))
        forms = (number.encode(), packed, number.encode().hex().encode(), number[:-1].encode())
        assert not any(form in content for form in forms for content in (dump, *contents))
