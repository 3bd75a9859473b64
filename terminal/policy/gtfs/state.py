"""What a card remembers of a journey: what it came to so far, and the leg that may still change.

All times are whole seconds since 1970, UTC. Groups, products, networks, origins and stops are the numbers an
`Index` gave them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from terminal.policy.gtfs.tables import DAY_S

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def second_of(moment: datetime) -> int:
    """The second an aware time is in; `timestamp` takes three times as long."""
    since = moment - BEGINNING
    return since.days * DAY_S + since.seconds


class Journey(Struct, frozen=True, gc=False):
    """The legs that are settled. `group` and `product` are the last one's.

    `total_minor` is what the specification makes them cost, `paid_minor` what was taken: more, where a later leg
    made the journey cheaper than what was already paid. `run` counts transfers in a row under rules from a group to
    itself; `run_*` are the times of the first leg of that run (of the last leg where there is none). An arrival
    that was not seen is the departure: it was not earlier.
    """

    group: int
    product: int
    total_minor: int
    paid_minor: int
    departed: int
    arrived: int
    run_departed: int
    run_arrived: int
    transfers: int = 0
    run: int = 0


class LegPlaces(Struct, frozen=True, gc=False):
    """Where a leg goes: network of its route, its origin, the stops it begins and ends at; 0 where not known."""

    network: int
    origin: int
    start: int
    end: int


class OpenRide(Struct, frozen=True, gc=False):
    """The newest leg, or several joined to one, while a tap-off or a joining leg may change its price.

    `network` is what its price depends on, `last_network` that of its last leg. `end` is 0 where nothing recorded the
    rider leave. `seen` is the last tap of this ride, `charged_minor` what it has cost so far.
    """

    network: int
    last_network: int
    origin: int
    departed: int
    seen: int
    end: int = 0
    arrived: int | None = None
    charged_minor: int = 0


class JourneyState(Struct, frozen=True, gc=False):
    """A journey and the ride that follows it; either may be missing."""

    journey: Journey | None = None
    ride: OpenRide | None = None


NOTHING = JourneyState()
"""No journey is open."""
