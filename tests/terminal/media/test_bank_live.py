"""Bank cards at `terminal run`: proven offline, registered, charged later, and their numbers nowhere."""

from __future__ import annotations

import json
import os
import sqlite3
import tomllib
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from hashlib import sha1, sha256
from pathlib import Path
from signal import SIGHUP
from typing import Any

from cardproto.emv.faults import ChainFault
from sim.emv.card import VirtualBankCard
from sim.emv.chain import lab_ca_keys
from sim.image_file import load_image, save_card
from sim.lab_office import lab_office_key
from terminal.app.simulated import issue_residents, laboratory_bank_ca, laboratory_keys
from terminal.app.station import journal_reader
from terminal.bank_record import card_identity, open_record, record_verdict
from terminal.codes import SetKind
from terminal.decision.bank_row import bank_row_in, bank_row_of
from terminal.errors import CollectorError
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import Fault, Intent, Unwritten, build_record
from terminal.keys.file import load_file_keys
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.grants import COLUMNS
from terminal.policy.keyed_file import ListIssue
from terminal.policy.load import region_path
from terminal.trip.producers import FactSource
from tests.by_hand import BY_HAND, TerminalByHand, started
from tests.config_file import config_file
from tests.flows.leaks import card_number, leaks, leaks_in_files
from tests.flows.live import collector, run
from tests.flows.test_recomputed import until
from tests.terminal.sync.servers import stripping

TODAY = date(2026, 9, 15)
REGION = 34
PAID = ("ok_paid", "let_in", "committed")
REFUSED = ("refused", "nothing_written")
TOKENS = load_file_keys(laboratory_keys())
DENY_KEY = bytes.fromhex(tomllib.loads(laboratory_keys().read_text("utf-8"))["lists"]["deny"])
SEEN: Mapping[str, Mapping[str, object]] = {
    "log": {"format": "json", "level": "debug"},
    "recording": {"file": "taps.jsonl"},
}
BANK_FACTS: Mapping[FactSource, frozenset[str]] = {
    FactSource.JOURNAL: frozenset({"bank.taps_today", "bank.sum_today_minor"}),
    FactSource.LISTS: frozenset({"freshness.bank_list_age_s"}),
}
"""What a bank card's tap knows besides, and where from."""
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
    config = settings(tmp_path, **SEEN)
    with started(tmp_path, config) as terminal:
        card = card_in(tmp_path, "bank_cda")
        first = terminal.tap(card)
        assert (said(first), first["charge_minor"]) == (PAID, 3000)
        assert first["reasons"] == ["t-01:bank_fare", "t-40:deferred"]
        assert first["exchanges"] <= 4 + 10, "one selection a medium, one by name, then CDA"
        assert said(terminal.tap(card)) == ("already_paid", "let_in", "nothing_written")
        fast = terminal.tap(card_in(tmp_path, "bank_fdda"))
        assert said(fast) == PAID
        assert fast["exchanges"] <= 4 + 8
        others_are_answered(tmp_path, terminal)
        terminal.process.kill()
        terminal.process.wait(20)
    killed = terminal.stderr
    (tmp_path / "taps.jsonl").rename(tmp_path / "killed.jsonl")
    with started(tmp_path, config) as terminal:
        assert said(terminal.tap(card)) == ("already_paid", "let_in", "nothing_written")
        terminal.say("clock", step_s=3)
        again = terminal.tap(card)
        assert (said(again), again["card_ref"]) == (PAID, first["card_ref"])
    the_back_office_can_open(tmp_path)
    no_number_is_anywhere(tmp_path, f"{killed}{terminal.stderr}{first}{fast}".encode())
    it_goes_along_with_its_rows(tmp_path)


def no_number_is_anywhere(folder: Path, shown: bytes) -> None:
    """In no form that somebody might write it in: digits, packed, base64, and the record in clear."""
    numbers = []
    for path in folder.glob("*bank_*.json"):
        card = load_image(path, os.urandom)
        assert isinstance(card, VirtualBankCard)
        numbers += [one.pan for wallet in card.chip_memory.wallets for one in wallet.applications]
    assert len(set(numbers)) >= 10
    secrets = [form for at, pan in enumerate(numbers) for form in card_number(f"number {at}", pan)]
    cards = [path.name for path in folder.glob("*.json")]
    assert (folder / "taps.jsonl").stat().st_size > 1_000
    assert b"ok_paid" in shown
    assert not leaks_in_files(secrets, folder, cards)
    assert not leaks(secrets, shown, "what was shown")
    with journal_reader(folder / "state") as reader:
        rows = [build_record(row.record) for row in reader.all_rows()]
    assert not leaks(secrets, b"|".join(rows), "rows")
    (card_file,) = folder.glob("bank_cda.json")
    assert leaks(secrets, card_file.read_bytes(), "the card"), "the search finds what is there"


def it_goes_along_with_its_rows(folder: Path) -> None:
    """Nothing is kept that the collector has signed for, and everything else, whatever takes it out on the way; the
    rows stay as they are.
    """
    sealed = sealed_in(folder)
    with journal_reader(folder / "state") as reader:
        before = [row.hash for row in reader.all_rows() if isinstance(row.record, Intent)]
    with collector(folder, number=70001, state="state") as url:
        with stripping(url) as between:
            said = json.loads(
                run(folder, "sync", "--collector", between, "--json", exits=CollectorError.exit_code)
            )
        assert said["acknowledged_through"] == min(sealed) - 1
        assert at_the_collector(folder) == {}, "it was taken out"
        assert sealed_in(folder) == sealed
        run(folder, "sync", "--collector", url)
    assert at_the_collector(folder) == sealed
    assert sealed_in(folder) == {}
    with journal_reader(folder / "state") as reader:
        assert [row.hash for row in reader.all_rows() if isinstance(row.record, Intent)] == before
    run(folder, "journal", "verify")
    counts = json.loads(run(folder, "journal", "recompute", "--json").splitlines()[-1])
    assert (counts["recomputed"], counts["differ"]) == (13, 0)


def at_the_collector(folder: Path) -> dict[int, bytes]:
    with closing(sqlite3.connect(folder / "collector" / "collector.db")) as store:
        assert store.execute("SELECT count(*) FROM record").fetchone()[0] >= 7, "the rows are there"
        return dict(store.execute("SELECT sequence, body FROM sealed_row"))


def others_are_answered(folder: Path, terminal: TerminalByHand) -> None:
    expected = {
        "bank_expired": "expired",
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


def tokens_of(*paths: Path) -> list[bytes]:
    """What a list names these cards by."""
    found = []
    for path in paths:
        card = load_image(path, os.urandom)
        assert isinstance(card, VirtualBankCard)
        one = card.chip_memory.wallet.applications[0]
        found.append(TOKENS.bank_tokens(card_identity(one.pan, one.sequence))[0].token)
    return found


def test_what_a_list_says_and_what_an_old_one_leaves(tmp_path: Path) -> None:
    """Three taps a card and day while the list is older than a day, counted through a power cut (T-43). List and CA
    keys go while it runs, and what was in force goes on.
    """
    (tmp_path / "ca.json").write_bytes(ca_file())
    both = card_in(tmp_path, "resident_bank")
    debtor, rider = card_in(tmp_path, "bank_fdda"), card_in(tmp_path, "bank_cda")
    issue = ListIssue(1, REGION, datetime(2026, 9, 14, 20, tzinfo=UTC))
    denied = [(DenyKind.BANK_CARD, token) for token in tokens_of(debtor)]
    build_deny_list(tmp_path / "deny-list", DENY_KEY, issue, denied)
    named: dict[str, Mapping[str, object]] = {"lists": {"deny": "deny-list"}, "bank": {"ca": "ca.json"}}
    with started(tmp_path, settings(tmp_path, **named)) as terminal:
        assert said(terminal.tap(debtor)) == ("deny_list", *REFUSED)
        assert said(terminal.tap(rider)) == PAID
        for name in ("deny-list", "ca.json"):
            (tmp_path / name).unlink()
        terminal.process.send_signal(SIGHUP)
        terminal.say("clock", step_s=16 * 3600)
        assert said(terminal.tap(debtor)) == ("deny_list", *REFUSED)
        for _ in range(2):
            terminal.say("clock", step_s=120)
            tap = terminal.tap(rider)
            assert said(tap) == PAID
            assert "t-43:within_stale_cap" in tap["reasons"]
        terminal.process.kill()
        terminal.process.wait(20)
    with journal_reader(tmp_path / "state") as reader:
        known = {fact for row in reader.all_rows() for fact in getattr(row.record, "trip", ())}
    assert known >= frozenset().union(*BANK_FACTS.values())
    later = {"laboratory": {**BY_HAND, "starts_at": "2026-09-16T00:30:00+03:00"}}
    (tmp_path / "ca.json").write_bytes(ca_file())
    (tmp_path / "deny-list").mkdir()
    with started(tmp_path, settings(tmp_path, **named, **later)) as terminal:
        assert said(terminal.tap(debtor)) == ("deny_list", *REFUSED)
        assert said(terminal.tap(rider)) == ("online_only", *REFUSED)
        assert said(terminal.tap(both)) == PAID, "the purse needs no list of banks"
        assert said(terminal.tap(card_in(tmp_path, "bank_longest_key"))) == PAID, (
            "another card has its own three"
        )
        terminal.say("clock", set="2026-09-16T03:00:00+03:00")
        assert said(terminal.tap(rider)) == PAID, "another service day"
    with journal_reader(tmp_path / "state") as reader:
        faults = [row.record for row in reader.all_rows() if isinstance(row.record, Fault)]
    assert ("update:unreadable", "deny") in [(one.code, one.inputs.get("kind")) for one in faults], (
        "on record"
    )


OWN = """
description = {{ ru = "Льготник", en = "Has a concession" }}
card = {{ {more}, pseudonym = "5E1F0C0DE5E1F0C0" }}
concessions = [{{ code = 1, valid_from = "-200d", valid_to = "+1000d" }}]
"""
FREE, PURSE_MINOR, BANK_MINOR = "ok_benefit_unlimited", 2400, 3000


def holder(folder: Path, name: str, more: str) -> Path:
    """A card or phone of the same person, with a free ride of its own."""
    (folder / f"{name}.toml").write_text(OWN.format(more=more), "utf-8")
    return card_in(folder, str(folder / f"{name}.toml"), name)


def test_k_01_a_concession_moves_to_a_bank_card_and_back_with_one_list(tmp_path: Path) -> None:
    """One list of grants ends it on the person's card and phone, and begins it under the token, or the other way."""
    card, phone = (
        holder(tmp_path, "card", "purse_minor = 50000"),
        holder(tmp_path, "phone", 'kind = "phone"'),
    )
    bank, granted = card_in(tmp_path, "bank_cda"), "1,,2026-01-01,2030-01-01"
    (token,) = tokens_of(bank)
    (tmp_path / "lists").mkdir()

    def says(version: int, *lines: str) -> None:
        (tmp_path / "grants.csv").write_text("\n".join((",".join(COLUMNS), *lines)) + "\n", "utf-8")
        issue = ("--version", version, "--issued-at", f"2026-09-15T0{version}:00:00+03:00")
        run(tmp_path, "policy", "grants-list", "grants.csv", "--out", "grants-list", *issue)
        (tmp_path / "grants-list").replace(tmp_path / "lists" / "grants-list")

    with started(tmp_path, settings(tmp_path, updates={"folder": "lists"})) as terminal:

        def in_force(version: int) -> bool:
            terminal.say("clock", step_s=1)
            terminal.say("remove")
            with journal_reader(tmp_path / "state") as reader:
                rows = [row.record for row in reader.all_rows() if isinstance(row.record, SetActivated)]
            return [row.version for row in rows if row.kind == SetKind.GRANTS][-1:] == [version]

        def pay() -> list[tuple[str, int]]:
            terminal.say("clock", step_s=5400)
            taps = [terminal.tap(one) for one in (card, phone, bank)]
            return [(one["message"], one["charge_minor"]) for one in taps]

        by_their_own = [(FREE, 0), (FREE, 0), ("ok_paid", BANK_MINOR)]
        assert pay() == by_their_own
        says(1, f"{token.hex()},2026-09-16,{granted}", "5E1F0C0DE5E1F0C0,2026-09-16,,,,")
        until(lambda: in_force(1))
        moved = pay()
        assert moved[::2] == [("ok_paid", PURSE_MINOR), (FREE, 0)]
        assert moved[1][0] != FREE
        says(2, f"5E1F0C0DE5E1F0C0,2026-09-17,{granted}")
        until(lambda: in_force(2))
        assert pay() == by_their_own


def test_without_what_proves_cards_the_bus_goes_on_for_the_others(tmp_path: Path) -> None:
    """The CA keys or the office's key cannot be read; the list of those who owe money is gone."""
    (tmp_path / "ca.json").write_text("{}", "utf-8")
    (tmp_path / "ours.json").write_bytes(ca_file())
    both = card_in(tmp_path, "resident_bank")
    for number, bank in enumerate(({"ca": "ca.json"}, {"ca": "ours.json", "office": "gone.hex"}), start=1):
        terminal = {"number": 70001, "profile": "bus", "state": f"state-{number}", "region": "region.toml"}
        with started(tmp_path, settings(tmp_path, bank=bank, terminal=terminal)) as running:
            assert said(running.tap(card_in(tmp_path, "bank_cda"))) == ("bank_closed", *REFUSED)
            running.say("clock", step_s=7200 * number)
            assert said(running.tap(both)) == PAID
        with journal_reader(tmp_path / f"state-{number}") as reader:
            assert "bank:closed" in [getattr(row.record, "code", "") for row in reader.all_rows()]


def test_a_chain_that_does_not_hold_is_refused_and_the_bus_goes_on(tmp_path: Path) -> None:
    """Another CA key under the same number, one whose time is over, an issuer that was taken back."""
    (tmp_path / "ca.json").write_bytes(ca_file(wrong=0xE1, over=0xE2))
    with started(tmp_path, settings(tmp_path, bank={"ca": "ca.json"})) as terminal:
        for profile in ("bank_cda", "bank_longest_key", "bank_revoked_issuer", "bank_static_only"):
            assert said(terminal.tap(card_in(tmp_path, profile))) == ("not_accepted", *REFUSED), profile
        assert said(terminal.tap(card_in(tmp_path, "resident_bank"))) == PAID
    with journal_reader(tmp_path / "state") as reader:
        rows = [
            bank_row_of(row.record.read) for row in reader.all_rows() if isinstance(row.record, Unwritten)
        ]
    assert [row.fault for row in rows if row is not None] == [
        ChainFault.ISSUER_CERTIFICATE_LENGTH,
        ChainFault.CA_KEY_EXPIRED,
        ChainFault.ISSUER_CERTIFICATE_LENGTH,
        ChainFault.ISSUER_CERTIFICATE_LENGTH,
    ], "each row says why"


def ca_file(wrong: int = 0, over: int = 0) -> bytes:
    """The laboratory's CA keys: `wrong` has another's modulus, `over` ended last month."""
    keys = {one.index: one for one in lab_ca_keys()}
    entries = []
    for index, one in keys.items():
        modulus = keys[over].modulus if index == wrong else one.modulus
        content = one.rid + bytes((index,)) + modulus + one.exponent
        entry = {
            "rid": one.rid.hex(),
            "index": f"{index:02x}",
            "modulus": modulus.hex(),
            "exponent": one.exponent.hex(),
            "sha1": sha1(content, usedforsecurity=False).hexdigest(),
        }
        ended = {"expires_on": "2026-08-31"} if index == over else {}
        entries.append(entry | ended)
    return json.dumps({"environment": "laboratory", "ca_keys": entries}).encode()
