"""The terminal's end of the vehicle: the newest report, and what it means for the run of the shift.

    link = VehicleLink(settings, clock)
    place = link.place_on(route, direction, routes)     # at every tap: never waits, never raises

A report is kept until the next one, whatever becomes of its source: its age says what it is worth, and what an old
place costs is decided by the region document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition
from time import monotonic
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from terminal.clock import Clock
from terminal.codes import VehicleFault
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.side_process import ProcessEnd, SideProcess, SideProgram, module_command
from terminal.trip.facts import Place
from terminal.trip.vehicle_place import NOTHING_HEARD, PlaceHeard, RunWay, place_of, run_of, way_of
from terminal.trip.vehicle_report import (
    SILENT_S,
    SourceSays,
    SourceSettings,
    SourceState,
    UpMessage,
    VehicleReport,
    up_frames,
)

COMMAND: Final = module_command("terminal.vehicle")
FAULT_OF: Final = {
    SourceState.UNREACHABLE: VehicleFault.UNREACHABLE,
    SourceState.REFUSED: VehicleFault.REFUSED,
    SourceState.ENDED: VehicleFault.ENDED,
    SourceState.BROKEN: VehicleFault.BROKEN,
}
FAULT_OF_END: Final = {
    ProcessEnd.NOT_STARTED: VehicleFault.BROKEN,
    ProcessEnd.HANGS: VehicleFault.HANGS,
    ProcessEnd.FLOODS: VehicleFault.FLOODS,
    ProcessEnd.DIED: VehicleFault.DIED,
    ProcessEnd.NOT_UNDERSTOOD: VehicleFault.NOT_UNDERSTOOD,
}

RAZZIA_HOLDS_S: Final = 600.0
"""An inspection that the vehicle does not confirm any more is over after this: a computer that has gone ends none."""


class _Arrived(NamedTuple):
    """A report, and when its place was heard by the terminal's own clock."""

    report: VehicleReport
    heard_s: float


class _Looked(NamedTuple):
    """What the newest report means on one way; valid for exactly these."""

    report: VehicleReport
    route: int
    direction: int
    routes: RouteBook
    heard: PlaceHeard

    def means(self, report: VehicleReport, route: int, direction: int, routes: RouteBook) -> bool:
        """Whether it is about exactly these."""
        same = report is self.report and routes is self.routes
        return same and (route, direction) == (self.route, self.direction)


class SourceFault(Struct, frozen=True):
    """What is wrong with the source, None for nothing; `detail` is for the log."""

    code: VehicleFault | None = None
    detail: str = ""


class VehicleProcess(SideProcess[UpMessage]):
    """The side process that listens to the vehicle. `on_source` hears how it does, at each change: what is wrong, None
    for nothing, and a line for the log. Both are called on the process's thread, and must return at once.
    """

    def __init__(
        self,
        settings: SourceSettings,
        on_report: Callable[[VehicleReport], None],
        on_source: Callable[[VehicleFault | None, str], None],
        command: Sequence[str] = COMMAND,
        silent_s: float = SILENT_S,
    ) -> None:
        program = SideProgram(command, settings, up_frames, silent_s)
        super().__init__("vehicle", program, self._take, self._ended)
        self._on_report = on_report
        self._on_source = on_source
        self._fault: VehicleFault | None = None

    def _take(self, message: UpMessage) -> None:
        if isinstance(message, SourceSays):
            self._says(FAULT_OF.get(message.state), message.detail)
        else:
            self._on_report(message)

    def _ended(self, end: ProcessEnd, detail: str) -> None:
        """What a source has said of its end counts for more than how the process ended."""
        if end is not ProcessEnd.DIED or self._fault is not VehicleFault.BROKEN:
            self._says(FAULT_OF_END[end], detail)

    def _says(self, fault: VehicleFault | None, detail: str) -> None:
        if fault is not self._fault:
            self._fault = fault
            self._on_source(fault, detail)


class VehicleLink:
    """What the vehicle says now. Any thread may ask; the side process's thread delivers."""

    def __init__(self, settings: SourceSettings, clock: Clock, command: Sequence[str] = COMMAND) -> None:
        self.name: Final = settings.source
        self._clock = clock
        self._arrived: _Arrived | None = None
        self._razzia_s: float | None = None
        """When an inspection was last said to be under way; None once it was said to be none."""
        self._looked: _Looked | None = None
        self._way: tuple[RouteBook, RunWay | None] = NO_ROUTES, None
        self._source_fault = SourceFault()
        self._process = VehicleProcess(settings, self.take, self._source_is, command)
        self._sent: tuple[int, int, RouteBook] | None = None
        self._change = Condition()
        self.reports = 0

    # What a tap asks

    def place_on(self, route: int, direction: int, routes: RouteBook) -> Place | None:
        """The place on that way, with its age; None where the vehicle says nothing of it."""
        arrived = self._arrived
        if arrived is None:
            return None
        place = self.heard(route, direction, routes).place
        age_s = self._since(arrived.heard_s)
        return place if place is None or not age_s else replace(place, age_s=age_s)

    @property
    def razzia(self) -> bool:
        """Whether the vehicle says that an inspection is under way."""
        said_s = self._razzia_s
        return said_s is not None and self._clock.monotonic() - said_s <= RAZZIA_HOLDS_S

    # What else is known

    def heard(self, route: int, direction: int, routes: RouteBook) -> PlaceHeard:
        """What the newest report means there, and why it is a contradiction where it is one."""
        arrived, looked = self._arrived, self._looked
        if arrived is None:
            return NOTHING_HEARD
        if looked is not None and looked.means(arrived.report, route, direction, routes):
            return looked.heard
        heard = place_of(arrived.report, self._way_on(route, direction, routes))
        self._looked = _Looked(arrived.report, route, direction, routes, heard)
        return heard

    @property
    def age_s(self) -> int | None:
        """How long ago the newest place was heard; None before the first."""
        arrived = self._arrived
        return None if arrived is None else self._since(arrived.heard_s)

    @property
    def source_fault(self) -> SourceFault:
        """How the source does."""
        return self._source_fault

    @property
    def process_id(self) -> int | None:
        return self._process.process_id

    @property
    def starts(self) -> int:
        """How many side processes there were."""
        return self._process.starts

    # What happens

    def start(self) -> None:
        """Start the side process; returns at once."""
        self._process.start()

    def close(self) -> None:
        self._process.close()

    def runs(self, route: int, direction: int, routes: RouteBook) -> None:
        """What the terminal runs now; the side process hears of a change."""
        now = route, direction, routes
        if self._sent is None or self._sent[:2] != now[:2] or self._sent[2] is not routes:
            self._sent = now
            self._process.send(run_of(self._way_on(*now), routes))

    def take(self, report: VehicleReport) -> None:
        """The newest report. One that claims to be heard in the future was heard now."""
        lag_s = max(0.0, monotonic() - report.heard_s)
        now_s = self._clock.monotonic()
        self._arrived = _Arrived(report, now_s - lag_s)
        if report.razzia is not None:
            self._razzia_s = now_s if report.razzia else None
        with self._change:
            self.reports += 1
            self._change.notify_all()

    def heard_so_many(self, reports: int, timeout_s: float) -> bool:
        """Wait until there were so many reports since the start; whether there were."""
        with self._change:
            return self._change.wait_for(lambda: self.reports >= reports, timeout_s)

    def _source_is(self, fault: VehicleFault | None, detail: str) -> None:
        self._source_fault = SourceFault(fault, detail)

    def _since(self, moment_s: float) -> int:
        return max(0, int(self._clock.monotonic() - moment_s))

    def _way_on(self, route: int, direction: int, routes: RouteBook) -> RunWay | None:
        of, way = self._way
        if of is routes and way is not None and (way.route, way.direction) == (route, direction):
            return way
        way = way_of(routes, route, direction)
        self._way = routes, way
        return way
