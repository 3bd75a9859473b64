"""What an operator asks of a collector's folder, whether the collector runs or not."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cardcli.characters import plain_cell
from cardcli.output import data_output
from terminal.cli.options import DEFAULT_COLLECTOR_FOLDER, CollectorFolder, Json, ShownLang
from terminal.clock import unix_ms
from terminal.errors import CollectorError, TerminalError
from terminal.money import amount_text

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from terminal.collector.views import OperatorViews

Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, sums as decimals of the currency beside them.")]


def status(folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False) -> None:
    """Show a summary."""
    with _views(folder) as views:
        found = views.status(_now_ms())
    _print_fields("collector", found, json)


def ride(
    named: Annotated[
        str,
        typer.Argument(metavar="CODE", help="The support code that a rider reads out, or TERMINAL:ROW."),
    ],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    json: Json = False,
    language: ShownLang = "en",
) -> None:
    """Show one tap: what came of it, why it was decided so, and what looked wrong about it."""
    from terminal.app.output import print_json
    from terminal.collector.ride import find_ride, row_named

    row = row_named(named)
    with _views(folder) as views:
        found, zone = find_ride(views.store, row), views.books.calendar().zone
    if found is None:
        raise CollectorError(
            f"row {row[0]}:{row[1]} has not come to the collector as a tap or sale",
            "See when the terminal last sent: terminal collector terminals.",
        )
    if json:
        print_json(found.as_json(language, zone))
    else:
        print("\n".join((found.code, *found.says(language, zone))))


def terminals(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False, as_csv: Csv = False
) -> None:
    """List terminals: key, newest batch, unsent records, reader, alarms."""
    with _views(folder) as views:
        found = views.terminals(_now_ms())
    _print_rows("terminals", found, json, as_csv)


def alarms(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    everything: Annotated[bool, typer.Option("--all", help="Include acknowledged alarms.")] = False,
    json: Json = False,
    as_csv: Csv = False,
    language: ShownLang = "en",
) -> None:
    """List open alarms; docs/collector.md explains each."""
    from terminal.collector.watch import as_time

    with _views(folder) as views:
        found = views.store.alarms(only_open=not everything)
    if json or as_csv:
        _print_rows(
            "alarms",
            [alarm._asdict() | {"says": alarm.says(language), "open": alarm.open} for alarm in found],
            json,
            as_csv,
        )
        return
    if not found:
        print("no open alarms")
    for alarm in found:
        row = f" row {alarm.sequence}" if alarm.sequence else ""
        who = f" terminal {alarm.terminal}{row}" if alarm.terminal else ""
        times = f", {alarm.times} times" if alarm.times > 1 else ""
        print(f"{alarm.id:>5}  {as_time(alarm.last_at_ms)}  {alarm.kind}{who}: {alarm.says(language)}{times}")
        if alarm.acknowledged_at_ms is not None:
            said = f": {alarm.comment}" if alarm.comment else ""
            print(f"       {as_time(alarm.acknowledged_at_ms)}  {alarm.acknowledged_by}{said}")


def strangers(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    json: Json = False,
    as_csv: Csv = False,
    language: ShownLang = "en",
) -> None:
    """List what was tried without a good signature: counts by kind and address, with the newest examples."""
    from terminal.collector.watch import as_time

    with _views(folder) as views:
        found = views.strangers()
    if json or as_csv:
        _print_rows(
            "strangers", [count._asdict() | {"says": count.says(language)} for count in found], json, as_csv
        )
        return
    if not found:
        print("no attempts without a good signature")
    for count in found:
        name = f" terminal {count.terminal}" if count.terminal else ""
        said = f"{count.kind} {count.address}{name}: {count.says(language)}, {count.times} times"
        print(f"{as_time(count.last_at_ms)}  {said}")


def trials(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False, as_csv: Csv = False
) -> None:
    """List tariffs on trial: at how many terminals, taps and refusals of all together, by them and by those before."""
    with _views(folder) as views:
        found = [one._asdict() for one in views.ledger.groups()]
    _print_rows("trials", found, json, as_csv)


def shadows(
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER, json: Json = False, as_csv: Csv = False
) -> None:
    """List tariffs in shadow by terminal: taps decided once more, what would have been otherwise, and the difference in
    money.
    """
    with _views(folder) as views:
        found = [one._asdict() for one in views.ledger.shadows()]
    _print_rows("shadows", found, json, as_csv)


def report(
    day: Annotated[
        str, typer.Option(help="Service day (2026-09-15); default: the newest that has begun.")
    ] = "",
    by: Annotated[str, typer.Option(help="Grouping: terminal, route, school, funder or proof.")] = "terminal",
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Reconcile a service day; sums equal the records to the minor unit, each currency by itself."""
    from terminal.app.output import print_json
    from terminal.collector.days import By

    if by not in list(By):
        raise TerminalError(
            f"a day cannot be broken down by {by}", "Give terminal, route, school, funder or proof."
        )
    with _views(folder) as views:
        found = views.day(day or views.books.newest_day(_now_ms()) or "", By(by))
    if json:
        print_json(found)
        return
    if found.behind:
        print(f"{found.behind} records are not booked yet: a running collector books them", file=sys.stderr)
    if not as_csv:
        print(f"service day {found.day or '-'} by {found.by}")
    _print_rows("", [*found.lines, *found.totals], json=False, as_csv=as_csv)
    if found.orders and not as_csv:
        print("orders for cards")
        _print_rows("", found.orders, json=False, as_csv=False)


def backup(
    target: Annotated[Path, typer.Argument(help="New folder for the backup, preferably on another disk.")],
    folder: CollectorFolder = DEFAULT_COLLECTOR_FOLDER,
    with_key: Annotated[
        bool,
        typer.Option(
            "--with-key", help="Include the collector's private key, needed for moving to another machine."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Back up records and registrations, also while the collector runs, and verify the copy."""
    from terminal.collector.backup import back_up

    _print_fields(f"backup in {target}", back_up(folder, target, with_key=with_key), json)


def _views(folder: Path) -> AbstractContextManager[OperatorViews]:
    from terminal.collector.folder_views import views_of

    return views_of(folder)


def _now_ms() -> int:
    from terminal.clock import SystemClock

    return unix_ms(SystemClock().now())


def _fields(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    found = {name: getattr(value, name) for name in value.__slots__}
    if hasattr(value, "records_minor"):
        found["records_minor"] = value.records_minor
    return found


def _print_fields(title: str, value: Any, json: bool) -> None:
    from terminal.app.output import print_json

    if json:
        print_json(value)
        return
    print(title)
    for name, field in _fields(value).items():
        print(f"  {name:<20} {'-' if field is None else field}")


def _print_rows(title: str, values: Iterable[Any], json: bool, as_csv: bool) -> None:
    from terminal.app.output import print_json

    rows = [_fields(value) for value in values]
    if json:
        print_json({title: rows})
        return
    heads = [_head(name, rows[0]) for name in rows[0]] if rows else []
    cells = [[_cell(name, value, row) for name, value in row.items()] for row in rows]
    if as_csv:
        csv.writer(data_output()).writerows(
            [heads, *([plain_cell(cell) for cell in line] for line in cells)] if heads else []
        )
        return
    widths = [max(len(line[place]) for line in [heads, *cells]) for place in range(len(heads))]
    for line in [heads, *cells] if heads else []:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _head(name: str, row: dict[str, Any]) -> str:
    """A sum's name without its unit, which the currency beside it says; a count of the same name keeps its own."""
    plain = name.removesuffix("_minor")
    return f"{plain}_amount" if plain != name and plain in row else plain


def _cell(name: str, value: Any, row: dict[str, Any]) -> str:
    if value is None:
        return ""
    return amount_text(value, row["currency"]) if name.endswith("_minor") else str(value)
