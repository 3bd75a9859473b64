"""The laboratory's issuer: signs synthetic residents' credentials with a published private key."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import (
    CARD_FILE_READ_BYTES,
    CardHolder,
    Credential,
    GrantedCategory,
    HolderKey,
    build_credential,
    card_holder_id,
    parse_claims,
)
from cardproto.credential.keys import IssuerKey, IssuerKeys
from cardproto.resident.records.rights import Rights

PUBLIC_SECRET: Final = b"resident-lab issuer 1"
"""The published vectors name it, so what it signs cannot pass for real."""

_BELIEVED_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
_BELIEVED_UNTIL: Final = datetime(2100, 1, 1, tzinfo=UTC)


@cache
def lab_issuer_key() -> EllipticCurvePrivateKey:
    """The private key."""
    scalar = int.from_bytes(hashlib.sha256(PUBLIC_SECRET).digest(), "big") % 2**255
    return derive_private_key(scalar, SECP256R1())


def issuer_name(region: int) -> str:
    """Under which name a region's credentials are signed."""
    return f"ru-{region}"


def lab_issuers(region: int) -> IssuerKeys:
    """What a terminal of the laboratory trusts."""
    key = lab_issuer_key().public_key()
    return IssuerKeys([IssuerKey(issuer_name(region), key, _BELIEVED_FROM, _BELIEVED_UNTIL)])


def lab_credential(uid: bytes, rights: Rights, issued_on: date) -> bytes:
    """The credential for every concession in `rights`, for this card only; valid as long as the card."""
    credential = Credential(
        issuer=issuer_name(rights.region),
        not_before=_start_of(rights.valid_from),
        expires=_start_of(rights.valid_to) + timedelta(days=2),
        id=hashlib.sha256(b"laboratory credential" + uid + issued_on.isoformat().encode()).digest()[:8],
        pseudonym=rights.pseudonym,
        entitlements=tuple(GrantedCategory(c.code, c.valid_to) for c in rights.concessions if c),
        holder=CardHolder(card_holder_id(uid)),
    )
    signed = build_credential(credential, lab_issuer_key())
    assert len(signed) <= CARD_FILE_READ_BYTES, "three concessions and a card's name fit"
    return signed


def phone_credential(holder: HolderKey, rights: Rights, issue: bytes = b"") -> bytes:
    """The credential for every concession in `rights`, for the phone with this key only. Another `issue`: another id,
    as each renewal has."""
    credential = Credential(
        issuer=issuer_name(rights.region),
        not_before=_start_of(rights.valid_from),
        expires=_start_of(rights.valid_to) + timedelta(days=2),
        id=hashlib.sha256(b"laboratory credential" + holder.x + issue).digest()[:8],
        pseudonym=rights.pseudonym,
        entitlements=tuple(GrantedCategory(c.code, c.valid_to) for c in rights.concessions if c),
        holder=holder,
    )
    return build_credential(credential, lab_issuer_key())


def on_paper(phone: bytes) -> bytes:
    """What the laboratory's issuer prints for the resident of this phone's credential: the same without a phone."""
    payload = parse_sign1(phone).payload
    assert payload is not None, "a credential carries its claims"
    return build_credential(replace(parse_claims(payload), holder=None), lab_issuer_key())


def _start_of(day: date) -> datetime:
    """In UTC, a day early, because a local day may begin before the UTC one; the concessions' own days are exact."""
    return datetime.combine(day, time(), UTC) - timedelta(days=1)
