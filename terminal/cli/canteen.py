"""`terminal canteen …`: what a school's staff does besides taps, while the terminal serves cards or at rest.

Pupils are named by their reference, 16 hexadecimal digits, as `terminal canteen roster show` lists them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli import canteen_lists, canteen_reports
from terminal.cli.options import (
    DEFAULT_LANGUAGE,
    Config,
    Json,
    Keys,
    Number,
    Region,
    ShownLang,
    State,
    canteen_station,
)

if TYPE_CHECKING:
    from terminal.canteen.desk import CanteenDesk

app = typer.Typer(
    help="Class lists, buffet, corrections and reports of a school canteen.", no_args_is_help=True
)
app.add_typer(canteen_lists.roster_app, name="roster")
app.add_typer(canteen_lists.prices_app, name="prices")
app.command("report")(canteen_reports.report)
app.command("month")(canteen_reports.month)


class HowIssued(StrEnum):
    """The ways of `terminal.canteen.issuing.How`."""

    CLASS_LIST = "class_list"
    COVERED_TABLE = "covered_table"
    STREAM = "stream"
    PRE_ORDER = "pre_order"
    FORGOTTEN_CARD = "forgotten_card"


Operator = Annotated[
    str, typer.Option("--operator", help="Reference of the staff's service card, never a name.")
]
Confirmed = Annotated[
    str, typer.Option("--confirmed-by", help="Reference of the second person who confirms (M-35).")
]
PupilRef = Annotated[str, typer.Argument(help="The pupil's reference.")]


@app.command()
def issue(
    operator: Operator,
    class_id: Annotated[
        str | None, typer.Option("--class", help="Everybody of this class who is there.")
    ] = None,
    pupil: Annotated[list[str] | None, typer.Option(help="This pupil; may be given more than once.")] = None,
    absent: Annotated[
        list[str] | None, typer.Option(help="With --class: who is not ticked; may be given more than once.")
    ] = None,
    serving: Annotated[
        str, typer.Option(help="The meal, or by_shift; without it the meal of the hour.")
    ] = "",
    how: Annotated[HowIssued, typer.Option(help="How it is issued (M-30).")] = HowIssued.CLASS_LIST,
    confirmed_by: Confirmed = "",
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Issue a meal to a class or to single pupils; each gets his own record (M-31)."""
    from terminal.app.canteen import at_counter
    from terminal.canteen.issuing import Batch, How, pupils_of
    from terminal.canteen.issuing import issue as issue_to
    from terminal.cli.canteen_view import show_issued

    def work(desk: CanteenDesk, now: datetime) -> None:
        pupils = [_ref(ref) for ref in pupil or ()]
        if class_id is not None:
            pupils += pupils_of(desk, class_id, [_ref(ref) for ref in absent or ()], now)
        batch = Batch(serving, How(how.value), operator, now, confirmed_by)
        show_issued(issue_to(desk, pupils, batch), json)

    at_counter(canteen_station(config, state, number, region, keys), work, without_journal=True)


@app.command()
def sell(
    pupil: PupilRef,
    product: Annotated[
        list[str], typer.Option(help="PRODUCT or PRODUCT=COUNT; may be given more than once.")
    ],
    operator: Operator,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Sell from the pupil's buffet account."""
    from terminal.app.canteen import at_counter
    from terminal.canteen.buffet import sell as sell_to
    from terminal.cli.canteen_view import basket, show_sale

    at_counter(
        canteen_station(config, state, number, region, keys),
        lambda desk, now: show_sale(sell_to(desk, _ref(pupil), basket(product), operator, now), json),
    )


@app.command()
def annul(
    pupil: PupilRef,
    operator: Operator,
    row: Annotated[int | None, typer.Option(help="Only if this is the pupil's last record.")] = None,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Annul the pupil's last meal or sale, within the document's time and before the day is closed (M-34)."""
    from terminal.app.canteen import at_counter
    from terminal.app.output import roubles
    from terminal.canteen.corrections import annul as annul_last

    def work(desk: CanteenDesk, now: datetime) -> None:
        done = annul_last(desk, _ref(pupil), operator, now, of=row)
        print(f"row {done.of} is annulled; {roubles(done.returned_minor)} go back to the parents' account")

    at_counter(canteen_station(config, state, number, region, keys), work)


@app.command()
def attendance(
    operator: Operator,
    absent: Annotated[
        list[str] | None, typer.Option(help="Not there today; may be given more than once.")
    ] = None,
    present: Annotated[
        list[str] | None, typer.Option(help="There after all; may be given more than once.")
    ] = None,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Correct who is at school today, until the document's time (M-33)."""
    from terminal.app.canteen import at_counter
    from terminal.canteen.corrections import correct_attendance

    def work(desk: CanteenDesk, now: datetime) -> None:
        gone, back = [_ref(ref) for ref in absent or ()], [_ref(ref) for ref in present or ()]
        print(f"{len(correct_attendance(desk, gone, back, operator, now))} corrected")

    at_counter(canteen_station(config, state, number, region, keys), work)


@app.command("not-collected")
def not_collected(
    kind: Annotated[str, typer.Argument(help="The meal whose serving is over.")],
    operator: Operator,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Mark today's orders that nobody fetched; nobody is charged for them (M-32)."""
    from terminal.app.canteen import at_counter
    from terminal.canteen.corrections import mark_not_collected

    def work(desk: CanteenDesk, now: datetime) -> None:
        print(f"{len(mark_not_collected(desk, kind, operator, now))} not collected")

    at_counter(canteen_station(config, state, number, region, keys), work)


@app.command()
def lend(
    card: Annotated[str, typer.Argument(help="Reference of the school's spare card.")],
    pupil: PupilRef,
    operator: Operator,
    confirmed_by: Confirmed = "",
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
) -> None:
    """Lend a spare card to a pupil who forgot his own, for today (M-35)."""
    from terminal.app.canteen import at_counter
    from terminal.canteen.corrections import lend_card

    def work(desk: CanteenDesk, now: datetime) -> None:
        lent = lend_card(desk, _ref(card), _ref(pupil), operator, confirmed_by, now)
        print(f"until the end of {lent.day} card {card} stands for pupil {pupil}")

    at_counter(canteen_station(config, state, number, region, keys), work)


@app.command()
def close(
    operator: Operator,
    config: Config = None,
    state: State = None,
    number: Number = None,
    region: Region = None,
    keys: Keys = None,
    language: ShownLang = DEFAULT_LANGUAGE,
    json: Json = False,
) -> None:
    """Close the day and print its report; from then on nothing of it is annulled."""
    from terminal.app.canteen import at_counter
    from terminal.canteen.closing import close_day
    from terminal.cli.canteen_view import show_day

    def work(desk: CanteenDesk, now: datetime) -> None:
        show_day(close_day(desk, operator, now), desk.policy, language, json)

    at_counter(canteen_station(config, state, number, region, keys), work)


def _ref(text: str) -> bytes:
    """A pupil's or card's reference."""
    from terminal.errors import CanteenRefused

    try:
        ref = bytes.fromhex(text)
    except ValueError:
        ref = b""
    if len(ref) != 8:
        raise CanteenRefused(f"{text!r} is no reference", "Give 16 hexadecimal digits, see `roster show`.")
    return ref
