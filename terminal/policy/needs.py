"""What a region document needs to know of a bus ride: the facts its fares, rights and windows look at.

A terminal that cannot know one of them would sell rides at prices the tariff does not state, so it refuses the
document when it starts (`terminal.app.knows`). A need may be *answered*: then the document itself says what holds
while the fact is not known, such as the dearest fare. Facts are named as in `terminal.trip.stated`. What a canteen
needs comes from the roster, which is replaced while it runs.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from terminal.policy.document.fares import AnyFareRule, DistanceFares, FlatFare
from terminal.policy.document.journeys import AmountCap, MixedWindow, UnknownBoarding, ZonePairReturn
from terminal.policy.document.rights import Pass, Scope, TimedPass
from terminal.policy.document.schema import RegionDocument, UnknownFare
from terminal.policy.gtfs.section import Fallback, GtfsFares
from terminal.policy.journeys.index import RULES
from terminal.policy.routes import NO_ROUTES, RouteBook

MODE: Final = "mode"
STOP: Final = "place.stop"
ZONE: Final = "place.zone"
MARK: Final = "place.mark_m"
TO_ZONE: Final = "place.destination.zone"
TO_MARK: Final = "place.destination.mark_m"
TERMINUS_ZONE: Final = "place.terminus.zone"
TERMINUS_MARK: Final = "place.terminus.mark_m"
COMPANIONS: Final = "companions"

NAMED: Final[Mapping[str, str]] = MappingProxyType(
    {
        MODE: "the mode of the vehicle",
        STOP: "the stop of boarding",
        ZONE: "the zone of boarding",
        MARK: "the distance of boarding",
        TO_ZONE: "the zone ridden to",
        TO_MARK: "the distance ridden to",
        TERMINUS_ZONE: "the zone of the terminus",
        TERMINUS_MARK: "the distance of the terminus",
        COMPANIONS: "the persons who ride along",
    }
)
"""Every fact that may be needed, in words."""


class Need(Struct, frozen=True):
    """`path` of the document looks at `fact` by `rule`, on these modes and routes (none named: on all).

    `answered`: the document says what holds while the fact is not known.
    """

    fact: str
    path: str
    rule: str
    answered: bool = False
    modes: tuple[str, ...] = ()
    routes: tuple[int, ...] = ()

    def concerns(self, runs: RouteBook) -> bool:
        """Whether a vehicle that runs these routes may come to it; without routes it may run anything."""
        if runs.document is None:
            return True
        for route in runs.by_number.values():
            mode = None if self.fact == MODE else route.mode  # what may not be known excludes nothing
            if (not self.routes or route.number in self.routes) and (
                mode is None or not self.modes or mode in self.modes
            ):
                return True
        return False


def unknown_to(document: RegionDocument, known: Container[str], runs: RouteBook = NO_ROUTES) -> list[Need]:
    """What `document` needs on these routes and a terminal that has the facts `known` cannot tell it."""
    return [need for need in needs(document) if need.fact not in known and need.concerns(runs)]


def unknown_on(document: RegionDocument, route: int, runs: RouteBook) -> Need | None:
    """Why no vehicle may run `route`: `document` looks at its mode there, and `runs` do not state it."""
    listed = runs.get(route)
    if listed is not None and listed.mode is not None:
        return None
    of_modes = (need for need in needs(document) if need.fact == MODE and not need.answered)
    return next((need for need in of_modes if not need.routes or route in need.routes), None)


def zone_unknown(document: RegionDocument, runs: RouteBook) -> tuple[str, int] | None:
    """Where `runs` name a zone that `document` does not have, and its number: a ride there would seem to go elsewhere.

    A document without zones looks at none.
    """
    zones = {zone.number for zone in document.zones}
    if not zones or runs.document is None:
        return None
    named = (*_zones_of_stops(runs), *((f"zones.{name}", number) for name, number in runs.zones.items()))
    return next((one for one in named if one[1] and one[1] not in zones), None)


def _zones_of_stops(runs: RouteBook) -> Iterator[tuple[str, int]]:
    for route in runs.by_number.values():
        for direction in route.directions:
            for stop in direction.stops:
                yield f"route {route.number}, stop {stop.number}", stop.zone


def needs(document: RegionDocument) -> tuple[Need, ...]:
    """Everything `document` needs of a bus, in reading order."""
    return tuple(_needs(document))


def _needs(document: RegionDocument) -> Iterator[Need]:
    dearest = document.profiles.bus.unknown_fare is UnknownFare.DEAREST
    tables = {"fares": document.fares} | {
        f"fares.steps[{index}]": step for index, step in enumerate(document.fares.steps)
    }
    for path, table in tables.items():
        for index, rule in enumerate(table.rules):
            yield from _fare(f"{path}.rules[{index}]", rule, document, dearest)
    if document.gtfs is not None:
        yield from _feed(document.gtfs)
    yield from _rights(document)
    yield from _journeys(document)


def _fare(path: str, rule: AnyFareRule, document: RegionDocument, dearest: bool) -> Iterator[Need]:
    """A fare by mode; one by zone or distance needs both ends of the ride, or a second tap at the exit."""
    on = tuple(rule.modes), rule.routes
    if rule.modes:
        yield Need(MODE, f"{path}.modes", "T-01", False, *on)
    if isinstance(rule, FlatFare):
        return
    by_distance = isinstance(rule, DistanceFares)
    here, there, terminus = (MARK, TO_MARK, TERMINUS_MARK) if by_distance else (ZONE, TO_ZONE, TERMINUS_ZONE)
    fare_rule = "T-06" if by_distance else "T-01"
    checks_in = _checks_in(rule, document)
    begins = checks_in and document.vehicle.unknown_place is not UnknownBoarding.REFUSE
    yield Need(here, path, fare_rule, dearest or begins, *on)
    if not checks_in:
        yield Need(there, path, fare_rule, dearest, *on)
    if checks_in or dearest:
        yield Need(terminus, path, "T-07" if checks_in else fare_rule, True, *on)


def _checks_in(rule: AnyFareRule, document: RegionDocument) -> bool:
    """Whether riders under `rule` tap when they leave, on every route and mode it holds for."""
    if document.checkin is None:
        return False
    scope = document.checkin.scope
    anywhere = not scope or any(not one.routes and not one.modes for one in scope)
    routes = {route for one in scope if not one.modes for route in one.routes}
    modes = {mode for one in scope if not one.routes for mode in one.modes}
    by_route = bool(rule.routes) and routes.issuperset(rule.routes)
    return anywhere or by_route or (bool(rule.modes) and modes.issuperset(rule.modes))


def _feed(section: GtfsFares) -> Iterator[Need]:
    """A feed with areas looks at stops; riders who tap off need no destination."""
    if section.is_read and section.index.asks_areas:
        yield Need(STOP, "gtfs", "G-01", isinstance(section.unknown_fare, Fallback))


def _scope(
    path: str, scope: tuple[Scope, ...], rule: str, *, answered: bool = False, terminus: bool = False
) -> Iterator[Need]:
    """Where a right or a window holds. `answered`: a ride that may be inside counts as inside. `terminus`: it is asked
    about the ride to the terminus.
    """
    for index, one in enumerate(scope):
        at, on = f"{path}[{index}]", (tuple(one.modes), one.routes)
        if one.modes:
            yield Need(MODE, f"{at}.modes", rule, False, *on)
        if one.zones or one.touching:
            yield Need(ZONE, at, rule, answered, *on)
            if terminus:
                yield Need(TERMINUS_ZONE, at, rule, True, *on)
        if one.longest_m is not None:
            for fact in (MARK, TERMINUS_MARK if terminus else TO_MARK):
                yield Need(fact, f"{at}.longest_m", rule, answered, *on)


def _rights(document: RegionDocument) -> Iterator[Need]:
    for index, concession in enumerate(document.concessions):
        path = f"concessions[{index}]"
        yield from _scope(f"{path}.scope", concession.scope, "T-17")
        for number, limit in enumerate(concession.limits):
            yield from _scope(f"{path}.limits[{number}].scope", limit.scope, "T-19", answered=True)
        if concession.companions is not None:
            yield Need(COMPANIONS, f"{path}.companions", "T-20", answered=True)  # who is not counted pays
    for index, product in enumerate(document.products):
        path = f"products[{index}]"
        yield from _scope(f"{path}.scope", product.scope, "T-17")
        limits = product.limits if isinstance(product, Pass | TimedPass) else ()
        for number, limit in enumerate(limits):
            yield from _scope(f"{path}.limits[{number}].scope", limit.scope, "T-19", answered=True)
    if document.grace is not None:
        yield from _scope("grace.scope", document.grace.scope, "T-18")


def _journeys(document: RegionDocument) -> Iterator[Need]:
    for index, transfer in enumerate(document.transfers):
        path = f"transfers[{index}]"
        if transfer.modes:
            yield Need(MODE, f"{path}.modes", RULES[type(transfer)])
        if isinstance(transfer, MixedWindow) and transfer.once:
            yield Need(MODE, f"{path}.once", "T-32")
    for index, one in enumerate(document.returns):
        if isinstance(one, ZonePairReturn):
            path = f"returns[{index}].zones"
            yield Need(ZONE, path, "T-39", routes=one.routes)
            if document.checkin is None:
                yield Need(TO_ZONE, path, "T-39", answered=True, routes=one.routes)
    if document.checkin is not None:
        yield from _scope("checkin.scope", document.checkin.scope, "T-07", terminus=True)
    for index, cap in enumerate(document.caps):
        path = f"caps[{index}]"
        scopes = (
            {f"{path}.tiers[{number}].scope": tier.scope for number, tier in enumerate(cap.tiers)}
            if isinstance(cap, AmountCap)
            else {f"{path}.scope": cap.scope}
        )
        for at, scope in scopes.items():
            yield from _scope(at, scope, "CAP")
