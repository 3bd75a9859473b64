"""`terminal collector card`: a passenger's lost card, a ride that is paid back, and how far the orders are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terminal.cli.enrolling import TokenFile, token_in
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json, ShownLang

if TYPE_CHECKING:
    from terminal.collector.issuing_orders import IssuingOrder
    from terminal.collector.office import OfficeAnswer
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
            _deny(views, who, card, deny)
        _print(ask_replacement(views, office, who, card, _checked(comment)))


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
        _print(ask_repayment(views, office, who, code, minor, _checked(comment)))


@app.command()
def orders(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False, language: ShownLang = "ru"
) -> None:
    """List what was approved for cards, how far it is, and what later records of a lost card have taken since."""
    from terminal.app.output import print_json
    from terminal.collector.folder_views import views_of
    from terminal.collector.issuing_asking import later_minor, order_line
    from terminal.collector.office import office_at

    with views_of(folder) as views, office_at(folder) as office:
        held = office.orders()
        later = {one.number: later_minor(views, held, one) for one in held}
    if json:
        print_json({"orders": [_as_json(one, later[one.number]) for one in held]})
        return
    for one in held:
        print(order_line(one, later[one.number], language))


def _deny(views: OperatorViews, who: Who, named: str, folder: Path) -> None:
    """Have the card refused at once: one person may, as for a stolen terminal."""
    from terminal.clock import SystemClock
    from terminal.collector.issuing_asking import card_named
    from terminal.collector.office import ANSWERS, OfficeCode
    from terminal.collector.users import OfficeRole
    from terminal.errors import OfficeRefused
    from terminal.lab.card_orders import deny_lost
    from terminal.policy.deny_list import DenyKind
    from terminal.publish.deny.register import DeniedIdentity

    card = card_named(views, named)
    refused = OfficeCode.NOT_FOUND if card is None else OfficeCode.NOT_FOR_ROLE
    if card is None or OfficeRole.MONEY not in who.roles:
        raise OfficeRefused(refused, ANSWERS[refused])
    deny_lost(folder, DeniedIdentity(DenyKind.REFERENCE, card), who.ref, SystemClock().now())


def _checked(comment: str) -> str:
    from terminal.collector.office import MOST_COMMENT

    if len(comment) > MOST_COMMENT:
        raise typer.BadParameter(f"--comment has at most {MOST_COMMENT} characters")
    return comment


def _print(answer: OfficeAnswer) -> None:
    from terminal.collector.office import ANSWERS, OfficeCode
    from terminal.errors import OfficeRefused

    if answer.says is OfficeCode.WAITS:
        print(f"order {answer.number} waits for a second person: terminal collector confirm {answer.number}")
    elif answer.says is OfficeCode.DONE:
        print(f"order {answer.number} is confirmed: terminal card order {answer.number}")
    else:
        raise OfficeRefused(answer.says, ANSWERS[answer.says])


def _as_json(one: IssuingOrder, later_minor: int) -> dict[str, Any]:
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
        "later_minor": later_minor,
        "comment": one.comment,
    }
