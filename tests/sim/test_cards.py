"""Foreign and hostile cards."""

from __future__ import annotations

import pytest

from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.errors import CardError, ExchangeTimeout, LimitExceeded, ProtocolError, StatusError
from cardproto.resident.layout import AID
from sim.card.other import (
    EndlessChainCard,
    ForeignDesfire,
    HostileCard,
    NotDesfire,
    RandomBytesCard,
    SilentCard,
    WrongLengthCard,
)
from tests.sim.bench import UID, ZERO, Bench, Counting


def test_foreign_desfire_is_genuine_without_our_application() -> None:
    card = ForeignDesfire(UID, Counting())
    assert Bench(card).wrapped(0x6A) == (0, bytes.fromhex("10A0F5"))
    assert Bench(card).authenticate(0, ZERO) == 0
    with pytest.raises(StatusError) as refused:
        DesfireCard(DesfireChannel(card)).select_application(AID)
    assert refused.value.sw == 0x91A0
    assert card.clone().image() == card.image()


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("905A000003015A4B00", "6E00"),
        ("00A4040009F04B5A484954454C0100", "6A82"),
        ("00A4040007F04F544845520100", "9000"),
        ("0084000008", "6D00"),
        ("80CA9F7F00", "6E00"),
        ("FFCA010000", "6A81"),
        ("60", "6700"),
        ("", "6700"),
    ],
)
def test_not_desfire_refuses_class_instruction_and_file(message: str, answer: str) -> None:
    card = NotDesfire(UID)
    card.power_on()
    assert card.transmit(bytes.fromhex(message)) == bytes.fromhex(answer)


def test_not_desfire_says_so_to_a_terminal() -> None:
    with pytest.raises(StatusError) as refused:
        DesfireCard(DesfireChannel(NotDesfire(UID))).select_application(AID)
    assert refused.value.sw == 0x6E00


@pytest.mark.parametrize(
    "card", [SilentCard(), EndlessChainCard(), WrongLengthCard(), RandomBytesCard(1), NotDesfire(UID)]
)
def test_every_card_shows_its_uid_to_the_reader(card) -> None:
    assert DesfireChannel(card).read_uid() == card.uid
    assert card.clone().image() == card.image()


@pytest.mark.parametrize(
    ("card", "error"),
    [
        (SilentCard(), ExchangeTimeout),
        (EndlessChainCard(), LimitExceeded),
        (WrongLengthCard(lengths=(1,)), ProtocolError),
        (WrongLengthCard(lengths=(0,)), ProtocolError),
        (WrongLengthCard(lengths=(18,)), ProtocolError),
    ],
)
def test_a_terminal_ends_a_hostile_card(card: HostileCard, error: type[CardError]) -> None:
    with pytest.raises(error):
        begin(DesfireCard(DesfireChannel(card)))


def begin(desfire: DesfireCard) -> None:
    desfire.select_application(AID)
    desfire.authenticate_ev2_first(1, AesAuthentication(AesKey(ZERO), bytes(16)))


def test_random_bytes_are_reproducible_and_all_sorts() -> None:
    answers = [RandomBytesCard(7).transmit(b"\x90\x60\0\0\0") for _ in range(2)]
    assert answers[0] == answers[1]
    card = RandomBytesCard(7)
    lengths = {len(card.transmit(b"\x90\x60\0\0\0")) for _ in range(300)}
    assert min(lengths) < 2
    assert max(lengths) > 256
    assert RandomBytesCard(8).transmit(b"\x90\x60\0\0\0") != answers[0]


def test_endless_chain_never_ends() -> None:
    card = EndlessChainCard(frame=b"")
    assert {card.transmit(b"\x90\xaf\0\0\0") for _ in range(50)} == {b"\x91\xaf"}
