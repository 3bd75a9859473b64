"""Each verdict of the vectors, by its name there: what is changed, and what must be found."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha1

import pytest

from cardproto.emv.faults import ChainFault
from cardproto.emv.keys import CaKeys, RevokedCertificate, Trust
from cardproto.emv.reading import BankReading
from tests.cardproto.emv.signing import changed, put
from tests.cardproto.emv.vectors import (
    CDA,
    MIR,
    OWN,
    UNPREDICTABLE,
    TranscriptCard,
    ca_key,
    own_card,
    own_chain,
    own_trust,
    read,
)

CHAIN = own_chain()
TAGS = CHAIN["tags"]
SERIAL = bytes.fromhex(CHAIN["expect"]["issuer"]["serial"])


def card(command: str, before: str, after: str) -> TranscriptCard:
    """The card with CDA, one text of one answer replaced."""
    return own_card(CDA).change(command, lambda answer: answer.replace(before, after, 1))


def on(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


def issuer_from(day: date) -> BankReading:
    """A transaction on another day: certificates are looked at before the signature, which is of the first day."""
    return read(by_header(own_card(CDA)), at=on(day.year, day.month, day.day))


def by_header(one: TranscriptCard) -> TranscriptCard:
    one.by_header = True
    return one


def without_remainder() -> TranscriptCard:
    return card("00B2011C", "9204" + TAGS["92"], "9200").change(
        "00B2011C", lambda answer: f"{answer[:2]}{int(answer[2:4], 16) - 4:02X}{answer[4:]}"
    )


def flipped(text: str, at: int = 20) -> str:
    return text[:at] + f"{int(text[at], 16) ^ 1:X}" + text[at + 1 :]


def signature_of_another_kind() -> TranscriptCard:
    """TC outside, ARQC inside, and everything else right."""
    answer = own_card(CDA).answers["80AE50001E000000004300000000000000064300000000000643261121008F21C0DE25"]
    before = answer.partition("9F4B8180")[2][:256]
    after = changed("icc", bytes.fromhex(before), UNPREDICTABLE, put(13, "80"))
    return card("80AE", before, after.hex().upper())


def of_another_index() -> Trust:
    """The same key under the next number, with a checksum of its own."""
    ca = CHAIN["ca"]
    named = MIR + b"\xe8" + bytes.fromhex(ca["modulus"] + ca["exponent"])
    return Trust(CaKeys([ca_key(ca, index=0xE8, checksum=sha1(named).digest())]))


REVOKED = Trust(own_trust().keys, frozenset({RevokedCertificate(MIR, 0xE7, SERIAL)}))
CASES: dict[str, tuple[Callable[[], BankReading], str | None]] = {
    "ca-unknown": (lambda: read(own_card(CDA), of_another_index()), "ca_key_unknown"),
    "issuer-cert-bit": (
        lambda: read(card("00B2021C", TAGS["90"], flipped(TAGS["90"]))),
        "issuer_certificate_format",
    ),
    "issuer-exp-swap": (lambda: read(card("00B2011C", "9F320103", "9F320102")), "issuer_certificate_hash"),
    "issuer-remainder-missing": (lambda: read(without_remainder()), "issuer_certificate_key"),
    "pan-bin-mismatch": (lambda: read(without_track_2("2200010000000004")), "issuer_certificate_number"),
    "issuer-cert-expired": (lambda: issuer_from(date(2036, 1, 1)), "issuer_certificate_expired"),
    "issuer-cert-last-day": (lambda: issuer_from(date(2035, 12, 31)), "card_certificate_expired"),
    "icc-cert-expired": (lambda: issuer_from(date(2031, 1, 1)), "card_certificate_expired"),
    "static-tampered": (
        lambda: read(card("00B20114", "5F2403301231", "5F2403311231")),
        "card_certificate_hash",
    ),
    "aip-tampered": (lambda: read(card("80A8", "82021980", "82021981")), "card_certificate_hash"),
    "un-mismatch": (
        lambda: read(by_header(own_card(CDA)), draw=bytes),
        "signature_hash",
    ),
    "cda-response-tampered": (lambda: read(card("80AE", "9F36020021", "9F36020022")), "transaction_hash"),
    "cda-cid-mismatch": (lambda: read(signature_of_another_kind()), "signature_kind"),
    "crl": (lambda: read(own_card(CDA), REVOKED), "issuer_certificate_revoked"),
    "short-sdad": (lambda: read(cut_signature()), "signature_length"),
}


def without_track_2(number: str) -> TranscriptCard:
    """Another number in tag 5A; track 2, which would contradict it, is not there."""
    one = card("00B20114", "5A082200000000000004", "5A08" + number)
    return one.change("00B2010C", lambda answer: "7000" + "9000")


def cut_signature() -> TranscriptCard:
    """The signature one byte shorter, its length and the template's with it."""

    def cut(answer: str) -> str:
        head, _, rest = answer.partition("9F4B8180")
        return f"7781{int(head[4:6], 16) - 1:02X}{head[6:]}9F4B817F{rest[:254]}{rest[256:]}"

    return own_card(CDA).change("80AE", cut)


def test_every_verdict_has_its_case() -> None:
    listed = json.loads(OWN.read_text(encoding="utf-8"))["verdicts"]
    assert [one["id"] for one in listed] == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_verdict(name: str) -> None:
    case, fault = CASES[name]
    reading = case()
    assert reading.authentication.fault == (None if fault is None else ChainFault(fault))
    assert not reading.authentication.genuine
    assert reading.authentication.signed_tags == frozenset()
    assert reading.cryptogram is None


def test_the_last_day_of_the_month_is_in_it() -> None:
    """Where the vectors' month-end is hidden by another fault: the card's certificate on its own last day."""
    reading = read(by_header(own_card(CDA)), at=on(2030, 12, 31))
    assert reading.authentication.fault is ChainFault.TRANSACTION_HASH, (
        "the date is in what the card signed, no more"
    )
