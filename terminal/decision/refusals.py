"""Refusals that a wrong region document can cause, each with the part of the document that can (O-12).

A refusal counts for a document on trial when its message is among these, whatever the true reason of this one card is:
an empty purse is no fault of a tariff, and a fare ten times too high empties every purse. What no document can change
does not count: the card as such, deny lists, reader, clock, shift, and an inspector's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from terminal.decision.outcome import Message


class DocumentPart(Enum):
    """By which a document can refuse riders."""

    REGION = auto()
    """Its number: every card is another region's."""
    SERVICE_DAY = auto()
    """Zone and hour by which dates of rights are read."""
    PROFILES = auto()
    """Which rights a profile has, and in which order."""
    FARES = auto()
    """What a ride costs, and whether a rule has a price for it."""
    LIMITS = auto()
    """How often a right may be used."""
    COUNTERS = auto()
    """How what a card counted is read."""
    SEASONS = auto()
    GUARDS = auto()
    """Times of repeated taps, debts, and companions."""
    AGES = auto()
    ISSUERS = auto()
    """Whose word is needed for which right."""
    END = auto()
    """The document's own."""
    MEALS = auto()


CAUSED: Final[Mapping[Message, DocumentPart]] = MappingProxyType(
    {
        Message.OTHER_REGION: DocumentPart.REGION,
        Message.EXPIRED: DocumentPart.SERVICE_DAY,
        Message.NOT_YET_VALID: DocumentPart.SERVICE_DAY,
        Message.PACK_LAPSED: DocumentPart.SERVICE_DAY,
        Message.ONLINE_ONLY: DocumentPart.PROFILES,
        Message.NOT_ACCEPTED: DocumentPart.PROFILES,
        Message.NO_FUNDS: DocumentPart.FARES,
        Message.NO_RIGHT_IN_PHONE: DocumentPart.FARES,
        Message.FARE_UNKNOWN: DocumentPart.FARES,
        Message.LIMIT_REACHED: DocumentPart.LIMITS,
        Message.PACK_USED_UP: DocumentPart.LIMITS,
        Message.PASS_USED_UP: DocumentPart.LIMITS,
        Message.COUNT_UNREADABLE: DocumentPart.COUNTERS,
        Message.BENEFIT_OUT_OF_SEASON: DocumentPart.SEASONS,
        Message.BENEFIT_EXPIRED: DocumentPart.SERVICE_DAY,
        Message.BENEFIT_NOT_CHECKED: DocumentPart.AGES,
        Message.ONE_CARD: DocumentPart.GUARDS,
        Message.DEBT: DocumentPart.GUARDS,
        Message.TOO_MANY_PERSONS: DocumentPart.GUARDS,
        Message.CREDENTIAL_EXPIRED: DocumentPart.ISSUERS,
        Message.CREDENTIAL_NOT_TRUSTED: DocumentPart.ISSUERS,
        Message.OUT_OF_ORDER: DocumentPart.END,
        Message.MEAL_NOT_ORDERED: DocumentPart.MEALS,
        Message.MEAL_ASK: DocumentPart.MEALS,
        Message.MEAL_NOT_ARRANGED: DocumentPart.MEALS,
        Message.NO_MEAL_NOW: DocumentPart.MEALS,
        Message.NO_MEAL_TODAY: DocumentPart.MEALS,
        Message.MEAL_FORBIDDEN: DocumentPart.MEALS,
        Message.MEAL_LIMIT: DocumentPart.MEALS,
    }
)

UNDECIDED: Final = frozenset(
    {
        Message.INSPECTION_PAID,
        Message.INSPECTION_UNPAID,
        Message.SHIFT_CLOSED,
        Message.CLOCK_UNCONFIRMED,
        Message.READ_AGAIN,
        Message.UNKNOWN_CARD,
        Message.CARD_READ,
        Message.UNLOCK_PHONE,
        Message.BANK_CLOSED,
        Message.CODE_USED,
        Message.CODE_TOO_OLD,
        Message.CODE_AHEAD,
        Message.CODE_OF_OTHERS,
        Message.CODE_OF_BANK,
        Message.CODE_OF_RAIL,
        Message.CODE_OF_HEALTH,
        Message.CODE_IS_LINK,
        Message.CODE_PRINTED,
        Message.CODE_CHECK,
        Message.CODE_NOT_ACCEPTED,
    }
)
"""What says nothing of a document: an inspector's question, a terminal that takes no taps, what could not be read."""

OTHER_CAUSES: Final = frozenset(
    {
        Message.DENY_LIST,
        Message.BLOCKED,
        Message.MEDIUM_INACTIVE,
        Message.MEAL_ALREADY,
        Message.SERVING_CLOSED,
        Message.SELLING_STOPPED,
        Message.PUPIL_UNKNOWN,
        Message.NOT_ON_SITE,
        Message.PERMIT_NONE,
    }
)
"""Refusals of the card, a list, the staff, or of a second tap for the same: taps that no document would let in."""
