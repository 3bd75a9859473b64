"""Backing a terminal up while it runs: everything of its folder that new hardware needs, and not its identity.

The private key that signs for this terminal stays where it is: new hardware makes its own, and enrolling that one locks
the old hardware out (docs/adr/0012-new-hardware.md). A copy of the whole folder would be a second terminal.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from terminal.clock import unix_ms
from terminal.errors import BackupError, JournalDamaged
from terminal.files import Sealer, replacing
from terminal.journal.database import SQLITE_FAULTS, connect, connect_reader, journal_error
from terminal.journal.reader import JournalReader
from terminal.journal.sealed import JournalKey
from terminal.journal.verify import verify
from terminal.media.held import HELD_FILE
from terminal.operations.archive import BackupHeader, read_archive, write_archive
from terminal.operations.status import STATUS_FILE
from terminal.updates.store import ACTIVE_FILE, copy_rows

LEFT_BEHIND: Final = (
    "terminal.key",
    "terminal.pub",
    "renewal.key",
    "renewals.json",
    "pace.json",
    STATUS_FILE,
    "counter.json",
    ACTIVE_FILE,
    HELD_FILE,
)
"""The identity, what only a running process says, and two databases, which are copied as a whole."""
LEFT_BEHIND_ENDINGS: Final = (
    ".lock", ".new", "-wal", "-shm", "-journal", ".probe", ".damaged", ".numbers", ".mark",
    ".suspect", ".mended", ".key2",
)  # fmt: skip


class Source(Struct, frozen=True):
    """A terminal to be backed up. `key` opens its journal."""

    folder: Path
    journal: Path
    profile: str
    software: str
    key: JournalKey | None
    sealer: Sealer


def back_up(source: Source, target: Path, now: datetime) -> BackupHeader:
    """Write a backup of the terminal, running or not, to `target`; it is there whole or not at all.

    The journal is copied at one moment of its life and checked row by row before it is trusted. Raises `BackupError`,
    `JournalError` or `KeyFileError`.
    """
    if source.folder.resolve() in target.resolve().parents:
        raise BackupError(
            f"{target} lies in the folder to be backed up", "Write it somewhere else: to another disk."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".backup") as scratch:
            copy = Path(scratch) / source.journal.name
            _copy_journal(source.journal, copy)
            header = _header(source, copy, now)
            rows = Path(scratch) / ACTIVE_FILE
            kept = {ACTIVE_FILE: rows} if copy_rows(source.folder, rows) else {}
            states = Path(scratch) / HELD_FILE
            if (source.folder / HELD_FILE).exists():
                _copy_database(source.folder / HELD_FILE, states)
                kept[HELD_FILE] = states
            files = {source.journal.name: copy, **kept, **dict(_others(source))}
            with replacing(target) as file:
                write_archive(file, header, files, source.sealer)
    except OSError as error:
        raise BackupError(
            f"backup {target} cannot be written: {error.strerror}", "Check room and rights."
        ) from error
    return header


def check_backup(path: Path, sealer: Sealer) -> BackupHeader:
    """Open all of a backup and throw it away again. Raises `BackupError` or `KeyFileError`."""
    with TemporaryDirectory(dir=path.parent, prefix=".check") as scratch:
        return read_archive(path, Path(scratch), sealer)


def _copy_journal(journal: Path, copy: Path) -> None:
    try:
        _copied(connect_reader(journal), copy)
    except SQLITE_FAULTS as error:
        raise journal_error(journal, error) from error


def _copy_database(path: Path, copy: Path) -> None:
    try:
        _copied(connect(path), copy)
    except SQLITE_FAULTS as error:
        raise BackupError(
            f"{path} cannot be copied: {error}", "Start the terminal once: it puts a damaged file aside."
        ) from error


def _copied(source: Connection, copy: Path) -> None:
    """SQLite's own copy in one step: one moment, whatever is being written meanwhile, and no writer waits for it."""
    try:
        target = connect(copy)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, no log beside it
        finally:
            target.close()
    finally:
        source.close()


def _header(source: Source, copy: Path, now: datetime) -> BackupHeader:
    found = verify(copy, source.key)
    if found.problem is not None:
        raise JournalDamaged(
            f"the journal is damaged, and so is every backup of it: {found.problem}",
            "Keep file and older backups for the auditor, and replace the terminal (docs/operations.md).",
        )
    reader = JournalReader(copy, source.key)
    try:
        state = reader.state()
        head = reader.last_sequence()
    finally:
        reader.close()
    return BackupHeader(
        terminal=state.terminal,
        profile=source.profile,
        software=source.software,
        at_ms=unix_ms(now),
        head=head,
        name=secrets.token_hex(16),
    )


def _others(source: Source) -> Iterator[tuple[str, Path]]:
    """Every other file of the folder that new hardware needs, by its name below the folder."""
    for path in sorted(source.folder.rglob("*")):
        staying = path.name in LEFT_BEHIND or path.name.endswith(LEFT_BEHIND_ENDINGS)
        if path.is_file() and not path.is_symlink() and not staying and path != source.journal:
            yield str(path.relative_to(source.folder)), path
