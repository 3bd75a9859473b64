"""Sales at the buffet: from its own account, within what the parents allow (M-01, M-02)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from terminal.canteen.counter import AGAINST_SERVING, CanteenCounter
from terminal.clock import unix_ms
from terminal.codes import Admission, CanteenFault
from terminal.decision.canteen.buffet import SaleDecision, decide_sale
from terminal.decision.canteen.effects import MealEffect
from terminal.decision.ended import note_end
from terminal.decision.meal import BasketLine
from terminal.decision.outcome import Outcome
from terminal.decision.tap import Trail
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import BuffetSale, SaleLine, ServedBy
from terminal.trip.pupil import Pupil


class Sold(Struct, frozen=True):
    """What came of a sale. `sequence` is the record's row, None when nothing was sold."""

    decision: SaleDecision
    sequence: int | None = None


def sell(
    counter: CanteenCounter, ref: bytes, counts: Mapping[str, int], operator: str, now: datetime
) -> Sold:
    """Sell products of the price list, by how many of each; all of them or none.

    Raises `CanteenRefused` when there is no price list or the pupil or a product is unknown, `JournalError` when
    the sale cannot be written down; then nothing was sold.
    """
    counter.follow()
    if counter.price_list is None:
        raise CanteenRefused(
            "no price list is loaded",
            "Load one: `terminal canteen prices load FILE`.",
            CanteenFault.NO_PRICE_LIST,
        )
    basket = counter.price_list.basket(counts)
    pupil = counter.pupil(ref, now)
    if pupil is None:
        raise CanteenRefused(
            "not in the roster of this school",
            "Check the reference, or tie the card to a pupil.",
            MealEffect.NOT_LISTED,
        )
    closed = counter.against_serving(now)
    if closed is not None:
        return Sold(SaleDecision(Outcome(AGAINST_SERVING[closed.effect], Admission.REFUSED), 0, (closed,)))
    trail = Trail()
    note_end(counter.policy.document, now, trail, clock_suspect=counter.clock_suspect())
    decision = decide_sale(pupil, basket, trail, stopped=counter.stopped(now))
    if not decision.outcome.accepted:
        counter.note_refusal(ref, ServedBy.BUFFET, operator, decision.outcome, trail, now)
        return Sold(decision)
    return Sold(decision, counter.append(_record(counter, pupil, basket, decision, operator, now)))


def _record(
    counter: CanteenCounter,
    pupil: Pupil,
    basket: Sequence[BasketLine],
    decision: SaleDecision,
    operator: str,
    now: datetime,
) -> BuffetSale:
    return BuffetSale(
        at_ms=unix_ms(now),
        pupil=pupil.ref,
        shift=counter.shift,
        operator=operator,
        school=pupil.school,
        class_id=pupil.class_id,
        day=counter.day_of(now).isoformat(),
        lines=tuple(SaleLine(line.product, line.count, line.sum_minor) for line in basket),
        tariff=counter.policy.tariff,
        flags=decision.flags,
        roster=counter.roster_sequence,
        currency=counter.policy.currency,
    )
