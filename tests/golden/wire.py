"""Recorded exchanges of a terminal with a collector, which stand in for a version that is not there.

`recording` stands between the two and keeps each request and its answer; `answering` gives the recorded answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import httpx
import msgspec

PATIENCE_S: Final = 60.0


class Exchange(msgspec.Struct, frozen=True):
    """One request and its answer, kept as MessagePack in a list of them."""

    path: str
    content_type: str
    request: bytes
    status: int
    answer_type: str
    answer: bytes


Answerer = Callable[[str, str, bytes], Exchange]


@contextmanager
def serving(answerer: Answerer) -> Iterator[str]:
    """The address on loopback of a server that answers POST requests so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = answerer(self.path, self.headers["content-type"], body)
            self.send_response(found.status)
            self.send_header("content-type", found.answer_type)
            self.send_header("content-length", str(len(found.answer)))
            self.end_headers()
            self.wfile.write(found.answer)

        def log_message(self, *_words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def recording(collector: str, kept: list[Exchange]) -> Iterator[str]:
    """The address that passes requests on to `collector`."""

    def passed_on(path: str, content_type: str, body: bytes) -> Exchange:
        headers = {"content-type": content_type}
        found = httpx.post(collector + path, content=body, headers=headers, timeout=PATIENCE_S)
        answer_type = found.headers["content-type"]
        kept.append(Exchange(path, content_type, body, found.status_code, answer_type, found.content))
        return kept[-1]

    with serving(passed_on) as address:
        yield address


@contextmanager
def answering(recorded: list[Exchange], asked: list[bytes]) -> Iterator[str]:
    """The address of what answers as was recorded, in order; `asked` fills with the requests that came."""

    def next_one(path: str, _content_type: str, body: bytes) -> Exchange:
        asked.append(body)
        found = recorded[len(asked) - 1]
        assert found.path == path
        return found

    with serving(next_one) as address:
        yield address


def keep(folder: Path, name: str, exchanges: list[Exchange]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(msgspec.msgpack.encode(exchanges))


def kept(folder: Path, name: str) -> list[Exchange]:
    return msgspec.msgpack.decode((folder / name).read_bytes(), type=list[Exchange])
