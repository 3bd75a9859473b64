"""The trip of a running terminal: the one place where its facts come together."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from terminal.clock import unix_ms
from terminal.journal.console_records import PlaceSet
from terminal.journal.journal import Journal
from terminal.policy.base import Mode
from terminal.policy.routes import NO_ROUTES, RouteBook, RouteStop
from terminal.trip.facts import (
    FRESH,
    NOTHING_ASKED,
    NOWHERE,
    TRUSTED_CLOCK,
    UNKNOWN_PLACE,
    ClockState,
    Freshness,
    Inspection,
    Place,
    PlaceQuality,
    PlaceSource,
    RideAsked,
    Spot,
    Trip,
)
from terminal.trip.pupil import NO_CANTEEN, CanteenContext
from terminal.trip.shifts import FIRST_TURN

BUS: Final = "bus"


class VehicleSource(Protocol):
    """What another author's vehicle source says of the vehicle's place.

    `place` returns at once, from what was received last, and never raises because a signal is missing: it is asked
    during every tap. None: the vehicle does not know where it is.
    """

    def place(self) -> Place | None:
        """The newest place, with its terminus where the vehicle knows its run."""
        ...


class VehiclePort(Protocol):
    """What a terminal asks of its vehicle: at once, from what was received last, and never raising."""

    @property
    def name(self) -> str:
        """Which source it is, as `terminal.toml` names it."""
        ...

    def place_on(self, route: int, direction: int, routes: RouteBook) -> Place | None:
        """The place on the way of that run, with its age; None where the vehicle does not know it."""
        ...

    @property
    def razzia(self) -> bool:
        """Whether the vehicle says that an inspection is under way."""
        ...


class RidesHeard(Struct, frozen=True):
    """What the inspected vehicle's own terminal says of a card: whether it is heard at all, and when it took a ride of
    the card on this run (Unix seconds, 0: none).
    """

    heard: bool = False
    ride_at_s: int = 0


NOTHING_HEARD: Final = RidesHeard()


class InspectionRound(Struct, frozen=True):
    """The vehicle an inspector stands in, and until when taps are inspections (T-70).

    `misuse`: the next cards are in the wrong hands, which is reported (T-71).
    """

    route: int
    direction: int
    ends_at: datetime
    misuse: bool = False


def trip_of(
    journal: Journal,
    profile: str,
    terminal: int,
    canteen: CanteenContext = NO_CANTEEN,
    *,
    inspecting: InspectionRound | None = None,
    said: RidesHeard = NOTHING_HEARD,
    vehicle: VehiclePort | None = None,
    clock: ClockState = TRUSTED_CLOCK,
    routes: RouteBook = NO_ROUTES,
    freshness: Freshness = FRESH,
    asked: RideAsked = NOTHING_ASKED,
    now: datetime | None = None,
) -> Trip:
    """What the next tap or sale of this terminal is part of. `now` ages a place that was entered by hand."""
    shift, turn = journal.open_shift, journal.open_turn
    run = inspecting or turn or shift
    route = routes.get(run.route) if run else None
    on_board = None
    if vehicle is not None:
        on_board = vehicle.place_on(run.route if run else 0, run.direction if run else 0, routes)
    place = _place(journal.open_place, on_board or UNKNOWN_PLACE, now)
    if run is not None and route is not None:
        place = _with_ends(place, route.stops(run.direction))
    if asked.destination is not NOWHERE:
        place = replace(place, destination=asked.destination)
    return Trip(
        profile=profile,
        terminal=terminal,
        sequence=journal.next_sequence,
        shift=shift.shift if shift else 0,
        turn=turn.turn if turn else FIRST_TURN if shift and profile == BUS else 0,
        route=run.route if run else 0,
        direction=run.direction if run else 0,
        on_break=journal.on_break is not None,
        reader_ok=journal.out_of_order is None,
        mode=Mode.BUS if route is None or route.mode is None else route.mode,
        companions=asked.companions,
        asked_by=asked.by,
        place=place,
        clock=clock,
        freshness=freshness,
        inspection=None if inspecting is None else Inspection(inspecting.misuse, said.heard, said.ride_at_s),
        razzia=vehicle is not None and vehicle.razzia,
        canteen=canteen,
    )


def _place(entered: PlaceSet | None, place: Place, now: datetime | None) -> Place:
    """The vehicle's place; what was entered by hand replaces all it says of where it is, which may be wrong."""
    if entered is None:
        return place
    return replace(
        place,
        stop=entered.stop,
        zone=entered.zone,
        mark_m=entered.mark_m,
        source=PlaceSource.HAND,
        quality=PlaceQuality.EXACT,
        age_s=0 if now is None else max(0, (unix_ms(now) - entered.at_ms) // 1000),
        coming=NOWHERE,
        arriving=False,
    )


def _with_ends(place: Place, stops: tuple[RouteStop, ...]) -> Place:
    """`place` on a way that has these stops, where they are listed."""
    return replace(place, origin=spot_of(stops[0]), terminus=spot_of(stops[-1])) if stops else place


def spot_of(stop: RouteStop) -> Spot:
    """The stop as fares ask for it."""
    return Spot(stop.number, stop.zone, stop.mark_m)
