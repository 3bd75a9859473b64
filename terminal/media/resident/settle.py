"""Stage 9 of a tap: a tap whose end is unknown is settled when the card comes back.

The card's newest event says what the card did last: it carries terminal and sequence number of the tap that wrote
it. No clock and no guess is involved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from cardproto.resident.records.event import Event
from terminal.journal.taps import TapId


class Settlement(Enum):
    """What became of an unresolved tap."""

    COMMITTED = "the card holds the event of the tap"
    NOT_COMMITTED = "the card still ends with the event before the tap"
    STILL_OPEN = "the card has moved on too far to tell; the collector will"


def tap_of(event: Event) -> TapId:
    """Which tap wrote `event`."""
    return event.terminal, event.sequence


def settle(
    newest: Event, recent: Callable[[], Sequence[Event]], intended: TapId, previous: TapId
) -> Settlement:
    """Decide from the newest event, or from the older ones the card keeps when there was a tap in between.

    `intended` is the unresolved tap, `previous` the newest event it had seen on the card before its own write.
    `recent` is called only when the newest event does not answer the question (one more exchange).
    """
    if tap_of(newest) == intended:
        return Settlement.COMMITTED
    if tap_of(newest) == previous:
        return Settlement.NOT_COMMITTED
    kept = [tap_of(event) for event in recent()]
    if intended in kept:
        return Settlement.COMMITTED
    return Settlement.NOT_COMMITTED if previous in kept else Settlement.STILL_OPEN
