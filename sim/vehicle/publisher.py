"""An on-board computer that publishes TicketValidationService over HTTP: subscriptions, pushes, heartbeats.

No discovery: subscribers are given address and port. As real ones do, it has no authentication, forgets its
subscribers when it is restarted, and builds a reply address as `http://IP:PORT/` and the path, slashes doubled or not.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, cast

from sim.vehicle.telegrams import (
    OPERATIONS,
    SERVICE,
    Dialect,
    VehicleNow,
    error_telegram,
    subscribed,
    telegram,
    trip_telegram,
)
from sim.vehicle.trip import VehicleSimFault

MOST_REQUEST_BYTES: Final = 64 * 1024
PUSH_S: Final = 5.0
_LAUGHS: Final = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE: Final = (
    f'<!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]><x>&l9;</x>'.encode(),
    b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
    b"<a>" * 100_000,
    b"<x>" + b"<a/>" * 200_000 + b"</x>",
    b"<x>" + b" " * 2_000_000 + b"</x>",
    b"<TicketValidationService.GetCurrentTariffStopResponse><CurrentTariffStopData>",
    b"\x00\xff" * 1000,
    b"",
)
Happened = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class PushTarget:
    """Where the messages of one operation go."""

    operation: str
    host: str
    port: int
    path: str


class OnBoardComputer:
    """Publishes what `say` is given. `happened` hears of subscriptions and of pushes that did not arrive."""

    def __init__(
        self, host: str, port: int, dialect: Dialect, heartbeat_s: float, now: VehicleNow, happened: Happened
    ) -> None:
        self.dialect = dialect
        self.heartbeat_s = heartbeat_s
        self.now = now
        self.happened = happened
        self.silent = False
        self._host = host
        self._lock = threading.Lock()
        self._subscribers: set[PushTarget] = set()
        self._ended = threading.Event()
        self._server = self._serve(port)
        self._beats = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._beats.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def say(self, now: VehicleNow) -> None:
        """Send what is new in `now` to those who subscribed to it."""
        before, self.now = self.now, now
        for operation in OPERATIONS[self.dialect]:
            body = telegram(operation, now, self.dialect)
            if body != telegram(operation, before, self.dialect):
                self._push(operation, body)

    def flood(self, messages: int) -> None:
        """Send the current stop again and again, as fast as it is taken."""
        body = telegram("CurrentTariffStop", self.now, self.dialect)
        for _ in range(messages):
            self._push("CurrentTariffStop", body)

    def foreign(self, address: str, now: VehicleNow) -> None:
        """Send a stop from another address of this machine, as a stranger on the vehicle's network would."""
        body = telegram("CurrentTariffStop", now, self.dialect)
        for subscriber in self._subscribed("CurrentTariffStop"):
            self._post(subscriber, body, source=address)

    def hostile(self) -> None:
        """Send what is no message of any standard, and meant to cost the reader time, memory or files."""
        for subscriber in self._subscribed("CurrentTariffStop"):
            for body in HOSTILE:
                self._post(subscriber, body)

    def forget(self, operation: str) -> None:
        """Drop those who subscribed to one operation, as one that could not reach them does."""
        with self._lock:
            self._subscribers = {one for one in self._subscribers if one.operation != operation}

    def restart(self, port: int) -> None:
        """End, forget all subscribers, and come back on `port`."""
        self._stop()
        with self._lock:
            self._subscribers.clear()
        self._server = self._serve(port)

    def close(self) -> None:
        self._ended.set()
        self._stop()

    def _serve(self, port: int) -> ThreadingHTTPServer:
        handler = cast(type[BaseHTTPRequestHandler], type("Asked", (_SubscriberRequest,), {"computer": self}))
        try:
            server = ThreadingHTTPServer((self._host, port), handler)
        except OSError as error:
            raise VehicleSimFault(
                f"port {port} of {self._host} cannot be used ({error.strerror})", "Name another --port."
            ) from error
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), name="publisher", daemon=True).start()
        return server

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _beat(self) -> None:
        while not self._ended.wait(self.heartbeat_s):
            for operation in OPERATIONS[self.dialect]:
                self._push(operation, telegram(operation, self.now, self.dialect))

    def _subscribed(self, operation: str) -> list[PushTarget]:
        with self._lock:
            return [one for one in self._subscribers if one.operation == operation]

    def _push(self, operation: str, body: bytes) -> None:
        if self.silent:
            return
        for subscriber in self._subscribed(operation):
            self._post(subscriber, body)

    def _post(self, to: PushTarget, body: bytes, source: str = "") -> None:
        origin = (source, 0) if source else None
        connection = HTTPConnection(to.host, to.port, timeout=PUSH_S, source_address=origin)
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        if self.dialect is Dialect.VDV24:
            headers["Expect"] = "100-continue"
        try:
            connection.request("POST", f"/{to.path}", body, headers)
            answer = connection.getresponse()
            answer.read(MOST_REQUEST_BYTES)
            if answer.status >= 300:
                self.happened({"refused": to.operation, "status": answer.status, "source": source})
        except (OSError, HTTPException) as error:
            self.happened({"lost": to.operation, "why": type(error).__name__, "source": source})
        finally:
            connection.close()

    # answers, on the server's threads

    def answer(self, operation: str, body: bytes) -> bytes:
        """The answer to one request of the service."""
        if self.silent:
            return error_telegram(f"{SERVICE}.{operation}Response", "no data", self.dialect)
        known = OPERATIONS[self.dialect]
        for verb in ("Unsubscribe", "Subscribe", "Get"):
            about = operation.removeprefix(verb)
            if operation.startswith(verb) and about in known:
                return self._known(verb, about, body)
        if operation == "RetrieveTripData" and self.dialect is not Dialect.CZ:
            return self._retrieved(body)
        return error_telegram(f"{SERVICE}.{operation}Response", "OperationNotSupported", self.dialect)

    def _known(self, verb: str, operation: str, body: bytes) -> bytes:
        if verb == "Get":
            return telegram(operation, self.now, self.dialect)
        subscriber = _target(operation, body)
        with self._lock:
            self._subscribers.discard(subscriber)
            if verb == "Subscribe":
                self._subscribers.add(subscriber)
        self.happened({f"{verb.lower()}d": operation, "port": subscriber.port})
        if verb == "Subscribe":  # the first message comes at once, after the answer
            first = telegram(operation, self.now, self.dialect)
            threading.Timer(0.02, self._post, (subscriber, first)).start()
        return subscribed(verb == "Subscribe", self.heartbeat_s)

    def _retrieved(self, body: bytes) -> bytes:
        if _value(body, "TripRef") != self.now.trip.ref:
            return error_telegram(f"{SERVICE}.RetrieveTripDataResponse", "unknown trip", self.dialect)
        return trip_telegram(self.now, self.dialect)


def _target(operation: str, body: bytes) -> PushTarget:
    port = _value(body, "ReplyPort")
    return PushTarget(
        operation,
        _value(body, "Client-IP-Address"),
        int(port) if port.isdecimal() and len(port) < 6 else 80,
        _value(body, "ReplyPath"),
    )


def _value(body: bytes, name: str) -> str:
    """What stands in an element of a request, with or without `Value` around it."""
    tag = re.escape(name.encode())
    found = re.search(rb"<%s>\s*(?:<Value>)?\s*([^<\s]*)" % tag, body)
    return "" if found is None else found[1].decode("utf-8", "replace")


class _SubscriberRequest(BaseHTTPRequestHandler):
    """One request of a subscriber."""

    computer: OnBoardComputer
    protocol_version = "HTTP/1.1"
    timeout = PUSH_S

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_REQUEST_BYTES:
            self.send_error(413)
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        service, _, operation = self.path.strip("/").partition("/")
        if service != SERVICE:
            self.send_error(404)
            return
        content = self.computer.answer(operation, body)
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are reported by `happened`."""
