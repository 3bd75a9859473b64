"""By which of its offers a ride is charged: the cheapest of each turn it may take, of those the dearest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from terminal.policy.gtfs.fares import Fares
from terminal.policy.gtfs.index import LegRule, Prices
from terminal.policy.gtfs.matching import Turns
from terminal.policy.gtfs.state import Journey, Ride
from terminal.policy.gtfs.transfers import Transfer, applicable, total_with


class Option(NamedTuple):
    """One way to pay for a ride: by this leg rule, alone or by this transfer.

    `due_minor` is what the ride adds to what was paid for the journey, `total_minor` what the journey then costs.
    """

    due_minor: int
    total_minor: int
    rule: LegRule
    price_minor: int
    transfer: Transfer | None


def settle(fares: Fares, prices: Prices, journey: Journey | None, ride: Ride) -> Option | None:
    """The option by which `ride` is charged after `journey`: the cheapest of each turn it may take, of those the
    dearest. None: nobody knows.
    """
    index, turns = fares.index, Turns(fares.index, ride)
    transfers = _Transfers(fares, prices, journey, ride)
    if ride.end:
        found: Option | None = None
        for rules in turns.of(turns.bundles()[0]):
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
        for rules in turns.of(end.rules):
            worst = _dearer(worst, _cheapest(rules, prices, transfers))
            if end.transfers is not None:
                seen.add(end.transfers)
    return worst


def _dearer(first: Option | None, second: Option | None) -> Option | None:
    if first is None or (second is not None and second.due_minor > first.due_minor):
        return second
    return first


def _cheapest(rules: Sequence[LegRule], prices: Prices, transfers: _Transfers) -> Option | None:
    """What is due at least under any of `rules`; None where the rider can buy none of their products."""
    best: Option | None = None
    for rule in rules:
        price = prices.of[rule.product]
        if price is None:
            continue
        option = transfers.cheapest(rule, price.amount_minor)
        if best is None or (option.due_minor, rule.row) < (best.due_minor, best.rule.row):
            best = option
    return best


class _Transfers:
    """Transfers from a journey to a ride, looked up once for each group the ride may be of."""

    __slots__ = ("_fares", "_found", "_journey", "_onward", "_prices", "_ride")

    def __init__(self, fares: Fares, prices: Prices, journey: Journey | None, ride: Ride) -> None:
        self._fares, self._prices, self._journey, self._ride = fares, prices, journey, ride
        self._onward = {} if journey is None else fares.index.transfers_from(journey.group)
        self._found: dict[int, list[Transfer]] = {}

    def cheapest(self, rule: LegRule, price_minor: int) -> Option:
        """By a leg rule: a transfer some rule describes is charged by it, even where it is a surcharge."""
        journey = self._journey
        found = self._to(rule.group) if self._onward else None
        if journey is None or not found:
            return Option(price_minor, price_minor, rule, price_minor, None)
        best = found[0]
        least = total_with(best, journey, price_minor)
        for transfer in found[1:]:
            total_minor = total_with(transfer, journey, price_minor)
            if total_minor < least:
                best, least = transfer, total_minor
        return Option(least - journey.paid_minor, least, rule, price_minor, best)

    def _to(self, group: int) -> list[Transfer] | None:
        key = self._fares.index.to_key(group)
        rules = self._onward.get(key)
        if rules is None or self._journey is None:
            return None
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = applicable(
                rules, self._prices, self._journey, self._ride, self._fares.longest_change_s
            )
        return found
