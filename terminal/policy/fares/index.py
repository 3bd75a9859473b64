"""The ordinary fares of a region document made ready for looking up: what does this ride cost, on this medium?

Prices travel in thousandths of a minor unit until the end, so that they are rounded once (T-08).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from terminal.policy.base import FareMedium
from terminal.policy.document.fares import (
    NO_TRANSFER,
    AnyFareRule,
    DistanceFares,
    FareByMedium,
    Fares,
    FareTable,
    FlatFare,
    ZoneFares,
    ZoneMatrix,
)
from terminal.policy.scopes import ALWAYS, Ride, WeekTimes

MEDIA: Final = tuple(FareMedium)
TRANSPORT_CARD: Final = MEDIA.index(FareMedium.TRANSPORT_CARD)
NO_FARE: Final = 0
"""The rule is not about this ride."""
UNKNOWN: Final = -1
"""The rule may be about this ride: it depends on an unknown place."""
ELSE: Final = "fares"
"""The line of `by_medium`, which every ride falls under that no rule is about."""


class Quote(Struct, frozen=True, gc=False):
    """The ordinary fare of one ride. `assumed`: the dearest one possible, because the place is not known. `opens`: the
    id of the transfer its payment opens, empty for none.
    """

    rule: str
    fare_minor: int
    base_milli: int
    assumed: bool = False
    opens: str = ""


class Price(Protocol):
    """How a rule's price is found; amounts in thousandths of a minor unit, `NO_FARE` or `UNKNOWN`."""

    @property
    def everywhere(self) -> bool:
        """Whether the rule is about a ride wherever it goes."""
        ...

    def of(self, ride: Ride, medium: int) -> int:
        """The fare of `ride` on the medium with this index."""
        ...

    def dearest(self, ride: Ride, medium: int) -> int:
        """The most it can be, whatever is not known of `ride`."""
        ...

    def cheapest(self, ride: Ride, medium: int) -> int:
        """The least it can be."""
        ...

    def base(self, ride: Ride) -> int | None:
        """What percentages are taken from; None: the table's base."""
        ...

    def least_base(self, ride: Ride) -> int | None:
        """The least those may be taken from, whatever is not known of `ride`."""
        ...


class FlatPrice(Struct, frozen=True):
    """The same for every ride."""

    by_medium: tuple[int, ...]
    base_milli: int | None
    everywhere: bool = True

    def of(self, ride: Ride, medium: int) -> int:  # noqa: ARG002 every ride costs the same
        return self.by_medium[medium]

    dearest = cheapest = of

    def base(self, ride: Ride) -> int | None:  # noqa: ARG002 every ride costs the same
        return self.base_milli

    least_base = base


class ZonePrice(Struct, frozen=True):
    """A matrix per medium; rows and columns by `places`, which maps a zone's number to its place."""

    places: Mapping[int, int]
    by_medium: tuple[tuple[tuple[int, ...], ...], ...]
    base_medium: int
    everywhere: bool

    def of(self, ride: Ride, medium: int) -> int:
        row, column = self.places.get(ride.zone), self.places.get(ride.to_zone)
        if row is not None and column is not None:
            return self.by_medium[medium][row][column] * 1000
        known_elsewhere = (row is None and ride.zone) or (column is None and ride.to_zone)
        return NO_FARE if known_elsewhere else UNKNOWN

    def dearest(self, ride: Ride, medium: int) -> int:
        return max(self._possible(ride, medium)) * 1000

    def cheapest(self, ride: Ride, medium: int) -> int:
        return min(self._possible(ride, medium)) * 1000

    def _possible(self, ride: Ride, medium: int) -> Iterator[int]:
        """The fares between all zones where one is not known."""
        table = self.by_medium[medium]
        row, column = self.places.get(ride.zone), self.places.get(ride.to_zone)
        for line in table if row is None else (table[row],):
            yield from line if column is None else (line[column],)

    def base(self, ride: Ride) -> int | None:
        known = self.of(ride, self.base_medium)
        return known if known > 0 else self.dearest(ride, self.base_medium)

    def least_base(self, ride: Ride) -> int | None:
        return self.cheapest(ride, self.base_medium)


class DistancePrice(Struct, frozen=True):
    """City fare and kilometres (T-06)."""

    first: tuple[int, ...]
    per_km: tuple[int, ...]
    longest_m: int
    base_medium: int
    everywhere: bool = True

    def of(self, ride: Ride, medium: int) -> int:
        if ride.length_m is None:
            return UNKNOWN
        return self.first[medium] * 1000 + self.per_km[medium] * min(ride.length_m, self.longest_m)

    def dearest(self, ride: Ride, medium: int) -> int:
        known = self.of(ride, medium)
        return known if known > 0 else self.first[medium] * 1000 + self.per_km[medium] * self.longest_m

    def cheapest(self, ride: Ride, medium: int) -> int:
        known = self.of(ride, medium)
        return known if known > 0 else self.first[medium] * 1000

    def base(self, ride: Ride) -> int | None:
        return self.dearest(ride, self.base_medium)

    def least_base(self, ride: Ride) -> int | None:
        return self.cheapest(ride, self.base_medium)


class FareLine(Struct, frozen=True):
    """One rule: where and when it holds (None: always), its price, and the transfer it opens."""

    rule: str
    modes: frozenset[str] | None
    times: WeekTimes | None
    price: Price
    opens: str


REMEMBERED: Final = 1024
"""How many quotes a sheet remembers: some hundred bytes each."""


@dataclass(frozen=True, slots=True)
class FareSheet:
    """The fares from `first_day` (an ordinal) on. `flat`: what a ride no rule is about costs, if anything.

    Quotes that hold at any time are remembered: a vehicle asks for few of them, again and again.
    """

    first_day: int
    base_milli: int
    flat: FareLine | None
    by_route: Mapping[int, tuple[FareLine, ...]]
    any_route: tuple[FareLine, ...]
    _known: dict[tuple[Ride, int, bool], Quote] = field(default_factory=dict)

    def quote(self, ride: Ride, at: datetime, zone: ZoneInfo, medium: int, *, dearest: bool) -> Quote | None:
        """The ordinary fare of `ride` at an aware time, or None when it is unknown. Rules hold by the clocks of `zone`.

        With `dearest` an unknown one is the most it can be; it stays None where no fare is about the ride.
        """
        asked = (ride, medium, dearest)
        quote = self._known.get(asked)
        if quote is not None:
            return quote
        lines = self._lines(ride)
        quote = self._among(lines, ride, at.astimezone(zone), medium, dearest=dearest)
        if quote is not None and all(line.times is None for line in lines):
            if len(self._known) == REMEMBERED:
                self._known.clear()
            self._known[asked] = quote
        return quote

    def _lines(self, ride: Ride) -> list[FareLine]:
        """The rules that may be about `ride`, as far as its route and mode say, in order."""
        lines = self.by_route.get(ride.route, self.any_route)
        return [line for line in lines if line.modes is None or ride.mode in line.modes]

    def _among(
        self, lines: list[FareLine], ride: Ride, local: datetime, medium: int, *, dearest: bool
    ) -> Quote | None:
        unsure: list[FareLine] = []
        for line in lines:
            if line.times is not None and not line.times.at(local):
                continue
            fare_milli = line.price.of(ride, medium)
            if fare_milli > 0:
                return self._quote(line, ride, fare_milli)
            if fare_milli == UNKNOWN:
                unsure.append(line)
        if not unsure:
            flat = self.flat
            return None if flat is None else self._quote(flat, ride, flat.price.of(ride, medium))
        if not dearest:
            return None
        possible = unsure if self.flat is None else [*unsure, self.flat]
        line = max(possible, key=lambda one: one.price.dearest(ride, medium))
        return self._quote(line, ride, line.price.dearest(ride, medium), assumed=True)

    def cheapest(self, ride: Ride, local: datetime, medium: int) -> Quote | None:
        """The least the ordinary fare of `ride` can be where a place is not known; None where no fare is about it."""
        possible = [
            line
            for line in self._lines(ride)
            if (line.times is None or line.times.at(local)) and line.price.of(ride, medium) != NO_FARE
        ]
        if self.flat is not None and not any(line.price.everywhere for line in possible):
            possible.append(self.flat)
        if not possible:
            return None
        line = min(possible, key=lambda one: one.price.cheapest(ride, medium))
        bases = (one.price.least_base(ride) for one in possible)
        base_milli = min(self.base_milli if base is None else base for base in bases)
        fare_milli = line.price.cheapest(ride, medium)
        return Quote(line.rule, (fare_milli + 500) // 1000, base_milli, assumed=True, opens=line.opens)

    def _quote(self, line: FareLine, ride: Ride, fare_milli: int, *, assumed: bool = False) -> Quote:
        base_milli = line.price.base(ride)
        base_milli = self.base_milli if base_milli is None else base_milli
        return Quote(line.rule, (fare_milli + 500) // 1000, base_milli, assumed, line.opens)


class FareBook(Struct, frozen=True):
    """All fare sheets, the newest first."""

    sheets: tuple[FareSheet, ...]
    media: frozenset[int]
    """What has a price, by its index in `MEDIA`; with anything else no ride is paid."""

    @classmethod
    def of(cls, fares: Fares, zones: Mapping[str, int], timeframes: Mapping[str, WeekTimes]) -> FareBook:
        """Index checked `fares`."""
        tables: list[tuple[int, FareTable]] = [(0, fares)]
        tables += [(step.valid_from.toordinal(), step) for step in fares.steps]
        opens = fares.transfer or ""
        sheets = tuple(_sheet(day, table, opens, zones, timeframes) for day, table in reversed(tables))
        return cls(sheets, priced_media(fares))

    def on(self, day: int) -> FareSheet:
        """The sheet of the service day with this ordinal."""
        for sheet in self.sheets:
            if day >= sheet.first_day:
                return sheet
        raise AssertionError("the first sheet holds from day 0")


def _sheet(
    first_day: int,
    table: FareTable,
    opens: str,
    zones: Mapping[str, int],
    timeframes: Mapping[str, WeekTimes],
) -> FareSheet:
    lines = [(rule.routes, _line(rule, opens, zones, timeframes)) for rule in table.rules]
    any_route = tuple(line for routes, line in lines if not routes)
    by_route: dict[int, list[FareLine]] = {}
    for routes, line in lines:
        for route in routes:
            by_route.setdefault(route, list(any_route)).append(line)
    fares = table.by_medium
    flat = None if fares is None else FareLine(ELSE, None, None, FlatPrice(_milli(fares), None), opens)
    return FareSheet(
        first_day=first_day,
        base_milli=table.base_minor * 1000,
        flat=flat,
        by_route=MappingProxyType({route: tuple(found) for route, found in by_route.items()}),
        any_route=any_route,
    )


def _line(
    rule: AnyFareRule, opens: str, zones: Mapping[str, int], timeframes: Mapping[str, WeekTimes]
) -> FareLine:
    """`opens`: the transfer of a rule that names none."""
    times = times_of(rule, timeframes)
    modes = frozenset(mode.value for mode in rule.modes) or None
    named = opens if rule.transfer is None else rule.transfer
    return FareLine(
        rule=rule.id,
        modes=modes,
        times=None if times == ALWAYS else times,
        price=_price(rule, zones),
        opens="" if named == NO_TRANSFER else named,
    )


def times_of(rule: AnyFareRule, timeframes: Mapping[str, WeekTimes]) -> WeekTimes:
    """When `rule` holds."""
    times = ALWAYS if rule.when is None else timeframes[rule.when]
    return times if rule.except_when is None else times.both(timeframes[rule.except_when].without())


def _price(rule: AnyFareRule, zones: Mapping[str, int]) -> Price:
    if isinstance(rule, FlatFare):
        base_milli = None if rule.base_minor is None else rule.base_minor * 1000
        return FlatPrice(_milli(rule.by_medium), base_milli)
    base_medium = MEDIA.index(rule.base)
    if isinstance(rule, ZoneFares):
        places = {zones[name]: place for place, name in enumerate(rule.zones)}
        card = rule.by_medium.transport_card
        matrices = tuple(getattr(rule.by_medium, medium.value) or card for medium in MEDIA)
        everywhere = places.keys() >= set(zones.values())
        return ZonePrice(MappingProxyType(places), matrices, base_medium, everywhere)
    return _distance(rule, base_medium)


def _distance(rule: DistanceFares, base_medium: int) -> DistancePrice:
    return DistancePrice(_minor(rule.first), _minor(rule.per_km), rule.longest_m, base_medium)


def _minor(fares: FareByMedium) -> tuple[int, ...]:
    """By medium. What stands for one without a price is never asked for: see `FareBook.media`."""
    card = fares.transport_card
    return (card, fares.bank_card or card, fares.cash or card)


def priced_media(fares: Fares) -> frozenset[int]:
    """The media that a document prices, by their index."""
    stated = [one for _, one in media_tables(fares)]
    return frozenset(
        number for number, medium in enumerate(MEDIA) if any(getattr(one, medium.value) for one in stated)
    )


def media_tables(fares: Fares) -> Iterator[tuple[str, FareByMedium | ZoneMatrix]]:
    """Every table of prices by medium, by its path."""
    steps = [(f"fares.steps[{number}]", step) for number, step in enumerate(fares.steps)]
    for path, table in [("fares", fares), *steps]:
        if table.by_medium is not None:
            yield f"{path}.by_medium", table.by_medium
        for number, rule in enumerate(table.rules):
            at = f"{path}.rules[{number}]"
            if isinstance(rule, DistanceFares):
                yield f"{at}.first", rule.first
                yield f"{at}.per_km", rule.per_km
            else:
                yield f"{at}.by_medium", rule.by_medium


def _milli(fares: FareByMedium) -> tuple[int, ...]:
    return tuple(fare * 1000 for fare in _minor(fares))
