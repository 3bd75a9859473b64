"""What the ordinary fare of a ride is: by medium, by zone, by distance, by time of day, from a date on."""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from terminal.policy.base import Fare, FareMedium, Mode, Name, Route, Section, Weekday

Metres = Annotated[int, Meta(ge=1, le=1_000_000)]


class FareByMedium(Section, frozen=True, kw_only=True):
    """T-01: the ordinary fare of one ride. Every medium of the bus profile has a price; one that is left out pays no
    ride. A medium is priced everywhere in the document or nowhere.
    """

    transport_card: Fare
    bank_card: Fare | None = None
    cash: Fare | None = None


class Zone(Section, frozen=True, kw_only=True):
    """A zone by the number the vehicle sends (T-61) and the name the rest of the document uses."""

    number: Annotated[int, Meta(ge=1, le=255)]
    name: Name


class TimeWindow(Section, frozen=True, kw_only=True):
    """From `starts`, included, to `ends`, excluded unless `end_included`; `ends` 00:00:00 is the day's end.

    Local time and the calendar day of the tap, not the service day: a tap at 00:30 belongs to the new day.
    """

    days: tuple[Weekday, ...]
    starts: time
    ends: time
    end_included: bool = False


class Timeframe(Section, frozen=True, kw_only=True):
    """A set of times in the week that a fare may depend on, such as the peak."""

    id: Name
    windows: tuple[TimeWindow, ...]


NO_TRANSFER: Final = "none"
"""What a fare rule names as its transfer where a ride opens none."""


class FareRule(Section, frozen=True, kw_only=True):
    """Where and when a fare holds: on these modes and routes (none named: all), during `when`, outside
    `except_when`. No two rules of one table may hold for the same ride.

    `transfer`: which transfer a ride under it opens, "none" for none; as `[fares] transfer` says where it is left out.
    """

    id: Name
    modes: tuple[Mode, ...] = ()
    routes: tuple[Route, ...] = ()
    when: Name | None = None
    except_when: Name | None = None
    transfer: Name | None = None


class FlatFare(FareRule, frozen=True, kw_only=True, tag_field="kind", tag="flat"):
    """One price whatever the distance. `base_minor` is the base tariff of these rides, if they have their own."""

    by_medium: FareByMedium
    base_minor: Fare | None = None


class ZoneMatrix(Section, frozen=True, kw_only=True):
    """Prices by zone: a row for each zone boarded in, a column for each zone left in, in the order of `zones`."""

    transport_card: tuple[tuple[Fare, ...], ...]
    bank_card: tuple[tuple[Fare, ...], ...] = ()
    cash: tuple[tuple[Fare, ...], ...] = ()


class ZoneFares(FareRule, frozen=True, kw_only=True, tag_field="kind", tag="zone_table"):
    """The price depends on the zones boarded and left in. `base`: the medium whose fare percentages are of."""

    zones: tuple[Name, ...]
    by_medium: ZoneMatrix
    base: FareMedium


class DistanceFares(FareRule, frozen=True, kw_only=True, tag_field="kind", tag="distance"):
    """T-06: the city fare `first` and `per_km` for each kilometre beyond the city boundary, to the metre.

    `longest_m` is the longest ride the tariff knows; a longer one is charged as that. `base`: the medium
    whose fare percentages are of.
    """

    first: FareByMedium
    per_km: FareByMedium
    longest_m: Metres
    base: FareMedium


AnyFareRule = FlatFare | ZoneFares | DistanceFares


class FareTable(Section, frozen=True, kw_only=True):
    """The fares that hold together. A ride is charged by the one rule it falls under, else by `by_medium`.

    `base_minor` is what percentages are taken from (T-02); it may differ from every ordinary fare. Without
    `by_medium` the rules have to leave no gap.
    """

    base_minor: Fare
    by_medium: FareByMedium | None = None
    rules: tuple[AnyFareRule, ...] = ()


class FareStep(FareTable, frozen=True, kw_only=True):
    """The fares from this service day on, until the next step."""

    valid_from: date


class CashRules(Section, frozen=True, kw_only=True):
    """Sales for cash. The newest ticket of a shift may be cancelled for `cancel_within_s`, 0: never (T-54). A child
    pays `child_percent` of the ride's cash fare, rounded half up, and a piece of luggage `luggage_minor`; without them
    such tickets are not sold (T-55).
    """

    cancel_within_s: Annotated[int, Meta(ge=0, le=3600)] = 300
    child_percent: Annotated[int, Meta(ge=1, le=99)] | None = None
    luggage_minor: Fare | None = None


class FareSource(StrEnum):
    """Where ordinary fares are looked up."""

    DOCUMENT = "document"
    GTFS = "gtfs"
    NONE = "none"


class Fares(FareTable, frozen=True, kw_only=True):
    """The fares of the document's first day, what follows them, and which transfer an ordinary ride opens."""

    steps: tuple[FareStep, ...] = ()
    transfer: Name | None = None
    source: FareSource = FareSource.DOCUMENT


NO_FARES: Final = Fares(base_minor=1, source=FareSource.NONE)
"""A document without [fares], as a school authority's: no fare is known, so every ride is refused."""
