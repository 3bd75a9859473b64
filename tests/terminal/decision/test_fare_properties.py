"""What holds for every region, card, place and clock: money, concessions, caps, unrelated rules, the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.resident.records.event import NO_JOURNEY, Event, EventKind, PaidBy, build_event, parse_event
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.trip.facts import Freshness, Place, Spot, Trip
from tests.properties import examples
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import LAST, Rider, rules
from tests.terminal.decision.test_caps import clam_card, tiger
from tests.terminal.decision.test_checkin import belgorod

REGIONS = ("volgograd", "sakhalin", "tyumen", "novosibirsk", "st_petersburg", "belgorod")
POLICIES = (*(Policy.of(load_region(name)) for name in REGIONS), clam_card(), tiger(), belgorod())
START = datetime(2025, 10, 2, tzinfo=UTC)
BRIEF = examples(120)


DAYS = st.dates(date(2025, 9, 1), date(2026, 3, 1))
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    at=st.integers(0, 100 * 24 * 3600).map(lambda seconds: START + timedelta(seconds=seconds)),
    terminal=st.integers(1, 3),
    sequence=st.just(1),
    balance_after_minor=st.integers(0, 20_000),
    amount_minor=st.just(0),
    route=st.integers(1, 3),
    direction=st.integers(0, 1),
    journey_age_s=st.none() | st.integers(0, 8000) | st.integers(0, NO_JOURNEY - 1),
    transfers=st.integers(0, 15),
    paid_by=st.sampled_from(PaidBy),
    counter_layout=st.sampled_from([0, 1, 1, 1, 9]),
    counters=st.just(0) | st.integers(0, 2**56 - 1),
    meals=st.just(0),
    period_ahead=st.just(0),
    inside=st.just(0),
    last_order=st.just(0),
)


def cards(policy: Policy) -> st.SearchStrategy[CardSnapshot]:
    """Any card of the region: rights it knows and rights it does not, any running state, any newest event."""
    codes, products = [*policy.concessions, 99], [*policy.products, 9999]
    grant = st.builds(Concession, st.sampled_from(codes), st.integers(0, 255), DAYS, DAYS)
    contract = st.builds(Contract, st.sampled_from(products), DAYS, DAYS, st.integers(0, 255))
    rights = st.builds(
        Rights,
        region=st.just(policy.document.header.region),
        pseudonym=st.just(bytes(8)),
        valid_from=st.just(date(2025, 1, 1)),
        valid_to=st.just(date(2030, 1, 1)),
        issued_on=st.just(date(2025, 1, 1)),
        revision=st.just(1),
        concessions=st.tuples(*[st.none() | grant] * 3),
        contracts=st.tuples(*[st.none() | contract] * 2),
    )
    return st.builds(CardSnapshot, st.just(bytes(7)), rights, EVENTS)


ZONES = st.integers(0, 3)
MARKS = st.none() | st.integers(0, 70_000)
SPOTS = st.builds(Spot, zone=ZONES, mark_m=MARKS)
TRIPS = st.builds(
    Trip,
    profile=st.just("bus"),
    terminal=st.integers(1, 3),
    sequence=st.just(2),
    shift=st.just(1),
    route=st.integers(1, 3),
    direction=st.integers(0, 1),
    mode=st.sampled_from(["bus", "tram", "metro", "suburban_bus", "intercity_bus"]),
    place=st.builds(Place, zone=ZONES, mark_m=MARKS, terminus=SPOTS, destination=SPOTS),
    companions=st.sampled_from([0, 0, 0, 1, 2]),
    freshness=st.builds(Freshness, st.sampled_from([0, 0, 30 * 3600, 9 * 24 * 3600])),
)


LATER = st.integers(-60, 9000) | st.integers(-(10**6), 10**7)


def taps_in(policy: Policy) -> st.SearchStrategy[tuple[Policy, CardSnapshot, Trip, datetime]]:
    tapped = st.tuples(cards(policy), TRIPS, LATER)
    return tapped.map(lambda tap: (policy, tap[0], tap[1], tap[0].event.at + timedelta(seconds=tap[2])))


TAPS = st.one_of([taps_in(policy) for policy in POLICIES])


def as_bytes(decision: Decision) -> bytes:
    plan = decision.write_plan
    written = b"" if plan is None else build_event(plan.event) + plan.debit_minor.to_bytes(4, "big")
    return written + repr((decision.outcome, decision.facts, decision.flags)).encode()


@BRIEF
@given(TAPS)
def test_no_charge_is_negative_and_no_kopeck_is_lost(
    tap: tuple[Policy, CardSnapshot, Trip, datetime],
) -> None:
    policy, card, trip, now = tap
    decision = decide(card, policy, trip, now)
    plan, outcome = decision.write_plan, decision.outcome
    assert decision.facts, "no decision without a reason"
    if plan is None:
        assert outcome.charge_minor == 0
        return
    assert outcome.accepted
    assert 0 <= plan.debit_minor == outcome.charge_minor == plan.event.amount_minor
    assert plan.event.balance_after_minor == card.balance_minor - plan.debit_minor >= 0
    assert parse_event(build_event(plan.event)) == plan.event


@BRIEF
@given(TAPS)
def test_the_same_input_gives_the_same_bytes(tap: tuple[Policy, CardSnapshot, Trip, datetime]) -> None:
    policy, card, trip, now = tap
    assert as_bytes(decide(card, policy, trip, now)) == as_bytes(decide(card, policy, trip, now))


@BRIEF
@given(TAPS)
def test_a_concession_never_costs_more_than_having_none(
    tap: tuple[Policy, CardSnapshot, Trip, datetime],
) -> None:
    policy, card, trip, now = tap
    ordinary = decide(replace(card, rights=replace(card.rights, concessions=(None,) * 3)), policy, trip, now)
    helped = decide(card, policy, trip, now)
    if ordinary.outcome.accepted:
        assert helped.outcome.accepted
        assert helped.outcome.charge_minor <= ordinary.outcome.charge_minor
        held = [decision.outcome.values.get("held_minor", 0) for decision in (helped, ordinary)]
        assert int(held[0]) <= int(held[1])


@BRIEF
@given(TAPS)
def test_a_ride_that_costs_nothing_says_why(tap: tuple[Policy, CardSnapshot, Trip, datetime]) -> None:
    policy, card, trip, now = tap
    decision = decide(card, policy, trip, now)
    plan = decision.write_plan
    if plan is None or plan.debit_minor:
        return
    free_of_charge = {
        Message.OK_PASS: {"K-02"},
        Message.OK_PACK: {"T-10", "T-11"},
        Message.OK_BENEFIT: {"T-05", "T-18", "CAP"},
        Message.OK_BENEFIT_UNLIMITED: {"T-05", "T-20", "CAP"},
        Message.OK_TRANSFER: {"T-30", "T-32"},
        Message.OK_CHECKIN: {"T-07"},
        Message.OK_CHECKOUT: {"CAP", "T-05"},
        Message.OK_PAID: {"CAP"},
        Message.LIMIT_REACHED: {"CAP"},
        Message.PACK_USED_UP: {"CAP"},
        Message.COUNT_UNREADABLE: {"CAP"},
        Message.PASS_USED_UP: {"CAP"},
        Message.BENEFIT_EXPIRED: {"CAP"},
        Message.BENEFIT_OUT_OF_SEASON: {"CAP"},
    }
    assert free_of_charge[decision.outcome.message] & set(rules(decision)), rules(decision)


# caps


WEEK_OF_RIDES = st.lists(st.tuples(st.integers(3, 900), st.integers(1, 2), st.integers(1, 2)), max_size=40)
"""(minutes since the ride before, zone, to zone)"""


def by_tier(region: str, zones: set[int]) -> tuple[int, int]:
    """The public caps of a day and a week for the zones ridden in it."""
    if region == "clam":
        return (700, 4000) if zones == {1} else (800, 4700)
    return {frozenset({1}): (10_000, 50_000), frozenset({2}): (8000, 40_000)}.get(
        frozenset(zones), (12_000, 60_000)
    )


@pytest.mark.parametrize(("region", "policy"), [("clam", clam_card()), ("tiger", tiger())])
@examples(40)
@given(plan=WEEK_OF_RIDES)
def test_no_day_and_no_week_costs_more_than_its_cap(
    region: str, policy: Policy, plan: list[tuple[int, int, int]]
) -> None:
    rider, now = Rider(policy=policy, balance_minor=1_000_000), datetime(2026, 9, 14, 4, tzinfo=UTC)
    spent: dict[tuple[str, date], int] = {}
    ridden: dict[tuple[str, date], list[set[int]]] = {}
    for minutes, zone, to_zone in plan:
        now += timedelta(minutes=minutes)
        decision = rider.tap(now, zone=zone, to_zone=to_zone)
        assert decision.outcome.accepted
        day = policy.service_date(now.astimezone(policy.zone))
        periods = (("day", day), ("week", day - timedelta(days=day.weekday())))
        for number, period in enumerate(periods):
            spent[period] = spent.get(period, 0) + decision.outcome.charge_minor
            ridden.setdefault(period, []).append({zone, to_zone})
            assert spent[period] <= max(by_tier(region, zones)[number] for zones in ridden[period])


# an unrelated rule


UNRELATED = """
[[concessions]]
code = 200
name = "another"
fare = { kind = "percent_of_base", pays_percent = 10 }
[[products]]
kind = "pass"
id = 2000
name = "another"
[[fares.rules]]
id = "ferry"
kind = "flat"
modes = ["ferry"]
by_medium = { transport_card = 9000, bank_card = 9000, cash = 9000 }
"""
RULES = """
[[concessions]]
code = 1
name = "half"
fare = { kind = "percent_of_base", pays_percent = 50 }
limits = [{ kind = "trips", trips = 9, counter = "month" }]
[[products]]
kind = "trip_pack"
id = 30
name = "30"
trips = 30
lapses = "monthly"
[[transfers]]
id = "t"
kind = "free_window"
window_s = 3600
transfers = 2
media = ["transport_card"]
"""
MONTH = '{ name = "month", bits = 8, period = "service_month" },'
WITHOUT = small(RULES, slots=MONTH, opens='transfer = "t"')
WITH = small(
    RULES,
    UNRELATED,
    '[[caps]]\nkind = "trip_cap"\nid = "c"\ncounter = "x"\ntrips = 9\nconcessions = [200]\n',
    slots=MONTH + '{ name = "x", bits = 4, period = "year" },',
    opens='transfer = "t"',
)


@BRIEF
@given(cards(WITHOUT), TRIPS, st.integers(-60, 10**6))
def test_a_rule_about_something_else_changes_nothing(card: CardSnapshot, trip: Trip, later: int) -> None:
    card = replace(card, event=card.event._replace(counters=card.event.counters >> 28 << 28))
    now = card.event.at + timedelta(seconds=later)
    assert as_bytes(decide(card, WITHOUT, trip, now)) == as_bytes(decide(card, WITH, trip, now))


# clocks


LIMITED = """
[[concessions]]
code = 1
name = "free"
fare = { kind = "free" }
limits = [{ kind = "trips", trips = 1, counter = "c" }]
[[products]]
kind = "timed_pass"
id = 24
name = "24 h"
length_s = 86400
[[transfers]]
id = "t"
kind = "free_window"
window_s = 3600
transfers = 1
media = ["transport_card"]
"""
GRANT = Concession(1, 0, date(2024, 1, 1), date(2029, 12, 31))


def clocked(zone: str, period: str) -> Policy:
    slots = f'{{ name = "c", bits = 1, period = "{period}" }},'
    return small(LIMITED, zone=zone, slots=slots, bits=16, opens='transfer = "t"')


def moments(zone: str, *clocks: str) -> Iterator[datetime]:
    """Local times; "+" after one is the second of two equal clock times."""
    for clock in clocks:
        at = datetime.fromisoformat(clock.rstrip("+")).replace(tzinfo=ZoneInfo(zone))
        yield at.replace(fold=1) if clock.endswith("+") else at


@pytest.mark.parametrize(
    ("zone", "period", "first", "second", "anew"),
    [
        ("Europe/Moscow", "service_day", "2026-09-15T23:59:59", "2026-09-16T00:00:00", False),
        ("Europe/Moscow", "service_day", "2026-09-15T23:59:59", "2026-09-16T02:59:59", False),
        ("Europe/Moscow", "service_day", "2026-09-15T23:59:59", "2026-09-16T03:00:00", True),
        ("Europe/Moscow", "service_month", "2026-08-31T23:59:59", "2026-09-01T02:59:59", False),
        ("Europe/Moscow", "service_month", "2026-08-31T23:59:59", "2026-09-01T03:00:00", True),
        ("Europe/Moscow", "service_day", "2028-02-28T12:00:00", "2028-02-29T03:00:00", True),
        ("Europe/Moscow", "service_day", "2028-02-29T03:00:00", "2028-03-01T02:59:59", False),
        ("Europe/Moscow", "service_month", "2028-02-29T12:00:00", "2028-03-01T03:00:00", True),
        ("Europe/Moscow", "half_year", "2026-06-30T12:00:00", "2026-07-01T03:00:00", True),
        ("Europe/Moscow", "year", "2026-12-31T12:00:00", "2027-01-01T02:59:59", False),
        ("Europe/Berlin", "service_day", "2026-10-25T02:30:00", "2026-10-25T02:30:00+", False),
        ("Europe/Berlin", "service_day", "2026-10-25T02:30:00+", "2026-10-25T03:00:00", True),
        ("Europe/Berlin", "service_day", "2026-03-29T01:59:59", "2026-03-29T03:00:00", True),
    ],
)
def test_periods_begin_with_the_service_day_on_every_clock(
    zone: str, period: str, first: str, second: str, anew: bool
) -> None:
    before, after = moments(zone, first, second)
    rider = Rider(concessions=(GRANT,), policy=clocked(zone, period), event=None)
    rider.rode(before - timedelta(days=1), PaidBy.NOTHING, kind=EventKind.ISSUE)
    assert rider.tap(before).outcome.message is Message.OK_BENEFIT
    again = rider.tap(after, route=9, terminal=8)
    assert again.outcome.message is (Message.OK_BENEFIT if anew else Message.LIMIT_REACHED)


@pytest.mark.parametrize("zone", ["Europe/Moscow", "Europe/Berlin"])
@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24", "2028-02-28", "2026-08-31"])
def test_windows_and_timed_passes_go_by_elapsed_time(zone: str, day: str) -> None:
    """Also in the night in which the clock is put forward or back."""
    policy = clocked(zone, "service_day")
    (start,) = moments(zone, f"{day}T23:30:00")
    begin = start.astimezone(UTC)
    for seconds, message in ((3600, Message.OK_TRANSFER), (3601, Message.OK_PAID)):
        rider = Rider(policy=policy).rode(begin - timedelta(days=1), PaidBy.NOTHING, kind=EventKind.ISSUE)
        rider.tap(begin)
        assert rider.tap(begin + timedelta(seconds=seconds), route=9).outcome.message is message
    for seconds, message in ((86_400, Message.OK_PASS), (86_401, Message.OK_PAID)):
        contract = Contract(24, start.date(), LAST + timedelta(days=900), 0)
        rider = Rider(policy=policy, contracts=(contract,))
        rider.rode(begin - timedelta(days=1), PaidBy.NOTHING, kind=EventKind.ISSUE)
        assert rider.tap(begin).outcome.message is Message.OK_PASS
        assert rider.tap(begin + timedelta(seconds=seconds), route=9).outcome.message is message


def test_the_last_day_of_august_is_still_the_old_school_year() -> None:
    season = LIMITED.replace("limits = [", 'season = { first = "09-01", last = "05-31" }\nlimits = [')
    policy = small(
        season, slots='{ name = "c", bits = 1, period = "service_day" },', bits=16, opens='transfer = "t"'
    )
    found = []
    for clock in ("2026-08-31T23:59:59", "2026-09-01T02:59:59", "2026-09-01T03:00:00"):
        (now,) = moments("Europe/Volgograd", clock)
        found.append(
            Rider(concessions=(GRANT,), policy=policy).rode(now - timedelta(days=40)).tap(now).outcome.message
        )
    assert found == [Message.BENEFIT_OUT_OF_SEASON, Message.BENEFIT_OUT_OF_SEASON, Message.OK_BENEFIT]
