"""`terminal run`: a bus validator or a canteen terminal on a real or a simulated reader."""

from __future__ import annotations

from typing import Annotated

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
    from terminal.operations.memory import forbid_dumps, start_without_collections

    forbid_dumps()
    with start_without_collections() as started:
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
        from terminal.app.audience import for_people, for_programs, output_worker
        from terminal.app.running import clock_of, running_station
        from terminal.clock import SystemClock

        language = asked.terminal.language
        with output_worker(SystemClock()) as out:
            audience = for_programs(out, language) if json else for_people(out, language)
            with running_station(asked, clock_of(asked), audience) as station:
                started()
                station.serve()
