"""Sales at the buffet: from its own account, within what the parents allow (M-01, M-02)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from terminal.canteen.desk import CanteenDesk
from terminal.clock import unix_ms
from terminal.decision.canteen.buffet import SaleDecision, decide_sale
from terminal.decision.meal import BasketLine
from terminal.decision.outcome import Message, Outcome
from terminal.decision.tap import Trail
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import BuffetSale, SaleLine
from terminal.trip.pupil import Pupil

BUFFET: Final = "buffet"


@dataclass(frozen=True, slots=True)
class Sold:
    """What came of a sale. `sequence` is the record's row, None when nothing was sold."""

    decision: SaleDecision
    sequence: int | None = None


def sell(desk: CanteenDesk, ref: bytes, counts: Mapping[str, int], operator: str, now: datetime) -> Sold:
    """Sell products of the price list, by how many of each; all of them or none.

    Raises `CanteenRefused` when there is no price list or the pupil or a product is unknown, `JournalError` when
    the sale cannot be written down; then nothing was sold.
    """
    desk.follow()
    if desk.price_list is None:
        raise CanteenRefused("no price list is loaded", "Load one: `terminal canteen prices load FILE`.")
    basket = desk.price_list.basket(counts)
    pupil = desk.pupil(ref, now)
    if pupil is None:
        raise CanteenRefused("not in the roster of this school", "Check the reference, or sell for cash.")
    closed = desk.against_serving(now)
    if closed is not None:
        return Sold(SaleDecision(Outcome(Message.SHIFT_CLOSED, accepted=False), 0, (closed,)))
    trail = Trail()
    decision = decide_sale(pupil, basket, trail, paid_stopped=desk.paid_stopped)
    if not decision.outcome.accepted:
        desk.note_refusal(ref, BUFFET, operator, decision.outcome, trail, now)
        return Sold(decision)
    return Sold(decision, desk.append(_record(desk, pupil, basket, decision, operator, now)))


def _record(
    desk: CanteenDesk,
    pupil: Pupil,
    basket: Sequence[BasketLine],
    decision: SaleDecision,
    operator: str,
    now: datetime,
) -> BuffetSale:
    return BuffetSale(
        at_ms=unix_ms(now),
        pupil=pupil.ref,
        shift=desk.shift,
        operator=operator,
        school=pupil.school,
        class_id=pupil.class_id,
        day=desk.day_of(now).isoformat(),
        lines=tuple(SaleLine(line.product, line.count, line.sum_minor) for line in basket),
        tariff=desk.policy.tariff,
        flags=decision.flags,
        roster=desk.roster_sequence,
    )
