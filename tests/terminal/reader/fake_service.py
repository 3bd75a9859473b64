"""A PC/SC service in memory, behind the functions of pyscard's plain binding.

What it has that a real service on a build machine has not: readers can be unplugged, any call can fail with any
code, and the service can stop answering. What it has not: drivers, other programs, polling. tests/device runs the
same reader code over a real pcscd.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from terminal.reader.scard import (
    NO_READERS_AVAILABLE,
    NO_SERVICE,
    PLUG_EVENTS,
    RESET_CARD,
    SHARE_SHARED,
    SHARING_VIOLATION,
    SUCCESS,
    TIMEOUT,
    UNRESPONSIVE_CARD,
)

EMPTY, PRESENT, CHANGED, IN_USE, MUTE = 0x10, 0x20, 0x02, 0x100, 0x200
ATR = bytes.fromhex("3B8180018080")
CONTACT_ATR = bytes.fromhex("3B951100FF004D4A01")
STRAY_MEMORY = [0xAA] * 40

Card = Callable[[bytes], bytes]


def echo(command: bytes) -> bytes:
    """A card that answers the command and 9000."""
    return command + b"\x90\x00"


@dataclass
class Slot:
    """One reader. The counter rises with every insertion and removal, as in pcsc-lite."""

    card: Card | None = None
    counter: int = 0
    mute: bool = False
    atr: bytes = ATR
    other_program: int = 0
    """How another program holds it: SHARE_EXCLUSIVE, SHARE_SHARED, or not at all."""
    in_transaction: bool = False
    handle: int | None = None
    context: int | None = None
    resets: int = 0

    def event(self) -> int:
        flags = EMPTY if self.card is None else PRESENT
        flags |= MUTE if self.mute else 0
        flags |= IN_USE if self.handle is not None else 0
        return self.counter << 16 | flags


@dataclass
class FakeService:
    """Start with readers by name; then `insert`, `take`, `plug`, `unplug`, `stop`, `start`, `fail`."""

    slots: dict[str, Slot] = field(default_factory=dict)
    contexts: set[int] = field(default_factory=set)
    running: bool = True
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.failures: dict[str, deque[int]] = {}
        self.answering = threading.Event()
        self.answering.set()
        self._number = 1000

    # what a test does to it

    def insert(self, name: str, card: Card = echo, *, mute: bool = False, atr: bytes = ATR) -> None:
        with self.changed:
            slot = self.slots[name]
            slot.card, slot.mute, slot.counter = card, mute, slot.counter + 1
            slot.atr = b"" if mute else atr
            self.changed.notify_all()

    def take(self, name: str) -> None:
        with self.changed:
            slot = self.slots[name]
            slot.card, slot.mute, slot.counter = None, False, slot.counter + 1
            self.changed.notify_all()

    def plug(self, name: str) -> None:
        with self.changed:
            self.slots[name] = Slot()
            self.changed.notify_all()

    def unplug(self, name: str) -> None:
        with self.changed:
            del self.slots[name]
            self.changed.notify_all()

    def stop(self) -> None:
        """The daemon ends: contexts and handles mean nothing any more."""
        with self.changed:
            self.running = False
            self.contexts.clear()
            for slot in self.slots.values():
                slot.handle = None
            self.changed.notify_all()

    def start(self) -> None:
        """A new daemon: counters begin again, cards still lie there."""
        with self.changed:
            self.running = True
            for slot in self.slots.values():
                slot.counter = 0

    def fail(self, call: str, *answers: int) -> None:
        """The next calls of this function fail with these codes (0: that one succeeds)."""
        self.failures.setdefault(call, deque()).extend(answers)

    # the binding

    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:  # noqa: N802 the binding's name
        code = self._enter("SCardEstablishContext")
        if code:
            return code, 0
        self._number += 1
        self.contexts.add(self._number)
        return SUCCESS, self._number

    def SCardReleaseContext(self, context: int) -> int:  # noqa: N802
        self.contexts.discard(context)
        for slot in self.slots.values():
            if (
                slot.handle is not None and slot.context == context
            ):  # as the daemon does for a client that leaves
                slot.handle, slot.resets = None, slot.resets + 1
        return self._enter("SCardReleaseContext")

    def SCardListReaders(self, context: int, groups: list[str]) -> tuple[int, list[str]]:  # noqa: N802
        code = self._enter("SCardListReaders", context)
        if code:
            return code, []
        return (0, list(self.slots)) if self.slots else (NO_READERS_AVAILABLE, [])

    def SCardGetStatusChange(  # noqa: N802
        self, context: int, timeout_ms: int, states: list[tuple[str, int]]
    ) -> tuple[int, list[tuple[str, int, list[int]]]]:
        code = self._enter("SCardGetStatusChange", context)
        unchanged: list[tuple[str, int, list[int]]] = [(name, 0, []) for name, _ in states]
        if code:
            return code, unchanged
        with self.changed:
            readers = list(self.slots)
            if any(name not in readers and name != PLUG_EVENTS for name, _ in states):
                return 0x80100009, unchanged
            news = self.changed.wait_for(lambda: self._news(context, states, readers), timeout_ms / 1000)
            if not news:
                return TIMEOUT, unchanged
            if context not in self.contexts:
                return 0x80100013, unchanged
            return SUCCESS, [self._state(name, known, readers) for name, known in states]

    def SCardConnect(self, context: int, name: str, share: int, protocols: int) -> tuple[int, int, int]:  # noqa: N802
        code = self._enter("SCardConnect", context)
        slot = self.slots.get(name)
        if code or slot is None:
            return code or 0x80100009, 0, 0
        if slot.card is None:
            return 0x8010000C, 0, 0
        if slot.mute:
            return UNRESPONSIVE_CARD, 0, 0
        kinds = {share, slot.other_program or SHARE_SHARED}
        if slot.handle is not None or (slot.other_program and kinds != {SHARE_SHARED}):
            return SHARING_VIOLATION, 0, 0
        self._number += 1
        slot.handle, slot.context = self._number, context
        return SUCCESS, slot.handle, 2

    def SCardReconnect(  # noqa: N802
        self, handle: int, share: int, protocols: int, initialization: int
    ) -> tuple[int, int]:
        code = self._enter("SCardReconnect")
        slot = self._slot_of(handle)
        if code or slot is None:
            return code or 0x80100003, 0
        slot.resets += initialization == RESET_CARD
        return SUCCESS, 2

    def SCardBeginTransaction(self, handle: int) -> int:  # noqa: N802
        code = self._enter("SCardBeginTransaction")
        slot = self._slot_of(handle)
        if code or slot is None:
            return code or 0x80100003
        slot.in_transaction = True
        return SUCCESS

    def _slot_of(self, handle: int) -> Slot | None:
        return next((slot for slot in self.slots.values() if slot.handle == handle), None)

    def SCardTransmit(self, handle: int, protocol: int, command: list[int]) -> tuple[int, list[int]]:  # noqa: N802
        if not isinstance(command, list):
            raise TypeError("Expected a list object.")
        code = self._enter("SCardTransmit")
        slot = next((slot for slot in self.slots.values() if slot.handle == handle), None)
        if code or slot is None:
            return code or 0x80100003, STRAY_MEMORY
        if slot.card is None:
            return 0x80100069, STRAY_MEMORY
        return SUCCESS, list(slot.card(bytes(command)))

    def SCardDisconnect(self, handle: int, disposition: int) -> int:  # noqa: N802
        code = self._enter("SCardDisconnect")
        for slot in self.slots.values():
            if slot.handle == handle:
                slot.handle, slot.in_transaction = None, False
                slot.resets += disposition == RESET_CARD
                return code
        return code or 0x80100003

    def _enter(self, call: str, context: int | None = None) -> int:
        """The code this call fails with, or 0."""
        self.calls.append(call)
        self.answering.wait()
        if self.failures.get(call):
            return self.failures[call].popleft()
        if not self.running:
            return NO_SERVICE
        return 0x80100003 if context is not None and context not in self.contexts else 0

    def _news(self, context: int, states: list[tuple[str, int]], readers: list[str]) -> bool:
        if context not in self.contexts:
            return True
        return any(self._state(name, known, readers)[1] & CHANGED for name, known in states)

    def _state(self, name: str, known: int, readers: list[str]) -> tuple[str, int, list[int]]:
        if name == PLUG_EVENTS:
            return name, CHANGED if readers != list(self.slots) else 0, []
        if name not in self.slots:
            return name, 0x0004 | CHANGED, []
        event = self.slots[name].event()
        return (
            name,
            event | (CHANGED if event != known else 0),
            list(self.slots[name].atr) if event & PRESENT else [],
        )
