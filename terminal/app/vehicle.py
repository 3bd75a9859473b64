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
from terminal.trip.vehicle_place import NOTHING_HEARD, Heard
from terminal.trip.vehicle_report import SourceSettings

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

Value = TypeVar("Value")
CONTRADICTED_S: Final = 3.0
"""A contradiction that lasts so long is one: the source hears of a new turn a moment after the crew enters it."""
WORKS_AGAIN_S: Final = 5.0
"""A source that fails again at once does not work."""
RAZZIA_ROWS_S: Final = 10.0
"""At least so long between two rows: what strangers switch on and off all day does not fill the journal."""


@contextmanager
def vehicle_link(table: VehicleTable, clock: Clock) -> Iterator[VehicleLink | None]:
    """The link to the side process of our own sources, not started yet, closed at the end; None for other sources."""
    if table.own_source is None:
        yield None
        return
    link = VehicleLink(_settings(table, table.own_source), clock)
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
    ready. `show_razzia` is for the display. `sequence` of rows is the journal's own.
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
        self._said: _Lasting[Trouble | None] = _Lasting(None)
        self._turn = (0, 0)
        self._noted: set[VehicleFault] = set()
        self._razzia = _Lasting(False)
        self._razzia_row_s = -RAZZIA_ROWS_S
        vitals.vehicle = self.status

    def look(self) -> None:
        if not self._started:
            self._started = True
            self._link.start()
        now_s = monotonic()
        self._look_at_source(now_s)
        self._look_at_place(now_s)
        self._look_at_razzia(now_s)

    def _look_at_source(self, now_s: float) -> None:
        fault = self._link.source_fault
        if self._source.becomes(fault.code, WORKS_AGAIN_S if fault.code is None else 0.0, now_s):
            trouble = None if fault.code is None else Trouble(fault.code, {"source": self._link.name})
            self._say(trouble, fault.detail)

    def _look_at_place(self, now_s: float) -> None:
        heard = self._heard()
        if self._said.becomes(heard.trouble, CONTRADICTED_S, now_s):
            self._say(self._said.value)

    def _heard(self) -> Heard:
        """What the vehicle says of the run under way, of which the source hears here, too."""
        journal, routes = self._terminal.journal, self._terminal.routes
        shift, turn = journal.open_shift, journal.open_turn
        run = turn or shift
        if run is None or shift is None:
            return NOTHING_HEARD
        if (shift.shift, turn.turn if turn else 0) != self._turn:
            self._turn = shift.shift, turn.turn if turn else 0
            self._noted -= CONTRADICTIONS
        self._link.runs(run.route, run.direction, routes)
        return self._link.heard(run.route, run.direction, routes)

    def _say(self, trouble: Trouble | None, detail: str = "") -> None:
        """Once: of a contradiction in each turn, of the source since the start."""
        if trouble is None or trouble.code not in self._noted:
            self._vitals.vehicle_is(trouble, self._link.name, detail)
        if trouble is not None and isinstance(trouble.code, VehicleFault):
            self._noted.add(trouble.code)

    def _look_at_razzia(self, now_s: float) -> None:
        razzia = self._link.razzia
        if now_s - self._razzia_row_s < RAZZIA_ROWS_S or not self._razzia.becomes(razzia, 0.0, now_s):
            return
        self._razzia_row_s = now_s
        terminal = self._terminal
        terminal.journal.append(RazziaChanged(unix_ms(terminal.clock.now()), razzia, self._link.name))
        self._vitals.events.notice("razzia", "begins" if razzia else "ends", source=self._link.name)
        self._show_razzia(razzia)

    def status(self) -> VehicleStatus:
        """For the status file."""
        link = self._link
        fault, heard, age_s = link.source_fault.code, self._heard(), link.age_s
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
