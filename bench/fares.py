"""Fares: CPU of a decision on the largest region document, its load time and memory; flat in the number of fares."""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from bench.result import Result, at_most, in_turns_us, median_us
from cardproto.resident.records.event import Event, EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.deny_list import DenyKind, build_deny_list, load_deny_list
from terminal.policy.grants import LocalGrants, build_grants, load_grants
from terminal.policy.keyed_file import ListIssue
from terminal.policy.load import REGIONS, load_region, parse_region
from terminal.policy.policy import Policy
from terminal.trip.facts import Freshness, Place, PlaceSource, Spot, Trip

NOW = datetime(2026, 9, 15, 5, 30, tzinfo=UTC)
LAST = date(2029, 12, 31)
LARGEST = 100
"""Zones of the largest document: ten thousand fares for each medium."""

HEAD = """
[header]
id = "largest"
version = 1
schema = 2
region = 34
valid_from = 2025-01-01T03:00:00+03:00
valid_to = 2030-01-01T03:00:00+03:00
currency = "RUB"
time_zone = "Europe/Volgograd"
[messages]
languages = ["ru", "en"]
[profiles.bus]
media = ["transport_card", "bank_card", "cash"]
rights = ["pass", "pack", "transfer", "concession", "plan", "purse"]
unknown_fare = "dearest"
[profiles.canteen]
media = ["transport_card"]
rights = ["concession"]
[guards]
passback_rights = ["pass", "pack", "plan"]
[counters]
layout = 1
contracts = ["pack_a", "pack_b"]
slots = [
  { name = "month", bits = 8, period = "service_month" },
  { name = "pack_a", bits = 8, period = "contract" },
  { name = "pack_b", bits = 8, period = "contract" },
  { name = "metro", bits = 1, period = "journey" },
  { name = "day_spent", bits = 11, period = "service_day", unit_minor = 50 },
  { name = "day_tier", bits = 1, period = "service_day" },
  { name = "week_spent", bits = 13, period = "service_week", unit_minor = 50 },
  { name = "companions", bits = 2, period = "service_day" },
  { name = "debt", bits = 2, period = "kept" },
]
[[transfers]]
id = "mixed"
kind = "mixed_window"
window_s = 5400
transfers = "unlimited"
once = ["metro"]
counter = "metro"
media = ["transport_card"]
[[caps]]
kind = "amount_cap"
id = "day"
spent = "day_spent"
level = "day_tier"
tiers = [{ amount_minor = 40000, scope = [{ modes = ["bus"] }] }, { amount_minor = 80000 }]
[[caps]]
kind = "amount_cap"
id = "week"
spent = "week_spent"
tiers = [{ amount_minor = 300000 }]
[[timeframes]]
id = "peak"
windows = [{ days = ["mon", "tue", "wed", "thu", "fri"], starts = 07:00:00, ends = 10:00:00 }]
[fares]
base_minor = 4000
transfer = "mixed"
by_medium = { transport_card = 3500, bank_card = 3600, cash = 4000 }
"""
GRACE = """
[grace]
concessions = [1]
season = { first = "11-01", last = "03-31" }
scope = [{ modes = ["bus", "tram"] }]
trips = 3
counter = "debt"
"""


def text_of(zones: int) -> str:
    """A document with everything in it and a fare for every pair of `zones`."""
    return HEAD + "\n".join([*_zones(zones), *_routes(), *_concessions(), *_products(), GRACE])


def _zones(zones: int) -> Iterator[str]:
    for number in range(1, zones + 1):
        yield f'[[zones]]\nnumber = {number}\nname = "zone_{number}"'
    rows = [[2000 + 100 * abs(start - end) for end in range(zones)] for start in range(zones)]
    names = [f"zone_{number}" for number in range(1, zones + 1)]
    yield '[[fares.rules]]\nid = "zones"\nkind = "zone_table"\nmodes = ["bus"]\nbase = "cash"'
    yield f"zones = {names}\n[fares.rules.by_medium]"
    yield from (f"{medium} = {rows}" for medium in ("transport_card", "bank_card", "cash"))


def _routes() -> Iterator[str]:
    for route in range(1, 101):
        for when, more in (("when", 500), ("except_when", 0)):
            prices = f"{{ transport_card = {3000 + 100 * route + more}, bank_card = 9000, cash = 9000 }}"
            yield f'[[fares.rules]]\nid = "tram_{route}_{when}"\nkind = "flat"\nmodes = ["tram"]'
            yield f'routes = [{route}]\n{when} = "peak"\nby_medium = {prices}'


def _rules(count: int) -> Iterator[str]:
    """A fare of its own for each of `count` routes."""
    for route in range(FIRST_OWN_ROUTE, FIRST_OWN_ROUTE + count):
        prices = "{ transport_card = 3100, bank_card = 3200, cash = 3300 }"
        yield f'[[fares.rules]]\nid = "own_{route}"\nkind = "flat"\nmodes = ["tram"]'
        yield f"routes = [{route}]\nby_medium = {prices}"


def _concessions() -> Iterator[str]:
    for code in range(1, 101):
        yield f'[[concessions]]\ncode = {code}\nname = "ground {code}"'
        yield "fare = { kind = 'percent_of_base', pays_percent = 50 }"
        yield 'limits = [{ kind = "trips", trips = 60, counter = "month" }]'
        yield 'season = { first = "09-01", last = "05-31" }\nscope = [{ modes = ["bus", "tram", "metro"] }]'
        yield 'companions = { most = 1, counter = "companions" }'


def _products() -> Iterator[str]:
    for product in range(1, 31):
        kind = ("pass", "trip_pack")[product % 2]
        extra = 'trips = 45\nlapses = "monthly"' if product % 2 else ""
        yield f'[[products]]\nkind = "{kind}"\nid = {product}\nname = "product {product}"\n{extra}'


FIRST_OWN_ROUTE = 1001
RULES = 10_000
TAPS = {
    "purse": ((), (), None),
    "concession": ((1,), (), None),
    "pack": ((), (1,), None),
    "pass": ((), (2,), None),
    "transfer": ((), (), 1200),
    "three concessions, two contracts": ((1, 2, 3), (99, 1), None),
}
"""Concession codes, products, and the age of an open journey."""


def card(codes: tuple[int, ...], products: tuple[int, ...], journey_age_s: int | None) -> CardSnapshot:
    first, month = (
        date(2026, 1, 1),
        NOW.date().replace(day=1),
    )  # trips of another month would have lapsed (T-10)
    rights = Rights(
        region=34,
        pseudonym=bytes(8),
        valid_from=first,
        valid_to=LAST,
        issued_on=first,
        revision=1,
        concessions=(*(Concession(code, 0, first, LAST) for code in codes), None, None, None)[:3],
        contracts=(*(Contract(product, month, LAST, 45) for product in products), None, None)[:2],
    )
    event = Event(
        kind=EventKind.RIDE,
        at=NOW - timedelta(minutes=20),
        terminal=9,
        sequence=1,
        balance_after_minor=100_000,
        amount_minor=3500,
        route=7,
        journey_age_s=journey_age_s,
        paid_by=PaidBy.PURSE,
        counter_layout=1,
    )
    return CardSnapshot(bytes(7), rights, event)


LISTED = 200_000
"""Entries of each list of a terminal with every source on."""
SOURCES = "all sources on: the vehicle's place, a deny list and a list of grants, each of 200 000"
HEARD = Place(
    source=PlaceSource.VEHICLE, age_s=3, coming=Spot(zone=2), origin=Spot(zone=1), terminus=Spot(zone=9)
)


def with_lists(policy: Policy, folder: Path) -> Policy:
    """`policy` with lists that name none of the bench's cards."""
    key, issue = bytes(16), ListIssue(1, 34, NOW)
    grants = LocalGrants(NOW.date(), (None, None, None))
    cards = ((DenyKind.CARD, number.to_bytes(7, "big")) for number in range(1, LISTED + 1))
    holders = ((number.to_bytes(8, "big"), grants) for number in range(1, LISTED + 1))
    build_deny_list(folder / "deny", key, issue, cards)
    build_grants(folder / "grants", key, issue, holders)
    deny, granted = load_deny_list(folder / "deny", key), load_grants(folder / "grants", key)
    return replace(policy, deny_list=deny, grants=granted)


def decision(
    policy: Policy, snapshot: CardSnapshot, zones: int, *, own_routes: int = 0
) -> Callable[[], Decision]:
    """One decision in which the fare is looked up in the middle of the zone table, or on the last of `own_routes`."""
    place = replace(HEARD, zone=1, destination=Spot(zone=min(zones, 30)))
    ages = Freshness(deny_list_age_s=3600, grants_age_s=3600, document_age_s=3600)
    route, mode = (FIRST_OWN_ROUTE + own_routes - 1, "tram") if own_routes else (5, "bus")
    trip = Trip("bus", 7, 1, shift=1, route=route, mode=mode, place=place, freshness=ages)
    assert decide(snapshot, policy, trip, NOW).outcome.accepted
    return lambda: decide(snapshot, policy, trip, NOW)


def decisions() -> Iterator[Result]:
    """Each kind of tap on the largest document; the purse tap with and without lists, with few and many fares."""
    policy, purse = Policy.of(parse_region(text_of(LARGEST), "largest")), card(*TAPS["purse"])
    with tempfile.TemporaryDirectory() as folder:
        listed = with_lists(policy, Path(folder))
        for name, state in TAPS.items():
            took_us = median_us(decision(listed, card(*state), LARGEST))
            yield at_most(f"decision, {name}, largest document", took_us, "us CPU", 25, SOURCES)
        pair = decision(policy, purse, LARGEST), decision(listed, purse, LARGEST)
        yield _against("decision, with both lists against none", 1.25, *pair)
    small = Policy.of(parse_region(text_of(3), "small"))
    yield _against(
        "decision, 10 000 fares over 9", 1.2, decision(small, purse, 3), decision(policy, purse, LARGEST)
    )
    yield _against("decision, 10 000 rules over 10", 1.2, *(_with_rules(count) for count in (10, RULES)))


def _against(name: str, limit: float, first: Callable[[], object], second: Callable[[], object]) -> Result:
    few, many = in_turns_us(first, second)
    return at_most(name, many / few, "times", limit, f"{few:.1f} and {many:.1f} us")


def _with_rules(count: int) -> Callable[[], Decision]:
    policy = Policy.of(parse_region("\n".join([text_of(3), *_rules(count)]), "rules"))
    return decision(policy, card(*TAPS["purse"]), 3, own_routes=count)


def loading() -> Iterator[Result]:
    """Text to `Policy`: the largest document, and the largest bundled one."""
    yield at_most(
        "load of the largest document", _load_ms(text_of(LARGEST)), "ms CPU", 150, "10 000 fares per medium"
    )
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(REGIONS.glob("*.toml"))}
    largest = max(texts, key=lambda name: len(texts[name]))
    yield at_most("load of the largest bundled document", _load_ms(texts[largest]), "ms CPU", 150, largest)


def _load_ms(text: str) -> float:
    samples = []
    for _ in range(7):
        start = time.process_time_ns()
        Policy.of(parse_region(text, "document"))
        samples.append((time.process_time_ns() - start) / 1e6)
    return statistics.median(samples)


def memory() -> Iterator[Result]:
    """What a loaded document keeps, beside the code."""
    Policy.of(load_region("demo"))
    text = text_of(LARGEST)
    gc.collect()
    tracemalloc.start()
    policy = Policy.of(parse_region(text, "largest"))
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert policy.concessions
    yield at_most("memory of the largest document", kept / 1e6, "MB", 20)
