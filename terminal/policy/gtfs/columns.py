"""Which columns of which files are read, and how their rows become types.

One `FileSpec` a file, in the words of the specification and, where a draft is clear, of the draft. A file of the fares
names everything that may stand in it: columns that are read, columns that describe and decide nothing, and columns of
drafts that no validator can judge, with the reason. Whatever else is filled in is a condition that is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from terminal.errors import MistakeCode
from terminal.money import AmountRefused, parse_amount
from terminal.policy.gtfs import tables
from terminal.policy.gtfs.cells import (
    CellError,
    currency,
    day,
    flag,
    not_negative,
    one_of,
    positive,
    text,
    time_of_day,
    transfer_count,
)
from terminal.policy.gtfs.feed_findings import FeedCondition
from terminal.policy.gtfs.feed_mistakes import FeedCellMistake


@dataclass(frozen=True, slots=True)
class Column:
    """`required`: every cell must be filled. `field` is its name in the row type where that differs."""

    name: str
    read: Callable[[str], object] = text
    required: bool = False
    field: str = ""


@dataclass(frozen=True, slots=True)
class FileSpec:
    """How one file becomes rows of `row`. `finish` completes what several cells say together."""

    file: str
    row: Callable[..., Any]
    columns: tuple[Column, ...]
    drafts: Mapping[str, MistakeCode] = field(default_factory=lambda: MappingProxyType({}))
    """Columns of drafts that are not read, each with the condition that it cannot judge."""
    neutral: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What a cell of these says is the same as leaving it blank."""
    finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    descriptive: frozenset[str] = frozenset()
    """Columns that describe a row to people: no fare depends on them."""
    fares: bool = True
    """It is part of the fares: whatever else is filled in is a condition that is not known."""


@dataclass(frozen=True, slots=True)
class AgencyRow:
    agency_timezone: str
    agency_id: str | None = None


@dataclass(frozen=True, slots=True)
class FeedInfoRow:
    feed_version: str | None = None


def _amount(cells: dict[str, Any]) -> dict[str, Any]:
    amount = cells.pop("amount")
    try:
        cells["amount_minor"] = parse_amount(amount, cells["currency"])
    except AmountRefused as refused:
        raise _no_amount(amount, refused) from refused
    return cells


def _no_amount(amount: str, refused: AmountRefused) -> CellError:
    if refused.decimals is None:
        return CellError(FeedCellMistake.NO_AMOUNT, "amount", value=amount, example=refused.instead)
    values: dict[str, int | str] = {
        "value": amount,
        "currency": refused.currency,
        "decimals": refused.decimals,
    }
    if not refused.instead:
        return CellError(FeedCellMistake.TOO_EXACT, "amount", **values)
    return CellError(FeedCellMistake.DECIMALS, "amount", **values, instead=refused.instead)


def _timeframe(cells: dict[str, Any]) -> dict[str, Any]:
    start, end = cells.get("start_s"), cells.get("end_s")
    if (start is None) != (end is None):
        missing, there = ("start_time", "end_time") if start is None else ("end_time", "start_time")
        raise CellError(FeedCellMistake.BLANK_TIME, missing, there=there)
    if start is not None and end is not None and start >= end:
        raise CellError(FeedCellMistake.OVER_MIDNIGHT, "end_time")
    return cells


def _transfer_rule(cells: dict[str, Any]) -> dict[str, Any]:
    cells.pop(
        "fare_media_behavior", None
    )  # a card is one medium: what may be changed to another holds for the same
    return cells


def _required(name: str, read: Callable[[str], object] = text, field: str = "") -> Column:
    return Column(name, read, required=True, field=field)


_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

FILES: Final[Mapping[str, FileSpec]] = {
    spec.file: spec
    for spec in (
        FileSpec("agency.txt", AgencyRow, (Column("agency_id"), _required("agency_timezone")), fares=False),
        FileSpec("feed_info.txt", FeedInfoRow, (Column("feed_version"),), fares=False),
        FileSpec(
            "stops.txt",
            tables.Stop,
            (
                _required("stop_id"),
                Column("location_type", one_of(tables.LocationType, FeedCellMistake.LOCATION_TYPE)),
                Column("parent_station"),
                Column("stop_timezone"),
            ),
            fares=False,
        ),
        FileSpec("routes.txt", tables.Route, (_required("route_id"), Column("network_id")), fares=False),
        FileSpec("networks.txt", tables.Network, (_required("network_id"), Column("network_name"))),
        FileSpec("route_networks.txt", tables.RouteNetwork, (_required("network_id"), _required("route_id"))),
        FileSpec("areas.txt", tables.FeedArea, (_required("area_id"), Column("area_name"))),
        FileSpec("stop_areas.txt", tables.StopArea, (_required("area_id"), _required("stop_id"))),
        FileSpec(
            "calendar.txt",
            tables.FeedCalendar,
            (
                _required("service_id"),
                *(_required(name, flag) for name in _WEEKDAYS),
                _required("start_date", day),
                _required("end_date", day),
            ),
            fares=False,
        ),
        FileSpec(
            "calendar_dates.txt",
            tables.CalendarDate,
            (
                _required("service_id"),
                _required("date", day),
                _required("exception_type", one_of(tables.Exceptional, FeedCellMistake.EXCEPTION_TYPE)),
            ),
            fares=False,
        ),
        FileSpec(
            "timeframes.txt",
            tables.FeedTimeframe,
            (
                _required("timeframe_group_id"),
                Column("start_time", time_of_day, field="start_s"),
                Column("end_time", time_of_day, field="end_s"),
                _required("service_id"),
            ),
            finish=_timeframe,
        ),
        FileSpec(
            "rider_categories.txt",
            tables.RiderCategory,
            (
                _required("rider_category_id"),
                Column("rider_category_name"),
                Column("is_default_fare_category", flag),
            ),
            descriptive=frozenset({"eligibility_url", "min_age", "max_age"}),
        ),
        FileSpec(
            "fare_media.txt",
            tables.FareMedia,
            (
                _required("fare_media_id"),
                Column("fare_media_name"),
                _required("fare_media_type", one_of(tables.MediaType, FeedCellMistake.MEDIA_TYPE)),
            ),
        ),
        FileSpec(
            "fare_products.txt",
            tables.FareProduct,
            (
                _required("fare_product_id"),
                Column("fare_product_name"),
                Column("rider_category_id"),
                Column("fare_media_id"),
                _required("amount"),
                _required("currency", currency),
            ),
            drafts=MappingProxyType(
                {
                    **dict.fromkeys(
                        ("duration_start", "duration_amount", "duration_unit"), FeedCondition.VALIDITY
                    ),
                    **dict.fromkeys(
                        ("duration_type", "offset_amount", "offset_unit"), FeedCondition.VALIDITY
                    ),
                    **dict.fromkeys(("timeframe_id", "timeframe_type", "service_id"), FeedCondition.VALIDITY),
                    **dict.fromkeys(("eligible_cap_id", "bundle_amount"), FeedCondition.CAPS),
                }
            ),
            finish=_amount,
        ),
        FileSpec(
            "fare_leg_rules.txt",
            tables.FareLegRule,
            (
                Column("leg_group_id"),
                Column("network_id"),
                Column("from_area_id"),
                Column("to_area_id"),
                Column("from_timeframe_group_id"),
                Column("to_timeframe_group_id"),
                _required("fare_product_id"),
                Column("rule_priority", not_negative),
                Column("transfer_only", flag),
                Column("service_id"),
            ),
            drafts=MappingProxyType(
                {
                    **dict.fromkeys(("contains_area_id", "contains_area_set_id"), FeedCondition.BETWEEN),
                    "contains_exactly_area_set_id": FeedCondition.BETWEEN,
                    **dict.fromkeys(
                        ("min_distance", "max_distance", "distance_type"), FeedCondition.DISTANCE
                    ),
                    **dict.fromkeys(("min_distance_units", "max_distance_units"), FeedCondition.DISTANCE),
                    **dict.fromkeys(
                        ("amount", "min_amount", "max_amount", "currency"), FeedCondition.ESTIMATE
                    ),
                    "is_symmetrical": FeedCondition.SYMMETRICAL,
                }
            ),
            neutral=MappingProxyType({"is_symmetrical": "0"}),
            descriptive=frozenset({"fare_leg_name"}),
        ),
        FileSpec(
            "fare_leg_join_rules.txt",
            tables.FareLegJoinRule,
            (
                Column("from_network_id"),
                Column("to_network_id"),
                Column("from_stop_id"),
                Column("to_stop_id"),
            ),
            drafts=MappingProxyType(
                dict.fromkeys(("duration_limit", "duration_limit_type"), FeedCondition.UNSETTLED)
            ),
        ),
        FileSpec(
            "fare_transfer_rules.txt",
            tables.FareTransferRule,
            (
                Column("from_leg_group_id"),
                Column("to_leg_group_id"),
                Column("transfer_count", transfer_count),
                Column("duration_limit", positive),
                Column("duration_limit_type", one_of(tables.LimitType, FeedCellMistake.LIMIT_TYPE)),
                _required("fare_transfer_type", one_of(tables.TransferType, FeedCellMistake.TRANSFER_TYPE)),
                Column("fare_product_id"),
                Column("filter_fare_product_id"),
                Column("fare_product_behavior", flag, field="same_product"),
                Column("fare_media_behavior", flag),
            ),
            drafts=MappingProxyType(
                {"spanning_limit": FeedCondition.CAPS, "transfer_sequence": FeedCondition.CAPS}
            ),
            finish=_transfer_rule,
            descriptive=frozenset({"transfer_id"}),
        ),
    )
}
"""Every file that is read, in the order their problems are reported."""

REQUIRED_FILES: Final = ("agency.txt", "stops.txt", "routes.txt", "fare_products.txt", "fare_leg_rules.txt")
OTHER_FILES: Final = frozenset({"fare_attributes.txt", "fare_rules.txt", "booking_rules.txt"})
"""Files of the standard that are named like those of the fares, and are not: v1 stands beside v2."""
DRAFT_FILES: Final = frozenset({"area_sets.txt", "area_set_elements.txt", "network_sets.txt"})


TABLE_ENDINGS: Final = (".txt", ".csv")


def of_the_fares(file: str) -> bool:
    """Whether a file that is not read may hold a condition of a fare."""
    name = f"{file[:-4]}.txt"
    if name in FILES or name in OTHER_FILES or not file.endswith(TABLE_ENDINGS):
        return False
    return name in DRAFT_FILES or name.startswith(("fare_", "rider_")) or name.endswith("_rules.txt")
