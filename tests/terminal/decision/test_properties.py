"""What holds for every card, clock and trip, not only for the examples."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cardproto.resident.records.event import NO_JOURNEY, Event, EventKind, PaidBy, build_event, parse_event
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.trip.facts import Trip
from tests.properties import examples
from tests.terminal.decision.rider import DEMO, trip_at

EPOCH = datetime(2026, 9, 1, tzinfo=UTC)
DAYS = st.dates(date(2026, 8, 1), date(2026, 11, 30))
TIMES = st.integers(0, 80 * 24 * 3600).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
CONCESSIONS = st.builds(Concession, st.sampled_from([1, 2, 10, 11, 12, 77]), st.integers(0, 255), DAYS, DAYS)
CONTRACTS = st.builds(Contract, st.sampled_from([100, 145, 999]), DAYS, DAYS, st.integers(0, 255))
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    at=TIMES,
    terminal=st.integers(1, 3),
    sequence=st.integers(0, 2**28 - 1),
    balance_after_minor=st.integers(0, 6000) | st.integers(0, 2**21 - 1),
    amount_minor=st.integers(0, 2**21 - 1),
    route=st.integers(1, 3),
    direction=st.integers(0, 1),
    journey_age_s=st.none() | st.integers(0, 4000) | st.integers(0, NO_JOURNEY - 1),
    transfers=st.integers(0, 15),
    paid_by=st.sampled_from(PaidBy),
    counter_layout=st.sampled_from([0, 1, 1, 1, 9]),
    meals=st.integers(0, 255),
    counters=st.integers(0, 2**56 - 1) | st.sampled_from([0, 49 << 48, 50 << 48, 44 << 40]),
    period_ahead=st.just(0),
    inside=st.just(0),
    last_order=st.just(0),
)
RIGHTS = st.builds(
    Rights,
    region=st.just(34),
    pseudonym=st.just(bytes(8)),
    valid_from=st.just(date(2025, 1, 1)),
    valid_to=st.just(date(2030, 1, 1)),
    issued_on=st.just(date(2025, 1, 1)),
    revision=st.just(1),
    concessions=st.tuples(*[st.none() | CONCESSIONS] * 3),
    contracts=st.tuples(*[st.none() | CONTRACTS] * 2),
)
CARDS = st.builds(CardSnapshot, st.just(bytes(7)), RIGHTS, EVENTS)
TRIPS = st.builds(
    Trip,
    profile=st.sampled_from(["bus", "bus", "canteen"]),
    terminal=st.integers(1, 3),
    sequence=st.integers(0, 2**28 - 1),
    shift=st.just(1),
    route=st.integers(1, 3),
    direction=st.integers(0, 1),
)
BRIEF = examples(200)


def taps_at(card: CardSnapshot) -> st.SearchStrategy[datetime]:
    """Any time, and often one within two hours of the card's newest event."""
    return TIMES | st.integers(-120, 7200).map(lambda seconds: card.event.at + timedelta(seconds=seconds))


def as_bytes(decision: Decision) -> bytes:
    plan = decision.write_plan
    written = b"" if plan is None else build_event(plan.event) + plan.debit_minor.to_bytes(4, "big")
    return written + repr((decision.outcome, decision.facts)).encode()


@BRIEF
@given(CARDS, TRIPS, st.data())
def test_every_decision_can_be_written_and_conserves_money(
    card: CardSnapshot, trip: Trip, data: st.DataObject
) -> None:
    now = data.draw(taps_at(card))
    decision = decide(card, DEMO, trip, now)
    plan, outcome = decision.write_plan, decision.outcome
    assert outcome.charge_minor >= 0
    assert decision.facts, "no decision without a reason"
    if plan is None:
        assert outcome.charge_minor == 0
        return
    assert outcome.accepted
    assert plan.debit_minor == outcome.charge_minor == plan.event.amount_minor
    assert plan.event.balance_after_minor == card.balance_minor - plan.debit_minor >= 0
    assert plan.event.at == now
    assert (plan.event.terminal, plan.event.sequence) == (trip.terminal, trip.sequence)
    assert parse_event(build_event(plan.event)) == plan.event


@BRIEF
@given(CARDS, TRIPS, st.data())
def test_the_same_input_gives_the_same_bytes(card: CardSnapshot, trip: Trip, data: st.DataObject) -> None:
    now = data.draw(taps_at(card))
    assert as_bytes(decide(card, DEMO, trip, now)) == as_bytes(decide(card, DEMO, trip, now))


@BRIEF
@given(CARDS, TRIPS, st.data())
def test_a_concession_never_costs_more_than_the_ordinary_fare(
    card: CardSnapshot, trip: Trip, data: st.DataObject
) -> None:
    """Whatever rights a rider has, the ride costs no more than it would without them."""
    now = data.draw(taps_at(card))
    bare = replace(card, rights=replace(card.rights, concessions=(None,) * 3, contracts=(None,) * 2))
    ordinary = decide(bare, DEMO, trip, now)
    helped = decide(card, DEMO, trip, now)
    assert helped.outcome.charge_minor <= 2400
    if ordinary.outcome.accepted:
        assert helped.outcome.charge_minor <= ordinary.outcome.charge_minor
        assert helped.outcome.accepted


@BRIEF
@given(CARDS, TRIPS, st.data())
def test_no_counter_passes_its_limit_and_no_ride_is_free_without_a_reason(
    card: CardSnapshot, trip: Trip, data: st.DataObject
) -> None:
    now = data.draw(taps_at(card))
    decision = decide(card, DEMO, structs.replace(trip, profile="bus"), now)
    message, plan = decision.outcome.message, decision.write_plan
    if message in (Message.OK_BENEFIT, Message.OK_PACK):
        assert 0 <= int(decision.outcome.values["n"]) < 50
    if plan is not None and plan.debit_minor == 0:
        assert message in {
            Message.OK_PASS,
            Message.OK_PACK,
            Message.OK_BENEFIT,
            Message.OK_BENEFIT_UNLIMITED,
            Message.OK_TRANSFER,
        }
    if message is Message.OK_TRANSFER and plan is not None:
        assert plan.event.transfers <= 1
        assert plan.event.journey_age_s is not None
        assert plan.event.journey_age_s <= 3600


@BRIEF
@given(CARDS, st.data())
def test_an_unrelated_right_changes_no_meal(card: CardSnapshot, data: st.DataObject) -> None:
    """Passes, packs and money mean nothing in the canteen."""
    now = data.draw(taps_at(card))
    trip = trip_at("canteen", 3, 1)
    poorer = replace(
        card,
        rights=replace(card.rights, contracts=(None, None)),
        event=card.event._replace(balance_after_minor=0, counters=0),
    )
    assert decide(card, DEMO, trip, now).outcome == decide(poorer, DEMO, trip, now).outcome
