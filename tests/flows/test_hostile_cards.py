"""Broken and hostile cards: bounded, a clear outcome, and the reader is ready for the next card."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cardproto.errors import CardGone
from sim.card.other import EndlessChainCard, RandomBytesCard, SilentCard, WrongLengthCard
from sim.card.port import SimCard
from sim.faults import endless_frames, replace
from terminal.journal.taps import End
from terminal.keys.file import FileKeys
from terminal.media.port import MAX_BYTES, MAX_EXCHANGES
from terminal.tap import Terminal, take_tap
from tests.flows.conftest import FRONT, OpenTown, resident_of
from tests.properties import examples

UID = bytes.fromhex("04A1B2C3D4E5F6")


def hostile_cards() -> list[SimCard]:
    return [
        SilentCard(UID),
        EndlessChainCard(UID),
        WrongLengthCard(UID),
        *(RandomBytesCard(n, UID) for n in range(20)),
    ]


@pytest.mark.parametrize("card", hostile_cards(), ids=lambda card: type(card).__name__)
def test_hostile_card_ends_in_a_clear_outcome(town_of: OpenTown, card: SimCard) -> None:
    with town_of("month_pass", stops=(FRONT,)) as town:
        town.cards["hostile"] = card
        report = town.tap(FRONT.number, "hostile").report
        assert report.end is End.NOTHING_WRITTEN
        assert report.outcome.message in ("read_again", "unknown_card")
        assert report.operator
        assert report.exchanges <= MAX_EXCHANGES
        assert report.apdu_bytes <= MAX_BYTES + 70_000, "at most one oversized answer past the limit"
        assert town.tap(FRONT.number, "month_pass").report.outcome.accepted, "ready for the next card"


@pytest.mark.parametrize("exchange", range(1, 9))
@pytest.mark.parametrize(
    "answer",
    [b"", b"\x91", b"\x90\x00", b"\x91\x00", b"\x91\xae", b"\x91\xca", b"\x61\x10", b"\x6c\x00", bytes(300)],
)
def test_any_wrong_answer_at_any_exchange(town_of: OpenTown, exchange: int, answer: bytes) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        before_minor = town.purses_minor()
        first = town.tap(FRONT.number, "adult_purse", replace(exchange, answer)).report
        town.clock.advance(5)
        second = town.tap(FRONT.number, "adult_purse").report
        assert second.outcome.accepted
        spent_minor = before_minor - town.purses_minor()
        assert spent_minor in (2400, 4800)
        if spent_minor == 4800:
            assert first.outcome.accepted, "two charges only for two accepted rides"


@pytest.mark.parametrize("exchange", range(1, 6))
@pytest.mark.parametrize("status", ["91AD", "91CA", "91EE", "910B", "911E", "6401", "6400"])
def test_passing_trouble_is_no_word_about_the_card(town_of: OpenTown, exchange: int, status: str) -> None:
    """Delayed, aborted, not answered: before anything is written the same card is asked for again."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        report = town.tap(FRONT.number, "adult_purse", replace(exchange, bytes.fromhex(status))).report
        assert (report.outcome.message, report.end) == ("read_again", End.NOTHING_WRITTEN)
        assert status in report.operator
        assert town.tap(FRONT.number, "adult_purse").report.outcome.accepted


@pytest.mark.parametrize(("exchange", "status"), [(1, "91A0"), (1, "6A82"), (4, "91F0"), (5, "919D")])
def test_a_final_word_is_an_unknown_card(town_of: OpenTown, exchange: int, status: str) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        report = town.tap(FRONT.number, "adult_purse", replace(exchange, bytes.fromhex(status))).report
        assert (report.outcome.message, report.end) == ("unknown_card", End.NOTHING_WRITTEN)


def test_terminal_with_other_keys_changes_nothing(town_of: OpenTown) -> None:
    """The card refuses a terminal whose keys are not its own: unknown card, on record, and nothing written."""
    with town_of("adult_purse", stops=(FRONT,)) as town:
        before = town.cards["adult_purse"].image()
        terminal = town.terminals[FRONT.number]
        medium = resident_of(terminal)
        keys = FileKeys({"validate": {1: bytes(range(16))}}, {"transport": bytes(32)}, {})
        medium.setup = structs.replace(medium.setup, keys=keys)
        report = town.tap(FRONT.number, "adult_purse").report
        assert report.outcome.message == "unknown_card"
        assert "91AE" in report.operator
        assert town.cards["adult_purse"].image() == before


@pytest.mark.parametrize("exchange", range(1, 9))
def test_endless_chaining_at_any_exchange(town_of: OpenTown, exchange: int) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        first = town.tap(
            FRONT.number, "adult_purse", endless_frames(exchange, b"\xaa" * 59 + b"\x91\xaf")
        ).report
        assert not first.outcome.accepted
        assert first.exchanges <= MAX_EXCHANGES
        town.clock.advance(5)
        assert town.tap(FRONT.number, "adult_purse").report.outcome.accepted


class ScriptedCard:
    """Answers with the given bytes, then leaves."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = iter(answers)

    def transmit(self, command: bytes) -> bytes:
        answer = next(self._answers, None)
        if answer is None:
            raise CardGone("left")
        return answer


@examples(200)
@given(
    answers=st.lists(
        st.binary(max_size=300) | st.binary(max_size=60).map(lambda b: b + b"\x91\x00"), max_size=12
    )
)
def test_any_bytes_end_in_an_outcome(any_terminal: Terminal, answers: list[bytes]) -> None:
    report = take_tap(ScriptedCard([UID + b"\x90\x00", *answers]), any_terminal)
    assert report.end is End.NOTHING_WRITTEN
    assert not report.outcome.accepted
