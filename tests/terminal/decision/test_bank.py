"""Bank cards, T-40 to T-43: registered at once, charged later, and what stops them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.policy.deny_list import DenyKind, DenyListFile, build_deny_list
from terminal.policy.keyed_file import ListIssue
from terminal.policy.policy import Policy
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import TODAY, local, rules, trip_at

NOW = local("08:00")
ISSUE = ListIssue(1, 34, NOW)
CARD = BankSnapshot(token=b"keyed hash of it", expires_on=date(2028, 12, 31))
STALE = 24 * 3600 + 1
LIMITED, STOP = 14 * 24 * 3600, 20 * 24 * 3600


def tap(card: BankSnapshot = CARD, policy: Policy | None = None, **where: object) -> Decision:
    trip = trip_at("bus", 7, 1, **{"shift_open": True, "route": 5} | where)
    return decide(card, policy or small(), trip, NOW)


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
    assert tap(inspection=True, taken_today=1).outcome.message is Message.INSPECTION_PAID
    assert tap(inspection=True).outcome.message is Message.INSPECTION_UNPAID


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
