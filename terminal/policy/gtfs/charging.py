"""What a rider pays at a tap: `board_ride` when he gets in, `alight` where he taps off.

A charge follows from the journey that is settled and the ride that is being charged, both kept on the card. A ride
stays open while something may still change its price: a tap-off, or a leg that joins it. Its price is then worked
out anew from the settled journey and the difference is taken, so every tap ends at the sum the specification gives,
whatever was taken before.

Of several products and transfer rules the rider gets what is cheapest now, of equal ones the first in the feed. Where
the end of the ride is unknown, the dearest of what it may turn out to be is taken.

Two legs may count as one (fare_leg_join_rules.txt): the effective leg then starts where the first did and ends where
the last does. Its network is that of its legs, or none of them where rules tell them apart.

A terminal without tap-off does not see where a leg ended. It takes the end to be where the next leg begins: that is
where the rider stands. Where riders tap off, a leg without a tap-off is not joined.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.index import Index, JoinRule, Option, Prices, Rider
from terminal.policy.gtfs.matching import (
    FeedEffect,
    Leg,
    UnknownPlace,
    ride_of,
    stop_number,
)
from terminal.policy.gtfs.places import BLANK, MIXED
from terminal.policy.gtfs.section import Destination
from terminal.policy.gtfs.settling import ends_at, least, settle
from terminal.policy.gtfs.state import NOTHING, Journey, JourneyState, OpenRide, second_of
from terminal.trail import Reason

DEAREST: Final = Destination.DEAREST
LEG: Final = FeedEffect.LEG
TO_DEAREST: Final = Reason(FeedEffect.DEAREST)


class Charged(Struct, frozen=True, gc=False):
    """What is taken now (below 0: given back, only at a tap-off), what the card must remember, and why.

    `free_until`: the ride is a transfer that takes nothing, and the rule's time ends then; None: it is not.
    """

    charge_minor: int
    state: JourneyState
    steps: tuple[Reason, ...]
    free_until: int | None = None


class FareUnknown(Struct, frozen=True, gc=False):
    """The feed has no fare for this ride: refuse it. The card stays as it is."""

    steps: tuple[Reason, ...]


def board_ride(
    fares: FeedFares, state: JourneyState, ride: OpenRide, start: int, prices: Prices
) -> Charged | FareUnknown:
    """Charge a rider who gets in now, for a ride that begins at the stop of number `start`, 0: where is not known."""
    journey, option = state.journey, None
    steps: list[Reason] = []
    extended = None if state.ride is None else _joined(fares, state.ride, ride, start)
    if extended is not None:
        option = settle(fares, prices, journey, extended)
    if option is not None and extended is not None:
        ride = extended
        steps.append(Reason(FeedEffect.JOINED, {"from_origin": ride.origin}))
    else:
        journey = journey if state.ride is None else close(fares, prices, journey, state.ride, steps)
        option = settle(fares, prices, journey, ride)
    if option is None:
        return unknown_fare(fares, FeedEffect.NO_FARE)
    steps += _reasons(journey, option)
    if not ride.end and fares.destination is DEAREST:
        steps.append(TO_DEAREST)
    return _charged(fares, journey, ride, option, steps)


def single_fare(fares: FeedFares, leg: Leg, rider: Rider, medium: str | None) -> int | None:
    """What `board_ride` charges a rider with no journey, without saying why; None where it refuses."""
    try:
        ride = ride_of(fares.index, leg)
    except UnknownPlace:
        return fares.fallback_minor
    fare_minor = fare_of(fares, ride, rider, medium)
    return fares.fallback_minor if fare_minor is None else fare_minor


def alight(
    fares: FeedFares, state: JourneyState, stop: str | None, at: datetime, rider: Rider, medium: str | None
) -> Charged | FareUnknown:
    """Correct what was taken when the rider got in, now that he leaves at `stop`; None: where is not known, and the
    cheapest end the ride may have counts.

    `FareUnknown` when no ride is open or `stop` is not in the feed. Where no rule has a fare to this stop, what was
    taken stays.
    """
    prices, journey, ride = fares.index.prices_of(rider, medium), state.journey, state.ride
    if ride is None or ride.end:
        return FareUnknown((Reason(FeedEffect.NO_RIDE_OPEN),))
    try:
        end = 0 if stop is None else stop_number(fares.index, stop)
    except UnknownPlace as unknown:
        return FareUnknown((Reason(unknown.effect),))
    ended = _ended(ride, end, at)
    option = (settle if end else least)(fares, prices, journey, ended)
    if option is None:
        option = settle(fares, prices, journey, ride)
        if option is None:
            return FareUnknown((Reason(FeedEffect.NO_FARE),))
        stays = Reason(FeedEffect.NO_FARE_TO_STOP, {"charged_minor": ride.charged_minor})
        return Charged(0, JourneyState(_follow(journey, ended, option)), (stays,))
    steps = _reasons(journey, option)
    charge = max(option.due_minor, 0) - ride.charged_minor
    steps.append(Reason(FeedEffect.CORRECTED, {"reserved_minor": ride.charged_minor}))
    if charge:
        ended = replace(ended, charged_minor=ride.charged_minor + charge)
    if not end:  # the ride is over, and no leg can join one whose end is not known
        return Charged(charge, JourneyState(_follow(journey, ended, option)), tuple(steps))
    return Charged(charge, _remember(fares, journey, ended, option), tuple(steps))


def fare_of(fares: FeedFares, ride: OpenRide, rider: Rider, medium: str | None) -> int | None:
    """What `ride` costs by itself, as if no journey were open; None where no rule has a fare for it."""
    option = settle(fares, fares.index.prices_of(rider, medium), None, ride)
    return None if option is None else max(option.due_minor, 0)


def fare_to(
    fares: FeedFares, ride: OpenRide, stop: str | None, at: datetime, rider: Rider, medium: str | None
) -> int | None:
    """What a single ride costs that began as `ride` and ends at `stop`, or at least (None: where is not known); None
    where that is unknown.
    """
    if stop is None:
        option = least(fares, fares.index.prices_of(rider, medium), None, _ended(ride, 0, at))
        return None if option is None else max(option.due_minor, 0)
    try:
        end = stop_number(fares.index, stop)
    except UnknownPlace:
        return None
    return fare_of(fares, _ended(ride, end, at), rider, medium)


def _ended(ride: OpenRide, end: int, at: datetime) -> OpenRide:
    arrived = max(second_of(at), ride.seen)
    return replace(ride, end=end, arrived=arrived, seen=arrived)


def close(
    fares: FeedFares, prices: Prices, journey: Journey | None, ride: OpenRide, steps: list[Reason]
) -> Journey | None:
    """The journey with the open `ride` settled as it stands, now that another one begins."""
    option = settle(fares, prices, journey, ride)
    if option is None:
        return None
    if not ride.end and fares.destination is DEAREST:
        steps.append(Reason(FeedEffect.NO_TAP_OFF, {"charged_minor": ride.charged_minor}))
    return _follow(journey, ride, option)


def _joined(fares: FeedFares, before: OpenRide, ride: OpenRide, start: int) -> OpenRide | None:
    """`before` extended by `ride`, where a rule makes them one leg."""
    if not fares.index.join_rules or not start:
        return None
    assume_end = fares.destination is Destination.NOT_USED
    return joined(fares.index, before, ride, start, fares.longest_change_s, assume_end=assume_end)


def _charged(
    fares: FeedFares, journey: Journey | None, ride: OpenRide, option: Option, steps: list[Reason]
) -> Charged:
    """Boarding takes what is due beyond what this ride has cost so far; it never gives back."""
    charge = max(option.due_minor - ride.charged_minor, 0)
    if charge:
        ride = replace(ride, charged_minor=ride.charged_minor + charge)
    elif option.due_minor < ride.charged_minor:
        steps.append(Reason(FeedEffect.OVERPAID, {"credit_minor": ride.charged_minor - option.due_minor}))
    free_until = None if charge else _free_until(fares, journey, option)
    return Charged(charge, _remember(fares, journey, ride, option), tuple(steps), free_until)


def _free_until(fares: FeedFares, journey: Journey | None, option: Option) -> int | None:
    if journey is None or option.transfer is None:
        return None
    return ends_at(option.transfer.rule, journey, fares.longest_change_s)


def _remember(fares: FeedFares, journey: Journey | None, ride: OpenRide, option: Option) -> JourneyState:
    awaits_tap_off = not ride.end and fares.destination is DEAREST
    if awaits_tap_off or may_join(fares.index, ride):
        return JourneyState(journey, ride)
    return JourneyState(_follow(journey, ride, option))


def _follow(journey: Journey | None, ride: OpenRide, option: Option) -> Journey:
    """`journey` with `ride` as its newest leg, or the journey that `ride` begins.

    What a cap of the region document spared the rider counts as paid: it does not become due with a later leg.
    """
    arrived = ride.departed if ride.arrived is None else ride.arrived
    transfer, rule, departed = option.transfer, option.rule, ride.departed
    paid_minor, transfers, run, run_departed, run_arrived = ride.charged_minor, 0, 0, departed, arrived
    if journey is not None and transfer is not None:
        paid_minor, transfers = journey.paid_minor + paid_minor, journey.transfers + 1
        if transfer.rule.repeats:
            run, run_departed, run_arrived = transfer.number, journey.run_departed, journey.run_arrived
    return Journey(
        group=rule.group,
        product=rule.product,
        total_minor=option.total_minor,
        paid_minor=max(paid_minor, option.total_minor),
        departed=departed,
        arrived=arrived,
        run_departed=run_departed,
        run_arrived=run_arrived,
        transfers=transfers,
        run=run,
    )


def _reasons(journey: Journey | None, option: Option) -> list[Reason]:
    rule = option.rule
    steps = [
        Reason(
            LEG,
            {
                "product": rule.product + 1,
                "price_minor": option.price_minor,
                "leg_rule": rule.row + 1,
            },
        )
    ]
    transfer = option.transfer
    if transfer is not None and journey is not None:
        inputs = {
            "from_group": journey.group,
            "to_group": rule.group,
            "type": int(transfer.rule.kind),
            "transfer_minor": transfer.amount_minor,
            "due_minor": option.due_minor,
            "transfer_rule": transfer.rule.row + 1,
        }
        steps.append(Reason(FeedEffect.TRANSFER, inputs))
    return steps


def unknown_fare(fares: FeedFares, why: FeedEffect) -> Charged | FareUnknown:
    """What is taken for a ride whose fare the feed does not say, if anything."""
    step = Reason(why)
    if fares.fallback_minor is None:
        return FareUnknown((step,))
    stated = Reason(FeedEffect.FALLBACK, {"fare_minor": fares.fallback_minor})
    return Charged(fares.fallback_minor, NOTHING, (step, stated))


def may_join(index: Index, ride: OpenRide) -> bool:
    """Whether some rule lets a further leg join `ride`."""
    rules = index.join_rules
    return bool(rules) and any(first in (BLANK, ride.last_network) for first, _ in rules)


def joined(
    index: Index, ride: OpenRide, following: OpenRide, stop: int, longest_change_s: int, *, assume_end: bool
) -> OpenRide | None:
    """`ride` with the leg `following`, which begins at `stop`, as one leg; None when no rule joins them.

    The standard sets no limit of time; `longest_change_s` ends a journey without taps.
    """
    rules = (
        *index.join_rules.get((ride.last_network, following.network), ()),
        *index.join_rules.get((BLANK, BLANK), ()),
    )
    if not rules or not 0 <= following.departed - ride.seen <= longest_change_s:
        return None
    if not ride.end and not assume_end:
        return None
    if not any(_matches(index, rule, ride.end, stop) for rule in rules):
        return None
    keys = index.places.network_keys
    same = keys[ride.network] == keys[following.network]
    return replace(
        ride,
        network=ride.network if same else MIXED,
        last_network=following.network,
        seen=following.departed,
        end=following.end,
        arrived=following.arrived,
    )


def _matches(index: Index, rule: JoinRule, end: int, start: int) -> bool:
    """Whether a change from stop `end` (0: taken to be where the next leg begins) to stop `start` is of `rule`."""
    if not start:
        return False
    stops = index.places.stops
    if rule is None:
        return not end or stops[end].station == stops[start].station
    from_stop, to_stop = rule
    return stops[start].is_at(to_stop, start) and (not end or stops[end].is_at(from_stop, end))
