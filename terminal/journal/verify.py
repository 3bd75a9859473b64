"""Prove that nobody touched the journal, or name the first row that somebody did.

What the chain alone cannot show is a cut tail: rows that were the newest leave no successor that misses them.
The journal notes its head at every checkpoint and acknowledgement, so a cut below those is found here; above
them only the collector, which remembers the newest row it holds, can tell.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from terminal.errors import JournalDamaged
from terminal.journal.chain import Head, genesis, link
from terminal.journal.database import connect_reader
from terminal.journal.reader import Row, State, read_state

# The cast: a column takes text and numbers, too, when somebody puts them there; such a row must fail the chain.
_ROWS = "SELECT sequence, CAST(body AS BLOB), hash FROM row WHERE sequence > ? ORDER BY sequence"


@dataclass(frozen=True, slots=True)
class Verification:
    """`rows` were found good, from `first` to `last` (0: none). `problem` names the first bad row."""

    rows: int
    first: int
    last: int
    problem: str | None

    @property
    def ok(self) -> bool:
        return self.problem is None


def verify(path: Path) -> Verification:
    """Check every row of the journal at `path`, closed or in use; it is only read.

    Raises `JournalError` when there is no file. A file that is no journal of this schema is a problem, not an
    error.
    """
    try:
        connection = connect_reader(path)
    except JournalDamaged as error:
        return Verification(0, 0, 0, error.what)
    try:
        connection.execute("BEGIN")  # one view, whatever the terminal appends meanwhile
        return _verify(connection)
    finally:
        connection.close()


def _verify(connection: sqlite3.Connection) -> Verification:
    previous = start = Head(0, b"")
    try:
        state = read_state(connection)
        previous = start = state.base
        problem = _base_problem(connection, state)
        for row in map(Row._make, connection.execute(_ROWS, (start.sequence,))):
            problem = problem or _row_problem(connection, previous, row)
            if problem:
                break
            previous = Head(row.sequence, row.hash)
        problem = (
            problem or _checkpoint_problem(connection, state, previous) or _open_problem(connection, state)
        )
    except sqlite3.DatabaseError as error:
        problem = f"the file is damaged after row {previous.sequence}: {error}"
    rows = previous.sequence - start.sequence
    return Verification(rows, start.sequence + 1 if rows else 0, previous.sequence if rows else 0, problem)


def _base_problem(connection: sqlite3.Connection, state: State) -> str | None:
    stray = connection.execute(
        "SELECT sequence FROM row WHERE sequence <= ? ORDER BY sequence", (state.base.sequence,)
    ).fetchone()
    if stray is not None:
        return f"row {stray[0]} does not belong here: the rows held begin after row {state.base.sequence}"
    if state.base.sequence == 0 and state.base != genesis(state.terminal):
        return f"the start was changed: it is not the start of a journal of terminal {state.terminal}"
    return None


def _row_problem(connection: sqlite3.Connection, previous: Head, row: Row) -> str | None:
    """What is wrong with `row` after `previous`; None when it follows."""
    expected = previous.sequence + 1
    if row.sequence != expected:
        alone = row.sequence == expected + 1
        return f"row {expected} is missing" if alone else f"rows {expected} to {row.sequence - 1} are missing"
    if link(previous.hash, row.body) == row.hash:
        return None
    for later in map(Row._make, connection.execute(_ROWS, (row.sequence,))):
        if link(previous.hash, later.body) == later.hash:
            return f"row {row.sequence} was reordered: what belongs here stands in row {later.sequence}"
    suspicion = f"row {row.sequence} was changed, or rows before it were taken out"
    return f"{suspicion}: it does not follow from row {previous.sequence}"


def _checkpoint_problem(connection: sqlite3.Connection, state: State, head: Head) -> str | None:
    """The tail must reach everything the journal is known to have held, with the same content."""
    known = max(state.checkpoint.sequence, state.acknowledged)
    if head.sequence < known:
        return f"the journal was cut after row {head.sequence}: it once held row {known}"
    if state.checkpoint.sequence <= state.base.sequence:
        return None
    query = "SELECT hash FROM row WHERE sequence = ?"
    (hash_now,) = connection.execute(query, (state.checkpoint.sequence,)).fetchone()
    if hash_now != state.checkpoint.hash:
        return f"row {state.checkpoint.sequence} was changed: the checkpoint knew another hash"
    return None


def _open_problem(connection: sqlite3.Connection, state: State) -> str | None:
    """The list of open records must say what the rows say, as far as those are still held."""
    found = connection.execute(
        "SELECT still_open.sequence FROM still_open LEFT JOIN row USING (sequence)"
        " WHERE sequence > ? AND row.body IS NOT still_open.body ORDER BY sequence",
        (state.base.sequence,),
    ).fetchone()
    return f"the note that row {found[0]} is still open was changed" if found else None
