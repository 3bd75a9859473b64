"""An auditor believes a card's own word, all of it, and is given no more than one transaction's key for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, session_mac_key, tmi, transaction_mac_value
from terminal.audit.proofs import (
    MOST_COUNTER,
    MOST_INPUT_BYTES,
    CardWord,
    SessionCard,
    answered,
    question_of,
    session_key,
)
from terminal.collector.proof import Proof, check_proof
from terminal.collector.registry import CardRegistry, CardSecret, ProvingCard
from tests.terminal.journal.samples import CARD, committed, fitting, intent

ROW = (7, 41)
UID = bytes.fromhex("04a1b2c3d4e5f6")
KEY = AesKey(bytes(range(16)))
REGISTRY = CardRegistry({CARD: CardSecret(UID, KEY)})
RIDE = fitting(intent(), *ROW)
COVERED = tmi(DataCommand(*command) for command in RIDE.proof)
VALUE = transaction_mac_value(KEY, UID, 5, COVERED)
SESSION = session_mac_key(KEY, 5, UID)


@pytest.mark.parametrize(
    ("key", "commands", "value", "genuine"),
    [
        (SESSION, COVERED, VALUE, True),
        (SESSION, COVERED, VALUE[:7], False),
        (SESSION, COVERED, b"", False),
        (SESSION, COVERED, VALUE + b"\0", False),
        (SESSION, COVERED, bytes(8), False),
        (SESSION, COVERED + bytes(16), VALUE, False),
        (session_mac_key(KEY, 6, UID), COVERED, VALUE, False),
        (b"", COVERED, VALUE, False),
        (SESSION[:15], COVERED, VALUE, False),
    ],
)
def test_only_the_whole_value_under_the_whole_key_is_the_cards(
    key: bytes, commands: bytes, value: bytes, genuine: bool
) -> None:
    assert SessionCard(key).gave(5, commands, value) is genuine


def test_a_bundle_gets_the_key_of_one_transaction_and_of_a_known_card_only() -> None:
    assert session_key(REGISTRY, CARD, 5) == SESSION
    assert session_key(REGISTRY, b"other", 5) is None
    for counter in (None, -1, MOST_COUNTER + 1):
        assert session_key(REGISTRY, CARD, counter) == b""
    for counter in (0, MOST_COUNTER):
        assert session_key(REGISTRY, CARD, counter) == session_mac_key(KEY, counter, UID)
    assert MOST_COUNTER == 0xFFFF_FFFF
    assert KEY not in vars(SessionCard).values()
    assert SESSION.hex() not in repr(SessionCard(SESSION))


def test_a_service_is_asked_about_a_row_as_its_card_saw_it() -> None:
    asked = question_of(RIDE, committed(41, tmc=5, tmv=VALUE))
    assert (asked.card_ref, asked.tmc, asked.tmv, asked.commands) == (CARD, 5, VALUE, COVERED)
    nothing = question_of(RIDE, committed(41, tmc=None, tmv=b""))
    assert (nothing.card_ref, nothing.tmc, nothing.tmv, nothing.commands) == (CARD, 0, b"", b"")
    for end in (
        committed(41, tmc=-1, tmv=VALUE),
        committed(41, tmc=MOST_COUNTER + 1, tmv=VALUE),
        committed(41, tmc=5, tmv=b""),
    ):
        assert question_of(RIDE, end) == nothing
    for counter in (0, MOST_COUNTER):
        asked = question_of(RIDE, committed(41, tmc=counter, tmv=VALUE))
        assert (asked.tmc, asked.tmv) == (counter, VALUE)


def test_what_a_false_row_holds_is_asked_within_the_services_limits() -> None:
    false = replace(
        RIDE,
        card_ref=bytes(99),
        proof=((-1, b"", b""), (256, b"", b""), (0, b"", b""), (255, b"", bytes(99_999))),
    )
    asked = question_of(false, committed(41, tmc=5, tmv=bytes(99)))
    assert (len(asked.card_ref), asked.tmv) == (32, bytes(8))
    assert len(asked.commands) == MOST_INPUT_BYTES == 8192
    assert asked.commands[:32] == bytes(16) + b"\xff" + bytes(15)
    assert question_of(replace(RIDE, card_ref=b""), committed(41, tmc=5, tmv=VALUE)).card_ref == b"\0"


class OneRow:
    """The cards of a service's answers, asked about row 41."""

    def __init__(self, cards: Mapping[int, ProvingCard]) -> None:
        self._cards = cards

    def __bool__(self) -> bool:
        return True

    def card(self, card_ref: bytes, _tmc: int | None = None) -> ProvingCard | None:
        return self._cards.get(41) if card_ref == CARD else None


@pytest.mark.parametrize(
    ("word", "tmc", "proof"),
    [
        (CardWord.GENUINE, 5, Proof.PROVEN),
        (CardWord.NOT_GENUINE, 5, Proof.FAILED),
        (CardWord.KNOWN, 5, Proof.FAILED),
        (CardWord.CANNOT_PROVE, 5, Proof.FAILED),
        (CardWord.UNKNOWN_CARD, 5, Proof.UNKNOWN_CARD),
        (CardWord.KNOWN, None, Proof.NO_PROOF),
        (CardWord.CANNOT_PROVE, None, Proof.CANNOT_PROVE),
    ],
)
def test_a_services_answer_stands_for_the_card_in_that_row(
    word: CardWord, tmc: int | None, proof: Proof
) -> None:
    cards = OneRow(answered({41: word, 42: CardWord.GENUINE}))
    end = committed(41, tmc=tmc, tmv=VALUE if tmc else b"")
    assert check_proof(ROW, RIDE, end, cards).proof is proof
