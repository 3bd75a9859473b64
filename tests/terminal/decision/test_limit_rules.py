"""How often and where rights hold: T-10 to T-20, T-37."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from cardproto.resident.records.event import PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.outcome import Decision, Message
from terminal.policy.policy import Policy
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, TODAY, Rider, local, rules

NOW = local("08:00")
SOON = timedelta(minutes=10)
FREE = Concession(1, 0, FIRST, LAST)
CONCESSION = """
[[concessions]]
code = 1
name = "one"
fare = { kind = "free" }
"""
MONTH = '{ name = "month", bits = 8, period = "service_month" },'
PASS = '[[products]]\nkind = "pass"\nid = 100\nname = "pass"\n'


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def counter(rider: Rider, name: str) -> int:
    return rider.policy.card.by_name[name].read(rider.newest.counters)


def counted(rider: Rider, **values: int) -> Rider:
    """Put counters on the card, as of an issue on the day before."""
    counters = 0
    for name, value in values.items():
        counters = rider.policy.card.by_name[name].write(counters, value)
    return rider.rode(NOW - timedelta(days=1), PaidBy.NOTHING, counter_layout=1, counters=counters)


# packs: T-10, T-11


def packs(lapses: str, most: str = "") -> Policy:
    return small(
        f'[[products]]\nkind = "trip_pack"\nid = 30\nname = "30"\ntrips = 30\nlapses = "{lapses}"\n{most}'
    )


def test_t_11_trips_carried_over_are_those_the_reload_point_added_to_the_contract() -> None:
    rider = Rider(
        contracts=(Contract(30, FIRST, LAST, 30),), policy=packs("with_contract", "most_trips = 90\n")
    )
    assert rider.tap(NOW).outcome.values == {"n": 29}
    october = local("12:00", date(2026, 10, 2))
    decision = rider.tap(october)
    assert (decision.outcome.values, rules(decision)) == ({"n": 28}, ["T-11"])
    rider.contracts = (Contract(30, FIRST, LAST, 60),)
    assert rider.tap(october + SOON).outcome.values == {"n": 57}
    rider.contracts = (Contract(30, FIRST, LAST, 255),)
    assert rider.tap(october + 2 * SOON).outcome.values == {"n": 86}, "never more than most_trips"


def test_t_10_a_pack_that_lapses_says_so_by_its_rule() -> None:
    rider = Rider(contracts=(Contract(30, FIRST, LAST, 30),), policy=packs("monthly"))
    assert rules(rider.tap(NOW)) == ["T-10"]


# one line for each thing


def test_each_right_that_ran_out_has_its_own_line_and_a_plan_at_its_fare_has_none() -> None:
    limits = 'limits = [{ kind = "trips", trips = 1, counter = "month" }]\n'
    pack = '[[products]]\nkind = "trip_pack"\nid = 30\nname = "30"\ntrips = 30\nlapses = "monthly"\n'
    plan = '[[products]]\nkind = "plan"\nid = 60\nname = "plan"\nfare_minor = 3000\n'
    policy = small(CONCESSION + limits, PASS + limits, pack, plan, slots=MONTH)
    of_pass, of_pack = Contract(100, FIRST, LAST, 0), Contract(30, FIRST, LAST, 1)
    for right, lines in (
        ({"contracts": (of_pass,)}, ["ok_pass", "pass_used_up"]),
        ({"contracts": (of_pack,)}, ["ok_pack", "pack_used_up"]),
        ({"concessions": (FREE,)}, ["ok_benefit", "limit_reached"]),
    ):
        rider = Rider(policy=policy, **right)
        taps = [told(rider.tap(NOW + n * SOON, route=n + 1)) for n in range(2)]
        assert taps == [(lines[0], 0), (lines[1], 3500)]
    rider = Rider(policy=policy, contracts=(of_pack, Contract(60, FIRST, LAST, 0)))
    taps = [told(rider.tap(NOW + n * SOON, route=n + 1)) for n in range(2)]
    assert taps == [("ok_pack", 0), ("ok_paid", 3000)], "the full fare was not charged"


# calendars: T-12


BY_CALENDAR = """
limits = [{ kind = "calendar_trips", calendar = "students", trips_per_day = 2, counter = "month" }]
"""


CALENDAR_ALL_YEARS = (
    '[[trip_calendars]]\nid = "students"\nmonths = [\n'
    + "".join(
        f'  {{ month = "{2025 + n // 12}-{n % 12 + 1:02d}", days = {0 if n % 12 == 9 else 2} }},\n'
        for n in range(60)
    )
    + "]\n"
)


def calendar_policy() -> Policy:
    return small(CONCESSION + BY_CALENDAR, CALENDAR_ALL_YEARS, slots=MONTH)


def test_t_12_two_trips_for_each_eligible_day_of_the_month() -> None:
    rider = Rider(concessions=(FREE,), policy=calendar_policy())
    seen = [rider.tap(NOW + n * SOON, route=n + 1).outcome for n in range(5)]
    assert [outcome.values.get("n") for outcome in seen] == [3, 2, 1, 0, None]
    assert seen[-1].message is Message.LIMIT_REACHED


def test_t_12_a_month_without_eligible_days_gives_none() -> None:
    rider = Rider(concessions=(FREE,), policy=calendar_policy())
    assert told(rider.tap(local("08:00", date(2026, 10, 5)))) == ("limit_reached", 3500)
    assert rider.tap(local("08:00", date(2026, 11, 5))).outcome.values == {"n": 3}


@pytest.mark.parametrize(("clock", "left"), [("02:59:59", 2), ("03:00", 3)])
def test_t_14_the_month_of_a_trip_is_that_of_its_service_day(clock: str, left: int) -> None:
    rider = Rider(concessions=(FREE,), policy=calendar_policy())
    rider.tap(local("12:00", date(2026, 11, 30)))
    assert rider.tap(local(clock, date(2026, 12, 1)), route=9).outcome.values == {"n": left}


# one counter for several rights


def test_two_rights_that_name_one_counter_share_its_visits() -> None:
    shared = 'limits = [{ kind = "trips", trips = 3, counter = "month" }]\n'
    second = CONCESSION.replace("code = 1", "code = 4")
    policy = small(CONCESSION + shared, second + shared, slots=MONTH)
    rider = Rider(concessions=(FREE,), policy=policy)
    rider.tap(NOW)
    rider.concessions = (Concession(4, 0, FIRST, LAST),)
    assert rider.tap(NOW + SOON, route=6).outcome.values == {"n": 1}
    assert counter(rider, "month") == 2


@pytest.mark.parametrize(
    ("period", "before", "after"),
    [
        ("service_day", ("02:59:59", date(2026, 9, 16)), ("03:00:00", date(2026, 9, 16))),
        ("service_week", ("02:59:59", date(2026, 9, 21)), ("03:00:00", date(2026, 9, 21))),
        ("service_month", ("02:59:59", date(2026, 10, 1)), ("03:00:00", date(2026, 10, 1))),
        ("half_year", ("02:59:59", date(2027, 1, 1)), ("03:00:00", date(2027, 1, 1))),
        ("year", ("02:59:59", date(2027, 1, 1)), ("03:00:00", date(2027, 1, 1))),
    ],
)
def test_t_14_every_period_begins_anew_with_a_service_day(
    period: str, before: tuple[str, date], after: tuple[str, date]
) -> None:
    limit = 'limits = [{ kind = "trips", trips = 1, counter = "c" }]\n'
    policy = small(CONCESSION + limit, slots=f'{{ name = "c", bits = 1, period = "{period}" }},')
    for (clock, day), message in ((before, "limit_reached"), (after, "ok_benefit")):
        rider = Rider(concessions=(FREE,), policy=policy)
        rider.tap(NOW)
        assert told(rider.tap(local(clock, day), route=9))[0] == message


def test_a_week_begins_on_the_day_the_document_names() -> None:
    limit = 'limits = [{ kind = "trips", trips = 1, counter = "c" }]\n'
    slots = '{ name = "c", bits = 1, period = "service_week" },'
    policy = small(CONCESSION + limit, slots=slots, counters='week_starts = "thu"')
    rider = Rider(concessions=(FREE,), policy=policy)
    rider.tap(NOW)  # a Tuesday
    assert told(rider.tap(local("12:00", date(2026, 9, 16)), route=9))[0] == "limit_reached"
    assert told(rider.tap(local("12:00", date(2026, 9, 17)), route=9))[0] == "ok_benefit"


# seasons: T-15


@pytest.mark.parametrize(
    ("first", "last", "day", "holds"),
    [
        ("09-01", "05-31", date(2026, 9, 1), True),
        ("09-01", "05-31", date(2026, 8, 31), False),
        ("09-01", "05-31", date(2027, 5, 31), True),
        ("09-01", "05-31", date(2027, 6, 1), False),
        ("09-01", "05-31", date(2026, 12, 31), True),
        ("05-01", "10-31", date(2026, 10, 31), True),
        ("05-01", "10-31", date(2026, 11, 1), False),
        ("11-01", "02-29", date(2028, 2, 29), True),
        ("11-01", "02-29", date(2028, 3, 1), False),
        ("11-01", "02-29", date(2027, 2, 28), True),
        ("11-01", "02-29", date(2027, 3, 1), False),
        ("02-29", "02-29", date(2028, 2, 29), True),
    ],
)
def test_t_15_outside_the_season_the_concession_sleeps(first: str, last: str, day: date, holds: bool) -> None:
    policy = small(CONCESSION + f'season = {{ first = "{first}", last = "{last}" }}\n')
    grant = Concession(1, 0, date(2025, 1, 1), date(2029, 12, 31))
    decision = Rider(concessions=(grant,), policy=policy).tap(local("12:00", day))
    assert told(decision) == (("ok_benefit_unlimited", 0) if holds else ("benefit_out_of_season", 3500))
    assert ("T-15" in rules(decision)) != holds


@pytest.mark.parametrize(
    ("clock", "message"), [("02:59:59", "ok_benefit_unlimited"), ("03:00", "benefit_out_of_season")]
)
def test_t_15_the_season_ends_with_its_last_service_day(clock: str, message: str) -> None:
    policy = small(CONCESSION + 'season = { first = "09-01", last = "05-31" }\n')
    grant = Concession(1, 0, FIRST, date(2027, 12, 31))
    assert told(Rider(concessions=(grant,), policy=policy).tap(local(clock, date(2027, 6, 1))))[0] == message


# scopes: T-17


SCOPED = 'scope = [{ modes = ["tram"] }, { routes = [15], zones = ["centre"] }, { longest_m = 50000 }]\n'
CENTRE = '[[zones]]\nnumber = 1\nname = "centre"\n[[zones]]\nnumber = 2\nname = "suburb"\n'


@pytest.mark.parametrize(
    ("where", "covered"),
    [
        ({"mode": "tram"}, True),
        ({"mode": "bus"}, False),
        ({"route": 15, "zone": 1}, True),
        ({"route": 15, "zone": 1, "to_zone": 1}, True),
        ({"route": 15, "zone": 1, "to_zone": 2}, False),
        ({"route": 15}, False),
        ({"route": 16, "zone": 1}, False),
        ({"mark_m": 0, "to_mark_m": 50_000}, True),
        ({"mark_m": 0, "to_mark_m": 50_001}, False),
    ],
)
def test_t_17_a_pass_or_concession_may_hold_on_some_rides_only(
    where: dict[str, object], covered: bool
) -> None:
    policy = small(CENTRE, CONCESSION + SCOPED, PASS + SCOPED)
    by_pass = Rider(contracts=(Contract(100, FIRST, LAST, 0),), policy=policy).tap(NOW, **where)
    assert told(by_pass)[0] == ("ok_pass" if covered else "ok_paid")
    by_concession = Rider(concessions=(FREE,), policy=policy).tap(NOW, **where)
    assert told(by_concession)[0] == ("ok_benefit_unlimited" if covered else "ok_paid")
    assert ("T-17" in rules(by_pass)) == ("T-17" in rules(by_concession)) == (not covered)


# winter grace: T-18


GRACE = """
[grace]
concessions = [1]
season = { first = "11-01", last = "03-31" }
scope = [{ modes = ["bus", "tram"] }]
trips = 3
counter = "debt"
"""
WINTER = local("08:00", date(2026, 12, 10))


def child(balance_minor: int = 0, bus: str = "") -> Rider:
    half = CONCESSION.replace('"free"', '"percent_of_base", pays_percent = 50')
    policy = small(half, GRACE, slots='{ name = "debt", bits = 2, period = "kept" },', bus=bus)
    return Rider(concessions=(FREE,), balance_minor=balance_minor, policy=policy)


def test_t_18_three_unpaid_rides_and_then_none_until_cleared_in_person() -> None:
    rider = child()
    for ride in range(3):
        decision = rider.tap(WINTER + ride * SOON, route=ride + 1)
        assert told(decision) == ("ok_grace", 0)
        assert decision.outcome.values == {"n": 2 - ride}
        assert (rider.newest.paid_by, decision.flags) == (PaidBy.GRACE, ("grace",))
    refused = rider.tap(WINTER + timedelta(days=100))
    assert (refused.outcome.message, refused.write_plan) == (Message.DEBT, None)
    rider.event = rider.newest
    rider.rode(WINTER, PaidBy.NOTHING, counter_layout=1, counters=rider.newest.counters)
    rider.balance_minor = 50_000
    assert told(rider.tap(WINTER + SOON))[0] == "debt", "money alone does not clear it"
    rider.rode(WINTER, PaidBy.NOTHING, counter_layout=1, counters=0, balance_after_minor=50_000)
    assert told(rider.tap(WINTER + SOON)) == ("ok_benefit_unlimited", 2000)


def test_t_35_the_last_ride_on_credit_tapped_twice_is_one_ride() -> None:
    rider = child()
    for ride in range(3):
        rider.tap(WINTER + ride * SOON, route=ride + 1)
    last = WINTER + 2 * SOON
    assert told(rider.tap(last + timedelta(seconds=2), route=3))[0] == "already_paid"
    assert told(rider.tap(last + timedelta(seconds=61), route=3))[0] == "debt"


@pytest.mark.parametrize(
    ("day", "mode", "message"),
    [
        (date(2026, 11, 1), "bus", "ok_grace"),
        (date(2026, 10, 31), "bus", "no_funds"),
        (date(2027, 3, 31), "tram", "ok_grace"),
        (date(2027, 4, 1), "tram", "no_funds"),
        (date(2026, 12, 1), "metro", "no_funds"),
    ],
)
def test_t_18_holds_in_its_season_and_on_its_modes(day: date, mode: str, message: str) -> None:
    assert told(child().tap(local("12:00", day), mode=mode))[0] == message


def test_t_18_is_for_its_concession_only_and_money_comes_first() -> None:
    assert told(child(balance_minor=2000).tap(WINTER)) == ("ok_benefit_unlimited", 2000)
    assert told(child(balance_minor=1999).tap(WINTER)) == ("ok_grace", 0)
    stranger = child()
    stranger.concessions = ()
    assert told(stranger.tap(WINTER))[0] == "no_funds"
    expired = child()
    expired.concessions = (Concession(1, 0, FIRST, date(2026, 12, 9)),)
    assert told(expired.tap(WINTER))[0] == "no_funds"


@pytest.mark.parametrize("terminal", [7, 8])
def test_t_35_a_second_tap_of_the_last_ride_on_credit_lets_the_child_in(terminal: int) -> None:
    rider = child()
    for ride in range(3):
        rider.tap(WINTER + ride * SOON, route=5)
    last = WINTER + 2 * SOON
    assert told(rider.tap(last + timedelta(seconds=1), route=5, terminal=terminal)) == ("already_paid", 0)
    assert told(rider.tap(last + timedelta(seconds=90), route=5, terminal=terminal)) == ("debt", 0)


def test_o_09_a_debt_is_refused_without_deny_lists_too() -> None:
    rider = child(bus="deny_lists = false")
    for ride in range(3):
        rider.tap(WINTER + ride * SOON, route=ride + 1)
    assert told(rider.tap(WINTER + 4 * SOON))[0] == "debt"


# city and suburb: T-19


def omsk() -> Policy:
    """30 city trips; suburban ones are counted apart, 5 of them [S35]."""
    limits = """
limits = [
  { kind = "trips", trips = 30, counter = "city", scope = [{ zones = ["centre"] }] },
  { kind = "trips", trips = 5, counter = "suburban", scope = [{ touching = ["suburb"] }] },
]
"""
    slots = """
{ name = "city", bits = 5, period = "service_month" },
{ name = "suburban", bits = 3, period = "service_month" },
"""
    return small(CENTRE, CONCESSION + limits, slots=slots)


def test_t_19_city_and_suburban_trips_are_counted_apart_on_one_route() -> None:
    rider = counted(Rider(concessions=(FREE,), policy=omsk()), city=29)
    assert rider.tap(NOW, zone=1, to_zone=1).outcome.values == {"n": 0}
    assert told(rider.tap(NOW + SOON, zone=1, to_zone=1))[0] == "limit_reached"
    suburban = rider.tap(NOW + 2 * SOON, zone=1, to_zone=2)
    assert (told(suburban)[0], suburban.outcome.values) == ("ok_benefit", {"n": 4})
    assert (counter(rider, "city"), counter(rider, "suburban")) == (30, 1)
    assert rules(suburban)[-1] == "T-19"


def test_t_19_a_ride_of_which_nobody_knows_counts_as_both() -> None:
    rider = Rider(concessions=(FREE,), policy=omsk())
    assert rider.tap(NOW).outcome.values == {"n": 4}
    assert (counter(rider, "city"), counter(rider, "suburban")) == (1, 1)


# companions: T-20


def with_companion(fare: str = '"free"', passback: str = '["concession"]', most: int = 1) -> Policy:
    companions = f'companions = {{ most = {most}, counter = "others" }}\n'
    limit = 'limits = [{ kind = "trips", trips = 9, counter = "month" }]\n'
    guards = f"[guards]\npassback_s = 300\npassback_rights = {passback}\n"
    return small(
        CONCESSION.replace('"free"', fare) + companions + limit,
        guards,
        slots=MONTH + '{ name = "others", bits = 4, period = "service_day" },',
    )


def test_t_20_the_second_tap_is_the_companion_and_the_third_is_a_pass_back() -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion())
    assert told(rider.tap(NOW)) == ("ok_benefit", 0)
    companion = rider.tap(NOW + timedelta(seconds=10))
    assert (told(companion), rules(companion)) == (("ok_benefit_unlimited", 0), ["T-20"])
    assert counter(rider, "month") == 1, "a companion uses up no trip"
    assert told(rider.tap(NOW + timedelta(seconds=20)))[0] == "already_paid"


def test_t_20_the_next_ride_may_take_a_companion_again() -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion())
    for clock in ("08:00:00", "08:00:10"):
        rider.tap(local(clock))
    assert told(rider.tap(local("09:00:00")))[0] == "ok_benefit"
    assert told(rider.tap(local("09:00:10")))[0] == "ok_benefit_unlimited"
    assert counter(rider, "month") == 2


@pytest.mark.parametrize(("seconds", "message"), [(300, "ok_benefit_unlimited"), (301, "ok_benefit")])
def test_t_20_a_companion_comes_within_the_time_of_pass_back(seconds: int, message: str) -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion())
    rider.tap(NOW)
    assert told(rider.tap(NOW + timedelta(seconds=seconds)))[0] == message


def test_t_20_a_card_whose_counters_cannot_be_read_takes_no_companion() -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion())
    rider.rode(NOW, PaidBy.CONCESSION_A, counter_layout=9, counters=0)
    assert told(rider.tap(NOW + timedelta(seconds=10)))[0] == "already_paid"


def test_t_20_a_companion_pays_what_the_holder_pays() -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion('"percent_of_base", pays_percent = 50', most=2))
    rider.tap(NOW)
    assert [told(rider.tap(NOW + timedelta(seconds=10 * n)))[1] for n in (1, 2)] == [2000, 2000]
    assert told(rider.tap(NOW + timedelta(seconds=30)))[0] == "already_paid"


def test_t_20_a_companion_without_the_grant_is_not_covered() -> None:
    policy = small(CONCESSION, '[guards]\npassback_rights = ["concession"]\n')
    rider = Rider(concessions=(FREE,), policy=policy)
    rider.tap(NOW)
    assert told(rider.tap(NOW + timedelta(seconds=10)))[0] == "already_paid"


@pytest.mark.parametrize(("companions", "charge_minor"), [(0, 0), (1, 0), (2, 3500), (3, 7000)])
def test_t_20_the_conductor_may_count_companions_in_one_tap(companions: int, charge_minor: int) -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion())
    decision = rider.tap(NOW, companions=companions)
    assert told(decision) == ("ok_benefit", charge_minor)
    assert ("t-20:companions" in [reason.code for reason in decision.facts]) is (companions > 0)
    assert told(rider.tap(NOW + timedelta(seconds=9)))[0] == (
        "already_paid" if companions else "ok_benefit_unlimited"
    )


@pytest.mark.parametrize(("counted", "charge_minor"), [(0, 2000), (1, 4000), (2, 4000 + 3500)])
def test_t_20_those_counted_with_a_companion_s_own_tap_are_companions_too(
    counted: int, charge_minor: int
) -> None:
    rider = Rider(
        concessions=(FREE,),
        policy=with_companion('"percent_of_base", pays_percent = 50', most=2),
        balance_minor=50_000,
    )
    rider.tap(NOW)
    decision = rider.tap(NOW + timedelta(seconds=10), companions=counted)
    assert told(decision) == ("ok_benefit_unlimited", charge_minor)
    assert counter(rider, "others") == min(1 + counted, 2)


def test_t_20_companions_beyond_the_grant_need_the_money() -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion(), balance_minor=3499)
    assert rider.tap(NOW, companions=2).outcome.message is Message.NO_FUNDS


@pytest.mark.parametrize(("companions", "charge_minor", "taken_along"), [(0, 0, 1), (1, 0, 2), (2, 3500, 2)])
def test_t_20_persons_counted_with_a_companion_ride_as_far_as_the_grant_goes(
    companions: int, charge_minor: int, taken_along: int
) -> None:
    rider = Rider(concessions=(FREE,), policy=with_companion(most=2))
    rider.tap(NOW)
    decision = rider.tap(NOW + timedelta(seconds=10), companions=companions)
    assert told(decision) == ("ok_benefit_unlimited", charge_minor)
    assert counter(rider, "others") == taken_along


# daily ceiling: T-37


def test_t_37_a_pass_may_have_a_daily_ceiling() -> None:
    limits = 'limits = [{ kind = "trips", trips = 15, counter = "day" }]\n'
    policy = small(PASS + limits, slots='{ name = "day", bits = 4, period = "service_day" },')
    rider = Rider(contracts=(Contract(100, FIRST, LAST, 0),), policy=policy)
    for ride in range(15):
        decision = rider.tap(NOW + ride * SOON, route=ride + 1)
        assert (told(decision)[0], rules(decision)) == ("ok_pass", ["K-02", "T-37"])
    over = rider.tap(NOW + 15 * SOON, route=99)
    assert (told(over), rules(over)) == (("pass_used_up", 3500), ["K-02", "T-13", "T-01"])
    assert told(rider.tap(local("03:00", TODAY + timedelta(days=1)), route=1))[0] == "ok_pass"


# from the first ride


TIMED = '[[products]]\nkind = "timed_pass"\nid = 24\nname = "24 h"\nlength_s = 86400\n'


def timed(first: date = FIRST, last: date = LAST, **options: object) -> Rider:
    return Rider(contracts=(Contract(24, first, last, 0),), policy=small(TIMED, bits=16, **options))


@pytest.mark.parametrize(
    ("started", "ended", "message"),
    [
        ("08:00:00", "08:00:00", "ok_pass"),
        ("08:00:00", "08:00:01", "ok_paid"),
        ("08:00:30", "08:01:00", "ok_pass"),
        ("08:00:30", "08:01:01", "ok_paid"),
    ],
)
def test_a_timed_pass_runs_from_its_first_ride_to_the_minute(started: str, ended: str, message: str) -> None:
    rider = timed()
    first = rider.tap(local(started))
    assert (told(first)[0], first.outcome.values) == ("ok_pass", {"date": "2026-09-16"})
    assert counter(rider, "pack_a") == 14 * 1440 + 8 * 60 + (2 if started > "08:00:00" else 1)
    assert told(rider.tap(local(ended, TODAY + timedelta(days=1)), route=9))[0] == message


def test_a_timed_pass_starts_within_its_contract_and_may_end_after_it() -> None:
    assert told(timed(last=TODAY - timedelta(days=1)).tap(NOW))[0] == "ok_paid"
    assert told(timed(first=TODAY + timedelta(days=1)).tap(NOW))[0] == "ok_paid"
    rider = timed(last=TODAY)
    rider.tap(local("23:00"))
    assert told(rider.tap(local("22:00", TODAY + timedelta(days=1)), route=9))[0] == "ok_pass"


def test_a_timed_pass_first_used_too_late_is_not_started() -> None:
    rider = timed(first=TODAY - timedelta(days=46))
    assert told(rider.tap(NOW)) == ("ok_paid", 3500)
    assert counter(rider, "pack_a") == 0


def test_a_timed_pass_bought_anew_starts_anew() -> None:
    rider = timed()
    rider.tap(NOW)
    later = local("12:00", TODAY + timedelta(days=5))
    rider.contracts = (Contract(24, TODAY + timedelta(days=5), LAST, 0),)
    assert told(rider.tap(later))[0] == "ok_pass"


# two contracts on one card

LOST = date(2026, 8, 31)
"""A last day before today's."""
PACK_30 = '[[products]]\nkind = "trip_pack"\nid = 30\nname = "30"\ntrips = 30\nlapses = "monthly"\n'
PACK_31 = PACK_30.replace("30", "31")
KEPT_32 = '[[products]]\nkind = "trip_pack"\nid = 32\nname = "32"\ntrips = 32\nlapses = "with_contract"\n'
PLAN_60 = '[[products]]\nkind = "plan"\nid = 60\nname = "plan"\nfare_minor = 3000\n'
PLAN_61 = '[[products]]\nkind = "plan"\nid = 61\nname = "plan"\nfare_minor = 2000\n'
ELSEWHERE = '[[products]]\nkind = "pass"\nid = 101\nname = "elsewhere"\nscope = [{ routes = [9] }]\n'
ONE_RIDE = (
    '[[products]]\nkind = "pass"\nid = 102\nname = "one ride"\n'
    'limits = [{ kind = "trips", trips = 1, counter = "month" }]\n'
)
IN_JUNE = date(2026, 6, 1)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (Contract(101, FIRST, LAST, 0), Contract(100, FIRST, LAST, 0), ("ok_pass", 0)),
        (Contract(100, IN_JUNE, LOST, 0), Contract(100, FIRST, LAST, 0), ("ok_pass", 0)),
        (Contract(60, FIRST, LAST, 0), Contract(100, FIRST, LAST, 0), ("ok_pass", 0)),
        (Contract(60, FIRST, LAST, 0), Contract(30, FIRST, LAST, 30), ("ok_pack", 0)),
        (Contract(30, IN_JUNE, LOST, 30), Contract(31, FIRST, LAST, 31), ("ok_pack", 0)),  # not today
        (Contract(30, IN_JUNE, LAST, 30), Contract(31, FIRST, LAST, 31), ("ok_pack", 0)),  # lapsed
        (Contract(30, FIRST, LAST, 0), Contract(31, FIRST, LAST, 31), ("ok_pack", 0)),  # used up
        (Contract(30, FIRST, LAST, 0), Contract(61, FIRST, LAST, 0), ("ok_paid", 2000)),
        (Contract(60, IN_JUNE, LOST, 0), Contract(61, FIRST, LAST, 0), ("ok_paid", 2000)),
    ],
)
def test_a_contract_that_does_not_hold_hides_none_behind_it(
    first: Contract, second: Contract, said: tuple[str, int]
) -> None:
    policy = small(PASS, ELSEWHERE, PACK_30, PACK_31, PLAN_60, PLAN_61)
    assert told(Rider(contracts=(first, second), policy=policy).tap(NOW)) == said


def test_a_pass_whose_rides_are_used_hides_no_other() -> None:
    contracts = (Contract(102, FIRST, LAST, 0), Contract(100, FIRST, LAST, 0))
    rider = Rider(contracts=contracts, policy=small(PASS, ONE_RIDE, slots=MONTH))
    assert [told(rider.tap(NOW + ride * SOON * 6))[0] for ride in (0, 1)] == ["ok_pass", "ok_pass"]
    assert rider.newest.paid_by is PaidBy.CONTRACT_B


def test_of_two_packs_that_cannot_be_read_both_are_noted() -> None:
    contracts = (Contract(30, FIRST, LAST, 30), Contract(31, FIRST, LAST, 31))
    rider = Rider(contracts=contracts, policy=small(PACK_30, PACK_31)).rode(NOW - SOON * 60, counter_layout=9)
    assert [reason.code for reason in rider.tap(NOW).facts].count("o-04:count_unreadable") == 2
