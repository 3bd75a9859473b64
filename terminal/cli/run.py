"""`terminal run`: a bus validator or a canteen terminal on a real or a simulated reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    CollectorUrl,
    Config,
    Json,
    Keys,
    Number,
    ProfileName,
    Region,
    State,
    station_config,
)

if TYPE_CHECKING:
    from datetime import tzinfo

    from terminal.app.running import Audience
    from terminal.decision.outcome import Outcome
    from terminal.tap_report import TapReport


def run(
    config: Config = None,
    profile: Annotated[ProfileName | None, typer.Option(help="Kind of terminal.")] = None,
    reader: Annotated[
        str | None,
        typer.Option(
            help="sim:RESIDENT[,…] for software cards (or card image files), sim: for none, "
            "pcsc or pcsc:NAME for a real reader."
        ),
    ] = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    collector: CollectorUrl = None,
    taps: Annotated[
        int | None, typer.Option(min=1, help="Stop after this number of taps; default: never (pcsc).")
    ] = None,
    pace: Annotated[
        float | None,
        typer.Option(
            min=0.2,
            help="Simulated reader: seconds between cards; they repeat until stopped or --taps.",
        ),
    ] = None,
    laboratory: Annotated[
        bool,
        typer.Option(
            "--laboratory-keys",
            help="Accept the public laboratory keys, demo region and laboratory issuers on a real reader: "
            "cards for it can be forged.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Serve cards until stopped (Ctrl-C or SIGTERM). Configured by `terminal.toml`: see `terminal config`.

    Prints the passenger's message and one line for staff for each tap; with --json, one object per tap.
    """
    from terminal.operations.memory import forbid_dumps

    forbid_dumps()
    asked = station_config(
        config,
        profile=profile and profile.value,
        reader=reader,
        state=state,
        number=number,
        region=region,
        keys=keys,
        collector=collector,
        taps=taps,
        pace=pace,
        laboratory=laboratory,
    )
    from terminal.app.running import clock_of, running_station

    language = asked.terminal.language
    with running_station(
        asked, clock_of(asked), _for_programs(language) if json else _for_people(language)
    ) as station:
        station.serve()


def _for_people(language: str) -> Audience:
    """The passenger's message at the moment the card's commit is verified; a line for staff when the tap has ended."""
    from terminal.app.output import report_as_line
    from terminal.app.running import Audience
    from terminal.messages import text

    def outcome(outcome: Outcome) -> None:
        print(f"» {text(outcome.message, language, outcome.values)}", flush=True)

    def report(tap: TapReport, zone: tzinfo) -> None:
        print(report_as_line(tap, zone), flush=True)

    return Audience(outcome, report)


def _for_programs(language: str) -> Audience:
    """One JSON object when the tap has ended, and nothing before."""
    from terminal.app.output import print_json, report_as_json
    from terminal.app.running import Audience

    return Audience(
        outcome=lambda _outcome: None,
        report=lambda tap, _zone: print_json(report_as_json(tap, language)),
        shift=False,
    )
