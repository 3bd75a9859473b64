"""The counter as its cashier sees it: the meal of this break, how far it has come, who stands there, what to hand out.

What is shown says what to hand out and never why: no category, no sum, no source of money (M-38, D-08). Entitlement
is looked up only to know whom to expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from typing import Final

from msgspec import Struct, field

from cardproto.resident.snapshot import CardSnapshot
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import RosterPupil
from terminal.canteen.facts import masks
from terminal.canteen.ledger import Meal
from terminal.canteen.roster import class_order
from terminal.clock import unix_ms
from terminal.decision.canteen.decide import grants_on
from terminal.decision.canteen.effects import AccountEffect, MealEffect
from terminal.decision.canteen.serving import QUESTIONS
from terminal.decision.effects import TerminalEffect
from terminal.decision.flags import MealFlag
from terminal.decision.outcome import Message
from terminal.journal.canteen_records import owner_of
from terminal.journal.taps import End
from terminal.policy.document.meals import BY_SHIFT, MealKind
from terminal.screen.console.canteen.people import Person, person
from terminal.screen.console.console import HeardTap
from terminal.tap_report import TapReport
from terminal.trail import Reason, TrailEntry
from terminal.trip.pupil import Age, Pupil


class Elsewhere(Struct, frozen=True):
    """Another terminal of the school says that it served this meal: which, and when by the local clock."""

    terminal: int
    at: str


class AtCounter(Struct, frozen=True):
    """One tap: who stands there and what to hand out. `without` are the foods the parents excluded.

    `person` is None for a card no roster lists; `card` is then its reference, to lend it (M-35). `portions` of
    `meal` are handed out, 0 for a refusal; `message` is what bystanders see. `why` says what the message leaves open.
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
    asks: tuple[str, ...] = ()
    """What the cashier decides, as flags of `QUESTIONS`; no portion was given yet."""
    elsewhere: Elsewhere | None = None
    """Who gave it already, for a question about that."""
    key: str = ""
    row: int = 0


def at_counter(counter: CanteenCounter, heard: HeardTap) -> AtCounter:
    """What the cashier has to know of a tap that has ended."""
    report = heard.report
    ref = report.card_ref or b""
    own = owner_of(ref, report.person_ref)
    holder = counter.ledger.holder_of(ref, report.person_ref, counter.day_of(report.at).isoformat())
    known = person(counter, holder)
    listed = None if counter.roster is None else counter.roster.pupils.get(holder)
    outcome = report.outcome
    kind = str(outcome.values.get("meal", ""))
    asks = tuple(
        flag for flag, effect in QUESTIONS.items() if effect in {one.effect for one in report.reasons}
    )
    given = bool(asks) and _given_since(counter, holder, kind, report)
    accepted = outcome.accepted and report.end is not End.UNRESOLVED
    return AtCounter(
        at=f"{report.at.astimezone(counter.policy.zone):%H:%M:%S}",
        person=known,
        card="" if known is not None and holder == own else ref.hex(),
        message=outcome.message,
        meal=kind,
        portions=int(given or (accepted and outcome.message == Message.MEAL_OK)),
        without=() if listed is None else listed.forbidden,
        why="" if outcome.accepted else why(report.reasons),
        lent=known is not None and holder != own,
        asks=() if given else asks,
        elsewhere=_elsewhere(counter, holder, kind, report) if MealFlag.SERVED_ELSEWHERE in asks else None,
        key=heard.key,
        row=heard.row,
    )


def _given_since(counter: CanteenCounter, pupil: bytes, kind: str, report: TapReport) -> bool:
    meals = counter.ledger.standing(counter.ledger.meals_of(pupil))
    return any(meal.line.kind == kind and meal.at_ms >= unix_ms(report.at) for meal in meals)


def _elsewhere(counter: CanteenCounter, pupil: bytes, kind: str, report: TapReport) -> Elsewhere | None:
    said = counter.said_elsewhere(pupil, kind, counter.day_of(report.at))
    if said is None:
        return None
    return Elsewhere(said[0], f"{said[1].astimezone(counter.policy.zone):%H:%M}")


def pupil_at(counter: CanteenCounter, report: TapReport, now: datetime) -> Pupil | None:
    """Who stood there at a tap that left it to the cashier: the pupil of the list, or what the card alone says."""
    ref = report.card_ref
    if ref is None:
        return None
    holder = counter.ledger.holder_of(ref, report.person_ref, counter.day_of(report.at).isoformat())
    listed = counter.pupil(holder, now)
    if listed is not None or not isinstance(report.snapshot, CardSnapshot):
        return listed
    served, annulled = masks(holder, counter.day_of(now), counter.ledger, counter.policy)
    grants = tuple(grants_on(report.snapshot.rights))
    return Pupil(holder, counter.school, grants=grants, served=served, annulled=annulled, listed=False)


WHY: Final[Mapping[str, str]] = {
    MealEffect.NOTHING_SERVED_NOW: "no_meal_now",
    MealEffect.NONE_FOR_SHIFT: "none_for_shift",
    MealEffect.NO_SUCH_MEAL: "no_such_meal",
    MealEffect.NONE_TODAY: "no_meals_today",
    AccountEffect.NOT_ORDERED: "not_ordered",
    AccountEffect.ORDER_DONE: "not_ordered",
    AccountEffect.NO_PRICE: "not_for_sale",
    AccountEffect.NO_HOT_ACCOUNT: "no_account",
    AccountEffect.DAY_LIMIT: "day_limit",
    AccountEffect.BUFFET_LIMIT: "buffet_limit",
    AccountEffect.ASK_ORDER: "without_order",
    MealEffect.ASK_OTHER_ENTITLEMENT: "other_entitlement",
    MealEffect.ASK_NOT_LISTED: "not_in_roster",
    MealEffect.ASK_ELSEWHERE: "served_elsewhere",
    MealEffect.DAY_CLOSED: "day_closed",
    MealEffect.LOST_CARD: "lost_card",
    MealEffect.NOT_LISTED: "not_listed",
    AccountEffect.NO_BUFFET_ACCOUNT: "no_account",
    AccountEffect.ROSTER_EXPIRED: "roster_expired",
    AccountEffect.SELLING_STOPPED: "selling_stopped",
    AccountEffect.DOCUMENT_ENDED: "document_ended",
    TerminalEffect.NO_SHIFT: "no_shift",
}
"""By effect: which line of the catalogue explains to the staff what the passenger's message leaves open."""


def why(trail: Iterable[Reason | TrailEntry]) -> str:
    """The last step of `trail` the staff have words for, or nothing."""
    known = (WHY[step.code] for step in trail if step.code in WHY)
    return next(reversed(list(known)), "")


class ClassCount(Struct, frozen=True):
    """How far one class has come with the meal that is being served."""

    class_id: str
    served: int
    left: int


class MealNow(Struct, frozen=True):
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
        """All who were and will be served, as far as the roster knows."""
        return self.served + self.left


class Notice(Struct, frozen=True):
    """Something staff have to know; `severe` when it stops some of the work. `rows` are those not yet sent."""

    code: str
    severe: bool = False
    rows: int = 0


class Expected(Struct):
    """Whom each meal of a day is for, by the roster; worked out once for as long as roster and day stay the same."""

    _key: tuple[date, int, int] | None = None
    _of_kind: dict[str, frozenset[bytes]] = field(default_factory=dict)

    def of(
        self, counter: CanteenCounter, kinds: Iterable[str], now: datetime
    ) -> frozenset[tuple[bytes, str]]:
        """Pairs of pupil and kind that the roster entitles to it today or has an order for."""
        key = counter.day_of(now), counter.roster_sequence, counter.ledger.order_count
        if key != self._key:
            self._key, self._of_kind = key, _eaters(counter, now)
        return frozenset((ref, kind) for kind in kinds for ref in self._of_kind.get(kind, ()))


def meal_now(counter: CanteenCounter, expected: Expected, now: datetime) -> MealNow:
    """The meal that taps are for at `now`, and how far it has come."""
    kind = kind_served(counter, now)
    kinds = _kinds_of(counter, kind)
    day = counter.day_of(now).isoformat()
    got = {(meal.pupil, meal.line.kind): meal for meal in _served(counter, day) if meal.line.kind in kinds}
    listed = _listed(counter)
    left = [
        listed[ref].class_id
        for ref, of_kind in expected.of(counter, kinds, now)
        if (ref, of_kind) not in got
        and ref in listed
        and not counter.ledger.absent(ref, day)
        and (ref, day, of_kind) not in counter.ledger.not_collected
    ]
    served = [meal.line.class_id for meal in got.values()]
    names = sorted({*left, *served} - {""}, key=class_order)
    begins, ends = _window(counter, kind, now)
    after = _next(counter, now) if not kind else None
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


def dishes_now(counter: CanteenCounter, now: datetime) -> tuple[str, ...]:
    """What is on the menu for the meal of this break; empty where no menu says so."""
    if counter.price_list is None:
        return ()
    return counter.price_list.dishes(counter.day_of(now), kind_served(counter, now))


def notices(
    counter: CanteenCounter, now: datetime, *, unsent: int = 0, offline: bool = False, no_cards: bool = False
) -> tuple[Notice, ...]:
    """What staff should know before they go on, the gravest first. Serving goes on with every one but `no_shift` and
    `day_closed`."""
    found = []
    if counter.journal is not None and counter.journal.open_shift is None:
        found.append(Notice("no_shift", severe=True))
    if no_cards:
        found.append(Notice("no_cards", severe=True))
    if counter.day_closed(now):
        found.append(Notice("day_closed", severe=True))
    if counter.paid_stopped:
        found.append(Notice("selling_stopped", severe=True))
    elif counter.stopped(now) is not None:
        found.append(Notice("document_ended", severe=True))
    if counter.roster is None:
        found.append(Notice("no_roster", severe=True))
    elif (age := counter.roster.age(now, counter.policy)) is not Age.FRESH:
        found.append(Notice("roster_stale" if age is Age.STALE else "roster_expired"))
    if offline:
        found.append(Notice("offline", rows=unsent))
    return tuple(found)


def _eaters(counter: CanteenCounter, now: datetime) -> dict[str, frozenset[bytes]]:
    known, day, found = counter.known(), counter.day_of(now), dict[str, set[bytes]]()
    if known is None:
        return {}
    for ref, kind in known.rights(day):
        found.setdefault(kind, set()).add(ref)
    at_counter = counter.ledger.who_ordered(day.isoformat())
    for ref, listed in known.roster.pupils.items():
        if (listed.orders or ref in at_counter) and known.attends(listed, day):
            for kind in known.orders(listed, day):
                found.setdefault(kind, set()).add(ref)
    return {kind: frozenset(refs) for kind, refs in found.items()}


def _listed(counter: CanteenCounter) -> Mapping[bytes, RosterPupil]:
    return {} if counter.roster is None else counter.roster.pupils


def kind_served(counter: CanteenCounter, now: datetime) -> str:
    """The meal that taps are for at `now`: a kind, "by_shift", or empty while nothing is served."""
    if counter.serving:
        return counter.serving
    kind = counter.policy.meals.kind_at(counter.time_of(now), counter.school)
    return "" if kind is None else kind.id


def _kinds_of(counter: CanteenCounter, kind: str) -> frozenset[str]:
    if kind == BY_SHIFT:
        assigned = (counter.policy.meals.assigned(shift, counter.school) for shift in (1, 2))
        return frozenset(one.id for one in assigned if one is not None)
    return frozenset((kind,) if kind else ())


def _served(counter: CanteenCounter, day: str) -> list[Meal]:
    return [meal for meal in counter.ledger.standing(counter.ledger.meals.values()) if meal.day == day]


def _window(counter: CanteenCounter, kind: str, now: datetime) -> tuple[str, str]:
    """From when until when it is served: this break, or all of them where none is now."""
    known, clock = counter.policy.meals.kinds.get(kind), counter.time_of(now)
    if known is None:
        return "", ""
    windows = counter.policy.meals.windows(known, counter.school)
    here = (one for one in windows if one.served_from <= clock < one.served_until)
    window = next(here, None) or counter.policy.meals.window(known, counter.school)
    return f"{window.served_from:%H:%M}", f"{window.served_until:%H:%M}"


def _next(counter: CanteenCounter, now: datetime) -> tuple[time, MealKind] | None:
    meals, clock = counter.policy.meals, counter.time_of(now)
    coming = (
        (window.served_from, kind)
        for kind in meals.kinds.values()
        for window in meals.windows(kind, counter.school)
    )
    return min((one for one in coming if one[0] > clock), key=lambda one: one[0], default=None)
