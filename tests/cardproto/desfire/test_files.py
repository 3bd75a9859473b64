"""File settings: published answers are in the vectors; here every kind, made by the software card's own encoder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.desfire.application import KeySettings, PartVersion, Version
from cardproto.desfire.creation import SettingsChange, build_change, build_create
from cardproto.desfire.files import (
    FREE,
    NEVER,
    AccessRights,
    DataFileSettings,
    FileSettings,
    FileType,
    RecordFileSettings,
    TransactionMacSettings,
    ValueFileSettings,
    parse_file_settings,
)
from cardproto.desfire.messaging import CommMode
from cardproto.errors import FormatError

RIGHTS = AccessRights(read=1, write=2, read_write=3, change=0)


def test_access_rights_travel_with_the_nibbles_of_the_datasheet() -> None:
    """Read 1, Write 2, ReadWrite 3, Change 0 is the value 1230, sent 30 12."""
    assert RIGHTS.to_bytes().hex() == "3012"
    assert AccessRights.parse(b"\x30\x12") == RIGHTS
    assert AccessRights().to_bytes() == b"\xff\xff"
    assert (FREE, NEVER) == (14, 15)
    with pytest.raises(FormatError, match="expected 2"):
        AccessRights.parse(b"\x30")


nibble = st.integers(0, 15)


@given(nibble, nibble, nibble, nibble)
def test_access_rights_read_back(read: int, write: int, read_write: int, change: int) -> None:
    rights = AccessRights(read, write, read_write, change)
    assert AccessRights.parse(rights.to_bytes()) == rights


@pytest.mark.parametrize(
    ("raw", "settings"),
    [
        ("00033012000100", DataFileSettings(FileType.STANDARD, CommMode.FULL, RIGHTS, 256)),
        ("01013012400000", DataFileSettings(FileType.BACKUP, CommMode.MAC, RIGHTS, 64)),
        (
            "01813012400000" + "02" + "FF3F" + "4FF4",
            DataFileSettings(
                FileType.BACKUP,
                CommMode.MAC,
                RIGHTS,
                64,
                (AccessRights(read=3), AccessRights(write=4, read_write=4)),
            ),
        ),
        (
            "02003012" + "FFFFFFFF" + "E8030000" + "05000000" + "03",
            ValueFileSettings(
                CommMode.PLAIN,
                RIGHTS,
                -1,
                1000,
                limited_credit=True,
                free_get_value=True,
                limited_credit_value=5,
            ),
        ),
        (
            "03023012" + "200000" + "070000" + "030000",
            RecordFileSettings(FileType.LINEAR, CommMode.PLAIN, RIGHTS, 32, 7, 3),
        ),
        (
            "04013012" + "200000" + "070000" + "000000",
            RecordFileSettings(FileType.CYCLIC, CommMode.MAC, RIGHTS, 32, 7),
        ),
        ("05013012" + "0207", TransactionMacSettings(CommMode.MAC, RIGHTS, 7)),
        (
            "05313012" + "0207" + "10000000",
            TransactionMacSettings(CommMode.MAC, RIGHTS, 7, 16, exclude_unauthenticated=True),
        ),
    ],
)
def test_every_kind(raw: str, settings: FileSettings) -> None:
    assert parse_file_settings(bytes.fromhex(raw)) == settings


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("", "ends after 0 bytes"),
        ("000330120001", "ends after 6 bytes"),
        ("0003301200010000", "1 bytes too many"),
        ("0603301200010000", "unknown file type 06"),
        ("00433012000100", "reserved option bits 40"),
        ("05813012" + "0207", "reserved option bits 80"),
        ("02003012" + "00000000" + "00000000" + "00000000" + "04", "reserved value flags 04"),
        ("05013012" + "0107", "key option 01"),
        ("05013012" + "020700", "1 bytes too many"),
        ("05213012" + "0207", "ends after"),
        ("00833012000100", "ends after"),
        ("0083301200010000", "0 additional"),
        ("0083301200010008" + "3012" * 8, "8 additional"),
        ("0083301200010002" + "3012", "ends after"),
    ],
)
def test_refused(raw: str, problem: str) -> None:
    with pytest.raises(FormatError, match=problem):
        parse_file_settings(bytes.fromhex(raw))


@given(
    st.binary(max_size=40)
    | st.binary(min_size=6, max_size=24).map(lambda b: bytes((b[0] % 6, b[1] & 0xB3)) + b[2:])
)
def test_any_bytes_are_settings_or_an_error_of_ours(raw: bytes) -> None:
    try:
        settings = parse_file_settings(raw)
    except FormatError:
        return
    assert settings.type == raw[0]


@pytest.mark.parametrize(
    ("settings", "raw"),
    [
        (DataFileSettings(FileType.BACKUP, CommMode.MAC, RIGHTS, 64), "07" + "01" + "3012" + "400000"),
        (
            ValueFileSettings(CommMode.FULL, RIGHTS, -1, 1000, 5, limited_credit=True),
            "07" + "03" + "3012" + "FFFFFFFF" + "E8030000" + "05000000" + "01",
        ),
        (
            RecordFileSettings(FileType.CYCLIC, CommMode.MAC, RIGHTS, 32, 7),
            "07" + "01" + "3012" + "200000" + "070000",
        ),
        (
            TransactionMacSettings(CommMode.MAC, RIGHTS, exclude_unauthenticated=True),
            "07" + "11" + "3012" + "02",
        ),
    ],
)
def test_creation(settings: FileSettings, raw: str) -> None:
    assert build_create(7, settings).hex().upper() == raw


def test_creation_with_an_iso_file_id_sends_it_reversed() -> None:
    settings = DataFileSettings(FileType.STANDARD, CommMode.PLAIN, RIGHTS, 32)
    assert build_create(4, settings, 0xEF04).hex().upper() == "04" + "04EF" + "00" + "3012" + "200000"


def test_additional_rights_come_after_creation() -> None:
    extra = (AccessRights(read=3),)
    settings = DataFileSettings(FileType.BACKUP, CommMode.MAC, RIGHTS, 64, extra)
    assert build_create(1, settings).hex() == "01" + "01" + "3012" + "400000"
    assert (
        build_change(SettingsChange(CommMode.MAC, RIGHTS, extra)).hex().upper()
        == "81" + "3012" + "01" + "FF3F"
    )
    assert build_change(SettingsChange(CommMode.FULL, RIGHTS)).hex() == "03" + "3012"


def test_a_transaction_limit_cannot_be_created() -> None:
    with pytest.raises(ValueError, match="ChangeFileSettings"):
        build_create(15, TransactionMacSettings(CommMode.MAC, RIGHTS, tmc_limit=9))


@pytest.mark.parametrize(
    ("settings", "raw"),
    [
        (KeySettings(5, free_listing=True), "0B85"),
        (KeySettings(14, change_key=14, free_create_delete=True, iso_file_ids=True), "EDAE"),
        (KeySettings(1, settings_changeable=False, master_key_changeable=False, key_type=0), "0001"),
    ],
)
def test_key_settings(settings: KeySettings, raw: str) -> None:
    assert settings.to_bytes().hex().upper() == raw
    assert KeySettings.parse(bytes.fromhex(raw)) == settings


@pytest.mark.parametrize("raw", ["", "0B", "0B8500", "0B95", "0BC5"])
def test_key_settings_refused(raw: str) -> None:
    with pytest.raises(FormatError):
        KeySettings.parse(bytes.fromhex(raw))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_version_or_an_error_of_ours(raw: bytes) -> None:
    for parse, length in ((Version.parse, 28), (PartVersion.parse, 7), (KeySettings.parse, 2)):
        try:
            parse(raw)
        except FormatError:
            continue
        assert len(raw) == length
