"""Each chip says who it is and knows what it knows; a factory card has a DES key, a Light its fixed application."""

from __future__ import annotations

import random

import pytest

from cardproto.apdu import SW
from cardproto.desfire.application import PICC_AID, DfName, KeySets, KeySettings
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.data import Among
from cardproto.desfire.files import (
    FREE,
    AccessRights,
    DataFileSettings,
    FileType,
    TransactionMacSettings,
    ValueFileSettings,
)
from cardproto.desfire.key_types import KeyType, with_parity_version
from cardproto.desfire.legacy_crypto import DesKey
from cardproto.desfire.messaging import CommMode
from cardproto.desfire.originality import verify_signature
from cardproto.errors import CardError, IntegrityError, StatusError
from sim.card.generation import GENERATIONS
from sim.card.identity import LABORATORY_PUBLIC_KEY
from sim.card.virtual import LIGHT_DF_ID, LIGHT_DF_NAME, VirtualCard
from tests.cardproto.scripted import TamperingConnection

UID = bytes.fromhex("04A1B2C3D4E5F6")
RANDOM = random.Random(1).randbytes
AID = bytes.fromhex("C0FFEE")
ZERO = AesKey(bytes(16))


def made(generation: str, key_type: KeyType = KeyType.AES) -> VirtualCard:
    return VirtualCard(UID, RANDOM, generation=generation, key_type=key_type)


def terminal_end(card: VirtualCard) -> DesfireCard:
    return DesfireCard(DesfireChannel(card, max_exchanges=300, max_bytes=50_000))


def master(card: VirtualCard) -> DesfireCard:
    end = terminal_end(card)
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    return end


def refused(end: DesfireCard, ins: int, data: bytes = b"") -> int:
    return end.channel.native(ins, data).status


@pytest.mark.parametrize(
    ("generation", "kind", "major"), [("EV1", 1, 1), ("EV2", 1, 0x12), ("EV3", 1, 0x33), ("Light", 8, 0x30)]
)
def test_each_chip_names_itself(generation: str, kind: int, major: int) -> None:
    card = made(generation)
    version = terminal_end(card).get_version()
    assert (version.hardware.vendor, version.hardware.type, version.hardware.major) == (4, kind, major)
    assert version.uid == UID
    assert card.clone().generation == generation
    assert card.transmit(bytes.fromhex("FFCA010000"))[:1] == b"\x06"


def test_there_are_no_other_chips() -> None:
    with pytest.raises(ValueError, match="EV1, EV2, EV3, Light"):
        made("EV9")


@pytest.mark.parametrize("generation", ["EV1", "EV2", "EV3"])
def test_a_factory_card_has_a_des_key(generation: str) -> None:
    card = made(generation, KeyType.DES)
    end = terminal_end(card)
    assert end.get_key_settings().key_type is KeyType.DES
    with pytest.raises(StatusError):
        end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    end.authenticate_iso(0, DesKey(bytes(16)), bytes(8))
    assert end.get_application_ids() == ()


def test_ev1_does_not_know_what_came_later() -> None:
    end = terminal_end(made("EV1"))
    for ins in sorted(GENERATIONS["EV1"].unknown):
        assert refused(end, ins, b"\0") == 0x1C, f"{ins:02X}"
    end.authenticate_aes(0, AesAuthentication(ZERO, bytes(16)))
    end.create_application(AID, KeySettings(1))
    end.select_application(AID)
    end.authenticate_aes(0, AesAuthentication(ZERO, bytes(16)))
    rights = AccessRights(0, 0, 0, 0)
    end.create_backup_file(1, DataFileSettings(FileType.BACKUP, CommMode.MAC, rights, 16))
    with pytest.raises(StatusError, match="919E"):
        end.change_file_settings(1, SettingsChange(CommMode.MAC, rights, (rights,)))
    end.authenticate_aes(0, AesAuthentication(ZERO, bytes(16)))
    end.write_data(1, 0, b"x", CommMode.MAC)
    with pytest.raises(StatusError, match="917E"):
        end.commit_transaction(return_mac=True)


def test_ev1_holds_28_applications() -> None:
    end = terminal_end(made("EV1"))
    end.authenticate_aes(0, AesAuthentication(ZERO, bytes(16)))
    for number in range(28):
        end.create_application(bytes((1, 0, number)), KeySettings(0))
    with pytest.raises(StatusError, match="91CE"):
        end.create_application(AID, KeySettings(0))


def test_light_has_its_application_and_only_that() -> None:
    card = made("Light")
    end = terminal_end(card)
    for ins in sorted(GENERATIONS["Light"].unknown):
        assert refused(end, ins, b"\0") == 0x1C, f"{ins:02X}"
    assert card.transmit(b"\x60") == SW.CLA_NOT_SUPPORTED.to_bytes(2, "big"), "no unwrapped framing"
    assert end.iso_select_name(LIGHT_DF_NAME, file_control=True) == bytes(32)
    assert end.iso_select_id(LIGHT_DF_ID) == b""
    assert end.get_file_ids() == (0x0F, 0x1F, 3, 0, 1, 4)
    assert end.get_iso_file_ids() == (0xEF1F, 0xEF00, 0xEF01, 0xEF04)
    settings = end.get_file_settings(0)
    assert isinstance(settings, DataFileSettings)
    assert (settings.size, settings.mode, settings.rights) == (256, CommMode.FULL, AccessRights(1, 15, 3, 0))
    with pytest.raises(StatusError):
        end.authenticate_ev2_first(5, AesAuthentication(ZERO, bytes(16)))
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    with pytest.raises(StatusError, match="919D"):
        end.delete_file(0)


def test_light_is_configured_and_used() -> None:
    end = terminal_end(made("Light"))
    end.iso_select_id(LIGHT_DF_ID)
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    end.set_configuration(9, bytes.fromhex("0300000000E80300006400000001"))
    value = end.get_file_settings(3)
    assert isinstance(value, ValueFileSettings)
    assert (value.upper, value.limited_credit, value.free_get_value) == (1000, True, False)
    end.delete_file(0x0F)
    end.authenticate_ev2_non_first(3, AesAuthentication(ZERO, bytes(16)))
    end.credit(3, 5, CommMode.FULL)
    end.write_record(1, 0, b"sixteen bytes in", CommMode.FULL)
    end.commit_transaction(return_mac=False)
    assert end.get_value(3, CommMode.FULL) == 105
    end.authenticate_ev2_non_first(0, AesAuthentication(ZERO, bytes(16)))
    proof = TransactionMacSettings(CommMode.FULL, AccessRights(1, 15, 15, 0))
    end.create_transaction_mac_file(0x0F, proof, bytes(16))
    with pytest.raises(StatusError, match="919E"):
        end.set_configuration(1, bytes(25))


@pytest.mark.parametrize("generation", ["EV2", "EV3", "Light"])
def test_the_signature_is_ours_and_burnt_in(generation: str) -> None:
    end = terminal_end(made(generation))
    signature = end.read_signature()
    assert verify_signature(UID, signature, LABORATORY_PUBLIC_KEY)
    assert not verify_signature(UID[::-1], signature, LABORATORY_PUBLIC_KEY)
    assert end.read_signature() == signature


def test_changing_the_settings_of_a_plain_file_is_enciphered_all_the_same() -> None:
    """The file's own mode is for its content; only a free Change right makes the settings travel plain."""
    end = master(made("EV2"))
    end.create_application(AID, KeySettings(1))
    end.select_application(AID)
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    for number, change in ((1, 0), (2, FREE)):
        rights = AccessRights(0, 0, 0, change)
        end.create_standard_file(number, DataFileSettings(FileType.STANDARD, CommMode.PLAIN, rights, 8))
    wanted = SettingsChange(CommMode.MAC, AccessRights(0, 0, 0, 0))
    end.change_file_settings(1, wanted)
    end.change_file_settings(2, wanted, CommMode.PLAIN)
    assert end.get_file_settings(1) == end.get_file_settings(2)


def test_names_and_iso_files() -> None:
    end = master(made("EV3"))
    settings = KeySettings(1, free_create_delete=True, iso_file_ids=True)
    end.create_application(AID, settings, iso_id=0xE110, df_name=b"NAME ONE")
    end.create_application(AID[::-1], KeySettings(1), iso_id=0xE111, df_name=b"SECOND")
    names = (DfName(AID, 0xE110, b"NAME ONE"), DfName(AID[::-1], 0xE111, b"SECOND"))
    assert end.get_df_names() == names
    end.select_application(PICC_AID)
    assert end.get_df_names() == names, "without a session as well"
    end.iso_select_name(b"NAME ONE")
    free = AccessRights(FREE, FREE, FREE, FREE)
    end.create_standard_file(1, DataFileSettings(FileType.STANDARD, CommMode.PLAIN, free, 40), iso_id=0xE104)
    end.iso_select_id(0xE104)
    end.iso_update_binary(10, b"written")
    assert end.iso_read_binary(10, 7) == b"written"
    assert end.iso_read_binary(0) == bytes(10) + b"written" + bytes(23)
    end.iso_select_parent()
    end.iso_select_id(0xE110, Among.APPLICATIONS)
    end.iso_update_binary(0, b"by number", short_id=1)
    assert end.iso_read_binary(3, 6, short_id=1) == b"number"
    end.iso_select_id(0xE104, Among.FILES)
    assert end.iso_read_binary(0, 2) == b"by"
    with pytest.raises(StatusError, match="6A82"):
        end.iso_select_id(0xE104, Among.APPLICATIONS)
    for offset, short_id in ((0x8000, None), (0x100, 1), (0, 0x20)):
        with pytest.raises(ValueError, match="offset"):
            end.iso_read_binary(offset, 1, short_id)
    with pytest.raises(StatusError, match="6A82"):
        end.iso_select_name(b"NOBODY")


@pytest.mark.parametrize("kind", [KeyType.AES, KeyType.TRIPLE_DES_3K])
def test_a_whole_set_of_keys_is_rolled_in(kind: KeyType) -> None:
    end = master(made("EV2"))
    settings = KeySettings(3, free_listing=True, key_sets=KeySets(1, 2, 24, roll_key=2))
    end.create_application(AID, settings)
    end.select_application(AID)
    assert end.get_key_settings() == settings
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    end.initialize_key_set(1, kind)
    new = [bytes((number,)) * kind.key_bytes for number in (0x10, 0x20, 0x30)]
    for number, key in enumerate(new):
        end.change_key_in_set(1, number, key, 7, bytes(kind.key_bytes), kind)
    assert [end.get_key_version_in_set(number, 1) for number in range(3)] == [7] * 3
    with pytest.raises(StatusError, match="91AE"):
        end.roll_key_set(1)
    end.authenticate_ev2_first(2, AesAuthentication(ZERO, bytes(16)))
    with pytest.raises(StatusError, match="919D"):
        end.roll_key_set(1)
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    end.finalize_key_set(1, 9)
    end.authenticate_ev2_first(2, AesAuthentication(ZERO, bytes(16)))
    end.roll_key_set(1)
    assert end.session is None
    if kind is KeyType.AES:
        end.authenticate_ev2_first(1, AesAuthentication(AesKey(new[1]), bytes(16)))
    else:
        end.authenticate_iso(1, DesKey(with_parity_version(new[1], 7)), bytes(16))
    active = end.get_key_settings().key_sets
    assert active is not None
    assert active.active_version == 9


def test_key_sets_are_where_they_were_created_only() -> None:
    end = master(made("EV2"))
    end.create_application(AID, KeySettings(1))
    end.select_application(AID)
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    with pytest.raises(StatusError, match="919D"):
        end.initialize_key_set(1)


@pytest.mark.parametrize("rounds", [1, 2, 4, 8])
@pytest.mark.parametrize("authenticated", [False, True])
def test_proximity_check(rounds: int, authenticated: bool) -> None:
    card = made("EV2")
    end = master(card)
    end.change_key(0x21, b"a proximity key!", 1, bytes(16))
    assert end.get_key_version(0x21) == 1
    if not authenticated:
        end.select_application(PICC_AID)
    ticks = iter(range(100))
    found = end.proximity_check(AesKey(b"a proximity key!"), b"8 bytes.", lambda: float(next(ticks)), rounds)
    assert (found.option, found.rounds_s) == (0, (1.0,) * rounds)
    assert found.published_time == bytes.fromhex("0320")


def test_a_proximity_check_that_saw_other_bytes_fails() -> None:
    """A relay that guesses the card's bytes ahead of time is found out by the last step."""
    for at, expected in ((2, StatusError), (3, IntegrityError)):
        card = TamperingConnection(made("EV3"), at, lambda answer: bytes((answer[0] ^ 1,)) + answer[1:])
        end = DesfireCard(DesfireChannel(card))
        with pytest.raises(expected):
            end.proximity_check(ZERO, b"8 bytes.", lambda: 0.0)


@pytest.mark.parametrize("steps", ["F2", "FD", "F0 FD", "F0 F2 F2 F2"])
def test_a_proximity_check_has_its_order(steps: str) -> None:
    end = terminal_end(made("EV2"))
    sent = {"F0": b"", "F2": b"\x04abcd", "FD": bytes(8)}
    statuses = [refused(end, int(step, 16), sent[step]) for step in steps.split()]
    assert statuses[-1] in (0x9D, 0x9E)
    assert not any(statuses[:-1])


@pytest.mark.parametrize("generation", GENERATIONS)
def test_no_bytes_upset_any_chip(generation: str) -> None:
    card = made(generation, KeyType.DES if generation != "Light" else KeyType.AES)
    for length in range(1, 20):
        for _ in range(60):
            command = RANDOM(length)
            assert card.transmit(command) is not None
            assert len(card.transmit(b"\x90" + command)) >= 2
    for ins in range(256):
        for data in (b"", b"\0", bytes(7), bytes(17), bytes(60)):
            body = bytes((len(data),)) + data if data else b""
            assert len(card.transmit(bytes((0x90, ins, 0, 0)) + body + b"\0")) >= 2


def test_random_uids_are_found_out_by_a_key_only() -> None:
    card = made("EV2")
    end = master(card)
    end.set_configuration(0, b"\x02")
    card.power_on()
    end = terminal_end(card)
    shown = end.channel.read_uid()
    assert (len(shown), shown[0]) == (4, 0x08)
    assert end.get_version().uid == bytes(7)
    with pytest.raises(CardError):
        end.get_card_uid()
    end.authenticate_ev2_first(0, AesAuthentication(ZERO, bytes(16)))
    assert end.get_card_uid() == UID
