"""A copy of everything that cannot be made again, taken while the collector runs, and checked."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminal.collector.store import RESTORE, connect
from terminal.collector.users import OFFICE_FOLDER, USERS_FILE
from terminal.errors import CollectorDamaged, CollectorError
from terminal.journal.database import SQLITE_FAULTS, means_damage, said_of
from terminal.recompute import DOCUMENTS_FOLDER

DATABASE: Final = "collector.db"
PLAIN: Final = ("collector.pub", "ca.crt", "carriers.toml", "terminals", DOCUMENTS_FOLDER)
USERS: Final = Path(OFFICE_FOLDER, USERS_FILE)
BANK_LEDGER: Final = Path("bank", "bank.db")
"""What bank cards were charged cannot be made again. Order files are left out: they hold numbers of cards."""
SECRET: Final = ("collector.key", "ca.key")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What the copy holds."""

    records: int
    terminals: int
    bytes: int
    with_key: bool


def back_up(folder: Path, target: Path, *, with_key: bool) -> BackedUp:
    """Copy the database of `folder` as of one moment, the keys of the terminals, and the documents that decisions were
    made from, into the new folder `target`.

    Uploads go on meanwhile. The copy is checked before this returns. The books are left out: they are made again; and
    who is signed in. The users are in it. Raises `CollectorError`.
    """
    source = folder / DATABASE
    if not source.is_file():
        raise CollectorError(f"no collector has run in {folder}", "Give --folder.")
    try:
        target.mkdir(mode=0o700, parents=True)
        found = _copy_database(source, target / DATABASE)
        for name in (*PLAIN, *(SECRET if with_key else ())):
            _copy(folder / name, target / name)
        if (folder / BANK_LEDGER).exists():
            (target / BANK_LEDGER).parent.mkdir(mode=0o700)
            _copied(folder / BANK_LEDGER, target / BANK_LEDGER, lambda _copy: ())
        if (folder / USERS).exists():
            (target / USERS).parent.mkdir(mode=0o700)
            _copy(folder / USERS, target / USERS)
    except FileExistsError as error:
        raise CollectorError(f"{target} exists already", "Give a new folder.") from error
    except OSError as error:
        raise CollectorError(
            f"backup to {target} failed: {error.strerror}", "Check room and rights."
        ) from error
    except SQLITE_FAULTS as error:
        if means_damage(error):
            raise CollectorDamaged(
                f"collector database {source} is damaged: {said_of(error)}", RESTORE
            ) from error
        raise CollectorError(
            f"backup to {target} failed: {error}", "Check both disks, then try again."
        ) from error
    return BackedUp(*found, (target / DATABASE).stat().st_size, with_key)


def _copy_database(source: Path, target: Path) -> tuple[int, int]:
    records, terminals = _copied(
        source,
        target,
        lambda copy: (
            copy.execute("SELECT count(*) FROM record").fetchone()
            + copy.execute("SELECT count(*) FROM terminal").fetchone()
        ),
    )
    return records, terminals


def _copied(
    source: Path, target: Path, counts: Callable[[sqlite3.Connection], tuple[int, ...]]
) -> tuple[int, ...]:
    """All pages in one step: one moment, and uploads only wait for nothing (WAL)."""
    with (
        closing(connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reader,
        closing(connect(target)) as copy,
    ):
        reader.backup(copy)
        if (state := copy.execute("PRAGMA quick_check").fetchone()) != ("ok",):
            raise CollectorError(f"the copy is damaged: {state}", "Check both disks, then try again.")
        found = counts(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    return found


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.code", "*.new", ".lock"))
    elif source.exists():
        shutil.copy2(source, target)
