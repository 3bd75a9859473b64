"""What may stand between a terminal and its collector, each as a real server: `terminal sync` and the status of a
running terminal name it, nothing is lost, and what can be gone round is.
"""

from __future__ import annotations

import datetime
import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from terminal.app.collector import enrol, trust
from terminal.app.station import open_journal
from terminal.clock import SystemClock
from terminal.codes import SyncFault
from terminal.collector.service import Collector, CollectorSettings
from terminal.errors import CollectorError
from terminal.operations.status import TerminalStatus, read_status
from terminal.sync.wire import parse_batch
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, command
from tests.terminal.cli.inside import Run, runner
from tests.terminal.journal.samples import day
from tests.terminal.sync.servers import request_in, server
from tests.terminal.sync.test_tls import Authority

PORTAL = b"<!DOCTYPE html><title>Sign in</title>"
STATE = Path("state")
MANY = 1_000
Serve = Callable[[socket.socket], None]


@pytest.fixture
def run(tmp_path, monkeypatch, capfd) -> Run:
    return runner(tmp_path, monkeypatch, capfd)


@pytest.fixture
def collector(tmp_path):
    """The collector's application without its process, and a terminal with 60 rows that it knows."""
    made = Collector(CollectorSettings(tmp_path / "collector"), SystemClock())
    with open_journal(tmp_path / STATE, 7) as journal:
        for record in day(30):
            journal.append(record)
    enrol(tmp_path / STATE, 7, tmp_path / "collector")
    trust(tmp_path / STATE, tmp_path / "collector")
    yield made
    made.close()


def answer(status: str, body: bytes = b"", *heads: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *heads)
    return "\r\n".join((*lines, "", "")).encode() + body


def saying(whole: bytes) -> Serve:
    """Answers every request so."""

    def serve(connection: socket.socket) -> None:
        while request_in(connection):
            connection.sendall(whole)

    return serve


def proxy(
    collector: Collector, most_bytes: int, refusal: Callable[[socket.socket], None]
) -> tuple[Serve, list[int]]:
    """Passes requests of so many bytes on, and refuses larger ones in its way; with the sizes it met."""
    met: list[int] = []

    def serve(connection: socket.socket) -> None:
        while body := request_in(connection):
            met.append(len(body))
            if len(body) > most_bytes:
                refusal(connection)
                continue
            reply = collector.intake.take(body)
            connection.sendall(answer(f"{reply.status} X", reply.body, f"content-type: {reply.content_type}"))

    return serve, met


def cuts(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def sends(whole: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(whole)


@pytest.mark.parametrize(
    "refusal",
    [
        sends(answer("502 Bad Gateway", b"<html>bad gateway</html>", "content-type: text/html")),
        sends(answer("413 Too Large")),
        sends(answer("403 Forbidden", b"blocked")),
        cuts,
    ],
    ids=["502", "413", "403", "cut"],
)
def test_a_proxy_that_lets_only_small_bodies_pass_is_gone_round_in_one_run(run, collector, tmp_path, refusal):
    serve, met = proxy(collector, 2_000, refusal)
    with server(serve, MANY) as url:
        done = run("sync", "--state", STATE, "--number", 7, "--collector", url, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["unsent"] == 0
        assert max(met) > 2_000 >= min(met)
        refused = sum(size > 2_000 for size in met)
        with open_journal(tmp_path / STATE, 7) as journal:
            for record in day(30):
                journal.append(record)
        assert run("sync", "--state", STATE, "--number", 7, "--collector", url).returncode == 0
    assert sum(size > 2_000 for size in met) == refused, "the next process knows what passed"
    assert collector.store.terminals()[0].rows == 120
    assert collector.store.alarms() == []


def test_a_proxy_that_lets_not_even_one_row_pass_is_named(run, collector, tmp_path):
    met: list[int] = []

    def serve(connection: socket.socket) -> None:
        while body := request_in(connection):
            met.append(len(parse_batch(body).bodies))
            reply = collector.intake.take(body)
            connection.sendall(answer("413 Too Large") if met[-1] else answer("200 OK", reply.body))

    with server(serve, MANY) as url:
        done = run("sync", "--state", STATE, "--number", 7, "--collector", url)
    assert done.returncode == 40
    assert "refused rows 1 to 1 as too large (status 413). Have its limit raised" in done.stderr
    assert met == [0, 60, 30, 15, 7, 3, 1]


CAUSES: dict[str, tuple[Serve, str, str]] = {
    "portal": (saying(answer("200 OK", PORTAL, "content-type: text/html")), "web_page", "sign in, or have"),
    "portal_403": (
        saying(answer("403 No", PORTAL, "content-type: text/html")),
        "web_page",
        "sign in, or have",
    ),
    "redirect": (saying(answer("302 Found", b"", "location: http://x/")), "moved", "leads elsewhere"),
    "busy": (saying(answer("429 Too Many", b"slow down", "retry-after: 7")), "busy", "Nothing is lost"),
    "unavailable": (saying(answer("503 No", b"", "retry-after: 9")), "busy", "Nothing is lost"),
    "bad_gateway": (
        saying(answer("502 Bad Gateway", PORTAL, "content-type: text/html")),
        "busy",
        "takes nothing",
    ),
    "other_type": (
        saying(answer("200 OK", b"hello", "content-type: text/plain")),
        "not_understood",
        "no ack",
    ),
    "bomb": (
        saying(answer("200 OK", gzip.compress(bytes(9_000_000)), "content-encoding: gzip")),
        "not_understood",
        "the encoding 'gzip'",
    ),
    "truncated": (
        saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxx"),
        "too_slow",
        "takes too long to end",
    ),
    "hangs": (saying(b""), "too_slow", "takes too long to answer"),
    "no_http": (saying(b"220 mail.example ESMTP\r\n"), "not_understood", "not answer as a collector does"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_cause_is_named(run, collector, monkeypatch, name):
    serve, fault, says = CAUSES[name]
    seen: list[SyncFault] = []
    said = CollectorError.__init__

    def heard(error: CollectorError, what: str, advice: str, code: SyncFault | None = None) -> None:
        said(error, what, advice, code)
        seen.append(error.fault)

    monkeypatch.setattr(CollectorError, "__init__", heard)
    monkeypatch.setattr("terminal.sync.link.HEAD_LIMIT_S", 0.3)
    monkeypatch.setattr("terminal.sync.link.BODY_LIMIT_S", 0.3)
    with server(serve, MANY) as url:
        done = run("sync", "--state", STATE, "--number", 7, "--collector", url)
    assert done.returncode == 40
    assert says in done.stderr, done.stderr
    assert seen[-1] is SyncFault(f"sync:{fault}")
    assert done.stderr.strip().count("\n") == 0
    assert collector.store.terminals() == []


def test_a_name_that_is_none_and_a_port_on_which_nothing_listens(run, collector):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.close()
    for url, says in (
        ("http://no-such-host.invalid:8470", "cannot be resolved"),
        (f"http://127.0.0.1:{port}", "does not run, or the port is wrong"),
    ):
        done = run("sync", "--state", STATE, "--number", 7, "--collector", url)
        assert (done.returncode, says in done.stderr) == (40, True), done.stderr


@pytest.mark.parametrize(
    ("years", "says"),
    [((2100, 2101), "Set this machine's clock"), ((2001, 2002), "Have the collector's certificate renewed")],
)
def test_a_certificate_that_is_not_valid_now(run, collector, tmp_path, years, says):
    """Not yet: the clock here may be wrong, and the other side's says so. Not any more: the certificate, rather."""
    authority = Authority(tmp_path, "region")
    begin, end = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in years)
    certificate, key = authority.certify("collector", begin=begin, end=end)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stated = begin + datetime.timedelta(days=1) if years[0] > 2026 else SystemClock().now()
    date = f"date: {stated:%a, %d %b %Y %H:%M:%S GMT}"

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65_536)
            secured.sendall(answer("200 OK", b"", date))

    with server(serve, MANY) as url:
        where = ("--collector", url.replace("http", "https"), "--tls-ca", authority.path)
        done = run("sync", "--state", STATE, "--number", 7, *where)
    assert done.returncode == 40
    assert f"it is valid from {years[0]}-01-01 00:00 UTC" in done.stderr
    assert "this machine's clock says 20" in done.stderr
    assert f"the other side's {stated:%Y-%m-%d}" in done.stderr
    assert says in done.stderr, done.stderr


def test_an_answer_from_a_restored_collector_sends_everything_in_one_run(run, collector, tmp_path):
    """What it lost is sent again by the command, too, and what it holds is counted in rows."""
    serve, _ = proxy(collector, 1 << 20, cuts)
    with server(serve, MANY) as url:
        assert run("sync", "--state", STATE, "--number", 7, "--collector", url).returncode == 0
        collector.store._connection.execute("DELETE FROM record WHERE sequence > 20")
        collector.store._connection.execute("DELETE FROM terminal")
        collector.store._connection.execute("DELETE FROM record")
        with open_journal(tmp_path / STATE, 7) as journal:
            journal.append(day(1)[0])
        done = run("sync", "--state", STATE, "--number", 7, "--collector", url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unsent"] == 0
    assert collector.store.terminals()[0].rows == 61


def test_a_running_terminal_shows_the_cause_and_its_end(run, collector, tmp_path):
    """The status of `terminal run`: a portal at first, and the collector after somebody has signed in."""
    signed_in = threading.Event()

    def serve(connection: socket.socket) -> None:
        while body := request_in(connection):
            if signed_in.is_set():
                reply = collector.intake.take(body)
                connection.sendall(answer(f"{reply.status} X", reply.body))
            else:
                connection.sendall(answer("200 OK", PORTAL, "content-type: text/html"))

    with server(serve, MANY) as url:
        config = config_file(tmp_path, shift={"operator": "17"})
        words = (
            "run",
            "--config",
            config,
            "--profile",
            "bus",
            "--reader",
            "sim:",
            "--state",
            STATE,
            "--number",
            7,
        )
        process = subprocess.Popen(
            command((*words, "--collector", url)), cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL
        )
        try:
            shown(tmp_path / STATE, lambda status: status.sync_fault == SyncFault.WEB_PAGE)
            signed_in.set()
            shown(
                tmp_path / STATE,
                lambda status: status.sync_fault == "" and status.collector_heard_at_ms is not None,
            )
        finally:
            process.terminate()
            assert process.wait(60) == 0


def shown(folder: Path, wanted: Callable[[TerminalStatus], bool]) -> None:
    """Wait until the status file says so."""
    until = time.monotonic() + 60
    while True:
        status = read_status(folder)
        if status is not None and wanted(status):
            return
        assert time.monotonic() < until, status
        time.sleep(0.05)
