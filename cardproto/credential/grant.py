"""What the issuer grants, as a CWT: who, until when, what for, and which card or phone may show it (RFC 8392, 8747).

Below it, whether a credential may be believed: form, issuer, signature, time, holder. A refusal is a value.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from cardproto.credential.cose import WHERE, build_sign1, dump, load, load_first, parse_sign1
from cardproto.credential.keys import IssuerKey, IssuerKeys, key_id
from cardproto.errors import FormatError
from cardproto.resident.layout import AID, LONGEST_CREDENTIAL

ID_BYTES: Final = 8
DIGEST_BYTES: Final = 8
CARD_FILE_READ_BYTES: Final = LONGEST_CREDENTIAL
"""All of the file that may hold a credential."""

CLAIM_ISSUER: Final = 1
CLAIM_EXPIRES: Final = 4
CLAIM_NOT_BEFORE: Final = 5
CLAIM_ID: Final = 7
CLAIM_HOLDER: Final = 8
CLAIM_PSEUDONYM: Final = -70001
CLAIM_ENTITLEMENTS: Final = -70002
CLAIM_SCHOOL: Final = -70003
CLAIM_STATUS_INDEX: Final = -70004
_REQUIRED: Final = {CLAIM_ISSUER, CLAIM_EXPIRES, CLAIM_NOT_BEFORE, CLAIM_ID, CLAIM_PSEUDONYM}
_KNOWN: Final = _REQUIRED | {CLAIM_HOLDER, CLAIM_ENTITLEMENTS, CLAIM_SCHOOL, CLAIM_STATUS_INDEX}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MAX_DAYS: Final = date.max.toordinal() - _EPOCH
_MAX_SECONDS: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class GrantedCategory:
    """A category code of the region document, and its last day, inclusive."""

    code: int
    last_day: date


@dataclass(frozen=True, slots=True)
class HolderKey:
    """A phone's P-256 public key: x, and which of the two points with it."""

    x: bytes
    y_odd: bool


@dataclass(frozen=True, slots=True)
class CardHolder:
    """The card that may carry it, by `card_holder_id`; the card's own authentication is the proof."""

    id: bytes


@dataclass(frozen=True, slots=True)
class Credential:
    """All claims. Valid from `not_before` until before `expires`, both aware UTC in whole seconds.

    `id` names this credential for a deny list; `school` is (school, class).
    """

    issuer: str
    not_before: datetime
    expires: datetime
    id: bytes
    pseudonym: bytes
    entitlements: tuple[GrantedCategory, ...] = ()
    holder: HolderKey | CardHolder | None = None
    school: tuple[int, int] | None = None
    status_index: int | None = None

    def covers(self, code: int, last_day: date) -> bool:
        """Whether the issuer grants `code` at least until `last_day`."""
        return any(granted.code == code and last_day <= granted.last_day for granted in self.entitlements)


def card_holder_id(uid: bytes) -> bytes:
    """The name of a resident card in a credential: it fits this card's application and says nothing of the UID."""
    return hashlib.sha256(b"resident card" + AID + uid).digest()[:ID_BYTES]


def credential_digest(credential: bytes) -> bytes:
    """What the rights file holds of its credential."""
    return hashlib.sha256(credential).digest()[:DIGEST_BYTES]


def credential_in_file(content: bytes) -> bytes | None:
    """The credential at the start of file 04, zeros behind it; None in an empty file. Raises `FormatError`."""
    if not any(content):
        return None
    _, length = load_first(content)
    if any(content[length:]):
        raise FormatError(WHERE, "bytes behind the credential that are not zero", length)
    return content[:length]


def build_credential(credential: Credential, key: EllipticCurvePrivateKey) -> bytes:
    """The credential signed by the issuer; the same content and key give the same bytes."""
    return build_sign1(build_claims(credential), key_id(key.public_key()), key)


def build_claims(credential: Credential) -> bytes:
    """The payload, deterministically encoded."""
    claims: dict[int, Any] = {
        CLAIM_ISSUER: credential.issuer,
        CLAIM_EXPIRES: int(credential.expires.timestamp()),
        CLAIM_NOT_BEFORE: int(credential.not_before.timestamp()),
        CLAIM_ID: credential.id,
        CLAIM_PSEUDONYM: credential.pseudonym,
    }
    if credential.holder is not None:
        claims[CLAIM_HOLDER] = _build_holder(credential.holder)
    if credential.entitlements:
        claims[CLAIM_ENTITLEMENTS] = [
            [grant.code, grant.last_day.toordinal() - _EPOCH] for grant in credential.entitlements
        ]
    if credential.school is not None:
        claims[CLAIM_SCHOOL] = list(credential.school)
    if credential.status_index is not None:
        claims[CLAIM_STATUS_INDEX] = credential.status_index
    return dump(claims)


def parse_claims(payload: bytes) -> Credential:
    """The claims in exactly these bytes; raises `FormatError` for anything unknown, missing or of another type."""
    claims = load(payload)
    if not isinstance(claims, dict) or not _REQUIRED <= claims.keys() <= _KNOWN:
        raise FormatError(WHERE, "claims are missing or unknown")
    school = claims.get(CLAIM_SCHOOL)
    status_index = claims.get(CLAIM_STATUS_INDEX)
    return Credential(
        issuer=_text(claims[CLAIM_ISSUER]),
        not_before=_moment(claims[CLAIM_NOT_BEFORE]),
        expires=_moment(claims[CLAIM_EXPIRES]),
        id=_bytes(claims[CLAIM_ID], ID_BYTES),
        pseudonym=_bytes(claims[CLAIM_PSEUDONYM], ID_BYTES),
        entitlements=_entitlements(claims.get(CLAIM_ENTITLEMENTS, [])),
        holder=None if CLAIM_HOLDER not in claims else _parse_holder(claims[CLAIM_HOLDER]),
        school=None if school is None else _pair(school),
        status_index=None if status_index is None else _number(status_index, _MAX_SECONDS),
    )


def _build_holder(holder: HolderKey | CardHolder) -> dict[int, Any]:
    if isinstance(holder, CardHolder):
        return {3: holder.id}
    return {1: {1: 2, -1: 1, -2: holder.x, -3: holder.y_odd}}


def _parse_holder(confirmation: object) -> HolderKey | CardHolder:
    match confirmation:
        case {3: bytes(card), **rest} if not rest:
            return CardHolder(_bytes(card, ID_BYTES))
        case {1: {1: 2, -1: 1, -2: bytes(x), -3: bool(y_odd), **more}, **rest} if not (rest or more):
            return HolderKey(_bytes(x, 32), y_odd)
    raise FormatError(WHERE, "a holder that is neither a card nor a P-256 key")


def _entitlements(value: object) -> tuple[GrantedCategory, ...]:
    if not isinstance(value, list | tuple):
        raise FormatError(WHERE, "entitlements that are no list")
    found = []
    for item in value:
        code, days = _pair(item)
        if not 1 <= code <= 0xFF or days > _MAX_DAYS:
            raise FormatError(WHERE, "an entitlement out of range")
        found.append(GrantedCategory(code, date.fromordinal(_EPOCH + days)))
    return tuple(found)


def _pair(value: object) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise FormatError(WHERE, "two numbers belong here")
    return _number(value[0], _MAX_SECONDS), _number(value[1], _MAX_SECONDS)


def _number(value: object, largest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        raise FormatError(WHERE, "a number of another type or size")
    return value


def _moment(value: object) -> datetime:
    return datetime.fromtimestamp(_number(value, _MAX_SECONDS), UTC)


def _bytes(value: object, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise FormatError(WHERE, f"{length} bytes belong here")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 16:
        raise FormatError(WHERE, "an issuer's name belongs here")
    return value


class CredentialDefect(StrEnum):
    """Why a credential is not believed; the first reason found, in this order."""

    MALFORMED = "malformed"
    UNKNOWN_ISSUER = "unknown_issuer"
    BAD_SIGNATURE = "bad_signature"
    WRONG_ISSUER = "wrong_issuer"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RejectedCredential:
    """`detail` is one line for staff; it quotes nothing of the credential."""

    reason: CredentialDefect
    detail: str = ""


def verify_credential(data: bytes, issuers: IssuerKeys, now: datetime) -> Credential | RejectedCredential:
    """The credential in exactly `data` if an issuer known and believed at `now` signed it and it is valid then.

    A signature that `issuers` remembers is not verified again; who may sign and until when is asked each time. The
    holder is the caller's to check: a static credential alone is a copyable statement. Never raises.
    """
    known = issuers.recall(data) or _signed(data, issuers, now)
    if isinstance(known, RejectedCredential):
        return known
    issuer, credential = known
    if not issuer.believed_at(now):
        return RejectedCredential(CredentialDefect.UNKNOWN_ISSUER)
    refusal = _of_claims(credential, issuer.issuer, now)
    return credential if refusal is None else RejectedCredential(refusal)


def _signed(
    data: bytes, issuers: IssuerKeys, now: datetime
) -> tuple[IssuerKey, Credential] | RejectedCredential:
    """Who signed these bytes, and what they say; remembered by `issuers`."""
    try:
        signed = parse_sign1(data)
    except FormatError as error:
        return RejectedCredential(CredentialDefect.MALFORMED, error.problem)
    issuer = None if signed.kid is None else issuers.find(signed.kid)
    if issuer is None or not issuer.believed_at(now):
        return RejectedCredential(CredentialDefect.UNKNOWN_ISSUER)
    if signed.payload is None or not signed.verifies(issuer.key):
        return RejectedCredential(CredentialDefect.BAD_SIGNATURE)
    try:
        credential = parse_claims(signed.payload)
    except FormatError as error:
        return RejectedCredential(CredentialDefect.MALFORMED, error.problem)
    issuers.remember(data, issuer, credential)
    return issuer, credential


def _of_claims(credential: Credential, issuer: str, now: datetime) -> CredentialDefect | None:
    if credential.issuer != issuer:
        return CredentialDefect.WRONG_ISSUER
    if now < credential.not_before:
        return CredentialDefect.NOT_YET_VALID
    return None if now < credential.expires else CredentialDefect.EXPIRED
