"""The collector as a process: HTTP around the intake, one folder that holds everything.

FOLDER/collector.db        records, terminals, alarms
FOLDER/collector.key       made at the first start; never leaves the machine
FOLDER/collector.pub       copy it to every terminal
FOLDER/terminals/7.pub     the key of terminal 7; put there to enrol it

POST /v1/batches   a signed batch → a signed acknowledgement
GET  /v1/health    is it alive, and how much does it hold
GET  /v1/report    reconciliation and alarms
"""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from errno import EACCES, EADDRINUSE
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import Clock, SystemClock
from terminal.collector.enrolment import Enrolment
from terminal.collector.intake import Intake, Reply, refuse
from terminal.collector.reconcile import reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError, PortInUse
from terminal.journal.lock import FileLock
from terminal.sync.identity import load_or_create_key
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES, Reason

DATABASE_FILE: Final = "collector.db"
KEY_FILE: Final = "collector.key"
PUBLIC_KEY_FILE: Final = "collector.pub"
TERMINALS_FOLDER: Final = "terminals"
DEFAULT_PORT: Final = 8470
MAX_CONNECTIONS: Final = 512
SHUTDOWN_S: Final = 5


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """`folder` as above. `registry` (optional) lets the report check the cards' own proofs. Port 0: any free
    one.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    registry: Path | None = None

    @property
    def terminals(self) -> Path:
        return self.folder / TERMINALS_FOLDER

    @property
    def public_key(self) -> Path:
        return self.folder / PUBLIC_KEY_FILE


def run(settings: CollectorSettings, on_ready: Callable[[str], None], clock: Clock | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready(base_url)` is called once requests are answered.

    Raises `PortInUse`, `CollectorError` (folder, database, second process) or `KeyFileError`.
    """
    clock = clock or SystemClock()
    with closing(_listen(settings)) as listening, closing(_Folder(settings, clock)) as folder:
        host, port = listening.getsockname()[:2]
        app = build_app(
            folder.intake, folder.store, folder.registry, clock, lambda: on_ready(f"http://{host}:{port}")
        )
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_S,
            server_header=False,
        )
        # uvicorn hands the signal on to the handler it found; ours lets the process end well.
        before = {
            number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Folder:
    """Everything in the collector's folder, opened, with a lock against a second process."""

    def __init__(self, settings: CollectorSettings, clock: Clock) -> None:
        database = settings.folder / DATABASE_FILE
        try:
            settings.terminals.mkdir(parents=True, exist_ok=True)
            lock = FileLock.acquire(database)
        except OSError as error:
            raise CollectorError(
                f"collector folder {settings.folder} cannot be used: {error.strerror}",
                "Check its path and rights.",
            ) from error
        if isinstance(lock, int):
            raise CollectorError(
                f"another collector process ({lock}) uses {settings.folder}",
                "Stop it, or choose another folder.",
            )
        self._lock = lock
        key = load_or_create_key(settings.folder / KEY_FILE)
        self.registry = CardRegistry.load(settings.registry) if settings.registry else CardRegistry()
        self.store = CollectorStore(database)
        self.intake = Intake(self.store, Enrolment(settings.terminals), key, clock)

    def close(self) -> None:
        self.store.close()
        self._lock.release()


def build_app(
    intake: Intake, store: CollectorStore, registry: CardRegistry, clock: Clock, on_ready: Callable[[], None]
) -> Starlette:
    """The ASGI application. Work on the database runs in threads, so that a slow disk does not stop the
    others.
    """

    async def batches(request: Request) -> Response:
        data = bytearray()
        async for piece in request.stream():
            data += piece
            if len(data) > MAX_BATCH_BYTES:
                return _response(refuse(Reason.TOO_LARGE, f"Send at most {MAX_BATCH_BYTES} bytes at once."))
        return _response(await run_in_threadpool(intake.take, bytes(data)))

    async def health(_: Request) -> Response:
        return await run_in_threadpool(_health, store)

    async def report(_: Request) -> Response:
        return await run_in_threadpool(_report, store, registry, clock)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        on_ready()
        yield

    routes = [
        Route(BATCHES_PATH, batches, methods=["POST"]),
        Route("/v1/health", health, methods=["GET"]),
        Route("/v1/report", report, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _health(store: CollectorStore) -> Response:
    try:
        terminals, alarms = store.terminals(), store.alarms()
    except CollectorError as error:
        return _response(refuse(Reason.UNAVAILABLE, error.advice))
    records = sum(state.sequence for state in terminals)
    return _json({"status": "ok", "terminals": len(terminals), "records": records, "alarms": len(alarms)})


def _report(store: CollectorStore, registry: CardRegistry, clock: Clock) -> Response:
    try:
        result = reconcile(store.records(), registry)
        store.keep_findings(result.findings, int(clock.now().timestamp() * 1000))
        alarms = [alarm._asdict() for alarm in store.alarms()]
    except CollectorError as error:
        return _response(refuse(Reason.UNAVAILABLE, error.advice))
    return _json({"total": result.total, "terminals": result.terminals, "alarms": alarms})


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, media_type=reply.content_type)


def _listen(settings: CollectorSettings) -> socket.socket:
    """A listening socket, taken before anything else is touched."""
    address = f"{settings.host}:{settings.port}"
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=MAX_CONNECTIONS)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise PortInUse(
                f"{address} is in use by another program",
                "Stop it, or choose another port (0 takes any free one).",
            ) from error
        advice = "Ports below 1024 need rights." if error.errno == EACCES else "Check host and port."
        raise CollectorError(f"cannot listen on {address}: {error.strerror}", advice) from error
    # Connections inherit it. Without it each answer waits some 44 ms for the other side's delayed acknowledgement:
    # asyncio sets it only on sockets made with an explicit protocol, and these are not.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
