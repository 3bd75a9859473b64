"""`terminal canteen roster|prices`: the two lists a canteen terminal works with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.fault import mistakes_as
from terminal.cli.options import (
    CanteenOptions,
    Json,
    Operator,
    with_groups,
)

roster_app = typer.Typer(help="List of pupils, kept sealed on the terminal.", no_args_is_help=True)
payments_app = typer.Typer(help="Payments of the parents, between two lists.", no_args_is_help=True)
prices_app = typer.Typer(help="Price list of the buffet.", no_args_is_help=True)

FilePath = Annotated[Path, typer.Argument(help="File as received, TOML or JSON.")]


@roster_app.command("check")
@with_groups
def check_roster(
    file: FilePath,
    *,
    at: CanteenOptions,
    json: Json = False,
) -> None:
    """Check a roster: summary or mistakes. Read-only."""
    from terminal.canteen.answers import RosterInForce
    from terminal.canteen.documents import ListFile, RosterDocument, header_problems
    from terminal.canteen.roster import Roster, roster_problems
    from terminal.cli.canteen_view import show_roster
    from terminal.clock import SystemClock

    now, station = SystemClock().now(), at.station()
    policy = station.load_policy(station.load_keys(), now)
    with mistakes_as(json):
        came = ListFile.read(file)
        document = came.document(RosterDocument)
        found = header_problems(document.header, policy.document.header.region, now)
        came.require_sound(RosterDocument, [*found, *roster_problems(document, policy)])
    show_roster(RosterInForce.of(Roster.of(document, policy)), "is sound", json)


@roster_app.command("load")
@with_groups
def load_roster(
    file: FilePath,
    *,
    at: CanteenOptions,
    json: Json = False,
) -> None:
    """Check and activate a roster; an older one is refused (O-01)."""
    from terminal.app.canteen import perform
    from terminal.canteen.documents import ListFile
    from terminal.canteen.requests import LoadRoster
    from terminal.cli.canteen_view import in_force_from, show_roster

    request = LoadRoster(ListFile.read(file))
    loaded = perform(at.station(), request)
    show_roster(loaded, in_force_from(loaded.begins_at_ms), json)


@roster_app.command("show")
@with_groups
def show_class(
    class_id: Annotated[str | None, typer.Argument(help="Class; default: all.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Show names; for the staff's screen only.")] = False,
    *,
    at: CanteenOptions,
) -> None:
    """List pupils and accounts; names only with --names."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import ListPupils
    from terminal.cli.canteen_view import show_pupils

    request = ListPupils(class_id, names)
    show_pupils(perform(at.station(), request))


@payments_app.command("load")
@with_groups
def load_payments(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8: payment;pupil;account;amount.")],
    operator: Operator,
    *,
    at: CanteenOptions,
    json: Json = False,
) -> None:
    """Enter payments of the parents into accounts; each payment counts once, whichever file has it."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import LoadPayments
    from terminal.cli.canteen_view import show_payments

    request = LoadPayments(content_within(file), operator)
    show_payments(perform(at.station(), request), json)


def content_within(file: Path) -> bytes:
    """The file; raises `CanteenRefused` for one that cannot be read or is too large."""
    from terminal.canteen.payments import MOST_BYTES
    from terminal.codes import CanteenFault
    from terminal.decoding import TooManyBytes, read_within
    from terminal.errors import CanteenRefused

    try:
        return read_within(file, MOST_BYTES)
    except (OSError, TooManyBytes) as error:
        raise CanteenRefused(
            f"{file} cannot be read: {error}", "Name a CSV file of payments.", CanteenFault.NOT_UNDERSTOOD
        ) from error


@prices_app.command("load")
@with_groups
def load_prices(
    file: FilePath,
    *,
    at: CanteenOptions,
) -> None:
    """Check and activate a price list."""
    from terminal.app.canteen import perform
    from terminal.canteen.documents import ListFile
    from terminal.canteen.requests import LoadPriceList
    from terminal.cli.canteen_view import in_force_from

    request = LoadPriceList(ListFile.read(file))
    prices = perform(at.station(), request)
    when = in_force_from(prices.begins_at_ms)
    print(f"price list {prices.sequence} of {prices.school} {when}: {prices.products} products")
