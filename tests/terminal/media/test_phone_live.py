"""A resident's phone at `terminal run`: it rides by what an issuer signed, and the terminal keeps what it cannot."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sim.image_file import load_image, save_card
from sim.phone import VirtualPhone
from terminal.app.simulated import issue_residents
from tests.by_hand import BY_HAND, TerminalByHand, started
from tests.config_file import config_file

TODAY = date(2026, 9, 15)
RETAP_S = 60
HALF_PRICE = """
description = { ru = "Телефон студента", en = "Student's phone" }
card = { kind = "phone" }
concessions = [{ code = 2, valid_from = "-60d", valid_to = "+300d" }]
"""


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder, with a configuration that takes phones."""
    folder = tmp_path_factory.mktemp("bus")
    config_file(
        folder,
        terminal={"number": 70001, "profile": "bus", "state": "state", "region": "demo"},
        reader={"name": "sim:"},
        media={"order": ["resident", "phone"]},
        shift={"operator": "17", "route": 15},
        laboratory=BY_HAND,
    )
    (folder / "half_price.toml").write_text(HALF_PRICE, "utf-8")
    return folder


def phone_in(
    folder: Path,
    name: str,
    profile: str = "phone_pensioner",
    region: int = 34,
    change: Callable[[VirtualPhone], None] | None = None,
) -> Path:
    """A new phone's file."""
    (card,) = issue_residents([profile], region, TODAY)
    assert isinstance(card, VirtualPhone)
    if change is not None:
        change(card)
    save_card(card, folder / f"{name}.json")
    return folder / f"{name}.json"


def said(tap: dict[str, Any]) -> tuple[str, str, str]:
    return tap["message"], tap["admission"], tap["end"]


RIDES = ("ok_benefit_unlimited", "let_in", "committed")
REFUSED = ("refused", "nothing_written")


def test_it_rides_and_its_state_survives_a_power_cut(bus: Path) -> None:
    phone = phone_in(bus, "pensioner")
    with started(bus, bus / "terminal.toml") as terminal:
        first = terminal.tap(phone)
        assert said(first) == RIDES
        assert first["reasons"][0] == "phone:answered"
        assert first["exchanges"] <= 4, "one selection of the resident application, then three"
        assert said(terminal.tap(phone)) == ("already_paid", "let_in", "nothing_written")
        terminal.process.kill()
        terminal.process.wait(20)
    with started(bus, bus / "terminal.toml") as terminal:
        assert said(terminal.tap(phone)) == ("already_paid", "let_in", "nothing_written")
        terminal.say("clock", step_s=RETAP_S + 1)
        again = terminal.tap(phone)
        assert said(again) == RIDES
        assert again["card_ref"] == first["card_ref"], "another UID each time, and the same phone"
        others_are_refused(bus, terminal)


def others_are_refused(bus: Path, terminal: TerminalByHand) -> None:
    genuine = load_image(bus / "pensioner.json", os.urandom)
    assert isinstance(genuine, VirtualPhone)

    def copy(phone: VirtualPhone) -> None:
        phone.memory = replace(phone.memory, credential=genuine.memory.credential)

    def empty(phone: VirtualPhone) -> None:
        phone.memory = replace(phone.memory, credential=b"")

    expected = {
        phone_in(bus, "locked", change=VirtualPhone.lock): "unlock_phone",
        phone_in(bus, "copied", change=copy): "credential_not_trusted",
        phone_in(bus, "elsewhere", region=2): "credential_not_trusted",
        phone_in(bus, "empty", change=empty): "unknown_card",
        phone_in(bus, "student", str(bus / "half_price.toml")): "no_right_in_phone",
    }
    for phone, message in expected.items():
        assert said(terminal.tap(phone)) == (message, *REFUSED), phone.name
    (card,) = issue_residents(["free_pensioner"], 34, TODAY)
    save_card(card, bus / "card.json")  # type: ignore[arg-type]
    tap = terminal.tap(bus / "card.json")
    assert tap["message"] == "ok_benefit_unlimited"
    assert tap["exchanges"] <= 7, "no exchange is spent on phones where a resident card answers"
