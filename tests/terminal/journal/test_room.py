"""How full the journal is: known, told long before the end, bounded on the disk, and clear when it is over."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from types import SimpleNamespace

import pytest

from terminal.codes import JournalFault, Trouble
from terminal.errors import JournalDamaged, JournalError, JournalFull, JournalLocked
from terminal.journal import database, room
from terminal.journal.checkpoint import Notary, sign_checkpoint
from terminal.journal.database import journal_error
from terminal.journal.journal import Journal
from terminal.journal.records import Fault
from terminal.journal.room import CAPACITY_ROWS, LOG_BYTES, ROW_BYTES, Fill, FillLevel, FillWatch
from terminal.journal.sealed import JournalKey
from terminal.journal.stored import MAX_CHECKPOINTS
from terminal.journal.verify import verify
from tests.terminal.journal.filling import fill
from tests.terminal.journal.samples import day, refused
from tests.terminal.journal.test_verify import SIGNER
from tests.terminal.sync.station import StepClock

KEY = JournalKey(bytes(range(32)))
PLENTY = 1 << 40


def test_capacity_is_four_days_of_a_busy_door():
    assert CAPACITY_ROWS >= 2 * 240_000
    assert CAPACITY_ROWS * ROW_BYTES <= 320 << 20, "bytes on the disk at most"


@pytest.mark.parametrize(
    ("rows", "free_bytes", "level"),
    [
        (0, PLENTY, FillLevel.OK),
        (749, PLENTY, FillLevel.OK),
        (750, PLENTY, FillLevel.WARNING),
        (899, PLENTY, FillLevel.WARNING),
        (900, PLENTY, FillLevel.CRITICAL),
        (999, PLENTY, FillLevel.CRITICAL),
        (1_000, PLENTY, FillLevel.FULL),
        (1_010, PLENTY, FillLevel.FULL),
        (100, 900 * ROW_BYTES, FillLevel.OK),
        (100, 30 * ROW_BYTES, FillLevel.WARNING),
        (100, 5 * ROW_BYTES, FillLevel.CRITICAL),
        (100, 0, FillLevel.FULL),
        (0, 0, FillLevel.FULL),
    ],
)
def test_levels_by_rows_and_by_the_disk(rows, free_bytes, level):
    assert Fill(rows, 1_000, free_bytes).level is level


def test_each_level_is_noted_and_told_once(tmp_path):
    journal = Journal.open(tmp_path / "journal.db", 7, key=KEY, capacity_rows=40)
    told: list[Trouble] = []
    watch = FillWatch(journal, StepClock(), told.append)
    for _ in range(50):
        try:
            journal.append(refused())
        except JournalFull:
            break
        watch.look()
    watch.look()
    faults = [row.record.code for row in journal.rows() if isinstance(row.record, Fault)]
    assert faults == [JournalFault.FILLING, JournalFault.NEARLY_FULL]
    assert [trouble.code for trouble in told] == [*faults, JournalFault.FULL]
    first = told[0].inputs
    assert (first["share_percent"], first["rows"], first["capacity_rows"]) == (75, 30, 40)

    journal.acknowledge(*journal.head, at_ms=0)
    journal.purge(keep_ms=0, now_ms=0)
    assert watch.look().level is FillLevel.OK
    for _ in range(30):
        journal.append(refused())
        watch.look()
    assert len(told) == 4, "told again after it was better"
    journal.close()


def test_a_filled_journal_takes_what_is_stated_and_no_more_when_rows_leave(tmp_path):
    path = tmp_path / "journal.db"
    rows = fill(path, 7, KEY, day(4_000))
    size_bytes = path.stat().st_size
    assert size_bytes / rows <= ROW_BYTES
    for _ in range(3):
        journal = Journal.open(path, 7, key=KEY)
        journal.acknowledge(*journal.head, at_ms=0)
        assert journal.purge(keep_ms=0, now_ms=0) == rows
        assert journal.fill.rows == 0
        journal.close()
        base = journal.head.sequence
        fill(path, 7, KEY, [msg for tap in range(rows // 2) for msg in pair(base + 2 * tap + 1)])
    assert path.stat().st_size <= size_bytes * 1.05, "room of rows that left is used again"
    assert verify(path, KEY).ok


def pair(sequence):
    first, second = day(1)
    return first, type(second)(second.at_ms, sequence, second.tmc, second.tmv, second.how)


def test_signed_checkpoints_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("terminal.journal.stored.MAX_CHECKPOINTS", 20)
    monkeypatch.setattr("terminal.journal.verify.MAX_CHECKPOINTS", 20)
    journal = Journal.open(tmp_path / "journal.db", 7, key=KEY)
    journal.notary = notary = Notary(SIGNER, StepClock())
    previous = journal.base
    for _ in range(50):
        journal.append(refused())
        head = journal.head
        journal.acknowledge(*head, 5, sign_checkpoint(notary, 7, previous, head, head))
        previous = head
    journal.close()
    found = verify(journal.path, KEY, [SIGNER.public_key()])
    assert (found.problem, found.checkpoints, found.signatures) == (None, 20, 20)
    assert MAX_CHECKPOINTS * 400 < 2 << 20


def test_the_log_is_folded_in_a_quiet_moment_and_cut(tmp_path):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, 7, key=KEY)
    limits = journal._connection.execute("PRAGMA journal_size_limit").fetchone()
    assert limits == (LOG_BYTES,)
    assert journal._connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (0,)
    for record in day(50):
        journal.append(record)
    journal.checkpoint()
    size = path.with_name("journal.db-wal").stat().st_size
    for record in day(50):
        journal.append(record)
    assert path.with_name("journal.db-wal").stat().st_size <= size * 1.2
    journal.close()


# Why a write failed


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (sqlite3.SQLITE_IOERR_READ, JournalError),
        (sqlite3.SQLITE_NOMEM, JournalError),
        (sqlite3.SQLITE_CANTOPEN, JournalError),
        (sqlite3.SQLITE_READONLY, JournalError),
        (sqlite3.SQLITE_BUSY, JournalLocked),
        (sqlite3.SQLITE_FULL, JournalFull),
        (sqlite3.SQLITE_ERROR, JournalDamaged),
        (sqlite3.SQLITE_CORRUPT, JournalDamaged),
        (sqlite3.SQLITE_NOTADB, JournalDamaged),
    ],
)
def test_damage_is_what_only_the_content_explains(tmp_path, code, error):
    """A sound file (here: none) is never put aside because the disk, a right or a lock stood in the way."""
    assert type(journal_error(tmp_path / "journal.db", failed(code))) is error


def test_a_length_no_memory_holds_is_damage_and_a_machine_without_memory_is_not(tmp_path, monkeypatch):
    """SQLite answers both with the same error."""
    path = tmp_path / "journal.db"
    assert type(journal_error(path, MemoryError())) is JournalDamaged
    monkeypatch.setattr(database, "_MOST_A_SOUND_FILE_ASKS", sys.maxsize)
    assert type(journal_error(path, MemoryError())) is JournalError


def test_wrong_use_of_a_connection_is_no_damage(tmp_path):
    closed = sqlite3.connect(":memory:")
    closed.close()
    with pytest.raises(sqlite3.ProgrammingError) as caught:
        closed.execute("SELECT 1")
    assert type(journal_error(tmp_path / "journal.db", caught.value)) is JournalError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_quota_that_is_used_up_is_a_full_disk(tmp_path, monkeypatch, number):
    def write_fails(_handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(room.os, "fsync", write_fails)
    error = journal_error(tmp_path / "journal.db", failed(sqlite3.SQLITE_IOERR_WRITE))
    assert isinstance(error, JournalFull)
    assert (error.exit_code, "Free space" in error.advice) == (23, True)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_disk_is_not_called_full(tmp_path, monkeypatch):
    assert type(journal_error(tmp_path / "journal.db", failed(sqlite3.SQLITE_IOERR_WRITE))) is JournalError

    def write_fails(_handle):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(room.os, "fsync", write_fails)
    assert type(journal_error(tmp_path / "journal.db", failed(sqlite3.SQLITE_IOERR_WRITE))) is JournalError


def test_a_disk_that_does_not_answer_counts_as_one_with_room(tmp_path, monkeypatch):
    def fails(_path):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(room, "os", SimpleNamespace(statvfs=fails))
    assert room.fill_of(tmp_path / "journal.db", 10, 1_000).level is FillLevel.OK
