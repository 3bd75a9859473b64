"""What transfers, guards, check-in and caps must satisfy beyond their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cardproto.resident.records.event import MOST_INSIDE
from terminal.errors import Mistake
from terminal.policy.base import FareMedium, Right, Thing, unique, unknown
from terminal.policy.document.counters import Period
from terminal.policy.document.fares import NO_TRANSFER, DistanceFares, ZoneFares
from terminal.policy.document.journeys import (
    MARK_M,
    AmountCap,
    AnyTransfer,
    CheckIn,
    CountedFrom,
    MixedWindow,
    ReducedWindow,
    SameRoute,
    TopUpWindow,
    TripCap,
)
from terminal.policy.document.rights import Plan
from terminal.policy.document.schema import RegionDocument
from terminal.policy.fares.checks import tables
from terminal.policy.journeys.returns import return_problems
from terminal.policy.mistakes import RuleMistake
from terminal.policy.rights.prices import by_distance, highest_fare, lowest_fare, prices
from terminal.policy.scopes import DATED, counter_problems, scope_problems, slots_of

PASSBACK_RIGHTS: Final = (Right.PASS, Right.PACK, Right.CONCESSION, Right.PLAN)


def journey_problems(document: RegionDocument) -> Iterator[Mistake]:
    """Everything wrong with what one ride has to do with the next, in reading order."""
    yield from _transfers(document)
    yield from return_problems(document)
    yield from _before_payment(document)
    yield from _vehicle(document)
    yield from _guards(document)
    yield from _check_in(document)
    yield from _caps(document)


def _transfers(document: RegionDocument) -> Iterator[Mistake]:
    known = [transfer.id for transfer in document.transfers]
    yield from unique("transfers", known, key="id")
    opens = document.fares.transfer
    if opens is not None and opens not in known:
        yield unknown("fares.transfer", Thing.TRANSFER, opens, known)
    used = {opens, *(p.transfer for p in document.products if isinstance(p, Plan))}
    for at, table in tables(document):
        for index, rule in enumerate(table.rules):
            if rule.transfer not in (None, NO_TRANSFER, *known):
                yield unknown(
                    f"{at}.rules[{index}].transfer", Thing.TRANSFER, rule.transfer, [*known, NO_TRANSFER]
                )
            used.add(rule.transfer)
    in_profile = Right.TRANSFER in document.profiles.bus.rights
    if in_profile and not known:
        yield Mistake("profiles.bus.rights", RuleMistake.NO_TRANSFERS)
    for index, transfer in enumerate(document.transfers):
        path = f"transfers[{index}]"
        if not in_profile:
            yield Mistake(path, RuleMistake.TRANSFER_NOT_ASKED)
        if transfer.id == NO_TRANSFER:
            yield Mistake(f"{path}.id", RuleMistake.TRANSFER_NAMED_NONE)
        elif transfer.id not in used:
            yield Mistake(path, RuleMistake.TRANSFER_NOT_OPENED, {"transfer": transfer.id})
        yield from _transfer(path, transfer, document)


def _transfer(path: str, transfer: AnyTransfer, document: RegionDocument) -> Iterator[Mistake]:
    yield from unique(f"{path}.media", transfer.media)
    yield from unique(f"{path}.modes", transfer.modes)
    if not transfer.media:
        yield Mistake(f"{path}.media", RuleMistake.NO_MEDIUM)
    endless = transfer.counted_from is CountedFrom.PREVIOUS_RIDE and transfer.transfers == "unlimited"
    if endless and not isinstance(transfer, ReducedWindow):
        one_bus = transfer.same_route is SameRoute.TRANSFER
        code = RuleMistake.ENDLESS_ON_ONE_BUS if one_bus else RuleMistake.ENDLESS_TO_AND_FRO
        yield Mistake(f"{path}.counted_from", code)
    if isinstance(transfer, ReducedWindow):
        lowest = lowest_fare(document.fares)
        if lowest is not None and transfer.price_minor >= lowest:
            yield Mistake(
                f"{path}.price_minor",
                RuleMistake.TRANSFER_NOT_CHEAPER,
                {"price_minor": transfer.price_minor, "lowest_minor": lowest},
            )
    if isinstance(transfer, MixedWindow):
        yield from unique(f"{path}.once", transfer.once)
        outside = [mode for mode in transfer.once if transfer.modes and mode not in transfer.modes]
        if outside:
            yield Mistake(f"{path}.once", RuleMistake.ONCE_OUTSIDE, {"mode": outside[0]})
        elif not transfer.once:
            yield Mistake(f"{path}.once", RuleMistake.NO_ONCE)
        yield from counter_problems(f"{path}.counter", transfer.counter, document, (Period.JOURNEY,), 1)
    if isinstance(transfer, TopUpWindow):
        yield from _top_up(path, transfer, document)


def _top_up(path: str, transfer: TopUpWindow, document: RegionDocument) -> Iterator[Mistake]:
    """What was paid has to be on the card, to the kopeck: only the resident card has room for it."""
    for number, medium in enumerate(transfer.media):
        if medium is not FareMedium.TRANSPORT_CARD:
            yield Mistake(f"{path}.media[{number}]", RuleMistake.PAID_NOT_KEPT, {"medium": medium.value})
    slot = slots_of(document).get(transfer.paid)
    unit_minor = 1 if slot is None else slot.unit_minor
    sums = prices(document)
    most = max(sums, default=0) // unit_minor
    yield from counter_problems(f"{path}.paid", transfer.paid, document, (Period.JOURNEY,), most)
    yield from _countable(f"{path}.paid", transfer.paid, unit_minor, sums, document)
    if len(sums) == 1 and not by_distance(document):
        yield Mistake(path, RuleMistake.NEVER_DEARER, {"price_minor": most * unit_minor})


def _before_payment(document: RegionDocument) -> Iterator[Mistake]:
    """Who holds a pass is not asked for money first."""
    rights = document.profiles.bus.rights
    top_up = any(isinstance(transfer, TopUpWindow) for transfer in document.transfers)
    asking = [right for right, asks in ((Right.TRANSFER, top_up), (Right.RETURN, document.returns)) if asks]
    for right in asking:
        if Right.PASS in rights and right in rights and rights.index(right) < rights.index(Right.PASS):
            yield Mistake("profiles.bus.rights", RuleMistake.BEFORE_PASS, {"right": right.value})


def _vehicle(document: RegionDocument) -> Iterator[Mistake]:
    rules = document.vehicle
    if rules.stale_s < rules.fresh_s:
        yield Mistake("vehicle.stale_s", RuleMistake.PLACE_STALE_BEFORE_FRESH)


def _guards(document: RegionDocument) -> Iterator[Mistake]:
    yield from unique("guards.passback_rights", document.guards.passback_rights)
    for index, right in enumerate(document.guards.passback_rights):
        if right not in PASSBACK_RIGHTS:
            yield Mistake(
                f"guards.passback_rights[{index}]",
                RuleMistake.NOT_PASSED_BACK,
                {"right": right, "known": ", ".join(PASSBACK_RIGHTS)},
            )


def persons_held(document: RegionDocument) -> int | None:
    """How many persons the reserve of `[checkin]` can hold the dearest fare for; None without check-in."""
    slot = None if document.checkin is None else slots_of(document).get(document.checkin.reserve)
    dearest = highest_fare(document)
    if slot is None or not dearest:
        return None
    return min(MOST_INSIDE, ((1 << slot.bits) - 1) * slot.unit_minor // dearest)


def reserve_unit_minor(document: RegionDocument) -> int | None:
    """To which unit what is held at check-in is rounded down; None without check-in."""
    slot = None if document.checkin is None else slots_of(document).get(document.checkin.reserve)
    return None if slot is None else slot.unit_minor


def _check_in(document: RegionDocument) -> Iterator[Mistake]:
    rule = document.checkin
    if rule is None:
        return
    yield from scope_problems("checkin.scope", rule.scope, document)
    rules = [one for table in (document.fares, *document.fares.steps) for one in table.rules]
    distances = [one.longest_m for one in rules if isinstance(one, DistanceFares)]
    zoned = any(isinstance(one, ZoneFares) for one in rules)
    if not distances and not zoned and document.gtfs is None:
        yield Mistake("checkin", RuleMistake.CHECK_IN_FOR_NOTHING)
    elif document.gtfs is None:
        yield from _same_fare(rule, [one for one in rules if isinstance(one, DistanceFares | ZoneFares)])
    same_tap_s = max(document.guards.repeat_s, document.guards.retap_s)
    if rule.longest_s <= same_tap_s:
        yield Mistake("checkin.longest_s", RuleMistake.NO_EXIT, {"same_tap_s": same_tap_s})
    kept = (Period.KEPT,)
    unit_minor = reserve_unit_minor(document) or 1
    most = highest_fare(document) // unit_minor
    yield from counter_problems("checkin.reserve", rule.reserve, document, kept, most)
    yield from _reserve_unit(rule.reserve, unit_minor, document)
    numbers = max((zone.number for zone in document.zones), default=0)
    for key, name, needed, largest in (
        ("zone", rule.zone, zoned, numbers),
        ("mark", rule.mark, bool(distances), max(distances, default=0) // MARK_M + 2),
    ):
        if name is not None:
            yield from counter_problems(f"checkin.{key}", name, document, kept, largest)
        elif needed:
            yield Mistake("checkin", RuleMistake.BOARDING_NOT_KEPT, {"key": key})


def _same_fare(rule: CheckIn, varying: list[DistanceFares | ZoneFares]) -> Iterator[Mistake]:
    """Routes of the scope whose fare is the same however far one goes; `varying`: the rules whose fare is not."""
    if any(not one.routes for one in varying):
        return
    routes = {route for one in varying for route in one.routes}
    for index, one in enumerate(rule.scope):
        flat = [route for route in one.routes if route not in routes]
        if flat:
            yield Mistake(
                f"checkin.scope[{index}].routes[{one.routes.index(flat[0])}]",
                RuleMistake.CHECK_IN_ON_FLAT_ROUTE,
                {"route": flat[0]},
            )


def _reserve_unit(name: str, unit_minor: int, document: RegionDocument) -> Iterator[Mistake]:
    """What is held is rounded down, and the operator loses the rest of a ride; fares by distance come to any sum, all
    others can be counted. Where caps are, what one leaves of a price has to be counted as well.
    """
    sums = prices(document, distances=False)
    sums |= {tier.amount_minor for cap in document.caps if isinstance(cap, AmountCap) for tier in cap.tiers}
    odd = next((sum_minor for sum_minor in sorted(sums) if sum_minor % unit_minor), None)
    if odd is not None:
        yield Mistake(
            "checkin.reserve",
            RuleMistake.RESERVE_UNIT,
            {"counter": name, "unit_minor": unit_minor, "odd_minor": odd},
        )


def _caps(document: RegionDocument) -> Iterator[Mistake]:
    yield from unique("caps", (cap.id for cap in document.caps), key="id")
    codes = [c.code for c in document.concessions if c.fare is not None]
    for index, cap in enumerate(document.caps):
        path = f"caps[{index}]"
        yield from unique(f"{path}.concessions", cap.concessions)
        for number, code in enumerate(cap.concessions):
            if code not in codes:
                yield unknown(f"{path}.concessions[{number}]", Thing.CONCESSION_WITH_FARE, code, codes)
        if isinstance(cap, TripCap):
            yield from counter_problems(f"{path}.counter", cap.counter, document, DATED, cap.trips)
            yield from scope_problems(f"{path}.scope", cap.scope, document)
        else:
            yield from _amount_cap(path, cap, document)


def _amount_cap(path: str, cap: AmountCap, document: RegionDocument) -> Iterator[Mistake]:
    if not cap.tiers:
        yield Mistake(f"{path}.tiers", RuleMistake.NO_TIER)
        return
    slots = slots_of(document)
    spent = slots.get(cap.spent)
    unit_minor = spent.unit_minor if spent is not None else 1
    amounts = [tier.amount_minor for tier in cap.tiers]
    yield from counter_problems(f"{path}.spent", cap.spent, document, DATED, max(amounts) // unit_minor)
    yield from _units(path, cap, unit_minor, document)
    for index, tier in enumerate(cap.tiers):
        at = f"{path}.tiers[{index}]"
        yield from scope_problems(f"{at}.scope", tier.scope, document)
        if index and tier.amount_minor < amounts[index - 1]:
            yield Mistake(at, RuleMistake.TIER_CHEAPER)
        if index and not cap.tiers[index - 1].scope:
            yield Mistake(at, RuleMistake.TIER_NEVER)
    if cap.level is not None:
        periods = DATED if spent is None else (spent.period,)
        yield from counter_problems(f"{path}.level", cap.level, document, periods, len(cap.tiers) - 1)
    elif len(cap.tiers) > 1:
        yield Mistake(path, RuleMistake.NO_LEVEL, {"tiers": len(cap.tiers)})


def _units(path: str, cap: AmountCap, unit_minor: int, document: RegionDocument) -> Iterator[Mistake]:
    """A counter in units must be able to add up every price, or caps would drift by roundings."""
    sums = {*prices(document), *(tier.amount_minor for tier in cap.tiers)}
    yield from _countable(f"{path}.spent", cap.spent, unit_minor, sums, document)


def _countable(
    path: str, name: str, unit_minor: int, sums: set[int], document: RegionDocument
) -> Iterator[Mistake]:
    """Whether a counter in units can hold each of `sums`."""
    if unit_minor == 1:
        return
    odd = next((sum_minor for sum_minor in sorted(sums) if sum_minor % unit_minor), None)
    values: dict[str, int | str] = {"counter": name, "unit_minor": unit_minor}
    if odd is not None:
        yield Mistake(path, RuleMistake.CAP_UNIT, values | {"odd_minor": odd})
    elif by_distance(document):
        yield Mistake(path, RuleMistake.CAP_UNIT_BY_DISTANCE, values)
