"""The shape of a region document: what a tariff author may write, as frozen types.

Every rule is a member of a closed tagged union (`kind = "..."`): a document with an unknown kind or key does
not load. Money is in kopecks (`*_minor`), durations in seconds (`*_s`), times of day are local to
`header.time_zone`. What types cannot say (sums that add up, references that resolve) is in
`terminal.policy.checks`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from terminal.policy.schema_base import Fare, Name, Section
from terminal.policy.schema_base import Medium as Medium
from terminal.policy.schema_base import Right as Right
from terminal.policy.schema_meals import Meals

SCHEMA_VERSION: Final = 1
COUNTER_BITS: Final = 56


class Period(StrEnum):
    """How long a counter on the card counts before it starts at 0 again."""

    SERVICE_DAY = "service_day"
    SERVICE_MONTH = "service_month"
    CONTRACT = "contract"


class Header(Section, frozen=True, kw_only=True):
    """Which document this is and where and when it holds. `valid_from` is included, `valid_to` excluded."""

    id: Name
    version: Annotated[int, Meta(ge=1)]
    schema: int
    region: Annotated[int, Meta(ge=1, le=0xFFFF)]
    valid_from: Annotated[datetime, Meta(tz=True)]
    valid_to: Annotated[datetime, Meta(tz=True)]
    currency: str
    time_zone: str
    service_day_end_hour: Annotated[int, Meta(ge=0, le=12)] = 3


class FareByMedium(Section, frozen=True, kw_only=True):
    """T-01: the ordinary fare of one ride."""

    transport_card: Fare
    bank_card: Fare
    cash: Fare


class Fares(Section, frozen=True, kw_only=True):
    """`base_minor` is what percentages are taken from (T-02); it may differ from every ordinary fare."""

    base_minor: Fare
    by_medium: FareByMedium


class PercentOfBase(Section, frozen=True, kw_only=True, tag_field="kind", tag="percent_of_base"):
    """T-02: the rider pays this share of `fares.base_minor`, rounded half up (T-08)."""

    pays_percent: Annotated[int, Meta(ge=1, le=99)]


class FixedPrice(Section, frozen=True, kw_only=True, tag_field="kind", tag="fixed_price"):
    """T-04: the rider pays this much whatever the base tariff is."""

    price_minor: Fare


class Free(Section, frozen=True, tag_field="kind", tag="free"):
    """T-05: the rider pays nothing; the ride is recorded."""


ConcessionFare = PercentOfBase | FixedPrice | Free


class OverLimit(StrEnum):
    """What a ride past the limit costs."""

    ORDINARY_FARE = "ordinary_fare"


class MonthlyTrips(Section, frozen=True, kw_only=True, tag_field="kind", tag="monthly_trips"):
    """So many rides per service month (T-12), counted on the card; then the ordinary fare is due (T-13)."""

    trips: Annotated[int, Meta(ge=1)]
    counter: Name
    over_limit: OverLimit = OverLimit.ORDINARY_FARE


class Concession(Section, frozen=True, kw_only=True):
    """A льгота by the code cards carry. `sensitive`: it reveals health, so the code is never told (D-03)."""

    code: Annotated[int, Meta(ge=1, le=255)]
    name: str
    sensitive: bool = False
    fare: ConcessionFare | None = None
    limit: MonthlyTrips | None = None


class Pass(Section, frozen=True, kw_only=True, tag_field="kind", tag="pass"):
    """Unlimited rides between the dates of the card's contract."""

    id: Annotated[int, Meta(ge=1, le=0xFFFF)]
    name: str


class Lapse(StrEnum):
    """When unused trips of a pack are lost."""

    MONTHLY = "monthly"
    WITH_CONTRACT = "with_contract"


class TripPack(Section, frozen=True, kw_only=True, tag_field="kind", tag="trip_pack"):
    """Prepaid rides. A card's contract states how many were sold; more than `trips` are never honoured."""

    id: Annotated[int, Meta(ge=1, le=0xFFFF)]
    name: str
    trips: Annotated[int, Meta(ge=1, le=255)]
    lapses: Lapse


Product = Pass | TripPack


class SameRoute(StrEnum):
    """What boarding the same route in the same direction is, while the window is open (T-33)."""

    NEW_TRIP = "new_trip"
    TRANSFER = "transfer"


class FreeWindow(Section, frozen=True, kw_only=True, tag_field="kind", tag="free_window"):
    """T-30: after a paid ride so many free ones, up to and including `window_s` seconds after it."""

    window_s: Annotated[int, Meta(ge=1, le=24 * 3600)]
    transfers: Annotated[int, Meta(ge=1, le=63)]
    media: tuple[Medium, ...]
    same_route: SameRoute = SameRoute.NEW_TRIP


class Guards(Section, frozen=True, kw_only=True):
    """When a second tap is the same ride. All windows include their last second.

    `retap_s`: another validator on the same route (a torn tap repeated at the next door).
    `clock_skew_s`: how far ahead another terminal's clock may be; an event from further ahead opens no window
    (O-05).
    """

    repeat_s: Annotated[int, Meta(ge=0, le=60)] = 2
    retap_s: Annotated[int, Meta(ge=0, le=600)] = 60
    passback_s: Annotated[int, Meta(ge=0, le=3600)] = 300
    passback_rights: tuple[Right, ...] = (Right.PASS,)
    clock_skew_s: Annotated[int, Meta(ge=0, le=300)] = 30


class CounterSlot(Section, frozen=True, kw_only=True):
    """One counter in the event's 56 bits; slots follow each other from the most significant bit."""

    name: Name
    bits: Annotated[int, Meta(ge=1, le=16)]
    period: Period


class Counters(Section, frozen=True, kw_only=True):
    """How `Event.counters` is split. `contracts` names the counter of each contract slot, A then B."""

    layout: Annotated[int, Meta(ge=1, le=15)]
    slots: tuple[CounterSlot, ...]
    contracts: tuple[Name, ...]


class Profile(Section, frozen=True, kw_only=True):
    """What a terminal of this kind takes, first to last (K-02)."""

    media: tuple[Medium, ...]
    rights: tuple[Right, ...]


class Profiles(Section, frozen=True, kw_only=True):
    """One entry per kind of terminal."""

    bus: Profile
    canteen: Profile


class Messages(Section, frozen=True, kw_only=True):
    """Languages on the passenger display, first to last."""

    languages: tuple[str, ...]


class Ages(Section, frozen=True, kw_only=True):
    """O-03 and D-06: how old data may be, and how long acknowledged records stay."""

    fresh_h: Annotated[int, Meta(ge=1)] = 24
    stale_h: Annotated[int, Meta(ge=1)] = 7 * 24
    keep_acknowledged_h: Annotated[int, Meta(ge=0)] = 3 * 24
    keep_trip_history_h: Annotated[int, Meta(ge=0)] = 24


class RegionDocument(Section, frozen=True, kw_only=True):
    """Everything regional. Build one with `terminal.policy.document`, which also checks its meaning."""

    header: Header
    fares: Fares
    profiles: Profiles
    counters: Counters
    messages: Messages
    concessions: tuple[Concession, ...] = ()
    products: tuple[Product, ...] = ()
    transfer: FreeWindow | None = None
    guards: Guards = Guards()
    meals: Meals = Meals()
    ages: Ages = Ages()
