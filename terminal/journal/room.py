"""How full a journal is, long before it is full; and whether a failed write means that there is no room.

Capacity is stated in rows, so the disk it can take is bounded, too: `ROW_BYTES` for a row of a tap with its share of
indexes, pages and checkpoints, as measured (`bench/journal.py`), rounded up.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from cardproto.resident.limits import LARGEST_SEQUENCE
from terminal.clock import Clock, unix_ms
from terminal.codes import JournalFault, PeripheryFault, Trouble
from terminal.errors import JournalError, JournalFull
from terminal.files import open_own
from terminal.journal.canteen_records import Annulment, DayClosed, MealServed
from terminal.journal.operation_records import AnswerRepeated
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Fault,
    Intent,
    NotCommitted,
    ShiftClosed,
    Unresolved,
)

CAPACITY_ROWS: Final = 600_000
"""240 000 taps of two rows each, 96 hours of them, and a quarter more for everything else."""
ROW_BYTES: Final = 512
LOG_BYTES: Final = 16 << 20
"""What the write-ahead log keeps after a quiet moment; it may grow to `LOG_BYTES_AT_MOST` before one."""
LAST_BEGUN: Final = LARGEST_SEQUENCE - 100_000
"""Behind this number a journal only takes what finishes something begun: a row's number must fit the card's event."""
WARN_SHARE: Final = 0.75
CRITICAL_SHARE: Final = 0.90
PROBE_BYTES: Final = 65_536
CLOSING: Final = (Committed, NotCommitted, Unresolved, ShiftClosed, Annulment, DayClosed, AnswerRepeated)
"""Records that finish something begun: taken even when the stated capacity is reached."""
ADVICE: Final = "Connect the network so that rows can be sent, acknowledged and purged."


def goes_on(record: AnyRecord) -> bool:
    """Whether a full journal still takes `record`: the end of something begun, an entitled meal (O-06), or the opened
    housing, of which nothing else can be said later.
    """
    if isinstance(record, Fault):
        return record.code == PeripheryFault.TAMPERED
    if isinstance(record, Intent | MealServed):
        return record.meal is not None and record.meal.entitled
    return isinstance(record, CLOSING)


def require_number(number: int, record: AnyRecord) -> None:
    """Raise `JournalError` unless `record` may have the row number `number`."""
    if number > (LARGEST_SEQUENCE if isinstance(record, CLOSING) else LAST_BEGUN):
        raise JournalError(
            f"the row numbers of this terminal are used up at {LAST_BEGUN}",
            "Send what the journal holds, then start with a new state folder under a new terminal number.",
        )


class FillLevel(StrEnum):
    """How soon staff must act."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    FULL = "full"


class Fill(Struct, frozen=True):
    """Rows held of those the journal may hold, and what is left of the disk for the others."""

    rows: int
    capacity_rows: int
    disk_free_bytes: int

    @property
    def share(self) -> float:
        """Of the capacity, or of as much of it as the disk has room for."""
        room = min(self.capacity_rows, self.rows + self.disk_free_bytes // ROW_BYTES)
        return self.rows / room if room else 1.0

    @property
    def level(self) -> FillLevel:
        if self.share >= 1.0:
            return FillLevel.FULL
        if self.share >= CRITICAL_SHARE:
            return FillLevel.CRITICAL
        return FillLevel.WARNING if self.share >= WARN_SHARE else FillLevel.OK

    @property
    def inputs(self) -> dict[str, int | str]:
        """The same for a row."""
        return {
            "share_percent": round(100 * self.share),
            "rows": self.rows,
            "capacity_rows": self.capacity_rows,
            "free_mb": self.disk_free_bytes >> 20,
        }

    def __str__(self) -> str:
        free_mb = self.disk_free_bytes >> 20
        return f"{self.share:.0%} full: {self.rows} of {self.capacity_rows} rows, {free_mb} MB of disk free"


def fill_of(path: Path, rows: int, capacity_rows: int) -> Fill:
    """A disk that does not answer counts as one with room: the next write will show."""
    free_bytes = capacity_rows * ROW_BYTES
    with suppress(OSError):
        disk = os.statvfs(path.parent)
        free_bytes = disk.f_bavail * disk.f_frsize
    return Fill(rows, capacity_rows, free_bytes)


class Filling(Protocol):
    """A journal that fills up."""

    @property
    def fill(self) -> Fill: ...

    def append(self, record: AnyRecord, /) -> int: ...


class FillWatch:
    """Notes in the journal and alerts staff when the journal reaches a level: once for each, and again only after it
    has been below."""

    def __init__(self, journal: Filling, clock: Clock, tell: Callable[[Trouble], None]) -> None:
        self._journal = journal
        self._clock = clock
        self._tell = tell
        self._noted = FillLevel.OK

    def look(self) -> Fill:
        """After a tap. Staff are alerted also when a full journal takes no note. Raises as `Journal.append`."""
        fill = self._journal.fill
        level, noted = fill.level, self._noted
        self._noted = level
        if _RANK[level] > _RANK[noted]:
            trouble = Trouble(FAULT_OF[level], fill.inputs)
            self._tell(trouble)
            with suppress(JournalFull):
                at_ms = unix_ms(self._clock.now())
                self._journal.append(Fault(at_ms, trouble.code, dict(trouble.inputs)))
        return fill


FAULT_OF: Final = {
    FillLevel.WARNING: JournalFault.FILLING,
    FillLevel.CRITICAL: JournalFault.NEARLY_FULL,
    FillLevel.FULL: JournalFault.FULL,
}
_RANK: Final = {level: rank for rank, level in enumerate(FillLevel)}


def no_room(path: Path) -> str | None:
    """Why files beside `path` cannot grow, if that is so; asked after a write failed for a reason unknown.

    SQLite reports a full disk as such, but calls a quota and a limit on file sizes an input/output error.
    """
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit_bytes != resource.RLIM_INFINITY:
        for file in (path, path.with_name(path.name + "-wal")):
            with suppress(OSError):
                if file.stat().st_size + PROBE_BYTES > limit_bytes:
                    return f"{file.name} may not grow beyond {limit_bytes} bytes"
    probe = path.with_name(path.name + ".probe")
    try:
        with os.fdopen(open_own(probe), "wb") as file_handle:
            file_handle.write(bytes(PROBE_BYTES))
            file_handle.flush()
            os.fsync(file_handle.fileno())
    except OSError as error:
        reasons = {
            ENOSPC: "the disk is full",
            EDQUOT: "the disk quota is used up",
            EFBIG: "files may not grow",
        }
        return reasons.get(error.errno or 0)
    finally:
        with suppress(OSError):
            probe.unlink()
    return None
