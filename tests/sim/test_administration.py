"""Applications, files, keys, settings, configuration, identity."""

from __future__ import annotations

import pytest

from sim.card.virtual import VirtualCard
from tests.sim.bench import (
    AID,
    BACKUP,
    CYCLIC,
    FULL,
    MAC,
    MASTER,
    PICC,
    PLAIN,
    READ,
    READ_WRITE,
    STANDARD_FREE,
    TMAC,
    TMAC_KEY,
    UID,
    VALUE,
    ZERO,
    Bench,
    Counting,
    debit,
    example,
    key,
    le,
)

OTHER = bytes.fromhex("0200A1")


def blank() -> Bench:
    return Bench(VirtualCard(UID, Counting()))


def master() -> Bench:
    """The example application under its master key."""
    bench = example()
    bench.select()
    bench.authenticate(MASTER, ZERO)
    return bench


def picc() -> Bench:
    bench = example()
    bench.select(PICC)
    bench.authenticate(MASTER, ZERO)
    return bench


def test_version_names_the_generation_and_is_maced_over_all_three_frames() -> None:
    for generation, major in (("EV2", 0x12), ("EV3", 0x33)):
        bench = Bench(VirtualCard(UID, Counting(), generation=generation))
        frames = [bench.wrapped(0x60), bench.wrapped(0xAF), bench.wrapped(0xAF)]
        assert [(status, len(part)) for status, part in frames] == [(0xAF, 7), (0xAF, 7), (0, 14)]
        assert frames[0][1][:4] == bytes((4, 1, 1, major))
        assert frames[2][1][:7] == UID
        bench.authenticate(0, ZERO)
        assert len(bench.ok(0x60)) == 28


def test_a_uid_has_seven_bytes() -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        VirtualCard(bytes(4), Counting())


def test_card_uid_needs_a_session_and_travels_enciphered() -> None:
    bench = blank()
    assert bench.wrapped(0x51)[0] == 0xAE
    bench.authenticate(0, ZERO)
    assert bench.ok(0x51, mode=FULL) == UID


def test_random_uid_hides_the_real_one_everywhere_but_from_get_card_uid() -> None:
    bench = blank()
    bench.authenticate(0, ZERO)
    bench.ok(0x5C, b"\0", b"\x02", FULL)
    bench.card.reset()
    shown = bench.transmit("FFCA000000")
    assert (shown[:1], len(shown), shown[-2:]) == (b"\x08", 6, b"\x90\x00")
    bench.card.reset()
    assert bench.transmit("FFCA000000") != shown
    bench.authenticate(0, ZERO)
    assert bench.ok(0x60)[14:21] == bytes(7)
    assert bench.ok(0x51, mode=FULL) == UID


def test_signature_is_56_bytes_of_no_maker() -> None:
    bench = blank()
    plain = bench.wrapped(0x3C, b"\0")
    assert (plain[0], len(plain[1])) == (0, 56)
    bench.authenticate(0, ZERO)
    assert bench.ok(0x3C, b"\0", mode=FULL) == plain[1]
    assert blank().wrapped(0x3C, b"\x01")[0] == 0x9E


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        pytest.param(OTHER + bytes.fromhex("0F85"), 0, id="plain"),
        pytest.param(OTHER + bytes.fromhex("0F9500"), 0, id="with KS3"),
        pytest.param(OTHER + bytes.fromhex("0F9501"), 0x7E, id="key sets without their numbers"),
        pytest.param(OTHER + bytes.fromhex("0F950100021000"), 0, id="key sets"),
        pytest.param(OTHER + bytes.fromhex("0F950100011000"), 0x9E, id="one key set is none"),
        pytest.param(OTHER + bytes.fromhex("0F9502"), 0x9E, id="unknown KS3"),
        pytest.param(OTHER + bytes.fromhex("0F95"), 0x7E, id="KS3 missing"),
        pytest.param(OTHER + bytes.fromhex("0F05"), 0, id="DES keys"),
        pytest.param(OTHER + bytes.fromhex("0FC5"), 0x9E, id="keys of no known kind"),
        pytest.param(OTHER + bytes.fromhex("0F80"), 0, id="no keys"),
        pytest.param(OTHER + bytes.fromhex("0F8F"), 0x9E, id="15 keys"),
        pytest.param(OTHER + bytes.fromhex("6F85"), 0x9E, id="change key number beyond the keys"),
        pytest.param(OTHER + bytes.fromhex("EF85"), 0, id="each key changes itself"),
        pytest.param(AID + bytes.fromhex("0F85"), 0xDE, id="same AID"),
        pytest.param(OTHER + bytes.fromhex("0FA5") + bytes.fromhex("5A4B"), 0xDE, id="same ISO id"),
        pytest.param(OTHER + bytes.fromhex("0FA5") + bytes.fromhex("5B4BF054455354"), 0xDE, id="same name"),
        pytest.param(PICC + bytes.fromhex("0F85"), 0xDE, id="AID of the PICC"),
        pytest.param(OTHER + bytes.fromhex("0FA55B"), 0x7E, id="half an ISO id"),
        pytest.param(OTHER + bytes.fromhex("0FA55B4B") + bytes(17), 0x7E, id="long name"),
        pytest.param(OTHER + bytes.fromhex("0F"), 0x7E, id="too short"),
    ],
)
def test_create_application(parameters: bytes, status: int) -> None:
    bench = picc()
    assert bench.run(0xCA, parameters)[0] == status
    if status == 0:
        assert bench.chained(0x6A)[0] == 0x7E  # a session wants its MAC
        bench.select(PICC)
        assert bench.wrapped(0x6A) == (0, AID + OTHER)


def test_creating_and_listing_need_the_master_key_when_settings_say_so() -> None:
    bench = picc()
    bench.ok(0x54, b"", b"\x09", FULL)
    bench.select(PICC)
    for ins, data in ((0x6A, b""), (0x6D, b""), (0x45, b""), (0xCA, OTHER + bytes.fromhex("0F85"))):
        assert bench.wrapped(ins, data)[0] == 0xAE, f"{ins:02X}"
    bench.authenticate(MASTER, ZERO)
    assert bench.ok(0x45) == bytes.fromhex("0981")
    bench.ok(0xCA, OTHER + bytes.fromhex("0F85"))


def test_frozen_settings_stay() -> None:
    bench = picc()
    bench.ok(0x54, b"", b"\x07", FULL)
    assert bench.run(0x54, b"", b"\x0f", FULL)[0] == 0x9D


@pytest.mark.parametrize("ins", [0x6A, 0x6D, 0xCA, 0xFC])
def test_picc_commands_are_refused_inside_an_application(ins: int) -> None:
    bench = master()
    parameters = OTHER + bytes.fromhex("0F85") if ins == 0xCA else b""
    assert bench.run(ins, parameters)[0] == 0x9D


@pytest.mark.parametrize("ins", [0x6F, 0x61, 0xCD])
def test_application_commands_are_refused_at_the_picc(ins: int) -> None:
    bench = picc()
    parameters = bytes((9,)) + bytes.fromhex("00EEEE") + le(4) if ins == 0xCD else b""
    assert bench.run(ins, parameters)[0] == 0x9D


def test_delete_application_from_the_picc_and_from_within() -> None:
    bench = picc()
    bench.ok(0xDA, AID)
    assert bench.run(0xDA, AID)[0] == 0xA0
    bench = master()
    assert bench.wrapped(0xDA, bench.protect(0xDA, AID, b"", MAC)) == (0, b"")
    bench.session = None
    assert bench.wrapped(0x6A) == (0, b"")
    assert bench.select() == 0xA0


@pytest.mark.parametrize("number", [READ, READ_WRITE])
def test_other_keys_delete_nothing(number: int) -> None:
    bench = example()
    bench.begin(number)
    assert bench.run(0xDA, AID)[0] == 0xAE
    bench.begin(number)
    assert bench.run(0xDA, OTHER)[0] == 0xA0


def test_format_needs_the_master_key_and_can_be_switched_off() -> None:
    bench = example()
    bench.select(PICC)
    assert bench.wrapped(0xFC)[0] == 0xAE
    bench = picc()
    bench.ok(0xFC)
    assert bench.ok(0x6A) == b""
    bench.ok(0x5C, b"\0", b"\x01", FULL)
    assert bench.run(0xFC)[0] == 0x9D


def test_default_key_is_what_new_applications_start_with() -> None:
    bench = picc()
    bench.ok(0x5C, b"\x01", b"a default key...".ljust(24, b"\0") + b"\x21", FULL)
    bench.ok(0xCA, OTHER + bytes.fromhex("0F82"))
    bench.select(OTHER)
    assert bench.authenticate(1, b"a default key...") == 0
    assert bench.ok(0x64, b"\x01") == b"\x21"


@pytest.mark.parametrize(
    ("option", "data", "status"),
    [(0, b"", 0x7E), (0, b"\0\0", 0x7E), (1, bytes(24), 0x7E), (2, b"\x05\x75", 0x7E), (9, b"\0", 0x9E)],
)
def test_configuration_checks_option_and_length(option: int, data: bytes, status: int) -> None:
    assert picc().run(0x5C, bytes((option,)), data, FULL)[0] == status


def test_free_memory_shrinks_with_every_file_until_there_is_none() -> None:
    bench = master()
    before = int.from_bytes(bench.ok(0x6E), "little")
    bench.ok(0xCD, bytes((9,)) + bytes.fromhex("00EEEE") + le(64))
    assert int.from_bytes(bench.ok(0x6E), "little") == before - 64
    bench.ok(0xCB, bytes((10,)) + bytes.fromhex("00EEEE") + le(64))
    assert int.from_bytes(bench.ok(0x6E), "little") == before - 64 - 128
    for size in (before, 0xFFFFFF):
        assert bench.run(0xCD, bytes((11,)) + bytes.fromhex("00EEEE") + le(size))[0] == 0x0E
        bench.select()
        bench.authenticate(MASTER, ZERO)
    assert bench.run(0xC0, bytes((11,)) + bytes.fromhex("00EEEE") + le(0xFFFFFF) + le(0xFFFFFF))[0] == 0x0E


FREE = bytes.fromhex("00EEEE")


@pytest.mark.parametrize(
    ("ins", "parameters", "status"),
    [
        pytest.param(0xCD, b"\x09" + FREE + le(10), 0, id="standard"),
        pytest.param(0xCB, b"\x09" + le(0xEF09, 2) + FREE + le(10), 0, id="backup with ISO id"),
        pytest.param(0xCD, b"\x09" + le(0xEF00, 2) + FREE + le(10), 0xDE, id="same ISO id"),
        pytest.param(0xCD, b"\x01" + FREE + le(10), 0xDE, id="same number"),
        pytest.param(0xCD, b"\x20" + FREE + le(10), 0x9E, id="number beyond 1F"),
        pytest.param(0xCD, b"\x09" + FREE + le(0), 0x9E, id="empty"),
        pytest.param(0xCD, b"\x09" + bytes.fromhex("04EEEE") + le(10), 0x9E, id="reserved option bit"),
        pytest.param(0xCD, b"\x09" + bytes.fromhex("80EEEE") + le(10), 0x9E, id="more rights when creating"),
        pytest.param(0xCD, b"\x09" + bytes.fromhex("005EEE") + le(10), 0x9E, id="key that is not there"),
        pytest.param(0xCD, b"\x09" + FREE + le(10, 2), 0x7E, id="short"),
        pytest.param(0xCC, b"\x09" + FREE + le(0, 4) + le(9, 4) + le(5, 4) + b"\x03", 0, id="value"),
        pytest.param(0xCC, b"\x09" + FREE + le(0, 4) + le(9, 4) + le(10, 4) + b"\0", 0x9E, id="above limit"),
        pytest.param(
            0xCC, b"\x09" + FREE + le(5, 4) + le(4, 4) + le(5, 4) + b"\0", 0x9E, id="limits crossed"
        ),
        pytest.param(0xCC, b"\x09" + FREE + le(0, 4) + le(9, 4) + le(5, 4) + b"\x04", 0x9E, id="value flag"),
        pytest.param(0xC1, b"\x09" + FREE + le(16) + le(1), 0, id="linear"),
        pytest.param(0xC0, b"\x09" + FREE + le(16) + le(2), 0, id="cyclic"),
        pytest.param(0xC0, b"\x09" + FREE + le(16) + le(1), 0x9E, id="cyclic of one record"),
        pytest.param(0xC1, b"\x09" + FREE + le(0) + le(1), 0x9E, id="empty records"),
    ],
)
def test_create_file(ins: int, parameters: bytes, status: int) -> None:
    bench = master()
    assert bench.run(ins, parameters)[0] == status


@pytest.mark.parametrize(
    ("header", "data", "status"),
    [
        pytest.param("0F01F01F02", TMAC_KEY + b"\0", 0, id="as it should be"),
        pytest.param("0F01F01F01", TMAC_KEY + b"\0", 0x9E, id="not AES"),
        pytest.param("0F01F01102", TMAC_KEY + b"\0", 0x9E, id="somebody may write"),
        pytest.param("0F01501F02", TMAC_KEY + b"\0", 0x9E, id="key that is not there"),
        pytest.param("0F01F01F02", TMAC_KEY, 0x7E, id="no key version"),
        pytest.param("0121F01F02", TMAC_KEY + b"\0", 0x9E, id="limit when creating"),
        pytest.param("0101F01F02", TMAC_KEY + b"\0", 0xDE, id="same number"),
    ],
)
def test_create_transaction_mac_file(header: str, data: bytes, status: int) -> None:
    bench = master()
    assert bench.run(0xCE, bytes.fromhex(header), data, FULL)[0] == status
    if status == 0:
        settings = bench.ok(0xF5, bytes((TMAC,)))
        assert settings == bytes.fromhex("0501F01F0200")
        assert bench.run(0xCE, bytes.fromhex("1001F01F02"), data, FULL)[0] == 0xDE


def test_a_transaction_mac_key_never_travels_in_plain() -> None:
    bench = example()
    bench.select()
    assert bench.wrapped(0xCE, bytes.fromhex("0F01F01F02") + TMAC_KEY + b"\0")[0] == 0xAE
    bench.begin(READ)
    assert bench.run(0xCE, bytes.fromhex("0F01F01F02"), TMAC_KEY + b"\0", FULL)[0] == 0xAE


def test_file_settings_of_every_type() -> None:
    bench = example(proving=True)
    bench.begin(READ)
    expected = {
        STANDARD_FREE: "0000E0EE400000",
        BACKUP: "01013012400000",
        CYCLIC: "04013012100000040000000000",
        VALUE: "0203301200000000A08601000000000001",
        TMAC: "0501F01F0205",
    }
    for number, settings in expected.items():
        assert bench.ok(0xF5, bytes((number,))).hex().upper() == settings
    assert bench.ok(0x6F) == bytes((0, 1, 2, 3, 4, 5, 15))


def test_additional_access_rights_open_a_file_to_further_keys() -> None:
    bench = master()
    bench.ok(0x5F, bytes((BACKUP,)), bytes.fromhex("81301202FF4FFFF4"), FULL)
    assert bench.ok(0xF5, bytes((BACKUP,))).hex().upper() == "0181301240000002FF4FFFF4"
    bench.begin(4)
    assert bench.ok(0xAD, bytes((BACKUP,)) + le(0) + le(1)) == b"\0"
    bench.ok(0x8D, bytes((BACKUP,)) + le(0) + le(1), b"x")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ("01", 0x7E),
        ("013012FF", 0x7E),
        ("81301200", 0x9E),
        ("81301208" + "FFF4" * 8, 0x9E),
        ("81301202FF4F", 0x7E),
        ("215012", 0x9E),
        ("013052", 0x9E),
    ],
)
def test_change_file_settings_checks_what_it_gets(data: str, status: int) -> None:
    assert master().run(0x5F, bytes((BACKUP,)), bytes.fromhex(data), FULL)[0] == status


def test_change_right_decides_who_changes_settings_and_how() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert bench.run(0x5F, bytes((BACKUP,)), bytes.fromhex("013012"), FULL)[0] == 0xAE
    bench = master()
    bench.ok(0x5F, bytes((BACKUP,)), bytes.fromhex("013E12"), FULL)
    bench.select()
    assert bench.wrapped(0x5F, bytes((BACKUP,)) + bytes.fromhex("013F12"))[0] == 0
    bench.authenticate(MASTER, ZERO)
    assert bench.run(0x5F, bytes((BACKUP,)), bytes.fromhex("013012"), FULL)[0] == 0x9D


def test_changed_settings_drop_what_was_pending_under_the_old_ones() -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 100) == 0
    bench.authenticate(MASTER, ZERO)
    bench.ok(0x5F, bytes((VALUE,)), bytes.fromhex("013012"), FULL)
    assert bench.run(0xC7)[0] == 0x0C


def test_delete_file() -> None:
    bench = master()
    bench.ok(0xDF, bytes((BACKUP,)))
    assert bench.run(0xF5, bytes((BACKUP,)))[0] == 0xF0
    bench.select()
    assert bench.wrapped(0xDF, bytes((CYCLIC,)))[0] == 0  # key settings 0F: free to create and delete


def test_transaction_mac_file_is_deleted_by_the_master_key_only() -> None:
    bench = example(proving=True)
    bench.begin(READ)
    assert bench.run(0xDF, bytes((TMAC,)))[0] == 0xAE


def test_never_means_never_whoever_asks() -> None:
    bench = master()
    bench.ok(0xCD, bytes((9,)) + bytes.fromhex("00F0F1") + le(4))
    bench.begin(READ_WRITE)
    assert bench.run(0xAD, bytes((9,)) + le(0) + le(1), b"", PLAIN)[0] == 0x9D


@pytest.mark.parametrize(
    ("settings", "authenticated", "changed", "status"),
    [
        pytest.param("0F", 0, 2, 0, id="master changes others"),
        pytest.param("0F", 1, 2, 0xAE, id="others change nothing"),
        pytest.param("1F", 1, 2, 0, id="key 1 changes others"),
        pytest.param("1F", 0, 2, 0xAE, id="then not the master"),
        pytest.param("1F", 0, 1, 0, id="but the changing key is the master's"),
        pytest.param("1F", 1, 0, 0xAE, id="the master key is its own"),
        pytest.param("EF", 2, 2, 0, id="each its own"),
        pytest.param("EF", 0, 2, 0xAE, id="then not the master's"),
        pytest.param("FF", 0, 2, 0x9D, id="frozen"),
        pytest.param("FF", 0, 0, 0, id="frozen except the master key"),
        pytest.param("0E", 0, 0, 0x9D, id="master key frozen"),
        pytest.param("0F", 0, 5, 0x40, id="no such key"),
    ],
)
def test_who_may_change_a_key(settings: str, authenticated: int, changed: int, status: int) -> None:
    bench = master()
    bench.ok(0x54, b"", bytes.fromhex(settings), FULL)
    bench.select()
    bench.authenticate(authenticated, ZERO if authenticated == 0 else None)
    new = b"the next new key"
    if authenticated == changed:
        payload = bench.protect(0xC4, bytes((changed,)), new + b"\x09", FULL)
        assert bench.wrapped(0xC4, payload)[0] == status
    elif status == 0:
        bench.change_key(changed, new, 9, key(changed))
    else:
        assert bench.run(0xC4, bytes((changed,)), bytes(21), FULL)[0] == status
    bench.select()
    if status == 0:
        assert bench.wrapped(0x64, bytes((changed,))) == (0, b"\x09")
        assert bench.authenticate(changed, new) == 0


def test_change_key_by_the_ev2_command_has_one_key_set() -> None:
    bench = master()
    mixed = bytes(a ^ b for a, b in zip(bytes(16), key(2), strict=True))
    crc_of_zero_key = bytes.fromhex("44BB4113")
    status, _ = bench.run(0xC6, b"\x01\x02", mixed + b"\x09" + crc_of_zero_key, FULL)
    assert status == 0x40


def test_picc_master_key_is_named_with_its_type() -> None:
    bench = picc()
    assert bench.run(0xC4, b"\xc0", bytes(17), FULL)[0] == 0x9E
    bench = picc()
    assert bench.run(0xC4, b"\0", bytes(17), FULL)[0] == 0x7E, "a DES key has no version byte"
    bench = picc()
    assert bench.wrapped(0xC4, bench.protect(0xC4, b"\x80", b"a new card key..\x03", FULL)) == (0, b"")
    bench.select(PICC)
    assert bench.authenticate(MASTER, b"a new card key..") == 0
    assert bench.ok(0x64, b"\0") == b"\x03"


@pytest.mark.parametrize("length", [0, 16, 18])
def test_change_key_takes_exactly_its_data(length: int) -> None:
    assert master().run(0xC4, b"\0", bytes(length), FULL)[0] == 0x7E


@pytest.mark.parametrize(
    ("ins", "status"), [(0x0A, 0xAE), (0x1A, 0xAE), (0xF2, 0x9D), (0x8E, 0x1C), (0xC9, 0x1C)]
)
def test_what_this_card_does_not_do_it_refuses(ins: int, status: int) -> None:
    assert example().wrapped(ins, b"\0") == (status, b"")


def test_image_shows_key_check_values_and_never_keys() -> None:
    text = str(example(proving=True).card.image())
    for number in range(1, 5):
        assert key(number).hex() not in text.lower()
    assert TMAC_KEY.hex() not in text.lower()


def test_key_slots_do_not_show_their_key() -> None:
    assert key(1).hex() not in repr(example().card._state.memory.applications[AID].keys[1]).lower()
