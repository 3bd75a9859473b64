"""Captures and keys published by others, read from the file that `EMV_VECTORS` names: none of them is kept here."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.authentication import OfflineMethod
from cardproto.emv.certificates import card_key, issuer_key
from cardproto.emv.faults import ChainBroken, NotRead, ReadFault
from cardproto.emv.keys import CaKeys, RsaKey, Trust
from cardproto.emv.opening import read_directory
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.signatures import CryptogramKind, check_dynamic, check_static, dynamic_number
from cardproto.emv.transaction import BankTransaction
from cardproto.errors import FormatError
from tests.cardproto.emv.lab import tlv
from tests.cardproto.emv.vectors import PPSE_SELECT, TranscriptCard, ca_key, chain_data, chain_pan, entries

FILE: Final = Path(os.environ["EMV_VECTORS"])
CHAINS: Final = entries(FILE, "oda")
TRANSCRIPTS: Final = entries(FILE, "transcripts")
CA_KEYS: Final = json.loads(FILE.read_text(encoding="utf-8"))["ca_keys"]
TRUST: Final = Trust(
    CaKeys({ca_key(one): None for one in [*CA_KEYS, *(each["ca"] for each in CHAINS.values())]})
)
DAYS: Final = {"mc-contactless-cda": date(2012, 3, 15)}
"""Where a chain has expired: a day on which it had not."""


def day(name: str) -> date:
    return DAYS.get(name, date(2022, 1, 1))


@pytest.mark.parametrize("entry", CA_KEYS, ids=lambda one: one["rid"] + one["index"])
def test_published_keys_fit_their_checksums_and_no_other(entry: dict[str, Any]) -> None:
    key = ca_key(entry)
    assert 8 * key.rsa.size == entry["bits"]
    wrong = bytearray(key.modulus)
    wrong[9] ^= 1
    with pytest.raises(FormatError):
        ca_key(entry, modulus=bytes(wrong))


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain(name: str) -> None:
    chain = CHAINS[name]
    expected, data, pan = chain["expect"], chain_data(chain), chain_pan(chain)
    issuer = issuer_key(data, pan, ca_key(chain["ca"]), day(name), frozenset())
    assert issuer.modulus == int(expected["issuer"]["modulus"], 16)
    if chain["static_data_to_authenticate"] is None:
        with pytest.raises(ChainBroken, match="hash"):
            card_key(data, pan, issuer, day(name))
    else:
        assert card_key(data, pan, issuer, day(name)).modulus == int(expected["icc"]["modulus"], 16)
    if "ssad" in expected and chain["static_data_to_authenticate"] is not None:
        assert check_static(data, issuer).hex().upper() == expected["ssad"]["data_authentication_code"]


def test_a_dynamic_signature_alone() -> None:
    chain = CHAINS["visa-94-partial"]
    dda = chain["expect"]["dda"]
    key = RsaKey.from_bytes(
        bytes.fromhex(chain["expect"]["icc"]["modulus"]), bytes.fromhex(chain["tags"]["9F47"])
    )
    dynamic = check_dynamic(key, bytes.fromhex(dda["sdad"]), (5,), bytes.fromhex(dda["un"]))
    assert dynamic_number(dynamic).hex().upper() == dda["icc_dynamic_number"]


def directory_of(aid: str) -> str:
    return tlv("6F", tlv("84", tags.PPSE.hex()) + tlv("A5", tlv("BF0C", tlv("61", tlv("4F", aid))))) + "9000"


class CapturedCard(TranscriptCard):
    """A capture's card: contact cards get a directory for our first command; procedure bytes as they were captured."""

    def __init__(self, name: str, aid: str = "") -> None:
        exchanges = TRANSCRIPTS[name]["apdus"]
        if aid:
            beginning = next(at for at, one in enumerate(exchanges) if one["c"][10:].startswith(aid))
            exchanges = exchanges[beginning:]
        super().__init__(exchanges)
        self.exact = {one["c"]: one["r"] for one in reversed(exchanges)}
        if aid:
            self.answers[PPSE_SELECT] = self.exact[PPSE_SELECT + "00"] = directory_of(aid)

    def transmit(self, command: bytes) -> bytes:
        asked = command.hex().upper()
        answer = self.exact.get(asked) or self.exact.get(asked[:-2])
        if answer is None:
            return super().transmit(command)
        self.sent.append(asked)
        return bytes.fromhex(answer)


def run(
    card: TranscriptCard, taken: str, unpredictable: str, at: date, **changes: Any
) -> BankReading | NotRead:
    shown = BankTransaction(datetime(at.year, at.month, at.day, tzinfo=UTC), **changes)
    return read_card(
        CardChannel(card), [bytes.fromhex(taken)], shown, TRUST, lambda size: bytes.fromhex(unpredictable)
    )


def test_a_card_with_cda() -> None:
    name = "mc-contactless-cda"
    expected = TRANSCRIPTS[name]["expect"]
    card = CapturedCard(name, "A0000000041010")
    card.answers |= {"00B2010C": "70009000", "00B2021C": "70009000"}  # not in the capture, and not signed
    reading = run(
        *(card, "A000000004", expected["un"], day(name)),
        **{
            "amount_minor": 10001,
            "currency": 36,
            "terminal_type": 22,
            "asked": CryptogramKind.TC,
        },
        more={0x9F09: b"\x00\x02", 0x9F34: b"\x5e\x03\x00"},
    )
    assert isinstance(reading, BankReading)
    assert reading.authentication.genuine, reading.authentication
    assert reading.authentication.proof.dynamic_number.hex().upper() == expected["icc_dynamic_number"]
    assert reading.cryptogram is not None
    assert reading.cryptogram.value.hex().upper() == expected["cryptogram"]


def test_a_contact_card_with_dda() -> None:
    name = "upi-contact-sda-dda"
    expected = TRANSCRIPTS[name]["expect"]
    card = CapturedCard(name, "A000000333010102")
    card.by_header = True
    reading = run(card, "A000000333", expected["internal_authenticate_data"], day(name))
    assert isinstance(reading, BankReading)
    assert (reading.authentication.genuine, reading.authentication.method) == (True, OfflineMethod.DDA)
    assert reading.authentication.proof.dynamic_number.hex().upper() == expected["icc_dynamic_number"]


def test_a_contact_card_behind_procedure_bytes() -> None:
    name = "emvpt-vesa-dda-contact-t0"
    expected = TRANSCRIPTS[name]["expect"]
    card = CapturedCard(name, expected["aid"])
    card.by_header = True
    reading = run(card, "AFFFFFFFFF", expected["un"], day(name))
    assert isinstance(reading, BankReading)
    assert (reading.authentication.genuine, reading.authentication.method) == (True, OfflineMethod.DDA)
    assert reading.authentication.proof.dynamic_number.hex().upper() == expected["icc_dynamic_number"]
    assert not reading.in_force(day(name)), "the card's own date is over, its certificates are not"


@pytest.mark.parametrize("name", ["cb-mastercard-ppse", "cb-visa-ppse-no-afl"])
def test_a_directory_of_two(name: str) -> None:
    found = read_directory(CardChannel(CapturedCard(name)))
    assert not isinstance(found, NotRead)
    assert [{"aid": one.aid.hex().upper(), "priority": one.priority} for one in found] == TRANSCRIPTS[name][
        "expect"
    ]["ppse"]


@pytest.mark.parametrize(
    ("name", "taken", "fault"),
    [
        ("cb-mastercard-ppse", "A000000042", ReadFault.RECORD_REFUSED),
        ("cb-mastercard-ppse", "A000000004", ReadFault.RECORD_REFUSED),
        ("cb-visa-ppse-no-afl", "A000000042", ReadFault.NO_RECORDS),
        ("cb-visa-ppse-no-afl", "A000000003", ReadFault.NO_RECORDS),
        ("cb-visa-ppse-no-afl", "A000000658", ReadFault.UNSUPPORTED),
        ("interac-6283", "A000000277", ReadFault.APPLICATION_BLOCKED),
    ],
)
def test_captures_that_cannot_be_read_to_the_end(name: str, taken: str, fault: ReadFault) -> None:
    card = CapturedCard(name)
    card.by_header = True
    found = run(card, taken, "00000000", day(name))
    assert isinstance(found, NotRead)
    assert found.fault is fault
