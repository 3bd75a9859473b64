"""A ride: is it already paid, and if not, which of the card's rights covers it.

The rights are tried in the order the profile states (K-02). Each either covers the ride, or leaves it to the
next one, perhaps noting that it lapsed; the purse comes last and says so together with the full fare.

A payment from the purse opens a journey (T-30): the window runs from that tap, free rides inside it do not
extend it, and the next payment, whether late, beyond the count or on the same route (T-33), opens the next
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from cardproto.resident.records.event import EventKind, PaidBy
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.outcome import NO_VALUES, Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.policy import FareConcession
from terminal.policy.schema import Pass, Right, SameRoute, TripPack

CONTRACT_SLOTS: Final = (PaidBy.CONTRACT_A, PaidBy.CONTRACT_B)
CONCESSION_SLOTS: Final = (PaidBy.CONCESSION_A, PaidBy.CONCESSION_B, PaidBy.CONCESSION_C)


def decide_ride(tap: Tap, trail: Trail) -> Decision:
    """Return the decision on one tap on the bus; the card as such has been accepted."""
    if _already_paid(tap, trail):
        return trail.repeat(Message.ALREADY_PAID)
    for right in tap.policy.document.profiles.bus.rights:
        decision = RIGHTS[right](tap, trail)
        if decision is not None:
            return decision
    trail.note("K-02", "no right covers the ride")
    return trail.refuse(Message.NO_FUNDS)


def _already_paid(tap: Tap, trail: Trail) -> bool:
    event, context, guards = tap.snapshot.event, tap.context, tap.policy.document.guards
    if event.kind is not EventKind.RIDE or tap.age_s is None:
        return False
    same_terminal = event.terminal == context.terminal
    if same_terminal and tap.age_s <= guards.repeat_s:
        trail.note("T-35", "same card on the same terminal: ignored", {"age_s": tap.age_s})
        return True
    if event.route != context.route:
        return False
    if not same_terminal and tap.age_s <= guards.retap_s:
        trail.note("K-03", "paid at another validator of this route: not charged again", {"age_s": tap.age_s})
        return True
    if tap.age_s <= guards.passback_s and _right_of(tap, event.paid_by) in guards.passback_rights:
        trail.note("T-36", "right already used: cannot be passed back", {"age_s": tap.age_s})
        return True
    return False


def _right_of(tap: Tap, paid_by: PaidBy) -> Right | None:
    """Which right of today's card the last ride was paid by."""
    if paid_by in CONCESSION_SLOTS:
        return Right.CONCESSION
    if paid_by not in CONTRACT_SLOTS:
        return None
    contract = tap.snapshot.rights.contracts[CONTRACT_SLOTS.index(paid_by)]
    product = None if contract is None else tap.policy.products.get(contract.product)
    if product is None:
        return None
    return Right.PASS if isinstance(product, Pass) else Right.PACK


def _holds(tap: Tap, right: Contract | Concession) -> bool:
    """First and last day are included (M-20); the day is the service day (T-14)."""
    return right.valid_from <= tap.service_date <= right.valid_to


def _by_pass(tap: Tap, trail: Trail) -> Decision | None:
    for slot, contract in enumerate(tap.snapshot.rights.contracts):
        if contract is None or not isinstance(tap.policy.products.get(contract.product), Pass):
            continue
        until = contract.valid_to.isoformat()
        if _holds(tap, contract):
            trail.note("K-02", "pass covers the ride", {"product": contract.product, "valid_to": until})
            outcome = Outcome(Message.OK_PASS, accepted=True, values={"date": until})
            return accept(tap, trail, outcome, EventKind.RIDE, CONTRACT_SLOTS[slot])
        trail.note("K-02", "pass does not hold today", {"product": contract.product, "valid_to": until})
    return None


def _by_pack(tap: Tap, trail: Trail) -> Decision | None:
    for slot, contract in enumerate(tap.snapshot.rights.contracts):
        product = None if contract is None else tap.policy.products.get(contract.product)
        if contract is None or not isinstance(product, TripPack):
            continue
        if not _holds(tap, contract):
            trail.note("T-10", "trip pack does not hold today", {"product": contract.product})
            continue
        counter, sold = tap.policy.contract_counters[slot], min(contract.trips, product.trips)
        used = counter.read(tap.counters) if tap.counters_known else sold
        inputs = {"product": contract.product, "used": used, "of": sold}
        if used >= sold:
            trail.note("T-10", "trip pack used up", inputs)
            trail.lapsed = Message.LIMIT_REACHED
            continue
        trail.note("T-10", "one trip of the pack", inputs)
        outcome = Outcome(Message.OK_BENEFIT, accepted=True, values={"n": sold - used - 1})
        counters = counter.write(tap.counters, used + 1)
        return accept(tap, trail, outcome, EventKind.RIDE, CONTRACT_SLOTS[slot], counters=counters)
    return None


def _by_transfer(tap: Tap, trail: Trail) -> Decision | None:
    rule, event = tap.policy.document.transfer, tap.snapshot.event
    if rule is None or tap.journey_age_s is None or not tap.policy.transfers_by_card:
        return None
    inputs = {"journey_age_s": tap.journey_age_s, "transfers": tap.transfers}
    if tap.transfers >= rule.transfers:
        trail.note("T-30", "no transfer left on this journey", inputs)
        return None
    same_way = (event.route, event.direction) == (tap.context.route, tap.context.direction)
    if event.kind is EventKind.RIDE and same_way and rule.same_route is SameRoute.NEW_TRIP:
        trail.note("T-33", "same route and direction: a new trip", {"route": event.route})
        return None
    trail.note("T-30", "free transfer", inputs)
    ends = (tap.at + timedelta(seconds=rule.window_s - tap.journey_age_s)).astimezone(tap.policy.zone)
    outcome = Outcome(Message.OK_TRANSFER, accepted=True, values={"time": f"{ends:%H:%M}"})
    journey = (tap.journey_age_s, tap.transfers + 1)
    return accept(tap, trail, outcome, EventKind.RIDE, PaidBy.TRANSFER, journey=journey)


def _by_concession(tap: Tap, trail: Trail) -> Decision | None:
    """The cheapest concession that holds today and has rides left; the first slot where prices are equal."""
    best: tuple[int, int, FareConcession, int] | None = None
    lapsed: Message | None = None
    for slot, grant in enumerate(tap.snapshot.rights.concessions):
        concession = None if grant is None else tap.policy.fare_concessions.get(grant.code)
        if grant is None or concession is None:
            continue
        if not _holds(tap, grant):
            if tap.service_date > grant.valid_to:
                trail.note(
                    "M-20", "concession expired", {"slot": slot, "valid_to": grant.valid_to.isoformat()}
                )
                lapsed = lapsed or Message.BENEFIT_EXPIRED
            else:
                trail.note("M-20", "concession not yet valid", {"slot": slot})
            continue
        used = _used(tap, concession)
        if concession.limit is not None and used >= concession.limit.trips:
            trail.note("T-13", "limit reached: ordinary fare", {"used": used, "of": concession.limit.trips})
            lapsed = Message.LIMIT_REACHED
        elif best is None or concession.price_minor < best[0]:
            best = (concession.price_minor, slot, concession, used)
    if best is None:
        trail.lapsed = trail.lapsed or lapsed
        return None
    _, slot, concession, used = best
    return _use_concession(tap, trail, slot, concession, used)


def _used(tap: Tap, concession: FareConcession) -> int:
    if concession.counter is None or concession.limit is None:
        return 0
    return concession.counter.read(tap.counters) if tap.counters_known else concession.limit.trips


def _use_concession(tap: Tap, trail: Trail, slot: int, concession: FareConcession, used: int) -> Decision:
    inputs = {"price_minor": concession.price_minor}
    if concession.code is not None:
        inputs["code"] = concession.code
    trail.note(concession.rule, "concession", inputs)
    message, values, counters = Message.OK_BENEFIT_UNLIMITED, NO_VALUES, None
    if concession.limit is not None and concession.counter is not None:
        trail.note("T-12", "one ride of the month's limit", {"used": used, "of": concession.limit.trips})
        message, values = Message.OK_BENEFIT, {"n": concession.limit.trips - used - 1}
        counters = concession.counter.write(tap.counters, used + 1)
    outcome = Outcome(message, accepted=True, charge_minor=concession.price_minor, values=values)
    return _charge(tap, trail, outcome, CONCESSION_SLOTS[slot], counters)


def _by_purse(tap: Tap, trail: Trail) -> Decision:
    fare_minor = tap.policy.ordinary_fare_minor
    trail.note("T-01", "ordinary fare of the transport card", {"fare_minor": fare_minor})
    outcome = Outcome(trail.lapsed or Message.OK_PAID, accepted=True, charge_minor=fare_minor)
    return _charge(tap, trail, outcome, PaidBy.PURSE, None)


def _charge(tap: Tap, trail: Trail, outcome: Outcome, paid_by: PaidBy, counters: int | None) -> Decision:
    """Debit the purse, which must hold the whole sum; a payment opens a journey where transfers exist."""
    balance_minor = tap.snapshot.balance_minor
    if balance_minor < outcome.charge_minor:
        inputs = {"balance_minor": balance_minor, "charge_minor": outcome.charge_minor}
        trail.note("T-34", "not enough money in the purse", inputs)
        return trail.refuse(Message.NO_FUNDS)
    paid = outcome.charge_minor > 0 and tap.policy.transfers_by_card
    journey = (0, 0) if paid else None
    return accept(tap, trail, outcome, EventKind.RIDE, paid_by, counters=counters, journey=journey)


RIGHTS: Final[Mapping[Right, Callable[[Tap, Trail], Decision | None]]] = MappingProxyType(
    {
        Right.PASS: _by_pass,
        Right.PACK: _by_pack,
        Right.TRANSFER: _by_transfer,
        Right.CONCESSION: _by_concession,
        Right.PURSE: _by_purse,
    }
)
