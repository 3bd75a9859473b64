"""What a version wrote, today's product reads, and says of it what that version said; and the two can talk.

Recorded exchanges stand in for the other version: a collector of today takes what its terminals sent, and a terminal of
today believes what its collector answered. `python -m tests.golden talk REVISION` has both versions run.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from terminal.sync.wire import Ack, Batch
from tests.by_hand import BY_HAND, started
from tests.golden.asked import (
    BUS,
    COLLECTOR,
    DAY,
    GOLDEN,
    OPENED,
    QUESTIONS,
    STATE,
    Version,
    copied,
    differences,
    listening,
)
from tests.golden.make import RELEASED, TAMPERED, TERMINALS, make
from tests.golden.office import TAKEN, publish
from tests.golden.talk import talk
from tests.golden.wire import answering, kept

VERSIONS = sorted(path.name for path in GOLDEN.glob("v*"))
SEALED_ROSTER = b"RCROST2\n"
LARGEST = 1_500_000
"""Bytes of one version's files."""

every_version = pytest.mark.parametrize("version", VERSIONS)


def said(version: str, name: str) -> object:
    return msgspec.json.decode((GOLDEN / version / "said" / f"{name}.json").read_bytes())


def rows_of(terminal: Path) -> list[dict[str, Any]]:
    printed = Version().run(terminal, "journal", "show", "--json")
    return [msgspec.json.decode(line) for line in printed.splitlines()]


def tapped_later(bus: Path, *cards: str) -> None:
    """Today's product starts in the folder of the bus, an hour after its day, and these cards are tapped."""
    file = bus / "terminal.toml"
    (bus / "taps.transcript").unlink(missing_ok=True)
    then = str(BY_HAND["starts_at"])
    file.write_text(file.read_text("utf-8").replace(then, then.replace("T08", "T09")), "utf-8")
    with started(bus, file) as terminal:
        for card in cards:
            terminal.tap(bus / f"{card}.json")


def test_there_is_one_of_every_release() -> None:
    assert "v0.1.0" in VERSIONS


@every_version
@pytest.mark.parametrize("name", QUESTIONS)
def test_it_says_what_it_said(version: str, name: str, tmp_path: Path) -> None:
    answer = Version().ask(copied(version, tmp_path), QUESTIONS[name])
    assert differences(said(version, name), answer, QUESTIONS[name].moment) == []


@every_version
def test_a_copied_ticket_and_an_opened_housing_are_among_its_rows(version: str) -> None:
    rows, found = said(version, "bus-rows"), said(version, "collector-alarms")
    assert isinstance(rows, list)
    assert isinstance(found, dict)
    (copy,) = (row for row in rows if row["kind"] == "TicketCopied")
    assert [row["kind"] for row in rows if row["sequence"] == copy["sale"]] == ["CashSale"]
    assert ("housing", OPENED) in {(alarm["kind"], alarm["terminal"]) for alarm in found["alarms"]}


@every_version
def test_every_configuration_is_accepted(version: str, tmp_path: Path) -> None:
    folder = copied(version, tmp_path)
    for name in (*TERMINALS, TAMPERED):
        Version().run(folder / name, "config", "check")


@every_version
def test_its_lists_decide(version: str, tmp_path: Path) -> None:
    """Deny list and list of grants were made before; the cards come again."""
    bus = copied(version, tmp_path) / "bus"
    tapped_later(bus, "denied", "granted")
    found = [row for row in rows_of(bus) if "message" in row][-2:]
    assert [row["message"] for row in found] == ["blocked", "ok_benefit_unlimited"]
    assert [[*row["lists"]] for row in found] == [["deny.card"], ["grants"]]


@every_version
def test_its_price_list_replaces_the_one_in_force(version: str, tmp_path: Path) -> None:
    school = copied(version, tmp_path) / "school"
    loaded = len([row for row in rows_of(school) if row["kind"] == "prices"])
    Version().run(school, "canteen", "prices", "load", "prices.json")
    assert len([row for row in rows_of(school) if row["kind"] == "prices"]) == loaded + 1


@every_version
def test_a_roster_as_received_replaces_the_sealed_one(version: str, tmp_path: Path) -> None:
    """The slot holds what was in force, sealed; `said/` is what it answers. The successor lists two other pupils."""
    school = copied(version, tmp_path) / "school"
    slots = school / STATE / "active/roster"
    before = {path.name for path in slots.iterdir()}
    Version().run(school, "canteen", "roster", "load", "roster.json")
    listed = Version().run(school, "canteen", "roster", "show").splitlines()
    assert [line.split()[0] for line in listed] == ["0000000000000001", "0000000000000002"]
    (added,) = {path.name for path in slots.iterdir()} - before
    sealed = (slots / added / "roster.sealed").read_bytes()
    assert sealed.startswith(SEALED_ROSTER)
    assert b"0000000000000001" not in sealed


@every_version
def test_its_custodians_make_the_office_s_file_again(version: str, tmp_path: Path) -> None:
    office = copied(version, tmp_path) / "office"
    parts = ("--component", "component-1.txt", "--component", "component-2.txt")
    Version().run(office, "keys", "import", *parts, "--out", "again.keys")
    again = msgspec.json.decode(Version().run(office, "keys", "show", "again.keys", "--json"))
    then = said(version, "keys-office")
    assert isinstance(then, dict)
    assert again["checks"] == then["checks"]


@every_version
def test_a_ceremony_that_was_begun_ends_today(version: str, tmp_path: Path) -> None:
    """The request and the first signature were made then; the second key signs now."""
    office = copied(version, tmp_path) / "office"
    publish(office, "sign", "requests/tariff-2.request", "--key", "signing/tariff-3.key", "--yes")
    signatures = sorted((office / "requests").glob("*.signature"))
    assert len(signatures) == 2
    missing = [tariff_draft(office)]
    for one in signatures:
        Version().run(office, "publish", "take", one)
        missing.append(tariff_draft(office))
    assert missing == [2, 1, 0]


def tariff_draft(office: Path) -> int:
    """How many signatures are missing in the draft of the tariff."""
    roles = msgspec.json.decode(Version().run(office, "publish", "status", "--json"))["roles"]
    (tariff,) = (role for role in roles if role["role"] == "tariff")
    return int(tariff["missing"])


@every_version
def test_its_deny_register_goes_on(version: str, tmp_path: Path) -> None:
    office = copied(version, tmp_path) / "office"
    Version().run(office, "deny", "remove", "--card", "04000000000001", "--by", "18", "--folder", "deny")
    issue = ("deny", "issue", "--folder", "deny", "--out", "lists", "--region", "demo", "--json")
    issued = msgspec.json.decode(Version().run(office, *issue))["issue"]
    assert (issued["number"], issued["added"], issued["is_base"]) == (2, 0, False)


@every_version
def test_its_bundles_stay_in_force(version: str, tmp_path: Path) -> None:
    """Also when its source has gone, and what was accepted is known from then."""
    folder = copied(version, tmp_path)
    (folder / "office").rename(folder / "elsewhere")
    tapped_later(folder / "bundled", "adult_purse")
    (paid,) = (row for row in rows_of(folder / "bundled")[-2:] if "charge_minor" in row)
    assert paid["charge_minor"] == TAKEN[1]
    kept = msgspec.json.decode((folder / "bundled" / STATE / "bundles/kept.json").read_bytes())
    assert kept["floors"]["tariff"][0] == 1


@every_version
@pytest.mark.parametrize("lost", [("numbers",), ("mark",), ("numbers", "mark")])
def test_numbers_and_mark_are_lost_without_harm_to_a_row(
    version: str, lost: tuple[str, ...], tmp_path: Path
) -> None:
    """The next start passes numbers over where it must, says so in a row, and goes on in the same chain."""
    bus = copied(version, tmp_path) / "bus"
    for name in lost:
        (bus / STATE / f"journal.db.{name}").unlink()
    tapped_later(bus, "adult_purse")
    before, rows = said(version, "bus-rows"), rows_of(bus)
    assert isinstance(before, list)
    assert differences(before, rows[: len(before)]) == []
    skips = [row for row in rows[len(before) :] if row["kind"] == "NumbersSkipped"]
    # the end in order and a copy of the mark stand in the numbers: without the mark alone nothing is in doubt
    assert [row["cause"] for row in skips] == (["marks_lost"] if "numbers" in lost else [])
    assert rows[-1]["sequence"] > len(before)
    assert msgspec.json.decode(Version().run(bus, "journal", "verify", "--json"))["ok"]


@every_version
def test_the_collector_takes_what_its_terminals_sent(version: str, tmp_path: Path) -> None:
    folder = copied(version, tmp_path)
    (folder / "collector").rename(folder / "collector.after")
    (folder / "collector.before").rename(folder / "collector")
    with listening(folder, Version()) as url:
        for name in (*TERMINALS, TAMPERED):
            for recorded in kept(folder / "wire", name):
                headers = {"content-type": recorded.content_type}
                found = httpx.post(url + recorded.path, content=recorded.request, headers=headers, timeout=30)
                assert found.status_code == recorded.status, found.content
                then, today = (
                    msgspec.msgpack.decode(body, type=Ack) for body in (recorded.answer, found.content)
                )
                assert (today.terminal, today.through, today.head_hash) == (
                    then.terminal,
                    then.through,
                    then.head_hash,
                )
        while httpx.get(f"{url}/operator/v1/report", timeout=30).json()["behind"]:
            pass
    day = msgspec.json.decode(
        Version().run(folder, "collector", "report", "--day", DAY, "--json", *COLLECTOR)
    )
    assert differences(said(version, "collector-day"), day) == []


@every_version
def test_a_terminal_believes_what_its_collector_answered(version: str, tmp_path: Path) -> None:
    """It sends the rows it sent then, in the same batches, and takes the answers that were given to them."""
    folder, asked = copied(version, tmp_path), []
    recorded = kept(folder / "wire", "bus")
    with answering(recorded, asked) as url:
        printed = Version().run(folder / "bus.before", "sync", "--collector", url, "--json")
    sent = [msgspec.msgpack.decode(body, type=Batch) for body in asked]
    then = [msgspec.msgpack.decode(exchange.request, type=Batch) for exchange in recorded]
    assert [batch.bodies for batch in sent] == [batch.bodies for batch in then]
    assert [batch.terminal for batch in sent] == [BUS] * len(then)
    assert msgspec.json.decode(printed)["unsent"] == 0


def test_a_terminal_and_a_collector_talk_in_two_processes(tmp_path: Path) -> None:
    """What `talk` does with two versions, done with one."""
    assert talk(tmp_path / "one", Version(), Version()) > 4


def test_what_is_missing_or_otherwise_is_named_and_what_is_new_is_not() -> None:
    then = {"rows": [{"a": 1, "b": [1, 2]}], "left": True, "at": 1}
    today = {"rows": [{"a": 2, "b": [1, 3], "c": 9}], "at": 2}
    assert differences(then, today, frozenset({"at"})) == [
        ".rows[0].a: 1 became 2",
        ".rows[0].b[1]: 2 became 3",
        ".left: missing",
    ]
    assert differences([1], [1, 2]) == [": [1] became [1, 2]"]


def test_a_released_version_is_not_made_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tests.golden.make.GOLDEN", tmp_path)
    monkeypatch.setattr("tests.golden.make.VERSION", "9.9")
    (tmp_path / "v9.9").mkdir()
    with pytest.raises(SystemExit, match="--renew"):
        make(renew=False)
    (tmp_path / "v9.9" / RELEASED).touch()
    with pytest.raises(SystemExit, match="has been released"):
        make(renew=True)


@every_version
def test_it_is_small_and_speaks_of_no_machine(version: str) -> None:
    files = [path for path in (GOLDEN / version).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    for path in files:
        content = path.read_bytes()
        for place in (b"/tmp/", b"/home/", b"/root/"):
            assert place not in content, path


@every_version
def test_databases_are_whole(version: str, tmp_path: Path) -> None:
    folder = copied(version, tmp_path)
    for path in folder.rglob("*.db"):
        with closing(sqlite3.connect(path)) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
