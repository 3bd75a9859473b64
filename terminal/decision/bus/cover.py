"""What a right does for a ride, before money is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.decision.outcome import NO_VALUES, Message
from terminal.policy.journeys.index import Transfer
from terminal.policy.journeys.returns import Return
from terminal.policy.scopes import Ride
from terminal.trip.facts import Trip

CONTRACT_SLOTS: Final = (PaidBy.CONTRACT_A, PaidBy.CONTRACT_B)
RIDES: Final = (EventKind.RIDE, EventKind.CHECK_IN, EventKind.CHECK_OUT)
CONCESSION_SLOTS: Final = (PaidBy.CONCESSION_A, PaidBy.CONCESSION_B, PaidBy.CONCESSION_C)


class Cover(Struct, frozen=True, gc=False):
    """One right's answer: by what, at which price from the purse, and what the card then counts.

    `by_fare`: the price follows from the fare of the ride, so it can be checked in and corrected (T-07).
    `opens`: the transfer this payment opens. `journey`: (age, transfers) of the journey this ride goes on with.
    `companions`: how many others ride on the same terms. `code`: the concession used, for caps.
    `back`: the return whose way back this ride is.
    """

    paid_by: PaidBy
    message: Message
    counters: int
    price_minor: int = 0
    values: Mapping[str, int | str] = NO_VALUES
    by_fare: bool = False
    opens: Transfer | None = None
    journey: tuple[int | None, int] | None = None
    companions: int = 0
    code: int | None = None
    back: Return | None = None


def to_terminus(trip: Trip, ride: Ride) -> Ride:
    """The longest this ride can be, from where its rider boards."""
    length_m = _between(trip.place.mark_m, trip.place.terminus.mark_m)
    return replace(ride, to_zone=trip.place.terminus.zone, length_m=length_m)


def to_end(trip: Trip, ride: Ride) -> Ride:
    """The longest this ride can be to the place its rider named, to where the vehicle's turn ends as far as none is
    named: where it is not known how far the vehicle has come, the whole way from where its turn began.
    """
    place = trip.place
    here = place.origin.mark_m if place.mark_m is None else place.mark_m
    there = place.terminus.mark_m if place.destination.mark_m is None else place.destination.mark_m
    return replace(ride, to_zone=ride.to_zone or place.terminus.zone, length_m=_between(here, there))


def whole_turn(trip: Trip, ride: Ride) -> Ride:
    """`ride` as long as the vehicle's turn where its length is not known: no ride on it is longer."""
    place = trip.place
    if ride.length_m is not None:
        return ride
    return replace(ride, length_m=_between(place.origin.mark_m, place.terminus.mark_m))


def ride_of(trip: Trip) -> Ride:
    """Where this ride goes, as far as it is known from vehicle and rider."""
    here = trip.place
    there = here.destination
    length_m = None if here.mark_m is None else _between(here.mark_m, there.mark_m)
    return Ride(trip.mode, trip.route, here.zone, there.zone, length_m)


def _between(here: int | None, there: int | None) -> int | None:
    """Metres from mark to mark; None where one is not known."""
    return None if here is None or there is None else abs(there - here)
