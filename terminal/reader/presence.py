"""The presence loop: one card after the other, for months, whatever readers and services do.

    STOPPED ──START──► WAIT_FOR_CARD ──PRESENTED──► PROCESSING ──SERVED──► WAIT_FOR_REMOVAL ──LEFT──► WAIT_FOR_CARD
    WAIT_FOR_CARD, WAIT_FOR_REMOVAL ──FAULT──► OUT_OF_ORDER ──RETRY──► WAIT_FOR_CARD
    anywhere ──STOP──► STOPPED

It runs on the thread that calls `run`, over any `ReaderPort`, and starts no thread of its own. It keeps no more than
its state between taps, so it cannot grow.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Final

from cardproto.connection import CardConnection
from cardproto.errors import CardError, ReaderGone, ReaderTaken, ServiceGone, TransmissionError
from terminal.codes import ReaderFault
from terminal.reader.port import ReaderPort

HEARTBEAT_S: Final = 0.25
"""The longest single wait in a reader, and so the longest time until a stop is noticed there."""

PAUSE_S: Final = 1.0
"""Between two attempts on a reader that is out of order."""


class PresenceState(Enum):
    """Where the loop stands."""

    STOPPED = "not running"
    WAIT_FOR_CARD = "the reader is ready, no card is there"
    PROCESSING = "a card is being served"
    WAIT_FOR_REMOVAL = "the card was served and still lies there"
    OUT_OF_ORDER = "reader or service failed; trying again after a pause"


class PresenceEvent(Enum):
    """What moves the loop on."""

    START = "run was called"
    PRESENTED = "a card was handed over"
    SERVED = "the handler returned"
    LEFT = "the card has left, or was swapped for another"
    FAULT = "reader or service failed"
    RETRY = "the pause is over"
    STOP = "stop was called, or enough taps were served"


TRANSITIONS: Final[dict[tuple[PresenceState, PresenceEvent], PresenceState]] = {
    (PresenceState.STOPPED, PresenceEvent.START): PresenceState.WAIT_FOR_CARD,
    (PresenceState.WAIT_FOR_CARD, PresenceEvent.PRESENTED): PresenceState.PROCESSING,
    (PresenceState.WAIT_FOR_CARD, PresenceEvent.FAULT): PresenceState.OUT_OF_ORDER,
    (PresenceState.WAIT_FOR_CARD, PresenceEvent.STOP): PresenceState.STOPPED,
    (PresenceState.PROCESSING, PresenceEvent.SERVED): PresenceState.WAIT_FOR_REMOVAL,
    (PresenceState.PROCESSING, PresenceEvent.STOP): PresenceState.STOPPED,
    (PresenceState.WAIT_FOR_REMOVAL, PresenceEvent.LEFT): PresenceState.WAIT_FOR_CARD,
    (PresenceState.WAIT_FOR_REMOVAL, PresenceEvent.FAULT): PresenceState.OUT_OF_ORDER,
    (PresenceState.WAIT_FOR_REMOVAL, PresenceEvent.STOP): PresenceState.STOPPED,
    (PresenceState.OUT_OF_ORDER, PresenceEvent.RETRY): PresenceState.WAIT_FOR_CARD,
    (PresenceState.OUT_OF_ORDER, PresenceEvent.STOP): PresenceState.STOPPED,
}


class IllegalTransition(RuntimeError):
    """A defect of ours: this event has no meaning in this state."""


def next_state(state: PresenceState, event: PresenceEvent) -> PresenceState:
    """Where `event` leads from `state`; raises `IllegalTransition` for what the table does not have."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{event.name} in {state.name}") from None


def reader_fault(error: CardError) -> ReaderFault:
    """What rows and status say of `error`, which ended the service of a card or of the reader."""
    if isinstance(error, ServiceGone):
        return ReaderFault.SERVICE_GONE
    if isinstance(error, ReaderTaken):
        return ReaderFault.IN_USE
    return ReaderFault.GONE if isinstance(error, ReaderGone) else ReaderFault.FAILED


class Presence:
    """Hands every presented card to `on_card`, once per presentation.

    `on_card` serves the card and returns; the card is reset afterwards, also when the handler raised. A `CardError`
    it lets out goes to `on_fault` and the loop goes on; any other exception ends `run` and reaches its caller.

    `on_fault` hears of each outage once, not once per attempt, and again when its kind changes; `on_ready` hears
    when the reader works again. `on_turned_away` hears of each further card that is laid there while another program
    has the reader: its holder must not wait in vain. `on_beat` is called whenever the loop comes round, at least once
    per heartbeat, pause and tap: who does not hear from it any more knows that the loop hangs. The port stays open:
    its owner closes it after `run`.
    """

    def __init__(
        self,
        port: ReaderPort,
        on_card: Callable[[CardConnection], None],
        on_fault: Callable[[CardError], None],
        *,
        on_ready: Callable[[], None] | None = None,
        on_beat: Callable[[PresenceState], None] | None = None,
        on_turned_away: Callable[[], None] = lambda: None,
        heartbeat_s: float = HEARTBEAT_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._port = port
        self._on_card = on_card
        self._on_fault = on_fault
        self._on_ready = on_ready
        self._on_beat = on_beat
        self._on_turned_away = on_turned_away
        self._heartbeat_s = heartbeat_s
        self._pause_s = pause_s
        self._state = PresenceState.STOPPED
        self._fault: type[TransmissionError] | None = None
        self._taps = 0
        self._max_taps: int | None = None
        # A SimpleQueue and not an Event: its put may be called from a signal handler that interrupts its own get.
        self._stop_requests: SimpleQueue[None] = SimpleQueue()
        self._stopping = False

    @property
    def state(self) -> PresenceState:
        """Where the loop stands; any thread may look."""
        return self._state

    def stop(self) -> None:
        """Make `run` return: at once from a pause, within a heartbeat from a wait, after the running tap.

        Any thread and any signal handler may call it, also before `run`. It is final.
        """
        self._stopping = True
        self._stop_requests.put(None)

    def run(self, max_taps: int | None = None) -> int:
        """Serve cards until `stop`, or until `max_taps` of them were served; returns how many."""
        self._taps, self._max_taps = 0, max_taps
        self._state = next_state(self._state, PresenceEvent.START)
        steps: dict[PresenceState, Callable[[], PresenceEvent | None]] = {
            PresenceState.WAIT_FOR_CARD: self._wait_for_card,
            PresenceState.WAIT_FOR_REMOVAL: self._wait_for_removal,
            PresenceState.OUT_OF_ORDER: self._pause,
        }
        try:
            while self._state is not PresenceState.STOPPED:
                if self._on_beat is not None:
                    self._on_beat(self._state)
                event = PresenceEvent.STOP if self._stopping else steps[self._state]()
                if event is not None:
                    self._state = next_state(self._state, event)
        finally:
            self._state = PresenceState.STOPPED  # also when a handler's exception ends the loop
        return self._taps

    def _wait_for_card(self) -> PresenceEvent | None:
        """Wait and serve. PROCESSING begins and ends here, because the connection lives no longer than that."""
        try:
            connection = self._port.wait_for_card(self._heartbeat_s)
        except TransmissionError as error:
            return self._failed(error)
        self._works()
        if connection is None:
            return None
        self._state = next_state(self._state, PresenceEvent.PRESENTED)
        self._serve(connection)
        self._taps += 1
        return PresenceEvent.STOP if self._taps == self._max_taps else PresenceEvent.SERVED

    def _serve(self, connection: CardConnection) -> None:
        try:
            self._on_card(connection)
        except (ReaderGone, ServiceGone) as error:
            self._report(error)
        except CardError as error:
            self._on_fault(error)
        finally:
            self._port.release()

    def _wait_for_removal(self) -> PresenceEvent | None:
        try:
            left = self._port.wait_for_removal(self._heartbeat_s)
        except TransmissionError as error:
            return self._failed(error)
        return PresenceEvent.LEFT if left else None

    def _pause(self) -> PresenceEvent:
        try:
            self._stop_requests.get(timeout=self._pause_s)
        except Empty:
            return PresenceEvent.RETRY
        return PresenceEvent.STOP

    def _failed(self, error: TransmissionError) -> PresenceEvent:
        if self._fault is ReaderTaken and isinstance(error, ReaderTaken) and error.turned_away:
            self._on_turned_away()
        self._report(error)
        return PresenceEvent.FAULT

    def _report(self, error: TransmissionError) -> None:
        """An outage of many attempts is one fault."""
        if type(error) is not self._fault:
            self._fault = type(error)
            self._on_fault(error)

    def _works(self) -> None:
        if self._fault is None:
            return
        self._fault = None
        if self._on_ready is not None:
            self._on_ready()
