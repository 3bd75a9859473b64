"""The counter as its cashier sees it: the meal of this break, how far it has come, who stands there, what to hand out.

What is shown says what to hand out and never why: no category, no sum, no source of money (M-38, D-08). Entitlement
is looked up only to know whom to expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final

from terminal.canteen.desk import CanteenDesk
from terminal.canteen.documents import RosterPupil
from terminal.canteen.ledger import Meal
from terminal.decision.canteen.entitlement import entitlement
from terminal.decision.outcome import Message, Reason
from terminal.decision.tap import Trail
from terminal.journal.taps import End
from terminal.policy.document.meals import BY_SHIFT, MealKind
from terminal.policy.meals.index import SchoolDay
from terminal.screen.console.canteen.people import Person, person
from terminal.tap_report import TapReport
from terminal.trip.pupil import Age, Pupil


@dataclass(frozen=True, slots=True)
class AtCounter:
    """One tap: who stands there and what to hand out. `without` are the foods the parents excluded.

    `person` is None for a card no roster lists; `card` is then its reference, to lend it (M-35). `portions` of
    `meal` are handed out, 0 for a refusal; `message` is what everybody sees. `why` says what the message leaves open.
    """

    at: str
    person: Person | None
    card: str
    message: str
    meal: str = ""
    portions: int = 0
    without: tuple[str, ...] = ()
    why: str = ""
    lent: bool = False
    """The card is a spare one that stands for this pupil today."""


def at_counter(desk: CanteenDesk, report: TapReport) -> AtCounter:
    """What the cashier has to know of a tap that has just ended."""
    ref = report.card_ref or b""
    holder = desk.ledger.holder_of(ref, desk.day_of(report.at).isoformat())
    known = person(desk, holder)
    listed = None if desk.roster is None else desk.roster.pupils.get(holder)
    outcome = report.outcome
    accepted = outcome.accepted and report.end is not End.UNRESOLVED
    return AtCounter(
        at=f"{report.at.astimezone(desk.policy.zone):%H:%M:%S}",
        person=known,
        card="" if known is not None and holder == ref else ref.hex(),
        message=outcome.message,
        meal=str(outcome.values.get("meal", "")),
        portions=int(accepted and outcome.message == Message.MEAL_OK),
        without=() if listed is None else listed.forbidden,
        why="" if outcome.accepted else why(report.reasons),
        lent=known is not None and holder != ref,
    )


WHY: Final = {
    ("M-15", "nothing is served at this hour"): "no_meal_now",
    ("M-17", "no meals today"): "no_meals_today",
    ("M-32", "not ordered before the cut-off"): "not_ordered",
    ("M-32", "not ordered, or the order is done with"): "not_ordered",
    ("M-01", "no price for it"): "not_for_sale",
    ("M-01", "no account known here"): "no_account",
    ("M-02", "the parents' limit of the day is reached"): "day_limit",
    ("M-02", "the parents' limit for the buffet is reached"): "buffet_limit",
    ("M-34", "the day is closed"): "day_closed",
    ("M-35", "a lost card: the pupil has a newer one"): "lost_card",
    ("M-31", "not in the roster of this school"): "not_listed",
    ("O-03", "no account known here"): "no_account",
    ("O-03", "the roster has expired"): "roster_expired",
    ("O-06", "nothing is sold while the journal takes no records"): "selling_stopped",
    ("T-60", "no sale before a shift is open"): "no_shift",
}
"""By rule and effect: which line of the catalogue tells the staff what the passenger's message leaves open."""


def why(facts: Iterable[Reason]) -> str:
    """The last of `facts` the staff have words for, or nothing."""
    known = (WHY[fact.rule, fact.effect] for fact in facts if (fact.rule, fact.effect) in WHY)
    return next(reversed(list(known)), "")


def why_compact(reasons: Iterable[str]) -> str:
    """The same of reasons as records hold them, "rule:effect (inputs)"."""
    parts = (reason.partition(" (")[0].partition(":") for reason in reasons)
    return why(Reason(rule, effect) for rule, _, effect in parts)


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How far one class has come with the meal that is being served."""

    class_id: str
    served: int
    left: int


@dataclass(frozen=True, slots=True)
class MealNow:
    """The meal of this break. `kind` is empty while nothing is served; `next_kind` is then what comes next today."""

    kind: str
    begins: str
    ends: str
    served: int
    left: int
    classes: tuple[ClassCount, ...]
    next_kind: str = ""
    next_at: str = ""

    @property
    def expected(self) -> int:
        """Everybody who was and will be served, as far as the roster knows."""
        return self.served + self.left


@dataclass(frozen=True, slots=True)
class Notice:
    """Something staff have to know; `severe` when it stops some of the work. `rows` are those not yet sent."""

    code: str
    severe: bool = False
    rows: int = 0


@dataclass(slots=True)
class Expected:
    """Whom each meal of a day is for, by the roster; worked out once for as long as roster and day stay the same."""

    _key: tuple[date, int] | None = None
    _of_kind: dict[str, frozenset[bytes]] = field(default_factory=dict)

    def of(self, desk: CanteenDesk, kinds: Iterable[str], now: datetime) -> frozenset[tuple[bytes, str]]:
        """Pairs of pupil and kind that the roster entitles to it today or has an order for."""
        key = desk.day_of(now), desk.roster_sequence
        if key != self._key:
            self._key, self._of_kind = key, _eaters(desk, now)
        return frozenset((ref, kind) for kind in kinds for ref in self._of_kind.get(kind, ()))


def meal_now(desk: CanteenDesk, expected: Expected, now: datetime) -> MealNow:
    """The meal that taps are for at `now`, and how far it has come."""
    kind = _kind_served(desk, now)
    kinds = _kinds_of(desk, kind)
    day = desk.day_of(now).isoformat()
    got = {(meal.pupil, meal.line.kind): meal for meal in _served(desk, day) if meal.line.kind in kinds}
    listed = _listed(desk)
    left = [
        listed[ref].class_id
        for ref, of_kind in expected.of(desk, kinds, now)
        if (ref, of_kind) not in got
        and ref in listed
        and not desk.ledger.absent(ref, day)
        and (ref, day, of_kind) not in desk.ledger.not_collected
    ]
    served = [meal.line.class_id for meal in got.values()]
    names = sorted({*left, *served} - {""})
    begins, ends = _window(desk, kind)
    after = _next(desk, now) if not kind else None
    return MealNow(
        kind=kind,
        begins=begins,
        ends=ends,
        served=len(served),
        left=len(left),
        classes=tuple(ClassCount(name, served.count(name), left.count(name)) for name in names),
        next_kind="" if after is None else after[1].id,
        next_at="" if after is None else f"{after[0]:%H:%M}",
    )


def notices(
    desk: CanteenDesk, now: datetime, *, unsent: int = 0, offline: bool = False
) -> tuple[Notice, ...]:
    """What staff should know before they go on, the gravest first. Serving goes on with every one but the first two."""
    found = []
    if desk.journal is not None and desk.journal.open_shift is None:
        found.append(Notice("no_shift", severe=True))
    if desk.day_closed(now):
        found.append(Notice("day_closed", severe=True))
    if desk.paid_stopped:
        found.append(Notice("selling_stopped", severe=True))
    if desk.roster is None:
        found.append(Notice("no_roster", severe=True))
    elif (age := desk.roster.age(now, desk.policy)) is not Age.FRESH:
        found.append(Notice("roster_stale" if age is Age.STALE else "roster_expired"))
    if offline:
        found.append(Notice("offline", rows=unsent))
    return tuple(found)


def _eaters(desk: CanteenDesk, now: datetime) -> dict[str, frozenset[bytes]]:
    day, found = desk.day_of(now), dict[str, set[bytes]]()
    for ref, listed in _listed(desk).items():
        pupil = desk.pupil(ref, now)
        if pupil is None or pupil.home_schooled or not _attends(desk, pupil, day):
            continue
        ordered = (order.kind for order in listed.orders if order.day == day)
        for kind in {*entitlement(pupil, desk.policy.meals, day, Trail()).portions, *ordered}:
            found.setdefault(kind, set()).add(ref)
    return {kind: frozenset(refs) for kind, refs in found.items()}


def _listed(desk: CanteenDesk) -> Mapping[bytes, RosterPupil]:
    return {} if desk.roster is None else desk.roster.pupils


def _attends(desk: CanteenDesk, pupil: Pupil, day: date) -> bool:
    on = desk.policy.meals.day_of(day, pupil.school, pupil.class_id, pupil.grade)
    return on in (SchoolDay.ATTENDED, SchoolDay.SILENT)


def _kind_served(desk: CanteenDesk, now: datetime) -> str:
    if desk.serving:
        return desk.serving
    kind = desk.policy.meals.kind_at(desk.time_of(now), desk.school)
    return "" if kind is None else kind.id


def _kinds_of(desk: CanteenDesk, kind: str) -> frozenset[str]:
    if kind == BY_SHIFT:
        assigned = (desk.policy.meals.assigned(shift, desk.school) for shift in (1, 2))
        return frozenset(one.id for one in assigned if one is not None)
    return frozenset((kind,) if kind else ())


def _served(desk: CanteenDesk, day: str) -> list[Meal]:
    return [meal for meal in desk.ledger.standing(desk.ledger.meals.values()) if meal.day == day]


def _window(desk: CanteenDesk, kind: str) -> tuple[str, str]:
    known = desk.policy.meals.kinds.get(kind)
    if known is None:
        return "", ""
    window = desk.policy.meals.window(known, desk.school)
    return f"{window.served_from:%H:%M}", f"{window.served_until:%H:%M}"


def _next(desk: CanteenDesk, now: datetime) -> tuple[time, MealKind] | None:
    meals, clock = desk.policy.meals, desk.time_of(now)
    coming = ((meals.window(kind, desk.school).served_from, kind) for kind in meals.kinds.values())
    return min((one for one in coming if one[0] > clock), key=lambda one: one[0], default=None)
