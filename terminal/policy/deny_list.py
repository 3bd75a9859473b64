"""The deny list (стоп-лист): keyed hashes in a sorted file that is searched where it lies.

    magic "RCDL" | version 2 | byte order ">" | key id (4) | count (4) | count entries of 8 bytes, ascending

An entry is HMAC-SHA256(list key, kind | identity) cut to 8 bytes (T-42), where a kind and what identifies it are

    "card"    the UID of a resident card: lost, copied or replaced. The holder's other cards go on
    "person"  the pseudonym on a resident's cards: whichever of them is presented, also one issued later
    "bank"    the token of a bank card with an unpaid charge

so the file reveals neither cards nor people, not even which kind an entry is of, and an entry of one kind never
matches another. All numbers are big-endian, so entries compare as bytes and the file means the same on every machine;
a file that says otherwise is refused. Memory stays constant however long the list is: pages are mapped, not loaded.
"""

from __future__ import annotations

import csv
import hmac
import mmap
import re
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from terminal.errors import RegionDocumentError
from terminal.files import SHARED, replacing

MAGIC: Final = b"RCDL"
VERSION: Final = 2
BYTE_ORDER: Final = b">"
ENTRY_BYTES: Final = 8
VERSION_DIGITS: Final = 16
"""How much of a list's digest names it in records and checkpoints."""

_HEADER: Final = struct.Struct(">4sBc4sI")
_CHUNK_BYTES: Final = ENTRY_BYTES * 8192
_FETCH: Final = "Fetch the deny list again from the operator."


class DenyKind(StrEnum):
    """What an entry is of."""

    CARD = "card"
    PERSON = "person"
    BANK_CARD = "bank"


IDENTITY_BYTES: Final[Mapping[DenyKind, int]] = MappingProxyType({DenyKind.CARD: 7, DenyKind.PERSON: 8})
"""What an operator lists by hand; tokens of bank cards come from the one who charges them."""
COLUMNS: Final = ("kind", "identity")


class DenyList(Protocol):
    """Which cards, and whose, are refused everywhere."""

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        """Whether the card or person with `identity` (see the module) has an entry of `kind`."""
        ...

    @property
    def version(self) -> str:
        """Which list this is, as records name it; empty for none."""
        ...


class EmptyDenyList:
    """A list without entries."""

    version: Final = ""

    def contains(self, kind: DenyKind, identity: bytes) -> bool:  # noqa: ARG002 the protocol's arguments
        return False


EMPTY_DENY_LIST: Final = EmptyDenyList()


@dataclass(frozen=True, slots=True)
class AllDenied:
    """All have an entry of one of `kinds`: for a scenario, or a card whose entry is already known."""

    version: str
    kinds: frozenset[DenyKind] = frozenset(DenyKind)

    def contains(self, kind: DenyKind, identity: bytes) -> bool:  # noqa: ARG002 the protocol's argument
        return kind in self.kinds


def denied(deny_list: DenyList, pseudonym: bytes, uid: bytes) -> DenyKind | None:
    """What of a resident card is on the list: its holder, asked first because that can be asked again of a record, or
    the card itself; None when neither is."""
    if deny_list.contains(DenyKind.PERSON, pseudonym):
        return DenyKind.PERSON
    return DenyKind.CARD if deny_list.contains(DenyKind.CARD, uid) else None


class DenyListFile:
    """A checked, mapped list. Raises `RegionDocumentError` naming a file that cannot be trusted."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Map the list at `path`, built with `key`; its order is checked once, here."""
        self.path = path
        self._key = key
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise RegionDocumentError(f"deny list {path} is empty", _FETCH) from error
        except OSError as error:
            raise RegionDocumentError(f"deny list {path} cannot be read: {error}", _FETCH) from error
        try:
            self._count = _checked_count(self._map, path, key)
            self.version: Final = sha256(self._map).hexdigest()[:VERSION_DIGITS]
        except RegionDocumentError:
            self._map.close()
            raise

    def __len__(self) -> int:
        return self._count

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        """Whether there is such an entry: about log2(n) comparisons in the mapped file."""
        wanted = _entry(self._key, kind, identity)
        place = bisect_left(range(self._count), wanted, key=self._at)
        return place < self._count and self._at(place) == wanted

    def close(self) -> None:
        """Unmap the file; the list is not to be used any more."""
        self._map.close()

    def _at(self, index: int) -> bytes:
        start = _HEADER.size + index * ENTRY_BYTES
        return self._map[start : start + ENTRY_BYTES]


def build_deny_list(path: Path, key: bytes, denied: Iterable[tuple[DenyKind, bytes]]) -> int:
    """Write the list of what is `denied`, each by kind and identity, to `path` and return its length.

    The old list stays until the new one is whole on disk: a reader sees the one or the other, also after a
    power cut.
    """
    entries = sorted({_entry(key, kind, identity) for kind, identity in denied})
    try:
        with replacing(path, SHARED) as file:
            file.write(_HEADER.pack(MAGIC, VERSION, BYTE_ORDER, key_id(key), len(entries)))
            file.writelines(entries)
    except OSError as error:
        raise RegionDocumentError(
            f"deny list {path} cannot be written: {error}", "Check the directory's free space and rights."
        ) from error
    return len(entries)


def read_denied(path: Path) -> Iterator[tuple[DenyKind, bytes]]:
    """What an operator wants denied, from a CSV file with the columns `kind` and `identity`: `card` with a UID of 7
    bytes, or `person` with a pseudonym of 8, in hexadecimal. Raises `RegionDocumentError` naming the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != COLUMNS:
                raise RegionDocumentError(  # which is not repeated: it may be an entry
                    f"{path} does not begin with the line {','.join(COLUMNS)}",
                    "Put it first, and separate columns with commas.",
                )
            for row in rows:
                yield _to_deny(f"{path}:{rows.line_num}", row)
    except OSError as error:
        raise RegionDocumentError(
            f"{path} cannot be read: {error}", "Give a CSV file that this user may read."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RegionDocumentError(f"{path} cannot be read ({error})", "Give a CSV file in UTF-8.") from error


def _to_deny(at: str, row: Mapping[str, str | None]) -> tuple[DenyKind, bytes]:
    """The entry of a line. What is wrong is not repeated: it names a card or a person."""
    kind = next((kind for kind in IDENTITY_BYTES if kind == row["kind"]), None)
    if kind is None:
        raise RegionDocumentError(
            f"{at} is of no known kind", f"Begin it with {' or '.join(IDENTITY_BYTES)}."
        )
    written = row["identity"] or ""
    if re.fullmatch("[0-9a-fA-F]+", written) is None or len(written) != 2 * IDENTITY_BYTES[kind]:
        raise RegionDocumentError(
            f"{at}: what identifies a {kind} is {2 * IDENTITY_BYTES[kind]} hexadecimal digits",
            "Correct the line.",
        )
    if len(row) > len(COLUMNS):
        raise RegionDocumentError(f"{at} has more than {len(COLUMNS)} columns", "Give one entry a line.")
    return kind, bytes.fromhex(written)


def key_id(key: bytes) -> bytes:
    """Four bytes that tell list keys apart without giving them away."""
    return sha256(b"deny list key id" + key).digest()[:4]


def _entry(key: bytes, kind: DenyKind, identity: bytes) -> bytes:
    return hmac.digest(key, kind.encode() + identity, "sha256")[:ENTRY_BYTES]


def _checked_count(data: mmap.mmap, path: Path, key: bytes) -> int:
    if len(data) < _HEADER.size:
        raise RegionDocumentError(f"deny list {path} is cut off inside its header", _FETCH)
    magic, version, order, key_name, count = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise RegionDocumentError(f"{path} is not a deny list", "Give the file the operator publishes.")
    if version != VERSION or order != BYTE_ORDER:
        raise RegionDocumentError(
            f"deny list {path} has format {version} and byte order {order!r}",
            "Update the terminal's software.",
        )
    if key_name != key_id(key):
        raise RegionDocumentError(f"deny list {path} was made with another key", "Install the matching key.")
    if len(data) != _HEADER.size + count * ENTRY_BYTES:
        raise RegionDocumentError(f"deny list {path} does not hold the {count} entries it states", _FETCH)
    _check_order(data, path)
    return int(count)


def _check_order(data: mmap.mmap, path: Path) -> None:
    """One pass in small pieces: a search in an unsorted list would miss entries in silence."""
    last = -1
    for start in range(_HEADER.size, len(data), _CHUNK_BYTES):
        piece = data[start : start + _CHUNK_BYTES]
        numbers = struct.unpack(f">{len(piece) // ENTRY_BYTES}Q", piece)
        if numbers[0] <= last or any(map(int.__ge__, numbers, numbers[1:])):
            raise RegionDocumentError(f"deny list {path} is not sorted", _FETCH)
        last = numbers[-1]
