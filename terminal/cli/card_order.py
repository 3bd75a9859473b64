"""`terminal card order`: carry an approved order out on the card on the reader."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.office_acts import TokenFile, token_in
from terminal.cli.options import (
    DEFAULT_COLLECTOR_FOLDER,
    CollectorFolder,
    Config,
    Keys,
    Region,
    Wait,
    station_config,
)


def order(
    number: Annotated[int, typer.Argument(min=1, help="Order, from `terminal collector card orders`.")],
    reader: Annotated[
        str,
        typer.Option("--reader", help="pcsc or pcsc:NAME for a real reader, sim:FILE for a software card."),
    ] = "pcsc",
    resident: Annotated[
        str, typer.Option(help="For a new card: whose rights it gets, as `terminal card issue`.")
    ] = "adult_purse",
    deny: Annotated[Path, typer.Option(help="Folder of the deny register.")] = Path("deny"),
    registry: Annotated[
        Path | None, typer.Option(help="The collector's card registry: a new card is added to it.")
    ] = None,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
    wait: Wait = 30,
    production_keys: Annotated[
        bool, typer.Option("--production-keys", help="The key file holds production keys, and that is meant.")
    ] = False,
) -> None:
    """Carry out an approved order: the balance of a lost card onto the blank card on the reader, or a ride's charge
    back onto its card. Role: operate or money.

    Where the card leaves too early, do it again with the same card: it is carried out once.
    """
    import secrets

    from terminal.app.serve import with_card
    from terminal.clock import SystemClock
    from terminal.collector.office import office_at
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.lab.card_orders import IssuingTools, carry_out

    at = station_config(config, reader=reader, region=region, keys=keys)
    with office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        found = next((one for one in office.orders() if one.number == number), None)
        if found is None:
            raise refusal(OfficeCode.NOT_FOUND)
        document, now = at.terminal.region_or_demo, SystemClock().now()
        tools = IssuingTools(
            office, who, document, at.keys.file, deny, registry, now, secrets.token_bytes, production_keys
        )
        minor = with_card(at, wait, lambda card: carry_out(card, found, tools, resident))
    print(f"order {number} is carried out; the card states {minor} minor units of {found.subject.currency}")
