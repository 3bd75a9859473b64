"""Whose phones are known: the issuers' public keys by which the books and an audit check what phones signed.

They come from the file that is named, else from the newest list of issuers in the repository of signed bundles that the
collector serves, which is read again when another is served: terminals and books believe the same issuers. The bytes of
the list go into an audit's dossier, so that an auditor needs nothing else.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from cardproto.credential.keys import IssuerKeys
from terminal.collector.roll_out import TIMESTAMP_FILE, lists_of
from terminal.decoding import DOCUMENT_BYTES, TooManyBytes, decode_json, read_within
from terminal.errors import CollectorError, KeyFileError
from terminal.keys.file import issuers_in
from terminal.updates.bundle.roles import METADATA_FOLDER, TARGETS_FOLDER, BundleRole

MOST_ISSUERS_BYTES: Final = 1 << 20
_FILE: Final = "issuers.toml"
log: Final = logging.getLogger(__name__)


class _SignedFile(msgspec.Struct, frozen=True):
    hashes: dict[str, str]


class _SignedFiles(msgspec.Struct, frozen=True):
    targets: dict[str, _SignedFile] = {}


class _SignedFilesRole(msgspec.Struct, frozen=True):
    signed: _SignedFiles


class IssuersInForce(NamedTuple):
    """The file as it was signed, and what it says."""

    content: bytes = b""
    keys: IssuerKeys = IssuerKeys()


class KnownIssuers:
    """See above. Without file and repository none is known. One thread at a time."""

    def __init__(self, file: Path | None = None, repository: Path | None = None) -> None:
        """Raises `KeyFileError` where `file` cannot be used; a repository may come to have a list later."""
        self._repository = repository if file is None else None
        self._seen: tuple[int, int] | None = None
        self._known = IssuersInForce() if file is None else _in_file(file)

    @property
    def in_force(self) -> IssuersInForce:
        """Now. A repository that cannot be read leaves what was known before, and a line in the log."""
        if self._repository is not None:
            self._look(self._repository)
        return self._known

    def _look(self, repository: Path) -> None:
        try:
            found = (repository / METADATA_FOLDER / TIMESTAMP_FILE).stat()
        except OSError:
            return
        seen = found.st_mtime_ns, found.st_ino
        if seen == self._seen:
            return
        try:
            content = _served(repository)
            self._known = IssuersInForce(content, issuers_in(content, _FILE)) if content else IssuersInForce()
        except (CollectorError, KeyFileError) as error:
            log.warning("the issuers in the signed bundles cannot be used: %s", error)
        self._seen = seen


def _in_file(file: Path) -> IssuersInForce:
    try:
        content = read_within(file, MOST_ISSUERS_BYTES)
    except (OSError, TooManyBytes) as error:
        raise KeyFileError(
            f"{file} cannot be read: {error}", "Name the file of issuers' public keys."
        ) from error
    return IssuersInForce(content, issuers_in(content, str(file)))


def _served(repository: Path) -> bytes:
    """The newest list that is served, empty where there is none. Raises `CollectorError`."""
    version = lists_of(repository).get(BundleRole.ISSUERS.value)
    if version is None:
        return b""
    path = repository / METADATA_FOLDER / f"{version}.{BundleRole.ISSUERS.value}.json"
    try:
        targets = decode_json(read_within(path, DOCUMENT_BYTES), _SignedFilesRole).signed.targets
        for name, target in sorted(targets.items()):
            folder, _, file = name.rpartition("/")
            if file == _FILE:
                digest = target.hashes["sha256"]
                content = read_within(
                    repository / TARGETS_FOLDER / folder / f"{digest}.{file}", MOST_ISSUERS_BYTES
                )
                if sha256(content).hexdigest() == digest:
                    return content
                raise CollectorError(f"{name} is not what was signed", _AGAIN)
    except (OSError, TooManyBytes, msgspec.DecodeError, KeyError) as error:
        raise CollectorError(f"{path} cannot be used: {error}", _AGAIN) from error
    return b""


_AGAIN: Final = "Copy the repository there again: `terminal publish stick`."
