"""What the section `gtfs` of a region document must satisfy beyond its types, tables included."""

from __future__ import annotations

from collections.abc import Iterator

from cardproto.resident.limits import LARGEST_MINOR, LONGEST_AGE_S
from terminal.policy.base import Problem, unique, unknown
from terminal.policy.gtfs.card import layout_of, longest_limit_s
from terminal.policy.gtfs.checks import known_time_zone, tables_problems
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.tables import GtfsTables, LimitType


def section_problems(section: GtfsFares, currency: str, time_zone: str, free_bits: int) -> Iterator[Problem]:
    """Everything wrong with a section whose tables are loaded; `free_bits` are the counter bits left for it."""
    yield from _source(section)
    tables = section.tables
    if tables is None:
        return
    found = False
    for problem in tables_problems(tables):
        found = True
        column = f".{problem.column}" if problem.column else ""
        yield Problem(f"gtfs.tables.{problem.table}[{problem.row}]{column}", problem.what, problem.advice)
    if not known_time_zone(tables.time_zone):
        found = True
        yield Problem(
            "gtfs.tables.time_zone",
            f"unknown time zone {tables.time_zone!r}",
            "Use a name of the IANA database.",
        )
    if found:
        return  # what follows indexes the tables, and would tell the same mistakes again
    yield from _agrees_with_header(tables, currency, time_zone)
    yield from _ids(section, tables)
    if section.destination is Destination.NOT_USED:
        yield from _needs_the_end(tables)
    yield from _fits_the_card(section, free_bits)


def _source(section: GtfsFares) -> Iterator[Problem]:
    if (section.file is None) != (section.sha256 is None):
        missing = "sha256" if section.sha256 is None else "file"
        yield Problem(
            f"gtfs.{missing}", "is missing", "State both `file` and `sha256`, as the import printed them."
        )
    if section.tables is None:
        yield Problem(
            "gtfs", "has no tables", "State `file` and `sha256`, or put the tables under `gtfs.tables`."
        )


def _agrees_with_header(tables: GtfsTables, currency: str, time_zone: str) -> Iterator[Problem]:
    if tables.currency != currency:
        yield Problem(
            "gtfs.tables",
            f"the feed's prices are in {tables.currency}, the document's in {currency}",
            "Use a feed in the document's currency.",
        )
    if tables.time_zone != time_zone:
        yield Problem(
            "gtfs.tables.time_zone",
            f"the feed is in {tables.time_zone}, the document in {time_zone}",
            "Let header.time_zone be the feed's, or correct agency.txt.",
        )
    if not tables.fare_leg_rules:
        yield Problem("gtfs.tables.fare_leg_rules", "is empty: every fare is unknown", "Add the leg rules.")
    for index, product in enumerate(tables.fare_products):
        if abs(product.amount_minor) > LARGEST_MINOR:
            yield Problem(
                f"gtfs.tables.fare_products[{index}].amount_minor",
                f"{product.amount_minor} does not fit the card",
                f"At most {LARGEST_MINOR} minor units.",
            )


def _ids(section: GtfsFares, tables: GtfsTables) -> Iterator[Problem]:
    categories = {row.rider_category_id for row in tables.rider_categories}
    media = {row.fare_media_id for row in tables.fare_media}
    if section.ordinary_category is not None and section.ordinary_category not in categories:
        yield unknown("gtfs.ordinary_category", "rider category", section.ordinary_category, categories)
    yield from unique("gtfs.concessions", (row.concession for row in section.concessions), key="concession")
    for index, row in enumerate(section.concessions):
        if row.rider_category not in categories:
            yield unknown(
                f"gtfs.concessions[{index}].rider_category", "rider category", row.rider_category, categories
            )
    for name in ("transport_card", "bank_card", "cash"):
        medium = getattr(section.media, name)
        if medium is not None and medium not in media:
            yield unknown(f"gtfs.media.{name}", "fare medium", medium, media)
    routes, stops = {row.route_id for row in tables.routes}, {row.stop_id for row in tables.stops}
    for table, ids, known in (
        ("route_ids", section.route_ids, routes),
        ("stop_ids", section.stop_ids, stops),
    ):
        for number, name in ids.items():
            if not number.isascii() or not number.isdigit():
                yield Problem(
                    f"gtfs.{table}.{number}", "is not a number", "Terminals know routes and stops by number."
                )
            if name not in known:
                yield Problem(f"gtfs.{table}.{number}", f"{name!r} is not in the feed", "Correct the id.")


def _needs_the_end(tables: GtfsTables) -> Iterator[Problem]:
    """Rules no terminal can judge that does not see where and when a leg ends."""
    advice = 'Use a feed without it, or destination = "dearest" where riders tap off.'
    for index, rule in enumerate(tables.fare_leg_rules):
        for column in ("to_area_id", "to_timeframe_group_id"):
            if getattr(rule, column) is not None:
                yield Problem(
                    f"gtfs.tables.fare_leg_rules[{index}].{column}",
                    'needs the end of the leg, which destination = "not_used" excludes',
                    advice,
                )
    for index, transfer in enumerate(tables.fare_transfer_rules):
        if transfer.duration_limit_type not in (None, LimitType.DEPARTURE_TO_DEPARTURE):
            yield Problem(
                f"gtfs.tables.fare_transfer_rules[{index}].duration_limit_type",
                'needs an arrival, which destination = "not_used" excludes',
                advice,
            )


def _fits_the_card(section: GtfsFares, free_bits: int) -> Iterator[Problem]:
    index = section.index
    longest_s = longest_limit_s(index, section.longest_change_s)
    if longest_s >= LONGEST_AGE_S:
        yield Problem(
            "gtfs.tables.fare_transfer_rules",
            f"a limit of {longest_s} s",
            f"A card looks back less than {LONGEST_AGE_S} s.",
        )
        return
    layout = layout_of(index, section.destination, section.longest_change_s)
    if layout.bits > free_bits:
        fields = ", ".join(f"{name} {width}" for name, width in layout.widths)
        yield Problem(
            "gtfs",
            f"a journey needs {layout.bits} bits on the card ({fields}), {free_bits} are free",
            f"Take {layout.bits - free_bits} bits from counters.slots, or use a feed with fewer groups and products.",
        )
