"""The collector as its own process, over real HTTP on loopback."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from terminal.app.collector import report as books_of
from terminal.clock import SystemClock
from terminal.collector.enrolment import Enrolment
from terminal.errors import CollectorError, PortInUse
from terminal.journal.journal import Journal
from terminal.sync.client import SyncClient
from terminal.sync.identity import read_public_key
from terminal.sync.link import HttpLink
from terminal.sync.wire import BATCHES_PATH, MAX_BATCH_BYTES
from tests.terminal.journal.samples import day

KEY = Ed25519PrivateKey.generate()


def start(folder: Path, port: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.terminal.collector.serve", str(folder), str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@contextmanager
def running(folder: Path):
    """A collector process and its address."""
    process = start(folder)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def get(url: str) -> httpx.Response:
    """Patiently: the machine may be busy."""
    return httpx.get(url, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("collector")
    Enrolment(made / "terminals").enrol(7, KEY.public_key())
    return made


@pytest.fixture(scope="module")
def url(folder):
    """One collector for the tests that leave it alive; its terminal 7 belongs to one of them."""
    with running(folder) as (_, address):
        yield address


@contextmanager
def syncing(journal: Journal, address: str, folder: Path):
    link = HttpLink(address)
    try:
        yield SyncClient(journal, link, KEY, read_public_key(folder / "collector.pub"), SystemClock())
    finally:
        link.close()


@pytest.fixture
def journal(tmp_path):
    opened = Journal.open(tmp_path / "7.db", 7)
    yield opened
    opened.close()


def append(journal: Journal, taps: int) -> None:
    for pending in [journal.begin(record) for record in day(taps)]:
        pending.wait()


def test_records_arrive_over_http_and_the_report_adds_up(url, folder, journal):
    append(journal, 250)
    with syncing(journal, url, folder) as client:
        report = client.sync_once()
    assert (report.problem, report.uploaded, report.batches) == (None, 500, 3)
    health = get(f"{url}/v1/health").json()
    assert (health["status"], health["terminals"], health["records"]) == ("ok", 1, 500)
    answer = books_of(url)
    assert {alarm["kind"] for alarm in answer["alarms"]} == {"clock"}, "the samples are of an older day"
    assert answer["terminals"] == {"7": answer["total"]}
    total = answer["total"]
    assert (total["records"], total["taps"], total["accepted"], total["charged_minor"]) == (
        500,
        250,
        250,
        {"RUB": 850_000},
    )


def test_hostile_requests_get_an_answer_and_no_effect(url):
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.post(BATCHES_PATH, content=b"nonsense").json()["error"] == "malformed"
        assert client.get(BATCHES_PATH).status_code == 405
        assert client.get("/").status_code == 404
        large = client.post(BATCHES_PATH, content=bytes(MAX_BATCH_BYTES + 1))
        assert (large.status_code, large.json()["error"]) == (413, "too_large")
        assert client.get("/v1/health").status_code == 200


def test_a_request_cut_at_any_point_leaves_the_collector_alive(url):
    host, port = url.removeprefix("http://").split(":")
    request = b"POST /v1/batches HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\r\n" + bytes(200)
    for length in range(0, len(request), 20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(request[:length])
    assert get(f"{url}/v1/health").status_code == 200


def test_the_port_is_taken(url, tmp_path):
    process = start(tmp_path, int(url.rpartition(":")[2]))
    output, _ = process.communicate(timeout=30)
    assert process.returncode == PortInUse.exit_code
    assert "is in use by another program" in output
    assert "choose another port" in output
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_in_the_same_folder(url, folder):
    process = start(folder)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == CollectorError.exit_code
    assert "another collector process" in output


def test_sigterm_ends_it_well_and_it_starts_again_as_the_same(tmp_path):
    with running(tmp_path) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    first = (tmp_path / "collector.pub").read_bytes()
    assert (tmp_path / "collector.key").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "collector.db-wal").exists()
    with running(tmp_path):
        assert (tmp_path / "collector.pub").read_bytes() == first


def test_kill_9_of_the_collector_loses_nothing_it_acknowledged(tmp_path, journal):
    Enrolment(tmp_path / "terminals").enrol(7, KEY.public_key())
    for _ in range(3):
        append(journal, 400)
        with running(tmp_path) as (process, address), syncing(journal, address, tmp_path) as client:
            threading.Timer(0.02, process.kill).start()
            report = client.sync_once()
        assert report.unsent == 0 or report.problem is not None
    with running(tmp_path) as (_, address), syncing(journal, address, tmp_path) as client:
        assert client.sync_once().problem is None
        total = books_of(address)
        assert total["total"]["records"] == journal.head.sequence == 2_400
        assert {alarm["kind"] for alarm in total["alarms"]} == {"clock"}


def test_a_collector_that_is_down_is_said_and_nothing_is_lost(journal, folder, url, unused_port):
    append(journal, 1)
    with syncing(journal, f"http://127.0.0.1:{unused_port}", folder) as client:
        report = client.sync_once()
    assert "cannot be reached" in report.problem.what
    assert "Nothing is lost" in report.problem.advice
    assert journal.unsent == 2


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound but not listening: connections are refused


@pytest.mark.parametrize("address", ["nonsense", "http://", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_an_address_that_is_none(address):
    with pytest.raises(CollectorError, match="no collector's address"):
        HttpLink(address)


def serve_bytes(answer: bytes) -> tuple[str, threading.Thread]:
    """A server that sends `answer` to whatever comes first, and closes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with listening, connection:
            connection.recv(65_536)
            try:
                connection.sendall(answer)
            except OSError:
                assert len(answer) > 65_536  # the client has heard enough

    thread = threading.Thread(target=serve)
    thread.start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}", thread


ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n" + bytes(4_000_000)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "cannot be reached"),
        # Its connection ends with it: the end may arrive before the answer.
        (b"\x00\x01\x02", "does not answer as a collector does|cannot be reached"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut", "cannot be reached"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", "status 302"),
        (ENDLESS, "answers without end"),
    ],
    ids=["silence", "noise", "cut", "redirect", "endless"],
)
def test_answers_no_collector_gives(journal, folder, url, answer, problem):
    append(journal, 1)
    address, thread = serve_bytes(answer)
    with syncing(journal, address, folder) as client:
        assert re.search(problem, str(client.sync_once().problem))
    thread.join()
    assert journal.acknowledged_through == 0
