"""`terminal canteen …`: what a school's staff does besides taps, while the terminal serves cards or at rest.

Pupils are named by their reference, 16 hexadecimal digits, as `terminal canteen roster show` lists them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli import canteen_reports
from terminal.cli.options import (
    DEFAULT_REGION,
    DEFAULT_STATE,
    Json,
    Keys,
    Lang,
    Language,
    Number,
    Region,
    State,
)

if TYPE_CHECKING:
    from terminal.canteen.desk import CanteenDesk
    from terminal.cli.assemble import Station

app = typer.Typer(
    help="Class lists, buffet, corrections and reports of a school canteen.", no_args_is_help=True
)
roster_app = typer.Typer(help="The list of pupils, kept sealed on the terminal.", no_args_is_help=True)
prices_app = typer.Typer(help="What the buffet sells.", no_args_is_help=True)
app.add_typer(roster_app, name="roster")
app.add_typer(prices_app, name="prices")
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
ListFile = Annotated[Path, typer.Argument(help="The file as it came, TOML or JSON.")]


@roster_app.command("check")
def check_roster(
    file: ListFile,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Read a roster and say what is in it, or what is wrong; nothing is changed."""
    from terminal.canteen.documents import RosterDocument, read_document, require_sound
    from terminal.canteen.roster import Roster, roster_problems
    from terminal.cli.canteen_view import show_roster
    from terminal.clock import SystemClock

    now, station = SystemClock().now(), _station(state, number, region, keys)
    policy = station.load_policy(station.load_keys(), now)
    document = read_document(file, RosterDocument)
    require_sound(roster_problems(document, policy, now), file.name)
    show_roster(Roster.of(document, policy), "is sound", json)


@roster_app.command("load")
def load_roster(
    file: ListFile,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Check a roster and put it in force; an older one than that in force is refused (O-01)."""
    from terminal.canteen.lines import ms
    from terminal.cli.canteen_desk import store_of
    from terminal.cli.canteen_view import show_roster
    from terminal.journal.canteen_records import RosterLoaded

    station = _station(state, number, region, keys)

    def work(desk: CanteenDesk, now: datetime) -> None:
        roster = store_of(station, station.load_keys()).install_roster(file, desk.policy, now)
        desk.roster = roster
        header = roster.header
        through = header.through.get(str(desk.terminal), 0)
        desk.append(RosterLoaded(ms(now), header.school, header.sequence, through, len(roster.pupils)))
        show_roster(roster, "is in force", json)

    _with_desk(station, work)


@roster_app.command("show")
def show_class(
    class_id: Annotated[str | None, typer.Argument(help="One class; all classes without it.")] = None,
    names: Annotated[bool, typer.Option("--names", help="Show names, for the staff's screen only.")] = False,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
) -> None:
    """List the pupils with their accounts; names only when asked for."""
    from terminal.cli.canteen_view import show_pupils

    _with_desk(
        _station(state, number, region, keys), lambda desk, now: show_pupils(desk, class_id, now, names=names)
    )


@prices_app.command("load")
def load_prices(
    file: ListFile,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
) -> None:
    """Check a price list and put it in force."""
    from terminal.cli.canteen_desk import store_of

    station = _station(state, number, region, keys)

    def work(desk: CanteenDesk, now: datetime) -> None:
        prices = store_of(station, station.load_keys()).install_price_list(file, desk.policy, now)
        desk.price_list = prices
        print(
            f"price list {prices.header.sequence} of {prices.header.school}: {len(prices.products)} products"
        )

    _with_desk(station, work)


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
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Issue a meal to a class or to single pupils; each gets his own record (M-31)."""
    from terminal.canteen.issuing import Batch, How, pupils_of
    from terminal.canteen.issuing import issue as issue_to
    from terminal.cli.canteen_view import show_issued

    def work(desk: CanteenDesk, now: datetime) -> None:
        pupils = [_ref(ref) for ref in pupil or ()]
        if class_id is not None:
            pupils += pupils_of(desk, class_id, [_ref(ref) for ref in absent or ()], now)
        batch = Batch(serving, How(how.value), operator, now, confirmed_by)
        show_issued(issue_to(desk, pupils, batch), json)

    _with_desk(_station(state, number, region, keys), work, without_journal=True)


@app.command()
def sell(
    pupil: PupilRef,
    product: Annotated[
        list[str], typer.Option(help="PRODUCT or PRODUCT=COUNT; may be given more than once.")
    ],
    operator: Operator,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Sell from the pupil's buffet account."""
    from terminal.canteen.buffet import sell as sell_to
    from terminal.cli.canteen_view import basket, show_sale

    _with_desk(
        _station(state, number, region, keys),
        lambda desk, now: show_sale(sell_to(desk, _ref(pupil), basket(product), operator, now), json),
    )


@app.command()
def annul(
    pupil: PupilRef,
    operator: Operator,
    row: Annotated[int | None, typer.Option(help="Only if this is the pupil's last record.")] = None,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
) -> None:
    """Annul the pupil's last meal or sale, within the document's time and before the day is closed (M-34)."""
    from terminal.canteen.corrections import annul as annul_last
    from terminal.cli.output import roubles

    def work(desk: CanteenDesk, now: datetime) -> None:
        done = annul_last(desk, _ref(pupil), operator, now, of=row)
        print(f"row {done.of} is annulled; {roubles(done.returned_minor)} go back to the parents' account")

    _with_desk(_station(state, number, region, keys), work)


@app.command()
def attendance(
    operator: Operator,
    absent: Annotated[
        list[str] | None, typer.Option(help="Not there today; may be given more than once.")
    ] = None,
    present: Annotated[
        list[str] | None, typer.Option(help="There after all; may be given more than once.")
    ] = None,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
) -> None:
    """Correct who is at school today, until the document's time (M-33)."""
    from terminal.canteen.corrections import correct_attendance

    def work(desk: CanteenDesk, now: datetime) -> None:
        gone, back = [_ref(ref) for ref in absent or ()], [_ref(ref) for ref in present or ()]
        print(f"{len(correct_attendance(desk, gone, back, operator, now))} corrected")

    _with_desk(_station(state, number, region, keys), work)


@app.command("not-collected")
def not_collected(
    kind: Annotated[str, typer.Argument(help="The meal whose serving is over.")],
    operator: Operator,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
) -> None:
    """Mark today's orders that nobody fetched; nobody is charged for them (M-32)."""
    from terminal.canteen.corrections import mark_not_collected

    def work(desk: CanteenDesk, now: datetime) -> None:
        print(f"{len(mark_not_collected(desk, kind, operator, now))} not collected")

    _with_desk(_station(state, number, region, keys), work)


@app.command()
def lend(
    card: Annotated[str, typer.Argument(help="Reference of the school's spare card.")],
    pupil: PupilRef,
    operator: Operator,
    confirmed_by: Confirmed = "",
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
) -> None:
    """Lend a spare card to a pupil who forgot his own, for today (M-35)."""
    from terminal.canteen.corrections import lend_card

    def work(desk: CanteenDesk, now: datetime) -> None:
        lent = lend_card(desk, _ref(card), _ref(pupil), operator, confirmed_by, now)
        print(f"until the end of {lent.day} card {card} stands for pupil {pupil}")

    _with_desk(_station(state, number, region, keys), work)


@app.command()
def close(
    operator: Operator,
    state: State = DEFAULT_STATE,
    number: Number = 1,
    region: Region = DEFAULT_REGION,
    keys: Keys = None,
    language: Lang = Language.RU,
    json: Json = False,
) -> None:
    """Close the day and print its report; from then on nothing of it is annulled."""
    from terminal.canteen.closing import close_day
    from terminal.cli.canteen_view import show_day

    def work(desk: CanteenDesk, now: datetime) -> None:
        show_day(close_day(desk, operator, now), desk.policy, language.value, json)

    _with_desk(_station(state, number, region, keys), work)


def _station(state: Path, number: int, region: str, keys: Path | None) -> Station:
    from terminal.cli.assemble import Station as At

    return At(number, "canteen", state, region, keys)


def _with_desk(
    station: Station, work: Callable[[CanteenDesk, datetime], None], *, without_journal: bool = False
) -> None:
    """Do `work` at the counter of `station`, now: here, or in the process that is serving cards there."""
    from terminal.cli.canteen_desk import open_desk
    from terminal.cli.canteen_line import counter_here
    from terminal.clock import SystemClock
    from terminal.errors import JournalLocked

    counter = counter_here()
    if counter is not None:
        work(counter.desk, counter.clock.now())
        return
    clock = SystemClock()
    try:
        with open_desk(station, clock, without_journal=without_journal) as desk:
            work(desk, clock.now())
    except JournalLocked:
        if not _ask_the_running_one(station.state):
            raise


def _ask_the_running_one(state: Path) -> bool:
    """Pass this command on to the terminal that is running in `state`; False when none takes it."""
    from terminal.cli.canteen_line import ask

    words = sys.argv[sys.argv.index("canteen") + 1 :]
    answer = ask(state, [str(Path(word).resolve()) if Path(word).is_file() else word for word in words])
    if answer is None:
        return False
    sys.stdout.write(answer.stdout)
    sys.stderr.write(answer.stderr)
    if answer.code:
        raise typer.Exit(answer.code)
    return True


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
