"""`terminal collector person`: what a person may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.office_acts import TokenFile, checked, said_of, token_in
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json, RegistryKeys, ShownLang

if TYPE_CHECKING:
    from terminal.collector.erasing import ErasureFiles

app = typer.Typer(
    help="A person's request: a copy of everything held of a card, or that what names its holder is erased.",
    no_args_is_help=True,
)

Registry = Annotated[
    Path | None, typer.Option(help="The collector's card registry: it knows all references of a card.")
]
Deny = Annotated[Path | None, typer.Option(help="Folder of the deny register.")]


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
    from terminal.collector.office import office_at
    from terminal.collector.office_rights import OfficeReading
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.collector.person_copy import write_copy
    from terminal.collector.service import KEY_FILE
    from terminal.sync.identity import load_or_create_key

    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        may = office.may_read(who, OfficeReading.RIDES)
        named = card_named(views, card) if may else None
        if named is None:
            refused = OfficeCode.NOT_FOUND if may else OfficeCode.NOT_FOR_ROLE
            raise refusal(refused)
        rows = write_copy(views, office, who, named, out, language, load_or_create_key(folder / KEY_FILE))
    print(f"wrote {out}: {rows} rows")


@app.command()
def erase(
    card: Annotated[
        str, typer.Argument(help="Card reference of 16 digits, or a support code of one of its rides.")
    ],
    comment: Annotated[str, typer.Option(help="Where the request is kept; no name.")] = "",
    registry: Registry = None,
    registry_keys: RegistryKeys = None,
    deny: Deny = None,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that what names the holder of a card is erased; a second person confirms. Role: money.

    Refused while money of the card is under way, owed, or of a month that is not closed.
    """
    from terminal.collector.erasing import ask_erasure
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import card_named
    from terminal.collector.office import office_at
    from terminal.collector.office_says import OfficeCode, refusal

    reason = checked(comment)
    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        named = card_named(views, card)
        if named is None:
            raise refusal(OfficeCode.NOT_FOUND)
        files = _files(folder, registry, registry_keys, deny)
        answer = ask_erasure(views, office, who, named, reason, files)
    number = answer.number
    print(said_of(answer, f"request {number} is confirmed: terminal collector person carry-out {number}"))


@app.command()
def carry_out(
    number: Annotated[int, typer.Argument(min=1, help="The confirmed request.")],
    registry: Registry = None,
    registry_keys: RegistryKeys = None,
    deny: Deny = None,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
    json: Json = False,
) -> None:
    """Erase what names the holder of a card, as two people decided. Role: money.

    Where it ends too early, do it again: it goes on from there.
    """
    from terminal.app.output import print_json
    from terminal.collector.erasing import carry_out_erasure
    from terminal.collector.folder_views import views_of
    from terminal.collector.office import office_at
    from terminal.collector.office_says import OfficeCode, refusal

    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        files = _files(folder, registry, registry_keys, deny)
        done = carry_out_erasure(views, office, who, number, files)
    if isinstance(done, OfficeCode):
        raise refusal(done)
    if json:
        print_json(done._asdict())
        return
    print(f"request {number} is carried out: {done.cards} references, {done.rows} rows keep a hash alone")
    if not done.registry:
        print("no card registry was changed: give --registry where the collector has one")
    print(
        f"what remains: {done.denied} entries of the deny register, until they end and the next list is issued; "
        "rows at terminals, until three days after their acknowledgement; backups and copies given before, "
        "until they are deleted; grants, rosters and other lists, until the next one is in force"
    )


def _files(folder: Path, registry: Path | None, keys: Path | None, deny: Path | None) -> ErasureFiles:
    from terminal.collector.erasing import ErasureFiles
    from terminal.collector.registry import registry_keys as opened
    from terminal.publish.deny.cards import denials_at

    file_keys = None if registry is None else opened(keys)
    return ErasureFiles(folder, registry, file_keys, denials_at(deny, registry, keys))


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
