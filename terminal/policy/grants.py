"""Concessions the terminal knows of itself: the local list beside the grants on the card (O-02).

The list is a file of keyed hashes (`terminal.policy.keyed_file`, magic "RCGL", format 2). A record is the hash of a
pseudonym, then

    issued on (2) | three times: code (1), parameter (1), first day (2), last day (2); code 0: an empty slot

with days since 2000-01-01, as on a card: what it says of one holder, without a name. In a pseudonym's place may stand
the token of a bank card: a concession on a card that holds none itself.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from cardproto.resident.records.rights import CONCESSION_SLOTS, Concession, day_of, days_of
from terminal.errors import Mistake, RegionDocumentError
from terminal.mistakes.reading import MOST_MISTAKES
from terminal.mistakes.words import refusal
from terminal.policy.keyed_file import (
    VERSION_DIGITS,
    IssuedList,
    KeyedFile,
    ListFormat,
    ListIssue,
    RowWrong,
    entries_of,
    write_keyed_file,
)
from terminal.policy.mistakes import RowMistake

COLUMNS: Final = ("pseudonym", "issued_on", "code", "parameter", "valid_from", "valid_to")
PSEUDONYM_BYTES: Final = 8
TOKEN_BYTES: Final = 16
"""Of a bank card: a concession may stand on it, too (K-01)."""
MOST_NUMBER: Final = 0xFF
NO_SLOTS: Final = (None,) * CONCESSION_SLOTS
_CONTENT: Final = struct.Struct(">H" + "BBHH" * CONCESSION_SLOTS)
GRANTS_LIST: Final = ListFormat("list of grants", b"RCGL", 2, _CONTENT.size)


class LocalGrants(Struct, frozen=True):
    """What the list says of one holder, and when that was issued. Slots as on a card."""

    issued_on: date
    concessions: tuple[Concession | None, ...]


class GrantList(IssuedList, Protocol):
    """Who has which concessions, whatever the card says."""

    def of(self, pseudonym: bytes) -> LocalGrants | None:
        """What the list says of the holder of `pseudonym` (8 bytes, as on the card; 16, a bank card's token); None:
        nothing."""
        ...


class NoGrants:
    """A list without entries."""

    name: Final = ""
    version: Final = 0
    region: Final = 0
    issued_at: Final = None

    def of(self, pseudonym: bytes) -> LocalGrants | None:  # noqa: ARG002 the protocol's argument
        return None


NO_GRANTS: Final = NoGrants()


class GrantTable:
    """A list in memory."""

    version: Final = 0
    region: Final = 0
    issued_at: datetime | None = None

    def __init__(self, entries: Iterable[tuple[bytes, date, Iterable[Concession]]]) -> None:
        """`entries`: pseudonym, day of issue, at most three concessions; the newest of a pseudonym counts."""
        newest: dict[bytes, LocalGrants] = {}
        for pseudonym, issued_on, concessions in entries:
            known = newest.get(pseudonym)
            if known is None or known.issued_on < issued_on:
                slots = (*concessions, *NO_SLOTS)[:CONCESSION_SLOTS]
                newest[pseudonym] = LocalGrants(issued_on, slots)
        self._by_pseudonym: Final[Mapping[bytes, LocalGrants]] = MappingProxyType(newest)
        self.name: Final = sha256(repr(sorted(newest.items())).encode()).hexdigest()[:VERSION_DIGITS]

    def __len__(self) -> int:
        return len(self._by_pseudonym)

    def of(self, pseudonym: bytes) -> LocalGrants | None:
        """What the list says of the holder of `pseudonym`."""
        return self._by_pseudonym.get(pseudonym)


class GrantListFile(KeyedFile):
    """A checked, mapped list. Raises `RegionDocumentError` naming a file that cannot be trusted."""

    def __init__(self, path: Path, key: bytes, called: str = "", sorted_digest: bytes = b"") -> None:
        super().__init__(path, key, GRANTS_LIST, called, sorted_digest)

    def of(self, pseudonym: bytes) -> LocalGrants | None:
        """What the list says of the holder of `pseudonym`."""
        content = self.find(pseudonym)
        return None if content is None else _parsed(content)


def load_grants(path: Path, key: bytes, called: str = "", sorted_digest: bytes = b"") -> GrantListFile:
    """The list at `path`, made with the list key "grants" (see `KeyedFile`); raises `RegionDocumentError`."""
    return GrantListFile(path, key, called, sorted_digest)


def build_grants(
    path: Path, key: bytes, issue: ListIssue, entries: Iterable[tuple[bytes, LocalGrants]]
) -> int:
    """Write the list of `entries`, by pseudonym, to `path`; return how many there are. Raises as `write_keyed_file`."""
    records = ((pseudonym, _built(grants)) for pseudonym, grants in entries)
    return write_keyed_file(path, key, GRANTS_LIST, issue, records)


def read_grants(path: Path) -> Iterator[tuple[bytes, LocalGrants]]:
    """Whose concessions a list is to state, from a CSV file with `COLUMNS`: one row for each concession, at most three
    for one pseudonym, one below the other, in the order of the card's slots. A row whose last four columns are empty
    says that there is none, whatever the card holds. Raises `RegionDocumentError` with every line that is wrong.
    """
    seen: dict[bytes, tuple[date, list[Concession]]] = {}
    found: list[Mistake] = []
    last = b""
    for line, (pseudonym, issued_on, concession) in entries_of(path, COLUMNS, _grant):
        known = seen.get(pseudonym)
        if known is None:
            known = seen[pseudonym] = issued_on, []
        elif pseudonym != last or known[0] != issued_on or not known[1]:
            found.append(Mistake("", RowMistake.ORDER, {}, str(path), line))
        last = pseudonym
        known[1].extend(concession)
        if len(known[1]) > CONCESSION_SLOTS:
            found.append(Mistake("", RowMistake.TOO_MANY, {"most": CONCESSION_SLOTS}, str(path), line))
    if found:
        raise refusal(RegionDocumentError, found[:MOST_MISTAKES])
    for pseudonym, (issued_on, concessions) in seen.items():
        yield pseudonym, LocalGrants(issued_on, (*concessions, *NO_SLOTS)[:CONCESSION_SLOTS])


def _grant(row: Mapping[str, str]) -> tuple[bytes, date, tuple[Concession, ...]]:
    """Pseudonym, day of issue and the concession of a row, if it states one."""
    written = row["pseudonym"]
    lengths = "|".join(f"[0-9a-fA-F]{{{2 * size}}}" for size in (PSEUDONYM_BYTES, TOKEN_BYTES))
    if re.fullmatch(lengths, written) is None:
        raise RowWrong(RowMistake.PSEUDONYM, digits=2 * PSEUDONYM_BYTES)
    return bytes.fromhex(written), _day(row, "issued_on"), tuple(_concession(row))


def _concession(row: Mapping[str, str]) -> Iterator[Concession]:
    if not any(row[name] for name in COLUMNS[2:]):
        return
    concession = Concession(
        _number(row, "code", 1),
        _number(row, "parameter", 0) if row["parameter"] else 0,
        _day(row, "valid_from"),
        _day(row, "valid_to"),
    )
    if concession.valid_to < concession.valid_from:
        raise RowWrong(RowMistake.ENDS_FIRST)
    yield concession


def _number(row: Mapping[str, str], column: str, least: int) -> int:
    written = row[column]
    if re.fullmatch("[0-9]{1,3}", written) is None or not least <= int(written) <= MOST_NUMBER:
        raise RowWrong(RowMistake.NUMBER, column=column, least=least, most=MOST_NUMBER)
    return int(written)


def _day(row: Mapping[str, str], column: str) -> date:
    try:
        day = date.fromisoformat(row[column])
    except ValueError:
        day = date.min
    if not 0 <= days_of(day) <= 0xFFFF:
        raise RowWrong(RowMistake.DAY, column=column, first=str(day_of(0)))
    return day


def _built(grants: LocalGrants) -> bytes:
    slots = ((0,) * 4 if slot is None else _numbers(slot) for slot in grants.concessions)
    return _CONTENT.pack(days_of(grants.issued_on), *(number for slot in slots for number in slot))


def _numbers(concession: Concession) -> tuple[int, ...]:
    return (
        concession.code,
        concession.parameter,
        days_of(concession.valid_from),
        days_of(concession.valid_to),
    )


def _parsed(content: bytes) -> LocalGrants:
    issued_on, *numbers = _CONTENT.unpack(content)
    slots = (numbers[at : at + 4] for at in range(0, len(numbers), 4))
    return LocalGrants(
        day_of(issued_on),
        tuple(
            Concession(code, parameter, day_of(first), day_of(last)) if code else None
            for code, parameter, first, last in slots
        ),
    )
