"""A credential as a code on a screen or on paper: `RC1:` and base45 (RFC 9285), which two-dimensional codes hold best.

On a screen the phone signs moment, counter and credential with its own key, anew every few seconds; on paper there is
the credential alone, which anyone may copy. The issuer's signature is verified first, the phone's with the key that the
issuer named, the moment last: nothing is said of a stranger's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from cardproto.credential.cose import MAX_BYTES, WHERE, Sign1, build_sign1, dump, load, parse_sign1
from cardproto.credential.grant import Credential, RejectedCredential, verify_credential
from cardproto.credential.keys import IssuerKeys
from cardproto.credential.proof import ProofDefect, RejectedProof, signed_by_holder
from cardproto.errors import FormatError

PREFIX: Final = "RC1:"
CODE_VERSION: Final = 1
MAX_TEXT: Final = len(PREFIX) + (3 * MAX_BYTES + 1) // 2
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_DIGITS: Final = {letter: digit for digit, letter in enumerate(_ALPHABET)}
_MAX_NUMBER: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class CodeWindow:
    """How far a code's moment may lie from the terminal's: behind it, and ahead of it."""

    behind: timedelta = timedelta(seconds=30)
    ahead: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ShownCode:
    """A code that is believed. `at` and `counter`: of the phone that shows it; None for a printed one.

    That it was not shown before is the caller's to know: (`credential.id`, `counter`) names the showing.
    """

    credential: Credential
    at: datetime | None = None
    counter: int | None = None

    @property
    def printed(self) -> bool:
        return self.at is None


@dataclass(frozen=True, slots=True)
class SignedMoment:
    """What a phone signed for a code, not verified: `outer` is to be verified with the key in `credential`."""

    outer: Sign1
    at: datetime
    counter: int
    credential: bytes


def verify_code(
    text: str, issuers: IssuerKeys, now: datetime, window: CodeWindow
) -> ShownCode | RejectedCredential | RejectedProof:
    """What the whole text of one scan shows. Never raises.

    A printed code whose credential names a phone is refused: its phone has to show it.
    """
    try:
        return verify_code_bytes(code_bytes(text), issuers, now, window)
    except FormatError as error:
        return RejectedProof(ProofDefect.MALFORMED, error.problem)


def verify_code_bytes(
    data: bytes, issuers: IssuerKeys, now: datetime, window: CodeWindow
) -> ShownCode | RejectedCredential | RejectedProof:
    """As `verify_code`, of what the code carries (`code_bytes`). Raises `FormatError` where that is no code's."""
    outer = parse_sign1(data)
    if outer.kid is not None:
        return _printed(data, issuers, now)
    return _shown(SignedMoment(outer, *_moment(outer.payload)), issuers, now, window)


def verify_shown(
    data: bytes, issuers: IssuerKeys, now: datetime, window: CodeWindow
) -> ShownCode | RejectedCredential | RejectedProof:
    """As `verify_code`, of the bytes of a code on a phone's screen. Never raises."""
    try:
        shown = parse_shown(data)
    except FormatError as error:
        return RejectedProof(ProofDefect.MALFORMED, error.problem)
    return _shown(shown, issuers, now, window)


def _shown(
    shown: SignedMoment, issuers: IssuerKeys, now: datetime, window: CodeWindow
) -> ShownCode | RejectedCredential | RejectedProof:
    credential = verify_credential(shown.credential, issuers, now)
    if isinstance(credential, RejectedCredential):
        return credential
    refused = signed_by_holder(shown.outer, credential) or _of_moment(shown.at, now, window)
    return refused or ShownCode(credential, shown.at, shown.counter)


def parse_shown(data: bytes) -> SignedMoment:
    """The bytes of a code on a phone's screen; raises `FormatError`."""
    outer = parse_sign1(data)
    if outer.kid is not None:
        raise FormatError(WHERE, "a printed code, which no phone signed")
    return SignedMoment(outer, *_moment(outer.payload))


def _printed(
    data: bytes, issuers: IssuerKeys, now: datetime
) -> ShownCode | RejectedCredential | RejectedProof:
    credential = verify_credential(data, issuers, now)
    if isinstance(credential, RejectedCredential):
        return credential
    if credential.holder is not None:
        return RejectedProof(ProofDefect.MALFORMED, "a copy of what only its holder may show")
    return ShownCode(credential)


def _moment(payload: bytes | None) -> tuple[datetime, int, bytes]:
    match None if payload is None else load(payload):
        case {1: int(version), 2: int(at), 3: int(counter), 4: bytes(credential), **more}:
            if more or any(isinstance(one, bool) for one in (version, at, counter)):
                raise FormatError(WHERE, "a moment with more than version, time, counter and credential")
        case _:
            raise FormatError(WHERE, "no moment, counter and credential in the code")
    if version != CODE_VERSION:
        raise FormatError(WHERE, f"version {version} of codes, {CODE_VERSION} is known")
    if not (0 <= at <= _MAX_NUMBER and 0 <= counter <= _MAX_NUMBER):
        raise FormatError(WHERE, "a moment or counter out of range")
    return datetime.fromtimestamp(at, UTC), counter, credential


def _of_moment(at: datetime, now: datetime, window: CodeWindow) -> RejectedProof | None:
    if at < now - window.behind:
        return RejectedProof(ProofDefect.TOO_OLD)
    return RejectedProof(ProofDefect.AHEAD) if at > now + window.ahead else None


def build_code(credential: bytes, at: datetime, counter: int, key: EllipticCurvePrivateKey) -> str:
    """What a phone shows at `at` (aware; whole seconds count): its `counter` is another one for every code."""
    moment = {1: CODE_VERSION, 2: int(at.timestamp()), 3: counter, 4: credential}
    return code_text(build_sign1(dump(moment), None, key))


def code_text(data: bytes) -> str:
    """The text of a code with these bytes: a phone's, or a credential without a holder for paper."""
    return PREFIX + _encode(data)


def code_bytes(text: str) -> bytes:
    """What exactly one code carries; spaces belong to it. Raises `FormatError`."""
    if len(text) > MAX_TEXT or not text.startswith(PREFIX):
        raise FormatError(WHERE, f"a code begins with {PREFIX} and has at most {MAX_TEXT} characters")
    return _decode(text.removeprefix(PREFIX))


def _encode(data: bytes) -> str:
    letters = []
    for at in range(0, len(data) - 1, 2):
        high, rest = divmod(data[at] << 8 | data[at + 1], 45 * 45)
        letters += [_ALPHABET[rest % 45], _ALPHABET[rest // 45], _ALPHABET[high]]
    if len(data) % 2:
        letters += [_ALPHABET[data[-1] % 45], _ALPHABET[data[-1] // 45]]
    return "".join(letters)


def _decode(text: str) -> bytes:
    digits = [_DIGITS.get(letter, -1) for letter in text]
    if -1 in digits or len(digits) % 3 == 1:
        raise FormatError(WHERE, "not base45")
    data = bytearray()
    for at in range(0, len(digits), 3):
        group = digits[at : at + 3]
        value, length = group[0] + 45 * group[1] + 2025 * sum(group[2:]), len(group) - 1
        if value >> 8 * length:
            raise FormatError(WHERE, "not base45: a group that is too large")
        data += value.to_bytes(length, "big")
    return bytes(data)
