"""A resident's phone at `terminal run`, tapped or shown to a scanner: it rides by what an issuer signed, and the
terminal keeps what a phone cannot.
"""

from __future__ import annotations

import copy
import json
import os
import select
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from cardproto.credential.code import code_text
from cardproto.credential.grant import Credential, GrantedCategory, build_credential
from sim.image_file import load_image, save_card
from sim.lab_issuer import issuer_name, lab_issuer_key, lab_issuers
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner
from sim.phone import VirtualPhone
from terminal.app.simulated import issue_residents, laboratory_keys
from terminal.app.station import open_journal
from terminal.clock import from_unix_ms
from terminal.collector.phones import PhoneWord, word_of
from terminal.decision.phone_record import shown_in
from terminal.journal.records import Intent
from terminal.keys.file import load_file_keys
from terminal.operations.archive import read_archive
from terminal.periphery.scanner import BURST, EVERY_S
from terminal.screen.console.roles import Role
from tests.by_hand import BY_HAND, ENVIRONMENT, PATIENCE_S, SOCKET, TerminalByHand, started
from tests.config_file import config_file
from tests.flows.live import STATE as LIVE_STATE
from tests.flows.live import TAPS, live_terminal
from tests.flows.live import run as live_run
from tests.terminal.cli.conftest import Run, command

TODAY = date(2026, 9, 15)
NOW = datetime(2026, 9, 15, 5, tzinfo=UTC)
RETAP_S = 60
HALF_PRICE = """
description = { ru = "Телефон студента", en = "Student's phone" }
card = { kind = "phone" }
concessions = [{ code = 2, valid_from = "-60d", valid_to = "+300d" }]
"""


CODES: Mapping[str, Mapping[str, object]] = {
    "media": {"order": ["resident", "phone"], "codes": True},
    "periphery.scanner": {"serial": "codes"},
}


def settings(folder: Path, **more: Mapping[str, object]) -> Path:
    """The configuration of a bus that takes phones."""
    bus: dict[str, Mapping[str, object]] = {
        "terminal": {"number": 70001, "profile": "bus", "state": "state", "region": "demo"},
        "reader": {"name": "sim:"},
        "media": {"order": ["resident", "phone"]},
        "shift": {"operator": "17", "route": 15},
        "laboratory": BY_HAND,
    }
    return config_file(folder, **(bus | more))


def half_price(folder: Path) -> Path:
    """A profile of a student's phone."""
    path = folder / "half_price.toml"
    path.write_text(HALF_PRICE, "utf-8")
    return path


def phone_in(
    folder: Path,
    name: str,
    profile: str = "phone_pensioner",
    region: int = 34,
    change: Callable[[VirtualPhone], None] | None = None,
) -> Path:
    """A new phone's file."""
    (card,) = issue_residents([profile], region, TODAY)
    assert isinstance(card, VirtualPhone)
    if change is not None:
        change(card)
    save_card(card, folder / f"{name}.json")
    return folder / f"{name}.json"


def said(tap: dict[str, Any]) -> tuple[str, str, str]:
    return tap["message"], tap["admission"], tap["end"]


RIDES = ("ok_benefit_unlimited", "let_in", "committed")
REFUSED = ("refused", "nothing_written")


def test_it_rides_and_its_state_survives_a_power_cut(tmp_path: Path) -> None:
    bus, config = tmp_path, settings(tmp_path)
    phone = phone_in(bus, "pensioner")
    with started(bus, config) as terminal:
        first = terminal.tap(phone)
        assert said(first) == RIDES
        assert first["reasons"][0] == "phone:answered"
        assert first["exchanges"] <= 4, "one selection of the resident application, then three"
        assert said(terminal.tap(phone)) == ("already_paid", "let_in", "nothing_written")
        terminal.process.kill()
        terminal.process.wait(20)
    with started(bus, config) as terminal:
        assert said(terminal.tap(phone)) == ("already_paid", "let_in", "nothing_written")
        terminal.say("clock", step_s=RETAP_S + 1)
        again = terminal.tap(phone)
        assert said(again) == RIDES
        assert again["card_ref"] == first["card_ref"], "another UID each time, and the same phone"
        others_are_refused(bus, terminal)


def others_are_refused(bus: Path, terminal: TerminalByHand) -> None:
    genuine = load_image(bus / "pensioner.json", os.urandom)
    assert isinstance(genuine, VirtualPhone)

    def copy(phone: VirtualPhone) -> None:
        phone.memory = replace(phone.memory, credential=genuine.memory.credential)

    def empty(phone: VirtualPhone) -> None:
        phone.memory = replace(phone.memory, credential=b"")

    save_card(genuine, bus / "clone.json")
    clone = terminal.tap(bus / "clone.json")
    assert said(clone) == ("already_paid", "let_in", "nothing_written"), "one reference, one state"
    expected = {
        phone_in(bus, "locked", change=VirtualPhone.lock): "unlock_phone",
        phone_in(bus, "copied", change=copy): "credential_not_trusted",
        phone_in(bus, "elsewhere", region=2): "credential_not_trusted",
        phone_in(bus, "empty", change=empty): "unknown_card",
        phone_in(bus, "student", str(half_price(bus))): "no_right_in_phone",
    }
    for phone, message in expected.items():
        assert said(terminal.tap(phone)) == (message, *REFUSED), phone.name
    (card,) = issue_residents(["free_pensioner"], 34, TODAY)
    save_card(card, bus / "card.json")  # type: ignore[arg-type]
    tap = terminal.tap(bus / "card.json")
    assert tap["message"] == "ok_benefit_unlimited"
    assert tap["exchanges"] <= 7, "no exchange is spent on phones where a resident card answers"


class Scanned:
    """A bus whose scanner a test holds codes before. Each answer is the line that `terminal run --json` prints."""

    def __init__(self, folder: Path, **more: Mapping[str, object]) -> None:
        self._scans = 0
        self.scanner = SimScanner(PseudoTerminal(folder / "codes"))
        words = ("run", "--config", settings(folder, **CODES, **more), "--json")
        self._process = subprocess.Popen(
            command(words),
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.hand = TerminalByHand(self._process, folder / SOCKET)

    def scan(self, text: str) -> tuple[str, str, str]:
        """At the pace of people: a scanner that reads more is slowed down."""
        self._scans += 1
        if self._scans > BURST:
            time.sleep(EVERY_S)
        self.scanner.scan(text.encode("latin-1"))
        return self.heard()

    def heard(self) -> tuple[str, str, str]:
        """The end of the next tap."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE_S)[0], "no answer to a tap"
        return said(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self.hand.close()
        self._process.terminate()
        self._process.communicate(timeout=20)
        self.scanner.close()


OTHERS = {
    "https://qr.nspk.ru/AS10": "code_of_bank",
    "#UT010080": "code_of_rail",
    "HC1:6BF": "code_of_health",
    "https://example.org/": "code_is_link",
    "\x00\xff": "code_of_others",
}


def test_a_code_rides_once_and_strangers_codes_leave_no_row(run: Run, tmp_path: Path) -> None:
    phone = load_image(phone_in(tmp_path, "pensioner"), os.urandom)
    student = load_image(phone_in(tmp_path, "student", str(half_price(tmp_path))), os.urandom)
    assert isinstance(phone, VirtualPhone)
    assert isinstance(student, VirtualPhone)

    def rows() -> int:
        return len(run("journal", "show", "--state", "state").stdout.splitlines())

    with closing(Scanned(tmp_path)) as bus:
        first, clone = phone.code(NOW), copy.deepcopy(phone)
        clone.memory = replace(clone.memory, counter=0)
        assert bus.scan(first) == RIDES
        assert bus.scan(phone.code(NOW)) == ("already_paid", "let_in", "nothing_written")
        assert bus.scan(first) == ("code_used", *REFUSED), "a picture of it"
        assert bus.scan(student.code(NOW)) == ("no_right_in_phone", *REFUSED)
        assert bus.scan(clone.code(NOW)) == ("code_used", *REFUSED), "key and storage copied: no ride more"
        before = rows()
        assert bus.scan(phone.code(NOW - timedelta(seconds=31))) == ("code_too_old", *REFUSED)
        assert bus.scan(phone.code(NOW + timedelta(seconds=31))) == ("code_ahead", *REFUSED)
        for text in (code_text(phone.memory.credential), "RC1:" + "A" * 900):
            assert bus.scan(text) == ("credential_not_trusted", *REFUSED)
        for text, says in OTHERS.items():
            assert bus.scan(text) == (says, *REFUSED)
        assert rows() == before, "anything may be held before a scanner, for hours"
        bus.hand.say("clock", step_s=RETAP_S + 1)
        assert bus.scan(phone.code(NOW + timedelta(seconds=RETAP_S + 1))) == RIDES


def test_what_is_kept_of_phones_is_copied_forgotten_and_put_aside(run: Run, tmp_path: Path) -> None:
    config, phone, other = settings(tmp_path), phone_in(tmp_path, "pensioner"), phone_in(tmp_path, "other")
    held = tmp_path / "state" / "held.db"

    def references(*statements: str) -> int:
        with closing(sqlite3.connect(held, isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)
            return int(database.execute("SELECT count(*) FROM held").fetchone()[0])

    with started(tmp_path, config) as terminal:
        assert said(terminal.tap(phone)) == RIDES
        references("CREATE TRIGGER full BEFORE INSERT ON held BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        assert said(terminal.tap(other)) == ("read_again", "refused", "not_committed")
        assert references("DROP TRIGGER full") == 1
        assert said(terminal.tap(other)) == RIDES
        assert (
            references("INSERT INTO held SELECT x'00', at_ms - 63 * 86400000, event, 0 FROM held LIMIT 1")
            == 3
        )
        run("backup", "copy.backup", "--config", config)
    read_archive(tmp_path / "copy.backup", tmp_path / "copy", load_file_keys(laboratory_keys()).sealer)
    with closing(sqlite3.connect(tmp_path / "copy" / "held.db")) as copied:
        assert copied.execute("SELECT count(*) FROM held").fetchone() == (3,), "made while it ran"
    with started(tmp_path, config) as terminal:
        assert said(terminal.tap(phone)) == ("already_paid", "let_in", "nothing_written")
        assert references() == 2, "older than any rule asks for"
    for rest in ("-wal", "-shm"):
        held.with_name(f"held.db{rest}").unlink(missing_ok=True)
    held.write_bytes(b"not a database" * 999)
    with started(tmp_path, config) as terminal:
        assert said(terminal.tap(phone)) == RIDES, "limits begin anew"
    assert "held:began_anew" in run("journal", "show", "--state", "state", "--json").stdout
    assert held.with_suffix(".damaged").exists()


def test_an_inspector_asks_a_phone_and_its_code_and_uses_up_neither(tmp_path: Path) -> None:
    region = str(region_with_paper(tmp_path))
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"number": 70001, "profile": "bus", "region": region},
        "shift": {"operator": "17", "route": 15},
        "console": {"enabled": True, "port": 0, "typed_sign_in": True},
        **CODES,
    }
    with closing(SimScanner(PseudoTerminal(tmp_path / "codes"))) as scanner:
        paid, unpaid = phone_in(tmp_path, "paid"), phone_in(tmp_path, "unpaid")
        phone = load_image(paid, os.urandom)
        assert isinstance(phone, VirtualPhone)
        with live_terminal(tmp_path, **tables) as bus:

            def asked(text: str) -> str:
                """What is said of a code."""
                head = bus.head()
                scanner.scan(text.encode())
                while not any(row["kind"] in TAPS for row in bus.rows(head)):
                    time.sleep(0.05)
                return str(bus.rows(head)[-1]["message"])

            assert bus.tap(paid.name)["message"] == "ok_benefit_unlimited"
            bus.sign_in(Role.INSPECTOR)
            bus.act("/inspection", "/inspection/start", route=15, direction=0)
            assert bus.tap(paid.name)["message"] == "inspection_paid"
            assert bus.tap(unpaid.name)["message"] == "inspection_unpaid"
            text, other = (phone.code(from_unix_ms(bus.rows()[-1]["at_ms"])) for _ in range(2))
            assert [asked(one) for one in (text, other, text)] == ["inspection_paid"] * 3
            assert bus.console is not None
            assert "Оплачено" in bus.console.get("/inspection").text
            assert asked(on_paper(1)) == "inspection_unpaid", (
                "paper is asked about without a word, and has not ridden"
            )
            assert "Оплаты нет" in bus.console.get("/inspection").text
            assert 'action="/next/printed"' not in bus.console.get("/inspection").text


def region_where_pensioners(folder: Path, more: str) -> Path:
    """The demonstration's document with `more` in pensioners' concession."""
    demo = (files("terminal.policy") / "regions" / "demo.toml").read_text("utf-8")
    pensioner = 'name = "pensioner, free"\n'
    assert demo.count(pensioner) == 1
    path = folder / "region.toml"
    path.write_text(demo.replace(pensioner, f"{pensioner}{more}\n"), "utf-8")
    return path


def region_with_paper(folder: Path) -> Path:
    """Where they may show a code on paper."""
    return region_where_pensioners(folder, "printed = true")


def on_paper(code: int, pseudonym: bytes = b"resident") -> str:
    """What an issuer prints for a resident without a phone."""
    begins = datetime(2026, 9, 1, tzinfo=UTC)
    grants = (GrantedCategory(code, date(2026, 12, 31)),)
    credential = Credential(
        issuer_name(34), begins, begins + timedelta(days=90), os.urandom(8), pseudonym, grants
    )
    return code_text(build_credential(credential, lab_issuer_key()))


def test_a_printed_code_rides_when_the_crew_has_seen_whose_it_is(tmp_path: Path) -> None:
    tables: dict[str, Mapping[str, object]] = {
        "terminal": {"number": 70001, "profile": "bus", "region": str(region_with_paper(tmp_path))},
        "shift": {"operator": "17", "route": 15},
        "console": {"enabled": True, "port": 0, "typed_sign_in": True},
        **CODES,
    }
    paper, students = on_paper(1), on_paper(2)
    with (
        closing(SimScanner(PseudoTerminal(tmp_path / "codes"))) as scanner,
        live_terminal(tmp_path, **tables) as bus,
    ):
        bus.sign_in(Role.DRIVER)

        def waits(*texts: str) -> str:
            """What the crew see when the last of them is read."""
            assert bus.console is not None
            for text in texts:
                scanner.scan(text.encode())
            while 'action="/next/printed"' not in (page := bus.console.get("/printed").text):
                time.sleep(0.05)
            return page

        def ride() -> dict[str, Any]:
            head = bus.head()
            bus.act("/printed", "/next/printed")
            while not (taps := [row for row in bus.rows(head) if row["kind"] in TAPS]):
                time.sleep(0.05)
            return taps[0]

        before = bus.head()
        page = waits(students, paper)
        assert "pensioner, free" in page
        assert "student" not in page, "the document allows none of its concessions on paper"
        assert bus.head() == before, "what was not checked leaves no row"
        assert bus.console is not None
        assert 'href="/printed"' in bus.console.get("/shift").text
        first = ride()
        assert first["message"] == "ok_benefit_unlimited"
        assert "phone:printed_checked" in json.dumps(first["reasons"])
        bus.hand.say("clock", step_s=RETAP_S + 1)
        waits(on_paper(1))
        again = ride()
        assert again["card_ref"] == first["card_ref"], "another print of it is the same resident's"
        assert 'action="/next/printed"' not in bus.console.get("/printed").text, "each ride is checked anew"
    decided = json.loads(live_run(tmp_path, "journal", "recompute", "--json"))
    assert (decided["differ"], decided["not_possible"]) == (0, 0)
    with open_journal(tmp_path / LIVE_STATE, 70001) as journal:
        rides = [(row.sequence, one) for row in journal.rows() if isinstance(one := row.record, Intent)]
    words = [paper_word(sequence, ride, b"") for sequence, ride in rides]
    assert [word.why for word in words] == ["", ""]
    assert len({word.showing for word in words if word.showing}) == 2, "paper may ride twice"
    assert len({word.of_day for word in words}) == 1
    copied = load_image(phone_in(tmp_path, "copied"), os.urandom)
    assert isinstance(copied, VirtualPhone)
    assert paper_word(*rides[0], copied.memory.credential).why == "malformed", "a phone's is none"


def paper_word(sequence: int, ride: Intent, other: bytes) -> PhoneWord:
    """What a collector believes of a printed code's row, or of one with another credential."""
    record = shown_in(ride.proof)
    assert record is not None
    record = msgspec.structs.replace(record, credential=other or record.credential)
    return word_of((70001, sequence), ride.at_ms, record, lab_issuers(34))
