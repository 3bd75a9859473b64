"""By which of its offers a ride is charged: the cheapest of each path it may take, of those the dearest.

Which transfer rules apply between a journey and the leg that follows it is decided as the specification says:
filter by both leg groups, then by the time limit; of the rules with different transfer counts the smallest that
still covers this transfer. A limit of a rule from a group to itself runs from the first leg of the run, any
other from the leg before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.gtfs.index import (
    REMEMBERED,
    AppliedTransfer,
    FeedTransferRule,
    HeldAt,
    LegRule,
    Option,
    Prices,
)
from terminal.policy.gtfs.matching import held_at, paths_of, rules_by_place
from terminal.policy.gtfs.state import Journey, OpenRide
from terminal.policy.gtfs.tables import LimitType, TransferType


def settle(fares: FeedFares, prices: Prices, journey: Journey | None, ride: OpenRide) -> Option | None:
    """The option by which `ride` is charged after `journey`: the cheapest of each path it may take, of those the
    dearest. None: unknown. Of a ride by itself that depends on its places and timeframes alone, and is remembered.
    """
    index = fares.index
    held = held_at(index, ride)
    if journey is not None:
        return _settled(fares, prices, journey, ride, held)
    asked = (ride.network, ride.origin, ride.end, prices, held)
    known = index.alone.get(asked)
    if known is None:
        if len(index.alone) == REMEMBERED:
            index.alone.clear()
        known = index.alone[asked] = (_settled(fares, prices, None, ride, held),)
    return known[0]


def _settled(
    fares: FeedFares, prices: Prices, journey: Journey | None, ride: OpenRide, held: HeldAt
) -> Option | None:
    index, transfers = fares.index, _transfers(fares, prices, journey, ride)
    if ride.end:
        found: Option | None = None
        for rules in paths_of(rules_by_place(index, ride)[0], held):
            found = _dearer(found, _cheapest(rules, prices, transfers))
        return found
    worst: Option | None = None
    surcharge = 0 if journey is None else max(index.dearest_transfer(journey.group, prices), 0)
    seen: set[int | None] = set()
    for end in index.dearest_first(ride.network, ride.origin, prices):
        if worst is not None and worst.due_minor >= end.dearest_minor + surcharge:
            break  # no further end can be dearer
        if end.transfers in seen:
            continue
        for rules in paths_of(end.rules, held):
            worst = _dearer(worst, _cheapest(rules, prices, transfers))
            if end.transfers is not None:
                seen.add(end.transfers)
    return worst


def least(fares: FeedFares, prices: Prices, journey: Journey | None, ride: OpenRide) -> Option | None:
    """The cheapest option by which `ride`, which has ended where is not known, may be charged. None: unknown."""
    held, found = held_at(fares.index, ride), list[Option]()
    transfers = _transfers(fares, prices, journey, ride)
    for rules in rules_by_place(fares.index, ride):
        options = (_cheapest(path, prices, transfers) for path in paths_of(rules, held))
        found += [option for option in options if option is not None]
    return min(found, key=lambda option: option.due_minor, default=None)


def _dearer(first: Option | None, second: Option | None) -> Option | None:
    if first is None or (second is not None and second.due_minor > first.due_minor):
        return second
    return first


def _cheapest(rules: Sequence[LegRule], prices: Prices, transfers: _Transfers) -> Option | None:
    """What is due at least under any of `rules`; None where the rider can buy none of their products."""
    best: Option | None = None
    for rule in _first(rules, transfers):
        price = prices.of[rule.product]
        if price is None:
            continue
        option = transfers.cheapest(rule, price.amount_minor)
        if best is None or (option.due_minor, rule.row) < (best.due_minor, best.rule.row):
            best = option
    return best


def _first(rules: Sequence[LegRule], transfers: _Transfers) -> Sequence[LegRule]:
    """Those of `rules` that hold: of the rules for transfers alone the ones some transfer leads to, which then may
    take precedence over the others.
    """
    for rule in rules:
        if rule.transfer_only:
            break
    else:
        return rules
    held = [rule for rule in rules if not rule.transfer_only or transfers.lead_to(rule)]
    highest = max((rule.priority for rule in held), default=0)
    return [rule for rule in held if rule.priority == highest]


def _transfers(fares: FeedFares, prices: Prices, journey: Journey | None, ride: OpenRide) -> _Transfers:
    onward = {} if journey is None else fares.index.transfers_from(journey.group)
    return _Transfers(fares, prices, journey, ride, onward)


class _Transfers(Struct, frozen=True, eq=False, gc=False):
    """Transfers from a journey to a ride, looked up once for each group the ride may be of."""

    fares: FeedFares
    prices: Prices
    journey: Journey | None
    ride: OpenRide
    onward: Mapping[int, tuple[FeedTransferRule, ...]]
    """The transfer rules after the journey."""
    found: dict[tuple[int, int], list[AppliedTransfer]] = {}

    def cheapest(self, rule: LegRule, price_minor: int) -> Option:
        """By a leg rule: a transfer some rule describes is charged by it, even where it is a surcharge."""
        journey = self.journey
        found = self._to(rule) if self.onward else None
        if journey is None or not found:
            return Option(price_minor, price_minor, rule, price_minor, None)
        best = found[0]
        least = total_with(best, journey, price_minor)
        for transfer in found[1:]:
            total_minor = total_with(transfer, journey, price_minor)
            if total_minor < least:
                best, least = transfer, total_minor
        return Option(least - journey.paid_minor, least, rule, price_minor, best)

    def lead_to(self, rule: LegRule) -> bool:
        """Whether a transfer leads to a leg of this rule."""
        return bool(self.onward) and bool(self._to(rule))

    def _to(self, leg: LegRule) -> list[AppliedTransfer] | None:
        key = self.fares.index.to_key(leg.group)
        rules = self.onward.get(key)
        if rules is None or self.journey is None:
            return None
        place = (key, leg.product if self.fares.index.same_products else 0)
        found = self.found.get(place)
        if found is None:
            if self.fares.index.same_products and leg.product != self.journey.product:
                rules = tuple(rule for rule in rules if not rule.same_product)
            found = self.found[place] = applicable(
                rules, self.prices, self.journey, self.ride, self.fares.longest_change_s
            )
        return found


def applicable(
    rules: Sequence[FeedTransferRule], prices: Prices, journey: Journey, ride: OpenRide, longest_change_s: int
) -> list[AppliedTransfer]:
    """Those of `rules`, which are for the groups of `journey` and `ride`, that apply and the rider can pay for."""
    found = []
    for rule in rules:
        # transfers in a row by rules that repeat are always by the same ones, because a blank cell never stands for
        # a listed group; before the first of them the run is the leg before alone
        number = journey.run + 1 if rule.repeats else 1
        if rule.most is not None and rule.most < number:
            continue
        if rule.only_after is not None and rule.only_after != journey.product:
            continue
        if not _in_time(rule, journey, ride, longest_change_s):
            continue
        price = None if rule.product is None else prices.of[rule.product]
        if price is None and rule.product is not None:
            continue
        found.append(AppliedTransfer(rule, 0 if price is None else price.amount_minor, number))
    return found if len(found) < 2 else _smallest_count(found)


def total_with(transfer: AppliedTransfer, journey: Journey, leg_minor: int) -> int:
    """What the journey costs with one more leg of `leg_minor`: S + BC, or S + BC + C; AB alone for two legs."""
    kind = transfer.rule.kind
    if kind is TransferType.FROM_TRANSFER_AND_TO:
        return journey.total_minor + transfer.amount_minor + leg_minor
    if kind is TransferType.TRANSFER_ONLY and journey.transfers == 0:
        return transfer.amount_minor
    return journey.total_minor + transfer.amount_minor


def ends_at(rule: FeedTransferRule, journey: Journey, longest_change_s: int) -> int:
    """The last second at which `rule` applies after `journey`."""
    if rule.limit_s is None:
        return journey.arrived + longest_change_s
    if rule.limit_type in (LimitType.DEPARTURE_TO_ARRIVAL, LimitType.DEPARTURE_TO_DEPARTURE):
        since = journey.run_departed if rule.repeats else journey.departed
    else:
        since = journey.run_arrived if rule.repeats else journey.arrived
    return since + rule.limit_s


def _in_time(rule: FeedTransferRule, journey: Journey, ride: OpenRide, longest_change_s: int) -> bool:
    if ride.departed < journey.departed:
        return False
    until: int | None = ride.departed
    if rule.limit_type in (LimitType.DEPARTURE_TO_ARRIVAL, LimitType.ARRIVAL_TO_ARRIVAL):
        until = ride.arrived
    return until is not None and until <= ends_at(rule, journey, longest_change_s)


def _smallest_count(found: list[AppliedTransfer]) -> list[AppliedTransfer]:
    counts = [transfer.rule.most for transfer in found if transfer.rule.most is not None]
    smallest = min(counts, default=None)
    return [transfer for transfer in found if transfer.rule.most == smallest]
