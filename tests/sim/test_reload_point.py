"""Reload points: money, rights and grants change whole; the running state goes on, whatever time has passed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import msgspec
import pytest

from cardproto.credential.grant import CARD_FILE_READ_BYTES, credential_digest, credential_in_file
from cardproto.desfire.authentication import AesAuthentication
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.messaging import CommMode
from cardproto.errors import CardGone, StatusError
from cardproto.resident.layout import AID, CREDENTIAL_BYTES, FILE_CREDENTIAL, FILE_EVENTS, KeyNo
from cardproto.resident.records.event import NO_JOURNEY, Event, EventKind, PaidBy, build_event
from cardproto.resident.records.rights import Rights
from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, tear_after, tear_before
from sim.issuing import ReloadPoint, issue, later
from sim.lab_issuer import lab_credential
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from sim.reader import SimReader
from tests.sim.bench import SERVICE_DAY, Counting

AT = datetime(2026, 9, 15, 9, tzinfo=UTC)
ISSUED = date(2026, 9, 15)
MASTERS = load_lab_keys()


def card_of(name: str) -> VirtualCard:
    card = issue(load_profile(name), MASTERS, 34, ISSUED, Counting())
    assert isinstance(card, VirtualCard)
    return card


def reload_point_of(card: VirtualCard) -> ReloadPoint:
    return ReloadPoint(card, MASTERS.for_card(card.uid, 34), Counting(), SERVICE_DAY)


def validating(card: VirtualCard) -> DesfireCard:
    """The card opened as a validator does."""
    desfire = DesfireCard(DesfireChannel(card))
    desfire.select_application(AID)
    key = AesKey(MASTERS.for_card(card.uid, 34).validate)
    desfire.authenticate_ev2_first(KeyNo.VALIDATE, AesAuthentication(key, bytes(16)))
    return desfire


@pytest.mark.parametrize("name", ["adult_purse", "adult_purse_ev1", "adult_purse_random_uid"])
def test_money_and_rights_at_the_reload_point(name: str) -> None:
    point = reload_point_of(card_of(name))
    point.set_purse(71_000, AT)
    point.set_purse(60_000, AT)
    point.set_rights(lambda rights: replace(rights, blocked=True), AT)
    view = point.read()
    assert (view.purse_minor, view.event.balance_after_minor) == (60_000, 60_000)
    assert view.rights.blocked
    assert view.rights.revision == 2


RIDE = Event(
    EventKind.CHECK_IN,
    AT,
    terminal=70001,
    sequence=9,
    balance_after_minor=50_000,
    amount_minor=0,
    route=15,
    direction=1,
    journey_age_s=600,
    transfers=2,
    paid_by=PaidBy.CONTRACT_A,
    counter_layout=1,
    meals=0b11,
    counters=0x123456789ABCDE,
    period_ahead=1,
    inside=3,
    last_order=777,
)


def test_a_reload_while_inside_changes_only_what_it_is_about() -> None:
    card = card_of("adult_purse")
    desfire = validating(card)
    desfire.write_record(FILE_EVENTS, 0, build_event(RIDE), CommMode.MAC)
    desfire.commit_transaction(return_mac=True)
    point = reload_point_of(card)
    point.set_purse(60_000, AT + timedelta(minutes=30))
    reloaded = RIDE._replace(
        kind=EventKind.RELOAD,
        at=AT + timedelta(minutes=30),
        terminal=0,
        sequence=10,
        amount_minor=10_000,
        balance_after_minor=60_000,
        journey_age_s=600 + 1800,
    )
    assert point.read().event == reloaded


@pytest.mark.parametrize(
    ("passed", "age_s"),
    [
        (timedelta(0), 600),
        (timedelta(seconds=-30), 600),
        (timedelta(seconds=NO_JOURNEY - 601), NO_JOURNEY - 1),
        (timedelta(seconds=NO_JOURNEY - 600), None),
        (timedelta(days=400), None),
    ],
)
def test_the_journey_grows_older_and_no_window_is_prolonged(passed: timedelta, age_s: int | None) -> None:
    assert later(RIDE, AT + passed, SERVICE_DAY).journey_age_s == age_s


def test_without_a_journey_there_is_none_later() -> None:
    assert (
        later(RIDE._replace(journey_age_s=None), AT + timedelta(hours=1), SERVICE_DAY).journey_age_s is None
    )


@pytest.mark.parametrize(
    ("days", "ahead_before", "ahead", "meals"),
    [
        (0, 0, 0, 3),
        (0, 5, 5, 3),
        (1, 0, -1, 3),
        (1, 1, 0, 3),
        (-1, 0, 1, 3),
        (-1, -1, 0, 3),
        (32, 0, -32, 3),
        (33, 0, -32, 3),
        (400, 31, 0, 0),
        (20, 31, 11, 0),
        (-1, 31, 31, 0),
        (10, -32, -32, 0),
        (-40, -32, 0, 0),
        (-400, -32, 0, 0),
    ],
)
def test_the_cards_period_day_stays(days: int, ahead_before: int, ahead: int, meals: int) -> None:
    """As far as six bits hold. At either end, where a distance means that far or further, the nearest possible day."""
    event = later(RIDE._replace(period_ahead=ahead_before), AT + timedelta(days=days), SERVICE_DAY)
    assert (event.period_ahead, event.meals) == (ahead, meals)


@pytest.mark.parametrize(("ahead", "meals"), [(0, 3), (2, 0), (-1, 0), (31, 0)])
def test_meals_of_a_canteen_on_another_day_do_not_become_those_of_the_period_day(
    ahead: int, meals: int
) -> None:
    served = RIDE._replace(kind=EventKind.MEAL, period_ahead=ahead)
    assert later(served, AT + timedelta(minutes=5), SERVICE_DAY).meals == meals


def test_the_night_belongs_to_the_service_day_before() -> None:
    evening = RIDE._replace(at=datetime(2026, 9, 15, 20, tzinfo=UTC), period_ahead=0)
    assert later(evening, datetime(2026, 9, 15, 23, 59, tzinfo=UTC), SERVICE_DAY).period_ahead == 0
    assert later(evening, datetime(2026, 9, 16, 0, 0, tzinfo=UTC), SERVICE_DAY).period_ahead == -1


# --- a grant and its digest


@cache
def sign(uid: bytes, rights: Rights) -> bytes:
    """Once for the same rights: signatures differ every time."""
    return lab_credential(uid, rights, ISSUED)


def longer(rights: Rights) -> Rights:
    return replace(
        rights,
        concessions=tuple(
            c and replace(c, valid_to=c.valid_to + timedelta(days=30)) for c in rights.concessions
        ),
    )


def grant(card: VirtualCard, faults: FaultPlan | None) -> int:
    """Grant a month more; how many exchanges it took."""
    reader = SimReader("entitlement point", VirtualClock(AT))
    reader.present(card, faults)
    connection = reader.wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    point = ReloadPoint(connection, MASTERS.for_card(card.uid, 34), Counting(), SERVICE_DAY)
    try:
        point.grant(longer, lambda rights: sign(card.uid, rights), AT)
    finally:
        exchanges = reader.exchanges
        reader.remove()
        card.power_on()
    return exchanges


def held(card: VirtualCard) -> tuple[Rights, Event, bytes]:
    view = reload_point_of(card).read()
    return (
        view.rights,
        view.event,
        validating(card).read_data(FILE_CREDENTIAL, 0, CREDENTIAL_BYTES, CommMode.FULL),
    )


def agrees(card: VirtualCard) -> bool:
    """Whether the digest in the rights is the one of the credential in its file."""
    rights, _, raw = held(card)
    signed = credential_in_file(raw[:CARD_FILE_READ_BYTES])
    assert signed is not None
    return (
        raw == signed.ljust(CREDENTIAL_BYTES, b"\0") and credential_digest(signed) == rights.credential_digest
    )


def test_a_grant_torn_at_any_exchange_is_there_whole_or_not_at_all() -> None:
    before = card_of("free_pensioner")
    assert agrees(before)
    whole = before.clone()
    exchanges = grant(whole, None)
    old, new = held(before), held(whole)
    assert agrees(whole)
    assert new[0].concessions != old[0].concessions
    assert (new[0].revision, new[1].kind) == (old[0].revision + 1, EventKind.RIGHTS_CHANGE)
    for exchange in range(1, exchanges + 1):
        for tear in (tear_before, tear_after):
            card = before.clone()
            with pytest.raises(CardGone):
                grant(card, tear(exchange))
            committed = exchange == exchanges and tear is tear_after
            assert held(card) == (new if committed else old)
            assert agrees(card)


def test_a_grant_on_an_ev1_card() -> None:
    profile = load_profile("free_pensioner")
    ev1 = msgspec.structs.replace(profile, card=msgspec.structs.replace(profile.card, generation="EV1"))
    card = issue(ev1, MASTERS, 34, ISSUED, Counting())
    assert isinstance(card, VirtualCard)
    grant(card, None)
    desfire = DesfireCard(DesfireChannel(card))
    desfire.select_application(AID)
    key = AesKey(MASTERS.for_card(card.uid, 34).validate)
    desfire.authenticate_aes(KeyNo.VALIDATE, AesAuthentication(key, bytes(16)))
    signed = credential_in_file(desfire.read_data(FILE_CREDENTIAL, 0, CARD_FILE_READ_BYTES, CommMode.FULL))
    assert signed is not None
    assert credential_digest(signed) == reload_point_of(card).read().rights.credential_digest


# --- key sets


@pytest.mark.parametrize("key_set", [1, 2])
def test_a_rolled_card_is_served_with_the_keys_of_its_generation(key_set: int) -> None:
    card = card_of("adult_purse")
    point = reload_point_of(card)
    point.roll(key_set)
    point.set_purse(60_000, AT)
    assert point.read().purse_minor == 60_000
    with pytest.raises(StatusError, match="authentication error"):
        validating(card)
    point.roll(key_set)
    assert validating(card).get_key_version(KeyNo.VALIDATE) == 1, "the set before lies where the new one was"


def test_an_ev1_card_is_never_rolled() -> None:
    with pytest.raises(StatusError):
        reload_point_of(card_of("adult_purse_ev1")).roll(1)
