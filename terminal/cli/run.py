"""`terminal run`: a bus validator or a canteen terminal on a real or a simulated reader."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    DEFAULT_CONSOLE_PORT,
    DEFAULT_LANGUAGE,
    DEFAULT_REGION,
    DEFAULT_SCREEN_PORT,
    DEFAULT_STATE,
    Console,
    ConsoleHost,
    ConsoleIdle,
    ConsolePort,
    DenyList,
    Json,
    Keys,
    Lang,
    Number,
    Pace,
    ProfileName,
    Receipts,
    Region,
    Screen,
    ScreenPort,
    SecondLanguage,
    State,
    TlsCa,
    TlsCert,
    TlsKey,
    TypedSignIn,
    Vehicle,
)
from terminal.operations.log import Form, Level, LevelName, Log
from terminal.session.credential import VerifyCredential

if TYPE_CHECKING:
    from terminal.app.station import Station
    from terminal.clock import Clock
    from terminal.decision.outcome import Outcome
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal
    from terminal.tap_report import TapReport


def run(
    profile: Annotated[ProfileName, typer.Option(help="What this terminal is.")],
    reader: Annotated[
        str,
        typer.Option(
            help="sim:RESIDENT[,…] for software cards (or card image files), sim: for none, "
            "pcsc or pcsc:NAME for a real reader."
        ),
    ],
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    deny_list: DenyList = None,
    open_shift: Annotated[
        str | None, typer.Option(help="Open a shift with this service card reference if none is open.")
    ] = None,
    route: Annotated[
        int, typer.Option(min=0, max=0x7FFF, help="Route, when --open-shift opens one (bus).")
    ] = 0,
    direction: Annotated[int, typer.Option(min=0, max=1, help="Direction, with --open-shift (bus).")] = 0,
    serving: Annotated[
        str, typer.Option(help="Canteen: the meal served, or by_shift for each pupil's own (M-30).")
    ] = "",
    taps: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many taps; default: never (pcsc).")
    ] = None,
    collector: Annotated[
        str | None, typer.Option(help="Send records to this collector in the background.")
    ] = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    verify_credential: Annotated[
        VerifyCredential, typer.Option(help="When to verify the issuer's signature under concessions.")
    ] = VerifyCredential.NEVER,
    issuers: Annotated[
        Path | None,
        typer.Option(help="Trusted issuers (TOML); without it the simulator's laboratory issuer is."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            help="Write what terminal and cards say to this new file; look at it with `sim transcript`."
        ),
    ] = None,
    record_unmasked: Annotated[
        bool,
        typer.Option(
            "--record-unmasked", help="Mask no UID and no secret in --record. Laboratory cards only."
        ),
    ] = False,
    metrics: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Answer GET /metrics on this loopback port; 0 takes any free one."
        ),
    ] = None,
    log: Annotated[
        Form | None,
        typer.Option(help="Log every tap and upload to stderr, too; without it only what staff must know."),
    ] = None,
    log_level: Annotated[
        LevelName | None, typer.Option(help="The least important events to log; default: info with --log.")
    ] = None,
    pace: Pace = None,
    screen: Screen = False,
    screen_port: ScreenPort = DEFAULT_SCREEN_PORT,
    console: Console = False,
    console_port: ConsolePort = DEFAULT_CONSOLE_PORT,
    console_host: ConsoleHost = "127.0.0.1",
    console_idle: ConsoleIdle = 30,
    typed_sign_in: TypedSignIn = None,
    vehicle: Vehicle = "",
    receipts: Receipts = None,
    language: Lang = DEFAULT_LANGUAGE,
    second_language: SecondLanguage = "",
    json: Json = False,
) -> None:
    """Serve cards until stopped (Ctrl-C or SIGTERM).

    Each tap is what the passenger sees and one line for staff, or one JSON object with --json.
    """
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    from terminal.app.console import ConsoleOptions, operator_console
    from terminal.app.display import passenger_display
    from terminal.app.recording import recording
    from terminal.app.serve import reader_for, serve
    from terminal.app.station import Station, credential_check, open_terminal
    from terminal.app.uplink import background_sync
    from terminal.cli.output import print_json, report_as_json, report_as_line
    from terminal.clock import SystemClock
    from terminal.journal.room import FillWatch
    from terminal.messages import text
    from terminal.sync.address import TlsFiles

    clock, turn = SystemClock(), Lock()
    asked = ConsoleOptions(
        console,
        console_host,
        console_port,
        language,
        typed_sign_in,
        console_idle,
        vehicle,
        receipts,
        offline=lambda: bool(vitals.sync_problem),
    )
    station = Station(number, profile.value, state, region, keys, deny_list, serving)
    cards = reader_for(reader, station, clock, taps, pace)

    def tell(outcome: Outcome) -> None:
        """What the passenger sees, at the moment the card's commit is verified."""
        print(f"» {text(outcome.message, language, outcome.values)}", flush=True)

    with ExitStack() as stack:
        passenger = stack.enter_context(
            passenger_display(screen, screen_port, (language, second_language), station.profile, clock)
        )
        shown = passenger.told(_say_nothing if json else tell)
        terminal = stack.enter_context(open_terminal(station, clock, shown))
        vitals = _vitals(terminal, station, cards.port.name, collector, _log(number, clock, log, log_level))
        tls = TlsFiles(tls_ca, tls_cert, tls_key)
        sync = stack.enter_context(
            background_sync(terminal.journal, state, collector, clock, vitals.synced, tls)
        )
        recorded = stack.enter_context(recording(record, clock, masked=not record_unmasked))
        operator = stack.enter_context(operator_console(asked, terminal, state, turn, cards.port.name))
        terminal.credentials = credential_check(verify_credential, issuers, terminal.policy)
        _begin_shift(terminal, vitals.events, open_shift, route, direction)
        fill = FillWatch(terminal.journal, clock, lambda what: vitals.events.warning("journal", what))
        fill.look()
        if metrics is not None:
            _show_metrics(stack, metrics, vitals)
        if not json:
            vitals.events.notice("shift", _shift(terminal))
        cards = passenger.watched(cards)

        def show(report: TapReport) -> None:
            if json:
                print_json(report_as_json(report, language))
            else:
                print(report_as_line(report, terminal.policy.zone), flush=True)
            operator(report)
            fill.look()
            if sync is not None:
                sync.wake()

        _take_orders(stack, terminal, state, turn)
        serve(terminal, cards, show, vitals, turn, recorded=recorded)


def _begin_shift(terminal: Terminal, events: Log, operator: str | None, route: int, direction: int) -> None:
    """Open a shift if one is asked for and none is open; what is asked for in vain is said."""
    from terminal.shift import open_shift, require_shift_of

    journal = terminal.journal
    shift = journal.open_shift
    if operator is not None and shift is None:
        open_shift(journal, terminal.clock.now(), operator, terminal.profile, route, direction)
    require_shift_of(journal, terminal.profile)
    if shift is not None and (operator is not None or route or direction):
        where = f"route {shift.route}, direction {shift.direction}"
        says = (
            f"shift {shift.shift} is still open ({where}) and goes on: --open-shift, --route and --direction "
        )
        events.notice("shift", says + "count for a new one. Close it with `terminal shift close` first.")


def _take_orders(stack: ExitStack, terminal: Terminal, state: Path, turn: Lock) -> None:
    """A canteen's staff may work from other windows, too: `terminal canteen …` asks this process."""
    if terminal.canteen is None:
        return
    from terminal.cli.canteen_line import Counter, open_line

    stack.enter_context(open_line(state, Counter(terminal.canteen, terminal.clock, turn)))


def _say_nothing(_outcome: Outcome) -> None:
    """Programs hear of a tap once, when it has ended."""


def _log(number: int, clock: Clock, form: Form | None, least: LevelName | None) -> Log:
    if least is not None:
        return Log(number, clock, form or Form.TEXT, least.level)
    return Log(number, clock, form or Form.TEXT, Level.NOTICE if form is None else Level.INFO)


def _vitals(terminal: Terminal, station: Station, reader: str, collector: str | None, log: Log) -> Vitals:
    from terminal.app.station import SOFTWARE
    from terminal.operations.notify import connect
    from terminal.operations.vitals import Identity, Vitals

    identity = Identity(
        terminal=terminal.number,
        profile=terminal.profile,
        software=SOFTWARE,
        folder=station.state,
        reader=reader,
        tariff=terminal.policy.tariff,
        tariff_until=terminal.policy.document.header.valid_to,
        deny_list=station.deny_list,
        collector=collector or "",
    )
    return Vitals(identity, terminal.journal, terminal.clock, log, connect())


def _show_metrics(stack: ExitStack, port: int, vitals: Vitals) -> None:
    from terminal.operations.metrics import terminal_metrics
    from terminal.operations.metrics_page import LOOPBACK, metrics_page
    from terminal.operations.text_format import render

    taken = stack.enter_context(metrics_page(port, lambda: render(terminal_metrics(vitals))))
    vitals.events.notice("metrics", f"http://{LOOPBACK}:{taken}/metrics", port=taken)


def _shift(terminal: Terminal) -> str:
    shift = terminal.journal.open_shift
    if shift is None:
        return "none open: taps will be refused, see --open-shift"
    where = f", route {shift.route}, direction {shift.direction}" if terminal.profile == "bus" else ""
    return f"{shift.shift} open{where}"
