"""Is this terminal all right? Answered from its folder alone, whether it runs or not, without a lock.

    0   all well
    1   passengers are served, but somebody must look: soon, and before it becomes a 2
    2   passengers are not served, or what they pay cannot be recorded

The process is found by the kernel's list of locks, the journal's file is opened for reading, and the rest is what the
terminal itself said last (`terminal.operations.status`). No key is needed: monitoring must not hold any.

Who holds the lock is asked without taking it: a health check must never keep a terminal from starting.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Final

from terminal.clock import unix_ms
from terminal.errors import JournalError
from terminal.journal.database import connect_reader
from terminal.journal.room import WARN_SHARE
from terminal.operations.status import Status, read_status
from terminal.trail_words import effect_words

HUNG_MS: Final = 60_000
UNSENT_WARNING_MS: Final = 24 * 3_600_000
COLLECTOR_WARNING_MS: Final = 3_600_000
TARIFF_WARNING_MS: Final = 7 * 24 * 3_600_000
DENY_LIST_WARNING_MS: Final = 7 * 24 * 3_600_000
DISK_WARNING_BYTES: Final = 512 << 20
DISK_NEEDED_BYTES: Final = 32 << 20


class Level(IntEnum):
    """How bad; the worst check is the exit code."""

    OK = 0
    LOOK = 1
    OUT_OF_ORDER = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `value` in `unit`, where it is a number."""

    name: str
    level: Level
    says: str
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What was found, in the order in which to read it."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        return max(check.level for check in self.checks)


def examine(folder: Path, journal_file: Path, now: datetime) -> Health:
    """Look at the terminal in `folder`; reads two small files and the journal's header."""
    now_ms = unix_ms(now)
    status = read_status(folder)
    process = holder_of(journal_file)
    checks = [_process(status, process, now_ms), _journal_file(journal_file)]
    checks += _said(status, running=process is not None, now_ms=now_ms)
    checks.append(_disk(folder))
    return Health(tuple(checks))


def _process(status: Status | None, process: int | None, now_ms: int) -> Check:
    if process is None:
        if status is None or status.stopped:
            return Check("process", Level.OUT_OF_ORDER, "not running")
        return Check("process", Level.OUT_OF_ORDER, "not running, and it did not stop in good order")
    if status is None or status.process != process or status.stopped:
        return Check("process", Level.LOOK, f"process {process} uses the journal and serves no cards")
    silent_ms = now_ms - status.at_ms
    if silent_ms > HUNG_MS:
        says = f"process {process} hangs: its loop was last heard of {_span(silent_ms)} ago"
        return Check("process", Level.OUT_OF_ORDER, says, silent_ms / 1000, "s")
    up_ms = now_ms - status.started_at_ms
    return Check("process", Level.OK, f"process {process}, up for {_span(up_ms)}", up_ms / 1000, "s")


def _journal_file(path: Path) -> Check:
    """Whether it is a journal, and one that can be written."""
    try:
        connect_reader(path).close()
    except JournalError as error:
        return Check("file", Level.OUT_OF_ORDER, f"{error.what}. {error.advice}")
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return Check("file", Level.OUT_OF_ORDER, f"{path} cannot be written: rights, or a read-only disk")
    return Check("file", Level.OK, f"{path} can be read and written")


def _said(status: Status | None, *, running: bool, now_ms: int) -> Iterator[Check]:
    """What only the terminal itself can know."""
    if status is None:
        yield Check("terminal", Level.LOOK, "it has not said anything yet: it never ran in this folder")
        return
    yield _fill(status)
    yield _unsent(status, now_ms)
    yield _clock(status, now_ms)
    yield _last_tap(status, now_ms)
    yield _reader(status, running=running)
    yield _tariff(status, now_ms)
    if status.deny_list_at_ms is not None:
        age_ms = max(0, now_ms - status.deny_list_at_ms)
        level = Level.LOOK if age_ms > DENY_LIST_WARNING_MS else Level.OK
        yield Check("deny_list", level, f"{_span(age_ms)} old", age_ms / 1000, "s")
    yield _collector(status, now_ms)
    yield from _extensions(status)
    if status.laboratory:
        says = f"public {', '.join(status.laboratory)} on a real reader: anybody can make cards for this terminal"
        yield Check("laboratory", Level.LOOK, says)


def _extensions(status: Status) -> Iterator[Check]:
    """Which code of other authors served last, and the devices of theirs that do not work."""
    for one in status.extensions:
        says = f"{one.distribution} {one.version}, sha256 {one.sha256}"
        yield Check(f"{one.role}:{one.name}", Level.OK, says)
    for name, state in () if status.stopped else status.devices_failing.items():
        yield Check(f"device:{name}", Level.LOOK, state.value)


def _fill(status: Status) -> Check:
    fill = status.rows / status.capacity_rows if status.capacity_rows else 0.0
    says = f"{status.rows} of {status.capacity_rows} rows"
    if fill >= 1:
        return Check("journal", Level.OUT_OF_ORDER, f"full: {says}; connect the network", fill, "of capacity")
    level = Level.LOOK if fill >= WARN_SHARE else Level.OK
    return Check("journal", level, says, round(fill, 4), "of capacity")


def _unsent(status: Status, now_ms: int) -> Check:
    if status.oldest_unsent_at_ms is None:
        return Check("unsent", Level.OK, "every row is at the collector", 0, "s")
    age_ms = max(0, now_ms - status.oldest_unsent_at_ms)
    level = Level.LOOK if age_ms > UNSENT_WARNING_MS else Level.OK
    return Check("unsent", level, f"{status.unsent} rows, the oldest {_span(age_ms)} old", age_ms / 1000, "s")


def _clock(status: Status, now_ms: int) -> Check:
    behind_ms = (status.newest_at_ms or 0) - now_ms
    if behind_ms > 0:
        says = f"the clock is {_span(behind_ms)} behind the newest record"
        return Check("clock", Level.LOOK, says, behind_ms / 1000, "s")
    if status.clock_doubt and not status.stopped:
        return Check("clock", Level.LOOK, effect_words(status.clock_doubt))
    return Check("clock", Level.OK, "after the newest record")


def _last_tap(status: Status, now_ms: int) -> Check:
    if status.last_tap_at_ms is None:
        return Check("last_tap", Level.OK, "none since the start")
    ago_ms = max(0, now_ms - status.last_tap_at_ms)
    return Check("last_tap", Level.OK, f"{_span(ago_ms)} ago", ago_ms / 1000, "s")


def _reader(status: Status, *, running: bool) -> Check:
    if not running or status.stopped:
        return Check("reader", Level.OK, f"{status.reader}, not in use")
    if status.reader_problem:
        return Check("reader", Level.OUT_OF_ORDER, f"{status.reader}: {status.reader_problem}")
    return Check("reader", Level.OK, f"{status.reader}, {status.loop.replace('_', ' ')}")


def _tariff(status: Status, now_ms: int) -> Check:
    left_ms = status.tariff_until_ms - now_ms
    if left_ms <= 0:
        says = f"{status.tariff} ended {_span(-left_ms)} ago"
        return Check("policy", Level.OUT_OF_ORDER, says, left_ms / 1000, "s")
    level = Level.LOOK if left_ms < TARIFF_WARNING_MS else Level.OK
    return Check("policy", level, f"{status.tariff}, for {_span(left_ms)} more", left_ms / 1000, "s")


def _collector(status: Status, now_ms: int) -> Check:
    if not status.collector:
        return Check("collector", Level.OK, "none given: rows are sent with `terminal sync`")
    if status.sync_problem:
        heard_ms = status.collector_heard_at_ms or status.started_at_ms
        level = Level.LOOK if now_ms - heard_ms > COLLECTOR_WARNING_MS else Level.OK
        return Check("collector", level, status.sync_problem, (now_ms - heard_ms) / 1000, "s")
    if status.collector_heard_at_ms is None:
        return Check("collector", Level.OK, f"{status.collector}: not asked yet")
    ago_ms = max(0, now_ms - status.collector_heard_at_ms)
    return Check("collector", Level.OK, f"heard {_span(ago_ms)} ago", ago_ms / 1000, "s")


def _disk(folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check("disk", Level.OUT_OF_ORDER, f"{folder}: {error.strerror}")
    level = Level.OK
    if free < DISK_WARNING_BYTES:
        level = Level.OUT_OF_ORDER if free < DISK_NEEDED_BYTES else Level.LOOK
    return Check("disk", level, f"{free >> 20} MB free", free, "bytes")


def _span(ms: float) -> str:
    """A duration as people say it: its largest unit, and the next."""
    seconds = int(ms // 1000)
    for name, size, next_name, next_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60)):
        if seconds >= size:
            return f"{seconds // size} {name} {seconds % size // next_size} {next_name}"
    return f"{seconds // 60} min" if seconds >= 120 else f"{seconds} s"


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
