"""`terminal collector card`: a passenger's lost card, a ride that is paid back, and how far the orders are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terminal.cli.office_acts import TokenFile, checked, said_of, token_in
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json, ShownLang

if TYPE_CHECKING:
    from terminal.collector.approvals import Act
    from terminal.collector.issuing_asking import OrderView
    from terminal.collector.office import Office
    from terminal.collector.office_says import OfficeAnswer
    from terminal.collector.users import Who
    from terminal.collector.views import OperatorViews

app = typer.Typer(
    help="Lost cards and rides paid back: asked for here, confirmed by a second person, carried out with "
    "`terminal card order`.",
    no_args_is_help=True,
)

Comment = Annotated[str, typer.Option(help="Why.")]


@app.command()
def lost(
    card: Annotated[
        str, typer.Argument(help="Card reference of 16 digits, or a support code of one of its rides.")
    ],
    comment: Comment = "",
    deny: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the deny register: have the card refused now, not only when it is replaced."
        ),
    ] = None,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask for a new card with the balance of a lost one, as of the last record that came. Role: money."""
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import ask_replacement
    from terminal.collector.office import office_at

    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        if deny is not None:
            _deny(views, office, who, card, deny)
        _print(ask_replacement(views, office, who, card, checked(comment)))


@app.command()
def repay(
    code: Annotated[str, typer.Argument(help="Support code of the ride, or TERMINAL:ROW.")],
    minor: Annotated[
        int | None, typer.Option(min=1, help="Sum in minor units.", show_default="the whole charge")
    ] = None,
    comment: Comment = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that a ride's charge is paid back onto its card. Role: money."""
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import ask_repayment
    from terminal.collector.office import office_at

    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        _print(ask_repayment(views, office, who, code, minor, checked(comment)))


@app.command()
def orders(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False, language: ShownLang = "ru"
) -> None:
    """List what was approved for cards, how far it is, and what later records of a lost card have taken since."""
    from terminal.app.output import print_json
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import order_view
    from terminal.collector.office import office_at

    with views_of(folder) as views, office_at(folder) as office:
        orders = office.orders()
        held = [order_view(views, orders, one) for one in orders]
    if json:
        print_json({"orders": [_as_json(one) for one in held]})
        return
    for one in held:
        print(one.says(language))


OrderNumber = Annotated[int, typer.Argument(min=1, help="Order, from `terminal collector card orders`.")]
OfLater = Annotated[
    int | None, typer.Option(help="Sum in minor units.", show_default="all that is not decided")
]


@app.command()
def settle(
    order: OrderNumber,
    minor: OfLater = None,
    comment: Comment = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that what later records of a lost card took is settled on the card in its place. Role: money."""
    from terminal.collector.approvals import Act

    _later(Act.SETTLE_LATER, order, minor, comment, folder, token_file)


@app.command()
def forgive(
    order: OrderNumber,
    minor: OfLater = None,
    comment: Comment = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that what later records of a lost card took is not collected. Role: money."""
    from terminal.collector.approvals import Act

    _later(Act.FORGIVE_LATER, order, minor, comment, folder, token_file)


@app.command()
def move(
    order: OrderNumber,
    comment: Comment = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that a begun order leaves its card, which broke: it is denied when another one is begun. Role: money."""
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        _print(office.move_order(who, order, checked(comment)))


@app.command()
def drop(
    order: OrderNumber,
    comment: Comment = "",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Ask that an order is given up that was not begun with any card. Role: money."""
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        _print(office.drop_order(who, order, checked(comment)))


def _later(
    what: Act, order: int, minor: int | None, comment: str, folder: Path, token_file: Path | None
) -> None:
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import ask_later
    from terminal.collector.office import office_at

    with views_of(folder) as views, office_at(folder) as office:
        who = office.users.at_the_machine(token_in(token_file))
        _print(ask_later(views, office, who, what, order, minor, checked(comment)))


def _deny(views: OperatorViews, office: Office, who: Who, card: str, folder: Path) -> None:
    """Have the card refused at once: one person may, as for a stolen terminal."""
    from terminal.clock import SystemClock
    from terminal.collector.issuing_asking import card_named
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.publish.deny.cards import RegisteredDenials
    from terminal.publish.deny.register import DenyReason

    found = card_named(views, card)
    denials = RegisteredDenials(folder, lambda: None, SystemClock().now)
    answer = (
        OfficeCode.NOT_FOUND if found is None else office.deny_card(who, found, DenyReason.LOST, denials).says
    )
    if answer not in (OfficeCode.DONE, OfficeCode.DENIED_ALREADY):
        raise refusal(answer)


def _print(answer: OfficeAnswer) -> None:
    number = answer.number
    done = f"order {number} is confirmed; what a card gets: terminal card order {number}"
    print(said_of(answer, done, "order"))


def _as_json(view: OrderView) -> dict[str, Any]:
    one = view.order
    return {
        "number": one.number,
        "what": one.what,
        "card": one.subject.card.hex(),
        "minor": one.subject.minor,
        "currency": one.subject.currency,
        "row": f"{one.subject.row[0]}:{one.subject.row[1]}",
        "state": one.state,
        "onto": one.onto.hex(),
        "balance_minor": one.balance_minor,
        "broken": [card.hex() for card in one.broken],
        "later_minor": view.later_minor,
        "undecided_minor": view.undecided_minor,
        "comment": one.comment,
    }
