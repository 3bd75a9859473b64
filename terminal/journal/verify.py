"""Prove that the journal was not changed, or name the first change.

What the chain alone cannot show is a cut tail: rows that were the newest leave no successor that misses them.
The journal notes its head in quiet moments, and the terminal signs checkpoints, so a cut below those is found here;
above them only the collector, which remembers the newest row it holds, can tell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal.clock import from_unix_ms
from terminal.errors import JournalDamaged, JournalSealed
from terminal.journal.chain import Head, genesis, link
from terminal.journal.checkpoint import Checkpoint, checkpoint_is_genuine
from terminal.journal.database import (
    SQLITE_FAULTS,
    connect_reader,
    contents_of,
    journal_error,
    means_damage,
    said_of,
)
from terminal.journal.open_records import OpenRecords
from terminal.journal.records import AnyRecord, UnreadableRecord, parse_record
from terminal.journal.sealed import Broken, Contents, JournalKey
from terminal.journal.stored import (
    COLUMNS,
    MAX_CHECKPOINTS,
    JournalState,
    Row,
    in_order,
    read_checkpoint,
    read_row,
    read_state,
)

_ROWS = f"SELECT {COLUMNS} FROM row WHERE sequence > ? ORDER BY sequence"  # noqa: S608 constant


class Verification(Struct, frozen=True):
    """`rows` were found good, from `first` to `last` (0: none). `problem` names the first bad row, checkpoint or note.

    `checkpoints` are the signed checkpoints that fit the rows, `signatures` how many of their signatures were checked
    (none without the terminal's public key), `unreadable` the good rows this software cannot read, `skipped` how many
    numbers among them were passed over (T-63).
    """

    rows: int
    first: int
    last: int
    problem: str | None
    checkpoints: int = 0
    signatures: int = 0
    unreadable: int = 0
    skipped: int = 0

    @property
    def ok(self) -> bool:
        return self.problem is None


def verify(
    path: Path, key: JournalKey | None = None, identities: Sequence[Ed25519PublicKey] = ()
) -> Verification:
    """Check every row and checkpoint of the journal at `path`, closed or in use; it is only read.

    A checkpoint is genuine when one of `identities`, this terminal's public keys, signed it. Raises `JournalError`
    when there is no file or it cannot be read (disk, lock), `JournalSealed` without its key. A file that is no journal
    of this schema is a problem, not an error.
    """
    try:
        connection = connect_reader(path)
    except JournalDamaged as error:
        return Verification(0, 0, 0, error.what)
    try:
        connection.execute("BEGIN")  # one view, whatever the terminal appends meanwhile
        return _Check(connection, contents_of(connection, path, key), identities).run()
    except JournalSealed:
        raise
    except JournalDamaged as error:
        return Verification(0, 0, 0, error.what)
    except SQLITE_FAULTS as error:
        raise journal_error(path, error) from error
    finally:
        connection.close()


class _Found(Exception):
    """Something is wrong, in words."""


class _Check:
    """One pass over one view of the file."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        contents: Contents,
        identities: Sequence[Ed25519PublicKey],
    ) -> None:
        self._connection = connection
        self._contents = contents
        self._identities = identities
        self._state = JournalState.new(contents.terminal)
        self._head = Head(0, b"")
        self._claims: dict[int, tuple[bytes, str]] = {}
        self._open: OpenRecords | None = OpenRecords()
        self._checkpoints = self._signatures = self._unreadable = self._skipped = 0

    def run(self) -> Verification:
        problem: str | None = None
        stages: tuple[Callable[[], None], ...] = (
            self._read_state,
            self._read_checkpoints,
            self._check_rows,
            self._check_reach,
            self._check_acknowledgements,
        )
        try:
            for stage in stages:
                stage()
        except _Found as found:
            problem = str(found)
        except SQLITE_FAULTS as error:
            if not means_damage(error):
                raise
            problem = f"the file is damaged after row {self._head.sequence}: {said_of(error)}"
        start = self._state.base.sequence
        rows = max(0, self._head.sequence - start - self._skipped)
        return Verification(
            rows,
            start + 1 if rows else 0,
            self._head.sequence if rows else 0,
            problem,
            0 if problem else self._checkpoints,
            0 if problem else self._signatures,
            self._unreadable,
            self._skipped,
        )

    # What is stated apart from the rows

    def _read_state(self) -> None:
        try:
            state = read_state(self._connection, self._contents)
        except Broken as error:
            raise _Found(f"the line of state was changed: {error}") from error
        self._state, self._head = state, state.base
        base = state.base
        stray = self._connection.execute(
            "SELECT sequence FROM row WHERE sequence <= ? ORDER BY sequence", (base.sequence,)
        ).fetchone()
        if stray is not None:
            raise _Found(
                f"row {stray[0]} does not belong here: the rows held begin after row {base.sequence}"
            )
        if base.sequence == 0 and base != genesis(state.terminal):
            raise _Found(
                f"the start was changed: it is not the start of a journal of terminal {state.terminal}"
            )
        if not base.sequence <= min(state.acknowledged, state.noted.sequence):
            raise _Found(
                f"the line of state was changed: row {base.sequence} left before it was acknowledged"
            )
        for number, body in state.notes:
            self._apply_note(number, body)
        self._claim(state.noted, "the last note")

    def _apply_note(self, number: int, body: bytes) -> None:
        """A note of a row that is still held is found again when the row is met."""
        if number > self._state.noted.sequence or number < 1:
            raise _Found(f"the note that row {number} is still open was changed")
        if number <= self._state.base.sequence:
            self._fold(number, body)

    def _read_checkpoints(self) -> None:
        query = "SELECT number, CAST(content AS BLOB) FROM checkpoint ORDER BY number"
        kept = self._connection.execute(query).fetchall()
        ever = self._state.checkpoints
        expected = range(max(1, ever - MAX_CHECKPOINTS + 1), ever + 1)
        for number, found in zip(expected, [number for number, _ in kept], strict=False):
            if found != number:
                raise _Found(f"signed checkpoint {min(number, found)} was taken out or put in")
        if len(kept) != len(expected):
            raise _Found(f"signed checkpoint {expected.start + len(kept)} was taken out or put in")
        for number, content in kept:
            try:
                checkpoint = read_checkpoint(self._contents, number, content)
            except Broken as error:
                raise _Found(f"signed checkpoint {number} was changed: {error}") from error
            self._check_signature(number, checkpoint)
            what = f"signed checkpoint {number}{_moment(checkpoint.at_ms)}"
            for sequence, row_hash in checkpoint.claims.items():
                self._claim(Head(sequence, row_hash), what)
            self._checkpoints += 1

    def _check_signature(self, number: int, checkpoint: Checkpoint) -> None:
        if checkpoint.terminal != self._state.terminal:
            raise _Found(f"signed checkpoint {number} is of terminal {checkpoint.terminal}")
        if not self._identities:
            return
        if not any(checkpoint_is_genuine(checkpoint, identity) for identity in self._identities):
            raise _Found(f"signed checkpoint {number} is not signed by this terminal")
        self._signatures += 1

    def _claim(self, head: Head, who: str) -> None:
        """The hash of a row was stated: two statements must agree, and the row, where it is held, with both."""
        stated, other = self._claims.setdefault(head.sequence, (head.hash, who))
        if stated != head.hash:
            raise _Found(f"{who} and {other} state different hashes of row {head.sequence}")

    # The rows

    def _check_rows(self) -> None:
        self._check_claim(self._head)
        if self._state.noted.sequence == self._head.sequence:
            self._check_notes()
        for columns in self._connection.execute(_ROWS, (self._state.base.sequence,)):
            sequence = columns[0]
            try:
                row = read_row(self._contents, *columns)
            except Broken:
                row = None
            self._check_number(sequence, row)
            if row is None or link(self._head.hash, row.body) != row.hash:
                raise _Found(self._what_happened_to(sequence))
            self._head = Head(row.sequence, row.hash)
            self._check_claim(self._head)
            self._fold(row.sequence, row.body)
            if row.sequence == self._state.noted.sequence:
                self._check_notes()

    def _check_number(self, sequence: int, row: Row | None) -> None:
        """The next number, or a row that says which ones were passed over, and the line of state says so, too."""
        expected = self._head.sequence + 1
        if sequence == expected:
            return
        span = (expected, sequence - 1)
        if row is None or not in_order(self._head.sequence, row) or span not in self._state.skipped:
            alone = sequence == expected + 1
            missing = f"row {expected} is" if alone else f"rows {expected} to {sequence - 1} are"
            raise _Found(f"{missing} missing")
        self._skipped += sequence - expected
        self._check_claim(Head(sequence - 1, self._head.hash))

    def _what_happened_to(self, sequence: int) -> str:
        """Whether what belongs into a bad row stands elsewhere."""
        for later, body, row_hash in self._connection.execute(_ROWS, (sequence,)):
            try:
                # Sealed contents open in their own place only; plain ones fit by the chain alone.
                row = read_row(self._contents, sequence, body, row_hash)
            except Broken:
                continue
            if link(self._head.hash, row.body) == row.hash:
                return f"row {sequence} was reordered: what belongs here stands in row {later}"
        suspicion = f"row {sequence} was changed, or rows before it were taken out"
        return f"{suspicion}: it does not follow from row {self._head.sequence}"

    def _check_claim(self, head: Head) -> None:
        stated = self._claims.get(head.sequence)
        if stated is not None and stated[0] != head.hash:
            raise _Found(f"row {head.sequence} was changed: {stated[1]} knew another hash")

    # What is still open

    def _fold(self, sequence: int, body: bytes) -> None:
        try:
            record: AnyRecord = parse_record(body)
        except UnreadableRecord:
            self._unreadable += 1
            self._open = None  # of newer software: what it opens or closes is not known here
            return
        if self._open is not None:
            self._open.apply(sequence, record)

    def _check_notes(self) -> None:
        """The list of open records must be what the rows up to here leave open."""
        if self._open is None:
            return
        newest_ms = self._open.clock.rows.newest_ms
        if self._state.base.sequence == 0 and self._state.newest_ms not in (0, newest_ms):  # 0: of schema 1
            raise _Found("the note of the newest moment on record was changed")
        notes = dict(self._state.notes)
        found = dict(self._open.all())
        for number in sorted(notes.keys() | found.keys()):
            body = notes.get(number)
            if number not in found:
                raise _Found(f"the note that row {number} is still open was put in")
            if body is None:
                raise _Found(f"the note that row {number} is still open was taken out")
            if not _says(body, found[number]):
                raise _Found(f"the note that row {number} is still open was changed")

    # The end

    def _check_reach(self) -> None:
        """The tail must reach everything the journal is known to have held."""
        last = self._head.sequence
        for sequence, (_, who) in sorted(self._claims.items(), reverse=True):
            if sequence > last:
                raise _Found(f"the journal was cut after row {last}: it once held row {sequence} ({who})")
        if self._state.newest_number > last:
            raise _Found(
                f"the journal was cut after row {last}: it once held row {self._state.newest_number}"
            )

    def _check_acknowledgements(self) -> None:
        query = "SELECT max(through) FROM acknowledgement"
        (through,) = self._connection.execute(query).fetchone()
        if through is not None and through > self._state.acknowledged:
            raise _Found(f"an acknowledgement of row {through} was put in")


def _says(body: bytes, record: AnyRecord) -> bool:
    try:
        return parse_record(body) == record
    except UnreadableRecord:
        return False


def _moment(at_ms: int) -> str:
    try:
        return f" of {from_unix_ms(at_ms):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return ""
