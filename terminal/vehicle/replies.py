"""Where a publisher's messages arrive: an HTTP server for one sender, bounded in every way a sender could abuse.

A connection is closed unread when it is not from the publisher, when too many are open, and when it is older than
`LONGEST_S`. More than `BURST` messages at once are answered more slowly, so that no flood takes the machine's time.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from types import TracebackType
from typing import Any, Final

from terminal.vehicle.elements import MOST_BYTES, XmlRefused
from terminal.vehicle.source import SourceBroken

IDLE_S: Final = 5.0
LONGEST_S: Final = 10.0
MOST_CONNECTIONS: Final = 8
MESSAGE_S: Final = 0.02
"""The share of one message: fifty a second, and less where they take long to read."""
BURST: Final = 50
SHARE: Final = 10
"""Reading takes at most one part of so many of the time."""
LONGEST_DELAY_S: Final = 1.0
"""A publisher that waits longer for an answer may take us for gone."""
LOOK_S: Final = 0.2
CHUNK_LINE_BYTES: Final = 64
MOST_CHUNKS: Final = 4096
FOREIGN: Final = "foreign"
BROKEN: Final = "broken"

Take = Callable[[bytes], None]
Refuse = Callable[[str, str], None]


class ReplyServer:
    """Listens while entered. `take` gets each body and may raise `XmlRefused`; `refuse` hears of what was not taken:
    its kind, and words for the log. `senders` are the addresses to believe; no other is read.
    """

    def __init__(self, address: tuple[str, int], secret: str, take: Take, refuse: Refuse) -> None:
        self.senders: frozenset[str] = frozenset()
        self._take = take
        self._refuse = refuse
        self._secret = secret
        self._throttle = _Throttle()
        try:
            self._server = _ReplyHttp(address, self)
        except (OSError, OverflowError) as error:
            raise SourceBroken(
                f"{address[0]}, port {address[1]}, is not ours to listen on ({error}): correct reply_host and "
                "reply_port under [vehicle]"
            ) from error

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> ReplyServer:
        threading.Thread(
            target=self._server.serve_forever, args=(LOOK_S,), name="replies", daemon=True
        ).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def believes(self, address: str) -> bool:
        """Whether messages of this address are read."""
        if address in self.senders:
            return True
        self._refuse(FOREIGN, f"a message from {address[:50]} was not read: it is not the publisher")
        return False

    def expects(self, path: str) -> bool:
        """Whether this is where the publisher was asked to send to; slashes may be doubled."""
        return path.lstrip("/").partition("/")[0] == self._secret

    def broken(self, error: BaseException | None) -> None:
        """A message ended in an error of our own."""
        self._refuse(BROKEN, f"a message was lost: {type(error).__name__}: {error}")

    def message(self, body: bytes) -> bool:
        """Take one message; False when it is none."""
        begun_s = monotonic()
        try:
            self._take(body)
        except XmlRefused as error:
            self._refuse(error.fault, f"a message of the on-board computer cannot be read: {error}")
            return False
        finally:
            self._throttle.wait(monotonic() - begun_s)
        return True


class _Throttle:
    """Delays those who come too often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_s = 0.0

    def wait(self, cost_s: float) -> None:
        with self._lock:
            now_s = monotonic()
            begins_s = max(self._free_s, now_s - BURST * MESSAGE_S)
            due_s = begins_s + max(MESSAGE_S, cost_s * SHARE)
            self._free_s = min(due_s, now_s + LONGEST_DELAY_S)
            wait_s = self._free_s - now_s
        if wait_s > 0:
            threading.Event().wait(wait_s)


class _ReplyHttp(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], replies: ReplyServer) -> None:
        self.replies = replies
        self._open: dict[socket.socket, float] = {}
        self._open_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _PublisherMessage)

    def server_bind(self) -> None:
        """Without asking for the host's name, as the library does: a vehicle's network has no name server."""
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._open_lock:
            full = len(self._open) >= MOST_CONNECTIONS
        if full or not self.replies.believes(str(client_address[0])):
            return False
        with self._open_lock:
            self._open[request] = monotonic()
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Now and then: end what takes too long. Its place is free before its sender sees the end."""
        with self._open_lock:
            late = [one for one, since_s in self._open.items() if monotonic() - since_s > LONGEST_S]
            for request in late:
                del self._open[request]
        for request in late:
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_connection: object) -> None:
        """A connection that broke off is nothing new: the sender comes again. Anything else is ours to mend."""
        error = sys.exception()
        if not isinstance(error, OSError):
            self.replies.broken(error)


class _PublisherMessage(BaseHTTPRequestHandler):
    """One message a connection."""

    server: _ReplyHttp
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    close_connection = True

    def do_POST(self) -> None:
        replies = self.server.replies
        if not replies.expects(self.path):
            self._answer(404)
            return
        body = self._body()
        if body is None:
            self._answer(413)
        else:
            self._answer(200 if replies.message(body) else 400)

    def _answer(self, status: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _body(self) -> bytes | None:
        """The content; None when it is too long or its length unknown."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or len(length) > 9 or int(length) > MOST_BYTES:
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        body = bytearray()
        for _ in range(MOST_CHUNKS):
            size = self._chunk_size()
            if size is None or len(body) + size > MOST_BYTES:
                return None
            if size == 0:
                return bytes(body)
            body += self.rfile.read(size)
            self.rfile.readline(CHUNK_LINE_BYTES)
        return None

    def _chunk_size(self) -> int | None:
        digits = self.rfile.readline(CHUNK_LINE_BYTES).partition(b";")[0].strip()
        try:
            return int(digits, 16) if digits and digits.isalnum() else None
        except ValueError:
            return None

    def log_message(self, format: str, *args: object) -> None:
        """What matters is reported by `ReplyServer`."""
