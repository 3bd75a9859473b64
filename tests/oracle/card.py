"""What a card means: who may ride, what was used in which period, the open journey, persons inside, money held.

Nothing here knows bits: a counter is a number under the name the region document gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tests.oracle.tariff import Ride, Spot, Tariff

RIDES: Final = frozenset({"ride", "check_in", "check_out"})
FIRST_AT: Final = datetime(2024, 1, 1, tzinfo=UTC)
LAST_AT: Final = FIRST_AT + timedelta(seconds=(1 << 30) - 1)
MOST_TRANSFERS: Final = 15
MOST_INSIDE: Final = 7
SERVICE_POINT: Final = 0xFFFFF


@dataclass(frozen=True)
class Grant:
    """A concession on the card, both days included."""

    code: int
    first: date
    last: date
    parameter: int = 0


@dataclass(frozen=True)
class Bought:
    """A pass, pack or plan on the card, both days included."""

    product: int
    first: date
    last: date
    trips: int = 0


@dataclass(frozen=True)
class Journey:
    """An open journey: how old at the newest event, how many rides followed, which transfer rule it is under."""

    age_s: int
    followed: int
    rule: str


@dataclass(frozen=True)
class Card:
    """The state after the newest event. `period` is the day whose periods the counters belong to."""

    region: int
    first: date
    last: date
    at: datetime
    period: date
    grants: tuple[Grant | None, ...] = (None, None, None)
    bought: tuple[Bought | None, ...] = (None, None)
    blocked: bool = False
    inactive: bool = False
    money: int = 0
    kind: str = "issue"
    terminal: int = 0
    route: int = 0
    direction: int = 0
    paid_by: str = "nothing"
    journey: Journey | None = None
    inside: int = 0
    held: int = 0
    boarded: Spot = Spot()
    used: Mapping[str, int] = field(default_factory=dict)
    meals: frozenset[str] = frozenset()
    readable: bool = True
    """False: the counters were written under another split of the document."""

    def count(self, counter: str) -> int:
        return self.used.get(counter, 0)


@dataclass(frozen=True)
class Clock:
    """What a terminal knows of its own clock (O-05)."""

    suspect: bool = False
    confirmed: bool = False
    authenticated: bool = False


@dataclass(frozen=True)
class Tap:
    """A tap and all that is known besides the card. `ride` states when, by the terminal's own clock."""

    profile: str
    terminal: int
    ride: Ride
    companions: int = 0
    clock: Clock = Clock()
    data_age_s: int = 0
    shift_open: bool = True
    reader_ok: bool = True
    inspection: bool = False

    @property
    def at(self) -> datetime:
        return self.ride.at


@dataclass(frozen=True)
class Answer:
    """What came of it. `card` is the card afterwards, the same one where nothing was written."""

    admission: str
    message: str
    card: Card
    charge: int = 0
    values: Mapping[str, int | str] = field(default_factory=dict)
    written: bool = False
    flags: frozenset[str] = frozenset()


def refused(card: Card, message: str) -> Answer:
    return Answer("refused", message, card)


def on_day(tariff: Tariff, card: Card, tap: Tap) -> tuple[Card, frozenset[str]]:
    """The card as the terminal has to take it: in the period its clock may begin, and what is said of the clocks."""
    today, written_on = tariff.day(tap.at), tariff.day(card.at)
    period, flags = card.period, frozenset[str]()
    used = dict(card.used)
    if not tap.clock.suspect:
        if today > period:
            period = today
            used = {name: n for name, n in used.items() if _goes_on(tariff, name, card.period, today)}
        elif period > today + timedelta(days=1):
            flags = frozenset({"period_lowered" if tap.clock.authenticated else "period_ahead"})
            period = today if tap.clock.authenticated else period
    for slot, bought in zip(tariff.contract_slots, card.bought, strict=True):
        if bought is not None and bought.first > max(written_on, card.period):
            used.pop(slot, None)
    keeps_meals = today == written_on or today == card.period
    if tap.profile == "bus":
        keeps_meals = keeps_meals or period == card.period
    meals = card.meals if keeps_meals else frozenset()
    journey = _older(tariff, card.journey, elapsed_s(tariff, card, tap))
    if journey is None:
        used = {name: n for name, n in used.items() if tariff.slots[name]["period"] != "journey"}
    return replace(card, period=period, used=used, meals=meals, journey=journey), flags


def _goes_on(tariff: Tariff, name: str, before: date, after: date) -> bool:
    kind = tariff.slots[name]["period"]
    return kind in ("contract", "kept", "journey") or tariff.period(kind, before) == tariff.period(
        kind, after
    )


def elapsed_s(tariff: Tariff, card: Card, tap: Tap) -> int | None:
    """Seconds since the newest event; None: it lies in the future, by more than clocks may differ (O-05)."""
    seconds = int((tap.at - card.at).total_seconds())
    return None if seconds < -tariff.skew_s else max(0, seconds)


def _older(tariff: Tariff, journey: Journey | None, seconds: int | None) -> Journey | None:
    """The journey `seconds` later; None when its window is over."""
    if journey is None or seconds is None:
        return None
    age = journey.age_s + seconds
    return None if age > tariff.transfers[journey.rule]["window_s"] else replace(journey, age_s=age)


def written(tariff: Tariff, card: Card, tap: Tap) -> Card:
    """What the card can hold of this state: the time and the distance to the period day have their limits."""
    at = min(max(tap.at.replace(microsecond=0), FIRST_AT), LAST_AT)
    today = tariff.day(at)
    ahead = min(max((card.period - today).days, -32), 31)
    used = {name: min(n, tariff.most(name)) for name, n in card.used.items() if n}
    return replace(card, at=at, period=today + timedelta(days=ahead), used=used, terminal=tap.terminal)


def counted(card: Card, **more: int) -> Card:
    """The card with these counters higher."""
    return replace(card, used={**card.used, **{name: card.count(name) + n for name, n in more.items()}})


def at_service_point(
    tariff: Tariff,
    card: Card,
    at: datetime,
    money: int,
    grants: tuple[Grant | None, ...],
    bought: tuple[Bought | None, ...],
) -> Card:
    """The card after a reload or issuing point with a right clock: the running state goes on, and a contract that is
    another product or begins on another day is counted from 0."""
    tap = Tap("bus", SERVICE_POINT, Ride(at, "bus", 0, 0))
    now, _ = on_day(tariff, card, tap)
    used = dict(now.used)
    for slot, old, new in zip(tariff.contract_slots, card.bought, bought, strict=True):
        if new is not None and (old is None or (old.product, old.first) != (new.product, new.first)):
            used.pop(slot, None)
    after = replace(now, kind="reload" if money else "rights_change", grants=grants, bought=bought, used=used)
    if not card.inside:
        after = replace(after, route=0, direction=0, paid_by="nothing")
    return written(tariff, replace(after, money=card.money + money), tap)
