"""What a laboratory moves by hand at a running terminal: the cards on its simulated reader, and its clock.

`[laboratory] clock = true` in `terminal.toml` gives the terminal a clock that stands still until it is moved;
`control = PATH` a Unix socket, for this machine's user only, on which a program says what happens next. A message is
one JSON object on one line, and so is its answer:

    {"do": "present", "card": "CARD.json"}   lay that card image file on the reader; it is written back after its tap;
                                             "leaves_at": 7 takes it away at its seventh command, before it does it, or
                                             with "executed": true before its answer
    {"do": "await", "timeout_s": 10}         wait until its tap has ended; "tap": as `terminal run --json` prints it;
                                             "reports": 3 waits for so many reports of the vehicle's sources, too
    {"do": "remove"}                         take the card away
    {"do": "clock", "step_s": 5}             let so much time pass, by the wall clock and the monotonic one
    {"do": "clock", "set": "2026-09-15T08:00:00+03:00"}     let time pass until then
    {"do": "clock", "jump_s": -7200}         move the wall clock alone, as a fault does; "step_s" may stand beside it
    {"do": "line", "name": "tamper", "active": true}        move a contact in memory; "bounces": 3 chatters first
    {"do": "lines"}                          "lines" as they stand; "changes" of outputs: [line, active, monotonic_s]
    {"do": "status"}                         {"ready": …, "card": …, "taps": …, "now": …, "monotonic_s": …, …}

An answer holds "ok": true, or "ok": false with "what" and "advice"; nothing was done then. Neither exists with a real
reader. `await` without a card waits until the terminal serves cards: one laid there before lay there at the start.
"""

from __future__ import annotations

import socket
import socketserver
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from terminal.app.output import report_as_json
from terminal.app.simulated import CardsByHand, LinesByHand
from terminal.clock import Clock, SystemClock
from terminal.decoding import decoded
from terminal.errors import ConfigError, ControlError, TerminalError
from terminal.files import OWNER_ONLY
from terminal.tap_report import TapReport
from terminal.trip.vehicle import VehicleLink

MAX_LINE_BYTES: Final = 8 * 1024
MAX_CLIENTS: Final = 8
LONGEST_STEP_S: Final = 20 * 366 * 86_400
LONGEST_WAIT_S: Final = 120
MOST_EXCHANGES: Final = 1000
Seconds = Annotated[float, Meta(ge=-LONGEST_STEP_S, le=LONGEST_STEP_S)]


class HandClock:
    """A terminal's clock that stands still between two moves; any thread may read and move it."""

    def __init__(self, starts_at: datetime) -> None:
        self._wall = starts_at.astimezone(UTC)
        self._monotonic_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._wall

    def monotonic(self) -> float:
        with self._lock:
            return self._monotonic_s

    def move(self, step_s: float = 0.0, jump_s: float = 0.0) -> None:
        """Let `step_s` pass, and move the wall clock alone by `jump_s`, both at once. Raises `ControlError`."""
        if step_s < 0:
            raise ControlError(f"time cannot go back by {-step_s:g} s", "A wall clock that does is a jump.")
        with self._lock:
            try:
                self._wall += timedelta(seconds=step_s + jump_s)
            except OverflowError as error:
                raise ControlError("no calendar holds that moment", "Name a nearer one.") from error
            self._monotonic_s += step_s


def stepped_clock(starts_at: str | None) -> HandClock:
    """The clock of `[laboratory]`, at `starts_at` or at the machine's own time."""
    return HandClock(SystemClock().now() if starts_at is None else datetime.fromisoformat(starts_at))


class PresentCard(Struct, frozen=True, tag_field="do", tag="present", forbid_unknown_fields=True):
    """Lay the card of this image file on the reader; with `leaves_at` it leaves at that exchange, before it does the
    command, or after it where `executed`."""

    card: str
    leaves_at: Annotated[int, Meta(ge=0, le=MOST_EXCHANGES)] = 0
    executed: bool = False


class RemoveCard(Struct, frozen=True, tag_field="do", tag="remove", forbid_unknown_fields=True):
    """Take the card away."""


class AwaitTap(Struct, frozen=True, tag_field="do", tag="await", forbid_unknown_fields=True):
    """Wait until the tap of the card laid down last has ended, or, without one, until cards are served; with `reports`,
    until the vehicle's sources have reported so often since the start, too."""

    reports: Annotated[int, Meta(ge=0)] = 0
    timeout_s: Annotated[float, Meta(gt=0, le=LONGEST_WAIT_S)] = 10.0


class MoveClock(Struct, frozen=True, tag_field="do", tag="clock", forbid_unknown_fields=True):
    """Let time pass, by `step_s` or until `set`; `jump_s` moves the wall clock alone."""

    step_s: Seconds = 0.0
    jump_s: Seconds = 0.0
    set: Annotated[datetime, Meta(tz=True)] | None = None


class AskStatus(Struct, frozen=True, tag_field="do", tag="status", forbid_unknown_fields=True):
    """How things stand."""


class MoveLine(Struct, frozen=True, tag_field="do", tag="line", forbid_unknown_fields=True):
    """Open or close a contact, which chatters so often before it stands."""

    name: str
    active: bool
    bounces: Annotated[int, Meta(ge=0, le=1000)] = 0


class AskLines(Struct, frozen=True, tag_field="do", tag="lines", forbid_unknown_fields=True):
    """How the lines stand, and what they did."""


HandCommand: TypeAlias = PresentCard | RemoveCard | AwaitTap | MoveClock | AskStatus | MoveLine | AskLines
_commands: Final = msgspec.json.Decoder(HandCommand)


class Laboratory:
    """One terminal's hand: does what is said on the socket, and hears of every tap."""

    def __init__(
        self,
        cards: CardsByHand,
        clock: Clock,
        language: str,
        vehicle: VehicleLink | None = None,
        lines: LinesByHand | None = None,
    ) -> None:
        self._cards = cards
        self._clock = clock
        self._vehicle = vehicle
        self._lines = lines
        self._language = language
        self._taps = 0
        self._last: TapReport | None = None

    def heard(self, report: TapReport) -> None:
        """A tap has ended; its card is free when the reader is given back."""
        self._taps += 1
        self._last = report

    def do(self, line: bytes) -> dict[str, Any]:
        """Do what stands in `line`; the answer. Never raises: what is wrong is the answer."""
        try:
            return {"ok": True, **self._done(decoded(_commands, line, MAX_LINE_BYTES))}
        except msgspec.DecodeError as error:
            return _refused(f"this is no command: {error}", "Send one as docs/configuration.md shows them.")
        except TerminalError as error:
            return _refused(error.what, error.advice)

    def _done(self, command: HandCommand) -> dict[str, Any]:
        match command:
            case PresentCard(card, leaves_at, executed):
                self._last = None if self._cards.settled else self._last
                self._cards.present(Path(card), leaves_at, executed=executed)
            case RemoveCard():
                self._cards.remove()
            case AwaitTap(reports, timeout_s):
                self._await_vehicle(reports, timeout_s)
                return {"tap": self._awaited(timeout_s)}
            case MoveClock():
                self._move(command)
                return self._time()
            case MoveLine(name, active, bounces):
                self._move_line(name, active, bounces)
                return {}
            case AskLines():
                lines = self._chip()
                return {"lines": lines.lines, "changes": list(lines.history)}
            case AskStatus():
                pass
        return self._status()

    def _chip(self) -> LinesByHand:
        if self._lines is None:
            raise ControlError(
                "this terminal has no lines in memory", 'Set chip = "sim" under [periphery.gpio].'
            )
        return self._lines

    def _move_line(self, name: str, active: bool, bounces: int) -> None:
        try:
            self._chip().move(name, active, bounces)
        except KeyError as error:
            raise ControlError(f"there is no contact {name!r}", "Name one of [periphery].") from error

    def _awaited(self, timeout_s: float) -> dict[str, Any] | None:
        if not self._cards.settle(timeout_s):
            raise ControlError(
                f"no tap has ended within {timeout_s:g} s", "Look at the terminal's own messages."
            )
        return None if self._last is None else report_as_json(self._last, self._language)

    def _await_vehicle(self, reports: int, timeout_s: float) -> None:
        if reports and (self._vehicle is None or not self._vehicle.heard_so_many(reports, timeout_s)):
            what = f"the vehicle has not reported {reports} times within {timeout_s:g} s"
            raise ControlError(what, "Look at [vehicle], and at what its source says.")

    def _move(self, asked: MoveClock) -> None:
        clock = self._clock
        if not isinstance(clock, HandClock):
            raise ControlError(
                "this terminal runs by the machine's clock", "Set clock = true under [laboratory]."
            )
        step_s = asked.step_s
        if asked.set is not None:
            step_s += (asked.set - clock.now()).total_seconds()
        clock.move(step_s, asked.jump_s)

    def _time(self) -> dict[str, Any]:
        return {"now": self._clock.now().isoformat(), "monotonic_s": self._clock.monotonic()}

    def _status(self) -> dict[str, Any]:
        cards, vehicle = self._cards, self._vehicle
        return {
            "ready": cards.ready,
            "card": cards.card,
            "taps": self._taps,
            "vehicle_process": None if vehicle is None else vehicle.process_id,
            "reports": 0 if vehicle is None else vehicle.reports,
            **self._time(),
        }


def _refused(what: str, advice: str) -> dict[str, Any]:
    return {"ok": False, "what": what, "advice": advice}


@contextmanager
def hand_socket(path: Path, laboratory: Laboratory) -> Iterator[None]:
    """Take commands for `laboratory` on a Unix socket at `path` until the end of the block; raises `ConfigError`.

    A socket that a terminal which was killed left there is replaced; another file is not.
    """
    try:
        if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
            raise ConfigError(f"{path} is a file already", "Name another as control under [laboratory].")
        if _answers(path):
            raise ConfigError(f"{path} moves another terminal", "Name another as control under [laboratory].")
        path.unlink(missing_ok=True)
        server = _HandServer(path, laboratory.do)
    except OSError as error:
        what = f"{path} cannot be a socket ({error.strerror or error})"
        raise ConfigError(
            what, "Name a shorter path in a folder you may write as control under [laboratory]."
        ) from error
    with server, server.answering():
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Whether a process listens on the socket at `path`."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


class _HandServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The socket, with a thread for each client; none of them keeps the process alive."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path, do: Callable[[bytes], dict[str, Any]]) -> None:
        self.do = do
        self.places = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(str(path), _HandConversation, bind_and_activate=False)
        try:
            self.server_bind()
            path.chmod(OWNER_ONLY)  # before it listens, so that another user is never let in
            self.server_activate()
        except OSError:
            self.server_close()
            raise

    @contextmanager
    def answering(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="laboratory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class _HandConversation(socketserver.StreamRequestHandler):
    """One client: a line, its answer, the next line, until it leaves."""

    server: _HandServer

    def handle(self) -> None:
        if not self.server.places.acquire(blocking=False):
            self._say(_refused("too many clients at once", "Close one of the other connections."))
            return
        try:
            while line := self._line():
                if len(line) > MAX_LINE_BYTES:
                    self._say(_refused(f"a line of more than {MAX_LINE_BYTES} bytes", "Send a shorter one."))
                    return
                self._say(self.server.do(line))
        finally:
            self.server.places.release()

    def _line(self) -> bytes:
        """The next line; empty when the client has left, in the middle of one or not."""
        try:
            return self.rfile.readline(MAX_LINE_BYTES + 1)
        except OSError:
            return b""

    def _say(self, answer: dict[str, Any]) -> None:
        with suppress(OSError):  # a client that has left hears nothing
            self.wfile.write(msgspec.json.encode(answer) + b"\n")
