"""A whole collector in one process: its folder, its application over ASGI, and terminals that write what they like."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.clock import from_unix_ms, unix_ms
from terminal.collector.service import Collector, CollectorSettings
from terminal.collector.users import OfficeRole, User, Users, hash_password
from terminal.journal.chain import Head, genesis, link
from terminal.journal.records import AnyRecord, Intent, build_record
from terminal.sync import wire
from tests.terminal.journal.samples import INTENT, fitting

NOW = from_unix_ms(INTENT.at_ms + 60_000)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)

    @property
    def now_ms(self) -> int:
        return unix_ms(self.time)


class Terminal:
    """A terminal reduced to its rows and its key."""

    def __init__(self, number: int, clock: HandClock) -> None:
        self.number = number
        self.clock = clock
        self.key = Ed25519PrivateKey.generate()
        self.bodies: list[bytes] = []
        self.sent = 0

    def write(self, *records: AnyRecord) -> int:
        """Append records, taps as they fit their rows; return the row of the last."""
        for record in records:
            row = len(self.bodies) + 1
            fits = fitting(record, self.number, row) if isinstance(record, Intent) else record
            self.bodies.append(build_record(fits))
        return len(self.bodies)

    def batch(self, first: int, last: int, sent_at_ms: int | None = None, head: int | None = None) -> bytes:
        heads = [genesis(self.number)]
        for body in self.bodies:
            heads.append(Head(heads[-1].sequence + 1, link(heads[-1].hash, body)))
        at_ms = self.clock.now_ms if sent_at_ms is None else sent_at_ms
        part = tuple(self.bodies[first - 1 : last])
        claimed = heads[last if head is None else head]
        return wire.encode(wire.build_batch(self.number, heads[first - 1], part, claimed, at_ms, self.key))


class Program:
    """Requests one after another, without sockets."""

    def __init__(self, app: Any, address: str) -> None:
        self._transport = httpx.ASGITransport(app, client=(address, 50_000))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            base_url = "http://127.0.0.1:8470"
            async with httpx.AsyncClient(transport=self._transport, base_url=base_url) as client:
                return await client.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)


def user_of(folder: Path, ref: str, *roles: OfficeRole, password: str = "") -> str:
    """The personal token of a new user of the collector in `folder`."""
    users = Users(folder)
    users.add(User(ref=ref, roles=roles, password=hash_password(password) if password else ""))
    return users.new_token(ref)


class Town:
    """A collector in `folder` and its terminals; `client` is a program on the same machine."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = HandClock()
        self.settings = CollectorSettings(folder, **settings)
        self.collector = Collector(self.settings, self.clock)
        self.app = self.collector.app(lambda: None)

    def user(self, ref: str, *roles: OfficeRole) -> str:
        """The personal token of a new user."""
        return user_of(self.settings.folder, ref, *roles)

    def close(self) -> None:
        self.collector.close()

    def terminal(self, number: int) -> Terminal:
        made = Terminal(number, self.clock)
        self.collector.enrolment.enrol(number, made.key.public_key())
        return made

    def client(self, address: str = "10.0.0.1") -> Program:
        """A program at `address`, speaking to the real application."""
        return Program(self.app, address)

    def send(self, terminal: Terminal, sent_at_ms: int | None = None) -> int:
        """Upload what is new and book it; return the status."""
        last = len(terminal.bodies)
        reply = self.collector.intake.take(terminal.batch(terminal.sent + 1, last, sent_at_ms))
        if reply.status == 200:
            terminal.sent = last
        self.book()
        return reply.status

    def book(self) -> None:
        while self.collector.books.catch_up():
            pass

    def in_hand(self) -> int:
        """How many uploads the application is busy with."""
        return self.collector.gate.in_hand

    def alarms(self) -> list[tuple[str, int, int]]:
        return [(alarm.kind, alarm.terminal, alarm.sequence) for alarm in self.collector.store.alarms()]

    def strangers(self) -> list[tuple[str, str, int, str, int]]:
        """Kind, address, terminal, detail, times; the newest first."""
        self.collector.follower.keep_strangers()
        return [count[:5] for count in self.collector.store.strangers()]

    def details(self) -> list[str]:
        return [alarm.detail for alarm in self.collector.store.alarms()]
