"""Bank cards, T-40 to T-43: registered at once, charged later, and what stops them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cardproto.resident.records.event import PaidBy
from terminal.clock import unix_ms
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.policy.deny_list import DenyKind, DenyListFile, build_deny_list
from terminal.policy.keyed_file import ListIssue
from terminal.policy.policy import Policy
from terminal.trip.ages import taken_today
from terminal.trip.facts import BankFacts
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import TODAY, local, rules, trip_at

NOW = local("08:00")
ISSUE = ListIssue(1, 34, NOW)
ZONES = """
[[zones]]
name = "near"
number = 1
[[zones]]
name = "far"
number = 2
[[fares.rules]]
id = "suburban"
kind = "zone_table"
routes = [101]
zones = ["near", "far"]
base = "transport_card"
[fares.rules.by_medium]
transport_card = [[2000, 5000], [5000, 2000]]
bank_card = [[2200, 5200], [5200, 2200]]
cash = [[3000, 6000], [6000, 3000]]
[checkin]
scope = [{ routes = [101] }]
longest_s = 7200
reserve = "held"
zone = "boarded"
"""
HELD = '{ name = "held", bits = 14, period = "kept" }, { name = "boarded", bits = 3, period = "kept" },'
BACK = """
[[returns]]
id = "back"
kind = "opposite_direction"
routes = [9]
window_s = 7200
percent_off = 50
outward = "out"
began = "out_minute"
"""
OUT = '{ name = "out", bits = 5, period = "kept" }, { name = "out_minute", bits = 14, period = "kept" },'
OPEN = "bank_cards = true\n"
CARD = BankSnapshot(token=b"keyed hash of it", expires_on=date(2028, 12, 31))
STALE = 24 * 3600 + 1
LIMITED, STOP = 14 * 24 * 3600, 20 * 24 * 3600


def tap(
    card: BankSnapshot = CARD, policy: Policy | None = None, minutes: int = 0, **where: object
) -> Decision:
    trip = trip_at("bus", 7, 1 + minutes, **{"shift_open": True, "route": 5} | where)
    return decide(card, policy or small(), trip, NOW + timedelta(minutes=minutes))


def stopped(folder: Path) -> Policy:
    build_deny_list(folder / "bank", b"list key", ISSUE, [(DenyKind.BANK_CARD, CARD.token)])
    policy = small()
    return Policy.of(policy.document, bank_deny_list=DenyListFile(folder / "bank", b"list key"))


def test_t_40_the_tap_is_registered_and_charged_later() -> None:
    decision = tap()
    assert (decision.outcome.message, decision.outcome.charge_minor) == (Message.OK_PAID, 3600)
    plan = decision.write_plan
    assert plan is not None, "what the terminal keeps of it"
    assert (plan.debit_minor, plan.event.amount_minor, plan.paid_by) == (0, 3600, PaidBy.BANK)
    assert (decision.flags, rules(decision)) == (("deferred",), ["T-01", "T-40"])


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (replace(CARD, readable=False), Message.READ_AGAIN),
        (replace(CARD, authenticated=False), Message.NOT_ACCEPTED),
        (replace(CARD, expires_on=TODAY - timedelta(days=1)), Message.EXPIRED),
        (replace(CARD, expires_on=TODAY), Message.OK_PAID),
    ],
)
def test_t_40_readable_in_date_and_authentic(card: BankSnapshot, message: Message) -> None:
    decision = tap(card)
    assert decision.outcome.message is message
    assert decision.outcome.charge_minor == (3600 if message is Message.OK_PAID else 0)


def test_t_41_an_unpaid_charge_stops_the_card(tmp_path: Path) -> None:
    policy = stopped(tmp_path)
    decision = tap(policy=policy)
    assert (decision.outcome.message, rules(decision)) == (Message.DENY_LIST, ["T-41"])
    assert tap(replace(CARD, token=b"another"), policy).outcome.message is Message.OK_PAID


def test_t_42_the_deny_list_holds_keyed_hashes_only(tmp_path: Path) -> None:
    stopped(tmp_path)
    assert CARD.token not in (tmp_path / "bank").read_bytes()


@pytest.mark.parametrize(
    ("age_s", "taken", "message", "flags"),
    [
        (24 * 3600, 99, Message.OK_PAID, ("deferred",)),
        (STALE, 0, Message.OK_PAID, ("stale_list", "deferred")),
        (STALE, 2, Message.OK_PAID, ("stale_list", "deferred")),
        (STALE, 3, Message.ONLINE_ONLY, ()),
    ],
)
def test_t_43_an_old_list_leaves_three_taps_a_day(
    age_s: int, taken: int, message: Message, flags: tuple[str, ...]
) -> None:
    decision = tap(bank_list_age_s=age_s, taken_today=taken)
    assert (decision.outcome.message, decision.flags) == (message, flags)


@pytest.mark.parametrize(("taken_minor", "message"), [(6400, Message.OK_PAID), (6401, Message.ONLINE_ONLY)])
def test_t_43_the_cap_may_be_a_sum(taken_minor: int, message: Message) -> None:
    policy = small("[bank]\nstale_after_s = 3600\nstale_taps = 100\nstale_minor = 10000\n")
    decision = tap(policy=policy, bank_list_age_s=3601, taken_today=1, taken_today_minor=taken_minor)
    assert decision.outcome.message is message


def test_o_09_a_region_without_deny_lists_asks_none(tmp_path: Path) -> None:
    document = small(bus="deny_lists = false").document
    policy = Policy.of(document, bank_deny_list=stopped(tmp_path).bank_deny_list)
    assert tap(policy=policy).outcome.message is Message.OK_PAID


def test_k_02_a_profile_that_takes_no_bank_cards_says_so() -> None:
    policy = small()
    profiles = policy.document.profiles
    bus = replace(profiles.bus, media=(profiles.bus.media[0],))
    document = replace(policy.document, profiles=replace(profiles, bus=bus))
    assert tap(policy=Policy.of(document)).outcome.message is Message.UNKNOWN_CARD


def test_k_02_a_canteen_takes_no_bank_cards() -> None:
    decision = decide(CARD, small(), trip_at("canteen", 70, 1), NOW)
    assert decision.outcome.message is Message.UNKNOWN_CARD


def test_t_34_a_bank_card_pays_for_companions_too() -> None:
    assert tap(companions=2).outcome.charge_minor == 3 * 3600


def test_t_60_no_bank_card_before_a_shift() -> None:
    assert tap(shift_open=False).outcome.message is Message.SHIFT_CLOSED


def test_t_70_the_inspector_sees_the_token_only() -> None:
    """The newest ride that is known under it: on this route, and lately. A ride of the morning pays no other."""
    plan = tap().write_plan
    assert plan is not None
    rode = replace(CARD, event=plan.event)
    paid = tap(rode, minutes=30, inspection=True)
    assert paid.outcome.message is Message.INSPECTION_PAID
    assert paid.outcome.values == {"time": "08:00", "route": 5}
    for unpaid in (
        tap(inspection=True),
        tap(rode, minutes=30, inspection=True, route=6),
        tap(rode, minutes=121, inspection=True, taken_today=1),
    ):
        assert unpaid.outcome.message is Message.INSPECTION_UNPAID
        assert [fact.code for fact in unpaid.facts] == ["t-70:bank_card_not_seen"]
    alone = tap(inspection=True, shift_open=False)
    assert [fact.code for fact in alone.facts] == ["t-70:bank_card_cannot_tell"], (
        "an inspector's hand terminal"
    )


@pytest.mark.parametrize(
    ("bundles_age_s", "message", "flags"),
    [
        (0, Message.OK_PAID, ("deferred",)),
        (LIMITED, Message.OK_PAID, ("deferred",)),
        (LIMITED + 1, Message.ONLINE_ONLY, ("old_bundles",)),
        (STOP, Message.ONLINE_ONLY, ("old_bundles",)),
        (STOP + 1, Message.OUT_OF_ORDER, ("old_bundles",)),
    ],
)
def test_o_14_nothing_is_paid_later_while_signed_bundles_do_not_come(
    bundles_age_s: int, message: Message, flags: tuple[str, ...]
) -> None:
    """Up to the last second of the 14th day, and of the last one that the region allows."""
    old = small("[ages]\nbundles_stop_days = 20\n")
    decision = tap(policy=old, bundles_age_s=bundles_age_s)
    assert (decision.outcome.message, decision.flags) == (message, flags)
    assert decision.outcome.charge_minor == (3600 if message is Message.OK_PAID else 0)


def test_o_14_a_region_names_its_own_days() -> None:
    """Without a last day the bus goes on for ever, and sells no ride on credit."""
    strict = small("[ages]\nbundles_limited_days = 3\n")
    assert tap(policy=strict, bundles_age_s=3 * 24 * 3600).outcome.message is Message.OK_PAID
    for age_s in (3 * 24 * 3600 + 1, 365 * 24 * 3600):
        decision = tap(policy=strict, bundles_age_s=age_s)
        assert (decision.outcome.message, "T-40" in rules(decision)) == (Message.ONLINE_ONLY, False)


def after(decision: Decision) -> BankSnapshot:
    """The card with what the terminal keeps of it."""
    assert decision.write_plan is not None
    return replace(CARD, event=decision.write_plan.event)


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def test_t_07_a_bank_card_checks_in_where_the_document_says_so_and_nothing_is_held_of_it() -> None:
    suburb = {"route": 101, "zone": 1, "terminus_zone": 2}
    closed = small(ZONES, slots=HELD, bus='unknown_fare = "dearest"')
    assert told(tap(policy=closed, **suburb)) == ("ok_paid", 5200), "to the terminus, at once"
    policy = small(ZONES + OPEN, slots=HELD)
    boarded = tap(policy=policy, **suburb)
    assert told(boarded) == ("ok_checkin", 0)
    assert after(boarded).event is not None
    left = tap(after(boarded), policy, minutes=20, route=101, zone=1)
    assert told(left) == ("ok_checkout", 2200)
    assert "deferred" in left.flags
    forgotten = tap(after(boarded), policy, minutes=60)
    assert told(forgotten) == ("ok_paid", 5200 + 3600), (
        "what was not tapped out is charged with the next ride"
    )


def test_t_43_an_old_list_lets_no_one_in_too_often_and_everyone_out() -> None:
    policy = small(ZONES + OPEN + "[bank]\nstale_after_s = 3600\nstale_minor = 9000\n", slots=HELD)
    suburb = {"route": 101, "zone": 1, "terminus_zone": 2, "bank_list_age_s": 3601}
    boarded = tap(policy=policy, taken_today_minor=3800, **suburb)
    assert boarded.outcome.message is Message.OK_CHECKIN
    assert tap(policy=policy, taken_today_minor=3801, **suburb).outcome.message is Message.ONLINE_ONLY
    left = tap(after(boarded), policy, minutes=20, taken_today=9, taken_today_minor=90_000, **suburb)
    assert left.outcome.message is Message.OK_CHECKOUT


@pytest.mark.parametrize(("opened", "price_minor"), [("", 3600), (OPEN, 1800)])
def test_t_39_the_way_back_costs_a_bank_card_less_where_the_document_says_so(
    opened: str, price_minor: int
) -> None:
    policy = small(BACK + opened, slots=OUT)
    there = tap(policy=policy, route=9)
    back = tap(after(there), policy, minutes=90, route=9, direction=1)
    assert (told(there), told(back)) == (("ok_paid", 3600), ("ok_paid", price_minor))


def test_t_43_what_was_taken_today_is_that_of_the_service_day() -> None:
    """It ends at three in the morning: what was taken before midnight counts until then."""
    policy, tomorrow = small(), TODAY + timedelta(days=1)
    moments = [local("23:50"), local("00:30", tomorrow)]
    taken = [(unix_ms(at), sum_minor) for at, sum_minor in zip(moments, (100, 50), strict=True)]
    assert taken_today(policy, taken, local("02:59", tomorrow)) == BankFacts(2, 150)
    assert taken_today(policy, taken, local("03:00", tomorrow)) == BankFacts()
