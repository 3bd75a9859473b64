"""What a link to a collector is, and one that is loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, NamedTuple, Protocol

from terminal.codes import SyncFault
from terminal.errors import CollectorError
from terminal.sync.address import TlsFiles

WAIT: Final = "Nothing is lost: the rows stay in the journal and are sent again later."


class Answer(NamedTuple):
    """HTTP status and body, how long the other side asks to be left alone, and what it says the body is."""

    status: int
    body: bytes
    retry_after_s: float | None = None
    content_type: str = ""


class LinkTooSlow(CollectorError):
    """The exchange did not end in time: a smaller batch may."""

    usual_fault = SyncFault.TOO_SLOW


class LinkCut(CollectorError):
    """The connection ended in the middle of an exchange: a smaller batch may pass."""

    usual_fault = SyncFault.CUT


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

    def use(self, tls: TlsFiles) -> None:
        """Show another certificate from the next exchange on. In the thread that uploads; may raise `KeyFileError`."""
        ...

    def close(self) -> None: ...


class RequestLink(Protocol):
    """Carries one request to a collector and its answer back."""

    def exchange(self, path: str, body: bytes | None, content_type: str, /) -> Answer:
        """Raises `CollectorError` when no whole answer came."""
        ...


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

    def use(self, tls: TlsFiles) -> None:
        if self._link is not None:
            self._link.use(tls)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
