"""One exchange with the collector over HTTP, bounded in time and in bytes, and given up at once on request.

The standard library's client, because an exchange must end when this side says so: its sockets are ours
(`terminal.sync.guard`). Redirects are not followed, compressed answers not opened, proxies of the environment not
used. Everything the product asks of a collector goes through here: batches, enrolment, renewal, reports."""

from __future__ import annotations

import http.client
import math
import select
import socket
import ssl
import threading
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from terminal.clock import Clock, SystemClock
from terminal.codes import SyncFault
from terminal.errors import CollectorError
from terminal.sync import failures
from terminal.sync.address import TlsFiles, parse_address, tls_context
from terminal.sync.exchange import WAIT, Answer, LinkTooSlow
from terminal.sync.failures import NOT_A_COLLECTOR
from terminal.sync.guard import Guard, LimitReached, Stopped, TimeUsedUp, guarded, guarded_tls
from terminal.sync.wire import BATCH_TYPE, BATCHES_PATH

MAX_ANSWER_BYTES: Final = 65_536
HEAD_BYTES: Final = 65_536
CONNECT_TIMEOUT_S: Final = 5.0
"""For each address a name has, TLS not included."""
HANDSHAKE_LIMIT_S: Final = 10.0
SEND_LIMIT_S: Final = 40.0
HEAD_LIMIT_S: Final = 30.0
"""From the end of the request to the end of the answer's head."""
BODY_LIMIT_S: Final = 20.0
EXCHANGE_LIMIT_S: Final = 60.0
"""All of it together, connecting included."""
MAX_RETRY_AFTER_S: Final = 3_600.0


class HttpLink:
    """HTTP to `base_url` over one kept connection; with `tls` files, or an https address, inside TLS."""

    def __init__(
        self,
        base_url: str,
        tls: TlsFiles | None = None,
        exchange_limit_s: float = EXCHANGE_LIMIT_S,
        clock: Clock | None = None,
    ) -> None:
        """`clock` only says what time it is here where a certificate is not valid. Raises `CollectorError` for what is
        no address, `KeyFileError` for TLS files that cannot be used."""
        self.base_url = base_url
        self._address = parse_address(base_url)
        self._clock = clock or SystemClock()
        self._limit_s = exchange_limit_s
        self._guard = Guard()
        self._lock = threading.Lock()
        self._stopped = False
        self._socket: socket.socket | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._tls = self._context(tls)

    def use(self, tls: TlsFiles) -> None:
        """Show another certificate from the next exchange on. In the thread that uploads; raises as the start does."""
        self._tls = self._context(tls)
        self.close()

    def _context(self, tls: TlsFiles | None) -> ssl.SSLContext | None:
        if tls is not None and tls.ca is not None and not self._address.secure:
            raise CollectorError(
                f"TLS files are given, but {self.base_url} is not secured", "Give an address with https://."
            )
        return tls_context(tls or TlsFiles()) if self._address.secure else None

    def upload(self, batch: bytes) -> Answer:
        return self.exchange(BATCHES_PATH, batch, BATCH_TYPE)

    def exchange(
        self, path: str, body: bytes | None, content_type: str = "", most_bytes: int = MAX_ANSWER_BYTES
    ) -> Answer:
        """Send `body` to `path` below the address, or ask for it where there is none; the answer has at most
        `most_bytes`. Raises `CollectorError` when no whole answer came."""
        self._guard.begin(self._limit_s, most_bytes + HEAD_BYTES)
        try:
            return self._again_if_stale(path, body, content_type, most_bytes)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | http.client.HTTPException | LimitReached | Stopped | ValueError):
                raise self._failure(error) from error
            raise

    def _again_if_stale(self, path: str, body: bytes | None, content_type: str, most_bytes: int) -> Answer:
        if self._connection is not None and self._is_stale():
            self.close()
        reused = self._connection is not None
        try:
            return self._exchange(path, body, content_type, most_bytes)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # A connection kept from before may have been closed just now; sending twice harms nothing.
            self.close()
            if not reused or self._stopped:
                raise
            return self._exchange(path, body, content_type, most_bytes)

    def _exchange(self, path: str, body: bytes | None, content_type: str, most_bytes: int) -> Answer:
        connection = self._connection or self._connect()
        headers = {"accept-encoding": "identity"} | ({"content-type": content_type} if content_type else {})
        self._guard.step("take the request", SEND_LIMIT_S)
        try:
            connection.request(
                "GET" if body is None else "POST", self._address.path + path, body=body, headers=headers
            )
        except (BrokenPipeError, ConnectionResetError):
            if self._stopped:
                raise
            # It may have refused the batch before all of it was sent: what it said counts.
        self._guard.step("answer", HEAD_LIMIT_S)
        with connection.getresponse() as response:
            self._guard.step("end its answer", BODY_LIMIT_S)
            answer = self._answer(response, most_bytes)
            if response.will_close:
                self.close()
        return answer

    def _answer(self, response: http.client.HTTPResponse, most_bytes: int) -> Answer:
        encoding = response.getheader("content-encoding", "identity")
        if encoding != "identity":
            raise CollectorError(
                f"collector {self.base_url} answers in the encoding {encoding[:20]!a}",
                NOT_A_COLLECTOR,
                SyncFault.NOT_UNDERSTOOD,
            )
        body = self._read(response, most_bytes)
        wait_s = _retry_after_s(response.getheader("retry-after"), response.getheader("date"))
        return Answer(response.status, body, wait_s, response.getheader("content-type", ""))

    def _read(self, response: http.client.HTTPResponse, most_bytes: int) -> bytes:
        if response.length is None and not response.chunked:
            raise http.client.IncompleteRead(b"")  # a head that was cut looks just like that
        body = bytearray()
        while piece := response.read(8_192):
            body += piece
            if len(body) > most_bytes:
                raise LimitReached("answers without end")
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        return bytes(body)

    # The connection

    def _connect(self) -> http.client.HTTPConnection:
        secured = self._secured(self._tls)
        connection = http.client.HTTPConnection(self._address.host, self._address.port)
        connection.auto_open = 0
        connection.sock = secured
        self._connection = connection
        return connection

    def _secured(self, context: ssl.SSLContext | None) -> socket.socket:
        """A connected socket, inside TLS where there is a context."""
        connected = guarded(self._reach(), self._guard)
        self._hold(connected)
        if context is None:
            return connected
        self._guard.step("agree on TLS", HANDSHAKE_LIMIT_S)
        secured = guarded_tls(connected, self._guard, context, self._address.host)
        self._hold(secured)
        return secured

    def _reach(self) -> socket.socket:
        """A connected socket to the first address that answers."""
        failure: OSError = OSError("it has no address")
        # As bytes, because text has Python load its tables of international names; an address has none of them.
        found = socket.getaddrinfo(self._address.host.encode(), self._address.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, place in found:
            sock = socket.socket(family, kind, protocol)
            self._hold(sock)
            self._guard.step("accept the connection", CONNECT_TIMEOUT_S)
            try:
                sock.settimeout(self._guard.timeout_s())
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

    # What went wrong

    def _failure(self, error: Exception) -> CollectorError:
        if self._stopped:
            return CollectorError(f"the exchange with {self.base_url} was given up", WAIT)
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._not_certified(error)
        if isinstance(error, TimeoutError | TimeUsedUp):
            return LinkTooSlow(f"collector {self.base_url} takes too long to {self._guard.doing}", WAIT)
        if isinstance(error, http.client.IncompleteRead | ConnectionResetError | BrokenPipeError):
            return failures.cut(self.base_url, error)
        if isinstance(error, OSError):
            return failures.not_connected(self.base_url, error)
        says = error if isinstance(error, LimitReached) else "does not answer as a collector does"
        return CollectorError(
            f"collector {self.base_url} {says}: {failures.in_words(error)}",
            f"{NOT_A_COLLECTOR} {WAIT}",
            SyncFault.NOT_UNDERSTOOD,
        )

    def _not_certified(self, error: ssl.SSLCertVerificationError) -> CollectorError:
        if error.verify_code not in (failures.NOT_YET_VALID, failures.EXPIRED):
            return failures.other_certificate(self.base_url, error.verify_message)
        valid, there = None, None
        with suppress(OSError, ValueError, http.client.HTTPException, LimitReached, Stopped):
            valid, there = self._look_at_certificate()
        return failures.not_valid_now(self.base_url, self._clock.now(), valid, there)

    def _look_at_certificate(self) -> tuple[tuple[datetime, datetime], datetime | None]:
        """When the other side's certificate is valid, and what time it says it is. Nothing of ours is sent, and nothing
        of this is believed: it is shown to people."""
        from cryptography import x509  # noqa: PLC0415 only where a certificate is in doubt

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._guard.begin(min(self._limit_s, HANDSHAKE_LIMIT_S), HEAD_BYTES)
        secured = self._secured(context)
        try:
            assert isinstance(secured, ssl.SSLSocket)
            found = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
            valid = found.not_valid_before_utc, found.not_valid_after_utc
            with suppress(OSError, ValueError, http.client.HTTPException, LimitReached):
                return valid, self._time_there(secured)
            return valid, None
        finally:
            self.close()

    def _time_there(self, secured: socket.socket) -> datetime | None:
        self._guard.step("answer", HEAD_LIMIT_S)
        connection = http.client.HTTPConnection(self._address.host, self._address.port)
        connection.auto_open, connection.sock = 0, secured
        connection.request("GET", self._address.path + "/v1/health", headers={"accept-encoding": "identity"})
        with connection.getresponse() as response:
            stated = response.getheader("date")
        return None if stated is None else parsedate_to_datetime(stated)


def _retry_after_s(header: str | None, date: str | None) -> float | None:
    """Seconds to wait as the other side asks, never more than an hour. A date counts from the other side's own;
    nonsense asks for nothing."""
    try:
        seconds = float(header or "")
    except ValueError:
        seconds = _seconds_between(date, header)
    return min(seconds, MAX_RETRY_AFTER_S) if math.isfinite(seconds) and seconds >= 0 else None


def _seconds_between(earlier: str | None, later: str | None) -> float:
    """Between two dates of HTTP; infinite where one of them is none."""
    try:
        return (parsedate_to_datetime(later or "") - parsedate_to_datetime(earlier or "")).total_seconds()
    except (ValueError, TypeError):
        return math.inf
