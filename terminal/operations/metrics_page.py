"""`/metrics` on loopback: one thread, one request at a time, nothing but GET. Importing it costs no HTTP library."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EADDRINUSE
from typing import Final

from terminal.errors import MetricsError
from terminal.operations.text_format import CONTENT_TYPE

LOOPBACK: Final = "127.0.0.1"
PATIENCE_S: Final = 2.0
MAX_REQUEST_BYTES: Final = 8192
WAITING: Final = 4
"""Scrapers that may queue; more are turned away by the kernel."""


@contextmanager
def metrics_page(port: int, page: Callable[[], bytes]) -> Iterator[int]:
    """Answer `GET /metrics` with `page()` while the block runs; yields the port (0 takes any free one).

    Raises `MetricsError` when the port cannot be had.
    """
    try:
        listening = socket.create_server((LOOPBACK, port), backlog=WAITING)
    except OSError as error:
        reason = "is in use" if error.errno == EADDRINUSE else f"cannot be had ({error.strerror})"
        raise MetricsError(
            f"port {port} for metrics {reason}",
            "Choose another port under [metrics] in terminal.toml; 0 takes any free one.",
        ) from error
    thread = threading.Thread(target=_serve, args=(listening, page), name="metrics", daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        with suppress(OSError):  # wakes the accept; already closed is as good
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE_S * 2)
        listening.close()


def _serve(listening: socket.socket, page: Callable[[], bytes]) -> None:
    while True:
        try:
            caller, _ = listening.accept()
        except OSError:
            return  # shut down
        with caller, suppress(OSError):  # who leaves in the middle gets no answer
            caller.settimeout(PATIENCE_S)
            caller.sendall(_answer(_request_line(caller), page))


def _request_line(caller: socket.socket) -> str:
    request = b""
    while b"\r\n\r\n" not in request and len(request) < MAX_REQUEST_BYTES:
        piece = caller.recv(MAX_REQUEST_BYTES)
        if not piece:
            break
        request += piece
    return request.partition(b"\r\n")[0].decode("latin-1")


def _answer(request_line: str, page: Callable[[], bytes]) -> bytes:
    method, _, rest = request_line.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method != "GET" or path != "/metrics":
        return _response("404 Not Found", b"GET /metrics\n", "text/plain")
    return _response("200 OK", page(), CONTENT_TYPE)


def _response(status: str, body: bytes, content_type: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body
