"""The passenger display as the terminal sees it: what is shown, without the page that shows it.

    display = Display(clock)                                  # the terminal's side: never waits
    terminal.signal = display.outcome
    port = WatchedReader(port, display)                       # card seen, removed, reader out of order

`WatchedReader` lets the display see the reader, too: card there, card gone, out of order, works again. The page is
`terminal.screen.display_page`; this module loads nothing that serves pages, so that a terminal is ready without.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cardproto.connection import CardConnection
from cardproto.errors import TransmissionError
from terminal.clock import Clock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.reader.port import ReaderPort, lay_there, shared
from terminal.screen.feed import EventFeed

if TYPE_CHECKING:
    from terminal.screen.touch import PassengerTouch
    from terminal.tap_report import TapReport

TAP_ALLOWANCE_S: Final = 5.0
"""A tap is given up after three seconds; until then its silence is the card's, not the terminal's."""

KEEP: Final = 1024
"""Hundreds of taps, for a browser that was busy meanwhile."""


class DisplayState(StrEnum):
    """What the display is about."""

    IDLE = "idle"
    CARD = "card"
    RESULT = "result"
    FAULT = "fault"
    ASKED = "asked"
    """What is asked of the next ride has changed; what is shown besides stays."""

    CODE = "code"
    """By which support finds the tap whose result is shown (`Shown.code`); what is shown besides stays."""

    RAZZIA = "razzia"
    """Only what stands above everything else has changed: whether an inspection is under way."""


class Shown(Struct, frozen=True):
    """One change of the display, at `at_s` of the terminal's monotonic clock."""

    state: DisplayState
    at_s: float
    outcome: Outcome | None = None
    code: str = ""


class Display:
    """What the terminal sends to its display. Every method returns at once, on any thread."""

    def __init__(self, clock: Clock) -> None:
        self.feed: Final[EventFeed[Shown]] = EventFeed(KEEP)
        self.touch: PassengerTouch | None = None
        """What passengers may touch and are shown of the next ride; set by the composition root."""
        self._clock = clock
        self._heard_s = clock.monotonic()
        self._serving_until_s = 0.0
        self._faulty = False
        self.razzia = False
        self._tell(DisplayState.IDLE)

    def card(self) -> None:
        """A card is there and being read."""
        self._faulty = False
        self._serving_until_s = self._clock.monotonic() + TAP_ALLOWANCE_S
        self._tell(DisplayState.CARD)

    def outcome(self, outcome: Outcome) -> None:
        """The result for the rider; fits `Terminal.signal`."""
        if self._faulty and outcome.message == Message.OUT_OF_ORDER:
            return  # it says so already, and a result would leave after a while
        self._tell(DisplayState.RESULT, outcome)

    def ended(self, report: TapReport) -> None:
        """The tap is on record: a rider who was refused reads its support code beside the reason."""
        outcome = report.outcome
        refused = outcome.admission is Admission.REFUSED and outcome.message != Message.READ_AGAIN
        if refused and report.support_code and not report.of_staff:
            self.feed.publish(Shown(DisplayState.CODE, self._clock.monotonic(), code=report.support_code))

    def removed(self) -> None:
        """The card has left."""
        self._tell(DisplayState.IDLE)

    def fault(self) -> None:
        """The reader is out of order, until `works` or the next card."""
        self._faulty = True
        self._tell(DisplayState.FAULT)

    def works(self) -> None:
        """The reader works again."""
        self._faulty = False
        self._tell(DisplayState.IDLE)

    def asked(self) -> None:
        """Something else is asked of the next ride, or nothing any more."""
        self.feed.publish(Shown(DisplayState.ASKED, self._clock.monotonic()))

    def razzia_is(self, razzia: bool) -> None:
        """An inspection is under way, or no longer (T-70): shown above whatever else is shown."""
        self.razzia = razzia
        self._tell(DisplayState.RAZZIA)

    def beat(self) -> None:
        """The terminal's loop is alive. Without it for two seconds the page shows *out of order*."""
        self._serving_until_s = 0.0
        self._heard_s = self._clock.monotonic()

    def quiet_ms(self) -> int:
        """How long the terminal has been silent."""
        now = self._clock.monotonic()
        return 0 if now < self._serving_until_s else int((now - self._heard_s) * 1000)

    def age_ms(self, shown: Shown) -> int:
        """How long ago it was shown."""
        return int((self._clock.monotonic() - shown.at_s) * 1000)

    def _tell(self, state: DisplayState, outcome: Outcome | None = None) -> None:
        self._heard_s = now = self._clock.monotonic()
        self.feed.publish(Shown(state, now, outcome))


class DisplaySettings(Struct, frozen=True):
    """`second`: a further language, shown smaller under the first. `discreet`: others look on (M-38)."""

    language: str
    second: str = ""
    discreet: bool = False


class WatchedReader:
    """`port`, watched for `display`. The presence loop sees no difference."""

    def __init__(self, port: ReaderPort, display: Display) -> None:
        self._port = port
        self._display = display
        self._failed = False

    @property
    def name(self) -> str:
        return self._port.name

    @property
    def lay_there(self) -> bool:
        return lay_there(self._port)

    @property
    def shared(self) -> bool:
        return shared(self._port)

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        self._display.beat()
        try:
            connection = self._port.wait_for_card(timeout_s)
        except TransmissionError:
            self._fails()
            raise
        self._works()
        if connection is not None:
            self._display.card()
        return connection

    def wait_for_removal(self, timeout_s: float) -> bool:
        self._display.beat()
        try:
            left = self._port.wait_for_removal(timeout_s)
        except TransmissionError:
            self._fails()
            raise
        if left:
            self._display.removed()
        return left

    def release(self) -> None:
        self._port.release()

    def close(self) -> None:
        self._port.close()

    def _fails(self) -> None:
        """An outage of many attempts is one fault."""
        if not self._failed:
            self._failed = True
            self._display.fault()

    def _works(self) -> None:
        if self._failed:
            self._failed = False
            self._display.works()
