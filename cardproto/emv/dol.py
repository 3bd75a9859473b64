"""Data object lists: what a card wants to be given, and filling it (EMV Book 3, 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cardproto.emv import tags
from cardproto.errors import FormatError

MAX_DOL_BYTES: Final = 252
MAX_VALUE_BYTES: Final = 252
"""What a list may ask for in all: it has to fit a short command."""
_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_MORE_TAG: Final = 0x80
_MAX_TAG_BYTES: Final = 3

_NUMERIC: Final = frozenset(
    {
        *(
            tags.TAG_AMOUNT,
            tags.TAG_AMOUNT_OTHER,
            tags.TAG_COUNTRY,
            tags.TAG_CURRENCY,
            tags.TAG_DATE,
            tags.TAG_TIME,
        ),
        *(tags.TAG_TRANSACTION_TYPE, tags.TAG_TERMINAL_TYPE, tags.TAG_MERCHANT_CATEGORY, tags.TAG_EXPIRY),
        *(tags.TAG_EFFECTIVE, tags.TAG_ISSUER_COUNTRY, tags.TAG_SEQUENCE),
    }
)
"""Format n: right-aligned. Formats cn (right-padded with F) and the rest (right-padded with zeros) are left-aligned."""
_COMPRESSED: Final = frozenset({tags.TAG_PAN, tags.TAG_TRACK_2_DISCRETIONARY})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entry: the object and how many bytes of it."""

    tag: int
    length: int


@lru_cache(64)  # cards of one issue ask for the same
def parse_dol(dol: bytes) -> tuple[Wanted, ...]:
    """The entries in order; raises `FormatError` for a list cut off, or one that asks for more than a command holds."""
    if len(dol) > MAX_DOL_BYTES:
        raise FormatError("DOL", f"of {len(dol)} bytes; {MAX_DOL_BYTES} is the most")
    found, at = [], 0
    while at < len(dol):
        tag, at = _read_tag(dol, at)
        if at == len(dol):
            raise FormatError("DOL", "ends before a length", at)
        found.append(Wanted(tag, dol[at]))
        at += 1
    if sum(one.length for one in found) > MAX_VALUE_BYTES:
        raise FormatError("DOL", f"asks for more than {MAX_VALUE_BYTES} bytes")
    return tuple(found)


def build_dol(wanted: Iterable[Wanted]) -> bytes:
    """The list that `parse_dol` reads as these entries."""
    return b"".join(_tag_bytes(one.tag) + bytes((one.length,)) for one in wanted)


def _tag_bytes(tag: int) -> bytes:
    return tag.to_bytes(_MAX_TAG_BYTES, "big").lstrip(b"\0") or b"\0"


def _read_tag(dol: bytes, start: int) -> tuple[int, int]:
    end = start + 1
    if dol[start] & _LONG_TAG == _LONG_TAG:
        while end < len(dol) and end - start < _MAX_TAG_BYTES and dol[end] & _MORE_TAG:
            end += 1
        end += 1
        if end > len(dol) or end - start > _MAX_TAG_BYTES:
            raise FormatError("DOL", "holds no whole tag", start)
    return int.from_bytes(dol[start:end], "big"), end


def fill_dol(wanted: tuple[Wanted, ...], values: Mapping[int, bytes]) -> bytes:
    """The values one after the other, each cut or padded to its length; zeros for what is not known.

    A template is skipped: its parts would have to be asked one by one.
    """
    return b"".join(_fitted(one, values.get(one.tag)) for one in wanted if not _template(one.tag))


@lru_cache(256)
def _template(tag: int) -> bool:
    return bool(_tag_bytes(tag)[0] & _CONSTRUCTED)


def _fitted(one: Wanted, value: bytes | None) -> bytes:
    if value is None:
        return bytes(one.length)
    if one.tag in _NUMERIC:
        return value[max(0, len(value) - one.length) :].rjust(one.length, b"\0")
    return value[: one.length].ljust(one.length, b"\xff" if one.tag in _COMPRESSED else b"\0")
