"""Check-in and check-out (T-07): the life of a ride that is tapped at both ends, whatever covers it.

1. *In.* Where the document's `[checkin]` holds for a ride, the first tap checks in: the card says how many persons are
   inside, the holder included, at most seven. What follows from how far they go (ordinary fare, concession price, the
   fare of companions the right does not cover) is *held* to the terminus: a counter says how much of the purse is
   spoken for, and nothing is debited, because a validator can take money but never give it back. What does not follow
   from it (a trip of a pack, a plan's fare, a reduced transfer) is used or charged at once. Where nothing is held the
   rider is inside all the same.
2. *Inside.* A meal, a reload or a change of rights keeps the ride open; the time of that event then counts as the time
   of boarding. A second tap within the guards is the same tap.
3. *Out.* A tap on the same route and direction, not later than `longest_s`, checks everyone out: the ride that was
   made is charged, never more than was held for it. It belongs to the service day of the boarding, with that day's
   caps. Where an end of it is an estimate the cheaper stop counts, where one is not known the cheapest ride; where no
   fare of the ride can be found, all that was held is charged.
4. *Forgotten.* Any other boarding means that the riders left without a tap. What is held is owed, and charged with the
   next ride, which begins anew; a ride on credit (T-18) is unpaid itself and charges it all the same.

A card whose counters cannot be read (another layout) does not check in: it pays at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs
from msgspec.structs import replace

from cardproto.resident.records.event import MOST_INSIDE, EventKind, PaidBy
from terminal.codes import Admission
from terminal.decision.bus.caps import capped
from terminal.decision.bus.cover import CONCESSION_SLOTS, ride_of, to_terminus, whole_turn
from terminal.decision.bus.effects import CheckInEffect, TransferEffect
from terminal.decision.bus.feed import RideEnd, end_of_ride
from terminal.decision.bus.remembered import back_by, held_minor, paid_minor, with_outward, with_paid
from terminal.decision.bus.returns import note_way_back
from terminal.decision.bus.transfers import DEARER, otherwise, topped_up
from terminal.decision.flags import TapFlag
from terminal.decision.outcome import NO_VALUES, Decision, Message, Outcome
from terminal.decision.place import exits
from terminal.decision.tap import Journey, Tap, Trail, accept, of_boarding
from terminal.policy.base import Right
from terminal.policy.document.journeys import MARK_M, UnknownBoarding
from terminal.policy.fares.index import Quote
from terminal.policy.journeys.index import CheckInRule, Transfer
from terminal.policy.journeys.returns import Return
from terminal.policy.rights.index import FareConcession
from terminal.policy.scopes import Ride, inside
from terminal.trip.facts import Spot

FIRST_STOP: Final = UnknownBoarding.FIRST_STOP
PURSE: Final = PaidBy.PURSE

# in


def checks_in(tap: Tap) -> CheckInRule | None:
    """The rule under which riders check in here, if they do: it is asked about the ride to the terminus."""
    rule = tap.policy.check_in
    if rule is None or not tap.counters_known:
        return None
    return rule if not rule.areas or inside(rule.areas, to_terminus(tap.trip, ride_of(tap.trip))) else None


def from_first_stop(tap: Tap) -> Tap:
    """The same tap at the first stop of its direction, where the document takes a ride from there whose beginning is
    not known; else `tap` itself.
    """
    rules, place = tap.policy.document.vehicle, tap.trip.place
    if rules.unknown_place is not FIRST_STOP or boarding_known(tap):
        return tap
    first = place.origin
    mark_m = first.mark_m if place.mark_m is None else place.mark_m
    there = replace(place, stop=place.stop or first.stop, zone=place.zone or first.zone, mark_m=mark_m)
    moved = structs.replace(tap, trip=replace(tap.trip, place=there))
    return moved if boarding_known(moved) else tap


def boarding_known(tap: Tap) -> bool:
    """Whether all is known of the place that a checked-in ride keeps of its beginning."""
    rule, feed, place = tap.policy.check_in, tap.policy.gtfs, tap.trip.place
    if feed is not None:
        return not feed.start_matters or feed.stop_known(place.stop)
    if rule is None:
        return True
    return (rule.zone is None or bool(place.zone)) and (rule.mark is None or place.mark_m is not None)


BY_FARE: Final = (PaidBy.PURSE, PaidBy.TRANSFER, *CONCESSION_SLOTS)
"""By what a ride is paid whose exit may say its price."""


def held_fare(tap: Tap, ride: Ride, trail: Trail) -> Quote | None:
    """The ordinary fare of `ride`, which goes to the terminus: the dearest it can be on this turn of the vehicle where
    a place is not known.
    """
    policy = tap.policy
    quote = policy.ordinary_fare(ride, tap.at)
    if quote is not None:
        return quote
    if not boarding_known(tap):
        if policy.document.vehicle.unknown_place is UnknownBoarding.REFUSE:
            trail.note(CheckInEffect.BOARDING_UNKNOWN)
            return None
        mark(trail, CheckInEffect.BOARDING_UNKNOWN, TapFlag.PLACE_UNKNOWN)
    return policy.ordinary_fare(whole_turn(tap.trip, ride), tap.at, dearest=True)


def mark(
    trail: Trail, effect: CheckInEffect, flag: TapFlag, inputs: Mapping[str, int | str] = NO_VALUES
) -> None:
    """Note what was made of a place that is not known exactly, with a flag that the row may have already."""
    if flag not in trail.flags:
        trail.flag(effect, flag, inputs)
    else:
        trail.note(effect, inputs)


def too_many(tap: Tap, trail: Trail) -> bool:
    """Whether more persons ride than a card can check in."""
    persons = 1 + tap.trip.companions
    if persons <= MOST_INSIDE:
        return False
    trail.note(CheckInEffect.TOO_MANY, {"persons": persons, "of": MOST_INSIDE})
    return True


def check_in(tap: Tap, rule: CheckInRule, counters: int, held: int) -> int:
    """The counters of a card on which `held` minor units, a sum the reserve can count, are held from here on."""
    trip = tap.trip
    counters = rule.reserve.write(counters, held // rule.reserve.unit_minor)
    if rule.zone is not None:
        counters = rule.zone.write(counters, trip.place.zone)
    if rule.mark is not None:
        counters = rule.mark.write(counters, mark_of(trip.place.mark_m))
    return counters


def owed(tap: Tap, counters: int, trail: Trail) -> tuple[int, int]:
    """What an earlier ride without check-out costs, all that was held for it, and the counters without it."""
    rule = tap.policy.check_in
    held = 0 if rule is None else held_minor(tap)
    if rule is None or not held:
        return 0, counters
    trail.note(CheckInEffect.NO_CHECK_OUT, {"held_minor": held})
    return held, counters & rule.kept


def owed_from_purse(tap: Tap, counters: int, trail: Trail) -> tuple[int, int]:
    """The same with a ride that is not paid itself: where the purse does not have it, it stays owed."""
    balance_minor = tap.snapshot.balance_minor
    if balance_minor >= held_minor(tap):
        return owed(tap, counters, Trail())  # the refusal of the paid ride has noted it
    trail.note(CheckInEffect.PURSE_SHORT, {"balance_minor": balance_minor})
    return 0, counters


# out


def rides_on(tap: Tap) -> bool:
    """Whether those who are checked in with the card are on this vehicle's trip: the next tap lets them out."""
    event, trip, rule = tap.snapshot.event, tap.trip, tap.policy.check_in
    if rule is None or not event.inside or tap.age_s is None or not tap.counters_known:
        return False
    same_trip = (event.route, event.direction) == (trip.route, trip.direction)
    return same_trip and tap.age_s <= rule.longest_s


def check_out(tap: Tap, trail: Trail) -> Decision:
    """Charge the ride that ends here, never more than was held for it. Everyone who checked in with the card leaves."""
    rule = tap.policy.check_in
    assert rule is not None, "rides_on said so"
    tap = of_boarding(tap)
    paid_by = tap.snapshot.event.paid_by
    held = 0 if paid_by is PaidBy.GRACE else held_minor(tap)
    bill = _bill(tap, rule, held, trail)
    due_minor, counters = bill.due_minor, bill.counters
    trail.note(CheckInEffect.CHARGED, {"held_minor": held, "price_minor": due_minor})
    balance_minor = tap.snapshot.balance_minor
    if balance_minor < due_minor:
        trail.note(CheckInEffect.PURSE_SHORT, {"balance_minor": balance_minor})
        due_minor = balance_minor
    if paid_by is not PaidBy.GRACE:  # what is held then is of an older ride, and owed still
        counters &= rule.kept
    values: dict[str, int | str] = {
        "sum_minor": due_minor,
        "currency": tap.policy.currency,
        "left": tap.snapshot.event.inside,
    }
    outcome = Outcome(Message.OK_CHECKOUT, Admission.LET_IN, charge_minor=due_minor, values=values)
    return accept(
        tap,
        trail,
        outcome,
        EventKind.CHECK_OUT,
        paid_by,
        counters=counters,
        journey=bill.journey,
        inside=0,
    )


def mark_of(mark_m: int | None) -> int:
    """A place on the route as the card keeps it: hundreds of metres plus one, 0 where it is not known."""
    return 0 if mark_m is None else (mark_m + MARK_M // 2) // MARK_M + 1


# what the ride that ends here costs


class _Own(Struct, frozen=True, gc=False):
    """What the right leaves to pay of the holder's own ride (None: unknown), for how many persons, by which code.

    `own_minor` is what counts as paid for it in its journey, where that is another sum; `back` the return it is the way
    back of.
    """

    price_minor: int | None
    persons: int = 1
    code: int | None = None
    own_minor: int | None = None
    back: Return | None = None


class _Bill(Struct, frozen=True, gc=False):
    """What is due for a ride that ends, and the card's counters and journey after it."""

    due_minor: int
    counters: int
    journey: Journey


def _bill(tap: Tap, rule: CheckInRule, held: int, trail: Trail) -> _Bill:
    """For the exit here; of two stops that an estimate lies between, the one that costs the rider less."""
    spots = exits(tap.trip.place, tap.policy.document.vehicle)
    if len(spots) == 1:
        return _bill_to(tap, rule, held, spots[0], trail)
    trails = [Trail() for _ in spots]
    bills = [_bill_to(tap, rule, held, *each) for each in zip(spots, trails, strict=True)]
    least = min(range(len(bills)), key=lambda number: bills[number].due_minor)
    trail.note(CheckInEffect.CHEAPER_STOP, {"price_minor": max(bill.due_minor for bill in bills)})
    trail.adopt(trails[least])
    return bills[least]


def _bill_to(tap: Tap, rule: CheckInRule, held: int, spot: Spot, trail: Trail) -> _Bill:
    ride, out = _exit(tap, rule, held, spot, trail)
    if out.cheapest and held:
        mark(trail, CheckInEffect.CHEAPEST_RIDE, TapFlag.PLACE_UNKNOWN)
    own = _own(tap, ride, out, trail)
    due_minor, counters = _due(tap, ride, out, own, held, trail)
    if out.journey is not None:  # a feed remembers the journey in its own way
        return _Bill(due_minor, counters, out.journey)
    counters, journey = _after(tap, ride, own, held, counters)
    return _Bill(due_minor, counters, journey)


def _exit(tap: Tap, rule: CheckInRule, held: int, spot: Spot, trail: Trail) -> tuple[Ride, RideEnd]:
    """The ride from where it began to `spot`, and its fare by the tariff of the boarding."""
    policy = tap.policy
    if policy.gtfs is not None:
        return ride_of(tap.trip), end_of_ride(tap, policy.gtfs, held, spot, trail)
    ride, boarded = _ride(tap, rule, spot), tap.snapshot.event.at.astimezone(policy.zone)
    quote, cheapest = policy.ordinary_fare(ride, boarded), False
    if quote is None:
        quote = policy.cheapest_fare(ride, boarded)
        cheapest = quote is not None
    own_minor = None if quote is None else quote.fare_minor
    return ride, RideEnd(own_minor, quote, tap.counters, None, cheapest)


def _ride(tap: Tap, rule: CheckInRule, spot: Spot) -> Ride:
    trip = tap.trip
    zone = 0 if rule.zone is None else rule.zone.read(tap.counters)
    start = 0 if rule.mark is None else rule.mark.read(tap.counters)
    here = mark_of(spot.mark_m)
    length_m = abs(here - start) * MARK_M if here and start else None
    return Ride(trip.mode, trip.route, zone, spot.zone, length_m)


def _due(tap: Tap, ride: Ride, out: RideEnd, own: _Own, held: int, trail: Trail) -> tuple[int, int]:
    """What is due of `held`, and the counters with it; everything held where the fare is not known.

    The holder's own ride, and those a concession takes along, are capped as one ride; the others pay the ordinary fare
    beside it. Where the own price is not known, the own ride is an equal part of what was held.
    """
    event = tap.snapshot.event
    others = event.inside - own.persons
    fare_minor = 0 if not others else None if out.quote is None else out.quote.fare_minor
    own_minor = own.persons * (held // event.inside if own.price_minor is None else own.price_minor)
    known = own.price_minor is not None and fare_minor is not None
    noted = trail if known else Trail()
    due_minor, counters = capped(
        tap, ride, own.code, own_minor, out.counters, noted, most_minor=held, cheapest=out.cheapest
    )
    if fare_minor is None or not known:
        return held, counters
    return min(due_minor + others * fare_minor, held), counters


def _own(tap: Tap, ride: Ride, out: RideEnd, trail: Trail) -> _Own:
    event = tap.snapshot.event
    paid_by = event.paid_by
    if paid_by is PURSE:
        return _way_back(tap, ride, out, trail) or _Own(out.own_minor)
    if paid_by is PaidBy.TRANSFER and tap.transfer is not None and tap.transfer.paid is not None:
        return _topping_up(tap, tap.transfer, ride, out, trail)
    if paid_by not in CONCESSION_SLOTS:
        return _Own(0)  # used or charged when it checked in
    grant = tap.concessions[CONCESSION_SLOTS.index(paid_by)]
    concession = None if grant is None else tap.policy.concessions.get(grant.code)
    if concession is None:
        return _Own(None)
    own = _Own(concession.price.of(out.quote), 1 + _companions(tap, concession), concession.code)
    return _way_back(tap, ride, out, trail, own) or own


def _way_back(tap: Tap, ride: Ride, out: RideEnd, trail: Trail, instead: _Own | None = None) -> _Own | None:
    """The ride that ends as the way back (T-39), unless it costs more than `instead`, a concession's price. Who
    rides on a concession's terms with its holder keeps them.
    """
    returns = tap.policy.returns
    back = back_by(tap, ride, returns, tap.snapshot.event.at) if returns else None
    if back is None or out.quote is None:
        return None
    price_minor = back.price(out.quote.fare_minor)
    if instead is not None and not _costs_less(price_minor, instead, tap):
        return None
    note_way_back(back, out.quote, trail)
    return _Own(price_minor, back=back)


def _costs_less(price_minor: int, own: _Own, tap: Tap) -> bool:
    """Whether the way back costs no more than a concession that comes after it and takes no companions along."""
    rights = tap.policy.document.profiles.bus.rights
    after = Right.CONCESSION in rights[rights.index(Right.RETURN) :]
    alone = own.persons == 1 and own.price_minor is not None
    return after and alone and price_minor <= (own.price_minor or 0)


def _topping_up(tap: Tap, rule: Transfer, ride: Ride, out: RideEnd, trail: Trail) -> _Own:
    own_minor = otherwise(tap, ride, out.quote, Right.TRANSFER)
    if own_minor is None:
        return _Own(None)
    following = topped_up(tap, rule, own_minor)
    effect = DEARER[rule.rule] if following.price_minor else "free_transfer"
    trail.note(
        TransferEffect.of(rule.rule, effect), {**following.inputs, "price_minor": following.price_minor}
    )
    return _Own(following.price_minor, own_minor=own_minor)


def _after(tap: Tap, ride: Ride, own: _Own, held: int, counters: int) -> tuple[int, Journey]:
    """The counters and the journey after the ride: what was paid in it (T-38), and the way back from it (T-39)."""
    event, price_minor = tap.snapshot.event, own.price_minor
    if event.paid_by not in BY_FARE:
        return counters, None
    if price_minor is None:
        price_minor = held // event.inside
    if own.back is not None:
        counters = own.back.forgotten(counters)
    elif price_minor:
        ended = tuple(rule for rule in tap.policy.returns if rule.zones is not None)
        counters = with_outward(tap, ride, counters, ended, event.at)
    rule, age_s = tap.transfer, tap.journey_age_s
    if rule is None or rule.paid is None or age_s is None:
        return counters, None
    first = not paid_minor(rule, tap.counters)
    if age_s > rule.window_s or (first and not price_minor):
        return counters & tap.policy.card.kept_by_journey, (None, 0)
    if first or event.paid_by is PaidBy.TRANSFER:
        counters = with_paid(rule, counters, price_minor if own.own_minor is None else own.own_minor)
    return counters, None


def _companions(tap: Tap, concession: FareConcession) -> int:
    """How many of those inside ride on the concession's terms beside its holder."""
    rule = concession.companions
    return 0 if rule is None else min(rule.counter.read(tap.counters), tap.snapshot.event.inside - 1)
