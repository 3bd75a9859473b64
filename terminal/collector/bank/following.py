"""From the collector's rows to the ledger's rides: counted taps of bank cards, and denied cards that came back.

Each terminal's rows are gone through in order, from where the last run ended, so that the region document in force at
each is known by the row that activated it. Only what an intent and its end say makes a ride; a refusal makes none.
"""

from __future__ import annotations

from typing import Final

from terminal.codes import SetKind
from terminal.collector.bank.ledger import BankLedger
from terminal.collector.bank.rides import RideState
from terminal.collector.bank.sources import RideSource
from terminal.collector.reading import read_record
from terminal.collector.sealed_rows import bank_row
from terminal.decision.outcome import Message
from terminal.journal.operation_records import SetActivated, SetReturned
from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, UnreadableRecord, Unwritten

STRETCH_ROWS: Final = 2_000
"""So many rows are one transaction."""


def follow_rows(source: RideSource, ledger: BankLedger) -> int:
    """Take in what has come since the last time; return how many rows that were."""
    went = 0
    for terminal, newest in source.held().items():
        after, document = ledger.rides.mark(terminal)
        while after < newest and (rows := source.rows(terminal, after, STRETCH_ROWS)):
            with ledger.changing():
                for sequence, body in rows:
                    document = _take(ledger, terminal, sequence, body, document)
                after = rows[-1][0]
                ledger.rides.put_mark(terminal, after, document)
            went += len(rows)
    return went


def _take(ledger: BankLedger, terminal: int, sequence: int, body: bytes, document: str) -> str:
    """Note the row; return the document in force after it."""
    try:
        record = read_record(body)
    except UnreadableRecord:
        return document
    match record:
        case SetActivated(kind=SetKind.REGION):
            return record.sha256.hex()
        case SetReturned():
            return record.back_sha256.hex()
        case Intent() if bank_row(record) is not None:
            shown = record.charge_minor, record.currency
            ledger.rides.put((terminal, sequence), record.at_ms, record.card_ref, document, shown)
        case Committed() if record.intent < sequence:
            ledger.rides.end((terminal, record.intent), RideState.WAITING)
        case NotCommitted() if record.intent < sequence:
            ledger.rides.end((terminal, record.intent), RideState.VOID)
        case Unwritten() if record.card_ref and _denied(record):
            ledger.cards.note_presented(record.card_ref, record.at_ms)
        case _:
            pass
    return document


def _denied(record: AnyRecord) -> bool:
    return (
        isinstance(record, Unwritten) and record.message == Message.DENY_LIST and bank_row(record) is not None
    )
