"""A medium that is wrong at any verb: its tap is out of order and on record, and the next card is served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from cardproto import CardChannel, CardGone, CommandApdu, TransmissionError
from cardproto.errors import ProtocolError
from sim import NotDesfire, SimReader, VirtualClock
from terminal import (
    Admission,
    Colour,
    Decision,
    Effect,
    LastTap,
    Medium,
    MediumMessage,
    Message,
    Outcome,
    PlannedWrite,
    Policy,
    Presented,
    Reason,
    Station,
    TapReport,
    Terminal,
    Trip,
    UnsupportedCard,
    WriteDone,
    WriteUnknown,
    open_terminal,
    take_tap,
)
from terminal.clock import SystemClock
from terminal.codes import ExtensionFault
from terminal.decision.outcome import WritePlan
from terminal.devices import DeviceState, DeviceWatch
from terminal.errors import JournalError
from terminal.journal.records import Fault
from terminal.media.guard import SELECT_EXCHANGES, GuardedMedium, GuardedWriter
from terminal.media.port import MediumFailed
from terminal.messages import register
from tests.journal_rows import assert_codes

WELCOME = MediumMessage("pool.welcome", Colour.GREEN, {"en": "Welcome {n}"})
ANY: Any = None
SOUND = Presented(b"8 bytes!", "member")


def wrong(value: object) -> Any:
    """`value` where its type is not asked for."""
    return value


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
        presented: Presented = self._do("open", SOUND)
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
    return DeviceWatch("medium:pool", lambda *report: heard.append(report))


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


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class Swim(Effect):
    LANE = "pool:lane"


def with_inputs(value: object) -> Decision:
    return structs.replace(decision_of(), facts=(Reason(Swim.LANE, {"lane": wrong(value)}),))


def with_outcome(**changed: object) -> Decision:
    return structs.replace(decision_of(), outcome=structs.replace(decision_of().outcome, **wrong(changed)))


@pytest.mark.parametrize(
    ("verb", "answer", "detail"),
    [
        ("select", OSError("disk"), "OSError: disk"),
        ("select", SystemExit(3), "SystemExit: 3"),
        ("select", Mute(), "Mute: it does not say what"),
        ("decide", ValueError("two\nlines"), "ValueError: two lines"),
        ("decide", SystemExit(3), "SystemExit: 3"),
        ("open", Presented(wrong("text"), None), "MediumSetup.reference"),
        ("open", Presented(b"", None), "MediumSetup.reference"),
        ("open", Presented(bytes(5000), None), "MediumSetup.reference"),
        ("open", Presented(bytes(8), None, person=b""), "MediumSetup.person"),
        ("open", Presented(bytes(8), None, person=wrong("text")), "MediumSetup.person"),
        ("open", replace(SOUND, balance_minor=wrong(1.5)), "Expected `int | null`"),
        ("open", replace(SOUND, last=wrong(3)), "int where LastTap belongs"),
        ("open", replace(SOUND, last=LastTap(wrong(("a", "b")), SystemClock().now())), "Expected `int`"),
        ("open", replace(SOUND, last=LastTap((1, 2), datetime(2026, 9, 15))), "without a zone"),  # noqa: DTZ001
        ("decide", with_outcome(admission="let_in"), "str where Admission belongs"),
        ("decide", with_outcome(admission=True), "bool where Admission belongs"),
        ("decide", with_outcome(charge_minor=1.5), "Expected `int`"),
        ("decide", with_outcome(charge_minor=-500), "a charge of -500"),
        ("decide", with_outcome(values={"n": 1.5}), "Expected `int | str`"),
        ("decide", with_outcome(values={"n": 2**70}), "a row cannot hold it"),
        ("decide", with_outcome(values=None), "TypeError"),
        ("decide", with_inputs(1.5), "Expected `int | str`"),
        ("decide", with_inputs(2**70), "a row cannot hold it"),
        ("decide", with_inputs(None), "Expected `int | str`"),
        ("decide", with_inputs("a" * 5000), "larger than 4096 bytes"),
        ("decide", structs.replace(decision_of(), flags=wrong((3,))), "Expected `str`"),
        ("decide", structs.replace(decision_of(), lists=wrong({"deny": 3})), "Expected `str`"),
        ("decide", structs.replace(decision_of(), facts=(Reason(wrong("pool:lane")),)), "AttributeError"),
        ("decide", structs.replace(decision_of(), meal=wrong("lunch")), "str where Serving belongs"),
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
def test_a_card_at_which_it_fails_finds_the_terminal_out_of_order(
    terminal: Terminal, watch: DeviceWatch, heard: list[Any], verb: str, answer: object, detail: str
) -> None:
    report = tapped(terminal, GuardedMedium(Pool(verb, answer), watch))
    assert report.outcome.message is Message.OUT_OF_ORDER
    ((name, state, said),) = heard
    assert (name, state) == ("medium:pool", DeviceState.RAISES)
    assert detail in said
    assert detail in report.operator
    fault = terminal.journal.rows()[-1].record
    assert isinstance(fault, Fault)
    assert (fault.code, fault.inputs) == (ExtensionFault.FAILED, {"extension": "medium:pool"})
    assert_codes(row.record for row in terminal.journal.rows())
    assert tapped(terminal, GuardedMedium(Pool("", None), watch)).outcome.message == "pool.welcome"
    assert heard[1:] == [("medium:pool", DeviceState.WORKS, "")]


def test_where_select_fails_the_next_medium_is_asked(
    terminal: Terminal, watch: DeviceWatch, heard: list[Any]
) -> None:
    broken = GuardedMedium(Pool("select", OSError("disk")), watch)
    assert tapped(terminal, broken, Pool("", None)).outcome.message == "pool.welcome"
    assert heard == [("medium:pool", DeviceState.RAISES, "OSError: disk")]


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
    result = GuardedWriter(Writer(error), "pool", watch).commit(ANY, ANY)
    assert isinstance(result, WriteUnknown)
    assert isinstance(result.cause, TransmissionError if isinstance(error, CardGone) else ProtocolError)


def test_a_journal_that_cannot_hold_the_intent_is_the_terminal_s_matter(watch: DeviceWatch) -> None:
    with pytest.raises(JournalError):
        GuardedWriter(Writer(JournalError("full", "Connect the network.")), "pool", watch).commit(ANY, ANY)


def test_before_the_intent_a_mistake_ends_the_tap(watch: DeviceWatch) -> None:
    with pytest.raises(MediumFailed):
        GuardedWriter(Writer(ValueError("amount")), "pool", watch).planned(ANY)


def test_what_cannot_say_what_became_of_a_write_deserves_another_try(watch: DeviceWatch) -> None:
    with pytest.raises(ProtocolError):
        GuardedWriter(Writer(ValueError("amount")), "pool", watch).became((1, 2), (1, 1))


class Greedy(Pool):
    """Asks the card for ever; `after` what it spends it recognises nothing."""

    def select(self, channel: CardChannel) -> bool:
        while True:
            channel.send(CommandApdu(0, 0xA4, 4, 0, b"pool"))


def test_a_select_without_end_leaves_the_exchanges_to_the_others(
    terminal: Terminal, watch: DeviceWatch, heard: list[Any]
) -> None:
    greedy = GuardedMedium(Greedy("", None), watch)
    report = tapped(terminal, greedy, Pool("", None))
    assert report.outcome.message == "pool.welcome"
    assert report.exchanges == SELECT_EXCHANGES
    assert heard[0][1] is DeviceState.RAISES
    assert tapped(terminal, greedy).outcome.message is Message.OUT_OF_ORDER


def test_an_unsupported_card_is_no_mistake(terminal: Terminal, watch: DeviceWatch, heard: list[Any]) -> None:
    report = tapped(terminal, GuardedMedium(Pool("open", UnsupportedCard("no file 1")), watch))
    assert (report.outcome.message, report.operator) == (Message.UNKNOWN_CARD, "pool: no file 1")
    assert heard == []


class Answers(Writer):
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def _answer(self, *_: object) -> Any:
        return self.answer

    planned = commit = became = _answer


@pytest.mark.parametrize(
    "planned",
    [
        PlannedWrite(wrong("text"), (), 0, 0, 0),
        PlannedWrite(b"", wrong(((1, 2),)), 0, 0, 0),
        PlannedWrite(b"", (), 0, wrong(0.5), 0),
        PlannedWrite(b"", (), 0, 2**70, 0),
    ],
)
def test_what_an_intent_row_cannot_hold_is_not_planned(watch: DeviceWatch, planned: PlannedWrite) -> None:
    with pytest.raises(MediumFailed):
        GuardedWriter(Answers(planned), "pool", watch).planned(ANY)


@pytest.mark.parametrize(
    "result", [WriteDone(wrong("x")), WriteDone(3, wrong("mac")), WriteUnknown(wrong(ValueError("x")))]
)
def test_a_result_that_no_row_can_hold_is_unknown(watch: DeviceWatch, result: object) -> None:
    writer = GuardedWriter(Answers(result), "pool", watch)
    assert isinstance(writer.commit(ANY, ANY), WriteUnknown)
    with pytest.raises(ProtocolError):
        writer.became((1, 2), (1, 1))
