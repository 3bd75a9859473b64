"""Gateway and consumer as processes, until SIGTERM or SIGINT.

FOLDER/collector.key       the key acknowledgements are signed with: the same one at every gateway
FOLDER/collector.pub       copy it to every terminal
FOLDER/terminals/7.pub     the key of terminal 7; put there, at every gateway, to enrol it

POST /v1/batches   a signed batch → a signed acknowledgement
GET  /v1/health    does the gateway reach NATS
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from errno import EADDRINUSE
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import SystemClock
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.consumer import Consumer
from terminal.collector.fleet.database import FleetDatabase
from terminal.collector.fleet.gateway import Gateway
from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings
from terminal.collector.fleet.stream import FleetStream
from terminal.collector.intake import Reply, refuse
from terminal.collector.limits import Limits, TokenBuckets
from terminal.errors import CollectorError, PortInUse
from terminal.journal.chain import Head
from terminal.sync.identity import load_or_create_key, public_path
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES, Reason

MAX_CONNECTIONS: Final = 4_096
BACKLOG: Final = 1_024
SHUTDOWN_S: Final = 5


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`folder` as above. Port 0: any free one."""

    stream: StreamSettings
    dsn: str
    folder: Path
    host: str
    port: int

    @property
    def key(self) -> Path:
        return self.folder / "collector.key"

    @property
    def public_key(self) -> Path:
        return public_path(self.key)

    @property
    def terminals(self) -> Path:
        return self.folder / "terminals"


def run_gateway(settings: GatewaySettings, on_ready: Callable[[str], None]) -> None:
    """Serve; `on_ready(base_url)` once requests are answered. Raises `PortInUse`, `CollectorError`, `KeyFileError`."""
    with closing(_listen(settings.host, settings.port)) as listening, _ends_well():
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
    key = load_or_create_key(settings.key)

    async def database_head(terminal: int) -> Head:
        """Asked so rarely that no connection is kept."""
        database = await FleetDatabase.open(settings.dsn)
        try:
            return await database.head(terminal)
        finally:
            await database.close()

    stream = await FleetStream.open(settings.stream)
    clock, limits = SystemClock(), Limits()
    buckets = TokenBuckets(limits.terminal_per_s, limits.terminal_burst, clock.monotonic)
    gateway = Gateway(stream, database_head, Enrolment(settings.terminals), key, clock, buckets)
    stream.on_reconnect = gateway.forget
    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        build_app(gateway, stream, lambda: on_ready(f"http://{host}:{port}")),
        log_level="warning",
        access_log=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
    )
    try:
        await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        await stream.close()


def build_app(gateway: Gateway, stream: FleetStream, on_ready: Callable[[], None]) -> Starlette:
    """The ASGI application."""

    async def batches(request: Request) -> Response:
        data = bytearray()
        async for piece in request.stream():
            data += piece
            if len(data) > MAX_BATCH_BYTES:
                return _response(refuse(Reason.TOO_LARGE, f"Send at most {MAX_BATCH_BYTES} bytes at once."))
        return _response(await gateway.take(bytes(data)))

    async def health(_: Request) -> Response:
        if not stream.connected:
            return _response(refuse(Reason.UNAVAILABLE, "NATS cannot be reached."))
        return Response(msgspec.json.encode({"status": "ok"}), media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        on_ready()
        yield

    routes = [
        Route(BATCHES_PATH, batches, methods=["POST"]),
        Route("/v1/health", health, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _response(reply: Reply) -> Response:
    headers = {"Retry-After": str(reply.retry_after_s)} if reply.retry_after_s else None
    return Response(reply.body, reply.status, headers, media_type=reply.content_type)


@contextmanager
def _ends_well() -> Iterator[None]:
    """uvicorn hands a signal on to the handler it found; this one lets the process end well."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        listening = socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        if error.errno == EADDRINUSE:
            what, advice = f"{host}:{port} is in use by another program", "Choose another port."
            raise PortInUse(what, advice) from error
        what = f"cannot listen on {host}:{port}: {error.strerror}"
        raise CollectorError(what, "Check host and port.") from error
    # As in the embedded collector: connections inherit it, and no answer waits for a delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
