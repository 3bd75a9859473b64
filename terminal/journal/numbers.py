"""Which numbers a journal may have handed out, kept beside it so that a damaged log makes no number come back (T-63).

    journal.db.numbers   two slots, written in turn and flushed: a block of numbers is reserved before one of them is
                         given out, and an end in order says where the journal ended; behind them a copy of the mark
    journal.db.mark      the mark: the newest row that was reported as stored, written after each row, never flushed

A mark survives the death of the process and, most often, of the machine; after a new start of the machine it may be
old, because nothing flushed it. A block is reserved beside the taps, ahead of need, so that a tap waits for one flush.
Everything is sealed under the journal's key, which binds it to terminal and journal.
"""

from __future__ import annotations

import os
import secrets
import struct
import threading
from collections.abc import Callable
from errno import EBADF, EIO
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from terminal.codes import SkipCause
from terminal.files import OWNER_ONLY, sync_path
from terminal.journal.chain import HASH_BYTES, Head
from terminal.journal.database import file_error
from terminal.journal.room import CAPACITY_ROWS
from terminal.journal.sealed import Broken, Contents, SealedPlace
from terminal.journal.stored import JournalState

BLOCK: Final = 1_024
"""Numbers reserved at once; as many at most are passed over after a power cut, of 268 million."""
AHEAD: Final = BLOCK // 2
"""With fewer left the next block is reserved."""
RESERVE: Final = 1_000_000
"""Numbers passed over where nothing says how far a journal came: it took `CAPACITY_ROWS` beyond its base; the rest is
for what a full journal still takes (ends of taps, entitled meals). Sequences have 28 bits: room for 267 times.
"""
assert RESERVE > CAPACITY_ROWS + 300_000

FRAME_BYTES: Final = 192
SLOT_BYTES: Final = 4_096
MARK_AT: Final = 2 * SLOT_BYTES
_DIGEST_BYTES: Final = 8
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_BOOT_BYTES: Final = 16
_MARK: Final = struct.Struct(f">{_BOOT_BYTES}sQQQ{HASH_BYTES}s")
_RESERVATION: Final = struct.Struct(f">QQ?Q{HASH_BYTES}s")


def numbers_path(journal: Path) -> Path:
    """The reservation of the journal at `journal`."""
    return journal.with_name(journal.name + ".numbers")


def mark_path(journal: Path) -> Path:
    """The mark of the journal at `journal`."""
    return journal.with_name(journal.name + ".mark")


def boot_id() -> bytes:
    """Names this start of the machine; a random name where the system has none, so that no mark counts as new."""
    try:
        return bytes.fromhex(_BOOT.read_text("ascii").strip().replace("-", ""))[:_BOOT_BYTES]
    except (OSError, ValueError):
        return secrets.token_bytes(_BOOT_BYTES)


class StoredMark(NamedTuple):
    """`stored` was the newest row reported as stored, in the start `boot` of the machine, while numbers up to
    `reserved` were reserved by reservation `generation`."""

    boot: bytes
    generation: int
    reserved: int
    stored: Head


class Reservation(NamedTuple):
    """No number above `reserved` was given out. With `closed` the journal ended in order at row `stored`; else it
    held `stored` when this was written."""

    generation: int
    reserved: int
    closed: bool
    stored: Head


class KnownNumbers(NamedTuple):
    """What the files beside a journal say. `whole`: both slots are sound and follow one another. `absent`: there is
    no such file at all. `seen` is the newest row that a damaged log still names; `mended`: the
    journal was damaged and had to be put together."""

    reservation: Reservation | None
    whole: bool
    marks: tuple[StoredMark, ...]
    absent: bool
    seen: int = 0
    mended: bool = False

    @property
    def anchor(self) -> Head | None:
        """The newest row that the files state to have been stored."""
        stated = [mark.stored for mark in self.marks]
        if self.reservation is not None:
            stated.append(self.reservation.stored)
        return max(stated, default=None)

    @property
    def newest(self) -> int:
        """The newest row that is known to have been stored, 0 where none is."""
        anchor = self.anchor
        return max(self.seen, anchor.sequence if anchor else 0)

    @property
    def reserved(self) -> int | None:
        """No number above was given out, as far as is stated."""
        stated = [mark.reserved for mark in self.marks]
        if self.reservation is not None:
            stated.append(self.reservation.reserved)
        doubt = 0 if self.whole else BLOCK  # the slot that is lost may have been the newer one
        return max(stated) + doubt if stated else None


NEVER_RESERVED: Final = KnownNumbers(None, whole=False, marks=(), absent=True)
"""Of software that reserved nothing."""


class Reached(NamedTuple):
    """How far a journal came: a row up to `stored` was reported as stored, no number above `used` was given out.
    `cause` is None where the next row simply has the next number."""

    stored: int
    used: int
    cause: SkipCause | None


def _standing(known: KnownNumbers, head: Head, boot: bytes) -> Reached:
    """How far the journal came whose newest row, as it lies there, is `head`."""
    if not known.mended and (_closed_at(known, head) or _marked_at(known, head, boot)):
        return Reached(head.sequence, head.sequence, None)
    stored, reserved = known.newest, known.reserved
    newest = max(stored, head.sequence)
    if reserved is None:
        reserved = newest + RESERVE
    if newest > reserved:  # old copies of these files: they say nothing of the rows since
        reserved = newest + BLOCK
    if stored > head.sequence:
        return Reached(stored, reserved, SkipCause.ROWS_LOST)
    if known.mended:
        return Reached(stored, reserved, SkipCause.MENDED)
    lost = known.reservation is None or len(known.marks) != 2
    return Reached(stored, reserved, SkipCause.MARKS_LOST if lost else SkipCause.NOT_CLOSED)


def standing_of(state: JournalState, known: KnownNumbers, head: Head, boot: bytes) -> Reached:
    """A journal just made, restored or of older software has no such files yet, and is where it says."""
    if state.anew:
        used = known.reserved or max(known.newest, head.sequence) + RESERVE
        return Reached(known.newest, max(used, known.newest, head.sequence), SkipCause.BEGAN_ANEW)
    new = known.absent and not state.checkpoints and not state.skipped and head == state.base
    if new or known is NEVER_RESERVED:
        return Reached(head.sequence, head.sequence, None)
    return _standing(known, head, boot)


def _closed_at(known: KnownNumbers, head: Head) -> bool:
    """An end in order at `head`, and no word of anything later."""
    reservation = known.reservation
    return (
        reservation is not None
        and known.seen <= head.sequence
        and known.whole
        and reservation.closed
        and reservation.stored == head
        and all(
            mark.generation <= reservation.generation and mark.stored.sequence <= head.sequence
            for mark in known.marks
        )
    )


def _marked_at(known: KnownNumbers, head: Head, boot: bytes) -> bool:
    """Only the process died, and both marks say that every row reported as stored is there.

    A row may be there that the process had no time to mark, and one mark may be a row behind the other.
    """
    reservation = known.reservation
    if reservation is None or not known.whole or reservation.closed or len(known.marks) != 2:
        return False
    if known.seen > head.sequence:
        return False
    newest, other = sorted((mark.stored.sequence for mark in known.marks), reverse=True)
    return (
        all(mark.boot == boot and abs(reservation.generation - mark.generation) <= 1 for mark in known.marks)
        and newest - other <= 1
        and head.sequence - newest in (0, 1)
        and reservation.stored.sequence <= head.sequence
        and all(mark.stored.sequence != head.sequence or mark.stored == head for mark in known.marks)
    )


def read_known(journal: Path, contents: Contents) -> KnownNumbers:
    """What the files beside `journal` say. Raises `JournalError` when they may not be read."""
    numbers, mark = _read(numbers_path(journal)), _read(mark_path(journal))
    slots = [_read_reservation(contents, numbers, at) for at in (0, SLOT_BYTES)]
    sound = sorted(slot for slot in slots if slot is not None)
    marks = (_read_mark(contents, mark, 0), _read_mark(contents, numbers, MARK_AT))
    return KnownNumbers(
        sound[-1] if sound else None,
        len(sound) == 2 and sound[1].generation - sound[0].generation == 1,
        tuple(one for one in marks if one is not None),
        numbers is None and mark is None,
    )


def _read(path: Path) -> bytes | None:
    """None where there is no file; a sector that cannot be read is damage, and its content nothing."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return os.pread(handle, MARK_AT + FRAME_BYTES, 0)
        finally:
            os.close(handle)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == EIO:
            return b""
        raise file_error(path, error) from error


def _framed(content: bytes) -> bytes:
    digest = sha256(content).digest()[:_DIGEST_BYTES]
    return (digest + len(content).to_bytes(2, "big") + content).ljust(FRAME_BYTES, b"\0")


def _unframed(data: bytes | None, at: int) -> bytes | None:
    frame = (data or b"")[at : at + FRAME_BYTES]
    start = _DIGEST_BYTES + 2
    content = frame[start : start + int.from_bytes(frame[_DIGEST_BYTES:start], "big")]
    return content if content and sha256(content).digest()[:_DIGEST_BYTES] == frame[:_DIGEST_BYTES] else None


def _read_mark(contents: Contents, data: bytes | None, at: int) -> StoredMark | None:
    try:
        fields = _MARK.unpack(contents.open(SealedPlace.MARK, 0, _unframed(data, at)))
    except (Broken, struct.error):
        return None
    boot, generation, reserved, *stored = fields
    return StoredMark(boot, generation, reserved, Head(*stored))


def _read_reservation(contents: Contents, data: bytes | None, at: int) -> Reservation | None:
    try:
        fields = _RESERVATION.unpack(contents.open(SealedPlace.RESERVATION, 0, _unframed(data, at)))
    except (Broken, struct.error):
        return None
    generation, reserved, closed, *stored = fields
    return Reservation(generation, reserved, closed, Head(*stored))


class Numbers:
    """Reserves the numbers of one open journal and marks what is stored. Nothing is written before the first number.

    `prepare` belongs to who numbers rows, `confirm` and `note` to the writer thread.
    """

    def __init__(
        self, journal: Path, contents: Contents, known: KnownNumbers, head: Head, boot: bytes
    ) -> None:
        """`head` is the newest row the journal holds."""
        self._journal = journal
        self._contents = contents
        self._boot = boot
        self._guard = threading.Condition()
        self._whole = known.whole
        self._stored = head
        generation = max(
            [mark.generation for mark in known.marks]
            + [known.reservation.generation if known.reservation else 0]
        )
        self._reservation = Reservation(generation, known.reserved or 0, closed=True, stored=head)
        self._reserved = 0
        """Numbers up to here are reserved on the disk by this process."""
        self._working = False
        self._failure: OSError | None = None
        self._handles: tuple[int, int] | None = None
        self._marking = threading.Lock()

    def begin(self) -> None:
        """Reserve the first block at once: for rows that were put there otherwise than by `Journal`."""
        self.prepare(self._stored.sequence + 1)
        self.confirm(self._stored.sequence + 1)

    def prepare(self, number: int) -> None:
        """`number` is about to be given out: see to it that it is reserved, and the next ones soon. Returns at once."""
        with self._guard:
            if self._working or self._failure or number + AHEAD <= self._reserved:
                return
            self._working = True
        threading.Thread(target=self._work, args=(number,), name="journal-numbers", daemon=True).start()

    def confirm(self, number: int) -> None:
        """Return when `number` is reserved on the disk; raises `JournalError` when it cannot be."""
        while True:
            with self._guard:
                self._guard.wait_for(lambda: not self._working)
                if self._failure is not None:
                    raise file_error(numbers_path(self._journal), self._failure) from self._failure
                if number <= self._reserved:
                    return
                self._working = True
            self._work(number)

    def note(self, stored: Head) -> None:
        """Row `stored` is about to be reported as stored. Raises `JournalError`."""
        assert self._handles is not None, "a row is confirmed first"
        try:
            self._write_marks(*self._handles, stored)
        except OSError as error:
            raise file_error(mark_path(self._journal), error) from error

    def close(self) -> None:
        """The journal ends in order. Raises `JournalError`."""
        self._end(lambda: self._write_slot(self._reservation.reserved, closed=True))

    def abandon(self) -> None:
        """End as a crash would."""
        self._end(lambda: None)

    def _end(self, last: Callable[[], None]) -> None:
        with self._guard:
            self._guard.wait_for(lambda: not self._working)
            if self._handles is None:
                return
            try:
                if self._failure is None:
                    last()
            except OSError as error:
                raise file_error(numbers_path(self._journal), error) from error
            finally:
                for handle in self._handles:
                    os.close(handle)
                self._handles = None
                self._failure = self._failure or OSError(EBADF, "the journal is closed")

    def _work(self, number: int) -> None:
        failure: OSError | None = None
        reserved = self._reservation.reserved
        try:
            if number + AHEAD > reserved:
                reserved = max(reserved, number - 1) + BLOCK
            self._reserve(reserved)
        except OSError as error:
            failure = error
        with self._guard:
            self._failure = self._failure or failure
            self._reserved = self._reserved if failure else reserved
            self._working = False
            self._guard.notify_all()

    def _reserve(self, reserved: int) -> None:
        begins = self._handles is None
        if begins:
            self._handles = self._open()
        # The other slot must never be more than one block behind, or the loss of this one would hide the rest.
        both = not self._whole or reserved - self._reservation.reserved > BLOCK
        for _ in range(2 if both else 1):
            self._write_slot(reserved, closed=False)
        self._whole = True
        if begins:
            sync_path(self._journal.parent)

    def _open(self) -> tuple[int, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        numbers = os.open(numbers_path(self._journal), flags, OWNER_ONLY)
        try:
            return numbers, os.open(mark_path(self._journal), flags, OWNER_ONLY)
        except OSError:
            os.close(numbers)
            raise

    def _write_slot(self, reserved: int, *, closed: bool) -> None:
        assert self._handles is not None, "opened before"
        numbers, _ = self._handles
        before = self._reservation
        self._reservation = Reservation(before.generation + 1, reserved, closed, self._stored)
        self._write_marks(*self._handles)
        fields = (*self._reservation[:3], *self._reservation.stored)
        content = self._contents.close(SealedPlace.RESERVATION, 0, _RESERVATION.pack(*fields))
        os.pwrite(numbers, _framed(content), SLOT_BYTES * (self._reservation.generation % 2))
        os.fsync(numbers)

    def _write_marks(self, numbers: int, mark: int, stored: Head | None = None) -> None:
        with self._marking:  # the writer and a reservation: the newer word must not be written over
            self._stored = stored or self._stored
            generation, reserved = self._reservation[:2]
            fields = (self._boot, generation, reserved, *self._stored)
            frame = _framed(self._contents.close(SealedPlace.MARK, 0, _MARK.pack(*fields)))
            os.pwrite(mark, frame, 0)
            os.pwrite(numbers, frame, MARK_AT)
