"""The books in a process of their own, so that they and the intake each have a processor (ADR 62).

    terminal collector ──► keeper ──► books
            └─── pipe: terminals whose rows arrived ───►

The keeper is forked before the collector opens a file or starts a thread. It does nothing but start the process of the
books, and again when that dies. Both end when the other end of the pipe is closed: with the collector, in whatever way
that ends. What is booked and how far is one transaction of the books, and a process that begins looks how far each
terminal is: nothing that came through the pipe is needed twice.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from terminal.collector.books import Books, BooksSettings, open_books
from terminal.collector.books_reader import FollowingBooks
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore
from terminal.errors import CollectorError
from terminal.journal.lock import FileLock

AGAIN_S: Final = 1.0
END_S: Final = 10.0
LOOK_S: Final = 0.02
GARBAGE_AFTER: Final = 50_000
"""New objects between two looks for cycles, of which booking makes none."""
NUMBER_BYTES: Final = 4
GO: Final = bytes(NUMBER_BYTES)


class BooksKeeper:
    """The collector's end: the keeper is waiting from here on, and begins when `begin` is called."""

    def __init__(self, keep: Callable[[int], None], log: Callable[[str], None]) -> None:
        """`keep(pipe)` keeps the books until the pipe is closed; it runs in a process of its own. No thread may run."""
        reader, self._writer = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._writer)
            _apart(lambda: _keeper(keep, reader, log))
        os.close(reader)

    def begin(self) -> None:
        """The books may be opened. Raises `CollectorError`."""
        self._write(GO)

    def say_arrived(self, terminals: set[int]) -> None:
        """Rows of these have arrived. Raises `CollectorError`."""
        self._write(b"".join(terminal.to_bytes(NUMBER_BYTES) for terminal in terminals))

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._writer, data) :]
        except OSError as error:
            raise CollectorError(
                f"the process that keeps the books is gone: {error.strerror}", "Start the collector again."
            ) from error

    def close(self) -> None:
        """End it after the stretch in progress; the rest is booked after the next start."""
        os.close(self._writer)
        until = time.monotonic() + END_S
        while time.monotonic() < until:
            if os.waitpid(self._process, os.WNOHANG) != (0, 0):
                return
            time.sleep(LOOK_S)
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)


def _keeper(keep: Callable[[int], None], pipe: int, log: Callable[[str], None]) -> None:
    os.setpgid(0, 0)  # a Ctrl-C is for the collector, which ends this in its own way
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the same of a service manager that ends all its processes
    closed = select.poll()
    closed.register(pipe, 0)
    if not os.read(pipe, NUMBER_BYTES):
        return
    while True:
        process = os.fork()
        if process == 0:
            _apart(lambda: keep(pipe))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if code == 0:
            return
        log(f"the process that keeps the books ended with code {code} and is started again")
        if closed.poll(AGAIN_S * 1_000):
            return


def _apart(work: Callable[[], None]) -> None:
    """Do it and end this forked process, whatever comes of it."""
    code = 1
    try:
        work()
        code = 0
    except CollectorError as error:
        print(f"collector: {error}", file=sys.stderr, flush=True)
    except BaseException:  # noqa: BLE001 nothing of the collector's own end may run here
        traceback.print_exc()
    finally:
        os._exit(code)


class Arrivals:
    """The other end of the pipe: what has arrived, and whether the collector is gone."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._terminals: set[int] = set()
        self._news = threading.Event()
        self.ended = False
        threading.Thread(target=self._read, name="arrivals", daemon=True).start()

    def take(self) -> set[int]:
        """The terminals named since this was last asked."""
        with self._lock:
            self._news.clear()
            taken, self._terminals = self._terminals, set()
        return taken

    def wait(self, seconds: float | None = None) -> None:
        """Until something arrives or the collector is gone."""
        self._news.wait(seconds)

    def _read(self) -> None:
        rest = b""
        with suppress(OSError):
            while data := os.read(self._pipe, 1 << 16):
                rest += data
                whole = len(rest) - len(rest) % NUMBER_BYTES
                said = {int.from_bytes(rest[at : at + NUMBER_BYTES]) for at in range(0, whole, NUMBER_BYTES)}
                rest = rest[whole:]
                with self._lock:
                    self._terminals |= said
                    self._news.set()
        with self._lock:
            self.ended = True
            self._news.set()


def keep_books(
    path: Path, database: Path, registry: CardRegistry, settings: BooksSettings, pipe: int
) -> None:
    """Keep the books at `path` until the pipe is closed. Raises `CollectorError` when they cannot be opened."""
    gc.freeze()  # the registry above all: no look for cycles need walk it
    gc.set_threshold(GARBAGE_AFTER)
    arrivals = Arrivals(pipe)
    with (
        _lone(path),
        closing(CollectorStore(database)) as store,
        closing(Books(path, store, registry, settings)) as books,
    ):
        while not arrivals.ended:
            store.note_arrived(arrivals.take())
            try:
                while books.catch_up() and not arrivals.ended:
                    store.note_arrived(arrivals.take())
            except CollectorError as error:
                print(f"collector: {error}", file=sys.stderr, flush=True)
                time.sleep(AGAIN_S)
                continue
            arrivals.wait()


@contextmanager
def _lone(path: Path) -> Iterator[None]:
    """The one process that writes the books: one of a collector that was killed may be about to end."""
    until = time.monotonic() + END_S
    while isinstance(lock := FileLock.acquire(path), int):
        if time.monotonic() >= until:
            raise CollectorError(
                f"another process ({lock}) keeps the books {path}", "End it, then start the collector again."
            )
        time.sleep(LOOK_S)
    try:
        yield
    finally:
        lock.release()


class BooksBeside(FollowingBooks):
    """The books as the collector sees them that has a keeper for them; methods may be called from any thread."""

    def __init__(
        self, path: Path, store: CollectorStore, settings: BooksSettings, keeper: BooksKeeper
    ) -> None:
        """Open or begin them, and have them kept. Raises `CollectorError`."""
        super().__init__(path, store)
        self._keeper = keeper
        with self._reported(), _lone(path):
            open_books(path, settings.made_for()).close()
        keeper.begin()

    def catch_up(self) -> int:
        """Say what has arrived; 0, for nothing is booked here."""
        if arrived := self._store.arrived():
            self._keeper.say_arrived(arrived)
        return 0

    def catch_up_with(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Wait until everything is booked or the time is over."""
        until = monotonic() + seconds
        self.catch_up()
        while self.behind() and monotonic() < until:
            time.sleep(LOOK_S)

    def close(self) -> None:
        """Nothing is open here; the keeper is closed by who made it."""
