"""What one tap came to, for displays, logs and tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cardproto.resident.records.event import Event
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.outcome import Outcome
from terminal.trail import Reason


class End(StrEnum):
    """How a tap ended, as the journal knows it."""

    COMMITTED = "committed"
    RECOVERED = "recovered"
    NOTHING_WRITTEN = "nothing_written"
    NOT_COMMITTED = "not_committed"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class TapReport:
    """`operator` is one line for staff; it is never shown to passengers. `sequence` is the intent's journal number."""

    outcome: Outcome
    end: End
    at: datetime
    exchanges: int
    apdu_bytes: int
    operator: str = ""
    reasons: tuple[Reason, ...] = ()
    card_ref: bytes | None = None
    sequence: int | None = None
    before: CardSnapshot | None = None
    after: Event | None = None
