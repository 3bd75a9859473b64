"""Which prices the tables of a region document can come to: for checks of counters that hold money."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from terminal.policy.base import FareMedium
from terminal.policy.document.fares import AnyFareRule, DistanceFares, FareTable, FlatFare
from terminal.policy.document.journeys import AnyReturn, ReducedWindow
from terminal.policy.document.rights import Plan
from terminal.policy.document.schema import RegionDocument
from terminal.policy.fares.index import Quote
from terminal.policy.gtfs.index import dearest_ride_minor
from terminal.policy.rights.index import price_of

CARD: Final = FareMedium.TRANSPORT_CARD


def fares_of(rule: AnyFareRule) -> set[tuple[int, int | None]]:
    """Fares of the transport card with the base tariff beside each; those of a distance at both its ends."""
    if isinstance(rule, FlatFare):
        return {(rule.by_medium.transport_card, rule.base_minor)}
    if isinstance(rule, DistanceFares):
        ends = (0, rule.longest_m)
        first, per_km = rule.first, rule.per_km
        return {
            (
                _at(first.transport_card, per_km.transport_card, length_m),
                _at(getattr(first, rule.base), getattr(per_km, rule.base), length_m),
            )
            for length_m in ends
        }
    rows = zip(rule.by_medium.transport_card, getattr(rule.by_medium, rule.base), strict=False)
    return {pair for row, base in rows for pair in zip(row, base, strict=False)}


def _at(first_minor: int, per_km_minor: int, length_m: int) -> int:
    return first_minor + (per_km_minor * length_m + 500) // 1000


def table_fares(table: FareTable, *, distances: bool = True) -> set[tuple[int, int]]:
    """Every (fare, base tariff) of a table; without `distances`, of what does not go by metres."""
    rules = (rule for rule in table.rules if distances or not isinstance(rule, DistanceFares))
    found = {fare for rule in rules for fare in fares_of(rule)}
    if table.by_medium is not None:
        found.add((table.by_medium.transport_card, None))
    return {(fare, table.base_minor if base is None else base) for fare, base in found}


def lowest_fare(table: FareTable) -> int | None:
    """The least an ordinary ride costs with the transport card."""
    return min((fare for fare, _ in table_fares(table)), default=None)


def highest_fare(document: RegionDocument) -> int:
    """The most an ordinary ride costs with the transport card; 0 where the document has no fares."""
    if document.gtfs is not None and document.gtfs.tables is not None:
        return dearest_ride_minor(document.gtfs.tables)
    return max((fare for table in _tables(document) for fare, _ in table_fares(table)), default=0)


def by_distance(document: RegionDocument) -> bool:
    """Whether some fare goes by metres, so that any price may come out."""
    return any(isinstance(rule, DistanceFares) for table in _tables(document) for rule in table.rules)


def prices(document: RegionDocument, *, distances: bool = True) -> set[int]:
    """Every sum the purse may be asked for one ride, `distances` at both their ends or not at all."""
    found = set(_ordinary_and_concession(document, distances=distances))
    found |= {product.fare_minor for product in document.products if isinstance(product, Plan)}
    found |= {t.price_minor for t in document.transfers if isinstance(t, ReducedWindow)}
    return found - {0}


def _ordinary_and_concession(document: RegionDocument, *, distances: bool) -> Iterator[int]:
    concessions = {price_of(c.fare) for c in document.concessions if c.fare is not None}
    for table in _tables(document):
        for fare, base in table_fares(table, distances=distances):
            yield fare
            yield from (return_price(rule, fare) for rule in document.returns)
            quote = Quote("", fare, base * 1000)
            for concession in concessions:
                yield concession.of(quote) or 0


def discounted(
    fare_minor: int, *, percent_off: int | None, amount_off_minor: int | None, price_minor: int | None
) -> int:
    """What a ride back costs where the ordinary one costs `fare_minor`; never more than that (T-39)."""
    if percent_off is not None:
        return (fare_minor * (100 - percent_off) + 50) // 100
    if amount_off_minor is not None:
        return max(fare_minor - amount_off_minor, 0)
    return fare_minor if price_minor is None else min(price_minor, fare_minor)


def return_price(rule: AnyReturn, fare_minor: int) -> int:
    """The same by `rule`."""
    return discounted(
        fare_minor,
        percent_off=rule.percent_off,
        amount_off_minor=rule.amount_off_minor,
        price_minor=rule.price_minor,
    )


def _tables(document: RegionDocument) -> tuple[FareTable, ...]:
    return (document.fares, *document.fares.steps)
