"""Why a bank application was not read, and why its signature does not count: values, for a decision.

Inside this package a broken card is an exception of this module; `cardproto.emv.reading` and
`cardproto.emv.authentication` turn each into its value, so that no answer of a card is a trace-back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cardproto.errors import ProtocolError


class ReadFault(StrEnum):
    """Why there are no data of a bank application."""

    NO_BANK_APPLICATION = "no_bank_application"
    """No list of applications: not a bank card. Other media may be asked."""
    UNSUPPORTED = "unsupported"
    """A bank card, none of whose applications this terminal takes."""
    CARD_BLOCKED = "card_blocked"
    APPLICATION_BLOCKED = "application_blocked"
    SELECTION_REFUSED = "selection_refused"
    CONDITIONS = "conditions"
    """The application does not do this transaction (6984, 6985) and there was no other."""
    SEE_PHONE = "see_phone"
    """The holder has to do something on the device, then tap again."""
    OPTIONS_REFUSED = "options_refused"
    RECORD_REFUSED = "record_refused"
    NO_RECORDS = "no_records"
    """The answer names no records: nothing can be authenticated (magnetic stripe data over the air)."""
    MAGNETIC_STRIPE_ONLY = "magnetic_stripe_only"
    MALFORMED = "malformed"
    REPEATED_OBJECT = "repeated_object"
    TOO_MUCH = "too_much"
    """More records, objects or bytes, or a longer conversation, than any card needs."""
    NUMBER_MISSING = "number_missing"
    NUMBER_MISMATCH = "number_mismatch"
    """The number in tag 5A and the one in track 2 differ."""


class ChainFault(StrEnum):
    """Why offline data authentication failed."""

    NOT_OFFERED = "not_offered"
    ALGORITHM_UNKNOWN = "algorithm_unknown"
    CA_INDEX_MISSING = "ca_index_missing"
    CA_KEY_UNKNOWN = "ca_key_unknown"
    CA_KEY_EXPIRED = "ca_key_expired"
    ISSUER_CERTIFICATE_MISSING = "issuer_certificate_missing"
    ISSUER_CERTIFICATE_LENGTH = "issuer_certificate_length"
    ISSUER_CERTIFICATE_FORMAT = "issuer_certificate_format"
    ISSUER_CERTIFICATE_ALGORITHM = "issuer_certificate_algorithm"
    ISSUER_CERTIFICATE_HASH = "issuer_certificate_hash"
    ISSUER_CERTIFICATE_NUMBER = "issuer_certificate_number"
    """The issuer's identifier is not how the card's number begins."""
    ISSUER_CERTIFICATE_EXPIRED = "issuer_certificate_expired"
    ISSUER_CERTIFICATE_REVOKED = "issuer_certificate_revoked"
    ISSUER_CERTIFICATE_KEY = "issuer_certificate_key"
    """Lengths of modulus, remainder and exponent do not fit, or no such key is allowed."""
    CARD_CERTIFICATE_MISSING = "card_certificate_missing"
    CARD_CERTIFICATE_LENGTH = "card_certificate_length"
    CARD_CERTIFICATE_FORMAT = "card_certificate_format"
    CARD_CERTIFICATE_ALGORITHM = "card_certificate_algorithm"
    CARD_CERTIFICATE_HASH = "card_certificate_hash"
    CARD_CERTIFICATE_NUMBER = "card_certificate_number"
    CARD_CERTIFICATE_EXPIRED = "card_certificate_expired"
    CARD_CERTIFICATE_KEY = "card_certificate_key"
    STATIC_DATA = "static_data"
    """A record to be signed is no template 70, or tag 9F4A asks for more than the AIP."""
    STATIC_SIGNATURE_MISSING = "static_signature_missing"
    STATIC_SIGNATURE_LENGTH = "static_signature_length"
    STATIC_SIGNATURE_FORMAT = "static_signature_format"
    STATIC_SIGNATURE_ALGORITHM = "static_signature_algorithm"
    STATIC_SIGNATURE_HASH = "static_signature_hash"
    SIGNATURE_REFUSED = "signature_refused"
    """The card answered the command that should have signed with a status word or with nonsense."""
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_LENGTH = "signature_length"
    SIGNATURE_FORMAT = "signature_format"
    SIGNATURE_ALGORITHM = "signature_algorithm"
    SIGNATURE_HASH = "signature_hash"
    SIGNATURE_NUMBER = "signature_number"
    """The dynamic number is malformed, or is not the transaction counter where it has to be."""
    SIGNATURE_VERSION = "signature_version"
    """A version of fDDA that does not cover the transaction."""
    SIGNATURE_KIND = "signature_kind"
    """Inside the signature the cryptogram has another kind than outside, or a stronger one than was asked."""
    TRANSACTION_HASH = "transaction_hash"
    NO_UNPREDICTABLE_NUMBER = "no_unpredictable_number"
    """The card's list of what it signs leaves the terminal's random number out."""
    NO_CRYPTOGRAM_LIST = "no_cryptogram_list"
    CRYPTOGRAM_REFUSED = "cryptogram_refused"
    """The card proved itself, but then gave no cryptogram: its issuer would have nothing to believe."""
    DECLINED = "declined"
    """The card refuses the transaction (AAC)."""


class ReadingEnded(ProtocolError):
    """Inside the package: reading ends here."""

    def __init__(self, fault: ReadFault, sw: int | None = None) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.sw = sw


class ChainBroken(ProtocolError):
    """Inside the package: authentication ends here."""

    def __init__(self, fault: ChainFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class NotRead:
    """No data: why, and the status word that said so, if one did."""

    fault: ReadFault
    sw: int | None = None
