"""`terminal policy import-gtfs FEED` and `gtfs-routes FEED`: the fares of a GTFS feed as a file that a region document
can name, and its routes as a routes document.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from terminal.cli.options import Json, ShownLang
from terminal.texts import N_

if TYPE_CHECKING:
    from terminal.policy.gtfs.files import FeedProblem
    from terminal.policy.gtfs.importer import Imported
    from terminal.policy.gtfs.patterns import FeedNumbers, FeedRoutes

TABLES = (
    *(
        "networks",
        "areas",
        "stops",
        "routes",
        "timeframes",
        "rider_categories",
        "fare_media",
        "fare_products",
    ),
    *("fare_leg_rules", "fare_leg_join_rules", "fare_transfer_rules"),
)


class UnknownConditions(StrEnum):
    """What becomes of rows with a condition that is not known."""

    REFUSE = "refuse"
    LEAVE_OUT = "leave-out"


def import_gtfs(
    feed: Annotated[Path, typer.Argument(help="Directory or zip file of a GTFS feed with Fares v2.")],
    out: Annotated[Path | None, typer.Option("--out", help="Output file; default: check only.")] = None,
    unknown_conditions: Annotated[
        UnknownConditions,
        typer.Option(
            "--unknown-conditions",
            help="Rows with a condition that is not known end the import, or are left out by file and line.",
        ),
    ] = UnknownConditions.REFUSE,
    currency: Annotated[
        str, typer.Option("--currency", help="The region document's: a feed in another is warned about.")
    ] = "RUB",
    language: ShownLang = "en",
    json: Json = False,
) -> None:
    """Check the fares of a GTFS feed and convert them for a region document. Lists what has no effect."""
    import sys

    from terminal.app.output import print_json
    from terminal.errors import FeedError
    from terminal.policy.gtfs.importer import FeedRefused, import_feed

    try:
        imported = import_feed(
            feed, leaves_out=unknown_conditions is UnknownConditions.LEAVE_OUT, currency=currency
        )
    except FeedRefused as refused:
        if json:
            print_json({"feed": feed.name, "problems": _problems(refused.problems, language)})
        for problem in refused.problems[1:]:
            print(_line(ALSO, problem, language), file=sys.stderr)
        raise FeedError(*refused.words(language)) from refused
    digest = None if out is None else _write(out, imported)
    if json:
        print_json(_as_json(imported, out, digest, language))
        return
    for kind, found in ((LEFT_OUT, imported.left_out), (WARNING, imported.warnings)):
        for problem in found:
            print(_line(kind, problem, language))
    _print_summary(imported)
    if out is not None:
        print(f'\n[gtfs]\nfile = "{out.name}"\nsha256 = "{digest}"')


ALSO: Final = N_("also wrong: {finding}")
LEFT_OUT: Final = N_("left out: {finding}")
WARNING: Final = N_("warning: {finding}")


def _line(kind: str, problem: FeedProblem, language: str) -> str:
    from terminal.texts import translator

    what, advice = problem.words(language)
    finding = f"{problem.place_in(language)}: {what}. {advice}"
    return translator(language).gettext(kind).format(finding=finding)


def _write(out: Path, imported: Imported) -> str:
    """Write the tables, whole or not at all; returns the hash that pins them."""
    import hashlib

    import msgspec

    content = msgspec.json.encode(imported.tables)
    _write_file(out, content)
    return hashlib.sha256(content).hexdigest()


def _write_file(out: Path, content: bytes) -> None:
    from terminal.errors import FeedError
    from terminal.files import SHARED, replace_file

    try:
        replace_file(out, content, SHARED)
    except OSError as error:
        raise FeedError(
            f"{out} cannot be written: {error}", "Name a file in a folder you may write to."
        ) from error


def _as_json(imported: Imported, out: Path | None, digest: str | None, language: str) -> dict[str, Any]:
    tables = imported.tables
    return {
        "feed": imported.name,
        "feed_version": tables.feed_version,
        "time_zone": tables.time_zone,
        "currency": tables.currency,
        "uses_rule_priority": tables.uses_rule_priority,
        "rows": {table: len(getattr(tables, table)) for table in TABLES},
        "card_bits": _card_bits(imported),
        "left_out": _problems(imported.left_out, language),
        "warnings": _problems(imported.warnings, language),
        "file": None if out is None else str(out),
        "sha256": digest,
    }


def _problems(found: Iterable[FeedProblem], language: str) -> list[dict[str, Any]]:
    return [
        {
            "file": problem.file,
            "line": problem.line,
            "lines": list(problem.lines) or ([] if problem.line is None else [problem.line]),
            "column": problem.column,
            "code": problem.code.value,
            "values": dict(problem.values),
            "what": what,
            "advice": advice,
        }
        for problem in found
        for what, advice in [problem.words(language)]
    ]


def _print_summary(imported: Imported) -> None:
    tables, bits = imported.tables, _card_bits(imported)
    version = f", version {tables.feed_version}" if tables.feed_version else ""
    blank = (
        "does not matter, highest priority wins"
        if tables.uses_rule_priority
        else "is what no other rule lists"
    )
    print(f"{imported.name}{version}: {tables.currency}, {tables.time_zone}; a blank cell {blank}")
    for table in TABLES:
        rows = len(getattr(tables, table))
        if rows:
            print(f"  {table:<20} {rows:>6}")
    print(f"  bits on the card     {bits['not_used']:>6} without tap-off, {bits['dearest']} with")


def _card_bits(imported: Imported) -> dict[str, int]:
    """What a journey takes on a card, for each way to treat the end of a leg, with the default change of 2 h."""
    from terminal.policy.gtfs.card import layout_of
    from terminal.policy.gtfs.indexing import index_of
    from terminal.policy.gtfs.section import LONGEST_CHANGE_S, Destination

    index = index_of(imported.tables)
    return {
        destination.value: layout_of(index, destination, LONGEST_CHANGE_S).bits for destination in Destination
    }


def gtfs_routes(
    feed: Annotated[Path, typer.Argument(help="Directory or zip file of a GTFS feed.")],
    id: Annotated[
        str, typer.Option("--id", help="Id of the routes document, as every later version has it.")
    ],
    region: Annotated[int, typer.Option(min=1, max=0xFFFF, help="Number of the region.")],
    version: Annotated[int, typer.Option(min=1, help="Version; a later one replaces an earlier one.")],
    out: Annotated[Path | None, typer.Option("--out", help="Output file; default: check only.")] = None,
    numbers: Annotated[
        Path | None,
        typer.Option(
            "--numbers", help="Region document whose gtfs.route_ids and gtfs.stop_ids give the numbers."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Id of a route to take; default: all. May be repeated.")
    ] = None,
    issued_at: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="Time of issue, with its zone; default: now."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a routes document of a GTFS feed: modes, names, and the most frequent way of each direction."""
    from terminal.app.output import print_json
    from terminal.clock import SystemClock
    from terminal.errors import FeedError
    from terminal.policy.gtfs.files import open_feed
    from terminal.policy.gtfs.patterns import routes_of_feed
    from terminal.policy.gtfs.routes_toml import as_toml
    from terminal.policy.routes import MOST_BYTES, DocumentIssue, parse_routes

    at = issued_at or SystemClock().now().replace(microsecond=0)
    header = DocumentIssue(id=id, version=version, region=region, issued_at=at)
    with open_feed(feed) as opened:
        made = routes_of_feed(opened, header, _numbers(numbers), tuple(only or ()))
    content = as_toml(made.document).encode()
    if len(content) > MOST_BYTES:
        what = f"the routes document would have {len(content) >> 20} MB, terminals read {MOST_BYTES >> 20}"
        raise FeedError(what, "Take the routes of one depot: --only ID, again for each.")
    parse_routes(content, "the routes document of this feed")
    if out is not None:
        _write_file(out, content)
    if json:
        print_json(_routes_as_json(made, out))
    else:
        _print_routes(made)


def _numbers(document: Path | None) -> FeedNumbers:
    from terminal.policy.gtfs.patterns import FeedNumbers
    from terminal.policy.load import load_region

    section = None if document is None else load_region(document).gtfs
    return FeedNumbers() if section is None else FeedNumbers(section.route_ids, section.stop_ids)


def _routes_as_json(made: FeedRoutes, out: Path | None) -> dict[str, Any]:
    directions = [one for route in made.document.routes for one in route.directions if one.stops]
    return {
        "routes": len(made.document.routes),
        "directions": len(directions),
        "stops": len({stop.number for one in directions for stop in one.stops}),
        "zones": dict(made.document.zones),
        "left_out": list(made.left_out),
        "route_ids": dict(made.route_ids),
        "stop_ids": dict(made.stop_ids),
        "file": None if out is None else str(out),
    }


def _print_routes(made: FeedRoutes) -> None:
    counted = _routes_as_json(made, None)
    print(f"{counted['routes']} routes, {counted['directions']} directions, {counted['stops']} stops")
    for id in made.left_out:
        print(f"left out: route {id!r} has no trip of two stops")
    for table, ids in (("route_ids", made.route_ids), ("stop_ids", made.stop_ids)):
        if ids:
            print(f"\n[gtfs.{table}]  # for the region document, where it has [gtfs]")
            for number, id in ids.items():
                print(f'{number} = "{id}"')
