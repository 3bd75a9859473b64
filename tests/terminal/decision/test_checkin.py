"""T-07: check-in holds the price to the terminus, check-out charges the ride, and nobody rides on a forgotten one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.bus.effects import CheckInEffect
from terminal.decision.outcome import Decision
from terminal.policy.policy import Policy
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, TODAY, Rider, local, rules

NOW = local("08:00")
MIN = timedelta(minutes=1)
STUDENT = Concession(2, 0, FIRST, LAST)
DISTANCE = """
[[fares.rules]]
id = "suburban"
kind = "distance"
modes = ["suburban_bus"]
first = { transport_card = 2600, bank_card = 2600, cash = 3000 }
per_km = { transport_card = 200, bank_card = 200, cash = 200 }
longest_m = 60000
base = "transport_card"
[checkin]
scope = [{ modes = ["suburban_bus"] }]
longest_s = 7200
reserve = "held"
mark = "boarded"
[[concessions]]
code = 2
name = "half"
fare = { kind = "percent_of_base", pays_percent = 50 }
limits = [{ kind = "trips", trips = 5, counter = "month" }]
[[products]]
kind = "pass"
id = 100
name = "pass"
"""
SLOTS = """
{ name = "held", bits = 14, period = "kept" },
{ name = "boarded", bits = 10, period = "kept" },
{ name = "month", bits = 8, period = "service_month" },
"""


def belgorod() -> Policy:
    """Suburban buses with two taps, as in Belgorod [S29]; the figures are ours."""
    return small(DISTANCE, slots=SLOTS)


def board(rider: Rider, at: datetime = NOW, **where: object) -> Decision:
    return rider.tap(at, **{"mode": "suburban_bus", "mark_m": 0, "terminus_mark_m": 40_000} | where)


def leave(rider: Rider, at: datetime, mark_m: int | None, **where: object) -> Decision:
    return rider.tap(at, **{"mode": "suburban_bus", "mark_m": mark_m, "terminus_mark_m": 40_000} | where)


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def held(rider: Rider) -> int:
    return rider.policy.card.by_name["held"].read(rider.newest.counters)


def test_t_07_the_first_tap_holds_the_price_to_the_terminus_and_the_second_charges_the_ride() -> None:
    rider = Rider(policy=belgorod(), balance_minor=20_000)
    checked_in = board(rider)
    assert (told(checked_in), checked_in.outcome.values) == (("ok_checkin", 0), {"held_minor": 10_600})
    assert (rider.newest.kind, held(rider), rider.newest.balance_after_minor) == (
        EventKind.CHECK_IN,
        10_600,
        20_000,
    )
    checked_out = leave(rider, NOW + 25 * MIN, 12_000)
    assert (told(checked_out), checked_out.outcome.values) == (("ok_checkout", 5000), {"sum_minor": 5000})
    assert (rider.newest.kind, held(rider), rider.newest.balance_after_minor) == (
        EventKind.CHECK_OUT,
        0,
        15_000,
    )
    assert rules(checked_out) == ["T-07"]


@pytest.mark.parametrize(("balance_minor", "message"), [(10_600, "ok_checkin"), (10_599, "no_funds")])
def test_t_07_the_money_to_the_terminus_has_to_be_there(balance_minor: int, message: str) -> None:
    rider = Rider(policy=belgorod(), balance_minor=balance_minor)
    decision = board(rider)
    assert (told(decision)[0], decision.write_plan is None) == (message, message == "no_funds")


def test_t_07_without_a_second_tap_the_next_ride_charges_all_that_was_held() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    decision = rider.tap(NOW + timedelta(days=1), route=9)
    assert told(decision) == ("ok_paid", 10_600 + 3500)
    assert rules(decision) == ["T-01", "T-07"]
    assert (held(rider), rider.newest.balance_after_minor) == (0, 50_000 - 14_100)


def test_t_07_a_meal_or_a_reload_in_between_forgets_nothing() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    rider.event = replace(
        rider.newest, kind=EventKind.RELOAD, at=NOW + MIN, route=0, balance_after_minor=60_000
    )
    assert told(rider.tap(NOW + 50 * MIN, route=9)) == ("ok_paid", 14_100)


def test_t_07_a_pass_rides_free_but_an_earlier_ride_is_still_charged() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    rider.contracts = (Contract(100, FIRST, LAST, 0),)
    assert told(rider.tap(NOW + timedelta(days=1), route=9)) == ("ok_pass", 10_600)
    assert told(board(rider, NOW + timedelta(days=1, hours=1), route=5)) == ("ok_checkin", 0)


def test_t_07_an_empty_purse_cannot_ride_on_what_is_held() -> None:
    rider = Rider(policy=belgorod(), balance_minor=10_600)
    board(rider)
    refused = rider.tap(NOW + timedelta(days=1), route=9)
    assert (told(refused), refused.write_plan) == (("no_funds", 0), None)
    assert told(leave(rider, NOW + 30 * MIN, 40_000)) == ("ok_checkout", 10_600)


@pytest.mark.parametrize(
    ("seconds", "where", "message"),
    [
        (2, {}, "already_paid"),
        (60, {"terminal": 8}, "already_paid"),
        (61, {}, "ok_checkout"),
        (7200, {}, "ok_checkout"),
        (7201, {}, "ok_checkin"),
        (600, {"route": 6}, "ok_checkin"),
        (600, {"direction": 1}, "ok_checkin"),
    ],
)
def test_t_07_which_second_tap_is_the_check_out(seconds: int, where: dict[str, object], message: str) -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    assert told(leave(rider, NOW + timedelta(seconds=seconds), 12_000, **where))[0] == message


@pytest.mark.parametrize(
    ("seconds", "where", "message"),
    [
        (2, {}, "already_paid"),
        (60, {"terminal": 8}, "already_paid"),
        (61, {}, "ok_checkin"),
        (30, {"route": 6}, "ok_checkin"),
    ],
)
def test_t_35_a_check_out_tapped_twice_is_no_new_ride(
    seconds: int, where: dict[str, object], message: str
) -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    left = NOW + 30 * MIN
    leave(rider, left, 12_000)
    assert told(leave(rider, left + timedelta(seconds=seconds), 12_000, **where))[0] == message


def test_t_07_a_check_out_at_an_unknown_place_costs_all_that_was_held() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    assert told(leave(rider, NOW + 30 * MIN, None)) == ("ok_checkout", 10_600)


def test_t_07_without_a_known_terminus_the_longest_ride_is_held() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    assert board(rider, terminus_mark_m=None).outcome.values == {"held_minor": 2600 + 200 * 60}
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    assert board(rider, mark_m=None).outcome.values == {"held_minor": 2600 + 200 * 60}
    assert told(leave(rider, NOW + 30 * MIN, 12_000)) == ("ok_checkout", 14_600)


def test_t_07_a_concession_is_held_and_charged_at_its_own_price_and_counts_once() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000, concessions=(STUDENT,))
    assert board(rider).outcome.values == {"n": 4, "held_minor": 5300}
    decision = leave(rider, NOW + 30 * MIN, 12_000)
    assert told(decision) == ("ok_checkout", 2500)
    assert rider.newest.paid_by is PaidBy.CONCESSION_A
    assert rider.policy.card.by_name["month"].read(rider.newest.counters) == 1


def test_t_07_a_ride_never_costs_more_than_was_held() -> None:
    """The bus turned back later than planned: the rider leaves beyond the terminus he was told."""
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider, terminus_mark_m=10_000)
    assert told(leave(rider, NOW + 30 * MIN, 30_000)) == ("ok_checkout", 4600)


def test_t_07_a_reload_point_that_paid_out_what_was_held_leaves_what_is_there() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    rider.event = replace(rider.newest, balance_after_minor=3000)
    decision = leave(rider, NOW + 30 * MIN, 12_000)
    assert (told(decision), rider.newest.balance_after_minor) == (("ok_checkout", 3000), 0)
    assert decision.facts[-1].effect is CheckInEffect.PURSE_SHORT


def test_t_07_buses_without_check_in_are_paid_at_once() -> None:
    assert told(Rider(policy=belgorod()).tap(NOW)) == ("ok_paid", 3500)


def test_t_07_a_card_whose_counters_cannot_be_read_pays_to_the_end_at_once() -> None:
    policy = small(DISTANCE, slots=SLOTS, bus='unknown_fare = "dearest"')
    rider = Rider(policy=policy, balance_minor=50_000)
    rider.rode(NOW - timedelta(days=1), PaidBy.NOTHING, counter_layout=9)
    assert told(board(rider)) == ("ok_paid", 2600 + 200 * 40)
    assert rider.newest.inside == 0
    assert told(board(rider, NOW + 2 * MIN, terminus_mark_m=None, route=6)) == ("ok_paid", 2600 + 200 * 60)


def test_t_07_zones_are_remembered_like_places() -> None:
    zones = "".join(f'[[zones]]\nnumber = {n}\nname = "z{n}"\n' for n in (1, 2, 3))
    matrix = "[[1000, 2000, 3000], [2000, 1000, 2000], [3000, 2000, 1000]]"
    table = f"""
[fares]
base_minor = 3000
[[fares.rules]]
id = "zones"
kind = "zone_table"
zones = ["z1", "z2", "z3"]
base = "cash"
by_medium = {{ transport_card = {matrix}, bank_card = {matrix}, cash = {matrix} }}
"""
    check_in = '[checkin]\nscope = []\nlongest_s = 7200\nreserve = "held"\nzone = "boarded"\n'
    rider = Rider(policy=small(zones, check_in, fares=table, slots=SLOTS), balance_minor=50_000)
    assert rider.tap(NOW, zone=2, terminus_zone=3).outcome.values == {"held_minor": 2000}
    assert told(rider.tap(NOW + 20 * MIN, zone=2)) == ("ok_checkout", 1000)
    assert rider.tap(NOW + 40 * MIN, zone=1, route=7).outcome.values == {"held_minor": 3000}
    assert told(rider.tap(NOW + 60 * MIN, zone=2, route=7)) == ("ok_checkout", 2000)


def test_t_07_the_ride_is_charged_by_the_fares_of_its_beginning() -> None:
    steps = """
[[fares.steps]]
valid_from = 2026-09-16
base_minor = 9000
by_medium = { transport_card = 9000, bank_card = 9000, cash = 9000 }
"""
    rider = Rider(policy=small(steps + DISTANCE, slots=SLOTS), balance_minor=50_000)
    night = local("02:30", TODAY + timedelta(days=1))
    board(rider, night)
    assert told(leave(rider, night + 45 * MIN, 12_000)) == ("ok_checkout", 5000)
