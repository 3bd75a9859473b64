"""What one ride has to do with the next: transfers, returns, second taps, check-out, caps; and taps of bank cards."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from msgspec import Meta

from cardproto.resident.limits import MOST_TRANSFERS
from terminal.policy.base import Code, Fare, FareMedium, Mode, Name, Right, Route, Section
from terminal.policy.document.rights import Scope, Trips

MARK_M: Final = 100
"""The card keeps a place on the route to this many metres (T-07)."""


class SameRoute(StrEnum):
    """What boarding the same route in the same direction is, while the window is open (T-33)."""

    NEW_TRIP = "new_trip"
    TRANSFER = "transfer"


class CountedFrom(StrEnum):
    """Where the window of a transfer begins."""

    FIRST_RIDE = "first_ride"
    PREVIOUS_RIDE = "previous_ride"


class TransferRule(Section, frozen=True, kw_only=True):
    """What every transfer has: a window after a paid ride, its last second included, and how many rides it gives.

    `modes`: what may be changed to (none named: everything).
    """

    id: Name
    window_s: Annotated[int, Meta(ge=1, le=24 * 3600)]
    transfers: Annotated[int, Meta(ge=1, lt=MOST_TRANSFERS)] | Literal["unlimited"]
    media: tuple[FareMedium, ...]
    same_route: SameRoute = SameRoute.NEW_TRIP
    counted_from: CountedFrom = CountedFrom.FIRST_RIDE
    modes: tuple[Mode, ...] = ()


class FreeWindow(TransferRule, frozen=True, kw_only=True, tag_field="kind", tag="free_window"):
    """T-30: the following rides are free."""


class ReducedWindow(TransferRule, frozen=True, kw_only=True, tag_field="kind", tag="reduced_window"):
    """T-31: each following ride costs `price_minor`, from the purse; a ride that costs less otherwise costs that."""

    price_minor: Fare


class MixedWindow(TransferRule, frozen=True, kw_only=True, tag_field="kind", tag="mixed_window"):
    """T-32: the following rides are free, but modes in `once` may be entered once in the whole journey.

    `counter` counts those entries, the journey's first ride included.
    """

    once: tuple[Mode, ...]
    counter: Name


class TopUpWindow(TransferRule, frozen=True, kw_only=True, tag_field="kind", tag="top_up_window"):
    """T-38: a following ride costs what its own price is above the dearest price paid so far in the journey, nothing
    where it is not above it.

    `paid` counts that dearest price, in its unit.
    """

    paid: Name


AnyTransfer = FreeWindow | ReducedWindow | MixedWindow | TopUpWindow


class ReturnRule(Section, frozen=True, kw_only=True):
    """T-39: what every return has. The ride back of a ride the purse paid for costs less, once; on `routes` (none
    named: all).

    It is open for `window_s` after the tap that began the outward ride, the last second included, or on the
    `same_service_day`, or within both. One of `percent_off`, `amount_off_minor` and `price_minor` says what it costs,
    from the ordinary fare of the ride. `outward` keeps which ride may be returned from, `began` when it began, in
    steps of `step_s`, rounded up. `bank_cards`: it is given to bank cards as well, as `[checkin]` says.
    """

    id: Name
    routes: tuple[Route, ...] = ()
    window_s: Annotated[int, Meta(ge=1, le=7 * 24 * 3600)] | None = None
    same_service_day: bool = False
    percent_off: Annotated[int, Meta(ge=1, le=99)] | None = None
    amount_off_minor: Fare | None = None
    price_minor: Fare | None = None
    outward: Name
    began: Name | None = None
    step_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    bank_cards: bool = False


class OppositeReturn(ReturnRule, frozen=True, kw_only=True, tag_field="kind", tag="opposite_direction"):
    """The ride back is on the same route in the other direction. `outward` holds twice the route's number, plus the
    direction.
    """


class ZonePairReturn(ReturnRule, frozen=True, kw_only=True, tag_field="kind", tag="zone_pair"):
    """The ride back goes from the zone ridden to to the zone boarded in, both named in `zones`. `outward` holds 1 for a
    ride from the first zone to the second, 2 for the other way.
    """

    zones: tuple[Name, ...]


AnyReturn = OppositeReturn | ZonePairReturn


class Guards(Section, frozen=True, kw_only=True):
    """When a second tap is the same ride. All windows include their last second.

    `retap_s`: another validator on the same route (a torn tap repeated at the next door); where riders check in, the
    same one as well: so soon after a tap it is neither exit nor new ride.
    `clock_skew_s`: how far ahead another terminal's clock may be; an event from further ahead opens no window
    (O-05). `inspection_s`: how long ago a ride on this vehicle may have begun for an inspector (T-70).
    """

    repeat_s: Annotated[int, Meta(ge=0, le=60)] = 2
    retap_s: Annotated[int, Meta(ge=0, le=600)] = 60
    passback_s: Annotated[int, Meta(ge=0, le=3600)] = 300
    passback_rights: tuple[Right, ...] = (Right.PASS,)
    clock_skew_s: Annotated[int, Meta(ge=0, le=300)] = 30
    inspection_s: Annotated[int, Meta(ge=60, le=24 * 3600)] = 2 * 3600


class CheckIn(Section, frozen=True, kw_only=True):
    """T-07: where riders tap when boarding and when leaving, whatever covers the ride.

    The first tap checks in up to seven persons and reserves what depends on how far they go, to the terminus; the
    second charges the ride itself; without a second tap the next ride charges the reserve. `scope` is asked about the
    ride to the terminus. `longest_s`: a ride that took longer was not checked out. `reserve` counts the money held,
    in its unit, rounded down: with fares by distance a unit above 1 costs the operator up to a unit less one of
    a ride, all other prices have to be multiples of it. Persons whose money it cannot hold are refused. `zone` and
    `mark` keep where the rider boarded, as the fares need them; a mark is the nearest 100 m, and the exit is measured
    likewise. `bank_cards`: riders check in with bank cards as well, whose state the terminal keeps. Only where the
    validators of a vehicle are one, or linked: another does not know who is inside.
    """

    scope: tuple[Scope, ...]
    longest_s: Annotated[int, Meta(ge=60, le=24 * 3600)]
    reserve: Name
    zone: Name | None = None
    mark: Name | None = None
    bank_cards: bool = False


class UnknownBoarding(StrEnum):
    """Where a ride that is checked in begins when the vehicle's place is not known (T-07)."""

    FIRST_STOP = "first_stop"
    """At the first stop of the direction; as the dearest where that is not known either."""
    DEAREST = "dearest"
    """The dearest fare of the ride is held, and the exit charges the cheapest."""
    REFUSE = "refuse"
    """Its fare is unknown: who needs one to pay is refused."""


class BetweenStops(StrEnum):
    """To which stop a check-out belongs when the vehicle has all but come to the next one."""

    LAST = "last"
    COMING = "coming"


class VehicleRules(Section, frozen=True, kw_only=True):
    """What a place that the vehicle stated is worth (T-61). Up to `fresh_s` old it counts as it is; up to `stale_s` it
    is an estimate; an older one, or one that contradicts the route, is not known.

    An exit at an estimated place is at the cheaper of the last and the coming stop, one at an unknown place costs the
    least the ride can have cost. A fare that is the same everywhere does not depend on any of this.
    """

    fresh_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    stale_s: Annotated[int, Meta(ge=1, le=24 * 3600)] = 600
    unknown_place: UnknownBoarding = UnknownBoarding.FIRST_STOP
    between_stops: BetweenStops = BetweenStops.COMING


class CapTier(Section, frozen=True, kw_only=True):
    """What rides inside `scope` cost at most in the period; no scope: every ride."""

    amount_minor: Fare
    scope: tuple[Scope, ...] = ()


class AmountCap(Section, frozen=True, kw_only=True, tag_field="kind", tag="amount_cap"):
    """At most so much for the rides of one period of the counter `spent`.

    A ride falls under the cheapest tier whose scope it is in; the dearest tier ridden so far sets the cap, and
    `level` remembers it. Tiers are listed from the cheapest to the dearest. `concessions`: the cap is for
    rides on these codes only; none named: for every ride paid from the purse. A ride the purse is not asked for
    raises no cap.
    """

    id: Name
    spent: Name
    tiers: tuple[CapTier, ...]
    level: Name | None = None
    concessions: tuple[Code, ...] = ()


class TripCap(Section, frozen=True, kw_only=True, tag_field="kind", tag="trip_cap"):
    """After so many paid rides in one period of `counter` the others are free."""

    id: Name
    counter: Name
    trips: Trips
    scope: tuple[Scope, ...] = ()
    concessions: tuple[Code, ...] = ()


Cap = AmountCap | TripCap


class BankTaps(Section, frozen=True, kw_only=True):
    """T-43: bank cards while the deny list is older than `stale_after_s`: so many taps per card and day, or so
    much money.
    """

    stale_after_s: Annotated[int, Meta(ge=60)] = 24 * 3600
    stale_taps: Annotated[int, Meta(ge=0, le=1000)] = 3
    stale_minor: Fare | None = None
