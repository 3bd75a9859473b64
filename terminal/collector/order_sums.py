"""Orders for cards as lines that add up: how many and how much, by what was ordered and how far it is.

An order counts on the service day on which it was done. What is put onto cards is the sum of balances moved and rides
paid back, less what was settled of later records; what is forgiven moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from terminal.collector.approvals import Act
from terminal.collector.issuing_orders import IssuingOrder, IssuingState
from terminal.texts import N_

ONTO_CARDS: Final = "onto_cards"
SUM_NAMES: Final = {
    Act.REPLACE_CARD: N_("balances onto new cards"),
    Act.REPAY_RIDE: N_("rides paid back onto cards"),
    Act.SETTLE_LATER: N_("later records settled"),
    Act.FORGIVE_LATER: N_("later records forgiven"),
    ONTO_CARDS: N_("put onto cards"),
}
_ONTO: Final = {Act.REPLACE_CARD: 1, Act.REPAY_RIDE: 1, Act.SETTLE_LATER: -1, Act.FORGIVE_LATER: 0}


@dataclass(frozen=True, slots=True)
class OrderSum:
    """Orders of a kind: approved, and of them done, open (with a card or not) and given up; money in minor units.
    Of the line `onto_cards` what stands on cards."""

    what: str
    currency: str
    approved: int
    approved_minor: int
    done: int
    done_minor: int
    open: int
    open_minor: int
    dropped: int
    dropped_minor: int


def order_sums(
    orders: Iterable[IssuingOrder], day_of: Callable[[int], str] | None = None, day: str = ""
) -> list[OrderSum]:
    """Each kind with its currency, and what they put onto cards. With `day`, those done on that service day, or in
    that month."""
    counted: dict[tuple[str, str], list[int]] = {}
    for one in orders:
        if day_of is not None and not (one.done_at_ms and day_of(one.done_at_ms).startswith(day)):
            continue
        done, dropped = one.state is IssuingState.DONE, one.state is IssuingState.DROPPED
        states = (True, done, not done and not dropped, dropped)
        for what, sign in ((one.what, 1), (ONTO_CARDS, _ONTO[one.what])):
            counts = counted.setdefault((one.subject.currency, what), [0] * 8)
            for place, holds in enumerate(states):
                if holds and sign:
                    counts[2 * place] += 1
                    counts[2 * place + 1] += sign * one.subject.minor
    kinds = list(SUM_NAMES)
    ordered = sorted(counted, key=lambda key: (key[0], kinds.index(key[1])))
    return [OrderSum(str(what), currency, *counted[currency, what]) for currency, what in ordered]
