from __future__ import annotations

from dataclasses import replace

import pytest

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.diversify import an10922_aes128
from cardproto.resident.keyset import MasterKeys, diversifier
from cardproto.resident.layout import KeyNo

UID = bytes.fromhex("04112233445566")
MASTERS = MasterKeys(*(f"SECRET-KEY-{n:05}".encode() for n in range(9)))


def test_the_diversifier_names_card_application_and_region() -> None:
    assert diversifier(UID, 34).hex().upper() == "04112233445566" + "4B5A01" + "0022"


@pytest.mark.parametrize("uid", [b"", bytes(4), bytes(10)])
def test_only_the_real_uid_diversifies(uid: bytes) -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        diversifier(uid, 34)


def test_every_key_of_every_card_and_region_differs() -> None:
    cards = [MASTERS.for_card(UID, 34), MASTERS.for_card(UID, 35), MASTERS.for_card(UID[::-1], 34)]
    keys = {
        getattr(card, name) for card in cards for name in ("picc", "validate", "reload", "transaction_mac")
    }
    assert len(keys) == 12


def test_keys_are_an10922s() -> None:
    expected = an10922_aes128(AesKey(MASTERS.validate), diversifier(UID, 34))
    assert MASTERS.for_card(UID, 34).validate == expected


def test_keys_go_into_the_slots_named_after_them() -> None:
    keys = MASTERS.for_card(UID, 34)
    named = [keys.application, keys.validate, keys.reload, keys.inspect, keys.entitle, keys.identify]
    assert [keys.application_key(number) for number in KeyNo] == [*named, keys.order, keys.roll]
    assert keys.identify == MASTERS.identify_key(34)


def test_every_generation_of_a_card_keeps_its_version() -> None:
    first = replace(MASTERS, version=7, spare=(replace(MASTERS, version=8), replace(MASTERS, version=9)))
    keys = first.for_card(UID, 34)
    assert [keys.version, *(spare.version for spare in keys.spare)] == [7, 8, 9]


def test_no_key_is_ever_shown() -> None:
    for keys in (MASTERS, MASTERS.for_card(UID, 34)):
        assert repr(keys) == f"{type(keys).__name__}(…)"
        assert "SECRET" not in f"{keys}"
    with pytest.raises(ValueError, match="'inspect' is not 16 bytes") as error:
        MasterKeys(*[b"SECRET-KEY-00000"] * 4, b"SECRET", *[b"SECRET-KEY-00000"] * 4)
    assert "SECRET" not in str(error.value)
