"""What a card remembers between rides: which transfer a fare opens, dearer rides (T-38), ways back (T-39).

The stories of docs/examples/tariffs have every edge; here is what no story can state.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.resident.records.event import Event, EventKind, PaidBy
from cardproto.resident.records.rights import Concession
from terminal.decision.outcome import Decision
from terminal.policy.counters.index import Counter
from terminal.policy.document.counters import Period
from terminal.policy.journeys.returns import Return
from terminal.policy.policy import Policy
from terminal.policy.scopes import Ride
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, Rider, local, rules

NOW = local("08:00")
MIN = timedelta(minutes=1)
DEAR = """
[[fares.rules]]
id = "dear"
kind = "flat"
routes = [9]
by_medium = { transport_card = 9000, bank_card = 9000, cash = 9000 }
"""
TOP_UP = """
[[transfers]]
id = "journey"
kind = "top_up_window"
window_s = 3600
transfers = "unlimited"
media = ["transport_card"]
paid = "paid"
"""
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
PAID = '{ name = "paid", bits = 8, period = "journey", unit_minor = 50 },'
OUT = '{ name = "out", bits = 5, period = "kept" }, { name = "out_minute", bits = 14, period = "kept" },'
CAP = '[[caps]]\nkind = "amount_cap"\nid = "day"\nspent = "spent"\ntiers = [{ amount_minor = 10000 }]\n'
SPENT = '{ name = "spent", bits = 14, period = "service_day" },'
OPENS = 'transfer = "journey"'
LAYOUT = 1
OTHER_LAYOUT = 9


def told(decision: Decision) -> tuple[str, int]:
    return str(decision.outcome.message), decision.outcome.charge_minor


def topping_up(*parts: str, slots: str = "") -> Policy:
    return small(DEAR, TOP_UP, *parts, opens=OPENS, slots=PAID + slots)


def with_way_back() -> Policy:
    return small(DEAR, BACK, slots=OUT)


def counter(rider: Rider, name: str) -> int:
    return rider.policy.card.by_name[name].read(rider.newest.counters)


def test_t_38_a_card_of_another_layout_pays_its_own_price_and_opens_nothing() -> None:
    rider = Rider(policy=topping_up(), balance_minor=50_000)
    rider.rode(NOW, PaidBy.PURSE, journey_age_s=60, counter_layout=OTHER_LAYOUT, counters=0xFF << 20)
    decision = rider.tap(NOW + MIN, route=9)
    assert (told(decision), rules(decision)) == (("ok_paid", 9000), ["T-38", "T-01"])
    assert decision.facts[0].code == "t-38:paid_unreadable"
    assert rider.newest.journey_age_s is None
    assert rider.newest.counters == 0xFF << 20


def test_t_38_what_a_cap_took_off_is_paid_all_the_same() -> None:
    """60.00 of the day's 100.00 are spent: a ride for 90.00 is charged 40.00, and the next for 90.00 nothing."""
    rider = Rider(policy=topping_up(CAP, slots=SPENT), balance_minor=50_000)
    assert told(rider.tap(NOW - 200 * MIN, route=1)) == ("ok_paid", 3500)
    assert told(rider.tap(NOW - 100 * MIN, route=2)) == ("ok_paid", 3500)
    assert told(rider.tap(NOW, route=9)) == ("ok_paid", 3000)
    assert counter(rider, "paid") == 9000 // 50
    assert told(rider.tap(NOW + 10 * MIN, route=1)) == ("ok_transfer", 0)
    assert counter(rider, "spent") == 10_000


def test_t_38_only_what_was_charged_counts_on_a_cap() -> None:
    rider = Rider(policy=topping_up(CAP, slots=SPENT), balance_minor=50_000)
    rider.tap(NOW, route=1)
    assert told(rider.tap(NOW + MIN, route=9)) == ("ok_paid", 5500)
    assert counter(rider, "spent") == 9000


@pytest.mark.parametrize(("ahead_s", "charge_minor"), [(30, 5500), (31, 9000)])
def test_t_38_a_terminal_a_little_ahead_keeps_the_window_open(ahead_s: int, charge_minor: int) -> None:
    rider = Rider(policy=topping_up(), balance_minor=50_000)
    rider.tap(NOW + timedelta(seconds=ahead_s), route=1)
    assert told(rider.tap(NOW, route=9, terminal=8)) == ("ok_paid", charge_minor)


@pytest.mark.parametrize(("ahead_s", "charge_minor"), [(30, 4500), (31, 9000)])
def test_t_39_a_terminal_a_little_ahead_keeps_the_way_back(ahead_s: int, charge_minor: int) -> None:
    rider = Rider(policy=with_way_back(), balance_minor=50_000)
    rider.tap(NOW - 30 * MIN, route=9, direction=0)
    rider.tap(NOW + timedelta(seconds=ahead_s), route=1)
    assert told(rider.tap(NOW, route=9, direction=1, terminal=8)) == ("ok_paid", charge_minor)


def test_t_39_the_time_since_is_not_lost_by_what_happens_between() -> None:
    """Rides elsewhere for an hour and three quarters: the way back is still open, a quarter of an hour later not."""
    for last, charge_minor in ((120, 4500), (121, 9000)):
        rider = Rider(policy=with_way_back(), balance_minor=50_000)
        rider.tap(NOW, route=9, direction=0)
        for minutes in range(15, 120, 15):
            assert told(rider.tap(NOW + minutes * MIN, route=100 + minutes)) == ("ok_paid", 3500)
        assert told(rider.tap(NOW + last * MIN, route=9, direction=1)) == ("ok_paid", charge_minor)


def test_t_39_an_old_outward_ride_is_gone_when_its_minute_comes_round_again() -> None:
    """2 ** 14 minutes later the counter says the same: the tap in between has forgotten the ride."""
    rider = Rider(policy=with_way_back(), balance_minor=50_000)
    rider.tap(NOW, route=9, direction=0)
    rider.tap(NOW + 130 * MIN, route=1)
    assert (counter(rider, "out"), counter(rider, "out_minute")) == (0, 0)
    assert told(rider.tap(NOW + (1 << 14) * MIN, route=9, direction=1)) == ("ok_paid", 9000)


@pytest.mark.parametrize("minutes", [119, 121, 600, 24 * 60, 7 * 24 * 60])
def test_t_39_money_loaded_where_the_document_is_not_known_prolongs_no_way_back(minutes: int) -> None:
    """Such a reload point writes the counters as they are, under its own time."""
    rider = Rider(policy=with_way_back(), balance_minor=50_000)
    rider.tap(NOW, route=9, direction=0)
    rider.event = rider.newest._replace(kind=EventKind.RELOAD, at=NOW + minutes * MIN, route=0)
    assert told(rider.tap(NOW + (minutes + 1) * MIN, route=9, direction=1)) == (
        "ok_paid",
        4500 if minutes < 120 else 9000,
    )


def test_t_39_a_concession_that_costs_less_leaves_the_way_back_open() -> None:
    policy = small(
        DEAR,
        BACK,
        '[[concessions]]\ncode = 3\nname = "c"\nfare = { kind = "fixed_price", price_minor = 2000 }\n',
        slots=OUT,
    )
    rider = Rider(concessions=(Concession(3, 0, FIRST, LAST),), policy=policy, balance_minor=50_000)
    assert told(rider.tap(NOW, route=9, direction=0)) == ("ok_benefit_unlimited", 2000)
    decision = rider.tap(NOW + 30 * MIN, route=9, direction=1)
    assert told(decision) == ("ok_benefit_unlimited", 2000)
    assert "t-39:other_cheaper" in [reason.code for reason in decision.facts]
    assert counter(rider, "out") == 19, "a ride of its own: the newest outward ride"


def test_t_39_a_card_of_another_layout_remembers_no_outward_ride() -> None:
    rider = Rider(policy=with_way_back(), balance_minor=50_000)
    rider.rode(NOW, PaidBy.PURSE, route=9, counter_layout=OTHER_LAYOUT, counters=18 << 40)
    assert told(rider.tap(NOW + 30 * MIN, route=9, direction=1)) == ("ok_paid", 9000)
    assert rider.newest.counters == 18 << 40


@given(
    step_s=st.sampled_from([1, 7, 60, 600]),
    began_s=st.integers(0, 1 << 30),
    newest=st.integers(-30, 7200),
    at=st.integers(0, 8000),
)
def test_t_39_a_moment_is_known_from_its_steps(step_s: int, began_s: int, newest: int, at: int) -> None:
    """Open exactly until the window after the moment, rounded up to a step, whenever the newest event was meanwhile."""
    bits = ((7200 + 30) // step_s + 3).bit_length()
    rule = Return(
        id="back",
        routes=None,
        zones=None,
        window_s=7200,
        percent_off=50,
        amount_off_minor=None,
        price_minor=None,
        outward=Counter("out", 16, 0xFFFF, Period.KEPT),
        began=Counter("began", 0, (1 << bits) - 1, Period.KEPT),
        step_s=step_s,
        skew_s=30,
    )
    number = rule.outward_ride(Ride("bus", 5, 0, 0, None), 1)
    counters = rule.remembered(0, number, began_s)
    rounded_s = -(-began_s // step_s) * step_s
    newest_s = min(began_s + newest, rounded_s + 7200)
    at_s = newest_s + at
    assert rule.open_at(counters, newest_s, at_s) is (at_s <= rounded_s + 7200)
    assert rule.is_back(Ride("bus", 5, 0, 0, None), 0, counters)
    assert rule.forgotten(counters) == 0


def test_an_event_of_an_issuing_point_is_no_outward_ride() -> None:
    rider = Rider(policy=with_way_back(), balance_minor=50_000)
    rider.event = Event(EventKind.RELOAD, NOW, 0xFFFFF, 1, 50_000, 0)
    assert told(rider.tap(NOW + 10 * MIN, route=9, direction=1)) == ("ok_paid", 9000)
