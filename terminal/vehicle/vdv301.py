"""VDV 301 (IBIS-IP): subscribes to the TicketValidationService of the on-board computer that the configuration names.

It is asked to send each change, and says how often it will speak at least (heartbeat). After two and a half silent
heartbeats it counts as gone and is asked again, because one that was restarted has forgotten us; where only one of the
operations is silent, that one is asked for again, because publishers drop a single subscriber they could not reach.
The standard knows no authentication: messages are taken from the publisher's address alone, on the configured
interface, at a path that no one else was given, and bounded in size, number and time. What they say is checked against
the route by the terminal.
"""

from __future__ import annotations

import secrets
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from time import monotonic
from typing import Final
from xml.sax.saxutils import escape

from terminal.trip.vehicle_report import SourceSettings, SourceState
from terminal.vehicle.elements import MOST_BYTES, XmlRefused
from terminal.vehicle.replies import ReplyServer
from terminal.vehicle.source import SourceBroken, SourceLink
from terminal.vehicle.vdv_messages import (
    SERVICE,
    Said,
    SubscriptionSaid,
    TariffStopSaid,
    TripSaid,
    read_message,
)
from terminal.vehicle.vdv_state import (
    LINE,
    NOTHING_SAID,
    RAZZIA,
    TARIFF_STOP,
    VEHICLE_DATA,
    operation_of,
)

DNS_SD: Final = "dns-sd:"
OPERATIONS: Final = (TARIFF_STOP, RAZZIA, LINE, VEHICLE_DATA)
HEARTBEAT_S: Final = 60.0
"""Where a publisher states none."""
LONGEST_HEARTBEAT_S: Final = 300.0
SILENT_BEATS: Final = 2.5
LEAST_SILENT_S: Final = 3.0
ANSWER_S: Final = 3.0
UNSUBSCRIBE_S: Final = 0.2
RETRY_S: Final = (1.0, 2.0, 5.0, 10.0)
REFUSED_RETRY_S: Final = 60.0
"""An operation that this on-board computer does not know today it may know after its next update."""
ANNOUNCED_S: Final = 10.0
"""A computer that is there has answered by then."""
LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Publisher:
    """Where the on-board computer listens."""

    host: str
    port: int


def publisher_of(text: str) -> Publisher:
    """ADDRESS:PORT, an IPv6 address in brackets; raises `SourceBroken`. No names: asking for one could take longer than
    this process may be silent.
    """
    host, _, port = text.rpartition(":")
    try:
        address = str(ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        address = ""
    if not address or not (port.isascii() and port.isdecimal()) or not 0 < int(port[:6]) <= 0xFFFF:
        raise SourceBroken(
            f"publisher {text!r} is neither ADDRESS:PORT nor {DNS_SD}INSTANCE[@ADDRESS]: correct it under [vehicle]"
        )
    return Publisher(address, int(port))


def where_of(named: str, interface: str) -> _Fixed | _Announced:
    """Where the publisher is, now and later; raises `SourceBroken`."""
    if named.startswith(DNS_SD):
        return _Announced(named.removeprefix(DNS_SD), interface)
    return _Fixed(publisher_of(named))


class _Fixed:
    """A publisher that stays where it is."""

    def __init__(self, publisher: Publisher) -> None:
        self.now: Publisher | None = publisher


class _Announced:
    """A publisher that is where it announces itself; needs the package `zeroconf`."""

    def __init__(self, named: str, interface: str) -> None:
        try:
            from terminal.vehicle.discovery import Discovery  # noqa: PLC0415 an optional package
        except ImportError as error:
            raise SourceBroken(
                f"{DNS_SD} needs the package zeroconf: install resident-card-terminal[vehicle], or write ADDRESS:PORT"
            ) from error
        instance, _, address = named.partition("@")
        self._discovery = Discovery(instance, address, interface)

    @property
    def now(self) -> Publisher | None:
        found = self._discovery.found
        return None if found is None else Publisher(*found)


class _Refused(Exception):
    """The publisher answers, but not with what was asked for."""


class _Subscription:
    """What became of one operation."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.active = False
        self.heartbeat_s = HEARTBEAT_S
        self.heard_s = 0.0
        self.due_s = 0.0
        self._failures = 0

    def begun(self, heartbeat_s: float | None) -> None:
        self.active, self.heard_s, self._failures = True, monotonic(), 0
        self.heartbeat_s = min(heartbeat_s or HEARTBEAT_S, LONGEST_HEARTBEAT_S)

    def failed(self, wait_s: float | None = None) -> None:
        self.active = False
        self.due_s = monotonic() + (
            RETRY_S[min(self._failures, len(RETRY_S) - 1)] if wait_s is None else wait_s
        )
        self._failures += 1

    def moved(self) -> None:
        """The publisher is another or has forgotten it, and has to be asked at once."""
        self.active, self.due_s = False, 0.0

    def lost(self) -> bool:
        silent_s = max(SILENT_BEATS * self.heartbeat_s, LEAST_SILENT_S)
        return self.active and monotonic() - self.heard_s > silent_s


class Vdv301:
    """The subscriber."""

    def __init__(self, settings: SourceSettings) -> None:
        self._where = where_of(settings.publisher, settings.reply_host)
        self._publisher: Publisher | None = None
        self._reply_host = settings.reply_host
        self._reply_port = settings.reply_port
        self._secret = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._heard = NOTHING_SAID
        self._subscriptions = {name: _Subscription(name) for name in OPERATIONS}
        self._asked_trip = ""
        self._trip_due_s = 0.0
        self._said_once: set[str] = set()
        self._begun_s = monotonic()

    def serve(self, link: SourceLink) -> None:
        self._link = link
        with ReplyServer(
            (self._reply_host, self._reply_port), self._secret, self._take, self._refuse
        ) as server:
            self._reply_port = server.port
            run = link.run
            while not link.wait(LOOK_S):
                self._find(server)
                self._keep_subscribed()
                self._ask_for_trip()
                if link.run is not run:
                    run = link.run
                    self._repeat()
            self._unsubscribe()

    # What arrives, on the server's threads

    def _take(self, body: bytes) -> None:
        """One message of the publisher; raises `XmlRefused`."""
        said = read_message(body)
        with self._lock:
            now_s = monotonic()
            subscription = self._subscriptions.get(operation_of(said))
            if subscription is not None:
                subscription.heard_s = now_s
            self._heard = self._heard.after(said, now_s)
            self._link.report(self._heard.report(self._link.run))
        if isinstance(said, TariffStopSaid):
            self._link.says(SourceState.LISTENS)

    def _refuse(self, kind: str, detail: str) -> None:
        """A stranger or nonsense: said once of each kind, because it may come without end."""
        if kind not in self._said_once:
            self._said_once.add(kind)
            self._link.says(SourceState.REFUSED, detail)

    # Subscriptions, on the main thread

    def _find(self, server: ReplyServer) -> None:
        """Follow the publisher to another place."""
        now = self._where.now
        if now == self._publisher:
            if now is None and monotonic() - self._begun_s > ANNOUNCED_S:
                self._link.says(SourceState.UNREACHABLE, "the on-board computer has not announced itself")
            return
        self._publisher = now
        server.senders = frozenset() if now is None else frozenset({now.host})
        for subscription in self._subscriptions.values():
            subscription.moved()

    def _keep_subscribed(self) -> None:
        if self._publisher is None:
            return
        lost = [one for one in self._subscriptions.values() if one.lost()]
        if lost and not any(one.active and not one.lost() for one in self._subscriptions.values()):
            self._gone("it has been silent for more than two heartbeats")
        else:
            self._forgotten(lost)
        for subscription in self._subscriptions.values():
            if subscription.active or monotonic() < subscription.due_s:
                continue
            if not self._subscribe(subscription) or self._link.wait(0):
                return

    def _forgotten(self, lost: list[_Subscription]) -> None:
        """A publisher that goes on with the others has dropped these: asked for again at once."""
        for subscription in lost:
            subscription.moved()
            with self._lock:
                self._heard = self._heard.silent_on(subscription.operation)

    def _repeat(self) -> None:
        """What was heard means something else once the terminal runs another route."""
        with self._lock:
            if self._heard != NOTHING_SAID:
                self._link.report(self._heard.report(self._link.run))

    def _gone(self, why: str) -> None:
        """Everything is asked for again; what was known grows old."""
        for subscription in self._subscriptions.values():
            subscription.failed()
        with self._lock:
            self._heard = self._heard.silent()
        self._repeat()
        at = self._publisher
        where = "" if at is None else f"{at.host}:{at.port}"
        self._link.says(SourceState.UNREACHABLE, f"the on-board computer {where}: {why}")

    def _subscribe(self, subscription: _Subscription) -> bool:
        """False when the publisher does not answer at all."""
        operation = subscription.operation
        try:
            said = self._ask(f"Subscribe{operation}", self._address("SubscribeRequest", operation))
        except (OSError, HTTPException) as error:
            self._gone(f"{type(error).__name__}: {error}")
            return False
        except (XmlRefused, _Refused) as error:
            return self._not_subscribed(subscription, str(error))
        if not isinstance(said, SubscriptionSaid) or not said.active:
            return self._not_subscribed(subscription, "it does not accept the subscription")
        subscription.begun(said.heartbeat_s)
        return True

    def _not_subscribed(self, subscription: _Subscription, why: str) -> bool:
        """The stop is what we are here for; of the others a publisher may know none."""
        subscription.failed(None if subscription.operation == TARIFF_STOP else REFUSED_RETRY_S)
        if subscription.operation == TARIFF_STOP:
            self._link.says(SourceState.REFUSED, f"{subscription.operation}: {why}")
        return True

    def _ask_for_trip(self) -> None:
        """The order of its stops, once a trip."""
        trip = self._heard.trip
        if not trip or trip == self._asked_trip or monotonic() < self._trip_due_s:
            return
        name = f"{SERVICE}.RetrieveTripDataRequest"
        body = f"<{name}><TripRef><Value>{escape(trip)}</Value></TripRef></{name}>"
        try:
            said = self._ask("RetrieveTripData", body)
        except (OSError, HTTPException):
            self._trip_due_s = monotonic() + RETRY_S[-1]
            return
        except (XmlRefused, _Refused):
            said = None  # this on-board computer does not give the order: nothing to compare
        self._asked_trip = trip
        if isinstance(said, TripSaid):
            with self._lock:
                self._heard = self._heard.after(replace(said, trip=said.trip or trip), monotonic())
                self._link.report(self._heard.report(self._link.run))

    def _unsubscribe(self) -> None:
        """At the end, as far as time allows: a publisher that is gone needs none."""
        for subscription in self._subscriptions.values():
            if subscription.active:
                operation = subscription.operation
                with suppress(OSError, HTTPException, XmlRefused, _Refused):
                    request = self._address("UnsubscribeRequest", operation)
                    self._ask(f"Unsubscribe{operation}", request, UNSUBSCRIBE_S)

    def _address(self, root: str, operation: str) -> str:
        parts = {
            "Client-IP-Address": self._reply_host,
            "ReplyPort": str(self._reply_port),
            "ReplyPath": f"{self._secret}/{operation}",
        }
        inside = "".join(f"<{name}><Value>{escape(value)}</Value></{name}>" for name, value in parts.items())
        return f"<{root}>{inside}</{root}>"

    def _ask(self, operation: str, body: str, seconds: float = ANSWER_S) -> Said:
        """The publisher's answer; raises `OSError` and `HTTPException` where there is none, else `XmlRefused` and
        `_Refused`. However slowly it comes, this takes `seconds` and little more.
        """
        at = self._publisher
        if at is None:
            raise ConnectionError("the on-board computer has not announced itself")
        connection = HTTPConnection(at.host, at.port, timeout=seconds, source_address=(self._reply_host, 0))
        content = f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()
        try:
            connection.connect()
            late = threading.Timer(seconds, _shut, (connection.sock,))
            late.daemon = True
            late.start()
            try:
                path = f"/{SERVICE}/{operation}"
                connection.request("POST", path, content, {"Content-Type": "text/xml; charset=utf-8"})
                answer = connection.getresponse()
                if answer.status != 200:
                    raise _Refused(f"HTTP status {answer.status}")
                return read_message(answer.read(MOST_BYTES + 1))
            finally:
                late.cancel()
        finally:
            connection.close()


def _shut(connected: socket.socket | None) -> None:
    """End a conversation from another thread; one that has ended by itself needs nothing."""
    if connected is not None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)
