"""The reset answers are published ones (pcsc-tools list, reader manuals), not made here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.atr import Atr, Storage, StorageCard, parse_atr
from cardproto.errors import FormatError

CLASSIC_1K = "3B8F8001804F0CA000000306030001000000006A"
PUBLISHED = [
    ("MIFARE Classic 1K", CLASSIC_1K, (0, 1), True, StorageCard.MIFARE_CLASSIC_1K),
    (
        "MIFARE Classic 4K",
        "3B8F8001804F0CA0000003060300020000000069",
        (0, 1),
        True,
        StorageCard.MIFARE_CLASSIC_4K,
    ),
    (
        "MIFARE Ultralight",
        "3B8F8001804F0CA0000003060300030000000068",
        (0, 1),
        True,
        StorageCard.MIFARE_ULTRALIGHT,
    ),
    ("St Petersburg unified card", "3B868001C1052F2F01BC7E", (0, 1), True, None),
    ("Mir, contact", "3B6B00000031C064084403930F9000", (0,), False, None),
    ("Mir, contact, another", "3B6E000080318066B0840C016E0183009000", (0,), False, None),
    ("Strelka, contact", "3B6B00000031C064080461770F9000", (0,), False, None),
    ("universal electronic card", "3B8C8001806411650190730000008107F9", (0, 1), True, None),
    ("DESFire", "3B8180018080", (0, 1), True, None),
]


@pytest.mark.parametrize(
    ("raw", "protocols", "contactless", "card"), [pytest.param(*row[1:], id=row[0]) for row in PUBLISHED]
)
def test_published(raw: str, protocols: tuple[int, ...], contactless: bool, card: StorageCard | None) -> None:
    atr = parse_atr(bytes.fromhex(raw))
    assert (atr.protocols, atr.contactless) == (protocols, contactless)
    assert (atr.storage.card if atr.storage else None) == card
    assert len(atr.historical) == atr.raw[1] & 0x0F


def test_a_storage_card_is_named_with_its_standard() -> None:
    assert parse_atr(bytes.fromhex(CLASSIC_1K)).storage == Storage(standard=0x03, name=0x0001)


def test_a_readers_own_code_is_a_storage_card_nobody_knows() -> None:
    raw = bytearray.fromhex(CLASSIC_1K)
    raw[-1] ^= raw[13] ^ raw[14] ^ 0xFF ^ 0x88
    raw[13:15] = b"\xff\x88"
    storage = parse_atr(bytes(raw)).storage
    assert storage == Storage(0x03, 0xFF88)
    assert storage.card is None


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", "0 bytes"),
        ("3B", "1 bytes"),
        ("3B" + "00" * 33, "34 bytes"),
        ("3C00", "first byte 3C"),
        ("3B8180018081", "check byte"),
        ("3B81800180", "do not fit"),
        ("3B818001808000", "do not fit"),
        ("3B81", "inside its interface bytes"),
        ("3BF011", "inside its interface bytes"),
        ("3B0500", "do not fit"),
    ],
)
def test_refused(raw: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        parse_atr(bytes.fromhex(raw))


@given(st.integers(0, 19), st.integers(1, 255))
def test_every_changed_byte_of_a_storage_atr_is_noticed(at: int, flip: int) -> None:
    raw = bytearray.fromhex(CLASSIC_1K)
    raw[at] ^= flip
    try:
        atr = parse_atr(bytes(raw))
    except FormatError:
        return
    assert at < 4, "a changed byte that the check byte covers"
    assert isinstance(atr, Atr)


@given(st.binary(max_size=40) | st.binary(max_size=33).map(lambda rest: b"\x3b" + rest))
def test_any_bytes_are_an_atr_or_an_error_of_ours(raw: bytes) -> None:
    try:
        atr = parse_atr(raw)
    except FormatError:
        return
    assert atr.raw == raw
    assert len(atr.historical) == raw[1] & 0x0F
