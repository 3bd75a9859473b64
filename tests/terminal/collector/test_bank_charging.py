"""When a bank is asked, how often, for how much: each limit of the rules at the very moment it counts from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from terminal.collector.bank.charging import (
    USUAL,
    ChargeRules,
    RefundFault,
    chains,
    debts,
    make_demands,
    refund,
    refundable,
)
from terminal.collector.bank.demands import Demand, DemandCause, DemandKind, DemandState
from terminal.collector.bank.journeys import RideFare
from terminal.collector.bank.ledger import BankLedger
from terminal.collector.bank.rides import RideState

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
DAY = 1_780_000_000_000
"""The end of the service day of the rides; those before it end a whole day earlier each."""
NEVER = replace(USUAL, authorise_days=10_000)


class Card:
    """One card in a ledger, and an acquirer that says what the test says."""

    def __init__(self, ledger: BankLedger, digest: bytes = b"card") -> None:
        self.ledger = ledger
        self.digest = digest
        self.id = ledger.cards.of(digest, digest + b"token")
        self.rows = 0

    def rides(self, minor: int, back: int = 0, currency: str = "RUB", at_ms: int | None = None) -> int:
        """A ride `back` service days before, decided; the number of its row."""
        self.rows += 1
        row, ends_ms = (7, self.rows), DAY - back * DAY_MS
        at_ms = ends_ms - HOUR_MS if at_ms is None else at_ms
        with self.ledger.changing():
            self.ledger.rides.put(row, at_ms, self.digest + b"token", "d", (minor, currency))
            self.ledger.rides.end(row, RideState.WAITING)
            self.ledger.rides.judge(row, RideState.PROVEN, card=self.id)
        self.costs(self.rows, minor, ends_ms)
        return self.rows

    def costs(self, row: int, minor: int, ends_ms: int = DAY) -> None:
        """What a ride comes to, now or once more."""
        day = f"day-{ends_ms // DAY_MS}"
        with self.ledger.changing():
            self.ledger.rides.put_fares([RideFare(7, row, day, ends_ms, minor, "ok_paid", (), b"")])

    def asks(self, now_ms: int, rules: ChargeRules = NEVER) -> list[tuple[DemandKind, int, DemandCause]]:
        """What is asked now that was not asked before."""
        before = len(self.ledger.demands.of_card(self.id))
        made = make_demands(self.ledger, rules, now_ms)
        new = self.ledger.demands.of_card(self.id)[before:]
        assert made == sum(one.state is DemandState.ASKED for one in new)
        return [(one.kind, one.amount_minor, one.cause) for one in new]

    def answered(self, state: DemandState, at_ms: int) -> Demand:
        """The acquirer answers the newest demand."""
        newest = self.ledger.demands.of_card(self.id)[-1]
        with self.ledger.changing():
            self.ledger.demands.put_in_file([newest])
            self.ledger.demands.answer(newest.id, state, at_ms, "")
            if state is DemandState.APPROVED and newest.kind is not DemandKind.REFUND:
                self.ledger.cards.note_authorised(self.id, at_ms)
        return newest

    def verified(self, at_ms: int) -> None:
        """Its account was verified."""
        assert self.asks(at_ms) == [(DemandKind.AUTHORISE, 0, DemandCause.FIRST_RIDE)]
        self.answered(DemandState.APPROVED, at_ms)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[BankLedger]:
    with closing(BankLedger(tmp_path)) as made:
        yield made


def charge(minor: int, cause: DemandCause = DemandCause.DAY) -> tuple[DemandKind, int, DemandCause]:
    return DemandKind.CHARGE, minor, cause


def test_a_day_is_charged_once_six_hours_after_its_end_and_each_day_alone(ledger: BankLedger) -> None:
    card = Card(ledger)
    for minor, back in ((3_000, 1), (4_300, 0), (1_000, 0)):
        card.rides(minor, back)
    card.verified(DAY - DAY_MS)
    assert not card.asks(DAY - DAY_MS + 6 * HOUR_MS - 1)
    assert card.asks(DAY - DAY_MS + 6 * HOUR_MS) == [charge(3_000)]
    assert not card.asks(DAY + 6 * HOUR_MS - 1)
    assert card.asks(DAY + 6 * HOUR_MS) == [charge(5_300)]
    assert not card.asks(DAY + 60 * HOUR_MS)
    assert [
        sum(minor for _, _, minor in ledger.demands.items(one.id)) for one in ledger.demands.of_card(card.id)
    ] == [
        0,
        3_000,
        5_300,
    ]
    assert [(one.sequence, one.answered_ms) for one in ledger.demands.of_card(card.id)[1:]] == [
        (1, 0),
        (2, 0),
    ]


def test_a_sum_is_charged_when_it_is_reached_or_its_oldest_ride_is_a_week_old(ledger: BankLedger) -> None:
    rules = replace(NEVER, sum_minor=5_000)
    card = Card(ledger)
    card.rides(2_999, back=1)
    card.rides(2_000)
    card.verified(DAY - DAY_MS)
    assert not card.asks(DAY - DAY_MS + 7 * DAY_MS - 1, rules)
    row = card.rides(1)
    assert card.asks(DAY, rules) == [charge(5_000, DemandCause.SUM)]
    card.rides(100)
    assert not card.asks(DAY + 7 * DAY_MS - 1, rules)
    assert card.asks(DAY + 7 * DAY_MS, rules) == [charge(100, DemandCause.SUM)]
    card.costs(row, 0)  # too much was asked: nothing is due, and nothing is asked
    assert not card.asks(DAY + 30 * DAY_MS, rules)


def test_a_declined_charge_is_asked_for_six_times_more_and_then_only_when_someone_asks(
    ledger: BankLedger,
) -> None:
    card, at_ms = Card(ledger), DAY + 6 * HOUR_MS
    card.rides(3_000)
    card.verified(DAY)
    first = card.asks(at_ms) and card.answered(DemandState.DECLINED, at_ms)
    for days in (1, 2, 2, 3, 3, 3):
        assert not card.asks(at_ms + days * DAY_MS - 1)
        at_ms += days * DAY_MS
        assert card.asks(at_ms) == [charge(3_000, DemandCause.AGAIN)]
        assert card.answered(DemandState.DECLINED, at_ms).of == first.id
    assert not card.asks(at_ms + 300 * DAY_MS)
    with ledger.changing():
        ledger.cards.note_asked(card.id, at_ms)  # no later than it was asked for last
    assert not card.asks(at_ms)
    with ledger.changing():
        ledger.cards.note_asked(card.id, at_ms + 1)
    assert card.asks(at_ms + 1) == [charge(3_000, DemandCause.REQUEST)]
    assert debts(ledger.demands.of_card(card.id)), "asked for again is not paid"
    card.answered(DemandState.APPROVED, at_ms + 2)
    assert not debts(ledger.demands.of_card(card.id))
    assert len(chains(ledger.demands.of_card(card.id))) == 2
    assert not card.asks(at_ms + 9 * DAY_MS)


def test_a_card_that_is_presented_again_is_asked_for_again_an_hour_after_the_last_time(
    ledger: BankLedger,
) -> None:
    card, at_ms = Card(ledger), DAY + 6 * HOUR_MS
    card.rides(3_000)
    card.verified(DAY)
    assert card.asks(at_ms) == [charge(3_000)]
    card.answered(DemandState.DECLINED, at_ms)
    with ledger.changing():
        ledger.cards.note_presented(b"cardtoken", at_ms)  # no later than that
    assert not card.asks(at_ms + HOUR_MS)
    with ledger.changing():
        ledger.cards.note_presented(b"cardtoken", at_ms + 1)
        ledger.cards.note_presented(b"another", at_ms + 2 * HOUR_MS)
    assert not card.asks(at_ms + HOUR_MS - 1)
    assert card.asks(at_ms + HOUR_MS) == [charge(3_000, DemandCause.TAP)]
    card.answered(DemandState.DECLINED, at_ms + HOUR_MS)
    assert not card.asks(at_ms + 3 * HOUR_MS), "it was presented once"
    # by itself it is asked for a day after the last time, as the first time by itself
    assert card.asks(at_ms + HOUR_MS + DAY_MS) == [charge(3_000, DemandCause.AGAIN)]


def test_an_account_is_verified_again_after_fourteen_days_and_by_a_ride_since(ledger: BankLedger) -> None:
    card, seen = Card(ledger), DAY - 20 * DAY_MS
    card.rides(0, 20, at_ms=seen)
    assert card.asks(seen, replace(USUAL, first_minor=100)) == [
        (DemandKind.AUTHORISE, 100, DemandCause.FIRST_RIDE)
    ]
    card.answered(DemandState.APPROVED, seen)
    again = seen + 14 * DAY_MS
    card.rides(0, 7, at_ms=again - 1)
    assert not card.asks(again, USUAL)
    card.rides(0, 6, at_ms=again)
    assert card.asks(again, USUAL) == [(DemandKind.AUTHORISE, 0, DemandCause.FIRST_RIDE)]
    assert ledger.demands.of_card(card.id)[-1].sequence == 3
    card.rides(0, 6, at_ms=again)
    assert not card.asks(again, USUAL), "one has no answer yet"
    card.answered(DemandState.DECLINED, again)
    card.rides(0, 6, at_ms=again)
    assert not card.asks(again, USUAL), "and one that was declined is asked for again, not anew"


def test_a_declined_authorisation_is_owed_until_the_card_pays(ledger: BankLedger) -> None:
    card = Card(ledger)
    row, at_ms = card.rides(3_000), DAY + 6 * HOUR_MS
    card.verified(DAY)
    assert card.asks(at_ms) == [charge(3_000)]
    card.answered(DemandState.APPROVED, at_ms)
    card.costs(row, 0)
    at_ms += 14 * DAY_MS
    card.rides(500, -14, at_ms=at_ms)
    assert card.asks(at_ms - 1, USUAL) == [(DemandKind.AUTHORISE, 0, DemandCause.FIRST_RIDE)]
    card.answered(DemandState.DECLINED, at_ms - 1)
    assert [one.first.kind for one in debts(ledger.demands.of_card(card.id))] == [DemandKind.AUTHORISE]
    assert card.asks(at_ms, USUAL) == [charge(0)]
    assert debts(ledger.demands.of_card(card.id)), (
        "what no bank was asked for shows of no account that it pays"
    )
    card.rides(4_000, -14)
    assert card.asks(at_ms, USUAL) == [charge(1_500)]
    assert debts(ledger.demands.of_card(card.id))
    card.answered(DemandState.APPROVED, at_ms)
    assert not debts(ledger.demands.of_card(card.id))


def test_what_was_asked_too_much_is_taken_off_the_next_charges(ledger: BankLedger) -> None:
    card, at_ms = Card(ledger), DAY + 6 * HOUR_MS
    first, second = card.rides(3_000, 1), card.rides(1_500, 1)
    card.verified(DAY - DAY_MS)
    assert card.asks(at_ms - DAY_MS) == [charge(4_500)]
    card.answered(DemandState.APPROVED, at_ms - DAY_MS)
    card.costs(first, 1_000, DAY - DAY_MS)
    card.costs(second, 1_499, DAY - DAY_MS)
    card.rides(500)
    card.rides(90, currency="BYN")  # another money
    assert card.asks(at_ms) == [charge(90), charge(0)]
    assert ledger.demands.of_card(card.id)[-1].state is DemandState.APPROVED
    card.rides(3_500)
    assert card.asks(at_ms) == [charge(1_999)]
    assert ledger.demands.items(ledger.demands.of_card(card.id)[-1].id) == [
        (7, 1, -1_500),
        (7, 2, -1),
        (7, 5, 3_500),
    ]


def test_no_more_is_given_back_than_a_charge_took_and_what_is_owed_of_its_money_first(
    ledger: BankLedger,
) -> None:
    card, at_ms = Card(ledger), DAY + 6 * HOUR_MS
    row, foreign = card.rides(3_000), card.rides(80, currency="BYN")
    card.verified(DAY)
    assert card.asks(at_ms) == [charge(80), charge(3_000)]
    other, asked = ledger.demands.of_card(card.id)[-2:]
    assert refundable(ledger, asked.id) is None, "it is not paid"
    for number in (asked.id, 99):
        assert refund(ledger, 1, f"{number}/1", at_ms) is RefundFault.NO_CHARGE
    card.answered(DemandState.DECLINED, at_ms)
    again = at_ms + DAY_MS
    assert card.asks(again) == [charge(3_000, DemandCause.AGAIN)]
    paid = card.answered(DemandState.APPROVED, again)
    with ledger.changing():
        ledger.demands.put_in_file([other])
        ledger.demands.answer(other.id, DemandState.APPROVED, again, "")
    assert refundable(ledger, asked.id) == refundable(ledger, paid.id) == 3_000
    assert refundable(ledger, ledger.demands.of_card(card.id)[0].id) is None, (
        "an account's check took nothing"
    )
    card.costs(row, 1_000)
    card.costs(foreign, 0)

    def asks_back(request: int, minor: int) -> RefundFault | None:
        with ledger.changing():
            return refund(ledger, request, f"{paid.id}/{minor}", again)

    for minor in (0, -1, 3_001):
        assert asks_back(1, minor) is RefundFault.TOO_MUCH
    assert asks_back(1, 1) is None
    assert asks_back(1, 1) is None, "once"
    assert refundable(ledger, paid.id) == 2_999
    assert asks_back(2, 2_999) is None
    assert asks_back(3, 1) is RefundFault.TOO_MUCH
    made = ledger.demands.of_card(card.id)[-1]
    assert (made.of, made.amount_minor, made.currency) == (asked.id, 2_999, "RUB")
    assert ledger.demands.items(made.id) == [(7, 1, -1_999)], "another money is owed still"
    assert [(one.currency, one.due_minor) for one in ledger.rides.due(card.id)] == [("BYN", -80)]
    card.answered(DemandState.DECLINED, again)
    assert refundable(ledger, paid.id) == 2_999
    assert not debts(ledger.demands.of_card(card.id))
    assert len(chains(ledger.demands.of_card(card.id))) == 3
