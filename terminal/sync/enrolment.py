"""Making a terminal known to a collector, and renewing what it is known by: neither side can be taken for another.

    POST /v1/enrolments   JSON `EnrolmentRequest`   → 201 JSON `IdentityReply`     with a one-time code
    POST /v1/renewals     JSON `RenewalRequest`     → 201 JSON `IdentityReply`     with the keys known so far

A terminal makes its three keys itself (`terminal.sync.credentials`) and shows in one request that it has them: the
signing key signs the request, the TLS key signs the certificate request in it, and the answer is sealed to the sealing
key, so that only its owner can go on with it. A renewal is approved with the signing key that is in force.

The operator makes the code at the collector and carries it to the terminal. It never travels itself: each side proves
with it which public keys are its own (HMAC-SHA256), so that an attacker in between can substitute none. It is 80 random
bits, good for one terminal, once, for a day. Behind them it may carry the SHA-256 of the root that bundles are signed
under (`terminal.sync.trust`): no proof uses that part. The answer to a renewal is signed by the collector.

The same request again has the same answer: an answer that was lost costs nothing.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.codes import SyncFault
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError, KeyFileError
from terminal.sealed_box import NotSealedToUs, open_sealed
from terminal.sync.credentials import TerminalKeys
from terminal.sync.exchange import Answer, RequestLink
from terminal.sync.failures import not_the_collectors, printable, refusal_in

ENROLMENTS_PATH: Final = "/v1/enrolments"
RENEWALS_PATH: Final = "/v1/renewals"
JSON_TYPE: Final = "application/json"
MAX_REQUEST_BYTES: Final = 4_096
_LETTERS: Final = "ABCDEFGHJKMNPQRSTVWXYZ0123456789"
_GROUPS: Final = 4
_SECRET: Final = 4 * _GROUPS
_ROOT: Final = 52
"""Letters of a SHA-256, five bits each."""
_REQUEST_DOMAIN: Final = b"resident-enrolment-2"
_RENEWAL_DOMAIN: Final = b"resident-renewal-2"
_REPLY_DOMAIN: Final = b"resident-identity-2"

Hex32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Hex64 = Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]
Point = Annotated[str, Meta(pattern="^0[23][0-9a-f]{64}$")]
Request = Annotated[str, Meta(max_length=2_000)]
Sealed = Annotated[str, Meta(pattern="^([0-9a-f]{2})*$", max_length=32_768)]
Numbered = Annotated[int, Meta(ge=1, le=LARGEST_TERMINAL)]


class PublicKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The raw signing and sealing keys, the TLS key as a compressed point, and the certificate request (PEM) that its
    owner signed."""

    signing: Hex32
    sealing: Hex32
    tls: Point
    request: Request

    def digest(self, domain: bytes, terminal: int) -> bytes:
        """What proofs and signatures cover."""
        parts = (bytes.fromhex(key) for key in (self.signing, self.sealing, self.tls))
        return sha256(domain + terminal.to_bytes(4, "big") + b"".join(parts)).digest()


class EnrolmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of a terminal, the proof that it has the code, and its signature with the signing key."""

    terminal: Numbered
    keys: PublicKeys
    proof: Hex32
    signature: Hex64

    @property
    def digest(self) -> bytes:
        return self.keys.digest(_REQUEST_DOMAIN, self.terminal)


class RenewalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new keys, signed with the new signing key, and approved with the one `known` so far."""

    terminal: Numbered
    keys: PublicKeys
    known: Hex32
    signature: Hex64
    approval: Hex64

    @property
    def digest(self) -> bytes:
        return self.keys.digest(_RENEWAL_DOMAIN, self.terminal)


class Certified(msgspec.Struct, frozen=True):
    """What a terminal gets for its keys: the certificate (PEM) that names it, and until when it is valid."""

    certificate: str
    until_ms: int


class IdentityReply(msgspec.Struct, frozen=True):
    """The collector's raw public key, `Certified` sealed to the terminal, and the proof that the collector means these
    keys: with the code in the answer to an enrolment, else its signature."""

    terminal: int
    collector_key: Hex32
    sealed: Sealed
    proof: str


def new_code() -> str:
    """A code that cannot be guessed, in groups that can be read out: "K7QP-2M4X-9RTD-HW3F"."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(_GROUPS))
    return "-".join(groups)


def code_with_root(code: str, root: bytes) -> str:
    """What is carried to a terminal that takes bundles: the code, and the SHA-256 of their root behind it."""
    bits = int.from_bytes(root, "big")
    letters = "".join(_LETTERS[bits >> 5 * place & 31] for place in reversed(range(_ROOT)))
    return "-".join([code, *(letters[at : at + 4] for at in range(0, _ROOT, 4))])


def split_code(given: str) -> tuple[str, bytes | None]:
    """The code in what was carried, and the hash of the root, where it has one. Raises `KeyFileError` for what is
    neither short nor long.
    """
    letters = given.upper().replace("-", "").replace(" ", "")
    code, rest = letters[:_SECRET], letters[_SECRET:]
    if not rest:
        return code, None
    bits = 0
    for letter in rest:
        bits = bits << 5 | max(_LETTERS.find(letter), 0)
    if len(rest) != _ROOT or not set(rest) <= set(_LETTERS) or bits >> 256:
        raise KeyFileError(
            f"this is no code: it has {len(letters)} letters",
            f"A code has {_SECRET}, or {_SECRET + _ROOT} with a root.",
        )
    return code, bits.to_bytes(32, "big")


def code_proof(code: str, request: EnrolmentRequest) -> str:
    """A statement on a terminal's keys that only a holder of the code can make."""
    return _proof(code, _REQUEST_DOMAIN, request.digest)


def reply_proof(code: str, digest: bytes, collector_key: bytes, sealed: bytes) -> str:
    """What only the collector that made the code can say of its own key, to this terminal."""
    return _proof(code, _REPLY_DOMAIN, reply_digest(digest, collector_key, sealed))


def reply_digest(digest: bytes, collector_key: bytes, sealed: bytes) -> bytes:
    """What the proof of an answer covers; `digest` is the request's."""
    return sha256(_REPLY_DOMAIN + digest + collector_key + sha256(sealed).digest()).digest()


def signature_is_genuine(key: str, signature: str, digest: bytes) -> bool:
    """Whether the owner of the raw Ed25519 key (hex) signed `digest`."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), digest)
    except (InvalidSignature, ValueError):
        return False
    return True


def _proof(code: str, domain: bytes, data: bytes) -> str:
    key = code.upper().replace("-", "").replace(" ", "").encode()
    return hmac.digest(key, domain + data, sha256).hex()


# The terminal's side


def enrolment_request(terminal: int, keys: TerminalKeys, code: str) -> EnrolmentRequest:
    public = public_part(terminal, keys)
    bare = EnrolmentRequest(terminal, public, "", "")
    return msgspec.structs.replace(bare, proof=code_proof(code, bare), signature=keys.sign(bare.digest).hex())


def renewal_request(terminal: int, keys: TerminalKeys, known: TerminalKeys) -> RenewalRequest:
    """Asks for `keys` in place of those `known` so far."""
    bare = RenewalRequest(terminal, public_part(terminal, keys), known.name.hex(), "", "")
    return msgspec.structs.replace(
        bare, signature=keys.sign(bare.digest).hex(), approval=known.sign(bare.digest).hex()
    )


def public_part(terminal: int, keys: TerminalKeys) -> PublicKeys:
    """What the collector must know of `keys`."""
    from cryptography import x509  # noqa: PLC0415 no tap waits for it
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"terminal-{terminal}")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(keys.tls, SHA256())
    sealing = keys.sealing.public_key().public_bytes_raw().hex()
    tls = keys.tls.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex()
    return PublicKeys(keys.name.hex(), sealing, tls, request.public_bytes(Encoding.PEM).decode("ascii"))


def enrol(
    link: RequestLink, terminal: int, keys: TerminalKeys, code: str
) -> tuple[TerminalKeys, Ed25519PublicKey]:
    """Have the collector take `keys` for `terminal`; return them certified, and the collector's own key.

    Raises `CollectorError` when it refuses, cannot be reached, or does not prove that it made the code.
    """
    request = enrolment_request(terminal, keys, code)
    reply = _reply(link.exchange(ENROLMENTS_PATH, msgspec.json.encode(request), JSON_TYPE), terminal)
    collector_key, sealed = bytes.fromhex(reply.collector_key), bytes.fromhex(reply.sealed)
    if not hmac.compare_digest(reply.proof, reply_proof(code, request.digest, collector_key, sealed)):
        raise CollectorError(
            "the other side does not know the code",
            "Possible interception: check address and network.",
            SyncFault.NOT_TRUSTED,
        )
    return _certified(keys, sealed, request.digest), Ed25519PublicKey.from_public_bytes(collector_key)


def renew(
    link: RequestLink, terminal: int, keys: TerminalKeys, known: TerminalKeys, collector: Ed25519PublicKey
) -> TerminalKeys:
    """Have the collector take `keys` in place of those `known`; return them certified. Both work until the new ones
    have been used. Raises `CollectorError`."""
    return ask_for(link, renewal_request(terminal, keys, known), keys, collector)


def ask_for(
    link: RequestLink, request: RenewalRequest, keys: TerminalKeys, collector: Ed25519PublicKey
) -> TerminalKeys:
    """As `renew`, with a request for `keys` that is signed already."""
    answer = link.exchange(RENEWALS_PATH, msgspec.json.encode(request), JSON_TYPE)
    reply = _reply(answer, request.terminal)
    own, sealed = collector.public_bytes_raw(), bytes.fromhex(reply.sealed)
    if not signature_is_genuine(own.hex(), reply.proof, reply_digest(request.digest, own, sealed)):
        raise CollectorError(
            "the answer to the renewal is not signed by the collector this terminal knows",
            "Check the address and the key.",
            SyncFault.NOT_TRUSTED,
        )
    return _certified(keys, sealed, request.digest)


def show_again(link: RequestLink, request: RenewalRequest) -> None:
    """An earlier renewal, for a collector that may not know of it; one that does refuses it, and nothing is lost.

    Raises `CollectorError` where no collector answers.
    """
    answer = link.exchange(RENEWALS_PATH, msgspec.json.encode(request), JSON_TYPE)
    if answer.status != 201 and refusal_in(answer) is None:
        raise not_the_collectors(answer, f"the request of terminal {request.terminal}")


def _reply(answer: Answer, terminal: int) -> IdentityReply:
    if answer.status != 201:
        raise _refused(answer, terminal)
    try:
        return decode_json(answer.body, IdentityReply, SMALL_BYTES)
    except msgspec.DecodeError as error:
        raise CollectorError(
            f"the collector's answer is none to an enrolment: {printable(str(error))}",
            "Check that the address is that of a collector.",
            SyncFault.NOT_UNDERSTOOD,
        ) from error


def _refused(answer: Answer, terminal: int) -> CollectorError:
    refusal = refusal_in(answer)
    if refusal is None:
        return not_the_collectors(answer, f"the request of terminal {terminal}")
    return CollectorError(
        f"the collector refused terminal {terminal}: {refusal.error}",
        printable(refusal.advice),
        SyncFault.REFUSED,
    )


def _certified(keys: TerminalKeys, sealed: bytes, digest: bytes) -> TerminalKeys:
    """`keys` with what the collector made for them. Raises `CollectorError` when it is for other keys."""
    from cryptography import x509  # noqa: PLC0415 no tap waits for it

    try:
        found = decode_json(open_sealed(keys.sealing, sealed, digest), Certified, SMALL_BYTES)
        made = x509.load_pem_x509_certificate(found.certificate.encode("ascii"))
        fits = made.public_key() == keys.tls.public_key()
    except (NotSealedToUs, msgspec.DecodeError, ValueError) as error:
        raise _not_ours(str(error)) from error
    if not fits:
        raise _not_ours("it is of another key")
    return keys.certified(found.certificate)


def _not_ours(why: str) -> CollectorError:
    return CollectorError(
        f"the certificate in the collector's answer is not for this terminal: {why}",
        "Try again; if it comes again, call the collector's operator.",
        SyncFault.NOT_UNDERSTOOD,
    )
