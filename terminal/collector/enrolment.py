"""Which terminals may upload: a record per terminal number, a file each, read anew when it changes.

    7.json      the keys of terminal 7: in force, waiting, and all that ever were (`terminal.collector.identities`)
    7.code      a one-time code that lets terminal 7 enrol (readable by the owner only)

A terminal that gets other keys, because its hardware was replaced, stays the same terminal: its records are held
under its number, and its new journal must continue where the old one ended.

Several processes may change the records, the collector and its commands: each takes the lock of the folder first.
Gateways of a fleet share their records (`terminal.collector.fleet.shared_records`), by the same rules.
"""

from __future__ import annotations

import fcntl
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.collector.certify import Authority, as_der, requested_key
from terminal.collector.identities import (
    RECORD_VERSION,
    RENEWABLE_MS,
    TerminalKeySet,
    TerminalRecord,
    enrolled,
    renewed,
    revoked,
    used,
)
from terminal.decoding import SMALL_BYTES, NewerVersion, decode_json, decode_versioned, read_within
from terminal.errors import CollectorError, KeyFileError
from terminal.files import open_own, replace_file
from terminal.sealed_box import can_be_sealed_to
from terminal.sync.enrolment import (
    EnrolmentRequest,
    PublicKeys,
    RenewalRequest,
    code_proof,
    new_code,
    signature_is_genuine,
)
from terminal.sync.wire import RefusalCode

CODE_GOOD_MS: Final = 24 * 3600 * 1000
MOST_RECORD_BYTES: Final = 8 << 20


class EnrolmentState(StrEnum):
    """Whether a terminal may upload."""

    ENROLLED = "enrolled"
    REVOKED = "revoked"
    NOT_ENROLLED = "not_enrolled"


class NewerRecord(KeyFileError):
    """The record of a terminal was written by newer software."""


class _Code(msgspec.Struct, frozen=True):
    code: str
    until_ms: int
    spent_by: str = ""
    """The signing key it enrolled, hex: the same keys have the same answer again."""


class Granted(msgspec.Struct, frozen=True):
    """The keys that a request brought. `code` is empty for a renewal; `replaced`: the terminal had others before."""

    keys: TerminalKeySet
    code: str = ""
    replaced: bool = False
    again: bool = False
    """The answer was given before."""


class RecordFiles:
    """Records and codes as files of a directory. Every method raises `CollectorError` when that fails."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def changing(self, terminal: int) -> Iterator[None]:  # noqa: ARG002 who shares records brings those of a terminal
        """No other thread or process changes a record meanwhile; what is changed is kept when the block ends well."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = open_own(self.directory / ".lock")
        except OSError as error:
            raise _cannot_keep(self.directory, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def write(self, name: str, content: bytes) -> None:
        """Put the file in place of the one there was. Inside `changing`."""
        try:
            replace_file(self.directory / name, content)
        except OSError as error:
            raise _cannot_keep(self.directory, error) from error

    def remove(self, name: str) -> None:
        """Take the file away, if there is one. Inside `changing`."""
        try:
            (self.directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_keep(self.directory, error) from error


class Enrolment:
    """The records in a directory. Terminals come and go without a restart."""

    def __init__(
        self, directory: Path, authority: Authority | None = None, files: RecordFiles | None = None
    ) -> None:
        """`authority` certifies; without one it is opened, or made, beside the directory when it is needed. `files` of
        that directory keep the records, where they are more than files.
        """
        self.directory = directory
        self._files = files or RecordFiles(directory)
        self._authority = authority
        self._known: dict[int, tuple[tuple[int, int], TerminalRecord]] = {}

    def record_of(self, terminal: int) -> TerminalRecord:
        """What is known of `terminal`. Raises `KeyFileError` when its file is no record."""
        path = self._path(terminal)
        try:
            found = path.stat()
        except OSError:
            return TerminalRecord()  # also when the directory cannot be read: no terminal is trusted then
        known, this = self._known.get(terminal), (found.st_mtime_ns, found.st_ino)
        if known is None or known[0] != this:
            known = self._known[terminal] = (this, _read(path))
        return known[1]

    def key_of(self, terminal: int) -> Ed25519PublicKey | None:
        """The signing key of `terminal` in force, None when not enrolled. Raises `KeyFileError`."""
        in_force = self.record_of(terminal).in_force
        return None if in_force is None else in_force.key

    def holds_certificate(self, terminal: int, certificate: bytes) -> bool:
        """Whether a certificate (DER) is on record for `terminal` and counts. Raises `KeyFileError`."""
        live = self.record_of(terminal).live
        return any(one.certificate and as_der(one.certificate) == certificate for one in live)

    def counts(self, terminal: int, certificate: bytes) -> bool:
        """The same before anything is asked: one on a record that is damaged does not count."""
        try:
            return self.holds_certificate(terminal, certificate)
        except KeyFileError:
            return False

    def enrol(self, terminal: int, key: Ed25519PublicKey, at_ms: int = 0) -> Path:
        """Let `terminal` upload with a signing key carried here by hand, and with no other; return its file.

        It has no certificate: over TLS a terminal needs one, and enrols with a code. May raise `KeyFileError`.
        """
        with self._files.changing(terminal):
            keys = TerminalKeySet(key.public_bytes_raw().hex(), at_ms)
            self._keep(terminal, enrolled(self._replaceable(terminal), keys))
            self._files.remove(self._code_path(terminal).name)
        return self._path(terminal)

    def keys_of(self, terminal: int) -> list[Ed25519PublicKey]:
        """Every signing key that `terminal` ever had, the newest first: signatures are verified with them, nothing is
        uploaded. May raise `KeyFileError`.
        """
        return [keys.key for keys in reversed(self.record_of(terminal).ever)]

    def revoke(self, terminal: int, at_ms: int) -> bool:
        """Let `terminal` upload no more, and no code enrol it; whether it could."""
        with self._files.changing(terminal):
            self._files.remove(self._code_path(terminal).name)
            record = self.record_of(terminal)
            if record.in_force is not None:
                self._keep(terminal, revoked(record, at_ms))
        return record.in_force is not None

    def used(self, terminal: int, keys: TerminalKeySet, at_ms: int) -> None:
        """A genuine batch signed with `keys` has arrived. May raise `CollectorError`."""
        if self.record_of(terminal).waiting != keys:
            return
        with self._files.changing(terminal):
            self._keep(terminal, used(self.record_of(terminal), keys.signing, at_ms))

    def is_revoked(self, terminal: int) -> bool:
        return self.record_of(terminal).revoked_ms > 0

    def state_of(self, terminal: int) -> EnrolmentState:
        """Whether `terminal` may upload, or once could."""
        record = self._readable(terminal)
        if record.in_force is not None:
            return EnrolmentState.ENROLLED
        return EnrolmentState.REVOKED if record.revoked_ms else EnrolmentState.NOT_ENROLLED

    def numbers(self) -> list[int]:
        """The terminals that may upload."""
        names = (path.stem for path in self.directory.glob("*.json"))
        found = sorted(int(name) for name in names if name.isdecimal())
        return [number for number in found if self.state_of(number) is EnrolmentState.ENROLLED]

    # One-time codes

    def make_code(self, terminal: int, now_ms: int) -> str:
        """A new code for `terminal`, good once and for a day; an older one is worth nothing any more."""
        code = _Code(new_code(), now_ms + CODE_GOOD_MS)
        with self._files.changing(terminal):
            self._keep_code(terminal, code)
        return code.code

    def redeem(self, request: EnrolmentRequest, now_ms: int) -> Granted | RefusalCode:
        """Put the keys of a request in force that proves the code and the keys; why not, where it is not believed.

        A code is spent by success and by time, never by wrong proofs: any sender can make those up, and 80 random
        bits are not guessed (docs/adr/0041-strangers.md). Raises `KeyFileError` or `CollectorError`.
        """
        with self._files.changing(request.terminal):
            code = self._code_of(request, now_ms)
            if isinstance(code, RefusalCode):
                return code
            asked = _proven(request.keys, request.signature, request.digest, now_ms)
            record = self._replaceable(request.terminal)
            if asked is None:
                return RefusalCode.KEYS_UNPROVEN
            if code.spent_by:
                found = record.in_force
                same = found is not None and found.is_same(asked)
                return Granted(found, code.code, again=True) if found and same else RefusalCode.CODE_SPENT
            keys = self._certified(request.terminal, asked, request.keys, now_ms)
            self._keep(request.terminal, enrolled(record, keys))
            self._keep_code(request.terminal, msgspec.structs.replace(code, spent_by=keys.signing))
            return Granted(keys, code.code, replaced=bool(record.ever))

    def _code_of(self, request: EnrolmentRequest, now_ms: int) -> _Code | RefusalCode:
        """The code that the request proves, and why it does not count: said only to one who has it."""
        path = self._code_path(request.terminal)
        try:
            code = decode_json(read_within(path, SMALL_BYTES), _Code)
        except (OSError, msgspec.DecodeError):
            return RefusalCode.CODE_REFUSED
        if not hmac.compare_digest(code_proof(code.code, request), request.proof):
            return RefusalCode.CODE_REFUSED
        if now_ms > code.until_ms:
            self._files.remove(path.name)
            return RefusalCode.CODE_EXPIRED
        return code

    # Renewal

    def renew(self, request: RenewalRequest, now_ms: int) -> Granted | RefusalCode:
        """Let the keys of a request wait for their first use that is approved with keys in force; why not, where it is
        not. Raises `KeyFileError` or `CollectorError`.
        """
        with self._files.changing(request.terminal):
            record = self.record_of(request.terminal)
            if record.in_force is None:
                return RefusalCode.UNKNOWN_TERMINAL
            if not signature_is_genuine(request.known, request.approval, request.digest):
                return RefusalCode.KEYS_UNPROVEN
            record = used(record, request.known, now_ms)
            if record.in_force is None or request.known != record.in_force.signing:
                return RefusalCode.KEYS_OUTDATED
            return self._wait(request, record, now_ms)

    def _wait(self, request: RenewalRequest, record: TerminalRecord, now_ms: int) -> Granted | RefusalCode:
        asked = _proven(request.keys, request.signature, request.digest, now_ms)
        if asked is None:
            return RefusalCode.KEYS_UNPROVEN
        if record.waiting is not None and record.waiting.is_same(asked):
            return Granted(record.waiting, again=True)
        before = record.in_force
        if before is not None and before.until_ms and now_ms > before.until_ms + RENEWABLE_MS:
            return RefusalCode.RENEWAL_TOO_LATE
        if any(asked.signing == one.signing for one in record.ever):
            return RefusalCode.KEYS_OUTDATED
        keys = self._certified(request.terminal, asked, request.keys, now_ms)
        self._keep(request.terminal, renewed(record, keys))
        return Granted(keys, replaced=True)

    def _certified(
        self, terminal: int, asked: TerminalKeySet, keys: PublicKeys, now_ms: int
    ) -> TerminalKeySet:
        tls = requested_key(keys.request, keys.tls)
        assert tls is not None, "it was proven before"
        self._authority = self._authority or Authority(self.directory.parent, now_ms)
        made = self._authority.certify(terminal, tls, now_ms)
        return msgspec.structs.replace(asked, certificate=made.certificate, until_ms=made.until_ms)

    # Files

    def _readable(self, terminal: int) -> TerminalRecord:
        """What is known of `terminal`; nothing where its file cannot be used."""
        try:
            return self.record_of(terminal)
        except KeyFileError:
            return TerminalRecord()

    def _replaceable(self, terminal: int) -> TerminalRecord:
        """The same for who writes it anew: a damaged one is lost, one of newer software holds keys that its older rows
        are verified with. Raises `KeyFileError` for that.
        """
        try:
            return self.record_of(terminal)
        except NewerRecord:
            raise
        except KeyFileError:
            return TerminalRecord()

    def _keep(self, terminal: int, record: TerminalRecord) -> None:
        self._files.write(self._path(terminal).name, msgspec.json.encode(record))
        self._known.pop(terminal, None)

    def _keep_code(self, terminal: int, code: _Code) -> None:
        self._files.write(self._code_path(terminal).name, msgspec.json.encode(code))

    def _path(self, terminal: int) -> Path:
        return self.directory / f"{terminal}.json"

    def _code_path(self, terminal: int) -> Path:
        return self.directory / f"{terminal}.code"


def short_of(key: Ed25519PublicKey) -> str:
    """The beginning of the SHA-256 of a public key: enough to tell keys apart."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def _proven(keys: PublicKeys, signature: str, digest: bytes, at_ms: int) -> TerminalKeySet | None:
    """The keys of a request whose sender shows that they are its own; None otherwise."""
    if requested_key(keys.request, keys.tls) is None or not signature_is_genuine(
        keys.signing, signature, digest
    ):
        return None
    if not can_be_sealed_to(bytes.fromhex(keys.sealing)):
        return None
    return TerminalKeySet(keys.signing, at_ms, keys.sealing, keys.tls)


def _read(path: Path) -> TerminalRecord:
    try:
        content = read_within(path, MOST_RECORD_BYTES)
        found = decode_versioned(content, TerminalRecord, RECORD_VERSION, MOST_RECORD_BYTES)
        for keys in found.live:
            if keys.certificate:
                as_der(keys.certificate)
    except OSError as error:
        raise KeyFileError(f"keys of a terminal {path}: {error.strerror}", "Check its rights.") from error
    except NewerVersion as error:
        raise NewerRecord(f"{path} has {error}", "Update the software, or restore its backup.") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise KeyFileError(f"{path} holds no keys of a terminal", "Enrol that terminal again.") from error
    return found


def _cannot_keep(directory: Path, error: OSError) -> CollectorError:
    return CollectorError(
        f"nothing can be kept in {directory}: {error.strerror}", "Check the folder and its rights."
    )
