"""What must be true of every event that is written, and of every tap at an exit.

The statements use only what the model has seen and what the card says.
"""

from __future__ import annotations

from datetime import date

from cardproto.resident.records.event import MOST_DAYS_AHEAD, MOST_DAYS_BACK, Event, EventKind
from terminal.decision.flags import TapFlag
from terminal.decision.outcome import Message
from terminal.trip.facts import PlaceSource
from tests.formal.rides import (
    RIDES_A_MONTH,
    TERMINUS_M,
    Asked,
    Broken,
    Clock,
    Decided,
    Inside,
    day_of,
    distance_fare_minor,
    month,
    period_of,
    today,
    used,
    uses,
)


def begins(before: Event, after: Event, asked: Asked) -> bool:
    """Whether a month begins on the card: the clock is not suspect, and its month is later than the card's.

    The end of a ride begins none, and neither does a card whose period is so far ahead of its event that it is unknown.
    """
    if asked.clock.suspect or after.kind is EventKind.CHECK_OUT or before.period_ahead == MOST_DAYS_AHEAD:
        return False
    return month(today(asked.at_s)) > month(period_of(before))


def check_period(before: Event, after: Event, asked: Asked) -> None:
    """A count ends only with a month that a clock nobody suspects has begun."""
    expected = (0 if begins(before, after, asked) else used(before)) + uses(after)
    if used(after) != expected:
        raise Broken(f"{used(after)} rides are counted, {expected} were made: {before} / {after}")
    if used(after) > RIDES_A_MONTH:
        raise Broken("a free ride beyond the month's limit")
    _check_day(period_of(before), day_of(after), before, after, asked.clock)


def _check_day(card_day: date, clock_day: date, before: Event, after: Event, clock: Clock) -> None:
    """How the card's period may move; where a distance is at its end the day is not known, and only counts are held."""
    if at_the_end(before) or at_the_end(after):
        return
    moved = period_of(after)
    if clock.suspect:
        if moved != card_day:
            raise Broken(f"a suspect clock moved the card's period from {card_day} to {moved}")
        return
    if after.kind is not EventKind.CHECK_OUT and moved < clock_day:
        raise Broken(f"the card's period {moved} is behind a clock at {clock_day} that is not suspect")
    far = (card_day - clock_day).days > 1
    if moved < card_day and not (clock.authenticated and far):
        raise Broken(f"a time that was not signed lowered the card's period from {card_day} to {moved}")
    if clock.authenticated and far and moved != clock_day:
        raise Broken(f"signed time left the card's period at {moved}")


def at_the_end(event: Event) -> bool:
    """Whether the card's period day is that far from its event, or further."""
    return event.period_ahead in (-MOST_DAYS_BACK, MOST_DAYS_AHEAD)


def check_ride(before: Inside | None, after: Event, asked: Asked, trip: int) -> Inside | None:
    """Each ride is paid once, by the card it was begun with; returns who is inside now."""
    if after.kind is EventKind.CHECK_IN:
        if before is not None and rides_on(before, asked, trip):
            raise Broken("the tap at the exit boarded anew")
        _check_sum(after, 0 if before is None else _held(before))
        persons = 1 + asked.companions
        if after.inside != persons:
            raise Broken(f"{after.inside} persons are inside, {persons} boarded")
        boarded_m = asked.known_m if asked.sighting.counts else 0
        return Inside(boarded_m, trip, asked.at_s, persons, free=uses(after))
    if after.kind is EventKind.CHECK_OUT:
        if before is None or before.trip != trip:
            raise Broken("a ride ended that was not begun with this card")
        if after.amount_minor > _held(before):
            raise Broken(f"{after.amount_minor} kopecks were taken, {_held(before)} were held: {after}")
        if after.amount_minor > _to_pay(before, asked.mark_m):
            raise Broken(f"a place that is not known for certain made the ride dearer: {after}")
        _check_sum(after, min((_to_pay(before, exit_m) for exit_m in asked.exits), default=_least(before)))
        if after.inside:
            raise Broken("the card is still inside after the exit")
        return None
    if after.inside:
        raise Broken("inside where riders do not check in")
    return None


def check_exit(before: Inside | None, found: Decided, asked: Asked, trip: int) -> None:
    """A tap on the ride that is open writes its end, wherever the vehicle is; a second one at once writes nothing."""
    if before is None or not rides_on(before, asked, trip) or found.written is not None or asked.denied:
        return
    if found.message is not Message.ALREADY_PAID:
        raise Broken(f"the tap at the exit left the ride open: {found.message}")


def check_marks(found: Decided, asked: Asked) -> None:
    """A ride that was priced by less than an exact place says so."""
    written = found.written
    if written is None or written.kind not in (EventKind.CHECK_IN, EventKind.CHECK_OUT):
        return
    seen, boards = asked.sighting, written.kind is EventKind.CHECK_IN
    estimated = seen.estimates or (boards and not seen.counts)
    unknown = not seen.counts and not (boards and seen.source is PlaceSource.UNKNOWN)
    expected = {TapFlag.PLACE_ESTIMATED: estimated, TapFlag.PLACE_UNKNOWN: unknown}
    for flag, due in expected.items():
        if (flag in found.flags) != due:
            raise Broken(f"{flag} is {'not ' if due else ''}said of a place: {found}")


def rides_on(before: Inside, asked: Asked, trip: int) -> bool:
    """Whether the ride that `before` began is still under way on that trip."""
    return before.trip == trip and 0 <= asked.at_s - before.at_s <= 7200


def _to_pay(ride: Inside, mark_m: int) -> int:
    return (ride.persons - ride.free) * distance_fare_minor(abs(mark_m - ride.mark_m))


def _held(ride: Inside) -> int:
    return _to_pay(ride, TERMINUS_M)


def _least(ride: Inside) -> int:
    """What it costs wherever it may have ended."""
    return _to_pay(ride, ride.mark_m)


def _check_sum(after: Event, due_minor: int) -> None:
    if after.amount_minor != due_minor:
        raise Broken(f"{after.amount_minor} kopecks were taken, {due_minor} were due: {after}")
