"""Concessions and products of a region document made ready for deciding: indexed once, at load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from msgspec import Struct

from terminal.policy.counters.index import CardCounters, Counter
from terminal.policy.document.counters import Period
from terminal.policy.document.rights import (
    AmountOff,
    CalendarLimit,
    ConcessionFare,
    FixedPrice,
    Lapse,
    Limit,
    PercentOfBase,
    Plan,
    Product,
    TimedPass,
    TripCalendar,
    TripPack,
)
from terminal.policy.document.schema import RegionDocument
from terminal.policy.fares.index import Quote
from terminal.policy.scopes import Area, YearlySeason, areas_of
from terminal.trail import Effect


class LimitEffect(Effect):
    """One use of a limit (T-12, T-19, T-37)."""

    TRIP = "t-12:trip"
    MONTH_TRIP = "t-12:month_trip"
    COUNTED_HERE = "t-19:counted_here"
    DAY_TRIP = "t-37:day_trip"


class PriceEffect(Effect):
    """What a concession leaves to pay, and by which rule."""

    PERCENT = "t-02:concession"
    AMOUNT_OFF = "t-03:concession"
    FIXED = "t-04:concession"
    FREE = "t-05:concession"
    PERCENT_OF_UNKNOWN = "t-02:fare_unknown"
    AMOUNT_OFF_UNKNOWN = "t-03:fare_unknown"


class RideLimit(Struct, frozen=True):
    """How often a right may be used."""

    effect: LimitEffect
    counter: Counter
    trips: int
    by_month: Mapping[int, int] | None
    """Trips of each month (year * 12 + month), instead of `trips`."""
    areas: tuple[Area, ...]

    def trips_on(self, day: date) -> int:
        """How many there are in the month of `day`; a month the calendar does not have gives none."""
        return self.trips if self.by_month is None else self.by_month.get(day.year * 12 + day.month, 0)


class RidePrice(Struct, frozen=True):
    """What a concession leaves to pay. The kinds exclude each other; none of them: free (T-05)."""

    effect: PriceEffect
    percent: int = 0
    off_minor: int = 0
    fixed_minor: int = 0

    @property
    def unknown(self) -> PriceEffect:
        """What is noted when `of` has no price because the fare of the ride is not known."""
        return PriceEffect.of(self.effect.rule, "fare_unknown")

    def of(self, quote: Quote | None) -> int | None:
        """The price of a ride with this ordinary fare: half up to whole minor units (T-08), and never dearer.

        Without a fare only what does not depend on it has a price.
        """
        if quote is None:
            return None if self.percent or self.off_minor else self.fixed_minor
        if self.percent:
            return min((quote.base_milli * self.percent + 50_000) // 100_000, quote.fare_minor)
        if self.off_minor:
            return max(quote.fare_minor - self.off_minor, 0)
        return min(self.fixed_minor, quote.fare_minor)


class RideCompanions(Struct, frozen=True):
    """How many may come along, and the counter of those who did (T-20)."""

    most: int
    counter: Counter


class FareConcession(Struct, frozen=True):
    """A concession on the bus. `shown_code` is its code, or None where it must not be shown (D-03)."""

    code: int
    shown_code: int | None
    price: RidePrice
    limits: tuple[RideLimit, ...]
    season: YearlySeason | None
    areas: tuple[Area, ...]
    companions: RideCompanions | None


class RidePass(Struct, frozen=True):
    """A pass; `length_s` None: between the dates of the contract, else from its first ride."""

    id: int
    areas: tuple[Area, ...]
    limits: tuple[RideLimit, ...]
    length_s: int | None


class RidePack(Struct, frozen=True):
    """A pack of which a contract may hold `most` trips; `monthly`: unused ones lapse on the 1st."""

    id: int
    areas: tuple[Area, ...]
    most: int
    monthly: bool


class RidePlan(Struct, frozen=True):
    """A tariff plan; `transfer` names what its rides open."""

    id: int
    areas: tuple[Area, ...]
    fare_minor: int
    transfer: str | None


RideProduct = RidePass | RidePack | RidePlan


def concessions_of(
    document: RegionDocument, counters: CardCounters, zones: Mapping[str, int]
) -> Mapping[int, FareConcession]:
    """The concessions that mean something on the bus, by code."""
    calendars = {calendar.id: calendar for calendar in document.trip_calendars}
    indexed = {}
    for concession in document.concessions:
        if concession.fare is None:
            continue
        companions = concession.companions
        indexed[concession.code] = FareConcession(
            code=concession.code,
            shown_code=None if concession.sensitive else concession.code,
            price=price_of(concession.fare),
            limits=_limits(concession.limits, calendars, counters, zones),
            season=None if concession.season is None else YearlySeason.of(concession.season),
            areas=areas_of(concession.scope, zones),
            companions=None
            if companions is None
            else RideCompanions(companions.most, counters.by_name[companions.counter]),
        )
    return MappingProxyType(indexed)


def products_of(
    document: RegionDocument, counters: CardCounters, zones: Mapping[str, int]
) -> Mapping[int, RideProduct]:
    """All products by id."""
    calendars = {calendar.id: calendar for calendar in document.trip_calendars}
    return MappingProxyType(
        {product.id: _product(product, calendars, counters, zones) for product in document.products}
    )


def price_of(fare: ConcessionFare) -> RidePrice:
    """What a concession's fare leaves to pay, and by which rule."""
    if isinstance(fare, PercentOfBase):
        return RidePrice(PriceEffect.PERCENT, percent=fare.pays_percent)
    if isinstance(fare, AmountOff):
        return RidePrice(PriceEffect.AMOUNT_OFF, off_minor=fare.amount_minor)
    if isinstance(fare, FixedPrice):
        return RidePrice(PriceEffect.FIXED, fixed_minor=fare.price_minor)
    return RidePrice(PriceEffect.FREE)


def _product(
    product: Product,
    calendars: Mapping[str, TripCalendar],
    counters: CardCounters,
    zones: Mapping[str, int],
) -> RideProduct:
    areas = areas_of(product.scope, zones)
    if isinstance(product, Plan):
        return RidePlan(product.id, areas, product.fare_minor, product.transfer)
    if isinstance(product, TripPack):
        most = product.trips if product.most_trips is None else product.most_trips
        return RidePack(product.id, areas, most, product.lapses is Lapse.MONTHLY)
    limits = _limits(product.limits, calendars, counters, zones)
    return RidePass(product.id, areas, limits, product.length_s if isinstance(product, TimedPass) else None)


def _limits(
    limits: tuple[Limit, ...],
    calendars: Mapping[str, TripCalendar],
    counters: CardCounters,
    zones: Mapping[str, int],
) -> tuple[RideLimit, ...]:
    ready = []
    for limit in limits:
        counter = counters.by_name[limit.counter]
        by_month = None
        if isinstance(limit, CalendarLimit):
            months = calendars[limit.calendar].months
            by_month = MappingProxyType({_month(m.month): m.days * limit.trips_per_day for m in months})
        ready.append(
            RideLimit(
                effect=_effect(limit, counter),
                counter=counter,
                trips=0 if isinstance(limit, CalendarLimit) else limit.trips,
                by_month=by_month,
                areas=areas_of(limit.scope, zones),
            )
        )
    return tuple(ready)


def _effect(limit: Limit, counter: Counter) -> LimitEffect:
    """What one use of a limit is noted as."""
    if limit.scope:
        return LimitEffect.COUNTED_HERE
    if counter.period is Period.SERVICE_DAY:
        return LimitEffect.DAY_TRIP
    return LimitEffect.MONTH_TRIP if counter.period is Period.SERVICE_MONTH else LimitEffect.TRIP


def _month(text: str) -> int:
    year, month = text.split("-")
    return int(year) * 12 + int(month)
