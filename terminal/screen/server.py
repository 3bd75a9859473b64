"""A screen's web server: uvicorn on loopback, in a thread of its own, beside the terminal's loop.

    with ScreenServer(Starlette(routes=display_routes(...)), port=0) as server:
        print(server.url)                # http://127.0.0.1:43127
        ...

The tap's thread never enters it; it only puts values into feeds.

Every answer carries the same headers. Nothing is loaded from anywhere else, no script or style stands in a
page, nothing is framed by strangers. Requests must name a loopback host: a page of the Internet that points its
own name at 127.0.0.1 gets no answer."""

from __future__ import annotations

import socket
from errno import EACCES, EADDRINUSE
from threading import Thread
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from terminal.errors import PortInUse, TerminalError
from terminal.screen.stream import STOPPING

MAX_CONNECTIONS: Final = 64
SHUTDOWN_S: Final = 1
"""Pages close by themselves within a heartbeat; a browser that has stopped reading is cut off after this."""


class ScreenServer:
    """Serves `app`, with the headers of `terminal.screen.server`, from `start` to `stop`."""

    def __init__(self, app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> None:
        """Port 0: any free one. Raises `PortInUse`, or `TerminalError` for an address that cannot be used."""
        self._listening = _listen(host, port)
        self.host = host
        self.port: int = self._listening.getsockname()[1]
        self._app = SecureHeaders(app, LOOPBACK | {host})
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._serve,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                ws="none",
                http="h11",
                loop="asyncio",
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=SHUTDOWN_S,
                server_header=False,
                date_header=False,
            )
        )
        self._thread = Thread(target=self._run, name="screen", daemon=True)

    @property
    def url(self) -> str:
        """Where the app's `/` is, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Serve from now on. Requests are taken at once: the socket listens since the server was made."""
        self._thread.start()

    def stop(self) -> None:
        """Let open streams end, then stop; safe to call again."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._listening.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        self._server.run(sockets=[self._listening])

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[STOPPING] = self._stopping
        await self._app(scope, receive, send)

    def _stopping(self) -> bool:
        return self._server.should_exit


def _listen(host: str, port: int) -> socket.socket:
    address = f"{host}:{port}"
    try:
        listening = socket.create_server((host, port), backlog=MAX_CONNECTIONS)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise PortInUse(
                f"{address} is in use by another program",
                "Stop it, or choose another port (0 takes any free one).",
            ) from error
        advice = "Ports below 1024 need rights." if error.errno == EACCES else "Check host and port."
        raise TerminalError(f"cannot listen on {address}: {error.strerror}", advice) from error
    # Inherited by connections: without it an event may wait 40 ms for the browser's delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "media-src 'self'",
        "font-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # "no-referrer" makes browsers send forms with the origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=()",
}

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class SecureHeaders:
    """Puts `HEADERS` on every answer (pages that say nothing are not cached) and refuses foreign host names.

    `hosts` are the names by which the screen may be called, without port.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if _name(Headers(scope=scope).get("host", "")) in self._hosts:
            await self._app(scope, receive, with_headers)
        else:
            await PlainTextResponse("This screen is local.\n", 421)(scope, receive, with_headers)


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
