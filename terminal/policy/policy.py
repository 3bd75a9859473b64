"""A region document made ready for deciding: everything a tap looks up is indexed once, at load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from terminal.policy.deny_list import NOBODY, DenyList
from terminal.policy.meals import MealPolicy
from terminal.policy.schema import (
    COUNTER_BITS,
    ConcessionFare,
    FixedPrice,
    Medium,
    MonthlyTrips,
    Pass,
    PercentOfBase,
    Period,
    RegionDocument,
    TripPack,
)


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter inside the 56 bits of an event."""

    name: str
    shift: int
    mask: int
    period: Period

    def read(self, counters: int) -> int:
        """Its value in `counters`."""
        return counters >> self.shift & self.mask

    def write(self, counters: int, value: int) -> int:
        """`counters` with this one set to `value`, which stays at the largest that fits."""
        return counters & ~(self.mask << self.shift) | min(value, self.mask) << self.shift


@dataclass(frozen=True, slots=True)
class FareConcession:
    """A concession on the bus. `code` is None where it must not be told (D-03); price 0 is a free ride."""

    rule: str
    code: int | None
    price_minor: int
    limit: MonthlyTrips | None
    counter: Counter | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What `decide` needs of a region. Make one with `Policy.of`; it never changes."""

    document: RegionDocument
    deny_list: DenyList
    zone: ZoneInfo
    tariff: str
    """Which document decided ("demo@1"), as the journal records it."""
    ordinary_fare_minor: int
    """What a ride costs with the resident card when no right covers it (T-01)."""
    fare_concessions: Mapping[int, FareConcession]
    products: Mapping[int, Pass | TripPack]
    counters: tuple[Counter, ...]
    contract_counters: tuple[Counter, ...]
    transfers_by_card: bool
    meals: MealPolicy

    @classmethod
    def of(cls, document: RegionDocument, deny_list: DenyList = NOBODY) -> Policy:
        """Index a checked `document` (see `terminal.policy.document`); without a list nobody is denied."""
        counters = {counter.name: counter for counter in _counters(document)}
        return cls(
            document=document,
            deny_list=deny_list,
            zone=ZoneInfo(document.header.time_zone),
            tariff=f"{document.header.id}@{document.header.version}",
            ordinary_fare_minor=document.fares.by_medium.transport_card,
            fare_concessions=MappingProxyType(_fare_concessions(document, counters)),
            products=MappingProxyType({product.id: product for product in document.products}),
            counters=tuple(counters.values()),
            contract_counters=tuple(counters[name] for name in document.counters.contracts),
            transfers_by_card=document.transfer is not None
            and Medium.TRANSPORT_CARD in document.transfer.media,
            meals=MealPolicy.of(document.meals, (c.code for c in document.concessions if c.sensitive)),
        )

    def service_date(self, local: datetime) -> date:
        """The service day of a local time: before the profile's hour it is still the day before (T-14)."""
        today = local.date()
        return today - timedelta(days=1) if local.hour < self.document.header.service_day_end_hour else today


def _counters(document: RegionDocument) -> list[Counter]:
    counters, free = [], COUNTER_BITS
    for slot in document.counters.slots:
        free -= slot.bits
        counters.append(Counter(slot.name, free, (1 << slot.bits) - 1, slot.period))
    return counters


def _fare_concessions(document: RegionDocument, counters: Mapping[str, Counter]) -> dict[int, FareConcession]:
    indexed = {}
    for concession in document.concessions:
        if concession.fare is None:
            continue
        rule, price_minor = _price(concession.fare, document)
        limit = concession.limit
        indexed[concession.code] = FareConcession(
            rule=rule,
            code=None if concession.sensitive else concession.code,
            price_minor=price_minor,
            limit=limit,
            counter=None if limit is None else counters[limit.counter],
        )
    return indexed


def _price(fare: ConcessionFare, document: RegionDocument) -> tuple[str, int]:
    """Rule and price of one ride; a concession is never dearer than the ordinary fare."""
    ordinary = document.fares.by_medium.transport_card
    if isinstance(fare, PercentOfBase):  # half up to whole kopecks, once (T-08)
        return "T-02", min((document.fares.base_minor * fare.pays_percent * 2 + 100) // 200, ordinary)
    if isinstance(fare, FixedPrice):
        return "T-04", min(fare.price_minor, ordinary)
    return "T-05", 0
