"""Offline data authentication: which method, which chain, and the verdict as a value.

    CA key (scheme, tag 8F) → issuer key (90, 92, 9F32) → card key (9F46, 9F48, 9F47) → signature (9F4B)

A method that fails is not replaced by a weaker one. Chains are verified by algorithm: `VERIFIERS` knows RSA; another
one (the elliptic curves of EMV 4.4) is one more entry, and a key whose algorithm has none is a verdict, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from cardproto.emv import tags
from cardproto.emv.certificates import card_key, issuer_key
from cardproto.emv.faults import ChainBroken, ChainFault
from cardproto.emv.keys import ALGORITHM_RSA, CaKey, Trust
from cardproto.emv.numbers import Pan
from cardproto.emv.records import CardData
from cardproto.emv.signatures import (
    FORMAT_DYNAMIC,
    check_combined,
    check_dynamic,
    check_fast,
    check_static,
    dynamic_number,
)


class OfflineMethod(StrEnum):
    """How a card can prove itself without its issuer, weakest first."""

    NONE = "none"
    SDA = "sda"
    DDA = "dda"
    CDA = "cda"
    FDDA = "fdda"

    @property
    def counts(self) -> bool:
        """Whether success means a genuine card: what SDA proves can be copied with the card's data."""
        return self not in (OfflineMethod.NONE, OfflineMethod.SDA)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one tap has for a verifier. Shows no card data.

    `behind`: what follows the block in the signature's hash (the random number, or what the DDOL asked; for fDDA the
    random number, amount and currency). For CDA, `transaction` is what its second hash covers, `kind` tag 9F27.
    """

    rid: bytes
    data: CardData
    pan: Pan
    method: OfflineMethod
    signature: bytes | None = field(default=None, repr=False)
    behind: bytes = field(default=b"", repr=False)
    transaction: bytes = field(default=b"", repr=False)
    kind: int | None = None
    answered: frozenset[int] = frozenset()
    """CDA: the tags of the answer, which the second hash covers."""


@dataclass(frozen=True, slots=True)
class ChainProof:
    """What a verified signature said: dynamic number, cryptogram (CDA), the tags it covers beside the static ones."""

    dynamic_number: bytes = b""
    cryptogram: bytes | None = None
    covered: frozenset[int] = frozenset()


Verifier = Callable[[Evidence, CaKey, date, Trust], ChainProof]
"""Verifies the whole chain from a CA key of its algorithm, on a day; raises `ChainBroken`."""


@dataclass(frozen=True, slots=True)
class OfflineAuthentication:
    """The verdict. `signed_tags`: what of the card's data is proven; empty unless `genuine`."""

    method: OfflineMethod
    fault: ChainFault | None
    signed_tags: frozenset[int] = frozenset()
    proof: ChainProof = ChainProof()

    @property
    def genuine(self) -> bool:
        """Whether the card proved itself by a method that counts."""
        return self.fault is None and self.method.counts


def choose_method(data: CardData, aip: int) -> OfflineMethod:
    """The strongest that is offered: a signature already given, then CDA, DDA, SDA by the profile (Book 3, 10.3)."""
    if data.get(tags.TAG_DYNAMIC_SIGNATURE) is not None:
        return OfflineMethod.FDDA
    offered = (
        (tags.AIP_CDA, OfflineMethod.CDA),
        (tags.AIP_DDA, OfflineMethod.DDA),
        (tags.AIP_SDA, OfflineMethod.SDA),
    )
    return next((method for bit, method in offered if aip & bit), OfflineMethod.NONE)


def verify_rsa(evidence: Evidence, ca: CaKey, on: date, trust: Trust) -> ChainProof:
    """The chain with RSA and SHA-1, as every card in the field has it; raises `ChainBroken`."""
    data, pan = evidence.data, evidence.pan
    issuer = issuer_key(data, pan, ca, on, trust.revoked)
    if evidence.method is OfflineMethod.SDA:
        check_static(data, issuer)
        return ChainProof()
    card = card_key(data, pan, issuer, on)
    if evidence.method is OfflineMethod.FDDA:
        number = check_fast(card, evidence.signature, data, evidence.behind)
        return ChainProof(number, covered=frozenset({tags.TAG_ATC, tags.TAG_CARD_AUTHENTICATION_RELATED}))
    if evidence.method is OfflineMethod.DDA:
        dynamic = check_dynamic(card, evidence.signature, FORMAT_DYNAMIC, evidence.behind)
        return ChainProof(dynamic_number(dynamic))
    signed = check_combined(card, evidence.signature, evidence.behind, evidence.transaction)
    if signed.kind != evidence.kind:
        raise ChainBroken(ChainFault.SIGNATURE_KIND)
    covered = evidence.answered | {tags.TAG_CRYPTOGRAM, tags.TAG_CRYPTOGRAM_KIND}
    return ChainProof(signed.dynamic_number, signed.cryptogram, covered)


VERIFIERS: Final[Mapping[int, Verifier]] = {ALGORITHM_RSA: verify_rsa}
"""By the public key algorithm indicator of the CA key."""


def authenticate(
    evidence: Evidence, trust: Trust, on: date, verifiers: Mapping[int, Verifier] = VERIFIERS
) -> OfflineAuthentication:
    """The verdict on one tap's evidence, on the day of the tap. Never raises for what a card sent."""
    try:
        proof = _verify(evidence, trust, on, verifiers)
    except ChainBroken as broken:
        return OfflineAuthentication(evidence.method, broken.fault)
    if not evidence.method.counts:
        return OfflineAuthentication(evidence.method, None, proof=proof)
    signed = evidence.data.signed_tags | proof.covered | {tags.TAG_PAN}
    return OfflineAuthentication(evidence.method, None, signed, proof)


def _verify(evidence: Evidence, trust: Trust, on: date, verifiers: Mapping[int, Verifier]) -> ChainProof:
    if evidence.method is OfflineMethod.NONE:
        raise ChainBroken(ChainFault.NOT_OFFERED)
    index = evidence.data.get(tags.TAG_CA_INDEX)
    if index is None or len(index) != 1:
        raise ChainBroken(ChainFault.CA_INDEX_MISSING)
    ca = trust.keys.find(evidence.rid, index[0])
    if ca is None:
        raise ChainBroken(ChainFault.CA_KEY_UNKNOWN)
    if ca.expires_on is not None and on > ca.expires_on:
        raise ChainBroken(ChainFault.CA_KEY_EXPIRED)
    verify = verifiers.get(ca.algorithm)
    if verify is None:
        raise ChainBroken(ChainFault.ALGORITHM_UNKNOWN)
    return verify(evidence, ca, on, trust)
