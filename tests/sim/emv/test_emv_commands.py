"""`sim card emv new|list|show|ca`, and the desk's shelf."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sim.cli.app import app
from sim.desk.face import CardGroup
from sim.desk.shelf import lay_out
from sim.emv.card import ATR_CONTACTS, DualCard, VirtualBankCard
from sim.image_file import ImageFault, load_image
from sim.lab_keys import load_lab_keys
from sim.profile import ProfileFault, load_profile, profile_names
from tests.sim.emv.judge import Judge

DESCRIPTION = '[description]\nru = "Проба"\nen = "Trial"\n'
RANDOM = random.Random(2).randbytes


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["card", "emv", *arguments])


def test_a_bank_card_is_issued_kept_and_shown_without_its_number(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    done = run("new", str(path), "--profile", "bank_cda", "--seed", "1", "--issued-on", "2026-09-15")
    assert done.exit_code == 0, done.output
    card = load_image(path, RANDOM)
    assert isinstance(card, VirtualBankCard)
    judge = Judge(card)
    judge.select()
    judge.start()
    assert judge.cda()[0] == 0x40
    shown = json.loads(run("show", str(path), "--json").output)
    assert shown["applications"][1] == {
        "aid": "A0000006581010", "number": "XXXXXXXXXXXX0111", "sequence": 1, "method": "CDA", "blocked": False,
        "atc": 0, "records": 5,
    }  # fmt: skip
    for output in (json.dumps(shown), run("show", str(path)).output):
        assert "2200000000000111"[:12] not in output
    assert isinstance(run("new", str(path), "--profile", "bank_cda").exception, ImageFault)
    assert run("new", str(path), "--profile", "resident_bank", "--force").exit_code == 0
    assert isinstance(load_image(path, RANDOM), DualCard)


def test_cards_without_a_bank_application_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "card.json")
    assert "no bank application" in str(run("new", path, "--profile", "adult_purse").exception)
    assert CliRunner().invoke(app, ["card", "new", path, "--profile", "adult_purse"]).exit_code == 0
    assert "no bank application" in str(run("show", path).exception)
    other = str(tmp_path / "other.json")
    refused = CliRunner().invoke(app, ["card", "new", other, "--profile", "bank_cda"])
    assert "sim card emv new" in str(refused.exception)


def test_the_list_names_every_bank_card() -> None:
    listed = json.loads(run("list", "--json").output)
    assert [one["name"] for one in listed] == [n for n in profile_names() if load_profile(n).bank is not None]
    assert {one["method"] for one in listed} == {"CDA", "fDDA", "DDA", "static"}
    assert len(run("list").output.splitlines()) == len(listed) == 13


def test_the_keys_terminals_believe_fit_their_checksums() -> None:
    printed = json.loads(run("ca").output)
    assert printed["environment"] == "laboratory"
    assert [key["index"] for key in printed["ca_keys"]] == ["E1", "E2", "E3"]
    for key in printed["ca_keys"]:
        content = bytes.fromhex(key["rid"] + key["index"] + key["modulus"] + key["exponent"])
        assert hashlib.sha1(content).hexdigest().upper() == key["sha1"]
    assert printed["revoked"] == [{"rid": "A000000658", "index": "E1", "serial": "0000FF"}]


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ('[card]\nkind = "bank"\n', "needs \\[bank\\]"),
        ('[card]\nkind = "blank"\n[bank]\nmethod = "CDA"\naccount = 1\n', "does not fit"),
        ('[bank]\nmethod = "DDA"\naccount = 1\ninterface = "contacts"\n', "does not fit"),
        (
            '[card]\nkind = "bank"\n[bank]\nmethod = "fDDA"\naccount = 1\ninterface = "contacts"\n',
            "contactless",
        ),
        ('[card]\nkind = "bank"\n[bank]\nmethod = "XDA"\naccount = 1\n', "method"),
        ('[card]\nkind = "bank"\n[bank]\nmethod = "CDA"\naccount = 1\ndigits = 20\n', "digits"),
    ],
)
def test_profiles_of_bank_cards_that_cannot_be(tmp_path: Path, tables: str, says: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(DESCRIPTION + tables, "utf-8")
    with pytest.raises(ProfileFault, match=says):
        load_profile(path)


def test_an_account_too_long_for_its_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        DESCRIPTION + '[card]\nkind = "bank"\n[bank]\nmethod = "CDA"\naccount = 9999999999\n', "utf-8"
    )
    with pytest.raises(ProfileFault, match="does not fit a number of 16 digits"):
        raise run("new", str(tmp_path / "card.json"), "--profile", str(path)).exception


def test_the_shelf_has_them_in_a_group_of_their_own() -> None:
    shelf = lay_out(load_lab_keys(), 34, date(2026, 9, 15), RANDOM)
    faces = {name: laid.face for name, laid in shelf.items() if laid.face.group is CardGroup.BANK}
    assert len(faces) == 13
    assert faces["bank_fdda"].chip == "EMV fDDA"
    assert faces["resident_bank"].chip == "DESFire EV2, EMV CDA"
    assert shelf["resident_bank"].chip == "DESFire EV2, EMV CDA"
    assert shelf["adult_purse"].chip == "DESFire EV2"


def test_the_shelf_shows_a_phones_token_as_it_changes() -> None:
    phone = lay_out(load_lab_keys(), 34, date(2026, 9, 15), RANDOM)["bank_phone"]
    assert phone.chip == "EMV CDA 1/2"
    assert isinstance(phone.card, VirtualBankCard)
    judge = Judge(phone.card)
    judge.select()
    judge.start()
    phone.card.power_on()
    assert phone.chip == "EMV CDA 2/2"


def test_a_card_for_both_has_a_directory_for_each_interface() -> None:
    card = lay_out(load_lab_keys(), 34, date(2026, 9, 15), RANDOM)["bank_cda"].card
    assert isinstance(card, VirtualBankCard)
    before = card.image()
    card.use_contacts()
    assert card.atr == ATR_CONTACTS
    assert card.transmit(bytes.fromhex("00A404000E315041592E5359532E444446303100"))[-2:] == b"\x90\0"
    assert card.transmit(bytes.fromhex("00A404000E325041592E5359532E444446303100"))[-2:] == b"\x6a\x82"
    assert card.image() == before, "the interface it was read through is nothing it keeps"
