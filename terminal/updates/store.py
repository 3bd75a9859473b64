"""Slots and rows: what of the active set lies on the disk, and how it changes all at once.

    active.db               edition   kind, state, id, version, sha256, slot, at_ms
                            floor     kind, version, sha256: nothing older comes into force again
                            counted   edition, day: taps, and those refused as a tariff can cause (`trial`)
                            counted_card   edition, mark: newest day on which that card was refused, number of such days
                            counted_to   the newest row of the journal that is counted
                            taken     path, sha256, mark: large files that hold an edition of these, as they lie there
    active/KIND/SLOT/       the files of one edition, never changed once a row names them

A slot is on the disk, with its names, before a row names it. A row changes in one transaction that is flushed, so a
power cut leaves the old row with its slot or the new one with its own. A slot that no row names is rubbish. The slot
that was in force before the present one stays until the next change: those who read it without a lock may finish.
While the present one is on trial, what it would give way to stays, too.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from errno import ENOSPC
from pathlib import Path
from typing import Final, NamedTuple

from terminal.codes import SetKind
from terminal.errors import ActiveSetError
from terminal.files import create_file, make_own, sync_path
from terminal.journal.database import SQLITE_FAULTS, means_damage, said_of, transaction
from terminal.updates.floors import FLOORS_FILE, NO_FLOOR, SetFloor, highest, keep_floors, read_floors
from terminal.updates.held import HeldEdition, SetRows

ACTIVE_FILE: Final = "active.db"
SLOTS_FOLDER: Final = "active"
APPLICATION_ID: Final = 0x52414354  # "RACT"
SCHEMA_VERSION: Final = 3
IN_FORCE: Final = "in_force"
PENDING: Final = "pending"
BEFORE: Final = "before"
"""What was in force before the one on trial, and will be again if that is taken back."""
REPLACED: Final = "replaced"
"""What was in force until the last change; its slot is kept."""
RETURNED: Final = "returned"
"""What was on trial and was taken back."""
STATES: Final = (IN_FORCE, PENDING, BEFORE, REPLACED, RETURNED)

LEFT_BYTES: Final = 4 << 20
"""Of the disk, beside every slot."""

_SCHEMA: Final = (
    "CREATE TABLE edition (kind TEXT NOT NULL, state TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, "
    "sha256 BLOB NOT NULL, slot INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (kind, state))",
    "CREATE TABLE floor (kind TEXT PRIMARY KEY, version INTEGER NOT NULL, sha256 BLOB NOT NULL)",
    "CREATE TABLE taken (path TEXT PRIMARY KEY, sha256 BLOB NOT NULL, mark TEXT NOT NULL)",
    "CREATE TABLE counted (edition TEXT NOT NULL, day INTEGER NOT NULL, taps INTEGER NOT NULL, "
    "refused INTEGER NOT NULL, PRIMARY KEY (edition, day))",
    "CREATE TABLE counted_to (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL)",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={SCHEMA_VERSION}",
)
_ADDED: Final = (
    "CREATE TABLE IF NOT EXISTS counted_card (edition TEXT NOT NULL, mark BLOB NOT NULL, day INTEGER NOT NULL, "
    "days INTEGER NOT NULL, PRIMARY KEY (edition, mark))"
)
"""Came later: what older software left lacks this table, and older software passes over it."""


class RefusedCard(NamedTuple):
    """The newest day of UTC on which it was refused, and how many such days there are."""

    day: int
    days: int


class KeptCounts(NamedTuple):
    """What is written down: counts by document and day, refused cards by document and mark
    (`terminal.updates.trial`), and the newest row that is counted.
    """

    days: Mapping[tuple[str, int], tuple[int, int]]
    cards: Mapping[tuple[str, bytes], RefusedCard]
    to: int


class DamagedSet(Exception):
    """The database cannot be read for what it holds; it was put aside as `kept`."""

    def __init__(self, what: str, kept: Path) -> None:
        super().__init__(what)
        self.kept = kept


class SetStore:
    """The active set's place in a terminal's folder. One writer: who holds the terminal's journal."""

    def __init__(self, folder: Path, *, to_read: bool = False) -> None:
        """Open or make the database in `folder`; `to_read`: nothing is made or changed, also beside a writer.

        Raises `DamagedSet`, or `ActiveSetError` for a disk that fails and for damage where nothing may be changed.
        """
        self._folder = folder
        self._slots = folder / SLOTS_FOLDER
        self._path = folder / ACTIVE_FILE
        self._to_read = to_read
        try:
            if not to_read:
                folder.mkdir(parents=True, exist_ok=True)
                make_own(self._path)
            self._connection = _opened(self._path, to_read=to_read)
        except OSError as error:
            raise _disk_failed(self._path, error) from error

    def rows(self) -> SetRows:
        """With the floors that a lost database had. Raises `DamagedSet` for rows that no terminal writes."""
        with _reported(self._path):
            editions = self._connection.execute(
                "SELECT state, kind, id, version, sha256, slot, at_ms FROM edition"
            ).fetchall()
            floors = self._connection.execute("SELECT kind, version, sha256 FROM floor").fetchall()
        try:
            by_state: dict[str, dict[SetKind, HeldEdition]] = {state: {} for state in STATES}
            for state, *values in editions:
                held = _held(values)
                by_state[state][held.kind] = held
            lowest = {
                SetKind(kind): SetFloor(int(version), bytes(digest)) for kind, version, digest in floors
            }
            known = highest(lowest, read_floors(self._folder))
            return SetRows(by_state[IN_FORCE], by_state[PENDING], known, by_state[BEFORE], by_state[RETURNED])
        except (KeyError, TypeError, ValueError) as error:
            self._connection.close()
            raise _damaged(self._path, f"a row says {error}", to_read=self._to_read) from error

    def write_slot(self, kind: SetKind, files: Mapping[str, bytes]) -> int:
        """A new slot that holds `files`, durable. Raises OSError; then there is none.

        The room that the journal needs is left alone: no list may take the disk from a tap, not even while it fails.
        """
        size = sum(map(len, files.values()))
        if shutil.disk_usage(self._folder).free < size + LEFT_BYTES:
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(self._slots))
        folder = self._slots / kind.value
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        slot = 1 + max((int(path.name) for path in folder.iterdir() if path.name.isdigit()), default=0)
        made = self.slot(kind, slot)
        made.mkdir(mode=0o700)
        try:
            for name, content in files.items():
                create_file(made / name, content)
            for path in (folder, self._slots, self._folder):
                sync_path(path)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return slot

    def slot(self, kind: SetKind, number: int) -> Path:
        return self._slots / kind.value / str(number)

    def drop_slot(self, kind: SetKind, number: int) -> None:
        """Which no row names."""
        shutil.rmtree(self.slot(kind, number), ignore_errors=True)

    def put_pending(self, held: HeldEdition) -> None:
        """`held` waits for its moment, in place of what waited before."""
        with _reported(self._path), transaction(self._connection):
            self._put(PENDING, held)

    def drop_pending(self, kind: SetKind) -> None:
        with _reported(self._path), transaction(self._connection):
            self._leave(kind, PENDING)

    def activate(self, held: HeldEdition, *, trial: bool = False) -> None:
        """`held` is in force, what waited is no longer waiting, and nothing older than `held` comes back by an offer.
        With `trial` what was in force for good can: `put_back`.
        """
        floor = {held.kind: SetFloor(held.version, held.sha256)}
        rows = self.rows()
        self.mend_floors({**rows.floors, **floor})
        left = BEFORE if trial and held.kind not in rows.before else REPLACED
        with _reported(self._path), transaction(self._connection):
            for state in (REPLACED, RETURNED, PENDING, *(() if trial else (BEFORE,))):
                self._leave(held.kind, state)
            self._move(held.kind, IN_FORCE, left)
            self._put(IN_FORCE, held)
            self._put_floor(held.kind, floor[held.kind])

    def put_back(self, before: HeldEdition) -> None:
        """`before` is in force again, and what was on trial is not taken any more: its version is the floor, without
        the hash by which a lost slot may be published again.
        """
        rows = self.rows()
        floor = SetFloor(rows.floors.get(before.kind, NO_FLOOR).version, b"")
        self.mend_floors({**rows.floors, before.kind: floor})
        with _reported(self._path), transaction(self._connection):
            self._leave(before.kind, RETURNED)
            self._leave(before.kind, BEFORE)
            self._move(before.kind, IN_FORCE, RETURNED)
            self._put(IN_FORCE, before)
            self._put_floor(before.kind, floor)

    def confirm(self, kind: SetKind) -> None:
        """What is in force is on trial no longer. The slot of the one before stays until the next change."""
        with _reported(self._path), transaction(self._connection):
            self._leave(kind, REPLACED)
            self._move(kind, BEFORE, REPLACED)

    def counted(self) -> KeptCounts:
        """What was written down last."""
        with _reported(self._path):
            execute = self._connection.execute
            days = execute("SELECT edition, day, taps, refused FROM counted").fetchall()
            cards = execute("SELECT edition, mark, day, days FROM counted_card ORDER BY rowid").fetchall()
            to = execute("SELECT sequence FROM counted_to").fetchone()
        return KeptCounts(
            {(edition, day): (taps, refused) for edition, day, taps, refused in days},
            {(edition, mark): RefusedCard(day, times) for edition, mark, day, times in cards},
            to[0] if to else 0,
        )

    def put_counted(self, kept: KeptCounts) -> None:
        """In place of what was counted before."""
        days = [(*key, *count) for key, count in kept.days.items()]
        cards = [(*key, *card) for key, card in kept.cards.items()]
        with _reported(self._path), transaction(self._connection):
            self._connection.execute("DELETE FROM counted")
            self._connection.execute("DELETE FROM counted_card")
            self._connection.executemany("INSERT INTO counted VALUES (?, ?, ?, ?)", days)
            self._connection.executemany("INSERT INTO counted_card VALUES (?, ?, ?, ?)", cards)
            self._connection.execute("INSERT OR REPLACE INTO counted_to VALUES (1, ?)", (kept.to,))

    def mend_floors(self, floors: Mapping[SetKind, SetFloor]) -> None:
        """Let the file beside the database say these."""
        if read_floors(self._folder) == floors:
            return
        try:
            keep_floors(self._folder, floors)
        except OSError as error:
            raise _disk_failed(self._folder / FLOORS_FILE, error) from error

    def taken(self) -> dict[str, tuple[bytes, str]]:
        """Hash and mark of the files that were noted, by their paths."""
        with _reported(self._path):
            rows = self._connection.execute("SELECT path, sha256, mark FROM taken").fetchall()
        return {path: (digest, mark) for path, digest, mark in rows}

    def put_taken(self, path: str, sha256: bytes, mark: str) -> None:
        """The file at `path` holds the edition of this hash as long as its mark is the same; rows of editions that are
        no longer held leave.
        """
        with _reported(self._path), transaction(self._connection):
            self._connection.execute("DELETE FROM taken WHERE sha256 NOT IN (SELECT sha256 FROM edition)")
            self._connection.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?)", (path, sha256, mark))

    def sweep(self) -> None:
        """Remove slots that no row names. Rubbish that cannot be removed stays."""
        with _reported(self._path):
            named = {
                (kind, str(slot)) for kind, slot in self._connection.execute("SELECT kind, slot FROM edition")
            }
        for path in self._slots.glob("*/*"):
            if (path.parent.name, path.name) not in named:
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        self._connection.close()

    def _leave(self, kind: SetKind, state: str) -> None:
        self._connection.execute("DELETE FROM edition WHERE kind=? AND state=?", (kind.value, state))

    def _move(self, kind: SetKind, state: str, to: str) -> None:
        self._connection.execute(
            "UPDATE edition SET state=? WHERE kind=? AND state=?", (to, kind.value, state)
        )

    def _put_floor(self, kind: SetKind, floor: SetFloor) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO floor VALUES (?, ?, ?)", (kind.value, floor.version, floor.sha256)
        )

    def _put(self, state: str, held: HeldEdition) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO edition VALUES (?, ?, ?, ?, ?, ?, ?)",
            (held.kind.value, state, held.id, held.version, held.sha256, held.slot, held.at_ms),
        )


class TakenFiles:
    """Files that hold an edition, by their marks: as long as its mark is the same, a file need not be read."""

    def __init__(self, store: SetStore) -> None:
        self._store = store
        self._known = store.taken()

    def digest(self, path: str, mark: str) -> bytes:
        """The hash of the file at `path` that has this `mark`; empty where it is not known."""
        digest, noted = self._known.get(path, (b"", ""))
        return digest if noted == mark else b""

    def note(self, path: str, digest: bytes, mark: str) -> None:
        """For `digest`, also after a restart. Raises `ActiveSetError`."""
        self._known[path] = digest, mark
        self._store.put_taken(path, digest, mark)


def copy_rows(folder: Path, target: Path) -> bool:
    """The database of the set in `folder` as it is at one moment, whatever is being written; False where there is none.

    Slots that it names stay at least until the second change after it. Raises `ActiveSetError`.
    """
    path = folder / ACTIVE_FILE
    if not path.exists():
        return False
    source = _connected(path, to_read=True)
    try:
        make_own(target)
        with _reported(path), closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    finally:
        source.close()
    return True


def _opened(path: Path, *, to_read: bool) -> sqlite3.Connection:
    connection = _connected(path, to_read=to_read)
    try:
        connection.execute(
            "PRAGMA synchronous=EXTRA"
        )  # as FULL, and the name of the rollback file is flushed, too
        if connection.execute("PRAGMA application_id").fetchone() == (0,) and not _tables(connection):
            with transaction(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
        known = connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        if known and not to_read:
            connection.execute(_ADDED)
        version = connection.execute("PRAGMA user_version").fetchone()
        sound = connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except SQLITE_FAULTS as error:
        connection.close()
        if means_damage(error):
            raise _damaged(path, said_of(error), to_read=to_read) from error
        raise _disk_failed(path, error) from error
    if known and version == (SCHEMA_VERSION,) and sound:
        return connection
    connection.close()
    raise _damaged(path, "it is no active set of this software", to_read=to_read)


def _connected(path: Path, *, to_read: bool) -> sqlite3.Connection:
    """To the file; to an empty set in memory where one that may not be made is not there."""
    name, uri = str(path), False
    if to_read:
        name, uri = (f"{path.absolute().as_uri()}?mode=ro", True) if path.exists() else (":memory:", False)
    try:
        return sqlite3.connect(name, uri=uri, isolation_level=None, check_same_thread=False, timeout=5)
    except sqlite3.Error as error:
        raise _disk_failed(path, error) from error


def _tables(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(count)


def _damaged(path: Path, what: str, *, to_read: bool) -> DamagedSet | ActiveSetError:
    if to_read:
        return ActiveSetError(f"{path} is damaged ({what})", "Start the terminal: it puts the file aside.")
    kept = path.with_name(f"{path.name}.damaged")
    path.replace(kept)
    sync_path(path.parent)
    return DamagedSet(what, kept)


def _held(values: list[object]) -> HeldEdition:
    kind, name, version, digest, slot, at_ms = values
    if not (isinstance(name, str) and isinstance(digest, bytes)):
        raise TypeError("a value of another type")
    if not (isinstance(version, int) and isinstance(slot, int) and isinstance(at_ms, int)):
        raise TypeError("a value of another type")
    return HeldEdition(SetKind(str(kind)), name, version, digest, slot, at_ms)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except SQLITE_FAULTS as error:
        raise _disk_failed(path, error) from error


def _disk_failed(path: Path, error: Exception) -> ActiveSetError:
    return ActiveSetError(
        f"{path} cannot be written ({error})", "Check the folder, its rights, and the room on its disk."
    )


def slot_failed(error: OSError) -> ActiveSetError:
    """Its files cannot be written or read."""
    return ActiveSetError(
        f"its slot cannot be used ({error.strerror})",
        "Check the folder, its rights, and the room on its disk.",
    )
