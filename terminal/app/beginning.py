"""What a running station does before its first card: its shift, its metrics, the requests a till takes, its log."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from threading import Lock

from terminal.app.active import active_of
from terminal.app.audience import log_lines
from terminal.app.config.rules import laboratory_parts
from terminal.app.config.settings import LogTable, ShiftTable, StationConfig
from terminal.app.station import SOFTWARE, Station, station_of
from terminal.clock import Clock, unix_ms
from terminal.keys.file import FileKeys
from terminal.keys.kept import is_handed_over
from terminal.keys.provider import KeyProvider
from terminal.operations.log import Form, Level, Log
from terminal.operations.notify import connect
from terminal.operations.status import LoadedExtension
from terminal.operations.vitals import Identity, Vitals
from terminal.signals import DeviceWorker
from terminal.tap import Terminal
from terminal.trip.shifts import open_shift, require_shift_of


def begin(
    stack: ExitStack,
    config: StationConfig,
    terminal: Terminal,
    vitals: Vitals,
    lock: Lock,
    *,
    say_shift: bool,
) -> None:
    """What is done and said before the first card; `say_shift`: also which shift is open."""
    _begin_shift(terminal, vitals.events, config.shift)
    if config.metrics.port is not None:
        _show_metrics(stack, config.metrics.port, vitals)
    if say_shift:
        vitals.events.notice("shift", _shift(terminal))
    _take_requests(stack, terminal, vitals.events, lock, station_of(config))


def _begin_shift(terminal: Terminal, events: Log, asked: ShiftTable) -> None:
    """Open a shift if one is asked for and none is open; what is asked for in vain is said."""
    journal = terminal.journal
    shift = journal.open_shift
    if asked.operator is not None and shift is None:
        now = terminal.clock.now()
        open_shift(journal, now, asked.operator, terminal.profile, asked.route, asked.direction)
    require_shift_of(journal, terminal.profile)
    if shift is not None and asked.operator is not None:
        where = f"route {shift.route}, direction {shift.direction}"
        says = f"shift {shift.shift} is still open ({where}) and goes on: [shift] in terminal.toml counts for a new "
        events.notice("shift", says + "one. Close it with `terminal shift close` first.")


def _take_requests(stack: ExitStack, terminal: Terminal, events: Log, lock: Lock, station: Station) -> None:
    """A canteen's staff may work from other windows, too: `terminal canteen …` asks this process."""
    if terminal.canteen is None:
        return
    from terminal.canteen.control import open_control
    from terminal.canteen.requests import OpenTill
    from terminal.canteen.store import CanteenLists

    till = OpenTill(terminal.canteen, CanteenLists(active_of(terminal)), terminal.clock)
    stack.enter_context(open_control(station.state, till, lock, lambda what: events.error("control", what)))


def vitals_of(
    config: StationConfig,
    terminal: Terminal,
    reader: str,
    extensions: tuple[LoadedExtension, ...],
    out: DeviceWorker[bytes],
) -> Vitals:
    """What knows how the terminal does; it says so to `out`."""
    real, keys = not config.reader.simulated, terminal.keys
    identity = Identity(
        terminal=terminal.number,
        profile=terminal.profile,
        software=SOFTWARE,
        folder=config.terminal.state,
        reader=reader,
        collector=config.collector.url or "",
        real_reader=real,
        laboratory=laboratory_parts(config) if real else config.laboratory.parts,
        extensions=extensions,
        keys_environment=keys.environment if isinstance(keys, FileKeys) else "",
        keys_until_ms=_keys_end_ms(keys),
        keys_in_file=config.keys.file is not None and not is_handed_over(config.keys.file),
    )
    log = _log(terminal.number, terminal.clock, config.log, out)
    return Vitals(
        identity,
        terminal.journal,
        terminal.clock,
        terminal.clock_watch,
        log,
        connect(),
        active_of(terminal).status,
    )


def _keys_end_ms(keys: KeyProvider) -> int | None:
    """The end of the day by which the office wants the keys rolled."""
    header = keys.header if isinstance(keys, FileKeys) else None
    if header is None or header.until is None:
        return None
    return unix_ms(datetime.combine(header.until + timedelta(days=1), time(), UTC))


def _log(number: int, clock: Clock, asked: LogTable, out: DeviceWorker[bytes]) -> Log:
    usual = Level.NOTICE if asked.format is None else Level.INFO
    least = usual if asked.level is None else asked.level.level
    return Log(number, clock, asked.format or Form.TEXT, least, log_lines(out))


def _show_metrics(stack: ExitStack, port: int, vitals: Vitals) -> None:
    from terminal.operations.metrics import LOOPBACK, metrics_page, terminal_metrics
    from terminal.operations.text_format import render

    taken = stack.enter_context(metrics_page(port, lambda: render(terminal_metrics(vitals))))
    vitals.events.notice("metrics", f"http://{LOOPBACK}:{taken}/metrics", port=taken)


def _shift(terminal: Terminal) -> str:
    shift = terminal.journal.open_shift
    if shift is None:
        return "none open: taps will be refused, see [shift] in terminal.toml or `terminal shift open`"
    where = f", route {shift.route}, direction {shift.direction}" if terminal.profile == "bus" else ""
    return f"{shift.shift} open{where}"
