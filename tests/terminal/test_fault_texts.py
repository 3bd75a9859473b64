"""Faults in words: every code has a line, and a line shows what was found, a zero included."""

from __future__ import annotations

from enum import StrEnum
from typing import get_args

from terminal.codes import FaultCode, KeyFault, StartFault
from terminal.fault_texts import FAULTS, UNKNOWN, fault_text


def test_every_fault_of_every_room_has_words() -> None:
    rooms: tuple[type[StrEnum], ...] = get_args(FaultCode)
    assert {code for room in (*rooms, StartFault) for code in room} == FAULTS.keys()


def test_a_zero_is_shown_and_what_a_row_lacks_is_a_dash() -> None:
    shown = fault_text(KeyFault.LIMIT, {"use": "token:transport", "opens_in_s": 0})
    assert shown == "Key limit reached (token:transport), 0 s to wait"
    assert fault_text(KeyFault.LIMIT, {"use": ""}).count(UNKNOWN) == 2


def test_a_code_of_newer_software_stands_for_itself() -> None:
    assert fault_text("reader:on_fire", {}) == "reader:on_fire"
