"""Bank cards that are torn away, answer anything, or belong to someone with a concession: always a clear outcome."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cardproto.emv.authentication import OfflineMethod
from cardproto.emv.faults import ReadFault
from cardproto.resident.layout import DF_NAME
from cardproto.resident.records.event import build_event, parse_event
from cardproto.resident.records.rights import Concession
from sim.card.port import SimCard
from sim.emv.card import VirtualBankCard
from sim.faults import FaultPlan, delay, tear_after, tear_before
from sim.faults import replace as answers
from terminal.app.simulated import laboratory_bank_ca, laboratory_bank_office, laboratory_keys
from terminal.bank_record import card_identity
from terminal.decision.bank_row import BankRow
from terminal.decision.bus.bank import NEVER_USED
from terminal.journal.records import Unwritten, parse_record
from terminal.journal.taps import End
from terminal.keys.file import FileKeys, load_file_keys
from terminal.lab.town import Town
from terminal.media.bank.keeping import BankKeeper
from terminal.media.bank.medium import READS, BankMedium, BankTerms, BankTrust
from terminal.media.held import HeldEvents, KeptState
from terminal.media.port import MAX_BYTES, MAX_EXCHANGES, MediumSetup, WriteDone
from terminal.media.resident.medium import ResidentMedium
from terminal.policy.grants import GrantTable
from terminal.trip.build import InspectionRound
from tests.flows.conftest import FRONT, OpenTown

TERMS = BankTerms((bytes.fromhex("A000000658"),), 643, 643, 0)
TRUST = BankTrust(laboratory_bank_ca().trust, laboratory_bank_office())
CARDS = ("bank_cda", "bank_fdda", "resident_bank")
ALONE = CARDS[:2]
KEYS = load_file_keys(laboratory_keys())


@contextmanager
def bus_for(
    town_of: OpenTown, tmp_path: Path, *residents: str, keys: FileKeys = KEYS, region: str = "volgograd"
) -> Iterator[tuple[Town, HeldEvents]]:
    """A bus that takes bank cards, as far as its region does."""
    with town_of(*residents, stops=(FRONT,), region=region) as town:
        terminal = town.terminals[FRONT.number]
        held = HeldEvents(tmp_path)
        setup = MediumSetup("bus", 34, keys, random.Random(7).randbytes, terminal.policy.zone)
        terminal.media = (*terminal.media, BankMedium(setup, FRONT.number, TERMS, TRUST, held))
        yield town, held
        held.close()


def tap(town: Town, card: str, faults: FaultPlan | None = None) -> tuple[str, End]:
    town.clock.advance(61)
    report = town.tap(FRONT.number, card, faults).report
    assert report.exchanges <= MAX_EXCHANGES
    assert report.apdu_bytes <= MAX_BYTES + 70_000
    return report.outcome.message, report.end


PAID = ("ok_paid", End.COMMITTED)


def test_torn_at_any_exchange_nothing_has_happened_and_the_next_tap_rides(
    town_of: OpenTown, tmp_path: Path
) -> None:
    with bus_for(town_of, tmp_path, *ALONE) as (town, held):
        rides = 0
        for card in ALONE:
            for at in range(1, 11 if card == "bank_cda" else 10):
                for plan in (tear_before(at), tear_after(at)):
                    assert tap(town, card, plan) == ("read_again", End.NOTHING_WRITTEN), (card, at)
            assert tap(town, card) == PAID
            rides += 1
            assert tap(town, card, delay(5, 4.0)) == ("read_again", End.NOTHING_WRITTEN), "the deadline"
        assert len(held.sealed_between(0, 1 << 28)) == rides


@pytest.mark.parametrize("answer", ["", "90", "9000", "6A82", "6986", "6283", "6F00", "00" * 300, "7781"])
def test_any_answer_at_any_exchange_is_an_outcome(town_of: OpenTown, tmp_path: Path, answer: str) -> None:
    with bus_for(town_of, tmp_path, *ALONE) as (town, _):
        for card in ALONE:
            for at in range(1, 11):
                message, end = tap(town, card, answers(at, bytes.fromhex(answer)))
                assert end in (End.NOTHING_WRITTEN, End.COMMITTED)
                assert message in {*map(str, READS.values()), "read_again", "not_accepted", "ok_paid"}
            assert tap(town, card) == PAID


def test_a_wallet_that_wants_its_holder_says_so(town_of: OpenTown, tmp_path: Path) -> None:
    """6986 to the processing options: "see phone"."""
    with bus_for(town_of, tmp_path, "bank_phone") as (town, _):
        locked = answers(4, bytes.fromhex("6986"))
        assert tap(town, "bank_phone", locked) == ("unlock_phone", End.NOTHING_WRITTEN)
        assert tap(town, "bank_phone") == PAID
    assert READS[ReadFault.SEE_PHONE] == "unlock_phone"


def token(town: Town, card: str, keys: FileKeys = KEYS) -> bytes:
    chip = town.cards[card]
    assert isinstance(chip, VirtualBankCard)
    one = chip.chip_memory.wallet.applications[0]
    return keys.bank_tokens(card_identity(one.pan, one.sequence))[0].token


def test_a_concession_on_a_plain_bank_card(town_of: OpenTown, tmp_path: Path) -> None:
    """A signed list names it by its token; the list of a day before does not count, and who is not named pays."""
    with bus_for(town_of, tmp_path, *ALONE) as (town, _):
        terminal = town.terminals[FRONT.number]
        code = next(iter(terminal.policy.concessions))
        grant = Concession(code, 0, date(2026, 1, 1), date(2026, 12, 31))
        table = GrantTable([(token(town, "bank_cda"), date(2026, 9, 1), [grant])])
        terminal.policy = replace(terminal.policy, grants=table)
        granted, other = tap(town, "bank_cda"), tap(town, "bank_fdda")
        assert granted[0] in ("ok_benefit", "ok_benefit_unlimited")
        assert granted[1] is End.COMMITTED
        assert other == PAID


def test_the_epoch_before_is_the_same_card_for_lists_and_states(town_of: OpenTown, tmp_path: Path) -> None:
    old = FileKeys({}, {"bank_1": bytes(32)}, {})
    both = FileKeys({}, {"bank_1": bytes(32), "bank_2": bytes(range(32))}, {})
    with bus_for(town_of, tmp_path, "bank_cda", keys=old) as (town, held):
        assert tap(town, "bank_cda") == PAID
        terminal = town.terminals[FRONT.number]
        setup = MediumSetup("bus", 34, both, random.Random(7).randbytes, terminal.policy.zone)
        terminal.media = (*terminal.media[:-1], BankMedium(setup, FRONT.number, TERMS, TRUST, held))
        report = town.tap(FRONT.number, "bank_cda").report
        assert report.outcome.message == "already_paid"
        assert report.card_ref == token(town, "bank_cda", both)
        town.clock.advance(7_200)
        assert tap(town, "bank_cda") == PAID
        town.clock.advance(7_200)
        kept, before = held.kept(token(town, "bank_cda", both)), token(town, "bank_cda", old)
        assert kept is not None
        newer = parse_event(kept.event)._replace(at=town.clock.now().replace(microsecond=0), sequence=900)
        elsewhere = KeptState(build_event(newer))
        held.others = lambda reference, _now: (elsewhere,) if reference == before else ()
        again = town.tap(FRONT.number, "bank_cda").report
        assert again.outcome.message == "already_paid", "another door goes by the epoch before still"
        held.others = lambda _reference, _now: ()
        town.clock.advance(7_200)
        grant = Concession(next(iter(terminal.policy.concessions)), 0, date(2026, 1, 1), date(2026, 12, 31))
        grants = GrantTable([(before, date(2026, 9, 1), [grant])])
        terminal.policy = replace(terminal.policy, grants=grants)
        assert tap(town, "bank_cda")[0].startswith("ok_benefit"), "and so does a list"


def test_a_refusal_of_both_applications_is_one_of_the_resident_card(
    town_of: OpenTown, tmp_path: Path
) -> None:
    with bus_for(town_of, tmp_path, "resident_bank", region="demo") as (town, _):
        journal, seen = town.terminals[FRONT.number].journal, []
        while not seen or seen[-1].end is End.COMMITTED:
            town.clock.advance(7_200)
            seen.append(town.tap(FRONT.number, "resident_bank").report)
        assert seen[-1].outcome.message == "no_funds"
        row = parse_record(journal.rows(after=journal.head.sequence - 1)[0].body)
        assert isinstance(row, Unwritten)
        assert {row.card_ref, *(report.card_ref for report in seen)} == {seen[0].card_ref}
        assert (row.prev_terminal, row.prev_sequence) == (FRONT.number, seen[-2].sequence)


def test_a_ride_came_true_where_its_own_event_was_kept(tmp_path: Path) -> None:
    """Rows of two terminals have the same numbers."""
    held, at = HeldEvents(tmp_path), datetime(2026, 9, 15, 6, tzinfo=UTC)
    found = NEVER_USED._replace(terminal=2, sequence=5, at=at)
    keeper = BankKeeper(held, b"token", found, BankRow(None, None, OfflineMethod.CDA, None, 1), b"")
    held.keep(b"token", KeptState(build_event(found._replace(terminal=1, sequence=6))), at)
    came = [
        row for row in ((1, 5), (2, 5), (1, 6), (2, 6)) if isinstance(keeper.became(row, (0, 0)), WriteDone)
    ]
    assert came == [(2, 5), (1, 6)]
    held.close()


class ByName:
    """A chip that knows no native command until the resident application was selected by its DF name."""

    def __init__(self, card: SimCard) -> None:
        self._card, self.uid, self.atr = card, card.uid, card.atr
        self.image, self.clone, self.power_off = card.image, card.clone, card.power_off
        self._chosen = False

    def power_on(self) -> None:
        self._chosen = False
        self._card.power_on()

    def transmit(self, command: bytes) -> bytes:
        if command[:1] == b"\x90" and not self._chosen:
            return b"\x6e\x00"
        answer = self._card.transmit(command)
        self._chosen |= command[:4] == b"\x00\xa4\x04\x0c" and DF_NAME in command and answer == b"\x90\x00"
        return answer


def test_a_chip_that_is_chosen_by_name_costs_one_exchange_more(town_of: OpenTown, tmp_path: Path) -> None:
    with bus_for(town_of, tmp_path, "adult_purse", "bank_cda") as (town, _):
        medium = town.terminals[FRONT.number].media[0]
        assert isinstance(medium, ResidentMedium)
        plain = town.tap(FRONT.number, "adult_purse").report
        town.clock.advance(3600)
        town.cards["adult_purse"] = ByName(town.cards["adult_purse"])
        assert town.tap(FRONT.number, "adult_purse").report.outcome.message == "unknown_card"
        medium.by_name = True
        report = town.tap(FRONT.number, "adult_purse").report
        assert (report.end, report.card_ref) == (End.COMMITTED, plain.card_ref)
        assert report.exchanges == plain.exchanges + 1


def test_an_inspector_learns_whether_a_bank_card_has_paid_here(town_of: OpenTown, tmp_path: Path) -> None:
    with bus_for(town_of, tmp_path, *ALONE) as (town, _):
        assert tap(town, "bank_cda") == PAID
        terminal = town.terminals[FRONT.number]
        terminal.inspecting = InspectionRound(15, 0, town.clock.now() + timedelta(hours=1))
        assert tap(town, "bank_cda") == ("inspection_paid", End.NOTHING_WRITTEN)
        assert tap(town, "bank_fdda") == ("inspection_unpaid", End.NOTHING_WRITTEN)
        terminal.inspecting = InspectionRound(16, 0, town.clock.now() + timedelta(hours=1))
        assert tap(town, "bank_cda") == ("inspection_unpaid", End.NOTHING_WRITTEN), "another route's ride"


RECORDS_FROM = 7
"""The exchange of the second record: what came before it is the same of all cards of a kind."""


class TwoInTheField:
    """Two cards, the second of which answers from exchange `at` on: what anticollision must not let through."""

    def __init__(self, first: SimCard, second: SimCard, at: int) -> None:
        self._cards, self._at, self._answered = (first, second), at, 0
        self.uid, self.atr = first.uid, first.atr
        self.image, self.clone = first.image, first.clone

    def power_on(self) -> None:
        self._answered = 0
        for card in self._cards:
            card.power_on()

    def power_off(self) -> None:
        for card in self._cards:
            card.power_off()

    def transmit(self, command: bytes) -> bytes:
        """Both follow the conversation, so that the second is as far as the first."""
        self._answered += 1
        answers = [card.transmit(command) for card in self._cards]
        return answers[self._answered >= self._at]


def test_two_bank_cards_in_the_field_are_never_one_ride(town_of: OpenTown, tmp_path: Path) -> None:
    """Data of two cards: "present one card" where their numbers differ, refused where a signature does."""
    with bus_for(town_of, tmp_path, "bank_cda", "bank_cda_19", "resident_bank") as (town, held):
        cards, seen = dict(town.cards), set()
        for second in ("bank_cda_19", "resident_bank"):
            for at in range(RECORDS_FROM, 11):
                town.cards["bank_cda"] = TwoInTheField(cards["bank_cda"], cards[second], at)
                message, end = tap(town, "bank_cda")
                assert end is End.NOTHING_WRITTEN, (second, at, message)
                seen.add(message)
        town.cards["bank_cda"] = cards["bank_cda"]
        assert "one_card" in seen
        assert "not_accepted" in seen
        before = len(held.sealed_between(0, 1 << 28))
        assert tap(town, "bank_cda") == PAID, "one card alone rides"
        assert len(held.sealed_between(0, 1 << 28)) == before + 1
