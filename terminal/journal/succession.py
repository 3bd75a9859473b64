"""A journal that cannot be read any more, and the terminal that has to go on: a new one takes its place.

Nothing that can still be read of the old one is carried over, for none of it can be proven; it stays beside the new one
for the auditor (`terminal.journal.mending.keep_aside`). The new journal begins at the newest row that the marks name,
its first row is chained to that row, says from which number on it goes, and that what the collector does not hold
before it is lost (`SkipCause.BEGAN_ANEW`). What was open is lost with the old one: taps of unknown end are settled by
the collector, the shift has to be opened again.
"""

from __future__ import annotations

from pathlib import Path

from terminal.errors import JournalDamaged, JournalSealed
from terminal.files import put_in_place
from terminal.journal.database import create_schema, file_error, new_file, transaction
from terminal.journal.journal import Journal
from terminal.journal.lock import acquire_lock
from terminal.journal.mending import finish, keep_aside, whole_path
from terminal.journal.numbers import read_known
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import JournalState, insert_state


def open_in_service(path: Path, terminal: int, *, key: JournalKey | None) -> Journal:
    """As `Journal.open`; where the journal there is damaged beyond what can be mended, a new one goes on in its place.

    Raises `JournalDamaged` still when nothing says how far the old one came, so which numbers are free.
    """
    try:
        return Journal.open(path, terminal, key=key)
    except (
        JournalDamaged,
        JournalSealed,
    ):  # sealed under another key than the marks beside it: another's file
        if not begin_anew(path, terminal, key):
            raise
    return Journal.open(path, terminal, key=key)


def begin_anew(path: Path, terminal: int, key: JournalKey | None) -> bool:
    """Put the journal at `path` aside and a new one in its place; False when nothing says how far it came.

    Whole or not at all, whatever interrupts it. Raises `JournalLocked`, `JournalError`.
    """
    lock = acquire_lock(path)
    try:
        contents = Contents(terminal, key)
        anchor = read_known(path, contents).anchor
        if anchor is None:
            return False
        keep_aside(path)
        state = JournalState(terminal, anchor, anchor.sequence, anchor, anew=True)
        with new_file(path) as (new, connection), transaction(connection):
            create_schema(connection)
            insert_state(connection, contents, state)
        put_in_place(new, whole_path(path))
        finish(path)
    except OSError as error:
        raise file_error(path, error) from error
    finally:
        lock.release()
    return True
