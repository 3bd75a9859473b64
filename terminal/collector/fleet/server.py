"""Gateway and consumer as processes, until SIGTERM or SIGINT.

FOLDER/collector.key       the key acknowledgements are signed with: the same one at every gateway
FOLDER/collector.pub       copy it to every terminal
FOLDER/terminals/7.json    the keys of terminal 7; put there, at every gateway, to enrol it

POST /v1/batches   a signed batch → a signed acknowledgement
GET  /v1/bundles/… signed bundles, as they lie in their repository
GET  /v1/health    does the gateway reach NATS, and are the streams there

A batch is checked, put into the stream, and acknowledged on the stream's word. A gateway keeps nothing. What it
remembers of a terminal's line is only a guess that saves a look: the stream takes a batch only when the guess
is right. So gateways may come, go and be killed, and one terminal may use several at once."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from terminal.clock import Clock, SystemClock, unix_ms
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_words
from terminal.collector.bundles import BundleFiles
from terminal.collector.callers import ConnectionShares, Proxies
from terminal.collector.enrolment import Enrolment
from terminal.collector.fleet.consumer import Consumer
from terminal.collector.fleet.database import FleetDatabase
from terminal.collector.fleet.placing import brings_rows
from terminal.collector.fleet.settings import ConsumerSettings, StreamSettings
from terminal.collector.fleet.stream import FleetStream, Overtaken, StreamLine
from terminal.collector.front import FrontServer, front_config, listen
from terminal.collector.gate import Gate, address_of, body_of, gate_of, respond
from terminal.collector.identities import TerminalKeySet
from terminal.collector.intake import Reply, refuse
from terminal.collector.limits import Limits, TokenBuckets
from terminal.collector.store import BatchRefused
from terminal.collector.strangers import Strangers
from terminal.errors import CollectorError, KeyFileError
from terminal.journal.chain import Head
from terminal.journal.checkpoint import Signer
from terminal.keys.file import require_private
from terminal.sync.identity import load_or_create_key, public_path
from terminal.sync.wire import (
    BATCH_TYPE,
    BATCHES_PATH,
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    Batch,
    Malformed,
    RefusalCode,
    batch_is_genuine,
    build_ack,
    encode,
    parse_batch,
    row_hashes,
)

HEALTH_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`folder` as above. Port 0: any free one. `proxies` are the addresses or networks of load balancers that state
    the sender's address in X-Forwarded-For; no other's word is believed.
    """

    stream: StreamSettings
    dsn: str = field(repr=False)
    folder: Path
    host: str
    port: int
    proxies: tuple[str, ...] = ()
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


def run_gateway(settings: GatewaySettings, on_ready: Callable[[str], None]) -> None:
    """Serve; `on_ready(base_url)` once requests are answered. Raises `PortInUse`, `CollectorError`, `KeyFileError`."""
    with closing(listen(settings.host, settings.port)) as listening, _ends_well():
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
    require_private(settings.key)
    key = load_or_create_key(settings.key)

    async def database_head(terminal: int) -> Head:
        """Asked so rarely that no connection is kept."""
        database = await FleetDatabase.open(settings.dsn)
        try:
            return await database.head(terminal)
        finally:
            await database.close()

    stream = await FleetStream.open(settings.stream)
    clock, limits, proxies = SystemClock(), settings.limits, Proxies(settings.proxies)
    buckets = TokenBuckets(limits.terminal_per_s, limits.terminal_burst, clock.monotonic)
    strangers = Strangers()
    gateway = Gateway(stream, database_head, Enrolment(settings.terminals), key, clock, strangers, buckets)
    stream.on_reconnect = gateway.forget
    gate = gate_of(limits, settings.shares, proxies, clock.monotonic)
    host, port = listening.getsockname()[:2]
    app = build_app(gateway, stream, gate, lambda: on_ready(f"http://{host}:{port}"), settings.bundles)
    passing_on = asyncio.create_task(_pass_on(strangers, stream))
    try:
        await FrontServer(front_config(app, proxies), listening, gate.callers).serve()
    finally:
        passing_on.cancel()
        await _pass_on_now(strangers, stream)
        await stream.close()


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


def build_app(
    gateway: Gateway,
    stream: FleetStream,
    gate: Gate,
    on_ready: Callable[[], None],
    bundles: Path | None = None,
) -> Starlette:
    """The ASGI application; it serves the repository `bundles`, where there is one."""

    async def batches(request: Request) -> Response:
        if refused := gate.pressure():
            return respond(refused)
        with gate.body():
            data = await body_of(request, MAX_BATCH_BYTES, gate.limits)
        if isinstance(data, Reply):
            return respond(data)
        with gate.upload():
            reply = await gateway.take(data, address_of(request.scope))
        if reply.genuine:
            gate.meet(request.scope, reply.genuine)
        return respond(reply)

    async def health(_: Request) -> Response:
        if not stream.connected:
            return respond(refuse(RefusalCode.UNAVAILABLE, "NATS cannot be reached."))
        try:
            async with asyncio.timeout(HEALTH_S):
                await stream.require_streams()
        except CollectorError as error:
            return respond(refuse(RefusalCode.UNAVAILABLE, f"{error.what}. {error.advice}"))
        except TimeoutError:
            return respond(refuse(RefusalCode.UNAVAILABLE, "NATS does not answer."))
        return Response(msgspec.json.encode({"status": "ok"}), media_type="application/json")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        on_ready()
        yield

    routes = [
        Route(BATCHES_PATH, batches, methods=["POST"]),
        Route("/v1/health", health, methods=["GET"]),
        *([] if bundles is None else [BundleFiles(bundles).route()]),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(gate.paced)])


@contextmanager
def _ends_well() -> Iterator[None]:
    """uvicorn hands a signal on to the handler it found; this one lets the process end well."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


log: Final = logging.getLogger(__name__)

TRIES: Final = 5
RETRY_AFTER_S: Final = 10
MAX_GUESSES: Final = 200_000
ALARM_EVERY_S: Final = 60.0
STRANGERS_EVERY_S: Final = 5.0
MAX_ALARMS: Final = 1_000
"""Different alarms one gateway passes on in `ALARM_EVERY_S`."""

DatabaseHead = Callable[[int], Awaitable[Head]]
"""The newest row of a terminal in the database; asked only for terminals the stream knows nothing of."""


class _GatewayRefused(Exception):
    def __init__(
        self, reason: RefusalCode, advice: str, wants: int | None = None, retry_after_s: int = 0
    ) -> None:
        super().__init__(reason)
        self.reply = refuse(reason, advice, wants, retry_after_s)


class Gateway:
    """Takes batches of enrolled terminals; every gateway of a fleet signs with the same key."""

    def __init__(
        self,
        stream: FleetStream,
        database_head: DatabaseHead,
        enrolment: Enrolment,
        signer: Signer,
        clock: Clock,
        strangers: Strangers,
        buckets: TokenBuckets | None = None,
    ) -> None:
        """`buckets` (optional) bounds how often one terminal may upload here."""
        self._strangers = strangers
        self._stream = stream
        self._database_head = database_head
        self._enrolment = enrolment
        self._signer = signer
        self._clock = clock
        self._buckets = buckets
        self._guesses: OrderedDict[int, StreamLine] = OrderedDict()
        self._raised_at: dict[Alarm, float] = {}

    def forget(self) -> None:
        """Look again at everything: the cluster may have come back with another history."""
        self._guesses.clear()

    async def take(self, data: bytes, address: str = "") -> Reply:
        """Never raises for anything a client can send; what looks like an attack is counted, or leaves an alarm."""
        try:
            return await self._take(data, address)
        except _GatewayRefused as refused:
            return refused.reply
        except CollectorError as error:
            return refuse(RefusalCode.UNAVAILABLE, error.advice, retry_after_s=RETRY_AFTER_S)

    async def _take(self, data: bytes, address: str) -> Reply:
        try:
            batch = parse_batch(data)
        except Malformed as error:
            raise _GatewayRefused(
                RefusalCode.MALFORMED, f"Send a batch of this protocol version: {error}."
            ) from error
        if len(batch.bodies) > MAX_BATCH_RECORDS:
            raise _GatewayRefused(RefusalCode.TOO_LARGE, f"Send at most {MAX_BATCH_RECORDS} records at once.")
        keys = self._keys_of(batch.terminal, address)  # first: what strangers send is not worth its hashes
        hashes = row_hashes(batch)
        last_hash = hashes[-1] if hashes else batch.previous_hash
        signed_with = next((one for one in keys if batch_is_genuine(batch, last_hash, one.key)), None)
        if signed_with is None:
            cause = AlarmCause.BATCH_REFUSED
            self._strangers.note(AlarmKind.BAD_SIGNATURE, address, batch.terminal, cause, self._now_ms())
            advice = "Enrol this terminal's present public key, or find out who sends in its name."
            raise _GatewayRefused(RefusalCode.BAD_SIGNATURE, advice)
        self._enrolment.used(batch.terminal, signed_with, self._now_ms())
        # Only now: a stranger who names a terminal must not use up what that terminal may send.
        wait_s = 0 if self._buckets is None else self._buckets.take(batch.terminal)
        if wait_s:
            raise _GatewayRefused(RefusalCode.BUSY, "Send less often.", retry_after_s=wait_s)
        try:
            head = await self._keep(batch, hashes, data)
        except BatchRefused as refused:
            await self._alarm(refused.alarm)
            advice = f"{detail_words(refused.alarm.detail)}: {refused.advice}"
            return refuse(refused.reason, advice, refused.wants)._replace(genuine=batch.terminal)
        acknowledged = encode(build_ack(batch.terminal, head, self._now_ms(), self._signer))
        return Reply(200, acknowledged, BATCH_TYPE, genuine=batch.terminal)

    def _keys_of(self, terminal: int, address: str) -> tuple[TerminalKeySet, ...]:
        try:
            keys = self._enrolment.record_of(terminal).live
            revoked = not keys and self._enrolment.is_revoked(terminal)
            cause = AlarmCause.REVOKED if revoked else AlarmCause.NOT_ENROLLED
        except KeyFileError:
            keys, cause = (), AlarmCause.KEY_UNUSABLE
        if not keys:
            self._strangers.note(AlarmKind.UNKNOWN_TERMINAL, address, terminal, cause, self._now_ms())
            advice = f"Put the public key of terminal {terminal} into each gateway's folder of terminals."
            raise _GatewayRefused(RefusalCode.UNKNOWN_TERMINAL, advice)
        return keys

    async def _keep(self, batch: Batch, hashes: list[bytes], data: bytes) -> Head:
        """Make the batch durable; return the newest row held without a gap before it. May raise `BatchRefused`."""
        for _ in range(TRIES):
            line, head = await self._line(batch)
            if not brings_rows(batch, hashes, head):
                await self._stream.keep_copy(batch.terminal, data)
                return head
            try:
                line = await self._stream.extend(batch, hashes[-1], data, line)
            except (Overtaken, CollectorError) as error:
                self._guesses.pop(batch.terminal, None)
                if isinstance(error, CollectorError):
                    raise
                continue
            self._remember(batch.terminal, line)
            return Head(batch.last, hashes[-1])
        raise CollectorError(
            f"terminal {batch.terminal} uploads through several gateways at once", "Try again later."
        )

    async def _line(self, batch: Batch) -> tuple[StreamLine, Head]:
        """The terminal's line and the newest row held: guessed where the batch fits the guess, else looked up."""
        guess = self._guesses.get(batch.terminal)
        if guess is not None and guess.head == batch.previous:
            return guess, batch.previous
        line = await self._stream.line(batch.terminal)
        if line.head is None:
            return line, await self._database_head(batch.terminal)
        self._remember(batch.terminal, line)
        return line, line.head

    def _remember(self, terminal: int, line: StreamLine) -> None:
        self._guesses[terminal] = line
        self._guesses.move_to_end(terminal)
        if len(self._guesses) > MAX_GUESSES:
            self._guesses.popitem(last=False)

    async def _alarm(self, alarm: Alarm) -> None:
        """Pass an alarm on, the same one once a minute."""
        now_s = self._clock.monotonic()
        if now_s - self._raised_at.get(alarm, -ALARM_EVERY_S) < ALARM_EVERY_S:
            return
        if len(self._raised_at) >= MAX_ALARMS:
            self._raised_at = {
                raised: at for raised, at in self._raised_at.items() if now_s - at < ALARM_EVERY_S
            }
        if len(self._raised_at) >= MAX_ALARMS:
            alarm = Alarm(alarm.kind, 0, 0, AlarmCause.MANY_MORE)
            if alarm in self._raised_at:
                return
        await self._stream.keep_alarm(alarm, self._now_ms())
        self._raised_at[alarm] = now_s

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())
