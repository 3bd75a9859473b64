"""`terminal card acceptance`: what of all that no public document confirms holds on this card (laboratory keys)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.options import DEFAULT_LANGUAGE, Config, Json, Keys, Region, ShownLang, station_config


def acceptance(
    reader: Annotated[
        str, typer.Option("--reader", help="pcsc or pcsc:NAME; sim:blank_ev3 to rehearse.")
    ] = "pcsc",
    expendable: Annotated[
        bool, typer.Option("--expendable", help="Confirm that this card is not needed: it may be spoilt.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Also a card whose issue was interrupted: it is emptied.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the report: a page to sign (.html), else JSON.")
    ] = None,
    transcript: Annotated[
        Path | None, typer.Option(help="Write every exchange to this new file, without secrets.")
    ] = None,
    pulls: Annotated[
        int, typer.Option(min=0, max=16, help="How many of the tears a person makes by hand.")
    ] = 0,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for the card each time.")] = 60,
    deviation: Annotated[
        list[str] | None, typer.Option(help="Rehearsal: in what the simulated chip is not as assumed.")
    ] = None,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Issue, tap, tear, roll and restore an expendable DESFire card, and report which assumptions hold on it."""
    import msgspec

    from terminal.app.output import print_json
    from terminal.errors import ReaderError
    from terminal.lab.acceptance.command import acceptance as accept
    from terminal.lab.acceptance.command import deviations_named
    from terminal.lab.acceptance.report import (
        AcceptanceReport,
        AcceptanceUnfinished,
        check_report_place,
        shown,
        write_report,
    )

    def hand_out(made: AcceptanceReport) -> None:
        if json:
            print_json(msgspec.to_builtins(made))
        else:
            print("\n".join(shown(made, language)))
        if report is not None:
            write_report(made, report, language)

    if not expendable:
        raise ReaderError(
            "acceptance may spoil the card", "Take one that is not needed, and say --expendable."
        )
    if report is not None:
        check_report_place(report)
    at = station_config(config, reader=reader, region=region, keys=keys)
    try:
        made = accept(
            reader,
            at.terminal.region_or_demo,
            at.keys.file,
            transcript,
            pulls=pulls,
            wait_s=wait,
            finish=finish,
            deviations=deviations_named(deviation or []),
            say=lambda line: print(f"terminal: {line}", file=sys.stderr, flush=True),
        )
    except AcceptanceUnfinished as unfinished:
        hand_out(unfinished.report)
        raise
    hand_out(made)
