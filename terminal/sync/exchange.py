"""What a link to a collector is, and one that is loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, NamedTuple, Protocol

from terminal.codes import SyncFault
from terminal.errors import CollectorError

WAIT: Final = "Nothing is lost: the rows stay in the journal and are sent again later."


class Answer(NamedTuple):
    """HTTP status and body, and how long the collector asks to be left alone."""

    status: int
    body: bytes
    retry_after_s: float | None = None


class LinkTooSlow(CollectorError):
    """The exchange did not end in time: a smaller batch may."""

    usual_fault = SyncFault.TOO_SLOW


class CollectorLink(Protocol):
    """Carries batches to a collector. Used by one thread, except for `abort`."""

    def upload(self, batch: bytes) -> Answer:
        """Raises `CollectorError` when no whole answer came: the collector may or may not have taken the
        batch.
        """
        ...

    def abort(self) -> None:
        """From any thread: the exchange in progress, if any, fails at once, and so does every later one."""
        ...

    def close(self) -> None: ...


class LateLink:
    """A link that `make` makes when it is first used, in the thread that uploads: no start waits for HTTP to load."""

    def __init__(self, make: Callable[[], CollectorLink]) -> None:
        self._make = make
        self._lock = Lock()
        self._aborted = False
        self._link: CollectorLink | None = None

    def upload(self, batch: bytes) -> Answer:
        link = self._link or self._make()
        with self._lock:
            self._link = link
            if self._aborted:
                link.abort()
        return link.upload(batch)

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            if self._link is not None:
                self._link.abort()

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
