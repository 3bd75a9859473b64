"""A region document that has ended without a successor: what that means for a tap or a sale (O-01)."""

from __future__ import annotations

from datetime import datetime

from terminal.decision.effects import TerminalEffect
from terminal.decision.flags import TapFlag
from terminal.decision.tap import Trail
from terminal.policy.document.schema import RegionDocument
from terminal.policy.ends import DocumentEnd, end_of


def note_end(document: RegionDocument, now: datetime, trail: Trail, *, clock_suspect: bool) -> DocumentEnd:
    """Where `now` lies against the end of `document`, marked in `trail`. A suspect clock ends none."""
    end = DocumentEnd.AHEAD if clock_suspect else end_of(document, now)
    if end is not DocumentEnd.AHEAD:
        effect = (
            TerminalEffect.DOCUMENT_GOES_ON if end is DocumentEnd.GOES_ON else TerminalEffect.DOCUMENT_ENDED
        )
        trail.flag(effect, TapFlag.DOCUMENT_ENDED, {"days": (now - document.header.valid_to).days})
    return end
