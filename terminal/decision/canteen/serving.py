"""One portion for one pupil: whether it is given, and who pays for it (M-01 to M-03, M-17 to M-19, M-36).

The same rules whatever the medium: a card at the counter, a class list, an order (M-19, M-30). Nothing here asks
a network: an entitled meal is given on what is known, and flagged where that is old or missing (M-37).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.decision.canteen.effects import AccountEffect, MealEffect
from terminal.decision.canteen.entitlement import Entitlement, entitlement
from terminal.decision.effects import TerminalEffect
from terminal.decision.ended import note_end
from terminal.decision.flags import MealFlag, TapFlag
from terminal.decision.meal import Serving
from terminal.decision.outcome import Message
from terminal.decision.tap import Trail
from terminal.policy.document.meals import (
    ASK,
    BY_SHIFT,
    PAID,
    PARENTS,
    Credit,
    CreditAmount,
    CreditOneMeal,
    MealKind,
)
from terminal.policy.document.schema import RegionDocument
from terminal.policy.ends import DocumentEnd, end_of
from terminal.policy.meals.index import MealPolicy, SchoolDay
from terminal.trail import Effect
from terminal.trip.pupil import Age, Pupil


class Agreed(Struct, frozen=True):
    """What a decision on a portion knows of questions to the cashier: which are answered with yes, by the flag that
    the record then has, and which kinds other terminals say they served to this pupil today (bits).
    """

    answered: frozenset[str] = frozenset()
    elsewhere: int = 0


NOTHING_AGREED: Final = Agreed()
QUESTIONS: Final[Mapping[str, Effect]] = MappingProxyType(
    {
        MealFlag.WITHOUT_ORDER: AccountEffect.ASK_ORDER,
        MealFlag.OTHER_ENTITLEMENT: MealEffect.ASK_OTHER_ENTITLEMENT,
        MealFlag.NOT_IN_ROSTER: MealEffect.ASK_NOT_LISTED,
        MealFlag.SERVED_ELSEWHERE: MealEffect.ASK_ELSEWHERE,
    }
)
"""What the cashier is asked, by the flag of a portion that was given after it."""
ALL_ANSWERED: Final = frozenset(QUESTIONS)


class MealRefusal(Struct, frozen=True):
    """No meal: the message. Why stands in the trail."""

    message: Message
    meal: str = ""


def stopped_by(
    document: RegionDocument, now: datetime, *, journal: bool, clock_suspect: bool
) -> Effect | None:
    """Why nothing may be sold: the journal takes no more records (O-06), or the document has ended (O-01)."""
    if journal:
        return AccountEffect.SELLING_STOPPED
    ended = not clock_suspect and end_of(document, now) is DocumentEnd.PAST
    return AccountEffect.DOCUMENT_ENDED if ended else None


def kind_served(
    policy: MealPolicy, serving: str, shift: int, school: str, at: time, trail: Trail
) -> MealKind | MealRefusal:
    """The kind that is served: the one of the pupil's shift, the one the operator names, or the one of the hour."""
    if serving == BY_SHIFT:
        kind, effect = policy.assigned(shift, school), MealEffect.NONE_FOR_SHIFT
    elif serving:
        kind, effect = policy.kinds.get(serving), MealEffect.NO_SUCH_MEAL
    else:
        kind, effect = policy.kind_at(at, school), MealEffect.NOTHING_SERVED_NOW
    if kind is not None:
        return kind
    trail.note(effect, {"time": f"{at:%H:%M}"})
    missing = effect is MealEffect.NONE_FOR_SHIFT
    return MealRefusal(Message.MEAL_NOT_ARRANGED if missing else Message.NO_MEAL_NOW)


def kind_for(
    pupil: Pupil,
    policy: MealPolicy,
    serving: str,
    shift: int,
    day: date,
    at: time,
    trail: Trail,
    *,
    clock_suspect: bool = False,
) -> MealKind | MealRefusal:
    """As `kind_served`. The hour of a suspect clock withholds no pupil's first meal of the day (M-37): where it serves
    nothing, or what this pupil is not entitled to, it is the first that is his. After that a second tap is a second
    tap, and who serves says by name what comes next.
    """
    if clock_suspect and not serving and not pupil.served:
        hour = policy.kind_at(at, pupil.school)
        due = entitlement(pupil, policy, day, Trail(), clock_suspect=True).portions
        if due and (hour is None or hour.id not in due):
            return min(
                (policy.kinds[kind] for kind in due),
                key=lambda kind: policy.window(kind, pupil.school).served_from,
            )
    return kind_served(policy, serving, shift, pupil.school, at, trail)


def decide_portion(
    pupil: Pupil,
    kind: MealKind,
    day: date,
    policy: MealPolicy,
    trail: Trail,
    *,
    stopped: Effect | None = None,
    clock_suspect: bool = False,
    agreed: Agreed = NOTHING_AGREED,
) -> Serving | MealRefusal:
    """Return the portion of `kind` that `pupil` gets on the service day `day`, or why there is none.

    `stopped` is why nothing may be sold at all. A portion that nothing stands against but a question is the cashier's
    to decide: then the refusal is `MEAL_ASK`, and the trail ends with what to ask.

    Where that day comes from a suspect clock, neither a calendar nor the dates of a grant stand against a meal (M-37).
    """
    refusal = _not_here(pupil, kind, trail)
    if refusal is not None:
        return refusal
    school_day = (
        SchoolDay.SILENT if clock_suspect else policy.day_of(day, pupil.school, pupil.class_id, pupil.grade)
    )
    if school_day in (SchoolDay.HOLIDAY, SchoolDay.BREAK):
        trail.note(MealEffect.NONE_TODAY, {"day": day.isoformat(), "calendar": school_day.value})
        return MealRefusal(Message.NO_MEAL_TODAY)
    right = entitlement(pupil, policy, day, trail, clock_suspect=clock_suspect)
    flags = _flags(pupil, school_day)
    if kind.id in right.portions:
        meal = _entitled(pupil, kind, day, policy, trail, right, flags)
    else:
        trail.note(MealEffect.NOT_ENTITLED, {"meal": kind.id})
        meal = _paid(pupil, kind, day, policy, trail, right, flags, stopped)
    if isinstance(meal, MealRefusal):
        return meal
    return _asked(meal, tuple(_questions(pupil, kind, policy, right, meal, agreed)), agreed, trail)


def _questions(
    pupil: Pupil, kind: MealKind, policy: MealPolicy, right: Entitlement, meal: Serving, agreed: Agreed
) -> Iterator[MealFlag]:
    asked = policy.document.ask
    if agreed.elsewhere >> kind.bit & 1:
        yield MealFlag.SERVED_ELSEWHERE
    if meal.entitled:
        if not pupil.listed and pupil.school and asked.not_listed == ASK:
            yield MealFlag.NOT_IN_ROSTER
    elif kind.id not in pupil.orders:
        if right.portions and asked.other_entitlement == ASK:
            yield MealFlag.OTHER_ENTITLEMENT
        elif not right.portions and asked.without_order == ASK:
            yield MealFlag.WITHOUT_ORDER


def _asked(
    meal: Serving, questions: tuple[MealFlag, ...], agreed: Agreed, trail: Trail
) -> Serving | MealRefusal:
    """The portion with what the cashier decided of it, or the question."""
    if not questions:
        return meal
    if agreed.answered.issuperset(questions):
        trail.note(MealEffect.CASHIER_DECIDED, {"meal": meal.kind})
        return replace(meal, flags=(*meal.flags, *questions))
    for question in questions:
        trail.note(QUESTIONS[question], {"meal": meal.kind})
    return MealRefusal(Message.MEAL_ASK, meal.kind)


def mark_list(document: RegionDocument, now: datetime, trail: Trail, *, clock_suspect: bool) -> None:
    """What marks every portion of a list that is served at `now`."""
    if clock_suspect:
        trail.flag(TerminalEffect.CLOCK_JUMPED, TapFlag.CLOCK_SUSPECT)
    note_end(document, now, trail, clock_suspect=clock_suspect)


def decide_listed(
    pupil: Pupil,
    kind: MealKind,
    day: date,
    policy: MealPolicy,
    trail: Trail,
    *,
    ordered: bool,
    stopped: Effect | None = None,
    clock_suspect: bool = False,
    agreed: Agreed = NOTHING_AGREED,
) -> Serving | MealRefusal:
    """As `decide_portion`, without a card; `ordered`: only who ordered it is served. The flags that `trail` has by now
    are the portion's, too.
    """
    if ordered and kind.id not in pupil.orders and not pupil.served >> kind.bit & 1:
        trail.note(AccountEffect.ORDER_DONE, {"meal": kind.id})
        return MealRefusal(Message.MEAL_NOT_ORDERED)
    meal = decide_portion(
        pupil, kind, day, policy, trail, stopped=stopped, clock_suspect=clock_suspect, agreed=agreed
    )
    return meal if isinstance(meal, MealRefusal) else replace(meal, flags=(*trail.flags, *meal.flags))


def _not_here(pupil: Pupil, kind: MealKind, trail: Trail) -> MealRefusal | None:
    if pupil.home_schooled:
        trail.note(MealEffect.GETS_PARCEL)
        return MealRefusal(Message.NOT_ON_SITE)
    if pupil.served >> kind.bit & 1:
        trail.note(MealEffect.HAD_IT, {"meal": kind.id})
        return MealRefusal(Message.MEAL_ALREADY, kind.id)
    return None


def _flags(pupil: Pupil, school_day: SchoolDay) -> tuple[str, ...]:
    """What a later reader of the record must know (O-03, M-40)."""
    old = {Age.STALE: (MealFlag.STALE_ROSTER,), Age.EXPIRED: (MealFlag.EXPIRED_ROSTER,), Age.FRESH: ()}[
        pupil.age
    ]
    silent = (MealFlag.CALENDAR_SILENT,) if school_day is SchoolDay.SILENT else ()
    absent = (MealFlag.WAS_ABSENT,) if pupil.absent else ()
    return (*old, *silent, *absent)


def _entitled(
    pupil: Pupil,
    kind: MealKind,
    day: date,
    policy: MealPolicy,
    trail: Trail,
    right: Entitlement,
    flags: tuple[str, ...],
) -> Serving | MealRefusal:
    sources: dict[str, int] = {}
    for funder in (funder for portion in right.portions[kind.id] for funder in portion.funders):
        sources[funder.source] = sources.get(funder.source, 0) + funder.sum_minor
    share_minor = sources.get(PARENTS, 0)
    if share_minor:
        if pupil.hot is None:
            flags = (*flags, MealFlag.ACCOUNT_UNKNOWN)
        else:
            refusal = _account_refuses(pupil, kind, share_minor, policy, right, trail)
            if refusal is not None:
                return refusal
            flags = _with_uncertainty(pupil, flags)
    funded: dict[str, int | str] = {"meal": kind.id, "sum_minor": sum(sources.values())}
    trail.note(AccountEffect.FROM_BUDGET, funded | sources)
    return Serving(pupil.school, pupil.class_id, kind.id, day, sources, right.category, flags)


def _paid(
    pupil: Pupil,
    kind: MealKind,
    day: date,
    policy: MealPolicy,
    trail: Trail,
    right: Entitlement,
    flags: tuple[str, ...],
    stopped: Effect | None,
) -> Serving | MealRefusal:
    price_minor = policy.price_minor(kind, pupil.grade)
    if price_minor is None or pupil.hot is None:
        missing = AccountEffect.NO_PRICE if price_minor is None else AccountEffect.NO_HOT_ACCOUNT
        trail.note(missing, {"meal": kind.id})
        return MealRefusal(Message.MEAL_NOT_ARRANGED)
    if stopped is not None:
        trail.note(stopped)
        return MealRefusal(Message.SELLING_STOPPED)
    if policy.document.pre_order.paid_needs_order and kind.id not in pupil.orders:
        trail.note(AccountEffect.NOT_ORDERED, {"meal": kind.id})
        return MealRefusal(Message.MEAL_NOT_ORDERED)
    refusal = _account_refuses(pupil, kind, price_minor, policy, right, trail)
    if refusal is not None:
        return refusal
    trail.note(
        AccountEffect.FROM_HOT_ACCOUNT,
        {"meal": kind.id, "sum_minor": price_minor, PARENTS: price_minor},
    )
    sources = {PARENTS: price_minor}
    return Serving(pupil.school, pupil.class_id, kind.id, day, sources, PAID, _with_uncertainty(pupil, flags))


def _account_refuses(
    pupil: Pupil, kind: MealKind, charge_minor: int, policy: MealPolicy, right: Entitlement, trail: Trail
) -> MealRefusal | None:
    """Whether the parents' limit or the account stands against charging them; an order was covered beforehand."""
    assert pupil.hot is not None, "asked only where there is an account"
    if kind.id in pupil.orders:
        trail.note(AccountEffect.ORDERED, {"meal": kind.id})
        return None
    limit_minor = pupil.limits.day_minor
    if limit_minor is not None and pupil.spent_minor + charge_minor > limit_minor:
        trail.note(
            AccountEffect.DAY_LIMIT,
            {"limit_minor": limit_minor, "spent_minor": pupil.spent_minor, "charge_minor": charge_minor},
        )
        return MealRefusal(Message.MEAL_LIMIT)
    credit_minor = _credit_minor(policy.document.credit, charge_minor)
    free_minor = pupil.hot.balance_minor - _put_aside_minor(pupil, policy, right)
    if free_minor - charge_minor < -credit_minor:
        trail.note(
            AccountEffect.BELOW_CREDIT,
            {"free_minor": free_minor, "charge_minor": charge_minor, "credit_minor": credit_minor},
        )
        return MealRefusal(Message.NO_FUNDS)
    return None


def _credit_minor(credit: Credit, charge_minor: int) -> int:
    if isinstance(credit, CreditOneMeal):
        return charge_minor
    return credit.limit_minor if isinstance(credit, CreditAmount) else 0


def _put_aside_minor(pupil: Pupil, policy: MealPolicy, right: Entitlement) -> int:
    """What today's orders that are still open will take from the account (M-32)."""
    ordered = (policy.kinds[kind] for kind in pupil.orders if kind in policy.kinds)
    return sum(_parents_pay_minor(kind, pupil, policy, right) for kind in ordered)


def _parents_pay_minor(kind: MealKind, pupil: Pupil, policy: MealPolicy, right: Entitlement) -> int:
    if kind.id not in right.portions:
        return policy.price_minor(kind, pupil.grade) or 0
    funders = (funder for portion in right.portions[kind.id] for funder in portion.funders)
    return sum(funder.sum_minor for funder in funders if funder.source == PARENTS)


def _with_uncertainty(pupil: Pupil, flags: tuple[str, ...]) -> tuple[str, ...]:
    return (*flags, MealFlag.BALANCE_UNCERTAIN) if pupil.hot is not None and pupil.hot.uncertain else flags
