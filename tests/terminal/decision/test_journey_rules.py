"""Changing and second taps: T-30 to T-34 in all their kinds. The plain free window is in test_repeated_taps."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardproto.resident.limits import MOST_TRANSFERS
from cardproto.resident.records.event import PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.outcome import Decision
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, Rider, local, rules

NOW = local("08:00")
MIN = timedelta(minutes=1)
COMMON = 'media = ["transport_card"]\nsame_route = "new_trip"\n'
FREE_60 = (
    f'[[transfers]]\nid = "free_60"\nkind = "free_window"\nwindow_s = 3600\ntransfers = "unlimited"\n{COMMON}'
)
REDUCED_120 = (
    '[[transfers]]\nid = "reduced_120"\nkind = "reduced_window"\nwindow_s = 7200\ntransfers = "unlimited"\n'
    f"price_minor = 1000\n{COMMON}"
)
MIXED_90 = (
    '[[transfers]]\nid = "mixed_90"\nkind = "mixed_window"\nwindow_s = 5400\ntransfers = "unlimited"\n'
    f'once = ["metro"]\ncounter = "metro"\n{COMMON}'
)
METRO = '{ name = "metro", bits = 1, period = "journey" },'
PLANS = """
[[products]]
kind = "plan"
id = 60
name = "60 minutes"
fare_minor = 3000
transfer = "free_60"
[[products]]
kind = "plan"
id = 120
name = "120 minutes"
fare_minor = 2500
transfer = "reduced_120"
[guards]
passback_rights = ["plan"]
"""


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def holder(product: int) -> Rider:
    """A rider on one of Volgograd's tariff plans [S38]."""
    policy = small(
        FREE_60,
        REDUCED_120,
        PLANS,
        slots='{ name = "rule", bits = 2, period = "journey" },',
        counters='journey = "rule"',
    )
    return Rider(contracts=(Contract(product, FIRST, LAST, 0),), policy=policy, balance_minor=50_000)


def test_t_30_a_plan_may_give_any_number_of_free_rides() -> None:
    rider = holder(60)
    assert told(rider.tap(NOW)) == ("ok_paid", 3000)
    assert rider.newest.paid_by is PaidBy.CONTRACT_A
    assert {told(rider.tap(NOW + ride * MIN, route=ride + 9)) for ride in range(1, 50)} == {
        ("ok_transfer", 0)
    }
    assert told(rider.tap(NOW + 60 * MIN, route=99))[0] == "ok_transfer"
    assert told(rider.tap(NOW + 61 * MIN, route=98)) == ("ok_paid", 3000)


def test_t_30_the_count_of_transfers_stays_within_its_bits() -> None:
    rider = holder(60).rode(
        NOW, PaidBy.TRANSFER, journey_age_s=60, transfers=MOST_TRANSFERS, counter_layout=1, counters=1 << 38
    )
    assert rider.policy.card.by_name["rule"].read(1 << 38) == 1
    assert told(rider.tap(NOW + MIN, route=9)) == ("ok_transfer", 0)
    assert rider.newest.transfers == MOST_TRANSFERS


def test_t_31_the_first_trip_in_full_and_each_later_one_reduced() -> None:
    rider = holder(120)
    assert told(rider.tap(NOW)) == ("ok_paid", 2500)
    for ride, minutes in enumerate((30, 60, 120)):
        decision = rider.tap(NOW + minutes * MIN, route=10 + ride)
        assert (told(decision), rules(decision)) == (("ok_paid", 1000), ["T-31"])
    assert told(rider.tap(NOW + 121 * MIN, route=20)) == ("ok_paid", 2500)
    assert rider.newest.balance_after_minor == 50_000 - 2 * 2500 - 3 * 1000


def test_t_31_a_following_trip_needs_its_money() -> None:
    rider = holder(120)
    rider.balance_minor = 3499
    rider.tap(NOW)
    assert told(rider.tap(NOW + MIN, route=9))[0] == "no_funds"


def test_t_31_whoever_rides_cheaper_anyway_is_not_charged_the_reduced_price() -> None:
    concession = (
        '[[concessions]]\ncode = 3\nname = "fifth"\nfare = { kind = "percent_of_base", pays_percent = 20 }\n'
    )
    policy = small(REDUCED_120, concession, opens='transfer = "reduced_120"')
    rider = Rider(concessions=(Concession(3, 0, FIRST, LAST),), policy=policy)
    assert told(rider.tap(NOW)) == ("ok_benefit_unlimited", 800)
    decision = rider.tap(NOW + MIN, route=9)
    assert told(decision) == ("ok_benefit_unlimited", 800)
    assert rules(decision) == ["T-31", "T-02"]


@pytest.mark.parametrize(("percent", "message"), [(25, "ok_paid"), (20, "ok_benefit")])
def test_t_31_at_an_equal_price_the_transfer_holds_and_no_trip_is_used(percent: int, message: str) -> None:
    concession = (
        '[[concessions]]\ncode = 3\nname = "part"\n'
        f'fare = {{ kind = "percent_of_base", pays_percent = {percent} }}\n'
        'limits = [{ kind = "trips", trips = 9, counter = "month" }]\n'
    )
    slots = '{ name = "month", bits = 4, period = "service_month" },'
    policy = small(REDUCED_120, concession, opens='transfer = "reduced_120"', slots=slots)
    rider = Rider(concessions=(Concession(3, 0, FIRST, LAST),), policy=policy)
    rider.tap(NOW)
    assert told(rider.tap(NOW + MIN, route=9)) == (message, 40 * percent)
    used = policy.card.by_name["month"].read(rider.newest.counters)
    assert used == (1 if message == "ok_paid" else 2)


@pytest.mark.parametrize(
    ("modes", "messages"),
    [
        (["metro", "bus", "tram", "bus"], ["ok_paid", "ok_transfer", "ok_transfer", "ok_transfer"]),
        (["bus", "metro", "bus", "metro"], ["ok_paid", "ok_transfer", "ok_transfer", "ok_paid"]),
        (["metro", "metro"], ["ok_paid", "ok_paid"]),
        (["bus", "bus", "metro", "bus"], ["ok_paid", "ok_transfer", "ok_transfer", "ok_transfer"]),
    ],
)
def test_t_32_one_metro_entry_and_surface_without_number(modes: list[str], messages: list[str]) -> None:
    rider = Rider(policy=small(MIXED_90, opens='transfer = "mixed_90"', slots=METRO))
    seen = [told(rider.tap(NOW + n * 9 * MIN, mode=mode, route=n + 1))[0] for n, mode in enumerate(modes)]
    assert seen == messages


@pytest.mark.parametrize(("minutes", "message"), [(90, "ok_transfer"), (91, "ok_paid")])
def test_t_32_the_window_ends_after_90_minutes(minutes: int, message: str) -> None:
    rider = Rider(policy=small(MIXED_90, opens='transfer = "mixed_90"', slots=METRO))
    rider.tap(NOW, mode="metro")
    assert told(rider.tap(NOW + minutes * MIN, route=9))[0] == message


def test_t_32_a_new_journey_may_enter_the_metro_again() -> None:
    rider = Rider(policy=small(MIXED_90, opens='transfer = "mixed_90"', slots=METRO))
    rider.tap(NOW, mode="metro")
    rider.tap(NOW + 2 * timedelta(hours=1), mode="bus", route=9)
    assert told(rider.tap(NOW + timedelta(minutes=130), mode="metro", route=1))[0] == "ok_transfer"


def test_t_33_two_buses_of_one_route_are_two_trips_in_every_kind_of_window() -> None:
    for rider in (
        holder(60),
        holder(120),
        Rider(policy=small(MIXED_90, opens='transfer = "mixed_90"', slots=METRO)),
    ):
        first = told(rider.tap(NOW))[1]
        again = rider.tap(NOW + 10 * MIN)
        assert (told(again)[1], "T-33" in rules(again)) == (first, True)


def test_t_34_a_transfer_product_pays_for_one_person_a_purse_for_several() -> None:
    plan = holder(60)
    plan.tap(NOW)
    assert told(plan.tap(NOW + timedelta(seconds=20))) == ("already_paid", 0)
    purse = Rider(policy=plan.policy)
    assert [told(purse.tap(NOW + timedelta(seconds=20 * n))) for n in range(2)] == [("ok_paid", 3500)] * 2


@pytest.mark.parametrize(("companions", "charge_minor"), [(0, 3500), (1, 7000), (2, 10_500)])
def test_t_34_the_conductor_may_charge_several_at_once(companions: int, charge_minor: int) -> None:
    decision = Rider(policy=small(), balance_minor=10_500).tap(NOW, companions=companions)
    assert told(decision) == ("ok_paid", charge_minor)
    assert ("T-34" in rules(decision)) == (companions > 0)


def test_t_34_companions_of_a_pass_are_paid_for() -> None:
    policy = small('[[products]]\nkind = "pass"\nid = 100\nname = "pass"\n')
    decision = Rider(contracts=(Contract(100, FIRST, LAST, 0),), policy=policy).tap(NOW, companions=1)
    assert told(decision) == ("ok_pass", 3500)


def test_a_journey_follows_the_rule_that_opened_it() -> None:
    """A plan bought between two taps changes nothing in the journey that is open."""
    rider = holder(120)
    rider.tap(NOW)
    rider.contracts = (Contract(60, FIRST, LAST, 0),)
    assert told(rider.tap(NOW + 100 * MIN, route=9)) == ("ok_paid", 1000)


def test_o_04_a_journey_whose_rule_cannot_be_read_gives_no_free_ride() -> None:
    rider = holder(120).rode(NOW, PaidBy.CONTRACT_A, journey_age_s=0, counter_layout=2)
    assert told(rider.tap(NOW + MIN, route=9)) == ("ok_paid", 2500)


def test_a_window_may_begin_again_with_each_ride_when_their_number_is_limited() -> None:
    window = FREE_60.replace('"unlimited"', "2") + 'counted_from = "previous_ride"\n'
    rider = Rider(policy=small(window, opens='transfer = "free_60"'))
    rider.tap(NOW)
    seen = [told(rider.tap(NOW + n * 50 * MIN, route=n + 1))[0] for n in (1, 2, 3)]
    assert seen == ["ok_transfer", "ok_transfer", "ok_paid"]


def test_a_window_may_lead_to_some_modes_only() -> None:
    rider = Rider(policy=small(FREE_60 + 'modes = ["tram"]\n', opens='transfer = "free_60"'))
    rider.tap(NOW)
    assert told(rider.tap(NOW + MIN, mode="bus", route=6))[0] == "ok_paid"
    assert told(rider.tap(NOW + 2 * MIN, mode="tram", route=7))[0] == "ok_transfer"


KINDS = {
    "t-30": (FREE_60, "free_60", ""),
    "t-31": (REDUCED_120, "reduced_120", ""),
    "t-32": (MIXED_90, "mixed_90", METRO),
}


@pytest.mark.parametrize("rule", KINDS)
def test_every_kind_of_window_has_its_count_and_its_modes(rule: str) -> None:
    text, name, slots = KINDS[rule]
    once = text.replace('transfers = "unlimited"', "transfers = 1")
    rider = Rider(policy=small(once, opens=f'transfer = "{name}"', slots=slots), balance_minor=50_000)
    seen = [rider.tap(NOW + ride * MIN, route=ride + 5) for ride in range(3)]
    assert [told(tap)[1] for tap in seen] == [3500, 1000 if rule == "t-31" else 0, 3500]
    assert f"{rule}:none_left" in codes(seen[-1])
    by_bus = text.replace("window_s", 'modes = ["bus", "metro"]\nwindow_s')
    rider = Rider(policy=small(by_bus, opens=f'transfer = "{name}"', slots=slots), balance_minor=50_000)
    rider.tap(NOW)
    tram = rider.tap(NOW + MIN, route=9, mode="tram")
    assert (told(tram), f"{rule}:other_mode" in codes(tram)) == (("ok_paid", 3500), True)


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.facts]


def rider_of(*parts: str, opens: str, slots: str = "", **held: object) -> Rider:
    return Rider(
        policy=small(*parts, opens=f'transfer = "{opens}"', slots=slots), balance_minor=50_000, **held
    )


CHEAP_9 = (
    '[[fares.rules]]\nid = "cheap"\nkind = "flat"\nroutes = [9]\n'
    "by_medium = {{ transport_card = {0}, bank_card = {0}, cash = {0} }}\n"
)


def test_the_trail_names_a_price_where_there_is_one_and_the_rider_reads_until_when() -> None:
    reduced, free = rider_of(REDUCED_120, opens="reduced_120"), rider_of(FREE_60, opens="free_60")
    for rider in (reduced, free):
        rider.tap(NOW)
    paid, nothing = (rider.tap(NOW + 10 * MIN, route=9) for rider in (reduced, free))
    assert paid.facts[0].inputs == {"journey_age_s": 600, "transfers": 0, "price_minor": 1000}
    assert nothing.facts[0].inputs == {"journey_age_s": 600, "transfers": 0}
    assert (paid.outcome.values["time"], nothing.outcome.values["time"]) == ("10:00", "09:00")
    assert free.newest.journey_age_s == 600


def test_a_window_that_begins_again_does_so_to_the_second() -> None:
    again = FREE_60.replace('transfers = "unlimited"', 'transfers = 2\ncounted_from = "previous_ride"')
    rider = rider_of(again, opens="free_60")
    rider.tap(NOW)
    assert rider.tap(NOW + 10 * MIN, route=9).outcome.values["time"] == "09:10"
    assert (rider.newest.journey_age_s, rider.newest.transfers) == (0, 1)


def test_a_transfer_that_is_used_up_says_by_what() -> None:
    rider = rider_of(FREE_60.replace('"unlimited"', "1"), opens="free_60")
    rider.rode(NOW, PaidBy.TRANSFER, journey_age_s=30, transfers=1, counter_layout=1)
    none_left = rider.tap(NOW + 9 * MIN, route=9).facts[0]
    assert (none_left.code, none_left.inputs) == ("t-30:none_left", {"journey_age_s": 570, "transfers": 1})


def test_t_32_an_entry_is_counted_once_where_it_is_paid_and_where_it_is_free() -> None:
    two_bits = METRO.replace("bits = 1", "bits = 2")
    paid, free = (rider_of(MIXED_90, opens="mixed_90", slots=two_bits) for _ in range(2))
    paid.tap(NOW, mode="metro")
    free.tap(NOW, mode="bus")
    assert told(free.tap(NOW + MIN, route=9, mode="metro")) == ("ok_transfer", 0)
    for rider in (paid, free):
        assert rider.policy.card.by_name["metro"].read(rider.newest.counters) == 1


def test_o_04_a_card_whose_counters_cannot_be_read_begins_its_journey_now() -> None:
    rider = rider_of(FREE_60, opens="free_60").rode(NOW - 300 * MIN, counter_layout=9)
    assert told(rider.tap(NOW)) == ("ok_paid", 3500)
    assert (rider.newest.journey_age_s, rider.newest.transfers) == (0, 0)
    assert told(rider.tap(NOW + 60 * MIN, route=9)) == ("ok_transfer", 0)


TOP_UP = (
    REDUCED_120.replace("reduced_120", "topped")
    .replace("reduced_window", "top_up_window")
    .replace("price_minor = 1000", 'paid = "paid"')
)
PAID = '{ name = "paid", bits = 8, period = "journey", unit_minor = 50 },'
DEAR_9 = CHEAP_9.format(9000)
HALF = '[[concessions]]\ncode = 3\nname = "half"\nfare = { kind = "percent_of_base", pays_percent = 50 }\n'
PLAN_50 = '[[products]]\nkind = "plan"\nid = 50\nname = "plan"\nfare_minor = 5000\ntransfer = "topped"\n'


def test_t_38_the_dearest_price_of_the_journey_is_what_was_paid() -> None:
    rider = rider_of(DEAR_9, TOP_UP, opens="topped", slots=PAID)
    taps = [(NOW, 5), (NOW + MIN, 9), (NOW + 2 * MIN, 5), (NOW + 9 * MIN, 9)]
    assert [told(rider.tap(at, route=route))[1] for at, route in taps] == [3500, 5500, 0, 0]


@pytest.mark.parametrize(
    ("held", "charge_minor"),
    [
        ({}, 9000 - 3500),
        ({"contracts": (Contract(50, FIRST, LAST, 0),)}, 5000 - 3500),
        ({"concessions": (Concession(3, 0, FIRST, LAST),)}, 2000 - 1000),
        (
            {"contracts": (Contract(50, FIRST, LAST, 0),), "concessions": (Concession(3, 0, FIRST, LAST),)},
            1000,
        ),
    ],
)
def test_t_38_a_dearer_ride_costs_what_is_due_by_the_first_right_behind(
    held: dict[str, object], charge_minor: int
) -> None:
    """Of concession and plan the one that comes first, whichever is cheaper."""
    rider = rider_of(DEAR_9, TOP_UP, HALF, PLAN_50, opens="topped", slots=PAID, **held)
    paid_minor = 1000 if "concessions" in held else 3500
    counters = rider.policy.card.by_name["paid"].write(0, paid_minor // 50)
    rider.rode(NOW, journey_age_s=0, counter_layout=1, counters=counters)
    assert told(rider.tap(NOW + MIN, route=9)) == ("ok_paid", charge_minor)
