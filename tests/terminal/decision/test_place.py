"""T-61, T-07: what a place is worth that the vehicle stated some time ago, or not at all (ADR 32)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.bus.cash import decide_cash
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.policy import Policy
from terminal.trip.facts import NOWHERE, Place, PlaceQuality, PlaceSource, Spot, Trip
from terminal.trip.stated import restore, stated
from tests.terminal.decision.region import small
from tests.terminal.decision.rider import LAST, Rider, local, trip_at
from tests.terminal.decision.rider import MONTH_PASS as MONTH

NOW = local("08:00")
MIN = timedelta(minutes=1)
BOARDED, LEFT = NOW, NOW + 20 * MIN
MATRIX = "[[1000, 2000, 3000], [2000, 1000, 2500], [3000, 2500, 1500]]"
ZONES = "".join(f'[[zones]]\nnumber = {n}\nname = "z{n}"\n' for n in (1, 2, 3))
FARES = f"""
[fares]
base_minor = 3000
by_medium = {{ transport_card = 800, bank_card = 850, cash = 900 }}
[[fares.rules]]
id = "zones"
kind = "zone_table"
modes = ["tram"]
zones = ["z1", "z2", "z3"]
base = "cash"
by_medium = {{ transport_card = {MATRIX}, bank_card = {MATRIX}, cash = {MATRIX} }}
"""
CHECK_IN = """
[checkin]
scope = [{ modes = ["tram"] }]
longest_s = 7200
reserve = "held"
zone = "boarded"
"""
SLOTS = """
{ name = "held", bits = 13, period = "kept" },
{ name = "boarded", bits = 2, period = "kept" },
"""
DEAREST = 'unknown_fare = "dearest"'
AT = {"mode": "tram", "place_source": "vehicle", "origin_zone": 1, "terminus_zone": 3}


def region(vehicle: str = "", *parts: str, bus: str = "") -> Policy:
    return small(ZONES, CHECK_IN, f"[vehicle]\n{vehicle}\n", *parts, fares=FARES, slots=SLOTS, bus=bus)


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def codes(decision: Decision, rule: str = "") -> list[str]:
    return [fact.code for fact in decision.facts if fact.rule.startswith(rule)]


def aboard(policy: Policy, zone: int = 2) -> Rider:
    """A rider who has checked in where the vehicle knew its place."""
    rider = Rider(policy=policy)
    assert rider.tap(BOARDED, **AT, zone=zone).outcome.message == "ok_checkin"
    return rider


# ---------------------------------------------------------------- where a ride begins


FRESH = {"zone": 2, "place_age_s": 60}
STALE = {"zone": 2, "place_age_s": 61}
OLD = {"zone": 2, "place_age_s": 601}
CONTRADICTED = {"zone": 2, "place_quality": "contradicted"}
MISSING = {"place_source": "unknown"}


@pytest.mark.parametrize(
    ("known", "held_minor", "flags", "said"),
    [
        pytest.param(FRESH, 2500, (), [], id="fresh"),
        pytest.param(STALE, 2500, ("place_estimated",), ["t-61:place_stale"], id="stale"),
        pytest.param(
            {**STALE, "place_age_s": 600}, 2500, ("place_estimated",), ["t-61:place_stale"], id="ten"
        ),
        pytest.param(
            {"zone": 2, "place_quality": "estimated"},
            2500,
            ("place_estimated",),
            ["t-61:place_estimated"],
            id="estimated",
        ),
        pytest.param(
            OLD,
            3000,
            ("place_unknown", "place_estimated"),
            ["t-61:place_too_old", "t-07:from_first_stop"],
            id="old",
        ),
        pytest.param(
            CONTRADICTED,
            3000,
            ("place_unknown", "place_estimated"),
            ["t-61:place_contradicted", "t-07:from_first_stop"],
            id="contradicted",
        ),
        pytest.param(MISSING, 3000, ("place_estimated",), ["t-07:from_first_stop"], id="missing"),
    ],
)
def test_t_07_a_ride_begins_at_the_last_known_stop_or_at_the_first_of_the_direction(
    known: dict[str, object], held_minor: int, flags: tuple[str, ...], said: list[str]
) -> None:
    rider = Rider(policy=region())
    decision = rider.tap(BOARDED, **AT | known)
    assert (told(decision), decision.outcome.values) == (("ok_checkin", 0), {"held_minor": held_minor})
    assert (decision.flags, codes(decision)[: len(said)]) == (flags, said)
    boarded = rider.policy.card.by_name["boarded"].read(rider.newest.counters)
    assert boarded == (1 if held_minor == 3000 else 2)


def test_t_07_a_region_may_hold_the_dearest_fare_and_charge_the_cheapest() -> None:
    rider = Rider(policy=region('unknown_place = "dearest"'))
    decision = rider.tap(BOARDED, **AT | MISSING)
    assert (decision.outcome.values, decision.flags) == ({"held_minor": 3000}, ("place_unknown",))
    assert codes(decision)[0] == "t-07:boarding_unknown"
    left = rider.tap(LEFT, **AT, zone=2)
    assert (told(left), left.flags) == (("ok_checkout", 1000), ("place_unknown",))


def test_t_07_a_region_may_refuse_a_ride_whose_beginning_is_not_known_but_no_right_that_covers_it() -> None:
    policy = region('unknown_place = "refuse"', '[[products]]\nkind = "pass"\nid = 100\nname = "month"\n')
    decision = Rider(policy=policy).tap(BOARDED, **AT | MISSING)
    assert (told(decision), decision.write_plan) == (("fare_unknown", 0), None)
    assert codes(decision) == ["t-07:boarding_unknown", "t-01:fare_unknown"]
    holder = Rider(policy=policy, contracts=(MONTH,))
    assert told(holder.tap(BOARDED, **AT | MISSING)) == ("ok_checkin", 0)


def test_t_07_without_a_first_stop_the_dearest_fare_is_held() -> None:
    decision = Rider(policy=region()).tap(BOARDED, mode="tram", terminus_zone=2)
    assert (decision.outcome.values, decision.flags) == ({"held_minor": 2500}, ("place_unknown",))


def test_t_61_what_the_driver_entered_has_no_age() -> None:
    decision = Rider(policy=region()).tap(BOARDED, **AT | OLD | {"place_source": "hand"})
    assert (decision.outcome.values, decision.flags) == ({"held_minor": 2500}, ("position_manual",))


# ---------------------------------------------------------------- where it ends


@pytest.mark.parametrize(
    ("known", "charge_minor", "flags", "said"),
    [
        pytest.param(FRESH | {"coming_zone": 3}, 1000, (), [], id="fresh"),
        pytest.param(FRESH | {"coming_zone": 3, "arriving": True}, 2500, (), [], id="arriving"),
        pytest.param(
            STALE | {"coming_zone": 3}, 1000, ("place_estimated",), ["t-07:cheaper_stop"], id="last"
        ),
        pytest.param(
            STALE | {"zone": 3, "coming_zone": 2},
            1000,
            ("place_estimated",),
            ["t-07:cheaper_stop"],
            id="coming",
        ),
        pytest.param(STALE | {"zone": 3}, 2500, ("place_estimated",), [], id="stale, nothing comes"),
        pytest.param(
            {"zone": 3, "coming_zone": 2, "place_quality": "estimated"},
            1000,
            ("place_estimated",),
            ["t-07:cheaper_stop"],
            id="estimated",
        ),
        pytest.param(OLD, 1000, ("place_unknown",), ["t-07:cheapest_ride"], id="old"),
        pytest.param(
            OLD | {"coming_zone": 3, "arriving": True},
            1000,
            ("place_unknown",),
            ["t-07:cheapest_ride"],
            id="old, and what comes is as old",
        ),
        pytest.param(
            CONTRADICTED | {"zone": 3}, 1000, ("place_unknown",), ["t-07:cheapest_ride"], id="contradicted"
        ),
        pytest.param(MISSING, 1000, ("place_unknown",), ["t-07:cheapest_ride"], id="missing"),
    ],
)
def test_t_07_a_ride_ends_where_it_costs_the_rider_least(
    known: dict[str, object], charge_minor: int, flags: tuple[str, ...], said: list[str]
) -> None:
    decision = aboard(region()).tap(LEFT, **AT | known)
    assert (told(decision), decision.flags) == (("ok_checkout", charge_minor), flags)
    assert codes(decision, "T-07")[:-1] == said


def test_t_07_a_region_may_take_the_last_stop_until_the_doors_open() -> None:
    left = aboard(region('between_stops = "last"')).tap(LEFT, **AT | FRESH, coming_zone=3, arriving=True)
    assert told(left) == ("ok_checkout", 1000)


def test_t_61_the_region_says_how_old_a_place_may_be() -> None:
    policy = region("fresh_s = 5\nstale_s = 20")
    assert aboard(policy).tap(LEFT, **AT, zone=3, place_age_s=5).flags == ()
    assert aboard(policy).tap(LEFT, **AT, zone=3, place_age_s=6).flags == ("place_estimated",)
    assert aboard(policy).tap(LEFT, **AT, zone=3, place_age_s=21).flags == ("place_unknown",)


# ---------------------------------------------------------------- paid at once: cash, bank cards, plain rides


BANK = BankSnapshot(b"token", LAST)


@pytest.mark.parametrize(
    ("known", "price_minor", "flags"),
    [
        pytest.param(FRESH, 2500, (), id="fresh"),
        pytest.param(STALE, 2500, ("place_estimated",), id="stale"),
        pytest.param(OLD, 3000, ("place_unknown",), id="old"),
        pytest.param(CONTRADICTED, 3000, ("place_unknown",), id="contradicted"),
        pytest.param(MISSING, 3000, (), id="missing"),
    ],
)
def test_t_01_what_is_paid_at_once_to_the_terminus(
    known: dict[str, object], price_minor: int, flags: tuple[str, ...]
) -> None:
    """An unknown place is no zone with a price of its own: the dearest fare to the terminus counts."""
    policy = region(bus=DEAREST)
    trip = trip_at(route=5, turn=1, **AT | known)
    sold = decide_cash(policy, trip, 1, NOW)
    assert (sold.sum_minor, sold.flags) == (price_minor, flags)
    bank = decide(BANK, policy, trip, NOW)
    assert (bank.outcome.charge_minor, bank.flags) == (price_minor, (*flags, "deferred"))


def test_t_01_where_the_document_refuses_an_unknown_fare_an_old_place_does_not_price_a_ride() -> None:
    sold = decide_cash(region(), trip_at(route=5, turn=1, **AT | OLD, to_zone=3), 1, NOW)
    assert (sold.sum_minor, sold.message) == (None, "fare_unknown")


# ---------------------------------------------------------------- what no place can change


ZONE = st.integers(0, 3)
PLACES = st.builds(
    Place,
    zone=ZONE,
    source=st.sampled_from(PlaceSource),
    quality=st.sampled_from(PlaceQuality),
    age_s=st.sampled_from([0, 60, 61, 600, 601, 90_000]),
    coming=st.builds(Spot, zone=ZONE),
    arriving=st.booleans(),
    origin=st.builds(Spot, zone=ZONE),
    terminus=st.builds(Spot, zone=ZONE),
)
BOARDINGS = ("first_stop", "dearest", "refuse")
POLICIES = {name: region(f'unknown_place = "{name}"', bus=DEAREST) for name in BOARDINGS}


def tram(place: Place, **facts: object) -> Trip:
    return structs.replace(trip_at(route=5, turn=1, mode="tram", **facts), place=place)


@given(place=PLACES, exact=st.integers(1, 3), boarding=st.sampled_from(BOARDINGS), start=PLACES)
def test_t_07_an_exit_never_costs_more_than_at_the_place_it_really_was(
    place: Place, exact: int, boarding: str, start: Place
) -> None:
    """An estimate lies between its two stops; an unknown place may be anywhere."""
    policy = POLICIES[boarding]
    rider = Rider(policy=policy)
    decide_in = decide(rider.snapshot, policy, tram(start), BOARDED)
    if decide_in.write_plan is None:
        return
    rider.event = decide_in.write_plan.event
    left = decide(rider.snapshot, policy, tram(place), LEFT)
    vehicle = place.source is PlaceSource.VEHICLE
    unknown = vehicle and (place.quality is PlaceQuality.CONTRADICTED or place.age_s > 600)
    estimated = vehicle and not unknown and (place.age_s > 60 or place.quality is PlaceQuality.ESTIMATED)
    if unknown or not place.zone:
        possible = {exact}
    elif estimated:
        possible = {place.zone, place.coming.zone or place.zone}
    else:
        return
    for zone in possible:
        there = tram(Place(zone=zone, source=PlaceSource.VEHICLE))
        assert left.outcome.charge_minor <= decide(rider.snapshot, policy, there, LEFT).outcome.charge_minor


@given(place=PLACES, persons=st.integers(1, 3))
def test_t_61_no_place_changes_a_flat_fare(place: Place, persons: int) -> None:
    """Nor lets a vehicle's network switch it off."""
    policy, rider = region(), Rider()
    flat, nowhere = (
        structs.replace(trip_at(route=5, turn=1, companions=persons - 1), place=one)
        for one in (place, Place())
    )
    for card in (replace(rider.snapshot, uid=bytes(7)), BANK):
        told, plain = (decide(card, policy, trip, NOW) for trip in (flat, nowhere))
        assert told.outcome == plain.outcome
        assert told.write_plan == plain.write_plan
    assert decide_cash(policy, flat, persons, NOW).sum_minor == persons * 900


@given(place=PLACES, boarding=st.sampled_from(BOARDINGS), inside=st.booleans())
def test_t_70_a_razzia_changes_no_decision(place: Place, boarding: str, inside: bool) -> None:
    policy = POLICIES[boarding]
    rider = aboard(policy) if inside else Rider(policy=policy)
    with_one, without = (
        decide(rider.snapshot, policy, tram(place, razzia=one), LEFT) for one in (True, False)
    )
    assert with_one == without


@given(place=PLACES)
def test_t_61_the_vehicle_s_zone_0_is_never_a_fare(place: Place) -> None:
    """Every charge of a zone fare is one of the table, whatever of the place is missing."""
    decision = decide_cash(POLICIES["dearest"], tram(structs.replace(place, zone=0, coming=NOWHERE)), 1, NOW)
    assert decision.sum_minor in (2000, 2500, 3000)


@given(place=PLACES, boarding=st.sampled_from(BOARDINGS), inside=st.booleans())
def test_what_a_row_states_of_a_place_leads_to_the_same_decision(
    place: Place, boarding: str, inside: bool
) -> None:
    policy = POLICIES[boarding]
    rider, trip = (aboard(policy) if inside else Rider(policy=policy)), tram(place)
    again = restore(trip_at(route=5, turn=1), stated(trip))
    assert again == trip
    assert decide(rider.snapshot, policy, again, LEFT) == decide(rider.snapshot, policy, trip, LEFT)
