"""The auditor's check: whatever was done to a journal, the first bad row is named."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from terminal.errors import JournalDamaged, JournalError
from terminal.journal.chain import link
from terminal.journal.journal import Journal
from terminal.journal.verify import Verification, verify
from tests.terminal.journal.samples import day, intent

ROWS = 200


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "journal.db"
    journal = Journal.open(path, 7)
    for pending in [journal.begin(record) for record in day(ROWS // 2)]:
        pending.wait()
    journal.acknowledge(50, journal.hash_at(50), at_ms=0)
    journal.purge(keep_ms=0, now_ms=0)
    journal.acknowledge(120, journal.hash_at(120), at_ms=5)
    journal.close()
    return path


@pytest.fixture
def edit(original, tmp_path):
    """Apply statements to a copy of the journal and verify it."""
    path = shutil.copy(original, tmp_path / "journal.db")
    connection = sqlite3.connect(path)

    def run(*statements: str) -> Verification:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        return verify(path)

    yield run
    connection.close()


def test_an_untouched_journal(edit):
    assert edit() == Verification(rows=150, first=51, last=200, problem=None)


def renumber(first: int, by: int) -> list[str]:
    return [
        f"UPDATE row SET sequence = -(sequence + {by}) WHERE sequence >= {first}",
        "UPDATE row SET sequence = -sequence WHERE sequence < 0",
    ]


SWAP = [
    "UPDATE row SET sequence = -1 WHERE sequence = 80",
    "UPDATE row SET sequence = 80 WHERE sequence = 90",
    "UPDATE row SET sequence = 90 WHERE sequence = -1",
]
HASH_100 = "(SELECT hash FROM row WHERE sequence = 100)"
CHECKPOINT_AT_100 = f"UPDATE state SET checkpoint_sequence = 100, checkpoint_hash = {HASH_100}"


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE row SET body = x'0193090178' WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET hash = zeroblob(32) WHERE sequence = 51"], "row 51 was changed"),
        (["UPDATE row SET hash = zeroblob(32) WHERE sequence = 200"], "row 200 was changed"),
        (["DELETE FROM row WHERE sequence = 60"], "row 60 is missing"),
        (["DELETE FROM row WHERE sequence BETWEEN 60 AND 69"], "rows 60 to 69 are missing"),
        (["DELETE FROM row WHERE sequence = 51"], "row 51 is missing"),
        (
            ["DELETE FROM row WHERE sequence = 60", *renumber(61, -1)],
            "row 60 was changed, or rows before it were",
        ),
        (SWAP, "row 80 was reordered: what belongs here stands in row 90"),
        (["DELETE FROM row WHERE sequence > 150"], "the journal was cut after row 150: it once held row 200"),
        (
            [CHECKPOINT_AT_100, "DELETE FROM row WHERE sequence > 110"],
            "cut after row 110: it once held row 120",
        ),
        (["DELETE FROM row"], "the journal was cut after row 50: it once held row 200"),
        (["UPDATE state SET base_sequence = 49"], "row 50 is missing"),
        (["UPDATE state SET base_hash = zeroblob(32)"], "row 51 was changed"),
        (
            ["UPDATE state SET checkpoint_hash = zeroblob(32)"],
            "row 200 was changed: the checkpoint knew another hash",
        ),
        (
            ["INSERT INTO still_open SELECT sequence, x'00' FROM row WHERE sequence = 75"],
            "row 75 is still open",
        ),
        (["PRAGMA user_version = 2"], "journal schema 2"),
        (["DELETE FROM state"], "the line of state"),
        (["DROP TABLE state"], "lost its state table"),
        (["DROP TABLE row"], "lost its row table"),
        (["UPDATE state SET checkpoint_sequence = 'many'"], "the line of state"),
        (["UPDATE state SET base_hash = 7"], "the line of state"),
        (["UPDATE row SET body = 'text' WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET body = CAST(x'ff' AS TEXT) WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET body = 5 WHERE sequence = 77"], "row 77 was changed"),
        (["UPDATE row SET hash = 5 WHERE sequence = 77"], "row 77 was changed"),
        (["INSERT INTO row VALUES (-4, x'00', x'00')"], "row -4 does not belong here"),
        (["INSERT INTO row VALUES (50, x'00', x'00')"], "begin after row 50"),
    ],
)
def test_what_was_done_is_named(edit, statements, problem):
    found = edit(*statements)
    assert not found.ok
    assert problem in found.problem


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM state",
        "UPDATE state SET acknowledged = 'many'",
        "UPDATE row SET body = 'text' WHERE sequence = 200",
        "UPDATE row SET body = 5 WHERE sequence = 200",
    ],
)
def test_values_of_another_kind_keep_the_terminal_from_starting(original, tmp_path, statement):
    path = tmp_path / "journal.db"
    shutil.copy(original, path)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(JournalDamaged, match=r"line of state|row 200 .* was changed"):
        Journal.open(path, 7)


def test_rows_before_the_bad_one_are_counted(edit):
    found = edit("UPDATE row SET body = x'00' WHERE sequence = 77")
    assert (found.rows, found.first, found.last) == (26, 51, 76)


def test_a_chain_made_anew_from_a_changed_row_does_not_fit_the_checkpoint(original, tmp_path):
    path = shutil.copy(original, tmp_path / "journal.db")
    connection = sqlite3.connect(path)
    (previous,) = connection.execute("SELECT hash FROM row WHERE sequence = 150").fetchone()
    bodies = connection.execute("SELECT sequence, body FROM row WHERE sequence > 150").fetchall()
    for sequence, body in bodies:
        forged = body if sequence != 151 else body[:-1] + b"\x07"
        previous = link(previous, forged)
        connection.execute(
            "UPDATE row SET body = ?, hash = ? WHERE sequence = ?", (forged, previous, sequence)
        )
    connection.commit()
    connection.close()
    assert "row 200 was changed: the checkpoint" in verify(path).problem


def test_the_start_belongs_to_the_terminal(tmp_path):
    path = tmp_path / "journal.db"
    Journal.open(path, 7).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE state SET terminal = 8")
    connection.close()
    assert "not the start of a journal of terminal 8" in verify(path).problem


def test_a_damaged_page_is_a_problem_not_a_crash(original, tmp_path):
    path = shutil.copy(original, tmp_path / "journal.db")
    content = bytearray(path.read_bytes())
    page = content.rindex(b"demo/1") // 4096 * 4096  # one that holds rows
    content[page : page + 4096] = bytes(4096)
    path.write_bytes(content)
    found = verify(path)
    assert not found.ok
    assert "row" in found.problem


def test_a_file_that_is_no_journal(tmp_path):
    path = tmp_path / "journal.db"
    with pytest.raises(JournalError, match="no journal at"):
        verify(path)
    path.write_bytes(b"text" * 1000)
    assert "damaged" in verify(path).problem


def test_a_live_journal_can_be_verified_while_it_grows(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", 7)
    for taps in range(20):
        pending = journal.begin(intent(turn=taps))
        found = verify(journal.path)
        assert found.ok, found.problem
        assert found.last in (taps, taps + 1)
        pending.wait()
    journal.close()
