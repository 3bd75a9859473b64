"""The vehicle of a running terminal: its link, and what becomes of what it says between taps.

Staff hear of a source that does not work, and of a vehicle that contradicts the shift, once and when it is over; both
and the two edges of an inspection are rows. None of it stops a tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from terminal.app.config.settings import VehicleTable
from terminal.clock import Clock, unix_ms
from terminal.codes import Trouble, VehicleFault
from terminal.journal.operation_records import RazziaChanged
from terminal.operations.status import VehicleStatus
from terminal.trip.vehicle import VehicleLink
from terminal.trip.vehicle_place import NOTHING_HEARD, PlaceHeard
from terminal.trip.vehicle_report import SourceSettings

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

Value = TypeVar("Value")
SETTLES_S: Final = 3.0
"""After the start of a turn no contradiction is said: the source hears of it a moment after the crew enters it."""
WORKS_AGAIN_S: Final = 5.0
"""A source that fails again at once does not work."""
EDGES: Final = 6
EDGE_S: Final = 60.0
"""So many edges of an inspection at once, then one in this time: what a stranger switches on and off all day does not
fill the journal."""


@contextmanager
def vehicle_link(table: VehicleTable, source: str, clock: Clock) -> Iterator[VehicleLink]:
    """The link to the side process of that source, not started yet, closed at the end."""
    link = VehicleLink(_settings(table, source), clock)
    try:
        yield link
    finally:
        link.close()


def _settings(table: VehicleTable, source: str) -> SourceSettings:
    return SourceSettings(
        source=source,
        replay="" if table.replay is None else str(table.replay.absolute()),
        replay_speed=table.replay_speed,
        publisher=table.publisher or "",
        reply_host=table.reply_host or "",
        reply_port=table.reply_port,
        gpsd=table.gpsd,
    )


class _Lasting(Generic[Value]):
    """A value that is replaced by another one only when that has lasted."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self._next: tuple[Value, float] | None = None

    def becomes(self, value: Value, lasts_s: float, now_s: float) -> bool:
        """Whether `value` takes the place of the former one now."""
        if value == self.value:
            self._next = None
            return False
        if self._next is None or self._next[0] != value:
            self._next = value, now_s
        if now_s - self._next[1] < lasts_s:
            return False
        self.value, self._next = value, None
        return True


class VehicleWatch:
    """Looks at the link whenever the presence loop comes round; `look` starts it at the first time, when the reader is
    ready. `show_razzia` is for the display.
    """

    def __init__(
        self, link: VehicleLink, terminal: Terminal, vitals: Vitals, show_razzia: Callable[[bool], None]
    ) -> None:
        self._link = link
        self._terminal = terminal
        self._vitals = vitals
        self._show_razzia = show_razzia
        self._started = False
        self._source: _Lasting[VehicleFault | None] = _Lasting(None)
        self._place: _Lasting[Trouble | None] = _Lasting(None)
        self._turn = (0, 0)
        self._turn_s = 0.0
        self._noted: set[VehicleFault] = set()
        self._open: set[VehicleFault] = set()
        self._razzia = _Lasting(False)
        self._edges, self._edges_s = float(EDGES), 0.0
        self._process: int | None = None
        vitals.vehicle = self.status

    def look(self) -> None:
        if not self._started:
            self._started = True
            self._link.start()
        now_s = monotonic()
        self._look_at_source(now_s)
        self._look_at_place(now_s)
        self._look_at_razzia(now_s)
        self._look_at_process()

    def _look_at_source(self, now_s: float) -> None:
        fault, before = self._link.source_fault, self._source.value
        if self._source.becomes(fault.code, WORKS_AGAIN_S if fault.code is None else 0.0, now_s):
            self._over(before)
            if fault.code is not None:
                self._say(Trouble(fault.code, {"source": self._link.name}), fault.code, fault.detail)

    def _look_at_place(self, now_s: float) -> None:
        trouble, before = self._heard(now_s).trouble, self._place.value
        if trouble is not None and now_s - self._turn_s < SETTLES_S:
            return
        if self._place.becomes(trouble, WORKS_AGAIN_S if trouble is None else 0.0, now_s):
            self._over(None if before is None else VehicleFault(before.code))
            if trouble is not None:
                self._say(trouble, VehicleFault(trouble.code))

    def _heard(self, now_s: float) -> PlaceHeard:
        """What the vehicle says of the run under way, of which the source hears here, too."""
        journal, routes = self._terminal.journal, self._terminal.routes
        shift, turn = journal.open_shift, journal.open_turn
        run = turn or shift
        if run is None or shift is None:
            return NOTHING_HEARD
        if (shift.shift, turn.turn if turn else 0) != self._turn:
            self._turn, self._turn_s = (shift.shift, turn.turn if turn else 0), now_s
            self._noted -= CONTRADICTIONS
        self._link.runs(run.route, run.direction, routes)
        return self._link.heard(run.route, run.direction, routes)

    def _say(self, trouble: Trouble, code: VehicleFault, detail: str = "") -> None:
        """Once: of a contradiction in each turn, of the source since the start."""
        if code not in self._noted:
            self._noted.add(code)
            self._open.add(code)
            self._vitals.vehicle_is(trouble, self._link.name, detail)

    def _over(self, code: VehicleFault | None) -> None:
        """What was said is over, or something else is wrong now."""
        if code in self._open:
            self._open.discard(code)
            self._vitals.vehicle_is(None, self._link.name)

    def _look_at_razzia(self, now_s: float) -> None:
        self._edges = min(EDGES, self._edges + (now_s - self._edges_s) / EDGE_S)
        self._edges_s = now_s
        razzia, source, terminal = self._link.razzia, self._link.name, self._terminal
        if self._edges < 1 or not self._razzia.becomes(razzia, 0.0, now_s):
            return
        self._edges -= 1
        terminal.journal.append(RazziaChanged(unix_ms(terminal.clock.now()), razzia, source))
        self._vitals.events.notice("razzia", "begins" if razzia else "ends", source=source)
        self._show_razzia(razzia)

    def _look_at_process(self) -> None:
        """Another process is another number in the status file."""
        process = self._link.process_id
        if process != self._process:
            self._process = process
            self._vitals.refresh()

    def status(self) -> VehicleStatus:
        """For the status file."""
        link = self._link
        fault, heard, age_s = link.source_fault.code, self._heard(monotonic()), link.age_s
        trouble = heard.trouble if fault is None else Trouble(fault, {"source": link.name})
        now_ms = unix_ms(self._terminal.clock.now())
        return VehicleStatus(
            source=link.name,
            process=link.process_id,
            starts=link.starts,
            heard_at_ms=None if age_s is None else now_ms - 1000 * age_s,
            stop=0 if heard.place is None else heard.place.stop,
            quality="" if heard.place is None else heard.place.quality.value,
            razzia=link.razzia,
            fault="" if trouble is None else trouble.code,
            inputs={} if trouble is None else dict(trouble.inputs),
        )


CONTRADICTIONS: Final = frozenset(
    {
        VehicleFault.OTHER_LINE,
        VehicleFault.OTHER_DIRECTION,
        VehicleFault.UNKNOWN_STOP,
        VehicleFault.OTHER_ORDER,
        VehicleFault.UNKNOWN_ZONE,
        VehicleFault.OTHER_ZONE,
    }
)
