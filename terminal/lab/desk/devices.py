"""The devices around the driver's terminal: the product's own ports, and behind them twins that the page moves.

Lamps, buzzer, barrier and contacts are on a chip in memory, printer and scanner at the far end of pseudo-terminals,
which the ports open as any serial line. The twins stay when the terminal is started anew; the ports go with it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from cardproto.connection import CardConnection
from sim.periphery.lines import SimLines
from sim.periphery.printer import SimPrinter
from sim.periphery.pseudo_terminal import PseudoTerminal
from sim.periphery.scanner import SimScanner
from terminal.app.config.periphery import (
    SIMULATED,
    BarrierTable,
    GpioTable,
    LampsTable,
    PeripheryTables,
    PowerTable,
    PrinterTable,
    ScannerTable,
)
from terminal.app.periphery import Periphery
from terminal.app.tickets import Tickets
from terminal.clock import SystemClock
from terminal.decision.outcome import Outcome
from terminal.journal.key_file import key_path
from terminal.operations.log import Level, Log
from terminal.operations.notify import ServiceManager
from terminal.operations.vitals import Identity, Vitals
from terminal.reader.presence import PresenceState
from terminal.tap import CODE_REFUSED, Terminal, take_code
from terminal.tap_report import TapReport

LOOK_S: Final = 0.25
"""Between two looks at what the devices have said, as the loop of a running terminal has it."""
GATHER_S: Final = 0.04
"""Changes within it are one piece of news."""
SOUNDS: Final = 16
PAPER_LINES: Final = 120
"""What a page shows of the roll."""
LANGUAGE: Final = "ru"
"""Of tickets: the passengers'."""
LAMPS: Final = LampsTable(
    ready="lamp_white",
    accepted="lamp_green",
    attention="lamp_yellow",
    refused="lamp_red",
    buzzer="buzzer_low",
    buzzer_high="buzzer_high",
)
BARRIER: Final = BarrierTable(line="gate_open", passed="gate_passed", forced="gate_is_open")
POWER: Final = PowerTable(failing="power_fail", tamper="tamper")
SERIAL: Final = "serial"


class Hands(Struct, frozen=True):
    """What a hand does to the twins; what is None stays as it is."""

    passes: bool = False
    """A person goes through the barrier, open or not."""
    forced: bool | None = None
    """The barrier is pushed open, or shut."""
    scan: str | None = None
    supply: bool | None = None
    housing: bool | None = None
    """Open."""
    paper: bool | None = None
    """A new roll, or none."""


class DeskDevices:
    """`stirred` hears that something has changed, and whether a row was written of it, on a thread of these devices.
    `lock` is held while they are looked at.
    """

    def __init__(self, lock: threading.RLock, stirred: Callable[[bool], None]) -> None:
        tables = PeripheryTables(lamps=LAMPS, barrier=BARRIER, power=POWER)
        self.lines = SimLines(tuple(tables.outputs.values()), tuple(tables.inputs.values()))
        self.printer: SimPrinter | None = None
        self.scanner: SimScanner | None = None
        self._paths: dict[str, Path] = {}
        if find_spec(SERIAL) is not None:
            paper, codes = PseudoTerminal(), PseudoTerminal()
            self.printer, self.scanner = SimPrinter(paper), SimScanner(codes)
            self.printer.changed = self._stir
            self._paths = {"printer": paper.device, "scanner": codes.device}
        self.lines.changed = self._stir
        self.scanned: Callable[[bytes, int, TapReport], None] = lambda _code, _head, _report: None
        """Hears of a code that was served: its text, the newest row before it, how it ended."""
        self.during_tap: Final = threading.Lock()
        """Held during each tap, so that a failing supply finds its end."""
        self._lock = lock
        self._stirred = stirred
        self._ports: Periphery | None = None
        self._vitals: Vitals | None = None
        self._terminal: Terminal | None = None
        self._key: Path | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk devices", daemon=True)

    # with the terminal

    def start(self, terminal: Terminal, state: Path) -> None:
        """Connect the ports to `terminal`, which has just been opened."""
        ports = Periphery(self._tables(), SystemClock(), self.lines)
        vitals = _vitals(terminal, state)
        tickets = Tickets(terminal, LANGUAGE, "")
        ports.start(
            terminal, vitals, self.during_tap, None, tickets, lambda code: self._serve(terminal, code)
        )
        self._terminal, self._vitals, self._key = terminal, vitals, key_path(terminal.journal.path)
        self._ports = ports
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """The terminal is about to be closed."""
        ports, self._ports, self._terminal = self._ports, None, None
        if ports is not None:
            ports.close()

    def close(self) -> None:
        """The twins go, too."""
        self.stop()
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        for twin in (self.printer, self.scanner):
            if twin is not None:
                twin.close()

    def _tables(self) -> PeripheryTables:
        return PeripheryTables(
            gpio=GpioTable(chip=SIMULATED),
            lamps=LAMPS,
            barrier=BARRIER,
            printer=PrinterTable(device=self._paths.get("printer")),
            scanner=ScannerTable(serial=self._paths.get("scanner")),
            power=POWER,
        )

    # with each tap

    @property
    def turns_away(self) -> bool:
        """Whether no tap may begin."""
        return self._ports is not None and self._ports.turns_away()

    @property
    def tampered(self) -> bool:
        """Whether the journal's key is wiped."""
        power = None if self._ports is None else self._ports.power
        return power is not None and power.tampered

    def guarded(self, connection: CardConnection) -> CardConnection:
        """`connection`, cut short while the supply fails."""
        return connection if self._ports is None else self._ports.guarded(connection)

    def outcome(self, outcome: Outcome) -> None:
        """A result, as soon as it is known."""
        if self._ports is not None:
            self._ports.outcome(outcome)

    def report(self, report: TapReport) -> None:
        """A tap has ended, and its end is on record."""
        if self._ports is not None:
            self._ports.report(report)

    # from the page

    def move(self, hands: Hands) -> None:
        """Do that."""
        if hands.passes:
            self._contact(BARRIER.passed, True)
            self._contact(BARRIER.passed, False)
        if hands.scan is not None and self.scanner is not None:
            self.scanner.scan("".join(sign for sign in hands.scan if sign.isprintable()).encode())
        if hands.paper is not None and self.printer is not None:
            self.printer.load(None if hands.paper else 0)
        self._contact(BARRIER.forced, hands.forced)
        self._contact(POWER.failing, None if hands.supply is None else not hands.supply)
        self._contact(POWER.tamper, hands.housing)
        self._stir()

    def _contact(self, line: str | None, active: bool | None) -> None:
        if line is not None and active is not None:
            self.lines.move(line, active)

    def as_json(self) -> dict[str, Any]:
        """How the twins stand, and what the terminal's ports say of them."""
        stands, status = self.lines.lines, None if self._ports is None else self._ports.status()
        counts = {} if status is None else status.counts
        printer, vitals, terminal = self.printer, self._vitals, self._terminal
        return {
            "serial": printer is not None,
            "lamps": {key: stands[str(getattr(LAMPS, key))] for key in _LAMP_KEYS},
            "buzzer": "high" if stands["buzzer_high"] else "low" if stands["buzzer_low"] else "",
            "sounds": self._sounds(),
            "barrier": {
                "open": stands["gate_open"],
                "forced": stands["gate_is_open"],
                **{key: counts.get(f"barrier_{key}", 0) for key in ("opened", "passed")},
                "alarms": counts.get("barrier_forced", 0),
            },
            "paper": [] if printer is None else printer.lines[-PAPER_LINES:],
            "has_paper": printer is not None and printer.has_paper,
            "printed": 0 if printer is None else printer.cuts,
            "waiting": 0 if status is None else status.waiting_tickets,
            "codes": counts.get("scanner_codes", 0),
            "printed_waits": terminal is not None
            and terminal.codes is not None
            and terminal.codes.waiting(terminal.clock.now()) is not None,
            "supply": not stands["power_fail"],
            "failures": counts.get("power_failures", 0),
            "housing": stands["tamper"],
            "tampered": self.tampered,
            "key": self._key is not None and self._key.exists(),
            "unsent": 0 if terminal is None else terminal.journal.unsent,
            "failing": [] if vitals is None else sorted(vitals.devices_failing),
        }

    def _sounds(self) -> list[dict[str, Any]]:
        """The newest tones, each with its number since the beginning, its pitch and how long it was."""
        begun: dict[str, float] = {}
        found: list[dict[str, Any]] = []
        for line, active, at_s in tuple(self.lines.history):
            pitch = _PITCH.get(line)
            if pitch is None:
                continue
            if active:
                begun[pitch] = at_s
            elif pitch in begun:
                since_s = begun.pop(pitch)
                found.append(
                    {"at_ms": round(since_s * 1000), "pitch": pitch, "ms": round((at_s - since_s) * 1000)}
                )
        return found[-SOUNDS:]

    # on a thread of their own

    def _stir(self) -> None:
        self._wake.set()

    def _serve(self, terminal: Terminal, code: bytes) -> None:
        """A code that the scanner has read, between two taps."""
        if terminal.codes is None:
            terminal.signal(CODE_REFUSED)
            return
        head = terminal.journal.head.sequence
        with self.during_tap:
            report = take_code(code, terminal.codes, terminal)
        self.report(report)
        self.scanned(code, head, report)

    def _run(self) -> None:
        while not self._stop.is_set():
            stirred = self._wake.wait(LOOK_S)
            if stirred:  # what comes right after a wait that ended in vain is for the next one
                self._wake.clear()
            written = self._look()
            if written or stirred:
                self._stirred(written)
            self._stop.wait(GATHER_S)

    def _look(self) -> bool:
        """As the loop of a running terminal looks; whether it wrote a row."""
        if not self._lock.acquire(blocking=False):
            return False  # a tap, or the end: the next look is soon
        try:
            ports, vitals, terminal = self._ports, self._vitals, self._terminal
            if ports is None or vitals is None or terminal is None:
                return False
            head = terminal.journal.head.sequence
            ports.look()
            vitals.beat(PresenceState.WAIT_FOR_CARD)
            return terminal.journal.head.sequence != head
        finally:
            self._lock.release()


_LAMP_KEYS: Final = ("ready", "accepted", "attention", "refused")
_PITCH: Final = {LAMPS.buzzer: "low", LAMPS.buzzer_high: "high"}


def _vitals(terminal: Terminal, state: Path) -> Vitals:
    """What the ports report to; the page shows it instead of a log."""
    identity = Identity(terminal.number, terminal.profile, "desk", state, "desk")
    log = Log(terminal.number, terminal.clock, least=Level.ERROR, write=lambda _line: None)
    return Vitals(identity, terminal.journal, terminal.clock, terminal.clock_watch, log, ServiceManager())
