"""One card in a replay: what it really holds, and what it would hold under either document.

The event in a row links it to the one before: what was read is what the last row left, or something happened to the
card that no row here holds. What can be followed is carried into both replays (a reload, a meal, new rights); anything
else lets both begin anew from the card as it was read, and is named.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from cardproto.resident.limits import LARGEST_MINOR
from cardproto.resident.records.event import Event, EventKind, parse_event
from cardproto.resident.records.rights import RIGHTS_BYTES, Rights, parse_rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.recompute import NO_UID
from terminal.decision.tap import of_boarding, rebase
from terminal.impact.gaps import GapKind
from terminal.impact.source import Passed
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

ELSEWHERE: Final = {
    EventKind.RELOAD: GapKind.RELOAD,
    EventKind.ORDER: GapKind.OTHER_CHANGE,
    EventKind.CORRECTION: GapKind.OTHER_CHANGE,
    EventKind.RIGHTS_CHANGE: GapKind.OTHER_CHANGE,
    EventKind.MEAL: GapKind.MEAL_BETWEEN,
}
"""What is written away from buses and can be followed from the event alone."""
KINDS_OF_RIGHTS: Final = 1 << 15
"""Different rights in memory at once, the holder's pseudonym apart."""


class CardInReplay:
    """`read` is the newest event the card really holds; `old` and `new` what it holds in the two replays, one object
    as long as they agree. `follows`: `old` is what the card really holds. `waiting` is a tap whose end is not
    known, `held_for` the row for which the card's taps are held back.
    """

    __slots__ = ("follows", "held_for", "month", "month_minor", "new", "number", "old", "read", "waiting")

    def __init__(self, number: int, read: bytes, event: Event) -> None:
        self.number = number
        self.waiting: Passed | None = None
        self.held_for: tuple[int, int] | None = None
        self.month, self.month_minor = 0, 0
        self.begin(read, event)

    def begin(self, read: bytes, event: Event) -> None:
        """Both replays go on from the card as it was read."""
        self.read, self.old, self.new, self.follows = read, event, event, True


def meet(
    card: CardInReplay, read: bytes, rights: Rights, old: Policy, new: Policy, terminals: frozenset[int]
) -> tuple[GapKind, ...]:
    """Bring `card` to `read`, the event a tap has found on it; what cannot be known, by reason.

    `OUT_OF_ORDER` alone leaves the card as it is. Raises `FormatError` for bytes that are no event.
    """
    event, before = parse_event(read), parse_event(card.read)
    if event.at < before.at:
        return (GapKind.OUT_OF_ORDER,)
    kind = ELSEWHERE.get(event.kind)
    moved_minor = event.balance_after_minor - before.balance_after_minor
    if kind is not None and abs(moved_minor) == event.amount_minor:
        return (kind, *carry(card, read, event, before, rights, old, new))
    card.begin(read, event)
    if event.kind is EventKind.ISSUE:
        return (GapKind.CARD_REISSUED,)
    return (GapKind.ROWS_MISSING if event.terminal in terminals else GapKind.OTHER_TERMINAL,)


def carry(
    card: CardInReplay, read: bytes, event: Event, before: Event, rights: Rights, old: Policy, new: Policy
) -> tuple[GapKind, ...]:
    """What made `event` of `before` happens in both replays: money goes up or down by the same, counters stay."""
    agreed = card.new is card.old
    gaps: list[GapKind] = []
    was_old, was_new = card.old, card.new
    card.old = event if card.follows else _moved(was_old, event, before, rights, old, gaps)
    card.new = event if agreed and card.follows else _moved(was_new, event, before, rights, new, gaps)
    card.read = read
    return tuple(gaps)


def _moved(
    state: Event, event: Event, before: Event, rights: Rights, policy: Policy, gaps: list[GapKind]
) -> Event:
    """`state` at the time of `event`, with the money that moved."""
    balance_minor = state.balance_after_minor + event.balance_after_minor - before.balance_after_minor
    if not 0 <= balance_minor <= LARGEST_MINOR:
        gaps.append(GapKind.PURSE_SHORT)
    balance_minor = min(max(balance_minor, 0), LARGEST_MINOR)
    if all(getattr(state, name) == getattr(before, name) for name in RUNNING):
        return event._replace(balance_after_minor=balance_minor)
    trip = Trip("bus", event.terminal, event.sequence)
    tap = of_boarding(rebase(CardSnapshot(NO_UID, rights, state), policy, trip, event.at))
    riding = state if state.inside else event
    return event._replace(
        balance_after_minor=balance_minor,
        route=riding.route,
        direction=riding.direction,
        paid_by=riding.paid_by,
        inside=state.inside,
        journey_age_s=tap.journey_age_s,
        transfers=tap.transfers,
        counter_layout=tap.counter_layout,
        counters=tap.counters,
        meals=event.meals if event.kind is EventKind.MEAL else tap.meals,
        period_ahead=tap.periods.written,
    )


RUNNING: Final = (
    *("at", "journey_age_s", "transfers", "counter_layout", "counters", "meals", "period_ahead", "inside"),
    *("route", "direction", "paid_by"),
)
"""What of an event is carried on beside the money."""


def rights_of(read: bytes, *, with_holder: bool) -> Rights:
    """The rights in a row. Without their holder's pseudonym many cards have the same, which are taken apart once.

    Raises `FormatError`.
    """
    if with_holder or len(read) != RIGHTS_BYTES:
        return parse_rights(read)
    return _rights(b"".join((read[:4], bytes(8), read[12:18], bytes(2), read[20:54], bytes(8), read[62:])))


_rights: Final = lru_cache(KINDS_OF_RIGHTS)(parse_rights)
