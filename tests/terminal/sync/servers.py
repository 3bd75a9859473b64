"""Servers that are none, a proxy that cuts the line at any byte, and a link whose limits a test can wait for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import msgspec

from terminal.sync.link import HttpLink
from terminal.sync.wire import encode, parse_batch

LIMIT_S = 0.5
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\n"


def short(url: str) -> HttpLink:
    """A link whose exchanges may take half a second."""
    return HttpLink(url, exchange_limit_s=LIMIT_S)


@contextmanager
def server(serve: Callable[[socket.socket], None], connections: int = 1) -> Iterator[str]:
    """`serve` gets each accepted connection; errors of the broken line end it quietly."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for _ in range(connections):
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def request_in(connection: socket.socket) -> bytes:
    """One whole request, as this client sends it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length")
    ]
    while len(body) < int(lengths[0]):
        piece = connection.recv(65_536)
        if not piece:
            break
        body += piece
    return body


@contextmanager
def stripping(url: str) -> Iterator[str]:
    """A proxy before the collector at `url` that takes out of each batch what its rows sealed; its own address."""

    def serve(connection: socket.socket) -> None:
        with closing(HttpLink(url)) as behind:
            while body := request_in(connection):
                batch = msgspec.structs.replace(parse_batch(body), sealed=())
                answer = behind.upload(encode(batch))
                head = f"HTTP/1.1 {answer.status} X\r\ncontent-type: {answer.content_type}"
                connection.sendall(f"{head}\r\ncontent-length: {len(answer.body)}\r\n\r\n".encode())
                connection.sendall(answer.body)

    with server(serve, connections=8) as address:
        yield address


class Proxy:
    """Passes bytes on between a client and `target`; after so many in one direction both lines are cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.cut_up: int | None = None
        self.cut_down: int | None = None
        self.up = self.down = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client, socket.create_connection(self._target) as behind:
                up = threading.Thread(target=self._pump, args=(client, behind, "up"))
                up.start()
                self._pump(behind, client, "down")
                up.join()

    def _pump(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        limit = getattr(self, f"cut_{way}")
        passed = 0
        with suppress(OSError):
            while piece := source.recv(65_536):
                allowed = piece if limit is None else piece[: limit - passed]
                passed += len(allowed)
                sink.sendall(allowed)
                if limit is not None and passed >= limit:
                    break
        setattr(self, way, passed)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
