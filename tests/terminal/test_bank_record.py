"""The contract between a terminal and the back office: a tap of a bank card, sealed, opened and proven once more."""

from __future__ import annotations

import random
from datetime import date, datetime

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from cardproto.channel import CardChannel
from cardproto.emv import tags
from cardproto.emv.reading import BankReading, read_card
from cardproto.emv.transaction import BankTransaction
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from terminal.app.simulated import laboratory_bank_ca
from terminal.bank_record import (
    BankRecord,
    NoBankRecord,
    bank_record,
    key_mark,
    open_record,
    record_verdict,
    sealed_for,
    sealed_record,
)
from terminal.sealed_box import KEY_BYTES, SERIES_STEPS, NotSealedToUs, SealedSeries, open_in_series

TRUST = laboratory_bank_ca().trust
OFFICE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = X25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = OFFICE.public_key().public_bytes_raw()
SERIES = SealedSeries(PUBLIC)
AT = datetime(2026, 11, 21, 8, 0)  # noqa: DTZ001 a card is shown local time
AT_MS = 1_795_240_800_000


def a_record(profile: str) -> tuple[BankRecord, BankReading]:
    card = issue(load_profile(profile), load_lab_keys(), 34, date(2026, 11, 1), random.Random(1).randbytes)
    card.power_on()
    transaction = BankTransaction(AT, amount_minor=4300)
    read = read_card(CardChannel(card), (tags.RID_MIR,), transaction, TRUST, random.Random(2).randbytes)
    assert isinstance(read, BankReading)
    assert read.authentication.genuine, read.authentication.fault
    return bank_record(70001, AT_MS, bytes(16), read), read


@pytest.mark.parametrize("profile", ["bank_cda", "bank_fdda", "bank_longest_key"])
def test_the_back_office_comes_to_the_terminals_verdict(profile: str) -> None:
    record, read = a_record(profile)
    sealed = sealed_record(record, SERIES)
    again = open_record([OTHER, OFFICE], sealed, 70001, AT_MS)
    assert again == record
    verdict = record_verdict(again, TRUST)
    assert verdict == read.authentication
    assert tags.TAG_EXPIRY in verdict.signed_tags
    assert len(sealed) < 3_000


def test_nothing_of_the_number_is_in_the_sealed_bytes_or_the_repr() -> None:
    record, _ = a_record("bank_cda")
    sealed = sealed_record(record, SERIES)
    assert bytes.fromhex(record.pan) not in sealed
    assert record.pan.encode() not in sealed
    assert record.pan not in repr(record)


def test_who_cannot_open_it() -> None:
    record, _ = a_record("bank_cda")
    sealed = sealed_record(record, SERIES)
    assert sealed_for(sealed) == key_mark(PUBLIC)
    for keys, terminal, at_ms, data in (
        ([OTHER], 70001, AT_MS, sealed),
        ([], 70001, AT_MS, sealed),
        ([OFFICE], 70002, AT_MS, sealed),
        ([OFFICE], 70001, AT_MS + 1000, sealed),
        ([OFFICE], 70001, AT_MS, sealed[:-1]),
        ([OFFICE], 70001, AT_MS, sealed[:40]),
        ([OFFICE], 70001, AT_MS, sealed[:60] + bytes([sealed[60] ^ 1]) + sealed[61:]),
        ([OFFICE], 70001, AT_MS, b"RCBANK1\n" + sealed[8:]),
        ([OFFICE], 70001, AT_MS, b""),
    ):
        with pytest.raises(NotSealedToUs):
            open_record(keys, data, terminal, at_ms)


@pytest.mark.parametrize("profile", ["bank_cda", "bank_fdda"])
def test_what_a_terminal_would_invent_is_found(profile: str) -> None:
    record, _ = a_record(profile)
    changed = {
        "pan": "2200000000000012",
        "signature": bytes(len(record.signature)),
        "static": record.static[:-1] + b"\x00",
        "given": record.given | {tags.TAG_UNPREDICTABLE: b"\x01\x02\x03\x04"},
    }
    for name, value in changed.items():
        forged = msgspec.structs.replace(record, **{name: value})
        assert not record_verdict(forged, TRUST).genuine, name
    dearer = {"amount_minor": 9900, "given": record.given | {tags.TAG_AMOUNT: bytes.fromhex("000000009900")}}
    assert not record_verdict(msgspec.structs.replace(record, **dearer), TRUST).genuine
    for wrong in (
        {"amount_minor": 9900},
        {"currency": 978},
        {"expires_on": 20991231},
        {"expires_on": 20261399},
        {"given": {}},
    ):
        with pytest.raises(NoBankRecord):
            record_verdict(msgspec.structs.replace(record, **wrong), TRUST)


def test_a_tag_that_does_not_stand_in_the_signed_bytes_is_not_proven() -> None:
    record, _ = a_record("bank_cda")
    later = record.card | {tags.TAG_EXPIRY: bytes.fromhex("391231")}
    forged = msgspec.structs.replace(record, card=later, expires_on=20391231)
    verdict = record_verdict(forged, TRUST)
    assert verdict.genuine
    assert tags.TAG_EXPIRY not in verdict.signed_tags


def test_each_of_a_series_opens_alone_and_nothing_of_the_sealer_opens_any() -> None:
    """What a process still holds after a tap leads on to later records, never back; a new one begins anew."""
    series = SealedSeries(PUBLIC)
    sealed = [series.seal(b"%d" % at, b"row") for at in range(SERIES_STEPS + 2)]
    opened = [open_in_series(OFFICE, one, b"row") for one in sealed]
    assert opened == [b"%d" % at for at in range(SERIES_STEPS + 2)]
    heads = [one[:KEY_BYTES] for one in sealed]
    assert len(set(heads)) == 2, "a new ephemeral key after so many"
    assert [one[KEY_BYTES] for one in sealed] == [*range(SERIES_STEPS), 0, 1]
    assert SealedSeries(PUBLIC).seal(b"0", b"row")[:KEY_BYTES] not in heads
    step = bytearray(sealed[1])
    step[KEY_BYTES] = 2
    left = [one for one in vars(series).values() if isinstance(one, bytes) and len(one) == KEY_BYTES]
    for held in left:
        with pytest.raises(InvalidTag):
            ChaCha20Poly1305(held).decrypt(bytes(12), sealed[-1][KEY_BYTES + 1 :], b"row")
    refused: list[bytes] = [bytes(step), sealed[1][:KEY_BYTES], b"", sealed[1][:-1]]
    for wrong in refused:
        with pytest.raises(NotSealedToUs):
            open_in_series(OFFICE, wrong, b"row")
