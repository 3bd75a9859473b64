"""Whether two versions of the software decide alike: a digest of random decisions under every document at hand.

    python -m tests.decision_digest            one line per document, with its digest
    python -m tests.decision_digest 500        with so many cards for each (500 taps take about a second)

Work on the speed of decisions has to leave every line as it was. A line covers message, admission, charge, the bytes
of the event, the trail with its inputs, flags and lists. Cards live under random trips: places of any age and quality,
companions, inspections, clocks that are off, events that no terminal writes.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from hypothesis import Phase, given, settings
from msgspec import structs

from bench.fares import text_of
from bench.feed_decisions import feed_region
from cardproto.resident.limits import LARGEST_ROUTE
from cardproto.resident.records.event import Event, EventKind, PaidBy, build_event
from cardproto.resident.records.rights import Concession, Contract, Rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.policy.deny_list import AllDenied
from terminal.policy.document.counters import COUNTER_BITS
from terminal.policy.document.journeys import CheckIn
from terminal.policy.grants import LocalGrants
from terminal.policy.gtfs.section import ConcessionCategory, Destination, GtfsFares
from terminal.policy.gtfs.tables import FareLegRule, FareProduct, FareTransferRule, GtfsTables, TransferType
from terminal.policy.load import REGIONS, load_region, parse_region
from terminal.policy.policy import Policy
from terminal.trip.facts import (
    AskedBy,
    ClockState,
    Freshness,
    Inspection,
    Place,
    PlaceQuality,
    PlaceSource,
    Spot,
    Trip,
)
from tests.oracle.life import MADE_UP
from tests.terminal.decision.region import text_of as small_text
from tests.terminal.policy.gtfs.invented import joining_feeds, without_ends

_One = TypeVar("_One")
EXAMPLES: Final = Path(__file__).parents[1] / "docs" / "examples" / "tariffs"
LIVES: Final = 250
TAPS: Final = 12
FEEDS: Final = 120
GAPS: Final = (
    0,
    1,
    2,
    20,
    31,
    60,
    299,
    301,
    600,
    1200,
    3000,
    3601,
    5400,
    9000,
    6 * 3600,
    86400,
    86400 * 9,
    86400 * 40,
)
OFF: Final = (*[0] * 20, -40, -200, -86400, 3 * 86400, 40 * 86400, -40 * 86400, 40 * 365 * 86400)
STARTS: Final = (datetime(2026, 9, 15, 4, 50, tzinfo=UTC), datetime(2026, 12, 30, 20, 0, tzinfo=UTC))
CLOCKS: Final = (
    *[ClockState()] * 20,
    ClockState(authenticated=True),
    ClockState(suspect=True),
    ClockState(suspect=True, confirmed=True),
)
FEED_SLOTS: Final = '{ name = "held", bits = 8, period = "kept" },'
CHECK_IN: Final = CheckIn(scope=(), longest_s=7200, reserve="held")
CARD_PART: Final = (
    '[[products]]\nkind = "pass"\nid = 100\nname = "pass"\n[[concessions]]\ncode = 7\nname = "c"\n'
)


class _Grants:
    """What a terminal knows of itself, of every other holder."""

    name, version, region, issued_at = "grants:1", 1, 34, None

    def __init__(self, granted: LocalGrants) -> None:
        self._granted = granted

    def of(self, pseudonym: bytes) -> LocalGrants | None:
        return self._granted if pseudonym[0] % 4 == 0 else None


class World:
    """One policy with what can be drawn under it."""

    def __init__(self, policy: Policy, seed: str) -> None:
        self.policy, self.draw = policy, random.Random(seed)
        document = policy.document
        self.codes = [*(one.code for one in document.concessions), 250]
        self.products = [*(one.id for one in document.products), 60_000]
        self.zones = [0, *(zone.number for zone in document.zones)]
        routes = {route for sheet in policy.fares.sheets for route in sheet.by_route} | {0, 1, 2, 5, 7}
        known = [] if document.gtfs is None else [int(number) for number in document.gtfs.route_ids]
        self.routes = known or sorted(routes)[:12]
        lines = [line for sheet in policy.fares.sheets for line in sheet.any_route]
        modes = {mode for line in lines for mode in line.modes or ()}
        self.modes = sorted(modes | {"bus", "tram", "metro"})
        self.profiles = ["bus"] * 9 + ["canteen"]

    def any(self, *values: _One) -> _One:
        return self.draw.choice(values)

    def rights(self, start: datetime) -> Rights:
        draw, first = self.draw, start.date() - timedelta(days=self.any(0, 1, 20, 200))
        grants = [self._concession(first) if draw.random() < 0.4 else None for _ in range(3)]
        bought = [self._contract(first) if draw.random() < 0.4 else None for _ in range(2)]
        return Rights(
            region=self.policy.document.header.region + (draw.random() < 0.02),
            pseudonym=draw.randbytes(8),
            valid_from=self.any(*[date(2025, 1, 1)] * 30, first + timedelta(days=30)),
            valid_to=self.any(*[date(2031, 1, 1)] * 30, first),
            issued_on=date(2025, 1, 1),
            revision=1,
            blocked=draw.random() < 0.02,
            inactive=draw.random() < 0.02,
            concessions=tuple(grants),
            contracts=tuple(bought),
        )

    def _concession(self, first: date) -> Concession:
        return Concession(self.any(*self.codes), 0, first, first + timedelta(days=self.any(10, 400)))

    def _contract(self, first: date) -> Contract:
        last = first + timedelta(days=self.any(0, 30, 400))
        return Contract(self.any(*self.products), first, last, self.any(0, 2, 45))

    def event(self, at: datetime) -> Event:
        """One that hardly any terminal writes."""
        draw, card = self.draw, self.policy.card
        counters = draw.getrandbits(COUNTER_BITS) & (
            draw.getrandbits(COUNTER_BITS) if draw.random() < 0.7 else -1
        )
        return Event(
            kind=self.any(*EventKind),
            at=at,
            terminal=self.any(1, 2),
            sequence=draw.randrange(1000),
            balance_after_minor=self.any(0, 3400, *[100_000] * 4, 2_097_151),
            amount_minor=self.any(0, 3000, 3500),
            route=self.any(*self.routes, LARGEST_ROUTE),
            direction=draw.randrange(2),
            journey_age_s=self.any(None, 0, 600, 3000, 90_000),
            transfers=self.any(0, 0, 1, 2, 15),
            paid_by=self.any(*PaidBy),
            counter_layout=self.any(card.layout, card.layout, card.layout, 0, 15),
            meals=draw.randrange(256) * (draw.random() < 0.3),
            counters=counters if draw.random() < 0.8 else 0,
            period_ahead=self.any(0, 0, 0, 0, 1, 2, 31, -1, -32),
            inside=self.any(0, 0, 0, 1, 1, 2, 7),
            last_order=draw.randrange(1024),
        )

    def _spot(self) -> Spot:
        draw = self.draw
        mark_m = draw.choice((None, 0, 500, 12_000, 70_000))
        return self.any(Spot(), Spot(self.any(0, 1, 1, 2, 2, 3), draw.choice(self.zones), mark_m))

    def place(self) -> Place:
        at = self._spot()
        return Place(
            stop=at.stop,
            zone=at.zone,
            mark_m=at.mark_m,
            source=self.any(*[PlaceSource.VEHICLE] * 3, *PlaceSource),
            quality=self.any(*[PlaceQuality.EXACT] * 6, *PlaceQuality),
            age_s=self.any(0, 3, 10, 40, 100, 500, 4000),
            coming=self._spot(),
            arriving=self.any(True, False),
            origin=self._spot(),
            terminus=self._spot(),
            destination=self._spot(),
        )

    def trip(self, number: int) -> Trip:
        draw, rare = self.draw, self.draw.random()
        ages = Freshness(*(self.any(0, 0, 3600, 30 * 3600, 9 * 86400) for _ in range(3)))
        return Trip(
            profile=draw.choice(self.profiles),
            terminal=self.any(1, 2),
            sequence=number,
            shift=int(draw.random() > 0.03),
            turn=1,
            route=draw.choice(self.routes),
            direction=draw.randrange(2),
            mode=draw.choice(self.modes),
            companions=self.any(*[0] * 8, 1, 2, 7),
            asked_by=self.any(AskedBy.NOT_ASKED, *AskedBy),
            reader_ok=draw.random() > 0.01,
            place=self.place(),
            clock=draw.choice(CLOCKS),
            freshness=ages if draw.random() < 0.5 else Freshness(),
            inspection=Inspection(misuse=rare < 0.02) if rare < 0.06 else None,
        )

    def _next(self, trip: Trip, number: int) -> Trip:
        """The trip of the next tap, mostly on the same vehicle."""
        after = self.trip(number)
        if self.draw.random() < 0.3:
            return after
        return structs.replace(
            after, terminal=trip.terminal, route=trip.route, direction=trip.direction, mode=trip.mode
        )

    def listed(self) -> Policy:
        """The policy with lists, now and then."""
        draw, policy = self.draw, self.policy
        if draw.random() < 0.02:
            policy = structs.replace(policy, deny_list=AllDenied("deny:1"))
        if draw.random() < 0.2:
            grants = tuple(
                self._concession(date(2026, 9, 1)) if draw.random() < 0.5 else None for _ in range(3)
            )
            policy = structs.replace(policy, grants=_Grants(LocalGrants(date(2026, 1, 1), grants)))
        return policy

    def life(self) -> Iterator[bytes]:
        """The decisions on one card, which mostly follow from one another."""
        draw, now = self.draw, self.any(*STARTS)
        rights, policy = self.rights(now), self.listed()
        event = self.event(now)
        trip = self.trip(0)
        for number in range(1, TAPS + 1):
            now += timedelta(seconds=self.any(*GAPS))
            seen = now + timedelta(seconds=self.any(*OFF), microseconds=self.any(0, 0, 250_000))
            trip = self._next(trip, number)
            snapshot = CardSnapshot(bytes(7), rights, event)
            decision = decide(snapshot, policy, trip, seen)
            yield _bytes_of(decision)
            if draw.random() < 0.08:
                event = self.event(now)
            elif decision.write_plan is not None:
                event = decision.write_plan.event


def _bytes_of(decision: Decision) -> bytes:
    plan, outcome = decision.write_plan, decision.outcome
    written = None if plan is None else (build_event(plan.event), plan.debit_minor, plan.paid_by)
    trail = [(fact.code, fact.rule, list(fact.inputs.items())) for fact in decision.facts]
    said = (str(outcome.message), outcome.admission, outcome.charge_minor, list(outcome.values.items()))
    return msgspec.json.encode((said, written, trail, decision.flags, decision.lists, decision.meal))


def policies(folder: Path) -> Iterator[tuple[str, Policy]]:
    """The documents at hand: the bundled ones, those of the tests, the bench's, and one with a large feed."""
    for path in (*sorted(REGIONS.glob("*.toml")), *MADE_UP, *sorted(EXAMPLES.glob("*oe.toml"))):
        yield path.stem, Policy.of(load_region(path))
    yield "largest", Policy.of(parse_region(text_of(8), "largest"))
    yield "feed", Policy.of(load_region(feed_region(folder)))


def digest_of(policy: Policy, seed: str, lives: int) -> str:
    """The digest of `lives` cards under `policy`."""
    world, digest = World(policy, seed), hashlib.sha256()
    for _ in range(lives):
        for decided in world.life():
            digest.update(decided)
    return digest.hexdigest()[:16]


def feeds_digest(number: int) -> str:
    """The digest of a few cards under each of many small feeds, with and without tap-off."""
    digest = hashlib.sha256()
    pays_once = parse_region(small_text(CARD_PART, slots=FEED_SLOTS), "feed.toml")
    documents = {
        Destination.NOT_USED: pays_once,
        Destination.DEAREST: structs.replace(pays_once, checkin=CHECK_IN),
    }

    @settings(max_examples=number, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(joining_feeds())
    def each(tables: GtfsTables) -> None:
        for destination, document in documents.items():
            section = _section(
                tables if destination is Destination.DEAREST else without_ends(tables), destination
            )
            policy = Policy.of(structs.replace(document, gtfs=section))
            if policy.gtfs is not None and policy.gtfs.card.bits <= COUNTER_BITS:
                digest.update(digest_of(policy, str(destination), 5).encode())

    each()
    return digest.hexdigest()[:16]


def _section(tables: GtfsTables, destination: Destination) -> GtfsFares:
    child = (FareProduct(fare_product_id="p", amount_minor=100, currency="RUB", rider_category_id="child"),)
    elsewhere = FareLegRule(fare_product_id="q", leg_group_id="g1")
    again = FareTransferRule(
        fare_transfer_type=TransferType.FROM_AND_TRANSFER,
        from_leg_group_id="g1",
        to_leg_group_id="g1",
        transfer_count=2,
    )
    plain = any(
        rule.network_id is None is rule.from_area_id is rule.to_area_id for rule in tables.fare_leg_rules
    )
    legs = tables.fare_leg_rules if plain else (*tables.fare_leg_rules, elsewhere)
    transfers = tables.fare_transfer_rules if plain else (*tables.fare_transfer_rules, again)
    return GtfsFares(
        destination=destination,
        concessions=(ConcessionCategory(concession=7, rider_category="child"),),
        route_ids={"1": "r0", "2": "r1", "5": "r2", "7": "r3"},
        stop_ids={"1": "p1", "2": "s0", "3": "s2"},
        tables=structs.replace(
            tables,
            fare_products=tables.fare_products + child,
            fare_leg_rules=legs,
            fare_transfer_rules=transfers,
        ),
    )


if __name__ == "__main__":
    LIVES_ASKED: Final = int(sys.argv[1]) if len(sys.argv) > 1 else LIVES
    with tempfile.TemporaryDirectory() as scratch:
        for name, found in policies(Path(scratch)):
            print(f"{name:16}{digest_of(found, name, LIVES_ASKED)}", flush=True)
    print(f"{'small feeds':16}{feeds_digest(FEEDS)}", flush=True)
