"""Which terminals may upload: one public key per terminal number, a file each, read anew when it changes.

    7.pub       the key of terminal 7: it may upload
    7.code      a one-time code that lets terminal 7 put its key there itself (readable by the owner only)
    7.revoked   the last key of terminal 7, which may not upload any more
    7-….former  a key that terminal 7 had before, under the beginning of its SHA-256: what it signed stays to be verified

A terminal that gets another key, because its hardware was replaced, stays the same terminal: its records are held
under its number, and its new journal must continue where the old one ended.
"""

from __future__ import annotations

import hmac
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.decoding import SMALL_BYTES, decode_json, read_within
from terminal.errors import CollectorError, KeyFileError
from terminal.files import replace_file
from terminal.sync.enrolment import EnrolmentRequest, new_code, request_proof
from terminal.sync.identity import read_public_key, write_public_key

CODE_GOOD_MS: Final = 24 * 3600 * 1000


class EnrolmentState(StrEnum):
    """Whether a terminal may upload."""

    ENROLLED = "enrolled"
    REVOKED = "revoked"
    NOT_ENROLLED = "not_enrolled"


class _Code(msgspec.Struct, frozen=True):
    code: str
    until_ms: int


class Enrolment:
    """The keys in a directory. Terminals come and go without a restart."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[int, tuple[int, Ed25519PublicKey]] = {}

    def key_of(self, terminal: int) -> Ed25519PublicKey | None:
        """The key of `terminal`, None when not enrolled. Raises `KeyFileError` when its file is no key."""
        path = self._path(terminal)
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:
            return None  # also when the directory cannot be read: no terminal is trusted then
        known = self._known.get(terminal)
        if known is None or known[0] != changed_ns:
            known = self._known[terminal] = (changed_ns, read_public_key(path))
        return known[1]

    def enrol(self, terminal: int, key: Ed25519PublicKey) -> Path:
        """Let `terminal` upload with `key` and with no other; return its file. May raise `KeyFileError`."""
        self._keep_former(terminal)
        write_public_key(self._path(terminal), key)
        self._path(terminal, "revoked").unlink(missing_ok=True)
        self._path(terminal, "code").unlink(missing_ok=True)
        return self._path(terminal)

    def keys_of(self, terminal: int) -> list[Ed25519PublicKey]:
        """Every key that `terminal` ever had, the newest first: signatures are verified with them, nothing is uploaded.
        May raise `KeyFileError`.
        """
        former = sorted(self.directory.glob(f"{terminal}-*.former"))
        found = {key.public_bytes_raw(): key for key in self._held(terminal)}
        found |= {key.public_bytes_raw(): key for key in map(read_public_key, former)}
        return list(found.values())

    def _keep_former(self, terminal: int) -> None:
        try:
            held = self._held(terminal)
        except KeyFileError:
            return  # what lies there is no key, so nothing was ever signed with it
        for former in held:
            write_public_key(self._path(terminal, f"{short_of(former)}.former", "-"), former)

    def _held(self, terminal: int) -> list[Ed25519PublicKey]:
        """The key with which it uploads, or did until it was revoked."""
        paths = (self._path(terminal), self._path(terminal, "revoked"))
        return [read_public_key(path) for path in paths if path.exists()]

    def revoke(self, terminal: int) -> bool:
        """Let `terminal` upload no more, and no code enrol it; whether it could."""
        self._path(terminal, "code").unlink(missing_ok=True)
        try:
            self._path(terminal).replace(self._path(terminal, "revoked"))
        except FileNotFoundError:
            return False
        return True

    def is_revoked(self, terminal: int) -> bool:
        return not self._path(terminal).exists() and self._path(terminal, "revoked").exists()

    def state_of(self, terminal: int) -> EnrolmentState:
        """Whether `terminal` may upload, or once could."""
        if self._path(terminal).exists():
            return EnrolmentState.ENROLLED
        return EnrolmentState.REVOKED if self.is_revoked(terminal) else EnrolmentState.NOT_ENROLLED

    def numbers(self) -> list[int]:
        """The terminals that may upload."""
        names = (path.stem for path in self.directory.glob("*.pub"))
        return sorted(int(name) for name in names if name.isdecimal())

    # One-time codes

    def make_code(self, terminal: int, now_ms: int) -> str:
        """A new code for `terminal`, good once and for a day; an older one is worth nothing any more."""
        code = _Code(new_code(), now_ms + CODE_GOOD_MS)
        self._keep(terminal, code)
        return code.code

    def redeem(self, request: EnrolmentRequest, now_ms: int) -> str | None:
        """Enrol the key of a request that proves the code; return the code, None when it is not to be believed.

        A code is spent by success and by time, never by wrong proofs: anybody can send those, and 80 random bits are
        not guessed (docs/adr/0041-strangers.md).
        """
        path = self._path(request.terminal, "code")
        try:
            code = decode_json(read_within(path, SMALL_BYTES), _Code)
        except (OSError, msgspec.DecodeError):
            return None
        key = bytes.fromhex(request.public_key)
        proof = request_proof(code.code, request.terminal, key)
        if now_ms > code.until_ms:
            path.unlink(missing_ok=True)
            return None
        if not hmac.compare_digest(proof, request.proof):
            return None
        self.enrol(request.terminal, Ed25519PublicKey.from_public_bytes(key))
        return code.code

    def _keep(self, terminal: int, code: _Code) -> None:
        path = self._path(terminal, "code")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            replace_file(path, msgspec.json.encode(code))
        except OSError as error:
            raise CollectorError(
                f"no code can be kept in {self.directory}: {error.strerror}",
                "Check the folder and its rights.",
            ) from error

    def _path(self, terminal: int, kind: str = "pub", joint: str = ".") -> Path:
        return self.directory / f"{terminal}{joint}{kind}"


def short_of(key: Ed25519PublicKey) -> str:
    """The beginning of the SHA-256 of a public key: enough to tell keys apart."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]
