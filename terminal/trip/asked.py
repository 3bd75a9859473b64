"""What crew or rider say of the next ride before the card is there: who else rides with it, and where it goes.

    terminal.next_ride.count(1, AskedBy.CREW)        # the conductor's console, or the passenger's touch on the display
    terminal.next_ride.go_to(goal.spot, AskedBy.CREW)
    terminal.next_ride.ride                          # what the next tap is decided with

It belongs to one ride: the tap that lets the riders in ends it. A card that cannot be read, or has not enough money,
leaves it for the next card. Nothing of it outlives `KEPT_S`, the vehicle's turn, or a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil
from threading import Lock
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.clock import Clock
from terminal.journal.journal import Journal
from terminal.policy.document.fares import DistanceFares
from terminal.policy.policy import Policy
from terminal.policy.routes import RouteStop
from terminal.trip.build import spot_of
from terminal.trip.facts import NOTHING_ASKED, NOWHERE, AskedBy, Place, RideAsked, Spot, Trip

KEPT_S: Final = 60.0
"""Who has asked for a ride taps within a minute, or asks again."""
MOST_COMPANIONS: Final = 9
"""A purse may pay for a whole group; what a card can check in is a matter of the decision (T-07)."""


class _Said(Struct, frozen=True):
    """What was asked, in which turn of which shift, until when of the monotonic clock it counts, and the numbers of
    the taps that were decided with it."""

    ride: RideAsked
    turn: tuple[int, int]
    until_s: float
    taps: frozenset[int] = frozenset()


class NextRide:
    """What is asked of the next ride. Any thread; never waits for longer than another call takes."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._lock = Lock()
        self._said: _Said | None = None
        self._listeners: list[Callable[[], object]] = []

    @property
    def ride(self) -> RideAsked:
        """What counts now; `NOTHING_ASKED` when nothing was asked, or not for this turn, or too long ago."""
        said = self._current()
        return NOTHING_ASKED if said is None else said.ride

    @property
    def left_s(self) -> int:
        """For how many seconds it still counts, begun ones included; 0 when nothing does."""
        said = self._current()
        return 0 if said is None else ceil(said.until_s - self._clock.monotonic())

    def count(self, more: int, by: AskedBy) -> None:
        """So many persons more (or fewer) ride with the next card: none at least, `MOST_COMPANIONS` at most."""
        with self._lock:
            before = self.ride
            companions = min(max(before.companions + more, 0), MOST_COMPANIONS)
            self._say(replace(before, companions=companions, by=by))
        self._changed()

    def go_to(self, destination: Spot, by: AskedBy) -> None:
        """The next ride goes there; `NOWHERE`: its rider names no place."""
        with self._lock:
            self._say(replace(self.ride, destination=destination, by=by))
        self._changed()

    def forget(self) -> None:
        """The ride has begun, or what was asked is taken back."""
        with self._lock:
            self._said = None
        self._changed()

    def decided(self, tap: int) -> None:
        """Tap `tap` took what counts now along; whether it lets them in may turn out later."""
        with self._lock:
            if self._said is not None:
                self._said = replace(self._said, taps=self._said.taps | {tap})

    def begun(self, tap: int) -> None:
        """Tap `tap` has turned out as a ride: what it took along counts no more, what was asked since then does."""
        if self._said is not None and tap in self._said.taps:
            self.forget()

    def on_change(self, hears: Callable[[], object]) -> None:
        """Call `hears` after every change from here on; it returns at once and is not called when time runs out."""
        self._listeners.append(hears)

    def _say(self, ride: RideAsked) -> None:
        if not ride.companions and ride.destination == NOWHERE:
            self._said = None
        else:
            self._said = _Said(ride, self._turn(), self._clock.monotonic() + KEPT_S)

    def _current(self) -> _Said | None:
        said = self._said
        if said is None or said.turn != self._turn() or self._clock.monotonic() >= said.until_s:
            return None
        return said

    def _turn(self) -> tuple[int, int]:
        shift, turn = self._journal.open_shift, self._journal.open_turn
        return (shift.shift if shift else 0), (turn.turn if turn else 0)

    def _changed(self) -> None:
        for hears in self._listeners:
            hears()


# where a ride may go


class PlacesAsked(Struct, frozen=True):
    """What of a place fares here depend on; neither staff nor riders are asked for anything else."""

    zones: Mapping[int, str]
    distance: bool
    stops: bool

    def priced_by(self, stop: RouteStop) -> bool:
        """Whether the list of stops says of this one what fares depend on."""
        marked = self.distance and stop.mark_m is not None
        return self.stops or marked or bool(self.zones and stop.zone)


def places_asked(policy: Policy) -> PlacesAsked:
    """Zones by number, whether a kilometre mark counts, whether stops do."""
    document = policy.document
    tables = (document.fares, *document.fares.steps)
    distance = any(isinstance(rule, DistanceFares) for table in tables for rule in table.rules)
    return PlacesAsked({zone.number: zone.name for zone in document.zones}, distance, policy.gtfs is not None)


class Goal(Struct, frozen=True):
    """A place a ride may go to. `key` names it in forms: "stop-1503", "zone-2"."""

    key: str
    name: str
    spot: Spot


def goals(asked: PlacesAsked, stops: tuple[RouteStop, ...], trip: Trip) -> tuple[Goal, ...]:
    """The stops ahead, where the list of `stops` says what fares depend on; the zones otherwise. Empty where fares
    depend on neither."""
    ahead = [stop for stop in stops_ahead(stops, trip.place) if asked.priced_by(stop)]
    if ahead or any(map(asked.priced_by, stops)):
        return tuple(Goal(f"stop-{stop.number}", stop.name, spot_of(stop)) for stop in ahead)
    return tuple(Goal(f"zone-{number}", name, Spot(zone=number)) for number, name in asked.zones.items())


def stops_ahead(stops: tuple[RouteStop, ...], place: Place) -> tuple[RouteStop, ...]:
    """The stops the vehicle still comes to; all but the first where it is not known how far it is."""
    numbers = [stop.number for stop in stops]
    if place.coming.stop in numbers:
        return stops[numbers.index(place.coming.stop) :]
    here = numbers.index(place.stop) if place.stop in numbers else 0
    return stops[here + 1 :]
