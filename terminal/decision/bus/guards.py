"""Second taps: the same ride again, a card passed back, or a companion (K-03, T-20, T-35, T-36).

Where there is no money, winter grace («довезти ребёнка», T-18) takes a child along and counts the debt.
"""

from __future__ import annotations

from typing import Final

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.codes import Admission
from terminal.decision.bus.checkin import checks_in, owed_from_purse, rides_on
from terminal.decision.bus.cover import CONCESSION_SLOTS, CONTRACT_SLOTS, RIDES, Cover
from terminal.decision.bus.effects import ConcessionEffect, RepeatEffect
from terminal.decision.bus.feed import forgotten
from terminal.decision.flags import RideFlag
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.base import Right
from terminal.policy.fares.index import Quote
from terminal.policy.rights.index import FareConcession, RidePack, RidePass, RidePlan
from terminal.policy.scopes import Ride, inside

RIGHT_OF = {RidePass: Right.PASS, RidePack: Right.PACK, RidePlan: Right.PLAN}


def already_paid(tap: Tap, trail: Trail) -> Admission | None:
    """Who may come in when this tap belongs to the ride of the newest event; None when it is a tap of its own."""
    event = tap.snapshot.event
    if event.kind not in RIDES or tap.age_s is None:
        return None
    found = _again(tap, tap.age_s)
    if found is None:
        return None
    trail.note(found, {"age_s": tap.age_s})
    return ADMISSIONS[found]


ADMISSIONS: Final = {
    RepeatEffect.SAME_TERMINAL: Admission.LET_IN,
    RepeatEffect.PAID_ON_ROUTE: Admission.LET_IN,
    RepeatEffect.JUST_CHECKED: Admission.INSIDE,
    RepeatEffect.PASSED_BACK: Admission.INSIDE,
}
"""A repeated tap of the same rider opens again; a right or a card handed back to the next person does not."""


def _again(tap: Tap, age_s: int) -> RepeatEffect | None:
    """The rule by which this tap is no new ride. Soon after a check-in it is no check-out either."""
    event, trip, guards = tap.snapshot.event, tap.trip, tap.policy.document.guards
    same_terminal = event.terminal == trip.terminal
    if same_terminal and age_s <= guards.repeat_s:
        return RepeatEffect.SAME_TERMINAL
    if event.route != trip.route:
        return None
    if age_s <= guards.retap_s and (event.kind is not EventKind.RIDE or not same_terminal):
        return RepeatEffect.JUST_CHECKED if same_terminal else RepeatEffect.PAID_ON_ROUTE
    return RepeatEffect.PASSED_BACK if _passed_back(tap, age_s) else None


def _passed_back(tap: Tap, age_s: int) -> bool:
    """Whether a right that is for one person is used again too soon; the exit from its ride is no use of it."""
    guards = tap.policy.document.guards
    if age_s > guards.passback_s or rides_on(tap) or _companions_left(tap) is not None:
        return False
    return _right_of(tap, tap.snapshot.event.paid_by) in guards.passback_rights


def as_companion(tap: Tap, quote: Quote | None, trail: Trail) -> Cover | None:
    """T-20: the second tap of a concession that takes companions is the next companion's ride, and that of persons
    counted with it as far as the grant goes.
    """
    if tap.snapshot.event.paid_by not in CONCESSION_SLOTS:
        return None
    found = _companions_left(tap)
    if found is None or found.companions is None:
        return None
    price_minor = found.price.of(quote)
    if price_minor is None:
        return None
    counter = found.companions.counter
    rode = counter.read(tap.counters) + 1
    more = min(tap.trip.companions, found.companions.most - rode)
    trail.note(ConcessionEffect.COMPANION, {"companions": rode + more, "of": found.companions.most})
    return Cover(
        paid_by=tap.snapshot.event.paid_by,
        message=Message.OK_BENEFIT_UNLIMITED,
        counters=counter.write(tap.counters, rode + more),
        price_minor=price_minor,
        companions=more,
        code=found.code,
    )


def _companions_left(tap: Tap) -> FareConcession | None:
    """The concession the card has just been used with on this vehicle, if more companions may follow."""
    event, trip = tap.snapshot.event, tap.trip
    if event.kind is not EventKind.RIDE or event.paid_by not in CONCESSION_SLOTS or tap.age_s is None:
        return None
    if tap.age_s > tap.policy.document.guards.passback_s or not tap.counters_known:
        return None
    if (event.route, event.direction) != (trip.route, trip.direction):
        return None
    grant = tap.concessions[CONCESSION_SLOTS.index(event.paid_by)]
    concession = None if grant is None else tap.policy.concessions.get(grant.code)
    if concession is None or concession.companions is None:
        return None
    companions = concession.companions
    return concession if companions.counter.read(tap.counters) < companions.most else None


def _right_of(tap: Tap, paid_by: PaidBy) -> Right | None:
    """Which right of today's card the last ride was paid by."""
    if paid_by in CONCESSION_SLOTS:
        return Right.CONCESSION
    if paid_by not in CONTRACT_SLOTS:
        return None
    contract = tap.snapshot.rights.contracts[CONTRACT_SLOTS.index(paid_by)]
    product = None if contract is None else tap.policy.products.get(contract.product)
    return None if product is None else RIGHT_OF[type(product)]


def owes_too_much(tap: Tap, trail: Trail) -> bool:
    """Whether the card's debt is full; then it rides no more until a reload point has cleared it."""
    rule = tap.policy.grace
    if rule is None or not tap.counters_known:
        return False
    debt = rule.counter.read(tap.counters)
    if debt < rule.trips:
        return False
    trail.note(ConcessionEffect.GRACE_USED_UP, {"unpaid": debt, "of": rule.trips})
    return True


def unpaid(tap: Tap, ride: Ride, trail: Trail) -> Decision | None:
    """A ride on credit, when season, mode, concession and debt allow it. It is not paid; what an earlier ride without
    check-out holds is, where the purse has it.
    """
    rule = tap.policy.grace
    if rule is None or not tap.counters_known or tap.trip.companions:
        return None
    if not rule.season.holds(tap.service_date) or not inside(rule.areas, ride) or not _entitled(tap):
        return None
    debt = rule.counter.read(tap.counters) + 1
    trail.flag(ConcessionEffect.GRACE_RIDE, RideFlag.GRACE, {"unpaid": debt, "of": rule.trips})
    owed_minor, counters = owed_from_purse(tap, rule.counter.write(tap.counters, debt), trail)
    journey: tuple[int | None, int] | None = None
    if tap.policy.gtfs is not None:
        counters, journey = forgotten(tap, tap.policy.gtfs, counters), (None, 0)
    values = {"n": rule.trips - debt}
    outcome = Outcome(Message.OK_GRACE, Admission.LET_IN, charge_minor=owed_minor, values=values)
    kind, riders = (EventKind.RIDE, 0) if checks_in(tap) is None else (EventKind.CHECK_IN, 1)
    return accept(tap, trail, outcome, kind, PaidBy.GRACE, counters=counters, journey=journey, inside=riders)


def _entitled(tap: Tap) -> bool:
    rule = tap.policy.grace
    return rule is not None and any(
        grant is not None
        and grant.code in rule.concessions
        and grant.valid_from <= tap.service_date <= grant.valid_to
        for grant in tap.concessions
    )
