"""T-07: check-in of every right and check-out, what is held and what is charged, companions, forgotten check-outs."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.bus.effects import CheckInEffect, FareEffect
from terminal.decision.outcome import Decision
from terminal.policy.policy import Policy
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, TODAY, Rider, demo_with, local, rules

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
    assert (told(checked_out), checked_out.outcome.values) == (
        ("ok_checkout", 5000),
        {"sum_minor": 5000, "currency": "RUB", "left": 1},
    )
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
    rider.event = rider.newest._replace(
        kind=EventKind.RELOAD, at=NOW + MIN, route=0, balance_after_minor=60_000
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


def test_t_07_a_check_out_at_an_unknown_place_costs_the_least_the_ride_can_have_cost() -> None:
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    board(rider)
    assert told(leave(rider, NOW + 30 * MIN, None)) == ("ok_checkout", 2600)


def test_t_07_where_an_end_of_the_ride_is_not_known_the_longest_ride_is_held_and_the_shortest_charged() -> (
    None
):
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    assert board(rider, terminus_mark_m=None).outcome.values == {"held_minor": 2600 + 200 * 60}
    rider = Rider(policy=belgorod(), balance_minor=50_000)
    assert board(rider, mark_m=None).outcome.values == {"held_minor": 2600 + 200 * 60}
    assert told(leave(rider, NOW + 30 * MIN, 12_000)) == ("ok_checkout", 2600)


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
    rider.event = rider.newest._replace(balance_after_minor=3000)
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


TOP_UP = """
[[transfers]]
id = "journey"
kind = "top_up_window"
window_s = 3600
transfers = "unlimited"
media = ["transport_card"]
paid = "paid"
"""


OUT_OF_TOWN = {"mode": "suburban_bus", "terminus_zone": 3}


def topping_up() -> Policy:
    paid = '{ name = "paid", bits = 8, period = "journey", unit_minor = 500 },'
    return small(FLAT, HALF, TOP_UP, opens='transfer = "journey"', slots=ZONED_SLOTS + paid)


@pytest.mark.parametrize("out_min", [59, 61, 100])
def test_t_38_a_ride_begun_in_the_window_is_topped_up_whenever_it_ends(out_min: int) -> None:
    """A city ride for 35.00, then one to the suburb for 50.00: the difference is due, also where the hour is over at
    the exit. A ride begun after it costs its own price.
    """
    rider = Rider(policy=topping_up(), balance_minor=50_000)
    assert told(rider.tap(NOW)) == ("ok_paid", 3500)
    assert rider.tap(NOW + 50 * MIN, route=6, **OUT_OF_TOWN, zone=1).write_plan is not None
    assert told(rider.tap(NOW + out_min * MIN, route=6, **OUT_OF_TOWN, zone=2)) == ("ok_checkout", 1500)
    assert told(rider.tap(NOW + (out_min + 10) * MIN)) == ("ok_paid", 3500)


def test_t_38_no_ride_begun_after_the_window_is_topped_up() -> None:
    rider = Rider(policy=topping_up(), balance_minor=50_000)
    assert told(rider.tap(NOW)) == ("ok_paid", 3500)
    assert told(rider.tap(NOW + 60 * MIN, route=6)) == ("ok_transfer", 0)
    assert rider.tap(NOW + 61 * MIN, route=7, **OUT_OF_TOWN, zone=1).write_plan is not None
    assert told(rider.tap(NOW + 70 * MIN, route=7, **OUT_OF_TOWN, zone=2)) == ("ok_checkout", 5000)


# ---------------------------------------------------------------- every right checks in


RIGHTS = """
[[concessions]]
code = 5
name = "free, with one companion"
fare = { kind = "free" }
limits = [{ kind = "trips", trips = 10, counter = "free_month" }]
companions = { most = 1, counter = "companions" }
[[concessions]]
code = 6
name = "half price, with two companions"
fare = { kind = "percent_of_base", pays_percent = 50 }
companions = { most = 2, counter = "companions" }
[[products]]
kind = "trip_pack"
id = 10
name = "ten trips"
trips = 10
lapses = "with_contract"
[[products]]
kind = "plan"
id = 60
name = "plan"
fare_minor = 2000
[[transfers]]
id = "change"
kind = "free_window"
window_s = 3600
transfers = 1
media = ["transport_card"]
[[caps]]
kind = "amount_cap"
id = "day"
spent = "day_spent"
tiers = [{ amount_minor = 12000 }]
[grace]
concessions = [2]
season = { first = "09-01", last = "12-31" }
scope = []
trips = 2
counter = "unpaid"
"""
MORE_SLOTS = """
{ name = "free_month", bits = 4, period = "service_month" },
{ name = "companions", bits = 2, period = "service_day" },
{ name = "day_spent", bits = 5, period = "service_day", unit_minor = 500 },
{ name = "unpaid", bits = 2, period = "kept" },
"""
FLAT = """
[[fares.rules]]
id = "suburban"
kind = "zone_table"
modes = ["suburban_bus"]
zones = ["city", "suburb", "village"]
base = "transport_card"
by_medium = { transport_card = MATRIX, bank_card = MATRIX, cash = MATRIX }
[checkin]
scope = [{ modes = ["suburban_bus"] }]
longest_s = 7200
reserve = "held"
zone = "boarded"
[[zones]]
number = 1
name = "city"
[[zones]]
number = 2
name = "suburb"
[[zones]]
number = 3
name = "village"
""".replace("MATRIX", "[[3000, 5000, 9000], [5000, 3000, 4000], [9000, 4000, 3000]]")
CITY_FARES = """
[fares]
base_minor = 4000
transfer = "change"
by_medium = { transport_card = 3000, bank_card = 3000, cash = 4000 }
"""
ZONED_SLOTS = """
{ name = "held", bits = 7, period = "kept", unit_minor = 500 },
{ name = "boarded", bits = 2, period = "kept" },
{ name = "month", bits = 3, period = "service_month" },
"""
HALF = (
    DISTANCE[DISTANCE.index("[[concessions]]") :]
    .replace("trips = 5", "trips = 7")
    .replace('name = "half"', 'name = "half, grace"')
)
EVERY_RIGHT = small(FLAT, HALF, RIGHTS, fares=CITY_FARES, slots=ZONED_SLOTS + MORE_SLOTS)
FREE, HALF_WITH_TWO = Concession(5, 0, FIRST, LAST), Concession(6, 0, FIRST, LAST)
PASS, PACK, PLAN = Contract(100, FIRST, LAST, 0), Contract(10, FIRST, LAST, 10), Contract(60, FIRST, LAST, 0)
THERE = NOW + 25 * MIN


def rider_with(*rights: Concession | Contract, balance_minor: int = 50_000) -> Rider:
    """A card of the region that has every right."""
    return Rider(
        concessions=tuple(right for right in rights if isinstance(right, Concession)),
        contracts=tuple(right for right in rights if isinstance(right, Contract)),
        balance_minor=balance_minor,
        policy=EVERY_RIGHT,
    )


def goes_in(rider: Rider, at: datetime = NOW, zone: int = 1, **where: object) -> Decision:
    """Boards the suburban bus that ends in zone 3."""
    return rider.tap(at, **{"mode": "suburban_bus", "zone": zone, "terminus_zone": 3} | where)


goes_out = goes_in


def counted(rider: Rider, name: str) -> int:
    return rider.policy.card.by_name[name].read(rider.newest.counters)


def state(rider: Rider) -> tuple[EventKind, int, int, int]:
    """Kind, persons inside, money held, balance."""
    event = rider.newest
    held_minor = counted(rider, "held") * rider.policy.card.by_name["held"].unit_minor
    return event.kind, event.inside, held_minor, event.balance_after_minor


IN, OUT, RODE = EventKind.CHECK_IN, EventKind.CHECK_OUT, EventKind.RIDE


@pytest.mark.parametrize(
    ("rights", "companions", "charged_in", "held_in", "charged_out"),
    [
        pytest.param((), 0, 0, 9000, 5000, id="purse"),
        pytest.param((), 2, 0, 27_000, 15_000, id="purse with two others"),
        pytest.param((PASS,), 0, 0, 0, 0, id="pass"),
        pytest.param((PASS,), 1, 0, 9000, 5000, id="pass, and another person who pays"),
        pytest.param((PACK,), 0, 0, 0, 0, id="pack"),
        pytest.param((PACK,), 3, 0, 27_000, 15_000, id="pack, and three others who pay"),
        pytest.param((PLAN,), 0, 2000, 0, 0, id="plan: its own fare at once"),
        pytest.param((PLAN,), 1, 2000, 9000, 5000, id="plan, and another person who pays"),
        pytest.param((FREE,), 0, 0, 0, 0, id="free"),
        pytest.param((FREE,), 1, 0, 0, 0, id="free, with the companion it covers"),
        pytest.param((FREE,), 2, 0, 9000, 5000, id="free, and one more than it covers"),
        pytest.param((STUDENT,), 0, 0, 4500, 2500, id="half"),
        pytest.param((STUDENT,), 1, 0, 13_500, 7500, id="half, and another person who pays"),
        pytest.param((HALF_WITH_TWO,), 2, 0, 12_000, 7500, id="half for three, capped at the day's 120.00"),
        pytest.param((HALF_WITH_TWO,), 3, 0, 21_000, 12_500, id="half for three, and one more"),
    ],
)
def test_t_07_each_right_checks_in_and_out(
    rights: tuple[Concession | Contract, ...],
    companions: int,
    charged_in: int,
    held_in: int,
    charged_out: int,
) -> None:
    """From zone 1 to the terminus in zone 3: 90.00; to zone 2: 50.00."""
    rider = rider_with(*rights)
    checked_in = goes_in(rider, companions=companions)
    assert (told(checked_in), checked_in.outcome.values["held_minor"]) == (
        ("ok_checkin", charged_in),
        held_in,
    )
    paid_by = rider.newest.paid_by
    assert state(rider) == (IN, 1 + companions, held_in, 50_000 - charged_in)
    checked_out = goes_out(rider, THERE, zone=2)
    assert (told(checked_out), checked_out.outcome.values) == (
        ("ok_checkout", charged_out),
        {"sum_minor": charged_out, "currency": "RUB", "left": 1 + companions},
    )
    assert state(rider) == (OUT, 0, 0, 50_000 - charged_in - charged_out)
    assert rider.newest.paid_by is paid_by


def test_t_07_a_pack_of_ten_in_and_out_has_nine_left() -> None:
    rider = rider_with(PACK)
    assert goes_in(rider).outcome.values["n"] == 9
    goes_out(rider, THERE, zone=2)
    assert counted(rider, "pack_a") == 1
    assert goes_in(rider, THERE + 30 * MIN, route=6).outcome.values["n"] == 8


def test_t_07_a_free_concession_uses_one_of_its_ten_rides() -> None:
    rider = rider_with(FREE)
    goes_in(rider)
    goes_out(rider, THERE, zone=2)
    assert counted(rider, "free_month") == 1


def test_t_07_a_free_transfer_to_the_suburban_bus_is_left_without_a_charge() -> None:
    """The city bus, a free change to the suburban bus, its exit, the next bus: two fares in all."""
    rider = rider_with()
    taps = [
        rider.tap(NOW, route=1),
        goes_in(rider, NOW + 10 * MIN, route=5),
        goes_out(rider, NOW + 40 * MIN, zone=3, route=5),
        rider.tap(NOW + 50 * MIN, route=2),
    ]
    assert [told(tap) for tap in taps] == [
        ("ok_paid", 3000),
        ("ok_checkin", 0),
        ("ok_checkout", 0),
        ("ok_paid", 3000),
    ]
    assert rider.newest.balance_after_minor == 50_000 - 6000


def test_t_07_a_reduced_transfer_is_charged_at_once() -> None:
    reduced = RIGHTS.replace('"free_window"', '"reduced_window"\nprice_minor = 1000')
    rider = rider_with()
    rider.policy = small(FLAT, HALF, reduced, fares=CITY_FARES, slots=ZONED_SLOTS + MORE_SLOTS)
    rider.tap(NOW, route=1)
    assert told(goes_in(rider, NOW + 10 * MIN, route=5)) == ("ok_checkin", 1000)
    assert told(goes_out(rider, NOW + 40 * MIN, zone=3, route=5)) == ("ok_checkout", 0)
    assert counted(rider, "day_spent") == 8


def test_t_07_a_check_in_opens_the_window_of_the_transfer() -> None:
    rider = rider_with()
    goes_in(rider)
    goes_out(rider, THERE, zone=2)
    assert told(rider.tap(NOW + 40 * MIN, route=1)) == ("ok_transfer", 0)


def test_t_07_a_ride_under_a_reached_cap_is_inside_all_the_same() -> None:
    rider = rider_with()
    for n in range(2):
        goes_in(rider, NOW + 120 * n * MIN, route=n + 1)
        goes_out(rider, NOW + (120 * n + 30) * MIN, zone=3, route=n + 1)
    assert (rider.newest.balance_after_minor, counted(rider, "day_spent")) == (50_000 - 12_000, 24)
    later = NOW + timedelta(hours=5)
    assert told(goes_in(rider, later)) == ("ok_checkin", 0)
    assert told(goes_out(rider, later + 30 * MIN, zone=3)) == ("ok_checkout", 0)
    assert state(rider) == (OUT, 0, 0, 50_000 - 12_000)


def test_t_18_a_child_on_credit_checks_in_and_out_and_owes_one_ride() -> None:
    rider = rider_with(STUDENT, balance_minor=0)
    assert told(goes_in(rider)) == ("ok_grace", 0)
    assert (state(rider), rider.newest.paid_by) == ((IN, 1, 0, 0), PaidBy.GRACE)
    assert told(goes_out(rider, THERE, zone=2)) == ("ok_checkout", 0)
    assert (counted(rider, "unpaid"), counted(rider, "held")) == (1, 0)


def test_t_18_the_last_ride_on_credit_can_be_left() -> None:
    rider = rider_with(STUDENT, balance_minor=0)
    for n in range(2):
        at = NOW + 60 * n * MIN
        assert told(goes_in(rider, at, route=n + 1)) == ("ok_grace", 0)
        assert told(goes_in(rider, at + timedelta(seconds=1), route=n + 1)) == ("already_paid", 0)
        assert told(goes_out(rider, at + 20 * MIN, zone=2, route=n + 1)) == ("ok_checkout", 0)
    assert told(goes_in(rider, NOW + 130 * MIN, route=3)) == ("debt", 0)


@pytest.mark.parametrize("mode", ["suburban_bus", "bus"])
def test_t_18_a_ride_on_credit_charges_what_an_earlier_ride_owes(mode: str) -> None:
    rider = rider_with(STUDENT, balance_minor=5000)
    goes_in(rider, route=1)
    assert state(rider) == (IN, 1, 4500, 5000)
    decision = goes_in(rider, NOW + 70 * MIN, route=2, mode=mode)
    assert (told(decision), rules(decision).count("T-07")) == (("ok_grace", 4500), 1)
    assert state(rider) == ((IN, 1, 0, 500) if mode == "suburban_bus" else (RODE, 0, 0, 500))
    assert told(goes_in(rider, NOW + 90 * MIN, zone=2, route=2)) == (
        ("ok_checkout", 0) if mode == "suburban_bus" else ("ok_grace", 0)
    )
    assert rider.newest.balance_after_minor == 500


@pytest.mark.parametrize("now", [(), (Concession(9, 0, FIRST, LAST),)])
def test_t_07_an_exit_without_the_concession_of_the_boarding_costs_what_was_held(
    now: tuple[Concession, ...],
) -> None:
    rider = rider_with(STUDENT)
    goes_in(rider)
    rider.concessions = now
    assert told(goes_out(rider, THERE, zone=2)) == ("ok_checkout", 4500)


def test_t_18_where_the_purse_no_longer_has_it_an_earlier_ride_stays_owed() -> None:
    rider = rider_with(STUDENT, balance_minor=5000)
    goes_in(rider, route=1)
    rider.event = rider.newest._replace(balance_after_minor=4499)
    decision = goes_in(rider, NOW + 70 * MIN, route=2)
    assert (told(decision), decision.facts[-1].effect) == (("ok_grace", 0), CheckInEffect.PURSE_SHORT)
    out = goes_out(rider, NOW + 90 * MIN, zone=2, route=2)
    charged = [fact.inputs for fact in out.facts if fact.effect is CheckInEffect.CHARGED]
    assert (told(out), charged) == (("ok_checkout", 0), [{"held_minor": 0, "price_minor": 0}])
    assert state(rider) == (OUT, 0, 4500, 4499)
    rider.event = rider.newest._replace(balance_after_minor=20_000)
    assert told(goes_in(rider, NOW + 120 * MIN, route=3))[1] == 4500


def test_t_18_a_purse_that_just_has_it_pays_the_earlier_ride_with_one_on_credit() -> None:
    rider = rider_with(STUDENT, balance_minor=5000)
    goes_in(rider, route=1)
    rider.event = rider.newest._replace(balance_after_minor=4500)
    assert told(goes_in(rider, NOW + 70 * MIN, route=2)) == ("ok_grace", 4500)
    assert state(rider) == (IN, 1, 0, 0)


def test_t_07_what_is_held_is_never_more_than_the_price_and_the_purse_is_asked_for_all_of_it() -> None:
    """11.50 to the terminus, held in whole roubles: 11.00, and no more for a check-out that is forgotten."""
    slots = SLOTS.replace('name = "held", bits = 14', 'name = "held", bits = 8, unit_minor = 100')
    policy = small(
        DISTANCE.replace("first = { transport_card = 2600", "first = { transport_card = 750"), slots=slots
    )
    short = Rider(policy=policy, balance_minor=1149)
    assert told(board(short, terminus_mark_m=2000)) == ("no_funds", 0)
    for leaves, charge_minor in ((1000, 950), (2000, 1100), (None, 750)):
        rider = Rider(policy=policy, balance_minor=1150)
        assert board(rider, terminus_mark_m=2000).outcome.values == {"held_minor": 1100}
        assert told(leave(rider, NOW + 9 * MIN, leaves)) == ("ok_checkout", charge_minor)
    rider = Rider(policy=policy, balance_minor=5000)
    board(rider, terminus_mark_m=2000)
    assert told(rider.tap(NOW + timedelta(days=1), route=9)) == ("ok_paid", 1100 + 3500)


@pytest.mark.parametrize(
    ("right", "companions", "charge_minor", "spent_minor"),
    [
        pytest.param((), 0, 3000, 3000, id="the holder's own"),
        pytest.param((), 2, 9000, 3000, id="two others beside it"),
        pytest.param((FREE,), 3, 6000, 0, id="free, and what two others cost"),
        pytest.param((STUDENT,), 1, 4500, 1500, id="half, and what another costs"),
    ],
)
def test_cap_a_ride_to_an_unknown_place_counts_the_holder_s_part_only(
    right: tuple[Concession, ...], companions: int, charge_minor: int, spent_minor: int
) -> None:
    rider = rider_with(*right)
    goes_in(rider, companions=companions)
    assert told(goes_out(rider, THERE, zone=0)) == ("ok_checkout", charge_minor)
    assert counted(rider, "day_spent") * 500 == spent_minor


def test_cap_of_all_that_was_held_an_equal_part_is_the_holder_s_in_the_cap_s_unit() -> None:
    rider = rider_with(STUDENT)
    goes_in(rider, companions=1)
    rider.concessions = ()
    assert told(goes_out(rider, THERE, zone=2)) == ("ok_checkout", 13_500)
    assert counted(rider, "day_spent") * 500 == 6500


# ---------------------------------------------------------------- persons and money a card can count


@pytest.mark.parametrize(("companions", "message"), [(6, "ok_checkin"), (7, "too_many_persons")])
def test_t_07_seven_persons_can_be_inside(companions: int, message: str) -> None:
    rider = rider_with(PASS, balance_minor=60_000)
    before = rider.newest
    decision = goes_in(rider, zone=3, companions=companions)
    assert decision.outcome.message == message
    if message == "too_many_persons":
        assert (decision.write_plan, rider.newest) == (None, before)
        assert [fact.effect for fact in decision.facts] == [
            FareEffect.ASKED_BY_CREW,
            CheckInEffect.TOO_MANY,
        ], "before any right is used"
    else:
        assert rider.newest.inside == 7
        assert told(goes_out(rider, THERE, zone=2)) == ("ok_checkout", 18_000)


def test_t_07_more_money_than_the_reserve_can_count_is_refused() -> None:
    """Seven bits of 5.00 hold 635.00, five bits 155.00; a ride to the terminus is 90.00."""
    rider = rider_with(balance_minor=100_000)
    assert told(goes_in(rider, companions=6)) == ("ok_checkin", 0)
    assert state(rider) == (IN, 7, 63_000, 100_000)
    small_reserve = ZONED_SLOTS.replace("bits = 7", "bits = 5")
    rider = rider_with(balance_minor=100_000)
    rider.policy = small(FLAT, HALF, RIGHTS, fares=CITY_FARES, slots=small_reserve + MORE_SLOTS)
    refused = goes_in(rider, companions=1)
    assert (told(refused), refused.write_plan) == (("too_many_persons", 0), None)
    assert refused.facts[-1].effect is CheckInEffect.TOO_MUCH
    assert told(goes_in(rider)) == ("ok_checkin", 0)


def test_t_20_where_riders_check_in_a_second_tap_is_no_companion() -> None:
    rider = rider_with(FREE)
    goes_in(rider)
    assert told(goes_in(rider, NOW + timedelta(seconds=30))) == ("already_paid", 0)
    assert told(goes_out(rider, NOW + 2 * MIN)) == ("ok_checkout", 0)
    assert counted(rider, "companions") == 0


# ---------------------------------------------------------------- one card, two persons


@pytest.mark.parametrize(
    ("seconds", "where", "message", "admission"),
    [
        (2, {}, "already_paid", "let_in"),
        (30, {}, "already_paid", "inside"),
        (30, {"terminal": 8}, "already_paid", "let_in"),
        (61, {}, "ok_checkout", "let_in"),
        (61, {"direction": 1}, "already_paid", "inside"),
        (301, {"direction": 1}, "ok_checkin", "let_in"),
    ],
)
def test_t_36_a_gate_opens_for_the_next_person_neither_after_check_in_nor_by_the_other_direction(
    seconds: int, where: dict[str, object], message: str, admission: str
) -> None:
    rider = rider_with(PASS)
    goes_in(rider)
    decision = goes_out(rider, NOW + timedelta(seconds=seconds), zone=2, **where)
    assert (decision.outcome.message, decision.outcome.admission) == (message, admission)


@pytest.mark.parametrize(
    ("rights", "seconds", "message", "admission"),
    [
        ((PASS,), 30, "already_paid", "inside"),
        ((PASS,), 300, "already_paid", "inside"),
        ((PASS,), 301, "ok_checkin", "let_in"),
        ((), 30, "already_paid", "inside"),
        ((), 61, "ok_checkin", "let_in"),
    ],
)
def test_t_36_a_pass_that_was_checked_out_is_not_handed_to_the_next_at_the_stop(
    rights: tuple[Contract, ...], seconds: int, message: str, admission: str
) -> None:
    rider = rider_with(*rights)
    goes_in(rider)
    goes_out(rider, THERE, zone=2)
    decision = goes_in(rider, THERE + timedelta(seconds=seconds), zone=2)
    assert (decision.outcome.message, decision.outcome.admission) == (message, admission)


# ---------------------------------------------------------------- between in and out


HELD_AND_ZONE = """
  { name = "held", bits = 12, period = "kept" },
  { name = "boarded", bits = 2, period = "kept" },"""


def test_t_07_a_meal_while_inside_ends_no_ride() -> None:
    """Its time then counts as the time of boarding, and the row says who paid the meal."""
    demo = demo_with(
        (
            "[counters]",
            """[checkin]
scope = [{ routes = [77] }]
longest_s = 3600
reserve = "held"
zone = "boarded"
[[zones]]
number = 1
name = "near"
[[zones]]
number = 2
name = "far"
[[fares.rules]]
id = "zones"
kind = "zone_table"
zones = ["near", "far"]
routes = [77]
base = "transport_card"
by_medium = { transport_card = MATRIX, bank_card = MATRIX, cash = MATRIX }
[counters]""".replace("MATRIX", "[[2000, 3000], [3000, 2000]]"),
        ),
        (
            "slots = [",
            f"slots = [{HELD_AND_ZONE}",
        ),
    )
    pupil = Concession(10, 3, FIRST, LAST)
    rider = Rider(concessions=(pupil,), policy=demo)
    ride = {"route": 77, "direction": 1, "terminus_zone": 2}
    assert told(rider.tap(local("08:00"), zone=1, **ride)) == ("ok_checkin", 0)
    journey_s = rider.newest.journey_age_s
    meal = rider.eat(local("09:40"))
    assert (told(meal), meal.write_plan and meal.write_plan.paid_by) == (("meal_ok", 0), PaidBy.BUDGET)
    event = rider.newest
    assert (event.kind, event.inside, event.route, event.direction, event.paid_by) == (
        EventKind.MEAL,
        1,
        77,
        1,
        PaidBy.PURSE,
    )
    assert (journey_s, event.journey_age_s) == (0, None), "its window has closed"
    assert told(rider.tap(local("10:20"), zone=1, **ride)) == ("ok_checkout", 2000)
    assert rider.newest.balance_after_minor == 8000


def test_t_07_a_reload_while_inside_ends_no_ride() -> None:
    rider = rider_with(PACK)
    goes_in(rider, companions=1)
    kept = rider.newest._replace(kind=EventKind.RELOAD, at=NOW + 5 * MIN, balance_after_minor=60_000)
    rider.event = kept
    assert told(goes_out(rider, THERE, zone=2)) == ("ok_checkout", 5000)
    assert state(rider) == (OUT, 0, 0, 55_000)


@pytest.mark.parametrize("kind", [EventKind.MEAL, EventKind.RELOAD, EventKind.CHECK_IN])
def test_t_70_an_inspector_finds_who_is_inside_paid_whatever_the_newest_event_is(kind: EventKind) -> None:
    rider = rider_with(PASS)
    goes_in(rider)
    rider.event = rider.newest._replace(kind=kind)
    assert rider.tap(NOW + 110 * MIN, inspection=True).outcome.message == "inspection_paid"
    assert rider.tap(NOW + 121 * MIN, inspection=True).outcome.message == "inspection_unpaid"
    assert rider.tap(NOW + 20 * MIN, inspection=True, route=6).outcome.message == "inspection_unpaid"
    rider.event = rider.newest._replace(kind=EventKind.CHECK_OUT, inside=0)
    assert rider.tap(NOW + 20 * MIN, inspection=True).outcome.message == "inspection_unpaid"


def test_t_70_a_long_ride_is_paid_until_it_counts_as_forgotten() -> None:
    rider = rider_with()
    rider.policy = small(
        FLAT.replace("longest_s = 7200", "longest_s = 10800"),
        HALF,
        RIGHTS,
        fares=CITY_FARES,
        slots=ZONED_SLOTS + MORE_SLOTS,
    )
    goes_in(rider)
    assert rider.tap(NOW + 170 * MIN, inspection=True).outcome.message == "inspection_paid"
    assert rider.tap(NOW + 181 * MIN, inspection=True).outcome.message == "inspection_unpaid"


# ---------------------------------------------------------------- forgotten


@pytest.mark.parametrize(
    ("rights", "owed_minor"),
    [((), 9000), ((PASS,), 0), ((PACK,), 0), ((FREE,), 0), ((STUDENT,), 4500), ((PLAN,), 0)],
)
def test_t_07_boarding_another_vehicle_while_inside_means_the_check_out_was_forgotten(
    rights: tuple[Concession | Contract, ...], owed_minor: int
) -> None:
    rider = rider_with(*rights)
    goes_in(rider)
    before = rider.newest.balance_after_minor
    changed = goes_in(rider, NOW + 90 * MIN, route=6, companions=0)
    own = 2000 if rights == (PLAN,) else 0
    assert told(changed) == ("ok_checkin", owed_minor + own)
    assert (rider.newest.kind, rider.newest.inside) == (IN, 1)
    assert rider.newest.balance_after_minor == before - owed_minor - own


def test_t_07_a_forgotten_check_out_is_charged_on_a_bus_without_check_in_and_nobody_is_inside_then() -> None:
    rider = rider_with()
    goes_in(rider, companions=1)
    decision = rider.tap(NOW + timedelta(hours=4), route=1)
    assert told(decision) == ("ok_paid", 18_000 + 3000)
    assert state(rider) == (RODE, 0, 0, 50_000 - 21_000)


def test_t_07_a_clock_that_is_behind_the_check_in_makes_no_check_out() -> None:
    """Whose clock is wrong is not known: the ride counts as forgotten, and nothing is free."""
    rider = rider_with()
    goes_in(rider)
    decision = goes_in(rider, NOW - 5 * MIN, zone=2)
    assert told(decision) == ("ok_checkin", 9000)


# ---------------------------------------------------------------- over the end of the service day


def test_t_07_an_exit_after_the_service_day_counts_for_the_day_of_the_boarding() -> None:
    """The cap of 120.00 is that day's, and the next day begins with none of it."""
    rider = rider_with()
    goes_in(rider, local("20:00"), route=1)
    goes_out(rider, local("20:30"), zone=3, route=1)
    night = local("02:45", TODAY + timedelta(days=1))
    assert goes_in(rider, night, route=2).outcome.values == {"held_minor": 3000}
    decision = goes_out(rider, night + 30 * MIN, zone=3, route=2)
    assert (told(decision), counted(rider, "day_spent")) == (("ok_checkout", 3000), 24)
    assert rider.newest.period_ahead == -1
    assert goes_in(rider, night + 75 * MIN, route=3).outcome.values == {"held_minor": 9000}
    assert (counted(rider, "day_spent"), rider.newest.period_ahead) == (0, 0)


def test_t_07_companions_of_yesterday_s_boarding_ride_on_its_terms() -> None:
    rider = rider_with(HALF_WITH_TWO)
    night = local("02:45", TODAY + timedelta(days=1))
    goes_in(rider, night, companions=2)
    assert told(goes_out(rider, night + 30 * MIN, zone=2)) == ("ok_checkout", 7500)
