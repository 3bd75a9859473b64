"""The ordinary fare of a ride, from the document or from its feed, for those who know only the vehicle."""

from __future__ import annotations

from datetime import datetime

from terminal.decision.bus.cover import ride_of, to_end
from terminal.decision.bus.effects import FareEffect
from terminal.decision.bus.feed import feed_quote
from terminal.decision.tap import Trail
from terminal.policy.document.schema import UnknownFare
from terminal.policy.fares.index import Quote
from terminal.policy.policy import Policy
from terminal.policy.scopes import Ride
from terminal.trip.facts import Trip


def single_fare(policy: Policy, trip: Trip, local: datetime, medium: int, trail: Trail) -> Quote | None:
    """What one person pays with this medium here and now, or None when that is unknown (T-01)."""
    if policy.gtfs is not None:
        return feed_quote(policy.gtfs, trip, local, medium)
    if medium not in policy.fares.media:
        return None
    return fare_at_once(policy, trip, ride_of(trip), local, medium, trail)


def fare_at_once(
    policy: Policy, trip: Trip, ride: Ride, at: datetime, medium: int, trail: Trail
) -> Quote | None:
    """The fare of a ride that is paid when boarding, or None when it is unknown."""
    quote = policy.ordinary_fare(ride, at, medium=medium)
    return guessed_fare(policy, trip, ride, at, medium, trail) if quote is None else quote


def guessed_fare(
    policy: Policy, trip: Trip, ride: Ride, at: datetime, medium: int, trail: Trail
) -> Quote | None:
    """The same of a ride whose fare depends on a place that is not known.

    Where the profile takes the dearest fare of a ride one end of which is not known, the ride goes to the terminus,
    from where the vehicle's turn began: the longest it can be. Where that is not known either, the dearest in the
    document is taken. An end that is known stands.
    """
    if policy.document.profiles.bus.unknown_fare is not UnknownFare.DEAREST:
        return None
    quote = policy.ordinary_fare(to_end(trip, ride), at, medium=medium, dearest=True)
    if quote is not None:
        trail.note(_guessed(trip, quote), {"fare_minor": quote.fare_minor})
    return quote


def _guessed(trip: Trip, quote: Quote) -> FareEffect:
    if quote.assumed:
        return FareEffect.DEAREST
    here = trip.place.mark_m is not None or trip.place.zone
    return FareEffect.TO_TERMINUS if here else FareEffect.FROM_ORIGIN
