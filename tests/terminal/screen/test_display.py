"""What the terminal tells its display, and what of it a page gets."""

from __future__ import annotations

import gc
import json
import socket
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from cardproto.errors import ReaderGone
from sim.air import VirtualClock
from terminal.app.console import passenger_display
from terminal.clock import SystemClock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.errors import TerminalError
from terminal.messages import colour, sound, text
from terminal.reader.presence import Presence
from terminal.screen.display import KEEP, Display, DisplaySettings, DisplayState, WatchedReader
from terminal.screen.display_page import DISCREET, display_routes
from terminal.screen.server import ScreenServer
from tests.terminal.screen.shown import VALUES, outcome

START = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def display(clock: VirtualClock) -> Display:
    return Display(clock)


def states(display: Display) -> list[DisplayState]:
    return [entry.value.state for entry in display.feed.recent()]


def told(display: Display, settings: DisplaySettings, *outcomes: Outcome) -> list[dict[str, Any]]:
    """What a page gets for each of `outcomes`."""
    before = display.feed.position
    for one in outcomes:
        display.outcome(one)
    with (
        ScreenServer(Starlette(routes=display_routes(display, settings))) as server,
        httpx.stream("GET", f"{server.url}/events?after={before}") as stream,
    ):
        data = (line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: {"))
        return [json.loads(next(data)) for _ in outcomes]


# what is shown


def test_a_page_gets_the_message_its_values_and_nothing_else(display: Display) -> None:
    values = {**VALUES, "balance_minor": 123456}
    outcomes = [Outcome(message, Admission.LET_IN, charge_minor=99999, values=values) for message in Message]
    for message, one in zip(Message, told(display, DisplaySettings("ru", "en"), *outcomes), strict=True):
        assert one.keys() == {"state", "age_ms", "razzia", "colour", "lines", "sound", "hold_ms"}
        assert one["lines"] == [text(message, "ru", VALUES), text(message, "en", VALUES)]
        assert (one["colour"], one["sound"]["beeps"]) == (colour(message), sound(message).beeps)
        assert "123456" not in str(one)
        assert "99999" not in str(one)


def test_free_and_paid_meals_are_told_alike(display: Display) -> None:
    free, paid = (
        Outcome(Message.MEAL_OK, Admission.LET_IN, charge_minor=sum_minor) for sum_minor in (0, 8500)
    )
    first, second = told(display, DisplaySettings("ru", discreet=True), free, paid)
    assert first == second


def test_at_a_counter_money_and_health_are_nobody_else_s_business(display: Display) -> None:
    for one in told(display, DisplaySettings("ru", discreet=True), *map(outcome, sorted(DISCREET))):
        assert (one["lines"], one["colour"], one["sound"]["beeps"]) == (
            ["Обратитесь на раздачу"],
            "yellow",
            2,
        )


@pytest.mark.parametrize(
    ("profile", "line"), [("bus", "Недостаточно средств"), ("canteen", "Обратитесь на раздачу")]
)
def test_a_running_canteen_is_discreet(profile: str, line: str) -> None:
    said: list[str] = []
    with passenger_display(True, 0, ("ru", ""), profile, SystemClock(), said.append) as passenger:
        passenger.outcome(outcome(Message.NO_FUNDS))
        address = said.pop().removeprefix("passenger display: ")
        with httpx.stream("GET", f"{address}events") as stream:
            assert any(line in told for told in stream.iter_lines() if told.startswith("data: {"))


def test_marks_that_turn_text_around_are_taken_out(display: Display) -> None:
    turned = Outcome(Message.MEAL_ALREADY, Admission.REFUSED, values={"meal": "\u202elunch\u2066\x00"})
    assert told(display, DisplaySettings("en"), turned)[0]["lines"] == ["lunch already served"]


def test_a_long_message_stays_longer(display: Display) -> None:
    short, long = told(
        display, DisplaySettings("ru"), outcome(Message.BLOCKED), outcome(Message.LIMIT_REACHED)
    )
    assert 1500 < short["hold_ms"] < long["hold_ms"] <= 4500


def test_a_language_without_texts_is_refused_before_anything_is_served(display: Display) -> None:
    with pytest.raises(TerminalError, match="no texts in language 'xx'"):
        display_routes(display, DisplaySettings("ru", "xx"))


# silence


def test_the_terminal_is_silent_when_nothing_moves_it(display: Display, clock: VirtualClock) -> None:
    clock.advance(1.5)
    assert display.quiet_ms() == 1500
    display.beat()
    assert display.quiet_ms() == 0


def test_a_card_s_silence_is_not_the_terminal_s_but_not_for_ever(
    display: Display, clock: VirtualClock
) -> None:
    display.card()
    clock.advance(4)
    assert display.quiet_ms() == 0
    clock.advance(2)
    assert display.quiet_ms() == 6000


# the reader


class Reader:
    """A reader that does what its script says: True a card, False none, an error to raise."""

    name = "scripted"
    lay_there = True

    def __init__(self, *script: bool | ReaderGone) -> None:
        self._script = list(script)

    def wait_for_card(self, timeout_s: float) -> Reader | None:
        return self if self._next() else None

    def wait_for_removal(self, timeout_s: float) -> bool:
        return self._next()

    def transmit(self, command: bytes) -> bytes:
        return command

    def release(self) -> None: ...

    def close(self) -> None: ...

    def _next(self) -> bool:
        step = self._script.pop(0)
        if isinstance(step, ReaderGone):
            raise step
        return step


def test_coming_and_going_are_shown(display: Display) -> None:
    reader = WatchedReader(Reader(False, True, False, True), display)
    reader.wait_for_card(0.25)
    assert reader.wait_for_card(0.25) is not None
    assert [reader.wait_for_removal(0.25) for _ in range(2)] == [False, True]
    assert reader.lay_there, "as the reader says"
    assert states(display) == [DisplayState.IDLE, DisplayState.CARD, DisplayState.IDLE]


def test_an_outage_of_many_attempts_is_shown_once_until_it_is_over(display: Display) -> None:
    gone = ReaderGone("unplugged")
    reader = WatchedReader(Reader(gone, gone, gone, False, False), display)
    for _ in range(3):
        with pytest.raises(ReaderGone):
            reader.wait_for_card(0.25)
    reader.wait_for_card(0.25)
    reader.wait_for_card(0.25)
    assert states(display) == [DisplayState.IDLE, DisplayState.FAULT, DisplayState.IDLE]


def test_a_fault_stays_although_the_terminal_signals_it_as_a_message_too(display: Display) -> None:
    reader = WatchedReader(Reader(False, ReaderGone("unplugged")), display)
    presence = Presence(
        reader,
        on_card=lambda _card: None,
        on_fault=lambda _error: (
            display.outcome(Outcome(Message.OUT_OF_ORDER, Admission.REFUSED)),
            presence.stop(),
        ),
    )
    presence.run()
    assert states(display)[-1] is DisplayState.FAULT
    display.card()
    display.outcome(Outcome(Message.OUT_OF_ORDER, Admission.REFUSED))  # a tap whose journal failed
    assert states(display)[-2:] == [DisplayState.CARD, DisplayState.RESULT]


def test_waiting_keeps_the_display_alive(display: Display, clock: VirtualClock) -> None:
    clock.advance(timedelta(seconds=10).total_seconds())
    WatchedReader(Reader(False), display).wait_for_card(0.25)
    assert display.quiet_ms() == 0


# a slow browser


def test_a_browser_that_never_reads_costs_the_tap_nothing(display: Display) -> None:
    app = Starlette(routes=display_routes(display, DisplaySettings("ru", "en")))
    with ScreenServer(app) as server, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        stuck.connect((server.host, server.port))
        stuck.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stuck.recv(1)
        for _ in range(3000):  # fills what the system and the server buffer
            display.outcome(outcome(Message.OK_PASS))
        gc.collect()
        tracemalloc.start()
        for _ in range(20_000):
            display.outcome(outcome(Message.OK_PASS))
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(display.feed.recent()) == KEEP
        assert grown < 1_000_000
        display.outcome(outcome(Message.NO_FUNDS))
        assert display.feed.newest == 23_002
    assert display.feed.subscribers == 0
