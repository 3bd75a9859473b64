"""Which leg rules a leg follows, and what they offer.

Blank cells have two readings, decided by whether fare_leg_rules.txt has the column rule_priority: without it a blank
cell means what the column lists nowhere, with it a blank cell does not matter and the highest priority wins. The
readings are built into the keys of `places`; what is left here are times of day and priorities.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from terminal.policy.gtfs.index import HeldAt, Index, LegRule
from terminal.policy.gtfs.state import LegPlaces, OpenRide, second_of
from terminal.trail import Effect


class Leg(Struct, frozen=True):
    """One ride as far as it is known: ids of the feed, aware times.

    `from_stop` None: unknown where the rider boards. `to_stop` None: not known yet how far.
    """

    route: str
    departed_at: datetime
    from_stop: str | None = None
    to_stop: str | None = None
    arrived_at: datetime | None = None


class FeedEffect(Effect):
    """What a GTFS feed says of a ride; docs/gtfs-fares.md lists the rules."""

    LEG = "g-01:leg"
    TRANSFER = "g-02:transfer"
    JOINED = "g-03:joined"
    DEAREST = "g-04:dearest"
    CORRECTED = "g-05:corrected"
    NO_TAP_OFF = "g-06:no_tap_off"
    NO_FARE_TO_STOP = "g-07:no_fare_to_stop"
    NO_RIDE_OPEN = "g-07:no_ride_open"
    NO_FARE = "g-07:no_fare"
    UNKNOWN_ROUTE = "g-07:unknown_route"
    UNKNOWN_STOP = "g-07:unknown_stop"
    FALLBACK = "g-08:fallback"
    OVERPAID = "g-09:overpaid"


class UnknownPlace(LookupError):
    """The feed has no such route or stop; `effect` says which."""

    def __init__(self, effect: FeedEffect) -> None:
        super().__init__(effect.code)
        self.effect = effect


def ride_of(index: Index, leg: Leg) -> OpenRide:
    """`leg` in the numbers of `index`. Raises `UnknownPlace`."""
    places = places_of_leg(index, leg.route, leg.from_stop, leg.to_stop)
    return leg_ride(places, leg.departed_at, leg.arrived_at)


def leg_ride(places: LegPlaces, departed_at: datetime, arrived_at: datetime | None) -> OpenRide:
    """The ride of one leg between `places`."""
    departed = second_of(departed_at)
    return begun(places, departed, None if arrived_at is None else max(second_of(arrived_at), departed))


def begun(places: LegPlaces, departed: int, arrived: int | None = None) -> OpenRide:
    """The same by seconds."""
    network = places.network
    return OpenRide(network, network, places.origin, departed, departed, places.end, arrived)


def places_of_leg(index: Index, route: str, from_stop: str | None, to_stop: str | None) -> LegPlaces:
    """Where a leg goes, by the ids of the feed. Raises `UnknownPlace`."""
    network = index.places.networks.get(route)
    if network is None:
        raise UnknownPlace(FeedEffect.UNKNOWN_ROUTE)
    start = 0 if from_stop is None else stop_number(index, from_stop)
    end = 0 if to_stop is None else stop_number(index, to_stop)
    return LegPlaces(network, index.places.stops[start].origin, start, end)


def stop_number(index: Index, stop: str) -> int:
    """The number of a stop. Raises `UnknownPlace`."""
    number = index.places.numbers.get(stop)
    if number is None:
        raise UnknownPlace(FeedEffect.UNKNOWN_STOP)
    return number


ANY_TIME: Final[HeldAt] = (None, None)


def held_at(index: Index, ride: OpenRide) -> HeldAt:
    """The timeframes `ride` falls into."""
    if len(index.timeframes) == 1:
        return ANY_TIME
    places = index.places
    departing = index.times.at(ride.departed, places.origins[ride.origin].zone)
    if ride.arrived is None or not ride.end:
        return departing, None
    return departing, index.times.at(ride.arrived, places.stops[ride.end].zone)


def rules_by_place(index: Index, ride: OpenRide) -> Sequence[Sequence[LegRule]]:
    """The rules of `ride` by places alone: those for its end, or for every end it may have."""
    places = index.places
    if not ride.end:
        return index.rules_onward(ride.network, ride.origin)
    from_keys, to_keys = places.origins[ride.origin].keys, places.stops[ride.end].to_keys
    return (index.rules_between(ride.network, from_keys, to_keys),)


def paths_of(candidates: Sequence[LegRule], held: HeldAt) -> Sequence[Sequence[LegRule]]:
    """The paths a ride of these timeframes may take among `candidates`: for each, the rules it then follows, at least
    one. Where the arrival is unknown there is one for each timeframe it may fall into.
    """
    departing, arriving = held
    if len(candidates) == 1:
        (rule,) = candidates
        if departing is not None and rule.from_timeframe not in departing:
            return ()
        return (candidates,) if arriving is None or rule.to_timeframe in arriving else ()
    rules = candidates
    if departing is not None:
        rules = [rule for rule in candidates if rule.from_timeframe in departing]
    if arriving is not None:
        rules = [rule for rule in rules if rule.to_timeframe in arriving]
        return (_first(rules),) if rules else ()
    return [
        _first([rule for rule in rules if rule.to_timeframe in (0, timeframe)])
        for timeframe in sorted({rule.to_timeframe for rule in rules})
    ]


def _first(rules: Sequence[LegRule]) -> Sequence[LegRule]:
    """The rules with the highest priority; all of them where the feed has none.

    Rules for transfers alone stand beside them: whether there is a transfer is not known here.
    """
    highest = max((rule.priority for rule in rules if not rule.transfer_only), default=-1)
    return [rule for rule in rules if rule.priority >= highest]
