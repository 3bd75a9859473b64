"""What ten thousand idle and two hundred slow connections of strangers cost one of our terminals.

`python -m bench.strangers` runs the whole of it: a collector as its own process, a crowd of strangers from fifty
addresses of 127/8 as another, and our terminals that share one address, first alone and then beside the crowd.
What counts is the ratio of the two 99th percentiles: how long one upload takes, its connection included where it
needs a new one. `--idle`, `--slow`, `--uploads` make it smaller. Linux only: 127/8 is one machine there.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import os
import selectors
import socket
import statistics
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.collector import KEY, _cpu_s
from bench.result import Result, at_most
from terminal.app.collector import start_collector
from terminal.collector.enrolment import Enrolment
from terminal.collector.front import files_for
from terminal.journal.chain import Head, genesis, link
from terminal.journal.records import Started, build_record
from terminal.sync import wire

IDLE: Final = 10_000
SLOW: Final = 200
ADDRESSES: Final = 50
UPLOADS: Final = 3_000
TERMINALS: Final = 20
ROWS: Final = 5
NEW_CONNECTION_EVERY: Final = 10
AGAIN_S: Final = 5.0
"""How soon a stranger whose connection was ended comes back."""
DRIBBLE_S: Final = 1.0
LIMIT: Final = 3.0
START_MS: Final = 1_770_000_000_000
_HEAD: Final = b"POST /v1/batches HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"


@dataclass(slots=True)
class Crowd:
    """Strangers: `idle` connections that say nothing, `slow` ones that send a byte a second, of a head or of a body.

    What is ended comes again after `AGAIN_S`.
    """

    host: str
    port: int
    idle: int
    slow: int
    addresses: int = ADDRESSES
    ended: int = 0
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _open: dict[socket.socket, int] = field(default_factory=dict)
    _again: deque[tuple[float, int]] = field(default_factory=deque)
    _sent: Counter[int] = field(default_factory=Counter)
    _dribbled_at: float = 0.0

    def __post_init__(self) -> None:
        self._again.extend((0.0, number) for number in range(self.slow + self.idle))

    def __len__(self) -> int:
        return len(self._open)

    def turn(self, wait_s: float = 0.05) -> None:
        """Connect what is due, send what is due, and notice what was ended."""
        now = time.monotonic()
        for _ in range(500):
            if not self._again or self._again[0][0] > now:
                break
            self._connect(self._again.popleft()[1])
        if now - self._dribbled_at >= DRIBBLE_S:
            self._dribbled_at = now
            for stranger, number in list(self._open.items()):
                if number < self.slow:
                    self._dribble(stranger, number)
        for key, _ in self._selector.select(wait_s):
            self._look(key.fileobj)

    def close(self) -> None:
        for stranger in list(self._open):
            self._end(stranger)
        self._selector.close()

    def _connect(self, number: int) -> None:
        stranger = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        stranger.setblocking(False)
        address = number % self.addresses
        stranger.bind((f"127.0.{1 + address // 250}.{1 + address % 250}", 0))
        stranger.connect_ex((self.host, self.port))
        self._open[stranger] = number
        self._sent[number] = 0
        self._selector.register(stranger, selectors.EVENT_READ)

    def _dribble(self, stranger: socket.socket, number: int) -> None:
        at = self._sent[number]
        # Half of them send a head byte by byte, half a whole head and then a body byte by byte.
        data = _HEAD[at : at + 1] if number % 2 else (_HEAD if at == 0 else b"x")
        try:
            stranger.send(data)
        except BlockingIOError:
            return
        except OSError:
            self._end(stranger)
            return
        self._sent[number] = at + 1

    def _look(self, stranger: Any) -> None:
        try:
            gone = stranger.recv(4_096) == b""
        except BlockingIOError:
            return
        except OSError:
            gone = True
        if gone:
            self._end(stranger)

    def _end(self, stranger: socket.socket) -> None:
        number = self._open.pop(stranger)
        self._selector.unregister(stranger)
        stranger.close()
        self.ended += 1
        self._again.append((time.monotonic() + AGAIN_S, number))


def _crowd(host: str, port: int, idle: int, slow: int, ready: Any, stop: Any, ended: Any) -> None:
    os.nice(19)  # they stand for other machines, and would not take this one's processor
    files_for(idle + slow)
    crowd = Crowd(host, port, idle, slow)
    while not stop.is_set():
        crowd.turn()
        # All of them have come at least once; how many are left is the collector's business.
        if not ready.is_set() and crowd.ended + len(crowd) >= idle + slow:
            ready.set()
    ended.value = crowd.ended
    crowd.close()


class OwnTerminals:
    """Terminals that upload in turn, each over a connection it keeps; every tenth upload needs a new one."""

    def __init__(self, host: str, port: int, terminals: int = TERMINALS) -> None:
        self._place = (host, port)
        self._heads = {number: genesis(number) for number in range(1, terminals + 1)}
        self._connections: dict[int, http.client.HTTPConnection] = {}
        self._count = 0
        self.statuses: Counter[int] = Counter()

    def upload(self) -> float:
        """One upload; how long it took, in seconds."""
        self._count += 1
        terminal = 1 + self._count % len(self._heads)
        batch = self._batch(terminal)
        if self._count // len(self._heads) % NEW_CONNECTION_EVERY == 0:
            self._close(terminal)
        begun = time.perf_counter()
        status = self._send(terminal, batch)
        took_s = time.perf_counter() - begun
        self.statuses[status] += 1
        return took_s

    def close(self) -> None:
        for terminal in list(self._connections):
            self._close(terminal)

    def _send(self, terminal: int, batch: bytes) -> int:
        connection = self._connections.get(terminal)
        if connection is None:
            connection = self._connections[terminal] = http.client.HTTPConnection(*self._place, timeout=30)
            connection.connect()
            assert connection.sock is not None
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection.request("POST", wire.BATCHES_PATH, batch, {"content-type": wire.BATCH_TYPE})
            with connection.getresponse() as answer:
                answer.read()
                return answer.status
        except (OSError, http.client.HTTPException):
            self._close(terminal)
            return 0

    def _batch(self, terminal: int) -> bytes:
        before = head = self._heads[terminal]
        bodies = []
        for n in range(ROWS):
            body = build_record(Started(START_MS + n, "bench"))
            bodies.append(body)
            head = Head(head.sequence + 1, link(head.hash, body))
        self._heads[terminal] = head
        return wire.encode(wire.build_batch(terminal, before, tuple(bodies), head, START_MS, KEY))

    def _close(self, terminal: int) -> None:
        connection = self._connections.pop(terminal, None)
        if connection is not None:
            connection.close()


def p99_ms(own: OwnTerminals, uploads: int) -> tuple[float, float]:
    """The median and the 99th percentile of so many uploads, in ms."""
    took = sorted(own.upload() for _ in range(uploads))
    return statistics.median(took) * 1000, took[len(took) * 99 // 100] * 1000


def own_beside_strangers(idle: int = IDLE, slow: int = SLOW, uploads: int = UPLOADS) -> Iterator[Result]:
    """Our terminals alone, beside the crowd, and alone again: the quiet is measured on both sides."""
    with tempfile.TemporaryDirectory(prefix="bench-strangers-") as name:
        folder = Path(name)
        for number in range(1, TERMINALS + 1):
            Enrolment(folder / "terminals").enrol(number, KEY.public_key())
        process, url = start_collector(folder)
        try:
            host, _, port = url.removeprefix("http://").partition(":")
            own = OwnTerminals(host, int(port))
            quiet = [p99_ms(own, uploads // 2)]
            context = multiprocessing.get_context("spawn")
            ready, stop, ended = context.Event(), context.Event(), context.Value("l", 0)
            crowd = context.Process(
                target=_crowd, args=(host, int(port), idle, slow, ready, stop, ended), daemon=True
            )
            crowd.start()
            ready.wait(120)
            cpu_s, begun = _cpu_s(process.pid), time.perf_counter()
            beside = p99_ms(own, uploads)
            cpu_share = (_cpu_s(process.pid) - cpu_s) / (time.perf_counter() - begun)
            stop.set()
            crowd.join(60)
            quiet.append(p99_ms(own, uploads // 2))
            own.close()
            resident_mb = _resident_mb(process.pid)
        finally:
            process.terminate()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    alone = max(p99 for _, p99 in quiet)
    refused = sum(n for status, n in own.statuses.items() if status != 200)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    note = (
        f"{idle} idle, {slow} slow from {ADDRESSES} addresses, {ended.value} ended and back;"
        f" p99 {beside[1]:.1f} ms against {alone:.1f} ms,"
        f" median {beside[0]:.1f} against {min(median for median, _ in quiet):.1f} ms;"
        f" collector {resident_mb:.0f} MB, {cpu_share:.0%} of a core beside them; {load}"
    )
    yield at_most("own upload beside strangers, p99", beside[1] / alone, "times", LIMIT, note)
    yield at_most("own uploads refused beside strangers", refused, "uploads", 0)


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("idle", IDLE), ("slow", SLOW), ("uploads", UPLOADS)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    for result in own_beside_strangers(given.idle, given.slow, given.uploads):
        result.print()
