"""Bank cards at `terminal run`: proven offline, registered, charged later, and their numbers nowhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from sim.image_file import save_card
from sim.lab_office import lab_office_key
from terminal.app.simulated import issue_residents, laboratory_bank_ca
from terminal.app.station import journal_reader
from terminal.bank_record import open_record, record_verdict
from terminal.decision.bank_row import bank_row_in
from terminal.journal.records import Intent
from terminal.policy.load import region_path
from tests.by_hand import BY_HAND, TerminalByHand, started
from tests.config_file import config_file

TODAY = date(2026, 9, 15)
REGION = 34
PAID = ("ok_paid", "let_in", "committed")
REFUSED = ("refused", "nothing_written")
EMPTY = """
description = { ru = "Карта с пустым кошельком", en = "Card with an empty purse" }
card = { purse_minor = 0 }
bank = { method = "CDA", account = 41 }
"""


def settings(folder: Path, **more: Mapping[str, object]) -> Path:
    """The configuration of a bus that takes bank cards, by a region's document that does."""
    text = region_path("demo").read_text("utf-8")
    region = text.replace('media = ["transport_card"]', 'media = ["transport_card", "bank_card"]', 1)
    (folder / "region.toml").write_text(region, "utf-8")
    bus: dict[str, Mapping[str, object]] = {
        "terminal": {"number": 70001, "profile": "bus", "state": "state", "region": "region.toml"},
        "reader": {"name": "sim:"},
        "media": {"order": ["resident", "phone", "bank"]},
        "shift": {"operator": "17", "route": 15},
        "laboratory": BY_HAND,
    }
    return config_file(folder, **(bus | more))


def card_in(folder: Path, profile: str, name: str = "") -> Path:
    """A new card's file."""
    (card,) = issue_residents([profile], REGION, TODAY)
    path = folder / f"{name or profile}.json"
    save_card(card, path)  # type: ignore[arg-type]
    return path


def said(tap: dict[str, Any]) -> tuple[str, str, str]:
    return tap["message"], tap["admission"], tap["end"]


def sealed_in(folder: Path) -> dict[int, bytes]:
    with closing(sqlite3.connect(folder / "state" / "held.db")) as held:
        return dict(held.execute("SELECT sequence, content FROM sealed"))


def test_it_rides_once_and_is_charged_later(tmp_path: Path) -> None:
    config = settings(tmp_path)
    with started(tmp_path, config) as terminal:
        card = card_in(tmp_path, "bank_cda")
        first = terminal.tap(card)
        assert (said(first), first["charge_minor"]) == (PAID, 3000)
        assert first["reasons"] == ["t-01:bank_fare", "t-40:deferred"]
        assert first["exchanges"] <= 3 + 10, "one selection a medium, then CDA"
        assert said(terminal.tap(card)) == ("already_paid", "let_in", "nothing_written")
        fast = terminal.tap(card_in(tmp_path, "bank_fdda"))
        assert said(fast) == PAID
        assert fast["exchanges"] <= 3 + 8
        others_are_answered(tmp_path, terminal)
        terminal.process.kill()
        terminal.process.wait(20)
    with started(tmp_path, config) as terminal:
        assert said(terminal.tap(card)) == ("already_paid", "let_in", "nothing_written")
        terminal.say("clock", step_s=3)
        again = terminal.tap(card)
        assert (said(again), again["card_ref"]) == (PAID, first["card_ref"])
    the_back_office_can_open(tmp_path)


def others_are_answered(folder: Path, terminal: TerminalByHand) -> None:
    expected = {
        "bank_expired": "not_accepted",
        "bank_revoked_issuer": "not_accepted",
        "bank_counterfeit": "not_accepted",
        "bank_static_only": "not_accepted",
        "bank_blocked": "blocked",
        "bank_contacts": "unknown_card",
    }
    for profile, message in expected.items():
        assert said(terminal.tap(card_in(folder, profile))) == (message, *REFUSED), profile
    for profile in ("bank_cda_19", "bank_fdda_19", "bank_longest_key", "bank_phone"):
        assert said(terminal.tap(card_in(folder, profile))) == PAID, profile


def the_back_office_can_open(folder: Path) -> None:
    """Every counted ride has its record, which fits its row and proves the card once more."""
    sealed, key, trust = sealed_in(folder), lab_office_key(), laboratory_bank_ca().trust
    with journal_reader(folder / "state") as reader:
        rows = [row for row in reader.all_rows() if isinstance(row.record, Intent)]
    assert len(rows) == len(sealed) == 7
    for row in rows:
        intent = row.record
        assert isinstance(intent, Intent)
        kept = bank_row_in(intent.proof)
        assert kept is not None
        assert kept.sealed == sha256(sealed[row.sequence]).digest()
        record = open_record([key], sealed[row.sequence], 70001, intent.at_ms)
        assert record.reference == intent.card_ref
        assert record_verdict(record, trust).genuine


def test_one_card_with_both_pays_from_the_purse_first(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text(EMPTY, "utf-8")
    with started(tmp_path, settings(tmp_path)) as terminal:
        purse = terminal.tap(card_in(tmp_path, "resident_bank"))
        assert (said(purse), purse["charge_minor"]) == (PAID, 2400)
        assert purse["exchanges"] <= 8, "no exchange is spent on the bank application"
        bank = terminal.tap(card_in(tmp_path, str(tmp_path / "empty.toml"), "empty"))
        assert (said(bank), bank["charge_minor"]) == (("ok_paid_by_bank", "let_in", "committed"), 3000)
        assert bank["text"] == "Оплачено банковской картой. Счастливого пути!"
        assert bank["reasons"][0] == "k-02:resident_could_not_pay"
        alone = terminal.tap(card_in(tmp_path, "empty_purse"))
        assert said(alone) == ("no_funds", *REFUSED)
