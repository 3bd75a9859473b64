"""A screen's web server: uvicorn on loopback, in a thread of its own, beside the terminal's loop.

    with ScreenServer(Starlette(routes=display_routes(...)), port=0) as server:
        print(server.url)                # http://127.0.0.1:43127
        ...

The tap's thread never enters it; it only puts values into feeds.

The port is taken when the server is made, the rest only once it is started, in its thread: what serves pages takes a
sixth of a second to load, and a terminal is ready without. Requests that come earlier wait.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EACCES, EADDRINUSE
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from terminal.errors import PortInUse, TerminalError

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp, Receive, Scope, Send

MakeApp: TypeAlias = "Callable[[], ASGIApp]"
OnFailure: TypeAlias = Callable[[Exception], object]

MAX_CONNECTIONS: Final = 64
SHUTDOWN_S: Final = 1
"""Pages close by themselves within a heartbeat; a browser that has stopped reading is cut off after this."""


class ScreenServer:
    """Serves an application, with the headers of `terminal.screen.headers`, from `start` to `stop`."""

    def __init__(self, app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> None:
        """Port 0: any free one. Raises `PortInUse`, or `TerminalError` for an address that cannot be used."""
        self._make: MakeApp = lambda: app
        self._failed: OnFailure = _raised
        self._listening = _listen(host, port)
        self.host = host
        self.port: int = self._listening.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._ended = False
        self._ending = Lock()
        self._thread = Thread(target=self._run, name="screen", daemon=True)

    @classmethod
    def made_later(cls, make: MakeApp, host: str = "127.0.0.1", port: int = 0) -> ScreenServer:
        """Serves what `make` makes once the server is started, in its thread. Raises as `ScreenServer`."""
        server = cls(_not_made, host, port)
        server._make = make
        return server

    @property
    def url(self) -> str:
        """Where the app's `/` is, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self, failed: OnFailure | None = None) -> None:
        """Serve from now on. Requests are taken at once: the socket listens since the server was made.

        What is raised while the application is made, `failed` hears in the server's thread, and the port is given back.
        """
        self._failed = failed or _raised
        self._thread.start()

    def stop(self) -> None:
        """Let open streams end, then stop; safe to call again."""
        with self._ending:
            self._ended = True
            if self._server is not None:
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
        try:
            server = self._made()
        except Exception as error:  # noqa: BLE001 a page that cannot be served must not go unseen, nor end a terminal
            self._listening.close()
            self._failed(error)
            return
        with self._ending:
            self._server = server
            server.should_exit = self._ended
        server.run(sockets=[self._listening])

    def _made(self) -> uvicorn.Server:
        import uvicorn  # noqa: PLC0415 what serves pages is loaded beside the first taps, not before them

        from terminal.screen.headers import LOOPBACK, SecureHeaders  # noqa: PLC0415
        from terminal.screen.stream import STOPPING  # noqa: PLC0415

        app = SecureHeaders(self._make(), LOOPBACK | {self.host})

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            scope[STOPPING] = lambda: server.should_exit
            await app(scope, receive, send)

        server = uvicorn.Server(
            uvicorn.Config(
                answer,
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
        return server


async def _not_made(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("this server makes its application later")


def _raised(error: Exception) -> None:
    raise error


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
