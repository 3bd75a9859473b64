"""Addresses that answer badly: bounded in time and bytes, refused by a code, and the next look is as good as new."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic

import pytest

from terminal.updates.bundle import fetcher
from tests.terminal.updates.bundle.conftest import Taker
from tests.terminal.updates.bundle.repository import Publisher

STEP_S = 0.4
Answer = Callable[[BaseHTTPRequestHandler, bytes | None], bool]
"""Answers, or returns False for the plain answer; gets the file that was asked for, None where there is none."""


@contextmanager
def source(folder: Path, answer: Answer = lambda _request, _file: False) -> Iterator[tuple[str, list[str]]]:
    """Serves `folder` on loopback: its address, and what it was asked for; `/moved` of its addresses leads nowhere."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            path = folder / self.path.removeprefix("/v1/bundles/")
            content = path.read_bytes() if path.is_file() else None
            try:
                if not answer(self, content):
                    self.send_response(200 if content is not None else 404)
                    self.send_header("content-length", str(len(content or b"")))
                    self.end_headers()
                    self.wfile.write(content or b"")
            except OSError:
                self.close_connection = True  # it has heard enough

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/bundles", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def only(name: str, then: Callable[[BaseHTTPRequestHandler, bytes], None]) -> Answer:
    """Answers otherwise where that file is asked for."""

    def answer(request: BaseHTTPRequestHandler, file: bytes | None) -> bool:
        if not request.path.endswith(name):
            return False
        then(request, file or b"")
        return True

    return answer


def endless(request: BaseHTTPRequestHandler, _file: bytes) -> None:
    request.send_response(200)
    request.send_header("transfer-encoding", "chunked")
    request.end_headers()
    while True:
        request.wfile.write(b"400\r\n" + b" " * 1024 + b"\r\n")


def dripping(request: BaseHTTPRequestHandler, file: bytes) -> None:
    """A byte now and then: no time-out of a socket ever ends."""
    request.send_response(200)
    request.send_header("content-length", str(len(file)))
    request.end_headers()
    _drip(request, file)


def dripping_head(request: BaseHTTPRequestHandler, _file: bytes) -> None:
    _drip(request, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1000)


def _drip(request: BaseHTTPRequestHandler, content: bytes) -> None:
    for byte in content:
        request.wfile.write(bytes([byte]))
        request.wfile.flush()
        threading.Event().wait(0.05)


def silent(request: BaseHTTPRequestHandler, _file: bytes) -> None:
    threading.Event().wait(4 * STEP_S)
    request.close_connection = True


def broken_off(request: BaseHTTPRequestHandler, file: bytes) -> None:
    request.send_response(200)
    request.send_header("content-length", str(len(file) + 1))
    request.end_headers()
    request.wfile.write(file)
    request.close_connection = True


def elsewhere(request: BaseHTTPRequestHandler, _file: bytes) -> None:
    request.send_response(302)
    request.send_header("location", "http://127.0.0.1:1/")
    request.send_header("content-length", "0")
    request.end_headers()


def compressed(request: BaseHTTPRequestHandler, file: bytes) -> None:
    request.send_response(200)
    request.send_header("content-encoding", "gzip")
    request.send_header("content-length", str(len(file)))
    request.end_headers()
    request.wfile.write(file)


def web_page(request: BaseHTTPRequestHandler, _file: bytes) -> None:
    page = b"<html>sign in</html>"
    request.send_response(200)
    request.send_header("content-length", str(len(page)))
    request.end_headers()
    request.wfile.write(page)


def no_http(request: BaseHTTPRequestHandler, _file: bytes) -> None:
    request.wfile.write(b"\x00" * 1000)
    request.close_connection = True


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "STEP_S", STEP_S)


def test_a_look_over_http_brings_what_a_folder_brings_over_one_connection(
    publisher: Publisher, taker: Taker
) -> None:
    with source(publisher.folder) as (address, asked):
        assert taker.faults(taker.look(address)) == {}
        assert taker.has("tariff", "tables.zip") == b"tables 1"
        before = len(asked)
        assert taker.faults(taker.look(address)) == {}
        again = [path.rpartition("/")[2].partition("?")[0] for path in asked[before:]]
        assert again == ["newer", "2.root.json", "timestamp.json"], "of a source that only serves files"


@pytest.mark.parametrize(
    ("name", "answer", "role", "fault"),
    [
        ("timestamp.json", endless, "timestamp", "bundle:too_large"),
        ("timestamp.json", dripping, "timestamp", "bundle:too_slow"),
        ("timestamp.json", dripping_head, "timestamp", "bundle:too_slow"),
        ("timestamp.json", silent, "timestamp", "bundle:too_slow"),
        ("timestamp.json", broken_off, "timestamp", "bundle:unreachable"),
        ("timestamp.json", elsewhere, "timestamp", "bundle:unreachable"),
        ("timestamp.json", compressed, "timestamp", "bundle:unreachable"),
        ("timestamp.json", web_page, "timestamp", "bundle:unreadable"),
        ("timestamp.json", no_http, "timestamp", "bundle:unreachable"),
        ("2.root.json", endless, "root", "bundle:too_large"),
        ("tables.zip", endless, "tariff", "bundle:too_large"),
        ("tables.zip", dripping, "tariff", "bundle:too_slow"),
        ("1.tariff.json", endless, "tariff", "bundle:too_large"),
        ("1.tariff.json", dripping, "tariff", "bundle:too_slow"),
    ],
)
def test_a_bad_answer_ends_in_its_time(
    name: str,
    answer: Callable[[BaseHTTPRequestHandler, bytes], None],
    role: str,
    fault: str,
    publisher: Publisher,
    taker: Taker,
) -> None:
    publisher.put("tariff", "city", {"region.toml": b"tariff 1", "tables.zip": b"tables 1" * 1000})
    publisher.sign_role("tariff", version=1)
    publisher.sign_snapshot()
    publisher.sign_timestamp()
    with source(publisher.folder, only(name, answer)) as (address, _asked):
        begun_s = monotonic()
        assert taker.faults(taker.look(address)) == {role: fault}
        assert monotonic() - begun_s < 60 * STEP_S, "a step's time, and no more than a loaded machine adds"
    if role == "tariff":
        assert taker.has("deny", "deny-list") == b"deny 1", "each role fails alone"
    assert taker.faults(taker.look(publisher.folder)) == {}, "and the next source is as good as new"


def test_an_address_where_nothing_listens(publisher: Publisher, taker: Taker) -> None:
    assert taker.faults(taker.look("http://127.0.0.1:1/v1/bundles")) == {"root": "bundle:unreachable"}
    assert taker.faults(taker.look("http://[::1")) == {"timestamp": "bundle:unreachable"}
