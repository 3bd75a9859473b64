"""Card image files: a round trip keeps everything, damage is refused, `sim card` writes as a reload point does."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
from dataclasses import is_dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.testing import CliRunner

from sim.card.memory import Memory
from sim.card.virtual import VirtualCard
from sim.cli.app import app
from sim.emv.card import DualCard, VirtualBankCard
from sim.emv.memory import ChipMemory
from sim.image_file import KINDS, ImageFault, StoredCard, load_card, load_image, save_card
from sim.issuing import ReloadPoint, issue
from sim.lab_keys import load_lab_keys
from sim.phone import PhoneMemory
from sim.profile import load_profile, profile_names
from tests.sim.bench import SERVICE_DAY
from tests.test_project import ROOT

DAY = date(2026, 9, 15)
RANDOM = random.Random(1).randbytes


def card_of(profile: str) -> VirtualCard:
    card = issue(load_profile(profile), load_lab_keys(), 34, DAY, RANDOM)
    assert isinstance(card, VirtualCard)
    return card


def reload_point_of(card: VirtualCard) -> ReloadPoint:
    card.power_on()
    return ReloadPoint(card, load_lab_keys().for_card(card.uid, 34), RANDOM, SERVICE_DAY)


@pytest.mark.parametrize("profile", ["adult_purse", "social_pack_45", "half_personalised", "foreign_desfire"])
def test_round_trip_keeps_everything(tmp_path: Path, profile: str) -> None:
    card = card_of(profile)
    save_card(card, tmp_path / "card.json")
    again = load_card(tmp_path / "card.json", RANDOM)
    assert again.memory == card.memory
    assert again.image() == card.image()
    assert again.generation == card.generation


BANK_PROFILES = [name for name in profile_names() if load_profile(name).card.kind == "bank"]


@pytest.mark.parametrize("profile", [*BANK_PROFILES, "resident_bank"])
def test_round_trip_of_a_bank_card_keeps_everything(tmp_path: Path, profile: str) -> None:
    card = issue(load_profile(profile), load_lab_keys(), 34, DAY, RANDOM)
    assert isinstance(card, StoredCard)
    assert isinstance(card, DualCard | VirtualBankCard)
    card.transmit(bytes.fromhex("00A4040005A00000065800"))
    card.transmit(bytes.fromhex("80A8000002830000"))
    save_card(card, tmp_path / "card.json")
    again = load_image(tmp_path / "card.json", RANDOM)
    assert type(again) is type(card)
    assert isinstance(again, DualCard | VirtualBankCard)
    assert again.chip_memory == card.chip_memory
    assert again.image() == card.image()


KILLED_WHILE_SAVING = """
import os, random, signal, sys
from pathlib import Path
from sim.image_file import load_image, save_card
path, at = Path(sys.argv[1]), sys.argv[2]
card = load_image(path, random.Random(1).randbytes)
card.transmit(bytes.fromhex("00A4040005A00000065800"))
card.transmit(bytes.fromhex("80A8000002830000"))
def dies(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if at == "written":
    os.fsync = dies
else:
    Path.replace = dies
save_card(card, path)
"""


@pytest.mark.parametrize("at", ["written", "on the disk"])
def test_a_process_killed_while_it_saves_leaves_the_card_as_it_was(tmp_path: Path, at: str) -> None:
    path = tmp_path / "card.json"
    card = issue(load_profile("bank_cda"), load_lab_keys(), 34, DAY, RANDOM)
    assert isinstance(card, VirtualBankCard)
    save_card(card, path)
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_SAVING, str(path), at], check=False, timeout=60, cwd=ROOT
    )
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    again = load_image(path, RANDOM)
    assert isinstance(again, VirtualBankCard)
    assert again.chip_memory == card.chip_memory
    save_card(again, path)


def test_an_image_of_the_version_before_bank_cards_is_read(tmp_path: Path) -> None:
    """The file as version 3 wrote it: without the part that version 4 brought."""
    path, card = tmp_path / "card.json", card_of("adult_purse")
    save_card(card, path)
    document = json.loads(path.read_text("utf-8"))
    del document["card"]["bank"]
    canonical = json.dumps(document["card"], sort_keys=True, separators=(",", ":"))
    path.write_text(
        json.dumps(document | {"version": 3, "check": hashlib.sha256(canonical.encode()).hexdigest()}),
        "utf-8",
    )
    assert load_card(path, RANDOM).memory == card.memory


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", "card-2048"), ("atc", 65536), ("atc", -1), ("pdol", "9F"), ("cdol_1", "9F02"), ("ddol", ""),
        ("aid", "A000"), ("priority", 16), ("pan", "2200"), ("sequence", 100), ("aip", "19"), ("afl", "08"),
        ("records", {"257": "70" * 300}), ("records", {"1": "70"}), ("label", "ж"), ("method", "RSA"),
    ],
)  # fmt: skip
def test_a_chip_that_cannot_be_is_refused(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "card.json"
    card = issue(load_profile("bank_cda"), load_lab_keys(), 34, DAY, RANDOM)
    assert isinstance(card, VirtualBankCard)
    save_card(card, path)
    document = json.loads(path.read_text("utf-8"))
    document["card"]["bank"]["wallets"][0]["applications"][0][field] = value
    canonical = json.dumps(document["card"], sort_keys=True, separators=(",", ":"))
    path.write_text(json.dumps(document | {"check": hashlib.sha256(canonical.encode()).hexdigest()}), "utf-8")
    with pytest.raises(ImageFault, match="describes no card"):
        load_image(path, RANDOM)


def test_a_chip_without_wallets_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    save_card(VirtualBankCard(bytes(7), RANDOM, ChipMemory(False, ())), path)
    with pytest.raises(ImageFault, match="wallets"):
        load_image(path, RANDOM)


def test_a_bank_card_is_no_resident_card(tmp_path: Path) -> None:
    card = issue(load_profile("bank_cda"), load_lab_keys(), 34, DAY, RANDOM)
    assert isinstance(card, VirtualBankCard)
    save_card(card, tmp_path / "card.json")
    with pytest.raises(ImageFault, match="no resident application"):
        load_card(tmp_path / "card.json", RANDOM)


def test_loaded_card_authenticates_and_spends(tmp_path: Path) -> None:
    save_card(card_of("adult_purse"), tmp_path / "card.json")
    point = reload_point_of(load_card(tmp_path / "card.json", RANDOM))
    point.set_purse(12345, datetime(2026, 9, 15, tzinfo=UTC))
    view = point.read()
    assert view.purse_minor == view.event.balance_after_minor == 12345


def test_image_is_readable_and_its_owner_s_only(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    save_card(card_of("adult_purse"), path)
    document = json.loads(path.read_text("utf-8"))
    assert document["environment"] == "laboratory"
    assert document["card"]["memory"]["applications"]["015A4B"]["files"]["3"]["value"] == 50000
    assert path.stat().st_mode & 0o077 == 0


def _edit(path: Path, change: Any) -> None:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["card"].update(uid="04000000000000"), "damaged"),
        (lambda d: d["card"]["memory"].update(random_uid=True), "damaged"),
        (lambda d: d.update(version=1), "version 1"),
        (lambda d: d.update(format="zip"), "no card image"),
        (lambda d: d.update(environment="production"), "laboratory"),
        (lambda d: d.pop("check"), "damaged"),
        (lambda d: d.update(card=[]), "damaged"),
    ],
)
def test_damage_is_refused(tmp_path: Path, change: Any, says: str) -> None:
    path = tmp_path / "card.json"
    save_card(card_of("adult_purse"), path)
    _edit(path, change)
    with pytest.raises(ImageFault, match=says):
        load_card(path, RANDOM)


def test_files_name_every_part_of_a_card_in_words_of_their_own() -> None:
    """Computed from the types: a part that the table does not name could not be saved."""
    found: set[type] = set()

    def look(kind: Any) -> None:
        if is_dataclass(kind) and isinstance(kind, type) and kind not in found:
            found.add(kind)
            for part in get_type_hints(kind).values():
                look(part)
        for part in get_args(kind):
            look(part)

    look(Memory)
    look(ChipMemory)
    look(PhoneMemory)
    assert found == KINDS.keys()
    assert len(set(KINDS.values())) == len(KINDS)
    assert not {kind.__name__ for kind in KINDS} & set(KINDS.values())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        pytest.param(b"[" * 200_000, id="deep"),
        pytest.param(b'{"version": ' + b"9" * 5_000 + b"}", id="long number"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(ImageFault):
        load_card(path, RANDOM)


def test_no_nesting_is_too_deep_to_be_refused(tmp_path: Path) -> None:
    """At the edge of what Python reads, it reads what it cannot write again."""
    path = tmp_path / "card.json"
    head = '{"format": "resident-card-image", "version": 3, "environment": "laboratory", "card": {"x": '
    for depth in range(700, 1_050):
        path.write_text(head + "[" * depth + "]" * depth + "}}", "utf-8")
        with pytest.raises(ImageFault, match="is damaged"):
            load_card(path, RANDOM)


def test_every_cut_of_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    save_card(card_of("adult_purse"), path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageFault):
            load_card(path, RANDOM)


class TestCommands:
    """`sim card new|show|set|tear`."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> str:
        path = str(tmp_path / "card.json")
        assert self.run("new", path, "--profile", "adult_purse").exit_code == 0
        return path

    def run(self, *arguments: str) -> Any:
        return CliRunner().invoke(app, ["card", *arguments])

    def shown(self, file: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("show", file, "--json").output)
        return found

    def test_show(self, file: str) -> None:
        assert self.shown(file)["purse_minor"] == 50000

    def test_a_file_that_is_no_image_is_one_line(self, file: str) -> None:
        Path(file).write_bytes(b"[" * 200_000)
        assert isinstance(self.run("show", file).exception, ImageFault)

    def test_new_does_not_overwrite(self, file: str) -> None:
        assert isinstance(self.run("new", file, "--profile", "adult_purse").exception, ImageFault)
        assert self.run("new", file, "--profile", "empty_purse", "--force").exit_code == 0
        assert self.shown(file)["purse_minor"] == 0

    def test_set_purse_and_flags(self, file: str) -> None:
        assert self.run("set", file, "--purse-minor", "777", "--blocked").exit_code == 0
        shown = self.shown(file)
        assert shown["purse_minor"] == shown["newest_event_balance"] == 777
        assert shown["flags"] == ["blocked"]
        assert shown["revision"] == 2
        assert self.run("set", file, "--not-blocked").exit_code == 0
        assert self.shown(file)["flags"] == []

    def test_set_nothing_says_what_can_be_set(self, file: str) -> None:
        assert "nothing to change" in str(self.run("set", file).exception)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_tear_at_every_exchange_is_all_or_nothing(self, file: str, when: str) -> None:
        balances = []
        for exchange in range(1, 30):
            result = self.run(
                "tear", file, "--exchange", str(exchange), "--when", when, "--purse-minor", "60000"
            )
            if result.exit_code:
                break
            shown = self.shown(file)
            assert shown["purse_minor"] == shown["newest_event_balance"]
            balances.append(shown["purse_minor"])
        assert len(balances) > 10
        assert set(balances[:-1]) == {50000}
        assert balances[-1] == (60000 if when == "after" else 50000)

    def test_wrong_keys_are_one_line(self, file: str) -> None:
        assert "the card refuses" in str(self.run("show", file, "--region", "35").exception)
