"""The tables made ready for tapping: leg rules under (network, from area, to area), transfer rules under (group,
group), prices under (rider, medium). A lookup costs the same for ten rules and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from terminal.policy.gtfs.places import BLANK, Keys, Places, places_of
from terminal.policy.gtfs.services import Window, timeframes_of
from terminal.policy.gtfs.tables import (
    UNLIMITED,
    FareProduct,
    GtfsTables,
    LimitType,
    TransferType,
)

NO_GROUP: Final = 0
"""The group of a leg rule without one; groups count from 1. No transfer rule speaks of it."""
Windows = tuple[Window, ...]
Rider = tuple[str, ...]
"""The categories a rider may pay as."""


class LegRule(NamedTuple):
    """One leg rule under its key: what is left to compare, and what it gives. Timeframe 0: any time."""

    priority: int
    from_timeframe: int
    to_timeframe: int
    group: int
    product: int
    row: int


class TransferRule(NamedTuple):
    """One transfer rule. `most` None: as often as one likes. `product` None: costs nothing."""

    kind: TransferType
    product: int | None
    most: int | None
    limit_s: int | None
    limit_type: LimitType | None
    repeats: bool
    """Both groups are the same, so it may apply several times in a row."""
    row: int


class Price(NamedTuple):
    """What a product costs somebody; `row` is the row of fare_products."""

    amount_minor: int
    row: int


JoinRule = tuple[int, int] | None
"""Numbers of the stops where the legs end and begin; None: both are of one station."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What each product, by its number, costs one kind of rider with one medium; None: not for him."""

    of: tuple[Price | None, ...]


Bundle = tuple[LegRule, ...]
REMEMBERED: Final = 1024
"""How many starts are remembered with their ends in the order of prices: some hundred bytes each."""
_Buckets = Mapping[int, tuple[LegRule, ...]]


@dataclass(frozen=True, slots=True)
class Index:
    """Lookups over one feed; make it with `index_of`. `prices_of` remembers what it worked out."""

    tables: GtfsTables
    places: Places
    products: tuple[str, ...]
    groups: tuple[str, ...]
    leg_rules: _Buckets
    onward: Mapping[int, Keys]
    """Of every (network, from area): the keys of `to_area_id` some rule has there."""
    transfer_rules: Mapping[int, Mapping[int, tuple[TransferRule, ...]]]
    """By the group before, then by the group after; NO_GROUP where the cell is blank."""
    transfer_products: Mapping[int, tuple[int, ...]]
    """By the group before: every product some transfer costs."""
    listed_from: frozenset[int]
    listed_to: frozenset[int]
    join_rules: Mapping[tuple[int, int], tuple[JoinRule, ...]]
    """Under (network, network), (BLANK, BLANK) where a rule names none."""
    timeframes: tuple[Windows, ...]
    _by_product: tuple[tuple[tuple[int, FareProduct], ...], ...]
    _stride: int
    _prices: dict[tuple[Rider, str | None], Prices] = field(default_factory=dict)
    _onward: dict[tuple[int, int], tuple[Bundle, ...]] = field(default_factory=dict)
    _dearest: dict[tuple[int, int, Prices], tuple[tuple[int, Bundle], ...]] = field(default_factory=dict)

    def rules_between(self, network: int, from_keys: Keys, to_keys: Keys) -> list[LegRule]:
        """Every leg rule a leg of `network` from and to these keys may follow, whatever the time."""
        found: list[LegRule] = []
        rules, stride = self.leg_rules, self._stride
        for network_key in self.places.network_keys[network]:
            for from_key in from_keys:
                base = (network_key * stride + from_key) * stride
                for to_key in to_keys:
                    bucket = rules.get(base + to_key)
                    if bucket is not None:
                        found += bucket
        return found

    def rules_onward(self, network: int, origin: int) -> tuple[Bundle, ...]:
        """For every end a leg may have that some rule speaks of, the rules it may follow; equal ones once."""
        known = self._onward.get((network, origin))
        if known is None:
            known = self._onward[network, origin] = self._rules_onward(network, origin)
        return known

    def dearest_first(self, network: int, origin: int, prices: Prices) -> tuple[tuple[int, Bundle], ...]:
        """The same with the dearest price of each, in falling order; what cannot be paid for is left out."""
        known = self._dearest.get((network, origin, prices))
        if known is None:
            if len(self._dearest) == REMEMBERED:
                self._dearest.clear()
            priced = (
                (
                    max(
                        (price.amount_minor for rule in rules if (price := prices.of[rule.product])),
                        default=None,
                    ),
                    rules,
                )
                for rules in self.rules_onward(network, origin)
            )
            payable = [(dearest, rules) for dearest, rules in priced if dearest is not None]
            known = tuple(sorted(payable, key=lambda pair: pair[0], reverse=True))
            self._dearest[network, origin, prices] = known
        return known

    def _rules_onward(self, network: int, origin: int) -> tuple[Bundle, ...]:
        from_keys, wide = self.places.origins[origin].keys, self.tables.uses_rule_priority
        ends = {
            to_key
            for network_key in self.places.network_keys[network]
            for from_key in from_keys
            for to_key in self.onward.get(network_key * self._stride + from_key, ())
        }
        different: dict[frozenset[LegRule], Bundle] = {}
        for to_key in sorted(ends):
            to_keys = (to_key, BLANK) if wide and to_key != BLANK else (to_key,)
            rules = tuple(self.rules_between(network, from_keys, to_keys))
            different.setdefault(frozenset(rule._replace(row=0) for rule in rules), rules)
        return tuple(different.values())

    def transfers_from(self, group: int) -> Mapping[int, tuple[TransferRule, ...]]:
        """The transfer rules after a leg of `group`, under `to_key` of the group that follows."""
        if group == NO_GROUP:
            return {}
        return self.transfer_rules.get(group if group in self.listed_from else NO_GROUP, {})

    def dearest_transfer(self, group: int, prices: Prices) -> int:
        """What a transfer after a leg of `group` can cost beyond the leg that follows, at most."""
        products = self.transfer_products.get(group if group in self.listed_from else NO_GROUP, ())
        return max((price.amount_minor for product in products if (price := prices.of[product])), default=0)

    def to_key(self, group: int) -> int:
        """Where rules to `group` stand: a blank cell stands for every group its column does not list."""
        return group if group in self.listed_to else NO_GROUP

    def prices_of(self, rider: Rider, medium: str | None) -> Prices:
        """What each product costs this rider with this medium: the cheapest row that holds, None without one."""
        known = self._prices.get((rider, medium))
        if known is None:
            known = self._prices[rider, medium] = Prices(
                tuple(
                    min(
                        (
                            Price(row.amount_minor, index)
                            for index, row in rows
                            if (row.rider_category_id is None or row.rider_category_id in rider)
                            and (row.fare_media_id is None or row.fare_media_id == medium)
                        ),
                        default=None,
                    )
                    for rows in self._by_product
                )
            )
        return known

    @property
    def every_transfer_rule(self) -> Iterator[TransferRule]:
        """All of them, in no order."""
        return (
            rule for onward in self.transfer_rules.values() for rules in onward.values() for rule in rules
        )

    def rows_of(self, product: int) -> tuple[tuple[int, FareProduct], ...]:
        """Every price of a product with its row."""
        return self._by_product[product]


def index_of(tables: GtfsTables, *, timeframes_include_end: bool = False) -> Index:
    """Index checked `tables`."""
    places = places_of(tables)
    timeframes = timeframes_of(tables, include_end=timeframes_include_end)
    products = _numbers((row.fare_product_id for row in tables.fare_products), 0)
    groups = _numbers((row.leg_group_id for row in tables.fare_leg_rules), 1)
    stride = max(places.areas, len(places.network_names)) + 1
    leg_rules = _leg_rules(tables, places, products, groups, _numbers(timeframes, 1), stride)
    by_product: list[list[tuple[int, FareProduct]]] = [[] for _ in products]
    for index, row in enumerate(tables.fare_products):
        by_product[products[row.fare_product_id]].append((index, row))
    listed_from = frozenset(
        groups[r.from_leg_group_id] for r in tables.fare_transfer_rules if r.from_leg_group_id
    )
    listed_to = frozenset(groups[r.to_leg_group_id] for r in tables.fare_transfer_rules if r.to_leg_group_id)
    transfers = _transfer_rules(tables, products, groups)
    return Index(
        tables=tables,
        places=places,
        products=tuple(products),
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
        listed_from=listed_from,
        listed_to=listed_to,
        join_rules=_join_rules(tables, places),
        timeframes=((), *timeframes.values()),
        _by_product=tuple(map(tuple, by_product)),
        _stride=stride,
    )


def _numbers(names: Iterable[str | None], first: int) -> dict[str, int]:
    """Each name once, numbered in the order in which the feed brings them."""
    distinct = dict.fromkeys(name for name in names if name is not None)
    return {name: number for number, name in enumerate(distinct, first)}


def _leg_rules(
    tables: GtfsTables,
    places: Places,
    products: Mapping[str, int],
    groups: Mapping[str, int],
    timeframes: Mapping[str, int],
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
                from_timeframe=timeframes.get(rule.from_timeframe_group_id or "", 0),
                to_timeframe=timeframes.get(rule.to_timeframe_group_id or "", 0),
                group=groups.get(rule.leg_group_id or "", NO_GROUP),
                product=products[rule.fare_product_id],
                row=row,
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
) -> dict[int, dict[int, tuple[TransferRule, ...]]]:
    found: dict[int, dict[int, tuple[TransferRule, ...]]] = {}
    for row, rule in enumerate(tables.fare_transfer_rules):
        count = rule.transfer_count
        onward = found.setdefault(groups.get(rule.from_leg_group_id or "", NO_GROUP), {})
        to_key = groups.get(rule.to_leg_group_id or "", NO_GROUP)
        indexed = TransferRule(
            kind=rule.fare_transfer_type,
            product=None if rule.fare_product_id is None else products[rule.fare_product_id],
            most=None if count == UNLIMITED else count,
            limit_s=rule.duration_limit,
            limit_type=rule.duration_limit_type,
            repeats=rule.from_leg_group_id == rule.to_leg_group_id,
            row=row,
        )
        onward[to_key] = (*onward.get(to_key, ()), indexed)
    return found


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


def dearest_ride_minor(tables: GtfsTables) -> int:
    """The most one tap can take: the dearest product for a leg, and the dearest for the transfer to it."""
    amounts = {product.fare_product_id: 0 for product in tables.fare_products}
    for product in tables.fare_products:
        amounts[product.fare_product_id] = max(amounts[product.fare_product_id], product.amount_minor)
    legs = (amounts[rule.fare_product_id] for rule in tables.fare_leg_rules)
    transfers = (
        amounts[rule.fare_product_id]
        for rule in tables.fare_transfer_rules
        if rule.fare_product_id is not None
    )
    return max(legs, default=0) + max(transfers, default=0)
