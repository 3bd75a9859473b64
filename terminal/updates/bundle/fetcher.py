"""Where bytes come from: an address or a folder, for the library's updater. Both bound what the library does not: time,
rate, and what a name may lead to.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from errno import ELOOP, ENOTDIR
from http import HTTPStatus
from types import FrameType
from typing import Final
from urllib.parse import urlencode, urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from terminal.updates.bundle.newer import LONGEST_WAIT_S, MOST_BYTES, NEWER, WAIT, unpacked
from terminal.updates.bundle.roles import METADATA_FOLDER

SCHEME: Final = "bundle:/"
"""Before the names that the library asks for: where they are is this module's to know."""
CHUNK_BYTES: Final = 64 << 10
STEP_S: Final = 20.0
"""For connecting and the head of an answer; then for each piece of `LEAST_RATE` times as many bytes."""
LEAST_RATE: Final = 1024
"""Bytes per second over each `STEP_S`."""
HEADERS: Final = {"accept-encoding": "identity"}
_NAME: Final = re.compile(r"[0-9A-Za-z._-]{1,200}")


class UnsafeName(DownloadError):
    """A link, a device, or a name that leads elsewhere."""


class BundleFetcher(FetcherInterface):
    """Remembers what was asked for last: an error of the library's names no role. `alive` is called with each piece."""

    def __init__(self, alive: Callable[[], None]) -> None:
        self._alive = alive
        self.asked = ""
        """The name of the file that was asked for last, without its folder."""
        self.begun = b""
        """The first piece of the newest file of metadata."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        parts = url.removeprefix(SCHEME).split("/")
        if not all(_NAME.fullmatch(part) and not part.startswith(".") for part in parts):
            raise UnsafeName(f"{url!r} is no plain name")
        self.asked, self.begun = parts[-1], b""
        metadata = parts[0] == METADATA_FOLDER
        for piece in self._pieces(parts):
            self._alive()
            if metadata and not self.begun:
                self.begun = piece
            yield piece

    def _pieces(self, parts: list[str]) -> Iterator[bytes]:
        raise NotImplementedError

    def look_ahead(self, versions: Mapping[str, int]) -> None:
        """Get what is newer than these versions of roles in one request, where the source can give that."""

    def close(self) -> None:
        """Let go of what is open."""


class FolderFetcher(BundleFetcher):
    """A folder, perhaps a stick's: plain files below it, and no link is followed on the way."""

    def __init__(self, folder: str, alive: Callable[[], None]) -> None:
        super().__init__(alive)
        self._folder = folder

    def _pieces(self, parts: list[str]) -> Iterator[bytes]:
        try:
            handle = self._opened(parts)
        except FileNotFoundError as error:
            raise DownloadHTTPError("no such file", 404) from error
        except OSError as error:
            raise _unsafe_or_broken(error) from error
        with os.fdopen(handle, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UnsafeName("no plain file")
            while piece := file.read(CHUNK_BYTES):
                yield piece

    def _opened(self, parts: list[str]) -> int:
        """Folder by folder, so that no link is followed on the way; the folder itself may be named by one."""
        within = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        safe = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            try:
                inner = os.open(part, safe | (0 if last else os.O_DIRECTORY), dir_fd=within)
            finally:
                os.close(within)
            within = inner
        return within


def _unsafe_or_broken(error: OSError) -> DownloadError:
    """ELOOP and ENOTDIR are what a link, or a file in a folder's place, comes to."""
    if error.errno in (ELOOP, ENOTDIR):
        return UnsafeName("a link, or a file in the place of a folder")
    return DownloadError(error.strerror or "cannot be read")


class HttpFetcher(BundleFetcher):
    """An address over one kept connection. No proxy, no redirect, no compressed answer; every step ends in its time."""

    def __init__(self, url: str, tls_ca: str, alive: Callable[[], None]) -> None:
        """Raises OSError for TLS files that cannot be used, ValueError for no address."""
        super().__init__(alive)
        address = urlsplit(url)
        self._host, self._path = address.hostname or "", address.path.rstrip("/")
        self._port = address.port
        self._tls = _trusting(tls_ca) if address.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._whole = True
        """Whether nothing of the answer before is left to be read."""
        self._gives_newer = True
        self._ahead: dict[str, bytes] = {}
        self.held: socket.socket | None = None
        """The connection whose answer is being waited for."""

    def look_ahead(self, versions: Mapping[str, int]) -> None:
        if self.held is not None:
            self.close()  # its answer comes too late
        if not self._ahead and self._gives_newer:
            self._ask_newer(versions)

    def _ask_newer(self, versions: Mapping[str, int]) -> None:
        """Where that fails, each file is asked for, which says what is wrong."""
        try:
            content = b"".join(self._answer(self._newer_path(versions)))
            self._ahead = unpacked(content)
        except DownloadHTTPError as error:
            self._gives_newer = error.status_code not in (400, 404)
        except (OSError, ValueError, http.client.HTTPException):
            self.close()

    def _newer_path(self, versions: Mapping[str, int], **more: int) -> str:
        return f"{self._path}/{NEWER}?{urlencode({**versions, **more})}"

    def hold(self, versions: Mapping[str, int]) -> None:
        """Ask for what becomes newer than these versions; `held` can be read when the answer comes. Nothing where the
        source cannot do that, or has no open connection.
        """
        if self._connection is None or not self._whole or not self._gives_newer:
            return
        try:
            with _within(STEP_S):
                self._connection.request(
                    "GET", self._newer_path(versions, **{WAIT: LONGEST_WAIT_S}), headers=HEADERS
                )
        except (OSError, http.client.HTTPException):
            self.close()
            return
        self._whole, self.held = False, self._connection.sock

    def heard(self) -> bool | None:
        """The answer has come: whether it has anything newer; None where the connection is lost."""
        connection, self.held = self._connection, None
        assert connection is not None, "held"
        try:
            with _within(STEP_S):
                response = connection.getresponse()
                content = response.read(MOST_BYTES + 1)
            if response.status == HTTPStatus.NO_CONTENT:
                self._whole = True
                return False
            if response.status == HTTPStatus.OK and response.length == 0:
                self._whole, self._ahead = True, unpacked(content)
                return True
        except (OSError, ValueError, http.client.HTTPException):
            self._ahead = {}
        self.close()
        return None

    def _pieces(self, parts: list[str]) -> Iterator[bytes]:
        known = self._ahead.pop("/".join(parts), None)
        if known is not None:
            if not known:
                raise DownloadHTTPError("no such file", 404)
            yield known
            return
        try:
            yield from self._answer(f"{self._path}/{'/'.join(parts)}")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise SlowRetrievalError("the source takes too long") from error
            raise DownloadError(f"the source cannot be heard ({type(error).__name__})") from error

    def _answer(self, path: str) -> Iterator[bytes]:
        if not self._whole:
            self.close()  # the rest of an answer that was too long is not wanted
        with _within(STEP_S):
            self._whole = False
            response = self._asked(path)
        if response.status != HTTPStatus.OK:
            with _within(STEP_S):
                self._whole = len(response.read(CHUNK_BYTES)) < CHUNK_BYTES
            raise DownloadHTTPError(f"answer {response.status}", response.status)
        if response.getheader("content-encoding", "identity") != "identity":
            raise http.client.HTTPException("compressed")
        while True:
            with _within(STEP_S):
                piece = response.read(int(LEAST_RATE * STEP_S))
            if not piece:
                break
            yield piece
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        self._whole = True

    def _asked(self, path: str) -> http.client.HTTPResponse:
        kept = self._connection is not None
        try:
            return self._exchange(path)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            if not kept:
                raise
            return self._exchange(path)  # a kept connection may have been closed just now

    def _exchange(self, path: str) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = (
                http.client.HTTPConnection(self._host, self._port, timeout=STEP_S)
                if self._tls is None
                else http.client.HTTPSConnection(self._host, self._port, timeout=STEP_S, context=self._tls)
            )
        self._connection.request("GET", path, headers=HEADERS)
        return self._connection.getresponse()

    def close(self) -> None:
        self.held, self._whole = None, True
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()


def _trusting(tls_ca: str) -> ssl.SSLContext:
    """Only this authority, where one is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls_ca else ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls_ca:
        context.load_verify_locations(tls_ca)
    return context


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so long, in whatever call stands still: a server that sends a byte now and then keeps
    every time-out of a socket from its end. On the main thread of a process that has no other use of this timer.
    """

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
