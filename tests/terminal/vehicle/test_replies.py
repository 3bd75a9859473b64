"""The server for a publisher's messages, against senders that are strangers, slow, many or wrong."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from terminal.vehicle import replies
from terminal.vehicle.elements import MOST_BYTES, parse_elements
from terminal.vehicle.replies import MOST_CONNECTIONS, ReplyServer
from terminal.vehicle.source import SourceBroken

PATIENCE_S = 60.0
BODY = b"<x/>"


class Listening:
    """A server with what it took and refused."""

    def __init__(self) -> None:
        self.taken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.refused: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.server = ReplyServer(
            ("127.0.0.1", 0), "secret", self._take, lambda kind, _detail: self.refused.put(kind)
        )
        self.server.senders = frozenset({"127.0.0.1"})

    def _take(self, body: bytes) -> None:
        parse_elements(body)
        if body == b"<bug/>":
            raise RuntimeError("a mistake of ours")
        self.taken.put(body)

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), PATIENCE_S, (source, 0))

    def ask(self, request: bytes) -> bytes:
        """Everything that is answered until the connection is closed."""
        with closing(self.connect()) as connection:
            connection.sendall(request)
            answer = b""
            while content := connection.recv(4096):
                answer += content
            return answer

    def status(self, request: bytes) -> int:
        return int(self.ask(request).split()[1])


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    with made.server:
        yield made


def post(path: str, body: bytes = BODY, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", *(headers or (f"Content-Length: {len(body)}",))]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("path", ["/secret/Razzia", "//secret/Razzia", "/secret", "///secret/"])
def test_a_message_of_the_publisher_is_taken(listening: Listening, path: str) -> None:
    assert listening.status(post(path)) == 200
    assert listening.taken.get(timeout=PATIENCE_S) == BODY


def test_a_message_in_chunks_and_one_that_waits_for_100_continue(listening: Listening) -> None:
    chunks = b"2;x=1\r\n<x\r\n2\r\n/>\r\n0\r\n\r\n"
    assert listening.status(post("/secret", chunks, "Transfer-Encoding: chunked")) == 200
    assert listening.taken.get(timeout=PATIENCE_S) == BODY
    with closing(listening.connect()) as connection:
        connection.sendall(post("/secret", b"", "Content-Length: 4", "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert b" 200 " in connection.recv(100)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post("/other/Razzia"), 404),
        (post("/"), 404),
        (post("/secretly"), 404),
        (post("/secret", b"", f"Content-Length: {MOST_BYTES + 1}"), 413),
        (post("/secret", b"", "Content-Length: -1"), 413),
        (post("/secret", b"", "Content-Length: " + "9" * 30), 413),
        (post("/secret", b"", "X: no length"), 413),
        (post("/secret", b"fffffff\r\n", "Transfer-Encoding: chunked"), 413),
        (post("/secret", b"zz\r\n", "Transfer-Encoding: chunked"), 413),
        (post("/secret", b"<x>"), 400),
        (post("/secret", b"<!DOCTYPE x><x/>"), 400),
        (b"GET /secret HTTP/1.1\r\n\r\n", 501),
        (b"POST /secret HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"POST /" + b"a" * 70_000, 414),
    ],
)
def test_what_is_no_message_is_refused(listening: Listening, request_: bytes, status: int) -> None:
    assert listening.status(request_) == status
    assert listening.taken.empty()
    assert listening.status(post("/secret")) == 200, "the next message is heard"


def test_a_stranger_is_not_read(listening: Listening) -> None:
    with closing(listening.connect("127.0.0.2")) as connection:
        assert connection.recv(100) == b""
    assert listening.refused.get(timeout=PATIENCE_S) == replies.FOREIGN


def test_one_connection_too_many_is_closed_unread_and_the_others_are_heard(listening: Listening) -> None:
    held = [listening.connect() for _ in range(MOST_CONNECTIONS)]
    with closing(listening.connect()) as one_more:
        assert one_more.recv(100) == b""
    for connection in held:
        with closing(connection):
            connection.sendall(post("/secret"))
            assert b" 200 " in connection.recv(100)


def test_slow_senders_are_cut_off_and_do_not_keep_others_out(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "LONGEST_S", 0.5)
    slow = [listening.connect() for _ in range(MOST_CONNECTIONS)]
    for connection in slow:
        connection.sendall(b"POST /secret HTTP/1.1\r\nContent-Length: 4\r\n\r\n")
    with closing(listening.connect()) as one_more:
        assert one_more.recv(100) == b"", "more are closed at once"
    for connection in slow:
        assert connection.recv(100) == b""
        connection.close()
    assert listening.status(post("/secret")) == 200


def test_a_mistake_of_ours_is_reported(listening: Listening) -> None:
    assert listening.ask(post("/secret", b"<bug/>")) == b""
    assert listening.refused.get(timeout=PATIENCE_S) == replies.BROKEN


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(SourceBroken, match=r"192\.0\.2\.1, port 0, is not ours to listen on"):
        ReplyServer(("192.0.2.1", 0), "secret", lambda _body: None, lambda _kind, _detail: None)
