"""Everything about cards that no public document confirms, and what the terminal does where it does not hold.

One row each. `docs/acceptance.md` explains them; the report prints them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from terminal.texts import N_


class Assumption(StrEnum):
    """What is assumed."""

    LOOK = "look"
    ISSUE = "issue"
    TIMER_FORM = "timer_form"
    TIMER_LENGTH = "timer_length"
    KEY_SETS = "key_sets"
    KEYS_IN_SETS = "keys_in_sets"
    ROLL = "roll"
    ROLL_BACK = "roll_back"
    ADDITIONAL_RIGHTS = "additional_rights"
    PROOF_OF_BACKUP = "proof_of_backup"
    PROOF_OF_RECORDS = "proof_of_records"
    PROOF_OF_VALUES = "proof_of_values"
    RECORDS_KEPT = "records_kept"
    CREDIT_AHEAD = "credit_ahead"
    NO_CHANGES = "no_changes"
    TAP = "tap"
    TEARS = "tears"
    EV1_TWO_KEYS = "ev1_two_keys"
    WAY_BACK = "way_back"
    TWIN = "twin"
    RANDOM_UID = "random_uid"
    READER_ID = "reader_id"
    LIMITED_CREDIT = "limited_credit"
    PROXIMITY = "proximity"
    ORDER_OF_CHECKS = "order_of_checks"
    COMMIT_REFUSED = "commit_refused"


class CardVerdict(StrEnum):
    """What the card said to an assumption."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_TRIED = "not_tried"


class CardFallback(StrEnum):
    """What helps where an assumption fails."""

    WITHOUT_TIMER = "without_timer"
    WITHOUT_KEY_SETS = "without_key_sets"
    WITHOUT_ADDITIONAL_RIGHTS = "without_additional_rights"
    WITHOUT_PROOF = "without_proof"
    STAYS_OURS = "stays_ours"
    RUN_AGAIN = "run_again"
    NOT_USED = "not_used"
    NO_HARM = "no_harm"
    NONE = "none"


class AssumptionRow(Struct, frozen=True):
    """One assumption on this card. `saw` are counts, status words and states, never words of a language."""

    assumption: Assumption
    verdict: CardVerdict
    fallback: CardFallback
    saw: dict[str, int | str] = {}


FALLBACK: Final[dict[Assumption, CardFallback]] = {
    Assumption.LOOK: CardFallback.NONE,
    Assumption.ISSUE: CardFallback.NONE,
    Assumption.TIMER_FORM: CardFallback.WITHOUT_TIMER,
    Assumption.TIMER_LENGTH: CardFallback.WITHOUT_TIMER,
    Assumption.KEY_SETS: CardFallback.WITHOUT_KEY_SETS,
    Assumption.KEYS_IN_SETS: CardFallback.WITHOUT_KEY_SETS,
    Assumption.ROLL: CardFallback.WITHOUT_KEY_SETS,
    Assumption.ROLL_BACK: CardFallback.NO_HARM,
    Assumption.ADDITIONAL_RIGHTS: CardFallback.WITHOUT_ADDITIONAL_RIGHTS,
    Assumption.PROOF_OF_BACKUP: CardFallback.NO_HARM,
    Assumption.PROOF_OF_RECORDS: CardFallback.WITHOUT_PROOF,
    Assumption.PROOF_OF_VALUES: CardFallback.WITHOUT_PROOF,
    Assumption.RECORDS_KEPT: CardFallback.NO_HARM,
    Assumption.CREDIT_AHEAD: CardFallback.NO_HARM,
    Assumption.NO_CHANGES: CardFallback.NO_HARM,
    Assumption.TAP: CardFallback.NONE,
    Assumption.TEARS: CardFallback.NONE,
    Assumption.EV1_TWO_KEYS: CardFallback.NONE,
    Assumption.WAY_BACK: CardFallback.STAYS_OURS,
    Assumption.TWIN: CardFallback.NO_HARM,
    Assumption.RANDOM_UID: CardFallback.NOT_USED,
    Assumption.READER_ID: CardFallback.NOT_USED,
    Assumption.LIMITED_CREDIT: CardFallback.NOT_USED,
    Assumption.PROXIMITY: CardFallback.NOT_USED,
    Assumption.ORDER_OF_CHECKS: CardFallback.NOT_USED,
    Assumption.COMMIT_REFUSED: CardFallback.NO_HARM,
}

EXPECTED: Final[dict[Assumption, str]] = {
    Assumption.LOOK: N_("The card says which chip it is and what lies on it."),
    Assumption.ISSUE: N_("The card takes every step of issue."),
    Assumption.TIMER_FORM: N_("EV3 takes the transaction timer in the form that DESFire Light has."),
    Assumption.TIMER_LENGTH: N_("A tap ends before the transaction timer does."),
    Assumption.KEY_SETS: N_("Spare key sets are ordered when the application is created."),
    Assumption.KEYS_IN_SETS: N_("Keys of a spare set are changed one by one, and the set is finalised."),
    Assumption.ROLL: N_("RollKeySet under the roll key makes the next set the active one."),
    Assumption.ROLL_BACK: N_("The set that was active before can be rolled back to."),
    Assumption.ADDITIONAL_RIGHTS: N_("ChangeFileSettings adds sets of access rights."),
    Assumption.PROOF_OF_BACKUP: N_("The transaction MAC takes backup files as it does standard files."),
    Assumption.PROOF_OF_RECORDS: N_("The transaction MAC takes records of 32 bytes as it does those of 16."),
    Assumption.PROOF_OF_VALUES: N_("The transaction MAC takes debits and credits as published."),
    Assumption.RECORDS_KEPT: N_("A cyclic file shows one record fewer than it was created for."),
    Assumption.CREDIT_AHEAD: N_("A pending credit can be debited in the same transaction."),
    Assumption.NO_CHANGES: N_("The status 0C ends the session like an error."),
    Assumption.TAP: N_("The terminal takes the fare off the card and the card proves it."),
    Assumption.TEARS: N_("A card torn away at any exchange is charged once, and the tap is settled."),
    Assumption.EV1_TWO_KEYS: N_("On EV1 a transaction goes on across two authentications."),
    Assumption.WAY_BACK: N_("The master key becomes the factory's DES key again."),
    Assumption.TWIN: N_("The card answers every command as the simulator does."),
    Assumption.RANDOM_UID: N_("A random UID works with a second authentication; it cannot be undone."),
    Assumption.READER_ID: N_("CommitReaderID works in MAC mode; it is switched off."),
    Assumption.LIMITED_CREDIT: N_("A debit in the same transaction does not raise the limited credit."),
    Assumption.PROXIMITY: N_("The proximity check takes the session's MAC key."),
    Assumption.ORDER_OF_CHECKS: N_("Refusals come in the order length, file, rights, key, parameter."),
    Assumption.COMMIT_REFUSED: N_(
        "A refused commit changed nothing; the terminal asks the card all the same."
    ),
}

HELPS: Final[dict[CardFallback, str]] = {
    CardFallback.WITHOUT_TIMER: N_("Issue such cards with --without timer."),
    CardFallback.WITHOUT_KEY_SETS: N_("Issue such cards with --without key_sets; they are never rolled."),
    CardFallback.WITHOUT_ADDITIONAL_RIGHTS: N_(
        "Issue such cards with --without additional_rights; they take no card orders."
    ),
    CardFallback.WITHOUT_PROOF: N_(
        "Set proof = false under [media]: taps are settled without the card's proof."
    ),
    CardFallback.STAYS_OURS: N_("The card is empty under our master key and can be issued again."),
    CardFallback.RUN_AGAIN: N_("The card was not restored: run the same command again."),
    CardFallback.NOT_USED: N_("Not used by the terminal."),
    CardFallback.NO_HARM: N_("No switch needed: the terminal does not rely on it."),
    CardFallback.NONE: N_("None: the card is not usable."),
}

NEVER_TRIED: Final = (
    Assumption.RANDOM_UID,
    Assumption.READER_ID,
    Assumption.LIMITED_CREDIT,
    Assumption.PROXIMITY,
    Assumption.ORDER_OF_CHECKS,
    Assumption.COMMIT_REFUSED,
)
"""They would spoil the card for good, or nothing depends on them."""
