"""A relay on loopback that counts what goes through it: connections, requests, bytes each way, as TCP carries them."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PIECE_BYTES = 64 << 10


@dataclass
class Counted:
    """Everything since the last `restart`."""

    url: str
    connections: int = 0
    requests: int = 0
    up_bytes: int = 0
    down_bytes: int = 0
    newest: bytes = b""
    """The newest request."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def restart(self) -> None:
        with self._lock:
            self.connections = self.requests = self.up_bytes = self.down_bytes = 0

    def went(self, piece: bytes, *, up: bool) -> None:
        """`piece`, on its way to the server or back."""
        with self._lock:
            if up:
                if piece.startswith(b"GET "):  # a client that waits for each answer
                    self.requests += 1
                    self.newest = piece
                self.up_bytes += len(piece)
            else:
                self.down_bytes += len(piece)

    def connected(self) -> None:
        with self._lock:
            self.connections += 1


@contextmanager
def counting(url: str) -> Iterator[Counted]:
    """Relay to the server at `url`; ends with the block."""
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        counted = Counted(f"http://127.0.0.1:{listener.getsockname()[1]}")
        to = (address.hostname, address.port)
        thread = threading.Thread(target=_accept, args=(listener, to, counted), daemon=True)
        thread.start()
        try:
            yield counted
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def _accept(listener: socket.socket, to: tuple[str, int], counted: Counted) -> None:
    relays = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        counted.connected()
        relay = threading.Thread(target=_relay, args=(client, to, counted), daemon=True)
        relay.start()
        relays.append(relay)
    for relay in relays:
        relay.join(20)


def _relay(client: socket.socket, to: tuple[str, int], counted: Counted) -> None:
    """Until either side has said its last."""
    with client, socket.create_connection(to) as server, suppress(OSError):
        while True:
            for source in select.select([client, server], [], [])[0]:
                piece = source.recv(PIECE_BYTES)
                if not piece:
                    return
                counted.went(piece, up=source is client)
                (server if source is client else client).sendall(piece)
