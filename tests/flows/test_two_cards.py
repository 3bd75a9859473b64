"""One resident with several cards: each card is itself, and the resident is one person, whichever is presented.

Cards are issued by `terminal card issue-batch`, deny lists made by `terminal policy deny-list`, and taps taken by
`terminal run`, each a process of its own; the collector's side is given what those wrote.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sim.faults import tear_after
from terminal.app.station import journal_reader
from terminal.collector.proof import Proof
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.store import StoredRecord
from terminal.errors import RegionDocumentError
from terminal.journal.records import Committed, Intent, Unresolved, Unwritten
from terminal.journal.taps import End
from tests.config_file import config_file
from tests.flows.conftest import FRONT, REAR, OpenTown
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.cli.inside import Run, runner

RESIDENT = """
[description]
ru = "Житель с несколькими картами"
en = "A resident with several cards"

[card]
purse_minor = 50000
pseudonym = "5E1F0C0DE5E1F0C0"
"""
PSEUDONYM = "5E1F0C0DE5E1F0C0"
LABELS = ("lost", "replacement", "third")


@dataclass(frozen=True)
class Holder:
    """A folder with the cards of one resident, and commands run in it."""

    folder: Path
    uids: Mapping[str, str]

    def run(self, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            command(arguments), cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def deny(self, *entries: str) -> Path:
        """The deny list an operator makes of these lines."""
        (self.folder / "entries.csv").write_text("\n".join(["kind,identity", *entries]) + "\n", "utf-8")
        self.run("policy", "deny-list", "entries.csv", "--out", "deny-list")
        return self.folder / "deny-list"

    def taps(self, state: str, profile: str, *labels: str, deny: Path | None = None) -> list[dict[str, Any]]:
        """What a terminal says of these cards, laid on its reader one after the other."""
        cards = ",".join(str(self.folder / "cards" / f"{label}.json") for label in labels)
        tables: dict[str, Mapping[str, object]] = {
            "terminal": {"profile": profile, "state": self.folder / state},
            "reader": {"name": f"sim:{cards}", "taps": len(labels)},
            "shift": {"operator": "17"} | ({"route": 15} if profile == "bus" else {}),
        }
        tables |= {"canteen": {"serving": "breakfast"}} if profile == "canteen" else {}
        tables |= {"lists": {"deny": deny}} if deny is not None else {}
        file = config_file(self.folder / f"{state}.config", **tables)
        said = map(json.loads, self.run("run", "--config", file, "--json").splitlines())
        return [line for line in said if "message" in line]

    def rows(self, state: str) -> list[tuple[int, Any]]:
        with journal_reader(self.folder / state) as reader:
            return [(row.sequence, row.record) for row in reader.all_rows()]

    def stored(self, state: str) -> list[StoredRecord]:
        with journal_reader(self.folder / state) as reader:
            return [StoredRecord(1, row.sequence, row.body) for row in reader.all_rows()]


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    (tmp_path / "resident.toml").write_text(RESIDENT, "utf-8")
    orders = ["label,profile", *(f"{label},resident.toml" for label in LABELS)]
    (tmp_path / "orders.csv").write_text("\n".join(orders) + "\n", "utf-8")
    Holder(tmp_path, {}).run("card", "issue-batch", "orders.csv", "--folder", "cards")
    listed = json.loads((tmp_path / "cards" / "card-registry.json").read_bytes())["cards"]
    uids = list(dict.fromkeys(card["uid"] for card in listed))
    assert len(listed) == 2 * len(uids) == 2 * len(LABELS), "a reference for each card and purpose"
    return Holder(tmp_path, dict(zip(LABELS, uids, strict=True)))


def messages(taps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(tap["message"], tap["reasons"][-1]) for tap in taps]


def test_o_02_a_denied_card_does_not_deny_its_replacement(holder: Holder) -> None:
    listed = holder.deny(f"card,{holder.uids['lost']}")
    lost, replacement = holder.taps("bus", "bus", "lost", "replacement", deny=listed)
    assert (lost["message"], lost["reasons"][-1]) == ("blocked", "o-02:card_denied"), "no debt to settle"
    assert (replacement["message"], replacement["charge_minor"]) == ("ok_paid", 2400)
    assert lost["card_ref"] != replacement["card_ref"]
    assert (lost["person_ref"], replacement["person_ref"]) == (None, None), "a bus knows cards only"
    refs = [record.person_ref for _, record in holder.rows("bus") if isinstance(record, Intent | Unwritten)]
    assert refs == [None, None]


def test_o_02_a_denied_person_is_refused_with_every_card(holder: Holder) -> None:
    listed = holder.deny(f"person,{PSEUDONYM}", f"card,{holder.uids['lost']}")
    taps = holder.taps("bus", "bus", *LABELS, deny=listed)
    assert messages(taps) == [("deny_list", "o-02:person_denied")] * 3
    assert len({tap["card_ref"] for tap in taps}) == 3


def test_refusals_of_both_kinds_are_decided_again_as_far_as_records_go(holder: Holder) -> None:
    listed = holder.deny(f"card,{holder.uids['lost']}")
    holder.taps("bus", "bus", "lost", "replacement", deny=listed)
    listed = holder.deny(f"person,{PSEUDONYM}")
    holder.taps("bus", "bus", "lost", deny=listed)
    file = holder.folder / "bus.config" / "terminal.toml"
    *rows, counts = map(
        json.loads, holder.run("journal", "recompute", "--config", file, "--json").splitlines()
    )
    assert counts == {"recomputed": 2, "differ": 0, "not_possible": 1}
    assert [row["not_possible"] for row in rows] == ["uid"], "which card it was stands in no record"
    assert rows[0]["says"].endswith("the rest follows")


def test_the_collector_proves_each_card_with_its_own_key(holder: Holder) -> None:
    holder.taps("bus", "bus", "lost", "replacement")
    registry = CardRegistry.load(holder.folder / "cards" / "card-registry.json")
    total = reconcile(holder.stored("bus"), registry).total
    assert (total.accepted, total.proven(Proof.PROVEN), total.unproven) == (2, 2, 0)
    intents = [record for _, record in holder.rows("bus") if isinstance(record, Intent)]
    assert len({registry.name(intent.card_ref) for intent in intents}) == 2


def roster(person: str) -> bytes:
    """The school's list with one pupil, by the reference a canteen's terminal shows."""
    now = datetime.now(UTC)  # noqa: TID251 the processes read the machine's clock, too
    day = (now - timedelta(days=1)).date()
    header = {"kind": "roster", "schema": 1, "school": "school_12", "region": 34, "sequence": 1}
    header |= {"issued_at": now - timedelta(hours=1), "grades_on": day}
    header |= {"valid_from": now - timedelta(days=1), "valid_to": now + timedelta(days=100)}
    grant = {"code": 10, "valid_from": day, "valid_to": day + timedelta(days=3), "issued_on": day}
    pupil = {"ref": person, "class_id": "3a", "grade": 3, "shift": 1, "grants": [grant]}
    return msgspec.json.encode({"header": header, "pupils": [pupil]})


def test_m_35_the_replacement_of_a_lost_card_eats_as_the_pupil_the_roster_knows(holder: Holder) -> None:
    unknown = holder.taps("till", "canteen", "lost", "replacement")
    (person,) = {tap["person_ref"] for tap in unknown}
    assert len({tap["card_ref"] for tap in unknown}) == 2
    assert {tap["message"] for tap in unknown} == {"meal_not_arranged"}, "the card has no right to a meal"
    (holder.folder / "roster.json").write_bytes(roster(person))
    state = ("--state", holder.folder / "till")
    holder.run("canteen", "roster", "load", holder.folder / "roster.json", *state)
    listed = holder.deny(f"card,{holder.uids['lost']}")
    taps = holder.taps("till", "canteen", "lost", "replacement", "third", deny=listed)
    assert [tap["message"] for tap in taps] == ["blocked", "meal_ok", "meal_already"]
    (served,) = [record for _, record in holder.rows("till") if isinstance(record, Intent)]
    assert served.meal is not None
    assert (served.meal.class_id, served.meal.category) == ("3a", "10")
    assert served.person_ref == bytes.fromhex(person) != served.card_ref
    assert json.loads(holder.run("canteen", "report", *state, "--json"))["sources"]


def test_an_unresolved_tap_of_one_card_is_not_settled_by_another(tmp_path: Path, town_of: OpenTown) -> None:
    names = []
    for label in ("a", "b"):
        file = tmp_path / f"{label}.toml"
        file.write_text(RESIDENT, "utf-8")
        names.append(str(file))
    first, second = names
    with town_of(*names, stops=(FRONT, REAR)) as town:
        journal = town.terminals[FRONT.number].journal
        torn = town.tap(FRONT.number, first, tear_after(8)).report
        assert torn.end is End.UNRESOLVED
        assert torn.card_ref is not None
        for stop in (FRONT, REAR):
            other = town.tap(stop.number, second).report
            assert other.end in (End.COMMITTED, End.NOTHING_WRITTEN)
            assert journal.unresolved(torn.card_ref) is not None
        stored = [
            StoredRecord(number, row.sequence, row.body)
            for number, terminal in sorted(town.terminals.items())
            for row in terminal.journal.rows(0, 100)
        ]
        registry = CardRegistry.load(town.world.write_registry(list(town.cards.values())))
        total = reconcile(stored, registry).total
        assert (total.unresolved_open, total.unresolved_settled, total.unproven) == (1, 0, 0)
        back = town.tap(FRONT.number, first).report
        assert (back.end, journal.unresolved(torn.card_ref)) == (End.RECOVERED, None)
        rows = [row.record for row in journal.rows(0, 100)]
        assert len([row for row in rows if isinstance(row, Unresolved)]) == 1
        assert len([row for row in rows if isinstance(row, Committed)]) == 2


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kind,uid\n", "does not begin with the line kind,identity"),
        ("", "the file is empty"),
        (f"person,{PSEUDONYM}\n", "does not begin with the line kind,identity"),
        (f"kind;identity\nperson;{PSEUDONYM}\n", "separate columns with commas"),
        ("kind,identity\ncar,04A1B2C3D4E5F6\n", ":2: is of no known kind"),
        ("kind,identity\nbank,04A1B2C3D4E5F6\n", ":2: what identifies a bank is 32 hex"),
        (f"kind,identity\n{PSEUDONYM},person\n", ":2: is of no known kind"),
        (f"kind,identity\ncard,04A1B2C3D4E5F6\ncard,{PSEUDONYM}\n", ":3: what identifies a card is 14 hex"),
        ("kind,identity\nperson,04A1B2C3D4E5F6\n", ":2: what identifies a person is 16 hex"),
        ("kind,identity\ncard,04A1B2C3D4E5FX\n", "is 14 hexadecimal digits"),
        ("kind,identity\ncard,04A1B2C3\n", "is 14 hexadecimal digits"),
        ("kind,identity\ncard,\n", "is 14 hexadecimal digits"),
        ("kind,identity\ncard\n", ":2: has not 2 columns"),
        ("kind,identity\ncard,04A1B2C3D4E5F6,04A1B2C3D4E5F7\n", ":2: has not 2 columns"),
    ],
)
def test_a_list_of_entries_that_is_wrong_is_refused_by_its_line(
    inside: Run, tmp_path: Path, content: str, says: str
) -> None:
    (tmp_path / "entries.csv").write_text(content, "utf-8")
    refused = inside("policy", "deny-list", "entries.csv", "--out", "deny-list")
    assert refused.returncode == RegionDocumentError.exit_code
    assert says in refused.stderr
    assert PSEUDONYM not in refused.stderr
    assert not (tmp_path / "deny-list").exists()


def test_a_deny_list_replaces_neither_its_entries_nor_what_is_no_file(inside: Run, tmp_path: Path) -> None:
    entries = tmp_path / "entries.csv"
    entries.write_text("kind,identity\ncard,04a1b2c3d4e5f6\n", "utf-8-sig")
    refused = inside("policy", "deny-list", "entries.csv", "--out", "entries.csv")
    assert (refused.returncode, entries.read_bytes()[:4]) == (RegionDocumentError.exit_code, b"\xef\xbb\xbfk")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "stdout").symlink_to("pipe")  # as /dev/stdout is
    for name in ("pipe", "stdout"):
        refused = inside("policy", "deny-list", "entries.csv", "--out", name)
        assert refused.returncode == RegionDocumentError.exit_code
        assert "not a file" in refused.stderr
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "stdout").is_symlink()
    missing = inside("policy", "deny-list", "no.csv", "--out", "deny-list")
    assert "UTF-8" not in missing.stderr
