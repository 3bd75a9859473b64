"""One writing process per file, held by the kernel so that it ends with the process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from terminal.errors import JournalLocked
from terminal.files import open_own
from terminal.journal.database import not_writable


class FileLock:
    """An exclusive lock on `PATH.lock`.

    It is a file of its own: closing any other handle of the database file would drop SQLite's own POSIX
    locks.
    """

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def acquire(cls, path: Path) -> FileLock | int:
        """Return the lock, or the number of the process that holds it (0 if unknown). May raise OSError."""
        handle = open_own(path.with_name(path.name + ".lock"))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).strip()
            os.close(handle)
            return int(owner) if owner.isdigit() else 0
        try:
            os.ftruncate(handle, 0)
            os.write(handle, b"%d\n" % os.getpid())
        except OSError:  # a full disk
            os.close(handle)
            raise
        return cls(handle)

    def release(self) -> None:
        """Harmless when called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def acquire_lock(path: Path) -> FileLock:
    """Make this process the one that writes the journal at `path`. Raises `JournalLocked`, `JournalError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock.acquire(path)
    except OSError as error:
        raise not_writable(path, error) from error
    if isinstance(lock, int):
        owner = f" (process {lock})" if lock else ""
        raise JournalLocked(
            f"another terminal process{owner} uses {path}",
            "Stop it, or start this terminal with a journal of its own.",
        )
    return lock
