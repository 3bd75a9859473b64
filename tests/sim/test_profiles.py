"""Profiles, laboratory keys, the issuing point and `sim profiles`."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import DesKey
from cardproto.desfire.messaging import CommMode
from cardproto.errors import FormatError, StatusError
from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, FILES, FILES_EV1, KeyNo
from cardproto.resident.opening import open_as
from cardproto.resident.records.event import EVENT_BYTES, Event, EventKind, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, Concession, Contract, Rights, parse_rights
from sim.card.virtual import VirtualCard
from sim.cli.app import app, main
from sim.days import parse_day
from sim.issuing import issue, pseudonym_of
from sim.lab_keys import load_lab_keys
from sim.profile import LAB_KEYS, PROFILE_FOLDER, ProfileFault, load_profile, profile_names
from tests.cardproto.cards import OpeningInMemory
from tests.sim.bench import Counting

TODAY = date(2026, 9, 15)
REGION = 34
ASKED_FOR = {
    "adult_purse", "month_pass", "social_pack_45", "free_pensioner", "student_half_price", "pupil_grade3",
    "pupil_two_meals", "empty_purse", "blocked", "expired", "deny_listed", "half_personalised",
    "foreign_desfire", "not_desfire",
}  # fmt: skip


def issued(name: str):
    return issue(load_profile(name), load_lab_keys(), REGION, TODAY, Counting())


def read(card) -> tuple[Rights, Event, int]:
    """What a validator reads: with the diversified key, through the card's own checks."""
    desfire, masters = DesfireCard(DesfireChannel(card)), load_lab_keys()
    shown_uid = desfire.channel.read_uid()
    desfire.select_application(AID)
    keys = OpeningInMemory(bytes, masters, region=REGION)
    assert open_as(desfire, shown_uid, KeyNo.VALIDATE, keys).uid == card.uid
    rights = parse_rights(desfire.read_data(FILE_RIGHTS, 0, RIGHTS_BYTES, CommMode.MAC))
    event = desfire.read_records(FILE_EVENTS, 0, 1, CommMode.MAC, EVENT_BYTES)
    return rights, parse_event(event), desfire.get_value(FILE_PURSE, CommMode.MAC)


def test_every_resident_asked_for_is_there() -> None:
    assert set(profile_names()) >= ASKED_FOR
    assert "lab_keys" not in profile_names()


@pytest.mark.parametrize("name", profile_names())
def test_profile_describes_itself_in_both_languages(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert re.search("[а-яё]", profile.description.ru, re.IGNORECASE)
    assert not re.search("[а-яё]", profile.description.en, re.IGNORECASE)


@pytest.mark.parametrize("name", profile_names())
def test_profile_becomes_a_card(name: str) -> None:
    profile, card = load_profile(name), issued(name)
    if profile.card.kind != "resident":
        with pytest.raises(StatusError):
            DesfireCard(DesfireChannel(card)).select_application(AID)
        return
    if profile.card.stop_after is not None:
        with pytest.raises((StatusError, FormatError)):
            read(card)
        return
    rights, event, purse_minor = read(card)
    assert rights.region == REGION
    assert rights.pseudonym == pseudonym_of(profile, card.uid)
    assert (purse_minor, event.balance_after_minor) == (profile.card.purse_minor,) * 2
    assert (event.kind, event.at) == (EventKind.ISSUE, datetime(2026, 9, 15, tzinfo=UTC))
    files = card.image()["applications"]["4B5A01"]["files"]
    proving = profile.card.generation != "EV1"
    assert [int(number, 16) for number in files] == [
        line.number for line in (FILES if proving else FILES_EV1)
    ]
    assert not proving or files["0F"]["counter"] == 1


@pytest.mark.parametrize("name", ["blank_ev1", "blank_ev2", "blank_ev3"])
def test_blank_cards_are_as_the_factory_delivers_them(name: str) -> None:
    card = issued(name)
    desfire = DesfireCard(DesfireChannel(card))
    assert desfire.get_key_settings().key_type is KeyType.DES
    desfire.authenticate_d40(0, DesKey(bytes(16)), bytes(8))
    assert desfire.get_application_ids() == ()


@pytest.mark.parametrize(
    "line", ['kind = "resident"\ngeneration = "Light"', 'kind = "blank"\nrandom_uid = true']
)
def test_cards_that_cannot_be_are_refused(tmp_path: Path, line: str) -> None:
    head = (PROFILE_FOLDER / "adult_purse.toml").read_text("utf-8").split("[card]")[0]
    (tmp_path / "odd.toml").write_text(f"{head}[card]\n{line}\n", "utf-8")
    with pytest.raises(ProfileFault):
        load_profile(tmp_path / "odd.toml")


def test_days_are_relative_to_the_issue_day() -> None:
    rights, event, _ = read(issued("social_pack_45"))
    assert rights.contracts[0] == Contract(145, date(2026, 9, 1), date(2026, 9, 30), 45)
    assert rights.issued_on == date(2025, 8, 11)
    assert (event.counter_layout, event.counters) == (1, 12 << 40)
    rights, _, _ = read(issued("pupil_two_meals"))
    assert rights.concessions[0] == Concession(11, 0x13, date(2026, 7, 17), date(2027, 7, 12))
    rights, _, _ = read(issued("expired"))
    assert rights.valid_to == date(2026, 9, 14)


def test_flags_and_counters_reach_the_card() -> None:
    assert read(issued("blocked"))[0].blocked
    assert read(issued("inactive_medium"))[0].inactive
    assert read(issued("student_limit_used"))[1].counters == 50 << 48
    assert read(issued("deny_listed"))[0].pseudonym == bytes.fromhex("5701D0E5B10C4ED0")


def test_same_randomness_same_card_and_other_uids_for_other_cards() -> None:
    assert issued("adult_purse").image() == issued("adult_purse").image()
    rng = Counting()
    uids = {issue(load_profile("adult_purse"), load_lab_keys(), REGION, TODAY, rng).uid for _ in range(3)}
    assert len(uids) == 3
    assert {uid[0] for uid in uids} == {0x04}


def test_issued_card_has_no_factory_key_left() -> None:
    card = issued("adult_purse")
    for aid, number in ((bytes(3), 0), (AID, 0), (AID, 1)):
        desfire = DesfireCard(DesfireChannel(card))
        desfire.select_application(aid)
        with pytest.raises(StatusError) as refused:
            desfire.authenticate_ev2_first(number, AesAuthentication(AesKey(bytes(16)), bytes(16)))
        assert refused.value.sw == 0x91AE


def test_half_personalised_card_has_keys_and_files_but_no_content() -> None:
    card = issued("half_personalised")
    assert isinstance(card, VirtualCard)
    files = card.image()["applications"]["4B5A01"]["files"]
    assert files["01"]["content"] == "00" * RIGHTS_BYTES
    assert files["02"]["records"] == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", date(2026, 2, 10)),
        ("+3d", date(2026, 2, 13)),
        ("-10d", date(2026, 1, 31)),
        ("month_start", date(2026, 2, 1)),
        ("month_end", date(2026, 2, 28)),
        ("month_end+1d", date(2026, 3, 1)),
        ("month_start-1d", date(2026, 1, 31)),
        ("2027-06-30", date(2027, 6, 30)),
    ],
)
def test_days(text: str, day: date) -> None:
    assert parse_day(text).on(date(2026, 2, 10)) == day


@pytest.mark.parametrize("text", ["", "tomorrow", "3d", "+3", "+3m", "2026-02-30", "month_end + 1d", "+3d\n"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match="is no day"):
        parse_day(text)


DESCRIPTION = '[description]\nru = "Проба"\nen = "Trial"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "description", id="no description"),
        pytest.param('[description]\nen = "Trial"\n', "`ru`", id="one language"),
        pytest.param(DESCRIPTION + "[card]\npurse = 5\n", "`purse`", id="unknown key"),
        pytest.param(DESCRIPTION + "[card]\npurse_minor = -1\n", "purse_minor", id="negative purse"),
        pytest.param(DESCRIPTION + "[card]\npurse_minor = 5.0\n", "purse_minor", id="money with a point"),
        pytest.param(DESCRIPTION + '[card]\nkind = "watch"\n', "kind", id="unknown kind"),
        pytest.param(DESCRIPTION + '[card]\nvalid_to = "soon"\n', "card.valid_to", id="no day"),
        pytest.param(DESCRIPTION + '[card]\nstop_after = "lunch"\n', "stop_after", id="unknown step"),
        pytest.param(DESCRIPTION + '[card]\npseudonym = "12"\n', "pseudonym", id="short pseudonym"),
        pytest.param(DESCRIPTION + "[state]\npack_a = 256\n", "pack_a", id="counter too large"),
        pytest.param(DESCRIPTION + "[[contracts]]\nproduct = 1\n", "valid_from", id="contract without days"),
        pytest.param(
            DESCRIPTION + '[[contracts]]\nproduct = 1\nvalid_from = "x"\nvalid_to = "+1d"\n',
            "contracts[0].valid_from",
            id="contract with a wrong day",
        ),
        pytest.param(
            DESCRIPTION + '[[concessions]]\ncode = 1\nvalid_from = "today"\nvalid_to = "today"\n' * 4,
            "concessions",
            id="four concessions",
        ),
        pytest.param('name = "x"\n' + DESCRIPTION, "name", id="name in the file"),
        pytest.param("[description\n", "is not TOML", id="no TOML"),
    ],
)
def test_faulty_profile_says_where_and_what_to_change(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "trial.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ProfileFault) as fault:
        load_profile(path)
    assert str(path) in fault.value.what
    assert problem in fault.value.what
    assert fault.value.advice


def test_unknown_missing_and_unreadable_profiles(tmp_path: Path) -> None:
    with pytest.raises(ProfileFault, match="Choose one of adult_purse"):
        load_profile("nobody")
    with pytest.raises(ProfileFault, match="no file"):
        load_profile(tmp_path / "nobody.toml")
    with pytest.raises(ProfileFault, match="cannot be read"):
        load_profile(tmp_path)
    own = tmp_path / "own.toml"
    own.write_text(DESCRIPTION, "utf-8")
    assert load_profile(str(own)).name == "own"


def test_profile_whose_days_no_card_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    path.write_text(DESCRIPTION + '[card]\nvalid_from = "1970-01-01"\n', "utf-8")
    with pytest.raises(ProfileFault, match="profile old"):
        issue(load_profile(path), load_lab_keys(), REGION, TODAY, Counting())


def test_laboratory_keys_are_marked_and_different() -> None:
    text = LAB_KEYS.read_text("utf-8")
    assert text.startswith("# LABORATORY KEYS")
    keys = load_lab_keys()
    own = set(type(keys).__dataclass_fields__) - {"version", "spare"}
    values = {getattr(generation, name) for generation in (keys, *keys.spare) for name in own}
    assert len(values) == 7 * 3 + 2, "card master and transaction MAC key have one generation"
    for value in values:
        assert value.hex() not in repr(keys).lower()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"laboratory"', '"production"'), "laboratory"),
        (("[masters]", "[master]"), "masters"),
        (('validate = { 1 = "', 'validate = { 1 = "x'), "masters.validate.1 is not hexadecimal"),
        (('validate = { 1 = "', 'validate = { 1 = "00'), "masters.validate.1 is 17 bytes"),
        (("validate =", "check ="), "masters.validate.2 is missing"),
        (("picc =", "card ="), "masters.picc is missing"),
        (("key_version = 1", "key_version = 2"), "masters.application.4 is missing"),
        (("key_version = 1", "key_version = 254"), "key_version is no version"),
    ],
)
def test_faulty_key_file_is_refused_without_showing_a_key(tmp_path: Path, change, problem: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(LAB_KEYS.read_text("utf-8").replace(*change), "utf-8")
    with pytest.raises(ProfileFault) as fault:
        load_lab_keys(path)
    assert problem in str(fault.value)
    assert load_lab_keys().reload.hex().upper() not in str(fault.value)


def test_profiles_have_no_names_of_people_and_no_numbers_of_people() -> None:
    for path in PROFILE_FOLDER.glob("*.toml"):
        if path != LAB_KEYS:
            assert not re.search(r"\b\d{11}\b|\b\d{16}\b", path.read_text("utf-8")), path


def test_sim_profiles_lists_all() -> None:
    result = CliRunner().invoke(app, ["profiles", "--json"])
    assert result.exit_code == 0
    listed = json.loads(result.stdout)
    assert [entry["name"] for entry in listed] == list(profile_names())
    assert listed[0] == {
        "name": "adult_purse",
        "ru": "Взрослый с деньгами на карте",
        "en": "Adult with money in the purse",
        "kind": "resident",
        "purse_minor": 50000,
        "concessions": [],
        "contracts": [],
    }
    table = CliRunner().invoke(app, ["profiles"])
    assert table.exit_code == 0
    assert all(name in table.stdout for name in profile_names())


def test_a_faulty_profile_ends_the_command_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trial.toml").write_text("[description]\n", "utf-8")
    monkeypatch.setattr("sim.profile.PROFILE_FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["sim", "profiles"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 50
    assert capsys.readouterr().err.count("\n") == 1
