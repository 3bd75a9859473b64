"""What the terminal says of itself and of one tap to a bank application, and the cryptogram it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cardproto.emv import tags
from cardproto.emv.signatures import CryptogramKind

UNPREDICTABLE_BYTES: Final = 4
MAX_AMOUNT_MINOR: Final = 10**12 - 1
_NO_VALUES: Final[Mapping[int, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BankTransaction:
    """One tap as a card is shown it. `at` is local time; its date is the one every expiry is held against.

    Amounts in minor units, country and currency as ISO 4217 and 3166 numbers. `asked` is the cryptogram the card is
    asked for: ARQC, because a tap is sent to its issuer later; TC where it never is. `more` adds or replaces objects by
    tag (a merchant's name, 9F4E). Raises `ValueError` for what no card could be shown.
    """

    at: datetime
    amount_minor: int = 0
    currency: int = 643
    country: int = 643
    kind: int = 0
    terminal_type: int = 25  # unattended, offline with online capability: taps are sent later
    asked: CryptogramKind = CryptogramKind.ARQC
    qualifiers: bytes = tags.TTQ_GATE
    more: Mapping[int, bytes] = field(default_factory=lambda: _NO_VALUES)

    def __post_init__(self) -> None:
        numbers = (self.currency <= 999, self.country <= 999, self.kind <= 99, self.terminal_type <= 99)
        lowest = min(self.amount_minor, self.currency, self.country, self.kind, self.terminal_type)
        if (
            not all(numbers)
            or lowest < 0
            or self.amount_minor > MAX_AMOUNT_MINOR
            or len(self.qualifiers) != 4
        ):
            raise ValueError(
                "amount, currency, country, kind, terminal type or qualifiers do not fit their objects"
            )
        if self.asked is CryptogramKind.AAC:
            raise ValueError("a terminal asks for ARQC or TC; AAC would be a refusal")

    def values(self, unpredictable: bytes) -> dict[int, bytes]:
        """The objects a card's lists may ask for, with this attempt's random number."""
        at = bytes.fromhex(self.at.strftime("%y%m%d%H%M%S"))
        return {
            tags.TAG_AMOUNT: _bcd(self.amount_minor, 6),
            tags.TAG_AMOUNT_OTHER: bytes(6),
            tags.TAG_COUNTRY: _bcd(self.country, 2),
            tags.TAG_CURRENCY: _bcd(self.currency, 2),
            tags.TAG_TVR: bytes(5),
            tags.TAG_DATE: at[:3],
            tags.TAG_TIME: at[3:],
            tags.TAG_TRANSACTION_TYPE: _bcd(self.kind, 1),
            tags.TAG_TERMINAL_TYPE: _bcd(self.terminal_type, 1),
            tags.TAG_TTQ: self.qualifiers,
            **self.more,
            tags.TAG_UNPREDICTABLE: unpredictable,
        }


@lru_cache(64)
def _bcd(number: int, size: int) -> bytes:
    return bytes.fromhex(f"{number:0{2 * size}d}")


@dataclass(frozen=True, slots=True)
class BankCryptogram:
    """The issuer's proof of this transaction. `kind` None: the card did not say (tag 9F27 is optional in a fast tap).

    Only the issuer can verify it. `counter` is the card's transaction counter (9F36), `issuer_data` tag 9F10.
    """

    kind: CryptogramKind | None
    value: bytes = field(repr=False)
    counter: bytes
    issuer_data: bytes = field(repr=False)
