"""The shape of a region document: what a tariff author may write, as frozen types.

Every rule is a member of a closed tagged union (`kind = "..."`): a document with an unknown kind or key does
not load. Money is in minor units of the currency (`*_minor`: kopecks), durations in seconds (`*_s`), distances in
metres (`*_m`), times of day are local to `header.time_zone`. What types cannot say (sums that add up, references that
resolve) is in `terminal.policy.checks`. This is the document itself, with its receipts (54-ФЗ, T-50); its other parts
live by subject beside this module.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from terminal.policy.base import FareMedium, Name, Right, Section, Version
from terminal.policy.document.counters import Counters
from terminal.policy.document.fares import NO_FARES, CashRules, Fares, Timeframe, Zone
from terminal.policy.document.journeys import (
    AnyReturn,
    AnyTransfer,
    BankTaps,
    Cap,
    CheckIn,
    Guards,
    VehicleRules,
)
from terminal.policy.document.meals import Meals
from terminal.policy.document.rights import ConcessionRule, Grace, Product, TripCalendar
from terminal.policy.gtfs.section import GtfsFares

SCHEMA_VERSION: Final = 2


class Header(Section, frozen=True, kw_only=True):
    """Which document this is and where and when it holds. `valid_from` is included, `valid_to` excluded. `issued_at` is
    when it was made, `valid_from` where that is left out.
    """

    id: Name
    version: Version
    schema: int
    region: Annotated[int, Meta(ge=1, le=0xFFFF)]
    valid_from: Annotated[datetime, Meta(tz=True)]
    valid_to: Annotated[datetime, Meta(tz=True)]
    issued_at: Annotated[datetime, Meta(tz=True)] | None = None
    currency: str
    time_zone: str
    service_day_end_hour: Annotated[int, Meta(ge=0, le=12)] = 3

    @property
    def issued(self) -> datetime:
        """Since when its age counts."""
        return self.valid_from if self.issued_at is None else self.issued_at


class UnknownFare(StrEnum):
    """What a ride costs when the fare depends on something unknown; never nothing."""

    REFUSE = "refuse"
    DEAREST = "dearest"
    """The fare to the terminus; the dearest of all where that is not known either."""


class PassengerAsk(StrEnum):
    """What a passenger may say of the next ride by touch on the display."""

    COMPANIONS = "companions"
    """How many further persons ride (T-20, T-34)."""
    DESTINATION = "destination"
    """Where the ride goes (T-01)."""


class Profile(Section, frozen=True, kw_only=True):
    """What a terminal of this kind takes, first to last (K-02).

    `unknown_fare`: a tap or sale that names no destination; "dearest" is the fare to the terminus, or the dearest
    there is where the terminus is not known. `deny_lists`: whether the region lists cards at all; where it does not, an
    empty card simply fails (O-09). `passenger_asks`: what passengers may state by touch on the display before the tap;
    the crew may always.
    """

    media: tuple[FareMedium, ...]
    rights: tuple[Right, ...]
    unknown_fare: UnknownFare = UnknownFare.REFUSE
    deny_lists: bool = True
    passenger_asks: tuple[PassengerAsk, ...] = ()


NO_BUS: Final = Profile(media=(FareMedium.TRANSPORT_CARD,), rights=(Right.PURSE,))


class Profiles(Section, frozen=True, kw_only=True):
    """One entry per kind of terminal; a document without [fares] may leave the bus out."""

    canteen: Profile
    bus: Profile = NO_BUS


class Messages(Section, frozen=True, kw_only=True):
    """Languages on the passenger display, first to last."""

    languages: tuple[str, ...]


class Ages(Section, frozen=True, kw_only=True):
    """O-03 and D-06: how old data may be, and how long acknowledged records stay.

    By the older of deny list and list of grants taps are marked after `fresh_h`, and concessions fall back to the
    ordinary fare after `stale_h`; a roster's age goes by the same hours. `document_stale_days`: taps are marked when
    this document was issued longer ago; without it its age does not count.

    `bundles_limited_days` and `bundles_stop_days` go by when the newest set of signed bundles that a terminal has
    accepted was signed. After the first, taps are marked, nothing is sold that is paid later, and the issuer's grant is
    verified at every tap; after the second, where it is set, a bus is out of order.
    """

    fresh_h: Annotated[int, Meta(ge=1)] = 24
    stale_h: Annotated[int, Meta(ge=1)] = 7 * 24
    document_stale_days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    bundles_limited_days: Annotated[int, Meta(ge=1, le=366)] = 14
    bundles_stop_days: Annotated[int, Meta(ge=1, le=366)] | None = None
    keep_acknowledged_h: Annotated[int, Meta(ge=0)] = 3 * 24
    keep_trip_history_h: Annotated[int, Meta(ge=0)] = 24


class ClockRules(Section, frozen=True, kw_only=True):
    """O-05: a terminal's clock that runs more than `ahead_days` ahead of the last time the collector signed, or an
    operator accepted, is in doubt.
    """

    ahead_days: Annotated[int, Meta(ge=1, le=366)] = 30


class EndedRules(Section, frozen=True, kw_only=True):
    """O-01: what a terminal does when this document has ended and no other is there. For `go_on_days` it decides by it
    as before and marks every record; after that a bus is out of order, and a canteen serves the meals that budgets pay
    and sells nothing.
    """

    go_on_days: Annotated[int, Meta(ge=0, le=366)] = 0


class TrialRules(Section, frozen=True, kw_only=True):
    """O-12: on trial for `days` from the moment this document replaces another: a terminal keeps the one before, and
    goes back to it by itself. 0: in force for good at once.
    """

    days: Annotated[int, Meta(ge=0, le=90)] = 0


class RegionDocument(Section, frozen=True, kw_only=True):
    """Everything regional. Build one with `terminal.policy.load`, which also checks its meaning."""

    header: Header
    profiles: Profiles
    counters: Counters
    messages: Messages
    fares: Fares = NO_FARES
    gtfs: GtfsFares | None = None
    zones: tuple[Zone, ...] = ()
    timeframes: tuple[Timeframe, ...] = ()
    concessions: tuple[ConcessionRule, ...] = ()
    trip_calendars: tuple[TripCalendar, ...] = ()
    products: tuple[Product, ...] = ()
    transfers: tuple[AnyTransfer, ...] = ()
    returns: tuple[AnyReturn, ...] = ()
    checkin: CheckIn | None = None
    caps: tuple[Cap, ...] = ()
    grace: Grace | None = None
    guards: Guards = Guards()
    vehicle: VehicleRules = VehicleRules()
    bank: BankTaps = BankTaps()
    cash: CashRules = CashRules()
    meals: Meals = Meals()
    ages: Ages = Ages()
    clock: ClockRules = ClockRules()
    ended: EndedRules = EndedRules()
    trial: TrialRules = TrialRules()
    receipts: Receipts | None = None


class Vat(StrEnum):
    """The VAT rate of a fare; "none": free of VAT."""

    NONE = "none"
    VAT_0 = "vat_0"
    VAT_5 = "vat_5"
    VAT_7 = "vat_7"
    VAT_10 = "vat_10"
    VAT_20 = "vat_20"
    VAT_22 = "vat_22"


class ReceiptWay(StrEnum):
    """T-50: how a passenger gets the receipt of a paid ride."""

    PAPER = "paper"
    ELECTRONIC = "electronic"
    """To the phone or e-mail the passenger gave before paying."""
    CONTROL_TICKET = "control_ticket"
    """A ticket with what is needed to find the receipt on the operator's site the same day."""
    QR = "qr"
    """On a display at the moment of payment; then no paper."""


class Receipts(Section, frozen=True, kw_only=True):
    """What tickets and receipt requests say besides the ride. `ways` in the order they are tried; `place` is the place
    of settlement as receipts name it, `site` where a receipt is found by its ticket.

    Receipts are those of 54-FZ, in roubles: a document in RUB states `vat` and `ways`, one in another currency neither.
    There tickets are given, and no receipt is asked for.
    """

    vat: Vat | None = None
    ways: tuple[ReceiptWay, ...] = ()
    place: Annotated[str, Meta(min_length=1, max_length=200)]
    site: Annotated[str, Meta(pattern=r"^https://\S+$")] | None = None
