"""A side process of the terminal (ADR 31): started, heard, ended, started again; and the frames of its two pipes.

One daemon thread does it all, so a process that dies, hangs, floods or sends garbage costs a tap nothing. The process
has none of the terminal's environment, files or keys; it gets one pipe down and one up, and ends when they close,
however the terminal ended.

A frame is four bytes of length, then one msgpack message. Whatever breaks a limit here ends the link: neither side has
to believe the other.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from time import monotonic
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

LENGTH_BYTES: Final = 4
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
STEADY_S: Final = 60.0
"""A process that has worked so long starts over with the first pause."""
MOST_MESSAGES: Final = 300
MOST_BYTES: Final = 1 << 20
"""Of one second. A source of ours says at most a hundred things a second."""
READ_BYTES: Final = 64 * 1024
LEAVE_S: Final = 1.5
"""For the process to take leave when the terminal stops."""

MessageT = TypeVar("MessageT")


class BrokenFrame(ValueError):
    """The other side sent what is no message, or one too large."""


def frame(message: Struct) -> bytes:
    """`message` as it goes over the pipe."""
    content = msgspec.msgpack.encode(message)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


class Frames(Generic[MessageT]):
    """Takes what comes out of a pipe apart: holds at most one unfinished message of `most_bytes`."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[MessageT], most_bytes: int) -> None:
        self._decoder = decoder
        self._most_bytes = most_bytes
        self._held = bytearray()

    def feed(self, content: bytes) -> list[MessageT]:
        """The messages that are complete now, in order; raises `BrokenFrame`."""
        held, messages, at = self._held, [], 0
        held += content
        while len(held) - at >= LENGTH_BYTES:
            begins = at + LENGTH_BYTES
            size = int.from_bytes(held[at:begins], "big")
            if size > self._most_bytes:
                raise BrokenFrame(f"a message of {size} bytes, at most {self._most_bytes}")
            if len(held) - begins < size:
                break
            messages.append(self._decoded(bytes(held[begins : begins + size])))
            at = begins + size
        del held[:at]
        return messages

    def _decoded(self, content: bytes) -> MessageT:
        try:
            return self._decoder.decode(content)
        except (ValueError, RecursionError) as error:  # of msgspec, and of UTF-8
            raise BrokenFrame(f"no message: {error}") from error


class ProcessEnd(StrEnum):
    """Why a side process is started again."""

    NOT_STARTED = "not_started"
    HANGS = "hangs"
    """It said nothing for as long as it may."""
    FLOODS = "floods"
    DIED = "died"
    NOT_UNDERSTOOD = "not_understood"


class SideProgram(NamedTuple, Generic[MessageT]):
    """What is started, the first message it gets, how what it says is read, and for how long it may be silent."""

    command: Sequence[str]
    first: Struct
    frames: Callable[[], Frames[MessageT]]
    silent_s: float


def module_command(module: str) -> tuple[str, ...]:
    """Isolated: neither the environment nor the working folder says what is imported."""
    return (sys.executable, "-I", "-m", module)


class _Ended(Exception):
    """The process has to be ended, or has ended by itself."""

    def __init__(self, end: ProcessEnd, detail: str) -> None:
        super().__init__(detail)
        self.end = end
        self.detail = detail


class _Rate:
    """How much came within one second."""

    def __init__(self) -> None:
        self._begun_s = 0.0
        self._messages = self._bytes = 0

    def take(self, messages: int, size: int, now_s: float) -> None:
        """Raise `_Ended` for too much."""
        if now_s - self._begun_s >= 1.0:
            self._begun_s, self._messages, self._bytes = now_s, 0, 0
        self._messages += messages
        self._bytes += size
        if self._messages > MOST_MESSAGES or self._bytes > MOST_BYTES:
            raise _Ended(ProcessEnd.FLOODS, f"{self._messages} messages, {self._bytes} bytes within a second")


class SideProcess(Generic[MessageT]):
    """Runs the side process of `program` until `close`. `on_message` and `on_end` are called on its thread; they must
    return at once. `send` is for any thread.
    """

    def __init__(
        self,
        name: str,
        program: SideProgram[MessageT],
        on_message: Callable[[MessageT], None],
        on_end: Callable[[ProcessEnd, str], None],
    ) -> None:
        """`name` is that of its thread."""
        self._program = program
        self._on_message = on_message
        self._on_end = on_end
        self._newest: Struct | None = None
        self._sent: Struct | None = None
        self._due = b""
        self._stopping = threading.Event()
        self._wake_fd, self._woken_fd = os.pipe()
        os.set_blocking(self._woken_fd, False)
        os.set_blocking(self._wake_fd, False)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.process_id: int | None = None
        """Of the process that runs now; None between two."""
        self.starts = 0

    def start(self) -> None:
        """Start the first process; returns at once."""
        self._thread.start()

    def send(self, message: Struct) -> None:
        """Let this process have the message, and every later one; a newer one replaces it. Returns at once."""
        self._newest = message
        self._wake()

    def close(self) -> None:
        """End the process and wait for it, `LEAVE_S` at most."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._wake()
            self._thread.join()
        os.close(self._wake_fd)
        os.close(self._woken_fd)

    def _wake(self) -> None:
        try:
            os.write(self._woken_fd, b"!")
        except BlockingIOError:
            return  # it has been woken often enough

    # On the thread

    def _work(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            begun_s = monotonic()
            try:
                self._serve_one()
            except _Ended as end:
                self._on_end(end.end, end.detail)
            if monotonic() - begun_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _serve_one(self) -> None:
        """One process from its start to its end; returns when the terminal stops, else raises `_Ended`."""
        try:
            process = subprocess.Popen(  # noqa: S603 our own interpreter and module
                self._program.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise _Ended(ProcessEnd.NOT_STARTED, f"cannot be started ({error.strerror})") from error
        self.process_id = process.pid
        self.starts += 1
        try:
            self._converse(process)
        finally:
            self._end(process)

    def _converse(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        down_fd, up_fd = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(down_fd, False)
        self._sent, self._due = None, frame(self._program.first)
        frames, rate, heard_s = self._program.frames(), _Rate(), monotonic()
        silent_s = self._program.silent_s
        with selectors.DefaultSelector() as selector:
            selector.register(up_fd, selectors.EVENT_READ)
            selector.register(self._wake_fd, selectors.EVENT_READ)
            while not self._stopping.is_set():
                self._write(selector, down_fd)
                ready = {key.fd for key, _ in selector.select(heard_s + silent_s - monotonic())}
                now_s = monotonic()
                if self._wake_fd in ready:
                    os.read(self._wake_fd, READ_BYTES)
                if up_fd in ready:
                    content = os.read(up_fd, READ_BYTES)
                    if not content:
                        raise self._by_itself(process)
                    heard_s = now_s
                    messages = _parsed(frames.feed, content)
                    rate.take(len(messages), len(content), now_s)
                    for message in messages:
                        self._on_message(message)
                elif now_s - heard_s >= silent_s:
                    raise _Ended(ProcessEnd.HANGS, f"nothing heard for {silent_s:g} s")

    def _write(self, selector: selectors.BaseSelector, down_fd: int) -> None:
        """As much as the pipe takes; the newest message replaces one that was not begun."""
        newest = self._newest
        if not self._due and newest is not None and newest != self._sent:
            self._sent, self._due = newest, frame(newest)
        try:
            if self._due:
                self._due = self._due[os.write(down_fd, self._due) :]
        except BlockingIOError:
            pass  # the selector says when there is room
        except BrokenPipeError:
            self._due = b""  # it has ended, as its other pipe says
        waits = down_fd in selector.get_map()
        if self._due and not waits:
            selector.register(down_fd, selectors.EVENT_WRITE)
        elif waits and not self._due:
            selector.unregister(down_fd)

    def _by_itself(self, process: subprocess.Popen[bytes]) -> _Ended:
        """Why it ended."""
        try:
            code = process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            return _Ended(ProcessEnd.NOT_UNDERSTOOD, "it has closed its pipe and goes on")
        return _Ended(ProcessEnd.DIED, f"signal {-code}" if code < 0 else f"exit code {code}")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Close the pipes and, unless it was at fault, give the process time to take its leave."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(LEAVE_S if self._stopping.is_set() else 0.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        self.process_id = None


def _parsed(feed: Callable[[bytes], list[MessageT]], content: bytes) -> list[MessageT]:
    try:
        return feed(content)
    except BrokenFrame as error:
        raise _Ended(ProcessEnd.NOT_UNDERSTOOD, str(error)) from error
