"""Gateway and consumer as processes, until SIGTERM or SIGINT.

FOLDER/collector.key       the key acknowledgements are signed with: the same one at every gateway
FOLDER/collector.pub       copy it to every terminal
FOLDER/ca.key, ca.crt      the authority that certifies terminals: the same one at every gateway
FOLDER/terminals/7.json    the keys of terminal 7: a copy of what the database holds of it

POST /v1/batches           a signed batch → a signed acknowledgement
POST /v1/enrolments        as at an embedded collector, likewise /v1/renewals and /v1/failed-starts
GET  /v1/bundles/…         signed bundles, as they lie in their repository
GET  /v1/health            does the gateway reach NATS, and are the streams there

A batch is checked, put into the stream, and acknowledged on the stream's word. A gateway keeps nothing. What it
remembers of a terminal's line is only a guess that saves a look: the stream takes a batch only when the guess
is right. So gateways may come, go and be killed, and one terminal may use several at once."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import anyio.to_thread
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import SystemClock, unix_ms
from terminal.collector.bundles import BundleFiles
from terminal.collector.callers import ConnectionShares, Proxies
from terminal.collector.certify import Authority
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.consumer import Consumer
from terminal.collector.fleet.database import FleetDatabase, withdrawn_editions
from terminal.collector.fleet.gateway import Gateway
from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings
from terminal.collector.fleet.shared_records import OtherIdentity, RecordsFollower, SharedRecords
from terminal.collector.fleet.stream import FleetStream
from terminal.collector.front import FrontServer, answering, base_url, ended_by_signals, front_config, listen
from terminal.collector.gate import address_of, body_of, gate_of, respond
from terminal.collector.identity_routes import IdentitySide
from terminal.collector.intake import Reply, refuse
from terminal.collector.limits import Limits, TokenBuckets
from terminal.collector.strangers import Strangers
from terminal.collector.tls import ServerTls
from terminal.errors import CollectorError
from terminal.journal.chain import Head
from terminal.keys.file import require_private
from terminal.sync.failed_start import FAILED_STARTS_PATH, FailedStart
from terminal.sync.identity import load_or_create_key, public_path
from terminal.sync.wire import (
    BATCHES_PATH,
    MAX_BATCH_BYTES,
    RefusalCode,
)

HEALTH_S: Final = 3.0
STRANGERS_EVERY_S: Final = 5.0
WITHDRAWN_EVERY_S: Final = 5.0
log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`folder` as above. Port 0: any free one. `proxies` are the addresses or networks of load balancers that state
    the sender's address in X-Forwarded-For; no other's word is believed. Over `tls` a terminal's batches are taken only
    with the certificate of that terminal.
    """

    stream: StreamSettings
    dsn: str = field(repr=False)
    folder: Path
    host: str
    port: int
    proxies: tuple[str, ...] = ()
    tls: ServerTls | None = None
    limits: Limits = field(default_factory=lambda: Limits(in_hand=1_024, bodies=1_024))
    shares: ConnectionShares = field(default_factory=ConnectionShares)
    bundles: Path | None = None

    @property
    def key(self) -> Path:
        return self.folder / "collector.key"

    @property
    def public_key(self) -> Path:
        return public_path(self.key)

    @property
    def terminals(self) -> Path:
        return self.folder / "terminals"

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """What no other user of the machine may read."""
        return (self.key,) if self.tls is None else (self.key, self.tls.key)


def run_gateway(settings: GatewaySettings, on_ready: Callable[[str], None]) -> None:
    """Serve; `on_ready(base_url)` once requests are answered. Raises `PortInUse`, `CollectorError`, `KeyFileError`."""
    with closing(listen(settings.host, settings.port)) as listening, ended_by_signals():
        asyncio.run(_serve(settings, listening, on_ready))


def run_consumer(
    stream: StreamSettings, dsn: str, settings: ConsumerSettings, on_ready: Callable[[], None]
) -> None:
    """Copy into the database. Raises `CollectorError` when a server cannot be reached at the start."""
    asyncio.run(_consume(stream, dsn, settings, on_ready))


async def prepare_stream(
    stream: StreamSettings, consumer: ConsumerSettings, replicas: int, max_bytes: int
) -> None:
    """Create the streams, or bring them to these settings. Raises `CollectorError`."""
    opened = await FleetStream.open(stream)
    try:
        await opened.prepare(replicas, max_bytes, consumer)
    finally:
        await opened.close()


async def _consume(
    stream: StreamSettings, dsn: str, settings: ConsumerSettings, on_ready: Callable[[], None]
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    opened = await FleetStream.open(stream)
    try:
        await Consumer(opened, dsn, settings).run(stop, on_ready)
    finally:
        await opened.close()


async def _serve(
    settings: GatewaySettings, listening: socket.socket, on_ready: Callable[[str], None]
) -> None:
    settings.terminals.mkdir(parents=True, exist_ok=True)
    require_private(*settings.secret_files)
    key, clock = load_or_create_key(settings.key), SystemClock()
    authority = Authority(settings.folder, unix_ms(clock.now()))
    records = SharedRecords(settings.terminals, settings.dsn, fleet_identity(key, authority.path))
    await _require_same(records)
    enrolment = Enrolment(settings.terminals, authority, records)

    async def database_head(terminal: int) -> Head:
        """Asked so rarely that no connection is kept."""
        database = await FleetDatabase.open(settings.dsn)
        try:
            return await database.head(terminal)
        finally:
            await database.close()

    stream = await FleetStream.open(settings.stream)
    limits, proxies = settings.limits, Proxies(settings.proxies)
    buckets = TokenBuckets(limits.terminal_per_s, limits.terminal_burst, clock.monotonic)
    strangers = Strangers()
    gateway = Gateway(stream, database_head, enrolment, key, clock, strangers, buckets)
    stream.on_reconnect = gateway.forget
    gate = gate_of(limits, settings.shares, proxies, clock.monotonic)
    identity = IdentitySide(enrolment, strangers, gate, clock, key, note=records.note)
    tls = settings.tls.asking(authority.path) if settings.tls else None
    certificates = tls is not None
    side = GatewaySide(gateway, stream, identity, certificates, settings.bundles)
    app = side.app(lambda: on_ready(base_url(listening, tls)))
    following = RecordsFollower(records, settings.dsn)
    following.start()
    passing_on = asyncio.create_task(_pass_on(strangers, stream))
    hearing = asyncio.create_task(_hear_withdrawn(gateway, settings.dsn))
    try:
        await FrontServer(front_config(app, proxies, tls), listening, gate.callers, enrolment.counts).serve()
    finally:
        following.stop()
        passing_on.cancel()
        hearing.cancel()
        await _pass_on_now(strangers, stream)
        await stream.close()


async def _hear_withdrawn(gateway: Gateway, dsn: str) -> None:
    """What the follower takes back from groups of terminals, as its alarms say. Without the database: as before."""
    while True:
        try:
            gateway.withdrawn = await anyio.to_thread.run_sync(withdrawn_editions, dsn)
        except CollectorError as error:
            log.warning("what is withdrawn is not known: %s", error)
        await asyncio.sleep(WITHDRAWN_EVERY_S)


async def _pass_on(strangers: Strangers, stream: FleetStream) -> None:
    while True:
        await asyncio.sleep(STRANGERS_EVERY_S)
        await _pass_on_now(strangers, stream)


async def _pass_on_now(strangers: Strangers, stream: FleetStream) -> None:
    """Have what strangers tried kept; what cannot be passed on is counted again next time."""
    counts = strangers.take()
    if counts:
        try:
            await stream.keep_strangers(counts)
        except CollectorError as error:
            log.warning("%s", error)
            strangers.put_back(counts)


def fleet_identity(key: Ed25519PrivateKey, certificate: Path) -> dict[str, str]:
    """What must be the same at every gateway and office, by its SHA-256."""
    own = {"collector.key": key.public_key().public_bytes_raw(), "ca.crt": certificate.read_bytes()}
    return {name: sha256(content).hexdigest() for name, content in own.items()}


async def _require_same(records: SharedRecords) -> None:
    """Raises `OtherIdentity`. Without the database a gateway starts all the same; it enrols nothing meanwhile."""
    try:
        await anyio.to_thread.run_sync(records.require_same)
    except OtherIdentity:
        raise
    except CollectorError as error:
        log.warning("%s", error)


@dataclass(frozen=True, slots=True)
class GatewaySide:
    """What a gateway's routes work with. With `certificates` batches are taken only over a connection that shows the
    certificate of their terminal. The repository `bundles` is served, where there is one.
    """

    gateway: Gateway
    stream: FleetStream
    identity: IdentitySide
    certificates: bool = False
    bundles: Path | None = None

    def app(self, on_ready: Callable[[], None]) -> Starlette:
        """The ASGI application."""

        routes = [
            Route(BATCHES_PATH, self.batches, methods=["POST"]),
            *self.identity.routes(),
            Route(FAILED_STARTS_PATH, self.failed_start, methods=["POST"]),
            Route("/v1/health", self.health, methods=["GET"]),
            *([] if self.bundles is None else BundleFiles(self.bundles, self.identity.gate).routes()),
        ]
        paced = Middleware(self.identity.gate.paced)
        return Starlette(routes=routes, lifespan=answering(on_ready), middleware=[paced])

    async def batches(self, request: Request) -> Response:
        gate = self.identity.gate
        if refused := gate.pressure():
            return respond(refused)
        with gate.body():
            data = await body_of(request, MAX_BATCH_BYTES, gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        certified = self.identity.certified(request) if self.certificates else None
        with gate.upload():
            reply = await self.gateway.take(data, address_of(request.scope), certified)
        return self.identity.met(request, reply)

    async def failed_start(self, request: Request) -> Response:
        said = await self.identity.asked(request, FailedStart)
        if isinstance(said, Response):
            return said
        return self.identity.met(request, await self.gateway.failed_start(said, address_of(request.scope)))

    async def health(self, _: Request) -> Response:
        if not self.stream.connected:
            return respond(refuse(RefusalCode.UNAVAILABLE, "NATS cannot be reached."))
        try:
            async with asyncio.timeout(HEALTH_S):
                await self.stream.require_streams()
        except CollectorError as error:
            return respond(refuse(RefusalCode.UNAVAILABLE, f"{error.what}. {error.advice}"))
        except TimeoutError:
            return respond(refuse(RefusalCode.UNAVAILABLE, "NATS does not answer."))
        return Response(msgspec.json.encode({"status": "ok"}), media_type="application/json")
