"""The journal on a real disk: durable, numbered without gap, and clear when it cannot go on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from terminal.errors import JournalDamaged, JournalError, JournalFull, JournalLocked, OtherSoftware
from terminal.journal import room
from terminal.journal.chain import Head, genesis, link
from terminal.journal.journal import Journal
from terminal.journal.records import (
    NotCommitted,
    SettledBy,
    ShiftClosed,
    ShiftOpened,
    Started,
    Unresolved,
    UnresolvedCause,
)
from terminal.journal.room import LAST_BEGUN
from terminal.journal.stored import JournalState
from terminal.journal.verify import verify
from terminal.operations.restore import _create_after
from tests.terminal.journal.samples import CARD, committed, day, intent, refused

TERMINAL = 7
STARTED = Started(at_ms=1, software="test")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    opened = Journal.open(path, TERMINAL)
    yield opened
    opened.close()


def reopen(journal: Journal) -> Journal:
    journal.close()
    return Journal.open(journal.path, journal.terminal)


def copy_of(journal: Journal, tmp_path):
    """The files as a power cut would leave them, in a folder of their own."""
    folder = tmp_path / "after power cut"
    folder.mkdir()
    for name in ("journal.db", "journal.db-wal"):
        (folder / name).write_bytes((tmp_path / name).read_bytes())
    return folder / "journal.db"


# Numbering, chain, durability


def test_rows_are_numbered_and_chained_from_the_terminal(journal):
    assert [journal.append(record) for record in day(2)] == [1, 2, 3, 4]
    expected = genesis(TERMINAL).hash
    for row, record in zip(journal.rows(), day(2), strict=True):
        expected = link(expected, row.body)
        assert (row.hash, row.record) == (expected, record)
    assert journal.head == (4, expected)


def test_every_record_is_one_durable_commit(journal):
    statements: list[str] = []
    journal._connection.set_trace_callback(statements.append)
    for record in day(10):
        journal.append(record)
    assert journal.flushes == 20
    assert len(statements) == 20  # autocommit: each statement is its own commit
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_begin_returns_while_the_disk_is_still_busy(journal, path):
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    pending = journal.begin(intent())
    assert pending.sequence == 1
    assert journal.next_sequence == 2
    assert journal.unresolved(CARD) is not None
    assert journal.head.sequence == 0
    assert journal.rows() == []
    busy.execute("COMMIT")
    assert pending.wait() == 1
    assert journal.head.sequence == 1
    busy.close()


def test_a_number_written_elsewhere_must_be_the_next_one(journal):
    with pytest.raises(JournalError, match="row 2 was expected, but 1 is next"):
        journal.begin(intent(), sequence=2)
    assert journal.begin(intent(), sequence=1).wait() == 1


def test_numbering_goes_on_after_reopening(journal):
    journal.append(STARTED)
    journal = reopen(journal)
    assert journal.append(STARTED) == 2
    journal.close()
    assert verify(journal.path).rows == 2


def test_a_closed_journal_is_one_file_and_takes_nothing(journal, path):
    journal.append(STARTED)
    journal.close()
    journal.close()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "journal.db",
        "journal.db.lock",
        "journal.db.mark",
        "journal.db.numbers",
    ]
    with pytest.raises(JournalError, match="closed"):
        journal.append(STARTED)


# What is still open


@pytest.mark.parametrize("quiet", [False, True], ids=["from rows", "from checkpoint"])
def test_open_intents_and_shift_survive(journal, tmp_path, quiet):
    journal.append(ShiftOpened(at_ms=1, shift=1, operator_ref="17", profile="bus", route=7))
    other = bytes(8)
    for record in (
        intent(),
        intent(card_ref=other),
        intent(turn=9),
        committed(4),
        Unresolved(at_ms=2, intent=2, cause=UnresolvedCause.CARD_GONE),
    ):
        journal.append(record)
    if quiet:
        journal.checkpoint()
    again = Journal.open(copy_of(journal, tmp_path), TERMINAL)
    assert again.open_intents() == journal.open_intents() == [(2, intent()), (3, intent(card_ref=other))]
    assert again.unresolved(CARD) == (2, intent())
    assert again.open_shift == journal.open_shift
    again.append(NotCommitted(at_ms=3, intent=2, how=SettledBy.RECOVERED))
    again.append(ShiftClosed(at_ms=4, shift=1, totals={}))
    assert again.unresolved(CARD) is None
    assert again.open_shift is None
    again.close()


def test_open_intents_survive_the_purge_of_their_rows_and_a_power_cut(journal, tmp_path):
    journal.append(intent())
    journal.append(STARTED)
    journal.acknowledge(*journal.head, at_ms=10)
    assert journal.purge(keep_ms=0, now_ms=10) == 2
    again = Journal.open(copy_of(journal, tmp_path), TERMINAL)
    assert again.unresolved(CARD) == (1, intent())
    again.append(committed(1))
    assert again.open_intents() == []
    assert verify(again.path).ok
    again.close()


@contextmanager
def held_up(journal):
    """What is begun inside waits in the queue, in this order, and reaches the disk only afterwards."""
    holding, release = Event(), Event()

    def hold(_) -> None:
        holding.set()
        release.wait(30)

    journal._writer.submit(hold, vital=False)
    holding.wait()
    yield
    release.set()


def queued(journal, work) -> Thread:
    """Start `work` in a thread of its own; return when its first job stands in the queue."""
    before = journal._writer._jobs.qsize()
    thread = Thread(target=work)
    thread.start()
    while journal._writer._jobs.qsize() == before:
        time.sleep(0.001)
    return thread


def test_what_is_open_never_runs_ahead_of_the_rows(journal, tmp_path):
    """A checkpoint between an intent and its outcome in the queue, and the power fails before the outcome."""
    copies = []
    with held_up(journal):
        journal.begin(intent())
        checkpoint = queued(journal, journal.checkpoint)
        journal._writer.submit(lambda _: copies.append(copy_of(journal, tmp_path)), vital=False)
        outcome = journal.begin(committed(1))
    outcome.wait()
    checkpoint.join()
    again = Journal.open(copies[0], TERMINAL)
    assert (again.head.sequence, again.open_intents()) == (1, [(1, intent())])
    again.close()
    assert journal.open_intents() == []


def test_a_purge_in_a_busy_moment_leaves_rows_to_the_next(journal):
    """Rows may leave only when what is open in them was noted, and that waits for a quiet moment."""
    journal.append(intent())
    journal.acknowledge(*journal.head, at_ms=0)
    left: list[int] = []
    with held_up(journal):
        purge = queued(journal, lambda: left.append(journal.purge(keep_ms=0, now_ms=0)))
        pending = journal.begin(STARTED)
    purge.join()
    assert left == [0]
    pending.wait()
    assert journal.purge(keep_ms=0, now_ms=0) == 1


# Leaving


def test_t_65_rows_leave_only_after_acknowledgement_and_retention(journal):
    for record in day(3):
        journal.append(record)
    assert journal.purge(keep_ms=0, now_ms=10**15) == 0
    journal.acknowledge(4, journal.hash_at(4), at_ms=1_000)
    assert (journal.acknowledged_through, journal.unsent) == (4, 2)
    assert journal.purge(keep_ms=500, now_ms=1_499) == 0
    assert journal.purge(keep_ms=500, now_ms=1_500) == 4
    assert [row.sequence for row in journal.rows()] == [5, 6]
    assert verify(journal.path).ok


def test_t_63_numbering_survives_a_journal_purged_empty(journal):
    for record in day(2):
        journal.append(record)
    head = journal.head
    journal.acknowledge(*head, at_ms=0)
    journal.purge(keep_ms=0, now_ms=0)
    journal = reopen(journal)
    assert (journal.head, journal.rows(), journal.acknowledged_through) == (head, [], 4)
    assert journal.append(STARTED) == 5
    assert journal.rows()[0].hash == link(head.hash, journal.rows()[0].body)
    journal.close()


def test_an_acknowledgement_must_fit(journal):
    for record in day(1):
        journal.append(record)
    for through, head_hash in ((2, bytes(32)), (3, journal.head.hash)):
        with pytest.raises(JournalError, match="does not fit"):
            journal.acknowledge(through, head_hash, at_ms=0)
    assert journal.acknowledged_through == 0
    journal.acknowledge(*journal.head, at_ms=0)
    journal.acknowledge(1, b"late and long confirmed", at_ms=0)
    assert journal.acknowledged_through == 2


def test_quiet_moments_keep_the_log_small(journal, path):
    for record in day(50):
        journal.append(record)
    journal.checkpoint()
    wal = path.with_name("journal.db-wal")
    size = wal.stat().st_size
    for _ in range(5):
        for record in day(20):
            journal.append(record)
        journal.checkpoint()
    assert wal.stat().st_size <= size  # written from the start again after each checkpoint


# Refusing to go on


def test_capacity_stops_new_taps_but_not_their_outcomes(path):
    journal = Journal.open(path, TERMINAL, capacity_rows=3)
    for record in (STARTED, STARTED, intent()):
        journal.append(record)
    for record in (intent(), refused(), STARTED):
        with pytest.raises(JournalFull, match="stated capacity"):
            journal.begin(record)
    assert journal.append(committed(3)) == 4
    journal.acknowledge(*journal.head, at_ms=0)
    journal.purge(keep_ms=0, now_ms=0)
    assert journal.append(intent()) == 5
    journal.close()


def test_a_full_disk_stops_the_journal_without_a_hole(journal):
    journal.append(STARTED)
    (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
    journal._connection.execute(f"PRAGMA max_page_count={pages}")

    def fill() -> None:
        for _ in range(100):
            journal.append(intent())

    with pytest.raises(JournalFull, match="no room on the disk"):
        fill()
    stored = journal.head.sequence
    for record in (STARTED, committed(1)):
        with pytest.raises(JournalFull):
            journal.append(record)
    journal = reopen(journal)
    assert journal.head.sequence == stored
    assert journal.append(STARTED) == stored + 1
    journal.close()


def test_records_queued_behind_a_failed_flush_fail_too(journal, path):
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    journal._connection.execute("PRAGMA busy_timeout=200")
    pending = [journal.begin(intent()) for _ in range(3)]
    for one in pending:
        with pytest.raises(JournalLocked, match="in use by another program"):
            one.wait()
    busy.execute("ROLLBACK")
    busy.close()
    with pytest.raises(JournalLocked):
        journal.begin(intent())
    journal = reopen(journal)
    assert journal.append(STARTED) == 1
    journal.close()


def test_a_second_process_is_told_who_has_the_journal(journal, path):
    code = (
        "import sys; from pathlib import Path; from terminal.journal.journal import Journal\n"
        "from terminal.errors import JournalLocked\n"
        "try: Journal.open(Path(sys.argv[1]), 7)\n"
        "except JournalLocked as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "another terminal process (process " in done.stdout
    assert str(path) in done.stdout
    with pytest.raises(JournalLocked):
        Journal.open(path, TERMINAL)


def test_the_journal_of_another_terminal_is_refused(journal, path):
    journal.close()
    with pytest.raises(JournalError, match="the journal of terminal 7, not 8"):
        Journal.open(path, 8)
    Journal.open(path, TERMINAL).close()


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "journal.db", tmp_path / "folder.db"):
        (tmp_path / "folder.db").mkdir(exist_ok=True)
        with pytest.raises(JournalError, match="cannot be written") as caught:
            Journal.open(place, TERMINAL)
        assert "rights" in caught.value.advice


def damage_tail(path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE row SET body = x'01' WHERE sequence = 9", "row 9 .* was changed"),
        ("UPDATE row SET hash = zeroblob(32) WHERE sequence = 10", "row 10 .* was changed"),
        ("DELETE FROM row WHERE sequence = 5", "row 5 .* is missing"),
        ("DELETE FROM row WHERE sequence > 8", "ends at row 8, but it once held row 10"),
        ("DELETE FROM row", "ends at row 0, but it once held row 10"),
        ("PRAGMA application_id = 1", "not a terminal's journal"),
    ],
)
def test_damage_is_named_at_opening(journal, path, statement, problem):
    for record in day(5):
        journal.append(record)
    journal.close()
    damage_tail(path, statement)
    with pytest.raises(JournalDamaged, match=problem) as caught:
        Journal.open(path, TERMINAL)
    assert caught.value.advice


def test_a_journal_of_other_software_is_not_damaged(journal, path):
    journal.append(STARTED)
    journal.close()
    damage_tail(path, "PRAGMA user_version = 9")
    with pytest.raises(OtherSoftware, match="schema 9, this software works with 2"):
        Journal.open(path, TERMINAL)


@pytest.mark.parametrize("content", [b"", b"this is no database at all, but a text file" * 100])
def test_a_file_that_is_no_journal(path, content):
    path.write_bytes(content)
    with pytest.raises(JournalDamaged) as caught:
        Journal.open(path, TERMINAL)
    assert path.read_bytes() == content
    assert "keep both for the auditor" in caught.value.advice


def test_rows_left_over_from_a_lost_file_are_not_mixed_in(journal, path):
    journal.append(STARTED)
    wal = path.with_name("journal.db-wal").read_bytes()
    journal.close()
    path.unlink()
    path.with_name("journal.db-wal").write_bytes(wal)
    with pytest.raises(JournalDamaged, match=r"journal\.db-wal is there but"):
        Journal.open(path, TERMINAL)


def test_a_row_of_newer_software_is_not_passed_over_silently(journal, path):
    journal.append(STARTED)
    newer = b"\x02\x90"
    row_hash = link(journal.head.hash, newer)
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO row VALUES (2, ?, ?)", (newer, row_hash))
    connection.close()
    with pytest.raises(OtherSoftware, match=r"row 2 .* unreadable: record version 2"):
        Journal.open(path, TERMINAL)


# The end of the numbers


@pytest.fixture
def nearly_used_up(tmp_path):
    """A journal that was restored so often that its next row is the last that begins something."""
    path = tmp_path / "late.db"
    last = Head(LAST_BEGUN - 1, bytes(32))
    _create_after(path, None, JournalState(TERMINAL, last, last.sequence, last))
    journal = Journal.open(path, TERMINAL)
    yield journal
    journal.close()


def test_t_63_a_number_that_fits_no_event_is_refused_before_it_is_needed(nearly_used_up):
    number = nearly_used_up.append(intent())
    assert number == LAST_BEGUN
    with pytest.raises(JournalError, match="used up at 268335455") as refused:
        nearly_used_up.append(intent())
    assert "new terminal number" in refused.value.advice
    assert nearly_used_up.append(committed(number)) == LAST_BEGUN + 1, "what was begun is finished"
    assert nearly_used_up.open_intents() == []


def test_t_63_no_row_has_a_number_beyond_the_card_s(monkeypatch, journal):
    monkeypatch.setattr(room, "LAST_BEGUN", 1)
    monkeypatch.setattr(room, "LARGEST_SEQUENCE", 2)
    journal.append(intent())
    journal.append(committed(1))
    with pytest.raises(JournalError, match="used up"):
        journal.append(committed(1))
