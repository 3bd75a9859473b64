"""Transfers and second taps: T-30, T-33 to T-36, K-03, and clocks that disagree (O-05)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.codes import Admission
from terminal.decision.outcome import Decision
from tests.terminal.decision.rider import (
    MONTH_PASS,
    PENSIONER,
    SOCIAL_PACK,
    STUDENT,
    TODAY,
    Rider,
    demo_with,
    local,
    rules,
)

NOW = local("08:00")


def later(**delta: float) -> timedelta:
    return timedelta(**delta)


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def test_t_30_a_free_transfer_within_the_window() -> None:
    rider = Rider()
    rider.tap(NOW)
    assert (rider.newest.journey_age_s, rider.newest.transfers) == (0, 0)
    decision = rider.tap(NOW + later(minutes=25), route=9)
    assert told(decision) == ("ok_transfer", 0)
    assert decision.outcome.values == {"time": "09:00"}
    assert (rider.newest.journey_age_s, rider.newest.transfers) == (1500, 1)
    assert (rider.newest.paid_by, rider.newest.balance_after_minor) == (PaidBy.TRANSFER, 7600)


@pytest.mark.parametrize(
    ("seconds", "message"), [(3599, "ok_transfer"), (3600, "ok_transfer"), (3601, "ok_paid")]
)
def test_t_30_the_last_second_of_the_window_counts(seconds: int, message: str) -> None:
    rider = Rider()
    rider.tap(NOW)
    assert told(rider.tap(NOW + later(seconds=seconds), route=9))[0] == message


def test_t_30_a_transfer_does_not_extend_the_window() -> None:
    rider = Rider(policy=demo_with(("transfers = 1", "transfers = 5")))
    rider.tap(NOW)
    assert told(rider.tap(NOW + later(minutes=59), route=9)) == ("ok_transfer", 0)
    assert told(rider.tap(NOW + later(minutes=61), route=5)) == ("ok_paid", 2400)
    assert (rider.newest.journey_age_s, rider.newest.transfers) == (0, 0)


def test_t_30_the_count_of_transfers_is_kept_and_the_next_payment_opens_a_new_journey() -> None:
    rider = Rider()
    seen = [told(rider.tap(NOW + later(minutes=10 * n), route=n + 1))[0] for n in range(4)]
    assert seen == ["ok_paid", "ok_transfer", "ok_paid", "ok_transfer"]


def test_t_30_a_paid_concession_opens_the_window_and_a_transfer_does_not_count_on_its_limit() -> None:
    rider = Rider(concessions=(STUDENT,))
    assert told(rider.tap(NOW)) == ("ok_benefit", 2000)
    assert told(rider.tap(NOW + later(minutes=10), route=9)) == ("ok_transfer", 0)
    assert rider.tap(NOW + later(minutes=20), route=11).outcome.values == {"n": 48}


def test_t_30_an_unpaid_ride_opens_no_window() -> None:
    for rider in (
        Rider(concessions=(PENSIONER,)),
        Rider(contracts=(MONTH_PASS,)),
        Rider(contracts=(SOCIAL_PACK,)),
    ):
        rider.tap(NOW)
        assert rider.newest.journey_age_s is None


def test_t_30_a_pass_ride_in_between_keeps_the_window_running() -> None:
    """The pass begins after midnight of the service day: paid before it, transferred after it has ended."""
    rider = Rider(contracts=(MONTH_PASS,))
    rider.rode(local("02:30", date(2026, 10, 1)), journey_age_s=0)
    assert told(rider.tap(local("02:50", date(2026, 10, 1)), route=9))[0] == "ok_pass"
    assert rider.newest.journey_age_s == 1200
    assert told(rider.tap(local("03:10", date(2026, 10, 1)), route=11)) == ("ok_transfer", 0)


def test_t_30_only_the_named_media_transfer() -> None:
    rider = Rider(
        policy=demo_with(('\nmedia = ["transport_card"]\nsame_route', '\nmedia = ["bank_card"]\nsame_route'))
    )
    rider.tap(NOW)
    assert told(rider.tap(NOW + later(minutes=5), route=9)) == ("ok_paid", 2400)


@pytest.mark.parametrize(
    ("route", "direction", "message"), [(5, 1, "ok_paid"), (5, 0, "ok_transfer"), (9, 1, "ok_transfer")]
)
def test_t_33_same_route_and_direction_is_a_new_trip(route: int, direction: int, message: str) -> None:
    rider = Rider()
    rider.tap(NOW, route=5, direction=1)
    decision = rider.tap(NOW + later(minutes=30), route=route, direction=direction)
    assert told(decision)[0] == message
    assert ("T-33" in rules(decision)) == (message == "ok_paid")


def test_t_33_a_region_may_let_the_same_route_transfer() -> None:
    rider = Rider(policy=demo_with(('same_route = "new_trip"', 'same_route = "transfer"')))
    rider.tap(NOW)
    assert told(rider.tap(NOW + later(minutes=30))) == ("ok_transfer", 0)


def test_t_34_a_purse_pays_for_companions_one_after_the_other() -> None:
    rider = Rider()
    for n in range(3):
        assert told(rider.tap(NOW + later(seconds=3 * n))) == ("ok_paid", 2400)
    assert rider.newest.balance_after_minor == 10_000 - 3 * 2400


@pytest.mark.parametrize(("seconds", "message"), [(0, "already_paid"), (2, "already_paid"), (3, "ok_paid")])
def test_t_35_a_second_tap_within_two_seconds_is_ignored(seconds: int, message: str) -> None:
    rider = Rider()
    rider.tap(NOW)
    decision = rider.tap(NOW + later(seconds=seconds))
    assert told(decision)[0] == message
    assert decision.outcome.admission is Admission.LET_IN
    assert (decision.write_plan is None) == (message == "already_paid")


def test_t_35_is_about_rides_not_about_meals() -> None:
    rider = Rider().rode(NOW, kind=EventKind.MEAL, paid_by=PaidBy.BUDGET)
    assert told(rider.tap(NOW + later(seconds=1))) == ("ok_paid", 2400)


@pytest.mark.parametrize(
    ("seconds", "route", "message"),
    [(299, 5, "already_paid"), (300, 5, "already_paid"), (301, 5, "ok_pass"), (60, 9, "ok_pass")],
)
@pytest.mark.parametrize("terminal", [7, 8])
def test_t_36_a_pass_cannot_be_passed_back(seconds: int, route: int, message: str, terminal: int) -> None:
    rider = Rider(contracts=(MONTH_PASS,))
    rider.tap(NOW)
    decision = rider.tap(NOW + later(seconds=seconds), route=route, terminal=terminal)
    assert told(decision) == (message, 0)
    passed_back = message == "already_paid"
    assert (decision.write_plan is None) == passed_back
    assert decision.outcome.admission is (Admission.INSIDE if passed_back else Admission.LET_IN), (
        "a gate stays shut"
    )


def test_t_36_the_document_says_which_rights() -> None:
    both = Rider(contracts=(SOCIAL_PACK,))
    both.tap(NOW)
    assert told(both.tap(NOW + later(seconds=90)))[0] == "already_paid"
    passes_only = Rider(
        contracts=(SOCIAL_PACK,), policy=demo_with(('["pass", "pack"]\nclock', '["pass"]\nclock'))
    )
    passes_only.tap(NOW)
    assert passes_only.tap(NOW + later(seconds=90)).outcome.values == {"n": 43}
    personal = Rider(
        concessions=(PENSIONER,), policy=demo_with(('["pass", "pack"]\nclock', '["concession"]\nclock'))
    )
    personal.tap(NOW)
    assert told(personal.tap(NOW + later(seconds=90)))[0] == "already_paid"


def test_t_36_a_pass_that_was_replaced_does_not_block_the_purse() -> None:
    rider = Rider().rode(NOW, PaidBy.CONTRACT_A)
    assert told(rider.tap(NOW + later(seconds=90))) == ("ok_paid", 2400)


@pytest.mark.parametrize(
    ("seconds", "route", "message"),
    [(1, 5, "already_paid"), (60, 5, "already_paid"), (61, 5, "ok_paid"), (30, 9, "ok_transfer")],
)
def test_k_03_a_tap_repeated_at_the_other_door_is_not_charged_again(
    seconds: int, route: int, message: str
) -> None:
    rider = Rider()
    rider.tap(NOW, terminal=7)
    decision = rider.tap(NOW + later(seconds=seconds), terminal=8, route=route)
    assert told(decision)[0] == message
    assert decision.outcome.admission is Admission.LET_IN


@pytest.mark.parametrize("rider", [Rider(concessions=(STUDENT,)), Rider(concessions=(PENSIONER,))])
def test_k_03_holds_for_concessions_too(rider: Rider) -> None:
    rider.tap(NOW, terminal=7)
    assert rider.tap(NOW + later(seconds=60), terminal=8).write_plan is None


@pytest.mark.parametrize(("ahead_s", "message"), [(30, "already_paid"), (31, "ok_paid")])
def test_o_05_a_small_difference_of_clocks_is_now_a_large_one_forgives_nothing(
    ahead_s: int, message: str
) -> None:
    rider = Rider().rode(NOW + later(seconds=ahead_s), journey_age_s=0)
    decision = rider.tap(NOW, terminal=8)
    assert told(decision)[0] == message
    assert ("O-05" in rules(decision)) == (message == "ok_paid")


def test_o_05_a_clock_slightly_behind_makes_no_negative_age() -> None:
    rider = Rider().rode(NOW + later(seconds=20), journey_age_s=0)
    assert told(rider.tap(NOW, route=9, terminal=8)) == ("ok_transfer", 0)
    assert rider.newest.journey_age_s == 0


def test_t_30_a_closed_window_leaves_no_transfers_behind() -> None:
    rider = Rider(concessions=(PENSIONER,)).rode(NOW, journey_age_s=0, transfers=1)
    rider.tap(NOW + later(hours=2))
    assert (rider.newest.journey_age_s, rider.newest.transfers) == (None, 0)


def test_o_05_an_event_from_the_future_gives_no_transfer_no_pass_back_and_no_negative_age() -> None:
    rider = Rider(contracts=(MONTH_PASS,)).rode(NOW + later(days=400), PaidBy.CONTRACT_A, journey_age_s=0)
    assert told(rider.tap(NOW)) == ("ok_pass", 0)
    assert (rider.newest.at, rider.newest.journey_age_s) == (NOW, None)
    assert told(Rider().rode(NOW + later(minutes=10), journey_age_s=0).tap(NOW, route=9)) == ("ok_paid", 2400)


def test_o_05_an_event_from_a_later_month_refills_no_counter() -> None:
    full = 50 << 48  # the first eight of the 56 bits
    rider = Rider(concessions=(STUDENT,)).rode(NOW + later(days=40), counter_layout=1, counters=full)
    assert told(rider.tap(NOW)) == ("limit_reached", 2400)
    assert rider.newest.counters == full


def test_the_record_carries_whole_seconds() -> None:
    rider = Rider()
    rider.tap(NOW + later(milliseconds=999))
    assert rider.newest.at == NOW
    assert rider.newest.at.date() == TODAY
