"""`terminal collector settlement`: what carriers get for the rides they ran, in the collector's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terminal.cli.office_acts import TokenFile, said_of, token_in
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json, ShownLang
from terminal.errors import TerminalError

if TYPE_CHECKING:
    from terminal.collector.order_sums import OrderSum
    from terminal.collector.settlement.periods import CarrierMonths, CarrierStatement

app = typer.Typer(help="Settle rides with carriers: by month, exported and signed.", no_args_is_help=True)

Month = Annotated[str, typer.Argument(metavar="MONTH", help="Month of service days (2026-09).")]


@app.command()
def carriers(
    file: Annotated[Path, typer.Argument(help="Carriers document (TOML).")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    token_file: TokenFile = None,
) -> None:
    """Check a carriers document and put it in force. Role: money."""
    from terminal.collector.office import office_at
    from terminal.collector.office_says import OfficeCode, refusal
    from terminal.collector.settlement.carriers import MOST_BYTES
    from terminal.mistakes.reading import content_of

    content = content_of(file, MOST_BYTES)
    with office_at(folder) as office:
        said = office.put_carriers(office.users.at_the_machine(token_in(token_file)), content, str(file))
    if said is not OfficeCode.DONE:
        raise refusal(said)
    print(f"in force: {file}")


@app.command()
def show(
    month: Month,
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    json: Json = False,
    language: ShownLang = "en",
) -> None:
    """Show what each carrier is due for a month, corrections of earlier ones included."""
    from terminal.app.output import print_json
    from terminal.collector.order_sums import SUM_NAMES
    from terminal.collector.settlement.periods import added
    from terminal.collector.settlement.tables import carrier_shown, of_carrier, table_rows
    from terminal.money import amount_text
    from terminal.texts import translator

    with _settlement(folder) as settlement:
        statement, book = _of_month(settlement, month), settlement.carriers
    orders = _orders(folder, month)
    if json:
        closed = None if statement.closed is None else statement.closed.closed_at_ms
        lines = table_rows(statement, book)
        head = {"month": month, "carriers": statement.carriers, "closed_at_ms": closed}
        print_json({**head, "lines": lines, "orders": orders})
        return
    print(f"{month}: {'closed' if statement.closed else 'open'}, {len(statement.lines)} lines")
    for key, numbers in added(statement.lines, of_carrier).items():
        due = amount_text(numbers.due_minor, key.currency)
        print(f"{carrier_shown(book, key.carrier, language):<32} {due:>14} {key.currency}")
    for one in orders:
        done = amount_text(one.done_minor, one.currency)
        print(f"{translator(language).gettext(SUM_NAMES[one.what]):<32} {done:>14} {one.currency}")


@app.command()
def export(
    month: Month,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to; it is made.")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Region document that names products: writes TIDES as well."),
    ] = None,
    language: ShownLang = "ru",
) -> None:
    """Write a month's statement as CSV, XLSX and TIDES, with a manifest signed by the collector's key."""
    from terminal.collector.service import KEY_FILE
    from terminal.collector.settlement.tables import (
        as_csv,
        as_tides,
        as_workbook,
        orders_csv,
        write_statement,
    )
    from terminal.policy.load import load_region
    from terminal.policy.policy import Policy
    from terminal.sync.identity import load_or_create_key

    with _settlement(folder) as settlement:
        statement, book = _of_month(settlement, month), settlement.carriers
        files = {
            f"settlement-{month}.csv": as_csv(statement, book),
            f"settlement-{month}.xlsx": as_workbook(statement, book, language),
            f"orders-{month}.csv": orders_csv(_orders(folder, month)),
        }
        if region is not None:
            files["fare_transactions.csv"] = as_tides(settlement.rides(month), Policy.of(load_region(region)))
    made = write_statement(out, statement, files, load_or_create_key(folder / KEY_FILE))
    print(f"wrote {out}: {', '.join(file.name for file in made.files)}")


@app.command()
def check(
    statement: Annotated[Path, typer.Argument(help="Folder that `settlement export` wrote.")],
    key: Annotated[Path, typer.Option("--key", help="The collector's public key (collector.pub).")],
    json: Json = False,
) -> None:
    """Check that a statement's files are as the collector signed them."""
    from terminal.app.output import print_json
    from terminal.collector.settlement.tables import check_statement
    from terminal.sync.identity import read_public_key

    found = check_statement(statement, read_public_key(key))
    if json:
        print_json(found)
    else:
        print(f"{found.month}: {len(found.files)} files as signed, carriers {found.carriers or '-'}")


@app.command("close")
def close_month(
    month: Month, folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, token_file: TokenFile = None
) -> None:
    """Close a month that is over; a second person confirms. What is learned of it later becomes a correction.
    Role: money.
    """
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        answer = office.close_month(office.users.at_the_machine(token_in(token_file)), _known(month))
    print(said_of(answer, f"{month} closed"))


@contextmanager
def _settlement(folder: Path) -> Iterator[CarrierMonths]:
    from terminal.collector.office import office_at

    with office_at(folder) as office:
        yield office.settlement


def _orders(folder: Path, month: str) -> list[OrderSum]:
    """Orders for cards that were done in the month: no carrier's."""
    from terminal.collector.folder_views import views_of

    with views_of(folder) as views:
        return views.orders_of(month)


def _of_month(settlement: CarrierMonths, month: str) -> CarrierStatement:
    return settlement.month(_known(month))


def _known(month: str) -> str:
    from terminal.collector.settlement.periods import MONTH

    if not MONTH.fullmatch(month):
        raise TerminalError(f"{month} is no month", "Give one like 2026-09.")
    return month
