"""The ordinary fare and what concessions make of it: T-01 to T-08, in small regions and at their edges."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.bus.effects import FareEffect
from terminal.decision.decide import decide
from terminal.decision.outcome import Message
from terminal.policy.base import FareMedium
from terminal.policy.fares.index import MEDIA
from terminal.policy.policy import Policy
from terminal.policy.scopes import Ride
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, PENSIONER, STUDENT, Rider, local, rules, trip_at

NOW = local("08:00")
HALF = """
[[concessions]]
code = 2
name = "half"
fare = { kind = "percent_of_base", pays_percent = 50 }
"""
BY_DISTANCE = """
[[fares.rules]]
id = "out_of_town"
kind = "distance"
modes = ["suburban_bus"]
first = { transport_card = 2600, bank_card = 2600, cash = 3000 }
per_km = { transport_card = 260, bank_card = 260, cash = 260 }
longest_m = 100000
base = "cash"
"""
ZONES = """
[[zones]]
number = 1
name = "centre"
[[zones]]
number = 7
name = "lakes"
"""
BY_ZONE = """
[fares]
base_minor = 4000
[[fares.rules]]
id = "matrix"
kind = "zone_table"
zones = ["centre", "lakes"]
base = "cash"
[fares.rules.by_medium]
transport_card = [[2000, 5000], [4500, 1500]]
bank_card = [[2100, 5100], [4600, 1600]]
cash = [[2200, 5200], [4700, 1700]]
"""
PEAK = """
[[timeframes]]
id = "peak"
windows = [
  { days = ["mon", "tue", "wed", "thu", "fri"], starts = 07:00:00, ends = 10:00:00 },
  { days = ["sat"], starts = 22:00:00, ends = 00:00:00 },
]
[[fares.rules]]
id = "peak_fare"
kind = "flat"
when = "peak"
by_medium = { transport_card = 3900, bank_card = 4000, cash = 4400 }
"""


def fare(policy: Policy, now: object = NOW, **where: object) -> int | None:
    """What a plain purse pays; None when it is refused."""
    decision = Rider(policy=policy, balance_minor=100_000).tap(now, **where)
    return decision.outcome.charge_minor if decision.outcome.accepted else None


def by_bank(policy: Policy, **where: object) -> int:
    trip = trip_at("bus", 7, 1, route=5, **where)
    return decide(BankSnapshot(bytes(8), LAST), policy, trip, NOW).outcome.charge_minor


def test_t_01_each_medium_has_its_fare() -> None:
    policy = small()
    assert fare(policy) == 3500
    assert by_bank(policy) == 3600
    assert policy.document.fares.by_medium is not None
    assert policy.document.fares.by_medium.cash == 4000


def test_t_01_a_rule_for_a_mode_or_a_route_replaces_the_general_fare() -> None:
    policy = small(
        """
[[fares.rules]]
id = "tram"
kind = "flat"
modes = ["tram"]
by_medium = { transport_card = 3000, bank_card = 3100, cash = 3300 }
[[fares.rules]]
id = "express"
kind = "flat"
modes = ["bus"]
routes = [101, 102]
by_medium = { transport_card = 6000, bank_card = 6100, cash = 6300 }
"""
    )
    assert fare(policy, mode="tram") == 3000
    assert fare(policy, mode="tram", route=101) == 3000
    assert fare(policy, route=102) == 6000
    assert fare(policy, route=103) == 3500
    decision = Rider(policy=policy).tap(NOW, route=101)
    assert decision.facts[-1].inputs == {"fare_minor": 6000, "fare": "express"}


@pytest.mark.parametrize(
    ("clock", "day", "fare_minor"),
    [
        ("06:59:59", date(2026, 9, 15), 3500),
        ("07:00:00", date(2026, 9, 15), 3900),
        ("09:59:59", date(2026, 9, 15), 3900),
        ("10:00:00", date(2026, 9, 15), 3500),
        ("08:00:00", date(2026, 9, 19), 3500),
        ("23:59:59", date(2026, 9, 19), 3900),
        ("00:00:00", date(2026, 9, 20), 3500),
    ],
)
def test_t_01_a_timeframe_goes_by_the_clock_and_its_end_is_outside(
    clock: str, day: date, fare_minor: int
) -> None:
    assert fare(small(PEAK), local(clock, day)) == fare_minor


def test_t_01_the_end_of_a_timeframe_may_be_inside() -> None:
    policy = small(PEAK.replace("ends = 10:00:00", "ends = 10:00:00, end_included = true"))
    assert fare(policy, local("10:00:00")) == 3900
    assert fare(policy, local("10:00:01")) == 3500


def test_t_01_new_fares_hold_from_their_service_day_on() -> None:
    policy = small(
        """
[[fares.steps]]
valid_from = 2026-10-01
base_minor = 5000
by_medium = { transport_card = 3800, bank_card = 3900, cash = 5000 }
""",
        HALF,
    )
    last_night, morning = local("02:59:59", date(2026, 10, 1)), local("03:00", date(2026, 10, 1))
    assert (fare(policy, last_night), fare(policy, morning)) == (3500, 3800)
    for now, price_minor in ((last_night, 2000), (morning, 2500)):
        assert Rider(concessions=(STUDENT,), policy=policy).tap(now).outcome.charge_minor == price_minor


def test_t_02_a_rule_may_have_a_base_tariff_of_its_own() -> None:
    metro = """
[[fares.rules]]
id = "metro"
kind = "flat"
modes = ["metro"]
by_medium = { transport_card = 7000, bank_card = 7500, cash = 8500 }
base_minor = 8500
"""
    policy = small(HALF, metro)
    assert Rider(concessions=(STUDENT,), policy=policy).tap(NOW, mode="metro").outcome.charge_minor == 4250
    assert Rider(concessions=(STUDENT,), policy=policy).tap(NOW).outcome.charge_minor == 2000


def test_t_03_a_fixed_amount_off() -> None:
    """Kurgan: 4.00 off each of 60 trips per half-year [S24]."""
    policy = small(
        """
[[concessions]]
code = 3
name = "4.00 off"
fare = { kind = "amount_off", amount_minor = 400 }
limits = [{ kind = "trips", trips = 60, counter = "half" }]
""",
        slots='{ name = "half", bits = 6, period = "half_year" },',
    )
    rider = Rider(concessions=(Concession(3, 0, FIRST, LAST),), policy=policy, balance_minor=400_000)
    decision = rider.tap(NOW)
    assert (decision.outcome.charge_minor, decision.outcome.values) == (3100, {"n": 59})
    assert rules(decision)[0] == "T-03"
    for trip in range(59):
        rider.tap(NOW + timedelta(hours=trip + 1))
    over = rider.tap(local("12:00", date(2026, 12, 31)))
    assert (over.outcome.message, over.outcome.charge_minor) == (Message.LIMIT_REACHED, 3500)
    assert rider.tap(local("12:00", date(2027, 1, 1))).outcome.values == {"n": 59}


def test_t_05_free_needs_no_fare_to_be_known() -> None:
    free = '[[concessions]]\ncode = 1\nname = "free"\nfare = { kind = "free" }\n'
    policy = small(ZONES, free, fares=BY_ZONE)
    assert fare(policy) is None
    decision = Rider(concessions=(PENSIONER,), policy=policy).tap(NOW)
    assert (decision.outcome.message, decision.outcome.charge_minor) == (Message.OK_BENEFIT_UNLIMITED, 0)


@pytest.mark.parametrize(
    ("metres", "fare_minor"),
    [(0, 2600), (1000, 2860), (12_000, 5720), (1, 2600), (1923, 3100), (1924, 3100), (1925, 3101)],
)
def test_t_06_the_city_fare_and_kilometres_beyond_the_boundary(metres: int, fare_minor: int) -> None:
    """Yuzhno-Sakhalinsk 2023: 26.00 + 2.60 per km [S28]; part of a kilometre counts as such."""
    policy = small(BY_DISTANCE)
    assert fare(policy, mode="suburban_bus", mark_m=0, to_mark_m=metres) == fare_minor
    assert fare(policy, mode="suburban_bus", mark_m=metres + 5000, to_mark_m=5000) == fare_minor


def test_t_06_cash_costs_4_00_more_in_all() -> None:
    policy = small(BY_DISTANCE, HALF)
    quote = policy.ordinary_fare(
        Ride("suburban_bus", 5, 0, 0, 10_000), NOW, medium=MEDIA.index(FareMedium.CASH)
    )
    assert quote is not None
    assert quote.fare_minor == 2600 + 2600 + 400
    half = Rider(concessions=(STUDENT,), policy=policy)
    paid = half.tap(NOW, mode="suburban_bus", mark_m=0, to_mark_m=10_000)
    assert paid.outcome.charge_minor == (3000 + 2600) // 2, "half of the cash fare, which is the base"


def test_t_06_a_ride_beyond_the_longest_costs_the_longest() -> None:
    assert fare(small(BY_DISTANCE), mode="suburban_bus", mark_m=0, to_mark_m=250_000) == 2600 + 26_000


@pytest.mark.parametrize(("bus", "fare_minor"), [("", None), ('unknown_fare = "dearest"', 28_600)])
def test_an_unknown_distance_is_refused_or_the_dearest_never_free(bus: str, fare_minor: int | None) -> None:
    policy = small(BY_DISTANCE, bus=bus)
    rider = Rider(policy=policy, balance_minor=50_000)
    decision = rider.tap(NOW, mode="suburban_bus")
    assert decision.outcome.accepted == (fare_minor is not None)
    assert decision.outcome.charge_minor == (fare_minor or 0)
    if fare_minor is None:
        assert (decision.outcome.message, decision.write_plan) == (Message.FARE_UNKNOWN, None)
        assert decision.facts[-1].effect is FareEffect.UNKNOWN


@pytest.mark.parametrize(
    ("zone", "to_zone", "fare_minor"), [(1, 1, 2000), (1, 7, 5000), (7, 1, 4500), (7, 7, 1500)]
)
def test_a_zone_table_has_a_price_for_each_way(zone: int, to_zone: int, fare_minor: int) -> None:
    policy = small(ZONES, fares=BY_ZONE)
    assert fare(policy, zone=zone, to_zone=to_zone) == fare_minor
    assert by_bank(policy, zone=zone, to_zone=to_zone) == fare_minor + 100


@pytest.mark.parametrize(("zone", "dearest_minor"), [(0, 5000), (1, 5000), (7, 4500)])
def test_where_the_way_is_not_known_the_dearest_way_from_here(zone: int, dearest_minor: int) -> None:
    policy = small(ZONES, fares=BY_ZONE, bus='unknown_fare = "dearest"')
    assert fare(policy, zone=zone) == dearest_minor
    assert fare(small(ZONES, fares=BY_ZONE), zone=zone) is None


@pytest.mark.parametrize(("to_zone", "dearest_minor"), [(0, 4500), (1, 4500), (7, 5000)])
def test_a_place_the_rider_named_stands_where_the_boarding_is_not_known(
    to_zone: int, dearest_minor: int
) -> None:
    """The bus goes on to the centre; from the dearest boarding there is, to the lakes, it is 50.00."""
    policy = small(ZONES, fares=BY_ZONE, bus='unknown_fare = "dearest"')
    assert fare(policy, to_zone=to_zone, terminus_zone=1) == dearest_minor


def test_a_zone_the_document_does_not_have_is_no_fare() -> None:
    policy = small(ZONES, fares=BY_ZONE, bus='unknown_fare = "dearest"')
    assert fare(policy, zone=9, to_zone=1) is None


def test_t_08_rounding_happens_once_at_the_end() -> None:
    """Three metres beyond the boundary: the base is 3000.78 kopecks, half of it 1500.39, so 1500 are due.
    Half of a base already rounded to 3001 would be 1501.
    """
    policy = small(BY_DISTANCE, HALF)
    rider = Rider(concessions=(STUDENT,), policy=policy)
    decision = rider.tap(NOW, mode="suburban_bus", mark_m=0, to_mark_m=3)
    assert decision.outcome.charge_minor == 1500


def test_an_unknown_fare_leaves_a_percentage_unknown_too() -> None:
    decision = Rider(concessions=(STUDENT,), policy=small(ZONES, HALF, fares=BY_ZONE)).tap(NOW)
    assert (decision.outcome.message, decision.write_plan) == (Message.FARE_UNKNOWN, None)
    assert rules(decision) == ["T-02", "T-01"]


def test_the_ride_is_recorded_with_what_paid_it() -> None:
    rider = Rider(policy=small())
    rider.tap(NOW)
    assert (rider.newest.kind, rider.newest.paid_by) == (EventKind.RIDE, PaidBy.PURSE)
