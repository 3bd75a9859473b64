"""Verifies that the issuer signed what the rights file says. One more exchange, when the terminal's policy asks for it.

Card keys can be stolen with a reload point or a terminal, and K2 or K4 suffices to write rights; the issuer's
private key is in neither. So a concession counts only if a credential on this very card, signed by an issuer this
terminal trusts, covers it. Passes and packs are bought: a card without concessions has nothing to verify.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from cardproto.credential.grant import (
    CARD_FILE_READ_BYTES,
    CardHolder,
    Credential,
    RejectedCredential,
    card_holder_id,
    credential_digest,
    credential_in_file,
    verify_credential,
)
from cardproto.credential.keys import IssuerKeys
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.messaging import CommMode
from cardproto.errors import FormatError, StatusError
from cardproto.resident.layout import FILE_CREDENTIAL
from cardproto.resident.records.rights import Rights, build_rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.effects import CredentialEffect

SEEN_LIMIT: Final = 20_000


class VerifyCredential(StrEnum):
    """When a terminal reads and verifies the credential of a card with concessions."""

    NEVER = "never"
    WHEN_UNSEEN = "when_unseen"
    ALWAYS = "always"


class CredentialRefusal(Struct, frozen=True):
    """Why the rights on the card are not believed."""

    effect: CredentialEffect


class CredentialCheck:
    """One terminal's policy, the issuers it trusts, and which rights on which card it has verified already.

    Verified rights are remembered until their credential expires, in memory only and the newest `SEEN_LIMIT`:
    rights that change in any bit are unseen again.
    """

    def __init__(self, policy: VerifyCredential, issuers: IssuerKeys) -> None:
        self.policy: Final = policy
        self.strict: Callable[[datetime], bool] = lambda _now: False
        """Whether every credential is verified for a reason of the terminal's own, where it knows any issuer (O-14)."""
        self._issuers = issuers
        self._seen: OrderedDict[bytes, datetime] = OrderedDict()

    @classmethod
    def never(cls) -> CredentialCheck:
        """No exchange is spent, and rights are believed as the card's keys protect them."""
        return cls(VerifyCredential.NEVER, IssuerKeys())

    def trust(self, issuers: IssuerKeys) -> None:
        """Others count from the next tap on; what was verified by those of before is verified again."""
        self._issuers = issuers
        self._seen.clear()

    def refusal(self, card: DesfireCard, snapshot: CardSnapshot, now: datetime) -> CredentialRefusal | None:
        """None when the rights may be believed. Raises `CardError` for anything that deserves another try."""
        policy = VerifyCredential.ALWAYS if len(self._issuers) and self.strict(now) else self.policy
        if policy is VerifyCredential.NEVER or not any(snapshot.rights.concessions):
            return None
        name = hashlib.sha256(snapshot.uid + build_rights(snapshot.rights)).digest()
        if policy is VerifyCredential.WHEN_UNSEEN and now < self._seen.get(name, now):
            return None
        result = self._verified(card, snapshot, now)
        if isinstance(result, CredentialRefusal):
            return result
        self._remember(name, result.expires)
        return None

    def _remember(self, name: bytes, expires: datetime) -> None:
        self._seen[name] = expires
        self._seen.move_to_end(name)
        if len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)

    def _verified(
        self, card: DesfireCard, snapshot: CardSnapshot, now: datetime
    ) -> Credential | CredentialRefusal:
        try:
            raw = credential_in_file(card.read_data(FILE_CREDENTIAL, 0, CARD_FILE_READ_BYTES, CommMode.FULL))
        except StatusError as refusal:
            if refusal.passing:
                raise
            raw = None
        except FormatError:
            return CredentialRefusal(CredentialEffect.MALFORMED)
        if raw is None:
            return CredentialRefusal(CredentialEffect.MISSING)
        if credential_digest(raw) != snapshot.rights.credential_digest:
            return CredentialRefusal(CredentialEffect.OTHER_DIGEST)
        result = verify_credential(raw, self._issuers, now)
        if isinstance(result, RejectedCredential):
            return CredentialRefusal(CredentialEffect.of("credential", result.reason))
        problem = _mismatch(result, snapshot.uid, snapshot.rights)
        return result if problem is None else CredentialRefusal(problem)


def _mismatch(credential: Credential, uid: bytes, rights: Rights) -> CredentialEffect | None:
    """What a genuine credential does not say of this card, this resident or these concessions."""
    if credential.holder != CardHolder(card_holder_id(uid)):
        return CredentialEffect.OTHER_CARD
    if credential.pseudonym != rights.pseudonym:
        return CredentialEffect.OTHER_RESIDENT
    granted = all(c is None or credential.covers(c.code, c.valid_to) for c in rights.concessions)
    return None if granted else CredentialEffect.NOT_GRANTED
