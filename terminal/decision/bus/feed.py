"""Fares from a GTFS feed: what a ride costs after the journey so far, and what the card remembers of it.

The journey lies in the lowest bits of the card's counters; the region document's own counters are above them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.cover import Cover
from terminal.decision.outcome import NO_VALUES, Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.fares.index import MEDIA, Quote
from terminal.policy.gtfs.card import JourneyOnCard, Written
from terminal.policy.gtfs.charging import (
    Charged,
    FareUnknown,
    alight,
    board_ride,
    fare_of,
    fare_to,
    single_fare,
    unknown_fare,
)
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.index import Prices, Rider
from terminal.policy.gtfs.matching import Leg, UnknownPlace, begun
from terminal.policy.gtfs.state import NOTHING, JourneyState, second_of
from terminal.trip.facts import Spot, Trip

HOUR_S = 3600
SOURCE = "gtfs"
PURSE: Final = PaidBy.PURSE
OK_PAID: Final = Message.OK_PAID


class RideEnd(Struct, frozen=True, gc=False):
    """Where a checked-in ride ended: what the purse owes for its holder (None: unknown), the ordinary fare of one
    person, the counters and the journey after it. `cheapest`: an end of it is not known, and no ride costs less.
    """

    own_minor: int | None
    quote: Quote | None
    counters: int
    journey: tuple[int | None, int] | None
    cheapest: bool = False


def by_feed(tap: Tap, fares: FeedFares, held_minor: int, trail: Trail, *, checks_in: bool) -> Cover | None:
    """The purse pays what the feed says; None where it does not say. `held_minor`: see `checkin`.

    Companions who pay at once end the journey: it is one person's.
    """
    now = second_of(tap.at)
    state = _state(tap, fares, held_minor, now)
    taken = _boarded(
        fares, state, tap.trip, now, fares.index.prices_of(_rider(tap, fares), fares.card_medium)
    )
    trail.reasons += taken.steps
    if isinstance(taken, FareUnknown):
        return None
    after = taken.state if checks_in or not tap.trip.companions else NOTHING
    counters, journey = _remembered(tap, fares, after, now)
    free = None if checks_in else taken.free_until
    ends = None if free is None else datetime.fromtimestamp(free, tap.policy.zone)
    return Cover(
        PURSE,
        trail.lapsed or (OK_PAID if ends is None else Message.OK_TRANSFER),
        counters,
        taken.charge_minor,
        NO_VALUES if ends is None else {"time": f"{ends.hour:02}:{ends.minute:02}"},
        by_fare=after.ride is not None and not after.ride.end,
        journey=journey,
    )


def _boarded(
    fares: FeedFares, state: JourneyState, trip: Trip, now: int, prices: Prices
) -> Charged | FareUnknown:
    try:
        places = fares.places(trip.route, trip.place.stop, trip.place.destination.stop)
    except UnknownPlace as unknown:
        return unknown_fare(fares, unknown.effect)
    return board_ride(fares, state, begun(places, now), places.start, prices)


def feed_quote(fares: FeedFares, trip: Trip, at: datetime, medium: int) -> Quote | None:
    """What a single ride of anybody costs, as if no journey were open."""
    fare_minor = single_fare(fares, _leg(fares, trip, at), fares.rider(), fares.medium(MEDIA[medium]))
    return _quote(fare_minor)


def end_of_ride(tap: Tap, fares: FeedFares, held_minor: int, spot: Spot, trail: Trail) -> RideEnd:
    """The rider leaves at `spot`, or where is not known. What is due is worked out anew from the ride and the journey
    before it.
    """
    stop = fares.stop_id(spot.stop)
    if stop not in fares.index.places.numbers:
        stop = None
    now = second_of(tap.at)
    on_card, quote = _read(tap, fares, held_minor, now), None
    if on_card.ride is not None and not _only_holder(tap):
        quote = _quote(fare_to(fares, on_card.ride, stop, tap.at, fares.rider(), fares.card_medium))
    cheapest = stop is None and _end_matters(fares, on_card)
    if tap.snapshot.event.paid_by is not PURSE:
        return RideEnd(None, quote, *_remembered(tap, fares, NOTHING, now), cheapest)
    own_minor = _own_held(tap, fares, on_card, held_minor)
    state = on_card if own_minor == held_minor else _read(tap, fares, own_minor, now)
    taken = alight(fares, state, stop, tap.at, _rider(tap, fares), fares.card_medium)
    trail.reasons += taken.steps
    if not isinstance(taken, Charged):
        return RideEnd(None, quote, *_remembered(tap, fares, NOTHING, now))
    own_minor = max(own_minor + taken.charge_minor, 0)
    return RideEnd(own_minor, quote, *_remembered(tap, fares, taken.state, now), cheapest)


def _end_matters(fares: FeedFares, on_card: JourneyState) -> bool:
    """Whether what the open ride costs depends on where it ends."""
    ride = on_card.ride
    return ride is None or len(fares.index.rules_onward(ride.network, ride.origin)) > 1


def _only_holder(tap: Tap) -> bool:
    """Whether the purse pays for the card's holder alone: nothing then depends on what one ordinary person pays."""
    event = tap.snapshot.event
    return event.inside == 1 and event.paid_by is PURSE


def boarded(tap: Tap, fares: FeedFares, counters: int) -> int:
    """`counters` with the ride that begins here, for an exit to find its ordinary fare; it is of no journey."""
    if not tap.counters_known:
        return counters
    trip, now = tap.trip, second_of(tap.at)
    try:
        ride = begun(fares.places(trip.route, trip.place.stop, trip.place.destination.stop), now)
    except UnknownPlace:
        return forgotten(tap, fares, counters)
    return forgotten(tap, fares, counters) | fares.card.write(JourneyState(None, ride), now).bits


def forgotten(tap: Tap, fares: FeedFares, counters: int) -> int:
    """`counters` of a card with no journey: another right covers the ride."""
    return counters >> fares.card.bits << fares.card.bits if tap.counters_known else counters


def _leg(fares: FeedFares, trip: Trip, at: datetime) -> Leg:
    place = trip.place
    return Leg(
        fares.route_id(trip.route), at, fares.stop_id(place.stop), fares.stop_id(place.destination.stop)
    )


def _quote(fare_minor: int | None) -> Quote | None:
    return None if fare_minor is None else Quote(SOURCE, fare_minor, fare_minor * 1000)


def _state(tap: Tap, fares: FeedFares, held_minor: int, now: int) -> JourneyState:
    """The journey on the card. What is held for the holder's own ride counts as taken for it; a ride that another
    right covered is of no journey.
    """
    event = tap.snapshot.event
    if event.inside and event.paid_by is not PURSE:
        return NOTHING
    if not event.inside:
        return _read(tap, fares, event.amount_minor, now)
    on_card = _read(tap, fares, held_minor, now)
    own_minor = _own_held(tap, fares, on_card, held_minor)
    return on_card if own_minor == held_minor else _read(tap, fares, own_minor, now)


def _own_held(tap: Tap, fares: FeedFares, on_card: JourneyState, held_minor: int) -> int:
    """What of `held_minor` is for the card's holder; the others were held at the ordinary fare of one person."""
    others, ride = tap.snapshot.event.inside - 1, on_card.ride
    if not others or ride is None:
        return held_minor
    return max(held_minor - others * (fare_of(fares, ride, fares.rider(), fares.card_medium) or 0), 0)


def _read(tap: Tap, fares: FeedFares, taken_minor: int, now: int) -> JourneyState:
    event = tap.snapshot.event
    bits = tap.counters & (1 << fares.card.bits) - 1
    if not bits or not tap.counters_known or tap.age_s is None:
        return NOTHING
    written = Written(now - tap.age_s, fares.route_id(event.route), taken_minor)
    return fares.card.read(JourneyOnCard(bits, event.journey_age_s, event.transfers), written, now)


def _remembered(
    tap: Tap, fares: FeedFares, state: JourneyState, now: int
) -> tuple[int, tuple[int | None, int]]:
    card = fares.card.write(state, now)
    if not tap.counters_known:
        return tap.counters, (None, 0)
    return forgotten(tap, fares, tap.counters) | card.bits, (card.journey_age_s, card.transfers)


def _rider(tap: Tap, fares: FeedFares) -> Rider:
    """What the holder may pay as by the concessions that hold today; with data too old, by none (O-03)."""
    if not any(tap.concessions):
        return fares.ordinary
    if tap.trip.freshness.lists_older_than(tap.policy.document.ages.stale_h * HOUR_S):
        return fares.ordinary
    day = tap.service_date
    return fares.rider(
        [grant.code for grant in tap.concessions if grant and grant.valid_from <= day <= grant.valid_to]
    )
