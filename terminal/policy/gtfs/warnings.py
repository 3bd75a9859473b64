"""What a feed may say and what has no effect, or not the one it seems to have: reported with file and lines."""

from __future__ import annotations

from collections.abc import Iterator

from terminal.policy.gtfs.conditions import At
from terminal.policy.gtfs.files import FeedProblem
from terminal.policy.gtfs.services import services_of
from terminal.policy.gtfs.tables import GtfsTables


def feed_warnings(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    """What is allowed and can have no effect, or not the one it seems to have."""
    yield from _areas_without_stops(tables, at)
    yield from _networks_without_routes(tables, at)
    yield from _idle_timeframes(tables, at)
    default = any(row.is_default_fare_category for row in tables.rider_categories)
    if tables.rider_categories and not default:
        yield FeedProblem(
            "rider_categories.txt",
            "no category is the default one",
            "Only displays need it: fares do not change.",
        )
    legs = {rule.fare_product_id for rule in tables.fare_leg_rules}
    for row, product in enumerate(tables.fare_products):
        if product.amount_minor < 0 and product.fare_product_id in legs:
            yield at(
                "fare_products",
                row,
                "amount",
                "a leg costs less than nothing: nothing is charged for it",
                "Negative amounts are for transfers.",
            )
    for row, rule in enumerate(tables.fare_transfer_rules):
        if rule.duration_limit is None:
            yield at(
                "fare_transfer_rules",
                row,
                "duration_limit",
                "is blank: only the document's longest_change_s ends such a journey",
                "State gtfs.longest_change_s.",
            )


def _areas_without_stops(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    served = {row.area_id for row in tables.stop_areas}
    for column in ("from_area_id", "to_area_id"):
        warned = set()
        for row, rule in enumerate(tables.fare_leg_rules):
            area = getattr(rule, column)
            if area is not None and area not in served and area not in warned:
                warned.add(area)
                what = f"no stop is in area {area!r}: the rule can never apply"
                yield at("fare_leg_rules", row, column, what, "Add its stops to stop_areas.txt.")


def _networks_without_routes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    served = {row.network_id for row in tables.route_networks} | {row.network_id for row in tables.routes}
    for row, network in enumerate(tables.networks):
        if network.network_id not in served:
            yield at(
                "networks",
                row,
                "network_id",
                f"no route is in network {network.network_id!r}",
                "Add its routes to route_networks.txt.",
            )


def _idle_timeframes(tables: GtfsTables, at: At) -> Iterator[FeedProblem]:
    services = services_of(tables.calendar, tables.calendar_dates)
    idle = {name for name in {frame.service_id for frame in tables.timeframes} if services[name].never_runs}
    for row, frame in enumerate(tables.timeframes):
        if frame.service_id in idle:
            yield at(
                "timeframes",
                row,
                "service_id",
                f"service {frame.service_id!r} runs on no day: the timeframe never holds",
                "Give the service days in calendar.txt or calendar_dates.txt.",
            )
