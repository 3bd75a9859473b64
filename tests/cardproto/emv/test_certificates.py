"""Every field of certificates and signatures counts: each is wrong alone, everything else right, hash included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

import pytest

from cardproto.emv.authentication import Evidence, OfflineMethod, authenticate
from cardproto.emv.certificates import card_key, issuer_key
from cardproto.emv.faults import ChainBroken, ChainFault
from cardproto.emv.keys import RsaKey
from cardproto.emv.numbers import Pan
from cardproto.emv.records import CardData
from cardproto.emv.signatures import FORMAT_DYNAMIC, check_dynamic, check_static, dynamic_number
from tests.cardproto.emv.signing import Change, changed, opened, put, signed
from tests.cardproto.emv.vectors import (
    DDA,
    UNPREDICTABLE,
    ca_key,
    chain_data,
    chain_pan,
    own_card,
    own_chain,
    own_trust,
)

CHAIN: Final = own_chain()
PAN: Final = chain_pan(CHAIN)
DAY: Final = date(2026, 11, 21)
TAGS: Final = {int(tag, 16): bytes.fromhex(value) for tag, value in CHAIN["tags"].items()}
STATIC: Final = bytes.fromhex(CHAIN["static_data_to_authenticate"])
ISSUER_BEHIND: Final = TAGS[0x92] + TAGS[0x9F32]
CARD_BEHIND: Final = TAGS[0x9F48] + TAGS[0x9F47] + STATIC
SDAD: Final = bytes.fromhex(
    own_card(DDA).answers["00880000048F21C0DE"].partition("9F4B8180")[2].removesuffix("9000")
)


def public(owner: str) -> RsaKey:
    return RsaKey.from_bytes(bytes.fromhex(CHAIN["expect"][owner]["modulus"]), b"\x03")


def issuer_fault(certificate: bytes, pan: Pan = PAN, on: date = DAY) -> str | None:
    try:
        key = issuer_key(chain_data(CHAIN, t90=certificate), pan, ca_key(CHAIN["ca"]), on, frozenset())
    except ChainBroken as broken:
        return broken.fault.removeprefix("issuer_certificate_")
    assert key == public("issuer")
    return None


def card_fault(certificate: bytes, pan: Pan = PAN, on: date = DAY) -> str | None:
    try:
        key = card_key(chain_data(CHAIN, t9F46=certificate), pan, public("issuer"), on)
    except ChainBroken as broken:
        return broken.fault.removeprefix("card_certificate_")
    assert key == public("icc")
    return None


def static_fault(signature: bytes) -> str | None:
    try:
        code = check_static(chain_data(CHAIN, t93=signature), public("issuer"))
    except ChainBroken as broken:
        return broken.fault.removeprefix("static_signature_")
    assert code.hex().upper() == CHAIN["expect"]["ssad"]["data_authentication_code"]
    return None


def dynamic_fault(signature: bytes | None) -> str | None:
    evidence = Evidence(
        *(bytes.fromhex(CHAIN["ca"]["rid"]), chain_data(CHAIN), PAN, OfflineMethod.DDA),
        *(signature, UNPREDICTABLE),
    )
    fault = authenticate(evidence, own_trust(), DAY).fault
    return None if fault is None else fault.removeprefix("signature_")


def test_the_vectors_are_good_before_they_are_changed() -> None:
    assert issuer_fault(TAGS[0x90]) is None
    assert card_fault(TAGS[0x9F46]) is None
    assert static_fault(TAGS[0x93]) is None
    assert dynamic_fault(SDAD) is None


ISSUER_FIELDS: Final = [
    ("header", put(0, "6B"), "format"),
    ("format", put(1, "04"), "format"),
    ("issuer's digits", put(2, "220001"), "number"),
    ("issuer of two digits", put(2, "22FFFFFF"), "number"),
    ("issuer of no digits", put(2, "FFFFFFFF"), "number"),
    ("issuer's digits are none", put(2, "22AAFFFF"), "number"),
    ("month", put(6, "1025"), "expired"),
    ("month is none", put(6, "1335"), "expired"),
    ("month is no number", put(6, "AA35"), "expired"),
    ("year of the last century", put(6, "1299"), "expired"),
    ("hash algorithm", put(11, "02"), "algorithm"),
    ("key algorithm", put(12, "02"), "algorithm"),
    ("key longer than what is there", put(13, "91"), "key"),
    ("key shorter than what is there", put(13, "8F"), "key"),
    ("length of exponent", put(14, "03"), "key"),
    ("trailer", put(-1, "BD"), "format"),
]
CARD_FIELDS: Final = [
    ("header", put(0, "6B"), "format"),
    ("format", put(1, "02"), "format"),
    ("a digit", put(9, "05"), "number"),
    ("a digit more", put(10, "0F"), "number"),
    ("a letter", put(10, "DF"), "number"),
    ("month", put(12, "1026"), "expired"),
    ("month is none", put(12, "0030"), "expired"),
    ("hash algorithm", put(17, "02"), "algorithm"),
    ("key algorithm", put(18, "03"), "algorithm"),
    ("key longer than what is there", put(19, "81"), "key"),
    ("key shorter than what is there", put(19, "7F"), "key"),
    ("length of exponent", put(20, "00"), "key"),
    ("trailer", put(-1, "CC"), "format"),
]
STATIC_FIELDS: Final = [
    ("header", put(0, "6B"), "format"),
    ("format", put(1, "05"), "format"),
    ("hash algorithm", put(2, "02"), "algorithm"),
    ("trailer", put(-1, "BD"), "format"),
]
DYNAMIC_FIELDS: Final = [
    ("header", put(0, "6B"), "format"),
    ("format of static data", put(1, "03"), "format"),
    ("format of fDDA", put(1, "95"), "format"),
    ("hash algorithm", put(2, "02"), "algorithm"),
    ("more dynamic data than fit", put(3, "FF"), "number"),
    ("one byte more than fits", put(3, bytes((128 - 24,))), "number"),
    ("no dynamic data", put(3, "00"), "number"),
    ("a number of one byte", put(4, "01"), "number"),
    ("a number of nine bytes", put(4, "09"), "number"),
    ("trailer", put(-1, "BD"), "format"),
]


def named(fields: Iterable[tuple[str, Change, str]]) -> list[object]:
    return [pytest.param(change, fault, id=name) for name, change, fault in fields]


@pytest.mark.parametrize(("change", "fault"), named(ISSUER_FIELDS))
def test_issuer_certificate(change: Change, fault: str) -> None:
    certificate = changed("ca", TAGS[0x90], ISSUER_BEHIND, change)
    assert issuer_fault(certificate) == fault


@pytest.mark.parametrize(("change", "fault"), named(CARD_FIELDS))
def test_card_certificate(change: Change, fault: str) -> None:
    assert card_fault(changed("issuer", TAGS[0x9F46], CARD_BEHIND, change)) == fault


@pytest.mark.parametrize(("change", "fault"), named(STATIC_FIELDS))
def test_static_signature(change: Change, fault: str) -> None:
    assert static_fault(changed("issuer", TAGS[0x93], STATIC, change)) == fault


@pytest.mark.parametrize(("change", "fault"), named(DYNAMIC_FIELDS))
def test_dynamic_signature(change: Change, fault: str) -> None:
    assert dynamic_fault(changed("icc", SDAD, UNPREDICTABLE, change)) == fault


@pytest.mark.parametrize(
    ("owner", "certificate", "check"),
    [
        ("ca", TAGS[0x90], issuer_fault),
        ("issuer", TAGS[0x9F46], card_fault),
        ("issuer", TAGS[0x93], static_fault),
        ("icc", SDAD, dynamic_fault),
    ],
    ids=["issuer", "card", "static", "dynamic"],
)
def test_any_byte_of_a_block_changed_without_its_hash_is_noticed(
    owner: str, certificate: bytes, check: Callable[[bytes], str | None]
) -> None:
    block = opened(owner, certificate)
    for at in range(len(block)):
        wrong = bytearray(block)
        wrong[at] ^= 0x01
        assert check(signed(owner, bytes(wrong))) is not None, at


@pytest.mark.parametrize("tag", [0x92, 0x9F32], ids="{:X}".format)
def test_what_stands_outside_the_issuers_certificate_is_covered(tag: int) -> None:
    _outside_is_covered(tag, lambda data: issuer_key(data, PAN, ca_key(CHAIN["ca"]), DAY, frozenset()))


@pytest.mark.parametrize("tag", [0x9F48, 0x9F47], ids="{:X}".format)
def test_what_stands_outside_the_cards_certificate_is_covered(tag: int) -> None:
    _outside_is_covered(tag, lambda data: card_key(data, PAN, public("issuer"), DAY))


def _outside_is_covered(tag: int, check: Callable[[CardData], object]) -> None:
    for at in range(len(TAGS[tag])):
        wrong = bytearray(TAGS[tag])
        wrong[at] ^= 0x01
        with pytest.raises(ChainBroken, match="_hash"):
            check(chain_data(CHAIN, **{f"t{tag:X}": bytes(wrong)}))
    with pytest.raises(ChainBroken, match="_key"):
        check(chain_data(CHAIN, **{f"t{tag:X}": TAGS[tag] + b"\0"}))


def test_every_byte_of_the_static_data_is_covered() -> None:
    for at in range(len(STATIC)):
        wrong = bytearray(STATIC)
        wrong[at] ^= 0x80
        with pytest.raises(ChainBroken, match="card_certificate_hash"):
            card_key(chain_data(CHAIN, static=bytes(wrong)), PAN, public("issuer"), DAY)


@pytest.mark.parametrize(
    ("on", "fault"), [(date(2035, 12, 31), None), (date(2036, 1, 1), "expired"), (date(2020, 1, 1), None)]
)
def test_an_issuers_certificate_holds_to_the_end_of_its_month(on: date, fault: str | None) -> None:
    assert issuer_fault(TAGS[0x90], on=on) == fault


@pytest.mark.parametrize(("on", "fault"), [(date(2030, 12, 31), None), (date(2031, 1, 1), "expired")])
def test_a_cards_certificate_holds_to_the_end_of_its_month(on: date, fault: str | None) -> None:
    assert card_fault(TAGS[0x9F46], on=on) == fault


@pytest.mark.parametrize("size", [0, 1, 127, 129, 175, 177, 300])
def test_another_length_is_a_verdict(size: int) -> None:
    assert issuer_fault(bytes(size)) == ("missing" if not size else "length")
    assert card_fault(bytes(size)) == ("missing" if not size else "length")
    assert dynamic_fault(bytes(size)) == ("missing" if not size else "length")


def test_a_number_beyond_the_modulus_is_no_signature() -> None:
    """The same residue a second time: it would recover to the same block."""
    modulus = int(CHAIN["expect"]["icc"]["modulus"], 16)
    again = (int.from_bytes(SDAD, "big") + modulus).to_bytes(129, "big")
    assert dynamic_fault(again) == "length"
    assert dynamic_fault(modulus.to_bytes(128, "big")) == "format"


def test_dynamic_data_may_fill_the_block() -> None:
    assert dynamic_fault(changed("icc", SDAD, UNPREDICTABLE, put(3, bytes((128 - 25,))))) is None


def test_dynamic_data_end_where_their_length_says() -> None:
    dynamic = check_dynamic(public("icc"), SDAD, FORMAT_DYNAMIC, UNPREDICTABLE)
    assert dynamic == b"\x08" + bytes.fromhex("826D4677DFA79F18")


def test_a_missing_signature_is_a_verdict() -> None:
    assert dynamic_fault(None) == "missing"


@pytest.mark.parametrize(
    "dynamic", [b"", b"\x08", b"\x08" + bytes(7), b"\x01\x00", b"\x09" + bytes(9), b"\0"]
)
def test_a_malformed_dynamic_number_is_a_verdict(dynamic: bytes) -> None:
    with pytest.raises(ChainBroken, match=ChainFault.SIGNATURE_NUMBER):
        dynamic_number(dynamic)


@pytest.mark.parametrize("size", [2, 8])
def test_a_dynamic_number(size: int) -> None:
    number = bytes(range(1, size + 1))
    assert dynamic_number(bytes((size,)) + number + b"\xee") == number
