"""Fares from a GTFS feed: what a ride costs after the journey so far, and what the card remembers of it.

The journey lies in the lowest bits of the card's counters; the region document's own counters are above them.
"""

from __future__ import annotations

from datetime import datetime

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.decision.bus.cover import Cover
from terminal.decision.outcome import Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.fares.index import MEDIA, TRANSPORT_CARD, Quote
from terminal.policy.gtfs.card import JourneyOnCard, Written
from terminal.policy.gtfs.charging import Charged, FareUnknown, alight, board, single_fare
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.matching import Leg
from terminal.policy.gtfs.state import NOTHING, JourneyState
from terminal.trail import Reason
from terminal.trip.facts import Trip

HOUR_S = 3600
SOURCE = "gtfs"


def by_feed(tap: Tap, fares: FeedFares, held_minor: int, trail: Trail) -> Cover | None:
    """The purse pays what the feed says; None where it does not say. `held_minor`: see `checkin`."""
    leg = _leg(fares, tap.trip, tap.local)
    state = _state(tap, fares, held_minor)
    taken = board(fares, state, leg, fares.rider(_codes(tap)), fares.medium(MEDIA[TRANSPORT_CARD]))
    _note(taken.steps, trail)
    if isinstance(taken, FareUnknown):
        return None
    after = NOTHING if tap.trip.companions else taken.state
    counters, journey = _remembered(tap, fares, after)
    return Cover(
        paid_by=PaidBy.PURSE,
        message=trail.lapsed or Message.OK_PAID,
        counters=counters,
        price_minor=taken.charge_minor,
        by_fare=after.ride is not None and not after.ride.end,
        journey=journey,
    )


def feed_quote(fares: FeedFares, trip: Trip, local: datetime, medium: int) -> Quote | None:
    """What a single ride of anybody costs, as if no journey were open."""
    fare_minor = single_fare(fares, _leg(fares, trip, local), fares.rider(), fares.medium(MEDIA[medium]))
    return None if fare_minor is None else Quote(SOURCE, fare_minor, fare_minor * 1000)


def end_of_ride(
    tap: Tap, fares: FeedFares, held_minor: int, trail: Trail
) -> tuple[int, int, tuple[int | None, int]]:
    """The rider leaves here: what of `held_minor` is due, the counters and the journey after it."""
    stop = fares.stop_id(tap.trip.place.stop)
    state, rider = _state(tap, fares, held_minor), fares.rider(_codes(tap))
    taken = None
    if stop is not None:
        taken = alight(fares, state, stop, tap.local, rider, fares.medium(MEDIA[TRANSPORT_CARD]))
        _note(taken.steps, trail)
    if not isinstance(taken, Charged):
        return held_minor, *_remembered(tap, fares, NOTHING)
    due_minor = min(max(held_minor + taken.charge_minor, 0), held_minor)
    return due_minor, *_remembered(tap, fares, taken.state)


def forgotten(tap: Tap, fares: FeedFares, counters: int) -> int:
    """`counters` of a card with no journey: another right covers the ride."""
    return counters >> fares.card.bits << fares.card.bits if tap.counters_known else counters


def _leg(fares: FeedFares, trip: Trip, local: datetime) -> Leg:
    return Leg(
        route=fares.route_id(trip.route),
        departed_at=local,
        from_stop=fares.stop_id(trip.place.stop),
        to_stop=fares.stop_id(trip.place.destination.stop),
    )


def _state(tap: Tap, fares: FeedFares, held_minor: int) -> JourneyState:
    """The journey on the card. What is held for a ride counts as taken for it."""
    event = tap.snapshot.event
    if not tap.counters_known or tap.age_s is None:
        return NOTHING
    bits = tap.counters & (1 << fares.card.bits) - 1
    amount_minor = held_minor if event.kind is EventKind.CHECK_IN else event.amount_minor
    written = Written(event.at, fares.route_id(event.route), amount_minor)
    return fares.card.read(JourneyOnCard(bits, event.journey_age_s, event.transfers), written, tap.at)


def _remembered(tap: Tap, fares: FeedFares, state: JourneyState) -> tuple[int, tuple[int | None, int]]:
    card = fares.card.write(state, tap.at)
    if not tap.counters_known:
        return tap.counters, (None, 0)
    return forgotten(tap, fares, tap.counters) | card.bits, (card.journey_age_s, card.transfers)


def _codes(tap: Tap) -> list[int]:
    """The codes of the concessions that hold today; with data too old, none (O-03)."""
    if tap.trip.freshness.data_age_s > tap.policy.document.ages.stale_h * HOUR_S:
        return []
    day = tap.service_date
    return [grant.code for grant in tap.concessions if grant and grant.valid_from <= day <= grant.valid_to]


def _note(steps: tuple[Reason, ...], trail: Trail) -> None:
    for step in steps:
        trail.note(step.effect, step.inputs)
