"""The devices around the reader of a running terminal: made from [periphery.*], hearing of taps, looked after.

A terminal without any of them imports nothing of this. A tap passes on its result, and its row where it opens a
barrier, to one thread; that one and a thread for each device do the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from msgspec.structs import asdict

from terminal.app.config.periphery import SIMULATED, PeripheryTables
from terminal.app.tickets import Tickets
from terminal.codes import PeripheryFault, Trouble
from terminal.decision.outcome import Outcome
from terminal.errors import ConfigError
from terminal.journal.key_file import wipe_key
from terminal.journal.taps import End
from terminal.messages import Colour
from terminal.operations.status import PeripheryStatus
from terminal.periphery.barrier import Barrier
from terminal.periphery.contacts import Contacts
from terminal.periphery.drivers import GpioInputs, GpioOutputs, HidStream, SerialStream, require_library
from terminal.periphery.fan_out import FanOut
from terminal.periphery.lamps import LampLayout, Lamps, tone_of
from terminal.periphery.passages import FILE, PassageFile, owed_passage
from terminal.periphery.port import LineLayout, ScannedCode
from terminal.periphery.power import Power
from terminal.periphery.printer import Printer
from terminal.periphery.scanner import Scanner
from terminal.tap import OUT_OF_ORDER

if TYPE_CHECKING:
    from cardproto.connection import CardConnection
    from terminal.app.config.settings import StationConfig
    from terminal.app.simulated import LinesByHand
    from terminal.clock import Clock
    from terminal.journal.open_records import LastIntent
    from terminal.operations.vitals import Vitals
    from terminal.periphery.contacts import OnContact
    from terminal.periphery.port import InputLines, OpenStream, OutputLines
    from terminal.sync.background import BackgroundSync
    from terminal.tap import Terminal
    from terminal.tap_report import TapReport

OPENS: Final = (End.COMMITTED, End.RECOVERED)
"""Ends of a tap whose act is done and on record, once each."""
COUNTED_S: Final = 3600.0
EDGES: Final = 6
EDGE_S: Final = 60.0
"""So many rows of contacts at once, then one in this time: a loose wire does not fill the journal."""
WAITING_CODES: Final = 4
AGAIN_S: Final = 2.0
"""A code that is read again so soon was not taken away."""


def opens_barrier(report: TapReport) -> bool:
    """ADR 48: one passage for each tap that was written here and let in; never for an answer that was repeated."""
    return report.sequence is not None and report.end in OPENS and report.outcome.accepted


def _pays_back(owed: LastIntent | None, report: TapReport) -> bool:
    """ADR 48: the rider comes again before whose passage the terminal died."""
    return owed is not None and (report.end, report.sequence) == (End.REPEATED, owed.sequence)


class Periphery:
    """The devices that are configured. `outcome` and `report` come from the tap; `look` from the presence loop."""

    def __init__(self, tables: PeripheryTables, clock: Clock, hand: LinesByHand | None) -> None:
        """Raises `ConfigError` where a library is missing that a device needs."""
        self._tables = tables
        self._clock = clock
        self.hand = hand
        outputs = self._outputs()
        layout = _lamp_layout(tables)
        self.lamps = None if outputs is None or not layout.any else Lamps(outputs, layout, clock)
        gate = tables.barrier
        self.barrier = None
        if outputs is not None and gate.line is not None:
            self.barrier = Barrier(outputs, gate.line, gate.open_ms, clock)
        self.printer, self.scanner = self._printer(), self._scanner()
        self.taps: FanOut[Outcome | int] = FanOut(self._hear)
        self.contacts: Contacts | None = None
        self.power: Power | None = None
        self._codes: deque[ScannedCode] = deque(maxlen=WAITING_CODES)
        self._last_code: ScannedCode | None = None
        self._scanned: Callable[[bytes], None] = lambda _content: None
        self._terminal: Terminal | None = None
        self._vitals: Vitals | None = None
        self._tickets: Tickets | None = None
        self._sync: BackgroundSync | None = None
        self._noted = self._counts()
        self._was_failing = self._was_tampered = False
        self._allowed, self._looked_s = float(EDGES), clock.monotonic()
        self._count_due_s = clock.monotonic() + COUNTED_S

    # What is made

    def _layout(self) -> LineLayout:
        gpio = self._tables.gpio
        return LineLayout(
            tuple(self._tables.outputs.values()),
            tuple(self._tables.inputs.values()),
            frozenset(gpio.active_low),
            frozenset(gpio.pull_up),
            gpio.debounce_ms,
        )

    def _outputs(self) -> OutputLines | None:
        chip, layout = self._tables.gpio.chip, self._layout()
        if chip is None or not (layout.outputs or layout.inputs):
            return None
        if chip == SIMULATED:
            return self.hand
        require_library("gpiod", "chip under [periphery.gpio]")
        return GpioOutputs(chip, layout)

    def _open_inputs(self) -> InputLines:
        chip = self._tables.gpio.chip
        assert chip is not None, "contacts without a chip are refused"
        return self.hand if self.hand is not None else GpioInputs(chip, self._layout())

    def _printer(self) -> Printer | None:
        table = self._tables.printer
        if table.device is None:
            return None
        require_library("serial", "device under [periphery.printer]")
        return Printer(partial(SerialStream, table.device, table.baud), table.columns, self._clock)

    def _scanner(self) -> Scanner | None:
        table = self._tables.scanner
        opened: OpenStream
        if table.serial is not None:
            require_library("serial", "serial under [periphery.scanner]")
            opened = partial(SerialStream, table.serial, table.baud)
        elif table.hid is not None:
            require_library("evdev", "hid under [periphery.scanner]")
            opened = partial(HidStream, table.hid)
        else:
            return None
        return Scanner(opened, self._on_code, self._clock)

    # Start and end

    def start(
        self,
        terminal: Terminal,
        vitals: Vitals,
        lock: Lock,
        sync: BackgroundSync | None,
        tickets: Tickets,
        scanned: Callable[[bytes], None],
    ) -> None:
        """Begin to serve. `sync` is hurried when the collector must hear at once; `scanned` gets each code, between two
        taps."""
        self._terminal, self._vitals, self._sync, self._tickets = terminal, vitals, sync, tickets
        self._scanned = scanned
        if terminal.codes is not None:
            terminal.codes.serve = self._read_again
        self.power = Power(self._clock, lock, terminal.journal.checkpoint, self._wipe)
        heard = self._heard(self.power)
        if heard:
            self.contacts = Contacts(self._open_inputs, heard)
        vitals.periphery = self.status
        if self.barrier is not None:
            self._owe(self.barrier, terminal)
        workers = [one.worker for one in (self.lamps, self.barrier, self.printer) if one is not None]
        for begun in (*workers, self.taps, self.scanner, self.contacts):
            if begun is not None:
                begun.start(vitals.device_is)

    def _owe(self, barrier: Barrier, terminal: Terminal) -> None:
        """Raises `ConfigError` where the terminal cannot keep what it owes."""
        file = PassageFile(terminal.journal.path.with_name(FILE))
        try:
            terminal.owed = owed_passage(terminal.journal.last_intent, file)
        except OSError as error:
            what = f"{FILE} cannot be kept beside the journal ({error.strerror or error})"
            raise ConfigError(what, "Name a folder you may write as state under [terminal].") from error
        barrier.begins = file.begins

    def _heard(self, power: Power) -> dict[str, OnContact]:
        tables = self._tables
        heard: dict[str | None, OnContact] = {
            tables.power.failing: power.supply,
            tables.power.tamper: power.housing,
        }
        if self.barrier is not None:
            heard |= {
                tables.barrier.passed: self.barrier.passed,
                tables.barrier.forced: self.barrier.stands_open,
            }
        return {line: hears for line, hears in heard.items() if line is not None}

    def close(self) -> None:
        """Dark and closed; the counts on record."""
        for read in (self.contacts, self.scanner):
            if read is not None:
                read.ask_to_stop()
        for one in (self.contacts, self.scanner, self.taps, self.barrier, self.lamps, self.printer):
            if one is not None:
                one.stop()

    # What they hear of taps

    def outcome(self, outcome: Outcome) -> None:
        """A result, as soon as it is known."""
        if self.lamps is not None:
            self.taps.put(outcome)

    def report(self, report: TapReport) -> None:
        """A tap has ended, and its end is on record."""
        if report.sequence is None:
            return
        if opens_barrier(report):
            self.taps.put(report.sequence)
        elif self._terminal is not None and _pays_back(self._terminal.owed, report):
            self._terminal.owed = None
            self.taps.put(report.sequence)

    def _hear(self, heard: Outcome | int) -> None:
        """On a thread of its own: a result for the lamps, or the row of a tap that opens a barrier."""
        if isinstance(heard, Outcome):
            if self.lamps is not None:
                self.lamps.outcome(heard)
            return
        if self.barrier is not None:
            self.barrier.tap(heard)
        if self.printer is not None and self._tickets is not None:
            self.printer.submit(*self._tickets.of_ride(heard))

    def guarded(self, connection: CardConnection) -> CardConnection:
        """`connection`, cut short while the supply fails."""
        return connection if self.power is None else self.power.guarded(connection)

    def turns_away(self) -> bool:
        """Whether no tap may begin now."""
        return self.power is not None and not self.power.serves

    # Between taps

    def look(self) -> None:
        """What devices have said since: on record, in the log, and on the display."""
        terminal, vitals, power = self._terminal, self._vitals, self.power
        if terminal is None or vitals is None or power is None:
            return
        self._look_at_power(power, terminal, vitals)
        if self.lamps is not None:
            self.lamps.serves(power.serves and vitals.reader_up)
            self.lamps.worker.look()
        if self.barrier is not None:
            self.barrier.look()
            self._look_at_barrier(self.barrier, vitals)
        if self.printer is not None:
            self.printer.look()
        while self._codes:
            self._scanned(self._codes.popleft().content)

    def _look_at_power(self, power: Power, terminal: Terminal, vitals: Vitals) -> None:
        if power.tampered and not self._was_tampered:
            self._was_tampered = True
            terminal.signal(OUT_OF_ORDER)
            vitals.periphery_says(Trouble(PeripheryFault.TAMPERED))
            if self._sync is not None:
                self._sync.hurry()
        if power.failing is not self._was_failing and self._allowed_row():
            self._was_failing = power.failing
            code = PeripheryFault.POWER_FAILING if power.failing else PeripheryFault.POWER_BACK
            if power.failing:
                terminal.signal(OUT_OF_ORDER)
            vitals.periphery_says(Trouble(code))

    def _look_at_barrier(self, barrier: Barrier, vitals: Vitals) -> None:
        forced = barrier.counts.forced
        if forced != self._noted.get("forced", 0) and self._allowed_row():
            self._noted["forced"] = forced
            vitals.periphery_says(Trouble(PeripheryFault.FORCED, {"times": forced}))
        if self._clock.monotonic() >= self._count_due_s:
            self.count()

    def count(self) -> None:
        """The barrier's counts on record, where they have changed since."""
        self._count_due_s = self._clock.monotonic() + COUNTED_S
        barrier, vitals, now = self.barrier, self._vitals, self._counts()
        if barrier is None or vitals is None or now == self._noted | {"forced": now["forced"]}:
            return
        self._noted = now
        inputs: dict[str, int | str] = {key: now[key] for key in ("opened", "passed", "forced")}
        vitals.periphery_says(Trouble(PeripheryFault.COUNTED, inputs))

    def _allowed_row(self) -> bool:
        now_s = self._clock.monotonic()
        self._allowed = min(EDGES, self._allowed + (now_s - self._looked_s) / EDGE_S)
        self._looked_s = now_s
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def _counts(self) -> dict[str, int]:
        return {} if self.barrier is None else asdict(self.barrier.counts)

    def _on_code(self, code: ScannedCode) -> None:
        """On the scanner's thread. It is served between two taps; one that stays before the scanner is read once."""
        last, self._last_code = self._last_code, code
        if last is None or code.content != last.content or code.at_s - last.at_s > AGAIN_S:
            self._codes.append(code)

    def _read_again(self, content: bytes) -> None:
        """A code that staff have said something of, on their thread."""
        self._codes.append(ScannedCode(content, self._clock.monotonic()))

    def _wipe(self) -> None:
        """On the contacts' thread, at once: the supply may be cut next."""
        if self._terminal is not None:
            wipe_key(self._terminal.journal.path)

    def status(self) -> PeripheryStatus:
        """For the status file."""
        held = {
            "lamps": self.lamps,
            "barrier": self.barrier,
            "printer": self.printer,
            "scanner": self.scanner,
            "contacts": self.contacts,
        }
        counts = {f"barrier_{name}": count for name, count in self._counts().items()}
        if self.scanner is not None:
            counts |= {f"scanner_{name}": count for name, count in asdict(self.scanner.counts).items()}
        if self.printer is not None:
            counts["tickets_printed"] = self.printer.printed
        if self.power is not None:
            counts["power_failures"] = self.power.failures
        return PeripheryStatus(
            devices=tuple(name for name, device in held.items() if device is not None),
            counts=counts,
            waiting_tickets=0 if self.printer is None else self.printer.waiting,
            power_failing=self.power is not None and self.power.failing,
            tampered=self.power is not None and self.power.tampered,
        )


def _lamp_layout(tables: PeripheryTables) -> LampLayout:
    lamps = tables.lamps
    tones = {
        Colour.GREEN: lamps.accepted_tones,
        Colour.YELLOW: lamps.attention_tones,
        Colour.RED: lamps.refused_tones,
    }
    return LampLayout(
        ready=lamps.ready,
        colours={Colour.GREEN: lamps.accepted, Colour.YELLOW: lamps.attention, Colour.RED: lamps.refused},
        low=lamps.buzzer,
        high=lamps.buzzer_high,
        tones={colour: tuple(map(tone_of, texts)) for colour, texts in tones.items()},
        show_ms=lamps.show_ms,
    )


@contextmanager
def periphery_of(config: StationConfig, clock: Clock) -> Iterator[Periphery]:
    """The devices of `config`, not started yet; closed at the end. Raises `ConfigError`."""
    tables, hand = config.periphery, None
    if tables.gpio.chip == SIMULATED:
        from terminal.app.simulated import lines_by_hand

        hand = lines_by_hand(tuple(tables.outputs.values()), tuple(tables.inputs.values()))
    devices = Periphery(tables, clock, hand)
    try:
        yield devices
    finally:
        devices.close()
