"""A region's keys at the office: derived, split, imported, cut for roles, rolled; and what is refused."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import date
from pathlib import Path

import msgspec
import pytest

from sim.profile import LAB_KEYS
from terminal.errors import KeyFileError
from terminal.keys.check_values import check_value, is_public
from terminal.keys.components import combined, split
from terminal.keys.file import key_tables, load_file_keys
from terminal.keys.kept import SealedBy, sealed_content
from terminal.keys.limits import Ceiling
from terminal.keys.office import (
    OfficeOrder,
    RoleOrder,
    cut,
    derive,
    office_document,
    rolled,
    with_next_epoch,
    write_keys,
)
from terminal.keys.roles import BANK_CARDS, BANK_RECORDS, ROLES, KeyRole
from terminal.keys.signed import CeilingTables, KeyDocument, verified

ROOT = bytes.fromhex("9f1c2e5a7704b1d8e36c4f0a9b8d7260513f2e1d0c4b6a798897a6b5c4d3e2f1")
TODAY = date(2026, 11, 30)
LIMITS = CeilingTables(
    {"validate": Ceiling(50, 500), "reload": Ceiling(1, 2)}, {"transport": Ceiling(60, 600)}
)
ORDER = OfficeOrder(region=34, made_on=TODAY, limits=LIMITS)


def bus(office: KeyDocument, terminal: int = 7, ahead: int = 1, added: tuple[str, ...] = ()) -> KeyDocument:
    return cut(
        office, RoleOrder(role=KeyRole.BUS, made_on=TODAY, terminal=terminal, ahead=ahead, added=added)
    )


def test_keys_follow_from_the_root_as_rfc_5869_says() -> None:
    expanded = hmac.digest(ROOT, b"resident-keys-1/34/masters/validate/1\x01", hashlib.sha256)
    assert derive(ROOT, 34, "masters/validate/1", 16) == expanded[:16]


def test_check_value_is_the_cmac_of_a_zero_block() -> None:
    # openssl mac -cipher AES-128-CBC -macopt hexkey:2b7e151628aed2a6abf7158809cf4f3c CMAC, over 16 zero bytes
    assert check_value(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")) == "7AD386"


def test_every_key_of_the_laboratory_is_known_as_public() -> None:
    keys = re.findall(r'"([0-9A-F]{32,})"', LAB_KEYS.read_text("utf-8"))
    assert len(keys) > 30
    assert all(is_public(bytes.fromhex(key)) for key in keys)
    assert not is_public(ROOT)


@pytest.mark.parametrize("role", [r for r in KeyRole if ROLES[r].of_terminal])
def test_a_terminal_holds_at_most_one_of_the_writing_keys(role: KeyRole) -> None:
    held = {*ROLES[role].masters, *ROLES[role].addable}
    assert not held & {"picc", "application", "transaction_mac"}
    assert len(held & {"validate", "reload", "inspect", "entitle"}) <= 1
    assert not {*ROLES[role].storage} & {BANK_RECORDS, BANK_CARDS}, "no terminal opens taps of bank cards"


def test_the_back_offices_file_opens_taps_of_bank_cards_and_nothing_else(tmp_path: Path) -> None:
    office = office_document(ROOT, ORDER)
    write_keys(tmp_path / "bank.keys", cut(office, RoleOrder(role=KeyRole.BANK, made_on=TODAY)))
    keys = load_file_keys(tmp_path / "bank.keys")
    public = keys.record_key().public_key().public_bytes_raw()
    assert keys.bank_tokens(b"pan")[0].epoch == 1
    assert len(keys.bank_card_key()) == len(public) == 32
    with pytest.raises(KeyFileError, match="no master key"):
        keys.versions("validate")
    write_keys(tmp_path / "7.keys", bus(office))
    with pytest.raises(KeyFileError, match="bank_records"):
        load_file_keys(tmp_path / "7.keys").record_key()


def test_limits_and_environment_go_with_a_cut_file() -> None:
    office = office_document(ROOT, msgspec.structs.replace(ORDER, environment="laboratory"))
    found = bus(office)
    assert found.environment == "laboratory"
    assert found.limits.authentications == {"validate": Ceiling(50, 500)}
    assert found.limits.tokens == {"transport": Ceiling(60, 600)}


def test_rolling_prepares_ahead_at_every_generation_and_keeps_storage_keys() -> None:
    office = office_document(ROOT, ORDER)
    storage = bus(office).storage
    for served in range(2, 7):
        office = rolled(office, 4, TODAY)
        found = bus(office, ahead=3)
        assert found.key_version == served
        assert list(found.masters["validate"]) == [str(v) for v in range(served - 1, served + 4)]
        assert found.storage == storage
    assert bus(office, 8).storage["journal"] != storage["journal"]
    with pytest.raises(KeyFileError, match="4 versions ahead, not 5"):
        bus(office, ahead=5)


def test_components_make_the_root_again_and_mistakes_are_named() -> None:
    one, two, three = split(ROOT, 3, 34, "production")
    assert combined([three, one, two]) == ROOT
    with pytest.raises(KeyFileError, match="component 2 of 3 is missing"):
        combined([one, three])
    with pytest.raises(KeyFileError, match="the same"):
        combined([one, one, three])
    wrong = msgspec.structs.replace(two, component=two.component[:-1] + "0f"[two.component[-1] == "0"])
    with pytest.raises(KeyFileError, match="has the check value"):
        combined([one, wrong, three])
    with pytest.raises(KeyFileError, match="two ceremonies"):
        combined([one, two, msgspec.structs.replace(three, region=35)])


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('role = "bus"', 'role = "canteen"', "not what its office signed"),
        ('environment = "production"', 'environment = "laboratory"', "not what its office signed"),
        ("region = 34", "region = 35", "not what its office signed"),
        ("[signed]", "[unsigned]", "not whole"),
    ],
)
def test_an_edited_file_is_refused(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = tmp_path / "7.keys"
    write_keys(path, bus(office_document(ROOT, ORDER)))
    text = path.read_text("utf-8")
    path.write_text(text.replace(before, after), "utf-8")
    assert path.read_text("utf-8") != text
    with pytest.raises(KeyFileError, match=says):
        load_file_keys(path)


def test_a_file_serves_its_role_region_and_terminal_alone(tmp_path: Path) -> None:
    path = tmp_path / "7.keys"
    write_keys(path, bus(office_document(ROOT, ORDER)))
    keys = load_file_keys(path)
    keys.require_for("bus", 34, 7)
    for role, region, terminal in (("canteen", 34, 7), ("bus", 35, 7), ("bus", 34, 8)):
        with pytest.raises(KeyFileError, match="these keys are for"):
            keys.require_for(role, region, terminal)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match="exists already"):
        write_keys(path, bus(office_document(ROOT, ORDER)))


def test_laboratory_keys_marked_production_are_refused() -> None:
    laboratory = key_tables(LAB_KEYS)["masters"]
    assert isinstance(laboratory, dict)
    public = {"validate": {1: bytes.fromhex(laboratory["validate"]["1"])}}
    with pytest.raises(KeyFileError, match="everybody knows"):
        office_document(ROOT, ORDER, public)
    assert office_document(ROOT, msgspec.structs.replace(ORDER, environment="laboratory"), public)


def test_what_a_role_never_holds_is_not_cut() -> None:
    office = office_document(ROOT, ORDER)
    with pytest.raises(KeyFileError, match="never holds reload"):
        bus(office, added=("reload",))
    assert "order" in bus(office, added=("order",)).masters
    with pytest.raises(KeyFileError, match="Give the office's file"):
        rolled(bus(office), 2, TODAY)
    assert verified(msgspec.to_builtins(office), Path("office.keys")) == office


def test_a_credential_says_what_it_is_sealed_to() -> None:
    # `systemd-creds encrypt --with-key=host` of systemd 252; and systemd.io/CREDENTIALS, sealed to host and TPM.
    assert sealed_content(b"Whxqht+dQJax1aZeCGLxmiAAAAABAAAA") is SealedBy.HOST
    assert sealed_content(b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAA") is SealedBy.BOTH
    assert sealed_content(b'form = "resident-keys-1"') is None


def test_tokens_of_bank_cards_get_their_next_epoch_and_keep_it_when_cards_are_rolled(tmp_path: Path) -> None:
    office = office_document(ROOT, ORDER)
    first = office.purposes["bank_1"]
    office = with_next_epoch(office, TODAY)
    assert (list(bus(office).purposes)[-2:], office.purposes["bank_1"]) == (["bank_1", "bank_2"], first)
    write_keys(tmp_path / "bus.keys", bus(rolled(office, 2, TODAY)))
    tokens = load_file_keys(tmp_path / "bus.keys").bank_tokens(b"one card")
    assert [one.epoch for one in tokens] == [2, 1]
    assert tokens[0].token != tokens[1].token
    again = with_next_epoch(office_document(ROOT, ORDER), TODAY)
    assert again.purposes == office.purposes, "custodians make the same again"
    for _ in range(7):
        office = with_next_epoch(office, TODAY)
    with pytest.raises(KeyFileError, match="the last epoch"):
        with_next_epoch(office, TODAY)
