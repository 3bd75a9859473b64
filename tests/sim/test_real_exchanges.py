"""Exchanges recorded with real cards, played against ours: the answers must be the same bytes.

The random numbers of the recording are handed to the card, so nothing here is computed by the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cardproto.desfire.authentication import Ev2Cipher
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import Session
from sim.card.files import (
    AccessMasks,
    CardFile,
    DataFile,
    FileHeader,
    RecordFile,
    TransactionMacFile,
    ValueFile,
)
from sim.card.memory import PICC_AID, Application, KeySlot, blank_memory
from sim.card.virtual import VirtualCard
from tests.vectors.fields import keys_in

VECTORS = {
    entry["id"]: entry
    for entry in json.loads(
        Path(__file__).parent.parent.joinpath("vectors", "desfire.json").read_text("utf-8")
    )["vectors"]
}
APP = bytes.fromhex("010203")
UID = bytes.fromhex("04DE5F1EACC040")
OLD_KEY = bytes.fromhex("01234567890123456789012345678901")
ZERO = bytes(16)


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


class Recorded:
    """Gives out the recording's random numbers in their order."""

    def __init__(self, *numbers: bytes) -> None:
        self._numbers = list(numbers)

    def __call__(self, length: int) -> bytes:
        number = self._numbers.pop(0)
        assert len(number) == length
        return number


def head(number: int, option: int, rights: int) -> FileHeader:
    return FileHeader(number, option, AccessMasks.of(rights), 0)


def card_with(
    files: Iterable[CardFile], keys: tuple[bytes, ...] = (ZERO,) * 5, rng: Recorded | None = None
) -> VirtualCard:
    """A card that has one application with these files, selected."""
    slots = tuple(KeySlot(key) for key in keys)
    application = Application(APP, 0x0F, slots, {file.head.number: file for file in files})
    card = VirtualCard(UID, rng or Recorded(), memory=blank_memory().with_application(application))
    assert card.transmit(raw("905A000003") + APP + b"\0") == raw("9100")
    return card


def join(card: VirtualCard, inputs: dict[str, Any], key_no: int = 0) -> None:
    """Put the card into the middle of the recorded session."""
    enc, mac = AesKey(raw(inputs["SesAuthENCKey"])), AesKey(raw(inputs["SesAuthMACKey"]))
    card._state.session = Session(key_no, raw(inputs["TI"]), inputs["CmdCtr_before"], Ev2Cipher(enc, mac))


def replay(card: VirtualCard, name: str) -> None:
    expected = VECTORS[name]["expected"]
    assert card.transmit(raw(expected["c_apdu"])) == raw(expected["r_apdu"])


def authenticate(card: VirtualCard, name: str) -> None:
    inputs = VECTORS[name]["inputs"]
    for n in (1, 2):
        assert card.transmit(raw(inputs[f"c_apdu_{n}"])) == raw(inputs[f"r_apdu_{n}"])


def recorded_numbers(name: str) -> Recorded:
    expected = VECTORS[name]["expected"]
    return Recorded(raw(expected["RndB"]), raw(expected["TI"]))


@pytest.mark.parametrize(
    "name", ["ev2first-an12343-t16", "ev2first-an12343-t7", "ev2first-an12343-t39", "ev2first-an12343-t41"]
)
def test_ev2_first(name: str) -> None:
    key = raw(VECTORS[name]["inputs"]["key"])
    authenticate(card_with([], (key,), recorded_numbers(name)), name)


def test_ev2_non_first_keeps_identifier_and_counter() -> None:
    entry = VECTORS["ev2nonfirst-an12196-t24"]
    card = card_with([], rng=Recorded(raw(entry["expected"]["RndB"])))
    before = Session(0, b"kept", 9, Ev2Cipher(AesKey(ZERO), AesKey(ZERO)))
    card._state.session = before
    authenticate(card, "ev2nonfirst-an12196-t24")
    after = card._state.session
    assert after is not None
    assert (after.ti, after.counter) == (b"kept", 9)
    assert keys_in(after)[1].cmac(b"") == AesKey(raw(entry["expected"]["SesAuthMACKey"])).cmac(b"")


def test_authentication_then_get_card_uid() -> None:
    card = card_with([], (OLD_KEY,), recorded_numbers("ev2first-an12343-t7"))
    authenticate(card, "ev2first-an12343-t7")
    replay(card, "getcarduid-t7")


def test_authentication_then_change_of_another_key() -> None:
    card = card_with([], (OLD_KEY, ZERO), recorded_numbers("ev2first-an12343-t39"))
    authenticate(card, "ev2first-an12343-t39")
    replay(card, "changekey-other-t39")
    expected = card_with([], (OLD_KEY, OLD_KEY)).image()
    assert card.image() == expected


def test_authentication_then_deletion_of_the_transaction_mac_file() -> None:
    file = TransactionMacFile(head(15, 1, 0x1FF0), ZERO, 0, 3, bytes(8), bytes(16), 0xFFFFFFFF)
    card = card_with([file], (OLD_KEY,), recorded_numbers("ev2first-an12343-t41"))
    authenticate(card, "ev2first-an12343-t41")
    replay(card, "deletetmac-t41")
    assert card.image() == card_with([], (OLD_KEY,)).image()


def test_set_configuration_of_the_ats() -> None:
    card = card_with([])
    assert card.transmit(raw("905A00000300000000")) == raw("9100")
    join(card, VECTORS["setconfig-02-t6"]["inputs"])
    replay(card, "setconfig-02-t6")
    assert card.transmit(raw("FFCA010000")) == raw("067777710280" + "9000")


def test_change_file_settings() -> None:
    card = card_with([DataFile(head(4, 3, 0x1230), backup=False, content=bytes(32))])
    join(card, VECTORS["changefilesettings-t11"]["inputs"])
    replay(card, "changefilesettings-t11")
    file = card.image()["applications"]["030201"]["files"]["04"]
    assert (file["option"], file["rights"]) == (0, ["EEEE"])


def test_write_then_read_with_mac() -> None:
    card = card_with([DataFile(head(0, 1, 0x0000), backup=False, content=bytes(256))])
    join(card, VECTORS["writedata-mac-t23"]["inputs"])
    replay(card, "writedata-mac-t23")
    replay(card, "readdata-mac-t24")


def test_write_enciphered() -> None:
    card = card_with([DataFile(head(0, 3, 0x0000), backup=False, content=bytes(256))])
    join(card, VECTORS["writedata-full-t25"]["inputs"])
    replay(card, "writedata-full-t25")
    content = card.image()["applications"]["030201"]["files"]["00"]["content"]
    assert content == "22" * 25 + "00" * 231


def test_read_records_enciphered() -> None:
    record = raw("11223344556677889900112233445566")
    card = card_with([RecordFile(head(1, 3, 0x0000), True, 16, 5, (record,))])
    join(card, VECTORS["readrecords-full-t33"]["inputs"])
    replay(card, "readrecords-full-t33")


def test_get_value_then_credit_enciphered() -> None:
    card = card_with([ValueFile(head(3, 3, 0x0000), 0, 1000, 0, 0, True, False)])
    join(card, VECTORS["getvalue-full-t35"]["inputs"])
    replay(card, "getvalue-full-t35")
    replay(card, "credit-full-t36")


def test_file_settings_and_ids() -> None:
    standard = DataFile(head(0, 3, 0x1F30), backup=False, content=bytes(256))
    value = ValueFile(head(3, 3, 0x1230), 0, 0x7FFFFFFF, 0, 0, True, True)
    others = [DataFile(head(n, 0, 0xEEEE), backup=False, content=b"x") for n in (0x0F, 0x1F)]
    more = [DataFile(head(n, 0, 0xEEEE), backup=False, content=b"x") for n in (1, 4)]
    card = card_with([*others, value, standard, *more])
    for name in ("getfilesettings-std-t12", "getfilesettings-value-t12", "getfileids-t12"):
        inputs = VECTORS[name]["inputs"]
        assert card.transmit(raw(inputs["c_apdu"])) == raw(inputs["r_apdu"]), name


def test_first_part_of_the_version() -> None:
    card = VirtualCard(UID, Recorded(), generation="Light")
    inputs = VECTORS["getversion-part1-t4"]["inputs"]
    assert card.transmit(raw(inputs["c_apdu"])) == raw(inputs["r_apdu"])


def test_transaction_mac_of_a_fare_debit() -> None:
    """Not from a card, but computed from the datasheet apart from our code: four commands, one TMV."""
    entry = VECTORS["tmac-worked-fare-debit"]
    inputs, expected = entry["inputs"], entry["expected"]
    after = inputs["TMC_after_increment"]
    mac_file = TransactionMacFile(
        head(15, 0, 0xEFE0), raw(inputs["app_transaction_mac_key"]), 0, after - 1, bytes(8),
        raw(inputs["TMRIPrev"]), 0xFFFFFFFF,
    )  # fmt: skip
    records = RecordFile(head(1, 0, 0xEEE0), True, 16, 5, ())
    purse = ValueFile(head(3, 0, 0xEEE0), 0, 10_000, 1000, 0, False, False)
    application = Application(
        APP, 0x0F, (KeySlot(ZERO),), {f.head.number: f for f in (records, purse, mac_file)}
    )
    card = VirtualCard(raw(inputs["uid"]), Recorded(), memory=blank_memory().with_application(application))
    card.transmit(raw("905A000003") + APP + b"\0")
    keys = AesKey(ZERO)
    card._state.session = Session(0, bytes(4), 0, Ev2Cipher(keys, keys))
    assert card.transmit(raw("906C0000010300")) == raw("E80300009100")
    assert card.transmit(raw("90DC000005032600000000")) == raw("9100")
    assert card.transmit(raw("908B00001701000000100000") + b"\xa1" * 16 + b"\0") == raw("9100")
    session = card._state.session
    assert session is not None
    reader = raw(inputs["TMRICur"])
    mac = session.command_mac(0xC8, b"", reader)
    answer = card.transmit(raw("90C8000018") + reader + mac + b"\0")
    assert answer[:16] == raw(expected["EncTMRI"])
    answer = card.transmit(raw("90C7000009") + b"\x01" + session.command_mac(0xC7, b"", b"\x01") + b"\0")
    assert answer[:12] == after.to_bytes(4, "little") + raw(expected["TMV"])


def test_blank_card_has_only_the_picc_level() -> None:
    card = VirtualCard(UID, Recorded())
    assert list(card.image()["applications"]) == [PICC_AID.hex()]
