"""`terminal card issue|wipe|read|look`: personalise a blank card, look into a personalised one, or at any."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cardproto.resident.features import CardFeature
from terminal.cli.options import Config, Json, Keys, Region, Wait, station_config

if TYPE_CHECKING:
    from cardproto.connection import CardConnection

app = typer.Typer(help="Personalise and read resident cards with laboratory keys.", no_args_is_help=True)

ReaderName = Annotated[
    str,
    typer.Option("--reader", help="pcsc or pcsc:NAME for a real reader, sim:RESIDENT for a software card."),
]


ProductionKeys = Annotated[
    bool, typer.Option("--production-keys", help="The key file holds production keys, and that is meant.")
]


@app.command()
def read(
    reader: ReaderName,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
    wait: Wait = 30,
    json: Json = False,
) -> None:
    """Read a resident card. Read-only."""
    from terminal.app.output import print_json
    from terminal.app.serve import with_card
    from terminal.app.simulated import laboratory_keys
    from terminal.cli.card_view import card_content, print_content
    from terminal.keys.file import load_file_keys
    from terminal.policy.load import load_region

    at = station_config(config, reader=reader, region=region, keys=keys)
    provider = load_file_keys(at.keys.file or laboratory_keys())
    header = load_region(at.terminal.region_or_demo).header
    content = with_card(at, wait, lambda card: card_content(card, provider, header))
    if json:
        print_json(content)
    else:
        print_content(content)


@app.command()
def look(
    reader: Annotated[
        str | None,
        typer.Option(
            "--reader",
            help="pcsc or pcsc:NAME for a real reader, sim:RESIDENT for a software card.",
            show_default="from terminal.toml, else pcsc",
        ),
    ] = None,
    config: Config = None,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="New file for a transcript of the look, numbers and names masked."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            help="CA keys to check a bank card's authentication with: JSON as `sim card emv ca` prints it.",
            show_default="the laboratory's for a sim: reader, else none: not checked",
        ),
    ] = None,
    wait: Wait = 30,
    json: Json = False,
) -> None:
    """Say what any card is: resident card, bank card, both, another DESFire card. Writes nothing, needs no secret key.

    Numbers are masked. Nothing that is shown is proven but a bank card's authentication, where CA keys are at hand.
    Not certified.
    """
    import secrets

    from terminal.app.config.settings import PCSC, SIM
    from terminal.app.output import print_json
    from terminal.app.serve import with_card
    from terminal.app.simulated import laboratory_bank_ca, whole_recording
    from terminal.cli.card_look import card_look, print_look
    from terminal.clock import SystemClock
    from terminal.keys.bank_ca import load_bank_ca

    at, clock = station_config(config, reader=reader), SystemClock()
    believed = None if ca is None else load_bank_ca(ca)
    if ca is None and (at.reader.name or PCSC).startswith(SIM):
        believed = laboratory_bank_ca()

    def look_at(card: CardConnection) -> dict[str, Any]:
        return card_look(recorded(card), clock.now(), secrets.token_bytes, believed)

    with whole_recording(record, clock, masked=True) as recorded:
        found = with_card(at, wait, look_at)
    if json:
        print_json(found)
    else:
        print_look(found)


@app.command()
def issue(
    resident: Annotated[str, typer.Option(help="Resident to issue the card for: see `sim profiles`.")],
    reader: ReaderName = "pcsc",
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="Also a card whose issue was interrupted: issue it anew.")
    ] = False,
    beside_others: Annotated[
        bool,
        typer.Option(
            "--beside-others",
            help="Also a card that another system uses under the factory's master key, which becomes ours.",
        ),
    ] = False,
    without: Annotated[
        list[CardFeature] | None,
        typer.Option(help="What this chip does not do, by `terminal card acceptance`; may be repeated."),
    ] = None,
    wait: Wait = 30,
    production_keys: ProductionKeys = False,
) -> None:
    """Personalise the empty DESFire card on the reader for a simulated resident, with laboratory keys.

    A card is empty as the factory delivers it, and when it was ours and wiped. Any other is named, refused and stays
    as it is.
    """
    import secrets

    from terminal.app.serve import with_card
    from terminal.clock import SystemClock
    from terminal.lab.issuing import issue_on

    at, today = station_config(config, reader=reader, region=region, keys=keys), SystemClock().now().date()
    document, own = at.terminal.region_or_demo, at.keys.file
    issued = with_card(
        at,
        wait,
        lambda card: issue_on(
            card,
            resident,
            document,
            own,
            today,
            secrets.token_bytes,
            finish=finish,
            beside_others=beside_others,
            production=production_keys,
            without=frozenset(without or ()),
        ),
    )
    print(
        f"card issued for {resident}: {issued.exchanges} exchanges, transaction timer {issued.timer}; "
        f"read it with `terminal card read --reader {reader}`"
    )


@app.command()
def wipe(
    reader: ReaderName = "pcsc",
    issued: Annotated[
        bool, typer.Option("--issued", help="Also a card that is issued: everything of ours on it is lost.")
    ] = False,
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
    wait: Wait = 30,
    production_keys: ProductionKeys = False,
) -> None:
    """Empty a card whose issue was interrupted, so that it can be issued. Applications of other systems stay."""
    import secrets

    from terminal.app.serve import with_card
    from terminal.lab.issuing import wipe as take_off

    at = station_config(config, reader=reader, region=region, keys=keys)
    document, own = at.terminal.region_or_demo, at.keys.file
    found = with_card(
        at,
        wait,
        lambda card: take_off(
            card, document, own, secrets.token_bytes, issued=issued, production=production_keys
        ),
    )
    stay = f"; {len(found.others)} applications of other systems stay" if found.others else ""
    print(f"the card is empty: it can be issued{stay}")


@app.command("issue-batch")
def issue_batch(
    orders: Annotated[
        Path, typer.Argument(help="CSV with columns label, profile and, optionally, purse_minor.")
    ],
    folder: Annotated[Path, typer.Option(help="Folder for card images and the card registry.")],
    config: Config = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
    production_keys: ProductionKeys = False,
) -> None:
    """Issue a software card for each CSV line: FOLDER/LABEL.json and FOLDER/card-registry.json."""
    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.lab.issuing import REGISTRY_FILE
    from terminal.lab.issuing import issue_batch as issue_all

    at = station_config(config, region=region, keys=keys)
    today = SystemClock().now().date()
    cards = issue_all(
        orders,
        folder,
        at.terminal.region_or_demo,
        at.keys.file,
        today,
        quiet=json,
        production=production_keys,
    )
    if json:
        print_json({"cards": cards, "folder": str(folder), "registry": str(folder / REGISTRY_FILE)})
    else:
        print(f"{cards} cards are in {folder}, their registry for the collector is {folder / REGISTRY_FILE}")
