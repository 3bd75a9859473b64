"""A medium that is wrong at any verb: its tap ends as an unsupported card, and the terminal goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cardproto import CardChannel, CardGone, TransmissionError
from cardproto.errors import ProtocolError
from sim import NotDesfire, SimReader, VirtualClock
from terminal import (
    Admission,
    Colour,
    Decision,
    Medium,
    MediumMessage,
    Message,
    Outcome,
    Policy,
    Presented,
    Station,
    TapReport,
    Terminal,
    Trip,
    UnsupportedCard,
    WriteUnknown,
    open_terminal,
    take_tap,
)
from terminal.clock import SystemClock
from terminal.decision.outcome import WritePlan
from terminal.devices import DeviceState, DeviceWatch
from terminal.errors import JournalError
from terminal.media.guard import GuardedMedium, GuardedWriter
from terminal.messages import register

WELCOME = MediumMessage("pool.welcome", Colour.GREEN, {"en": "Welcome {n}"})
ANY: Any = None


class Pool:
    """Recognises every card and lets it in, but for one verb, which raises or returns `answer`."""

    name = "pool"
    messages = (WELCOME,)

    def __init__(self, verb: str, answer: object) -> None:
        self.verb = verb
        self.answer = answer

    def _do(self, verb: str, sound: object) -> Any:
        if verb != self.verb:
            return sound
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    def select(self, channel: CardChannel) -> bool:
        return bool(self._do("select", True))

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        presented: Presented = self._do("open", Presented(b"reference", "member"))
        return presented

    def decide(self, snapshot: object, policy: Policy, trip: Trip, now: datetime) -> Decision:
        decision: Decision = self._do("decide", decision_of())
        return decision


def decision_of(code: str = "pool.welcome", plan: WritePlan | None = None, **values: int | str) -> Decision:
    return Decision(Outcome(code, Admission.LET_IN, values=values or {"n": 7}), plan, ())


@pytest.fixture
def heard() -> list[tuple[str, DeviceState, str]]:
    return []


@pytest.fixture
def watch(heard: list[tuple[str, DeviceState, str]]) -> DeviceWatch:
    return DeviceWatch("pool", lambda *report: heard.append(report))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    station = Station(number=7, profile="bus", state=tmp_path / "state", region="demo")
    with open_terminal(station, SystemClock()) as opened:
        register("pool", Pool.messages)
        yield opened


def tapped(terminal: Terminal, *media: Medium) -> TapReport:
    reader = SimReader("reader", VirtualClock(SystemClock().now()))
    reader.present(NotDesfire(b"\x04" + bytes(6)))
    connection = reader.wait_for_card(0)
    assert connection is not None
    terminal.media = media
    return take_tap(connection, terminal)


def test_a_sound_one_is_as_it_was(terminal: Terminal, watch: DeviceWatch, heard: list[Any]) -> None:
    report = tapped(terminal, GuardedMedium(Pool("", None), watch))
    assert report.outcome.message == "pool.welcome"
    assert heard == []


@pytest.mark.parametrize(
    ("verb", "answer", "detail"),
    [
        ("open", ValueError("no such file"), "ValueError: no such file"),
        ("open", None, "TypeError: NoneType where Presented belongs"),
        ("decide", ZeroDivisionError("division"), "ZeroDivisionError: division"),
        ("decide", None, "TypeError: NoneType where Decision belongs"),
        ("decide", decision_of("pool.unknown"), "there is no message 'pool.unknown'"),
        ("decide", decision_of(m=7), "message pool.welcome needs 'n'"),
        ("decide", decision_of(n="Иванов"), "'Иванов' is no code"),
        ("decide", decision_of(plan=WritePlan(ANY)), "no writer"),
    ],
)
def test_a_card_at_which_it_fails_is_not_supported(
    terminal: Terminal, watch: DeviceWatch, heard: list[Any], verb: str, answer: object, detail: str
) -> None:
    report = tapped(terminal, GuardedMedium(Pool(verb, answer), watch))
    assert report.outcome.message is Message.UNKNOWN_CARD
    ((name, state, said),) = heard
    assert (name, state) == ("pool", DeviceState.RAISES)
    assert detail in said


def test_where_select_fails_the_next_medium_is_asked(
    terminal: Terminal, watch: DeviceWatch, heard: list[Any]
) -> None:
    broken = GuardedMedium(Pool("select", OSError("disk")), watch)
    assert tapped(terminal, broken, Pool("", None)).outcome.message == "pool.welcome"
    assert heard == [("pool", DeviceState.RAISES, "OSError: disk")]


@pytest.mark.parametrize("verb", ["select", "open"])
def test_a_card_that_leaves_is_the_card_s_matter(
    terminal: Terminal, watch: DeviceWatch, heard: list[Any], verb: str
) -> None:
    report = tapped(terminal, GuardedMedium(Pool(verb, CardGone("left")), watch))
    assert report.outcome.message is Message.READ_AGAIN
    assert heard == []


class Writer:
    """Every verb raises `error`, or returns nothing."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def _raise(self, *_: object) -> Any:
        if self.error is not None:
            raise self.error

    planned = commit = became = _raise


@pytest.mark.parametrize("error", [ValueError("amount"), CardGone("left"), None])
def test_from_the_commit_on_a_mistake_means_unknown(watch: DeviceWatch, error: BaseException | None) -> None:
    result = GuardedWriter(Writer(error), watch).commit(ANY, ANY)
    assert isinstance(result, WriteUnknown)
    assert isinstance(result.cause, TransmissionError if isinstance(error, CardGone) else ProtocolError)


def test_a_journal_that_cannot_hold_the_intent_is_the_terminal_s_matter(watch: DeviceWatch) -> None:
    with pytest.raises(JournalError):
        GuardedWriter(Writer(JournalError("full", "Connect the network.")), watch).commit(ANY, ANY)


def test_before_the_intent_a_mistake_is_an_unsupported_card(watch: DeviceWatch) -> None:
    with pytest.raises(UnsupportedCard):
        GuardedWriter(Writer(ValueError("amount")), watch).planned(ANY)


def test_what_cannot_say_what_became_of_a_write_deserves_another_try(watch: DeviceWatch) -> None:
    with pytest.raises(ProtocolError):
        GuardedWriter(Writer(ValueError("amount")), watch).became((1, 2), (1, 1))
