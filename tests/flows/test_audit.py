"""A day of a bus and a school, audited at the collector and again by an auditor who has the dossier and nothing else.

Terminals, synchronisation, collector and audit are processes, as in service.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sim.image_file import load_card
from sim.lab_keys import load_lab_keys
from terminal.app.collector import enrol
from terminal.app.simulated import laboratory_keys
from terminal.audit.dossier import MAGIC
from terminal.audit.verifying import verify_dossier
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.errors import AuditError
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.keys.provider import card_token
from terminal.media.port import PURPOSE
from terminal.policy.load import DEMO_REGION, load_region
from terminal.sync.identity import read_public_key
from tests.flows.live import PATIENCE_S, STATE, live_terminal, run
from tests.flows.test_live_canteen import PAYER, School, canteen
from tests.terminal.cli.conftest import ENVIRONMENT, ROOT, command

DAY = "2026-09-15"
BUS, COUNTER = 7, 8
TABLES = {"terminal": {"number": BUS, "profile": "bus"}, "shift": {"operator": "17", "route": 7}}


class AuditedDay:
    """The folder of a collector that holds a day; `rows` are those of its terminals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        self.first: dict[str, Any] = {}
        """The audit made when only the bus had sent its rows."""

    @property
    def collector(self) -> Path:
        return self.folder / "collector"

    def audit(self, *words: object, expected: int = 0) -> dict[str, Any]:
        """The statement that `terminal collector audit DAY` prints."""
        registry = ("--registry", self.folder / "registry.json", "--folder", self.collector)
        done = terminal(self.folder, "collector", "audit", DAY, *registry, "--json", *words)
        assert done.returncode == expected, done.stderr
        found: dict[str, Any] = msgspec.json.decode(done.stdout)
        return found

    def intents(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["kind"] == "Intent"]


def terminal(
    folder: Path, *words: object, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(words),
        cwd=folder,
        env=env or ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def registered(folder: Path, cards: list[Path]) -> None:
    """What the issuing point knows of these cards, as the collector's registry."""
    region = load_region("demo").header.region
    keys, masters = load_file_keys(laboratory_keys(), UNLIMITED), load_lab_keys()
    found = []
    for path in cards:
        uid = load_card(path, random.Random(0).randbytes).uid
        key = masters.for_card(uid, region).transaction_mac
        found += [RegisteredCard(card_token(keys, purpose, uid), uid, key) for purpose in PURPOSE.values()]
    write_registry(folder / "registry.json", found)


@contextmanager
def serving(day: AuditedDay) -> Iterator[str]:
    """The collector of a day; at the end everything it holds is booked."""
    words = ("collector", "--folder", day.collector, "--port", 0, "--json", "--any-clock", "--no-recompute")
    process = subprocess.Popen(
        command((*words, "--registry", day.folder / "registry.json")),
        cwd=day.folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = str(msgspec.json.decode(process.stdout.readline())["url"])
        yield url
        while httpx.get(f"{url}/operator/v1/report", timeout=PATIENCE_S).json()["behind"]:
            pass
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def enrolled(day: AuditedDay, number: int, folder: Path) -> None:
    enrol(folder / STATE, number, day.collector)
    shutil.copyfile(day.collector / "collector.pub", folder / STATE / "collector.pub")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> AuditedDay:
    """A bus and a canteen, their day, and everything of it at the collector."""
    folder = tmp_path_factory.mktemp("audited")
    day, bus, school = AuditedDay(folder), folder / "bus", folder / "school"
    with live_terminal(bus, **TABLES) as live:
        cards = [live.card(name) for name in ("adult_purse", "month_pass", "free_pensioner")]
        stranger = live.card("adult_purse", "stranger")
        for card in (*cards, cards[0], stranger):
            live.tap(card)
        day.rows += live.rows()
    school.mkdir()
    own = {"profile": "canteen", "number": COUNTER, "region": "region.toml"}
    with live_terminal(school, **canteen(school, terminal=own)) as live:
        pupils = School(live)
        pupils.enrol(7, payer=PAYER)
        pupils.tap("payer")
        pupils.tap("payer")
        day.rows += live.rows()
    registered(folder, [*(bus / card for card in cards), school / "payer.json"])
    for document in (DEMO_REGION, school / "region.toml"):
        added = terminal(folder, "collector", "documents", "add", document, "--folder", day.collector)
        assert added.returncode == 0, added.stderr
    with serving(day) as url:
        for number, where in ((BUS, bus), (COUNTER, school)):
            enrolled(day, number, where)
        run(bus, "sync", "--collector", url)
    day.first = day.audit("--out", folder / "first.json")
    with serving(day) as url:
        run(school, "sync", "--collector", url)
    return day


def tallies(statement: dict[str, Any], kind: str) -> dict[str, tuple[int, int]]:
    (total,) = statement["statement"]["totals"]
    return {code: (tally["facts"], tally["sum_minor"]) for code, tally in total[kind].items()}


def test_a_day_is_proven_and_recomputed_to_the_kopeck(held: AuditedDay) -> None:
    found = held.audit()
    rides = [row["charge_minor"] for row in held.intents() if row["meal"] is None]
    meals = [sum(row["meal"][4].values()) for row in held.intents() if row["meal"] is not None]
    strange = rides.pop()
    (total,) = found["statement"]["totals"]
    known = sum(rides) + sum(meals)
    assert (total["facts"], total["sum_minor"]) == (len(rides) + len(meals) + 1, known + strange)
    assert tallies(found, "proof") == {
        "proven": (len(rides) + len(meals), known),
        "unproven:unknown_card": (1, strange),
    }
    assert tallies(found, "decision") == {
        "recomputed": (len(rides) + 1, sum(rides) + strange),
        "unproven:roster": (len(meals), sum(meals)),
    }
    assert (found["statement"]["complete"], found["statement"]["differing"]) == (True, 0)
    assert [one["terminal"] for one in found["statement"]["terminals"]] == [BUS, COUNTER]


def test_the_same_day_gives_the_same_bytes(held: AuditedDay) -> None:
    (first, one), (second, other) = (
        (found.pop("made_at_ms"), found["statement"]) for found in (held.audit(), held.audit())
    )
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert first <= second


def test_an_auditor_repeats_it_with_the_dossier_alone(held: AuditedDay, tmp_path: Path) -> None:
    stated = held.audit("--dossier", tmp_path / "day.dossier", "--out", tmp_path / "stated.json")
    bare = {"PYTHONPATH": str(ROOT), "PATH": "", "LANG": "C.UTF-8"}
    done = terminal(tmp_path, "audit", "verify", "day.dossier", "--json", "--out", "again.json", env=bare)
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout)
    assert (found["equal"], found["totals"]) == (True, stated["statement"]["totals"])
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "stated.json").read_bytes()
    assert found["key"] == read_public_key(held.collector / "collector.pub").public_bytes_raw().hex()
    other = held.folder / "bus" / STATE / "terminal.pub"
    refused = terminal(tmp_path, "audit", "verify", "day.dossier", "--collector", other)
    assert refused.returncode == 45
    assert "signed by the collector with key" in refused.stderr


def test_a_dossier_holds_no_key_of_a_card(held: AuditedDay, tmp_path: Path) -> None:
    held.audit("--dossier", tmp_path / "day.dossier")
    dossier = (tmp_path / "day.dossier").read_bytes()
    for card in msgspec.json.decode((held.folder / "registry.json").read_bytes())["cards"]:
        for secret in (card["transaction_mac_key"], card["uid"]):
            assert bytes.fromhex(secret) not in dossier
            assert secret.encode() not in dossier


@pytest.mark.parametrize("language", ["en", "ru"])
def test_people_read_it(held: AuditedDay, language: str) -> None:
    words = ("--folder", held.collector, "--registry", held.folder / "registry.json", "--language", language)
    done = terminal(held.folder, "collector", "audit", DAY, *words)
    assert done.returncode == 0, done.stderr
    assert DAY in done.stdout.splitlines()[0]
    assert ("доказано картой" in done.stdout) == (language == "ru")


def test_without_session_keys_the_auditor_asks_the_service(held: AuditedDay, tmp_path: Path) -> None:
    held.audit("--dossier", tmp_path / "day.dossier", "--service")
    refused = terminal(tmp_path, "audit", "verify", "day.dossier")
    assert (refused.returncode, "Give --service and --token-file" in refused.stderr) == (45, True)
    words = ("audit", "serve", "--registry", held.folder / "registry.json", "--port", 0, "--json")
    process = subprocess.Popen(
        command(words), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = msgspec.json.decode(process.stdout.readline())
        ask = ("--service", ready["url"], "--token-file", ready["token_file"])
        done = terminal(tmp_path, "audit", "verify", "day.dossier", *ask)
        assert done.returncode == 0, done.stderr
        (tmp_path / "wrong").write_text("another token")
        wrong = ("--service", ready["url"], "--token-file", "wrong")
        refused = terminal(tmp_path, "audit", "verify", "day.dossier", *wrong)
        assert (refused.returncode, "Give the auditor's token" in refused.stderr) == (45, True)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def test_rows_that_come_after_an_audit_are_its_supplement(held: AuditedDay) -> None:
    """The school has not sent at first: the day is open, and what it brings is named."""
    first = held.first["statement"]
    assert (first["complete"], first["terminals"][1]["open"]) == (False, "nothing_held")
    second = held.audit("--after", held.folder / "first.json")["statement"]
    meals = [sum(row["meal"][4].values()) for row in held.intents() if row["meal"] is not None]
    assert second["complete"] is True
    supplement = second["supplement"]
    assert supplement["changes"] == {"RUB": {"facts": len(meals), "sum_minor": sum(meals)}}
    assert {row[0] for row in supplement["rows"]} == {COUNTER}
    assert supplement["closed"] == [COUNTER]
    before, after = (one["totals"][0]["sum_minor"] for one in (first, second))
    assert after - before == sum(meals)


def test_a_killed_audit_leaves_no_half_of_a_dossier(held: AuditedDay, tmp_path: Path) -> None:
    """The dossier appears under its name whole or not at all; a killed one is written anew."""
    words = ("collector", "audit", DAY, "--folder", held.collector, "--dossier", tmp_path / "day.dossier")
    process = subprocess.Popen(command(words), env=ENVIRONMENT, stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        draft = tmp_path / "day.dossier.new"
        while process.poll() is None and not draft.exists():
            pass
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait(PATIENCE_S)
    if (tmp_path / "day.dossier").exists():
        assert not draft.exists()
    held.audit("--dossier", tmp_path / "day.dossier")
    assert terminal(tmp_path, "audit", "verify", "day.dossier").returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "ends too early"),
        (b"{}", "ends too early"),
        (b"\x00" * 4096, "no audit dossier"),
        (MAGIC + b"\xff\xff\xff\xff", "a part of 4294967295 bytes"),
        (MAGIC + b"\x00\x00\x00\x04" + b"\x91" * 4, "damaged or was changed"),
        (MAGIC + (60_000).to_bytes(4, "big") + b"\x91" * 60_000, "damaged or was changed"),
        (MAGIC + b"\x00\x00\x00\x01\xc0", "damaged or was changed"),
        (MAGIC, "ends too early"),
    ],
)
def test_what_is_no_dossier_is_said_so(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(AuditError, match=words):
        verify_dossier(tmp_path / "it")


def test_a_missing_dossier_and_an_unknown_day_are_clear_errors(held: AuditedDay, tmp_path: Path) -> None:
    done = terminal(tmp_path, "audit", "verify", "nothing.dossier")
    assert (done.returncode, "cannot be read" in done.stderr) == (45, True)
    done = terminal(tmp_path, "collector", "audit", "yesterday", "--folder", held.collector)
    assert (done.returncode, "Give a service day like" in done.stderr) == (45, True)
    done = terminal(tmp_path, "collector", "audit", DAY, "--folder", tmp_path / "nowhere")
    assert (done.returncode, "there is no collector.db" in done.stderr) == (40, True)
