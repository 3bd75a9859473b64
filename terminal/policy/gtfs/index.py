"""The tables made ready for tapping: leg rules under (network, from area, to area), transfer rules under (group,
group), prices under (rider, medium). A lookup costs the same for ten rules and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from terminal.policy.gtfs.places import BLANK, Keys, Places
from terminal.policy.gtfs.services import HeldTimes, ServiceWindow
from terminal.policy.gtfs.tables import (
    FareProduct,
    GtfsTables,
    LimitType,
    TransferType,
)

NO_GROUP: Final = 0
"""The group of a leg rule without one; groups count from 1. No transfer rule speaks of it."""
LEFT_OUT: Final = ""
"""The product, the last by its number, of rules that are left out: it has no price."""
NOWHERE: Final = -1
"""Where transfer rules to a leg without a group would stand: there are none."""
Windows = tuple[ServiceWindow, ...]
Rider = tuple[str, ...]
"""The categories a rider may pay as."""


class LegRule(Struct, frozen=True, gc=False):
    """One leg rule under its key: what is left to compare, and what it gives. Timeframe 0: any time."""

    priority: int
    from_timeframe: int
    to_timeframe: int
    group: int
    product: int
    row: int
    transfer_only: bool = False


class FeedTransferRule(Struct, frozen=True, gc=False):
    """One transfer rule. `most` None: as often as one likes. `product` None: costs nothing. `only_after`: the product
    of the leg before, None: any.
    """

    kind: TransferType
    product: int | None
    most: int | None
    limit_s: int | None
    limit_type: LimitType | None
    repeats: bool
    """Both groups are the same, so it may apply several times in a row."""
    row: int
    only_after: int | None = None
    same_product: bool = False


class ProductPrice(Struct, frozen=True, order=True, gc=False):
    """What a product costs a rider; `row` is the row of fare_products."""

    amount_minor: int
    row: int


JoinRule = tuple[int, int] | None
"""Numbers of the stops where the legs end and begin; None: both are of one station."""


class Prices(Struct, frozen=True, eq=False):
    """What each product, by its number, costs one kind of rider with one medium; None: not for him."""

    of: tuple[ProductPrice | None, ...]


RuleSet = tuple[LegRule, ...]


class LegEnd(Struct, frozen=True, gc=False):
    """Where a leg may lead: the dearest price there, and the rules it then follows.

    `transfers` says which transfer rules lead there, when there is one leg rule only: of two such ends with the same
    transfers the one with the higher price is never the cheaper ride. None for several rules.
    """

    dearest_minor: int
    transfers: int | None
    rules: RuleSet


class AppliedTransfer(Struct, frozen=True, gc=False):
    """A rule that applies: what it costs besides the legs, and its place in the run (1 = first transfer)."""

    rule: FeedTransferRule
    amount_minor: int
    number: int


class Option(Struct, frozen=True, gc=False):
    """One way to pay for a ride: by this leg rule, alone or by this transfer.

    `due_minor` is what the ride adds to what was paid for the journey, `total_minor` what the journey then costs.
    """

    due_minor: int
    total_minor: int
    rule: LegRule
    price_minor: int
    transfer: AppliedTransfer | None


REMEMBERED: Final = 1024
"""How many starts are remembered with their ends in the order of prices, and rides with what they cost by themselves:
some hundred bytes each."""
HeldAt: TypeAlias = tuple[frozenset[int] | None, frozenset[int] | None]
"""The timeframes that hold when a ride departs, and when it arrives; None where that decides nothing, or not yet."""
_Buckets = Mapping[int, tuple[LegRule, ...]]


class Index(Struct, frozen=True):
    """Lookups over one feed; make it with `index_of`. `prices_of` remembers what it worked out."""

    uses_rule_priority: bool
    """What a blank cell means (`GtfsTables`)."""
    area_names: tuple[str, ...]
    """By their keys, which count from 1."""
    asks_areas: bool
    """Whether some rule asks in which area a leg begins or ends."""
    places: Places
    products: tuple[str, ...]
    groups: tuple[str, ...]
    leg_rules: _Buckets
    onward: Mapping[int, Keys]
    """Of every (network, from area): the keys of `to_area_id` some rule has there."""
    transfer_rules: Mapping[int, Mapping[int, tuple[FeedTransferRule, ...]]]
    """By the group before, then by the group after; NO_GROUP where the cell is blank."""
    transfer_products: Mapping[int, tuple[int, ...]]
    """By the group before: every product some transfer costs."""
    same_products: bool
    """Whether some transfer asks that both legs have the same product."""
    listed_from: frozenset[int]
    listed_to: frozenset[int]
    join_rules: Mapping[tuple[int, int], tuple[JoinRule, ...]]
    """Under (network, network), (BLANK, BLANK) where a rule names none."""
    timeframes: tuple[Windows, ...]
    times: HeldTimes
    _by_product: tuple[tuple[tuple[int, FareProduct], ...], ...]
    _stride: int
    _prices: dict[tuple[Rider, str | None], Prices] = field(default_factory=dict)
    _onward: dict[tuple[int, int], tuple[RuleSet, ...]] = field(default_factory=dict)
    alone: dict[tuple[int, int, int, Prices, HeldAt], tuple[Option | None]] = field(default_factory=dict)
    """What rides cost by themselves; `settle` looks it up."""
    _transfer_most: dict[tuple[int, Prices], int] = field(default_factory=dict)
    _dearest: dict[tuple[int, int, Prices], tuple[LegEnd, ...]] = field(default_factory=dict)

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

    def rules_onward(self, network: int, origin: int) -> tuple[RuleSet, ...]:
        """For every end a leg may have that some rule speaks of, the rules it may follow; equal ones once."""
        known = self._onward.get((network, origin))
        if known is None:
            known = self._onward[network, origin] = self._rules_onward(network, origin)
        return known

    def dearest_first(self, network: int, origin: int, prices: Prices) -> tuple[LegEnd, ...]:
        """The same with the dearest price of each, in falling order; an end without a price is left out."""
        known = self._dearest.get((network, origin, prices))
        if known is None:
            if len(self._dearest) == REMEMBERED:
                self._dearest.clear()
            ends = [
                LegEnd(max(amounts), self._only_transfers(rules), rules)
                for rules in self.rules_onward(network, origin)
                if (amounts := [price.amount_minor for rule in rules if (price := prices.of[rule.product])])
            ]
            known = tuple(sorted(ends, key=lambda end: end.dearest_minor, reverse=True))
            self._dearest[network, origin, prices] = known
        return known

    def _only_transfers(self, rules: RuleSet) -> int | None:
        """`LegEnd.transfers`. A rule for transfers alone is no ride without one, whatever its price."""
        return self.to_key(rules[0].group) if len(rules) == 1 and not rules[0].transfer_only else None

    def _rules_onward(self, network: int, origin: int) -> tuple[RuleSet, ...]:
        from_keys, wide = self.places.origins[origin].keys, self.uses_rule_priority
        ends = {
            to_key
            for network_key in self.places.network_keys[network]
            for from_key in from_keys
            for to_key in self.onward.get(network_key * self._stride + from_key, ())
        }
        different: dict[frozenset[LegRule], RuleSet] = {}
        for to_key in sorted(ends):
            to_keys = (to_key, BLANK) if wide and to_key != BLANK else (to_key,)
            rules = tuple(self.rules_between(network, from_keys, to_keys))
            different.setdefault(frozenset(replace(rule, row=0) for rule in rules), rules)
        return tuple(different.values())

    def transfers_from(self, group: int) -> Mapping[int, tuple[FeedTransferRule, ...]]:
        """The transfer rules after a leg of `group`, under `to_key` of the group that follows."""
        if group == NO_GROUP:
            return {}
        return self.transfer_rules.get(group if group in self.listed_from else NO_GROUP, {})

    def dearest_transfer(self, group: int, prices: Prices) -> int:
        """What a transfer after a leg of `group` can cost beyond the leg that follows, at most."""
        known = self._transfer_most.get((group, prices))
        if known is None:
            known = self._transfer_most[group, prices] = self._dearest_transfer(group, prices)
        return known

    def _dearest_transfer(self, group: int, prices: Prices) -> int:
        products = self.transfer_products.get(group if group in self.listed_from else NO_GROUP, ())
        return max((price.amount_minor for product in products if (price := prices.of[product])), default=0)

    def to_key(self, group: int) -> int:
        """Where rules to `group` stand: a blank cell stands for every group its column does not list."""
        if group == NO_GROUP:
            return NOWHERE
        return group if group in self.listed_to else NO_GROUP

    def prices_of(self, rider: Rider, medium: str | None) -> Prices:
        """What each product costs this rider with this medium: the cheapest row that holds, None without one."""
        known = self._prices.get((rider, medium))
        if known is None:
            known = self._prices[rider, medium] = Prices(
                tuple(
                    min(
                        (
                            ProductPrice(row.amount_minor, index)
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
    def every_transfer_rule(self) -> Iterator[FeedTransferRule]:
        """All of them, in no order."""
        return (
            rule for onward in self.transfer_rules.values() for rules in onward.values() for rule in rules
        )

    @property
    def every_price(self) -> Iterator[FareProduct]:
        """The rows of all products."""
        return (row for rows in self._by_product for _, row in rows)

    def rows_of(self, product: int) -> tuple[tuple[int, FareProduct], ...]:
        """Every price of a product with its row."""
        return self._by_product[product]


def dearest_ride_minor(tables: GtfsTables) -> int:
    """The most one tap can take: the dearest product for a leg, and the dearest for the transfer to it."""
    amounts = {product.fare_product_id: 0 for product in tables.fare_products}
    for product in tables.fare_products:
        amounts[product.fare_product_id] = max(amounts[product.fare_product_id], product.amount_minor)
    legs = (amounts[rule.fare_product_id] for rule in tables.fare_leg_rules if not rule.left_out)
    transfers = (
        amounts[rule.fare_product_id]
        for rule in tables.fare_transfer_rules
        if rule.fare_product_id is not None and not rule.left_out
    )
    return max(legs, default=0) + max(transfers, default=0)
