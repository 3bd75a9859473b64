"""A running collector and its strangers: idle, slow, nonsensical. Our terminals upload meanwhile."""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager, suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx
import pytest

from bench.collector import KEY
from bench.strangers import Crowd, OwnTerminals
from terminal.app.collector import LOG, collector_process
from terminal.collector.callers import Callers, ConnectionShares, Proxies
from terminal.collector.enrolment import Enrolment
from terminal.collector.front import FrontServer, front_config, listen
from terminal.collector.limits import KnownAddresses
from terminal.collector.tls import ServerTls
from terminal.collector.users import OfficeRole
from terminal.sync.enrolment import ENROLMENTS_PATH
from terminal.sync.wire import BATCHES_PATH
from tests.terminal.collector.office import user_of
from tests.terminal.collector.test_tls import Authority

TERMINALS = 4
DEEP = (b"[" * 4_000, b"[" * 100_000, b'{"terminal":' * 4_000, b'{"x":' + b"[" * 100_000)


@contextmanager
def collector(folder):
    """A collector as its own process; its host and port."""
    for number in range(1, TERMINALS + 1):
        Enrolment(folder / "terminals").enrol(number, KEY.public_key())
    with collector_process(folder) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


def metrics(place) -> dict[str, float]:
    with urlopen(f"http://{place[0]}:{place[1]}/metrics") as page:
        lines = page.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}


def ended_after(sockets: dict[str, socket.socket], dribbling: set[str], most_s: float) -> dict[str, float]:
    """When the other side ended each; those in `dribbling` send a byte a second until then."""
    began, found, last = time.monotonic(), {}, 0.0
    with selectors.DefaultSelector() as selector:
        for name, one in sockets.items():
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ, name)
        while len(found) < len(sockets) and time.monotonic() - began < most_s:
            now = time.monotonic() - began
            if now - last >= 1.0:
                last = now
                for name in dribbling - found.keys():
                    with suppress(OSError):
                        sockets[name].send(b"a")
            for key, _ in selector.select(0.2):
                try:
                    gone = key.fileobj.recv(65_536) == b""
                except OSError:
                    gone = True
                if gone:
                    found[key.data] = time.monotonic() - began
                    selector.unregister(key.fileobj)
    return found


def test_what_says_nothing_or_little_is_ended_and_a_terminal_keeps_its_connection(tmp_path):
    head = b"POST /v1/batches HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"
    with collector(tmp_path) as place:
        own = OwnTerminals(*place, terminals=1)
        assert own.upload() < 30
        said = {
            "silent": b"",
            "head": head[:20],
            "body": head + b"a",
            "kept": b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n",
            "leaving": head.replace(b"/v1/batches", b"/nowhere"),
        }
        sockets = {name: socket.create_connection(place) for name in said}
        for name, data in said.items():
            sockets[name].sendall(data)
        ended = ended_after(sockets, {"head", "body"}, 40)
        kept = own._connections[1].sock
        own.upload()
        assert own._connections[1].sock is kept
        assert own.statuses == {200: 2}
        numbers = metrics(place)
        own.close()
    for one in sockets.values():
        one.close()
    assert ended.keys() == said.keys()
    assert ended["leaving"] < ended["silent"]
    assert ended["kept"] < ended["silent"]
    assert ended["body"] < ended["silent"]
    assert numbers['resident_collector_dropped_connections{cause="slow"}'] >= 4


def test_a_crowd_of_strangers_refuses_none_of_our_terminals(tmp_path):
    with collector(tmp_path) as place:
        own = OwnTerminals(*place, terminals=TERMINALS)
        for _ in range(TERMINALS):
            own.upload()
        crowd = Crowd(*place, idle=900, slow=60, addresses=8)
        deadline = time.monotonic() + 60
        while crowd.ended + len(crowd) < 960 and time.monotonic() < deadline:
            crowd.turn()
        going = threading.Event()

        def press() -> None:
            while not going.is_set():
                crowd.turn()

        pressing = threading.Thread(target=press)
        pressing.start()
        try:
            for _ in range(200):
                own.upload()
            numbers = metrics(place)
        finally:
            going.set()
            pressing.join()
            crowd.close()
            own.close()
        assert own.statuses == {200: TERMINALS + 200}
        strangers = numbers['resident_collector_connections{standing="stranger"}']
        assert strangers <= 8 * ConnectionShares().stranger_address
        assert numbers['resident_collector_dropped_connections{cause="share"}'] >= 960 - strangers - 1
    assert "Traceback" not in (tmp_path / LOG).read_text()


def test_nonsense_gets_an_answer_and_no_trace_back(tmp_path):
    with collector(tmp_path) as place:
        token = user_of(tmp_path, "17", OfficeRole.OPERATE)
        paths = (BATCHES_PATH, ENROLMENTS_PATH, "/operator/v1/alarms/1/acknowledgement")
        for path in paths:
            for deep in (*DEEP, b"\x91" * 4_000, b"\x9a" + b"\x01" * 9 + b"\x91" * 4_000):
                headers = {"Authorization": f"Bearer {token}"}
                request = Request(f"http://{place[0]}:{place[1]}{path}", deep, headers)
                status, answer = answered(request)
                assert status in (400, 413), (path, deep[:20])
                assert answer["advice"]
        for junk in (b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000, b"\r\n" * 40_000):
            with socket.create_connection(place) as one, suppress(OSError):
                one.sendall(junk)
                one.recv(65_536)
        # Nonsense behind a request that is being answered.
        with socket.create_connection(place) as one, suppress(OSError):
            one.sendall(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n\x00\xff\r\n\r\n" * 3)
            while one.recv(65_536):
                pass
        assert answered(Request(f"http://{place[0]}:{place[1]}/v1/health"))[0] == 200
    assert (tmp_path / LOG).read_text() == ""


def _whole_answer(one: socket.socket) -> bytes:
    """Head and body, which may come apart."""
    said = b""
    while not said.endswith(b"}"):
        more = one.recv(65_536)
        assert more, said
        said += more
    return said


def test_a_body_in_single_bytes_does_not_have_the_collector_to_itself(tmp_path):
    head = b"POST /v1/batches HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    with collector(tmp_path) as place:
        with socket.create_connection(place) as one:
            one.settimeout(20)
            with suppress(OSError):
                one.sendall(head + b"1\r\na\r\n" * 20_000)  # without an end
            assert one.recv(65_536).startswith(b"HTTP/1.1 400")
        with socket.create_connection(place) as one:
            one.settimeout(20)
            for _ in range(2):  # each body has its own
                one.sendall(head + (b"258\r\n" + b"a" * 600 + b"\r\n") * 1_700 + b"0\r\n\r\n")
                assert b"malformed" in _whole_answer(one), (
                    "a whole batch of the longest, in pieces as a proxy sends"
                )


def answered(request: Request) -> tuple[int, dict]:
    try:
        with urlopen(request) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def test_a_tls_handshake_that_stops_half_way_is_ended(tmp_path):
    """The service's own front, with a shorter time."""
    authority = Authority(tmp_path, "operator")
    certificate, key = authority.certify("collector")

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def story() -> tuple[bytes, bytes]:
        shares = ConnectionShares(head_s=0.4)
        callers = Callers(shares, KnownAddresses(time.monotonic), time.monotonic, Proxies())
        config = front_config(app, Proxies(), ServerTls(certificate, key))
        with closing(listen("127.0.0.1", 0)) as listening:
            server = FrontServer(config, listening, callers)
            serving = asyncio.create_task(server.serve())
            place = listening.getsockname()[:2]
            stalled, stopped = await asyncio.open_connection(*place)
            stopped.write(b"\x16\x03\x01")
            try:
                ended = await asyncio.wait_for(stalled.read(), 20)
            except ConnectionError:
                ended = b""
            trusting = ssl.create_default_context(cafile=str(authority.path))
            reading, writing = await asyncio.open_connection(*place, ssl=trusting)
            writing.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            said = await asyncio.wait_for(reading.read(), 20)
            for end in (stopped, writing):
                end.close()
            server.should_exit = True
            await serving
            assert len(callers) == 0
        return ended, said

    ended, said = asyncio.run(story())
    assert ended == b""
    assert said.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("options", "counted", "secure"),
    [
        ((), "127.0.0.1", (False, False)),
        (("--proxy=127.0.0.1",), "203.0.113.9", (False, True)),
        (("--proxy=127.0.0.1", "--proxy-tls"), "203.0.113.9", (True, True)),
    ],
)
def test_only_a_configured_proxy_states_the_senders_address(tmp_path, options, counted, secure):
    """And whether people reach it over TLS: their cookies are for TLS alone then."""
    with collector_process(tmp_path, options=options) as url:
        forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
        keys = {"signing": "0" * 64, "sealing": "0" * 64, "tls": "02" + "0" * 64, "request": ""}
        guess = {"terminal": 7, "keys": keys, "proof": "0" * 64, "signature": "0" * 128}
        asked = Request(f"{url}{ENROLMENTS_PATH}", json.dumps(guess).encode(), forwarded)
        assert answered(asked)[0] == 403
        token = user_of(tmp_path, "17", OfficeRole.OPERATE)
        asked = Request(f"{url}/operator/v1/strangers", headers={"Authorization": f"Bearer {token}"})
        assert [each["address"] for each in answered(asked)[1]] == [counted]
        # A page behind a proxy on this machine is not for local users alone.
        assert answered(Request(f"{url}/operator/v1/status"))[0] == (401 if options else 200)
        user_of(tmp_path, "18", password="correct horse battery")
        form = {"ref": "18", "password": "correct horse battery"}
        for scheme, only_tls in zip(("http", "https"), secure, strict=True):
            said = httpx.post(f"{url}/operator/sign-in", data=form, headers={"X-Forwarded-Proto": scheme})
            assert (said.status_code, "Secure" in said.headers["set-cookie"]) == (303, only_tls)
