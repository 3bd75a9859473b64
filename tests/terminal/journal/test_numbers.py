"""Numbers outside the log: reserved before use, marked once stored, never twice, wherever the program dies."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from terminal.codes import SkipCause
from terminal.errors import JournalDamaged, JournalError
from terminal.journal import journal as journal_module
from terminal.journal import numbers as numbers_module
from terminal.journal.chain import Head
from terminal.journal.database import wal_of
from terminal.journal.journal import Journal
from terminal.journal.numbers import (
    BLOCK,
    NEVER_RESERVED,
    RESERVE,
    KnownNumbers,
    Reached,
    Reservation,
    StoredMark,
    mark_path,
    numbers_path,
    read_known,
    standing_of,
)
from terminal.journal.operation_records import NumbersSkipped
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import JournalState
from terminal.journal.verify import verify
from tests.terminal.journal.samples import day, intent, refused

KEY = JournalKey(bytes(range(32)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def opened(path: Path) -> Journal:
    return Journal.open(path, 7, key=KEY)


def after_power_cut(path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(journal_module, "boot_id", lambda: os.urandom(16))
    return opened(path)


def skip_of(journal: Journal) -> NumbersSkipped | None:
    return next((r.record for r in journal.rows(limit=10_000) if isinstance(r.record, NumbersSkipped)), None)


def test_after_an_end_in_order_and_after_the_death_of_the_process_the_next_number_follows(path):
    journal = opened(path)
    assert journal.append(refused()) == 1
    journal.close()
    journal = opened(path)
    assert journal.append(refused()) == 2
    journal.abandon()
    journal = opened(path)
    assert journal.append(refused()) == 3
    journal.close()


def test_after_a_power_cut_it_goes_on_behind_the_reserved_block(path, monkeypatch):
    journal = opened(path)
    journal.append(refused())
    journal.abandon()
    journal = after_power_cut(path, monkeypatch)
    assert journal.next_sequence == BLOCK + 2
    assert journal.append(intent()) == BLOCK + 2
    assert skip_of(journal) == NumbersSkipped(intent().at_ms, 2, BLOCK, 1, SkipCause.NOT_CLOSED)
    assert (journal.fill.rows, journal.unsent) == (3, 3), "numbers passed over are no rows"
    journal.close()
    assert verify(path, KEY).skipped == BLOCK - 1
    assert verify(path, KEY).ok


def test_rows_leave_across_numbers_that_were_passed_over(path, monkeypatch):
    journal = opened(path)
    journal.append(refused())
    journal.abandon()
    journal = after_power_cut(path, monkeypatch)
    journal.append(refused())
    for through in (1, journal.head.sequence):
        journal.acknowledge(through, journal.hash_at(through), at_ms=0)
        journal.purge(keep_ms=0, now_ms=0)
        assert verify(path, KEY).ok
    assert (journal.fill.rows, journal.unsent, journal.rows()) == (0, 0, [])
    journal.close()
    journal = opened(path)
    assert journal.append(refused()) == BLOCK + 3
    journal.close()


@pytest.mark.parametrize(
    ("lost", "cause", "used"),
    [
        ((numbers_path,), SkipCause.MARKS_LOST, 2 * BLOCK),
        ((mark_path,), SkipCause.MARKS_LOST, BLOCK),
        ((numbers_path, mark_path), SkipCause.MARKS_LOST, 2 + RESERVE),
    ],
)
def test_what_is_lost_beside_the_journal_brings_no_number_back(path, lost, cause, used):
    journal = opened(path)
    journal.append(refused())
    journal.append(refused())
    journal.abandon()
    for which in lost:
        which(path).unlink()
    journal = opened(path)
    assert journal.append(refused()) == used + 2
    skip = skip_of(journal)
    assert (skip.first, skip.last, skip.cause) == (3, used, cause)
    journal.close()


def test_a_journal_that_is_gone_does_not_begin_at_one_again(path):
    journal = opened(path)
    journal.append(refused())
    journal.close()
    path.unlink()
    with pytest.raises(JournalDamaged, match="is gone"):
        opened(path)


@pytest.mark.parametrize(("state_in_log", "says"), [(False, "of terminal 8"), (True, "are damaged")])
def test_another_terminals_database_does_not_take_the_log_of_ours(path, state_in_log, says):
    """Even where it opens under the same key; with ours brought back every row is there. With the line of state in our
    log the two together look like a broken journal of ours, and theirs alone is whole.
    """
    with closing(opened(path)) as journal:
        for record in day(20):
            journal.append(record)
    journal = opened(path)
    journal.append(refused())
    last = journal.append(refused())
    if state_in_log:
        journal.acknowledge(1, journal.hash_at(1), at_ms=0)
    journal.abandon()
    ours, log = path.read_bytes(), wal_of(path).read_bytes()
    other = path.with_name("other.db")
    with closing(Journal.open(other, 8, key=KEY)) as theirs:
        theirs.append(refused())
    path.write_bytes(other.read_bytes())
    with pytest.raises(JournalError, match=says):
        opened(path)
    assert (path.read_bytes(), wal_of(path).read_bytes()) == (other.read_bytes(), log)
    path.write_bytes(ours)
    with closing(opened(path)) as back:
        assert [row.sequence for row in back.rows()] == list(range(1, last + 1))


def test_a_block_is_reserved_before_the_one_in_use_ends(path, monkeypatch):
    monkeypatch.setattr(numbers_module, "BLOCK", 16)
    monkeypatch.setattr(numbers_module, "AHEAD", 8)
    journal = opened(path)
    for _ in range(9):
        journal.begin(refused())
    journal.append(refused())
    for _ in range(40):
        journal.begin(refused())
    last = journal.append(refused())
    journal.abandon()
    numbers_path(path).write_bytes(
        numbers_path(path).read_bytes()[:4_096] + bytes(9_000)
    )  # one slot, no mark
    mark_path(path).unlink()
    journal = opened(path)
    assert journal.append(refused()) > last
    journal.close()


def dying(at: int) -> Any:
    """`os` as the numbers see it, whose `at`-th write or flush never happens, and none after it."""
    left = itertools.count(1)

    def unless_dead(call: Any) -> Any:
        def called(*arguments: Any) -> Any:
            if next(left) >= at:
                raise OSError(5, "the process is gone")
            return call(*arguments)

        return called

    names = {name: getattr(os, name) for name in dir(os)}
    return SimpleNamespace(**{**names, "pwrite": unless_dead(os.pwrite), "fsync": unless_dead(os.fsync)})


def lives(path: Path) -> Iterator[int]:
    """The numbers of the rows stored in one life, until it ends."""
    try:
        journal = opened(path)
    except JournalError:
        return
    try:
        for _ in range(4):
            yield journal.append(refused())
        journal.close()
    except JournalError:
        journal.abandon()


@pytest.mark.parametrize("boot", ["the same", "another"])
def test_whichever_write_is_the_last_no_number_comes_twice(tmp_path, monkeypatch, boot):
    """The program ends before each write and flush of reservation and mark, in its first life and in its second."""
    for at in range(1, 24):
        path = tmp_path / str(at) / "journal.db"
        path.parent.mkdir()
        stored = list(lives(path)) if at % 2 else []
        monkeypatch.setattr(numbers_module, "os", dying(at))
        stored += list(lives(path))
        monkeypatch.setattr(numbers_module, "os", os)
        if boot == "another":
            monkeypatch.setattr(journal_module, "boot_id", lambda: os.urandom(16))
        stored += list(lives(path))
        assert len(stored) >= 4
        assert sorted(set(stored)) == stored, at
        found = verify(path, KEY)
        assert found.ok, (at, found.problem)
        shutil.rmtree(path.parent)


def test_what_the_collector_confirmed_takes_no_flush_of_its_own(path):
    journal = opened(path)
    for _ in range(4):
        journal.append(refused())
    log = path.with_name("journal.db-wal")
    before = log.stat().st_size
    journal.take_acknowledgement(2, journal.hash_at(2), at_ms=1)
    assert (journal.acknowledged_through, journal.unsent) == (2, 2)
    assert log.stat().st_size == before, "nothing was written"
    flushes = journal.flushes
    journal.append(refused())
    assert journal.flushes == flushes + 1
    journal.abandon()
    journal = opened(path)
    assert journal.acknowledged_through == 2, "it went with the row"
    journal.take_acknowledgement(5, journal.hash_at(5), at_ms=1)
    journal.abandon()
    journal = opened(path)
    assert journal.acknowledged_through == 2, "forgotten, never invented"
    journal.take_acknowledgement(5, journal.hash_at(5), at_ms=1)
    journal.close()
    journal = opened(path)
    assert journal.acknowledged_through == 5
    journal.close()


# What the files beside a journal say, taken together


BOOT, OTHER_BOOT = b"b" * 16, b"o" * 16
GENERATION = 5


def row(sequence: int, content: bytes = b"h") -> Head:
    return Head(sequence, content * 32)


def marked(stored: int, *, boot: bytes = BOOT, generation: int = GENERATION, **more: Any) -> StoredMark:
    return StoredMark(boot, generation, 40, row(stored, **more))


def known(*marks: StoredMark, closed_at: int | None = None, **more: Any) -> KnownNumbers:
    """Two sound slots; the journal ended in order at row `closed_at`, or was at row 5 when 40 were reserved."""
    reservation = Reservation(
        GENERATION, 40, closed_at is not None, row(5 if closed_at is None else closed_at)
    )
    return KnownNumbers(
        **{"reservation": reservation, "whole": True, "marks": marks, "absent": False, **more}
    )


def standing(said: KnownNumbers, head: int, **state: Any) -> Reached:
    return standing_of(JournalState.new(7)._replace(checkpoints=1, **state), said, row(head), BOOT)


ON = None
"""The next row has the next number."""


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (known(marked(9), marked(9)), ON),
        (known(marked(9), marked(8)), ON),  # one mark may be a row behind the other
        (known(marked(8), marked(9)), ON),
        (known(marked(9), marked(7)), SkipCause.NOT_CLOSED),
        (known(marked(8), marked(8)), ON),  # and the journal a row ahead of both
        (known(marked(8), marked(7)), ON),
        (known(marked(7), marked(7)), SkipCause.NOT_CLOSED),
        (known(marked(10), marked(9)), SkipCause.ROWS_LOST),
        (known(marked(9, generation=GENERATION - 1), marked(9)), ON),  # a block was just reserved
        (known(marked(9, generation=GENERATION + 1), marked(9)), ON),
        (known(marked(9, generation=GENERATION - 2), marked(9)), SkipCause.NOT_CLOSED),
        (known(marked(9, boot=OTHER_BOOT), marked(9)), SkipCause.NOT_CLOSED),
        (known(marked(9, content=b"x"), marked(9)), SkipCause.NOT_CLOSED),  # another row 9
        (known(marked(8, content=b"x"), marked(9)), ON),  # that one cannot be compared with the newest
        (known(marked(9)), SkipCause.MARKS_LOST),
        (known(marked(9), marked(9), whole=False), SkipCause.NOT_CLOSED),
        (known(marked(9), marked(9), reservation=None), SkipCause.MARKS_LOST),
        (known(marked(9), marked(9), seen=9), ON),
        (known(marked(9), marked(9), seen=10), SkipCause.ROWS_LOST),
        (known(marked(9), marked(9), mended=True), SkipCause.MENDED),
        (known(marked(9), marked(9), closed_at=9), ON),
        (known(closed_at=9), ON),
        (known(closed_at=9, seen=9), ON),
        (known(closed_at=9, seen=10), SkipCause.ROWS_LOST),
        (known(closed_at=8), SkipCause.MARKS_LOST),
        (known(closed_at=9, whole=False), SkipCause.MARKS_LOST),
        (known(marked(9), marked(9), closed_at=8), SkipCause.NOT_CLOSED),
        (known(marked(10), marked(9), closed_at=9), SkipCause.ROWS_LOST),  # a mark of something later
        (known(marked(9, generation=GENERATION + 1), marked(9), closed_at=9), SkipCause.NOT_CLOSED),
        (known(marked(9), marked(9), reservation=Reservation(GENERATION, 40, False, row(9))), ON),
        (
            known(marked(9), marked(9), reservation=Reservation(GENERATION, 40, False, row(10))),
            SkipCause.ROWS_LOST,
        ),
    ],
)
def test_numbers_go_on_where_everything_says_so(said: KnownNumbers, cause: SkipCause | None) -> None:
    found = standing(said, 9)
    assert found.cause == cause
    assert found.used == 9 if cause is ON else found.used >= 40


@pytest.mark.parametrize(
    ("said", "head", "used"),
    [
        (known(marked(7), marked(7)), 9, 40),
        (known(marked(7), marked(7)), 40, 40),  # all that was reserved is in use
        (known(marked(7), marked(7)), 41, 41 + BLOCK),  # old copies: they say nothing of the rows since
        (known(marked(7), marked(7), whole=False), 9, 40 + BLOCK),
        (known(reservation=None, whole=False), 9, 9 + RESERVE),
    ],
)
def test_numbers_go_on_behind_all_that_may_have_been_given_out(
    said: KnownNumbers, head: int, used: int
) -> None:
    assert standing(said, head).used == used


def test_a_journal_begun_anew_goes_on_behind_all_that_may_have_been_given_out() -> None:
    lost = SkipCause.BEGAN_ANEW
    assert standing(known(marked(9), marked(9)), 0, anew=True) == Reached(9, 40, lost)
    nothing = known(reservation=None, whole=False, absent=True)
    assert standing(nothing, 3, anew=True) == Reached(0, 3 + RESERVE, lost)
    assert standing(nothing._replace(seen=8), 3, anew=True) == Reached(8, 8 + RESERVE, lost)
    assert nothing.newest == 0
    assert KnownNumbers(None, False, (), True, 0, False) == NEVER_RESERVED


def test_one_of_two_files_is_not_none_of_them(path):
    contents = Contents(7, KEY)
    assert read_known(path, contents).absent
    journal = opened(path)
    journal.append(refused())
    journal.abandon()
    mark_path(path).rename(path.with_name("aside"))
    assert not read_known(path, contents).absent
    path.with_name("aside").rename(mark_path(path))
    numbers_path(path).unlink()
    assert not read_known(path, contents).absent
