"""Whether a credential may be believed: form, issuer, signature, time, holder. A refusal is a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import Credential, parse_claims
from cardproto.credential.keys import IssuerKeys
from cardproto.errors import FormatError


class Refusal(StrEnum):
    """Why a credential is not believed; the first reason found, in this order."""

    MALFORMED = "malformed"
    UNKNOWN_ISSUER = "unknown_issuer"
    BAD_SIGNATURE = "bad_signature"
    WRONG_ISSUER = "wrong_issuer"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Refused:
    """`detail` is one line for staff; it quotes nothing of the credential."""

    reason: Refusal
    detail: str = ""


def verify_credential(data: bytes, issuers: IssuerKeys, now: datetime) -> Credential | Refused:
    """The credential in exactly `data` if an issuer known and believed at `now` signed it and it is valid then.

    The holder is the caller's to check: a static credential alone is a copyable statement. Never raises.
    """
    try:
        signed = parse_sign1(data)
    except FormatError as error:
        return Refused(Refusal.MALFORMED, error.problem)
    issuer = None if signed.kid is None else issuers.find(signed.kid)
    if issuer is None or not issuer.believed_at(now):
        return Refused(Refusal.UNKNOWN_ISSUER)
    if signed.payload is None or not signed.verifies(issuer.key):
        return Refused(Refusal.BAD_SIGNATURE)
    try:
        credential = parse_claims(signed.payload)
    except FormatError as error:
        return Refused(Refusal.MALFORMED, error.problem)
    refusal = _of_claims(credential, issuer.issuer, now)
    return credential if refusal is None else Refused(refusal)


def _of_claims(credential: Credential, issuer: str, now: datetime) -> Refusal | None:
    if credential.issuer != issuer:
        return Refusal.WRONG_ISSUER
    if now < credential.not_before:
        return Refusal.NOT_YET_VALID
    return None if now < credential.expires else Refusal.EXPIRED
