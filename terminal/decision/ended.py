"""A region document that has ended without a successor, and signed bundles that are too old: what that means for a tap
or a sale (O-01, O-14).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from terminal.decision.effects import TerminalEffect
from terminal.decision.flags import TapFlag
from terminal.decision.tap import Trail
from terminal.policy.document.schema import Ages, RegionDocument
from terminal.policy.ends import DocumentEnd, end_of

DAY_S: Final = 24 * 3600


def note_end(document: RegionDocument, now: datetime, trail: Trail, *, clock_suspect: bool) -> DocumentEnd:
    """Where `now` lies against the end of `document`, marked in `trail`. A suspect clock ends none."""
    end = DocumentEnd.AHEAD if clock_suspect else end_of(document, now)
    if end is not DocumentEnd.AHEAD:
        effect = (
            TerminalEffect.DOCUMENT_GOES_ON if end is DocumentEnd.GOES_ON else TerminalEffect.DOCUMENT_ENDED
        )
        trail.flag(effect, TapFlag.DOCUMENT_ENDED, {"days": (now - document.header.valid_to).days})
    return end


def note_bundles(ages: Ages, age_s: int, trail: Trail) -> bool:
    """Whether nothing is sold because the newest signed bundles are `age_s` old; that they are old is marked."""
    if not age_s:
        return False
    if age_s > ages.bundles_limited_days * DAY_S:
        trail.flag(TerminalEffect.BUNDLES_OLD, TapFlag.OLD_BUNDLES, {"bundles_age_s": age_s})
    stop_days = ages.bundles_stop_days
    if stop_days is None or age_s <= stop_days * DAY_S:
        return False
    trail.note(TerminalEffect.BUNDLES_STOP, {"bundles_age_s": age_s})
    return True
