"""Products and rules: that what they name is there, and that each can be read in one way only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from terminal.policy.gtfs.row_problem import RowProblem, resolve
from terminal.policy.gtfs.tables import FareLegJoinRule, FareTransferRule, GtfsTables


def rule_problems(tables: GtfsTables) -> Iterator[RowProblem]:
    """Everything wrong with products, leg rules, join rules and transfer rules."""
    yield from _products(tables)
    yield from _leg_rules(tables)
    yield from _join_rules(tables)
    yield from _transfer_rules(tables)


def _products(tables: GtfsTables) -> Iterator[RowProblem]:
    categories = {category.rider_category_id for category in tables.rider_categories}
    media = {medium.fare_media_id for medium in tables.fare_media}
    yield from resolve(
        "fare_products", "rider_category_id", tables.fare_products, categories, "rider_categories.txt"
    )
    yield from resolve("fare_products", "fare_media_id", tables.fare_products, media, "fare_media.txt")
    for index, product in enumerate(tables.fare_products):
        if product.currency != tables.currency:
            yield RowProblem(
                "fare_products",
                index,
                "currency",
                f"{product.currency} beside {tables.currency} in an earlier row",
                "A purse counts one currency: make a feed for each.",
            )
    yield from _default_categories(tables)


def _default_categories(tables: GtfsTables) -> Iterator[RowProblem]:
    """Of the categories that may buy a product at most one is the default one."""
    default = {row.rider_category_id for row in tables.rider_categories if row.is_default_fare_category}
    eligible: defaultdict[str, set[str]] = defaultdict(set)
    last: dict[str, int] = {}
    for index, product in enumerate(tables.fare_products):
        who = default if product.rider_category_id is None else default & {product.rider_category_id}
        eligible[product.fare_product_id] |= who
        last[product.fare_product_id] = index
    for product_id, found in eligible.items():
        if len(found) > 1:
            yield RowProblem(
                "fare_products",
                last[product_id],
                "rider_category_id",
                f"product {product_id!r} has {len(found)} default categories: {', '.join(sorted(found))}",
                "Mark only one of them in rider_categories.txt with is_default_fare_category = 1.",
            )


# rules


def _leg_rules(tables: GtfsTables) -> Iterator[RowProblem]:
    rules = tables.fare_leg_rules
    areas = {area.area_id for area in tables.areas}
    groups = {frame.timeframe_group_id for frame in tables.timeframes}
    products = {product.fare_product_id for product in tables.fare_products}
    networks = "networks.txt" if tables.networks else "routes.txt"
    for column, known, where in (
        ("network_id", tables.network_ids, networks),
        ("from_area_id", areas, "areas.txt"),
        ("to_area_id", areas, "areas.txt"),
        ("from_timeframe_group_id", groups, "timeframes.txt"),
        ("to_timeframe_group_id", groups, "timeframes.txt"),
        ("fare_product_id", products, "fare_products.txt"),
    ):
        yield from resolve("fare_leg_rules", column, rules, known, where)
    if not tables.uses_rule_priority:
        for index, rule in enumerate(rules):
            if rule.rule_priority is not None:
                yield RowProblem(
                    "fare_leg_rules",
                    index,
                    "rule_priority",
                    "is filled although uses_rule_priority is false",
                    "Set uses_rule_priority, or leave priorities out.",
                )


def _join_rules(tables: GtfsTables) -> Iterator[RowProblem]:
    rules = tables.fare_leg_join_rules
    networks, stops = tables.network_ids, {stop.stop_id for stop in tables.stops}
    where = "networks.txt" if tables.networks else "routes.txt"
    yield from resolve("fare_leg_join_rules", "from_network_id", rules, networks, where)
    yield from resolve("fare_leg_join_rules", "to_network_id", rules, networks, where)
    yield from resolve("fare_leg_join_rules", "from_stop_id", rules, stops, "stops.txt")
    yield from resolve("fare_leg_join_rules", "to_stop_id", rules, stops, "stops.txt")
    for index, rule in enumerate(rules):
        for first, second in (("from_network_id", "to_network_id"), ("from_stop_id", "to_stop_id")):
            yield from _both_or_none(index, rule, first, second)


def _both_or_none(index: int, rule: FareLegJoinRule, first: str, second: str) -> Iterator[RowProblem]:
    blank = [column for column in (first, second) if getattr(rule, column) is None]
    if len(blank) == 1:
        there = second if blank[0] == first else first
        yield RowProblem(
            "fare_leg_join_rules", index, blank[0], f"is blank beside {there}", "Fill both or neither."
        )


def _transfer_rules(tables: GtfsTables) -> Iterator[RowProblem]:
    rules = tables.fare_transfer_rules
    groups = {rule.leg_group_id for rule in tables.fare_leg_rules if rule.leg_group_id is not None}
    products = {product.fare_product_id for product in tables.fare_products}
    for column, known, where in (
        ("from_leg_group_id", groups, "fare_leg_rules.txt"),
        ("to_leg_group_id", groups, "fare_leg_rules.txt"),
        ("fare_product_id", products, "fare_products.txt"),
    ):
        yield from resolve("fare_transfer_rules", column, rules, known, where)
    for index, rule in enumerate(rules):
        for column, what, advice in _transfer_rule_problems(rule):
            yield RowProblem("fare_transfer_rules", index, column, what, advice)


def _transfer_rule_problems(rule: FareTransferRule) -> Iterator[tuple[str, str, str]]:
    same = rule.from_leg_group_id == rule.to_leg_group_id
    if rule.transfer_count is None and same and rule.from_leg_group_id is not None:
        yield (
            "transfer_count",
            "is blank although both groups are the same",
            "Write -1 for no limit, or a count.",
        )
    if rule.transfer_count is not None and not same:
        yield (
            "transfer_count",
            "is filled although the groups differ",
            "Leave it blank: a count is for transfers within one group.",
        )
    if rule.transfer_count is not None and (rule.transfer_count == 0 or rule.transfer_count < -1):
        yield "transfer_count", f"{rule.transfer_count} is no number of transfers", "Write 1 or more, or -1."
    if rule.duration_limit is None and rule.duration_limit_type is not None:
        yield "duration_limit_type", "is filled without duration_limit", "Add the limit or clear the type."
    if rule.duration_limit is not None and rule.duration_limit_type is None:
        yield "duration_limit_type", "is blank beside duration_limit", "Write 0, 1, 2 or 3."
