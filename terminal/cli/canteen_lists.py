"""`terminal canteen roster|prices`: the two lists a canteen terminal works with."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from terminal.clock import unix_ms

if TYPE_CHECKING:
    from terminal.canteen.desk import CanteenDesk

roster_app = typer.Typer(help="The list of pupils, kept sealed on the terminal.", no_args_is_help=True)
prices_app = typer.Typer(help="What the buffet sells.", no_args_is_help=True)

ListFile = Annotated[Path, typer.Argument(help="The file as it came, TOML or JSON.")]


@roster_app.command("check")
def check_roster(
    file: ListFile,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Read a roster and say what is in it, or what is wrong; nothing is changed."""
    from terminal.canteen.documents import RosterDocument, read_document, require_sound
    from terminal.canteen.roster import Roster, roster_problems
    from terminal.cli.canteen_view import show_roster
    from terminal.clock import SystemClock

    now, station = SystemClock().now(), canteen_station(config, state, number, region, keys)
    policy = station.load_policy(station.load_keys(), now)
    document = read_document(file, RosterDocument)
    require_sound(roster_problems(document, policy, now), file.name)
    show_roster(Roster.of(document, policy), "is sound", json)


@roster_app.command("load")
def load_roster(
    file: ListFile,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Check a roster and put it in force; an older one than that in force is refused (O-01)."""
    from terminal.app.canteen import at_counter, store_of
    from terminal.cli.canteen_view import show_roster
    from terminal.journal.canteen_records import RosterLoaded

    station = canteen_station(config, state, number, region, keys)

    def work(desk: CanteenDesk, now: datetime) -> None:
        roster = store_of(station, station.load_keys()).install_roster(file, desk.policy, now)
        desk.roster = roster
        header = roster.header
        through = header.through.get(str(desk.terminal), 0)
        desk.append(RosterLoaded(unix_ms(now), header.school, header.sequence, through, len(roster.pupils)))
        show_roster(roster, "is in force", json)

    at_counter(station, work)


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
    from terminal.app.canteen import at_counter
    from terminal.cli.canteen_view import show_pupils

    at_counter(
        canteen_station(config, state, number, region, keys),
        lambda desk, now: show_pupils(desk, class_id, now, names=names),
    )


@prices_app.command("load")
def load_prices(
    file: ListFile,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Check a price list and put it in force."""
    from terminal.app.canteen import at_counter, store_of

    station = canteen_station(config, state, number, region, keys)

    def work(desk: CanteenDesk, now: datetime) -> None:
        prices = store_of(station, station.load_keys()).install_price_list(file, desk.policy, now)
        desk.price_list = prices
        print(
            f"price list {prices.header.sequence} of {prices.header.school}: {len(prices.products)} products"
        )

    at_counter(station, work)
