"""`terminal card issue|read`: personalise a blank card, look into a personalised one (laboratory keys)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.options import DEFAULT_REGION, Json, Keys, Region

if TYPE_CHECKING:
    from cardproto.connection import CardConnection

app = typer.Typer(help="Personalise and read resident cards with laboratory keys.", no_args_is_help=True)

ReaderName = Annotated[
    str,
    typer.Option("--reader", help="pcsc or pcsc:NAME for a real reader, sim:RESIDENT for a software card."),
]
Wait = Annotated[float, typer.Option(min=0, help="Wait so many seconds for a card.")]


@app.command()
def read(
    reader: ReaderName,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    wait: Wait = 30,
    json: Json = False,
) -> None:
    """Show what a resident card holds. Changes nothing."""
    import secrets

    from terminal.cli.assemble import laboratory_keys
    from terminal.cli.card_view import card_content, print_content
    from terminal.cli.output import print_json
    from terminal.keys.file import load_file_keys
    from terminal.policy.document import load_region

    provider = load_file_keys(keys or laboratory_keys())
    document = load_region(region)
    with _presented(reader, region, keys, wait) as connection:
        content = card_content(connection, provider, document.header.region, secrets.token_bytes)
    if json:
        print_json(content)
    else:
        print_content(content)


@app.command()
def issue(
    resident: Annotated[str, typer.Option(help="Which resident the card is for: see `sim profiles`.")],
    reader: ReaderName = "pcsc",
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    wait: Wait = 30,
) -> None:
    """Personalise the blank DESFire card on the reader for a simulated resident, with laboratory keys.

    A blank card has the factory's all-zero master key; any other card is refused and stays as it is.
    """
    import secrets

    from terminal.cli.issuing import issue_on
    from terminal.clock import SystemClock

    with _presented(reader, region, keys, wait) as connection:
        exchanges = issue_on(
            connection, resident, region, keys, SystemClock().now().date(), secrets.token_bytes
        )
    print(
        f"card issued for {resident}: {exchanges} exchanges; read it with `terminal card read --reader {reader}`"
    )


@contextmanager
def _presented(reader: str, region: str, keys: Keys, wait_s: float) -> Iterator[CardConnection]:
    """The card on the reader, connected; released and reset at the end."""
    from pathlib import Path

    from terminal.cli.assemble import Station
    from terminal.cli.serve import reader_for
    from terminal.clock import SystemClock
    from terminal.errors import ReaderError

    station = Station(0, "bus", Path(), region, keys)
    port = reader_for(reader, station, SystemClock(), taps=1).port
    try:
        connection = port.wait_for_card(wait_s)
        if connection is None:
            raise ReaderError(
                f"no card on {port.name} for {wait_s:g} s", "Lay a card on the reader and try again."
            )
        yield connection
        port.release()
    finally:
        port.close()
