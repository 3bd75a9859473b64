"""What may mark a row for those who read it later: a closed enum for each subject."""

from __future__ import annotations

from enum import StrEnum


class TapFlag(StrEnum):
    """Of every tap, whatever is paid or eaten."""

    CLOCK_SUSPECT = "clock_suspect"
    """The terminal's clock jumped (O-05)."""
    POSITION_MANUAL = "position_manual"
    """The place was entered by hand (T-61)."""
    PLACE_ESTIMATED = "place_estimated"
    """The vehicle's place was some time old, or an estimate of its own; or the ride was taken from the first stop
    (T-61, T-07)."""
    PLACE_UNKNOWN = "place_unknown"
    """Where the vehicle was is not known: its place was too old, contradicted its route, or was missing where the fare
    depends on it (T-61, T-07)."""
    STALE_DATA = "stale_data"
    """The terminal's lists were old (O-03)."""
    EXPIRED_DATA = "expired_data"
    """They were too old to be followed (O-03)."""
    STALE_DOCUMENT = "stale_document"
    """The region document was issued longer ago than it says it may be (O-03)."""
    OLD_BUNDLES = "old_bundles"
    """The newest signed bundles were so old that limits were lower (O-14)."""
    DOCUMENT_ENDED = "document_ended"
    """The region document had ended, and no other was there (O-01)."""
    MISUSE = "misuse"
    """An inspector found a concession card in the wrong hands (T-71)."""


class CardFlag(StrEnum):
    """Of taps that wrote a card whose running state cannot be right."""

    PERIOD_AHEAD = "period_ahead"
    """Its period day is more than a day ahead of this terminal's clock (O-05)."""
    PERIOD_LOWERED = "period_lowered"
    """So it was, and signed time has put it back, with every count kept (O-05)."""


class RideFlag(StrEnum):
    """Of rides."""

    CAPPED = "capped"
    """A cap took the price or a part of it."""
    GRACE = "grace"
    """Taken along unpaid (T-18)."""
    DEFERRED = "deferred"
    """The bank charges it later (T-40)."""
    STALE_LIST = "stale_list"
    """Taken although the list of bank cards was old (T-43)."""


class MealFlag(StrEnum):
    """Of meals and of sales at the buffet."""

    STALE_ROSTER = "stale_roster"
    EXPIRED_ROSTER = "expired_roster"
    CALENDAR_SILENT = "calendar_silent"
    """The document's calendar does not say whether it is a school day."""
    WAS_ABSENT = "was_absent"
    """The class's attendance says that the pupil is not there (M-33)."""
    BALANCE_UNCERTAIN = "balance_uncertain"
    """Rows that moved the account may have left this terminal since the balance was stated."""
    ACCOUNT_UNKNOWN = "account_unknown"
    NOT_IN_ROSTER = "not_in_roster"
    WITHOUT_ORDER = "without_order"
    """Paid and not ordered; the cashier decided (M-32)."""
    OTHER_ENTITLEMENT = "other_entitlement"
    """Paid, by a pupil who is entitled to another meal of the day; the cashier decided."""
    SERVED_ELSEWHERE = "served_elsewhere"
    """Another terminal of the school says that it gave this meal already; the cashier decided (O-08)."""
    FROM_SPARE_LOG = "from_spare_log"
    """Given while the journal took nothing (O-06), and entered afterwards."""
