"""Events on their way from the terminal to any number of pages. Publishing never waits.

    feed = EventFeed[TapReport](keep=200)
    feed.publish(report)                  # any thread: a few microseconds, with or without subscribers
    feed.recent()                         # what is still kept, oldest first
    async for entry in feed.subscribe():  # on an event loop: the newest entry, then everything new
        entry.number, entry.value

A feed keeps its newest `keep` entries and nothing else: a subscriber holds no queue, only its place. One that is too
slow misses the oldest entries, and sees so by their numbers.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

KEEP: Final = 256


class Numbered(Struct, Generic[T], frozen=True):
    """`number` counts from 1 without a gap."""

    number: int
    value: T


class EventFeed(Generic[T]):
    """A bounded ring of numbered events that any thread may fill and any event loop may follow."""

    def __init__(self, keep: int = KEEP) -> None:
        self.epoch: Final = secrets.token_hex(4)
        """Distinguishes this feed from that of an earlier run of the terminal, whose numbers mean something else."""
        self._kept: deque[Numbered[T]] = deque(maxlen=keep)
        self._newest = 0
        self._lock = Lock()
        self._listeners: set[Subscriber[T]] = set()

    def publish(self, value: T) -> int:
        """Keep `value` and wake who waits for it; returns its number. Never waits."""
        with self._lock:
            self._newest += 1
            self._kept.append(Numbered(self._newest, value))
            sleeping = [listener for listener in self._listeners if not listener.woken]
            for listener in sleeping:
                listener.woken = True
            newest = self._newest
        for listener in sleeping:
            listener.wake()
        return newest

    def recent(self, after: int = 0) -> list[Numbered[T]]:
        """What is still kept of everything after number `after`, oldest first."""
        with self._lock:
            missing = min(self._newest - after, len(self._kept))
            return [] if missing <= 0 else [self._kept[i] for i in range(-missing, 0)]

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self._newest

    @property
    def position(self) -> str:
        """Where a page rendered now stands; `?after=` of an event stream takes it."""
        return f"{self.epoch}.{self._newest}"

    def number_of(self, position: str) -> int | None:
        """The number in `position`; None for nonsense and for positions of an earlier run."""
        epoch, _, number = position.partition(".")
        known = epoch == self.epoch and number.isascii() and number.isdecimal() and len(number) < 20
        return min(int(number), self._newest) if known else None

    @property
    def subscribers(self) -> int:
        """How many follow this feed now."""
        return len(self._listeners)

    @contextmanager
    def listening(self, after: int | None = None) -> Iterator[Subscriber[T]]:
        """Follow from number `after`; None: from the newest entry, included. Only on a running event loop."""
        import asyncio  # noqa: PLC0415 30 ms that a terminal's start does not wait for

        start = max(self._newest - 1, 0) if after is None else after
        listener = Subscriber(self, start, asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners.discard(listener)

    async def subscribe(self, after: int | None = None) -> AsyncIterator[Numbered[T]]:
        """Entries from number `after` on (None: from the newest entry, included), for ever."""
        with self.listening(after) as listener:
            while True:
                for entry in await listener.entries():
                    yield entry


class Subscriber(Struct, Generic[T], eq=False):
    """One subscriber's place in a feed."""

    feed: EventFeed[T]
    seen: int
    loop: asyncio.AbstractEventLoop
    _event: asyncio.Event
    woken: bool = False
    """A wake-up is on its way: a fast publisher leaves no more than one in the loop's queue."""

    def wake(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop was closed: its server has stopped and has no subscribers
            self.seen = self.feed.newest

    async def entries(self, timeout_s: float | None = None) -> list[Numbered[T]]:
        """Wait for entries not seen yet; empty when `timeout_s` passed without any."""
        from asyncio import wait_for  # noqa: PLC0415 as above

        if self.seen >= self.feed.newest:
            try:
                await wait_for(self._event.wait(), timeout_s)
            except TimeoutError:
                return []
        self._event.clear()
        self.woken = False  # before looking: what is published from here on wakes again
        entries = self.feed.recent(self.seen)
        if entries:
            self.seen = entries[-1].number
        return entries
