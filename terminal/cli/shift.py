"""`terminal shift open|close`: no sale before a shift is open (T-60)."""

from __future__ import annotations

from typing import Annotated

import typer

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.cli.options import Config, Json, Keys, Number, ProfileName, State, station_config

app = typer.Typer(help="Open and close a shift. The terminal must not be running.", no_args_is_help=True)


@app.command("open")
def open_shift(
    operator: Annotated[str, typer.Option(help="Staff reference (service card), not a name.")],
    profile: Annotated[
        ProfileName | None,
        typer.Option(help="Kind of terminal.", show_default="from terminal.toml, else bus"),
    ] = None,
    route: Annotated[int, typer.Option(min=0, max=LARGEST_ROUTE, help="Route number (bus).")] = 0,
    direction: Annotated[
        int, typer.Option(min=0, max=1, help="Direction of the turn: 0 out, 1 back (bus).")
    ] = 0,
    config: Config = None,
    state: State = None,
    number: Number = None,
    keys: Keys = None,
) -> None:
    """Open a shift."""
    from terminal.app.station import open_journal
    from terminal.clock import SystemClock
    from terminal.trip.shifts import open_shift as begin

    at = station_config(config, profile=profile and profile.value, state=state, number=number, keys=keys)
    with open_journal(at.terminal.state, at.terminal.number, at.keys.file) as journal:
        kind = at.terminal.profile or ProfileName.BUS.value
        opened = begin(journal, SystemClock().now(), operator, kind, route, direction)
    print(
        f"shift {opened.shift} is open: {opened.profile}, route {opened.route}, direction {opened.direction}"
    )


@app.command("close")
def close_shift(
    config: Config = None, state: State = None, number: Number = None, keys: Keys = None, json: Json = False
) -> None:
    """Close the shift and print its totals (T-66)."""
    from terminal.app.output import print_json, print_totals
    from terminal.app.station import open_journal
    from terminal.clock import SystemClock
    from terminal.trip.shifts import close_shift as end

    at = station_config(config, state=state, number=number, keys=keys)
    with open_journal(at.terminal.state, at.terminal.number, at.keys.file) as journal:
        closed = end(journal, SystemClock().now())
    if json:
        print_json({"shift": closed.shift, "currency": closed.currency, **closed.totals})
    else:
        print_totals(f"shift {closed.shift} is closed", closed.totals, closed.currency)
