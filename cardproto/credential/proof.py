"""Whether who shows a credential holds the key that its issuer named (`cnf`, RFC 8747): a phone signs, we verify.

Both carriers sign with COSE_Sign1 and no key id: which key it is says the credential, which is verified *before*.

    near field   a text that only this challenge, terminal and credential have; it travels detached
    code         the moment, a counter and the credential itself (`cardproto.credential.code`)
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)

from cardproto.credential.cose import Sign1, build_sign1, parse_sign1
from cardproto.credential.grant import Credential, HolderKey
from cardproto.credential.keys import MOST_REMEMBERED
from cardproto.errors import FormatError

PROOF_VERSION: Final = 1
CHALLENGE_BYTES: Final = 16
TERMINAL_BYTES: Final = 8
_DIGEST_BYTES: Final = 16
_TEXT_BEGINS: Final = bytes((0xA4, 1, PROOF_VERSION, 2, 0x50))
"""CBOR of {1: version, 2: challenge, 3: terminal, 4: digest} up to the challenge, whose lengths never differ."""


class ProofDefect(StrEnum):
    """Why the holder of a sound credential is not believed."""

    NO_KEY = "no_key"
    """The credential names no phone: it is a card's, or a statement that anyone may copy."""
    MALFORMED = "malformed"
    NOT_THE_HOLDER = "not_the_holder"
    """Signed with another key, or over another challenge, terminal or credential."""
    TOO_OLD = "too_old"
    """A code of before the window: a picture of it, or a clock that is behind."""
    AHEAD = "ahead"
    """A code of after the window: one of the two clocks is wrong."""


@dataclass(frozen=True, slots=True)
class RejectedProof:
    """`detail` is one line for staff; it quotes nothing of what was shown."""

    reason: ProofDefect
    detail: str = ""


def holder_of(key: EllipticCurvePublicKey) -> HolderKey:
    """How a credential names this P-256 key."""
    numbers = key.public_numbers()
    return HolderKey(numbers.x.to_bytes(32, "big"), bool(numbers.y & 1))


def holder_key(credential: Credential) -> EllipticCurvePublicKey | RejectedProof:
    """The key of the phone that may show it."""
    if not isinstance(credential.holder, HolderKey):
        return RejectedProof(ProofDefect.NO_KEY)
    try:
        return _point(credential.holder)
    except ValueError:
        return RejectedProof(ProofDefect.MALFORMED, "the holder's key is no point of P-256")


@functools.lru_cache(MOST_REMEMBERED)
def _point(holder: HolderKey) -> EllipticCurvePublicKey:
    """The point with this x; raises `ValueError`. Phones come back, and y takes a quarter of a signature to find."""
    return EllipticCurvePublicKey.from_encoded_point(
        SECP256R1(), (b"\x03" if holder.y_odd else b"\x02") + holder.x
    )


def challenge_text(challenge: bytes, terminal: bytes, credential: bytes) -> bytes:
    """What a phone signs: 16 unpredictable bytes, the terminal's 8, and the credential as it was read.

    The credential is bound so that a phone with two of them proves the one it sent.
    """
    if len(challenge) != CHALLENGE_BYTES or len(terminal) != TERMINAL_BYTES:
        raise ValueError(f"a challenge has {CHALLENGE_BYTES} bytes, a terminal's name {TERMINAL_BYTES}")
    digest = hashlib.sha256(credential).digest()[:_DIGEST_BYTES]
    return b"".join((_TEXT_BEGINS, challenge, b"\x03\x48", terminal, b"\x04\x50", digest))


def build_proof(text: bytes, key: EllipticCurvePrivateKey) -> bytes:
    """A phone's answer to a challenge: 74 bytes, without the text."""
    return build_sign1(text, None, key, detached=True)


def verify_proof(proof: bytes, text: bytes, credential: Credential) -> RejectedProof | None:
    """None: the phone that `credential`, which is verified already, names signed exactly `text`. Never raises."""
    try:
        signed = parse_sign1(proof)
    except FormatError as error:
        return RejectedProof(ProofDefect.MALFORMED, error.problem)
    if signed.payload is not None or signed.kid is not None:
        return RejectedProof(ProofDefect.MALFORMED, "a proof carries neither text nor key id")
    return signed_by_holder(signed, credential, text)


def signed_by_holder(
    signed: Sign1, credential: Credential, text: bytes | None = None
) -> RejectedProof | None:
    """None: the phone that `credential` names signed it; `text` is the detached payload."""
    key = holder_key(credential)
    if isinstance(key, RejectedProof):
        return key
    return None if signed.verifies(key, text) else RejectedProof(ProofDefect.NOT_THE_HOLDER)
