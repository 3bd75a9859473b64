"""Where a tap is taken, as far as a decision may rely on it (T-61).

A place that the vehicle stated is worth what the document's `[vehicle]` says of its age: it counts as it is, as an
estimate, or not at all. One that contradicts the route does not count either, and an unknown place is never a zone 0
with a price of its own. What a person entered counts as it is: the driver knows that the vehicle is wrong.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from terminal.decision.effects import TerminalEffect
from terminal.decision.flags import TapFlag
from terminal.decision.tap import Trail
from terminal.policy.document.journeys import BetweenStops, VehicleRules
from terminal.trip.facts import NOWHERE, Place, PlaceQuality, PlaceSource, Spot, Trip

VEHICLE: Final = PlaceSource.VEHICLE
EXACT: Final = PlaceQuality.EXACT


def placed(trip: Trip, rules: VehicleRules, trail: Trail) -> Trip:
    """`trip` at the place that counts; the trail says by whom it was stated, or why it is an estimate or unknown."""
    place = trip.place
    source = place.source
    if source is VEHICLE:
        quality = place.quality
        if quality is EXACT and place.age_s <= rules.fresh_s:  # as on nearly every tap
            return trip
        if quality is PlaceQuality.CONTRADICTED:
            trail.flag(TerminalEffect.PLACE_CONTRADICTED, TapFlag.PLACE_UNKNOWN, {"age_s": place.age_s})
            return _unplaced(trip)
        if place.age_s > rules.stale_s:
            trail.flag(TerminalEffect.PLACE_TOO_OLD, TapFlag.PLACE_UNKNOWN, {"age_s": place.age_s})
            return _unplaced(trip)
        if place.age_s > rules.fresh_s:
            trail.flag(TerminalEffect.PLACE_STALE, TapFlag.PLACE_ESTIMATED, {"age_s": place.age_s})
        elif quality is PlaceQuality.ESTIMATED:
            trail.flag(TerminalEffect.PLACE_ESTIMATED, TapFlag.PLACE_ESTIMATED, {"age_s": place.age_s})
    elif source is PlaceSource.HAND:
        trail.flag(TerminalEffect.PLACE_BY_HAND, TapFlag.POSITION_MANUAL)
    return trip


def _unplaced(trip: Trip) -> Trip:
    """`trip` with what its crew and its rider know of it, and nothing else."""
    place = replace(trip.place, stop=0, zone=0, mark_m=None, coming=NOWHERE, arriving=False)
    return replace(trip, place=place)


def exits(place: Place, rules: VehicleRules) -> tuple[Spot, ...]:
    """Where a rider leaves who taps out at a `placed` place: one stop, or both that an estimate lies between."""
    here = Spot(place.stop, place.zone, place.mark_m)
    if place.source is not PlaceSource.VEHICLE or place.coming == NOWHERE:
        return (here,)
    if place.age_s > rules.fresh_s or place.quality is PlaceQuality.ESTIMATED:
        return (here, place.coming)
    at_next = place.arriving and rules.between_stops is BetweenStops.COMING
    return (place.coming if at_next else here,)
