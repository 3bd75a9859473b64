"""Fare rules of real towns and railways as documents: each is sound, and riders pay what they pay there."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.terminal.cli.conftest import Run

HEAD = """
[header]
id = "town"
version = 1
schema = 2
region = 93
valid_from = 2026-01-01T00:00:00+00:00
valid_to = 2027-01-01T00:00:00+00:00
currency = "{currency}"
time_zone = "UTC"
service_day_end_hour = 3

[messages]
languages = ["en"]

[profiles.bus]
media = ["transport_card"]
rights = {rights}

[profiles.canteen]
media = ["transport_card"]
rights = ["concession"]

[fares]
base_minor = {fare}
by_medium = {{ transport_card = {fare} }}
"""
RIGHTS = ["transfer", "return", "concession", "purse"]
SLOTS = {
    "rule": '{ name = "rule", bits = 2, period = "journey" }',
    "paid": '{ name = "paid", bits = 12, period = "journey" }',
    "entries": '{ name = "entries", bits = 3, period = "journey" }',
    "day": '{ name = "day", bits = 12, period = "service_day" }',
    "week": '{ name = "week", bits = 4, period = "service_week" }',
    "pair": '{ name = "pair", bits = 2, period = "service_day" }',
    "out": '{ name = "out", bits = 6, period = "kept" }',
    "hour": '{ name = "hour", bits = 8, period = "kept" }',
    "held": '{ name = "held", bits = 14, period = "kept" }',
    "boarded": '{ name = "boarded", bits = 2, period = "kept" }',
}


MESSAGES = {"": "ok_paid", "capped": "ok_paid", "in": "ok_checkin", "out": "ok_checkout"}
"""What a rider hears besides the sum: nothing where it is paid, 0 is a change."""


class Town(NamedTuple):
    """A fare rule as its riders know it: what it is in a document, and rides with what each costs.

    A ride: when it is tapped, what is known of it, and what is paid: 0 for a change, 0capped under a cap;
    in and 400out are the taps of a checked-in ride.
    """

    currency: str
    fare: int
    more: str
    counters: str
    riders: tuple[tuple[str, ...], ...]
    rights: str = ""


def flat(name: str, fare: int, more: str) -> str:
    return (
        f'[[fares.rules]]\nid = "{name}"\nkind = "flat"\nby_medium = {{ transport_card = {fare} }}\n{more}\n'
    )


def opens(name: str) -> str:
    return f'transfer = "{name}"\n'


def window(name: str, kind: str, window_s: int, transfers: str, more: str = "") -> str:
    return (
        f'[[transfers]]\nid = "{name}"\nkind = "{kind}"\nwindow_s = {window_s}\ntransfers = {transfers}\n'
        f'media = ["transport_card"]\n{more}\n'
    )


def day_cap(amount: int, scope: str = "") -> str:
    tier = f"{{ amount_minor = {amount}{', scope = ' + scope if scope else ''} }}"
    return f'[[caps]]\nkind = "amount_cap"\nid = "day"\nspent = "day"\ntiers = [{tier}]\n'


def zones(*names: str) -> str:
    return "".join(f'[[zones]]\nnumber = {i}\nname = "{name}"\n' for i, name in enumerate(names, start=1))


def between(names: str, matrix: str, more: str = "") -> str:
    return (
        f'[[fares.rules]]\nid = "zones"\nkind = "zone_table"\nzones = {names}\nbase = "transport_card"\n{more}\n'
        f"by_medium = {{ transport_card = {matrix} }}\n"
    )


UNLIMITED, ANY_ROUTE = '"unlimited"', 'same_route = "transfer"\n'

TOWNS = {
    "London: an hour of buses from the first tap, a tube ride between them does not matter, buses capped": Town(
        "GBP",
        175,
        opens("hopper")
        + flat("tube", 280, 'modes = ["metro"]\ntransfer = "none"')
        + window("hopper", "free_window", 3600, UNLIMITED, ANY_ROUTE + 'modes = ["bus", "tram"]')
        + day_cap(525, '[{ modes = ["bus", "tram"] }]'),
        "day",
        (
            (
                "08:00:00 route=1 mode=bus 175",
                "08:20:00 route=9 mode=metro 280",
                "08:40:00 route=1 mode=bus 0",
                "09:00:00 route=2 mode=tram 0",
                "09:00:01 route=3 mode=bus 175",
                "11:00:00 route=1 mode=bus 175",
                "13:00:00 route=1 mode=bus 0capped",
                "13:40:00 route=2 mode=bus 0",
                "13:30:00 route=9 mode=metro 280",
            ),
        ),
    ),
    "Tallinn: an hour on everything, at most 5.50 a day, and the day is over at 03:00": Town(
        "EUR",
        200,
        opens("hour") + window("hour", "free_window", 3600, UNLIMITED, ANY_ROUTE) + day_cap(550),
        "day",
        (
            (
                "08:00:00 route=1 200",
                "09:00:00 route=1 0",
                "10:00:00 route=2 200",
                "12:00:00 route=2 150",
                "14:00:00 route=2 0capped",
                "25:59:59 route=3 0capped",
                "27:00:00 route=2 200",
            ),
        ),
    ),
    "Prague: ninety minutes whatever one rides": Town(
        "CZK",
        4000,
        opens("ticket") + window("ticket", "free_window", 5400, UNLIMITED, ANY_ROUTE),
        "",
        (("08:00:00 route=1 mode=tram 4000", "09:30:00 route=1 mode=metro 0", "09:30:01 route=5 4000"),),
    ),
    "Toronto: two hours, stopping on the way as one likes": Town(
        "CAD",
        330,
        opens("two_hours") + window("two_hours", "free_window", 7200, UNLIMITED, ANY_ROUTE),
        "",
        (
            (
                "08:00:00 route=501 330",
                "08:30:00 route=501 0",
                "10:00:00 route=501 0",
                "10:00:01 route=504 330",
            ),
        ),
    ),
    "New York: one change within two hours, to an express bus for the difference, and a cap of rides": Town(
        "USD",
        290,
        opens("change")
        + flat("express", 700, "routes = [100]")
        + window("change", "top_up_window", 7200, "1", 'paid = "paid"')
        + '[[caps]]\nkind = "trip_cap"\nid = "week"\ncounter = "week"\ntrips = 3\n'
        "scope = [{ routes = [1, 2, 3] }]\n",
        "paid week",
        (
            (
                "08:00:00 route=1 290",
                "10:00:00 route=100 410",
                "10:30:00 route=2 290",
                "11:00:00 route=3 0",
                "11:30:00 route=1 290",
                "12:00:00 route=2 0",
                "15:00:00 route=1 0capped",
                "19:00:00 route=100 700",
            ),
            ("08:00:00 route=1 290", "10:00:01 route=100 700", "10:30:00 route=1 0"),
        ),
    ),
    "Chicago: two changes in two hours for a quarter each, the way back is one": Town(
        "USD",
        225,
        opens("change")
        + flat("rail", 250, 'modes = ["metro"]')
        + window("change", "reduced_window", 7200, "2", "price_minor = 25"),
        "",
        (
            (
                "08:00:00 route=1 225",
                "08:30:00 route=50 mode=metro 25",
                "09:00:00 route=1 direction=1 25",
                "09:10:00 route=2 225",
            ),
        ),
    ),
    "Lisbon: an hour, but the metro is entered once": Town(
        "EUR",
        185,
        opens("hour")
        + window("hour", "mixed_window", 3600, UNLIMITED, 'once = ["metro"]\ncounter = "entries"'),
        "entries",
        (
            (
                "08:00:00 route=1 185",
                "08:10:00 route=50 mode=metro 0",
                "08:30:00 route=2 0",
                "08:40:00 route=51 mode=metro 185",
            ),
        ),
    ),
    "Moscow: from the metro to the suburban train for the difference, and back for nothing": Town(
        "RUB",
        7500,
        opens("change")
        + flat("suburb", 11500, 'modes = ["train"]')
        + flat("airport", 50000, "routes = [900]\nmodes = ['bus']\ntransfer = \"none\"")
        + window("change", "top_up_window", 5400, UNLIMITED, 'paid = "dear"\nmodes = ["metro", "train"]'),
        "dear",
        (
            (
                "08:00:00 route=1 mode=metro 7500",
                "08:40:00 route=60 mode=train 4000",
                "09:20:00 route=2 mode=metro 0",
                "09:25:00 route=900 mode=bus 50000",
                "09:30:00 route=1 mode=metro 0",
                "09:30:01 route=60 mode=train 11500",
            ),
        ),
    ),
    "Helsinki: who rides on into a further zone buys an extension": Town(
        "EUR",
        310,
        opens("ticket")
        + zones("a", "b", "c")
        + between('["a", "b", "c"]', "[[310, 310, 450], [310, 310, 310], [450, 310, 310]]", 'modes = ["bus"]')
        + window("ticket", "top_up_window", 4800, UNLIMITED, 'paid = "paid"\n' + ANY_ROUTE),
        "paid",
        (
            (
                "08:00:00 route=1 mode=bus zone=1 to_zone=2 310",
                "08:30:00 route=1 mode=bus zone=2 to_zone=2 0",
                "08:40:00 route=5 mode=bus zone=1 to_zone=3 140",
                "09:20:00 route=5 mode=bus zone=3 to_zone=1 0",
                "09:20:01 route=6 mode=bus zone=3 to_zone=1 450",
            ),
        ),
    ),
    "A railway's return ticket: a tenth less within two days": Town(
        "EUR",
        500,
        flat("line", 1990, "routes = [20, 21]")
        + '[[returns]]\nid = "return"\nkind = "opposite_direction"\nroutes = [20, 21]\nwindow_s = 172800\n'
        'percent_off = 10\noutward = "out"\nbegan = "hour"\nstep_s = 3600\n',
        "out hour",
        (
            (
                "08:00:00 route=20 direction=1 1990",
                "20:00:00 route=5 500",
                "56:00:00 route=20 direction=0 1791",
                "60:00:00 route=20 direction=1 1990",
                "109:00:00 route=20 direction=0 1990",
            ),
        ),
    ),
    "A district's day return between two towns: two fifths less, for those who tap out as well": Town(
        "EUR",
        300,
        zones("north", "south", "port")
        + between(
            '["north", "south", "port"]',
            "[[200, 500, 900], [500, 200, 600], [900, 600, 200]]",
            "routes = [30]",
        )
        + '[[returns]]\nid = "day"\nkind = "zone_pair"\nzones = ["north", "port"]\nsame_service_day = true\n'
        'price_minor = 400\noutward = "pair"\n'
        '[checkin]\nscope = [{ routes = [30] }]\nlongest_s = 7200\nreserve = "held"\nzone = "boarded"\n'
        '[[concessions]]\ncode = 2\nname = "half"\nfare = { kind = "percent_of_base", pays_percent = 50 }\n',
        "pair held boarded",
        (
            (
                "08:00:00 route=30 zone=1 terminus_zone=3 in",
                "08:40:00 route=30 zone=3 900out",
                "26:30:00 route=30 direction=1 zone=3 terminus_zone=1 in",
                "27:10:00 route=30 direction=1 zone=1 400out",
            ),
            (
                "half",
                "08:00:00 route=30 zone=1 terminus_zone=3 in",
                "08:40:00 route=30 zone=3 450out",
                "17:00:00 route=30 direction=1 zone=3 terminus_zone=1 in",
                "17:40:00 route=30 direction=1 zone=1 400out",
                "18:00:00 route=30 zone=1 terminus_zone=3 in",
                "18:40:00 route=30 zone=3 450out",
                "19:00:00 route=30 direction=1 zone=3 terminus_zone=1 in",
                "19:20:00 route=30 direction=1 zone=2 300out",
                "27:10:00 route=30 direction=1 zone=3 terminus_zone=1 in",
                "27:50:00 route=30 direction=1 zone=1 450out",
            ),
        ),
    ),
    "Kyoto: one price, at most 700 yen a day": Town(
        "JPY",
        230,
        day_cap(700),
        "day",
        (("08:00:00 route=1 230", "09:00:00 route=1 230", "10:00:00 route=2 230", "11:00:00 route=2 10"),),
    ),
    "Kuwait: a quarter of a dinar, a change within the hour, the long line for the difference": Town(
        "KWD",
        250,
        opens("change")
        + flat("long", 500, "routes = [500]")
        + window("change", "top_up_window", 3600, "2", 'paid = "paid"'),
        "paid",
        (("08:00:00 route=1 250", "08:30:00 route=500 250", "08:40:00 route=2 0", "08:50:00 route=3 250"),),
    ),
    "Almaty: the express opens nothing, the night bus a window of its own": Town(
        "KZT",
        10000,
        opens("day_change")
        + '[[timeframes]]\nid = "night"\nwindows = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], '
        "starts = 23:00:00, ends = 00:00:00 }]\n"
        + flat("express", 20000, 'routes = [92]\ntransfer = "none"')
        + flat("night", 15000, 'routes = [30]\nwhen = "night"\ntransfer = "night_change"')
        + window("day_change", "free_window", 1800, "1")
        + window("night_change", "free_window", 7200, "3"),
        "rule",
        (
            (
                "08:00:00 route=92 20000",
                "08:10:00 route=1 10000",
                "08:20:00 route=92 0",
                "22:59:59 route=30 10000",
                "23:00:00 route=31 0",
                "23:40:00 route=30 15000",
                "25:40:00 route=1 0",
                "25:40:01 route=2 10000",
            ),
        ),
    ),
    "A ferry town: to the island and back on the day for the price of one and a half": Town(
        "NOK",
        4000,
        flat("ferry", 8000, 'routes = [3]\ntransfer = "none"')
        + opens("change").replace("transfer", "# transfer")
        + '[[returns]]\nid = "island"\nkind = "opposite_direction"\nroutes = [3]\nsame_service_day = true\n'
        'percent_off = 50\noutward = "ferry"\n',
        "ferry",
        (
            (
                "08:00:00 route=3 8000",
                "12:00:00 route=3 direction=1 4000",
                "12:30:00 route=3 8000",
                "26:59:59 route=3 direction=1 4000",
            ),
            ("08:00:00 route=3 direction=1 8000", "27:00:00 route=3 direction=0 8000"),
        ),
    ),
}
SLOTS |= {
    "dear": '{ name = "dear", bits = 10, period = "journey", unit_minor = 500 }',
    "ferry": '{ name = "ferry", bits = 3, period = "service_day" }',
}


def document(town: Town) -> str:
    rights = [right for right in RIGHTS if right in ("concession", "purse") or f"[[{right}s]]" in town.more]
    head = HEAD.format(currency=town.currency, fare=town.fare, rights=rights).replace("'", '"')
    names = town.counters.split()
    journey = 'journey = "rule"\n' if "rule" in names else ""
    slots = ",\n  ".join(SLOTS[name] for name in names)
    return f"{head}{town.more}\n[counters]\nlayout = 1\n{journey}slots = [\n  {slots}\n]\n"


def tap_line(number: int, ride: str) -> str:
    clock, *known, paid = ride.split()
    hours, rest = clock.split(":", 1)
    at = f"2026-02-{3 + int(hours) // 24:02}T{int(hours) % 24:02}:{rest}"
    fields = [
        f'{key} = "{value}"' if key == "mode" else f"{key} = {value}"
        for key, value in (one.split("=") for one in known)
    ]
    paid_minor = paid.rstrip("abcdefghijklmnopqrstuvwxyz")
    message = MESSAGES[paid[len(paid_minor) :]] if paid != "0" else "ok_transfer"
    expect = f'message = "{message}"' + (f", charge_minor = {paid_minor}" if paid_minor else "")
    return f"  {{ at = {at}, terminal = {number}, {', '.join(fields)}, expect = {{ {expect} }} }},"


def scenarios(town: Town) -> str:
    parts = [
        'schema = 1\nregion = "town"\nabout = "what riders pay"\n[cards.adult]\nbalance_minor = 300000\n'
    ]
    parts.append("[cards.half]\nbalance_minor = 300000\n")
    parts.append("concessions = [{ code = 2, valid_from = 2026-01-01, valid_to = 2026-12-31 }]\n")
    for number, rides in enumerate(town.riders):
        card = "half" if rides[0] == "half" else "adult"
        lines = "\n".join(
            tap_line(number, ride) for number, ride in enumerate(rides[card == "half" :], start=1)
        )
        parts.append(
            f'[[scenarios]]\nname = "{number}"\nrider = "{card}"\ncard = "{card}"\ntaps = [\n{lines}\n]\n'
        )
    return "".join(parts)


@pytest.mark.parametrize("name", TOWNS)
def test_riders_pay_what_they_pay_there(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "town.toml").write_text(document(TOWNS[name]), "utf-8")
    (tmp_path / "rides.toml").write_text(scenarios(TOWNS[name]), "utf-8")
    checked = run("policy", "check", "town.toml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    played = run("policy", "run", "town.toml", "rides.toml")
    assert played.returncode == 0, played.stdout + played.stderr
