"""`terminal canteen pupils …`: a school's list as the school has it, XLSX or CSV, and whose a card is.

Names are never printed (D-02): a doubt is said by row and column, as the spreadsheet shows them.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from terminal.cli.options import (
    DEFAULT_LANGUAGE,
    CanteenOptions,
    Json,
    Operator,
    ShownLang,
    with_groups,
)

if TYPE_CHECKING:
    from terminal.canteen.pupils.draft import PupilDraft

pupils_app = typer.Typer(help="List of pupils from a spreadsheet, and their cards.", no_args_is_help=True)

EXIT_DOUBTFUL = 60
"""The list was read, and something in it has to be decided."""


class CardUseName(StrEnum):
    """The uses of `terminal.journal.canteen_records.CardUse` that a command may state."""

    LOST = "lost"
    FOUND = "found"
    UNTIED = "untied"


class ListOptions(NamedTuple):
    """Which list, and what of it was decided beforehand."""

    file: Annotated[Path, typer.Argument(help="XLSX, or CSV in any usual encoding.")]
    school: Annotated[str, typer.Option(help="School of the list, where the document has several.")] = ""
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What a column is, as full_name=C; 0 for a column not to be used. May be repeated."
        ),
    ] = None
    class_id: Annotated[
        list[str] | None, typer.Option("--class", help="What a class is called here: 5b=5б. May be repeated.")
    ] = None
    category: Annotated[
        list[str] | None,
        typer.Option(help="Concession codes for a category's text: 'многодетные=12'. May be repeated."),
    ] = None
    leave_out: Annotated[list[int] | None, typer.Option(help="Row to leave out; may be repeated.")] = None
    whole: Annotated[
        bool | None,
        typer.Option(
            "--whole/--part",
            help="Whether pupils who are not in the file leave the school.",
            show_default="asked where many would",
        ),
    ] = None
    balances_through: Annotated[
        int | None,
        typer.Option(
            min=0, help="Balances in the file count up to this row of the journal; else none is changed."
        ),
    ] = None
    primary: Annotated[
        bool, typer.Option("--primary/--no-primary", help="Grades 1 to 4 have their meal by law (M-10).")
    ] = True


@pupils_app.command("check")
@with_groups
def check(
    options: ListOptions,
    at: CanteenOptions,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Read a list: what loading it would change, and what is doubtful. Read-only."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import ComparePupils
    from terminal.cli.canteen_pupils_view import show_comparison

    found = perform(at.station(), ComparePupils(_draft(options)))
    show_comparison(found, language, json)
    if found.blocking or found.whole is None or not found.school:
        raise typer.Exit(EXIT_DOUBTFUL)


@pupils_app.command("load")
@with_groups
def load(
    operator: Operator,
    options: ListOptions,
    at: CanteenOptions,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Load a list: all of it or, while something in it is doubtful, nothing."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import LoadPupils
    from terminal.cli.canteen_pupils_view import show_comparison

    found = perform(at.station(), LoadPupils(_draft(options), operator))
    show_comparison(found, language, json)


@pupils_app.command("tie")
@with_groups
def tie(
    card: Annotated[str, typer.Argument(help="The card's reference: `card_ref` of its tap.")],
    pupil: Annotated[str, typer.Argument(help="The pupil's reference.")],
    operator: Operator,
    replaces: Annotated[
        bool, typer.Option("--replaces", help="His other cards are lost from now on.")
    ] = False,
    *,
    at: CanteenOptions,
) -> None:
    """Let a card that was presented stand for a pupil (M-35)."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import TieCard
    from terminal.cli.canteen_view import ref

    request = TieCard(ref(card), ref(pupil), operator, replaces)
    done = perform(at.station(), request)
    print(f"{done.pupils} rows recorded")


@pupils_app.command("mark")
@with_groups
def mark(
    card: Annotated[str, typer.Argument(help="The card's reference: `card_ref` of its tap.")],
    use: Annotated[CardUseName, typer.Argument(help="What became of it.")],
    operator: Operator,
    *,
    at: CanteenOptions,
) -> None:
    """Say that a card is lost, found, or the pupil's no longer (M-35)."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import MarkCard
    from terminal.cli.canteen_view import ref
    from terminal.journal.canteen_records import CardUse

    request = MarkCard(ref(card), CardUse(use.value), operator)
    done = perform(at.station(), request)
    print(f"{done.pupils} rows recorded")


def _draft(options: ListOptions) -> PupilDraft:
    """The list as read, with what was decided on the command line."""
    from msgspec.structs import replace

    from terminal.canteen.pupils.columns import PupilColumn
    from terminal.canteen.pupils.draft import NO_COLUMN, Choices, PupilDraft
    from terminal.canteen.pupils.reading import read_file

    progress = sys.stderr.isatty()
    if progress:
        print(f"reading {options.file.name} …", file=sys.stderr)
    book = read_file(options.file)
    columns = {}
    for name, said in _pairs(options.column, "full_name=C"):
        kind = next((kind for kind in PupilColumn if kind == name), None)
        if kind is None:
            raise typer.BadParameter(f"a column is one of {', '.join(PupilColumn)}")
        columns[kind] = NO_COLUMN if said == "0" else _column_number(said)
    categories = {}
    for text, codes in _pairs(options.category, "многодетные=12"):
        if not all(code.strip().isdigit() for code in codes.split(",") if code.strip()):
            raise typer.BadParameter("a category's codes are numbers of concessions: 10,12")
        categories[text] = tuple(int(code) for code in codes.split(",") if code.strip())
    choices = Choices(
        school=options.school,
        columns=columns,
        classes=dict(_pairs(options.class_id, "5b=5б")),
        categories=categories,
        whole=options.whole,
        through=options.balances_through,
        primary=options.primary,
    )
    draft = PupilDraft.of(options.file.name, book, choices)
    rows = frozenset(options.leave_out or ())
    lines = tuple(line.line for line in draft.lines() if line.row.number in rows)
    return replace(draft, choices=replace(choices, left_out=lines))


def _pairs(said: list[str] | None, example: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in said or ()]
    if not all(name and divides for name, divides, _ in pairs):
        raise typer.BadParameter(f"write it as {example}")
    return [(name, value) for name, _, value in pairs]


def _column_number(said: str) -> int:
    """A column by its letter or its number from 1."""
    if said.isdigit():
        return int(said) - 1
    if len(said) == 1 and "A" <= said.upper() <= "Z":
        return ord(said.upper()) - ord("A")
    raise typer.BadParameter("a column is a letter from A to Z, or a number")
