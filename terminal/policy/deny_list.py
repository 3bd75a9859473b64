"""The deny list (стоп-лист): a list of keyed hashes alone (`terminal.policy.keyed_file`, magic "RCDL", format 4).

An entry is the hash of a kind and what identifies it:

    "card"    the UID of a resident card: lost, copied or replaced. The holder's other cards go on
    "person"  the pseudonym on a resident's cards: whichever of them is presented, also one issued later
    "reference"  what rows of journals say in a card's place: the card within one purpose, buses or canteens, whose
              rows say so; what is known of a card when only a row is at hand
    "medium"    a medium whose holder has another that is active: a card or phone by its reference, or one credential of
              a phone by its id. What the issuer lists when a concession moves to a phone, or from a lost one to a new
    "bank"    the token of a bank card with an unpaid charge

so the file does not even reveal which kind an entry is of, and an entry of one kind never matches another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from terminal.policy.keyed_file import (
    IssuedList,
    KeyedFile,
    ListFormat,
    ListIssue,
    RowWrong,
    entries_of,
    write_keyed_file,
)
from terminal.policy.mistakes import RowMistake

DENY_LIST: Final = ListFormat("deny list", b"RCDL", 4)


class DenyKind(StrEnum):
    """What an entry is of."""

    CARD = "card"
    PERSON = "person"
    REFERENCE = "reference"
    MEDIUM = "medium"
    BANK_CARD = "bank"


PERSON: Final = DenyKind.PERSON
CARD: Final = DenyKind.CARD
REFERENCE: Final = DenyKind.REFERENCE
MEDIUM: Final = DenyKind.MEDIUM
MARKS: Final[Mapping[DenyKind, bytes]] = MappingProxyType({kind: kind.encode() for kind in DenyKind})
"""What an identity is hashed behind, by the kind of its entry."""
IDENTITY_BYTES: Final[Mapping[DenyKind, int]] = MappingProxyType(
    {
        DenyKind.CARD: 7,
        DenyKind.PERSON: 8,
        DenyKind.REFERENCE: 8,
        DenyKind.MEDIUM: 8,
        DenyKind.BANK_CARD: 16,
    }
)
"""What an operator lists by hand, by how long it is; tokens of bank cards are what their rows say."""
_LISTED: Final[Mapping[str, DenyKind]] = MappingProxyType({kind.value: kind for kind in IDENTITY_BYTES})
MOST_DENIED_CSV_BYTES: Final = 512 << 20
"""Of a file of what is to be denied: twenty million rows."""
COLUMNS: Final = ("kind", "identity")


class DenyList(IssuedList, Protocol):
    """Which cards, and whose, are refused everywhere."""

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        """Whether the card or person with `identity` (see the module) has an entry of `kind`."""
        ...


class AllDenied(Struct, frozen=True):
    """All have an entry of one of `kinds`: for a scenario, or a card whose entry is already known."""

    name: str
    kinds: frozenset[DenyKind] = frozenset(DenyKind)
    version: int = 0
    region: int = 0
    issued_at: datetime | None = None

    def contains(self, kind: DenyKind, identity: bytes) -> bool:  # noqa: ARG002 the protocol's argument
        return kind in self.kinds


EMPTY_DENY_LIST: Final = AllDenied("", frozenset())
"""A list without entries."""


def denied(deny_list: DenyList, pseudonym: bytes, uid: bytes, reference: bytes = b"") -> DenyKind | None:
    """What of a resident card is on the list: its holder or its reference, asked first because they can be asked again
    of a record, or the card itself; None when none is."""
    if deny_list is EMPTY_DENY_LIST:
        return None
    if deny_list.contains(PERSON, pseudonym):
        return PERSON
    if reference and deny_list.contains(REFERENCE, reference):
        return REFERENCE
    if medium_moved(deny_list, uid, reference):
        return MEDIUM
    return CARD if deny_list.contains(CARD, uid) else None


def medium_moved(deny_list: DenyList, uid: bytes, reference: bytes) -> bool:
    """Whether another medium of the holder is active instead of this one: a card or phone by its reference, a phone by
    the id of its credential as well, which stands in the UID's place."""
    by_id = len(uid) == IDENTITY_BYTES[MEDIUM] and deny_list.contains(MEDIUM, uid)
    return by_id or bool(reference and deny_list.contains(MEDIUM, reference))


class DenyListFile(KeyedFile):
    """A checked, mapped list. Raises `RegionDocumentError` naming a file that cannot be trusted."""

    def __init__(self, path: Path, key: bytes | None, called: str = "", sorted_digest: bytes = b"") -> None:
        super().__init__(path, key, DENY_LIST, called, sorted_digest)

    def contains(self, kind: DenyKind, identity: bytes) -> bool:
        """Whether there is such an entry."""
        return self._place(self.hash_of(MARKS[kind] + identity)) >= 0


def load_deny_list(path: Path, key: bytes, called: str = "", sorted_digest: bytes = b"") -> DenyListFile:
    """The list at `path`, made with the list key "deny" (see `KeyedFile`); raises `RegionDocumentError`."""
    return DenyListFile(path, key, called, sorted_digest)


def build_deny_list(
    path: Path, key: bytes, issue: ListIssue, denied: Iterable[tuple[DenyKind, bytes]]
) -> int:
    """Write the list of what is `denied`, each by kind and identity, to `path`; return how many entries it has.

    Raises as `write_keyed_file`, with which the old list stays until the new one is whole.
    """
    entries = ((MARKS[kind] + identity, b"") for kind, identity in denied)
    return write_keyed_file(path, key, DENY_LIST, issue, entries)


def read_denied(
    path: Path, on_read: Callable[[int], None] = lambda _bytes: None
) -> Iterator[tuple[DenyKind, bytes]]:
    """What an operator wants denied, from a CSV file with the columns `kind` and `identity`, in hexadecimal: `card`
    with a UID of 7 bytes, `person` with a pseudonym of 8, `reference` with the 8 of a row, `medium` with the 8 of a
    row or of a credential's id, or `bank` with the 16 of a bank card's row. Entries come while the file is read, of
    which `on_read` hears how many bytes more; raises `RegionDocumentError` with every line that is wrong, at the end.
    """
    listed = entries_of(path, COLUMNS, _to_deny, most_bytes=MOST_DENIED_CSV_BYTES, on_read=on_read)
    return (entry for _line, entry in listed)


def _to_deny(row: Mapping[str, str]) -> tuple[DenyKind, bytes]:
    kind = _LISTED.get(row["kind"])
    if kind is None:
        raise RowWrong(RowMistake.KIND, known=", ".join(IDENTITY_BYTES))
    written, length = row["identity"], IDENTITY_BYTES[kind]
    if len(written) == 2 * length and written.isalnum():  # bytes.fromhex passes over spaces
        with suppress(ValueError):
            return kind, bytes.fromhex(written)
    raise RowWrong(RowMistake.IDENTITY, kind=kind, digits=2 * length)
