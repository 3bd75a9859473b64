"""A deny list's changes since its base, and the base that they make overnight.

    magic "RCDC" | format (1) | byte order ">" | key id (4) | region (2)
    | of the base: version (4), number (4), SHA-256 (32)
    | first, last number (4, 4) | SHA-256 of the increment before the first (32) | state (32)
    | issued at (8, Unix seconds) | entries added, removed (4, 4) | the added ascending | the removed ascending

An **increment** has one number and says what changed since the one before. Numbers go on from base to base; a base has
the number of the last increment that is in it. All changes since the base are the same kind of file, from the number
after the base's. `state` is the hash of what is so after the last number (`state_of`): a terminal that followed the
increments and one that fetched everything at once hold the same, or know that they do not. Entries are the list's
keyed hashes, so that passing them on needs no key.

A terminal looks in the changes first, then in the base where it lies (`ChangedDenyList`). Overnight base and changes
become the next base (`merge_changes`), equal to the byte to the one that the operator built and signed, so that what
is fetched then is a hash.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from terminal.errors import RegionDocumentError
from terminal.files import SHARED, replacing
from terminal.policy.deny_list import DENY_LIST, MARKS, DenyKind, DenyListFile
from terminal.policy.keyed_file import (
    BYTE_ORDER,
    HASH_BYTES,
    HEADER,
    VERSION_DIGITS,
    ListIssue,
)

MAGIC: Final = b"RCDC"
FORMAT: Final = 1
CHANGES_HEADER: Final = struct.Struct(">4sBc4sHII32sII32s32sQII")
HASH_LENGTH: Final = 32
NONE_BEFORE: Final = bytes(HASH_LENGTH)
MOST_CHANGED: Final = 2_000_000
"""Entries of one file of changes: a base that differs in more is published anew."""
MOST_CHANGES_BYTES: Final = CHANGES_HEADER.size + MOST_CHANGED * HASH_BYTES
ADVICE: Final = "Fetch the deny list's base and its changes again from the operator."


class DenyBase(Struct, frozen=True):
    """By what a base is known."""

    region: int
    version: int
    digest: bytes
    """SHA-256 of its file."""
    key: bytes
    """`key_id` of the key it was made with."""
    number: int = 0
    """Of the last increment that is in it; 0 for a list built from nothing."""

    @classmethod
    def of(cls, listed: DenyListFile, number: int = 0) -> DenyBase:
        return cls(listed.region, listed.version, listed.digest, listed.key_name, number)


class DenyChanges(Struct, frozen=True):
    """What the increments `first` to `last` change. `issued_at` is aware, to the second, and that of the last one."""

    base: DenyBase
    first: int
    last: int
    before: bytes
    """SHA-256 of the increment before `first`; zeros where there was none, and for all since a base."""
    state: bytes
    issued_at: datetime
    added: frozenset[bytes]
    removed: frozenset[bytes]

    @property
    def is_whole(self) -> bool:
        """Whether these are all changes since the base."""
        return self.first == self.base.number + 1


def unchanged(base: DenyBase, issued_at: datetime) -> DenyChanges:
    """Nothing has changed since `base`, which was issued then."""
    last, nothing = base.number, frozenset[bytes]()
    state = state_of(base, last, nothing, nothing)
    return DenyChanges(base, last + 1, last, NONE_BEFORE, state, issued_at, nothing, nothing)


def next_increment(
    whole: DenyChanges, before: bytes, issued_at: datetime, added: Iterable[bytes], removed: Iterable[bytes]
) -> DenyChanges:
    """The increment that follows `whole`, all changes so far, and the increment whose file has the hash `before`
    (`NONE_BEFORE` for the very first). `added` and `removed` are keyed hashes; what is in both counts as added.
    """
    more = frozenset(added)
    less = frozenset(removed) - more
    number = whole.last + 1
    present, absent = _joined(whole, more, less)
    return DenyChanges(
        whole.base,
        number,
        number,
        before,
        state_of(whole.base, number, present, absent),
        issued_at,
        more,
        less,
    )


def followed(whole: DenyChanges, increment: DenyChanges) -> DenyChanges:
    """All changes, with `increment`. Raises `RegionDocumentError` where it does not follow or leads elsewhere than it
    says.
    """
    if increment.base != whole.base:
        raise RegionDocumentError("the deny list's increment is of another base", ADVICE)
    if increment.first != whole.last + 1:
        raise RegionDocumentError(
            f"the deny list's increment {increment.first} does not follow {whole.last}", ADVICE
        )
    added, removed = _joined(whole, increment.added, increment.removed)
    if state_of(whole.base, increment.last, added, removed) != increment.state:
        raise RegionDocumentError(
            f"the deny list's increment {increment.last} leads to another state than it says", ADVICE
        )
    return DenyChanges(
        whole.base,
        whole.first,
        increment.last,
        NONE_BEFORE,
        increment.state,
        increment.issued_at,
        added,
        removed,
    )


def state_of(base: DenyBase, last: int, added: Iterable[bytes], removed: Iterable[bytes]) -> bytes:
    """The hash of what is so after increment `last` of `base`."""
    state = sha256(base.digest + last.to_bytes(4, "big"))
    for part in (sorted(added), sorted(removed)):
        state.update(len(part).to_bytes(4, "big") + b"".join(part))
    return state.digest()


def changes_bytes(changes: DenyChanges) -> bytes:
    """The file of `changes`."""
    base = changes.base
    header = CHANGES_HEADER.pack(
        MAGIC,
        FORMAT,
        BYTE_ORDER,
        base.key,
        base.region,
        base.version,
        base.number,
        base.digest,
        changes.first,
        changes.last,
        changes.before,
        changes.state,
        int(changes.issued_at.timestamp()),
        len(changes.added),
        len(changes.removed),
    )
    return header + b"".join(sorted(changes.added)) + b"".join(sorted(changes.removed))


def read_changes(content: bytes, called: str) -> DenyChanges:
    """What a file of changes says, `called` so in errors. Raises `RegionDocumentError`.

    Files that hold all changes are held to the state they state; an increment is by `followed`.
    """
    changes = _read(content, f"deny list's changes {called}")
    if changes.is_whole and changes.state != state_of(
        changes.base, changes.last, changes.added, changes.removed
    ):
        raise RegionDocumentError(
            f"the deny list's changes {called} lead to another state than they say", ADVICE
        )
    return changes


def _read(content: bytes, name: str) -> DenyChanges:
    if len(content) < CHANGES_HEADER.size:
        raise RegionDocumentError(f"{name} are cut off inside their header", ADVICE)
    magic, form, order, key, region, version, number, digest, *said = CHANGES_HEADER.unpack_from(content)
    first, last, before, state, issued_s, more, less = said
    if magic != MAGIC:
        raise RegionDocumentError(f"{name} are no such file", ADVICE)
    if form != FORMAT or order != BYTE_ORDER:
        raise RegionDocumentError(
            f"{name} have format {form} and byte order {order!r}",
            f"Make them anew in format {FORMAT}, or update the terminal's software.",
        )
    if more + less > MOST_CHANGED or len(content) != CHANGES_HEADER.size + (more + less) * HASH_BYTES:
        raise RegionDocumentError(f"{name} do not hold the {more + less} entries they state", ADVICE)
    if not region or not version or not number < first <= last + 1:
        raise RegionDocumentError(f"{name} state no region, no version or no number", ADVICE)
    split = CHANGES_HEADER.size + more * HASH_BYTES
    added = _ascending(content[CHANGES_HEADER.size : split], name)
    removed = _ascending(content[split:], name)
    if not added.isdisjoint(removed):
        raise RegionDocumentError(f"{name} add and remove the same entry", ADVICE)
    try:
        issued_at = datetime.fromtimestamp(issued_s, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise RegionDocumentError(f"{name} state a time of issue that no calendar has", ADVICE) from error
    base = DenyBase(region, version, digest, key, number)
    return DenyChanges(base, first, last, before, state, issued_at, added, removed)


def _ascending(part: bytes, name: str) -> frozenset[bytes]:
    entries = [part[start : start + HASH_BYTES] for start in range(0, len(part), HASH_BYTES)]
    if any(map(bytes.__ge__, entries, entries[1:])):
        raise RegionDocumentError(f"{name} are not sorted", ADVICE)
    return frozenset(entries)


def _joined(
    whole: DenyChanges, added: frozenset[bytes], removed: frozenset[bytes]
) -> tuple[frozenset[bytes], frozenset[bytes]]:
    return (whole.added | added) - removed, (whole.removed | removed) - added


def are_of(changes: DenyChanges, base: DenyListFile) -> bool:
    """Whether `changes` are all since `base`."""
    return changes.is_whole and changes.base == DenyBase.of(base, changes.base.number)


class ChangedDenyList:
    """A base with all changes since. `version` is the base's; `name` is another for every state."""

    def __init__(self, base: DenyListFile, changes: DenyChanges) -> None:
        """Raises `RegionDocumentError` where `changes` are not all since this base."""
        if not are_of(changes, base):
            raise RegionDocumentError("the changes are of another deny list", ADVICE)
        self.base: Final = base
        self.changes: Final = changes
        self.name: Final = f"{base.version}.{changes.last}:{changes.state.hex()[:VERSION_DIGITS]}"

    @property
    def version(self) -> int:
        return self.base.version

    @property
    def region(self) -> int:
        return self.base.region

    @property
    def issued_at(self) -> datetime:
        return self.changes.issued_at

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        """Whether there is such an entry now."""
        wanted = self.base.hash_of(MARKS[kind] + identity)
        if wanted in self.changes.added:
            return True
        return wanted not in self.changes.removed and self.base.holds(wanted)


def merge_changes(base: DenyListFile, changes: DenyChanges, issue: ListIssue, out: Path) -> bytes:
    """Write what `changes` make of `base` as the list of `issue` to `out`; return its SHA-256.

    Equal to the byte to a list built from its entries. Runs between two changed places are copied as they are.
    The old file stays until the new one is whole on disk. Raises `RegionDocumentError`.
    """
    try:
        with (
            base.path.open("rb") as file,
            closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data,
            memoryview(data) as whole,
        ):
            places = list(_places(base, changes))
            count = len(base) + sum(step for _entry, _place, step in places)
            with replacing(out, SHARED) as written:
                written.write(
                    HEADER.pack(
                        DENY_LIST.magic,
                        DENY_LIST.number,
                        BYTE_ORDER,
                        changes.base.key,
                        issue.region,
                        issue.version,
                        int(issue.issued_at.timestamp()),
                        count,
                    )
                )
                _copy(whole, places, written)
            return digest_of(out)
    except OSError as error:
        raise RegionDocumentError(
            f"deny list {out} cannot be written: {error}", "Check the directory's free space and rights."
        ) from error


def _places(base: DenyListFile, changes: DenyChanges) -> Iterator[tuple[bytes, int, int]]:
    """What really changes, ascending: an entry, its place in the file, and 1 where it is added, -1 where removed."""
    for entry in sorted(changes.added | changes.removed):
        place, is_there = base.place_of(entry)
        if is_there != (entry in changes.added):
            yield entry, place, -1 if is_there else 1


def _copy(whole: memoryview, places: list[tuple[bytes, int, int]], written: BinaryIO) -> None:
    start = HEADER.size
    for entry, place, step in places:
        written.write(whole[start:place])
        if step > 0:
            written.write(entry)
        start = place if step > 0 else place + HASH_BYTES
    written.write(whole[start:])


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file of any size."""
    with path.open("rb") as file:
        return file_digest(file, sha256).digest()
