"""The ordinary fare of a ride, from the document or from its feed, for those who know only the vehicle."""

from __future__ import annotations

from datetime import datetime

from terminal.decision.bus.cover import ride_of
from terminal.decision.bus.feed import feed_quote
from terminal.policy.document.schema import UnknownFare
from terminal.policy.fares.index import Quote
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip


def single_fare(policy: Policy, trip: Trip, local: datetime, medium: int) -> Quote | None:
    """What one person pays with this medium here and now, or None when that is unknown (T-01).

    Where the place is unknown, the profile may say that the dearest fare is due.
    """
    if policy.gtfs is not None:
        return feed_quote(policy.gtfs, trip, local, medium)
    dearest = policy.document.profiles.bus.unknown_fare is UnknownFare.DEAREST
    return policy.ordinary_fare(ride_of(trip), local, medium=medium, dearest=dearest)
