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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from terminal.clock import unix_ms
from terminal.codes import BundleFault, SetKind
from terminal.errors import JournalDamaged, JournalError
from terminal.files import readable_by_others
from terminal.journal.database import connect_reader
from terminal.journal.operation_records import CLOCK_TOLERANCE_MS
from terminal.journal.room import WARN_SHARE
from terminal.keys.file import LABORATORY
from terminal.keys.kept import SealedBy, sealed_by
from terminal.keys.signed import PRODUCTION
from terminal.operations.findings import FAULT, Health, HealthCode, HealthFinding, HealthLevel
from terminal.operations.status import (
    BundleStatus,
    KindInForce,
    PeerLinkStatus,
    ShadowStatus,
    TerminalStatus,
    VehicleStatus,
    read_status,
)
from terminal.updates.bundle.roles import SHADOW

DAY_MS: Final = 24 * 3_600_000
HUNG_MS: Final = 60_000
UNSENT_WARNING_MS: Final = DAY_MS
COLLECTOR_WARNING_MS: Final = 3_600_000
CERTIFICATE_WARNING_MS: Final = 14 * DAY_MS
TARIFF_WARNING_MS: Final = 7 * DAY_MS
TRIAL_WARNING_MS: Final = 2 * DAY_MS
LIST_WARNING_MS: Final = 7 * DAY_MS
BUNDLES_NOTE_MS: Final = DAY_MS
"""A publisher signs a new timestamp each day."""
BUNDLES_WARNING_MS: Final = 7 * DAY_MS
KEYS_WARNING_MS: Final = 30 * DAY_MS
VEHICLE_WARNING_MS: Final = 10 * 60_000
PEER_SILENT_MS: Final = 30_000
"""A peer says something every two seconds."""
DISK_WARNING_BYTES: Final = 512 << 20
DISK_NEEDED_BYTES: Final = 32 << 20


LISTS: Final[Mapping[SetKind, HealthCode]] = MappingProxyType(
    {SetKind.DENY: HealthCode.DENY_LIST, SetKind.GRANTS: HealthCode.GRANTS}
)
"""Whose ages decide (O-03)."""


def examine(
    folder: Path,
    journal_file: Path,
    now: datetime,
    secret_files: Iterable[Path] = (),
    credential: Path | None = None,
) -> Health:
    """Look at the terminal in `folder`; reads two small files and the journal's header, of `secret_files` who may read
    them, and of the sealed `credential` what it is sealed to.
    """
    now_ms = unix_ms(now)
    status = read_status(folder)
    process = holder_of(journal_file)
    found = [_process(status, process, now_ms), _journal_file(journal_file)]
    found += _said(status, running=process is not None, now_ms=now_ms)
    found += _secrets(secret_files)
    found += _keys(status, credential, now_ms)
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


def _secrets(paths: Iterable[Path]) -> Iterator[HealthFinding]:
    """Key files of which others know by now; a terminal does not start with them."""
    for path in paths:
        with suppress(OSError):
            if readable_by_others(path):
                yield HealthFinding(
                    HealthCode.KEY_OPEN, HealthLevel.LOOK, {"path": str(path)}, about=path.name
                )


_SEALS: Final[Mapping[SealedBy | None, HealthCode]] = MappingProxyType(
    {
        SealedBy.TPM: HealthCode.KEYS_TPM,
        SealedBy.BOTH: HealthCode.KEYS_TPM,
        SealedBy.HOST: HealthCode.KEYS_HOST,
        SealedBy.NOTHING: HealthCode.KEYS_UNSEALED,
        None: HealthCode.KEYS_UNKNOWN,
    }
)


def _keys(status: TerminalStatus | None, credential: Path | None, now_ms: int) -> Iterator[HealthFinding]:
    """How the keys are kept, whether they are a laboratory's, and whether they are to be rolled."""
    plain = status is not None and status.keys_environment == PRODUCTION and status.keys_in_file
    if plain:  # by --keys perhaps: what is sealed beside it does not serve
        yield HealthFinding(HealthCode.KEYS_FILE, HealthLevel.LOOK)
    elif credential is not None:
        yield _sealed(credential)
    if status is None:
        return
    if status.real_reader and status.keys_environment == LABORATORY and "keys" not in status.laboratory:
        yield HealthFinding(HealthCode.KEYS_LABORATORY, HealthLevel.LOOK, about="environment")
    if status.keys_until_ms is not None:
        yield from _keys_end(status.keys_until_ms - now_ms)


def _sealed(credential: Path) -> HealthFinding:
    try:
        sealed = sealed_by(credential)
    except OSError:
        sealed = None
    weak = sealed in (None, SealedBy.NOTHING)
    level = HealthLevel.LOOK if weak else HealthLevel.OK
    return HealthFinding(_SEALS[sealed], level, {"path": str(credential)} if weak else {})


def _keys_end(left_ms: int) -> Iterator[HealthFinding]:
    """Keys have no end of their own: a day that is past asks for a look and stops no bus."""
    if left_ms <= 0:
        inputs: dict[str, int | str] = {"ago_ms": -left_ms}
        yield HealthFinding(HealthCode.KEYS_ENDED, HealthLevel.LOOK, inputs, left_ms / 1000, "s", "until")
    elif left_ms < KEYS_WARNING_MS:
        inputs = {"left_ms": left_ms}
        yield HealthFinding(HealthCode.KEYS_END, HealthLevel.LOOK, inputs, left_ms / 1000, "s", "until")


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
        yield from _kind(one, now_ms)
    yield _collector(status, now_ms)
    if status.certificate_until_ms is not None:
        yield _certificate(status, status.certificate_until_ms - now_ms)
    yield from _extensions(status)
    if running and not status.stopped and status.vehicle is not None:
        yield from _vehicle(status.vehicle, now_ms)
    if running and not status.stopped and status.link is not None:
        yield from _peers(status.link, now_ms)
    if status.bundles is not None:
        yield from _bundles(status.bundles, now_ms)
    if status.shadow is not None:
        yield _shadow(status.shadow)
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
    found = None if status.stopped else status.periphery
    for device in () if found is None else found.devices:
        if f"periphery:{device}" not in status.devices_failing:
            yield HealthFinding(HealthCode.DEVICES, HealthLevel.OK, about=f"periphery:{device}")
    if found is not None and found.power_failing:
        yield HealthFinding(HealthCode.POWER_FAILING, HealthLevel.OUT_OF_ORDER)
    if found is not None and found.tampered:
        yield HealthFinding(HealthCode.TAMPERED, HealthLevel.OUT_OF_ORDER)
    for name, state in () if status.stopped else status.devices_failing.items():
        yield HealthFinding(HealthCode.DEVICE_FAULT, HealthLevel.LOOK, {"state": state.value}, about=name)


def _peers(link: PeerLinkStatus, now_ms: int) -> Iterator[HealthFinding]:
    """Which of the other terminals are not heard, and what was refused."""
    for peer in link.peers:
        about = str(peer.terminal)
        if peer.heard_at_ms is None or now_ms - peer.heard_at_ms > PEER_SILENT_MS:
            inputs: dict[str, int | str] = {"waiting": peer.waiting}
            yield HealthFinding(HealthCode.PEER_SILENT, HealthLevel.LOOK, inputs, about=about)
        else:
            yield HealthFinding(HealthCode.PEER_HEARD, HealthLevel.OK, about=about)
    refused = sum(link.refused.values())
    if refused:
        yield HealthFinding(HealthCode.LINK_REFUSED, HealthLevel.LOOK, {"count": refused}, refused)


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


def _bundles(bundles: BundleStatus, now_ms: int) -> Iterator[HealthFinding]:
    """How old the newest accepted set is, and what is refused: of a source, and of each role by itself. A network that
    is away is a bus's usual day: its age says when that is too long.
    """
    age_ms = max(0, now_ms - bundles.issued_at_ms)
    if not bundles.issued_at_ms:
        yield HealthFinding(HealthCode.BUNDLES_NONE, HealthLevel.LOOK)
    else:
        code, level = _bundles_rung(bundles, age_ms)
        yield HealthFinding(code, level, {"age_ms": age_ms}, age_ms / 1000, "s")
    if bundles.bank_ca is not None:
        ca = bundles.bank_ca
        said: dict[str, int | str] = {
            "keys": ca.keys,
            "environment": ca.environment,
            "revoked": ca.revoked,
        }
        yield HealthFinding(HealthCode.BANK_CA, HealthLevel.OK, said, ca.keys, "keys")
    for number, source in enumerate(bundles.sources, start=1):
        if source.fault:
            level = HealthLevel.OK if source.fault in PASSING else HealthLevel.LOOK
            inputs = {FAULT: source.fault, **source.inputs}
            yield HealthFinding(HealthCode.BUNDLES_FAULT, level, inputs, about=f"source{number}")
    for role in bundles.roles:
        if role.fault:
            inputs = {FAULT: role.fault, **role.inputs}
            yield HealthFinding(HealthCode.BUNDLES_FAULT, HealthLevel.LOOK, inputs, about=role.role)


def _bundles_rung(bundles: BundleStatus, age_ms: int) -> tuple[HealthCode, HealthLevel]:
    """On which rung of the ladder their age is (O-14)."""
    if bundles.stop_days is not None and age_ms > bundles.stop_days * DAY_MS:
        return HealthCode.BUNDLES_STOPPED, HealthLevel.OUT_OF_ORDER
    if age_ms > bundles.limited_days * DAY_MS:
        return HealthCode.BUNDLES_LIMITED, HealthLevel.LOOK
    level = HealthLevel.LOOK if age_ms > BUNDLES_WARNING_MS else HealthLevel.OK
    return HealthCode.BUNDLES_OLD if age_ms > BUNDLES_NOTE_MS else HealthCode.BUNDLES, level


def _shadow(shadow: ShadowStatus) -> HealthFinding:
    """It can do no harm to taps: what is wrong with it asks for a look."""
    if shadow.fault:
        inputs: dict[str, int | str] = {FAULT: shadow.fault, "role": SHADOW, "version": 0}
        return HealthFinding(HealthCode.SHADOW_FAULT, HealthLevel.LOOK, inputs)
    level = HealthLevel.LOOK if shadow.failed else HealthLevel.OK
    inputs = {"edition": shadow.edition, "taps": shadow.taps, "failed": shadow.failed}
    return HealthFinding(HealthCode.SHADOW, level, inputs, shadow.taps, "taps")


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


def _kind(one: KindInForce, now_ms: int) -> Iterator[HealthFinding]:
    """What of the active set is in force, what waits, and what was published in vain."""
    if one.edition:
        inputs: dict[str, int | str] = {"edition": one.edition, "since_at_ms": one.since_ms}
        yield HealthFinding(HealthCode.IN_FORCE, HealthLevel.OK, inputs, one.since_ms / 1000, "s", one.kind)
    if one.trial_until_ms is not None:
        until_ms = one.trial_until_ms
        level = HealthLevel.OK if until_ms - now_ms > TRIAL_WARNING_MS else HealthLevel.LOOK
        inputs = {"edition": one.edition, "before": one.trial_before, "until_at_ms": until_ms}
        yield HealthFinding(HealthCode.ON_TRIAL, level, inputs, until_ms / 1000, "s", one.kind)
    if one.pending:
        code = HealthCode.PENDING if one.pending_from_ms else HealthCode.PENDING_NOW
        inputs = {"edition": one.pending, "from_at_ms": one.pending_from_ms}
        yield HealthFinding(code, HealthLevel.OK, inputs, one.pending_from_ms / 1000, "s", one.kind)
    if one.refused:
        inputs = {FAULT: one.refused, **one.not_taken_inputs}
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


def _certificate(status: TerminalStatus, left_ms: int) -> HealthFinding:
    """A terminal renews long before the end: where it did not, staff must look in good time."""
    inputs: dict[str, int | str] = {"left_ms": abs(left_ms)}
    if left_ms <= 0:
        return HealthFinding(HealthCode.CERTIFICATE_ENDED, HealthLevel.LOOK, inputs, left_ms / 1000, "s")
    if left_ms > CERTIFICATE_WARNING_MS:
        return HealthFinding(HealthCode.CERTIFICATE, HealthLevel.OK, inputs, left_ms / 1000, "s")
    inputs |= {FAULT: status.renewal_fault} if status.renewal_fault else {}
    code = HealthCode.NOT_RENEWED if status.renewal_fault else HealthCode.CERTIFICATE
    return HealthFinding(code, HealthLevel.LOOK, inputs, left_ms / 1000, "s")


def _disk(folder: Path) -> HealthFinding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return _bad(HealthCode.DISK_UNKNOWN, folder=str(folder), errno=error.errno or 0)
    level = HealthLevel.OK
    if free < DISK_WARNING_BYTES:
        level = HealthLevel.OUT_OF_ORDER if free < DISK_NEEDED_BYTES else HealthLevel.LOOK
    return HealthFinding(HealthCode.DISK, level, {"free_mb": free >> 20}, free, "bytes")


PASSING: Final = frozenset({BundleFault.UNREACHABLE, BundleFault.TOO_SLOW})
"""What a network does every day."""
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
