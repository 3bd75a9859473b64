"""The sales in a journal: which of its rows leave a ticket, and which a receipt request besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from terminal.clock import from_unix_ms
from terminal.journal.records import AnyRecord, CashSale, Committed, Intent
from terminal.policy.schema_base import Medium
from terminal.receipt.request import Sale


def sales(terminal: int, rows: Iterable[tuple[int, AnyRecord]], vehicle: str = "") -> Iterator[Sale]:
    """The sales among `rows` (sequence and record, in order): committed rides and cash, each once.

    A ride counts when the card's commit is known; until then nothing was sold. What a check-in holds is no
    payment, only what is charged.
    """
    waiting: dict[int, Intent] = {}
    for sequence, record in rows:
        match record:
            case Intent(profile="bus"):
                waiting[sequence] = record
            case Committed(intent=number) if number in waiting:
                yield _ride(terminal, number, waiting.pop(number), vehicle)
            case CashSale():
                yield cash_sale(terminal, sequence, record, vehicle)
            case _:
                pass


def _ride(terminal: int, sequence: int, intent: Intent, vehicle: str) -> Sale:
    companions = intent.context.get("companions", 0)
    return Sale(
        terminal=terminal,
        sequence=sequence,
        at=from_unix_ms(intent.at_ms),
        medium=Medium.TRANSPORT_CARD,
        sum_minor=intent.charge_minor,
        route=intent.route,
        direction=intent.direction,
        persons=1 + companions if isinstance(companions, int) else 1,
        vehicle=vehicle,
    )


def cash_sale(terminal: int, sequence: int, record: CashSale, vehicle: str = "") -> Sale:
    """The cash sale in row `sequence`."""
    return Sale(
        terminal=terminal,
        sequence=sequence,
        at=from_unix_ms(record.at_ms),
        medium=Medium.CASH,
        sum_minor=record.sum_minor,
        route=record.route,
        direction=record.direction,
        persons=record.persons,
        vehicle=vehicle,
    )
