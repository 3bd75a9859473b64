"""Random lives of cards: who holds what, where and when it is tapped, by which clock. Seeded, so that each can be had
again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from terminal.lab.oracle.card import OracleCard, OracleRight, OracleTap, at_service_point
from terminal.lab.oracle.rules import decide
from terminal.lab.oracle.tariff import DocumentTable, OracleRide, OracleSpot, Tariff
from terminal.policy.policy import Policy
from tests.oracle.border import Product, card_expected, expected, whole_expected

REGIONS: Final = Path(__file__).parents[2] / "terminal" / "policy" / "regions"
SUPPLIED: Final = tuple(sorted(REGIONS.glob("*.toml")))
MADE_UP: Final = tuple(
    Path(__file__).with_name(f"{name}.toml") for name in ("city", "suburb", "journeys", "commuter")
)
DOCUMENTS: Final = SUPPLIED + MADE_UP
TAPS_OF_A_LIFE: Final = 60
AT_THE_END: Final = 0.15
"""Lives in which the document ends, goes on for as long as it says, and is over."""
COMMUTES: Final = 0.6
WAYS_BACK: Final = 0.4
AT_AN_EDGE: Final = 0.1
"""Where ways back cost less: taps that stay on the route, those of them that turn round, and gaps at a window's end."""
LOOK_EVERY: Final = 3
"""The whole visible state is compared every so many taps."""
GAPS: Final = (
    0,
    1,
    2,
    3,
    20,
    29,
    30,
    31,
    59,
    60,
    61,
    120,
    299,
    300,
    301,
    600,
    1200,
    1800,
    3000,
    3599,
    3600,
    3601,
    5400,
)
LONG_GAPS_H: Final = (1, 2, 4, 6, 6, 9, 12, 20, 24, 24, 30, 48, 100, 24 * 9, 24 * 25)
CLOCKS: Final[dict[str, dict[str, bool]]] = {
    "right": {},
    "signed": {"authenticated": True},
    "suspect": {"suspect": True},
    "confirmed": {"suspect": True, "confirmed": True},
}


@dataclass(frozen=True)
class Vehicle:
    """A terminal and how far its clock is off, in days."""

    terminal: int
    clock: str = "right"
    off: timedelta = timedelta()


@dataclass
class Difference:
    """A tap on which both do not agree."""

    document: str
    life: int
    number: int
    what: dict[str, tuple[object, object]]
    tap: object
    before: OracleCard
    trail: list[str]

    def __str__(self) -> str:
        lines = [
            f"{self.document} life {self.life} tap {self.number}",
            f"  tap {self.tap}",
            f"  card {self.before}",
        ]
        lines += [f"  {name}: right {right}, product {got}" for name, (right, got) in self.what.items()]
        return "\n".join([*lines, *(f"    {step}" for step in self.trail)])

    @property
    def kind(self) -> str:
        """What differs, without times and sums: differences of one cause mostly share it."""
        said = self.what.get("message")
        return f"{sorted(self.what)} {said or ''}"


@dataclass
class Tally:
    """What was seen of one document."""

    taps: int = 0
    lives: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)


class World:
    """One document with what can be drawn under it."""

    def __init__(self, path: Path, policy: Policy | None = None) -> None:
        self.name = path.stem
        self.tariff = Tariff(path)
        self.policy = policy or Product.policy_of(path)
        doc = self.tariff.doc
        self.modes = sorted(_named(doc, "modes") | {"bus"})
        listed = sorted(_named(doc, "routes"))
        self.routes = [(route, "bus") for route in listed or (1,)]
        self.routes += [(100 + i, mode) for i, mode in enumerate(self.modes)] + [(200, "bus"), (201, "bus")]
        if self.tariff.checkin is not None:
            self.routes += [
                (300 + i, mode) for i, mode in enumerate(sorted(_named(self.tariff.checkin, "modes")) * 3)
            ]
        windows = {row["window_s"] for row in self.tariff.returns if "window_s" in row}
        self.edges = sorted(window_s + more for window_s in windows for more in (-1, 0, 1, 59, 60))
        self.codes = sorted(self.tariff.concessions)
        self.fed = sorted({row["code"] for row in doc.get("meals", {}).get("entitlements", [])})
        self.products = sorted(self.tariff.products)
        self.zones = sorted(self.tariff.zones)
        self.first: date = doc["header"]["valid_from"].date() + timedelta(days=40)
        self.last: date = doc["header"]["valid_to"].date() - timedelta(days=40)
        self.after_all = self.tariff.over_at.date() + timedelta(days=20)
        days = self.tariff.ages["document_stale_days"]
        self.document_ages = (0, 3600) if days == float("inf") else (0, days * 86400, days * 86400 + 1)

    def live(self, number: int, seed: int, tally: Tally) -> None:
        """One card's life; it ends early where both sides part."""
        draw = random.Random(f"{self.name}:{seed}:{number}")
        card = self._new_card(draw)
        product = Product.issued(self.policy, card)
        tally.lives += 1
        for index, step in enumerate(self._steps(draw, card)):
            before = card
            if isinstance(step, OracleTap):
                tally.taps += 1
                answer = decide(self.tariff, card, step)
                trail = product.trail(step)
                right, got = expected(answer), product.tap(step)
                card = answer.card
                tally.outcomes[answer.message] += 1
                tally.outcomes.update(_kinds(before, answer, step))
            else:
                at, money, grants, bought = step
                card = at_service_point(
                    self.tariff, card, at, money, replace(card, grants=grants, bought=bought)
                )
                right, got, trail = card_expected(card), product.visit(at, money, card), []
                tally.outcomes["visit"] += 1
            if index % LOOK_EVERY == 0:
                right, got = right | whole_expected(self.tariff, card), got | product.whole(self.tariff)
            if right != got:
                what = {name: (right[name], got[name]) for name in right if right[name] != got[name]}
                tally.differences.append(Difference(self.name, number, index, what, step, before, trail))
                return

    # ------------------------------------------------------------ what is drawn

    def _new_card(self, draw: random.Random) -> OracleCard:
        broke = draw.random() < (0.12 if self.tariff.grace is not None else 0)
        day = self._first_day(draw, self.tariff.grace if broke else None)
        last = day + timedelta(days=draw.choice((3, 30, 400, *(4000,) * 5)))
        region = int(self.tariff.doc["header"]["region"])
        return OracleCard(
            region=region if draw.random() > 0.006 else region + 1,
            first=day - timedelta(days=draw.choice((0, 0, 1, 100, -2))),
            last=last,
            at=datetime.combine(day, time(12), self.tariff.zone),
            period=day,
            grants=self._grants(draw, day) if not broke else (self._in_grace(draw, day), None, None),
            bought=self._bought(draw, day) if not broke else (None, None),
            blocked=draw.random() < 0.006,
            inactive=draw.random() < 0.006,
            money=draw.choice((0, 900, 2399, *(20000, 100000, 400000, 400000, 1000000) * (not broke))),
            readable=draw.random() > 0.06,
        )

    def _first_day(self, draw: random.Random, grace: DocumentTable | None) -> date:
        """One of the document's days, of the grace's season where a card is to meet it; in some lives its last ones."""
        if grace is None and draw.random() < AT_THE_END:
            return self.tariff.over_at.date() - timedelta(days=draw.randrange(3, 20))
        days = (self.first + timedelta(days=n) for n in range((self.last - self.first).days))
        return draw.choice(
            [day for day in days if grace is None or self.tariff.in_season(grace["season"], day)]
        )

    def _in_grace(self, draw: random.Random, day: date) -> OracleRight:
        """A concession whose holder may ride on credit."""
        codes = self.tariff.grace["concessions"] if self.tariff.grace is not None else self.codes
        return OracleRight(draw.choice(codes), day - timedelta(days=20), day + timedelta(days=300))

    def _grants(self, draw: random.Random, day: date) -> tuple[OracleRight | None, ...]:
        count = draw.choice((0, 0, 1, 1, 1, 2, 3))
        parameter = draw.choice((0, 1, 3, 4, 5, 9, 0x13, 0x22, 0x27))
        grants: list[OracleRight | None] = [
            replace(self._grant(draw, day), number=parameter) for _ in range(count if self.codes else 0)
        ]
        return tuple((grants + [None] * 3)[:3])

    def _grant(self, draw: random.Random, day: date) -> OracleRight:
        first = day + timedelta(days=draw.choice((-200, -30, -1, 0, 1, 20)))
        last = first + timedelta(days=draw.choice((0, 20, 60, 300, 700)))
        return OracleRight(
            draw.choice(self.fed if self.fed and draw.random() < 0.3 else self.codes), first, last
        )

    def _bought(self, draw: random.Random, day: date) -> tuple[OracleRight | None, ...]:
        count = draw.choice((0, 0, 1, 1, 2))
        bought: list[OracleRight | None] = [
            self._contract(draw, day) for _ in range(count if self.products else 0)
        ]
        return tuple((bought + [None] * 2)[:2])

    def _contract(self, draw: random.Random, day: date) -> OracleRight:
        product = self.tariff.products[draw.choice(self.products)]
        first = day + timedelta(days=draw.choice((-40, -5, 0, 0, 0, 1, 5, 31)))
        last = first + timedelta(days=draw.choice((0, 6, 29, 90, 300)))
        trips = draw.choice((1, 2, 5, 10, 45, 255)) if product["kind"] == "trip_pack" else 0
        return OracleRight(product["id"], first, last, trips)

    def _steps(self, draw: random.Random, card: OracleCard) -> Iterator[Any]:
        now, route = card.at, draw.choice(self.routes)
        fleet = self._fleet(draw)
        hurry = draw.choice((0.4, 0.7, 0.9))
        vehicle, direction = fleet[0], 0
        grants, bought = card.grants, card.bought
        for _ in range(TAPS_OF_A_LIFE):
            now += self._gap(draw, hurry)
            if now.date() >= (self.last if card.at.date() < self.last else self.after_all):
                return
            if draw.random() < 0.03:
                day = self.tariff.day(now)
                if draw.random() < 0.6:
                    yield now, draw.choice((100, 5000, 30000, 90000)), grants, bought
                else:
                    grants = self._grants(draw, day) if draw.random() < 0.5 else grants
                    bought = self._bought(draw, day)
                    yield now, 0, grants, bought
                continue
            commutes = bool(self.tariff.returns) and draw.random() < COMMUTES
            if not commutes and draw.random() < 0.35:
                route = draw.choice(self.routes)
            if draw.random() < 0.4:
                vehicle = draw.choice(fleet)
            if commutes:
                direction ^= draw.random() < WAYS_BACK
            elif draw.random() < 0.3:
                direction = draw.randrange(2)
            yield self._tap(draw, now, vehicle, route, direction)

    def _gap(self, draw: random.Random, hurry: float) -> timedelta:
        if self.edges and draw.random() < AT_AN_EDGE:
            return timedelta(seconds=draw.choice(self.edges))
        if draw.random() < hurry:
            return timedelta(seconds=draw.choice(GAPS))
        return timedelta(hours=draw.choice(LONG_GAPS_H), seconds=draw.randrange(7200))

    def _fleet(self, draw: random.Random) -> list[Vehicle]:
        """Mostly right clocks; in some lives one that is wrong and not noticed, noticed, or noticed and confirmed."""
        fleet = [Vehicle(1), Vehicle(2), Vehicle(3, draw.choice(("right", "signed")))]
        if draw.random() < 0.5:
            return fleet
        for number in (4, 5):
            clock = draw.choice(("right", "signed", "suspect", "confirmed", "confirmed"))
            days = draw.choice((-20000, -400, -70, -31, -3, -2, -1, 0, 1, 2, 3, 31, 33, 40, 70, 400))
            seconds = draw.choice((0, 0, -40, -30, -10, 10, 25, 400))
            fleet.append(
                Vehicle(number, clock, timedelta(days=days if draw.random() < 0.7 else 0, seconds=seconds))
            )
        return fleet

    def _spot(self, draw: random.Random) -> OracleSpot:
        zone = draw.choice((0, *self.zones, *self.zones))
        mark = draw.choice((None, 0, 0, 400, 5000, 12345, 40000, 48000))
        return OracleSpot(zone, mark)

    def _as_known(self, draw: random.Random, ride: OracleRide) -> OracleRide:
        """Mostly as fresh as a place can be; else of some age, from a source that errs, entered by hand, or missing."""
        if draw.random() < 0.5:
            return ride
        return replace(
            ride,
            coming=self._spot(draw) if draw.random() < 0.7 else OracleSpot(),
            first=self._spot(draw) if draw.random() < 0.7 else OracleSpot(),
            arriving=draw.random() < 0.3,
            stated_by=draw.choice(("vehicle",) * 8 + ("hand", "unknown")),
            said=draw.choice(("exact",) * 6 + ("estimated", "contradicted")),
            age_s=draw.choice((0, 1, 59, 60, 61, 90, 91, 300, 301, 600, 601, 3600)),
        )

    def _ages(self, draw: random.Random) -> tuple[int, int]:
        """Of deny list and list of grants: fresh, old, and too old to be followed."""
        fresh_s, stale_s = self.tariff.ages["fresh_h"] * 3600, self.tariff.ages["stale_h"] * 3600
        old = (0, 600, fresh_s, fresh_s + 1, stale_s, stale_s + 1, 900_000)
        return draw.choice(old), draw.choice(old)

    def _serves(self, at: datetime) -> bool:
        kinds, now = self.tariff.doc.get("meals", {}).get("kinds", []), self.tariff.local(at).time()
        return any(kind["served_from"] <= now < kind["served_until"] for kind in kinds)

    def _tap(
        self, draw: random.Random, now: datetime, vehicle: Vehicle, route: tuple[int, str], direction: int
    ) -> OracleTap:
        canteen = draw.random() < (0.45 if self._serves(now) else 0.05) and bool(self.tariff.doc.get("meals"))
        known = draw.random() < 0.9
        start, named, terminus = self._spot(draw), OracleSpot(), OracleSpot()
        if known:
            terminus = OracleSpot(draw.choice((0, *self.zones)), draw.choice((40000, 60000)))
        if draw.random() < 0.15:
            named = self._spot(draw)
        ride = OracleRide(now + vehicle.off, route[1], route[0], direction, start, named, terminus)
        ride = self._as_known(draw, ride) if start != OracleSpot() else replace(ride, stated_by="unknown")
        if canteen:
            ride = replace(ride, route=0, direction=0, mode="bus")
        return OracleTap(
            vehicle.terminal + 10 * canteen,
            ride,
            canteen,
            companions=draw.choice((1, 1, 2, 3, 6, 7)) if draw.random() < 0.12 and not canteen else 0,
            lists_age_s=self._ages(draw) if draw.random() < 0.08 else (0, 0),
            document_age_s=draw.choice(self.document_ages) if draw.random() < 0.1 else 0,
            razzia=draw.random() < 0.05,
            shift_open=draw.random() > 0.005,
            reader_ok=draw.random() > 0.005,
            inspection=not canteen and draw.random() < 0.04,
            **CLOCKS[vehicle.clock],
        )


def _kinds(before: OracleCard, answer: Any, tap: OracleTap) -> Iterator[str]:
    """Further things a life should meet, for the table."""
    if answer.written:
        yield f"event:{answer.card.kind}"
        yield f"paid_by:{answer.card.paid_by}"
    yield from (f"flag:{flag}" for flag in answer.flags)
    yield from (f"{rule}:{'exit' if answer.card.kind == 'check_out' else 'boarding'}" for rule in answer.says)
    if tap.suspect and answer.written:
        yield "clock:suspect"
    if "document_ended" in answer.flags:
        yield f"document_ended:{answer.message if answer.message == 'out_of_order' else answer.admission}"
    if tap.razzia and answer.written:
        yield "razzia"
    if answer.written and before.held and answer.card.kind != "check_out" and not answer.card.held:
        yield "checkin:forgotten"
    if tap.companions and answer.written:
        yield "companions"
    if answer.written and tap.ride.stated_by == "vehicle" and answer.card.kind in ("check_in", "check_out"):
        ages = {60: "fresh", 600: "stale"}
        old = next((name for limit, name in ages.items() if tap.ride.age_s <= limit), "missing")
        yield f"place:{tap.ride.said if tap.ride.said != 'exact' else old}"
    if answer.written and before.inside and answer.card.kind == "meal":
        yield "checkin:meal"


def _named(table: Any, key: str) -> set[Any]:
    """Every value listed under `key`, at any depth."""
    if isinstance(table, dict):
        own = set(table.get(key, ())) if isinstance(table.get(key), list) else set()
        return own.union(*(_named(value, key) for value in table.values()))
    if isinstance(table, list):
        return set().union(*(_named(value, key) for value in table))
    return set()


def run(world: World, taps: int, seed: int, most: int = 20) -> Tally:
    """Lives until so many taps are taken, or so many differences found."""
    tally, number = Tally(), 0
    while tally.taps < taps and len(tally.differences) < most:
        world.live(number, seed, tally)
        number += 1
    return tally
