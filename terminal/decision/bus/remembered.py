"""What a card remembers between rides: the dearest price paid in a journey (T-38), a ride to be returned from (T-39).

Both lie in counters of the document. Where riders check in they are settled when the ride ends: until then a journey
and an outward ride stay on the card as they were at boarding, even where they have run out meanwhile. A ride whose exit
was forgotten ends with the next boarding, which charges what was held for it.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from cardproto.resident.records.event import PaidBy
from terminal.decision.bus.cover import to_end
from terminal.decision.tap import Tap, seconds
from terminal.policy.document.schema import UnknownFare
from terminal.policy.journeys.index import Transfer
from terminal.policy.journeys.returns import Return
from terminal.policy.scopes import Ride


def held_minor(tap: Tap) -> int:
    """How much of the purse is held by a ride that was not checked out; 0 where that cannot be read."""
    rule = tap.policy.check_in
    if rule is None or not tap.counters_known:
        return 0
    return rule.reserve.read(tap.counters) * rule.reserve.unit_minor


def of_new_ride(tap: Tap) -> Tap:
    """`tap` as the beginning of a ride: what the riders inside left behind is settled, what has run out is gone."""
    event = tap.snapshot.event
    if not event.inside or not tap.counters_known:
        return tap
    tap = _journey_behind(tap)
    counters = tap.counters
    ridden = Ride(tap.trip.mode, event.route, 0, 0, None)
    for rule in tap.policy.returns:
        back = event.paid_by is PaidBy.PURSE and rule.is_back(ridden, event.direction, counters)
        if back or not rule.open_at(counters, seconds(event.at), seconds(tap.at)):
            counters = rule.forgotten(counters)
    return tap if counters == tap.counters else replace(tap, counters=counters)


def _journey_behind(tap: Tap) -> Tap:
    """The journey after a ride without an exit, whose holder's part of what was held counts as paid."""
    event, rule, age_s = tap.snapshot.event, tap.transfer, tap.journey_age_s
    if rule is None or rule.paid is None or age_s is None:
        return tap
    if age_s > rule.window_s:
        counters = tap.counters & tap.policy.card.kept_by_journey
        return replace(tap, counters=counters, journey_age_s=None, transfers=0, transfer=None)
    before_minor = paid_minor(rule, tap.counters)
    if event.paid_by is PaidBy.TRANSFER or not before_minor:
        own_minor = held_minor(tap) // event.inside
        return replace(tap, counters=with_paid(rule, tap.counters, before_minor + own_minor))
    return tap


def paid_minor(rule: Transfer, counters: int) -> int:
    """The dearest price paid so far in the journey."""
    return 0 if rule.paid is None else rule.paid.read(counters) * rule.paid.unit_minor


def with_paid(rule: Transfer, counters: int, price_minor: int) -> int:
    """`counters` of a journey in which a ride for `price_minor` was paid."""
    if rule.paid is None or price_minor <= paid_minor(rule, counters):
        return counters
    return rule.paid.write(counters, price_minor // rule.paid.unit_minor)


def fare_ride(tap: Tap, ride: Ride) -> Ride:
    """`ride` as far as a fare that is paid at boarding is charged: to the terminus where no destination is named and
    the document charges so.
    """
    dearest = tap.policy.document.profiles.bus.unknown_fare is UnknownFare.DEAREST
    return to_end(tap.trip, ride) if dearest else ride


def known_returns(tap: Tap, *, checked_in: bool) -> tuple[Return, ...]:
    """The returns that can be judged when boarding: where riders check in, only those by route and direction."""
    returns = tap.policy.returns
    return tuple(rule for rule in returns if rule.zones is None) if returns and checked_in else returns


def back_by(tap: Tap, ride: Ride, rules: tuple[Return, ...], at: datetime) -> Return | None:
    """The one of `rules` that `ride`, begun `at`, is the way back of."""
    if not rules or not tap.counters_known:
        return None
    newest_s, direction = seconds(tap.snapshot.event.at), tap.trip.direction
    for rule in rules:
        if rule.is_back(ride, direction, tap.counters) and rule.open_at(tap.counters, newest_s, seconds(at)):
            return rule
    return None


def with_outward(tap: Tap, ride: Ride, counters: int, rules: tuple[Return, ...], at: datetime) -> int:
    """`counters` after a paid ride, begun `at`, that may be returned from by `rules`."""
    if not rules or not tap.counters_known:
        return counters
    for rule in rules:
        number = rule.outward_ride(ride, tap.trip.direction)
        if number:
            counters = rule.remembered(counters, number, seconds(at))
    return counters
