"""A journal of older software goes on under this one, and back; whatever happens, one of the two is there."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from terminal.errors import JournalDamaged, JournalError, JournalLocked
from terminal.journal.database import SCHEMA_VERSION, schema_of
from terminal.journal.journal import Journal
from terminal.journal.reader import JournalReader
from terminal.journal.records import Intent, ShiftOpened
from terminal.journal.rewrite import downgrade, upgrade_if_old
from terminal.journal.sealed import JournalKey
from terminal.journal.verify import verify
from tests.terminal.journal.filling import fill
from tests.terminal.journal.samples import INTENT, committed, day, intent

OLD = Path(__file__).parent / "files" / "schema_1.bin"
KEY = JournalKey(bytes(range(32)))


@pytest.fixture
def path(tmp_path):
    return Path(shutil.copy(OLD, tmp_path / "journal.db"))


def dump(path: Path) -> dict[str, list[tuple]]:
    """Every table of the file as it is."""
    connection = sqlite3.connect(path)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    found = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names}
    found["schema"] = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    found["version"] = connection.execute("PRAGMA user_version").fetchall()
    found["application"] = connection.execute("PRAGMA application_id").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("key", [KEY, None], ids=["sealed", "plain"])
def test_opening_brings_an_old_journal_up(path, key):
    old = dump(OLD)
    assert schema_of(path) == 1
    journal = Journal.open(path, 7, key=key)
    rows = [(row.sequence, row.body, row.hash) for row in journal.rows()]
    assert rows == old["row"]
    assert (journal.base.sequence, journal.acknowledged_through, journal.head.sequence) == (12, 22, 24)
    assert [number for number, _ in journal.open_intents()] == [22, 23]
    assert journal.open_shift == ShiftOpened(1, 21, "17", "bus", 7, 1)
    assert journal.append(intent(turn=60)) == 25
    journal.close()
    assert schema_of(path) == SCHEMA_VERSION
    found = verify(path, key)
    assert (found.ok, found.rows, found.last) == (True, 13, 25), found.problem
    if key is not None:
        assert INTENT.event not in path.read_bytes()


def test_there_and_back_is_the_same_journal(path):
    upgrade_if_old(path, 7, KEY)
    assert upgrade_if_old(path, 7, KEY) is None
    assert downgrade(path, KEY).rows == 12
    assert dump(path) == dump(OLD)
    assert sorted(file.name for file in path.parent.iterdir()) == ["journal.db", "journal.db.lock"]


def test_what_was_written_since_goes_back_too(path):
    journal = Journal.open(path, 7, key=KEY)
    for record in day(3):
        journal.append(record)
    head = journal.head
    journal.close()
    downgrade(path, KEY)
    old = dump(path)
    assert old["row"][-1][0] == head.sequence
    assert old["row"][-1][2] == head.hash
    again = Journal.open(path, 7, key=KEY)
    assert (again.head, again.next_sequence) == (head, head.sequence + 1)
    again.close()


def test_rows_in_the_log_of_a_killed_terminal_are_carried_over(path, tmp_path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("UPDATE state SET acknowledged = 23")
    killed = tmp_path / "killed"
    killed.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), killed / (path.name + suffix))
    connection.close()
    journal = Journal.open(killed / path.name, 7, key=KEY)
    assert journal.acknowledged_through == 23
    journal.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE row SET body = x'01' WHERE sequence = 17", "row 17 .* was changed"),
        ("UPDATE row SET hash = zeroblob(32) WHERE sequence = 24", "row 24 .* was changed"),
        ("DELETE FROM row WHERE sequence = 15", "row 15 .* is missing"),
        ("DELETE FROM row WHERE sequence > 20", "was cut after row 20"),
        ("UPDATE state SET base_hash = zeroblob(32)", "row 13 .* was changed"),
        ("UPDATE state SET checkpoint_hash = zeroblob(32)", "row 24 .* was changed"),
        ("UPDATE state SET acknowledged = 'many'", "line of state"),
        ("DELETE FROM state", "line of state"),
        ("DROP TABLE still_open", "line of state"),
        ("UPDATE still_open SET body = 5", "line of state"),
    ],
)
def test_an_upgrade_hides_nothing(path, statement, problem):
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    before = dump(path)
    with pytest.raises(JournalDamaged, match=problem):
        Journal.open(path, 7, key=KEY)
    assert schema_of(path) == 1
    assert dump(path) == before


def test_another_terminals_journal_stays_as_it_is(path):
    with pytest.raises(JournalError, match="the journal of terminal 7, not 8"):
        Journal.open(path, 8, key=KEY)
    assert schema_of(path) == 1


def test_a_reader_in_between_is_waited_for_by_the_operator(path):
    Journal.open(path, 7, key=KEY).close()
    running = Journal.open(path, 7, key=KEY)
    with pytest.raises(JournalLocked, match="another process"):
        downgrade(path, KEY)
    running.append(intent())
    reader = JournalReader(path, KEY)
    running.close()
    with pytest.raises(JournalLocked, match="another program"):
        downgrade(path, KEY)
    reader.close()
    assert downgrade(path, KEY).head.sequence == 25


@pytest.mark.parametrize("way", ["up", "down"])
def test_kill_9_leaves_one_of_the_two_whole(tmp_path, way):
    """Killed at any moment: the old file or the new one, with every row, and the other way is still open."""
    rng = random.Random(5)
    big = tmp_path / "big.db"
    shutil.copy(OLD, big)
    journal = Journal.open(big, 7, key=KEY)
    closed = [record for tap in range(2_000) for record in (INTENT, committed(25 + 2 * tap))]
    journal.close()
    fill(big, 7, KEY, closed)
    journal = Journal.open(big, 7, key=KEY)
    head = journal.head
    assert len(journal.open_intents()) == 2
    journal.close()
    if way == "up":
        downgrade(big, KEY)
    ends = set()
    for delay_s in [0.0, *(rng.random() * 0.12 for _ in range(4))]:
        path = Path(shutil.copy(big, tmp_path / "journal.db"))
        command = [sys.executable, "-m", "tests.terminal.journal.rewriter", str(path), way]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        process.kill()
        process.wait()
        process.stdout.close()
        ends.add(schema_of(path))
        again = Journal.open(path, 7, key=KEY)
        assert again.head == head
        assert [row.sequence for row in again.rows(limit=10_000)] == list(range(13, head.sequence + 1))
        assert isinstance(again.rows(12, 1)[0].record, Intent)
        again.close()
        assert verify(path, KEY).ok
        path.unlink()
    assert ends & {1, 2}
