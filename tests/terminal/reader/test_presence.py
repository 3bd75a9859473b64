"""The presence loop on the simulated reader, and on a scripted one for what that cannot do."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import chain, product, repeat

import pytest

from cardproto.connection import CardConnection
from cardproto.errors import (
    CardError,
    CardGone,
    ExchangeTimeout,
    ProtocolError,
    ReaderGone,
    ServiceGone,
)
from sim.card.other import NotDesfire
from sim.reader import SimReader
from terminal.clock import SystemClock
from terminal.reader.presence import (
    TRANSITIONS,
    IllegalTransition,
    Presence,
    PresenceEvent,
    PresenceState,
    next_state,
)

UID = bytes.fromhex("04A1B2C3D4E5F6")
FOR_EVER_S = 3600.0

Step = bool | CardError | CardConnection | None


class Echo:
    def transmit(self, command: bytes) -> bytes:
        return command


class ScriptedPort:
    """Answers `wait_for_card` from a script, and then says there is nothing; a card leaves at once."""

    name = "scripted"

    def __init__(self, *steps: Step, removals: tuple[bool | CardError, ...] = ()) -> None:
        self._steps: Iterator[Step] = chain(steps, repeat(None))
        self._removals = chain(removals, repeat(True))
        self.released = 0
        self.at_end: Callable[[], None] = lambda: None

    def wait_for_card(self, timeout_s: float) -> CardConnection | None:
        step = next(self._steps)
        if isinstance(step, CardError):
            raise step
        if step is None:
            self.at_end()
            return None
        assert not isinstance(step, bool)
        return step

    def wait_for_removal(self, timeout_s: float) -> bool:
        step = next(self._removals)
        if isinstance(step, CardError):
            raise step
        return step

    def release(self) -> None:
        self.released += 1

    def close(self) -> None:
        """Nothing to give back."""


def run_to_the_end(port: ScriptedPort, on_card: Callable[[CardConnection], None]) -> list[str]:
    """Run the script; what the operator heard, in order."""
    heard: list[str] = []
    presence = Presence(
        port, on_card, lambda e: heard.append(str(e)), on_ready=lambda: heard.append("ready"), pause_s=0.0
    )
    port.at_end = presence.stop
    presence.run()
    return heard


def serve_nothing(connection: CardConnection) -> None:
    connection.transmit(b"\x00")


# the table


@pytest.mark.parametrize(("state", "event"), tuple(product(PresenceState, PresenceEvent)))
def test_what_the_table_does_not_have_is_refused(state: PresenceState, event: PresenceEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) in PresenceState
    else:
        with pytest.raises(IllegalTransition, match=f"{event.name} in {state.name}"):
            next_state(state, event)


def test_every_state_is_reached_and_left_and_can_be_stopped() -> None:
    assert set(TRANSITIONS.values()) == set(PresenceState)
    assert {state for state, _ in TRANSITIONS} == set(PresenceState)
    assert all(
        next_state(state, PresenceEvent.STOP) is PresenceState.STOPPED
        for state in PresenceState
        if state is not PresenceState.STOPPED
    )


# serving


def test_cards_in_turn_each_once_on_the_simulated_reader() -> None:
    reader = SimReader("sim", SystemClock())
    served: list[bytes] = []
    done = threading.Semaphore(0)

    def on_card(connection: CardConnection) -> None:
        served.append(connection.transmit(bytes.fromhex("FFCA000000"))[:-2])
        done.release()

    presence = Presence(reader, on_card, pytest.fail, heartbeat_s=0.01)
    uids = [bytes((4, n, 0, 0, 0, 0, 1)) for n in range(100)]
    reader.present(NotDesfire(uids[0]))  # a card present at start
    loop = threading.Thread(target=presence.run)
    loop.start()
    for uid in uids[1:]:
        done.acquire()
        reader.remove()
        reader.present(NotDesfire(uid))
    done.acquire()
    presence.stop()
    loop.join()
    reader.close()
    assert served == uids


def test_the_card_is_released_before_its_removal_is_awaited() -> None:
    reader = SimReader("sim", SystemClock())
    reader.present(NotDesfire(UID))
    kept: list[CardConnection] = []
    assert Presence(reader, kept.append, pytest.fail).run(max_taps=1) == 1
    with pytest.raises(CardGone, match="released"):
        kept[0].transmit(b"\x00")


def test_a_card_that_stays_is_served_once() -> None:
    port = ScriptedPort(Echo(), Echo(), removals=(False, False, False, True))
    taps = 0

    def count(_: CardConnection) -> None:
        nonlocal taps
        taps += 1

    assert run_to_the_end(port, count) == []
    assert (taps, port.released) == (2, 2)


def test_max_taps_ends_the_loop_and_it_can_run_again() -> None:
    port = ScriptedPort(*[Echo()] * 5)
    presence = Presence(port, serve_nothing, pytest.fail)
    assert presence.run(max_taps=2) == 2
    assert presence.state is PresenceState.STOPPED
    assert presence.run(max_taps=3) == 3
    assert port.released == 5


def test_states_while_it_runs() -> None:
    seen: list[PresenceState] = []
    presence = Presence(ScriptedPort(Echo()), lambda _: seen.append(presence.state), pytest.fail)
    seen.append(presence.state)
    presence.run(max_taps=1)
    seen.append(presence.state)
    assert seen == [PresenceState.STOPPED, PresenceState.PROCESSING, PresenceState.STOPPED]


# faults


def test_an_outage_is_reported_once_and_its_end_too() -> None:
    port = ScriptedPort(*[ServiceGone("service")] * 4, Echo(), None)
    assert run_to_the_end(port, serve_nothing) == ["service", "ready"]
    assert port.released == 1


def test_an_outage_that_changes_is_reported_again() -> None:
    port = ScriptedPort(ServiceGone("service"), ReaderGone("reader"), ReaderGone("still"), None)
    assert run_to_the_end(port, serve_nothing) == ["service", "reader", "ready"]


def test_two_outages_are_two() -> None:
    port = ScriptedPort(ReaderGone("first"), Echo(), ReaderGone("second"), None)
    assert run_to_the_end(port, serve_nothing) == ["first", "ready", "second", "ready"]


def test_a_fault_while_the_card_is_leaving() -> None:
    port = ScriptedPort(Echo(), Echo(), removals=(False, ReaderGone("unplugged"), True))
    assert run_to_the_end(port, serve_nothing) == ["unplugged", "ready"]
    assert port.released == 2


@pytest.mark.parametrize("error", [CardGone("x"), ExchangeTimeout("x"), ProtocolError("x")])
def test_a_card_error_the_handler_lets_out_concerns_that_card_only(error: CardError) -> None:
    port = ScriptedPort(Echo(), Echo())

    def fail(_: CardConnection) -> None:
        raise error

    assert run_to_the_end(port, fail) == ["x", "x"]
    assert port.released == 2


@pytest.mark.parametrize("error", [ReaderGone("x"), ServiceGone("x")])
def test_an_outage_during_a_tap_is_the_same_outage_afterwards(error: CardError) -> None:
    port = ScriptedPort(Echo(), removals=(error,))

    def fail(_: CardConnection) -> None:
        raise error

    assert run_to_the_end(port, fail) == ["x", "ready"]
    assert port.released == 1


def test_any_other_exception_ends_the_loop_with_the_card_released() -> None:
    port = ScriptedPort(Echo(), Echo())
    presence = Presence(port, lambda _: 1 // 0, pytest.fail)
    with pytest.raises(ZeroDivisionError):
        presence.run()
    assert port.released == 1
    assert presence.state is PresenceState.STOPPED


def test_unplugged_and_plugged_in_again_on_the_simulated_reader() -> None:
    reader = SimReader("sim", SystemClock())
    heard: list[str] = []
    served = threading.Event()

    def on_fault(error: CardError) -> None:
        heard.append(type(error).__name__)
        reader.plug_in()

    def on_ready() -> None:
        heard.append("ready")
        threading.Thread(target=reader.present, args=[NotDesfire(UID)]).start()

    def on_card(_: CardConnection) -> None:
        served.set()
        presence.stop()

    presence = Presence(reader, on_card, on_fault, on_ready=on_ready, pause_s=0.0)
    reader.unplug()
    loop = threading.Thread(target=presence.run)
    loop.start()
    loop.join()
    assert heard == ["ReaderGone", "ready"]
    assert served.is_set()


# stopping


def test_stop_during_a_pause_is_immediate() -> None:
    presence = Presence(
        ScriptedPort(ReaderGone("gone")), serve_nothing, lambda _: presence.stop(), pause_s=FOR_EVER_S
    )
    presence.run()


def test_stop_before_run() -> None:
    port = ScriptedPort(Echo())
    presence = Presence(port, serve_nothing, pytest.fail)
    presence.stop()
    assert presence.run() == 0
    assert port.released == 0


def test_stop_during_a_tap_lets_the_tap_end() -> None:
    port = ScriptedPort(Echo(), Echo())
    answers: list[bytes] = []

    def on_card(connection: CardConnection) -> None:
        presence.stop()
        answers.append(connection.transmit(b"\x01"))

    presence = Presence(port, on_card, pytest.fail)
    assert presence.run() == 1
    assert (answers, port.released) == ([b"\x01"], 1)


@pytest.mark.parametrize("while_out_of_order", [False, True])
def test_stop_from_a_signal_handler(while_out_of_order: bool) -> None:
    reader = SimReader("sim", SystemClock())
    presence = Presence(
        reader, pytest.fail, lambda _: threading.Timer(0.05, interrupt).start(), pause_s=FOR_EVER_S
    )

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    if while_out_of_order:
        reader.unplug()
    else:
        threading.Timer(0.05, interrupt).start()
    before = signal.signal(signal.SIGUSR1, lambda *_: presence.stop())
    try:
        assert presence.run() == 0
    finally:
        signal.signal(signal.SIGUSR1, before)


# growth


def test_a_long_day_grows_neither_threads_nor_objects() -> None:
    def day(taps: int) -> None:
        port = ScriptedPort(*[Echo(), ReaderGone("gone"), None] * taps)
        presence = Presence(port, serve_nothing, lambda _: None, pause_s=0.0)
        presence.run(max_taps=taps)

    day(10)
    gc.collect()
    threads, objects = threading.active_count(), len(gc.get_objects())
    day(2000)
    gc.collect()
    assert threading.active_count() == threads
    assert len(gc.get_objects()) - objects < 100
