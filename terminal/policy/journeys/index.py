"""Transfers, check-in, caps and grace of a region document made ready for deciding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Final

from msgspec import Struct

from terminal.policy.base import FareMedium
from terminal.policy.counters.index import CardCounters, Counter
from terminal.policy.document.counters import Period
from terminal.policy.document.journeys import (
    AmountCap,
    AnyTransfer,
    CheckIn,
    CountedFrom,
    FreeWindow,
    MixedWindow,
    ReducedWindow,
    SameRoute,
    TopUpWindow,
    TripCap,
)
from terminal.policy.document.rights import Grace
from terminal.policy.document.schema import RegionDocument
from terminal.policy.scopes import Area, YearlySeason, areas_of

CAP_ORDER: Final = (
    Period.SERVICE_DAY,
    Period.SERVICE_WEEK,
    Period.SERVICE_MONTH,
    Period.HALF_YEAR,
    Period.YEAR,
)
"""The day's cap comes before the week's, and so on."""
RULES: Final = {FreeWindow: "T-30", ReducedWindow: "T-31", MixedWindow: "T-32", TopUpWindow: "T-38"}
"""The rule of each kind of transfer."""


class Transfer(Struct, frozen=True):
    """What a paid ride opens. `number` is what the card remembers; `most` None: unlimited; price 0: free; `paid` keeps
    the dearest price paid so far, where a dearer ride pays the difference.
    """

    number: int
    id: str
    rule: str
    window_s: int
    most: int | None
    new_trip_on_same_route: bool
    extends: bool
    modes: frozenset[str] | None
    price_minor: int
    once: frozenset[str]
    once_counter: Counter | None
    paid: Counter | None


class CheckInRule(Struct, frozen=True):
    """T-07, with its counters."""

    areas: tuple[Area, ...]
    longest_s: int
    reserve: Counter
    zone: Counter | None
    mark: Counter | None
    most_minor: int
    """The most that can be held."""
    kept: int
    """The bits of all counters that are not of a ride that is checked in."""

    def holding(self, sum_minor: int) -> int:
        """What is held for `sum_minor`: the largest sum not above it that the reserve can count, since a forgotten exit
        must not cost more than the tariff says.
        """
        return sum_minor // self.reserve.unit_minor * self.reserve.unit_minor


class SpentCap(Struct, frozen=True):
    """At most so much money in a period; `tiers` from the cheapest to the dearest. `everywhere`: every ride is in the
    cheapest. `only_minor`: the limit of every ride, whatever the card remembers; None: it depends.
    """

    id: str
    period: Period
    spent: Counter
    level: Counter | None
    tiers: tuple[tuple[int, tuple[Area, ...]], ...]
    everywhere: bool
    only_minor: int | None
    concessions: frozenset[int]


class RideCap(Struct, frozen=True):
    """After so many paid rides in a period the others are free."""

    id: str
    period: Period
    counter: Counter
    trips: int
    areas: tuple[Area, ...]
    concessions: frozenset[int]


FareCap = SpentCap | RideCap


class GraceRule(Struct, frozen=True):
    """T-18, with its counter."""

    concessions: frozenset[int]
    season: YearlySeason
    areas: tuple[Area, ...]
    trips: int
    counter: Counter


def transfers_of(
    document: RegionDocument, counters: CardCounters, medium: FareMedium = FareMedium.TRANSPORT_CARD
) -> tuple[Transfer, ...]:
    """The transfers open to `medium`, numbered from 1 as the document lists all of them."""
    return tuple(
        _transfer(number, rule, counters)
        for number, rule in enumerate(document.transfers, start=1)
        if medium in rule.media
    )


def check_in_of(rule: CheckIn, counters: CardCounters, zones: Mapping[str, int]) -> CheckInRule:
    """Ready `rule` for deciding."""
    reserve = counters.by_name[rule.reserve]
    zone = None if rule.zone is None else counters.by_name[rule.zone]
    mark = None if rule.mark is None else counters.by_name[rule.mark]
    return CheckInRule(
        areas=areas_of(rule.scope, zones),
        longest_s=rule.longest_s,
        reserve=reserve,
        zone=zone,
        mark=mark,
        most_minor=reserve.mask * reserve.unit_minor,
        kept=reduce(and_, (counter.kept for counter in (reserve, zone, mark) if counter is not None)),
    )


def caps_of(
    document: RegionDocument, counters: CardCounters, zones: Mapping[str, int]
) -> tuple[FareCap, ...]:
    """The caps in the order they are applied: the shortest period first."""
    caps = [_cap(cap, counters, zones) for cap in document.caps]
    return tuple(sorted(caps, key=lambda cap: CAP_ORDER.index(cap.period)))


def grace_of(rule: Grace, counters: CardCounters, zones: Mapping[str, int]) -> GraceRule:
    """Ready `rule` for deciding."""
    return GraceRule(
        concessions=frozenset(rule.concessions),
        season=YearlySeason.of(rule.season),
        areas=areas_of(rule.scope, zones),
        trips=rule.trips,
        counter=counters.by_name[rule.counter],
    )


def _transfer(number: int, rule: AnyTransfer, counters: CardCounters) -> Transfer:
    mixed = rule if isinstance(rule, MixedWindow) else None
    reduced = rule if isinstance(rule, ReducedWindow) else None
    top_up = rule if isinstance(rule, TopUpWindow) else None
    return Transfer(
        number=number,
        id=rule.id,
        rule=RULES[type(rule)],
        window_s=rule.window_s,
        most=None if isinstance(rule.transfers, str) else rule.transfers,
        new_trip_on_same_route=rule.same_route is SameRoute.NEW_TRIP,
        extends=rule.counted_from is CountedFrom.PREVIOUS_RIDE,
        modes=frozenset(mode.value for mode in rule.modes) or None,
        price_minor=reduced.price_minor if reduced else 0,
        once=frozenset(mode.value for mode in mixed.once) if mixed else frozenset(),
        once_counter=counters.by_name[mixed.counter] if mixed else None,
        paid=counters.by_name[top_up.paid] if top_up else None,
    )


def _cap(cap: AmountCap | TripCap, counters: CardCounters, zones: Mapping[str, int]) -> FareCap:
    concessions = frozenset(cap.concessions)
    if isinstance(cap, TripCap):
        counter = counters.by_name[cap.counter]
        return RideCap(cap.id, counter.period, counter, cap.trips, areas_of(cap.scope, zones), concessions)
    spent, everywhere = counters.by_name[cap.spent], not cap.tiers[0].scope
    return SpentCap(
        id=cap.id,
        period=spent.period,
        spent=spent,
        level=None if cap.level is None else counters.by_name[cap.level],
        tiers=tuple((tier.amount_minor, areas_of(tier.scope, zones)) for tier in cap.tiers),
        everywhere=everywhere,
        only_minor=cap.tiers[0].amount_minor if everywhere and cap.level is None else None,
        concessions=concessions,
    )
