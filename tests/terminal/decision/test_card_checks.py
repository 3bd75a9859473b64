"""What holds for every card before any fare or meal rule is looked at."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from cardproto.resident.records.rights import Concession
from terminal.decision.decide import decide
from terminal.decision.effects import CardEffect
from terminal.decision.outcome import Message
from terminal.policy.deny_list import DenyKind
from terminal.policy.policy import Policy
from tests.terminal.decision.rider import (
    DEMO,
    FIRST,
    LAST,
    MONTH_PASS,
    TODAY,
    UID,
    Rider,
    local,
    rules,
    trip_at,
)

NOW = local("08:00")


class OneEntry(NamedTuple):
    """A deny list with one card or one resident on it."""

    kind: DenyKind
    identity: bytes
    name: str = "one"
    version: int = 1
    region: int = 34
    issued_at: datetime | None = None

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        return (kind, identity) == (self.kind, self.identity)


def listing(kind: DenyKind, identity: bytes) -> Policy:
    return replace(DEMO, deny_list=OneEntry(kind, identity))


DENIED = listing(DenyKind.PERSON, b"resident")


def test_t_60_no_ride_before_a_shift_is_open() -> None:
    decision = Rider(contracts=(MONTH_PASS,)).tap(NOW, shift_open=False)
    assert (decision.outcome.message, decision.outcome.accepted) == (Message.SHIFT_CLOSED, False)
    assert decision.write_plan is None
    assert rules(decision) == ["T-60"]


def test_k_01_the_inactive_medium_is_refused_even_with_a_pass() -> None:
    decision = Rider(contracts=(MONTH_PASS,), inactive=True).tap(NOW)
    assert decision.outcome.message is Message.MEDIUM_INACTIVE
    assert rules(decision) == ["K-01"]


@pytest.mark.parametrize(
    ("policy", "message", "effect", "named"),
    [
        (DENIED, Message.DENY_LIST, CardEffect.PERSON_DENIED, "deny.person"),
        (listing(DenyKind.CARD, UID), Message.BLOCKED, CardEffect.CARD_DENIED, "deny.card"),
    ],
)
def test_o_02_a_local_block_wins_over_the_grant_on_the_card(
    policy: Policy, message: Message, effect: CardEffect, named: str
) -> None:
    """Of the holder, for all his cards, or of this card alone, which has no debt to settle."""
    decision = Rider(contracts=(MONTH_PASS,), policy=policy).tap(NOW)
    assert (decision.outcome.message, decision.write_plan) == (message, None)
    assert [fact.effect for fact in decision.facts] == [effect]
    assert decision.lists == {named: "one"}


@pytest.mark.parametrize(
    "policy",
    [
        listing(DenyKind.PERSON, b"stranger"),
        listing(DenyKind.CARD, bytes.fromhex("04000000000001")),
        listing(DenyKind.PERSON, UID),
        listing(DenyKind.CARD, b"resident"),
    ],
)
def test_o_02_neither_another_card_nor_an_entry_of_the_other_kind_denies(policy: Policy) -> None:
    decision = Rider(contracts=(MONTH_PASS,), policy=policy).tap(NOW)
    assert (decision.outcome.message, dict(decision.lists)) == (Message.OK_PASS, {})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blocked": True}, Message.BLOCKED),
        ({"region": 65}, Message.OTHER_REGION),
        ({"valid_to": TODAY}, Message.OK_PAID),
        ({"valid_to": TODAY - timedelta(days=1)}, Message.EXPIRED),
        ({"valid_from": TODAY}, Message.OK_PAID),
        ({"valid_from": TODAY + timedelta(days=1)}, Message.NOT_YET_VALID),
    ],
)
def test_a_card_is_taken_only_when_it_is_whole_and_valid(fields: dict[str, object], message: Message) -> None:
    assert Rider(**fields).tap(NOW).outcome.message is message


def test_the_first_check_that_fails_decides() -> None:
    """Each row also fails every later check; the message is that of the first."""
    worst: dict[str, object] = {
        "blocked": True,
        "inactive": True,
        "policy": DENIED,
        "valid_to": date(2026, 1, 1),
        "region": 65,
        "balance_minor": 0,
    }
    seen = []
    for healed in (
        {},
        {"blocked": False},
        {"inactive": False},
        {"policy": DEMO},
        {"valid_to": TODAY},
        {"region": 34},
    ):
        worst |= healed
        seen.append(Rider(**worst).tap(NOW).outcome.message)
    assert seen == [
        Message.BLOCKED,
        Message.MEDIUM_INACTIVE,
        Message.DENY_LIST,
        Message.EXPIRED,
        Message.OTHER_REGION,
        Message.NO_FUNDS,
    ]


def test_t_14_the_card_s_last_day_ends_with_the_service_day() -> None:
    night = TODAY + timedelta(days=1)
    assert Rider(valid_to=TODAY).tap(local("02:59:59", night)).outcome.message is Message.OK_PAID
    assert Rider(valid_to=TODAY).tap(local("03:00", night)).outcome.message is Message.EXPIRED


def test_a_terminal_of_an_unknown_profile_serves_nobody() -> None:
    decision = decide(Rider().snapshot, DEMO, trip_at("parking", 7, 1), NOW)
    assert (decision.outcome.message, decision.write_plan) == (Message.OUT_OF_ORDER, None)


def test_without_a_list_nobody_is_denied() -> None:
    policy = Policy.of(DEMO.document)
    assert not any(policy.deny_list.contains(kind, b"resident") for kind in DenyKind)


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        ({"valid_to": TODAY - timedelta(days=1)}, "expired"),
        ({"valid_from": TODAY + timedelta(days=1)}, "not_yet_valid"),
        ({}, "ok_paid"),
    ],
)
def test_m_37_only_a_canteen_forgives_a_date_because_its_clock_is_suspect(
    valid: dict[str, date], message: str
) -> None:
    suspect = {"clock_suspect": True, "clock_confirmed": True}
    assert Rider(**valid).tap(local("08:00"), **suspect).outcome.message == message
    eats = Rider(concessions=(Concession(10, 3, FIRST, LAST),), **valid)
    assert eats.eat(local("09:00"), **suspect).outcome.message == "meal_ok"
