"""Two legs that count as one (fare_leg_join_rules.txt): the effective leg starts where the first did and ends where
the last does. Its network is that of its legs, or none of them where rules tell them apart.

A terminal without tap-off does not see where a leg ended. It takes the end to be where the next leg begins: that is
where the rider stands. Where riders tap off, a leg without a tap-off is not joined.
"""

from __future__ import annotations

from terminal.policy.gtfs.index import Index, JoinRule
from terminal.policy.gtfs.places import BLANK, MIXED
from terminal.policy.gtfs.state import Ride


def may_join(index: Index, ride: Ride) -> bool:
    """Whether some rule lets a further leg join `ride`."""
    return any(first in (BLANK, ride.last_network) for first, _ in index.join_rules)


def joined(
    index: Index, ride: Ride, following: Ride, stop: int, longest_change_s: int, *, assume_end: bool
) -> Ride | None:
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
    return ride._replace(
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
