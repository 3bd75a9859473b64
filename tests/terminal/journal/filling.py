"""A journal with many rows, put into the file at once: as they would be there, without a flush for each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from terminal.journal.chain import link
from terminal.journal.database import transaction
from terminal.journal.journal import Journal
from terminal.journal.numbers import NEVER_RESERVED, Numbers, boot_id
from terminal.journal.records import AnyRecord, build_record
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import Row, insert_row


def fill(path: Path, terminal: int, key: JournalKey | None, records: Iterable[AnyRecord]) -> int:
    """Add `records` to the journal at `path`, made if need be; none may stay open. Return its head."""
    journal = Journal.open(path, terminal, key=key)
    head = journal.head
    journal.close()
    contents = Contents(terminal, key)
    connection = sqlite3.connect(path, isolation_level=None)
    with transaction(connection):
        for record in records:
            body = build_record(record)
            row = Row(head.sequence + 1, body, link(head.hash, body))
            insert_row(connection, contents, row)
            head = head._replace(sequence=row.sequence, hash=row.hash)
    connection.close()
    numbers = Numbers(path, contents, NEVER_RESERVED, head, boot_id())
    numbers.begin()
    numbers.close()
    Journal.open(path, terminal, key=key).close()  # notes its head and what is open, as after a crash
    return head.sequence
