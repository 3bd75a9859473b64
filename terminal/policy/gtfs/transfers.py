"""Which transfer rules apply between a journey and the leg that follows it.

The specification: filter by both leg groups, then by the time limit; of the rules with different transfer counts the
smallest that still covers this transfer. A limit of a rule from a group to itself runs from the first leg of the run,
any other from the leg before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from terminal.policy.gtfs.index import Prices, TransferRule
from terminal.policy.gtfs.state import Journey, Ride
from terminal.policy.gtfs.tables import LimitType, TransferType


class Transfer(NamedTuple):
    """A rule that applies: what it costs besides the legs, and its place in the run (1 = first transfer)."""

    rule: TransferRule
    amount_minor: int
    number: int


def applicable(
    rules: Sequence[TransferRule], prices: Prices, journey: Journey, ride: Ride, longest_change_s: int
) -> list[Transfer]:
    """Those of `rules`, which are for the groups of `journey` and `ride`, that apply and the rider can pay for."""
    found = []
    for rule in rules:
        # transfers in a row by rules that repeat are always by the same ones, because a blank cell never stands for
        # a listed group; before the first of them the run is the leg before alone
        number = journey.run + 1 if rule.repeats else 1
        if rule.most is not None and rule.most < number:
            continue
        if not _in_time(rule, journey, ride, longest_change_s):
            continue
        price = None if rule.product is None else prices.of[rule.product]
        if price is None and rule.product is not None:
            continue
        found.append(Transfer(rule, 0 if price is None else price.amount_minor, number))
    return found if len(found) < 2 else _smallest_count(found)


def total_with(transfer: Transfer, journey: Journey, leg_minor: int) -> int:
    """What the journey costs with one more leg of `leg_minor`: S + BC, or S + BC + C; AB alone for two legs."""
    kind = transfer.rule.kind
    if kind is TransferType.FROM_TRANSFER_AND_TO:
        return journey.total_minor + transfer.amount_minor + leg_minor
    if kind is TransferType.TRANSFER_ONLY and journey.transfers == 0:
        return transfer.amount_minor
    return journey.total_minor + transfer.amount_minor


def _in_time(rule: TransferRule, journey: Journey, ride: Ride, longest_change_s: int) -> bool:
    if ride.departed < journey.departed:
        return False
    if rule.limit_s is None:
        return ride.departed - journey.arrived <= longest_change_s
    if rule.limit_type in (LimitType.DEPARTURE_TO_ARRIVAL, LimitType.DEPARTURE_TO_DEPARTURE):
        since = journey.run_departed if rule.repeats else journey.departed
    else:
        since = journey.run_arrived if rule.repeats else journey.arrived
    until: int | None = ride.departed
    if rule.limit_type in (LimitType.DEPARTURE_TO_ARRIVAL, LimitType.ARRIVAL_TO_ARRIVAL):
        until = ride.arrived
    return until is not None and until - since <= rule.limit_s


def _smallest_count(found: list[Transfer]) -> list[Transfer]:
    counts = [transfer.rule.most for transfer in found if transfer.rule.most is not None]
    smallest = min(counts, default=None)
    return [transfer for transfer in found if transfer.rule.most == smallest]
