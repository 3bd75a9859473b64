"""After a day at a school and in a bus: no name, card number or key anywhere it may be read later.

Real processes with known names, cards and keys; then everything they wrote or showed is searched, in every form in
which somebody might have written a secret down by mistake: logs, journals as bytes and as records, pages, metrics,
reports, exports, backups, recordings, trace-backs, core dumps. `tests/flows/leaks.py` is the search; it is tested, too.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cardproto.connection import CardConnection
from cardproto.errors import ReaderGone
from cardproto.resident.records.rights import parse_rights
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, tear_after, tear_before
from sim.image_file import save_card
from sim.lab_keys import load_lab_keys
from terminal.app.collector import collector_process, enrol, trust
from terminal.app.simulated import issue_residents, laboratory_keys
from terminal.app.station import journal_key, journal_reader, open_journal
from terminal.cli.app import main
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.journal.records import Fault, parse_record
from terminal.keys.file import load_file_keys
from terminal.lab.world import laboratory_deny_list, rights_on
from terminal.policy.load import load_region
from terminal.tap import take_tap
from tests.config_file import config_file
from tests.flows.conftest import COUNTER_A, FRONT, OpenTown
from tests.flows.leaks import Secret, laboratory_secrets, leaks, leaks_in_files, secret_bytes, secret_text
from tests.terminal.cli.conftest import ENVIRONMENT, command

pytestmark = pytest.mark.fresh  # memory is looked at, and what has been imported lies in it

NOW = datetime.now(UTC)  # noqa: TID251 the processes read the machine's clock, too
TODAY = NOW.astimezone(ZoneInfo("Europe/Volgograd")).date()
NAMES = ("Перепёлкина Златоуста Вячеславовна", "Щегловитов Ярополк", "Zhemchugova-Ilyina Anfisa")
PUPILS = ("pupil_grade3", "pupil_two_meals", "pupil_large_family")
RIDERS = ("adult_purse", "adult_purse_random_uid", "deny_listed", "blocked", "student_half_price")
BUS, CANTEEN = 71, 81
REGION_NUMBER = 34

PRIVATE = re.compile(rb"-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----", re.DOTALL)
GIVEN = {"cards", "roster.json", "registry.json", "keys.toml"}
"""What the day begins with and no terminal wrote: cards, the school's list, the issuing point's registry, keys."""
KEYS_OF_THEIR_OWN = {"terminal.key", "collector.key"}
"""The files a private key is for."""


@dataclass
class Day:
    """A folder with everything processes wrote, what they showed, and what must not be in any of it."""

    folder: Path
    shown: dict[str, bytes] = field(default_factory=dict)
    names: list[Secret] = field(default_factory=list)
    uids: list[Secret] = field(default_factory=list)
    keys: list[Secret] = field(default_factory=list)
    residents: list[Secret] = field(default_factory=list)
    """What cards call their holders: nowhere in the clear but in the proofs of sealed journals."""
    images: dict[str, bytes] = field(default_factory=dict)
    """Memory of running processes."""

    @property
    def state(self) -> dict[str, Path]:
        return {"bus": self.folder / "bus", "canteen": self.folder / "canteen"}

    def serve(self, name: str, *arguments: object) -> None:
        """`terminal run …` as a process, to its end; what it said is kept to be searched."""
        done = subprocess.run(
            command(("run", *arguments)), cwd=self.folder, env=ENVIRONMENT, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        self.shown[name] = done.stdout + done.stderr

    def run(self, name: str, *arguments: object, code: int | None = 0) -> None:
        """Any other command, in this process; what it printed is kept to be searched. `code` None: however it ends."""
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        words = ["terminal", *map(str, arguments)]
        ended: object = None
        with redirect_stdout(out), redirect_stderr(out), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words)
            try:
                main()
            except SystemExit as end:
                ended = end.code
        assert isinstance(out.buffer, io.BytesIO)
        self.shown[name] = out.buffer.getvalue()
        assert code is None or ended == code, self.shown[name].decode()

    def fetch(self, url: str) -> None:
        with urllib.request.urlopen(url) as page:
            self.shown[f"GET {url}"] = page.read()

    @property
    def secrets(self) -> list[Secret]:
        return [*self.names, *self.uids, *self.keys]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    made = Day(tmp_path_factory.mktemp("day"))
    _prepare(made)
    with ExitStack() as stack:
        _live(made, stack)
    _look_back(made)
    return made


def _prepare(day: Day) -> None:
    """Cards in files, a roster with names, the registry with card numbers; and all of it as secrets."""
    (day.folder / "cards").mkdir()
    region, masters, keys = load_region("demo"), load_lab_keys(), load_file_keys(laboratory_keys())
    rng = random.Random(5)
    cards = dict(
        zip(
            (*PUPILS, *RIDERS),
            issue_residents((*PUPILS, *RIDERS), region.header.region, TODAY, rng=rng.randbytes),
            strict=True,
        )
    )
    day.names = [secret_text(f"name {number}", name) for number, name in enumerate(NAMES)]
    day.names += [secret_text(f"surname {number}", name.split()[0]) for number, name in enumerate(NAMES)]
    pupils, registered = [], []
    for who, card in cards.items():
        assert isinstance(card, VirtualCard)
        save_card(card, day.folder / "cards" / f"{who}.json")
        own = masters.for_card(card.uid, REGION_NUMBER)
        day.uids.append(secret_bytes(f"UID of {who}", card.uid))
        for name in ("validate", "inspect", "reload", "order", "roll", "transaction_mac"):
            day.keys.append(secret_bytes(f"{name} key of {who}", getattr(own, name)))
        if who in PUPILS:
            pupils.append((keys.token("school", _resident(card)), NAMES[len(pupils)]))
        token = keys.token("transport", _resident(card))
        registered.append(RegisteredCard(token, card.uid, own.transaction_mac))
        day.residents.append(secret_bytes(f"pseudonym on the card of {who}", _resident(card)))
    day.keys += laboratory_secrets()
    (day.folder / "roster.json").write_bytes(msgspec.json.encode(_roster(pupils)))
    write_registry(day.folder / "registry.json", registered)
    laboratory_deny_list(day.folder / "deny-list", keys)


def _resident(card: VirtualCard) -> bytes:
    return parse_rights(rights_on(card)).pseudonym


def _roster(pupils: list[tuple[bytes, str]]) -> dict[str, Any]:
    header = {"kind": "roster", "schema": 1, "school": "school_12", "region": REGION_NUMBER, "sequence": 1}
    header |= {"issued_at": NOW - timedelta(hours=1), "grades_on": TODAY - timedelta(days=1)}
    header |= {"valid_from": NOW - timedelta(days=1), "valid_to": NOW + timedelta(days=200)}
    return {
        "header": header,
        "pupils": [
            {"ref": ref.hex(), "name": name, "class_id": "3a", "grade": 3, "shift": 1, "hot_minor": 90_000}
            for ref, name in pupils
        ],
    }


def _live(day: Day, stack: ExitStack) -> None:
    """The day itself: a collector, a canteen with its commands, a bus, and a look into each while it runs."""
    back = day.folder / "back"
    for name, number in (("bus", BUS), ("canteen", CANTEEN)):
        day.state[name].mkdir()
        enrol(day.state[name], number, back)
    address = stack.enter_context(collector_process(back, day.folder / "registry.json"))
    for state in day.state.values():
        trust(state, back)
    _serve(day, "canteen", CANTEEN, PUPILS, address, {"canteen": {"serving": "by_shift"}})
    _serve(day, "bus", BUS, RIDERS, address, {"lists": {"deny": day.folder / "deny-list"}})
    for path in (
        "/metrics",
        "/operator/",
        "/operator/v1/status",
        "/operator/v1/report",
        "/operator/v1/terminals",
    ):
        day.fetch(address + path)
    for path in ("/operator/v1/alarms", "/openapi.json", "/v1/health"):
        day.fetch(address + path)
    for word in ("status", "terminals", "alarms", "report"):
        day.run(f"collector {word}", "collector", word, "--folder", back)


def _serve(
    day: Day,
    profile: str,
    number: int,
    who: tuple[str, ...],
    address: str,
    more: Mapping[str, Mapping[str, object]],
) -> None:
    """`terminal run` over these cards, twice each, then on an empty reader for a look into the living process."""
    state = ("--state", day.state[profile], "--number", number)
    own = {
        "terminal": {"profile": profile, "state": day.state[profile], "number": number},
        "collector": {"url": address},
        "log": {"format": "json", "level": "debug"},
        **more,
    }
    cards = ",".join([*(str(day.folder / "cards" / f"{name}.json") for name in who), "not_desfire"])
    if profile == "canteen":
        day.run("roster load", "canteen", "roster", "load", day.folder / "roster.json", *state)
    shift: dict[str, object] = {"operator": "staff-9"} | ({"route": 15} if profile == "bus" else {})
    served = config_file(
        day.folder / f"{profile}.serving",
        reader={"name": f"sim:{cards}", "taps": 2 * len(who) + 2},
        shift=shift,
        recording={"file": day.folder / f"{profile}.transcript"},
        **own,
    )
    day.serve(f"{profile} serving", "--config", served)
    waiting = config_file(
        day.folder / f"{profile}.waiting", reader={"name": "sim:"}, metrics={"port": 0}, **own
    )
    process = subprocess.Popen(
        command(("run", "--config", waiting, "--json")),
        cwd=day.folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    try:
        for line in process.stderr:
            said += line
            told = json.loads(line)
            if told["event"] == "metrics":
                day.fetch(told["says"])
            if told["event"] == "ready":
                break
        day.run(f"{profile} health, running", "health", "--state", day.state[profile], code=0)
        if profile == "canteen":
            day.run("canteen report, running", "canteen", "report", "--state", day.state[profile])
        day.images[profile] = memory_of(process.pid)
    finally:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate(timeout=60)
    day.shown[f"{profile}, shot"] = out + said + err


def _look_back(day: Day) -> None:
    """Every report and export there is, of both terminals, at rest."""
    for name in ("bus", "canteen"):
        state = ("--state", day.state[name])
        day.run(f"{name} journal show", "journal", "show", "--json", *state)
        day.run(f"{name} journal show, text", "journal", "show", *state)
        day.run(f"{name} journal verify", "journal", "verify", *state)
        day.run(f"{name} journal status", "journal", "status", *state)
        day.run(f"{name} health", "health", *state, code=2)
        day.run(f"{name} backup", "backup", day.folder / f"{name}.backup", *state)
        day.run(
            f"{name} recompute", "journal", "recompute", *state, code=None
        )  # school meals need the roster
    bus = ("--state", day.state["bus"])
    day.run("export csv", "export", "csv", "day", *bus, "--out", day.folder / "bus.csv")
    day.run("export tides", "export", "tides", *bus, "--out", day.folder / "tides")
    canteen = ("--state", day.state["canteen"])
    for words in (("report",), ("month",), ("roster", "show", "--number", CANTEEN)):
        day.run(f"canteen {words[0]}", "canteen", *words, *canteen)
    broken = json.loads((day.folder / "roster.json").read_text())
    broken["pupils"][0]["grade"] = NAMES[1]
    (day.folder / "cards" / "broken.json").write_text(json.dumps(broken, ensure_ascii=False))
    day.run("a broken roster", "canteen", "roster", "check", day.folder / "cards" / "broken.json", code=13)


def memory_of(process: int) -> bytes:
    """Everything a process has in its writable memory, as a core dump would; empty where the kernel refuses."""
    image = bytearray()
    try:
        with Path(f"/proc/{process}/mem").open("rb", 0) as memory:
            for line in Path(f"/proc/{process}/maps").read_text().splitlines():
                first, last, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
                if rights.startswith("rw"):
                    memory.seek(int(first, 16))
                    try:
                        image += memory.read(int(last, 16) - int(first, 16))
                    except OSError:
                        continue  # pages of the kernel's own
    except PermissionError:
        return b""
    return bytes(image)


# What was written and shown


def test_the_day_was_a_real_one(day: Day) -> None:
    """Otherwise nothing below would mean anything."""
    bus, canteen = day.shown["bus serving"].decode(), day.shown["canteen serving"].decode()
    for outcome in ("ok_paid", "deny_list", "blocked", "ok_benefit", "already_paid"):
        assert f'"message":"{outcome}"' in bus, outcome
    assert '"event":"sync"' in bus + day.shown["bus, shot"].decode()
    assert '"event":"tap"' in canteen
    assert b"resident_terminal_taps_total" in next(
        page for url, page in day.shown.items() if url.endswith("metrics")
    )
    with journal_reader(day.state["bus"]) as reader:
        assert len(list(reader.all_rows())) >= 16
    assert len(day.secrets) >= 60


def test_nothing_shown_holds_a_secret(day: Day) -> None:
    """Logs, metrics, pages, reports, exports, answers to mistakes, last words."""
    found = [line for where, data in day.shown.items() for line in leaks(day.secrets, data, where)]
    assert not found


def test_no_file_holds_a_secret(day: Day) -> None:
    """Journals with their logs, rosters, backups, recordings, the collector's database and books, as bytes."""
    found = leaks_in_files(day.secrets, day.folder, _given(day))
    assert not found


def _given(day: Day) -> set[str]:
    return GIVEN | KEYS_OF_THEIR_OWN | {path.name for path in (day.folder / "cards").iterdir()}


def test_private_keys_are_in_their_own_files_only_and_for_their_owner_only(day: Day) -> None:
    for name in KEYS_OF_THEIR_OWN:
        for path in day.folder.rglob(name):
            assert path.stat().st_mode & 0o077 == 0, path
            content = path.read_bytes()
            if name.endswith(".key"):
                secrets = [_raw(load_pem_private_key(block, None)) for block in PRIVATE.findall(content)]
                assert secrets, path
            else:
                secrets = [content.strip()]
            named = [secret_bytes(f"{path.parent.name}/{name}", secret) for secret in secrets]
            assert not leaks_in_files(named, day.folder, {name})
            assert not [line for where, data in day.shown.items() for line in leaks(named, data, where)]


def _raw(key: object) -> bytes:
    """The secret number of a key, as bytes."""
    if isinstance(key, EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes(32, "big")
    assert isinstance(key, Ed25519PrivateKey | X25519PrivateKey)
    return key.private_bytes_raw()


def test_no_record_of_a_journal_holds_a_secret(day: Day) -> None:
    """Opened and decoded: with the journal's key a thief reads no more than pseudonyms."""
    for state in day.state.values():
        with journal_reader(state) as reader:
            rows = list(reader.all_rows())
        for row in rows:
            for form in (row.body, msgspec.json.encode(row.record), repr(row.record).encode()):
                assert not leaks(day.secrets, form, f"row {row.sequence} of {state.name}")


def test_what_cards_call_their_holders_is_only_in_sealed_proofs(day: Day) -> None:
    """The transaction MAC covers what was read, so the rights are in the proof; at rest and in logs they are not."""
    shown = [line for where, data in day.shown.items() for line in leaks(day.residents, data, where)]
    assert not shown
    for state in day.state.values():
        assert not leaks_in_files(day.residents, state)
    for path in day.folder.glob("*.backup"):
        assert not leaks(day.residents, path.read_bytes(), path.name)


def test_no_core_of_a_terminal_exists(day: Day) -> None:
    """Each was shot with SIGABRT while it ran. `tests/terminal/operations/test_memory.py` has the control."""
    assert not list(day.folder.rglob("core*"))
    assert not [
        path for path in day.folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"
    ]


def test_what_a_core_would_hold(day: Day) -> None:
    """Why there must be none: the file provider's keys are in the memory of a terminal, and a canteen's names.

    Who is not root is refused that memory, since the process is not dumpable. A bus knows no names at all.
    """
    if os.geteuid() != 0:
        assert day.images == {"bus": b"", "canteen": b""}
        return

    def in_memory(secrets: list[Secret], form: str, of: str) -> set[str]:
        return {secret.name for secret in secrets if secret.forms[form] in day.images[of]}

    assert "purposes.transport" in in_memory(day.keys, "raw", "bus"), "this is why no dump may be written"
    assert in_memory(day.names, "UTF-8", "canteen") | in_memory(day.names, "UTF-16", "canteen")
    assert not in_memory(day.names, "UTF-8", "bus") | in_memory(day.names, "UTF-16", "bus")
    elsewhere = [secret for secret in day.uids if not secret.name.endswith(PUPILS)]
    assert not in_memory(elsewhere, "raw", "canteen"), "a card that was never here"


# Trace-backs


class _Breaks:
    """A card whose n-th exchange ends in a mistake of ours, which nobody catches."""

    def __init__(self, connection: CardConnection, exchange: int) -> None:
        self._connection, self._left = connection, exchange

    def transmit(self, command: bytes) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("a mistake of ours")
        return self._connection.transmit(command)


@pytest.mark.parametrize("number", [FRONT.number, COUNTER_A.number], ids=["bus", "canteen"])
def test_a_trace_back_with_all_its_locals_shows_no_key_and_no_name(town_of: OpenTown, number: int) -> None:
    """At every exchange. What the product prints has no locals at all; a debugger's report may have them."""
    keys = laboratory_secrets()
    with town_of("adult_purse", "pupil_grade3", stops=(FRONT, COUNTER_A)) as town:
        card = town.cards["adult_purse" if number == FRONT.number else "pupil_grade3"]
        assert isinstance(card, VirtualCard)
        own = load_lab_keys().for_card(card.uid, REGION_NUMBER)
        keys += [
            secret_bytes(f"{name} key", getattr(own, name))
            for name in ("validate", "inspect", "reload", "order", "roll")
        ]
        broken = 0
        for exchange in range(9):
            card.power_on()
            try:
                take_tap(_Breaks(card, exchange), town.terminals[number])
            except RuntimeError as error:
                broken += 1
                # Without this test's own frame, which has the secrets.
                error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
                report = traceback.TracebackException.from_exception(error, capture_locals=True)
                told = "".join(report.format())
                assert "a mistake of ours" in told
                assert not leaks(keys, told.encode(), f"the trace-back at exchange {exchange}")
            town.clock.advance(600)
        assert broken >= 6


def test_what_the_product_prints_of_a_mistake_has_no_locals(tmp_path: Path) -> None:
    """An exception nobody catches, in the middle of a tap of the real program."""
    script = """
from terminal.app import serve
from terminal.cli import app
from terminal.tap import take_tap

class Breaks:
    def __init__(self, connection):
        self.connection, self.left = connection, 4
    def transmit(self, command):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("a mistake of ours")
        return self.connection.transmit(command)

serve.take_tap = lambda connection, terminal, **more: take_tap(Breaks(connection), terminal, **more)
app.main()
"""
    (card,) = issue_residents(
        ["adult_purse"], load_region("demo").header.region, TODAY, rng=random.Random(6).randbytes
    )
    assert isinstance(card, VirtualCard)
    save_card(card, tmp_path / "card.json")
    arguments = (
        "run",
        "--profile",
        "bus",
        "--reader",
        f"sim:{tmp_path / 'card.json'}",
        "--state",
        str(tmp_path / "s"),
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"RuntimeError: a mistake of ours" in done.stderr
    secrets = [
        *laboratory_secrets(),
        secret_bytes("the UID", card.uid),
        secret_bytes("the pseudonym", _resident(card)),
    ]
    assert not leaks(secrets, done.stdout + done.stderr, "the trace-back")


@pytest.mark.parametrize("plan", [tear_before(3), tear_after(6), tear_after(8)], ids=str)
def test_what_a_torn_tap_tells_staff(town_of: OpenTown, plan: FaultPlan) -> None:
    with town_of("adult_purse") as town:
        card = town.cards["adult_purse"]
        assert isinstance(card, VirtualCard)
        secrets = [secret_bytes("the UID", card.uid), secret_bytes("the pseudonym", _resident(card))]
        report = town.tap(FRONT.number, "adult_purse", plan).report
        assert not leaks(secrets, f"{report.operator} {report.outcome}".encode(), "the report")


def test_errors_of_readers_name_no_card() -> None:
    assert str(ReaderGone("x")) == "x", "what a driver says is passed on; it never sees a resident's data"


# The search itself


def _planted(secret: Secret) -> Iterator[tuple[str, bytes]]:
    yield from secret.forms.items()


@pytest.mark.parametrize(
    "secret",
    [
        secret_text("name", NAMES[0]),
        secret_text("latin", NAMES[2]),
        secret_bytes("key", bytes(range(130, 146))),
    ],
    ids=lambda secret: secret.name,
)
def test_every_form_is_found_wherever_it_is_planted(tmp_path: Path, secret: Secret) -> None:
    assert len(secret.forms) >= 20
    for form, pattern in _planted(secret):
        assert form in secret.found_in(b"\x00before" + pattern + b"after")
        (tmp_path / "a.log").write_bytes(b"x" * 5000 + pattern + b"\n")
        assert f"{secret.name} as {form} in a.log" in leaks_in_files([secret], tmp_path)
    (tmp_path / "a.log").write_bytes(b"nothing")
    assert not leaks_in_files([secret], tmp_path)


@pytest.mark.parametrize("before", [b"", b"a", b"ab"])
def test_base64_is_found_at_any_place(before: bytes) -> None:
    uid = bytes.fromhex("04a1b2c3d4e5f6")
    text = base64.b64encode(before + uid + b"something behind it")
    assert any("base64" in form for form in secret_bytes("UID", uid).found_in(text))


def test_a_name_planted_in_a_sealed_journal_is_found_only_by_opening_it(tmp_path: Path) -> None:
    """That the journal's bytes hold nothing must not be because nobody looked properly."""
    name = secret_text("name", NAMES[1])
    with open_journal(tmp_path, 7) as journal:
        journal.append(Fault(int(time.time() * 1000), code=f"the card of {NAMES[1]}"))  # noqa: TID251 any time will do
    assert journal_key(tmp_path / "journal.db") is not None
    assert not leaks_in_files([name], tmp_path)
    with journal_reader(tmp_path) as reader:
        bodies = [row.body for row in reader.all_rows()]
    assert leaks([name], b"".join(bodies), "the journal")
    assert any(NAMES[1] in repr(parse_record(body)) for body in bodies)


def test_a_name_in_a_log_is_found(day: Day) -> None:
    planted = day.shown["canteen serving"] + json.dumps({"event": "tap", "pupil": NAMES[0]}).encode()
    assert leaks(day.secrets, planted, "the log") == [
        "name 0 as JSON in the log",
        "surname 0 as JSON in the log",
    ]
