"""A terminal's backup onto new hardware, without using any sequence number twice (docs/adr/0012-new-hardware.md).

    1 ask      the collector, signed with the new identity, how far it holds this terminal's rows: up to A
    2 send     what the backup holds beyond A, and what its rows sealed, so that nothing of the backup is lost
    3 go on    with a new journal behind A + RESERVE, whose first row says so and is chained to row A; the next rows
               say which documents and lists of the backup are in force, so that an older set comes back in plain view
    4 confirm  these rows at the collector: from here on these numbers are this machine's alone
    5 put in   the new journal and the other files in place

The old hardware may have written rows after the backup, and cards may hold their numbers. It cannot have written more
than its journal takes beyond what was acknowledged, and A is the newest that can have been: so behind A + RESERVE no
number was ever used. Nothing is put in place before step 4 has succeeded, so two restores never get the same numbers.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from terminal.clock import Clock, unix_ms
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import BackupError, CollectorError, RestoreRefused
from terminal.files import Sealer, put_in_place, sync_path
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Signer
from terminal.journal.database import create_schema, new_file, transaction
from terminal.journal.journal import Journal
from terminal.journal.key_file import copy_path, key_path, load_key, load_or_create_key
from terminal.journal.lock import FileLock
from terminal.journal.numbers import RESERVE, mark_path, numbers_path
from terminal.journal.operation_records import ClockAuthenticated, Restored, SetActivated
from terminal.journal.records import build_record
from terminal.journal.room import CAPACITY_ROWS, LAST_BEGUN
from terminal.journal.sealed import Contents, JournalKey
from terminal.journal.stored import JournalState, insert_state
from terminal.media.held import HELD_FILE, HeldEvents
from terminal.operations.archive import BackupHeader, read_archive
from terminal.sync.client import SyncClient
from terminal.sync.exchange import CollectorLink
from terminal.sync.wire import (
    Ack,
    Malformed,
    Refusal,
    ack_is_genuine,
    build_batch,
    encode,
    parse_ack,
)

FRESH_MS: Final = 15 * 60_000
"""An answer of the collector that is older than this is a replayed one, or a clock is wrong: neither may decide."""

LONGEST_PAUSE_S: Final = 60.0

STAGING: Final = "restoring"


class NewHardware(Struct, frozen=True):
    """The machine a terminal is restored onto. `journal` does not exist yet; `signer` is its own new identity."""

    folder: Path
    journal: Path
    terminal: int
    software: str
    version: str
    sealer: Sealer
    signer: Signer
    clock: Clock


class Restoration(Struct, frozen=True):
    """What was done: the backup, how far the collector held rows, and the number this machine goes on with."""

    backup: BackupHeader
    sent: int
    held_through: int
    first: int
    unresolved: int
    shift_ended: int | None
    in_force: tuple[str, ...] = ()
    """What the terminal decides by from here on, as of the backup: kind and edition."""


def restore(
    backup: Path, machine: NewHardware, link: CollectorLink, collector_key: Callable[[Path], Ed25519PublicKey]
) -> Restoration:
    """Make `machine` the terminal of `backup`. `collector_key` finds the collector's key, given the unpacked files.

    Whatever ends it early, it can be run again. Raises `RestoreRefused` when it could repeat a number, `BackupError`,
    `JournalError`, `KeyFileError`.
    """
    staging = machine.folder / STAGING
    lock = _only_here(machine)
    try:
        shutil.rmtree(staging, ignore_errors=True)
        old, new = staging / "old", staging / "new"
        for folder in (old, new):
            folder.mkdir(parents=True, mode=0o700)
        header = read_archive(backup, old, machine.sealer)
        if header.terminal != machine.terminal:
            raise BackupError(f"{backup} is of terminal {header.terminal}", "Give --number that number.")
        line = _CollectorLine(machine, link, collector_key(old))
        done = _restore(header, old / machine.journal.name, new / machine.journal.name, line)
        _put_in(machine, old, new)
        return done
    except OSError as error:
        raise BackupError(f"{machine.folder} cannot be written: {error}", "Check room and rights.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        lock.release()


def _only_here(machine: NewHardware) -> FileLock:
    machine.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock.acquire(machine.journal)
    if isinstance(lock, int):
        raise RestoreRefused(
            f"a terminal runs in {machine.folder} (process {lock})", "Restore into a new folder."
        )
    if machine.journal.exists():
        lock.release()
        raise RestoreRefused(
            f"there is a journal in {machine.folder} already",
            "Restore into a new folder: nothing is ever written over.",
        )
    return lock


def _restore(header: BackupHeader, old: Path, new: Path, line: _CollectorLine) -> Restoration:
    machine = line.machine
    journal = Journal.open(old, machine.terminal, key=load_key(old, machine.sealer, machine.terminal))
    try:
        held, head = line.ask(journal), journal.head.sequence
        with _sealed_in(old.parent) as sealed:
            waits = sealed and sealed.sealed_between(journal.acknowledged_through + 1, head)
            sent = line.send(journal, sealed) if held.sequence < head or waits else 0
        held = line.ask(journal) if sent else held
        notes = tuple((sequence, build_record(intent)) for sequence, intent in journal.open_intents())
        shift, activated = journal.open_shift, tuple(journal.activated.values())
        known_ms = journal.clock.newest_ms
    finally:
        journal.close()
    base = Head(held.sequence + RESERVE, held.hash)
    if base.sequence + CAPACITY_ROWS > LAST_BEGUN:
        raise RestoreRefused(
            "the numbers of this terminal are used up", "Give the new hardware a new terminal number."
        )
    restored = Restored(
        at_ms=unix_ms(machine.clock.now()),
        after=held.sequence,
        backup=header.head,
        backup_at_ms=header.at_ms,
        unresolved=len(notes),
        software=machine.software,
        version=machine.version,
    )
    again = tuple(msgspec.structs.replace(one, at_ms=restored.at_ms) for one in activated)
    state = JournalState(machine.terminal, base, base.sequence, base, 0, notes, known_ms)
    # The new clock is not before what the collector has just signed, nor, where the two differ, before the old rows.
    _begin(new, machine, state, (restored, *again, line.time), line)
    return Restoration(
        header,
        sent,
        held.sequence,
        base.sequence + 1,
        len(notes),
        shift.shift if shift else None,
        tuple(f"{one.kind} {one.id}:{one.version}" for one in activated),
    )


@contextmanager
def _sealed_in(folder: Path) -> Iterator[HeldEvents | None]:
    """What rows of bank cards sealed to the back office, of the backup in `folder`; None where it has none."""
    held = HeldEvents(folder) if (folder / HELD_FILE).exists() else None
    try:
        yield held
    finally:
        if held is not None:
            held.close()


def _begin(
    path: Path,
    machine: NewHardware,
    state: JournalState,
    rows: tuple[Restored | ClockAuthenticated | SetActivated, ...],
    line: _CollectorLine,
) -> None:
    """A journal that begins with `state`, its first rows confirmed by the collector."""
    key = load_or_create_key(path, machine.sealer)
    _create_after(path, key, state)
    journal = Journal.open(path, machine.terminal, key=key)
    try:
        for row in rows:
            journal.append(row)
        line.send(journal)
    finally:
        journal.close()


def _create_after(path: Path, key: JournalKey | None, state: JournalState) -> None:
    """An empty journal whose rows begin behind the base of `state`, with notes of what is still open from before."""
    contents = Contents(state.terminal, key)
    with new_file(path) as (new, connection), transaction(connection):
        create_schema(connection)
        insert_state(connection, contents, state)
    put_in_place(new, path)


class _CollectorLine:
    """What is said between the new hardware and the collector."""

    def __init__(self, machine: NewHardware, link: CollectorLink, key: Ed25519PublicKey) -> None:
        self.machine = machine
        self._link = link
        self._key = key
        self._time: ClockAuthenticated | None = None

    @property
    def time(self) -> ClockAuthenticated:
        """What time it was by the collector's newest answer to `ask`, and by this machine's clock then."""
        assert self._time is not None, "asked before"
        return self._time

    def ask(self, journal: Journal) -> Head:
        """The newest row of this terminal the collector holds, in its own signed and fresh words."""
        machine, after = self.machine, journal.acknowledged_through
        previous_hash = journal.hash_at(after)
        assert previous_hash is not None, (
            "rows leave only behind the acknowledged mark, and the mark keeps its hash"
        )
        greeting = build_batch(
            machine.terminal,
            Head(after, previous_hash),
            (),
            journal.head,
            unix_ms(machine.clock.now()),
            machine.signer,
        )
        ack = self._answer(encode(greeting))
        self._time = ClockAuthenticated(unix_ms(machine.clock.now()), ack.at_ms)
        if abs(self._time.at_ms - self._time.stated_ms) > FRESH_MS:
            raise RestoreRefused(
                "the collector's answer is old, or a clock is wrong",
                "Set this machine's clock, then run this again.",
            )
        known = journal.hash_at(ack.through)
        if known is not None and known != ack.head_hash:
            raise RestoreRefused(
                f"the collector holds another row {ack.through} than the backup",
                "Two machines wrote under this number before: keep both and call the auditor.",
            )
        return Head(ack.through, ack.head_hash)

    def send(self, journal: Journal, sealed: HeldEvents | None = None) -> int:
        """Upload everything `journal` holds, and what its rows `sealed`; how many rows that was."""
        machine = self.machine
        client = SyncClient(journal, self._link, machine.signer, self._key, machine.clock, sealed=sealed)
        sent = 0
        while True:
            report = client.sync_once()
            sent += report.uploaded
            if report.problem is None:
                return sent
            if report.retry_after_s is None or not report.uploaded:
                raise _not_done(report.problem)
            time.sleep(min(report.retry_after_s, LONGEST_PAUSE_S))  # too much at once: it asked for a pause

    def _answer(self, greeting: bytes) -> Ack:
        try:
            answer = self._link.upload(greeting)
        except CollectorError as error:
            raise _not_done(error) from error
        if answer.status != 200:
            raise RestoreRefused(f"the collector refused: {_refusal(answer.body)}", ENROL)
        try:
            ack = parse_ack(answer.body)
        except Malformed as error:
            raise RestoreRefused(
                f"the collector's answer is no acknowledgement: {error}", "Check its address."
            ) from error
        if not ack_is_genuine(ack, self._key) or ack.terminal != self.machine.terminal:
            raise RestoreRefused(
                "the answer is not signed by the collector this terminal knows",
                "Check its address and its key.",
            )
        return ack


ENROL: Final = (
    "Enrol this machine's own public key (terminal.pub in its folder) for this terminal at the collector, in place of "
    "the old one, then run this again."
)


def _not_done(problem: CollectorError) -> RestoreRefused:
    return RestoreRefused(
        f"only the collector knows how far the old hardware came, and {problem.what}",
        "Nothing was put in place; run this again when the collector answers.",
    )


def _refusal(body: bytes) -> str:
    try:
        return decode_json(body, Refusal, SMALL_BYTES).error[:100]
    except msgspec.DecodeError:
        return "in words that are not those of a collector"


def _put_in(machine: NewHardware, old: Path, new: Path) -> None:
    """The files of the backup, then the journal's key, and the journal last: with it the folder is a terminal's."""
    journal = machine.journal.name
    own = {journal, key_path(machine.journal).name, copy_path(machine.journal).name}
    for path in sorted(old.rglob("*")):
        name = path.relative_to(old)
        target = machine.folder / name
        if path.is_file() and str(name) not in own and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            put_in_place(path, target)
    for beside in (key_path, copy_path, numbers_path, mark_path):
        if beside(new / journal).exists():
            put_in_place(beside(new / journal), beside(machine.journal))
    sync_path(machine.folder)  # names of new folders in it
    put_in_place(new / journal, machine.journal)
