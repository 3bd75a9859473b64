"""The specification read literally, row by row: the yardstick for the index, which never looks at all rows.

Slow and simple on purpose, and it shares no code with `terminal.policy.gtfs` but the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import structs

from terminal.policy.gtfs.tables import (
    Exceptional,
    FareLegRule,
    FareTransferRule,
    FeedTimeframe,
    GtfsTables,
)


@dataclass(frozen=True)
class Ride:
    """A leg with both ends known; times in seconds since 1970."""

    route: str
    start: str
    end: str
    departed: int
    arrived: int


def network(tables: GtfsTables, route: str) -> str | None:
    for row in tables.route_networks:
        if row.route_id == route:
            return row.network_id
    return next(row.network_id for row in tables.routes if row.route_id == route)


def areas(tables: GtfsTables, stop: str) -> set[str]:
    own = {row.area_id for row in tables.stop_areas if row.stop_id == stop}
    parent = next(row.parent_station for row in tables.stops if row.stop_id == stop)
    return own or (set() if parent is None else areas(tables, parent))


def in_timeframe(tables: GtfsTables, group: str, at: int) -> bool:
    local = datetime.fromtimestamp(at, ZoneInfo(tables.time_zone))
    second = local.hour * 3600 + local.minute * 60 + local.second
    for frame in tables.timeframes:
        if frame.timeframe_group_id != group or not frame.start_s <= second < frame.end_s:
            continue
        runs = False
        for week in tables.calendar:
            if week.service_id == frame.service_id and week.start_date <= local.date() <= week.end_date:
                runs = getattr(week, f"{local:%A}".lower())
        for exception in tables.calendar_dates:
            if exception.service_id == frame.service_id and exception.date == local.date():
                runs = exception.exception_type is Exceptional.ADDED
        if runs:
            return True
    return False


def on_days_of(tables: GtfsTables, service_id: str, at: int) -> bool:
    """Whether the calendar day of `at` belongs to a service."""
    whole = FeedTimeframe(timeframe_group_id="whole", service_id=service_id)
    return in_timeframe(structs.replace(tables, timeframes=(whole,)), "whole", at)


def matching(tables: GtfsTables, ride: Ride) -> list[FareLegRule]:
    """Steps 1 to 5 of fare_leg_rules.txt."""
    return first(fitting(tables, ride))


def first(rules: list[FareLegRule]) -> list[FareLegRule]:
    """Those of the highest priority."""
    highest = max((rule.rule_priority or 0 for rule in rules), default=0)
    return [rule for rule in rules if (rule.rule_priority or 0) == highest]


def fitting(tables: GtfsTables, ride: Ride) -> list[FareLegRule]:
    """The same whatever the priority, and whether there is a transfer."""
    rules = tables.fare_leg_rules
    listed = {
        column: {getattr(rule, column) for rule in rules} - {None}
        for column in ("network_id", "from_area_id", "to_area_id")
    }
    values = {
        "network_id": {network(tables, ride.route)} - {None},
        "from_area_id": areas(tables, ride.start),
        "to_area_id": areas(tables, ride.end),
    }
    found = []
    for rule in rules:
        fits = True
        for column, own in values.items():
            cell = getattr(rule, column)
            if cell is not None:
                fits = fits and cell in own
            elif not tables.uses_rule_priority:
                fits = fits and not own & listed[column]
        for column, at in (
            ("from_timeframe_group_id", ride.departed),
            ("to_timeframe_group_id", ride.arrived),
        ):
            group = getattr(rule, column)
            fits = fits and (group is None or in_timeframe(tables, group, at))
        if rule.service_id is not None:
            fits = fits and on_days_of(tables, rule.service_id, ride.departed)
        if fits:
            found.append(rule)
    return found


def transfer_rules(tables: GtfsTables, before: str, after: str) -> list[FareTransferRule]:
    """Steps 2 to 5 of fare_transfer_rules.txt, times and counts aside."""
    rules = tables.fare_transfer_rules
    exact = [rule for rule in rules if (rule.from_leg_group_id, rule.to_leg_group_id) == (before, after)]
    if exact:
        return exact
    listed_from = {rule.from_leg_group_id for rule in rules}
    listed_to = {rule.to_leg_group_id for rule in rules}
    return [
        rule
        for rule in rules
        if (
            rule.from_leg_group_id == before or (rule.from_leg_group_id is None and before not in listed_from)
        )
        and (rule.to_leg_group_id == after or (rule.to_leg_group_id is None and after not in listed_to))
    ]


def cheapest(tables: GtfsTables, product: str) -> int:
    return min(row.amount_minor for row in tables.fare_products if row.fare_product_id == product)


def journeys(tables: GtfsTables, rides: list[Ride]) -> Iterator[int | None]:
    """What all legs so far cost, when every choice goes to what has to be paid least at that moment.

    Legs the feed has no fare for are None and are not travelled.
    """
    costs = 0
    legs: list[tuple[Ride, FareLegRule]] = []
    used: list[FareTransferRule | None] = []
    sub_total = paid = 0
    for ride in rides:
        options = []
        ways = {rule: _ways(tables, legs, used, ride, rule) for rule in fitting(tables, ride)}
        for rule in first([rule for rule in ways if ways[rule] or not rule.transfer_only]):
            if rule.left_out:
                continue
            own = cheapest(tables, rule.fare_product_id)
            found = ways[rule]
            for transfer in found:
                between = (
                    0 if transfer.fare_product_id is None else cheapest(tables, transfer.fare_product_id)
                )
                if transfer.fare_transfer_type == 1:
                    total = sub_total + between + own
                elif transfer.fare_transfer_type == 2 and len(legs) == 1:
                    total = between
                else:
                    total = sub_total + between
                options.append((total - paid, total, rule, transfer))
            if not found:
                options.append((own, own, rule, None))
        if not options:
            yield None
            continue
        due, total, rule, transfer = min(options, key=lambda option: option[0])
        if transfer is None:
            legs, used, sub_total, paid = [], [], 0, 0
        legs.append((ride, rule))
        used.append(transfer)
        costs += total - sub_total
        sub_total, paid = total, paid + max(due, 0)
        yield costs


def _ways(
    tables: GtfsTables,
    legs: list[tuple[Ride, FareLegRule]],
    used: list[FareTransferRule | None],
    ride: Ride,
    leg_rule: FareLegRule,
) -> list[FareTransferRule]:
    if not legs:
        return []
    last, last_rule = legs[-1]
    before, group = last_rule.leg_group_id, leg_rule.leg_group_id
    if before is None or group is None:
        return []
    found = []
    for rule in transfer_rules(tables, before, group):
        if rule.left_out or rule.filter_fare_product_id not in (None, last_rule.fare_product_id):
            continue
        if rule.same_product and last_rule.fare_product_id != leg_rule.fare_product_id:
            continue
        same = rule.from_leg_group_id == rule.to_leg_group_id
        number, start_leg = 1, last
        if same:
            for (leg, _), earlier in zip(reversed(legs[:-1]), reversed(used), strict=False):
                if earlier is None or earlier.from_leg_group_id != earlier.to_leg_group_id:
                    break
                if earlier.from_leg_group_id != rule.from_leg_group_id:
                    break
                number, start_leg = number + 1, leg
        start = (start_leg.departed, start_leg.departed, start_leg.arrived, start_leg.arrived)
        end = (ride.arrived, ride.departed, ride.departed, ride.arrived)
        if rule.duration_limit is not None and rule.duration_limit_type is not None:
            kind = rule.duration_limit_type
            if end[kind] - start[kind] > rule.duration_limit:
                continue
        if rule.transfer_count in (None, -1) or number <= (rule.transfer_count or 0):
            found.append(rule)
    counts = [rule.transfer_count for rule in found if rule.transfer_count not in (None, -1)]
    smallest = min(counts) if counts else None
    return [
        rule for rule in found if (None if rule.transfer_count == -1 else rule.transfer_count) == smallest
    ]
