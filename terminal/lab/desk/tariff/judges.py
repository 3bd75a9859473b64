"""The processes that judge documents, so that no text however long it takes can hold up the desk.

    python -m terminal.lab.desk.tariff.judges FOLDER     # orders on standard input, answers on standard output

A process answers one order after the other, each a line of JSON. One that takes longer than `DEADLINE_S`, or whose
page has sent a newer order meanwhile, is ended, and the next order gets another. A process ends by itself as soon as
the desk is gone, however that ended, where the order needs more than `MOST_MEMORY`, and after one that needed much.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import msgspec

from terminal.decoding import decode_json
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.tariff.judge import LONGEST_TEXT, TariffOrder, answer

DEADLINE_S: Final = 10.0
MOST_AT_ONCE: Final = 2
"""Documents judged at the same moment; further pages wait."""
MOST_WAITING: Final = 16
"""Pages whose orders wait for that; each holds one of the desk's threads."""
STOP_S: Final = 5.0
MOST_MEMORY: Final = 1 << 30
"""Bytes of addresses that a process may take, where the system keeps such a limit."""
MUCH_MEMORY: Final = 256 << 20
"""Bytes in memory; a process that has had so many is not kept."""
OUT_OF_MEMORY: Final = 3
USED_UP: Final = 4
"""Exit codes: the order needed too much memory; no order was taken any more."""


class NotJudged(DeskRefused):
    """The order got no answer; the text is as good or bad as before."""


class OrderOvertaken(NotJudged):
    """The same page has sent a newer order."""

    def __init__(self) -> None:
        super().__init__(DeskFault.OVERTAKEN)


class Judges:
    """At most `most` processes, each started when it is first needed. Methods may be called from any thread."""

    def __init__(self, folder: Path, *, deadline_s: float = DEADLINE_S, most: int = MOST_AT_ONCE) -> None:
        """The files of a document's feed lie in `folder`."""
        self._folder = folder
        self.deadline_s = deadline_s
        self._most = most
        self._lock = threading.Lock()
        self._free = threading.Condition()
        self._at_work = 0
        self._idle: list[_JudgeProcess] = []
        self._orders: dict[str, _Waiting] = {}
        self._closed = False

    @property
    def under_way(self) -> frozenset[str]:
        """The pages whose order is not answered yet."""
        with self._lock:
            return frozenset(self._orders)

    @property
    def idle(self) -> tuple[subprocess.Popen[bytes], ...]:
        """The processes that wait for orders."""
        with self._lock:
            return tuple(process.process for process in self._idle)

    def warm_up(self) -> None:
        """Start a process before the first order comes, unless there is one."""
        with self._lock:
            if not self._idle and not self._orders and not self._closed:
                self._idle.append(_JudgeProcess(self._folder))

    def ask(self, order: TariffOrder) -> bytes:
        """The answer in JSON. Raises `OrderOvertaken`, or `NotJudged` for a text that is too long or takes too long."""
        for text in (order.text, order.scenarios, order.original):
            if len(text.encode()) > LONGEST_TEXT:
                raise NotJudged(DeskFault.TOO_LONG, most=LONGEST_TEXT)
        encoded = msgspec.json.encode(order)
        with self._waiting(order.tab) as waiting, self._place(waiting):
            while True:
                with self._process(waiting) as process:
                    found = process.ask(encoded, self.deadline_s)
                if found is not None:
                    return found
                if waiting.overtaken:
                    raise OrderOvertaken
                if process.killed:
                    raise NotJudged(DeskFault.TOO_SLOW, seconds=f"{self.deadline_s:g}")
                if process.exit_code == OUT_OF_MEMORY:
                    raise NotJudged(DeskFault.TOO_LARGE)
                if process.exit_code != USED_UP:
                    raise NotJudged(DeskFault.CHECK_FAILED)

    def close(self) -> None:
        """End all processes; later orders are not judged."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            orders = list(self._orders.values())
        for waiting in orders:
            self._give_up(waiting)
        for process in idle:
            process.end()

    @contextmanager
    def _place(self, waiting: _Waiting) -> Iterator[None]:
        """One of the places, as soon as one is free; an order that is given up does not wait for it."""
        with self._free:
            self._free.wait_for(lambda: waiting.overtaken or self._at_work < self._most)
            if waiting.overtaken:
                raise OrderOvertaken
            self._at_work += 1
        try:
            yield
        finally:
            with self._free:
                self._at_work -= 1
                self._free.notify_all()

    def _give_up(self, waiting: _Waiting) -> None:
        waiting.overtake()
        with self._free:
            self._free.notify_all()

    @contextmanager
    def _waiting(self, tab: str) -> Iterator[_Waiting]:
        """The one order of `tab`; an older one is given up."""
        own = _Waiting()
        with self._lock:
            older = self._orders.get(tab)
            if older is None and len(self._orders) >= self._most + MOST_WAITING:
                raise NotJudged(DeskFault.BUSY)
            self._orders[tab] = own
        if older is not None:
            self._give_up(older)
        try:
            yield own
        finally:
            with self._lock:
                if self._orders.get(tab) is own:
                    del self._orders[tab]

    @contextmanager
    def _process(self, waiting: _Waiting) -> Iterator[_JudgeProcess]:
        """A process for one order, kept for the next one if it still lives."""
        with self._lock:
            if self._closed:
                raise NotJudged(DeskFault.CLOSED)
            process = self._ready()
        try:
            waiting.judged_by(process)
            yield process
        finally:
            waiting.done()
            with self._lock:
                keep = process.lives and not self._closed
                if keep:
                    self._idle.append(process)
            if not keep:
                process.end()

    def _ready(self) -> _JudgeProcess:
        """One that lives: what ends an idle process is not its next order's fault."""
        while self._idle:
            process = self._idle.pop()
            if process.lives:
                return process
            process.end()
        try:
            return _JudgeProcess(self._folder)
        except OSError as error:
            raise NotJudged(DeskFault.NOT_STARTED, error=error.strerror or str(error)) from error


class _Waiting:
    """An order until it is answered or given up."""

    def __init__(self) -> None:
        self.overtaken = False
        self._lock = threading.Lock()
        self._process: _JudgeProcess | None = None

    def overtake(self) -> None:
        """A newer order has come: end what this one is being judged by."""
        with self._lock:
            self.overtaken = True
            if self._process is not None:
                self._process.kill()

    def judged_by(self, process: _JudgeProcess) -> None:
        """Raises `OrderOvertaken` if it has been given up before its turn came."""
        with self._lock:
            if self.overtaken:
                raise OrderOvertaken
            self._process = process

    def done(self) -> None:
        with self._lock:
            self._process = None


class _JudgeProcess:
    """One process that answers orders."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", __spec__.name, str(folder)]
        self.killed = False
        self.process = subprocess.Popen(  # noqa: S603 our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    @property
    def lives(self) -> bool:
        return not self.killed and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self.process.poll()

    def ask(self, order: bytes, deadline_s: float) -> bytes | None:
        """The answer; None when the process was ended before it came."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        too_late = threading.Timer(deadline_s, self.kill)
        too_late.start()
        try:
            self.process.stdin.write(order + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            return None
        finally:
            too_late.cancel()
        if line.endswith(b"\n"):
            return line
        self.process.wait()
        return None

    def kill(self) -> None:
        self.killed = True
        self.process.kill()

    def end(self) -> None:
        """Let it end, and wait for it."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # it ended first, with an order half written
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main() -> None:
    """Answer orders until there are no more."""
    folder = Path(sys.argv[1])
    _limit_memory()
    begun_with = _most_used()
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_take_orders, args=(orders,), daemon=True).start()
    while _most_used() <= max(MUCH_MEMORY, begun_with):
        line = orders.get()
        try:
            found = msgspec.json.encode(answer(decode_json(line, TariffOrder), folder))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        sys.stdout.buffer.write(found + b"\n")
        sys.stdout.buffer.flush()
    os._exit(USED_UP)


def _take_orders(orders: SimpleQueue[bytes]) -> None:
    """Put them into the queue; when the desk's end of the pipe is closed, end the process in the middle of its work."""
    for line in sys.stdin.buffer:
        orders.put(line)
    os._exit(0)


def _limit_memory() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = MOST_MEMORY if most == resource.RLIM_INFINITY else min(MOST_MEMORY, most)
    with suppress(ValueError, OSError):  # a system that has the limit by name only
        resource.setrlimit(resource.RLIMIT_AS, (wanted, most))


def _most_used() -> int:
    """Bytes of memory, of this process or of the desk as it started this one: a system may count that, too."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
