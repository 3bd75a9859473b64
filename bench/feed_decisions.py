"""A whole decision where fares come from a GTFS feed: guards, rights, the feed's price and the plan to write."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import structs

from bench.fares import SOURCES, card, with_lists
from bench.gtfs_feed import write_city
from bench.result import Result, at_most, in_turns_us, median_us
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.gtfs.importer import import_feed
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.trip.facts import Place, PlaceSource, Spot, Trip

LEG_RULES = 10_000
NOW = datetime(2026, 9, 15, 5, 30, tzinfo=UTC)
DOCUMENT = """
[header]
id = "city"
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
rights = ["pass", "purse"]
[profiles.canteen]
media = ["transport_card"]
rights = ["concession"]
[counters]
layout = 1
contracts = ["pack_a", "pack_b"]
slots = [
  {{ name = "pack_a", bits = 8, period = "contract" }},
  {{ name = "pack_b", bits = 8, period = "contract" }},
  {{ name = "held", bits = 6, period = "kept", unit_minor = 100 }},
]
[fares]
base_minor = 3000
source = "gtfs"
[checkin]
scope = []
longest_s = 7200
reserve = "held"
[[concessions]]
code = 1
name = "student"
[[products]]
kind = "pass"
id = 100
name = "month"
[gtfs]
destination = "dearest"
file = "feed.json"
sha256 = "{digest}"
ordinary_category = "adult"
media = {{ transport_card = "card", bank_card = "bank" }}
concessions = [{{ concession = 1, rider_category = "student" }}]
route_ids = {{ 1 = "net_0_0", 2 = "net_1_3" }}
stop_ids = {{ 1 = "zone_0_1", 2 = "zone_1_2", 3 = "zone_5_2" }}
"""


HEARD = Place(stop=1, source=PlaceSource.VEHICLE, age_s=3, coming=Spot(stop=3), origin=Spot(stop=1))
FEW = 1000


def decisions() -> Iterator[Result]:
    """Boarding, leaving and a free transfer, with the feed's fares for every pair of zones."""
    with tempfile.TemporaryDirectory() as folder:
        policy = with_lists(_policy(Path(folder)), Path(folder))
        yield from _ride(policy, "adult", card((), (), None))
        yield from _ride(policy, "student", card((1,), (), None))
    few, many = in_turns_us(_boarding(FEW), _boarding(LEG_RULES))
    note = f"{few:.1f} and {many:.1f} us"
    yield at_most("whole decision, 10 000 leg rules over 1000", many / few, "times", 1.2, note)


def _boarding(rules: int) -> Callable[[], Decision]:
    first, trip = card((), (), None), Trip("bus", 7, 1, shift=1, route=1, place=HEARD)
    with tempfile.TemporaryDirectory() as folder:
        policy = Policy.of(load_region(feed_region(Path(folder), rules)))
    _taken(policy, first, trip, NOW)
    return lambda: decide(first, policy, trip, NOW)


def _ride(policy: Policy, rider: str, first: CardSnapshot) -> Iterator[Result]:
    on, there = Trip("bus", 7, 1, shift=1, route=1, place=HEARD), structs.replace(HEARD, stop=2)
    off, change = structs.replace(on, place=there), structs.replace(on, route=2, place=there)
    taps = {"boarding": (first, on, NOW)}
    aboard, later = _after(first, _taken(policy, *taps["boarding"])), NOW + timedelta(minutes=10)
    taps["leaving"] = (aboard, off, later)
    outside = _after(aboard, _taken(policy, *taps["leaving"]))
    taps["transfer"] = (outside, change, later + timedelta(minutes=5))
    for name, tap in taps.items():
        _taken(policy, *tap)
        took_us = median_us(lambda: decide(tap[0], policy, tap[1], tap[2]))  # noqa: B023 it runs at once
        yield at_most(
            f"whole decision with a feed of {LEG_RULES} leg rules, {rider}, {name}",
            took_us,
            "us CPU",
            40,
            SOURCES,
        )


def feed_region(folder: Path, rules: int = LEG_RULES) -> Path:
    """A document that takes its fares from a feed, with the tables beside it."""
    content = msgspec.json.encode(import_feed(write_city(folder / "feed", rules)).tables)
    (folder / "feed.json").write_bytes(content)
    path = folder / "region.toml"
    path.write_text(DOCUMENT.format(digest=hashlib.sha256(content).hexdigest()))
    return path


def _policy(folder: Path) -> Policy:
    return Policy.of(load_region(feed_region(folder)))


def _taken(policy: Policy, snapshot: CardSnapshot, trip: Trip, now: datetime) -> Decision:
    decision = decide(snapshot, policy, trip, now)
    assert decision.outcome.accepted, decision
    return decision


def _after(snapshot: CardSnapshot, decision: Decision) -> CardSnapshot:
    assert decision.write_plan is not None
    return replace(snapshot, event=decision.write_plan.event)
