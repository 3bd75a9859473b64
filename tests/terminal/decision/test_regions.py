"""The golden numbers of the five regions, as the sources of docs/rules.md state them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.bus.sale import may_sell
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.base import FareMedium
from terminal.policy.fares.index import MEDIA
from terminal.policy.load import REGIONS, load_region
from terminal.policy.policy import Policy
from terminal.policy.scopes import Ride
from tests.terminal.decision.rider import Rider, issued, trip_at

FIRST, LAST = date(2025, 1, 1), date(2027, 12, 31)
MIN = timedelta(minutes=1)
POLICIES = {
    name: Policy.of(load_region(name))
    for name in ("volgograd", "sakhalin", "tyumen", "novosibirsk", "st_petersburg")
}


def rider(
    region: str, *grants: int, products: tuple[tuple[int, int], ...] = (), balance_minor: int = 200_000
) -> Rider:
    """A card of the region with these concession codes and (product, trips)."""
    policy = POLICIES[region]
    new = issued(balance_minor)._replace(at=at(region, FIRST))
    return Rider(
        concessions=tuple(Concession(code, 0, FIRST, LAST) for code in grants),
        contracts=tuple(Contract(product, FIRST, LAST, trips) for product, trips in products),
        balance_minor=balance_minor,
        policy=policy,
        region=policy.document.header.region,
        event=new,
    )


def at(region: str, day: date, clock: str = "08:00") -> datetime:
    zone = POLICIES[region].zone
    assert isinstance(zone, ZoneInfo)
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone)


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def fares(region: str, day: date = date(2025, 11, 10)) -> list[int]:
    policy = POLICIES[region]
    found = (
        policy.ordinary_fare(Ride("bus", 5, 0, 0, None), at(region, day), medium=n) for n in range(len(MEDIA))
    )
    return [0 if quote is None else quote.fare_minor for quote in found]


def test_the_five_regions_are_supplied() -> None:
    assert set(POLICIES) <= {path.stem for path in REGIONS.glob("*.toml")}
    assert MEDIA == (FareMedium.TRANSPORT_CARD, FareMedium.BANK_CARD, FareMedium.CASH)


# Volgograd


def test_volgograd_fares_by_medium() -> None:
    assert fares("volgograd") == [2400, 3000, 3200]


def test_volgograd_social_pass_of_45_trips() -> None:
    holder, start = (
        rider("volgograd", products=((145, 45),), balance_minor=2400),
        at("volgograd", date(2025, 11, 1), "05:00"),
    )
    november, december = (Contract(145, date(2025, month, 1), LAST, 45) for month in (11, 12))
    holder.contracts = (november,)
    seen = [told(holder.tap(start + n * 10 * MIN, route=n + 1))[0] for n in range(47)]
    assert seen == ["ok_pack"] * 45 + ["pack_used_up", "no_funds"]
    assert told(holder.tap(at("volgograd", date(2025, 12, 1)), route=1)) == ("no_funds", 0)
    holder.contracts = (december,)
    assert told(holder.tap(at("volgograd", date(2025, 12, 1)), route=1)) == ("ok_pack", 0)


def test_volgograd_sixty_minutes_for_30_00() -> None:
    holder, start = rider("volgograd", products=((160, 0),)), at("volgograd", date(2025, 11, 10))
    seen = [told(holder.tap(start + minutes * MIN, route=minutes + 1)) for minutes in (0, 20, 40, 60, 61)]
    assert seen == [("ok_paid", 3000), *[("ok_transfer", 0)] * 3, ("ok_paid", 3000)]


def test_volgograd_120_minutes_for_25_00_and_then_10_00() -> None:
    holder, start = rider("volgograd", products=((161, 0),)), at("volgograd", date(2025, 11, 10))
    seen = [told(holder.tap(start + minutes * MIN, route=minutes + 1))[1] for minutes in (0, 60, 120, 121)]
    assert seen == [2500, 1000, 1000, 2500]


def test_volgograd_tram_only_pass_and_its_days_of_sale() -> None:
    start = at("volgograd", date(2025, 11, 10))
    assert told(rider("volgograd", products=((170, 0),)).tap(start, mode="tram"))[0] == "ok_pass"
    assert told(rider("volgograd", products=((170, 0),)).tap(start, mode="bus")) == ("ok_paid", 2400)
    sold = [
        may_sell(POLICIES["volgograd"], 170, date(2025, 11, 1), day).allowed
        for day in (date(2025, 10, 20), date(2025, 11, 5), date(2025, 11, 6))
    ]
    assert sold == [True, True, False]


@pytest.mark.parametrize(
    ("day", "message", "charge_minor"),
    [
        (date(2025, 5, 1), "ok_benefit", 1000),
        (date(2025, 10, 31), "ok_benefit", 1000),
        (date(2025, 11, 1), "benefit_out_of_season", 2400),
    ],
)
def test_volgograd_dacha_season(day: date, message: str, charge_minor: int) -> None:
    assert told(rider("volgograd", 41).tap(at("volgograd", day))) == (message, charge_minor)
    assert told(rider("volgograd", 40).tap(at("volgograd", day))) == ("ok_benefit", 1000)


def test_volgograd_the_purse_pays_for_several_a_plan_for_one() -> None:
    start = at("volgograd", date(2025, 11, 10))
    purse, plan = rider("volgograd"), rider("volgograd", products=((160, 0),))
    assert [told(purse.tap(start + timedelta(seconds=5 * n)))[0] for n in range(3)] == ["ok_paid"] * 3
    assert [told(plan.tap(start + timedelta(seconds=5 * n)))[0] for n in range(2)] == [
        "ok_paid",
        "already_paid",
    ]


# Sakhalin


def test_sakhalin_fares_by_medium() -> None:
    assert fares("sakhalin") == [3500, 3500, 4500]


@pytest.mark.parametrize(("minutes", "message"), [(45, "ok_transfer"), (46, "ok_paid")])
def test_sakhalin_transfer_in_45_minutes_with_the_transport_card_only(minutes: int, message: str) -> None:
    start, holder = at("sakhalin", date(2025, 11, 10)), rider("sakhalin")
    assert told(holder.tap(start)) == ("ok_paid", 3500)
    assert told(holder.tap(start + minutes * MIN, route=9))[0] == message
    bank = BankSnapshot(b"token", LAST)
    trips = (trip_at("bus", 7, n, route=n) for n in (1, 2))
    charges = [decide(bank, POLICIES["sakhalin"], trip, start).outcome.charge_minor for trip in trips]
    assert charges == [3500, 3500]


@pytest.mark.parametrize(("km", "cashless_minor"), [(0, 2600), (10, 5200), (40, 13_000)])
def test_sakhalin_distance_tariff_of_2023(km: int, cashless_minor: int) -> None:
    start, policy = at("sakhalin", date(2025, 11, 10)), POLICIES["sakhalin"]
    where = {"mode": "suburban_bus", "mark_m": 0, "to_mark_m": km * 1000}
    assert told(rider("sakhalin").tap(start, **where)) == ("ok_paid", cashless_minor)
    cash = policy.ordinary_fare(
        Ride("suburban_bus", 5, 0, 0, km * 1000), start, medium=MEDIA.index(FareMedium.CASH)
    )
    assert cash is not None
    assert cash.fare_minor == cashless_minor + 400


@pytest.mark.parametrize(
    ("day", "message"),
    [
        (date(2025, 8, 31), "benefit_out_of_season"),
        (date(2025, 9, 1), "ok_benefit_unlimited"),
        (date(2026, 5, 31), "ok_benefit_unlimited"),
        (date(2026, 6, 1), "benefit_out_of_season"),
    ],
)
def test_sakhalin_school_season(day: date, message: str) -> None:
    assert told(rider("sakhalin", 20).tap(at("sakhalin", day)))[0] == message


# Tyumen


def test_tyumen_fares_before_and_after_new_year() -> None:
    assert fares("tyumen", date(2025, 10, 15)) == [3500, 3500, 4000]
    assert fares("tyumen", date(2026, 1, 15))[2] == 4200


@pytest.mark.parametrize(
    ("code", "month", "trips", "price_minor"),
    [
        (2, date(2025, 10, 1), 54, 2000),
        (2, date(2025, 11, 1), 50, 2000),
        (2, date(2026, 1, 1), 54, 2100),
        (3, date(2025, 10, 1), 44, 800),
        (3, date(2026, 1, 1), 36, 840),
    ],
)
def test_tyumen_students_and_pupils(code: int, month: date, trips: int, price_minor: int) -> None:
    """Base 40.00, from 2026 on 42.00; half for students, a fifth for pupils; then the ordinary fare."""
    holder, start = rider("tyumen", code, balance_minor=300_000), at("tyumen", month, "05:00")
    first = holder.tap(start)
    assert (told(first), first.outcome.values) == (("ok_benefit", price_minor), {"n": trips - 1})
    for ride in range(1, trips):
        assert told(holder.tap(start + ride * 2 * timedelta(hours=1)))[0] == "ok_benefit"
    over = holder.tap(start + trips * 2 * timedelta(hours=1))
    assert told(over) == ("limit_reached", fares("tyumen", month)[0])
    assert told(holder.tap(start + trips * 2 * timedelta(hours=1) + 30 * MIN, route=9)) == ("ok_transfer", 0)


def test_tyumen_one_transfer_in_60_minutes() -> None:
    holder, start = rider("tyumen"), at("tyumen", date(2025, 10, 15))
    seen = [told(holder.tap(start + n * 20 * MIN, route=n + 1))[0] for n in range(3)]
    assert seen == ["ok_paid", "ok_transfer", "ok_paid"]


def test_tyumen_pensioners_ride_free() -> None:
    assert told(rider("tyumen", 1, balance_minor=0).tap(at("tyumen", date(2025, 10, 15)))) == (
        "ok_benefit_unlimited",
        0,
    )


# Novosibirsk


def test_novosibirsk_choice_a_keeps_its_trips_choice_b_is_unlimited() -> None:
    a, b = rider("novosibirsk", products=((530, 30),)), rider("novosibirsk", products=((531, 0),))
    october, november = at("novosibirsk", date(2025, 10, 15)), at("novosibirsk", date(2025, 11, 15))
    assert a.tap(october).outcome.values == {"n": 29}
    assert a.tap(november).outcome.values == {"n": 28}
    a.contracts = (Contract(530, FIRST, LAST, 60),)
    assert a.tap(november + 10 * MIN).outcome.values == {"n": 57}
    assert {told(b.tap(october + n * 10 * MIN))[0] for n in range(60)} == {"ok_pass"}
    prices = {
        sale.price_minor
        for sale in (
            may_sell(POLICIES["novosibirsk"], n, date(2025, 10, 1), date(2025, 10, 18)) for n in (530, 531)
        )
    }
    assert prices == {27_000}


def test_novosibirsk_pupils_ride_in_town_and_to_50_km() -> None:
    start = at("novosibirsk", date(2025, 10, 15))
    for km, message in ((50, "ok_pass"), (51, "ok_paid")):
        holder = rider("novosibirsk", products=((532, 0),))
        where = {"mode": "intercity_bus", "mark_m": 0, "to_mark_m": km * 1000}
        assert told(holder.tap(start, **where))[0] == message
    assert told(rider("novosibirsk", products=((532, 0),)).tap(start, mode="metro"))[0] == "ok_pass"


def test_novosibirsk_winter_grace() -> None:
    child = rider("novosibirsk", 30, balance_minor=0)
    winter = at("novosibirsk", date(2025, 11, 1))
    assert [told(child.tap(winter + n * 10 * MIN))[0] for n in range(4)] == ["ok_grace"] * 3 + ["debt"]
    autumn = rider("novosibirsk", 30, balance_minor=0).tap(at("novosibirsk", date(2025, 10, 31)))
    assert told(autumn)[0] == "no_funds"
    metro = rider("novosibirsk", 30, balance_minor=0).tap(winter, mode="metro")
    assert told(metro)[0] == "no_funds"


# St Petersburg


def test_st_petersburg_90_minutes_with_one_metro_entry() -> None:
    holder, start = rider("st_petersburg"), at("st_petersburg", date(2025, 11, 10))
    trip = [("bus", 0), ("metro", 20), ("tram", 50), ("metro", 60), ("bus", 151)]
    seen = [
        told(holder.tap(start + minutes * MIN, mode=mode, route=minutes + 1))[0] for mode, minutes in trip
    ]
    assert seen == ["ok_paid", "ok_transfer", "ok_transfer", "ok_paid", "ok_paid"]


@pytest.mark.parametrize(("minutes", "message"), [(20, "already_paid"), (21, "ok_pass")])
def test_st_petersburg_passes_wait_20_minutes(minutes: int, message: str) -> None:
    holder, start = rider("st_petersburg", products=((100, 0),)), at("st_petersburg", date(2025, 11, 10))
    holder.tap(start, mode="metro")
    assert told(holder.tap(start + minutes * MIN, mode="metro"))[0] == message


def test_st_petersburg_15_rides_a_day_on_a_pass() -> None:
    holder, start = (
        rider("st_petersburg", products=((100, 0),)),
        at("st_petersburg", date(2025, 11, 10), "05:00"),
    )
    seen = [told(holder.tap(start + n * 10 * MIN, route=n + 1))[0] for n in range(16)]
    assert seen == ["ok_pass"] * 15 + ["pass_used_up"]
