"""Whatever a checked document and a legal trip lead to fits the card's event, at the largest numbers of every kind."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cardproto.resident.limits import (
    LARGEST_MINOR,
    LARGEST_ROUTE,
    LARGEST_SEQUENCE,
    LARGEST_TERMINAL,
    LONGEST_AGE_S,
    MOST_TRANSFERS,
)
from cardproto.resident.records.event import (
    FIRST_AT,
    LARGEST_COUNTERS,
    LARGEST_ORDER,
    LAST_AT,
    MOST_DAYS_AHEAD,
    MOST_DAYS_BACK,
    MOST_INSIDE,
    Event,
    EventKind,
    PaidBy,
    build_event,
    parse_event,
)
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Message
from terminal.decision.tap import rebase
from terminal.errors import RegionDocumentError
from terminal.policy.load import REGIONS, load_region, parse_region
from terminal.policy.policy import Policy
from terminal.trip.facts import ClockState, Freshness, Place, Spot, Trip
from tests.properties import examples
from tests.terminal.decision.region import small, text_of
from tests.terminal.decision.rider import Rider
from tests.terminal.decision.test_caps import clam_card, tiger
from tests.terminal.decision.test_feed import CHECK_IN, FLAT, HELD, region

UNIT = 16_513
"""Divides the largest sum of money: a counter of money counts in it."""
DEAREST = f"""
[fares]
base_minor = {LARGEST_MINOR}
transfer = "t"
[fares.by_medium]
transport_card = {LARGEST_MINOR}
bank_card = {LARGEST_MINOR}
cash = {LARGEST_MINOR}
"""
LARGEST = f"""
[[fares.rules]]
id = "suburban"
kind = "distance"
modes = ["suburban_bus"]
first = {{ transport_card = {LARGEST_MINOR}, bank_card = {LARGEST_MINOR}, cash = {LARGEST_MINOR} }}
per_km = {{ transport_card = {LARGEST_MINOR}, bank_card = {LARGEST_MINOR}, cash = {LARGEST_MINOR} }}
longest_m = 60000
base = "transport_card"
[[transfers]]
id = "t"
kind = "reduced_window"
window_s = 86400
transfers = "unlimited"
media = ["transport_card"]
price_minor = {LARGEST_MINOR - UNIT}
[[products]]
kind = "plan"
id = 100
name = "plan"
fare_minor = {LARGEST_MINOR}
[[concessions]]
code = 1
name = "dear"
fare = {{ kind = "fixed_price", price_minor = {LARGEST_MINOR - UNIT} }}
[checkin]
scope = [{{ modes = ["suburban_bus"] }}]
longest_s = 86400
reserve = "held"
mark = "mark"
"""
SLOTS = """
{ name = "held", bits = 13, period = "kept", unit_minor = 16513 },
{ name = "mark", bits = 10, period = "kept" },
"""


def dearest() -> Policy:
    """A document in which every number is as large as its check lets it be."""
    return small(LARGEST, fares=DEAREST, slots=SLOTS)


POLICIES = (
    *(Policy.of(load_region(path.stem)) for path in sorted(REGIONS.glob("*.toml"))),
    clam_card(),
    tiger(),
    dearest(),
)
ANY_TIME = st.integers(0, int((LAST_AT - FIRST_AT).total_seconds())).map(
    lambda seconds: FIRST_AT + timedelta(seconds=seconds)
)
CLOCKS = ANY_TIME | st.integers(10**8, 4 * 10**9).map(lambda at: datetime.fromtimestamp(at, UTC))
DAYS = st.dates(date(2024, 1, 1), date(2058, 1, 1))
MINOR = st.just(LARGEST_MINOR) | st.integers(0, LARGEST_MINOR)
ROUTES = st.sampled_from([0, 1, 2, LARGEST_ROUTE])
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    at=ANY_TIME,
    terminal=st.integers(0, LARGEST_TERMINAL),
    sequence=st.integers(0, LARGEST_SEQUENCE),
    balance_after_minor=MINOR,
    amount_minor=MINOR,
    route=ROUTES,
    direction=st.integers(0, 1),
    journey_age_s=st.sampled_from([None, 0, 100, 86_000, LONGEST_AGE_S]),
    transfers=st.sampled_from([0, 1, MOST_TRANSFERS - 1, MOST_TRANSFERS]),
    paid_by=st.sampled_from(PaidBy),
    counter_layout=st.sampled_from([0, 1, 1, 1, 9]),
    meals=st.integers(0, 255),
    counters=st.sampled_from([0, LARGEST_COUNTERS]) | st.integers(0, LARGEST_COUNTERS),
    period_ahead=st.integers(-MOST_DAYS_BACK, MOST_DAYS_AHEAD),
    inside=st.integers(0, MOST_INSIDE),
    last_order=st.integers(0, LARGEST_ORDER),
)
MARKS = st.none() | st.integers(0, 10**7)
ZONES = st.integers(0, 10**6)
SPOTS = st.builds(Spot, stop=st.integers(0, 10**7), zone=ZONES, mark_m=MARKS)
PLACES = st.builds(Place, zone=ZONES, mark_m=MARKS, terminus=SPOTS, destination=SPOTS)
TRIPS = st.builds(
    Trip,
    profile=st.sampled_from(["bus", "bus", "bus", "canteen"]),
    terminal=st.just(LARGEST_TERMINAL) | st.integers(1, LARGEST_TERMINAL),
    sequence=st.just(LARGEST_SEQUENCE) | st.integers(1, LARGEST_SEQUENCE),
    shift=st.just(1),
    route=ROUTES,
    direction=st.integers(0, 1),
    mode=st.sampled_from(["bus", "tram", "metro", "suburban_bus", "intercity_bus"]),
    place=PLACES,
    companions=st.sampled_from([0, 0, 1, 6, 7, 1000]),
    clock=st.builds(ClockState, suspect=st.booleans(), confirmed=st.booleans()),
    freshness=st.builds(Freshness, st.sampled_from([0, 0, 10**9])),
)
LATER = st.integers(200, 3000) | st.integers(-60, 90_000)
TRIP = Trip("bus", 1, 2, shift=1)


def cards(policy: Policy) -> st.SearchStrategy[CardSnapshot]:
    """Any card of the region, whatever it holds."""
    codes, products = [*policy.concessions, 99], [*policy.products, 9999]
    grant = st.builds(Concession, st.sampled_from(codes), st.integers(0, 255), DAYS, DAYS)
    contract = st.builds(Contract, st.sampled_from(products), DAYS, DAYS, st.integers(0, 255))
    rights = st.builds(
        Rights,
        region=st.just(policy.document.header.region),
        pseudonym=st.just(bytes(8)),
        valid_from=st.just(date(2020, 1, 1)),
        valid_to=st.just(date(2099, 1, 1)),
        issued_on=st.just(date(2024, 1, 1)),
        revision=st.just(1),
        concessions=st.tuples(*[st.none() | grant] * 3),
        contracts=st.tuples(*[st.none() | contract] * 2),
    )
    return st.builds(CardSnapshot, st.just(bytes(7)), rights, EVENTS)


def taps_in(policy: Policy) -> st.SearchStrategy[tuple[Policy, CardSnapshot, Trip, datetime]]:
    """At any time, and often soon after the newest event."""
    soon = st.tuples(cards(policy), TRIPS, LATER).map(
        lambda tap: (policy, tap[0], tap[1], tap[0].event.at + timedelta(seconds=tap[2]))
    )
    return soon | st.tuples(st.just(policy), cards(policy), TRIPS, CLOCKS)


@examples(150)
@given(st.one_of([taps_in(policy) for policy in POLICIES]))
def test_what_a_tap_leads_to_fits_the_event(tap: tuple[Policy, CardSnapshot, Trip, datetime]) -> None:
    policy, card, trip, now = tap
    plan = decide(card, policy, trip, now).write_plan
    if plan is not None:
        assert parse_event(build_event(plan.event)) == plan.event


@examples(80)
@given(tap=taps_in(dearest()))
def test_the_largest_numbers_fit_too(tap: tuple[Policy, CardSnapshot, Trip, datetime]) -> None:
    policy, card, trip, now = tap
    plan = decide(card, policy, replace(trip, profile="bus"), now).write_plan
    if plan is not None:
        assert parse_event(build_event(plan.event)) == plan.event


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """Fares of a feed with transfers without number, and check-in."""
    return region(tmp_path_factory.mktemp("feed"), FLAT, CHECK_IN, destination="dearest", slots=HELD)


@examples(80)
@given(data=st.data())
def test_the_journey_of_a_feed_fits_too(feed: Policy, data: st.DataObject) -> None:
    policy, card, trip, now = data.draw(taps_in(feed))
    on_route = replace(trip, route=data.draw(st.sampled_from([5, 6, 9])), profile="bus", companions=0)
    plan = decide(card, policy, on_route, now).write_plan
    if plan is not None:
        assert parse_event(build_event(plan.event)) == plan.event


def test_a_feed_counts_transfers_as_far_as_the_card_does(tmp_path: Path) -> None:
    rider, now = Rider(policy=region(tmp_path, FLAT)), datetime(2026, 9, 15, 9, tzinfo=UTC)
    counted = []
    for number in range(18):
        rider.tap(now + timedelta(minutes=3 * number), route=5 + number % 2, stop=1)
        counted.append(parse_event(build_event(rider.newest)).transfers)
    assert counted == [*range(MOST_TRANSFERS), *[MOST_TRANSFERS] * 3]


def test_a_feed_s_journey_stays_at_the_longest_age_a_card_can_state(feed: Policy) -> None:
    at = datetime(2026, 9, 15, 9, tzinfo=UTC)
    rider = Rider(policy=feed).rode(at, journey_age_s=LONGEST_AGE_S - 5)
    for later, age_s in ((5, LONGEST_AGE_S), (6, LONGEST_AGE_S), (10**6, LONGEST_AGE_S)):
        tap = rebase(rider.snapshot, feed, TRIP, at + timedelta(seconds=later))
        assert tap.journey_age_s == age_s


@pytest.mark.parametrize("companions", [0, 1, 1000])
def test_a_sum_of_fares_that_no_event_can_hold_is_refused_for_want_of_money(companions: int) -> None:
    rider = Rider(policy=dearest(), balance_minor=LARGEST_MINOR)
    outcome = rider.tap(datetime(2026, 9, 15, 9, tzinfo=UTC), companions=companions).outcome
    if companions:
        assert (outcome.message, outcome.charge_minor) == (Message.NO_FUNDS, 0)
    else:
        assert (outcome.message, outcome.charge_minor) == (Message.OK_PAID, LARGEST_MINOR)
        assert rider.newest.balance_after_minor == 0


@pytest.mark.parametrize(
    ("here", "there", "says"),
    [
        (f"base_minor = {LARGEST_MINOR}", f"base_minor = {LARGEST_MINOR + 1}", "2097151"),
        ("window_s = 86400", "window_s = 86401", "86400"),
        ('transfers = "unlimited"', "transfers = 15", "14"),
        ("longest_s = 86400", "longest_s = 86401", "86400"),
        ('modes = ["suburban_bus"]', "routes = [32768]", "32767"),
    ],
    ids=["fare", "window", "transfers", "check-out", "route"],
)
def test_a_document_beyond_what_a_card_holds_is_refused_with_the_limit(
    here: str, there: str, says: str
) -> None:
    text = text_of(LARGEST, fares=DEAREST, slots=SLOTS)
    assert here in text
    with pytest.raises(RegionDocumentError) as refused:
        parse_region(text.replace(here, there), "small.toml")
    assert says in str(refused.value)
