"""BER-TLV as ISO 7816-4 and EMV use it: strict reading, exact building.

Lengths: one byte below 80, or 81 LL, or 82 LLLL. The indefinite form and longer ones are refused: nothing a
card can answer needs them. A length is believed only as far as the buffer goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from cardproto.errors import FormatError

MAX_TAG_BYTES: Final = 3
MAX_VALUE_BYTES: Final = 0xFFFF
WHERE: Final = "TLV"
_FILLERS: Final = (0x00, 0xFF)
_CONSTRUCTED: Final = 0x20
_LONG_TAG: Final = 0x1F
_MORE_TAG: Final = 0x80


class Tlv(NamedTuple):
    """One data object; `tag` is the number its bytes spell (0x9F38)."""

    tag: int
    value: bytes

    @property
    def constructed(self) -> bool:
        """Whether the value is itself a string of data objects."""
        return bool(_tag_bytes(self.tag)[0] & _CONSTRUCTED)

    def children(self, *, skip_filler: bool = False) -> tuple[Tlv, ...]:
        """The objects inside a constructed one; raises `FormatError` for a primitive one."""
        if not self.constructed:
            raise FormatError(WHERE, f"tag {self.tag:X} is primitive and has no children")
        return parse_tlv(self.value, skip_filler=skip_filler)

    def to_bytes(self) -> bytes:
        """Tag, shortest length, value; raises `FormatError` for an impossible tag or over 65535 bytes."""
        return _tag_bytes(self.tag) + _length_bytes(len(self.value)) + self.value


def parse_tlv(data: bytes, *, skip_filler: bool = False) -> tuple[Tlv, ...]:
    """Every data object of `data`, which they must fill exactly; one level deep.

    `skip_filler` allows 00 and FF bytes before, between and after objects. Raises `FormatError`.
    """
    found: list[Tlv] = []
    at, end = 0, len(data)
    while at < end:
        if skip_filler and data[at] in _FILLERS:
            at += 1
            continue
        one, at = _object(data, at)
        found.append(one)
    return tuple(found)


def parse_raw_tlv(data: bytes, *, skip_filler: bool = False) -> tuple[tuple[Tlv, bytes], ...]:
    """As `parse_tlv`, each object with its own bytes as they came: a card may write a length longer than needed."""
    found: list[tuple[Tlv, bytes]] = []
    start, end = 0, len(data)
    while start < end:
        if skip_filler and data[start] in _FILLERS:
            start += 1
            continue
        one, at = _object(data, start)
        found.append((one, data[start:at]))
        start = at
    return tuple(found)


def split_tlv(data: bytes) -> tuple[Tlv, bytes]:
    """The first object of `data` and the bytes behind it, unread. Raises `FormatError`."""
    if not data:
        raise FormatError(WHERE, "no object in no bytes", 0)
    one, end = _object(data, 0)
    return one, data[end:]


def _object(data: bytes, start: int) -> tuple[Tlv, int]:
    """The object at `start`, and where it ends. A tap of a bank card reads some sixty: tags of one byte and of two
    with a short length come first.
    """
    tag, at, end = data[start], start + 1, len(data)
    if not tag or tag & _LONG_TAG == _LONG_TAG:
        if tag and at < end and data[at] < _MORE_TAG:
            tag, at = tag << 8 | data[at], at + 1
        else:
            tag, at = _read_tag(data, start)
    if at < end and data[at] < 0x80:
        length, at = data[at], at + 1
    else:
        length, at = _read_length(data, at)
    if length > end - at:
        raise FormatError(WHERE, f"tag {tag:X} claims {length} bytes, {end - at} are left", start)
    return Tlv(tag, data[at : at + length]), at + length


def _read_tag(data: bytes, at: int) -> tuple[int, int]:
    start = at
    first = data[at]
    at += 1
    if first & _LONG_TAG == _LONG_TAG:
        while True:
            if at == len(data):
                raise FormatError(WHERE, "ends inside a tag", start)
            at += 1
            if at - start > MAX_TAG_BYTES:
                raise FormatError(WHERE, f"tag of more than {MAX_TAG_BYTES} bytes", start)
            if not data[at - 1] & _MORE_TAG:
                break
    tag = int.from_bytes(data[start:at], "big")
    if not first:
        raise FormatError(WHERE, "tag 00 is filler, not an object", start)
    return tag, at


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    if at == len(data):
        raise FormatError(WHERE, "ends before a length", at)
    first = data[at]
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if size not in (1, 2):
        raise FormatError(WHERE, f"length form {first:02X} is not accepted", at)
    end = at + 1 + size
    if end > len(data):
        raise FormatError(WHERE, "ends inside a length", at)
    return int.from_bytes(data[at + 1 : end], "big"), end


def build_tlv(objects: Iterable[Tlv]) -> bytes:
    """The objects one after the other."""
    return b"".join(o.to_bytes() for o in objects)


def find(objects: Iterable[Tlv], *path: int, skip_filler: bool = False) -> bytes | None:
    """The value of the first object along a path of tags (0x6F, 0xA5, 0x50); None when there is none."""
    tag, rest = path[0], path[1:]
    for candidate in objects:
        if candidate.tag == tag:
            if not rest:
                return candidate.value
            return find(candidate.children(skip_filler=skip_filler), *rest, skip_filler=skip_filler)
    return None


@lru_cache(512)
def _tag_bytes(tag: int) -> bytes:
    raw = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big") if tag >= 0 else b""
    if not raw or not raw[0] or len(raw) > MAX_TAG_BYTES or _read_tag_length(raw) != len(raw):
        raise FormatError(WHERE, f"{tag:X} is no tag")
    return raw


def _read_tag_length(raw: bytes) -> int:
    if raw[0] & _LONG_TAG != _LONG_TAG:
        return 1
    for at in range(1, len(raw)):
        if not raw[at] & _MORE_TAG:
            return at + 1
    return 0


def _length_bytes(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    if length <= 0xFF:
        return bytes((0x81, length))
    if length <= MAX_VALUE_BYTES:
        return b"\x82" + length.to_bytes(2, "big")
    raise FormatError(WHERE, f"value of {length} bytes; {MAX_VALUE_BYTES} is the most")
