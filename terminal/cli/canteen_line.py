"""A line to the counter of a running terminal, so that staff can work while cards are being served.

A running canteen terminal owns its journal, and nobody else may write it. So `terminal canteen …` sends its words to
that process, which does the work between two taps and sends back what the command would have printed. The line
listens on loopback only and answers whoever holds the token, which lies in the terminal's own folder.
"""

from __future__ import annotations

import hmac
import io
import secrets
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import typer.main

from terminal.app.canteen import CANTEEN_FOLDER
from terminal.canteen.desk import CanteenDesk
from terminal.cli.fault import explain
from terminal.clock import Clock
from terminal.errors import TerminalError
from terminal.files import replace_file

LINE_FILE: Final = "counter.json"
LOOPBACK: Final = "127.0.0.1"
MAX_BYTES: Final = 1 << 20
PATIENCE_S: Final = 20.0


class _Address(msgspec.Struct, frozen=True):
    port: int
    token: str


class _Request(msgspec.Struct, frozen=True):
    token: str
    words: list[str]


class Answer(msgspec.Struct, frozen=True):
    """What the command printed there, and the code it ends with."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter at work. Whoever has `turn` works at it: a tap or a command, never both."""

    desk: CanteenDesk
    clock: Clock
    turn: threading.Lock


_here: ContextVar[Counter | None] = ContextVar("counter", default=None)


def counter_here() -> Counter | None:
    """The counter a command is to work at inside its process; None in a process of the command's own."""
    return _here.get()


@contextmanager
def open_line(state: Path, counter: Counter) -> Iterator[None]:
    """Take commands for `counter` until the end of the block."""
    token = secrets.token_hex(16)

    class Handler(socketserver.StreamRequestHandler):
        timeout = PATIENCE_S

        def handle(self) -> None:
            with suppress(OSError, msgspec.DecodeError):  # whoever sends nonsense or leaves gets no answer
                request = msgspec.json.decode(self.rfile.readline(MAX_BYTES), type=_Request)
                if hmac.compare_digest(request.token, token):
                    self.wfile.write(msgspec.json.encode(_work(counter, request.words)) + b"\n")

    path = state / CANTEEN_FOLDER / LINE_FILE
    with socketserver.TCPServer((LOOPBACK, 0), Handler) as server:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, msgspec.json.encode(_Address(server.server_address[1], token)))
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="counter", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            path.unlink(missing_ok=True)


def ask(state: Path, words: Sequence[str]) -> Answer | None:
    """Have the running terminal in `state` do `terminal canteen WORDS…`; None when none listens there."""
    try:
        address = msgspec.json.decode((state / CANTEEN_FOLDER / LINE_FILE).read_bytes(), type=_Address)
        with socket.create_connection((LOOPBACK, address.port), PATIENCE_S) as line:
            line.sendall(msgspec.json.encode(_Request(address.token, list(words))) + b"\n")
            with line.makefile("rb") as answer:
                return msgspec.json.decode(answer.readline(), type=Answer)
    except (OSError, msgspec.DecodeError):
        return None


def _work(counter: Counter, words: Sequence[str]) -> Answer:
    """Run the command in this process, at `counter`, with its output caught."""
    from terminal.cli.canteen import app

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    command, code = typer.main.get_command(app), 0
    with counter.turn, redirect_stdout(out), redirect_stderr(err):
        here = _here.set(counter)
        try:
            command.main(list(words), "terminal canteen")
        except TerminalError as error:
            code = explain(error)
        except SystemExit as ended:  # how every command ends, also one that was misspelt
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            _here.reset(here)
    return Answer(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
