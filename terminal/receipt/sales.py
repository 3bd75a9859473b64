"""The sales in a journal: which of its rows leave a ticket, and which a receipt request besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from terminal.clock import from_unix_ms
from terminal.journal.records import AnyRecord, CashSale, Intent
from terminal.journal.taps import End, taps
from terminal.policy.base import FareMedium
from terminal.receipt.request import ReceiptSale


def sales(terminal: int, rows: Iterable[tuple[int, AnyRecord]], vehicle: str = "") -> Iterator[ReceiptSale]:
    """The sales among `rows` (sequence and record, in order): committed rides and cash that was not given back, each
    once.

    A ride counts when the card's commit is known; until then nothing was sold. What a check-in holds is no
    payment, only what is charged.
    """
    for tap in taps(terminal, rows):
        match tap.record:
            case Intent(profile="bus") if tap.end is End.COMMITTED:
                yield ride_sale(
                    tap.terminal, tap.sequence, tap.record, vehicle, persons=tap.left or tap.riders
                )
            case CashSale() if tap.end is End.SOLD:
                yield cash_sale(terminal, tap.sequence, tap.record, vehicle)
            case _:
                pass


def ride_sale(
    terminal: int, sequence: int, intent: Intent, vehicle: str = "", persons: int = 1
) -> ReceiptSale:
    """The ride of the intent in row `sequence`, which was committed."""
    return ReceiptSale(
        terminal=terminal,
        sequence=sequence,
        at=from_unix_ms(intent.at_ms),
        medium=FareMedium.TRANSPORT_CARD,
        sum_minor=intent.charge_minor,
        currency=intent.currency,
        route=intent.route,
        direction=intent.direction,
        persons=persons,
        vehicle=vehicle,
    )


def cash_sale(terminal: int, sequence: int, record: CashSale, vehicle: str = "") -> ReceiptSale:
    """The cash sale in row `sequence`."""
    return ReceiptSale(
        terminal=terminal,
        sequence=sequence,
        at=from_unix_ms(record.at_ms),
        medium=FareMedium.CASH,
        sum_minor=record.sum_minor,
        currency=record.currency,
        route=record.route,
        direction=record.direction,
        persons=record.persons,
        vehicle=vehicle,
        kind=record.ticket,
    )
