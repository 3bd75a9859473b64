"""`terminal run`: a bus validator or a canteen terminal on a real or a simulated reader."""

from __future__ import annotations

import sys
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
    TypedSignIn,
    Vehicle,
)
from terminal.session.credential import VerifyCredential

if TYPE_CHECKING:
    from terminal.decision.outcome import Outcome
    from terminal.tap import Terminal
    from terminal.tap_report import TapReport


def run(
    profile: Annotated[ProfileName, typer.Option(help="What this terminal is.")],
    reader: Annotated[
        str,
        typer.Option(
            help="sim:RESIDENT[,…] for software cards (or card image files), pcsc or pcsc:NAME for a real reader."
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
    from terminal.cli.assemble import Station, credential_check, open_terminal
    from terminal.cli.console import ConsoleOptions, operator_console
    from terminal.cli.display import passenger_display
    from terminal.cli.output import print_json, report_as_json, report_as_line
    from terminal.cli.recording import recording
    from terminal.cli.serve import reader_for, serve
    from terminal.cli.uplink import SyncConsole, background_sync
    from terminal.clock import SystemClock
    from terminal.messages import text
    from terminal.shift import open_shift as begin_shift
    from terminal.shift import require_shift_of

    clock, turn, uplink = SystemClock(), Lock(), SyncConsole(number)
    asked = ConsoleOptions(
        console,
        console_host,
        console_port,
        language,
        typed_sign_in,
        console_idle,
        vehicle,
        receipts,
        offline=lambda: uplink.offline,
    )
    station = Station(number, profile.value, state, region, keys, deny_list, serving)
    cards = reader_for(reader, station, clock, taps, pace)

    def tell(outcome: Outcome) -> None:
        """What the passenger sees, at the moment the card's commit is verified."""
        print(f"» {text(outcome.message, language, outcome.values)}", flush=True)

    with (
        passenger_display(
            screen, screen_port, (language, second_language), station.profile, clock
        ) as passenger,
        open_terminal(station, clock, passenger.told(_say_nothing if json else tell)) as terminal,
        background_sync(terminal.journal, state, collector, clock, uplink) as sync,
        recording(record, clock, masked=not record_unmasked) as recorded,
        operator_console(asked, terminal, state, turn, cards.port.name) as operator,
    ):
        terminal.credentials = credential_check(verify_credential, issuers, terminal.policy)
        if open_shift is not None and terminal.journal.open_shift is None:
            begin_shift(terminal.journal, clock.now(), open_shift, profile.value, route, direction)
        require_shift_of(terminal.journal, profile.value)
        cards = passenger.watched(cards)
        _greet(terminal, cards.port.name, json)

        def show(report: TapReport) -> None:
            if json:
                print_json(report_as_json(report, language))
            else:
                print(report_as_line(report, terminal.policy.zone), flush=True)
            operator(report)
            if sync is not None:
                sync.wake()

        if terminal.canteen is None:
            serve(terminal, cards, show, turn, recorded=recorded)
            return
        from terminal.cli.canteen_line import Counter, open_line

        counter = Counter(terminal.canteen, clock, turn)
        with open_line(state, counter):
            serve(terminal, cards, show, counter.turn, recorded=recorded)


def _say_nothing(_outcome: Outcome) -> None:
    """Programs hear of a tap once, when it has ended."""


def _greet(terminal: Terminal, reader_name: str, json: bool) -> None:
    if json:
        return
    shift = terminal.journal.open_shift
    where = (
        f", route {shift.route}, direction {shift.direction}" if shift and terminal.profile == "bus" else ""
    )
    state = (
        f"shift {shift.shift} open{where}"
        if shift
        else "no shift open: taps will be refused, see --open-shift"
    )
    print(
        f"terminal {terminal.number} ({terminal.profile}) on {reader_name}: ready, {state}", file=sys.stderr
    )
