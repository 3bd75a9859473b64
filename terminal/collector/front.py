"""The front of a collector or a gateway: it accepts connections, and hands those that speak to uvicorn.

uvicorn knows one time-out, for a connection kept between requests, and one limit for all connections together, so
that a few hundred that say nothing close it for all. Here a connection is a bare socket until its first byte: ten
thousand idle ones cost a socket each. From then on every stage has its time (`ConnectionShares`): TLS handshake and
head, body, the answer's way out, the pause until the next request; and its share (`Callers`).
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from errno import EACCES, EADDRINUSE, EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn

from terminal.collector.callers import CALLER, Caller, Callers, CallerStage, Proxies
from terminal.collector.tls import NO_TERMINAL, CertificateProtocol, ServerTls, whose
from terminal.errors import CollectorError, PortInUse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

BACKLOG: Final = 4_096
ACCEPTED_AT_ONCE: Final = 16
"""Then requests have their turn."""
SWEEP_S: Final = 0.5
AGAIN_S: Final = 0.1
WRITE_S: Final = 20.0
"""How long an answer may wait for a receiver that does not read it."""
SHUTDOWN_S: Final = 5
HEAD_BYTES: Final = 16_384
CHUNKS: Final = 2_048
"""Of one body: each costs as much as a small request, and a sender of single bytes would have the server to himself."""
SPARE_FILES: Final = 256
"""File descriptors for everything that is no connection."""
CountsCertificate = Callable[[int, bytes], bool]
_EXHAUSTED: Final = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
_RESET: Final = struct.pack("ii", 1, 0)


class GuardedProtocol(CertificateProtocol):
    """HTTP/1.1 of one connection that says how far its request has come, and ends when its answer is not read."""

    def __init__(self, caller: Caller, callers: Callers, counts: CountsCertificate, **given: Any) -> None:
        super().__init__(**given)
        self.conn = _BoundedConnection(h11.SERVER, HEAD_BYTES)
        self._caller = caller
        self._callers = callers
        self._counts = counts
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._caller.drop = transport.abort
        self.app = _with_caller(self.app, self._caller)
        tls: Any = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        terminal = whose(certificate) if certificate else NO_TERMINAL
        if certificate and terminal != NO_TERMINAL and self._counts(terminal, certificate):
            self._callers.identify(self._caller, terminal)

    def connection_lost(self, exc: Exception | None) -> None:
        self._callers.leave(self._caller)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except (
            h11.LocalProtocolError
        ):  # nonsense while its answer was on the way: there is no other answer to it
            self.transport.abort()
        self._callers.enter(self._caller, self._stage())

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._callers.enter(self._caller, self._stage())

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _stage(self) -> CallerStage:
        answered = self.cycle is None or self.cycle.response_complete
        if not answered:
            whole = CallerStage.HELD if self._caller.held else CallerStage.SERVED
            return CallerStage.BODY if self.conn.their_state is h11.SEND_BODY else whole
        if self.conn.their_state is h11.IDLE:
            return CallerStage.HEAD if self.conn.trailing_data[0] or self.cycle is None else CallerStage.KEPT
        return CallerStage.LEAVING


class _BoundedConnection(h11.Connection):
    """HTTP/1.1 whose bodies do not come in any number of pieces."""

    _chunks = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Raises `RemoteProtocolError` at the chunk that is too many."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
        elif isinstance(event, h11.Data) and event.chunk_start:
            self._chunks += 1
            if self._chunks > CHUNKS:
                raise h11.RemoteProtocolError("too many chunks")
        return event


def _with_caller(app: ASGIApp, caller: Caller) -> ASGIApp:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CALLER: caller}, receive, send)

    return known


class FrontServer(uvicorn.Server):
    """uvicorn behind a doorway of ours."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        callers: Callers,
        counts: CountsCertificate = lambda _terminal, _certificate: False,
    ) -> None:
        """`counts` says whether a certificate (DER) that names a terminal still is that terminal's."""
        super().__init__(config)
        self._listening = listening
        self._callers = callers
        self._counts = counts
        self._doorway: _Doorway | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 uvicorn's argument
        """As uvicorn's, without listening sockets of its own."""
        await super().startup(sockets=[])
        self._doorway = _Doorway(self._listening, self._callers, self._protocol, self.config.ssl)
        self._doorway.open()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 the same
        if self._doorway is not None:
            self._doorway.close()
        self._callers.end_held()
        await super().shutdown(sockets=[self._listening])

    def _protocol(self, caller: Caller) -> GuardedProtocol:
        return GuardedProtocol(
            caller,
            self._callers,
            self._counts,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


class _Doorway:
    """Sockets from `accept` to their first byte; afterwards their protocol has them."""

    def __init__(
        self,
        listening: socket.socket,
        callers: Callers,
        protocol: Callable[[Caller], GuardedProtocol],
        tls: Any,
    ) -> None:
        self._listening = listening
        self._callers = callers
        self._protocol = protocol
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[socket.socket, Caller] = {}
        self._entering: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def open(self) -> None:
        self._listening.setblocking(False)
        self._loop.add_reader(self._listening, self._accept)
        self._sweep()

    def close(self) -> None:
        """Accept no more, and end what has said nothing."""
        self._loop.remove_reader(self._listening)
        for timer in self._timers.values():
            timer.cancel()
        for caller in list(self._waiting.values()):
            self._callers.leave(caller)
            caller.drop()

    def _sweep(self) -> None:
        self._callers.sweep()
        self._timers["sweep"] = self._loop.call_later(SWEEP_S, self._sweep)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, place = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest()
                    return
                continue  # this one is gone again
            self._receive(accepted, str(place[0]))

    def _rest(self) -> None:
        """The system has no socket left for us: give one up, and look again in a moment."""
        self._callers.make_room()
        self._loop.remove_reader(self._listening)
        self._timers["accept"] = self._loop.call_later(
            AGAIN_S, self._loop.add_reader, self._listening, self._accept
        )

    def _receive(self, accepted: socket.socket, host: str) -> None:
        caller = self._callers.arrive(host, lambda: self._turn_away(accepted))
        if caller is None:
            _reset(accepted)
            return
        accepted.setblocking(False)
        self._waiting[accepted] = caller
        self._loop.add_reader(accepted, self._speaks, accepted, caller)

    def _turn_away(self, accepted: socket.socket) -> None:
        if self._waiting.pop(accepted, None) is not None:
            self._loop.remove_reader(accepted)
            _reset(accepted)

    def _speaks(self, accepted: socket.socket, caller: Caller) -> None:
        """Its first byte is there, or its end."""
        self._loop.remove_reader(accepted)
        del self._waiting[accepted]
        self._callers.enter(caller, CallerStage.HEAD)
        task = self._loop.create_task(self._enter(accepted, caller))
        caller.drop = task.cancel
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, accepted: socket.socket, caller: Caller) -> None:
        """Through the handshake, where there is TLS, to its protocol."""
        limit_s = self._callers.shares.head_s if self._tls is not None else None
        entered = False
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(caller), accepted, ssl=self._tls, ssl_handshake_timeout=limit_s
            )
            entered = True
        except (OSError, asyncio.CancelledError):  # no handshake, gone meanwhile, or made room for another
            accepted.close()
        finally:
            if not entered:
                self._callers.leave(caller)


def _reset(accepted: socket.socket) -> None:
    """End a connection so that nothing of it stays behind."""
    with suppress(OSError):
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    accepted.close()


def front_config(app: Any, proxies: Proxies, tls: ServerTls | None = None) -> uvicorn.Config:
    """How uvicorn serves `app`. Strangers write nothing into its log. Raises `CollectorError` for certificates that
    cannot be used.
    """
    config = uvicorn.Config(
        app,
        ws="none",
        log_level="error",
        access_log=False,
        timeout_keep_alive=3_600,  # `Callers` end them
        timeout_graceful_shutdown=SHUTDOWN_S,
        server_header=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies.stated),
        **({} if tls is None else tls.of_uvicorn),
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise CollectorError(
            f"the TLS certificate cannot be used: {error}",
            "Give PEM files: certificate, its key, and the authority of those who come.",
        ) from error
    return config


def answering(
    begin: Callable[[], AbstractAsyncContextManager[None] | None],
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """The lifespan of an application: `begin` is called once requests are answered; what it returns surrounds them."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with begin() or nullcontext():
            yield

    return lifespan


def base_url(listening: socket.socket, tls: ServerTls | None) -> str:
    """Where what listens there is reached."""
    host, port = listening.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{host}:{port}"


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """uvicorn hands a signal on to the handler it found; this one lets the process end well."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `PortInUse` or `CollectorError`."""
    address = f"{host}:{port}"
    try:
        listening = socket.create_server((host, port), backlog=BACKLOG)
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


def files_for(connections: int) -> int:
    """How many of `connections` the system lets this process have; its soft limit is raised as far as needed."""
    import resource  # noqa: PLC0415 not on every system; where it is missing nothing of this can serve

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    room = connections if soft == resource.RLIM_INFINITY else soft - SPARE_FILES
    return max(64, min(connections, room))
