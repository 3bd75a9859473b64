"""One chip with the resident and a bank application, and bank cards at a terminal that takes resident cards only."""

from __future__ import annotations

import pytest

from sim.card.port import SimCard
from sim.emv.card import DualCard
from sim.faults import tear_after
from sim.profile import load_profile, profile_names
from terminal.journal.records import Unwritten, parse_record
from terminal.journal.taps import End
from terminal.lab.town import Town
from terminal.messages import Message
from tests.flows.conftest import FRONT, OpenTown
from tests.sim.emv.judge import Judge

BANK_ONLY = [name for name in profile_names() if load_profile(name).card.kind == "bank"]
DUAL, PLAIN = "resident_bank", "adult_purse"


class Overheard:
    """A card, and every byte that was said to it and by it."""

    def __init__(self, card: SimCard) -> None:
        self._card = card
        self.uid, self.atr = card.uid, card.atr
        self.power_on, self.power_off = card.power_on, card.power_off
        self.image, self.clone = card.image, card.clone
        self.said: list[tuple[bytes, bytes]] = []

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        self.said.append((command, answer))
        return answer


def conversation(town_of: OpenTown, name: str) -> tuple[list[tuple[bytes, bytes]], object]:
    with town_of(name, stops=(FRONT,), folder=name) as town:
        overheard = Overheard(town.cards[name])
        town.cards[name] = overheard
        report = town.tap(FRONT.number, name).report
        seen = (report.outcome, report.end, report.exchanges, report.apdu_bytes, report.card_ref)
        return overheard.said, seen


def test_a_resident_tap_of_the_chip_with_both_is_the_same_to_the_byte(town_of: OpenTown) -> None:
    said, seen = conversation(town_of, DUAL)
    assert (said, seen) == conversation(town_of, PLAIN)
    assert len(said) > 7


def dual(town: Town) -> DualCard:
    card = town.cards[DUAL]
    assert isinstance(card, DualCard)
    return card


def test_both_sides_of_the_chip_work_one_after_the_other(town_of: OpenTown) -> None:
    with town_of(DUAL, stops=(FRONT,)) as town:
        card = dual(town)
        purse = card.image()["applications"]["4B5A01"]["files"]["03"]["value"]  # type: ignore[index,call-overload]
        card.power_on()
        judge = Judge(card)
        judge.select()
        judge.start()
        assert judge.cda()[0] == 0x40
        assert town.tap(FRONT.number, DUAL).report.outcome.accepted
        after = card.image()
        assert after["applications"]["4B5A01"]["files"]["03"]["value"] < purse  # type: ignore[index,call-overload]
        assert after["bank"]["applications"][0]["atc"] == 1  # type: ignore[index,call-overload]
        assert card.clone().image() == after


def test_a_native_command_leaves_the_bank_application_and_a_selection_leaves_the_session(
    town_of: OpenTown,
) -> None:
    with town_of(DUAL, stops=(FRONT,)) as town:
        card = dual(town)
        card.power_on()
        resident = bytes.fromhex("905A000003015A4B00")
        assert card.transmit(bytes.fromhex("00A4040007A000000658101000"))[-2:] == b"\x90\0"
        assert card.transmit(bytes.fromhex("00B2010C00"))[-2:] == b"\x90\0"
        assert card.transmit(resident) == b"\x91\0"
        assert card.transmit(bytes.fromhex("00B2010C00"))[-2:] == b"\x6d\0", "DESFire has no such command"
        assert card.transmit(bytes.fromhex("80A8000002830000"))[-2:] == b"\x69\x85"
        begun = bytes.fromhex("9071000002010000")
        assert card.transmit(begun)[-2:] == b"\x91\xaf"
        assert card.transmit(bytes.fromhex("00A4040007A000000658101000"))[-2:] == b"\x90\0"
        token = b"\x90\xaf\0\0\x20" + bytes(33)
        assert card.transmit(token)[-2:] != b"\x91\0", "the authentication ended with the selection"


def test_a_torn_resident_tap_of_the_chip_with_both_is_settled(town_of: OpenTown) -> None:
    with town_of(DUAL, stops=(FRONT,)) as town:
        first = town.tap(FRONT.number, DUAL, tear_after(8)).report
        assert first.end is End.UNRESOLVED
        assert town.tap(FRONT.number, DUAL).report.end is not End.UNRESOLVED


@pytest.mark.parametrize("name", BANK_ONLY)
def test_a_bank_card_alone_is_refused_in_clear_words(town_of: OpenTown, name: str) -> None:
    with town_of(name, stops=(FRONT,)) as town:
        report = town.tap(FRONT.number, name).report
        assert report.outcome.message == Message.UNKNOWN_CARD
        assert (report.end, report.exchanges) == (End.NOTHING_WRITTEN, 1)
        row = parse_record(town.terminals[FRONT.number].journal.rows()[-1].body)
        assert isinstance(row, Unwritten)
        assert row.card_ref is None
