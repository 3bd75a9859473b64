"""What covers a ride: concessions, what is sold, where and when each holds, and how often."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from terminal.policy.base import Code, Fare, Mode, Name, ProductId, Route, Section
from terminal.policy.document.fares import Metres

Trips = Annotated[int, Meta(ge=1, le=0xFFFF)]
Day = Annotated[str, Meta(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
"""A day of every year, month first: "05-31"."""
Month = Annotated[str, Meta(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
MonthDay = Annotated[int, Meta(ge=1, le=31)]


class Season(Section, frozen=True, kw_only=True):
    """T-15: every year from `first` to `last`, both included; it may run over New Year. By the service day."""

    first: Day
    last: Day


class Scope(Section, frozen=True, kw_only=True):
    """T-17: rides on these modes and routes, all of whose known zones are `zones`, one of whose zones is in
    `touching`, and which are no longer than `longest_m`. What is not named does not matter.

    An unknown place is in no zone: where zones or distance matter, the ride is outside.
    """

    modes: tuple[Mode, ...] = ()
    routes: tuple[Route, ...] = ()
    zones: tuple[Name, ...] = ()
    touching: tuple[Name, ...] = ()
    longest_m: Metres | None = None


class PercentOfBase(Section, frozen=True, kw_only=True, tag_field="kind", tag="percent_of_base"):
    """T-02: the rider pays this share of the base tariff, rounded half up (T-08)."""

    pays_percent: Annotated[int, Meta(ge=1, le=99)]


class AmountOff(Section, frozen=True, kw_only=True, tag_field="kind", tag="amount_off"):
    """T-03: the rider pays this much less than the ordinary fare."""

    amount_minor: Fare


class FixedPrice(Section, frozen=True, kw_only=True, tag_field="kind", tag="fixed_price"):
    """T-04: the rider pays this much whatever the base tariff is."""

    price_minor: Fare


class Free(Section, frozen=True, tag_field="kind", tag="free"):
    """T-05: the rider pays nothing; the ride is recorded."""


ConcessionFare = PercentOfBase | AmountOff | FixedPrice | Free


class TripLimit(Section, frozen=True, kw_only=True, tag_field="kind", tag="trips"):
    """So many rides per period of `counter` (T-10, T-37); then the right sleeps and the ordinary fare is due (T-13).

    Rights that name one counter share its visits. With a `scope` only rides inside it count and are limited
    (T-19); a ride that may or may not be inside counts.
    """

    trips: Trips
    counter: Name
    scope: tuple[Scope, ...] = ()


class CalendarLimit(Section, frozen=True, kw_only=True, tag_field="kind", tag="calendar_trips"):
    """T-12: `trips_per_day` for each eligible day the calendar has in the month; `counter` counts per month."""

    calendar: Name
    trips_per_day: Annotated[int, Meta(ge=1, le=100)]
    counter: Name
    scope: tuple[Scope, ...] = ()


Limit = TripLimit | CalendarLimit


class EligibleDays(Section, frozen=True, kw_only=True):
    """How many days of a month give trips."""

    month: Month
    days: Annotated[int, Meta(ge=0, le=31)]


class TripCalendar(Section, frozen=True, kw_only=True):
    """T-12: eligible days as the region publishes them, month after month without a hole."""

    id: Name
    months: tuple[EligibleDays, ...]


class Companions(Section, frozen=True, kw_only=True):
    """T-20: so many further persons ride with the holder on the same terms, counted by the conductor or, where riders
    do not check in, tapping one after the other or counted with such a tap. `counter` remembers how many did. They
    use up no limit.
    """

    most: Annotated[int, Meta(ge=1, le=15)]
    counter: Name


class ConcessionRule(Section, frozen=True, kw_only=True):
    """A льгота by the code cards carry. `sensitive`: it reveals health, so the code is never shown (D-03). `printed`:
    a code on paper counts for it, once staff have seen whose it is (M-35).
    """

    code: Code
    name: str
    sensitive: bool = False
    printed: bool = False
    fare: ConcessionFare | None = None
    limits: tuple[Limit, ...] = ()
    season: Season | None = None
    scope: tuple[Scope, ...] = ()
    companions: Companions | None = None


class SaleWindow(Section, frozen=True, kw_only=True):
    """T-16: the days on which a product for a month is sold: from `opens_day` (of the month before, if
    `month_before`) to `closes_day` of the month itself, both included.
    """

    opens_day: MonthDay
    month_before: bool = False
    closes_day: MonthDay


class SoldProduct(Section, frozen=True, kw_only=True):
    """What every product has. `price_minor` is what it is sold for, where this document says so."""

    id: ProductId
    name: str
    price_minor: Fare | None = None
    sold: SaleWindow | None = None
    scope: tuple[Scope, ...] = ()


class Pass(SoldProduct, frozen=True, kw_only=True, tag_field="kind", tag="pass"):
    """Rides between the dates of the card's contract, without number but for `limits` (T-37)."""

    limits: tuple[Limit, ...] = ()


class TimedPass(SoldProduct, frozen=True, kw_only=True, tag_field="kind", tag="timed_pass"):
    """A pass that starts with its first ride and holds for `length_s`, the last second included.

    The first ride falls between the dates of the card's contract; the counter of the contract's slot keeps
    its minute, rounded up.
    """

    length_s: Annotated[int, Meta(ge=60, le=31 * 24 * 3600)]
    limits: tuple[Limit, ...] = ()


class Lapse(StrEnum):
    """When unused trips of a pack are lost."""

    MONTHLY = "monthly"
    """With the month of the contract's first day, however long the contract runs."""
    WITH_CONTRACT = "with_contract"


class TripPack(SoldProduct, frozen=True, kw_only=True, tag_field="kind", tag="trip_pack"):
    """Prepaid rides (T-10). A card's contract states how many it holds; more than `most_trips` (without it:
    than `trips`) are never honoured. Where unused trips are carried over (T-11), the reload point adds the next pack
    to what the contract holds.
    """

    trips: Annotated[int, Meta(ge=1, le=255)]
    lapses: Lapse
    most_trips: Annotated[int, Meta(ge=1, le=255)] | None = None


class Plan(SoldProduct, frozen=True, kw_only=True, tag_field="kind", tag="plan"):
    """A tariff plan for the purse (T-31, T-34): its rides cost `fare_minor` and open its own transfer."""

    fare_minor: Fare
    transfer: Name | None = None


Product = Pass | TimedPass | TripPack | Plan


class Grace(Section, frozen=True, kw_only=True):
    """T-18: holders of these concessions ride unpaid when the purse is empty, up to `trips` times.

    `counter` keeps the debt until a reload point clears it; when it is full the card rides no more. What an earlier
    ride without check-out holds is charged all the same.
    """

    concessions: tuple[Code, ...]
    season: Season
    scope: tuple[Scope, ...]
    trips: Annotated[int, Meta(ge=1, le=15)]
    counter: Name
