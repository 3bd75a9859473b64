"""`terminal canteen roster|prices`: the two lists a canteen terminal works with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.options import (
    Config,
    Json,
    Keys,
    Number,
    Region,
    State,
    canteen_station,
)

roster_app = typer.Typer(help="The list of pupils, kept sealed on the terminal.", no_args_is_help=True)
prices_app = typer.Typer(help="What the buffet sells.", no_args_is_help=True)

FilePath = Annotated[Path, typer.Argument(help="The file as it came, TOML or JSON.")]


@roster_app.command("check")
def check_roster(
    file: FilePath,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Read a roster and say what is in it, or what is wrong; nothing is changed."""
    from terminal.canteen.documents import ListFile, RosterDocument, require_sound
    from terminal.canteen.requests import RosterInForce
    from terminal.canteen.roster import Roster, roster_problems
    from terminal.cli.canteen_view import show_roster
    from terminal.clock import SystemClock

    now, station = SystemClock().now(), canteen_station(config, state, number, region, keys)
    policy = station.load_policy(station.load_keys(), now)
    document = ListFile.read(file).document(RosterDocument)
    require_sound(roster_problems(document, policy, now), file.name)
    show_roster(RosterInForce.of(Roster.of(document, policy)), "is sound", json)


@roster_app.command("load")
def load_roster(
    file: FilePath,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Check a roster and put it in force; an older one than that in force is refused (O-01)."""
    from terminal.app.canteen import perform
    from terminal.canteen.documents import ListFile
    from terminal.canteen.requests import LoadRoster
    from terminal.cli.canteen_view import show_roster

    request = LoadRoster(ListFile.read(file))
    show_roster(perform(canteen_station(config, state, number, region, keys), request), "is in force", json)


@roster_app.command("show")
def show_class(
    class_id: Annotated[str | None, typer.Argument(help="One class; all classes without it.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Show names, for the staff's screen only.")] = False,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """List the pupils with their accounts; names only when asked for."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import ListPupils
    from terminal.cli.canteen_view import show_pupils

    request = ListPupils(class_id, names)
    show_pupils(perform(canteen_station(config, state, number, region, keys), request))


@prices_app.command("load")
def load_prices(
    file: FilePath,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Check a price list and put it in force."""
    from terminal.app.canteen import perform
    from terminal.canteen.documents import ListFile
    from terminal.canteen.requests import LoadPriceList

    request = LoadPriceList(ListFile.read(file))
    prices = perform(canteen_station(config, state, number, region, keys), request)
    print(f"price list {prices.sequence} of {prices.school}: {prices.products} products")
