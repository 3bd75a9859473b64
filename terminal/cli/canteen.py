"""`terminal canteen …`: what a school's staff does besides taps, while the terminal serves cards or at rest.

Pupils are named by their reference, 16 hexadecimal digits, as `terminal canteen roster show` lists them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from terminal.cli.options import (
    DEFAULT_LANGUAGE,
    CanteenOptions,
    Json,
    Operator,
    ShownLang,
    with_groups,
)

app = typer.Typer(
    help="Class lists, buffet, corrections and reports of a school canteen.", no_args_is_help=True
)


class HowIssued(StrEnum):
    """The ways of `terminal.canteen.issuing.How`."""

    CLASS_LIST = "class_list"
    COVERED_TABLE = "covered_table"
    STREAM = "stream"
    PRE_ORDER = "pre_order"
    FORGOTTEN_CARD = "forgotten_card"


Confirmed = Annotated[
    str, typer.Option("--confirmed-by", help="Staff reference of the second person (M-35).")
]
PupilRef = Annotated[str, typer.Argument(help="The pupil's reference.")]


@app.command()
@with_groups
def issue(
    operator: Operator,
    class_id: Annotated[str | None, typer.Option("--class", help="All present pupils of this class.")] = None,
    pupil: Annotated[list[str] | None, typer.Option(help="Pupil reference; may be repeated.")] = None,
    absent: Annotated[
        list[str] | None, typer.Option(help="With --class: pupils to leave out; may be repeated.")
    ] = None,
    serving: Annotated[str, typer.Option(help="Meal, or by_shift; default: the meal served now.")] = "",
    how: Annotated[HowIssued, typer.Option(help="Way of issuing (M-30).")] = HowIssued.CLASS_LIST,
    confirmed_by: Confirmed = "",
    asked: Annotated[
        bool,
        typer.Option(help="Also to whom the cashier decides: paid without an order, and the like."),
    ] = False,
    *,
    at: CanteenOptions,
    json: Json = False,
) -> None:
    """Issue a meal to a class or to single pupils; each has a record of their own (M-31)."""
    from terminal.app.canteen import perform
    from terminal.canteen.issuing import How
    from terminal.canteen.requests import IssueMeals
    from terminal.cli.canteen_view import refs, show_issued

    if (class_id is None) == (not pupil):
        raise typer.BadParameter("name a class or pupils, not both: --class CLASS, or --pupil REF")
    request = IssueMeals(
        operator, refs(pupil), class_id, refs(absent), serving, How(how.value), confirmed_by, asked
    )
    show_issued(perform(at.station(), request, without_journal=True), json)


@app.command()
@with_groups
def sell(
    pupil: PupilRef,
    product: Annotated[list[str], typer.Option(help="PRODUCT or PRODUCT=COUNT; may be repeated.")],
    operator: Operator,
    *,
    at: CanteenOptions,
    json: Json = False,
) -> None:
    """Sell from the pupil's buffet account."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import SellProducts
    from terminal.cli.canteen_view import basket, ref, show_sale

    request = SellProducts(ref(pupil), basket(product), operator)
    show_sale(perform(at.station(), request), json)


@app.command()
@with_groups
def annul(
    pupil: PupilRef,
    operator: Operator,
    row: Annotated[int | None, typer.Option(help="Annul this row; must be the pupil's last record.")] = None,
    *,
    at: CanteenOptions,
) -> None:
    """Annul a pupil's last meal or sale, within the time limit and before the day is closed (M-34)."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import AnnulLast
    from terminal.cli.canteen_view import ref
    from terminal.money import money
    from terminal.trail_words import ENGLISH

    request = AnnulLast(ref(pupil), operator, row)
    done = perform(at.station(), request)
    returned = money(done.returned_minor, done.currency, ENGLISH)
    print(f"row {done.of} is annulled; {returned} go back to the parents' account")


@app.command()
@with_groups
def attendance(
    operator: Operator,
    absent: Annotated[list[str] | None, typer.Option(help="Absent pupils; may be repeated.")] = None,
    present: Annotated[
        list[str] | None, typer.Option(help="Pupils present after all; may be repeated.")
    ] = None,
    *,
    at: CanteenOptions,
) -> None:
    """Correct today's attendance, until the time in the region document (M-33)."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import CorrectAttendance
    from terminal.cli.canteen_view import refs

    request = CorrectAttendance(operator, refs(absent), refs(present))
    print(f"{perform(at.station(), request).pupils} corrected")


@app.command("not-collected")
@with_groups
def not_collected(
    kind: Annotated[str, typer.Argument(help="Meal whose serving has ended.")],
    operator: Operator,
    *,
    at: CanteenOptions,
) -> None:
    """Mark today's orders of a meal as not collected; they are not charged (M-32)."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import MarkNotCollected

    request = MarkNotCollected(kind, operator)
    print(f"{perform(at.station(), request).pupils} not collected")


@app.command()
@with_groups
def lend(
    card: Annotated[str, typer.Argument(help="Reference of the school's spare card.")],
    pupil: PupilRef,
    operator: Operator,
    confirmed_by: Confirmed = "",
    *,
    at: CanteenOptions,
) -> None:
    """Lend a spare card for today to a pupil without a card (M-35)."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import LendCard
    from terminal.cli.canteen_view import ref

    request = LendCard(ref(card), ref(pupil), operator, confirmed_by)
    lent = perform(at.station(), request)
    print(f"card {card} is lent to pupil {pupil} until the end of {lent.day}")


@app.command()
@with_groups
def close(
    operator: Operator,
    *,
    at: CanteenOptions,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Close the day and print its report. Records of a closed day cannot be annulled."""
    from terminal.app.canteen import perform
    from terminal.canteen.requests import CloseDay
    from terminal.cli.canteen_view import show_day

    closed = perform(at.station(), CloseDay(operator))
    show_day(closed.report, closed.concessions, language, json)
