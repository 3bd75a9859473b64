"""`terminal collector person`: what a person may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terminal.cli.enrolling import TokenFile, token_in
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, ShownLang

app = typer.Typer(help="A person's request: a copy of everything held of a card.", no_args_is_help=True)


@app.command()
def copy(
    card: Annotated[
        str, typer.Argument(help="Card reference of 16 digits, or a support code of one of its rides.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; it is made.")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
    language: ShownLang = "ru",
) -> None:
    """Write everything that the collector holds of a card, readable and signed. Role: operate or money."""
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import card_named
    from terminal.collector.office import ANSWERS, OfficeCode, OfficeReading, office_at
    from terminal.collector.person_copy import write_copy
    from terminal.collector.service import KEY_FILE
    from terminal.errors import OfficeRefused
    from terminal.sync.identity import load_or_create_key

    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        may = office.may_read(who, OfficeReading.RIDES)
        named = card_named(views, card) if may else None
        if named is None:
            refused = OfficeCode.NOT_FOUND if may else OfficeCode.NOT_FOR_ROLE
            raise OfficeRefused(refused, ANSWERS[refused])
        rows = write_copy(views, office, who, named, out, language, load_or_create_key(folder / KEY_FILE))
    print(f"wrote {out}: {rows} rows")


@app.command()
def check(
    copied: Annotated[Path, typer.Argument(help="Folder that `person copy` wrote.")],
    key: Annotated[Path, typer.Option("--key", help="The collector's public key (collector.pub).")],
) -> None:
    """Check that a copy is as the collector signed it."""
    from terminal.collector.person_copy import check_copy
    from terminal.sync.identity import read_public_key

    check_copy(copied, read_public_key(key))
    print(f"{copied}: as signed")
