"""From a publisher's ceremonies to terminals that serve: the product's own commands alone, a collector over TLS between
them, and configurations that name no document.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest

from sim.profile import LAB_KEYS
from terminal.codes import BundleFault, SetKind
from terminal.collector.users import OfficeRole
from terminal.journal.canteen_records import MealServed
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import Intent
from terminal.operations.status import read_status
from terminal.policy.document.schema import Ages
from terminal.policy.ends import BUNDLES_WARNED_DAYS
from terminal.screen.console.pins import hash_pin
from tests.by_hand import SOCKET, started
from tests.config_file import config_file
from tests.terminal.cli.conftest import command
from tests.terminal.cli.test_canteen import ANNA, BORIS, YESTERDAY, header, pupil
from tests.terminal.collector.office import user_of
from tests.terminal.publish.office import Office
from tests.terminal.screen.console.cab import PIN
from tests.terminal.sync.test_tls import Authority
from tests.terminal.updates.bundle.test_live_bundles import signs_in
from tests.terminal.updates.published import region, routes
from tests.terminal.updates.served import Served, serving
from tests.terminal.updates.test_live import KEYS, MANY, denied_resident

BUS: Final = 70001
TILL: Final = 80001
SEALED: Final = ("--terminals", "collector/terminals")


@contextmanager
def collecting(folder: Path, authority: Authority) -> Iterator[str]:
    """`terminal collector` with the repository, over TLS; its address."""
    certificate, key = authority.certify("collector")
    words = ("--folder", "collector", "--port", 0, "--json", "--no-recompute", "--bundles", "bundles")
    tls = ("--tls-cert", certificate, "--tls-key", key)
    process = subprocess.Popen(
        command(("collector", *words, *tls)), cwd=folder, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def owners_tables(number: int, url: str, authority: Authority) -> dict[str, dict[str, Any]]:
    """What its owner writes: no document, no list, no source of bundles."""
    return {
        "terminal": {"number": number},
        "collector": {"url": url, "tls_ca": authority.path},
    }


def enrol(office: Office, folder: Path, number: int, tables: dict[str, dict[str, Any]]) -> None:
    """With a code from the collector's operator; the state lies where `serving` has it."""
    made = office.run("collector", "enrol", number, "--folder", "collector", "--bundles", "bundles", "--json")
    (office.folder / "code").write_text(json.loads(made.stdout)["code"])
    own = {**tables["terminal"], "state": folder / "state"}
    file = config_file(folder, **{**tables, "terminal": own})
    enrolled = office.run("enrol", "--config", file, "--code-file", "code")
    assert enrolled.returncode == 0, enrolled.stderr
    trusted = (folder / "state/trust/root.json").read_bytes()
    assert trusted == (office.bundles / "metadata/1.root.json").read_bytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def in_force(served: Served) -> dict[SetKind, int]:
    """The newest activation of each kind in the journal."""
    return {row.kind: row.version for row in served.rows() if isinstance(row, SetActivated)}


@pytest.fixture
def published(office: Office) -> Office:
    """Tariff, routes and deny list, each signed as its role demands."""
    office.begin()
    folder = office.folder
    office.publish("add", "tariff/city", write(folder / "region.toml", region(2, fare_minor=3100)))
    office.sign("tariff", "tariff-1", "tariff-3")
    office.publish("add", "routes/city", write(folder / "routes.toml", routes(5)))
    office.publish(
        "add", "deny/all", write(folder / "deny-list", denied_resident(folder)), "--keys", LAB_KEYS
    )
    office.release("routes-1", "deny-1")
    return office


def test_a_bus_that_knows_its_number_and_its_collector_serves_by_what_the_office_signed(
    published: Office, tmp_path: Path
) -> None:
    authority, bus = Authority(tmp_path, "authority"), tmp_path / "bus"
    with collecting(tmp_path, authority) as url:
        tables = owners_tables(BUS, url, authority)
        enrol(published, bus, BUS, tables)
        members = [{"ref": "17", "role": "driver", "pin": hash_pin(PIN, KEYS)}]
        staff = {"kind": "staff", "version": 1, "members": members}
        (tmp_path / "staff.json").write_text(json.dumps(staff))
        published.publish("add", "staff/depot", "staff.json", "--seal-to", BUS, *SEALED)
        published.release("staff-1")
        console = {"enabled": True, "port": 0, "typed_sign_in": True}
        with serving(bus, MANY, **tables, console=console) as served:
            assert served.tap()["charge_minor"] == 3100
            assert in_force(served) == {SetKind.REGION: 2, SetKind.ROUTES: 5, SetKind.DENY: 1}
            assert {row.tariff for row in served.rows() if isinstance(row, Intent)} == {"demo:2"}
            assert signs_in(_console(served), "17")
            assert not signs_in(_console(served), "18")

            published.publish(
                "add", "tariff/city", write(tmp_path / "region.toml", region(3, fare_minor=3200))
            )
            published.sign("tariff", "tariff-2", "tariff-3")
            published.release()
            looked = published.run("updates", "now", "--state", served.state)
            assert looked.returncode == 0, looked.stdout
            served.said("in_force", kind="region", edition="demo:3")
            served.tap(lambda tap: tap["charge_minor"] == 3200)


def _console(served: Served) -> int:
    return int(re.findall(r"http://127.0.0.1:(\d+)", "".join(served.raw))[0])


def test_a_till_serves_by_a_sealed_roster_and_a_sealed_price_list(published: Office, tmp_path: Path) -> None:
    authority, till = Authority(tmp_path, "authority"), tmp_path / "till"
    roster = {
        "header": header("roster", 3, grades_on=YESTERDAY),
        "pupils": [pupil(ANNA, 10, buffet_minor=9_000), pupil(BORIS, 11)],
    }
    products = [{"id": "bun", "name": "Булочка", "price_minor": 3500}]
    lists = {
        "roster": write(tmp_path / "roster.json", msgspec.json.encode(roster)),
        "prices": write(
            tmp_path / "prices.json",
            msgspec.json.encode({"header": header("price_list", 4), "products": products}),
        ),
    }
    with collecting(tmp_path, authority) as url:
        tables = owners_tables(TILL, url, authority)
        tables["terminal"]["profile"] = "canteen"
        enrol(published, till, TILL, tables)
        for role, path in lists.items():
            to = ("--seal-to", TILL, *SEALED, "--region", tmp_path / "region.toml")
            published.publish("add", f"{role}/17/school-42", path, *to)
        published.release("roster.17-1", "prices.17-1")
        with serving(till, "pupil_grade3", **tables, shift={"operator": "17", "route": 0}) as served:
            served.tap()
            assert in_force(served).items() >= {SetKind.ROSTER: 3, SetKind.PRICES: 4}.items()
            at = ("--operator", "17", "--config", till / "terminal.toml")
            issued = published.run("canteen", "issue", *at, "--class", "3a", "--serving", "breakfast")
            assert issued.stdout.splitlines()[:2] == [f"{ANNA}  meal_ok", f"{BORIS}  meal_ok"], issued.stderr
            sold = published.run("canteen", "sell", ANNA, "--product", "bun", *at)
            assert sold.stdout == "meal_ok  RUB 35.00\n", sold.stderr
            meals = [row for row in served.rows() if isinstance(row, MealServed)]
            assert [(row.pupil.hex(), row.tariff) for row in meals] == [(ANNA, "demo:2"), (BORIS, "demo:2")]


def first_look(state: Path) -> None:
    """Until the look is heard that a start begins by itself: this clock stands between its steps, and of two looks
    in one of them the command that asks for the second sees nothing new.
    """
    until_s = time.monotonic() + 60.0
    while (said := read_status(state)) is None or said.bundles is None or not said.bundles.looks:
        assert time.monotonic() < until_s, "it did not look"
        time.sleep(0.05)


def test_a_source_that_is_held_back_is_an_alarm_after_7_and_after_14_days(
    published: Office, tmp_path: Path
) -> None:
    """The terminal's clock goes on by days while nothing new is published."""
    authority, bus = Authority(tmp_path, "authority"), tmp_path / "bus"
    with collecting(tmp_path, authority) as url:
        tables = owners_tables(BUS, url, authority)
        enrol(published, bus, BUS, tables)
        file = config_file(
            bus,
            **{**tables, "terminal": {"number": BUS, "profile": "bus", "state": bus / "state"}},
            reader={"name": "sim:"},
            shift={"operator": "17", "route": 15},
            laboratory={"control": SOCKET, "clock": True},
        )
        with started(bus, file) as terminal:
            first_look(bus / "state")
            for days in (0, 6, 1, 7, 1):
                terminal.say("clock", step_s=days * 86_400 + 60)
                looked = published.run("updates", "now", "--state", bus / "state")
                assert looked.returncode == 0, looked.stdout
                terminal.say("await")
        (sent,) = published.run("sync", "--config", file, "--json").stdout.splitlines()
        assert json.loads(sent)["unsent"] == 0
        token = user_of(tmp_path / "collector", "17", OfficeRole.MONEY)
        with httpx.Client(verify=ssl.create_default_context(cafile=authority.path)) as client:
            asked = {"authorization": f"Bearer {token}"}
            until_s, said = time.monotonic() + 60.0, []
            while len(said) < 2 and time.monotonic() < until_s:  # the books follow the records
                time.sleep(0.1)
                alarms = client.get(f"{url}/operator/v1/alarms", headers=asked).json()
                said = [one["detail"] for one in alarms if one["kind"] == "bundles"]
    rungs = {BundleFault.STALE: BUNDLES_WARNED_DAYS, BundleFault.LIMITED: Ages().bundles_limited_days}
    assert rungs == {BundleFault.STALE: 7, BundleFault.LIMITED: 14}, "the ladder of O-14"
    assert sorted(said) == sorted(f"bundle_fault fault={rung} days={days}" for rung, days in rungs.items())
