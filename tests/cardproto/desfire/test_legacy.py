"""The conversations before EV2 against the software card; other people's terminals hold the card up elsewhere
(tests/sim/test_field_transcripts.py, tests/device), so that both ends cannot be wrong in the same way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.connection import CardConnection
from cardproto.desfire.application import PICC_AID, PICC_KEY, KeySettings
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.files import (
    FREE,
    AccessRights,
    DataFileSettings,
    FileType,
    RecordFileSettings,
    ValueFileSettings,
)
from cardproto.desfire.key_types import KeyType, parity_version, with_parity_version
from cardproto.desfire.legacy_crypto import DesKey, crc16, d40_receive, d40_send
from cardproto.desfire.legacy_messaging import D40Session, Ev1Session
from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardError, IntegrityError, NotAuthenticated, StatusError
from sim.card.virtual import VirtualCard
from tests.cardproto.scripted import TamperingConnection

UID = bytes.fromhex("04A1B2C3D4E5F6")
RANDOM = random.Random(1).randbytes
APPLICATION = bytes.fromhex("C0FFEE")
STANDARD, BACKUP, VALUE, LINEAR, CYCLIC = 1, 2, 3, 4, 5
RIGHTS = AccessRights(1, 1, 1, 0)
TEXT = bytes(range(200))


@dataclass(frozen=True)
class Way:
    """One kind of authentication with one kind of key."""

    name: str
    method: str
    type: KeyType
    keys: tuple[bytes, bytes]

    def authenticate(self, card: DesfireCard, number: int, key: bytes | None = None) -> None:
        secret = self.keys[number] if key is None else key
        match self.method:
            case "aes":
                card.authenticate_aes(number, AesAuthentication(AesKey(secret), RANDOM(16)))
            case "iso":
                des = DesKey(secret)
                card.authenticate_iso(number, des, RANDOM(des.random_bytes))
            case _:
                card.authenticate_d40(number, DesKey(secret), RANDOM(8))


SINGLE = (b"SingleDE" * 2, b"ANOTHER1" * 2)
DOUBLE = (b"Two keys for DES", b"sixteen bytes.. ")
TRIPLE = (b"three keys for the DES..", b"twenty-four bytes of it.")
WAYS = [
    Way("d40-single", "d40", KeyType.DES, SINGLE),
    Way("d40-2k3des", "d40", KeyType.DES, DOUBLE),
    Way("iso-single", "iso", KeyType.DES, SINGLE),
    Way("iso-2k3des", "iso", KeyType.DES, DOUBLE),
    Way("iso-3k3des", "iso", KeyType.TRIPLE_DES_3K, TRIPLE),
    Way("aes", "aes", KeyType.AES, (b"A" * 16, b"sixteen AES byte")),
]
MODES = [CommMode.PLAIN, CommMode.MAC, CommMode.FULL]


def terminal_end(connection: CardConnection) -> DesfireCard:
    return DesfireCard(DesfireChannel(connection, max_exchanges=500, max_bytes=100_000))


def workshop(way: Way, mode: CommMode, generation: str = "EV1") -> VirtualCard:
    """A factory card with one application of every kind of file, made through the conversation under test."""
    virtual = VirtualCard(UID, RANDOM, generation=generation, key_type=KeyType.DES)
    card = terminal_end(virtual)
    card.select_application(PICC_AID)
    card.authenticate_d40(0, DesKey(bytes(16)), bytes(8))
    card.create_application(APPLICATION, KeySettings(2, key_type=way.type))
    card.select_application(APPLICATION)
    zero = bytes(way.type.key_bytes)
    way.authenticate(card, 0, zero)
    card.change_key(1, way.keys[1], 0x51, zero, way.type)
    card.change_key(0, way.keys[0], 0x50, key_type=way.type)
    way.authenticate(card, 0)
    card.create_standard_file(STANDARD, DataFileSettings(FileType.STANDARD, mode, RIGHTS, 256))
    card.create_backup_file(BACKUP, DataFileSettings(FileType.BACKUP, mode, RIGHTS, 256))
    card.create_value_file(VALUE, ValueFileSettings(mode, RIGHTS, -50, 1000, 100, limited_credit=True))
    card.create_linear_file(LINEAR, RecordFileSettings(FileType.LINEAR, mode, RIGHTS, 20, 4))
    card.create_cyclic_file(CYCLIC, RecordFileSettings(FileType.CYCLIC, mode, RIGHTS, 20, 4))
    return virtual


def begin(connection: CardConnection, way: Way, number: int = 1) -> DesfireCard:
    card = terminal_end(connection)
    card.select_application(APPLICATION)
    way.authenticate(card, number)
    return card


@pytest.mark.parametrize("generation", ["EV1", "EV2", "EV3"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_content_in_every_mode_and_conversation(way: Way, mode: CommMode, generation: str) -> None:
    card = begin(workshop(way, mode, generation), way)
    for file in (STANDARD, BACKUP):
        card.write_data(file, 3, TEXT, mode)
    assert card.read_data(STANDARD, 3, len(TEXT), mode) == TEXT
    assert card.read_data(STANDARD, 0, 0, mode) == bytes(3) + TEXT + bytes(53)
    assert card.read_data(BACKUP, 0, 9, mode) == bytes(9), "pending"
    card.credit(VALUE, 30, mode)
    card.debit(VALUE, 45, mode)
    for file in (LINEAR, CYCLIC):
        card.write_record(file, 0, b"first".ljust(20), mode)
    card.commit_transaction(return_mac=False)
    assert card.read_data(BACKUP, 3, len(TEXT), mode) == TEXT
    assert card.get_value(VALUE, mode) == 85
    card.limited_credit(VALUE, 45, mode)
    card.write_record(CYCLIC, 5, b"second", mode)
    card.commit_transaction(return_mac=False)
    assert card.get_value(VALUE, mode) == 130
    newest = (bytes(5) + b"second").ljust(20, b"\0")
    assert card.read_records(CYCLIC, 0, 0, mode, 20) == b"first".ljust(20) + newest
    assert card.read_records(CYCLIC, 0, 1, mode, 20) == newest
    card.clear_records(LINEAR)
    card.abort_transaction()
    assert card.read_records(LINEAR, 0, 1, mode, 20) == b"first".ljust(20)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_enquiries_and_settings(way: Way) -> None:
    virtual = workshop(way, CommMode.FULL)
    card = begin(virtual, way, 0)
    kind = {"aes": Ev1Session, "iso": Ev1Session, "d40": D40Session}[way.method]
    assert isinstance(card.session, kind)
    assert card.get_card_uid() == UID
    assert card.get_version().hardware.major == 1
    assert card.get_version().uid == UID
    assert [card.get_key_version(n) for n in (0, 1)] == [0x50, 0x51]
    assert card.get_key_settings() == KeySettings(2, key_type=way.type)
    assert card.get_file_ids() == (STANDARD, BACKUP, VALUE, LINEAR, CYCLIC)
    assert card.get_file_settings(STANDARD).rights == RIGHTS
    card.change_file_settings(STANDARD, SettingsChange(CommMode.PLAIN, AccessRights(FREE, 1, 1, 0)))
    assert card.get_file_settings(STANDARD).mode is CommMode.PLAIN
    assert card.read_data(STANDARD, 0, 4, CommMode.PLAIN) == bytes(4)
    card.change_key_settings(KeySettings(2, free_listing=True, key_type=way.type))
    assert card.get_key_settings().free_listing
    card.delete_file(STANDARD)
    assert STANDARD not in card.get_file_ids()
    assert card.session is not None


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_keys_change_and_the_session_ends_with_its_own(way: Way) -> None:
    virtual = workshop(way, CommMode.MAC)
    card = begin(virtual, way, 0)
    other, own = (bytes(reversed(key)) for key in way.keys)
    before = way.keys[1] if way.type is KeyType.AES else with_parity_version(way.keys[1], 0x51)
    card.change_key(1, own, 9, before, way.type)
    assert card.get_key_version(1) == 9
    card.change_key(0, other, 8, key_type=way.type)
    assert card.session is None
    way.authenticate(card, 0, other)
    way.authenticate(card, 1, own)
    with pytest.raises(StatusError, match="91AE"):
        way.authenticate(card, 1)
    assert card.session is None


def test_the_card_key_goes_through_every_kind() -> None:
    """Factory DES, 2K3DES, 3K3DES, AES and back, each session changing the kind of the key it was begun with."""
    card = terminal_end(VirtualCard(UID, RANDOM, generation="EV1", key_type=KeyType.DES))
    keys: list[tuple[KeyType, bytes]] = [
        (KeyType.DES, DOUBLE[0]),
        (KeyType.TRIPLE_DES_3K, TRIPLE[0]),
        (KeyType.AES, b"an AES master..."),
        (KeyType.DES, bytes(16)),
    ]
    now: tuple[KeyType, bytes] = (KeyType.DES, bytes(16))
    for version, following in enumerate(keys, 1):
        card.select_application(PICC_AID)
        authenticate(card, *now)
        card.change_key(PICC_KEY[following[0]], following[1], version, key_type=following[0])
        assert card.get_key_version(0) == version
        assert card.get_key_settings().key_type is following[0]
        now = following
    authenticate(card, *now)


def authenticate(card: DesfireCard, kind: KeyType, secret: bytes) -> None:
    if kind is KeyType.AES:
        card.authenticate_aes(0, AesAuthentication(AesKey(secret), RANDOM(16)))
    else:
        key = DesKey(secret)
        card.authenticate_iso(0, key, RANDOM(key.random_bytes))


@pytest.mark.parametrize("way", WAYS[2:], ids=lambda way: way.name)
def test_the_card_is_configured_formatted_and_limited(way: Way) -> None:
    virtual = VirtualCard(UID, RANDOM, generation="EV1", key_type=KeyType.DES)
    card = terminal_end(virtual)
    card.authenticate_iso(0, DesKey(bytes(16)), bytes(8))
    card.change_key(PICC_KEY[way.type], way.keys[0], 1, key_type=way.type)
    way.authenticate(card, 0)
    card.set_configuration(1, TRIPLE[1] + b"\x21")
    card.set_configuration(2, bytes.fromhex("0875778102804142"))
    free = card.free_memory()
    card.create_application(APPLICATION, KeySettings(1, key_type=way.type))
    assert card.free_memory() < free
    assert card.get_application_ids() == (APPLICATION,)
    card.select_application(APPLICATION)
    way.authenticate(card, 0, TRIPLE[1][: way.type.key_bytes])
    assert card.get_key_version(0) == 0x21
    card.select_application(PICC_AID)
    way.authenticate(card, 0)
    card.format_picc()
    assert card.get_application_ids() == ()
    card.set_configuration(0, b"\x03")
    assert virtual.transmit(bytes.fromhex("FFCA010000")) == bytes.fromhex("0875778102804142") + b"\x90\0"
    with pytest.raises(StatusError, match="919D"):
        card.format_picc()
    virtual.power_on()
    assert card.channel.read_uid()[0] == 0x08
    assert card.get_version().uid == bytes(7)
    way.authenticate(card, 0)
    assert card.get_card_uid() == UID


CONVERSATIONS: list[Callable[[DesfireCard], Any]] = [
    lambda card: card.get_key_version(1),
    lambda card: card.get_card_uid(),
    lambda card: card.read_data(STANDARD, 0, 30, CommMode.MAC),
    lambda card: card.read_records(CYCLIC, 0, 1, CommMode.MAC, 20),
    lambda card: card.get_value(VALUE, CommMode.MAC),
    lambda card: card.credit(VALUE, 1, CommMode.MAC),
    lambda card: card.commit_transaction(return_mac=False),
]


def flipped(bit: int, answer: bytes) -> bytes:
    at = bit // 8
    return answer[:at] + bytes((answer[at] ^ 1 << bit % 8,)) + answer[at + 1 :]


@pytest.mark.parametrize("way", WAYS[2:], ids=lambda way: way.name)
@pytest.mark.parametrize("command", range(len(CONVERSATIONS)))
def test_no_changed_bit_of_an_ev1_answer_is_taken(way: Way, command: int) -> None:
    """Every bit of every byte before the status: the answer does not verify, and the session is over."""
    virtual = workshop(way, CommMode.MAC)
    setting_up = begin(virtual, way)
    setting_up.write_record(CYCLIC, 0, bytes(20), CommMode.MAC)
    setting_up.commit_transaction(return_mac=False)
    # A commit needs something to commit.
    before = CONVERSATIONS[-2:-1] if command == len(CONVERSATIONS) - 1 else []
    for bit in range(8 * 8):
        change = partial(flipped, bit)
        card = begin(TamperingConnection(virtual.clone(), 4 + len(before), change), way)
        for step in before:
            step(card)
        with pytest.raises(IntegrityError):
            CONVERSATIONS[command](card)
        assert card.session is None


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("exchange", [1, 2])
def test_a_card_that_has_not_the_key_is_found_out(way: Way, exchange: int) -> None:
    virtual = workshop(way, CommMode.MAC)
    with pytest.raises(CardError) as caught:
        begin(TamperingConnection(virtual, 1 + exchange, partial(flipped, 0)), way)
    assert isinstance(caught.value, IntegrityError | StatusError)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_what_is_wrong_is_said_before_anything_is_sent(way: Way) -> None:
    card = terminal_end(workshop(way, CommMode.MAC))
    with pytest.raises(ValueError, match="random bytes"):
        card.authenticate_aes(0, AesAuthentication(AesKey(bytes(16)), bytes(8)))
    with pytest.raises(ValueError, match="D40"):
        card.authenticate_d40(0, DesKey(bytes(24)), bytes(8))
    with pytest.raises(ValueError, match="8, 16 or 24"):
        DesKey(bytes(10))
    with pytest.raises(ValueError, match="whole number"):
        DesKey(bytes(8)).encrypt(bytes(8), bytes(9))
    with pytest.raises(NotAuthenticated):
        card.change_key(0, bytes(16), 1)
    assert card.channel.exchanges == 0
    assert "…" in repr(DesKey(bytes(8)))


def test_the_wrong_kind_of_authentication_is_refused() -> None:
    """An AES key answers to AA only, a DES key to 0A and 1A, 3K3DES to 1A only."""
    for way, codes in ((WAYS[5], "0A 1A"), (WAYS[1], "AA"), (WAYS[4], "0A AA")):
        virtual = workshop(way, CommMode.MAC)
        virtual.transmit(bytes.fromhex("905A000003EEFFC000"))
        for code in bytes.fromhex(codes):
            assert virtual.transmit(bytes((0x90, code, 0, 0, 1, 0, 0))) == b"\x91\xae"


def test_a_d40_authentication_outlives_a_refusal_and_no_other_does() -> None:
    for way in WAYS:
        virtual = workshop(way, CommMode.MAC)
        begin(virtual, way, 0)
        assert virtual.transmit(bytes.fromhex("90F50000011F00")) == b"\x91\xf0"
        again = virtual.transmit(bytes.fromhex("90DF0000010100"))
        assert again[-1] == (0x00 if way.method == "d40" else 0xAE)


@pytest.mark.parametrize(("data", "checksum"), [("0000", "A01E"), ("1234", "26CF")])
def test_crc16_as_iso_14443_3_prints_it(data: str, checksum: str) -> None:
    assert crc16(bytes.fromhex(data)) == bytes.fromhex(checksum)


@given(
    st.binary(min_size=8, max_size=8),
    st.integers(0, 12).flatmap(lambda n: st.binary(min_size=8 * n, max_size=8 * n)),
)
def test_what_a_d40_terminal_sends_the_card_reads(key: bytes, plain: bytes) -> None:
    assert d40_receive(DesKey(key), d40_send(DesKey(key), plain)) == plain


@given(st.sampled_from([8, 16, 24]).flatmap(lambda n: st.binary(min_size=n, max_size=n)), st.integers(0, 255))
def test_a_des_key_carries_its_version_and_stays_the_same_key(key: bytes, version: int) -> None:
    marked = with_parity_version(key, version)
    assert parity_version(marked) == version
    assert DesKey(marked).encrypt(bytes(8), bytes(8)) == DesKey(key).encrypt(bytes(8), bytes(8))
    assert DesKey(with_parity_version(key[:8] * 2, version)).single


def test_a_version_is_a_byte() -> None:
    with pytest.raises(ValueError, match="0 to 255"):
        with_parity_version(bytes(16), 256)
