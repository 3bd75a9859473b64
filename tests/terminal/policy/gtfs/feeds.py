"""Small feeds as CSV text, and riders who tap their way through them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from textwrap import dedent
from zoneinfo import ZoneInfo

from terminal.policy.gtfs.card import JourneyOnCard, Written
from terminal.policy.gtfs.charging import Charged, FareUnknown, alight, board_ride, unknown_fare
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.importer import Imported, import_feed
from terminal.policy.gtfs.index import Index
from terminal.policy.gtfs.matching import (
    Leg,
    UnknownPlace,
    held_at,
    leg_ride,
    paths_of,
    places_of_leg,
    ride_of,
    rules_by_place,
)
from terminal.policy.gtfs.section import Destination, GtfsFares
from terminal.policy.gtfs.state import JourneyState, second_of

ZONE = ZoneInfo("Europe/Volgograd")
DAY = date(2026, 9, 15)  # a Tuesday

BASE = {
    "agency": "agency_id,agency_name,agency_timezone\n1,City,Europe/Volgograd\n",
    "stops": "stop_id,stop_name\nA,A\nB,B\nC,C\nD,D\nE,E\n",
    "routes": "route_id,route_type\nbus,3\n",
}
EVERY_DAY = """
    service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date
    daily,1,1,1,1,1,1,1,20260101,20261231
    working,1,1,1,1,1,0,0,20260101,20261231
"""


def board(
    fares: FeedFares, state: JourneyState, leg: Leg, rider: tuple[str, ...], medium: str | None
) -> Charged | FareUnknown:
    """As a terminal charges a rider who gets in. `leg.to_stop` is given where he said how far he goes."""
    try:
        places = places_of_leg(fares.index, leg.route, leg.from_stop, leg.to_stop)
    except UnknownPlace as unknown:
        return unknown_fare(fares, unknown.effect)
    ride = leg_ride(places, leg.departed_at, leg.arrived_at)
    return board_ride(fares, state, ride, places.start, fares.index.prices_of(rider, medium))


def write_feed(folder: Path, **files: str) -> Path:
    """A feed in `folder`: a city with stops A to E and route `bus`, and whatever is given by table name."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, text in (BASE | files).items():
        (folder / f"{table}.txt").write_text(dedent(text).strip() + "\n", encoding="utf-8")
    return folder


def imported(folder: Path, **files: str) -> Imported:
    return import_feed(write_feed(folder / "feed", **files))


def fares(folder: Path, section: GtfsFares | None = None, **files: str) -> FeedFares:
    """The feed ready for tapping, with tap-off unless `section` says otherwise."""
    base = section or GtfsFares(destination=Destination.DEAREST)
    return FeedFares.of(with_tables(base, imported(folder, **files)))


def with_tables(section: GtfsFares, feed: Imported) -> GtfsFares:
    values = {name: getattr(section, name) for name in section.__struct_fields__}
    return GtfsFares(**values | {"tables": feed.tables})


def at(clock: str, day: date = DAY, zone: ZoneInfo = ZONE) -> datetime:
    """`clock` ("08:00", "08:00:01") on `day`, as the clock on the wall shows it."""
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=zone)


def second(clock: str) -> int:
    """A time of the same day as cards count it."""
    return second_of(at(clock))


NO_TAP_OFF = GtfsFares(destination=Destination.NOT_USED)


def leg(start: str | None, end: str | None, clock: str = "10:00", route: str = "bus", day: date = DAY) -> Leg:
    return Leg(route, at(clock, day), start, end, None if end is None else at(clock, day))


def offers(city: FeedFares, ride: Leg) -> set[int]:
    """The amounts a leg may be paid with."""
    return {product.amount_minor for product in match_leg(city.index, ride)}


FRESH = JourneyOnCard(0, None, 0)
ISSUED = Written(second_of(at("00:00")), "", 0)


@dataclass
class Rider:
    """A card in somebody's hand: between taps it holds nothing but what its event record would."""

    city: FeedFares
    categories: tuple[str, ...] = ()
    medium: str | None = None
    paid: list[int] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    _card: JourneyOnCard = FRESH
    _event: Written = ISSUED

    def on(self, clock: str, start: str | None = None, route: str = "bus", to: str | None = None) -> Rider:
        """Board; the card must then hold exactly the state that was decided."""
        now = at(clock)
        ride = Leg(route, now, start, to)
        self._take(board(self.city, self._state(now), ride, self.categories, self.medium), now, route)
        return self

    def off(self, clock: str, stop: str) -> Rider:
        """Leave, where riders tap off."""
        now = at(clock)
        taken = alight(self.city, self._state(now), stop, now, self.categories, self.medium)
        self._take(taken, now, self._event.route)
        return self

    def ride(self, clock: str, start: str, until: str, end: str, route: str = "bus") -> int:
        """Board and leave; what both taps took together."""
        before = sum(self.paid)
        self.on(clock, start, route).off(until, end)
        return sum(self.paid) - before

    @property
    def total(self) -> int:
        return sum(self.paid)

    def state(self, clock: str) -> JourneyState:
        """What the card says at this time."""
        return self._state(at(clock))

    def _state(self, now: datetime) -> JourneyState:
        return self.city.card.read(self._card, self._event, second_of(now))

    def _take(self, taken: Charged | FareUnknown, now: datetime, route: str) -> None:
        self.rules = [step.rule for step in taken.steps]
        if isinstance(taken, FareUnknown):
            raise NoFare(taken.steps[-1].effect)
        self.paid.append(taken.charge_minor)
        self._card = self.city.card.write(taken.state, second_of(now))
        self._event = Written(second_of(now), route, taken.charge_minor)
        assert self._card.bits < 1 << self.city.card.bits


class NoFare(Exception):
    """The ride was refused: nobody knows its fare."""


@dataclass(frozen=True, slots=True)
class PricedProduct:
    """One price a leg may be paid with. Rows count from 1 without the header; None: for anybody, any medium."""

    fare_product_id: str
    amount_minor: int
    rider_category_id: str | None
    fare_media_id: str | None
    leg_group_id: str | None
    leg_rule: int


def match_leg(index: Index, leg: Leg) -> tuple[PricedProduct, ...]:
    """Every price of `leg`, for any rider and medium; of a leg with an unknown end those of every end.

    Nothing found: the fare is unknown. Raises `UnknownPlace`.
    """
    ride = ride_of(index, leg)
    held = held_at(index, ride)
    matched = {
        rule
        for candidates in rules_by_place(index, ride)
        for rules in paths_of(candidates, held)
        for rule in rules
    }
    return tuple(
        PricedProduct(
            fare_product_id=row.fare_product_id,
            amount_minor=row.amount_minor,
            rider_category_id=row.rider_category_id,
            fare_media_id=row.fare_media_id,
            leg_group_id=index.groups[rule.group] or None,
            leg_rule=rule.row + 1,
        )
        for rule in sorted(matched, key=lambda rule: rule.row)
        for _, row in index.rows_of(rule.product)
    )
