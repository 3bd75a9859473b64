"""What a card means: who may ride, what was used in which period, the open journey, persons inside, money held.

Nothing here knows bits: a counter is a number under the name the region document gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tests.oracle.tariff import Ride, Spot, Tariff

FIRST_AT: Final = datetime(2024, 1, 1, tzinfo=UTC)
LAST_AT: Final = FIRST_AT + timedelta(seconds=(1 << 30) - 1)
MOST_TRANSFERS: Final = 15
MOST_INSIDE: Final = 7
SERVICE_POINT: Final = 0xFFFFF
Values = Mapping[str, int | str]


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
    """The state after the newest event. `period` is the day whose periods the counters belong to; where it is not
    `known`, that day or a later one (ADR 26). `readable`: the counters are of this document's split."""

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
    known: bool = True
    readable: bool = True

    def count(self, counter: str) -> int:
        """How often, or how much, by the counter's name."""
        return self.used.get(counter, 0)

    def counted(self, **more: int) -> Card:
        """The card with these counters higher."""
        return replace(self, used={**self.used, **{name: self.count(name) + n for name, n in more.items()}})


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
    values: Values = field(default_factory=dict)
    written: bool = False
    flags: frozenset[str] = frozenset()


def refused(card: Card, message: str, **values: int | str) -> Answer:
    return Answer("refused", message, card, values=values)


def on_day(tariff: Tariff, card: Card, tap: Tap, lift: bool = True) -> tuple[Card, frozenset[str]]:
    """The card as the terminal has to take it: in the period its clock may begin, and what is said of the clocks
    (ADR 26). `lift`: False at a check-out, which belongs to the periods the ride began in."""
    today, written_on, before = tariff.day(tap.at), tariff.day(card.at), card.period
    period, flags, known, used = before, frozenset[str](), card.known, dict(card.used)
    if not tap.clock.suspect and FIRST_AT <= tap.at <= LAST_AT:
        if today > before and lift:
            period = today
            used = {k: n for k, n in used.items() if not known or _goes_on(tariff, k, before, today)}
        elif before > today + timedelta(days=1):
            flags = frozenset({"period_lowered" if tap.clock.authenticated else "period_ahead"})
            period = today if tap.clock.authenticated else before
        known = True
    for slot, bought in zip(tariff.contract_slots, card.bought, strict=True):
        if bought is not None and bought.first > max(written_on, before) and card.known:
            used.pop(slot, None)
    served_on = written_on if card.kind == "meal" else before
    meals = card.meals if served_on == (today if tap.profile == "canteen" else period) else frozenset()
    journey, seconds = None, elapsed_s(tariff, card, tap)
    if card.journey is not None and seconds is not None:
        journey = replace(card.journey, age_s=card.journey.age_s + seconds)
        journey = journey if journey.age_s <= tariff.transfers[journey.rule]["window_s"] else None
    card = replace(card, period=period, known=known, used=used, meals=meals, journey=journey)
    return (without_journey(tariff, card) if journey is None else card), flags


def _goes_on(tariff: Tariff, name: str, before: date, after: date) -> bool:
    kind = tariff.slots[name]["period"]
    return kind in ("contract", "kept", "journey") or tariff.period(kind, before) == tariff.period(
        kind, after
    )


def without_journey(tariff: Tariff, card: Card) -> Card:
    """The card with what is counted in a journey at its start."""
    used = {name: n for name, n in card.used.items() if tariff.slots[name]["period"] != "journey"}
    return replace(card, used=used, journey=None)


def elapsed_s(tariff: Tariff, card: Card, tap: Tap) -> int | None:
    """Seconds since the newest event; None: it lies in the future, by more than clocks may differ (O-05)."""
    seconds = int((tap.at - card.at).total_seconds())
    return None if seconds < -tariff.guards["clock_skew_s"] else max(0, seconds)


def written(tariff: Tariff, card: Card, tap: Tap) -> Card:
    """What the card can hold of this state: times, distances to the period day and counters have their limits."""
    at = min(max(tap.at.replace(microsecond=0), FIRST_AT), LAST_AT)
    today = tariff.day(at)
    ahead = min(max((card.period - today).days, -32), 31) if card.known else 31
    used = {name: min(n, tariff.most(name)) for name, n in card.used.items() if n}
    period = today + timedelta(days=ahead)
    return replace(card, at=at, period=period, known=ahead < 31, used=used, terminal=tap.terminal)


def at_service_point(tariff: Tariff, card: Card, at: datetime, money: int, held: Card) -> Card:
    """The card after a reload or issuing point with a right clock, with the rights of `held`: the running state goes
    on, and a contract that is another product or begins on another day is counted from 0."""
    tap = Tap("bus", SERVICE_POINT, Ride(at, "bus", 0, 0))
    now, _ = on_day(tariff, card, tap)
    for slot, old, new in zip(tariff.contract_slots, card.bought, held.bought, strict=True):
        if new is not None and (old is None or (old.product, old.first) != (new.product, new.first)):
            now = now.counted(**{slot: -now.count(slot)})
    now = replace(now, kind="reload" if money else "rights_change", money=card.money + money)
    if not card.inside:
        now = replace(now, route=0, direction=0, paid_by="nothing")
    return written(tariff, replace(now, grants=held.grants, bought=held.bought), tap)
