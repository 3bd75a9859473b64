"""The port through which the terminal uses keys it must not see: authenticate and protect, and keyed tokens.

A security module chooses RndA itself and keeps session keys, so the port gives out neither a card's key nor a
session's: `authenticate` begins one attempt (`cardproto.desfire.authentication.Authentication`), whose two parts end in
a session that MACs, enciphers and deciphers messages. A file stands behind it today, an agent process, an HSM or a SAM
may (docs/adr/0022-key-port.md). The transaction MAC asks for no key here: its key is the collector's.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from cardproto.desfire.authentication import Authentication
from cardproto.resident.keyset import IDENTIFY_MASTER, diversifier, identify_diversifier
from cardproto.resident.opening import OpenedCard

VALIDATE: Final = "validate"
TRIED: Final = 2
"""How many key versions a card is tried with: the one in service and the one before, or else the one after."""
REMEMBERED: Final = 20_000
"""Cards of an older key version whose version is kept: a tenth of a large town's taps in a day, about 3 MB."""
KEYED_TOKEN_BYTES: Final = 8
"""What `KeyProvider.token` gives."""
REFERENCE_BYTES: Final = 8
BANK: Final = "bank"
"""The purpose of bank cards' tokens, whose keys have epochs: "bank_1", "bank_2"."""
BANK_TOKEN_BYTES: Final = 16
LIVE_EPOCHS: Final = 2
"""The newest, which rows and states carry, and the one before, under which a list may still hold a card."""
CARD: Final = b"card"
"""Before a UID, where a token stands for a resident card: no pseudonym, which is shorter, makes the same token."""


class BankToken(NamedTuple):
    """16 bytes that stand for a bank card, or for an account, and the epoch of the key they were made with."""

    epoch: int
    token: bytes


class KeyProvider(Protocol):
    """Master keys and purposes by name. Every method may raise `KeyFileError` for a name it does not hold."""

    def versions(self, key: str) -> Sequence[int]:
        """The versions of master key `key` ("validate", "inspect") at hand, in the order to try; at least one."""
        ...

    def authenticate(self, key: str, version: int, diversifier: bytes) -> Authentication:
        """One attempt with a card's own key: that version of `key`, diversified by AN10922.

        Its `auth1` raises `KeyLimitReached` when the ceiling of authentications is met.
        """
        ...

    def token(self, purpose: str, value: bytes) -> bytes:
        """8 bytes that stand for `value` within one purpose; two purposes cannot be joined (D-01).

        Raises `KeyLimitReached` when the ceiling of the purpose is met.
        """
        ...

    def bank_tokens(self, value: bytes) -> Sequence[BankToken]:
        """What stands for a bank card, in each live epoch, the newest first. A number has 10^9 candidates for each
        issuer, which an unkeyed or unlimited answer would give away in minutes: the key stays behind this port, and the
        ceiling of `BANK` counts each call.

        Raises `KeyFileError` where no key of any epoch is held, `KeyLimitReached`.
        """
        ...


def card_token(provider: KeyProvider, purpose: str, uid: bytes) -> bytes:
    """What stands for the resident card with this UID, however many cards its holder has. Raises as `token`."""
    return provider.token(purpose, CARD + uid)


def person_token(provider: KeyProvider, purpose: str, pseudonym: bytes) -> bytes:
    """What stands for a resident, whichever of his cards is presented: from the pseudonym on it. Raises as `token`."""
    return provider.token(purpose, pseudonym)


def require_keys(provider: KeyProvider, purpose: str) -> None:
    """Raise `KeyFileError` at the start, not at the first card, unless `provider` can open cards and make tokens of
    `purpose`; one use of it is counted."""
    provider.versions(VALIDATE)
    provider.token(purpose, b"")


class FittingVersions:
    """Which key version fitted which card, where it was not the first; in memory, for as long as the terminal runs.

    Cards are known by 8 bytes of a hash whose key is drawn at the start: a dump of them joins with nothing.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._fitted: OrderedDict[bytes, int] = OrderedDict()

    def order(self, held: Sequence[int], uid: bytes | None) -> Sequence[int]:
        """The versions of `held` to try on this card, the likeliest first."""
        tried = tuple(held[:TRIED])
        fitted = None if uid is None else self._fitted.get(self._reference(uid))
        return (fitted, *(v for v in tried if v != fitted)) if fitted in tried else tried

    def fitted(self, held: Sequence[int], opened: OpenedCard) -> None:
        """Remember what a card has shown, or forget it when the first version fits by now."""
        reference = self._reference(opened.uid)
        self._fitted.pop(reference, None)
        if opened.key_version != held[0]:
            self._fitted[reference] = opened.key_version
            if len(self._fitted) > REMEMBERED:
                self._fitted.popitem(last=False)

    def __len__(self) -> int:
        return len(self._fitted)

    def _reference(self, uid: bytes) -> bytes:
        return hashlib.blake2b(uid, key=self._salt, digest_size=REFERENCE_BYTES).digest()


class ValidationKeys:
    """The key K1 of a region's cards for `cardproto.resident.opening.open_as`, out of a provider."""

    def __init__(self, provider: KeyProvider, region: int, fitting: FittingVersions) -> None:
        self._provider = provider
        self._region = region
        self._fitting = fitting

    def versions(self, uid: bytes | None) -> Sequence[int]:
        return self._fitting.order(self._provider.versions(VALIDATE), uid)

    def own(self, uid: bytes, version: int) -> Authentication:
        return self._provider.authenticate(VALIDATE, version, diversifier(uid, self._region))

    def identify(self, version: int) -> Authentication:
        return self._provider.authenticate(IDENTIFY_MASTER, version, identify_diversifier(self._region))

    def opened(self, card: OpenedCard) -> None:
        """Let the next attempt on this card begin with the version that fitted."""
        self._fitting.fitted(self._provider.versions(VALIDATE), card)
