"""JSON and MessagePack of any origin into values, within limits: so many bytes, and no deeper than can be read.

The decoders underneath end with RecursionError where something is nested too deeply, which no reader expects: here
that is a decoding error like any other. docs/security.md lists every parser of the product with its limits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

SMALL_BYTES: Final = 64 << 10
"""For what the product itself writes: an address, a code, a status."""
DOCUMENT_BYTES: Final = 16 << 20
"""For what people and other systems write: documents, lists, rosters."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class ValueDecoder(Protocol[T_co]):
    """A decoder of msgspec's, of either format."""

    def decode(self, data: Any, /) -> T_co: ...


class NestedTooDeep(msgspec.DecodeError):
    """It is nested too deeply to be read."""

    def __init__(self) -> None:
        super().__init__("nested too deeply")


class NewerVersion(msgspec.DecodeError):
    """A file states a later version than this software reads."""

    def __init__(self, version: int, known: int) -> None:
        super().__init__(f"version {version}, this software reads {known}")


class _StatesVersion(msgspec.Struct, frozen=True):
    version: int = 1


class _StatesFormat(msgspec.Struct, frozen=True):
    format: int = 1


class TooManyBytes(msgspec.DecodeError):
    """It has more bytes than are read."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"longer than {most_bytes} bytes")
        self.most_bytes = most_bytes


def decode_json(data: bytes | bytearray | str, kind: type[T], most_bytes: int = DOCUMENT_BYTES) -> T:
    """One value. Raises `msgspec.DecodeError`, also for text that is no UTF-8, too long or too deep."""
    return decoded(msgspec.json.Decoder(kind), data, most_bytes)


def decode_versioned(
    data: bytes, kind: type[T], known: int, most_bytes: int = DOCUMENT_BYTES, *, in_format: bool = False
) -> T:
    """One value of a file whose field `version` takes up to `known`, or whose field `format` does (`in_format`); a file
    without it is of version 1.

    Raises `msgspec.DecodeError`: `NewerVersion` for a later version, whatever else is in the file.
    """
    try:
        return decode_json(data, kind, most_bytes)
    except TooManyBytes:
        raise
    except msgspec.DecodeError as error:
        try:
            version = _stated(data, most_bytes, in_format=in_format)
        except msgspec.DecodeError:
            raise error from None
        if version > known:
            raise NewerVersion(version, known) from error
        raise


def _stated(data: bytes, most_bytes: int, *, in_format: bool) -> int:
    if in_format:
        return decode_json(data, _StatesFormat, most_bytes).format
    return decode_json(data, _StatesVersion, most_bytes).version


def decode_msgpack(
    data: bytes | bytearray | memoryview, kind: type[T], most_bytes: int = DOCUMENT_BYTES
) -> T:
    """One value. Raises `msgspec.DecodeError`, also for what is too long or too deep."""
    return decoded(msgspec.msgpack.Decoder(kind), data, most_bytes)


def decoded(decoder: ValueDecoder[T], data: Any, most_bytes: int = DOCUMENT_BYTES) -> T:
    """What `decoder`, one of msgspec's, makes of `data`. Raises `msgspec.DecodeError` only."""
    if len(data) > most_bytes:
        raise TooManyBytes(most_bytes)
    try:
        return decoder.decode(data)
    except RecursionError:
        raise NestedTooDeep from None
    except UnicodeError as error:
        raise msgspec.DecodeError(str(error)) from error


def read_within(path: Path, most_bytes: int) -> bytes:
    """What is in a file, when it is no longer than `most_bytes`. Raises OSError, or `TooManyBytes`."""
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise TooManyBytes(most_bytes)
    return content
