"""Льготы: which of the holder's concessions covers the ride, and at what price (T-02 to T-05, T-12 to T-20)."""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from msgspec import Struct

from cardproto.resident.records.rights import Concession
from terminal.decision.bus.cover import CONCESSION_SLOTS, Cover
from terminal.decision.bus.effects import ConcessionEffect
from terminal.decision.bus.limits import Use, use
from terminal.decision.outcome import NO_VALUES, Message
from terminal.decision.tap import Tap, Trail
from terminal.policy.fares.index import Quote
from terminal.policy.rights.index import FareConcession
from terminal.policy.scopes import Ride, inside

HOUR_S: Final = 3600
LIMIT_REACHED: Final = Message.LIMIT_REACHED
OK_BENEFIT: Final = Message.OK_BENEFIT
CHEAPEST_FIRST: Final = itemgetter(0, 1)


class Choice(Struct, frozen=True, gc=False):
    """The concession to use, from which slot, at which price, and how the ride is counted."""

    slot: int
    concession: FareConcession
    price_minor: int
    use: Use


def by_concession(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Cover | None:
    """The cheapest concession that holds today and has rides left; the first slot where prices are equal."""
    choice = cheapest(tap, ride, quote, trail)
    return None if choice is None else _cover(tap, choice, quote, trail)


def cheapest(tap: Tap, ride: Ride, quote: Quote | None, trail: Trail) -> Choice | None:
    """Which concession `by_concession` uses; what lapsed is left in `trail`."""
    known = tap.policy.concessions
    lapsed: Message | None = None
    choices: list[tuple[int, int, FareConcession]] = []
    for slot, grant in enumerate(tap.concessions):
        if grant is None or grant.code not in known:
            continue
        concession = known[grant.code]
        if _too_old(tap, trail):
            return None
        awake, message = _awake(tap, ride, slot, grant, concession, trail)
        lapsed = lapsed or message
        price_minor = concession.price.of(quote)
        if awake and price_minor is not None:
            choices.append((price_minor, slot, concession))
        elif awake:
            trail.note(concession.price.unknown, {"slot": slot})
    if len(choices) > 1:
        choices.sort(key=CHEAPEST_FIRST)
    for price_minor, slot, concession in choices:
        used = use(concession.limits, tap, ride, trail, LIMIT_REACHED)
        if isinstance(used, Use):
            return Choice(slot, concession, price_minor, used)
        lapsed = used
    trail.lapsed = trail.lapsed or lapsed
    return None


def _awake(
    tap: Tap, ride: Ride, slot: int, grant: Concession, concession: FareConcession, trail: Trail
) -> tuple[bool, Message | None]:
    """Whether a concession holds for this ride; if not, the message for the rider, if any."""
    if tap.service_date > grant.valid_to:
        trail.note(ConcessionEffect.EXPIRED, {"slot": slot, "valid_to": grant.valid_to.isoformat()})
        return False, Message.BENEFIT_EXPIRED
    if tap.service_date < grant.valid_from:
        trail.note(ConcessionEffect.NOT_YET_VALID, {"slot": slot})
        return False, None
    if concession.areas and not inside(concession.areas, ride):
        trail.note(ConcessionEffect.NOT_ON_THIS_RIDE, {"slot": slot})
        return False, None
    if concession.season is not None and not concession.season.holds(tap.service_date):
        trail.note(ConcessionEffect.OUT_OF_SEASON, {"slot": slot})
        return False, Message.BENEFIT_OUT_OF_SEASON
    return True, None


def _too_old(tap: Tap, trail: Trail) -> bool:
    """O-03: with data older than the profile allows, concessions fall back to the ordinary fare."""
    freshness = tap.trip.freshness
    if not freshness.lists_older_than(tap.policy.document.ages.stale_h * HOUR_S):
        return False
    trail.note(ConcessionEffect.DATA_TOO_OLD, {"data_age_s": freshness.lists_age_s})
    trail.lapsed = trail.lapsed or Message.BENEFIT_NOT_CHECKED
    return True


def _cover(tap: Tap, choice: Choice, quote: Quote | None, trail: Trail) -> Cover:
    concession, used = choice.concession, choice.use
    inputs = {"price_minor": choice.price_minor}
    if concession.shown_code is not None:
        inputs["code"] = concession.shown_code
    if tap.listed:
        trail.note(ConcessionEffect.LIST_NEWER)
    trail.note(concession.price.effect, inputs)
    trail.reasons += used.steps
    counters, companions, rule = used.counters, 0, concession.companions
    if rule is not None and tap.counters_known:
        if tap.trip.companions:
            companions = min(tap.trip.companions, rule.most)
            trail.note(ConcessionEffect.COMPANIONS, {"companions": companions})
        counters = rule.counter.write(counters, companions)
    return Cover(
        CONCESSION_SLOTS[choice.slot],
        Message.OK_BENEFIT_UNLIMITED if used.left is None else OK_BENEFIT,
        counters,
        choice.price_minor,
        NO_VALUES if used.left is None else {"n": used.left},
        by_fare=True,
        opens=tap.policy.ordinary_transfer if quote is None else tap.policy.transfer_by_id.get(quote.opens),
        companions=companions,
        code=concession.code,
    )
