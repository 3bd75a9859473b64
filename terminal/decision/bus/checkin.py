"""Check-in and check-out (T-07): hold the price to the terminus, charge the ride itself.

A validator can only take money from a card, never give it back, so the price to the terminus is held and not
debited: a counter on the card says how much of the purse is spoken for. The second tap debits what the ride
cost; if it never comes, the next ride debits all that is held.
"""

from __future__ import annotations

from cardproto.resident.records.event import EventKind
from terminal.codes import Admission
from terminal.decision.bus.caps import capped
from terminal.decision.bus.cover import CONCESSION_SLOTS, Cover, ride_of
from terminal.decision.bus.effects import CheckInEffect
from terminal.decision.bus.feed import end_of_ride
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Tap, Trail, accept
from terminal.policy.document.journeys import MARK_M
from terminal.policy.journeys.index import CheckInRule
from terminal.policy.scopes import Ride, inside


def held_minor(tap: Tap) -> int:
    """How much of the purse is held by a ride that was not checked out; 0 where that cannot be read."""
    rule = tap.policy.check_in
    if rule is None or not tap.counters_known:
        return 0
    return rule.reserve.read(tap.counters) * rule.reserve.unit_minor


def checks_in(tap: Tap, ride: Ride) -> CheckInRule | None:
    """The rule under which riders check in here, if they do; a card we cannot read pays at once."""
    rule = tap.policy.check_in
    if rule is None or not tap.counters_known or not inside(rule.areas, ride):
        return None
    return rule


def to_terminus(tap: Tap, ride: Ride) -> Ride:
    """The longest this ride can be."""
    trip = tap.trip
    here, there = trip.place.mark_m, trip.place.terminus.mark_m
    length_m = None if here is None or there is None else abs(there - here)
    return ride._replace(to_zone=trip.place.terminus.zone, length_m=length_m)


def is_check_out(tap: Tap) -> bool:
    """Whether this tap ends the ride the newest event began: same trip, and not too long ago."""
    event, trip, rule = tap.snapshot.event, tap.trip, tap.policy.check_in
    if rule is None or event.kind is not EventKind.CHECK_IN or tap.age_s is None or not tap.counters_known:
        return False
    if not held_minor(tap) and tap.policy.gtfs is None:
        return False
    same_trip = (event.route, event.direction) == (trip.route, trip.direction)
    return same_trip and tap.age_s <= rule.longest_s


def check_in(tap: Tap, rule: CheckInRule, counters: int, held: int) -> int:
    """The counters of a card on which `held` kopecks are held from here on."""
    trip = tap.trip
    counters = rule.reserve.write(counters, -(-held // rule.reserve.unit_minor))
    if rule.zone is not None:
        counters = rule.zone.write(counters, trip.place.zone)
    if rule.mark is not None:
        counters = rule.mark.write(counters, mark_of(trip.place.mark_m))
    return counters


def check_out(tap: Tap, trail: Trail) -> Decision:
    """Charge the ride that ends here, never more than was held for it."""
    rule = tap.policy.check_in
    assert rule is not None, "is_check_out said so"
    held = held_minor(tap)
    if tap.policy.gtfs is not None:
        ride, code = ride_of(tap.trip), None
        due_minor, counters, journey = end_of_ride(tap, tap.policy.gtfs, held, trail)
    else:
        ride, counters, journey = _ride(tap, rule), tap.counters, None
        due_minor, code = _due(tap, ride, held)
    trail.note(CheckInEffect.CHARGED, {"held_minor": held, "price_minor": due_minor})
    paid_by = tap.snapshot.event.paid_by
    cover = Cover(paid_by, Message.OK_CHECKOUT, counters, code=code)
    due_minor, counters = capped(tap, ride, cover, due_minor, counters, trail)
    balance_minor = tap.snapshot.balance_minor
    if balance_minor < due_minor:
        trail.note(CheckInEffect.PURSE_SHORT, {"balance_minor": balance_minor})
        due_minor = balance_minor
    outcome = Outcome(
        Message.OK_CHECKOUT, Admission.LET_IN, charge_minor=due_minor, values={"sum_minor": due_minor}
    )
    counters = release(rule, counters)
    return accept(tap, trail, outcome, EventKind.CHECK_OUT, paid_by, counters=counters, journey=journey)


def release(rule: CheckInRule, counters: int) -> int:
    """The counters of a card on which nothing is held."""
    for counter in (rule.reserve, rule.zone, rule.mark):
        if counter is not None:
            counters = counter.write(counters, 0)
    return counters


def mark_of(mark_m: int | None) -> int:
    """A place on the route as the card keeps it: hundreds of metres plus one, 0 where it is not known."""
    return 0 if mark_m is None else (mark_m + MARK_M // 2) // MARK_M + 1


def _ride(tap: Tap, rule: CheckInRule) -> Ride:
    trip = tap.trip
    zone = 0 if rule.zone is None else rule.zone.read(tap.counters)
    mark = 0 if rule.mark is None else rule.mark.read(tap.counters)
    here = mark_of(trip.place.mark_m)
    length_m = abs(here - mark) * MARK_M if here and mark else None
    return Ride(trip.mode, trip.route, zone, trip.place.zone, length_m)


def _due(tap: Tap, ride: Ride, held: int) -> tuple[int, int | None]:
    """What the right used at check-in makes of the fare at the time of boarding, and its concession code.

    Everything held where the fare is not known.
    """
    boarded = tap.snapshot.event.at.astimezone(tap.policy.zone)
    quote = tap.policy.ordinary_fare(ride, boarded, dearest=False)
    paid_by = tap.snapshot.event.paid_by
    price_minor, code = (None if quote is None else quote.fare_minor), None
    if paid_by in CONCESSION_SLOTS:
        grant = tap.concessions[CONCESSION_SLOTS.index(paid_by)]
        concession = None if grant is None else tap.policy.concessions.get(grant.code)
        price_minor = None if concession is None else concession.price.of(quote)
        code = None if concession is None else concession.code
    return (held if price_minor is None else min(price_minor, held)), code
