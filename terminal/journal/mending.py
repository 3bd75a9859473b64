"""A journal whose log or database was damaged while no terminal ran: go on with the most that can be proven.

What SQLite shows of a damaged log may be less than there is: frames behind a broken one are dropped, and a part of a
log that had been folded already hides newer pages of the database. So, where anything is amiss, three contents are
proven row by row, and the one that reaches farthest becomes the journal:

    database        the file alone
    read            with the frames that SQLite reads
    all             with every intact frame, also behind a broken one

Where each row of one is proven and only pages that hold no row are not sound, as in a damaged list of free pages, its
rows are copied into a new file (ADR 61).

The files as they were found stay beside it (`journal.db.1.damaged`, `journal.db-wal.1.damaged`) for the auditor. The
exchange survives a crash at any moment: the new content is whole under another name before the log is taken away.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from terminal.errors import JournalDamaged
from terminal.files import link_file, open_new, put_in_place, replace_file, sync_path
from terminal.journal.database import (
    KEEP_ASIDE,
    SQLITE_FAULTS,
    cannot_be_written,
    connect_reader,
    contents_of,
    create_schema,
    file_error,
    journal_error,
    means_damage,
    new_file,
    require_own,
    transaction,
    wal_of,
)
from terminal.journal.log import WriteAheadLog, frames_read, page_bytes_of, read_log
from terminal.journal.open_records import OpenRecords
from terminal.journal.sealed import Broken, JournalKey
from terminal.journal.stored import read_state
from terminal.journal.tail import load_tail
from terminal.journal.verify import verify

_COPIED: Final = {
    "row": "sequence, body, hash",
    "state": "id, terminal, key_id, content",
    "checkpoint": "number, content",
    "acknowledgement": "through, at_ms",
}
"""As they are stored: what is sealed opens in its own place of the same journal only, so in the copy as well."""


class ProvenContent(NamedTuple):
    """A content each of whose rows and notes fits, up to row `head`; `sound`: every page does, too."""

    head: int
    sound: bool


class JournalLook(NamedTuple):
    """What a journal shows as it lies there. `head` is None when it does not open; SQLite reads `frames` of its log."""

    head: int | None
    frames: int


class MendedJournal(NamedTuple):
    """`seen` is the newest row the log names, also where it could not be kept. `aside` is None where nothing was
    mended."""

    seen: int
    aside: Path | None = None


def suspect(path: Path) -> None:
    """Something in the journal at `path` could not be read while it was in use: the next start proves all of it.

    Raises OSError.
    """
    replace_file(_suspected(path), b"")


def _suspected(path: Path) -> Path:
    return path.with_name(path.name + ".suspect")


def mend(path: Path, terminal: int, key: JournalKey | None, stored: int) -> MendedJournal:
    """See to it that the journal of `terminal` at `path` shows every row that can be proven; rows up to `stored` are
    known to have been there. The caller holds its lock. Another terminal's database is left as it lies there, and so is
    the log beside it.

    Raises `JournalDamaged` when no content of it can be proven, `JournalSealed`, `JournalError`.
    """
    try:
        finish(path)
        if not path.exists():
            return MendedJournal(0)
        mended = _mend_log(path, terminal, key, stored)
        if _suspected(path).exists():
            aside = _require_proven(path, terminal, key)
            _suspected(path).unlink(missing_ok=True)
            return mended if aside is None else mended._replace(aside=aside)
        return mended
    except OSError as error:
        raise file_error(path, error) from error


def _require_proven(path: Path, terminal: int, key: JournalKey | None) -> Path | None:
    """Prove every row and page. Where only a page without rows is not sound, the rows go on in a new file: the name
    that the old one has since, else None.
    """
    found = verify(path, key)
    if found.problem is not None:
        raise JournalDamaged(f"journal {path} is damaged: {found.problem}", KEEP_ASIDE)
    content = _content(path, terminal, key)
    if content is None or content.sound:
        return None
    _copy_rows(path, content.head, terminal, key)
    return _exchange(path)


def _mend_log(path: Path, terminal: int, key: JournalKey | None, stored: int) -> MendedJournal:
    if not _has_log(path):
        return MendedJournal(0)
    looked = _look(path, terminal, key)
    log = read_log(wal_of(path), page_bytes_of(path), looked.frames)
    seen = log.newest_row()
    if not _amiss(path, looked, log, max(stored, seen)):
        return MendedJournal(seen)
    return MendedJournal(seen, _mend(path, terminal, key, log, looked))


def _has_log(path: Path) -> bool:
    log = wal_of(path)
    return log.exists() and log.stat().st_size > 0


def _look(path: Path, terminal: int, key: JournalKey | None) -> JournalLook:
    """Read only, so that closing does not fold a log that may be damaged."""
    if cannot_be_written(path):
        return JournalLook(None, 0)
    frames = 0
    try:
        with closing(connect_reader(path)) as connection:
            contents = contents_of(connection, path, key)
            require_own(path, contents, terminal)
            frames = frames_read(path)
            state = read_state(connection, contents)
            return JournalLook(load_tail(connection, contents, state, path, OpenRecords()).sequence, frames)
    except (JournalDamaged, Broken):
        return JournalLook(None, frames)
    except SQLITE_FAULTS as error:
        if not means_damage(error):
            raise journal_error(path, error) from error
        return JournalLook(None, frames)


def _amiss(path: Path, looked: JournalLook, log: WriteAheadLog, known: int) -> bool:
    """Whether something was committed that is not shown."""
    if looked.head is None or looked.head < known or log.commits(looked.frames):
        return True
    return _newest_alone(path) > looked.head


def _newest_alone(path: Path) -> int:
    """The newest row in the database without its log, 0 where that cannot be read."""
    with suppress(*SQLITE_FAULTS):
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (newest,) = connection.execute("SELECT max(sequence) FROM row").fetchone()
            return newest if isinstance(newest, int) else 0
    return 0


def _mend(path: Path, terminal: int, key: JournalKey | None, log: WriteAheadLog, looked: JournalLook) -> Path:
    best: tuple[ProvenContent, tuple[int, ...]] | None = None
    for kept in _choices(log, looked.frames):
        _write(path, _new(path), log, kept)
        content = _proven(_new(path), terminal, key)
        if content is not None and (best is None or content > best[0]):
            best = (content, kept)
    if best is None:
        _remove_new(path)
        raise JournalDamaged(f"journal {path} and its log are damaged", KEEP_ASIDE)
    content, kept = best
    _write(path, _new(path), log, kept)
    if not content.sound:
        _copy_rows(_new(path), content.head, terminal, key)
        put_in_place(_new(_new(path)), _new(path))
    return _exchange(path)


def _exchange(path: Path) -> Path:
    """Put the journal at `path` aside and the new one in its place; the name that the old one has since."""
    aside = keep_aside(path)
    put_in_place(_new(path), whole_path(path))
    finish(path)
    _remove_new(path)
    return aside


def _choices(log: WriteAheadLog, read: int) -> list[tuple[int, ...]]:
    """Which frames to apply, by their places: none, those that SQLite reads, every intact one up to a commit."""
    intact = [n for n, frame in enumerate(log.frames) if frame.intact]
    last = max((n for n in intact if log.frames[n].pages), default=-1)
    choices = [(), tuple(range(read)), tuple(n for n in intact if n <= last)]
    return list(dict.fromkeys(choices))


def _write(path: Path, new: Path, log: WriteAheadLog, kept: tuple[int, ...]) -> None:
    """The database at `path` with the pages of those frames, as a file of its own."""
    _remove_new(path)
    with path.open("rb") as source, open_new(new) as file:
        shutil.copyfileobj(source, file)
        for place in kept:
            frame = log.frames[place]
            file.seek((frame.page - 1) * log.page_bytes)
            file.write(frame.content)
            if frame.pages:
                size = frame.pages * log.page_bytes
        if kept:
            file.truncate(size)


def _proven(path: Path, terminal: int, key: JournalKey | None) -> ProvenContent | None:
    """A content of `terminal` whose every row and note fits; None when one does not."""
    try:
        return None if verify(path, key).problem is not None else _content(path, terminal, key)
    except SQLITE_FAULTS as error:
        raise journal_error(path, error) from error


def _content(path: Path, terminal: int, key: JournalKey | None) -> ProvenContent | None:
    """The same of a journal whose rows have been verified."""
    try:
        with closing(connect_reader(path)) as connection:
            contents = contents_of(connection, path, key)
            if contents.terminal != terminal:
                return None
            state = read_state(connection, contents)
            head = load_tail(connection, contents, state, path, OpenRecords())
            return ProvenContent(head.sequence, _pages_fit(connection))
    except (JournalDamaged, Broken):
        return None
    except SQLITE_FAULTS as error:
        if not means_damage(error):
            raise journal_error(path, error) from error
        return None


def _pages_fit(connection: sqlite3.Connection) -> bool:
    """Of every page, also those that reading rows does not meet, but writing does."""
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except SQLITE_FAULTS as error:
        if not means_damage(error):
            raise
        return False


def _copy_rows(source: Path, head: int, terminal: int, key: JournalKey | None) -> None:
    """Everything that the journal at `source` holds, up to row `head`, in a new file of sound pages beside it."""
    with new_file(source) as (new, target):
        try:
            with closing(connect_reader(source)) as connection, transaction(target):
                create_schema(target)
                for table, columns in _COPIED.items():
                    places = ", ".join("?" for _ in columns.split(","))
                    rows = connection.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 constant
                    target.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)  # noqa: S608 as above
        except SQLITE_FAULTS as error:
            raise journal_error(source, error) from error
    if _proven(new, terminal, key) != ProvenContent(head, sound=True):
        new.unlink()
        raise JournalDamaged(f"journal {source} is damaged, and its rows cannot be copied", KEEP_ASIDE)


def keep_aside(path: Path) -> Path:
    """Give the journal at `path` and its log second names, which stay; return that of the journal. Raises OSError."""
    number = 1
    while any(_aside(file, number).exists() for file in (path, wal_of(path))):
        number += 1
    aside = _aside(path, number)
    for file, name in ((path, aside), (wal_of(path), _aside(wal_of(path), number))):
        if file.exists():
            link_file(file, name)
    sync_path(path.parent)
    return aside


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}.damaged")


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _remove_new(path: Path) -> None:
    """With what SQLite leaves beside it when it reads it."""
    for new in (_new(path), _new(_new(path))):
        for file in (new, wal_of(new), new.with_name(new.name + "-shm")):
            file.unlink(missing_ok=True)


def whole_path(path: Path) -> Path:
    """A mended journal on its way: whole, and the log beside the old one is no longer wanted."""
    return path.with_name(path.name + ".mended")


def finish(path: Path) -> None:
    """Let a whole mended journal take its place; harmless where there is none."""
    if not whole_path(path).exists():
        return
    for beside in (wal_of(path), path.with_name(path.name + "-shm"), _suspected(path)):
        beside.unlink(missing_ok=True)
    sync_path(path.parent)
    put_in_place(whole_path(path), path)
