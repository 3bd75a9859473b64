"""Making a terminal known to a collector with a one-time code, so that neither side can be taken for another.

    POST /v1/enrolments   JSON `EnrolmentRequest`   → 201 JSON `EnrolmentReply`

The operator makes the code at the collector and carries it to the terminal. It never travels itself: each side proves
with it which public key is its own (HMAC-SHA256), so that an attacker in between can substitute no key. It is
80 random bits, good for one terminal, once, for a day.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError
from terminal.sync.address import TlsFiles, tls_context

NO_TLS_FILES: Final = TlsFiles()
ENROLMENTS_PATH: Final = "/v1/enrolments"
TIMEOUT_S: Final = 15.0
_LETTERS: Final = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"
_GROUPS: Final = 4
_REQUEST_DOMAIN: Final = b"resident-enrolment-1"
_REPLY_DOMAIN: Final = b"resident-enrolled-1"

Hex32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class EnrolmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The terminal's number and raw Ed25519 public key, and the proof that it has the code."""

    terminal: Annotated[int, Meta(ge=1, le=LARGEST_TERMINAL)]
    public_key: Hex32
    proof: Hex32


class EnrolmentReply(msgspec.Struct, frozen=True):
    """The collector's raw public key, and the proof that it has the code."""

    terminal: int
    collector_key: Hex32
    proof: Hex32


def new_code() -> str:
    """A code that cannot be guessed, in groups that can be read out: "K7QP-2M4X-9RTD-HW3F"."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(_GROUPS))
    return "-".join(groups)


def request_proof(code: str, terminal: int, public_key: bytes) -> str:
    """A statement on a terminal's key that only a holder of the code can make."""
    return _proof(code, _REQUEST_DOMAIN, terminal, public_key)


def reply_proof(code: str, terminal: int, public_key: bytes, collector_key: bytes) -> str:
    """What only the collector that made the code can say of its own key, to this terminal."""
    return _proof(code, _REPLY_DOMAIN, terminal, public_key + collector_key)


def _proof(code: str, domain: bytes, terminal: int, data: bytes) -> str:
    key = code.upper().replace("-", "").replace(" ", "").encode()
    return hmac.digest(key, domain + terminal.to_bytes(4, "big") + data, sha256).hex()


def enrol(
    base_url: str, terminal: int, key: Ed25519PublicKey, code: str, tls: TlsFiles = NO_TLS_FILES
) -> Ed25519PublicKey:
    """Have the collector at `base_url` take `key` for `terminal`; return the collector's own key.

    Raises `CollectorError` when it refuses, cannot be reached, or does not prove that it made the code.
    """
    import httpx  # noqa: PLC0415 0.2 s and 8 MB that no tap needs

    public_key = key.public_bytes_raw()
    request = EnrolmentRequest(terminal, public_key.hex(), request_proof(code, terminal, public_key))
    try:
        answer = httpx.post(
            base_url + ENROLMENTS_PATH,
            content=msgspec.json.encode(request),
            headers={"content-type": "application/json"},
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=tls_context(tls) if tls.given else True,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CollectorError(
            f"collector {base_url} cannot be reached: {error}", "Check the address."
        ) from error
    if answer.status_code != 201:
        raise CollectorError(
            f"collector {base_url} refused terminal {terminal} (status {answer.status_code})",
            "Check number and code; a code is good once, for a day. Have the operator make a new one.",
        )
    return _believed(answer.content, terminal, public_key, code)


def _believed(content: bytes, terminal: int, public_key: bytes, code: str) -> Ed25519PublicKey:
    try:
        reply = decode_json(content, EnrolmentReply, SMALL_BYTES)
        collector_key = bytes.fromhex(reply.collector_key)
        proven = hmac.compare_digest(reply.proof, reply_proof(code, terminal, public_key, collector_key))
    except msgspec.DecodeError:
        proven = False
    if not proven:
        raise CollectorError(
            "the other side does not know the code", "Possible interception: check address and network."
        )
    return Ed25519PublicKey.from_public_bytes(collector_key)
