"""Is this terminal all right? Answered from its folder alone, whether it runs or not, without a lock.

    0   all well
    1   passengers are served, but attention is needed: soon, and before it becomes a 2
    2   passengers are not served, or what they pay cannot be recorded

The process is found by the kernel's list of locks, the journal's file is opened for reading, and the rest is what the
terminal itself said last (`terminal.operations.status`). No key is needed: monitoring must not hold any.

Who holds the lock is asked without taking it: a health check must never keep a terminal from starting.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field

from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import SetKind
from terminal.devices import DeviceState
from terminal.errors import JournalDamaged, JournalError
from terminal.fault_texts import ENGLISH, fault_text
from terminal.journal.database import connect_reader
from terminal.journal.operation_records import CLOCK_TOLERANCE_MS
from terminal.journal.room import WARN_SHARE
from terminal.operations.status import KindInForce, TerminalStatus, VehicleStatus, read_status
from terminal.texts import N_, translator
from terminal.trip.facts import PlaceQuality

HUNG_MS: Final = 60_000
UNSENT_WARNING_MS: Final = 24 * 3_600_000
COLLECTOR_WARNING_MS: Final = 3_600_000
TARIFF_WARNING_MS: Final = 7 * 24 * 3_600_000
LIST_WARNING_MS: Final = 7 * 24 * 3_600_000
VEHICLE_WARNING_MS: Final = 10 * 60_000
DISK_WARNING_BYTES: Final = 512 << 20
DISK_NEEDED_BYTES: Final = 32 << 20


class HealthLevel(IntEnum):
    """How bad; the worst finding is the exit code."""

    OK = 0
    LOOK = 1
    OUT_OF_ORDER = 2


class HealthCode(StrEnum):
    """What can be found: the thing looked at, then what is said of it."""

    STOPPED = "process:stopped"
    DIED = "process:died"
    NO_CARDS = "process:no_cards"
    HANGS = "process:hangs"
    UP = "process:up"
    FILE_MISSING = "file:missing"
    FILE_DAMAGED = "file:damaged"
    FILE_UNUSABLE = "file:unusable"
    FILE_NOT_WRITABLE = "file:not_writable"
    FILE_OK = "file:ok"
    NEVER_RAN = "terminal:never_ran"
    JOURNAL_FULL = "journal:full"
    JOURNAL_FILL = "journal:fill"
    ALL_SENT = "unsent:none"
    UNSENT = "unsent:rows"
    CLOCK_BEHIND = "clock:behind"
    CLOCK_SUSPECT = "clock:suspect"
    CLOCK_OFF = "clock:off"
    CLOCK_SIGNED = "clock:signed"
    CLOCK_OK = "clock:ok"
    NO_TAP = "last_tap:none"
    LAST_TAP = "last_tap:ago"
    READER_UNUSED = "reader:unused"
    READER_FAULT = "reader:fault"
    READER_OK = "reader:ok"
    TARIFF_ENDED = "policy:ended"
    TARIFF_GOES_ON = "policy:goes_on"
    TARIFF = "policy:holds"
    DENY_LIST = "deny_list:age"
    GRANTS = "grants:age"
    IN_FORCE = "in_force:since"
    PENDING = "pending:from"
    PENDING_NOW = "pending:at_once"
    NOT_TAKEN = "update:refused"
    NO_COLLECTOR = "collector:none"
    SYNC_FAULT = "collector:fault"
    NOT_ASKED = "collector:not_asked"
    HEARD = "collector:heard"
    DISK_UNKNOWN = "disk:unknown"
    DISK = "disk:free"
    LABORATORY = "laboratory:public"
    BY_HAND = "laboratory:by_hand"
    EXTENSION = "extension:loaded"
    DEVICE_FAULT = "device:fault"
    VEHICLE_FAULT = "vehicle:fault"
    VEHICLE_SILENT = "vehicle:silent"
    VEHICLE_OLD = "vehicle:old"
    VEHICLE_HEARD = "vehicle:heard"
    RAZZIA = "razzia:on"


TEXTS: Final[Mapping[HealthCode, str]] = MappingProxyType(
    {
        HealthCode.STOPPED: N_("not running"),
        HealthCode.DIED: N_("not running, and it did not stop in good order"),
        HealthCode.NO_CARDS: N_("process {process} uses the journal and serves no cards"),
        HealthCode.HANGS: N_("process {process} hangs: its loop was last heard of {silent_ms} ago"),
        HealthCode.UP: N_("process {process}, up for {up_ms}"),
        HealthCode.FILE_MISSING: N_("no journal at {path}"),
        HealthCode.FILE_DAMAGED: N_("the journal is damaged: {path}"),
        HealthCode.FILE_UNUSABLE: N_("{path} cannot be used, see exit code {exit_code}"),
        HealthCode.FILE_NOT_WRITABLE: N_("{path} cannot be written: rights, or a read-only disk"),
        HealthCode.FILE_OK: N_("{path} can be read and written"),
        HealthCode.NEVER_RAN: N_("it has not said anything yet: it never ran in this folder"),
        HealthCode.JOURNAL_FULL: N_("full: {rows} of {capacity_rows} rows; connect the network"),
        HealthCode.JOURNAL_FILL: N_("{rows} of {capacity_rows} rows"),
        HealthCode.ALL_SENT: N_("every row is at the collector"),
        HealthCode.UNSENT: N_("{rows} rows, the oldest {age_ms} old"),
        HealthCode.CLOCK_BEHIND: N_("the clock is {behind_ms} behind what is known to have passed"),
        HealthCode.CLOCK_SUSPECT: "{fault}",
        HealthCode.CLOCK_OFF: N_("the clock is {off_ms} off the collector's"),
        HealthCode.CLOCK_SIGNED: N_("agrees with the collector's"),
        HealthCode.CLOCK_OK: N_("no doubt; the collector has not signed a time lately"),
        HealthCode.NO_TAP: N_("none since the start"),
        HealthCode.LAST_TAP: N_("{ago_ms} ago"),
        HealthCode.READER_UNUSED: N_("{reader}, not in use"),
        HealthCode.READER_FAULT: "{reader}: {fault}",
        HealthCode.READER_OK: "{reader}, {loop}",
        HealthCode.TARIFF_ENDED: N_("{tariff} ended {ago_ms} ago"),
        HealthCode.TARIFF_GOES_ON: N_("{tariff} ended {ago_ms} ago and goes on for {left_ms} more"),
        HealthCode.TARIFF: N_("{tariff}, for {left_ms} more"),
        HealthCode.DENY_LIST: N_("{age_ms} old"),
        HealthCode.GRANTS: N_("{age_ms} old"),
        HealthCode.IN_FORCE: N_("{edition} since {since_at_ms}"),
        HealthCode.PENDING: N_("{edition} from {from_at_ms}"),
        HealthCode.PENDING_NOW: N_("{edition} between two taps"),
        HealthCode.NOT_TAKEN: "{fault}",
        HealthCode.NO_COLLECTOR: N_("none given: rows are sent with `terminal sync`"),
        HealthCode.SYNC_FAULT: "{fault}",
        HealthCode.NOT_ASKED: N_("{collector}: not asked yet"),
        HealthCode.HEARD: N_("heard {ago_ms} ago"),
        HealthCode.DISK_UNKNOWN: N_("{folder} cannot be examined (errno {errno})"),
        HealthCode.DISK: N_("{free_mb} MB free"),
        HealthCode.LABORATORY: N_("public {parts} on a real reader: anyone can make cards for this terminal"),
        HealthCode.BY_HAND: N_("a laboratory's terminal: {parts} moved by hand"),
        HealthCode.EXTENSION: "{distribution} {version}, sha256 {sha256}",
        HealthCode.DEVICE_FAULT: "{state}",
        HealthCode.VEHICLE_FAULT: "{fault}",
        HealthCode.VEHICLE_SILENT: N_("{source}: nothing heard since the start"),
        HealthCode.VEHICLE_OLD: N_("{source}: its place is {age_ms} old"),
        HealthCode.VEHICLE_HEARD: N_("{source}: its place is {age_ms} old, {quality}"),
        HealthCode.RAZZIA: N_("the vehicle says that an inspection is under way"),
    }
)
"""The one place of their words. Inputs in milliseconds are shown as durations, those that end in `_at_ms`
as moments, a code in its own words."""

VALUES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "loop": {
            "stopped": N_("not running"),
            "wait_for_card": N_("waits for a card"),
            "processing": N_("a card is being served"),
            "wait_for_removal": N_("waits for the card to leave"),
            "out_of_order": N_("tries again after a pause"),
        },
        "state": {DeviceState.RAISES: N_("raises errors"), DeviceState.HANGS: N_("does not answer")},
        "quality": {
            PlaceQuality.EXACT: N_("exact"),
            PlaceQuality.ESTIMATED: N_("estimated"),
            PlaceQuality.CONTRADICTED: N_("contradicts the shift"),
            "": N_("not on the route"),
        },
        "parts": {"keys": N_("keys"), "region": N_("region document"), "issuers": N_("issuers")},
    }
)
"""By input: the words of its codes, of which there may be several with colons between."""

LISTS: Final[Mapping[SetKind, HealthCode]] = MappingProxyType(
    {SetKind.DENY: HealthCode.DENY_LIST, SetKind.GRANTS: HealthCode.GRANTS}
)
"""Whose ages decide (O-03)."""

UNITS: Final = (
    (86_400, N_("{n} d"), 3_600, N_("{n} h")),
    (3_600, N_("{n} h"), 60, N_("{n} min")),
)


class HealthFinding(Struct, frozen=True):
    """One thing looked at. `value` in `unit`, where it is a number worth watching; `about` says which one it is, where
    there are several of a kind.
    """

    code: HealthCode
    level: HealthLevel
    inputs: Mapping[str, int | str] = field(default_factory=dict)
    value: float | None = None
    unit: str = ""
    about: str = ""

    @property
    def name(self) -> str:
        """Which thing it is, the same whatever was found."""
        kind = self.code.partition(":")[0]
        return f"{kind}:{self.about}" if self.about else kind

    def says(self, language: str = ENGLISH) -> str:
        """The finding in words."""
        words = translator(language).gettext(TEXTS[self.code])
        return words.format_map({name: self._shown(name, language) for name in self.inputs})

    def _shown(self, name: str, language: str) -> str:
        value = self.inputs[name]
        if name == FAULT:
            return fault_text(str(value), self.inputs, language)
        if name in VALUES:
            known, words = VALUES[name], translator(language)
            return ", ".join(words.gettext(known.get(code, code)) for code in str(value).split(":"))
        if name.endswith("_at_ms"):
            return f"{from_unix_ms(int(value)):%Y-%m-%d %H:%M} UTC"
        return _span(int(value), language) if name.endswith("_ms") else str(value)


FAULT: Final = "fault"
"""The input that is itself a code."""


class Health(Struct, frozen=True):
    """What was found, in the order in which to read it."""

    findings: tuple[HealthFinding, ...]

    @property
    def exit_code(self) -> int:
        return max(finding.level for finding in self.findings)


def examine(folder: Path, journal_file: Path, now: datetime) -> Health:
    """Look at the terminal in `folder`; reads two small files and the journal's header."""
    now_ms = unix_ms(now)
    status = read_status(folder)
    process = holder_of(journal_file)
    found = [_process(status, process, now_ms), _journal_file(journal_file)]
    found += _said(status, running=process is not None, now_ms=now_ms)
    found.append(_disk(folder))
    return Health(tuple(found))


def _bad(code: HealthCode, **inputs: int | str) -> HealthFinding:
    return HealthFinding(code, HealthLevel.OUT_OF_ORDER, inputs)


def _process(status: TerminalStatus | None, process: int | None, now_ms: int) -> HealthFinding:
    if process is None:
        return _bad(HealthCode.STOPPED if status is None or status.stopped else HealthCode.DIED)
    if status is None or status.process != process or status.stopped:
        return HealthFinding(HealthCode.NO_CARDS, HealthLevel.LOOK, {"process": process})
    silent_ms, up_ms = now_ms - status.at_ms, now_ms - status.started_at_ms
    if silent_ms > HUNG_MS:
        inputs: dict[str, int | str] = {"process": process, "silent_ms": silent_ms}
        return HealthFinding(HealthCode.HANGS, HealthLevel.OUT_OF_ORDER, inputs, silent_ms / 1000, "s")
    inputs = {"process": process, "up_ms": up_ms}
    return HealthFinding(HealthCode.UP, HealthLevel.OK, inputs, up_ms / 1000, "s")


def _journal_file(path: Path) -> HealthFinding:
    """Whether it is a journal, and one that can be written."""
    if not path.is_file():
        return _bad(HealthCode.FILE_MISSING, path=str(path))
    try:
        connect_reader(path).close()
    except JournalDamaged:
        return _bad(HealthCode.FILE_DAMAGED, path=str(path))
    except JournalError as error:
        return _bad(HealthCode.FILE_UNUSABLE, path=str(path), exit_code=error.exit_code)
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return _bad(HealthCode.FILE_NOT_WRITABLE, path=str(path))
    return HealthFinding(HealthCode.FILE_OK, HealthLevel.OK, {"path": str(path)})


def _said(status: TerminalStatus | None, *, running: bool, now_ms: int) -> Iterator[HealthFinding]:
    """What only the terminal itself can know."""
    if status is None:
        yield HealthFinding(HealthCode.NEVER_RAN, HealthLevel.LOOK)
        return
    yield _fill(status)
    yield _unsent(status, now_ms)
    yield _clock(status, now_ms)
    yield _last_tap(status, now_ms)
    yield _reader(status, running=running)
    yield _tariff(status, now_ms)
    for kind, code in LISTS.items():
        known = status.of_kind(kind)
        if known.edition:
            age_ms = known.age_ms(now_ms)
            level = HealthLevel.LOOK if age_ms > LIST_WARNING_MS else HealthLevel.OK
            yield HealthFinding(code, level, {"age_ms": age_ms}, age_ms / 1000, "s")
    for one in status.active:
        yield from _kind(one)
    yield _collector(status, now_ms)
    yield from _extensions(status)
    if running and not status.stopped and status.vehicle is not None:
        yield from _vehicle(status.vehicle, now_ms)
    if status.laboratory:
        parts = ":".join(status.laboratory)
        code = HealthCode.LABORATORY if status.real_reader else HealthCode.BY_HAND
        yield HealthFinding(code, HealthLevel.LOOK, {"parts": parts})


def _extensions(status: TerminalStatus) -> Iterator[HealthFinding]:
    """Which code of other authors served last, and the devices of theirs that do not work."""
    for one in status.extensions:
        inputs = {"distribution": one.distribution, "version": one.version, "sha256": one.sha256}
        about = f"{one.role}:{one.name}"
        yield HealthFinding(HealthCode.EXTENSION, HealthLevel.OK, inputs, about=about)
    for name, state in () if status.stopped else status.devices_failing.items():
        yield HealthFinding(HealthCode.DEVICE_FAULT, HealthLevel.LOOK, {"state": state.value}, about=name)


def _vehicle(vehicle: VehicleStatus, now_ms: int) -> Iterator[HealthFinding]:
    """What is wrong with it first; else how old its place is."""
    inputs: dict[str, int | str] = {"source": vehicle.source}
    if vehicle.fault:
        yield HealthFinding(
            HealthCode.VEHICLE_FAULT, HealthLevel.LOOK, {FAULT: vehicle.fault, **inputs, **vehicle.inputs}
        )
    elif vehicle.heard_at_ms is None:
        yield HealthFinding(HealthCode.VEHICLE_SILENT, HealthLevel.LOOK, inputs)
    else:
        age_ms = max(0, now_ms - vehicle.heard_at_ms)
        inputs |= {"age_ms": age_ms, "quality": vehicle.quality}
        old = age_ms > VEHICLE_WARNING_MS
        code = HealthCode.VEHICLE_OLD if old else HealthCode.VEHICLE_HEARD
        level = HealthLevel.LOOK if old else HealthLevel.OK
        yield HealthFinding(code, level, inputs, age_ms / 1000, "s")
    if vehicle.razzia:
        yield HealthFinding(HealthCode.RAZZIA, HealthLevel.OK)


def _fill(status: TerminalStatus) -> HealthFinding:
    fill = status.rows / status.capacity_rows if status.capacity_rows else 0.0
    inputs: dict[str, int | str] = {"rows": status.rows, "capacity_rows": status.capacity_rows}
    if fill >= 1:
        return HealthFinding(HealthCode.JOURNAL_FULL, HealthLevel.OUT_OF_ORDER, inputs, fill, "share")
    level = HealthLevel.LOOK if fill >= WARN_SHARE else HealthLevel.OK
    return HealthFinding(HealthCode.JOURNAL_FILL, level, inputs, round(fill, 4), "share")


def _unsent(status: TerminalStatus, now_ms: int) -> HealthFinding:
    if status.oldest_unsent_at_ms is None:
        return HealthFinding(HealthCode.ALL_SENT, HealthLevel.OK, {}, 0, "s")
    age_ms = max(0, now_ms - status.oldest_unsent_at_ms)
    level = HealthLevel.LOOK if age_ms > UNSENT_WARNING_MS else HealthLevel.OK
    inputs: dict[str, int | str] = {"rows": status.unsent, "age_ms": age_ms}
    return HealthFinding(HealthCode.UNSENT, level, inputs, age_ms / 1000, "s")


def _clock(status: TerminalStatus, now_ms: int) -> HealthFinding:
    """A doubt stays until it is ended, also while the terminal does not run; a clock that has gone wrong since is seen
    without it. What the collector signed is known to a running terminal only."""
    if status.clock_fault:
        inputs: dict[str, int | str] = {FAULT: status.clock_fault, **status.clock_inputs}
        return HealthFinding(HealthCode.CLOCK_SUSPECT, HealthLevel.LOOK, inputs)
    behind_ms = status.clock_floor_ms - now_ms
    if behind_ms > CLOCK_TOLERANCE_MS:
        return HealthFinding(
            HealthCode.CLOCK_BEHIND, HealthLevel.LOOK, {"behind_ms": behind_ms}, behind_ms / 1000, "s"
        )
    if status.stopped or status.clock_off_s is None:
        return HealthFinding(HealthCode.CLOCK_OK, HealthLevel.OK)
    off_s = status.clock_off_s
    if not status.clock_authenticated:
        return HealthFinding(
            HealthCode.CLOCK_OFF, HealthLevel.LOOK, {"off_ms": abs(off_s) * 1000}, off_s, "s"
        )
    return HealthFinding(HealthCode.CLOCK_SIGNED, HealthLevel.OK, {}, off_s, "s")


def _last_tap(status: TerminalStatus, now_ms: int) -> HealthFinding:
    if status.last_tap_at_ms is None:
        return HealthFinding(HealthCode.NO_TAP, HealthLevel.OK)
    ago_ms = max(0, now_ms - status.last_tap_at_ms)
    return HealthFinding(HealthCode.LAST_TAP, HealthLevel.OK, {"ago_ms": ago_ms}, ago_ms / 1000, "s")


def _reader(status: TerminalStatus, *, running: bool) -> HealthFinding:
    if not running or status.stopped:
        return HealthFinding(HealthCode.READER_UNUSED, HealthLevel.OK, {"reader": status.reader})
    if status.reader_fault:
        return _bad(HealthCode.READER_FAULT, reader=status.reader, fault=status.reader_fault)
    inputs = {"reader": status.reader, "loop": status.loop}
    return HealthFinding(HealthCode.READER_OK, HealthLevel.OK, inputs)


def _tariff(status: TerminalStatus, now_ms: int) -> HealthFinding:
    tariff = status.of_kind(SetKind.REGION)
    left_ms = (tariff.until_ms or 0) - now_ms
    inputs: dict[str, int | str] = {"tariff": tariff.edition}
    if left_ms <= 0:
        inputs |= {"ago_ms": -left_ms}
        goes_on_ms = left_ms + status.tariff_goes_on_ms
        if goes_on_ms > 0:
            inputs |= {"left_ms": goes_on_ms}
            return HealthFinding(HealthCode.TARIFF_GOES_ON, HealthLevel.LOOK, inputs, left_ms / 1000, "s")
        return HealthFinding(HealthCode.TARIFF_ENDED, HealthLevel.OUT_OF_ORDER, inputs, left_ms / 1000, "s")
    ends = left_ms < TARIFF_WARNING_MS and not tariff.followed
    level = HealthLevel.LOOK if ends else HealthLevel.OK
    return HealthFinding(HealthCode.TARIFF, level, inputs | {"left_ms": left_ms}, left_ms / 1000, "s")


def _kind(one: KindInForce) -> Iterator[HealthFinding]:
    """What of the active set is in force, what waits, and what was published in vain."""
    if one.edition:
        inputs: dict[str, int | str] = {"edition": one.edition, "since_at_ms": one.since_ms}
        yield HealthFinding(HealthCode.IN_FORCE, HealthLevel.OK, inputs, one.since_ms / 1000, "s", one.kind)
    if one.pending:
        code = HealthCode.PENDING if one.pending_from_ms else HealthCode.PENDING_NOW
        inputs = {"edition": one.pending, "from_at_ms": one.pending_from_ms}
        yield HealthFinding(code, HealthLevel.OK, inputs, one.pending_from_ms / 1000, "s", one.kind)
    if one.refused:
        inputs = {
            FAULT: one.refused,
            "kind": one.kind.value,
            "version": one.refused_version,
            "known": one.floor,
        }
        yield HealthFinding(HealthCode.NOT_TAKEN, HealthLevel.LOOK, inputs, about=one.kind)


def _collector(status: TerminalStatus, now_ms: int) -> HealthFinding:
    if not status.collector:
        return HealthFinding(HealthCode.NO_COLLECTOR, HealthLevel.OK)
    if status.sync_fault:
        heard_ms = status.collector_heard_at_ms or status.started_at_ms
        level = HealthLevel.LOOK if now_ms - heard_ms > COLLECTOR_WARNING_MS else HealthLevel.OK
        inputs: dict[str, int | str] = {FAULT: status.sync_fault}
        return HealthFinding(HealthCode.SYNC_FAULT, level, inputs, (now_ms - heard_ms) / 1000, "s")
    if status.collector_heard_at_ms is None:
        return HealthFinding(HealthCode.NOT_ASKED, HealthLevel.OK, {"collector": status.collector})
    ago_ms = max(0, now_ms - status.collector_heard_at_ms)
    return HealthFinding(HealthCode.HEARD, HealthLevel.OK, {"ago_ms": ago_ms}, ago_ms / 1000, "s")


def _disk(folder: Path) -> HealthFinding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return _bad(HealthCode.DISK_UNKNOWN, folder=str(folder), errno=error.errno or 0)
    level = HealthLevel.OK
    if free < DISK_WARNING_BYTES:
        level = HealthLevel.OUT_OF_ORDER if free < DISK_NEEDED_BYTES else HealthLevel.LOOK
    return HealthFinding(HealthCode.DISK, level, {"free_mb": free >> 20}, free, "bytes")


def _span(ms: int, language: str) -> str:
    """A duration as people say it: its largest unit, and the next."""
    seconds, words = ms // 1000, translator(language)
    for size, text, next_size, next_text in UNITS:
        if seconds >= size:
            first = words.gettext(text).format(n=seconds // size)
            return f"{first} {words.gettext(next_text).format(n=seconds % size // next_size)}"
    minutes = seconds >= 120
    unit = N_("{n} min") if minutes else N_("{n} s")
    return words.gettext(unit).format(n=seconds // 60 if minutes else seconds)


LOCKS: Final = Path("/proc/locks")


def holder_of(path: Path) -> int | None:
    """The process that holds the lock on `path` (`terminal.journal.lock`); None when there is none."""
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
