"""Whole conversations that were made apart from this code: what is sent, and what comes out of them."""

from __future__ import annotations

from datetime import date

import pytest

from cardproto.emv import tags
from cardproto.emv.authentication import OfflineMethod
from cardproto.emv.signatures import CryptogramKind
from tests.cardproto.emv.vectors import CDA, DDA, FDDA, answering_cryptogram, own_card, own_transcripts, read


@pytest.mark.parametrize("name", [CDA, FDDA])
def test_exactly_the_transcript_is_sent(name: str) -> None:
    card = own_card(name)
    read(card)
    assert [len(card.sent), set(card.sent)] == [len(own_transcripts()[name]["apdus"]), set(card.answers)]


def test_cda() -> None:
    reading = read(own_card(CDA))
    expected = own_transcripts()[CDA]["expect"]
    assert reading.authentication.genuine
    assert reading.authentication.method is OfflineMethod.CDA
    assert reading.authentication.proof.dynamic_number.hex().upper() == expected["icc_dynamic_number"]
    assert reading.cryptogram is not None
    assert reading.cryptogram.value.hex().upper() == expected["cryptogram"]
    assert reading.cryptogram.kind is CryptogramKind.TC
    assert (reading.cryptogram.counter, reading.cryptogram.issuer_data.hex().upper()) == (
        b"\x00\x21",
        "06010A03A4A800",
    )


def test_fdda() -> None:
    reading = read(own_card(FDDA))
    assert reading.authentication.genuine
    assert reading.authentication.method is OfflineMethod.FDDA
    assert reading.authentication.proof.dynamic_number.hex() == "0021"
    assert reading.cryptogram is not None
    assert reading.cryptogram.value.hex().upper() == "08653EF4B2B21A2D"
    assert {tags.TAG_ATC, tags.TAG_CARD_AUTHENTICATION_RELATED} <= reading.authentication.signed_tags


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("801280002101020304050607080A0B0C0D0E0F109000", CryptogramKind.ARQC),
        ("77199F2701809F360200219F260801020304050607089F10020A0B9000", CryptogramKind.ARQC),
    ],
)
def test_dda_and_then_the_cryptogram_for_its_issuer(answer: str, kind: CryptogramKind) -> None:
    card = answering_cryptogram(own_card(DDA), answer)
    reading = read(card, asked=CryptogramKind.ARQC)
    assert reading.authentication.genuine
    assert reading.authentication.method is OfflineMethod.DDA
    assert reading.authentication.proof.dynamic_number.hex().upper() == "826D4677DFA79F18"
    assert reading.cryptogram is not None
    assert (reading.cryptogram.kind, reading.cryptogram.value) == (kind, bytes(range(1, 9)))
    assert card.sent[-2].startswith("00880000"), "asked for a signature first"
    assert card.sent[-1].startswith("80AE8000"), "ARQC, not to be signed again"
    assert len(card.sent) == 10


def test_what_the_card_said() -> None:
    opened = read(own_card(CDA)).opened
    assert (opened.application.aid.hex().upper(), opened.application.label) == ("A0000006581010", b"MIR")
    assert (opened.pan.in_clear, opened.sequence, opened.expires_on) == (
        "2200000000000004",
        1,
        date(2030, 12, 31),
    )


def test_what_the_signature_covers() -> None:
    signed = read(own_card(CDA)).authentication.signed_tags
    assert {tags.TAG_PAN, tags.TAG_EXPIRY, tags.TAG_SEQUENCE, tags.TAG_AIP, tags.TAG_CRYPTOGRAM} <= signed
    assert not {tags.TAG_TRACK_2, tags.TAG_HOLDER} & signed, "read from a record that is not signed"


@pytest.mark.parametrize(
    ("at", "holds"), [((2030, 12, 31), True), ((2031, 1, 1), False), ((2026, 11, 21), True)]
)
def test_a_card_says_how_long_it_holds(at: tuple[int, int, int], holds: bool) -> None:
    assert read(own_card(CDA)).in_force(date(*at)) is holds


@pytest.mark.parametrize("name", [CDA, FDDA, DDA])
def test_another_random_number_is_not_signed(name: str) -> None:
    """A recorded card: it answers whatever it is asked with what it once signed."""
    card = own_card(name)
    card.by_header = True
    reading = read(card, draw=lambda size: bytes(range(size)))
    assert not reading.authentication.genuine
    assert reading.authentication.fault == "signature_hash"
    assert reading.authentication.signed_tags == frozenset()
    assert reading.cryptogram is None
