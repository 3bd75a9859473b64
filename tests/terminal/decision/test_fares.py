"""What a ride costs and which right covers it: T-01 to T-13, K-02, T-14."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.bus.effects import ContractEffect
from terminal.decision.outcome import Message
from tests.terminal.decision.rider import (
    FIRST,
    LAST,
    MONTH_PASS,
    PENSIONER,
    SOCIAL_PACK,
    STUDENT,
    TODAY,
    Rider,
    demo_with,
    issued,
    local,
    rules,
)

NOW = local("08:00")


def counted(name: str, value: int, rider: Rider) -> Rider:
    """Set one counter of the demo layout on the card, as of yesterday's ride."""
    counter = next(counter for counter in rider.policy.counters if counter.name == name)
    rider.rode(NOW - timedelta(days=1), counter_layout=1, counters=counter.write(0, value))
    return rider


def counter_of(rider: Rider, name: str) -> int:
    return next(c for c in rider.policy.counters if c.name == name).read(rider.newest.counters)


def test_t_01_the_fare_is_that_of_the_transport_card() -> None:
    rider = Rider(balance_minor=5_000)
    decision = rider.tap(NOW)
    assert decision.outcome.message is Message.OK_PAID
    assert decision.outcome.charge_minor == 2400
    assert decision.write_plan is not None
    assert decision.write_plan.debit_minor == 2400
    assert (rider.newest.kind, rider.newest.paid_by) == (EventKind.RIDE, PaidBy.PURSE)
    assert (rider.newest.amount_minor, rider.newest.balance_after_minor) == (2400, 2600)
    assert (rider.newest.terminal, rider.newest.sequence, rider.newest.route) == (7, 100, 5)
    assert rules(decision) == ["T-01"]


@pytest.mark.parametrize(
    ("balance_minor", "message"), [(2400, Message.OK_PAID), (2399, Message.NO_FUNDS), (0, Message.NO_FUNDS)]
)
def test_t_01_the_purse_pays_to_the_kopeck_or_not_at_all(balance_minor: int, message: Message) -> None:
    decision = Rider(balance_minor=balance_minor).tap(NOW)
    assert decision.outcome.message is message
    assert (decision.write_plan is None) == (message is Message.NO_FUNDS)
    assert decision.outcome.charge_minor == (2400 if message is Message.OK_PAID else 0)


def test_t_02_the_percentage_is_taken_from_the_base_tariff_not_from_the_cashless_fare() -> None:
    rider = Rider(concessions=(STUDENT,))
    decision = rider.tap(NOW)
    assert (decision.outcome.message, decision.outcome.values) == (Message.OK_BENEFIT, {"n": 49})
    assert decision.outcome.charge_minor == 2000
    assert (rider.newest.paid_by, rider.newest.balance_after_minor) == (PaidBy.CONCESSION_A, 8000)
    assert counter_of(rider, "concession_month") == 1


@pytest.mark.parametrize(
    ("base", "percent", "pays_minor"),
    [
        (4000, 20, 800),
        (4200, 20, 840),
        (4200, 50, 2100),
        (4001, 50, 2001),
        (3999, 1, 40),
        (4049, 1, 40),
        (4050, 1, 41),
    ],
)
def test_t_08_rounding_is_half_up_to_whole_kopecks(base: int, percent: int, pays_minor: int) -> None:
    policy = demo_with(
        ("base_minor = 4000", f"base_minor = {base}"), ("pays_percent = 50", f"pays_percent = {percent}")
    )
    assert Rider(concessions=(STUDENT,), policy=policy).tap(NOW).outcome.charge_minor == pays_minor


def test_t_02_a_share_above_the_ordinary_fare_costs_the_ordinary_fare() -> None:
    policy = demo_with(("pays_percent = 50", "pays_percent = 90"))
    assert Rider(concessions=(STUDENT,), policy=policy).tap(NOW).outcome.charge_minor == 2400


def test_t_02_a_concession_without_money_is_refused_and_counts_nothing() -> None:
    decision = Rider(concessions=(STUDENT,), balance_minor=1999).tap(NOW)
    assert (decision.outcome.message, decision.write_plan) == (Message.NO_FUNDS, None)
    assert Rider(concessions=(STUDENT,), balance_minor=2000).tap(NOW).outcome.message is Message.OK_BENEFIT


def test_t_04_a_fixed_price_does_not_depend_on_the_base() -> None:
    policy = demo_with(
        ('kind = "percent_of_base", pays_percent = 50', 'kind = "fixed_price", price_minor = 1000'),
        ("base_minor = 4000", "base_minor = 9000"),
    )
    decision = Rider(concessions=(STUDENT,), policy=policy).tap(NOW)
    assert decision.outcome.charge_minor == 1000
    assert rules(decision)[0] == "T-04"


def test_t_04_a_fixed_price_above_the_ordinary_fare_costs_the_ordinary_fare() -> None:
    policy = demo_with(
        ('kind = "percent_of_base", pays_percent = 50', 'kind = "fixed_price", price_minor = 2401')
    )
    assert Rider(concessions=(STUDENT,), policy=policy).tap(NOW).outcome.charge_minor == 2400


def test_t_05_a_free_ride_is_recorded_and_costs_nothing() -> None:
    rider = Rider(concessions=(PENSIONER,), balance_minor=0)
    decision = rider.tap(NOW)
    assert (decision.outcome.message, decision.outcome.charge_minor) == (Message.OK_BENEFIT_UNLIMITED, 0)
    assert decision.write_plan is not None
    assert decision.write_plan.debit_minor == 0
    assert (rider.newest.kind, rider.newest.amount_minor) == (EventKind.RIDE, 0)
    assert rider.newest.journey_age_s is None


def test_k_02_the_cheapest_concession_in_force_is_used_whatever_its_slot() -> None:
    rider = Rider(concessions=(STUDENT, PENSIONER))
    assert rider.tap(NOW).outcome.message is Message.OK_BENEFIT_UNLIMITED
    assert rider.newest.paid_by is PaidBy.CONCESSION_B


def test_k_02_rights_are_taken_in_the_order_of_the_profile() -> None:
    everything = Rider(concessions=(PENSIONER,), contracts=(SOCIAL_PACK, MONTH_PASS))
    assert everything.tap(NOW).outcome.message is Message.OK_PASS
    assert everything.newest.paid_by is PaidBy.CONTRACT_B
    rights = 'rights = ["pass", "pack", "transfer", "concession", "purse"]'
    policy = demo_with((rights, 'rights = ["concession", "transfer", "pack", "pass", "purse"]'))
    everything = Rider(concessions=(PENSIONER,), contracts=(SOCIAL_PACK, MONTH_PASS), policy=policy)
    assert everything.tap(NOW).outcome.message is Message.OK_BENEFIT_UNLIMITED
    without = Rider(contracts=(SOCIAL_PACK, MONTH_PASS), policy=policy)
    assert without.tap(NOW).outcome.message is Message.OK_PACK


def test_k_02_the_pass_says_until_when() -> None:
    decision = Rider(contracts=(MONTH_PASS,)).tap(NOW)
    assert (decision.outcome.message, decision.outcome.values) == (Message.OK_PASS, {"date": "2026-09-30"})
    assert decision.outcome.charge_minor == 0


@pytest.mark.parametrize(
    ("clock", "day", "message"),
    [
        ("23:59:59", date(2026, 9, 30), Message.OK_PASS),
        ("02:59:59", date(2026, 10, 1), Message.OK_PASS),
        ("03:00:00", date(2026, 10, 1), Message.OK_PAID),
    ],
)
def test_t_14_a_pass_ends_with_its_last_service_day(clock: str, day: date, message: Message) -> None:
    assert Rider(contracts=(MONTH_PASS,)).tap(local(clock, day)).outcome.message is message


def test_t_10_the_pack_counts_on_the_card() -> None:
    rider = Rider(contracts=(SOCIAL_PACK,), balance_minor=0)
    for trip in range(1, 46):
        decision = rider.tap(NOW + timedelta(minutes=10 * trip))
        assert (decision.outcome.message, decision.outcome.values) == (Message.OK_PACK, {"n": 45 - trip})
        assert counter_of(rider, "pack_a") == trip
    assert rider.tap(NOW + timedelta(hours=9)).outcome.message is Message.NO_FUNDS
    assert counter_of(rider, "pack_a") == 45


def test_t_10_an_empty_pack_costs_the_full_fare() -> None:
    rider = counted("pack_a", 45, Rider(contracts=(SOCIAL_PACK,)))
    decision = rider.tap(NOW)
    assert (decision.outcome.message, decision.outcome.charge_minor) == (Message.PACK_USED_UP, 2400)
    assert decision.outcome.accepted
    assert counter_of(rider, "pack_a") == 45


def test_t_10_unused_trips_lapse_on_the_first() -> None:
    last_night = local("02:59:59", date(2026, 10, 1))
    spent = counted("pack_a", 40, Rider(contracts=(SOCIAL_PACK,)))
    assert spent.tap(last_night).outcome.values == {"n": 4}
    holder = counted("pack_a", 40, Rider(contracts=(SOCIAL_PACK,)))
    morning = holder.tap(local("03:00", date(2026, 10, 1)))
    assert (morning.outcome.message, morning.outcome.charge_minor) == (Message.PACK_LAPSED, 2400)
    assert rules(morning) == ["T-10", "T-01"]


def test_t_10_trips_belong_to_the_month_of_the_contract_s_first_day() -> None:
    """A contract over the month's end gives its trips once, and the next month's contract its own."""
    late = Contract(145, date(2026, 9, 30), date(2026, 10, 31), 45)
    rider = Rider(contracts=(late,))
    assert rider.tap(local("12:00", date(2026, 9, 30))).outcome.values == {"n": 44}
    assert rider.tap(local("12:00", date(2026, 10, 2))).outcome.message is Message.PACK_LAPSED
    rider.contracts = (Contract(145, date(2026, 10, 3), date(2026, 11, 30), 45),)
    assert rider.tap(local("12:00", date(2026, 10, 3))).outcome.values == {"n": 44}


def test_t_11_a_pack_that_ends_with_its_contract_keeps_its_count_over_the_month() -> None:
    policy = demo_with(('lapses = "monthly"', 'lapses = "with_contract"'))
    rider = counted("pack_a", 40, Rider(contracts=(SOCIAL_PACK,), policy=policy))
    assert rider.tap(local("12:00", date(2026, 10, 2))).outcome.values == {"n": 4}


def test_t_10_another_contract_in_the_slot_starts_at_zero() -> None:
    """The new contract begins after the newest event, so that event cannot have counted its trips."""
    renewed = Contract(145, TODAY, LAST, 45)
    assert counted("pack_a", 45, Rider(contracts=(renewed,))).tap(NOW).outcome.values == {"n": 44}


def test_t_10_a_contract_that_began_on_the_day_of_the_event_keeps_its_count() -> None:
    yesterday = Contract(145, TODAY - timedelta(days=1), LAST, 45)
    assert (
        counted("pack_a", 45, Rider(contracts=(yesterday,))).tap(NOW).outcome.message is Message.PACK_USED_UP
    )


def test_t_10_a_card_cannot_claim_more_trips_than_the_product_has() -> None:
    assert Rider(contracts=(Contract(145, FIRST, LAST, 255),)).tap(NOW).outcome.values == {"n": 44}
    assert Rider(contracts=(Contract(145, FIRST, LAST, 3),)).tap(NOW).outcome.values == {"n": 2}


def test_t_10_the_second_slot_has_its_own_counter() -> None:
    october = replace(SOCIAL_PACK, valid_from=date(2026, 10, 1))
    rider = Rider(contracts=(MONTH_PASS, october))
    rider.tap(local("12:00", date(2026, 10, 2)))
    assert (counter_of(rider, "pack_a"), counter_of(rider, "pack_b")) == (0, 1)


@pytest.mark.parametrize(
    ("used", "message", "charge_minor"), [(49, "ok_benefit", 2000), (50, "limit_reached", 2400)]
)
def test_t_13_over_the_limit_the_ordinary_fare_is_due(used: int, message: str, charge_minor: int) -> None:
    rider = counted("concession_month", used, Rider(concessions=(STUDENT,)))
    decision = rider.tap(NOW)
    assert (decision.outcome.message, decision.outcome.charge_minor) == (message, charge_minor)
    assert counter_of(rider, "concession_month") == 50


def test_t_13_over_the_limit_the_ordinary_transfer_holds() -> None:
    rider = counted("concession_month", 50, Rider(concessions=(STUDENT,)))
    rider.tap(NOW)
    assert rider.tap(NOW + timedelta(minutes=20), route=9).outcome.message is Message.OK_TRANSFER


def test_t_13_over_the_limit_without_money_there_is_no_ride() -> None:
    rider = counted("concession_month", 50, Rider(concessions=(STUDENT,), balance_minor=2000))
    assert rider.tap(NOW).outcome.message is Message.NO_FUNDS


def test_t_12_the_limit_starts_again_with_the_service_month() -> None:
    full = counted("concession_month", 50, Rider(concessions=(STUDENT,)))
    assert full.tap(local("02:59:59", date(2026, 10, 1))).outcome.message is Message.LIMIT_REACHED
    full = counted("concession_month", 50, Rider(concessions=(STUDENT,)))
    assert full.tap(local("03:00", date(2026, 10, 1))).outcome.values == {"n": 49}


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (TODAY, TODAY, Message.OK_BENEFIT_UNLIMITED),
        (FIRST, TODAY - timedelta(days=1), Message.BENEFIT_EXPIRED),
        (TODAY + timedelta(days=1), LAST, Message.OK_PAID),
    ],
)
def test_m_20_a_grant_holds_from_its_first_to_its_last_day(first: date, last: date, message: Message) -> None:
    decision = Rider(concessions=(Concession(1, 0, first, last),)).tap(NOW)
    assert decision.outcome.message is message
    assert decision.outcome.charge_minor == (0 if message is Message.OK_BENEFIT_UNLIMITED else 2400)


def test_an_expired_grant_beside_a_valid_one_is_not_mentioned() -> None:
    old = Concession(2, 0, FIRST, TODAY - timedelta(days=1))
    assert Rider(concessions=(old, PENSIONER)).tap(NOW).outcome.message is Message.OK_BENEFIT_UNLIMITED


def test_codes_and_products_the_document_does_not_know_give_nothing() -> None:
    rider = Rider(concessions=(Concession(99, 0, FIRST, LAST),), contracts=(Contract(999, FIRST, LAST, 10),))
    assert rider.tap(NOW).outcome.message is Message.OK_PAID


@pytest.mark.parametrize("rider", [Rider(concessions=(STUDENT,)), Rider(contracts=(SOCIAL_PACK,))])
@pytest.mark.parametrize("counters", [0, 0x1234567890ABCD])
def test_o_04_counters_of_an_unknown_layout_are_kept_and_cover_no_ride(rider: Rider, counters: int) -> None:
    rider.event = issued()._replace(counter_layout=9, counters=counters)
    decision = rider.tap(NOW)
    assert (decision.outcome.message, decision.outcome.charge_minor) == (Message.COUNT_UNREADABLE, 2400)
    assert ContractEffect.COUNT_UNREADABLE in [reason.effect for reason in decision.facts]
    assert (rider.newest.counter_layout, rider.newest.counters) == (9, counters)


def test_d_03_a_sensitive_concession_shows_its_effect_only() -> None:
    policy = demo_with(('code = 1\nname = "pensioner, free"', 'code = 1\nsensitive = true\nname = "n"'))
    decision = Rider(concessions=(PENSIONER,), policy=policy).tap(NOW)
    assert all("code" not in reason.inputs for reason in decision.facts)
    assert any(reason.inputs.get("code") == 1 for reason in Rider(concessions=(PENSIONER,)).tap(NOW).facts)
