"""The processes that judge documents, so that no text however long it takes can hold up the desk.

    python -m terminal.lab.desk.tariff.judges FOLDER     # orders on standard input, answers on standard output

A process answers one order after the other, each a line of JSON. One that takes longer than `DEADLINE_S`, or whose
page has sent a newer order meanwhile, is ended, and the next order gets another.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from terminal.errors import TerminalError
from terminal.lab.desk.tariff.judge import LONGEST_TEXT, TariffOrder, answer

DEADLINE_S: Final = 10.0
MOST_AT_ONCE: Final = 2
"""Documents judged at the same moment; further pages wait."""
STOP_S: Final = 5.0


class NotJudged(TerminalError):
    """The order got no answer; the text is as good or bad as before."""


class OrderOvertaken(NotJudged):
    """The same page has sent a newer order."""

    def __init__(self) -> None:
        super().__init__("a newer text has taken its place", "Wait for the answer to that.")


class Judges:
    """At most `most` processes, each started when it is first needed. Methods may be called from any thread."""

    def __init__(self, folder: Path, *, deadline_s: float = DEADLINE_S, most: int = MOST_AT_ONCE) -> None:
        """The files of a document's feed lie in `folder`."""
        self._folder = folder
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._places = threading.Semaphore(most)
        self._idle: list[_JudgeProcess] = []
        self._orders: dict[str, _Waiting] = {}
        self._closed = False

    @property
    def under_way(self) -> frozenset[str]:
        """The pages whose order is not answered yet."""
        with self._lock:
            return frozenset(self._orders)

    def warm_up(self) -> None:
        """Start a process before the first order comes, unless there is one."""
        with self._lock:
            if not self._idle and not self._orders and not self._closed:
                self._idle.append(_JudgeProcess(self._folder))

    def ask(self, order: TariffOrder) -> bytes:
        """The answer in JSON. Raises `OrderOvertaken`, or `NotJudged` for a text that is too long or takes too long."""
        for text in (order.text, order.scenarios, order.original):
            if len(text.encode()) > LONGEST_TEXT:
                raise NotJudged(f"the text is longer than {LONGEST_TEXT} bytes", "Take a part of it away.")
        with self._waiting(order.tab) as waiting, self._places, self._process(waiting) as process:
            found = process.ask(msgspec.json.encode(order), self._deadline_s)
        if found is not None:
            return found
        if waiting.overtaken:
            raise OrderOvertaken
        if process.killed:
            raise NotJudged(
                f"checking takes longer than {self._deadline_s:g} seconds",
                "Make the document or the scenarios shorter.",
            )
        raise NotJudged("the check ended with an error", "Its last words stand where the desk was started.")

    def close(self) -> None:
        """End all processes; later orders are not judged."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            orders = list(self._orders.values())
        for waiting in orders:
            waiting.overtake()
        for process in idle:
            process.end()

    @contextmanager
    def _waiting(self, tab: str) -> Iterator[_Waiting]:
        """The one order of `tab`; an older one is given up."""
        own = _Waiting()
        with self._lock:
            older = self._orders.get(tab)
            self._orders[tab] = own
        if older is not None:
            older.overtake()
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
                raise NotJudged("the desk is being closed", "Start it again with `make desk`.")
            process = self._idle.pop() if self._idle else _JudgeProcess(self._folder)
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
        self._process = subprocess.Popen(  # noqa: S603 our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    @property
    def lives(self) -> bool:
        return not self.killed and self._process.poll() is None

    def ask(self, order: bytes, deadline_s: float) -> bytes | None:
        """The answer; None when the process was ended before it came."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        too_late = threading.Timer(deadline_s, self.kill)
        too_late.start()
        try:
            self._process.stdin.write(order + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            return None
        finally:
            too_late.cancel()
        if line.endswith(b"\n"):
            return line
        self._process.wait()
        return None

    def kill(self) -> None:
        self.killed = True
        self._process.kill()

    def end(self) -> None:
        """Let it end, and wait for it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # it ended first, with an order half written
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Answer orders until there are no more."""
    folder = Path(sys.argv[1])
    for line in sys.stdin.buffer:
        found = answer(msgspec.json.decode(line, type=TariffOrder), folder)
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
