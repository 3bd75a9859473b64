"""Readers that do not say which UID a card has: the card is asked, and staff hear of the reader."""

from __future__ import annotations

import pytest

from sim.card.port import SimCard
from terminal.lab.town import Town
from terminal.tap import take_tap
from terminal.tap_report import TapReport
from tests.flows.conftest import FRONT, OpenTown

NO_UID = bytes.fromhex("6A81")


class WithoutUid:
    """The card on a reader that answers GET DATA with `answer`."""

    def __init__(self, card: SimCard, answer: bytes = NO_UID) -> None:
        self._card = card
        self._answer = answer

    def transmit(self, command: bytes) -> bytes:
        return self._answer if command[:1] == b"\xff" else self._card.transmit(command)


def tap(town: Town, resident: str, answer: bytes = NO_UID) -> TapReport:
    town.clock.advance(400)
    card = town.cards[resident]
    card.power_on()
    return take_tap(WithoutUid(card, answer), town.terminals[FRONT.number])


@pytest.mark.parametrize(
    "resident", ["adult_purse", "month_pass", "month_pass_ev1", "adult_purse_random_uid"]
)
@pytest.mark.parametrize("answer", ["6A81", "6300", "9000"])
def test_the_card_is_asked_itself(town_of: OpenTown, resident: str, answer: str) -> None:
    """Three exchanges more, whatever the reader answers, and the same card is known as by another reader."""
    with town_of(resident, stops=(FRONT,)) as town:
        usual = town.tap(FRONT.number, resident).report
        report = tap(town, resident, bytes.fromhex(answer))
        assert report.outcome.accepted, report
        assert report.card_ref == usual.card_ref
        assert report.exchanges - usual.exchanges in (3, 5), (
            "two more where the first card's version was learnt"
        )
        assert report.uid_by_reader is False
