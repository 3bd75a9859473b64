"""Builds an `Index` from checked tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from terminal.policy.gtfs.index import LEFT_OUT, NO_GROUP, FeedTransferRule, Index, JoinRule, LegRule
from terminal.policy.gtfs.places import BLANK, Keys, Places, places_of
from terminal.policy.gtfs.services import HeldTimes, Timeframe, timeframes_of
from terminal.policy.gtfs.tables import UNLIMITED, FareProduct, FareTransferRule, GtfsTables


def index_of(tables: GtfsTables, *, timeframes_include_end: bool = False) -> Index:
    """Index checked `tables`."""
    places = places_of(tables)
    timeframes = timeframes_of(tables, include_end=timeframes_include_end)
    products = _numbers((row.fare_product_id for row in tables.fare_products), 0)
    groups = _numbers((row.leg_group_id for row in tables.fare_leg_rules), 1)
    stride = max(places.areas, len(places.network_names)) + 1
    frames = {timeframe: number for number, timeframe in enumerate(timeframes, 1)}
    leg_rules = _leg_rules(tables, places, products, groups, frames, stride)
    names = (*products, LEFT_OUT) if _leaves_out(tables) else tuple(products)
    by_product: list[list[tuple[int, FareProduct]]] = [[] for _ in names]
    for index, row in enumerate(tables.fare_products):
        by_product[products[row.fare_product_id]].append((index, row))
    listed_from = frozenset(
        groups[r.from_leg_group_id] for r in tables.fare_transfer_rules if r.from_leg_group_id
    )
    listed_to = frozenset(groups[r.to_leg_group_id] for r in tables.fare_transfer_rules if r.to_leg_group_id)
    transfers = _transfer_rules(tables, products, groups)
    numbered = ((), *timeframes.values())
    return Index(
        uses_rule_priority=tables.uses_rule_priority,
        area_names=tuple(area.area_id for area in tables.areas),
        asks_areas=any(rule.from_area_id or rule.to_area_id for rule in tables.fare_leg_rules),
        places=places,
        products=names,
        groups=("", *groups),
        leg_rules=leg_rules,
        onward=_onward(leg_rules, stride),
        transfer_rules=transfers,
        transfer_products={
            group: tuple(
                {rule.product for rules in onward.values() for rule in rules if rule.product is not None}
            )
            for group, onward in transfers.items()
        },
        same_products=any(rule.same_product for rule in tables.fare_transfer_rules),
        listed_from=listed_from,
        listed_to=listed_to,
        join_rules=_join_rules(tables, places),
        timeframes=numbered,
        times=HeldTimes(numbered),
        _by_product=tuple(map(tuple, by_product)),
        _stride=stride,
    )


def _leaves_out(tables: GtfsTables) -> bool:
    legs, transfers = tables.fare_leg_rules, tables.fare_transfer_rules
    return any(rule.left_out for rule in legs) or any(rule.left_out for rule in transfers)


def _numbers(names: Iterable[str | None], first: int) -> dict[str, int]:
    """Each name once, numbered in the order in which the feed brings them."""
    distinct = dict.fromkeys(name for name in names if name is not None)
    return {name: number for number, name in enumerate(distinct, first)}


def _leg_rules(
    tables: GtfsTables,
    places: Places,
    products: Mapping[str, int],
    groups: Mapping[str, int],
    timeframes: Mapping[Timeframe, int],
    stride: int,
) -> dict[int, tuple[LegRule, ...]]:
    networks = {name: number for number, name in enumerate(places.network_names, 1)}
    areas = {area.area_id: number for number, area in enumerate(tables.areas, 1)}
    buckets: dict[int, list[LegRule]] = {}
    for row, rule in enumerate(tables.fare_leg_rules):
        network = BLANK if rule.network_id is None else networks[rule.network_id]
        from_area = BLANK if rule.from_area_id is None else areas[rule.from_area_id]
        to_area = BLANK if rule.to_area_id is None else areas[rule.to_area_id]
        key = (network * stride + from_area) * stride + to_area
        buckets.setdefault(key, []).append(
            LegRule(
                priority=rule.rule_priority or 0,
                from_timeframe=timeframes.get((rule.from_timeframe_group_id, rule.service_id), 0),
                to_timeframe=timeframes.get((rule.to_timeframe_group_id, None), 0),
                group=groups.get(rule.leg_group_id or "", NO_GROUP),
                product=len(products) if rule.left_out else products[rule.fare_product_id],
                row=row,
                transfer_only=rule.transfer_only,
            )
        )
    return {key: tuple(rules) for key, rules in buckets.items()}


def _onward(buckets: Iterable[int], stride: int) -> dict[int, Keys]:
    ends: dict[int, list[int]] = {}
    for key in buckets:
        start, to_area = divmod(key, stride)
        ends.setdefault(start, []).append(to_area)
    return {start: tuple(keys) for start, keys in ends.items()}


def _transfer_rules(
    tables: GtfsTables, products: Mapping[str, int], groups: Mapping[str, int]
) -> dict[int, dict[int, tuple[FeedTransferRule, ...]]]:
    found: dict[int, dict[int, tuple[FeedTransferRule, ...]]] = {}
    for row, rule in enumerate(tables.fare_transfer_rules):
        count = rule.transfer_count
        onward = found.setdefault(groups.get(rule.from_leg_group_id or "", NO_GROUP), {})
        to_key = groups.get(rule.to_leg_group_id or "", NO_GROUP)
        indexed = FeedTransferRule(
            kind=rule.fare_transfer_type,
            product=_transfer_product(rule, products),
            only_after=_only_after(rule, products),
            same_product=rule.same_product,
            most=None if count == UNLIMITED else count,
            limit_s=rule.duration_limit,
            limit_type=rule.duration_limit_type,
            repeats=rule.from_leg_group_id == rule.to_leg_group_id,
            row=row,
        )
        onward[to_key] = (*onward.get(to_key, ()), indexed)
    return found


def _transfer_product(rule: FareTransferRule, products: Mapping[str, int]) -> int | None:
    """The number of what a transfer costs; None: nothing. A rule that is left out costs what has no price."""
    if rule.left_out:
        return len(products)
    return None if rule.fare_product_id is None else products[rule.fare_product_id]


def _only_after(rule: FareTransferRule, products: Mapping[str, int]) -> int | None:
    name = rule.filter_fare_product_id
    return None if name is None else products.get(name, len(products))


def _join_rules(tables: GtfsTables, places: Places) -> dict[tuple[int, int], tuple[JoinRule, ...]]:
    networks = {name: number for number, name in enumerate(places.network_names, 1)}
    found: dict[tuple[int, int], list[JoinRule]] = {}
    for rule in tables.fare_leg_join_rules:
        key = (networks.get(rule.from_network_id or "", BLANK), networks.get(rule.to_network_id or "", BLANK))
        stops: JoinRule = None
        if rule.from_stop_id is not None and rule.to_stop_id is not None:
            stops = (places.numbers[rule.from_stop_id], places.numbers[rule.to_stop_id])
        found.setdefault(key, []).append(stops)
    return {key: tuple(rules) for key, rules in found.items()}
