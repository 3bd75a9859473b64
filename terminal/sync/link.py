"""One exchange with the collector over HTTP, bounded in time and in bytes, and given up at once on request.

The standard library's client, because an exchange must end when this side says so: its sockets are ours
(`GuardedSocket` below). Redirects are not followed, compressed answers not opened, proxies of the environment not
used.

They keep to so many seconds and so many bytes, whatever the other side does. A time-out per read would not do:
a server that sends a byte now and then never meets it. Here every read and write gets what is left of the whole
exchange."""

from __future__ import annotations

import http.client
import math
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from terminal.codes import SyncFault
from terminal.errors import CollectorError
from terminal.sync.address import TlsFiles, parse_address, tls_context
from terminal.sync.exchange import WAIT, Answer, LinkTooSlow
from terminal.sync.wire import BATCH_TYPE, BATCHES_PATH

MAX_ANSWER_BYTES: Final = 65_536
HEAD_BYTES: Final = 65_536
CONNECT_TIMEOUT_S: Final = 5.0
EXCHANGE_LIMIT_S: Final = 60.0
MAX_RETRY_AFTER_S: Final = 3_600.0
NOT_A_COLLECTOR: Final = "Check that the address is that of a collector."


class HttpLink:
    """HTTP to `base_url` over one kept connection; with `tls` files, or an https address, inside TLS."""

    def __init__(
        self, base_url: str, tls: TlsFiles | None = None, exchange_limit_s: float = EXCHANGE_LIMIT_S
    ) -> None:
        """Raises `CollectorError` for what is no address, `KeyFileError` for TLS files that cannot be used."""
        self.base_url = base_url
        self._address = parse_address(base_url)
        if tls is not None and tls.given and not self._address.secure:
            raise CollectorError(
                f"TLS files are given, but {base_url} is not secured", "Give an address with https://."
            )
        self._tls = tls_context(tls or TlsFiles()) if self._address.secure else None
        self._limit_s = exchange_limit_s
        self._guard = Guard()
        self._lock = threading.Lock()
        self._stopped = False
        self._socket: socket.socket | None = None
        self._connection: http.client.HTTPConnection | None = None

    def upload(self, batch: bytes) -> Answer:
        self._guard.begin(self._limit_s, MAX_ANSWER_BYTES + HEAD_BYTES)
        try:
            return self._upload(batch)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | http.client.HTTPException | LimitReached | Stopped | ValueError):
                raise self._failure(error) from error
            raise

    def _upload(self, batch: bytes) -> Answer:
        if self._connection is not None and self._is_stale():
            self.close()
        reused = self._connection is not None
        try:
            return self._exchange(batch)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A connection kept from before may have been closed just now; sending twice harms nothing.
            self.close()
            if not reused or self._stopped:
                raise
            return self._exchange(batch)

    def _exchange(self, batch: bytes) -> Answer:
        connection = self._connection or self._connect()
        headers = {"content-type": BATCH_TYPE, "accept-encoding": "identity"}
        try:
            connection.request("POST", self._address.path + BATCHES_PATH, body=batch, headers=headers)
        except (BrokenPipeError, ConnectionResetError):
            if self._stopped:
                raise
            # It may have refused the batch before all of it was sent: what it said counts.
        with connection.getresponse() as response:
            encoding = response.getheader("content-encoding", "identity")
            if encoding != "identity":
                raise CollectorError(
                    f"collector {self.base_url} answers in the encoding {encoding[:20]!a}",
                    NOT_A_COLLECTOR,
                    SyncFault.NOT_UNDERSTOOD,
                )
            body = self._read(response)
            answer = Answer(response.status, body, _retry_after_s(response.getheader("retry-after")))
            if response.will_close:
                self.close()
        return answer

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        if response.length is None and not response.chunked:
            raise http.client.IncompleteRead(b"")  # a head that was cut looks just like that
        body = b""
        while piece := response.read(8_192):
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise LimitReached("answers without end")
        if response.length:
            raise http.client.IncompleteRead(body, response.length)
        return body

    # The connection

    def _connect(self) -> http.client.HTTPConnection:
        address = self._address
        connected = guarded(self._reach(), self._guard)
        self._hold(connected)
        secured: socket.socket = connected
        if self._tls is not None:
            secured = guarded_tls(connected, self._guard, self._tls, address.host)
            self._hold(secured)
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.auto_open = 0
        connection.sock = secured
        self._connection = connection
        return connection

    def _reach(self) -> socket.socket:
        """A connected socket to the first address that answers."""
        failure: OSError = OSError("it has no address")
        # As bytes, because text has Python load its tables of international names; an address has none of them.
        found = socket.getaddrinfo(self._address.host.encode(), self._address.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, place in found:
            sock = socket.socket(family, kind, protocol)
            self._hold(sock)
            try:
                sock.settimeout(self._guard.timeout_s(CONNECT_TIMEOUT_S))
                sock.connect(place)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                failure = error
                sock.close()
            else:
                return sock
        raise failure

    def _hold(self, sock: socket.socket) -> None:
        """Remember what `abort` must break off."""
        with self._lock:
            self._socket = sock
            if self._stopped:
                raise Stopped

    def _is_stale(self) -> bool:
        """Nothing was asked, so whatever can be read is the other side's good-bye."""
        sock = self._socket
        return sock is None or sock.fileno() < 0 or bool(select.select([sock], [], [], 0)[0])

    def abort(self) -> None:
        with self._lock:
            self._stopped = True
            sock = self._socket
            if sock is not None and sock.fileno() >= 0:
                try:
                    # Not the method of a TLS socket: that takes its state away from the thread that reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
                except OSError:
                    return  # not connected: there is nothing to break off

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            sock, self._socket = self._socket, None
        if connection is not None:
            connection.close()
        if sock is not None:
            sock.close()

    def _failure(self, error: Exception) -> CollectorError:
        if self._stopped:
            return CollectorError(f"the exchange with {self.base_url} was given up", WAIT)
        if isinstance(error, ssl.SSLCertVerificationError):
            return CollectorError(
                f"collector {self.base_url} is not who it should be: {error.verify_message}",
                "Check --tls-ca and the address.",
                SyncFault.NOT_TRUSTED,
            )
        if isinstance(error, LimitReached):
            what = f"collector {self.base_url} {error}"
            if isinstance(error, TimeUsedUp):
                return LinkTooSlow(what, NOT_A_COLLECTOR)
            return CollectorError(what, NOT_A_COLLECTOR, SyncFault.NOT_UNDERSTOOD)
        what = f"collector {self.base_url} cannot be reached: {_in_words(error)}"
        return LinkTooSlow(what, WAIT) if isinstance(error, TimeoutError) else CollectorError(what, WAIT)


def _in_words(error: Exception) -> str:
    words = str(error) or type(error).__name__
    return "".join(character for character in words[:200] if character.isprintable())


def _retry_after_s(header: str | None) -> float | None:
    """Seconds to wait as the collector asks, never more than an hour; dates and nonsense ask for nothing."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(seconds, MAX_RETRY_AFTER_S) if math.isfinite(seconds) and seconds >= 0 else None


class LimitReached(Exception):
    """The exchange cost more than it may; says which limit."""


class TimeUsedUp(LimitReached):
    """It took more time than it may."""


class Stopped(Exception):
    """The exchange was given up from outside."""


class Guard:
    """What is left of one exchange. Begun anew for each."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = 0.0
        self._left_bytes = 0

    def begin(self, seconds: float, answer_bytes: int) -> None:
        self._until = self._monotonic() + seconds
        self._left_bytes = answer_bytes

    def timeout_s(self, at_most_s: float = float("inf")) -> float:
        """How long the next step may take; raises `LimitReached` when nothing is left."""
        left = self._until - self._monotonic()
        if left <= 0:
            raise TimeUsedUp("takes too long")
        return min(left, at_most_s)

    def received(self, count: int) -> None:
        """Raises `LimitReached` when the answer is larger than an answer can be."""
        self._left_bytes -= count
        if self._left_bytes < 0:
            raise LimitReached("answers without end")


class GuardedSocket(socket.socket):
    """A connected socket under a `Guard`."""

    guard: Guard

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.guard.timeout_s())
        count = super().recv_into(*arguments)
        self.guard.received(count)
        return count

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(self.guard.timeout_s())
        super().sendall(*arguments)


class GuardedTlsSocket(ssl.SSLSocket):
    """The same inside TLS."""

    guard: Guard

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.guard.timeout_s())
        count = super().recv_into(*arguments)
        self.guard.received(count)
        return count

    def send(self, *arguments: Any) -> int:
        self.settimeout(self.guard.timeout_s())
        return super().send(*arguments)


def guarded(connected: socket.socket, guard: Guard) -> GuardedSocket:
    """Takes over `connected`."""
    made = GuardedSocket(fileno=connected.detach())
    made.guard = guard
    return made


def guarded_tls(connected: socket.socket, guard: Guard, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Takes over `connected` and shakes hands within what is left. Raises OSError (ssl.SSLError) or `LimitReached`."""
    context.sslsocket_class = GuardedTlsSocket
    connected.settimeout(guard.timeout_s())
    made = context.wrap_socket(connected, server_hostname=host)
    assert isinstance(made, GuardedTlsSocket)
    made.guard = guard
    return made
