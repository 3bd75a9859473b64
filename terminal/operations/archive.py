"""A sealed archive of files: what a backup is on its way and on its shelf.

    "RCTBACK1" | length (4) | header, JSON | piece, piece, …, last piece          piece: length (4) | sealed bytes

The pieces are a tar file, cut up and sealed one by one under the provider's storage key `backup`, each bound to the
header, its place and whether it is the last. So nothing can be read or changed without the key, and an archive that
was cut short, mixed or reordered does not open. Nothing is compressed, because most of it is sealed already, and memory
does not grow with the archive.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

import msgspec

from terminal.decoding import decode_json
from terminal.errors import BackupError, KeyFileError
from terminal.files import Sealer, open_new

PURPOSE: Final = "backup"
"""The provider's storage key under which archives are sealed."""
MAGIC: Final = b"RCTBACK1"
PIECE_BYTES: Final = 1 << 20
MAX_HEADER_BYTES: Final = 4096
MAX_PIECE_BYTES: Final = PIECE_BYTES + 64
_DAMAGED: Final = "Take another backup: this one is cut short, changed, or of another key file."


class BackupHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What may be read without the key. `head` is the newest journal row in it, `name` makes it one of a kind."""

    terminal: int
    profile: str
    software: str
    at_ms: int
    head: int
    name: str


def write_archive(target: BinaryIO, header: BackupHeader, files: Mapping[str, Path], sealer: Sealer) -> None:
    """Write `files`, by their names in the archive. Raises `KeyFileError` without a key, and OSError."""
    stated = msgspec.json.encode(header)
    target.write(MAGIC + len(stated).to_bytes(4, "big") + stated)
    pieces = _SealingWriter(target, stated, sealer)
    with tarfile.open(fileobj=pieces, mode="w|", dereference=True) as tar:  # a hard link is a file
        for name, path in files.items():
            tar.add(path, name, recursive=False)
    pieces.finish()


def read_header(path: Path) -> BackupHeader:
    """What the archive says of itself; believed only when it was opened with the key. Raises `BackupError`."""
    source, _, header = _open(path)
    source.close()
    return header


def read_archive(path: Path, folder: Path, sealer: Sealer) -> BackupHeader:
    """Put the files of the archive at `path` below `folder`. Raises `BackupError`, `KeyFileError`, and OSError when
    `folder` cannot take them.
    """
    source, stated, header = _open(path)
    with source:
        opening = _OpeningReader(source, stated, sealer, path)
        pieces = io.BufferedReader(opening)  # type: ignore[type-var]  # typeshed wants `name` and more, which are not used
        try:
            with tarfile.open(fileobj=pieces, mode="r|") as tar:
                for member in tar:
                    _unpack(tar, member, folder, path)
            while pieces.read(PIECE_BYTES):  # also what follows the last file must be whole
                pass
        except (tarfile.TarError, EOFError) as error:
            raise BackupError(f"{path} is damaged: {error}", _DAMAGED) from error
    return header


def _open(path: Path) -> tuple[io.BufferedReader, bytes, BackupHeader]:
    """The file behind its header, the header's bytes, and what they say."""
    try:
        source = path.open("rb")
    except OSError as error:
        raise BackupError(
            f"{path} cannot be read: {error.strerror}", "Check the path and its rights."
        ) from error
    try:
        if source.read(len(MAGIC)) != MAGIC:
            raise BackupError(
                f"{path} is no backup of a terminal", "Give a file that `terminal backup` wrote."
            )
        length = int.from_bytes(source.read(4), "big")
        stated = source.read(length) if length <= MAX_HEADER_BYTES else b""
        return source, stated, decode_json(stated, BackupHeader, MAX_HEADER_BYTES)
    except msgspec.DecodeError as error:
        source.close()
        raise BackupError(f"the header of {path} is damaged", _DAMAGED) from error
    except BackupError:
        source.close()
        raise


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, path: Path) -> None:
    """Plain files below `folder` and nothing else, whatever the archive says."""
    place = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isfile() else None
    if content is None or place.is_absolute() or ".." in place.parts:
        raise BackupError(f"{path} holds {member.name!r}, which is no file of a terminal", _DAMAGED)
    target = folder / place
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, open_new(target) as file:
        shutil.copyfileobj(content, file, PIECE_BYTES)


class _SealingWriter(io.RawIOBase):
    """Cuts what is written into pieces and seals each."""

    def __init__(self, target: BinaryIO, stated: bytes, sealer: Sealer) -> None:
        self._target, self._stated, self._sealer = target, stated, sealer
        self._waiting = bytearray()
        self._pieces = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # tarfile writes bytes and nothing else
        self._waiting += data
        while len(self._waiting) > PIECE_BYTES:
            self._put(bytes(self._waiting[:PIECE_BYTES]), last=False)
            del self._waiting[:PIECE_BYTES]
        return len(data)

    def finish(self) -> None:
        self._put(bytes(self._waiting), last=True)

    def _put(self, piece: bytes, *, last: bool) -> None:
        sealed = self._sealer.seal(PURPOSE, piece, _bound(self._stated, self._pieces, last=last))
        self._target.write(len(sealed).to_bytes(4, "big") + sealed)
        self._pieces += 1


class _OpeningReader(io.RawIOBase):
    """The pieces, opened one after the other, as one stream."""

    def __init__(self, source: io.BufferedReader, stated: bytes, sealer: Sealer, path: Path) -> None:
        self._source, self._stated, self._sealer, self._path = source, stated, sealer, path
        self._piece = b""
        self._pieces = 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # as BufferedReader calls it
        while not self._piece and not self._ended:
            self._next()
        taken = self._piece[: len(buffer)]
        buffer[: len(taken)] = taken
        self._piece = self._piece[len(taken) :]
        return len(taken)

    def _next(self) -> None:
        length = int.from_bytes(self._source.read(4), "big")
        sealed = self._source.read(length) if 0 < length <= MAX_PIECE_BYTES else b""
        if not sealed or len(sealed) < length:
            raise BackupError(f"{self._path} is cut short or damaged", _DAMAGED)
        self._ended = not self._source.peek(1)  # the seal shows whether it really is the last
        try:
            bound = _bound(self._stated, self._pieces, last=self._ended)
            self._piece = self._sealer.unseal(PURPOSE, sealed, bound)
        except KeyFileError as error:
            self._sealer.seal(PURPOSE, b"", b"")  # a provider without such a key says so in its own words
            raise BackupError(f"{self._path} does not open: {error.what}", _DAMAGED) from error
        self._pieces += 1


def _bound(stated: bytes, piece: int, *, last: bool) -> bytes:
    return MAGIC + len(stated).to_bytes(4, "big") + stated + piece.to_bytes(8, "big") + bytes([last])
