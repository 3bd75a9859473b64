"""The follower over a collector's folder: killed anywhere it comes to the same verdicts, once; and what it makes of
rows that no terminal of ours writes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from bench.recomputing import StoredBus, make_collector, store_rows
from terminal.codes import SetKind
from terminal.collector.days import ServiceCalendar
from terminal.collector.office import DATABASE_FILE
from terminal.collector.recompute.follow import RecomputeFollower
from terminal.collector.recompute.ledger import LEDGER_FILE, LedgerReader, VerdictLedger, lag_of
from terminal.collector.recompute.run import StoredRows
from terminal.collector.store import CollectorStore, connect
from terminal.errors import CollectorError, RegionDocumentError
from terminal.journal.operation_records import SelfRecomputed, SetActivated
from terminal.journal.records import Intent, build_record, parse_record
from terminal.policy.load import DEMO_REGION
from terminal.recompute import DOCUMENTS_FOLDER
from terminal.recompute.documents import DocumentFolder, DocumentKind
from tests.terminal.cli.conftest import ENVIRONMENT, command

HOUR_MS: Final = 3_600_000
DEMO: Final = sha256(DEMO_REGION.read_bytes()).hexdigest()
KILLED: Final = """
import os, signal, sys
from contextlib import contextmanager
from terminal.cli.app import main
from terminal.collector.recompute.follow import RecomputeFollower
from terminal.collector.recompute.ledger import VerdictLedger
at, where, sys.argv = int(sys.argv[1]), sys.argv[2], ["terminal", *sys.argv[3:]]
RecomputeFollower.step.__defaults__ = (20,)
changing, done = VerdictLedger.changing, 0
@contextmanager
def killed(self):
    global done
    done += 1
    with changing(self):
        yield
        if (done, where) == (at, "inside"):
            os.kill(os.getpid(), signal.SIGKILL)
    if (done, where) == (at, "after"):
        os.kill(os.getpid(), signal.SIGKILL)
VerdictLedger.changing = killed
main()
"""
"""The product's command, which dies in or after its `at`-th transaction; at 0 never."""


def change(folder: Path, bus: StoredBus, **changes: object) -> int:
    """Change a ride that was stored, as a terminal in other hands would write it; return its row."""
    with closing(connect(folder / DATABASE_FILE)) as connection:
        query = "SELECT sequence, body FROM record WHERE terminal = ? ORDER BY sequence DESC"
        for sequence, body in connection.execute(query, (bus.number,)).fetchall():
            record = parse_record(body)
            if isinstance(record, Intent) and record.charge_minor:
                forged = build_record(replace(record, **changes))
                update = "UPDATE record SET body = ? WHERE terminal = ? AND sequence = ?"
                connection.execute(update, (forged, bus.number, sequence))
                return int(sequence)
    raise AssertionError("no ride was charged")


def found(folder: Path) -> dict[str, Any]:
    """Everything the ledger and the alarms say."""
    ledger = LedgerReader(folder / LEDGER_FILE)
    with closing(CollectorStore(folder / DATABASE_FILE)) as store:
        alarms = [(one.kind, one.terminal, one.sequence, one.times) for one in store.alarms()]
    return {
        "sums": ledger.sums(),
        "totals": ledger.totals(),
        "differing": ledger.differing(),
        "marks": ledger.marks(),
        "alarms": alarms,
    }


def recompute(folder: Path, at: int = 0, where: str = "") -> int:
    """The follower until nothing is left, or until it is killed; its exit code."""
    words = ("collector", "recompute", "--once", "--folder", str(folder))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(at), where, *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def test_killed_anywhere_it_comes_to_the_same_verdicts_once(tmp_path: Path) -> None:
    folder, quiet = tmp_path / "killed", tmp_path / "quiet"
    buses = make_collector(folder, 60, terminals=2)
    change(folder, buses[0], charge_minor=1)
    document = DocumentFolder(folder / DOCUMENTS_FOLDER)
    document.remove(DEMO)
    shutil.copytree(folder, quiet)
    kills = [(1, "inside"), (1, "after"), (2, "inside")]
    assert [recompute(folder, at, where) for at, where in kills] == [-9] * 3
    assert recompute(folder) == 0
    assert set(found(folder)["totals"]) == {"unproven"}
    document.add(DEMO_REGION)  # and again, while what waited is decided
    assert [recompute(folder, at, where) for at, where in [(1, "after"), (2, "inside")]] == [-9] * 2
    assert recompute(folder) == 0
    DocumentFolder(quiet / DOCUMENTS_FOLDER).add(DEMO_REGION)
    assert recompute(quiet) == 0
    killed, undisturbed = found(folder), found(quiet)
    assert killed["differing"] == undisturbed["differing"] != []
    assert [line for line in killed["sums"] if line.kind != "unproven"] == undisturbed["sums"]
    assert (
        killed["alarms"]
        == undisturbed["alarms"]
        == [("recomputed", 70_001, killed["differing"][0].sequence, 1)]
    )
    assert {n: mark.sequence for n, mark in killed["marks"].items()} == {
        bus.number: bus.head.sequence for bus in buses
    }
    assert killed["totals"] == {**undisturbed["totals"], "unproven": 0}


class Desk:
    """A folder and its follower, in this process."""

    def __init__(self, folder: Path, taps: int = 20) -> None:
        self.folder = folder
        (self.bus,) = make_collector(folder, taps, terminals=1)
        self.store = CollectorStore(folder / DATABASE_FILE)
        self.rows = StoredRows(self.store)
        self.ledger = VerdictLedger(folder / LEDGER_FILE, {})
        self.documents = DocumentFolder(folder / DOCUMENTS_FOLDER)
        calendar = ServiceCalendar(ZoneInfo("Europe/Moscow"), 3)
        self.follower = RecomputeFollower(self.rows, self.ledger, self.documents, calendar, lambda: 1)

    def follow(self) -> dict[str, int]:
        while self.follower.step():
            pass
        return self.ledger.totals()

    def append(self, *records: Any) -> None:
        for record in records:
            self.bus.append(record)
        store_rows(self.folder, [self.bus])

    def alarms(self) -> list[str]:
        return [one.detail for one in self.store.alarms()]

    def close(self) -> None:
        self.ledger.close()
        self.rows.close()
        self.store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path / "collector")
    yield made
    made.close()


def activated(version: int, digest: bytes = bytes(32), name: str = "demo") -> SetActivated:
    return SetActivated(1_790_000_000_000, SetKind.REGION.value, name, version, digest, 0)


def test_the_lag_is_the_rows_it_has_not_come_to_and_how_long_they_have_been_there(desk: Desk) -> None:
    held = dict(desk.rows.held())
    arrived_ms = desk.store.received_at_ms(70_001, 1)
    lag = lag_of(desk.ledger, held, desk.store.received_at_ms, arrived_ms + 90_000)
    assert lag == (desk.bus.head.sequence, 90)
    desk.follower.step(10)
    assert lag_of(desk.ledger, held, desk.store.received_at_ms, arrived_ms + 90_000)[0] == held[70_001] - 10
    desk.follow()
    assert lag_of(desk.ledger, held, desk.store.received_at_ms, arrived_ms + 90_000) == (0, 0)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"charge_minor": 2300}, "charge_minor"),
        ({"tariff": "demo:2"}, "tariff"),
        ({"balance_before_minor": 1}, "balance_before_minor"),
        ({"flags": ("capped",)}, "flags"),
    ],
)
def test_a_row_that_does_not_follow_is_kept_in_full(desk: Desk, changes: dict[str, Any], what: str) -> None:
    row = change(desk.folder, desk.bus, **changes)
    assert desk.follow()["differing"] == 1
    (differing,) = desk.ledger.differing()
    assert (differing.sequence, differing.what, differing.document) == (row, what, DEMO)
    (value,) = changes.values()
    assert differing.found[what]["recorded"] == (list(value) if isinstance(value, tuple) else value)
    assert desk.alarms()[0].startswith(f"decided_otherwise what={what} recorded=")


def test_facts_that_no_terminal_states_do_not_stop_it(desk: Desk) -> None:
    change(desk.folder, desk.bus, trip={"place.stop": 1 << 62, "freshness.lists_age_s": "old"})
    totals = desk.follow()
    assert (totals["unproven"], totals.get("differing", 0)) == (1, 0)
    assert [line.reason for line in desk.ledger.sums() if line.kind == "unproven"] == ["facts"]


def test_an_older_document_and_one_of_another_tariff_are_alarms(desk: Desk) -> None:
    desk.append(activated(3), activated(2), activated(9, name="other"))
    desk.follow()
    assert desk.alarms() == [
        "document_back edition=demo:2 before=demo:3",
        "document_other edition=other:9 before=demo:2",
    ]
    last = desk.bus.head.sequence
    named = [desk.ledger.document_at(70_001, row) for row in (last - 3, last)]
    assert named == [DEMO, bytes(32).hex()]


def test_what_a_terminal_says_of_its_own_rows_is_shown_and_missed(desk: Desk) -> None:
    said = SelfRecomputed(5, 1, 40, 37, 2, (12, 14), {"uid": 1}, (bytes.fromhex(DEMO),), "x")
    desk.append(said)
    desk.follow()
    statement = desk.ledger.statements()[70_001]
    assert statement[2:] == (5, 40, 37, 2, 1)
    assert desk.alarms() == ["terminal_differs count=2 row=12"]
    desk.follower.look(HOUR_MS)
    assert len(desk.alarms()) == 1, "it has sent nothing since"
    with closing(connect(desk.folder / DATABASE_FILE)) as connection:
        row = (70_001, desk.bus.head.sequence + 1, desk.bus.head.sequence + 1, 0, 2_000_000_000_000, b"")
        connection.execute("INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?)", row)
        connection.execute("UPDATE terminal SET sequence = sequence + 1")
    desk.follower.look(HOUR_MS)
    assert desk.alarms()[1].startswith("not_stated since=")


def test_documents_are_checked_and_kept_once(tmp_path: Path) -> None:
    folder = DocumentFolder(tmp_path / "documents")
    (first,) = folder.add(DEMO_REGION)
    assert (first.sha256, first.kind, first.edition) == (DEMO, DocumentKind.REGION, "demo:1")
    assert folder.add(DEMO_REGION) == [first]
    assert folder.listed() == [first]
    wrong = tmp_path / "wrong.toml"
    for text, says in (
        ("", "no region document"),
        ("RCDL\x04", "deny list"),
        ("{}", "Import the feed again"),
        ("[header]", "is missing"),
    ):
        wrong.write_text(text, "utf-8")
        with pytest.raises((CollectorError, RegionDocumentError), match=says):
            folder.add(wrong)
    with pytest.raises(CollectorError, match="no document begins"):
        folder.remove("00000000")
    with pytest.raises(CollectorError, match="cannot be read"):
        folder.add(tmp_path)
    assert folder.remove(DEMO[:12]) == DEMO
    assert folder.listed() == []


def test_a_document_that_was_changed_in_its_place_decides_nothing(desk: Desk) -> None:
    path = desk.folder / DOCUMENTS_FOLDER / DEMO
    path.write_text(
        path.read_text("utf-8").replace("transport_card = 2400", "transport_card = 2300"), "utf-8"
    )
    assert set(desk.follow()) == {"unproven"}
    with pytest.raises(CollectorError, match="it was changed"):
        desk.documents.listed()
    desk.documents.remove(DEMO)
    desk.documents.add(DEMO_REGION)
    assert desk.follow()["unproven"] == 0


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "collector"
    make_collector(folder, 10, terminals=1)
    DocumentFolder(folder / DOCUMENTS_FOLDER).remove(DEMO)
    assert recompute(folder) == 0
    words = ("collector", "documents", "list", "--folder", folder, "--json")
    done = subprocess.run(command(words), env=ENVIRONMENT, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["missing"] == [{"sha256": DEMO, "terminals": 1}]
