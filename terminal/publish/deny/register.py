"""The office's register of denied cards and people: an SQLite file that no terminal ever has.

    entry    what is denied, why, since when, until when, entered by which member of staff; what ended is kept
    issue    every base and increment that was made, with its hash

An entry is what terminals should know; `published` says whether they do. What is due is the difference: an entry that
holds and is not published is added, one that is published and holds no more is removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from terminal.clock import from_unix_ms, unix_ms
from terminal.errors import PublishError
from terminal.files import OWNER_ONLY, create_file
from terminal.policy.deny_list import DenyKind

REGISTER_FILE: Final = "register.db"
FORMAT: Final = 1
APPLICATION_ID: Final = 0x5243444E  # "RCDN"
MOST_STAFF_CHARACTERS: Final = 40
_TABLES: Final = (
    """CREATE TABLE entry (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, identity BLOB NOT NULL, reason TEXT NOT NULL,
    since_ms INTEGER NOT NULL, until_ms INTEGER, by TEXT NOT NULL,
    ended_ms INTEGER, ended_by TEXT, published INTEGER NOT NULL DEFAULT 0
)""",
    "CREATE UNIQUE INDEX entry_holds ON entry (kind, identity) WHERE ended_ms IS NULL",
    "CREATE INDEX entry_due ON entry (id) WHERE published = 0 AND ended_ms IS NULL",
    "CREATE INDEX entry_over ON entry (id) WHERE published = 1 AND ended_ms IS NOT NULL",
    "CREATE INDEX entry_until ON entry (until_ms) WHERE until_ms IS NOT NULL AND ended_ms IS NULL",
    """CREATE TABLE issue (
    number INTEGER NOT NULL, base INTEGER NOT NULL, version INTEGER NOT NULL, digest BLOB NOT NULL,
    at_ms INTEGER NOT NULL, added INTEGER NOT NULL, removed INTEGER NOT NULL, PRIMARY KEY (number, base)
)""",
)

MOST_DUE: Final = 200_000
"""Entries that one increment changes; with more a base is built anew."""
SORTED_KB: Final = 32_768
LOCKED_S: Final = 300.0
"""For how long a command waits for another: ten million entries are put in within minutes."""
_NOT_KNOWN: Final = "published = 0 AND ended_ms IS NULL"
_STILL_KNOWN: Final = "published = 1 AND ended_ms IS NOT NULL"
_BEING_MADE: Final = 2
"""In the place of 1, for a base, and 0, for an increment."""
_LIKE: Final = "reason, since_ms, until_ms, by"
_COLUMNS: Final = "kind, identity, reason, since_ms, until_ms, by, ended_ms, ended_by, published"


class DenyReason(StrEnum):
    """Why something is denied: the office's business alone."""

    LOST = "lost"
    STOLEN = "stolen"
    COPIED = "copied"
    REPLACED = "replaced"
    DEBT = "debt"
    MISUSE = "misuse"
    OTHER = "other"


class DeniedIdentity(NamedTuple):
    """What is denied: a kind, and the UID of a card or the pseudonym of a person."""

    kind: DenyKind
    value: bytes


class DenyEntry(Struct, frozen=True):
    """One entry; times are aware. `ended_at` is None while it holds."""

    identity: DeniedIdentity
    reason: DenyReason
    since: datetime
    until: datetime | None
    by: str
    ended_at: datetime | None = None
    ended_by: str = ""
    published: bool = False


class Due(NamedTuple):
    """What terminals do not know yet: ids of entries to add and to remove, with their identities."""

    added: tuple[tuple[int, DeniedIdentity], ...]
    removed: tuple[tuple[int, DeniedIdentity], ...]


class ImportCount(NamedTuple):
    """How many there were, and how many of them were not denied yet."""

    listed: int
    added: int


class MadeIssue(NamedTuple):
    """A base or an increment that was made: the number of the newest increment in it, and the hash of its file."""

    number: int
    is_base: bool
    version: int
    digest: bytes


class DenyRegister:
    """The register in a folder. Methods raise `PublishError` where the file cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        path = folder / REGISTER_FILE
        if not path.is_file():
            raise PublishError(f"there is no deny register in {folder}", "Begin one: terminal deny init.")
        self._db = sqlite3.connect(path, isolation_level=None, timeout=LOCKED_S)
        with self._said(path):
            if self._db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise PublishError(f"{path} is no deny register", "Give the folder of the register.")
            form = self._db.execute("PRAGMA user_version").fetchone()[0]
            if form != FORMAT:
                raise PublishError(f"{path} has format {form}", "Update the software of this machine.")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA secure_delete = ON")

    def close(self) -> None:
        self._db.close()

    def add(self, entry: DenyEntry) -> bool:
        """Deny what is not denied yet, on the disk when this returns; False where it is denied already."""
        with self._changing() as db:
            added = db.execute(
                f"INSERT INTO entry (kind, identity, {_LIKE}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608 ours
                (*_key(entry.identity), entry.reason, unix_ms(entry.since), _ms(entry.until), entry.by),
            )
            return added.rowcount == 1

    def add_all(
        self, listed: Iterable[DeniedIdentity], reason: DenyReason, since: datetime, by: str
    ) -> ImportCount:
        """All of what is `listed` and not denied yet, or none of it, until it is removed.

        Memory stays the same however many there are: SQLite lays them down beside the register, sorts them and puts
        them in. Others wait for the last step alone.
        """
        with self._said(self.folder):
            self._db.execute(f"PRAGMA cache_size = -{SORTED_KB}")
            self._db.execute("CREATE TEMP TABLE listed (kind TEXT NOT NULL, identity BLOB NOT NULL)")
            try:
                self._db.execute("BEGIN")
                put = self._db.executemany("INSERT INTO temp.listed VALUES (?, ?)", map(_key, listed))
                self._db.execute("COMMIT")
                with self._changing() as db:
                    added = db.execute(
                        f"INSERT INTO entry (kind, identity, {_LIKE}) SELECT kind, identity, ?, ?, NULL, ? "  # noqa: S608 ours
                        "FROM temp.listed WHERE true ORDER BY kind, identity ON CONFLICT DO NOTHING",
                        (reason, unix_ms(since), by),
                    )
                return ImportCount(max(put.rowcount, 0), added.rowcount)
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._db.execute("DROP TABLE temp.listed")

    def end(self, identity: DeniedIdentity, at: datetime, by: str) -> bool:
        """Deny it no longer; False where it is not denied."""
        with self._changing() as db:
            ended = db.execute(
                "UPDATE entry SET ended_ms = ?, ended_by = ? WHERE kind = ? AND identity = ? AND ended_ms IS NULL",
                (unix_ms(at), by, *_key(identity)),
            )
            return ended.rowcount == 1

    def forget(self, identity: DeniedIdentity) -> int:
        """Delete its entries that ended and are on no list; how many stay."""
        with self._changing() as db:
            db.execute(
                "DELETE FROM entry WHERE kind = ? AND identity = ? AND ended_ms IS NOT NULL AND published = 0",
                _key(identity),
            )
            left = "SELECT count(*) FROM entry WHERE kind = ? AND identity = ?"
            return int(db.execute(left, _key(identity)).fetchone()[0])

    def of(self, identity: DeniedIdentity) -> tuple[DenyEntry, ...]:
        """Every entry there ever was of it, the newest first."""
        return self._entries("WHERE kind = ? AND identity = ? ORDER BY id DESC", _key(identity))

    def newest(self, limit: int) -> tuple[DenyEntry, ...]:
        """The entries made last that hold."""
        return self._entries("WHERE ended_ms IS NULL ORDER BY id DESC LIMIT ?", (limit,))

    def count(self) -> int:
        """How many entries hold."""
        with self._said(self.folder):
            return int(self._db.execute("SELECT count(*) FROM entry WHERE ended_ms IS NULL").fetchone()[0])

    def due(self, now: datetime) -> Due:
        """What the next increment changes. Entries whose time is over end here. Raises `PublishError` where that is
        more than an increment should say.
        """
        with self._changing() as db:
            _end_what_is_over(db, now)
            due = Due(*(self._identities(where, MOST_DUE + 1) for where in (_NOT_KNOWN, _STILL_KNOWN)))
            if len(due.added) + len(due.removed) > MOST_DUE or self._is_being_made():
                raise PublishError(
                    f"more than {MOST_DUE} entries changed since the last issue, or a base was not finished",
                    "Make a new base of everything: terminal deny issue --base.",
                )
            return due

    def is_much_due(self, now: datetime) -> bool:
        """Whether `due` says too much: then everything goes into a base that is built from nothing."""
        with self._changing() as db:
            _end_what_is_over(db, now)
            return (
                self._is_being_made()
                or sum(
                    db.execute(
                        f"SELECT count(*) FROM (SELECT 1 FROM entry WHERE {where} LIMIT {MOST_DUE + 1})"  # noqa: S608 ours
                    ).fetchone()[0]
                    for where in (_NOT_KNOWN, _STILL_KNOWN)
                )
                > MOST_DUE
            )

    def take_all(self, made_as: MadeIssue, now: datetime) -> Iterator[DeniedIdentity]:
        """What every entry that holds is of, for a base that is built from nothing; until `note` has it as `made_as`,
        the register knows that it is being made. What is added or ended meanwhile is due after it.
        """
        with self._changing() as db:
            _end_what_is_over(db, now)
            db.execute(
                "INSERT OR REPLACE INTO issue VALUES (?, ?, ?, x'', ?, 0, 0)",
                (made_as.number, _BEING_MADE, made_as.version, unix_ms(now)),
            )
            db.execute(
                "UPDATE entry SET published = (ended_ms IS NULL) WHERE published <> (ended_ms IS NULL)"
            )
        rows = self._db.execute("SELECT kind, identity FROM entry WHERE published = 1")
        return (DeniedIdentity(DenyKind(kind), value) for kind, value in rows)

    def _is_being_made(self) -> bool:
        found = self._db.execute("SELECT 1 FROM issue WHERE base = ?", (_BEING_MADE,)).fetchone()
        return found is not None

    def issues(self) -> tuple[MadeIssue, ...]:
        """What was made, the oldest first: of one number the increment, then the base that holds it."""
        with self._said(self.folder):
            rows = self._db.execute(
                "SELECT number, base, version, digest FROM issue WHERE base <> ? ORDER BY number, base",
                (_BEING_MADE,),
            )
            return tuple(
                MadeIssue(number, bool(base), version, digest) for number, base, version, digest in rows
            )

    def note(self, issued: MadeIssue, at: datetime, due: Due) -> None:
        """An issue is on the disk: what was due is known to terminals from now on."""
        with self._changing() as db:
            db.execute("DELETE FROM issue WHERE base = ?", (_BEING_MADE,))
            db.execute(
                "INSERT OR REPLACE INTO issue VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    issued.number,
                    issued.is_base,
                    issued.version,
                    issued.digest,
                    unix_ms(at),
                    len(due.added),
                    len(due.removed),
                ),
            )
            for value, changed in ((0, due.removed), (1, due.added)):
                db.executemany(
                    "UPDATE entry SET published = ? WHERE id = ?", ((value, id) for id, _ in changed)
                )

    def _identities(self, where: str, most: int) -> tuple[tuple[int, DeniedIdentity], ...]:
        rows = self._db.execute(
            f"SELECT id, kind, identity FROM entry WHERE {where} ORDER BY id LIMIT {most}"  # noqa: S608 ours
        )
        return tuple((id_, DeniedIdentity(DenyKind(kind), value)) for id_, kind, value in rows)

    def _entries(self, where: str, values: Sequence[object]) -> tuple[DenyEntry, ...]:
        with self._said(self.folder):
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM entry {where}", values)  # noqa: S608 ours
            return tuple(map(_entry, rows))

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._said(self.folder):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _said(self, path: Path) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise PublishError(
                f"the deny register in {path} cannot be used: {error}",
                "Check the disk's space and rights; a damaged register is replaced by its backup.",
            ) from error


def _end_what_is_over(db: sqlite3.Connection, now: datetime) -> None:
    db.execute(
        "UPDATE entry SET ended_ms = until_ms, ended_by = '' WHERE until_ms <= ? AND ended_ms IS NULL",
        (unix_ms(now),),
    )


def begin_register(folder: Path) -> None:
    """An empty register in `folder`. Raises `PublishError` where there is one."""
    path = folder / REGISTER_FILE
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        if not create_file(path, b"", OWNER_ONLY):
            raise PublishError(f"{path} is there already", "Use it, or give another folder.")
        db = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            f"PRAGMA application_id = {APPLICATION_ID}",
            "BEGIN IMMEDIATE",
            *_TABLES,
            f"PRAGMA user_version = {FORMAT}",
            "COMMIT",
        ):
            db.execute(statement)
        db.close()
    except (OSError, sqlite3.Error) as error:
        raise PublishError(
            f"no deny register can be begun in {folder}: {error}", "Check the directory's rights."
        ) from error


def _key(identity: DeniedIdentity) -> tuple[str, bytes]:
    return identity.kind.value, identity.value


def _ms(at: datetime | None) -> int | None:
    return None if at is None else unix_ms(at)


def _entry(row: tuple[str, bytes, str, int, int | None, str, int | None, str | None, int]) -> DenyEntry:
    kind, value, reason, since_ms, until_ms, by, ended_ms, ended_by, published = row
    return DenyEntry(
        DeniedIdentity(DenyKind(kind), value),
        DenyReason(reason),
        from_unix_ms(since_ms),
        None if until_ms is None else from_unix_ms(until_ms),
        by,
        None if ended_ms is None else from_unix_ms(ended_ms),
        ended_by or "",
        bool(published),
    )
