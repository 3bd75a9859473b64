"""Rows of a terminal's journal as the desk shows them: what each is and says in the page's language, and its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from terminal.fault_texts import fault_text
from terminal.journal.reader import Row
from terminal.journal.record_base import Record
from terminal.journal.records import (
    Committed,
    Fault,
    Intent,
    NotCommitted,
    SettledBy,
    Unresolved,
    UnresolvedCause,
    Unwritten,
)
from terminal.lab.desk.session import DeskSession
from terminal.lab.desk.tap import fields_of
from terminal.messages import text, wording
from terminal.texts import NP_, translator

ROWS_SHOWN: Final = 40
VALUE: Final = re.compile(r"\{\w+\}")
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Started": NP_("journal row", "terminal started"),
        "ShiftOpened": NP_("journal row", "shift opened"),
        "ShiftClosed": NP_("journal row", "shift closed"),
        "Intent": NP_("journal row", "intent"),
        "Committed": NP_("journal row", "committed"),
        "NotCommitted": NP_("journal row", "not committed"),
        "Unresolved": NP_("journal row", "unresolved"),
        "Unwritten": NP_("journal row", "nothing to write"),
        "Fault": NP_("journal row", "fault"),
        "CashSale": NP_("journal row", "sale for cash"),
        "MealServed": NP_("journal row", "meal served"),
        "BuffetSale": NP_("journal row", "buffet sale"),
        "Annulment": NP_("journal row", "annulment"),
        "NotCollected": NP_("journal row", "not collected"),
        "AttendanceCorrected": NP_("journal row", "attendance corrected"),
        "DayClosed": NP_("journal row", "day closed"),
        "CardLent": NP_("journal row", "card lent"),
        "AccountCredited": NP_("journal row", "payment to an account"),
        "MealOrdered": NP_("journal row", "meal ordered"),
        "CardTied": NP_("journal row", "whose a card is"),
        "RosterLoaded": NP_("journal row", "roster loaded"),
        "IssueRefused": NP_("journal row", "meal refused"),
        "Restored": NP_("journal row", "restored from a backup"),
        "ExtensionLoaded": NP_("journal row", "extension loaded"),
        "AnswerRepeated": NP_("journal row", "answer shown again"),
        "ClockAuthenticated": NP_("journal row", "clock authenticated"),
        "ClockConfirmed": NP_("journal row", "clock confirmed"),
        "ClockAccepted": NP_("journal row", "clock accepted"),
        "SetActivated": NP_("journal row", "document or list in force"),
        "SetReturned": NP_("journal row", "document on trial taken back"),
        "ShadowCompared": NP_("journal row", "decided once more in shadow"),
        "NumbersSkipped": NP_("journal row", "numbers passed over"),
        "RazziaChanged": NP_("journal row", "inspection by the vehicle"),
        "SelfRecomputed": NP_("journal row", "own rows recomputed"),
        "OperatorSeen": NP_("journal row", "service card seen"),
        "SignedIn": NP_("journal row", "signed in"),
        "TurnStarted": NP_("journal row", "turn started"),
        "PlaceSet": NP_("journal row", "place entered by hand"),
        "OrderDeclared": NP_("journal row", "order declared"),
        "TicketCopied": NP_("journal row", "ticket copied"),
        "SaleCancelled": NP_("journal row", "sale cancelled"),
        "CrewChanged": NP_("journal row", "change of driver"),
        "CashHandedOver": NP_("journal row", "cash handed over"),
        "NoticeRead": NP_("journal row", "notice of the office read"),
        "BreakDeclared": NP_("journal row", "break of the crew"),
    }
)
"""What each kind of record is called."""
SETTLED: Final[Mapping[SettledBy, str]] = MappingProxyType(
    {
        SettledBy.ANSWERED: NP_("settled", "the card answered"),
        SettledBy.RECOVERED: NP_("settled", "the card came back"),
    }
)
CAUSES: Final[Mapping[UnresolvedCause, str]] = MappingProxyType(
    {
        UnresolvedCause.CARD_GONE: NP_("unresolved", "the card was taken away"),
        UnresolvedCause.READER_GONE: NP_("unresolved", "the reader was gone"),
        UnresolvedCause.READER_TAKEN: NP_("unresolved", "another program held the reader"),
        UnresolvedCause.SERVICE_GONE: NP_("unresolved", "the reader service was gone"),
        UnresolvedCause.TIMEOUT: NP_("unresolved", "no answer in time"),
        UnresolvedCause.TRANSMISSION: NP_("unresolved", "the transmission failed"),
        UnresolvedCause.STATUS: NP_("unresolved", "an unexpected status"),
        UnresolvedCause.INTEGRITY: NP_("unresolved", "the answer did not verify"),
        UnresolvedCause.LIMIT: NP_("unresolved", "a limit was reached"),
        UnresolvedCause.PROTOCOL: NP_("unresolved", "the answer broke the protocol"),
        UnresolvedCause.CONTENT: NP_("unresolved", "unreadable content"),
        UnresolvedCause.OTHER: NP_("unresolved", "another cause"),
    }
)


def journal_as_json(session: DeskSession, place: str, language: str) -> dict[str, Any]:
    """The newest rows of a terminal and how far they were acknowledged."""
    with session.lock:
        journal = session.town.terminals[place].journal
        head, acknowledged = journal.head.sequence, journal.acknowledged_through
        rows = journal.rows(max(0, head - ROWS_SHOWN), ROWS_SHOWN)
    return {
        "head": head,
        "acknowledged": acknowledged,
        "rows": [row_as_json(row, acknowledged, language) for row in reversed(rows)],
    }


def row_as_json(row: Row, acknowledged: int, language: str) -> dict[str, Any]:
    """A row in words, and its fields as they are recorded."""
    fields: Mapping[str, Any] = fields_of(row.record)
    kind = type(row.record).__name__
    return {
        "sequence": row.sequence,
        "kind": kind,
        "title": translator(language).pgettext("journal row", KINDS[kind]) if kind in KINDS else kind,
        "gist": _gist(row.record, language),
        "hash": row.hash.hex()[:12],
        "sent": row.sequence <= acknowledged,
        "fields": {name: _field(name, value) for name, value in fields.items()},
    }


def _gist(record: Record, language: str) -> str:
    """The one thing one wants to know of the row without opening it."""
    t = translator(language)
    match record:
        case Intent() | Unwritten():
            return _message(record, language)
        case Committed() | NotCommitted():
            return t.pgettext("settled", SETTLED[record.how])
        case Unresolved():
            return t.pgettext("unresolved", CAUSES[record.cause])
        case Fault():
            return fault_text(record.code, record.inputs, language)
    return ""


def _message(record: Intent | Unwritten, language: str) -> str:
    """The passenger's line with what the row has of its values; of one that wrote nothing they are not on record."""
    values = record.values if isinstance(record, Intent) else {}
    if values:
        return text(record.message, language, values)
    return VALUE.sub("…", wording(record.message, language))


def _field(name: str, value: Any) -> str:
    """A field of a row; of a trail the codes, as the words stand with the tap."""
    return " ".join(step.code for step in value) if name == "reasons" else str(value)
