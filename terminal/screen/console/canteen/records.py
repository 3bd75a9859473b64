"""What was done lately and may still be put right (M-32, M-34), for all pupils or for one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from terminal.canteen.desk import CanteenDesk
from terminal.canteen.ledger import Meal, Sale
from terminal.clock import from_unix_ms
from terminal.decision.canteen.undo import against_annulment, against_not_collected
from terminal.policy.document.meals import MealKind
from terminal.screen.console.canteen.people import Person, person


@dataclass(frozen=True, slots=True)
class DoneLine:
    """One meal or sale. `seconds_left` is how long it may still be annulled, 0 when it may not.

    `meal` is empty for a sale, which then states `sum_minor`; what a meal costs is nobody's business at the counter.
    """

    row: int
    at: str
    person: Person | None
    ref: str
    meal: str
    sum_minor: int
    annulled: bool
    seconds_left: int


@dataclass(frozen=True, slots=True)
class OrdersLeft:
    """Orders of one meal that nobody has fetched; they can be marked when its serving is `over`."""

    kind: str
    until: str
    count: int
    over: bool


def done_lines(
    desk: CanteenDesk, now: datetime, *, of: bytes | None = None, limit: int = 30
) -> tuple[DoneLine, ...]:
    """Today's meals and sales, the newest first."""
    day = desk.day_of(now).isoformat()
    made: list[Meal | Sale] = [*desk.ledger.meals.values(), *desk.ledger.sales.values()]
    today = [one for one in made if one.day == day and of in (None, one.pupil)]
    newest = sorted(today, key=lambda one: (one.at_ms, one.row), reverse=True)[:limit]
    return tuple(_line(desk, one, now) for one in newest)


def orders_left(desk: CanteenDesk, now: datetime) -> tuple[OrdersLeft, ...]:
    """For each meal with orders today: how many nobody has fetched."""
    known, day = desk.known(), desk.day_of(now)
    if known is None:
        return ()
    counts: Counter[str] = Counter()
    for listed in known.roster.pupils.values():
        if listed.orders:
            counts.update(known.open_orders(listed, day))
    kinds = (kind for kind in desk.policy.meals.kinds.values() if kind.id in counts)
    return tuple(_left(desk, kind, counts[kind.id], now) for kind in kinds)


def _left(desk: CanteenDesk, kind: MealKind, count: int, now: datetime) -> OrdersLeft:
    until = desk.policy.meals.window(kind, desk.school).served_until
    over = against_not_collected(desk.time_of(now), until) is None
    return OrdersLeft(kind.id, f"{until:%H:%M}", count, over)


def _line(desk: CanteenDesk, one: Meal | Sale, now: datetime) -> DoneLine:
    made = from_unix_ms(one.at_ms)
    annulled = one.row in desk.ledger.annulments
    return DoneLine(
        row=one.row[1],
        at=f"{made.astimezone(desk.policy.zone):%H:%M:%S}",
        person=person(desk, one.pupil),
        ref=one.pupil.hex(),
        meal=one.line.kind if isinstance(one, Meal) else "",
        sum_minor=0 if isinstance(one, Meal) else one.sale.sum_minor,
        annulled=annulled,
        seconds_left=0 if annulled else _seconds_left(desk, one, made, now),
    )


def _seconds_left(desk: CanteenDesk, one: Meal | Sale, made: datetime, now: datetime) -> int:
    newest = desk.ledger.newest_of(one.pupil)
    last = newest is not None and newest.row == one.row
    closed = one.day in desk.ledger.closed_days or desk.journal is None
    if against_annulment(made, now, desk.policy.meals, last=last, day_closed=closed) is not None:
        return 0
    window_s = desk.policy.meals.document.annulment.window_s
    return max(window_s - int(abs(now - made).total_seconds()), 1)
