"""The line may break at any byte, and whatever answers may be anybody: bounded, reported, and nothing is lost."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from terminal.errors import CollectorError
from terminal.sync.exchange import Answer, LinkTooSlow
from terminal.sync.link import MAX_ANSWER_BYTES, HttpLink
from terminal.sync.wire import parse_batch
from tests.terminal.journal.samples import day
from tests.terminal.sync.servers import HEAD, LIMIT_S, Proxy, request_in, server, short


class Over:
    """A link that a station can use instead of its wire."""

    def __init__(self, station, link):
        station.client._link = link
        self.station, self.link = station, link

    def sync(self):
        return self.station.client.sync_once()


def answering(intake):
    """The real intake behind a bare HTTP server."""

    def serve(connection: socket.socket) -> None:
        while body := request_in(connection):
            reply = intake.take(body)
            head = f"HTTP/1.1 {reply.status} X\r\ncontent-length: {len(reply.body)}\r\n\r\n".encode()
            connection.sendall(head + reply.body)

    return serve


def test_many_batches_go_over_one_connection(station, collector):
    station.append(day(25))
    with server(answering(collector.intake)) as url:
        over = Over(station, HttpLink(url))
        report = over.sync()
        over.link.close()
    assert (report.problem, report.batches, report.unsent) == (None, 5, 0)
    assert collector.stored(7) == station.rows()


def test_a_connection_closed_in_between_costs_nothing(station, collector):
    """A collector closes lines nobody uses; that is no fault to report."""

    def once(connection: socket.socket) -> None:
        reply = collector.intake.take(request_in(connection))
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(reply.body) + reply.body)

    with server(once, connections=6) as url:
        over = Over(station, HttpLink(url))
        for _ in range(3):
            station.append(day(2))
            assert over.sync().problem is None
            time.sleep(0.01)
        over.link.close()
    assert station.journal.unsent == 0


@pytest.fixture
def proxied(collector):
    with server(answering(collector.intake), connections=10_000) as url:
        parts = urlsplit(url)
        proxy = Proxy((parts.hostname, parts.port))
        yield proxy
        proxy.close()


def test_the_line_is_cut_at_any_byte(station, collector, proxied):
    """Every byte of an exchange, up and down: afterwards all is sent once, and nobody raises an alarm."""
    station.append(day(1)[:1])
    over = Over(station, short(proxied.url))
    assert over.sync().problem is None
    over.link.close()
    station.wire.intake = collector.intake
    time.sleep(0.05)
    up, down = proxied.up, proxied.down
    assert up > 300
    assert down > 100
    cuts = [("up", n) for n in range(1, up, 13)] + [("down", n) for n in range(1, down)]
    for way, position in cuts:
        station.append(day(1)[:1])
        proxied.cut_up, proxied.cut_down = (position, None) if way == "up" else (None, position)
        report = over.sync()
        assert report.problem is not None, (way, position)
        assert "Nothing is lost" in report.problem.advice
        over.link.close()
    proxied.cut_up = proxied.cut_down = None
    assert over.sync().problem is None
    over.link.close()
    assert collector.stored(7) == station.rows()
    assert len(station.rows()) == 1 + len(cuts)
    assert collector.alarms() == []


# Whoever answers


BOMB = gzip.compress(bytes(20_000_000))


def flood(connection: socket.socket) -> None:
    request_in(connection)
    connection.sendall(HEAD + b"content-length: 100000000\r\n\r\n")
    for _ in range(1_000):
        connection.sendall(bytes(100_000))


def flood_of_heads(connection: socket.socket) -> None:
    request_in(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        connection.sendall(b"x-%d: %s\r\n" % (number, b"x" * 1_000))


def flood_of_continues(connection: socket.socket) -> None:
    request_in(connection)
    for _ in range(1_000_000):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def flood_of_chunks(connection: socket.socket) -> None:
    request_in(connection)
    connection.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(1_000_000):
        connection.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")


def drip_of_head(connection: socket.socket) -> None:
    request_in(connection)
    for byte in HEAD * 1_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.01)


def drip_of_body(connection: socket.socket) -> None:
    request_in(connection)
    connection.sendall(HEAD + b"content-length: 50000\r\n\r\n")
    for _ in range(50_000):
        connection.sendall(b"x")
        time.sleep(0.01)


def silent(connection: socket.socket) -> None:
    request_in(connection)
    connection.recv(1)


def deaf(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
    time.sleep(2 * LIMIT_S)


def bomb(connection: socket.socket) -> None:
    request_in(connection)
    head = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB)
    connection.sendall(head + BOMB)


def redirect(connection: socket.socket) -> None:
    request_in(connection)
    connection.sendall(b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")


def line_without_end(connection: socket.socket) -> None:
    request_in(connection)
    connection.sendall(b"HTTP/1.1 200 " + b"x" * 10_000_000)


@pytest.mark.parametrize(
    ("serve", "problem"),
    [
        (flood, "answers without end"),
        (flood_of_heads, "does not answer as a collector does"),
        (flood_of_continues, "answers without end"),
        (flood_of_chunks, "answers without end"),
        (drip_of_head, "takes too long|timed out"),
        (drip_of_body, "takes too long|timed out"),
        (silent, "takes too long|timed out"),
        (bomb, "answers in the encoding 'gzip'"),
        (redirect, "leads elsewhere .status 307"),
        (line_without_end, "does not answer as a collector does"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_answer_that_never_ends_well_ends(station, serve, problem):
    station.append(day(2))
    with server(serve) as url:
        over = Over(station, short(url))
        started = time.monotonic()
        report = over.sync()
        took_s = time.monotonic() - started
        over.link.close()
    assert re.search(problem, str(report.problem)), report.problem
    assert took_s < 20 * LIMIT_S, "bounded; machines that run tests may be slow"
    assert station.journal.acknowledged_through == 0


def test_a_server_that_does_not_listen_is_left(station):
    with server(deaf) as url:
        link = short(url)
        with pytest.raises(LinkTooSlow):
            link.upload(bytes(50_000_000))
        link.close()


def test_a_slow_line_is_given_smaller_batches(station):
    station.append(day(20))
    sizes = []

    def slow(answer):
        sizes.append(len(parse_batch(station.wire.batches[-1]).bodies))
        if len(sizes) < 4:
            raise LinkTooSlow("too slow", "Wait.")
        return answer

    station.wire.alter = slow
    for _ in range(4):
        station.client.sync_once()
    assert sizes[:5] == [10, 5, 2, 1, 1]
    assert station.journal.unsent == 0
    station.append(day(40))
    station.client.sync_once()
    assert 10 in sizes[5:], "and larger ones again when it has worked for some time"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("0.5", 0.5), ("1e9", 3_600.0), ("nan", None), ("-3", None), ("inf", None),
     ("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)  # fmt: skip
def test_a_collector_may_ask_to_be_left_alone(station, header, seconds):
    def busy(connection: socket.socket) -> None:
        request_in(connection)
        body = b'{"error": "busy", "advice": "Come back later."}'
        head = f"HTTP/1.1 429 Busy\r\nretry-after: {header}\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    station.append(day(1))
    with server(busy) as url:
        over = Over(station, short(url))
        report = over.sync()
        over.link.close()
    assert "busy" in report.problem.what
    assert report.retry_after_s == seconds


def test_giving_up_ends_an_exchange_at_once(station):
    waiting = threading.Event()

    def hang(connection: socket.socket) -> None:
        request_in(connection)
        waiting.set()
        connection.recv(1)

    with server(hang) as url:
        link = HttpLink(url)
        failed: list[CollectorError] = []

        def upload() -> None:
            try:
                link.upload(b"batch")
            except CollectorError as error:
                failed.append(error)

        thread = threading.Thread(target=upload)
        thread.start()
        assert waiting.wait(30)
        link.abort()
        thread.join(30)
        assert not thread.is_alive()
        assert "given up" in failed[0].what
        with pytest.raises(CollectorError, match="given up"):
            link.upload(b"batch")
        link.close()


def test_answers_up_to_the_limit_are_read_whole():
    body = bytes(MAX_ANSWER_BYTES)

    def serve(connection: socket.socket) -> None:
        request_in(connection)
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)

    with server(serve) as url:
        link = HttpLink(url)
        assert link.upload(b"x") == Answer(200, body, content_type="application/msgpack")
        link.close()
