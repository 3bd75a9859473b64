"""What signed bundles cost a terminal: a look with nothing new, and the process that waits for the next."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.result import Result, at_most
from terminal.app.bundles import COMMAND
from terminal.clock import SystemClock, unix_ms
from terminal.side_process import frame
from terminal.updates.bundle.looking import look_at
from terminal.updates.bundle.messages import BundleReport, BundleSettings, Look, up_frames
from tests.terminal.updates.bundle.repository import Publisher

LOOKS = 40
WATCHED_S = 10.0
ROLES = ("tariff", "routes", "deny", "grants", "assign", "staff")
TICKS = os.sysconf("SC_CLK_TCK")


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _published() -> Iterator[tuple[Path, BundleSettings]]:
    """A repository with a file of each kind, and a terminal that trusts it."""
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher(Path(folder, "repository"))
        publisher.put("tariff", "city", {"region.toml": b"t" * 8000, "tables.bin": b"t" * 200_000})
        publisher.put("deny", "all", {"deny-list": b"d" * 80_000})
        publisher.put("routes", "city", {"routes.toml": b"r" * 20_000})
        publisher.publish()
        state = Path(folder, "state")
        publisher.pin(state)
        yield publisher.folder, BundleSettings(state=str(state), number=1, sources=(), wanted=ROLES)


def looking() -> Iterator[Result]:
    """CPU of the process that fetches; the other side of HTTP is another thread and is not counted."""
    with _published() as (repository, settings):
        spent = _look_ms(settings, str(repository))
        note = f"median of {LOOKS}, six roles"
        yield at_most("CPU of a look with nothing new, folder", spent, "ms", 35, note)
        with _served(repository) as address:
            yield at_most("CPU of a look with nothing new, HTTP", _look_ms(settings, address), "ms", 35, note)


def _look_ms(settings: BundleSettings, source: str) -> float:
    spent = []
    for number in range(LOOKS + 1):
        now_ms = unix_ms(SystemClock().now())
        begun_s = time.thread_time()
        report = look_at(settings, Look(number=number, now_ms=now_ms, floor_ms=0), source, lambda: None)
        spent.append(1000 * (time.thread_time() - begun_s))
        assert report.fault is None, report
    return sorted(spent[1:])[LOOKS // 2]


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def waiting() -> Iterator[Result]:
    """The real process, after its first look."""
    with _published() as (repository, settings):
        process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            given = BundleSettings(
                state=settings.state, number=1, sources=(str(repository),), wanted=settings.wanted
            )
            look = Look(number=1, now_ms=unix_ms(SystemClock().now()), floor_ms=0)
            process.stdin.write(frame(given) + frame(look))
            process.stdin.flush()
            frames = up_frames()
            while not any(
                isinstance(one, BundleReport) for one in frames.feed(os.read(process.stdout.fileno(), 65536))
            ):
                pass
            before = _ticks(process.pid)
            time.sleep(WATCHED_S)
            share = 100 * (_ticks(process.pid) - before) / TICKS / WATCHED_S
            yield at_most("CPU of the waiting process that fetches", share, "%", 1, f"{WATCHED_S:g} s")
            rss_mb = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf(
                "SC_PAGE_SIZE"
            )
            yield at_most("its resident memory, after a look", rss_mb / (1 << 20), "MB", 60)
        finally:
            process.stdin.close()
            process.wait(timeout=20)
            process.stdout.close()


def _ticks(process: int) -> int:
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])
