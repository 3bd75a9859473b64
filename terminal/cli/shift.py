"""`terminal shift open|close`: no sale before a shift is open (T-60)."""

from __future__ import annotations

from typing import Annotated

import typer

from terminal.cli.options import DEFAULT_STATE, Json, Keys, Number, ProfileName, State

app = typer.Typer(help="Open and close the shift of a terminal that is not running.", no_args_is_help=True)


@app.command("open")
def open_shift(
    operator: Annotated[str, typer.Option(help="Reference of the service card, never a name.")],
    profile: Annotated[ProfileName, typer.Option(help="What the terminal is.")] = ProfileName.BUS,
    route: Annotated[int, typer.Option(min=0, max=0x7FFF, help="Route number (bus).")] = 0,
    direction: Annotated[int, typer.Option(min=0, max=1, help="Direction of the trip (bus).")] = 0,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    keys: Keys = None,
) -> None:
    """Open a shift: from now on taps are accepted."""
    from terminal.app.station import open_journal
    from terminal.clock import SystemClock
    from terminal.shift import open_shift as begin

    with open_journal(state, number, keys) as journal:
        opened = begin(journal, SystemClock().now(), operator, profile.value, route, direction)
    print(
        f"shift {opened.shift} is open: {opened.profile}, route {opened.route}, direction {opened.direction}"
    )


@app.command("close")
def close_shift(
    state: State = DEFAULT_STATE, number: Number = 1, keys: Keys = None, json: Json = False
) -> None:
    """Close the shift and print its totals (T-66)."""
    from terminal.app.station import open_journal
    from terminal.cli.output import print_json, print_totals
    from terminal.clock import SystemClock
    from terminal.shift import close_shift as end

    with open_journal(state, number, keys) as journal:
        closed = end(journal, SystemClock().now())
    if json:
        print_json({"shift": closed.shift, **closed.totals})
    else:
        print_totals(f"shift {closed.shift} is closed", closed.totals)
