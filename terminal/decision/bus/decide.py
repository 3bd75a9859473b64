"""A ride: is it already paid, and if not, which of the card's rights covers it.

The rights are tried in the order the profile states (K-02). Each either covers the ride, or leaves it to the
next one, perhaps noting that it lapsed; the purse comes last and says so together with the full fare. Then the
money is settled (caps, what is held or owed, companions, the purse); where there is none, a region's grace may
still take the rider along (T-18).

A payment opens a journey (T-30): the window runs from that tap, and the next payment, whether late, beyond
the count or on the same route (T-33), opens the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.codes import Admission
from terminal.decision.bus.caps import capped
from terminal.decision.bus.checkin import (
    check_in,
    check_out,
    checks_in,
    from_first_stop,
    held_fare,
    mark,
    owed,
    rides_on,
    too_many,
)
from terminal.decision.bus.concessions import by_concession
from terminal.decision.bus.contracts import by_pack, by_pass, by_plan
from terminal.decision.bus.cover import CONCESSION_SLOTS, Cover, ride_of, to_terminus
from terminal.decision.bus.effects import CheckInEffect, FareEffect
from terminal.decision.bus.fare import guessed_fare
from terminal.decision.bus.feed import boarded, by_feed, feed_quote, forgotten
from terminal.decision.bus.guards import already_paid, as_companion, owes_too_much, unpaid
from terminal.decision.bus.remembered import fare_ride, held_minor, known_returns, of_new_ride, with_outward
from terminal.decision.bus.returns import by_return
from terminal.decision.bus.transfers import by_transfer, opened
from terminal.decision.flags import TapFlag
from terminal.decision.outcome import Decision, Message, Outcome
from terminal.decision.tap import Journey, Tap, Trail, accept
from terminal.policy.base import Right
from terminal.policy.fares.index import ELSE, TRANSPORT_CARD, Quote
from terminal.policy.journeys.index import CheckInRule
from terminal.policy.scopes import Ride
from terminal.trip.facts import AskedBy, Trip

# what nearly every tap asks for is bound here: in Python 3.11 a member of an enum is as dear as a call
ORDINARY: Final = FareEffect.ORDINARY
HELD: Final = CheckInEffect.HELD
OK_PAID: Final = Message.OK_PAID
OK_CHECKIN: Final = Message.OK_CHECKIN
LET_IN: Final = Admission.LET_IN
RIDE: Final = EventKind.RIDE
CHECK_IN: Final = EventKind.CHECK_IN
BY_PURSE: Final = PaidBy.PURSE
PURSE_RIGHT: Final = Right.PURSE
NOT_ASKED: Final = AskedBy.NOT_ASKED


def decide_ride(tap: Tap, trail: Trail) -> Decision:
    """Return the decision on one tap on the bus; the card as such has been accepted."""
    leaving = tap.snapshot.event.inside and rides_on(tap)
    again = already_paid(tap, trail)
    if again is not None:
        return trail.repeat(Message.ALREADY_PAID, again)
    if leaving:
        return check_out(tap, trail)
    if owes_too_much(tap, trail):
        return trail.refuse(Message.DEBT)
    if tap.snapshot.event.inside:
        tap = of_new_ride(tap)
    if tap.trip.asked_by is not NOT_ASKED:
        _asked(tap.trip, trail)
    rule = None
    if tap.policy.check_in is not None:
        tap, rule = _at_boarding(tap, checks_in(tap), trail)
    checked_in = rule is not None
    if checked_in and tap.trip.companions and too_many(tap, trail):
        return trail.refuse(Message.TOO_MANY_PERSONS)
    ride, quote = _fare(tap, trail, checked_in=checked_in)
    cover = None
    if not checked_in and tap.snapshot.event.paid_by in CONCESSION_SLOTS:
        cover = as_companion(tap, quote, trail)
    cover = cover or _covered(tap, ride, quote, trail, checked_in=checked_in)
    if cover is None:
        trail.note(FareEffect.UNKNOWN, {"route": ride.route})
        return trail.refuse(Message.FARE_UNKNOWN)
    return settle(tap, ride, quote, cover, rule, trail) or unpaid(tap, ride, trail) or _no_money(trail)


def _asked(trip: Trip, trail: Trail) -> None:
    """What was said of this ride before the tap, and by whom."""
    to = trip.place.destination
    inputs: dict[str, int | str] = {"persons": 1 + trip.companions}
    inputs |= {name: number for name, number in (("to_stop", to.stop), ("to_zone", to.zone)) if number}
    if to.mark_m is not None:
        inputs["to_mark_m"] = to.mark_m
    trail.note(ASKED[trip.asked_by], inputs)


ASKED: Final = {AskedBy.CREW: FareEffect.ASKED_BY_CREW, AskedBy.RIDER: FareEffect.ASKED_BY_RIDER}


def _at_boarding(tap: Tap, rule: CheckInRule | None, trail: Trail) -> tuple[Tap, CheckInRule | None]:
    """The tap where its ride begins, and the rule under which it checks in: a place that is not known may be the first
    stop's. A ride whose fare is the same everywhere needs none.
    """
    there = from_first_stop(tap)
    if there is tap:
        return tap, rule
    rule = rule or checks_in(there)
    ride = to_terminus(tap.trip, ride_of(tap.trip))
    if rule is None or (tap.policy.gtfs is None and tap.policy.ordinary_fare(ride, tap.at) is not None):
        return tap, rule
    mark(trail, CheckInEffect.FROM_FIRST_STOP, TapFlag.PLACE_ESTIMATED)
    return there, rule


def _fare(tap: Tap, trail: Trail, *, checked_in: bool) -> tuple[Ride, Quote | None]:
    """Where the ride goes and what it costs ordinarily; where riders check in, as far as it can go."""
    ride, trip = ride_of(tap.trip), tap.trip
    feed = tap.policy.gtfs
    if feed is not None:
        wanted = trip.companions or (tap.policy.concessions and any(tap.concessions))
        return ride, feed_quote(feed, trip, tap.at, TRANSPORT_CARD) if wanted else None
    if checked_in:
        ride = to_terminus(trip, ride)
        return ride, held_fare(tap, ride, trail)
    quote = tap.policy.ordinary_fare(ride, tap.at)
    if quote is None:
        quote = guessed_fare(tap.policy, trip, ride, tap.at, tap.policy.medium, trail)
    return ride, quote


def _covered(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail, *, checked_in: bool) -> Cover | None:
    policy = tap.policy
    feed = policy.gtfs
    rights = policy.rights_of(
        bought=bool(tap.bought), journey=tap.transfer is not None, granted=any(tap.concessions)
    )
    for right in rights:
        if feed is not None and right is PURSE_RIGHT:
            return by_feed(tap, feed, held_minor(tap), trail, checks_in=checked_in)
        if right in OF_RIDES_BEFORE:
            cover = OF_RIDES_BEFORE[right](tap, ride, quote, trail, checked_in=checked_in)
        else:
            cover = RIGHTS[right](tap, ride, quote, trail)
        if cover is not None and feed is not None:
            counters = (boarded if checked_in else forgotten)(tap, feed, cover.counters)
            return replace(cover, counters=counters, journey=(None, 0))
        if cover is not None:
            return cover
    return None


def _by_purse(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:  # noqa: ARG001 in the quote
    if quote is None:
        return None
    fare_minor, rule = quote.fare_minor, quote.rule
    trail.note(
        ORDINARY, {"fare_minor": fare_minor} if rule == ELSE else {"fare_minor": fare_minor, "fare": rule}
    )
    return Cover(
        BY_PURSE,
        trail.lapsed or OK_PAID,
        tap.counters,
        fare_minor,
        by_fare=True,
        opens=tap.policy.transfer_by_id.get(quote.opens),
    )


def _no_money(trail: Trail) -> Decision:
    return trail.refuse(Message.NO_FUNDS)


RIGHTS: Final[Mapping[Right, Callable[[Tap, Ride, Quote | None, Trail], Cover | None]]] = MappingProxyType(
    {
        Right.PASS: by_pass,
        Right.PACK: by_pack,
        Right.CONCESSION: by_concession,
        Right.PLAN: by_plan,
        Right.PURSE: _by_purse,
    }
)


class OfRidesBefore(Protocol):
    """A right that rides before this one gave; `checked_in`: what this one costs is settled at its exit."""

    def __call__(
        self, tap: Tap, ride: Ride, quote: Quote | None, trail: Trail, *, checked_in: bool
    ) -> Cover | None:
        """What it does for `ride`."""
        ...


OF_RIDES_BEFORE: Final[Mapping[Right, OfRidesBefore]] = MappingProxyType(
    {Right.TRANSFER: by_transfer, Right.RETURN: by_return}
)


def settle(
    tap: Tap, ride: Ride, quote: Quote | None, cover: Cover, rule: CheckInRule | None, trail: Trail
) -> Decision | None:
    """The decision on a covered ride, which checks in under `rule`; None when the purse does not hold its money."""
    others_minor = _others(tap, quote, cover, trail) if tap.trip.companions else 0
    if others_minor is None:
        return trail.refuse(Message.FARE_UNKNOWN)
    owed_minor, counters, journey, price_minor = 0, cover.counters, cover.journey, cover.price_minor
    if tap.policy.check_in is not None:
        owed_minor, counters = owed(tap, counters, trail)
    if price_minor and cover.opens is not None:
        at_exit = rule is not None and cover.by_fare
        counters, journey = opened(tap, cover.opens, counters, 0 if at_exit else price_minor)
    if tap.policy.returns and cover.by_fare and price_minor and cover.back is None:
        checked_in = rule is not None
        returns = known_returns(tap, checked_in=checked_in)
        paid_to = ride if checked_in else fare_ride(tap, ride)
        counters = with_outward(tap, paid_to, counters, returns, tap.at)
    price_minor *= 1 + cover.companions
    paid = _Paid(cover, price_minor, owed_minor, others_minor, counters, journey)
    return _charged(tap, ride, paid, trail) if rule is None else _checked_in(tap, ride, rule, paid, trail)


class _Paid(Struct, frozen=True, gc=False):
    """What a covered ride asks of the purse, before caps: `price_minor` for the holder and those who ride on the same
    terms, `owed_minor` for an earlier one, `others_minor` for companions the right does not cover; and the card's
    counters and journey with it.
    """

    cover: Cover
    price_minor: int
    owed_minor: int
    others_minor: int
    counters: int
    journey: Journey


def _checked_in(tap: Tap, ride: Ride, rule: CheckInRule, paid: _Paid, trail: Trail) -> Decision | None:
    """T-07: what depends on how far they go is held and has to be there; the rest is charged."""
    flags, cover = len(trail.flags), paid.cover
    due_minor, counters, wanted_minor = 0, paid.counters, paid.others_minor
    if cover.by_fare and tap.policy.caps:
        wanted_minor += capped(tap, ride, cover.code, paid.price_minor, counters, Trail())[0]
    elif cover.by_fare:
        wanted_minor += paid.price_minor
    else:
        due_minor, counters = capped(tap, ride, cover.code, paid.price_minor, counters, trail)
    held = rule.holding(wanted_minor)
    charge_minor = paid.owed_minor + due_minor
    if held > rule.most_minor:
        trail.note(CheckInEffect.TOO_MUCH, {"held_minor": held, "limit_minor": rule.most_minor})
        return trail.refuse(Message.TOO_MANY_PERSONS)
    if not _enough(tap, charge_minor + wanted_minor, trail):
        del trail.flags[flags:]  # nothing is charged, so nothing was capped
        return None
    trail.note(HELD, {"held_minor": held, "persons": 1 + tap.trip.companions})
    values = {**cover.values, "held_minor": held} if cover.values else {"held_minor": held}
    outcome = Outcome(OK_CHECKIN, LET_IN, charge_minor, values)
    counters = check_in(tap, rule, counters, held)
    return accept(
        tap,
        trail,
        outcome,
        CHECK_IN,
        cover.paid_by,
        counters=counters,
        journey=paid.journey,
        inside=1 + tap.trip.companions,
    )


def _charged(tap: Tap, ride: Ride, paid: _Paid, trail: Trail) -> Decision | None:
    """The price of the ride within its caps, and what is owed or paid for others beside it."""
    flags, cover = len(trail.flags), paid.cover
    due_minor, counters = paid.price_minor, paid.counters
    if due_minor:
        due_minor, counters = capped(tap, ride, cover.code, due_minor, counters, trail)
    charge_minor = due_minor + paid.owed_minor + paid.others_minor
    if not _enough(tap, charge_minor, trail):
        del trail.flags[flags:]  # nothing is charged, so nothing was capped
        return None
    outcome = Outcome(cover.message, LET_IN, charge_minor, cover.values)
    return accept(tap, trail, outcome, RIDE, cover.paid_by, counters=counters, journey=paid.journey, inside=0)


def _others(tap: Tap, quote: Quote | None, cover: Cover, trail: Trail) -> int | None:
    """What companions the right does not cover cost together; None when their fare is not known (T-34)."""
    others = tap.trip.companions - cover.companions
    if others <= 0:
        return 0
    if quote is None:
        trail.note(FareEffect.COMPANIONS_UNKNOWN, {"companions": others})
        return None
    trail.note(FareEffect.PAYS_FOR_OTHERS, {"companions": others, "fare_minor": quote.fare_minor})
    return others * quote.fare_minor


def _enough(tap: Tap, sum_minor: int, trail: Trail) -> bool:
    balance_minor = tap.snapshot.event.balance_after_minor
    if balance_minor >= sum_minor:
        return True
    inputs = {"balance_minor": balance_minor, "charge_minor": sum_minor}
    trail.note(FareEffect.NOT_ENOUGH_MONEY, inputs)
    return False
