"""The bus of the desk: it drives a line of the routes document, and its on-board computer says where it is.

    bus = DeskBus(clock, routes, region)
    bus.look()                  # after the clock has moved, and before a tap: drive on, and report
    bus.link                    # the terminals' own end of a vehicle, which makes a place of what is reported

A report goes straight into the link, without the side process; everything behind it is the product's. The bus moves by
the desk's clock while it drives, and by hand. What the computer says is another matter: it may be silent or wrong.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Final

from terminal.clock import Clock
from terminal.policy.routes import LineRoute, RouteBook, RouteStop
from terminal.trip.vehicle import VehicleLink
from terminal.trip.vehicle_report import SourceSettings, VehicleReport

LINES: Final = Path(__file__).parent / "lines"
USUAL: Final = "demo"
USUAL_REGION: Final = "region = 34\n"
SOURCE: Final = "desk"
LEG_S: Final = 120.0
"""From the doors that open at a stop to those that open at the next."""
DOORS_S: Final = 25.0
"""For so long of it the doors are open."""
APPROACH_S: Final = 100.0
"""From here on the bus is all but at the next stop."""
ELSEWHERE: Final = "elsewhere"
"""A line, a stop and a zone that no routes document has."""


class OnBoard(StrEnum):
    """What the on-board computer does."""

    SPEAKS = "speaks"
    SILENT = "silent"
    """It has died: what it said last grows old."""
    WRONG_STOP = "wrong_stop"
    WRONG_ZONE = "wrong_zone"
    """It names the zone of another stop."""
    OTHER_LINE = "other_line"


class BusPhase(StrEnum):
    """Where on the way to the next stop the bus is."""

    AT_STOP = "at_stop"
    """The doors are open."""
    UNDER_WAY = "under_way"
    ARRIVING = "arriving"


def line_of(region: str, number: int) -> str:
    """The routes document of the region with this id and number, as TOML: its own, or the usual line."""
    own = LINES / f"{region}.toml"
    if own.is_file():
        return own.read_text("utf-8")
    return (LINES / f"{USUAL}.toml").read_text("utf-8").replace(USUAL_REGION, f"region = {number}\n")


class DeskBus:
    """One bus with its on-board computer. Not thread-safe: the session sees to that."""

    def __init__(self, clock: Clock, routes: RouteBook) -> None:
        self.link: Final = VehicleLink(SourceSettings(source=SOURCE), clock)
        self.routes: Final = routes
        self.route = next(iter(routes.by_number), 0)
        self.direction = 0
        self.computer = OnBoard.SPEAKS
        self.razzia = False
        self._driving = False
        self._clock = clock
        self._way_s = 0.0
        self._looked_s = clock.monotonic()

    def close(self) -> None:
        self.link.close()

    # where it is

    @property
    def line(self) -> LineRoute | None:
        """None where the routes document does not have the route."""
        return self.routes.get(self.route)

    @property
    def stops(self) -> tuple[RouteStop, ...]:
        """In the order of the direction."""
        return self.routes.stops(self.route, self.direction)

    @property
    def index(self) -> int:
        """Of the stop where it stands, or that it has left last."""
        return int(self._way_s // LEG_S)

    @property
    def phase(self) -> BusPhase:
        of_leg_s = self._way_s % LEG_S
        if of_leg_s < DOORS_S or self.ended:
            return BusPhase.AT_STOP
        return BusPhase.UNDER_WAY if of_leg_s < APPROACH_S else BusPhase.ARRIVING

    @property
    def ended(self) -> bool:
        """It is at its terminus."""
        return self._way_s >= self._end_s

    @property
    def driving(self) -> bool:
        """It drives by itself as time passes."""
        return self._driving

    @property
    def mistakes(self) -> tuple[OnBoard, ...]:
        """What its computer may do on this way: a zone can be wrong only where there are zones."""
        zones = self.routes.zones and len({stop.zone for stop in self.stops}) > 1
        return tuple(one for one in OnBoard if zones or one is not OnBoard.WRONG_ZONE)

    # what moves it

    def runs(self, route: int, direction: int) -> None:
        """It begins that run at the first stop."""
        self.route, self.direction = route, direction
        self._way_s = 0.0
        if self.computer not in self.mistakes:
            self.computer = OnBoard.SPEAKS
        self.look()

    def drive(self, on: bool) -> None:
        """By itself from here on, or no longer."""
        self.look()
        self._driving = on and not self.ended

    @property
    def to_step_s(self) -> float:
        """How long it takes until it has closed its doors, comes near the next stop, or opens them there."""
        after_s = {BusPhase.AT_STOP: DOORS_S, BusPhase.UNDER_WAY: APPROACH_S, BusPhase.ARRIVING: LEG_S}
        return 0.0 if self.ended else after_s[self.phase] - self._way_s % LEG_S

    @property
    def to_next_stop_s(self) -> float:
        """How long it takes to the doors that open at the next stop."""
        return 0.0 if self.ended else LEG_S - self._way_s % LEG_S

    def goes(self, seconds: float) -> None:
        """It has gone on for so long, by the clock."""
        if not self._driving:
            self._go_to(self._way_s + seconds)
        self.look()

    def look(self) -> None:
        """Drive on by the time that has passed, and report."""
        now_s = self._clock.monotonic()
        if self._driving:
            self._go_to(self._way_s + now_s - self._looked_s)
        self._looked_s = now_s
        self._report()

    @property
    def _end_s(self) -> float:
        return LEG_S * max(0, len(self.stops) - 1)

    def _go_to(self, way_s: float) -> None:
        self._way_s = min(way_s, self._end_s)
        self._driving = self._driving and not self.ended
        self._report()

    # what its computer says

    def _report(self) -> None:
        if self.computer is not OnBoard.SILENT:
            self.link.take(self._said())

    def _said(self) -> VehicleReport:
        here, coming = self._stop(self.index), self._stop(self.index + 1)
        wrong = self.computer is OnBoard.WRONG_STOP
        return VehicleReport(
            heard_s=monotonic(),
            source=SOURCE,
            line=ELSEWHERE if self.computer is OnBoard.OTHER_LINE else self._called,
            direction=self.direction,
            stop_ref=ELSEWHERE if wrong else _reference(here),
            stop_index=self.index,
            zones=self._zones(here),
            coming_ref="" if wrong else _reference(coming),
            arriving=self.phase is BusPhase.ARRIVING,
            doors_open=self.phase is BusPhase.AT_STOP,
            razzia=self.razzia,
        )

    @property
    def _called(self) -> str:
        line = self.line
        return line.lines[0] if line is not None and line.lines else str(self.route)

    def _stop(self, index: int) -> RouteStop | None:
        return self.stops[index] if index < len(self.stops) else None

    def _zones(self, stop: RouteStop | None) -> tuple[str, ...]:
        """The operator's name of the stop's zone, or of one in which it does not lie."""
        zone = 0 if stop is None else stop.zone
        right = self.computer is not OnBoard.WRONG_ZONE
        named = [name for name, number in self.routes.zones.items() if (number == zone) is right]
        return tuple(named[:1])


def _reference(stop: RouteStop | None) -> str:
    return stop.refs[0] if stop is not None and stop.refs else ""
