"""Lists of keyed hashes in sorted files that are searched where they lie: deny list and list of grants.

    magic (4) | format (1) | byte order ">" | key id (4) | region (2) | version (4) | issued at (8, Unix seconds)
    | count (4) | count records of one length, ascending by the keyed hash each begins with

The hash is BLAKE2s (RFC 7693) under the list key, 8 bytes of it (T-42), so a file reveals neither cards nor people.
All numbers are big-endian, so hashes compare as bytes and a file means the same on every machine; one that says
otherwise is refused. Memory stays constant however long the list is: pages are mapped, not loaded.

Of two lists of one region the one with the higher version replaces the other.
"""

from __future__ import annotations

import csv
import mmap
import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2s, sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final, NoReturn, Protocol, TypeVar

from msgspec import Struct

from terminal.errors import Mistake, RegionDocumentError
from terminal.files import SHARED, replacing
from terminal.mistakes.reading import MOST_MISTAKES, Unreadable, lines_of
from terminal.mistakes.words import refusal
from terminal.policy.mistakes import RowMistake

Entry = TypeVar("Entry")
MOST_CSV_BYTES: Final = 128 << 20
"""Of the entries that a list is made from: two million rows of grants."""
MOST_HELD_BYTES: Final = 32 << 20
"""Of records that are sorted into a list."""
BYTE_ORDER: Final = b">"
HASH_BYTES: Final = 8
LONGEST_KEY: Final = blake2s.MAX_KEY_SIZE
BUCKET_BITS: Final = 16
"""By their first two bytes records are found: of ten million, in one place are some 150."""
BUCKETS: Final = 1 << BUCKET_BITS
LARGEST_VERSION: Final = 0xFFFFFFFF
VERSION_DIGITS: Final = 16
"""How much of a list's digest stands in its name."""
HEADER: Final = struct.Struct(">4sBc4sHIQI")
_RECORDS_AT_ONCE: Final = 2048


class IssuedList(Protocol):
    """Which issue of a list this is. A list without entries that was never issued has version 0, region 0, no time and
    an empty name.
    """

    @property
    def version(self) -> int: ...

    @property
    def region(self) -> int: ...

    @property
    def issued_at(self) -> datetime | None: ...

    @property
    def name(self) -> str:
        """The list as records name it: version and digest, so that two issues of one number can be distinguished."""
        ...


class ListIssue(Struct, frozen=True):
    """What a list says of itself: `issued_at` is aware, to the second."""

    version: int
    region: int
    issued_at: datetime


class ListFormat(Struct, frozen=True):
    """One kind of list: `what` it is called in messages, its magic, format number, and bytes of a record's content."""

    what: str
    magic: bytes
    number: int
    content_bytes: int = 0

    @property
    def record_bytes(self) -> int:
        return HASH_BYTES + self.content_bytes

    @property
    def advice(self) -> str:
        return f"Fetch the {self.what} again from the operator."


class KeyedFile:
    """A checked, mapped list. Raises `RegionDocumentError` naming a file that cannot be trusted."""

    def __init__(
        self, path: Path, key: bytes | None, form: ListFormat, called: str = "", sorted_digest: bytes = b""
    ) -> None:
        """Map the list at `path`, built with `key`; None where only hashes are asked for. `called`: its name in
        errors. Its order is checked here, unless its hash is `sorted_digest`, that of a list whose order has been
        checked before.
        """
        name = f"{form.what} {called or path}"
        self.path = path
        self.hash_of: Final = _no_key if key is None else keyed_hash(key)
        """What the record of an identity begins with."""
        self._bytes = form.record_bytes
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise RegionDocumentError(f"{name} is empty", form.advice) from error
        except OSError as error:
            raise RegionDocumentError(f"{name} cannot be read: {error}", form.advice) from error
        self.digest: Final = sha256(self._map).digest()
        """The hash of the file."""
        try:
            self.issue, self.key_name, self._buckets = _checked(
                self._map, key, form, name, in_order=self.digest == sorted_digest
            )
        except RegionDocumentError:
            self._map.close()
            raise
        self.name: Final = f"{self.issue.version}:{self.digest.hex()[:VERSION_DIGITS]}"
        _let_go(self._map)

    def __len__(self) -> int:
        return (self._buckets[-1] - self._buckets[0]) // self._bytes

    @property
    def version(self) -> int:
        return self.issue.version

    @property
    def region(self) -> int:
        return self.issue.region

    @property
    def issued_at(self) -> datetime:
        return self.issue.issued_at

    def find(self, identity: bytes) -> bytes | None:
        """The content of the record of `identity`; None without one.

        Only the records whose hashes begin with the same `BUCKET_BITS` are looked through.
        """
        place = self._place(self.hash_of(identity))
        return None if place < 0 else self._map[place + HASH_BYTES : place + self._bytes]

    def holds(self, wanted: bytes) -> bool:
        """Whether there is a record with this keyed hash."""
        return self._place(wanted) >= 0

    def _place(self, wanted: bytes) -> int:
        """Where the record that begins with `wanted` is, which may also stand within another one; -1: nowhere."""
        begins, bucket = self._buckets, wanted[0] << 8 | wanted[1]
        start, end = begins[bucket], begins[bucket + 1]
        place = self._map.find(wanted, start, end)
        while place >= 0 and (place - start) % self._bytes:
            place = self._map.find(wanted, place + 1, end)
        return place

    def place_of(self, wanted: bytes) -> tuple[int, bool]:
        """Where in the file the record with this keyed hash is or would be, and whether it is."""
        begins, size = self._buckets, self._bytes
        bucket = wanted[0] << 8 | wanted[1]
        start, data = begins[bucket], self._map
        records = range((begins[bucket + 1] - start) // size)
        number = bisect_left(
            records, wanted, key=lambda one: data[start + one * size : start + one * size + HASH_BYTES]
        )
        place = start + number * size
        return place, number < len(records) and data[place : place + HASH_BYTES] == wanted

    def close(self) -> None:
        """Unmap the file; the list is not to be used any more."""
        self._map.close()


def write_keyed_file(
    path: Path, key: bytes, form: ListFormat, issue: ListIssue, records: Iterable[tuple[bytes, bytes]]
) -> int:
    """Write a list of `records`, identity and content, to `path`; return how many there are.

    The old list stays until the new one is whole on disk: a reader sees the one or the other, also after a power cut.
    Raises `RegionDocumentError`.
    """
    hash_of = keyed_hash(key)
    issued_s = int(issue.issued_at.timestamp())
    try:
        with TemporaryFile(dir=path.parent) as lying:
            pieces = _Pieces(lying, form.record_bytes)
            for identity, content in records:
                pieces.put(hash_of(identity) + content)
            with replacing(path, SHARED) as file:
                file.seek(HEADER.size)
                count = sum(map(file.write, pieces.ascending())) // form.record_bytes
                file.seek(0)
                file.write(
                    HEADER.pack(
                        form.magic,
                        form.number,
                        BYTE_ORDER,
                        key_id(key),
                        issue.region,
                        issue.version,
                        issued_s,
                        count,
                    )
                )
    except OSError as error:
        raise RegionDocumentError(
            f"{form.what} {path} cannot be written: {error}", "Check the directory's free space and rights."
        ) from error
    return count


class _Pieces:
    """Records by the first byte of their hashes, to be sorted one piece after the other: however many there are, memory
    holds `MOST_HELD_BYTES` of them and one piece; the others lie in a file without a name.
    """

    def __init__(self, lying: BinaryIO, record_bytes: int) -> None:
        self._lying, self._size = lying, record_bytes
        self._held = [bytearray() for _ in range(256)]
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(256)]
        self._room = MOST_HELD_BYTES

    def put(self, record: bytes) -> None:
        self._held[record[0]] += record
        self._room -= self._size
        if self._room <= 0:
            self._lay_down()

    def _lay_down(self) -> None:
        for held, places in zip(self._held, self._places, strict=True):
            if held:
                places.append((self._lying.tell(), len(held)))
                self._lying.write(held)
                held.clear()
        self._room = MOST_HELD_BYTES

    def ascending(self) -> Iterator[bytes]:
        """Every record once, in order, a piece at a time; of two with one hash the one that came last."""
        size = self._size
        for held, places in zip(self._held, self._places, strict=True):
            piece = b"".join((*map(self._lain, places), held))
            by_hash = {
                piece[start : start + HASH_BYTES]: piece[start : start + size]
                for start in range(0, len(piece), size)
            }
            yield b"".join(by_hash[mark] for mark in sorted(by_hash))

    def _lain(self, place: tuple[int, int]) -> bytes:
        self._lying.seek(place[0])
        return self._lying.read(place[1])


class RowWrong(Exception):
    """What is wrong with one row. What stands in it is never repeated: it may name a card or a person."""

    def __init__(self, code: RowMistake, **values: int | str) -> None:
        super().__init__(code)
        self.code, self.values = code, values


def entries_of(
    path: Path,
    columns: tuple[str, ...],
    entry_of: Callable[[Mapping[str, str]], Entry],
    *,
    most_bytes: int = MOST_CSV_BYTES,
    on_read: Callable[[int], None] = lambda _bytes: None,
) -> Iterator[tuple[int, Entry]]:
    """What `entry_of` makes of each row of a CSV file that has exactly these `columns`, with its line, while the file
    is read; `on_read` hears how many bytes more of it.

    Raises `RegionDocumentError`, at the end, with every row for which `entry_of` raises `RowWrong`, or the first
    `MOST_MISTAKES` of them.
    """
    found: list[Mistake] = []
    try:
        rows = csv.reader(lines_of(path, most_bytes, private=True, on_read=on_read))
        if tuple(next(rows, ())) != columns:
            found = [Mistake("", RowMistake.NO_HEADER, {"columns": ",".join(columns)}, str(path), 1)]
            raise refusal(RegionDocumentError, found)
        for row in rows:
            if not row:  # an empty line
                continue
            try:
                if len(row) != len(columns):
                    raise RowWrong(RowMistake.COLUMNS, columns=len(columns))
                yield rows.line_num, entry_of(dict(zip(columns, row, strict=True)))
            except RowWrong as wrong:
                found.append(Mistake("", wrong.code, wrong.values, str(path), rows.line_num))
                if len(found) == MOST_MISTAKES:
                    break
    except Unreadable as unreadable:
        raise refusal(RegionDocumentError, unreadable.in_file(str(path))) from None
    except csv.Error:  # what it says quotes the file
        found.append(Mistake("", RowMistake.NO_CSV, {}, str(path)))
    if found:
        raise refusal(RegionDocumentError, found)


def key_id(key: bytes) -> bytes:
    """Four bytes that tell list keys apart without giving them away."""
    return sha256(b"list key id" + key).digest()[:4]


def keyed_hash(key: bytes) -> Callable[[bytes], bytes]:
    """What a record begins with, by the identity it is of.

    BLAKE2s takes a key of its own, and the state that has taken it in is kept: a tap asks three times. Of a key that is
    too long for it the hash is the key.
    """
    keyed = blake2s(key=key if len(key) <= LONGEST_KEY else sha256(key).digest(), digest_size=HASH_BYTES)

    def hash_of(identity: bytes) -> bytes:
        state = keyed.copy()
        state.update(identity)
        return state.digest()

    return hash_of


def _no_key(_identity: bytes) -> bytes:
    raise ValueError("a list that was opened without its key is asked for hashes alone")


def _let_go(data: mmap.mmap) -> None:
    """The pages that were read once, to check them, count as this process's memory no longer."""
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)


def _checked(
    data: mmap.mmap, key: bytes | None, form: ListFormat, name: str, *, in_order: bool
) -> tuple[ListIssue, bytes, array[int]]:
    """Issue of a list whose every part has been checked, `key_id` of its key, and where each bucket of its records
    begins and ends.

    `in_order`: its records are known to ascend.
    """

    def refuse(what: str, advice: str = form.advice) -> NoReturn:
        raise RegionDocumentError(f"{name} {what}", advice)

    if len(data) < HEADER.size:
        refuse("is cut off inside its header")
    magic, number, order, key_name, region, version, issued_s, count = HEADER.unpack_from(data)
    if magic != form.magic:
        refuse(f"is not a {form.what}", "Give the file the operator publishes.")
    if number != form.number or order != BYTE_ORDER:
        refuse(
            f"has format {number} and byte order {order!r}",
            f"Make it anew in format {form.number}, or update the terminal's software.",
        )
    if key is not None and key_name != key_id(key):
        refuse("was made with another key", "Install the matching key.")
    if len(data) != HEADER.size + count * form.record_bytes:
        refuse(f"does not hold the {count} entries it states")
    if not version or not region:
        refuse("states no version or no region")
    searched = in_order and count > BUCKETS
    buckets = _found_buckets(data, form, count) if searched else _buckets(data, form, refuse)
    try:
        return ListIssue(version, region, datetime.fromtimestamp(issued_s, UTC)), key_name, buckets
    except (OverflowError, ValueError, OSError):
        refuse("states a time of issue that no calendar has")


def _buckets(data: mmap.mmap, form: ListFormat, refuse: Callable[[str], NoReturn]) -> array[int]:
    """Where the records of each bucket begin, and the end of all. One pass in small pieces, which refuses an unsorted
    list: a search in it would miss entries in silence.
    """
    starts, last = array("Q"), -1
    below = 8 * HASH_BYTES - BUCKET_BITS
    size = form.record_bytes
    for start in range(HEADER.size, len(data), size * _RECORDS_AT_ONCE):
        piece = data[start : start + size * _RECORDS_AT_ONCE]
        hashes = _hashes(len(piece) // size, form.content_bytes).unpack(piece)
        if hashes[0] <= last or any(map(int.__ge__, hashes, hashes[1:])):
            refuse("is not sorted")
        last = hashes[-1]
        if len(hashes) < (last >> below) - len(starts):  # then a step each is less than one for each bucket
            for place, mark in enumerate(hashes):
                starts.extend(array("Q", (start + place * size,)) * ((mark >> below) + 1 - len(starts)))
        while len(starts) <= last >> below:
            starts.append(start + bisect_left(hashes, len(starts) << below) * size)
    starts.extend(array("Q", (len(data),)) * (BUCKETS + 1 - len(starts)))
    return starts


def _found_buckets(data: mmap.mmap, form: ListFormat, count: int) -> array[int]:
    """As `_buckets`, of a list of `count` records that is sorted: each beginning is searched for, by the first byte of
    the hashes and then by the second, without a copy of the list.
    """
    size, starts, end = form.record_bytes, array("Q"), 0
    with (
        memoryview(data) as file,
        file[HEADER.size :: size] as firsts,
        file[HEADER.size + 1 :: size] as seconds,
    ):
        for first in range(256):
            place, end = end, bisect_left(firsts, first + 1, end, count)
            for second in range(256):
                place = bisect_left(seconds, second, place, end)
                starts.append(HEADER.size + place * size)
    starts.append(len(data))
    return starts


@cache
def _hashes(count: int, content_bytes: int) -> struct.Struct:
    """Takes the hashes out of so many records."""
    return struct.Struct(">" + f"Q{content_bytes}x" * count)
