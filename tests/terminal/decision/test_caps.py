"""Caps: the public ClamCard and Tiger cases of the fares reference, and what holds for every cap.

Prices of those cases are in their own currency; here a unit is 100 kopecks.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.bus.caps import capped
from terminal.decision.outcome import Decision
from terminal.decision.tap import Trail, rebase
from terminal.policy.policy import Policy
from terminal.policy.scopes import Ride
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import FIRST, LAST, TODAY, Rider, local, trip_at

MIN = timedelta(minutes=1)
MONDAY = date(2026, 9, 14)
ZONE_A_B = '[[zones]]\nnumber = 1\nname = "a"\n[[zones]]\nnumber = 2\nname = "b"\n'


def matrix(rows: str) -> str:
    return f"by_medium = {{ transport_card = {rows}, bank_card = {rows}, cash = {rows} }}\n"


def tiers(*amounts: tuple[int, str]) -> str:
    return (
        "tiers = ["
        + "".join(f"{{ amount_minor = {sum_minor}{scope} }}," for sum_minor, scope in amounts)
        + "]\n"
    )


def inside(*zones: str) -> str:
    return f", scope = [{{ zones = {list(zones)} }}]"


def clam_card(*more: str) -> Policy:
    """Zone A 2.50, cap 7.00 a day; any ride with zone B 3.00, cap 8.00; A 40.00 and B 47.00 a week."""
    fares = (
        '[fares]\nbase_minor = 300\n[[fares.rules]]\nid = "clam"\nkind = "zone_table"\nzones = ["a", "b"]\n'
        f'base = "cash"\n{matrix("[[250, 300], [300, 300]]")}'
    )
    day = '[[caps]]\nkind = "amount_cap"\nid = "day"\nspent = "day_spent"\nlevel = "day_level"\n'
    week = '[[caps]]\nkind = "amount_cap"\nid = "week"\nspent = "week_spent"\nlevel = "week_level"\n'
    caps = week + tiers((4000, inside("a")), (4700, "")) + day + tiers((700, inside("a")), (800, ""))
    slots = """
{ name = "day_spent", bits = 5, period = "service_day", unit_minor = 50 },
{ name = "day_level", bits = 1, period = "service_day" },
{ name = "week_spent", bits = 7, period = "service_week", unit_minor = 50 },
{ name = "week_level", bits = 1, period = "service_week" },
"""
    return small(ZONE_A_B, caps, *more, fares=fares, slots=slots)


def rides(policy: Policy, *zones: str, day: date = TODAY, rider: Rider | None = None) -> list[int]:
    """What each ride costs; "ab" boards in A and leaves in B."""
    rider = rider or Rider(policy=policy, balance_minor=100_000)
    charges = []
    for number, way in enumerate(zones):
        zone, to_zone = ("ab".index(place) + 1 for place in way)
        now = local("08:00", day) + 30 * number * MIN
        charges.append(rider.tap(now, route=number % 7 + 1, zone=zone, to_zone=to_zone).outcome.charge_minor)
    return charges


@pytest.mark.parametrize(
    ("zones", "charges"),
    [
        (("aa", "aa", "aa", "aa"), [250, 250, 200, 0]),
        (("aa", "ab"), [250, 300]),
        (("aa", "aa", "aa", "ab"), [250, 250, 200, 100]),
        (("ab", "aa", "aa", "aa"), [300, 250, 250, 0]),
        (("bb", "bb", "bb"), [300, 300, 200]),
    ],
)
def test_clam_card_day_cap(zones: tuple[str, ...], charges: list[int]) -> None:
    assert rides(clam_card(), *zones) == charges


def test_clam_card_the_day_is_capped_first_and_then_the_week() -> None:
    """Seven days at the day's cap would be 49.00; the week takes 40.00, and 47.00 once zone B was ridden."""
    for way, week in (("aa", 4000), ("ab", 4700)):
        rider = Rider(policy=clam_card(), balance_minor=100_000)
        for day in range(7):
            rides(rider.policy, *[way] * 5, day=MONDAY + timedelta(days=day), rider=rider)
        assert 100_000 - rider.newest.balance_after_minor == week
        assert rides(rider.policy, way, day=MONDAY + timedelta(days=7), rider=rider) == [
            250 if way == "aa" else 300
        ]


def test_clam_card_a_dearer_ride_lifts_the_cap_of_the_week() -> None:
    rider = Rider(policy=clam_card(), balance_minor=100_000)
    for day in range(6):
        rides(rider.policy, "aa", "aa", "aa", day=MONDAY + timedelta(days=day), rider=rider)
    assert 100_000 - rider.newest.balance_after_minor == 4000
    assert rides(rider.policy, "aa", "ab", day=MONDAY + timedelta(days=6), rider=rider) == [0, 300]


def test_what_was_capped_is_flagged_and_told() -> None:
    rider = Rider(policy=clam_card(), balance_minor=100_000)
    rides(rider.policy, "aa", "aa", "aa", rider=rider)
    decision = rider.tap(local("12:00"), route=9, zone=1, to_zone=1)
    assert (decision.outcome.message.value, decision.outcome.charge_minor) == ("ok_paid", 0)
    assert decision.flags == ("capped",)
    cap = decision.facts[-1]
    assert (cap.rule, cap.inputs) == ("CAP", {"cap": "day", "limit_minor": 700, "fare_minor": 250})


# Tiger card: prices and caps by pair of zones and time of day


PEAK = """
[[timeframes]]
id = "peak"
windows = [
  { days = ["mon", "tue", "wed", "thu", "fri"], starts = 07:00:00, ends = 10:30:00, end_included = true },
  { days = ["mon", "tue", "wed", "thu", "fri"], starts = 17:00:00, ends = 20:00:00, end_included = true },
  { days = ["sat", "sun"], starts = 09:00:00, ends = 11:00:00, end_included = true },
  { days = ["sat", "sun"], starts = 18:00:00, ends = 22:00:00, end_included = true },
]
"""


def tiger() -> Policy:
    """Peak and off-peak 1-1 30/25, 1-2 35/30, 2-2 25/20; day caps 100, 120, 80; weeks 500, 600, 400."""
    fares = "[fares]\nbase_minor = 100\n" + "".join(
        f'[[fares.rules]]\nid = "{name}"\nkind = "zone_table"\n{when} = "peak"\nzones = ["a", "b"]\nbase = "cash"\n'
        + matrix(rows)
        for name, when, rows in (
            ("at_peak", "when", "[[3000, 3500], [3500, 2500]]"),
            ("off_peak", "except_when", "[[2500, 3000], [3000, 2000]]"),
        )
    )
    caps = "".join(
        f'[[caps]]\nkind = "amount_cap"\nid = "{period}"\nspent = "{period}_spent"\nlevel = "{period}_level"\n'
        + tiers((two, inside("b")), (one, inside("a")), (both, inside("a", "b")))
        for period, one, both, two in (("day", 10_000, 12_000, 8000), ("week", 50_000, 60_000, 40_000))
    )
    slots = """
{ name = "day_spent", bits = 8, period = "service_day", unit_minor = 500 },
{ name = "day_level", bits = 2, period = "service_day" },
{ name = "week_spent", bits = 8, period = "service_week", unit_minor = 500 },
{ name = "week_level", bits = 2, period = "service_week" },
"""
    return small(ZONE_A_B, PEAK, caps, fares=fares, slots=slots)


def tiger_rides(rider: Rider, *taps: tuple[str, int, int], day: date = MONDAY) -> list[int]:
    return [
        rider.tap(local(clock, day), route=n + 1, zone=zone, to_zone=to_zone).outcome.charge_minor // 100
        for n, (clock, zone, to_zone) in enumerate(taps)
    ]


def test_tiger_day_cap_of_the_dearest_pair() -> None:
    rider = Rider(policy=tiger(), balance_minor=100_000)
    taps = [(clock, 1, 2) for clock in ("19:30", "19:40", "19:50", "20:00")]
    assert tiger_rides(rider, *taps) == [35, 35, 35, 15]


@pytest.mark.parametrize(
    ("clock", "prices"), [("20:00:00", [30, 35, 25]), ("20:00:01", [25, 30, 20]), ("16:59:59", [25, 30, 20])]
)
def test_tiger_peak_and_off_peak(clock: str, prices: list[int]) -> None:
    pairs = ((1, 1), (1, 2), (2, 2))
    found = [tiger_rides(Rider(policy=tiger()), (clock, *pair))[0] for pair in pairs]
    assert found == prices


def test_tiger_a_dearer_pair_lifts_the_cap_within_the_day() -> None:
    rider = Rider(policy=tiger(), balance_minor=100_000)
    within = [(f"18:{minute}", 2, 2) for minute in (10, 20, 30, 40)]
    assert tiger_rides(rider, *within) == [25, 25, 25, 5]
    assert tiger_rides(rider, ("19:00", 1, 2), ("19:10", 1, 2)) == [35, 5]


def test_tiger_the_week_takes_what_the_days_leave() -> None:
    rider = Rider(policy=tiger(), balance_minor=200_000)
    taps = [(f"19:{minute}", 1, 2) for minute in (10, 20, 30, 40)]
    sums = [sum(tiger_rides(rider, *taps, day=MONDAY + timedelta(days=day))) for day in range(7)]
    assert sums == [120, 120, 120, 120, 120, 0, 0]
    assert sum(tiger_rides(rider, *taps, day=MONDAY + timedelta(days=7))) == 120


def test_a_ride_that_takes_nothing_from_the_purse_raises_no_cap() -> None:
    tram_pass = '[[products]]\nkind = "pass"\nid = 100\nname = "trams"\nscope = [{ modes = ["tram"] }]\n'
    cap = '[[caps]]\nkind = "amount_cap"\nid = "day"\nspent = "spent"\nlevel = "level"\n'
    cap += tiers((7000, ', scope = [{ modes = ["bus"] }]'), (20_000, ""))
    slots = """
{ name = "spent", bits = 8, period = "service_day", unit_minor = 500 },
{ name = "level", bits = 1, period = "service_day" },
"""
    policy, trams = small(tram_pass, cap, slots=slots), Contract(100, FIRST, LAST, 0)
    rider = Rider(policy=policy, contracts=(trams,), balance_minor=100_000)
    assert told(rider.tap(local("08:00"), mode="tram", route=77)) == ("ok_pass", 0)
    charges = [told(rider.tap(local(f"{9 + n:02}:00"), route=n + 1))[1] for n in range(3)]
    assert charges == [3500, 3500, 0]


# caps by rides, by concession, and what they leave alone


def trip_cap(more: str = "") -> Policy:
    concession = (
        '[[concessions]]\ncode = 1\nname = "half"\nfare = { kind = "percent_of_base", pays_percent = 50 }\n'
    )
    cap = f'[[caps]]\nkind = "trip_cap"\nid = "ten"\ncounter = "rides"\ntrips = 3\n{more}'
    return small(concession, cap, slots='{ name = "rides", bits = 4, period = "service_week" },')


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def test_after_so_many_paid_rides_in_the_week_the_others_are_free() -> None:
    rider = Rider(policy=trip_cap(), balance_minor=50_000)
    now = local("08:00", MONDAY)
    assert [told(rider.tap(now + n * 30 * MIN))[1] for n in range(5)] == [3500, 3500, 3500, 0, 0]
    assert told(rider.tap(now + timedelta(days=7)))[1] == 3500


def test_a_cap_may_be_for_one_concession_only() -> None:
    policy = trip_cap("concessions = [1]\n")
    now = local("08:00", MONDAY)
    everybody = Rider(policy=policy, balance_minor=50_000)
    assert [told(everybody.tap(now + n * 30 * MIN))[1] for n in range(5)] == [3500] * 5
    holder = Rider(policy=policy, balance_minor=50_000, concessions=(Concession(1, 0, FIRST, LAST),))
    assert [told(holder.tap(now + n * 30 * MIN))[1] for n in range(5)] == [2000, 2000, 2000, 0, 0]


def test_a_ride_that_the_week_made_free_is_no_paid_ride_of_the_month() -> None:
    week = '[[caps]]\nkind = "amount_cap"\nid = "week"\nspent = "spent"\ntiers = [{ amount_minor = 3500 }]\n'
    month = '[[caps]]\nkind = "trip_cap"\nid = "month"\ncounter = "rides"\ntrips = 9\n'
    slots = """
{ name = "spent", bits = 12, period = "service_week" },
{ name = "rides", bits = 4, period = "service_month" },
"""
    rider = Rider(policy=small(week, month, slots=slots), balance_minor=50_000)
    now = local("08:00", MONDAY)
    assert [told(rider.tap(now + n * 30 * MIN))[1] for n in range(3)] == [3500, 0, 0]
    assert rider.policy.card.by_name["rides"].read(rider.newest.counters) == 1


def test_a_ride_on_a_pass_does_not_raise_the_cap_of_the_purse() -> None:
    policy = clam_card('[[products]]\nkind = "pass"\nid = 100\nname = "pass"\n')
    rider = Rider(policy=policy, balance_minor=100_000, contracts=(Contract(100, FIRST, LAST, 0),))
    assert rider.tap(local("06:00"), zone=2, to_zone=2).outcome.message == "ok_pass"
    rider.contracts = ()
    assert rides(policy, "aa", "aa", "aa", rider=rider) == [250, 250, 200]


def test_companions_and_refused_rides_count_on_no_cap() -> None:
    rider = Rider(policy=trip_cap(), balance_minor=7000)
    now = local("08:00", MONDAY)
    assert told(rider.tap(now, companions=1)) == ("ok_paid", 7000)
    assert told(rider.tap(now + 30 * MIN))[0] == "no_funds"
    assert rider.policy.card.by_name["rides"].read(rider.newest.counters) == 1


def test_a_ride_that_is_refused_is_not_capped() -> None:
    rider = Rider(policy=clam_card(), balance_minor=600)
    assert rides(rider.policy, "aa", "aa", rider=rider) == [250, 250]
    refused = rider.tap(local("12:00"), route=9, zone=1, to_zone=1)
    assert (told(refused), refused.flags) == (("no_funds", 0), ())


def test_the_cap_of_a_day_ends_with_the_service_day() -> None:
    def charges(last: datetime) -> int:
        rider = Rider(policy=clam_card(), balance_minor=100_000)
        rides(rider.policy, "aa", "aa", "aa", "aa", rider=rider)
        return rider.tap(last, route=9, zone=1, to_zone=1).outcome.charge_minor

    assert charges(local("02:59:59", TODAY + timedelta(days=1))) == 0
    assert charges(local("03:00:00", TODAY + timedelta(days=1))) == 250


def amount_cap(name: str, amounts: str, more: str = "") -> str:
    return f'[[caps]]\nkind = "amount_cap"\nid = "{name}"\nspent = "{name}"\n{more}{amounts}'


SPENT = """
{ name = "day", bits = 8, period = "service_day", unit_minor = 500 },
{ name = "week", bits = 8, period = "service_week", unit_minor = 500 },
{ name = "rides", bits = 4, period = "service_month" },
{ name = "level", bits = 1, period = "service_day" },
"""
HALF_FARE = '[[concessions]]\ncode = 1\nname = "c"\nfare = { kind = "percent_of_base", pays_percent = 50 }\n'
TRIPS = '[[caps]]\nkind = "trip_cap"\nid = "trips"\ncounter = "rides"\ntrips = 15\n'


@pytest.mark.parametrize(
    "caps",
    [
        amount_cap("day", tiers((500, "")), "concessions = [1]\n") + amount_cap("week", tiers((7000, ""))),
        amount_cap("day", tiers((500, inside("b")))) + amount_cap("week", tiers((7000, ""))),
        amount_cap("week", tiers((7000, ""))) + TRIPS,
    ],
    ids=["another's cap", "a cap of elsewhere", "a cap by rides"],
)
def test_a_cap_that_does_not_hold_for_a_ride_leaves_the_others_as_they_are(caps: str) -> None:
    policy = small(ZONE_A_B, HALF_FARE, caps, slots=SPENT)
    assert rides(policy, *["aa"] * 4) == [3500, 3500, 0, 0]


def test_a_ride_that_is_in_no_tier_is_under_no_cap_and_counts_on_none() -> None:
    policy = small(ZONE_A_B, amount_cap("day", tiers((7000, inside("a")))), slots=SPENT)
    assert rides(policy, "bb", "bb", "bb", "aa", "aa", "aa") == [3500, 3500, 3500, 3500, 3500, 0]


def test_a_ride_in_a_place_that_is_not_known_is_capped_by_the_dearest_tier_it_may_be_in() -> None:
    caps = amount_cap("day", tiers((3500, inside("a")), (7000, inside("b"))), 'level = "level"\n')
    rider = Rider(policy=small(ZONE_A_B, caps, slots=SPENT), balance_minor=100_000)
    charges = [rider.tap(local("08:00") + 30 * n * MIN, route=n + 1).outcome.charge_minor for n in range(4)]
    assert charges == [3500, 3500, 0, 0]


@pytest.mark.parametrize(
    ("zone", "cheapest", "due_minor"), [(2, True, 2000), (1, True, 0), (0, True, 0), (0, False, 2000)]
)
def test_only_a_place_that_is_not_known_is_in_the_riders_favour(
    zone: int, cheapest: bool, due_minor: int
) -> None:
    """50.00 of the day are spent: zone a allows 35.00, zone b 70.00."""
    caps = amount_cap("day", tiers((3500, inside("a")), (7000, inside("b"))), 'level = "level"\n')
    policy = small(ZONE_A_B, caps, slots=SPENT)
    rider = Rider(policy=policy).rode(
        local("07:00"), counter_layout=1, counters=policy.card.by_name["day"].write(0, 10)
    )
    tap = rebase(rider.snapshot, policy, trip_at(), local("09:00"))
    ride = Ride("bus", 5, zone, zone, None)
    assert capped(tap, ride, None, 3500, tap.counters, Trail(), cheapest=cheapest)[0] == due_minor


def test_a_ride_that_takes_just_what_is_left_is_not_marked_as_capped() -> None:
    rider = Rider(policy=clam_card(), balance_minor=100_000)
    assert rides(rider.policy, "ab", "aa", rider=rider) == [300, 250]
    last = rider.tap(local("12:00"), route=9, zone=1, to_zone=1)
    assert (told(last), last.flags) == (("ok_paid", 250), ())


def test_a_level_that_no_tier_has_counts_as_the_dearest() -> None:
    policy = tiger()
    by_name = policy.card.by_name
    counters = by_name["day_level"].write(by_name["week_level"].write(0, 3), 3)
    rider = Rider(policy=policy, balance_minor=100_000)
    rider.rode(local("07:00"), counter_layout=1, counters=counters)
    assert tiger_rides(rider, *[("12:00", 2, 2), *[(f"18:{n}0", 2, 2) for n in range(5)]]) == [
        20,
        25,
        25,
        25,
        25,
        0,
    ]


@pytest.mark.parametrize("first", ["day", "week"])
def test_more_spent_than_a_cap_allows_makes_a_ride_free_and_gives_nothing_back(first: str) -> None:
    """A cheaper tier's day after a dearer one's, or a document with lower caps."""
    caps = amount_cap("day", tiers((3500, ""))) + amount_cap("week", tiers((7000, "")))
    policy = small(ZONE_A_B, caps, slots=SPENT)
    by_name = policy.card.by_name
    counters = by_name["week"].write(by_name["day"].write(0, 20 if first == "day" else 0), 40)
    rider = Rider(policy=policy, balance_minor=100_000).rode(
        local("07:00"), counter_layout=1, counters=counters
    )
    decision = rider.tap(local("09:00"), route=6)
    assert (told(decision), rider.newest.balance_after_minor) == (("ok_paid", 0), 100_000)
    assert rider.newest.counters == counters


def test_a_card_whose_counters_cannot_be_read_is_not_capped() -> None:
    rider = Rider(policy=clam_card(), balance_minor=100_000)
    rider.rode(local("07:00"), counter_layout=9, counters=2**56 - 1)
    decision = rider.tap(local("09:00"), zone=1, to_zone=1)
    assert (told(decision), rider.newest.counters) == (("ok_paid", 250), 2**56 - 1)
