"""What the follower has found, in a SQLite file beside the records: it follows from rows and documents alone, and is
made again when it is deleted.

    mark       how far the rows of each terminal are decided again, and the document in force there
    in_force   which region document was in force at a terminal, from which row on
    verdict    counts and minor units by service day, terminal, currency, verdict and reason
    total      counts by verdict alone
    differing  each differing row, in full
    waiting    stretches of rows that lack a file, until it is added
    statement  what each terminal last said of its own rows (`terminal.recompute.own`)
    tap_count  taps and refusals by terminal, region document and day, of those that may have to be compared; `beyond`
               of both are of cards refused on more days than count against a document on trial
    refused    which cards a document refused on which day, by hashes that say nothing elsewhere: each counts once
    trial      which documents terminals have, or had, on trial (`terminal.collector.recompute.trials`)
    shadow     what terminals say of documents in shadow, all together
    withdrawn  documents that were taken back from all that have them on trial

One stretch of rows is one transaction: its verdicts and the mark behind it are there together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from terminal.collector.recompute.trials import (
    COUNTED,
    GroupCount,
    ShadowSum,
    TrialRows,
    summed,
)
from terminal.collector.store import connect
from terminal.errors import CollectorDamaged, CollectorError
from terminal.journal.database import SQLITE_FAULTS, means_damage, said_of, transaction
from terminal.updates.trial import DAYS_KEPT, LEAST_TAPS, MOST_OF_A_CARD, TapCount

LEDGER_FILE: Final = "recomputed.db"
APPLICATION_ID: Final = 0x52524544  # "RRED"
LEDGER_VERSION: Final = 3
MOST_LAGGING: Final = 1_000
"""Of so many terminals the age of what is not recomputed is looked up; of the rest the rows are counted."""

_SCHEMA: Final = (
    "CREATE TABLE made_for (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE mark (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, since INTEGER NOT NULL, document TEXT NOT NULL,
    id TEXT NOT NULL, version INTEGER NOT NULL
)""",
    """CREATE TABLE in_force (
    terminal INTEGER, since INTEGER, document TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (terminal, since)
) WITHOUT ROWID""",
    """CREATE TABLE verdict (
    day TEXT, terminal INTEGER, currency TEXT, kind TEXT, reason TEXT,
    count INTEGER NOT NULL, sum_minor INTEGER NOT NULL,
    PRIMARY KEY (day, terminal, currency, kind, reason)
) WITHOUT ROWID""",
    "CREATE TABLE total (kind TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE differing (
    terminal INTEGER, sequence INTEGER, day TEXT NOT NULL, document TEXT NOT NULL, what TEXT NOT NULL,
    found BLOB NOT NULL, PRIMARY KEY (terminal, sequence)
) WITHOUT ROWID""",
    "CREATE INDEX differing_day ON differing (day, terminal, what)",
    """CREATE TABLE waiting (
    terminal INTEGER, since INTEGER, needs TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL,
    document TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (terminal, since, needs)
) WITHOUT ROWID""",
    "CREATE INDEX waiting_needs ON waiting (needs)",
    """CREATE TABLE statement (
    terminal INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL, through INTEGER NOT NULL,
    recomputed INTEGER NOT NULL, differing INTEGER NOT NULL, unproven INTEGER NOT NULL
)""",
    """CREATE TABLE tap_count (
    terminal INTEGER, edition TEXT, day INTEGER, taps INTEGER NOT NULL, refused INTEGER NOT NULL,
    beyond INTEGER NOT NULL, PRIMARY KEY (terminal, edition, day)
) WITHOUT ROWID""",
    """CREATE TABLE refused (
    edition TEXT, mark BLOB, day INTEGER, PRIMARY KEY (edition, mark, day)
) WITHOUT ROWID""",
    "CREATE INDEX refused_day ON refused (edition, day)",
    "CREATE INDEX tap_count_edition ON tap_count (edition)",
    """CREATE TABLE trial (
    terminal INTEGER, edition TEXT, since INTEGER NOT NULL, before TEXT NOT NULL, days INTEGER NOT NULL,
    ended TEXT NOT NULL, PRIMARY KEY (edition, terminal)
) WITHOUT ROWID""",
    """CREATE TABLE shadow (
    terminal INTEGER, edition TEXT, currency TEXT, taps INTEGER NOT NULL, same INTEGER NOT NULL,
    dearer INTEGER NOT NULL, cheaper INTEGER NOT NULL, refused INTEGER NOT NULL, let_in INTEGER NOT NULL,
    answered INTEGER NOT NULL, failed INTEGER NOT NULL, missed INTEGER NOT NULL, sum_minor INTEGER NOT NULL,
    PRIMARY KEY (edition, terminal, currency)
) WITHOUT ROWID""",
    "CREATE TABLE withdrawn (edition TEXT PRIMARY KEY) WITHOUT ROWID",
)
_ADD_SHADOW: Final = (
    "INSERT INTO shadow VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "  # noqa: S608 constants
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTED)
)
_GROUP: Final = (
    "SELECT trial.terminal, coalesce(sum(taps - {less}), 0), coalesce(sum(refused - {less}), 0)"
    " FROM trial LEFT JOIN tap_count ON tap_count.terminal = trial.terminal AND tap_count.edition = trial.{of}"
    " WHERE trial.edition = ? GROUP BY trial.terminal"
)
_TAKEN_BACK: Final = (
    "SELECT count(*), EXISTS (SELECT 1 FROM withdrawn WHERE edition = ?1) FROM trial"
    " WHERE edition = ?1 AND ended != ''"
)
_ADD_TAPS: Final = (
    "INSERT INTO tap_count VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET taps = taps + excluded.taps,"
    " refused = refused + excluded.refused, beyond = beyond + excluded.beyond"
)
_FORGET_CARDS: Final = (
    "DELETE FROM refused WHERE edition = ?1 AND day = ?2"
    " AND NOT EXISTS (SELECT 1 FROM tap_count WHERE edition = ?1 AND day = ?2)"
)
_FORGET_DAYS: Final = (
    "DELETE FROM tap_count WHERE terminal = ?1 AND edition = ?2 AND day <= (SELECT day FROM tap_count"
    " WHERE terminal = ?1 AND edition = ?2 ORDER BY day DESC LIMIT 1 OFFSET ?3) RETURNING day"
)


Rows: TypeAlias = list[tuple[Any, ...]]


class FollowMark(NamedTuple):
    """How far a terminal's rows are decided again. `document` (a SHA-256, empty for none named) is in force there since
    row `since`.
    """

    sequence: int = 0
    since: int = 0
    document: str = ""
    id: str = ""
    version: int = 0


NO_MARK: Final = FollowMark()


class CountKey(NamedTuple):
    """What verdicts are counted by; `reason` is empty for a recomputed row without more to say."""

    day: str
    terminal: int
    currency: str
    kind: str
    reason: str


class FoundDiffering(NamedTuple):
    """A differing row in full: `what` are the names of what differs, `found` recorded and recomputed value of each."""

    terminal: int
    sequence: int
    day: str
    document: str
    what: str
    found: dict[str, dict[str, object]]


class WaitingRows(NamedTuple):
    """Rows `first` to `last` of a terminal, decided under `document` since row `since`, lack the file `needs`."""

    terminal: int
    since: int
    needs: str
    first: int
    last: int
    document: str
    reason: str


class Statement(NamedTuple):
    """What a terminal says in row `sequence` of its own rows through `through`."""

    terminal: int
    sequence: int
    at_ms: int
    through: int
    recomputed: int
    differing: int
    unproven: int


class VerdictSum(NamedTuple):
    """How many rows came to a verdict, and what money they name, in minor units of `currency`."""

    day: str
    terminal: int
    currency: str
    kind: str
    reason: str
    rows: int
    sum_minor: int


class LedgerReader:
    """What the ledger says, through connections that only read: beside the follower, or at rest. A ledger that was
    never begun says nothing. Every method raises `CollectorError` when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def marks(self) -> dict[int, FollowMark]:
        """How far each terminal is decided again."""
        query = "SELECT terminal, sequence, since, document, id, version FROM mark"
        return {row[0]: FollowMark(*row[1:]) for row in self._rows(query)}

    def document_at(self, terminal: int, sequence: int) -> str:
        """The hash of the region document in force at that row, as far as the rows before it say; empty for none."""
        query = "SELECT document FROM in_force WHERE terminal = ? AND since <= ? ORDER BY since DESC LIMIT 1"
        return next((str(row[0]) for row in self._rows(query, terminal, sequence)), "")

    def documents_named(self) -> dict[str, int]:
        """The hashes of documents, feeds and grants that rows name or lack, with how many terminals do."""
        query = (
            "SELECT name, count(DISTINCT terminal) FROM (SELECT document AS name, terminal FROM in_force"
            " UNION ALL SELECT needs, terminal FROM waiting) GROUP BY name ORDER BY name"
        )
        return {str(name): int(count) for name, count in self._rows(query)}

    def sums(self, day: str = "") -> list[VerdictSum]:
        """The counts of a service day, or of all; lines that came to nothing are left out."""
        where = "WHERE day = ? AND count" if day else "WHERE count AND ? = ''"
        query = (
            "SELECT day, terminal, currency, kind, reason, count, sum_minor FROM verdict"  # noqa: S608 our own words
            f" {where} ORDER BY day, terminal, currency, kind, reason"
        )
        return [VerdictSum(*row) for row in self._rows(query, day)]

    def totals(self) -> dict[str, int]:
        """How many rows came to each kind of verdict."""
        return {str(kind): int(count) for kind, count in self._rows("SELECT kind, count FROM total")}

    def differing(self, day: str = "", limit: int = 1_000) -> list[FoundDiffering]:
        """The first `limit` differing rows of a day, or of all."""
        where = "WHERE day = ?" if day else "WHERE ? = ''"
        query = (
            "SELECT terminal, sequence, day, document, what, found FROM differing"  # noqa: S608 our own words
            f" {where} ORDER BY day, terminal, sequence LIMIT ?"
        )
        rows = self._rows(query, day, limit)
        return [FoundDiffering._make((*row[:5], msgspec.json.decode(row[5]))) for row in rows]

    def statements(self) -> dict[int, Statement]:
        """What each terminal last said of its own rows."""
        return {row[0]: Statement(*row) for row in self._rows("SELECT * FROM statement")}

    def shadows(self) -> list[ShadowSum]:
        """What terminals say of documents in shadow."""
        return [ShadowSum(*row) for row in self._rows("SELECT * FROM shadow ORDER BY edition, terminal")]

    def groups(self) -> list[GroupCount]:
        """Every document that is, or was, on trial anywhere."""
        with self._asking() as ask:
            editions = ask("SELECT DISTINCT edition FROM trial ORDER BY edition")
            return [_group(ask, str(edition))[0] for (edition,) in editions]

    def group(self, edition: str) -> tuple[GroupCount, dict[int, TapCount]]:
        """The terminals that have or had it on trial: together, and what each decided by it."""
        with self._asking() as ask:
            return _group(ask, edition)

    def _rows(self, query: str, *values: object) -> Rows:
        with self._asking() as ask:
            return ask(query, *values)

    @contextmanager
    def _asking(self) -> Iterator[Callable[..., Rows]]:
        """Queries of one connection."""
        if not self.path.is_file():
            yield lambda *_: []
            return
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        with reported(self.path), closing(connect(uri, uri=True)) as reader:
            begun = reader.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
            yield lambda query, *values: reader.execute(query, values).fetchall() if begun else []


def _group(ask: Callable[..., Rows], edition: str) -> tuple[GroupCount, dict[int, TapCount]]:
    new = summed(ask(_GROUP.format(of="edition", less="beyond"), edition))
    if not new:
        return GroupCount(edition, 0, 0, 0, 0, 0, 0, withdrawn=False), new
    ((ended, withdrawn),) = ask(_TAKEN_BACK, edition)
    total, before = sum(new.values(), TapCount()), _before(ask, edition)
    return GroupCount(edition, len(new), ended, *total, *before, bool(withdrawn)), new


def _before(ask: Callable[..., Rows], edition: str) -> TapCount:
    """What the group refused by the documents before; where that are few taps, what all terminals did by those."""
    own = sum(summed(ask(_GROUP.format(of="before", less="0"), edition)).values(), TapCount())
    if own.taps >= LEAST_TAPS:
        return own
    query = (
        "SELECT coalesce(sum(taps), 0), coalesce(sum(refused), 0) FROM tap_count"
        " WHERE edition IN (SELECT before FROM trial WHERE edition = ?)"
    )
    return TapCount(*ask(query, edition)[0])


class VerdictLedger(LedgerReader):
    """The ledger for its one writer, the follower; changes are made inside `changing`."""

    def __init__(self, path: Path, made_for: dict[str, str]) -> None:
        """Open or begin it; one that was made for something else (another zone) is begun anew. Raises
        `CollectorError`.
        """
        super().__init__(path)
        made_for = {"version": str(LEDGER_VERSION), **made_for}
        with reported(path):
            self._connection = connect(path)
            try:
                self._open(made_for)
            except BaseException:
                self._connection.close()
                raise

    def _open(self, made_for: dict[str, str]) -> None:
        execute = self._connection.execute
        (application,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != APPLICATION_ID:
            raise CollectorError(
                f"{self.path} is no ledger of recomputed rows", "Move the file away; the ledger is made anew."
            )
        if tables and dict(execute("SELECT name, value FROM made_for")) != made_for:
            self._connection.close()
            for name in (self.path.name, f"{self.path.name}-wal", f"{self.path.name}-shm"):
                self.path.with_name(name).unlink(missing_ok=True)
            self._connection, tables = connect(self.path), 0
            execute = self._connection.execute
        execute("PRAGMA journal_mode=WAL")
        # What a power cut takes back is decided again: the marks go back with it.
        execute("PRAGMA synchronous=NORMAL")
        if tables:
            return
        with transaction(self._connection):
            for statement in _SCHEMA:
                execute(statement)
            self._connection.executemany("INSERT INTO made_for VALUES (?, ?)", made_for.items())
            execute(f"PRAGMA application_id={APPLICATION_ID}")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction. Raises `CollectorError`; then nothing of the block was kept."""
        with reported(self.path), transaction(self._connection):
            yield

    def put_marks(self, marks: Iterable[tuple[int, FollowMark]]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?, ?)",
            [(terminal, *mark) for terminal, mark in marks],
        )

    def put_in_force(self, rows: Iterable[tuple[int, FollowMark]]) -> None:
        """From row `since` of each mark on its document is in force."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO in_force VALUES (?, ?, ?, ?, ?)",
            [(terminal, mark.since, mark.document, mark.id, mark.version) for terminal, mark in rows],
        )

    def add(self, counts: Iterable[tuple[CountKey, tuple[int, int]]]) -> None:
        """Add rows and minor units to the counts."""
        counts = list(counts)
        self._connection.executemany(
            "INSERT INTO total VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(key.kind, rows) for key, (rows, _) in counts if rows],
        )
        self._connection.executemany(
            "INSERT INTO verdict VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " count = count + excluded.count, sum_minor = sum_minor + excluded.sum_minor",
            [(*key, *added) for key, added in counts if added != (0, 0)],
        )

    def put_differing(self, rows: Iterable[FoundDiffering]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO differing VALUES (?, ?, ?, ?, ?, ?)",
            [(*row[:5], msgspec.json.encode(row.found)) for row in rows],
        )

    def known_to_differ(self, terminal: int, day: str, what: str) -> bool:
        """Whether a row of that terminal and day differs in the same already."""
        query = "SELECT 1 FROM differing WHERE day = ? AND terminal = ? AND what = ? LIMIT 1"
        return self._connection.execute(query, (day, terminal, what)).fetchone() is not None

    def put_waiting(self, rows: Iterable[WaitingRows]) -> None:
        """Rows that lack a file, joined to those that lack it already."""
        self._connection.executemany(
            "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " first = min(first, excluded.first), last = max(last, excluded.last)",
            rows,
        )

    def waiting(self) -> list[WaitingRows]:
        """What lacks a file, one terminal after another."""
        return [
            WaitingRows(*row) for row in self._connection.execute("SELECT * FROM waiting ORDER BY terminal")
        ]

    def settle(self, one: WaitingRows, through: int) -> None:
        """The rows of `one` up to `through` have been decided again."""
        key = one.terminal, one.since, one.needs
        if through >= one.last:
            self._connection.execute(
                "DELETE FROM waiting WHERE terminal = ? AND since = ? AND needs = ?", key
            )
        else:
            self._connection.execute(
                "UPDATE waiting SET first = ? WHERE terminal = ? AND since = ? AND needs = ?",
                (through + 1, *key),
            )

    def put_statements(self, rows: Iterable[Statement]) -> None:
        self._connection.executemany("INSERT OR REPLACE INTO statement VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def put_trials(self, rows: TrialRows) -> None:
        """What some rows of a terminal say. Counts of documents that it can go back to no more are forgotten."""
        execute, terminal = self._connection.execute, rows.terminal
        for (edition, day), taps in rows.taps.items():
            execute(_ADD_TAPS, (terminal, edition, day, taps, 0, 0))
        for edition, day, mark in sorted(rows.refused):
            if execute("INSERT OR IGNORE INTO refused VALUES (?, ?, ?)", (edition, mark, day)).rowcount:
                times = execute(
                    "SELECT count(*) FROM refused WHERE edition = ? AND mark = ?", (edition, mark)
                )
                beyond = times.fetchone()[0] > MOST_OF_A_CARD
                execute(_ADD_TAPS, (terminal, edition, day, 1, 1, beyond))
        for edition in rows.editions:
            for (day,) in execute(_FORGET_DAYS, (terminal, edition, DAYS_KEPT)).fetchall():
                execute(_FORGET_CARDS, (edition, day))
        for one in rows.begun:
            execute("INSERT OR REPLACE INTO trial VALUES (?, ?, ?, ?, ?, ?)", one)
        for edition, cause in rows.ended:
            execute(
                "UPDATE trial SET ended = ? WHERE terminal = ? AND edition = ?", (cause, terminal, edition)
            )
        for edition, before in rows.in_force:
            execute(
                "DELETE FROM tap_count WHERE terminal = ?1 AND edition NOT IN (?2, ?3) AND edition NOT IN"
                " (SELECT edition FROM trial WHERE terminal = ?1 UNION SELECT before FROM trial"
                " WHERE terminal = ?1)",
                (terminal, edition, before),
            )
        if rows.in_force:
            execute("DELETE FROM refused WHERE edition NOT IN (SELECT edition FROM tap_count)")
        self._connection.executemany(_ADD_SHADOW, rows.shadows)

    def put_withdrawn(self, edition: str) -> None:
        """It was taken back from all that have it on trial."""
        self._connection.execute("INSERT OR IGNORE INTO withdrawn VALUES (?)", (edition,))

    def close(self) -> None:
        self._connection.close()


def lag_of(
    ledger: LedgerReader, held: Mapping[int, int], received_at_ms: Callable[[int, int], int], now_ms: int
) -> tuple[int, int]:
    """How many of the rows `held`, by terminal, the follower has not come to, and for how many seconds the oldest of
    them has been here. `received_at_ms` says when a terminal's row arrived, 0 where that is not known.
    """
    marks = ledger.marks()
    behind = {n: row - marks.get(n, NO_MARK).sequence for n, row in held.items()}
    behind = {n: rows for n, rows in behind.items() if rows > 0}
    arrived = (received_at_ms(n, marks.get(n, NO_MARK).sequence + 1) for n in list(behind)[:MOST_LAGGING])
    oldest_ms = min((at_ms for at_ms in arrived if at_ms), default=now_ms)
    return sum(behind.values()), max(0, now_ms - oldest_ms) // 1000


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Errors of SQLite become ours."""
    try:
        yield
    except SQLITE_FAULTS as error:
        if means_damage(error):
            raise CollectorDamaged(
                f"the ledger of recomputed rows {path} is damaged: {said_of(error)}",
                "Stop the follower and delete it: it is made again from records and documents.",
            ) from error
        raise CollectorError(
            f"the ledger of recomputed rows {path} failed: {error}",
            "Check the disk. The records are safe; a ledger that is deleted is made again from them.",
        ) from error
