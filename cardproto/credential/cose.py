"""COSE_Sign1 with ES256, read strictly (RFC 9052, RFC 9053).

Deterministic CBOR only: what was read is encoded again and must give the same bytes, so that duplicate keys, trailing
bytes, indefinite lengths and long forms all fail at once. Nothing in the unprotected header is looked at: it must be
empty. The algorithm is never taken from the token: it must name the one its key is for.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from cardproto.errors import FormatError

WHERE: Final = "credential"
MAX_BYTES: Final = 1024
ES256: Final = -7
SIGNATURE_BYTES: Final = 64
_TAG_SIGN1: Final = 18
_HEADER_ALG: Final = 1
_HEADER_KID: Final = 4
_HALF: Final = SIGNATURE_BYTES // 2
_MAX_DEPTH: Final = 8
_NO_KEY_ID: Final = b"\xa1\x01\x26"
"""The protected header of what a phone signs: ES256 and nothing else."""
_SIGNATURE1: Final = b"\x84\x6aSignature1"
_TAG_AND_ITEMS: Final = b"\xd2\x84"
_WITH_KEY_ID: Final = b"\x4d\xa2\x01\x26\x04\x48"
"""The protected header of what an issuer signs, as a byte string, up to its key id of 8 bytes."""
_NIL: Final = b"\xf6"
_BEFORE_SIGNATURE: Final = b"\x58\x40"


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 as received; nothing about it is verified. `payload` None: it travels apart (detached)."""

    protected: bytes
    kid: bytes | None
    payload: bytes | None
    signature: bytes

    def verifies(self, key: EllipticCurvePublicKey, payload: bytes | None = None) -> bool:
        """Whether the holder of the private half of `key` (P-256) signed this; `payload` is the detached one."""
        content = self.payload if payload is None else payload
        r, s = (int.from_bytes(self.signature[at : at + _HALF], "big") for at in (0, _HALF))
        if content is None or not r or not s or not isinstance(key.curve, SECP256R1):
            return False
        try:
            key.verify(encode_dss_signature(r, s), _to_be_signed(self.protected, content), ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def parse_sign1(data: bytes) -> Sign1:
    """Exactly one tagged COSE_Sign1 with algorithm ES256; raises `FormatError`."""
    return _in_usual_form(data) or _in_any_form(data)


def _in_usual_form(data: bytes) -> Sign1 | None:
    """As issuers and phones write it, by the bytes around payload and signature: no other encoding has them. None for
    what has to be read item by item, which is seldom and costs ten times as much.
    """
    if data.startswith(_TAG_AND_ITEMS + _WITH_KEY_ID):
        protected, kid = data[3:16], data[8:16]
    elif data.startswith(_TAG_AND_ITEMS + _head(len(_NO_KEY_ID)) + _NO_KEY_ID):
        protected, kid = _NO_KEY_ID, None
    else:
        return None
    at, end = 3 + len(protected), len(data) - SIGNATURE_BYTES - len(_BEFORE_SIGNATURE)
    content = data[at + 1 : end]
    if (
        data[at : at + 1] != b"\xa0"
        or data[end:-SIGNATURE_BYTES] != _BEFORE_SIGNATURE
        or len(data) > MAX_BYTES
    ):
        return None
    if content == _NIL:
        return Sign1(protected, kid, None, data[-SIGNATURE_BYTES:])
    for length in (1, 2, 3):
        payload = content[length:]
        if content[:length] == _head(len(payload)):
            return Sign1(protected, kid, payload, data[-SIGNATURE_BYTES:])
    return None


def _in_any_form(data: bytes) -> Sign1:
    item = load(data)
    match item:
        case cbor2.CBORTag(tag=tag, value=(bytes(protected), unprotected, payload, bytes(signature))):
            pass
        case _:
            raise FormatError(WHERE, "no COSE_Sign1")
    if tag != _TAG_SIGN1 or unprotected != {} or not (payload is None or isinstance(payload, bytes)):
        raise FormatError(
            WHERE, "no COSE_Sign1 of our form: tag 18, nothing unprotected, bytes or nil inside"
        )
    kid = None if protected == _NO_KEY_ID else _key_id_in(protected)
    if len(signature) != SIGNATURE_BYTES:
        raise FormatError(WHERE, "a signature of a wrong form")
    return Sign1(protected, kid, payload, signature)


def _key_id_in(protected: bytes) -> bytes | None:
    header = load(protected)
    if not isinstance(header, dict) or not header.keys() <= {_HEADER_ALG, _HEADER_KID}:
        raise FormatError(WHERE, "unknown protected headers")
    kid = header.get(_HEADER_KID)
    if not _is_int(header.get(_HEADER_ALG)) or header[_HEADER_ALG] != ES256:
        raise FormatError(WHERE, "the algorithm is not ES256")
    if not (kid is None or isinstance(kid, bytes)):
        raise FormatError(WHERE, "a key id of a wrong form")
    return kid


def build_sign1(
    payload: bytes, kid: bytes | None, key: EllipticCurvePrivateKey, *, detached: bool = False
) -> bytes:
    """Signed deterministically (RFC 6979): the same content gives the same bytes. `kid` None: the receiver knows the
    key; `detached`: it knows the payload, too.
    """
    protected = dump({_HEADER_ALG: ES256} if kid is None else {_HEADER_ALG: ES256, _HEADER_KID: kid})
    algorithm = ECDSA(SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(_to_be_signed(protected, payload), algorithm))
    signature = r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")
    return dump(cbor2.CBORTag(_TAG_SIGN1, [protected, {}, None if detached else payload, signature]))


def load(data: bytes) -> Any:
    """The one deterministically encoded CBOR item in exactly `data`; raises `FormatError`."""
    item, length = load_first(data)
    if length != len(data):
        raise FormatError(WHERE, f"{len(data) - length} bytes after the CBOR item", length)
    return item


def load_first(data: bytes) -> tuple[Any, int]:
    """The deterministically encoded CBOR item `data` begins with, and its length; raises `FormatError`."""
    if len(data) > MAX_BYTES:
        raise FormatError(WHERE, f"{len(data)} bytes, at most {MAX_BYTES} are read")
    stream = io.BytesIO(data)
    try:
        item = cbor2.load(stream, max_depth=_MAX_DEPTH, allow_indefinite=False, allow_duplicate_keys=False)
        length = stream.tell()
        again = dump(item)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FormatError(WHERE, f"no CBOR: {type(error).__name__}") from error
    if again != data[:length]:
        raise FormatError(WHERE, "not deterministically encoded")
    return item, length


def dump(item: Any) -> bytes:
    """Deterministic encoding."""
    return cbor2.dumps(item, canonical=True)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """`["Signature1", protected, b"", payload]`; by hand, for it is made twice a tap."""
    return b"".join((_SIGNATURE1, _head(len(protected)), protected, b"\x40", _head(len(payload)), payload))


def _head(length: int) -> bytes:
    """Of a byte string, the shortest form; what is signed here is shorter than 64 KiB."""
    if length < 24:
        return bytes((0x40 + length,))
    return bytes((0x58, length)) if length < 256 else b"\x59" + length.to_bytes(2, "big")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
