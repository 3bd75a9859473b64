"""What holds for a terminal rather than for a fare: K, O, T-16 and T-60 to T-71."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.codes import Admission
from terminal.decision.bus.sale import may_sell
from terminal.decision.outcome import Decision, Message
from terminal.errors import RegionDocumentError
from terminal.policy.deny_list import AllDenied
from terminal.policy.grants import GrantTable
from terminal.policy.load import parse_region, require_in_force, require_successor
from terminal.policy.policy import Policy
from tests.terminal.decision.region import small, text_of
from tests.terminal.decision.rider import FIRST, LAST, PENSIONER, TODAY, Rider, local, rules

NOW = local("08:00")
FREE = '[[concessions]]\ncode = 1\nname = "free"\nfare = { kind = "free" }\n'
HALF = '[[concessions]]\ncode = 2\nname = "half"\nfare = { kind = "percent_of_base", pays_percent = 50 }\n'
PASS = '[[products]]\nkind = "pass"\nid = 100\nname = "pass"\n'
DAY_S = 24 * 3600


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


# media and rights: K


def test_k_01_at_most_one_medium_of_a_holder_is_active() -> None:
    policy = small(FREE)
    card, phone = (Rider(concessions=(PENSIONER,), policy=policy, inactive=off) for off in (True, False))
    assert told(card.tap(NOW)) == ("medium_inactive", 0)
    assert told(phone.tap(NOW)) == ("ok_benefit_unlimited", 0)


def test_k_02_the_profile_s_order_decides_between_rights() -> None:
    pack = '[[products]]\nkind = "trip_pack"\nid = 30\nname = "30"\ntrips = 30\nlapses = "monthly"\n'
    policy = small(PASS, pack, FREE)
    everything = {"contracts": (Contract(30, FIRST, LAST, 30), Contract(100, FIRST, LAST, 0))}
    assert told(Rider(concessions=(PENSIONER,), policy=policy, **everything).tap(NOW))[0] == "ok_pass"


def test_k_03_a_torn_tap_shown_at_the_next_door_is_not_charged_again() -> None:
    rider = Rider(policy=small())
    rider.tap(NOW, terminal=7)
    assert rules(rider.tap(NOW + timedelta(seconds=20), terminal=8)) == ["K-03"]


# data and lists: O-01 to O-04, O-09


def test_o_01_an_older_document_never_replaces_a_newer_one() -> None:
    versions = [parse_region(text_of().replace("version = 1", f"version = {n}"), "small") for n in (1, 2)]
    require_successor(versions[1], versions[0])
    for older in versions:
        with pytest.raises(RegionDocumentError, match="not newer than version 2"):
            require_successor(older, versions[1])
    other = parse_region(
        text_of().replace('"small"', '"large"').replace("version = 1", "version = 9"), "large"
    )
    with pytest.raises(RegionDocumentError, match="cannot replace small of region 34"):
        require_successor(other, versions[1])


def test_o_01_a_document_is_used_only_while_it_is_in_force() -> None:
    document = small().document
    with pytest.raises(RegionDocumentError, match="ended on 2030-01-01"):
        require_in_force(document, document.header.valid_to)


def listed(issued_on: date, *grants: Concession) -> Policy:
    policy = small(FREE, HALF)
    return Policy.of(policy.document, grants=GrantTable([(b"resident", issued_on, grants)]))


@pytest.mark.parametrize(
    ("issued_on", "message", "reason"),
    [
        (FIRST - timedelta(days=1), "ok_paid", False),
        (FIRST, "ok_paid", False),
        (FIRST + timedelta(days=1), "ok_benefit_unlimited", True),
    ],
)
def test_o_02_of_card_and_list_the_newer_grant_wins(issued_on: date, message: str, reason: bool) -> None:
    decision = Rider(policy=listed(issued_on, PENSIONER)).tap(NOW)
    assert (told(decision)[0], "O-02" in rules(decision)) == (message, reason)


def test_o_02_a_newer_list_may_take_a_concession_away() -> None:
    rider = Rider(concessions=(PENSIONER,), policy=listed(FIRST + timedelta(days=1)))
    assert told(rider.tap(NOW)) == ("ok_paid", 3500)


def test_o_02_the_newest_entry_of_a_list_counts() -> None:
    days = [FIRST + timedelta(days=n) for n in (3, 1, 2)]
    table = GrantTable((b"resident", day, (Concession(n, 0, FIRST, LAST),)) for n, day in enumerate(days, 1))
    found = table.of(b"resident")
    assert found is not None
    assert (len(table), found.issued_on) == (1, days[0])
    assert found.concessions == (Concession(1, 0, FIRST, LAST), None, None)


@pytest.mark.parametrize(
    ("age_s", "message", "flags"),
    [
        (DAY_S, "ok_benefit_unlimited", ()),
        (DAY_S + 1, "ok_benefit_unlimited", ("stale_data",)),
        (7 * DAY_S, "ok_benefit_unlimited", ("stale_data",)),
        (7 * DAY_S + 1, "benefit_not_checked", ("expired_data",)),
    ],
)
def test_o_03_old_data_are_flagged_and_then_cost_the_concession(
    age_s: int, message: str, flags: tuple[str, ...]
) -> None:
    """By the older of deny list and list of grants."""
    for older, other in (("deny_list_age_s", "grants_age_s"), ("grants_age_s", "deny_list_age_s")):
        decision = Rider(concessions=(PENSIONER,), policy=small(FREE)).tap(NOW, **{older: age_s, other: 60})
        assert (told(decision)[0], decision.flags) == (message, flags)


@pytest.mark.parametrize(("days", "flags"), [(None, ()), (30, ()), (29, ("stale_document",))])
def test_o_03_a_document_says_itself_when_it_is_old(days: int | None, flags: tuple[str, ...]) -> None:
    """It costs no concession: whether a list of people is current is another matter."""
    ages = "" if days is None else f"\n[ages]\ndocument_stale_days = {days}\n"
    rider = Rider(concessions=(PENSIONER,), policy=small(FREE, ages))
    decision = rider.tap(NOW, document_age_s=30 * DAY_S)
    assert (told(decision)[0], decision.flags) == ("ok_benefit_unlimited", flags)


def test_o_03_old_data_change_nothing_for_who_has_no_concession() -> None:
    assert told(Rider(policy=small(FREE)).tap(NOW, deny_list_age_s=8 * DAY_S)) == ("ok_paid", 3500)


@pytest.mark.parametrize(("bus", "message"), [("", "deny_list"), ("deny_lists = false", "ok_paid")])
def test_o_09_the_profile_chooses_whether_cards_are_listed(bus: str, message: str) -> None:
    policy = replace(small(bus=bus), deny_list=AllDenied("test"))
    assert told(Rider(policy=policy).tap(NOW))[0] == message
    empty = Rider(
        policy=replace(small(bus="deny_lists = false"), deny_list=AllDenied("test")), balance_minor=0
    )
    assert told(empty.tap(NOW))[0] == "no_funds"


# clocks: O-05


def test_o_05_a_suspect_clock_needs_a_service_card_and_marks_what_follows() -> None:
    rider = Rider(policy=small())
    refused = rider.tap(NOW, clock_suspect=True)
    assert (told(refused)[0], rules(refused)) == ("clock_unconfirmed", ["O-05"])
    going_on = rider.tap(NOW, clock_suspect=True, clock_confirmed=True)
    assert (told(going_on)[0], going_on.flags) == ("ok_paid", ("clock_suspect",))


# purchase windows: T-16


def sold(window: str) -> Policy:
    return small(PASS + f"price_minor = 27000\nsold = {{ {window} }}\n")


@pytest.mark.parametrize(
    ("window", "today", "allowed"),
    [
        ("opens_day = 20, month_before = true, closes_day = 5", date(2026, 9, 19), False),
        ("opens_day = 20, month_before = true, closes_day = 5", date(2026, 9, 20), True),
        ("opens_day = 20, month_before = true, closes_day = 5", date(2026, 10, 5), True),
        ("opens_day = 20, month_before = true, closes_day = 5", date(2026, 10, 6), False),
        ("opens_day = 1, closes_day = 18", date(2026, 9, 30), False),
        ("opens_day = 1, closes_day = 18", date(2026, 10, 18), True),
        ("opens_day = 1, closes_day = 18", date(2026, 10, 19), False),
        ("opens_day = 15, month_before = true, closes_day = 14", date(2026, 10, 14), True),
        ("opens_day = 31, month_before = true, closes_day = 31", date(2026, 9, 29), False),
        ("opens_day = 31, month_before = true, closes_day = 31", date(2026, 9, 30), True),
    ],
)
def test_t_16_a_month_is_sold_in_its_window(window: str, today: date, allowed: bool) -> None:
    sale = may_sell(sold(window), 100, date(2026, 10, 15), today)
    assert (sale.allowed, sale.facts[0].code) == (allowed, f"t-16:{'' if allowed else 'not_'}sold_today")
    assert (sale.first, sale.last, sale.price_minor) == (date(2026, 10, 1), date(2026, 10, 31), 27000)


def test_t_16_a_window_may_run_over_new_year_and_leap_day() -> None:
    policy = sold("opens_day = 20, month_before = true, closes_day = 5")
    assert may_sell(policy, 100, date(2027, 1, 1), date(2026, 12, 31)).allowed
    assert may_sell(policy, 100, date(2028, 2, 1), date(2028, 1, 20)).last == date(2028, 2, 29)


def test_t_16_without_a_window_a_product_is_sold_in_its_month_only() -> None:
    assert may_sell(small(PASS), 100, date(2026, 10, 1), date(2026, 10, 31)).allowed
    assert not may_sell(small(PASS), 100, date(2026, 10, 1), date(2026, 9, 30)).allowed
    with pytest.raises(KeyError):
        may_sell(small(PASS), 101, date(2026, 10, 1), TODAY)


# shift, place, out of service: T-60 to T-64


def test_t_60_no_sale_before_a_shift_is_open() -> None:
    decision = Rider(policy=small()).tap(NOW, shift_open=False)
    assert (told(decision), decision.write_plan) == (("shift_closed", 0), None)


def test_t_61_a_place_entered_by_hand_is_marked() -> None:
    decision = Rider(policy=small()).tap(NOW, position_manual=True)
    assert (told(decision)[0], decision.flags, rules(decision)[0]) == (
        "ok_paid",
        ("position_manual",),
        "T-61",
    )


def test_t_62_every_event_carries_route_and_the_number_of_its_record() -> None:
    rider = Rider(policy=small(), sequence=4711)
    rider.tap(NOW, route=15, direction=1)
    assert (rider.newest.sequence, rider.newest.route, rider.newest.direction) == (4711, 15, 1)


def test_t_64_a_terminal_that_staff_took_out_of_service_takes_no_tap() -> None:
    decision = Rider(policy=small()).tap(NOW, reader_ok=False)
    assert (told(decision), rules(decision)) == (("out_of_order", 0), ["T-64"])


# inspection: T-70, T-71


def test_t_70_the_inspector_learns_when_it_was_paid_on_this_vehicle() -> None:
    rider = Rider(policy=small())
    rider.tap(NOW, route=15)
    decision = rider.tap(NOW + timedelta(minutes=9), route=15, terminal=9, inspection=True, shift_open=False)
    assert (decision.outcome.message, decision.outcome.admission) == (
        Message.INSPECTION_PAID,
        Admission.INSIDE,
    )
    assert decision.outcome.values == {"time": "08:00", "route": 15}
    assert (decision.write_plan, rules(decision)) == (None, ["T-70"])


@pytest.mark.parametrize(
    ("where", "minutes", "paid"),
    [
        ({"route": 15}, 120, True),
        ({"route": 15}, 121, False),
        ({"route": 16}, 5, False),
        ({"route": 15, "direction": 1}, 5, False),
    ],
)
def test_t_70_another_vehicle_or_an_old_ride_is_no_payment(
    where: dict[str, object], minutes: int, paid: bool
) -> None:
    rider = Rider(policy=small())
    rider.tap(NOW, route=15)
    decision = rider.tap(NOW + timedelta(minutes=minutes), inspection=True, **where)
    assert decision.outcome.message is (Message.INSPECTION_PAID if paid else Message.INSPECTION_UNPAID)


def test_t_70_a_reload_is_no_ride() -> None:
    rider = Rider(policy=small()).rode(NOW, PaidBy.NOTHING, kind=EventKind.RELOAD)
    assert rider.tap(NOW, inspection=True).outcome.message is Message.INSPECTION_UNPAID


def test_t_71_misuse_is_reported_and_changes_nothing() -> None:
    rider = Rider(concessions=(PENSIONER,), policy=small(FREE))
    rider.tap(NOW)
    decision = rider.tap(NOW + timedelta(minutes=1), inspection=True, misuse=True)
    assert (decision.flags, decision.write_plan) == (("misuse",), None)
    assert rules(decision) == ["T-71", "T-70"]
    bare = Rider(policy=small(FREE)).tap(NOW, inspection=True, misuse=True)
    assert bare.flags == ()
