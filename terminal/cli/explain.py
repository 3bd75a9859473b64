"""`terminal explain`: the statement of a resident card, each charge with its rule in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import (
    DEFAULT_COLLECTOR_FOLDER,
    CollectorFolder,
    Config,
    Json,
    Keys,
    ShownLang,
    Wait,
    station_config,
)

if TYPE_CHECKING:
    from cardproto.connection import CardConnection


def explain(
    card: Annotated[str, typer.Option("--card", help="Card reference: 16 hexadecimal digits.")] = "",
    reader: Annotated[
        str,
        typer.Option("--reader", help="Read the card: pcsc or pcsc:NAME, sim:RESIDENT for a software card."),
    ] = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    config: Config = None,
    keys: Keys = None,
    wait: Wait = 30,
    language: ShownLang = "ru",
    json: Json = False,
) -> None:
    """Explain a card: every ride that the collector holds of it, what it cost, by which rule, and the balance after."""
    from terminal.app.output import print_json
    from terminal.collector.card_rides import CARD_REF, card_statement
    from terminal.collector.erasing import was_erased
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import orders_of_card
    from terminal.collector.office import office_at
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.collector.statement_text import statement_lines

    if bool(card) == bool(reader):
        raise typer.BadParameter("give --card or --reader")
    named = card.lower() if card else _read(reader, config, keys, wait).hex()
    if not CARD_REF.fullmatch(named):
        raise typer.BadParameter(f"{card} is no card reference; give 16 hexadecimal digits, or --reader")
    with views_of(folder) as views:
        found, zone = card_statement(views, bytes.fromhex(named)), views.books.calendar().zone
        with office_at(folder) as office:
            if was_erased(office, bytes.fromhex(named)):
                raise refusal(OfficeCode.ERASED)
            orders = orders_of_card(views, office.orders(), bytes.fromhex(named))
    if json:
        rides = [ride.as_json(language, zone) for ride in found.rides]
        print_json(
            {"card": named, "balance_minor": found.balance_minor, "currency": found.currency, "rides": rides}
        )
        return
    lines = (*statement_lines(found, named, language, zone), *(one.says(language) for one in orders))
    print("\n".join(lines))


def _read(reader: str, config: Path | None, keys: Path | None, wait: float) -> bytes:
    """The reference of the card on the reader."""
    from terminal.app.serve import with_card
    from terminal.app.simulated import laboratory_keys
    from terminal.keys.file import load_file_keys
    from terminal.keys.provider import FittingVersions, ValidationKeys, card_token
    from terminal.media.port import PURPOSE, open_channel
    from terminal.media.resident.open import open_resident
    from terminal.policy.load import load_region

    at = station_config(config, reader=reader, keys=keys)
    provider = load_file_keys(at.keys.file or laboratory_keys())
    region = load_region(at.terminal.region_or_demo).header.region

    def reference(connection: CardConnection) -> bytes:
        session = open_resident(open_channel(connection), ValidationKeys(provider, region, FittingVersions()))
        return card_token(provider, PURPOSE["bus"], session.snapshot.uid)

    return with_card(at, wait, reference)
