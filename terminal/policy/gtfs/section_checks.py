"""What the section `gtfs` of a region document must satisfy beyond its types, tables included."""

from __future__ import annotations

from collections.abc import Iterator

from cardproto.resident.limits import LARGEST_MINOR, LONGEST_AGE_S
from terminal.errors import Mistake
from terminal.policy.base import Thing, unique, unknown
from terminal.policy.gtfs.card import layout_of, longest_limit_s
from terminal.policy.gtfs.checks import known_time_zone, tables_problems
from terminal.policy.gtfs.mistakes import FeedSectionMistake
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.tables import GtfsTables, LimitType


def section_problems(section: GtfsFares, currency: str, time_zone: str, free_bits: int) -> Iterator[Mistake]:
    """Everything wrong with a section whose tables are loaded; `free_bits` are the counter bits left for it."""
    yield from _source(section)
    tables = section.tables
    if tables is None:
        return
    found = False
    for problem in tables_problems(tables):
        found = True
        column = f".{problem.column}" if problem.column else ""
        yield Mistake(f"gtfs.tables.{problem.table}[{problem.row}]{column}", problem.code, problem.values)
    if not known_time_zone(tables.time_zone):
        found = True
        yield Mistake("gtfs.tables.time_zone", FeedSectionMistake.FEED_TIME_ZONE, {"zone": tables.time_zone})
    if found:
        return  # what follows indexes the tables, and would tell the same mistakes again
    yield from _agrees_with_header(tables, currency, time_zone)
    yield from _ids(section, tables)
    if section.destination is Destination.NOT_USED:
        yield from _needs_the_end(tables)
    yield from _fits_the_card(section, free_bits)


def _source(section: GtfsFares) -> Iterator[Mistake]:
    if (section.file is None) != (section.sha256 is None):
        missing = "sha256" if section.sha256 is None else "file"
        yield Mistake(f"gtfs.{missing}", FeedSectionMistake.FILE_AND_HASH, {"missing": missing})
    if section.tables is None:
        yield Mistake("gtfs", FeedSectionMistake.NO_TABLES)


def _agrees_with_header(tables: GtfsTables, currency: str, time_zone: str) -> Iterator[Mistake]:
    if tables.currency != currency:
        yield Mistake(
            "gtfs.tables", FeedSectionMistake.OTHER_CURRENCY, {"feed": tables.currency, "document": currency}
        )
    if tables.time_zone != time_zone:
        yield Mistake(
            "gtfs.tables.time_zone",
            FeedSectionMistake.OTHER_ZONE,
            {"feed": tables.time_zone, "document": time_zone},
        )
    if not tables.fare_leg_rules:
        yield Mistake("gtfs.tables.fare_leg_rules", FeedSectionMistake.NO_LEG_RULES)
    for index, product in enumerate(tables.fare_products):
        if abs(product.amount_minor) > LARGEST_MINOR:
            yield Mistake(
                f"gtfs.tables.fare_products[{index}].amount_minor",
                FeedSectionMistake.TOO_DEAR,
                {"amount_minor": product.amount_minor, "most_minor": LARGEST_MINOR},
            )


def _ids(section: GtfsFares, tables: GtfsTables) -> Iterator[Mistake]:
    categories = {row.rider_category_id for row in tables.rider_categories}
    media = {row.fare_media_id for row in tables.fare_media}
    if section.ordinary_category is not None and section.ordinary_category not in categories:
        yield unknown("gtfs.ordinary_category", Thing.RIDER_CATEGORY, section.ordinary_category, categories)
    yield from unique("gtfs.concessions", (row.concession for row in section.concessions), key="concession")
    for index, row in enumerate(section.concessions):
        if row.rider_category not in categories:
            yield unknown(
                f"gtfs.concessions[{index}].rider_category",
                Thing.RIDER_CATEGORY,
                row.rider_category,
                categories,
            )
    for name in ("transport_card", "bank_card", "cash"):
        medium = getattr(section.media, name)
        if medium is not None and medium not in media:
            yield unknown(f"gtfs.media.{name}", Thing.FARE_MEDIUM, medium, media)
    routes, stops = {row.route_id for row in tables.routes}, {row.stop_id for row in tables.stops}
    for table, ids, known in (
        ("route_ids", section.route_ids, routes),
        ("stop_ids", section.stop_ids, stops),
    ):
        for number, name in ids.items():
            if not number.isascii() or not number.isdigit():
                yield Mistake(f"gtfs.{table}.{number}", FeedSectionMistake.NO_NUMBER, {"key": number})
            if name not in known:
                yield Mistake(f"gtfs.{table}.{number}", FeedSectionMistake.NOT_IN_FEED, {"id": name})


def _needs_the_end(tables: GtfsTables) -> Iterator[Mistake]:
    """Rules no terminal can judge that does not see where and when a leg ends."""
    for index, rule in enumerate(tables.fare_leg_rules):
        for column in ("to_area_id", "to_timeframe_group_id"):
            if getattr(rule, column) is not None:
                yield Mistake(f"gtfs.tables.fare_leg_rules[{index}].{column}", FeedSectionMistake.NEEDS_END)
    for index, transfer in enumerate(tables.fare_transfer_rules):
        if transfer.duration_limit_type not in (None, LimitType.DEPARTURE_TO_DEPARTURE):
            path = f"gtfs.tables.fare_transfer_rules[{index}].duration_limit_type"
            yield Mistake(path, FeedSectionMistake.NEEDS_ARRIVAL)


def _fits_the_card(section: GtfsFares, free_bits: int) -> Iterator[Mistake]:
    index = section.index
    longest_s = longest_limit_s(index, section.longest_change_s)
    if longest_s >= LONGEST_AGE_S:
        values = {"limit_s": longest_s, "most_s": LONGEST_AGE_S}
        yield Mistake("gtfs.tables.fare_transfer_rules", FeedSectionMistake.LIMIT_TOO_LONG, values)
        return
    layout = layout_of(index, section.destination, section.longest_change_s)
    if layout.bits > free_bits:
        values_of_bits: dict[str, int | str] = {
            "bits": layout.bits,
            "fields": ", ".join(f"{name} {width}" for name, width in layout.widths),
            "free": free_bits,
            "surplus": layout.bits - free_bits,
        }
        yield Mistake("gtfs", FeedSectionMistake.JOURNEY_BITS, values_of_bits)
