"""Who holds a file's lock, asked without taking it: a health check must never keep a terminal from starting."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LOCKS: Final = Path("/proc/locks")


def holder_of(path: Path) -> int | None:
    """The process that holds the lock on `path` (`terminal.journal.lock`); None when nobody does."""
    lock = path.with_name(path.name + ".lock")
    try:
        content = lock.read_text("ascii").strip()
        inode = lock.stat().st_ino
    except OSError:
        return None
    if not content.isdigit():
        return None
    process = int(content)
    try:
        held = LOCKS.read_text("ascii")
    except OSError:  # not Linux: the best that can be said is that there is such a process
        return process if _exists(process) else None
    return process if any(_is(line, inode, process) for line in held.splitlines()) else None


def _is(line: str, inode: int, process: int) -> bool:
    """Whether a line like `3: FLOCK  ADVISORY  WRITE 31434 00:1b:123701 0 EOF` is that lock, held."""
    words = line.split()
    if len(words) < 6 or words[1] != "FLOCK":
        return False
    return words[4] == str(process) and words[5].rpartition(":")[2] == str(inode)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
