"""Chips that are not as we assume: one switch for each assumption that no public document confirms.

Real chips may deviate in just these points. A simulated card that does so shows what the terminal, the issuing point
and `terminal card acceptance` make of it. Deviations belong to the running card, never to its image.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ChipDeviation(StrEnum):
    """In what a card differs from the simulator's plain reading."""

    TIMER_REFUSED = "timer-refused"
    TIMER_TOO_SHORT = "timer-too-short"
    """A transaction never lasts to its commit once the timer is set."""
    NO_ADDITIONAL_RIGHTS = "no-additional-rights"
    NO_KEY_SETS = "no-key-sets"
    NO_KEYS_IN_SETS = "no-keys-in-sets"
    NO_ROLL = "no-roll"
    OTHER_RECORD_PROOF = "other-record-proof"
    """The transaction MAC input takes a record in one piece with its header."""
    OTHER_BACKUP_PROOF = "other-backup-proof"
    """The same of a backup file's data."""
    NO_WAY_BACK = "no-way-back"
    """An AES master key of the card stays one: no DES key takes its place."""
    FEWER_RECORDS = "fewer-records"
    """A cyclic file shows one record fewer than its size less the pending one."""
    TORN_APART = "torn-apart"
    """Power lost inside a transaction leaves the new value without the new record."""
    NO_CHANGES_IS_HARMLESS = "no-changes-is-harmless"
    """The status 0C ends no session."""
    NO_CREDIT_AHEAD = "no-credit-ahead"
    """A pending credit may not be debited."""


NO_DEVIATIONS: Final[frozenset[ChipDeviation]] = frozenset()
