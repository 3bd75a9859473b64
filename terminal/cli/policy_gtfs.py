"""`terminal policy import-gtfs FEED`: the fares of a GTFS feed as a file a region document can name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terminal.cli.options import Json

if TYPE_CHECKING:
    from terminal.policy.gtfs.importer import Imported

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


def import_gtfs(
    feed: Annotated[Path, typer.Argument(help="Directory or zip file of a GTFS feed with Fares v2.")],
    out: Annotated[Path | None, typer.Option("--out", help="Output file; default: check only.")] = None,
    json: Json = False,
) -> None:
    """Check the fares of a GTFS feed and convert them for a region document. Lists what is ignored."""
    import sys

    from terminal.app.output import print_json
    from terminal.policy.gtfs.importer import FeedRefused, import_feed

    try:
        imported = import_feed(feed)
    except FeedRefused as refused:
        for problem in refused.problems[1:]:
            print(f"also wrong: {problem}. {problem.advice}", file=sys.stderr)
        raise
    digest = None if out is None else _write(out, imported)
    if json:
        print_json(_as_json(imported, out, digest))
        return
    for warning in imported.warnings:
        print(f"warning: {warning}. {warning.advice}")
    _print_summary(imported)
    if out is not None:
        print(f'\n[gtfs]\nfile = "{out.name}"\nsha256 = "{digest}"')


def _write(out: Path, imported: Imported) -> str:
    """Write the tables, whole or not at all; returns the hash that pins them."""
    import hashlib

    import msgspec

    from terminal.errors import FeedError
    from terminal.files import SHARED, replace_file

    content = msgspec.json.encode(imported.tables)
    try:
        replace_file(out, content, SHARED)
    except OSError as error:
        raise FeedError(
            f"{out} cannot be written: {error}", "Name a file in a folder you may write to."
        ) from error
    return hashlib.sha256(content).hexdigest()


def _as_json(imported: Imported, out: Path | None, digest: str | None) -> dict[str, Any]:
    tables = imported.tables
    return {
        "feed": imported.name,
        "feed_version": tables.feed_version,
        "time_zone": tables.time_zone,
        "currency": tables.currency,
        "uses_rule_priority": tables.uses_rule_priority,
        "rows": {table: len(getattr(tables, table)) for table in TABLES},
        "card_bits": _card_bits(imported),
        "warnings": [
            {"file": w.file, "line": w.line, "column": w.column, "what": w.what, "advice": w.advice}
            for w in imported.warnings
        ],
        "file": None if out is None else str(out),
        "sha256": digest,
    }


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
