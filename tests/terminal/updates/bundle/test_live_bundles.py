"""Signed bundles and a running terminal: `terminal run --config` started, a repository written to, rows read back."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import httpx

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import parse_claims
from sim.image_file import load_image
from sim.lab_issuer import lab_issuer_key
from sim.phone import VirtualPhone
from terminal.app.sealed import signed_bank_ca
from terminal.app.station import journal_reader
from terminal.codes import SetKind
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import Fault, Intent, parse_record
from terminal.policy.deny_list import DenyKind
from terminal.screen.console.pins import hash_pin
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, StaffList
from terminal.sealed_box import seal_to_each
from terminal.sync.credentials import load_or_make_keys
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run
from tests.terminal.media.test_phone_live import phone_in
from tests.terminal.screen.console.cab import PIN, csrf
from tests.terminal.updates.bundle.repository import ISSUED, ROLES, Publisher
from tests.terminal.updates.published import region
from tests.terminal.updates.served import serving
from tests.terminal.updates.test_live import KEYS, MANY, activated, deny_list

DEMO: Final = {"terminal": {"region": "demo"}}
"""What is in force until something comes."""


def refuse_tariff(publisher: Publisher) -> None:
    """The next tariff lacks a signature."""
    publisher.put("tariff", "city", {"region.toml": region(4, fare_minor=100)})
    publisher.publish()
    publisher.sign_role("tariff", publisher.signers["tariff"][:1])
    publisher.sign_snapshot()
    publisher.sign_timestamp()


def test_a_signed_tariff_comes_into_force_in_a_running_terminal(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.put("tariff", "city", {"region.toml": region(2, fare_minor=3100)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    with serving(tmp_path, MANY, **DEMO, bundles={"folder": publisher.folder, "every_min": 0.01}) as served:
        served.said("in_force", kind="region", edition="demo:2")
        served.tap(lambda tap: tap["charge_minor"] == 3100)
        publisher.put("tariff", "city", {"region.toml": region(3, fare_minor=3200)})
        publisher.publish()
        served.said("in_force", kind="region", edition="demo:3")
        served.tap(lambda tap: tap["charge_minor"] == 3200)
        assert activated(served, SetKind.REGION)[-2:] == [2, 3]
        assert {row.charge_minor for row in served.rows() if isinstance(row, Intent)} >= {3100, 3200}


def test_the_process_that_serves_cards_never_imports_the_library(tmp_path: Path) -> None:
    """Python itself says what a process imports, and when: all of it until a signed tariff is in force."""
    publisher = Publisher(tmp_path / "repository")
    publisher.put("tariff", "city", {"region.toml": region(2)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    watched = {**ENVIRONMENT, "PYTHONPROFILEIMPORTTIME": "1"}
    with serving(tmp_path, MANY, watched, **DEMO, bundles={"folder": publisher.folder}) as served:
        served.said("in_force", kind="region", edition="demo:2")
        served.tap()
    imported = {line.rpartition("|")[2].strip() for line in served.raw if line.startswith("import time:")}
    assert "terminal.app.bundles" in imported, "or nothing is seen here"
    assert not {name for name in imported if name.partition(".")[0] in ("tuf", "securesystemslib")}


def test_what_is_refused_is_said_everywhere_and_what_is_in_force_goes_on(run: Run, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.put("tariff", "city", {"region.toml": region(2, fare_minor=3100)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    tables = {**DEMO, "bundles": {"folder": publisher.folder, "every_min": 600}, "metrics": {"port": 0}}
    with serving(tmp_path, MANY, **tables) as served:
        page = served.said("metrics")["port"]
        served.said("in_force", kind="region", edition="demo:2")
        refuse_tariff(publisher)
        looked = run("updates", "now", "--state", served.state)
        assert looked.returncode == 1
        assert "tariff version 3 lacks signatures that count" in looked.stdout
        assert "demo:2" in looked.stdout
        served.said("bundles", code="bundle:unsigned", role="tariff", version=3)
        found = json.loads(run("updates", "status", "--state", served.state, "--json").stdout)
        (tariff,) = (one for one in found["roles"] if one["role"] == "tariff")
        assert (tariff["name"], tariff["version"], tariff["fault"]) == ("tariff/city", 1, "bundle:unsigned")
        checks = json.loads(run("health", "--state", served.state, "--json").stdout)["checks"]
        assert checks["bundles:tariff"]["level"] == "look"
        assert checks["bundles"]["code"] == "bundles:age"
        numbers = urlopen(f"http://127.0.0.1:{page}/metrics").read().decode()
        assert 'resident_terminal_bundle_refused{role="tariff"} 1' in numbers
        assert 'resident_terminal_bundle_version{role="tariff"} 1' in numbers
        faults = [row.code for row in served.rows() if isinstance(row, Fault)]
        assert faults.count("bundle:unsigned") == 1
        served.tap(lambda tap: tap["charge_minor"] == 3100)


def test_a_terminal_that_was_only_enrolled_gets_its_documents_before_it_serves(
    run: Run, tmp_path: Path
) -> None:
    """What it took was signed two days ago, which is a note."""
    publisher = Publisher(tmp_path / "repository", issued=ISSUED - timedelta(days=2))
    publisher.put("deny", "all", {"deny-list": deny_list(tmp_path, 1)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    tables = {
        "terminal": {"profile": "bus", "state": tmp_path / "state", "number": 70001},
        "reader": {"name": "sim:adult_purse", "taps": 1},
        "shift": {"operator": "17", "route": 15},
        "bundles": {"folder": publisher.folder},
    }
    file = config_file(tmp_path, **tables)
    ended = run("run", "--config", file)
    assert ended.returncode == 18
    assert "no region document has come to this terminal yet: none is published" in ended.stderr
    publisher.put("tariff", "city", {"region.toml": region(7, fare_minor=3100)})
    publisher.publish()
    ended = run("run", "--config", file, "--json")
    assert json.loads(ended.stdout.splitlines()[0])["charge_minor"] == 3100, ended.stderr
    with journal_reader(tmp_path / "state", KEYS) as reader:
        rows = [parse_record(row.body) for row in reader.all_rows()]
    activated = {row.kind: row.version for row in rows if isinstance(row, SetActivated)}
    assert activated == {SetKind.REGION: 7, SetKind.DENY: 1}
    noted = json.loads(run("health", "--state", tmp_path / "state", "--json").stdout)["checks"]["bundles"]
    assert (noted["code"], noted["level"]) == ("bundles:old", "ok")


def test_without_a_trusted_root_staff_hear_what_to_do(run: Run, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.publish()
    with serving(tmp_path, MANY, **DEMO, bundles={"folder": publisher.folder}) as served:
        served.said("bundles", code="bundle:no_root")
        served.tap()
        checks = json.loads(run("health", "--state", served.state, "--json").stdout)["checks"]
        assert "terminal trust FILE --sha256 HEX" in checks["bundles:source1"]["says"]


def signs_in(port: int, ref: str) -> bool:
    """Whether `ref` may work at the console, by staff number and PIN."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        page = client.get("/sign-in?typed=1")
        answer = client.post("/sign-in", data={"csrf": csrf(page), "ref": ref, "pin": PIN})
        return answer.status_code == httpx.codes.SEE_OTHER


def staff_list(sealing: bytes, *refs: str) -> bytes:
    """Drivers with one PIN each, sealed to a terminal."""
    hashed = hash_pin(PIN, KEYS)
    members = [{"ref": ref, "role": "driver", "pin": hashed} for ref in refs]
    content = json.dumps({"kind": "staff", "version": 1, "members": members}).encode()
    return seal_to_each([sealing], content, b"staff/depot/staff.json")


def test_a_sealed_staff_list_lets_its_drivers_in_and_a_leaver_no_longer(run: Run, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.pin(tmp_path / "state")
    sealing = load_or_make_keys(tmp_path / "state/terminal.key").sealing.public_key().public_bytes_raw()
    StaffList(tmp_path / "state").put(Member(ref="own-9", role=Role.DRIVER, pin=hash_pin(PIN, KEYS)))
    publisher.put("staff", "depot", {"staff.json": staff_list(sealing, "17", *map(str, range(1000, 1999)))})
    publisher.publish()
    console = {"enabled": True, "port": 0, "typed_sign_in": True}
    with serving(
        tmp_path,
        MANY,
        **DEMO,
        bundles={"folder": publisher.folder, "every_min": 600},
        console=console,
    ) as served:
        served.said("tap")
        (address,) = set(re.findall(r"http://127.0.0.1:(\d+)", "".join(served.raw)))
        port = int(address)
        look = lambda: run("updates", "now", "--state", served.state).stdout  # noqa: E731
        assert "staff/depot" in look()
        assert [signs_in(port, ref) for ref in ("17", "1998", "own-9")] == [True, True, False]
        refused = run("staff", "remove", "17", "--state", served.state)
        assert "comes with signed bundles" in refused.stderr
        publisher.put("staff", "depot", {"staff.json": staff_list(sealing, "1000")})
        publisher.publish()
        assert "version 2" in look()
        assert [signs_in(port, ref) for ref in ("17", "1000")] == [False, True]
        other = load_or_make_keys(tmp_path / "other.key").sealing.public_key().public_bytes_raw()
        publisher.put("staff", "depot", {"staff.json": staff_list(other, "17")})
        publisher.publish()
        assert "staff version 3 cannot be read" in look()
        assert [signs_in(port, ref) for ref in ("17", "1000")] == [False, True], "what was opened stays"


def test_updates_now_says_at_once_when_there_is_no_stick(run: Run, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository")
    publisher.put("tariff", "city", {"region.toml": region(2)})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    stick = tmp_path / "stick"
    publisher.copy(stick)
    with serving(tmp_path, MANY, **DEMO, bundles={"stick": stick}) as served:
        served.said("in_force", kind="region", edition="demo:2")
        assert run("updates", "now", "--state", served.state).returncode == 0
        stick.rename(tmp_path / "out")
        ended = run("updates", "now", "--state", served.state)
        assert ended.returncode == 18
        assert "no stick is in, and no other source is set" in ended.stderr


def test_a_first_start_without_the_stick_names_it(run: Run, tmp_path: Path) -> None:
    Publisher(tmp_path / "repository").pin(tmp_path / "state")
    tables = {
        "terminal": {"profile": "bus", "state": tmp_path / "state", "number": 70001},
        "reader": {"name": "sim:adult_purse", "taps": 1},
        "bundles": {"stick": tmp_path / "stick"},
    }
    ended = run("run", "--config", config_file(tmp_path, **tables))
    assert ended.returncode == 18
    assert f"source not reachable (timestamp), at {tmp_path / 'stick'}" in ended.stderr


def test_updates_now_needs_a_running_terminal(run: Run, tmp_path: Path) -> None:
    ended = run("updates", "now", "--state", tmp_path)
    assert ended.returncode == 18
    assert "no terminal that takes signed bundles runs" in ended.stderr
    assert run("updates", "status", "--state", tmp_path).returncode == 1


def lab_issuers_toml(days: str = "2026-01-01T00:00:00Z") -> bytes:
    """The laboratory's issuer, believed from that moment on."""
    numbers = lab_issuer_key().public_key().public_numbers()
    listed = f'[[issuers]]\nissuer = "ru-34"\nx = "{numbers.x:064x}"\ny = "{numbers.y:064x}"\n'
    return f"{listed}not_before = {days}\nnot_after = 2099-01-01T00:00:00Z\n".encode()


def test_signed_issuers_and_ca_keys_count_from_the_next_tap_on(run: Run, tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "repository", {**ROLES, "issuers": (2, 3), "ca": (1, 1)})
    bus = b'media = ["transport_card"'
    publisher.put("tariff", "city", {"region.toml": region(2).replace(bus, bus + b', "bank_card"', 1)})
    publisher.publish("tariff")
    publisher.pin(tmp_path / "state")
    for words in (
        ("emv", "new", "bank.json", "--profile", "bank_cda"),
        ("new", "card.json", "--profile", "free_pensioner"),
        ("grant", "card.json", "--until", "2031-05-31"),
    ):
        assert run("card", *words, program="sim.cli.app").returncode == 0
    phone_in(tmp_path, "phone")
    ca = json.loads(run("card", "emv", "ca", program="sim.cli.app").stdout)
    tables = {
        "lists": {"verify_credential": "when_unseen"},
        "bundles": {"folder": publisher.folder, "every_min": 600},
        "media": {"order": ["resident", "phone", "bank"]},
        "bank": {"ca": "others.json"},
    }
    (tmp_path / "others.json").write_text(json.dumps(ca | {"ca_keys": ca["ca_keys"][-1:]}))
    with serving(tmp_path, ",".join(["card.json", "phone.json", "bank.json"] * 60), **tables) as served:
        said = {served.tap()["message"] for _ in ("card", "phone", "bank")}
        assert said == {"credential_not_trusted", "not_accepted"}, "none is trusted before they come"
        look = lambda: run("updates", "now", "--state", served.state).stdout  # noqa: E731
        publisher.put("issuers", "region", {"issuers.toml": lab_issuers_toml()})
        publisher.put("ca", "schemes", {"bank-ca.json": json.dumps(ca).encode()})
        publisher.publish()
        assert {"issuers/region", "ca/schemes"} <= set(look().split())
        for first in ("t-05:concession", "phone:answered", "t-01:bank_fare"):
            served.tap(lambda tap, first=first: tap["reasons"][:1] == [first])
        checks = json.loads(run("health", "--state", served.state, "--json").stdout)["checks"]
        listed = {"keys": len(ca["ca_keys"]), "revoked": len(ca["revoked"]), "environment": "laboratory"}
        assert checks["bank_ca"]["inputs"] == listed
        publisher.put("issuers", "region", {"issuers.toml": b"[[issuers]]\n"})
        publisher.put("ca", "schemes", {"bank-ca.json": b"{}"})
        publisher.publish()
        refused = look()
        assert "issuers version 2 cannot be read" in refused
        assert "ca version 2 cannot be read" in refused
        served.tap(lambda tap: tap["message"] != "credential_not_trusted")
        kept = signed_bank_ca(served.state)
        assert kept is not None, "what could not be read took nothing away"
        assert len(kept.trust.keys) == len(ca["ca_keys"])
        publisher.put("issuers", "region", {"issuers.toml": lab_issuers_toml("2098-01-01T00:00:00Z")})
        publisher.publish()
        look()
        served.tap(lambda tap: tap["message"] == "credential_not_trusted")
        said = {served.tap()["message"] for _ in ("card", "phone", "bank")}
        assert said - {"ok_paid", "already_paid"} == {"credential_not_trusted"}


def test_k_01_one_medium_is_active_from_card_to_phone_to_the_next_phone(run: Run, tmp_path: Path) -> None:
    """Each switch ends the other medium within one update, by what the issuer lists; nothing else is refused."""
    publisher = Publisher(tmp_path / "repository", {**ROLES, "issuers": (2, 3)})
    publisher.put("tariff", "city", {"region.toml": region(2)})
    publisher.put("issuers", "region", {"issuers.toml": lab_issuers_toml()})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    assert (
        run("card", "new", "card.json", "--profile", "free_pensioner", program="sim.cli.app").returncode == 0
    )
    lost = load_image(phone_in(tmp_path, "lost"), os.urandom)
    phone_in(tmp_path, "next")
    assert isinstance(lost, VirtualPhone)
    tables = {
        "bundles": {"folder": publisher.folder, "every_min": 600},
        "media": {"order": ["resident", "phone"]},
    }
    media = ("card", "lost", "next")
    listed: list[tuple[DenyKind, bytes]] = []
    with serving(tmp_path, ",".join([f"{name}.json" for name in media] * 60), **tables) as served:
        first = [served.tap() for _ in media]
        assert [tap["admission"] for tap in first] == ["let_in"] * 3
        names = {tap["card_ref"]: name for tap, name in zip(first, media, strict=True)}

        def active(version: int, ended: str) -> set[str]:
            """What still rides, when `ended` was met by the list of that version."""
            publisher.put("deny", "all", {"deny-list": deny_list(tmp_path, version, listed)})
            publisher.publish()
            run("updates", "now", "--state", served.state)
            served.tap(lambda tap: names[tap["card_ref"]] == ended and tap["message"] == "medium_inactive")
            taps = [served.tap() for _ in media]
            assert {tap["message"] for tap in taps if tap["admission"] != "let_in"} == {"medium_inactive"}
            return {names[tap["card_ref"]] for tap in taps if tap["admission"] == "let_in"}

        card = next(reference for reference, name in names.items() if name == "card")
        listed.append((DenyKind.MEDIUM, bytes.fromhex(card)))
        assert active(1, "card") == {"lost", "next"}, "the concession moved to the phone"
        payload = parse_sign1(lost.memory.credential).payload
        assert payload is not None
        listed.append((DenyKind.MEDIUM, parse_claims(payload).id))
        assert active(2, "lost") == {"next"}, "and from a lost one to a new one"
