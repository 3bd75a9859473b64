"""From GET PROCESSING OPTIONS to the card's data: file locator, records, and which are signed (Book 3, 6.5.8, 10.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cardproto.emv import tags
from cardproto.emv.faults import ReadFault, ReadingEnded
from cardproto.errors import FormatError
from cardproto.tlv import Tlv, parse_tlv, split_tlv

MAX_RECORDS: Final = 24
MAX_OBJECTS: Final = 192
MAX_DATA_BYTES: Final = 4096
_AFL_ENTRY_BYTES: Final = 4
_SFI: Final = range(1, 31)
_SFI_OF_EMV: Final = range(1, 11)
"""Files whose records are BER-TLV in a template 70; those behind them belong to schemes and issuers."""

_ONCE: Final = frozenset(
    {
        *(tags.TAG_AIP, tags.TAG_AFL, tags.TAG_PAN, tags.TAG_SEQUENCE, tags.TAG_EXPIRY, tags.TAG_EFFECTIVE),
        *(tags.TAG_CDOL_1, tags.TAG_CA_INDEX, tags.TAG_ISSUER_CERTIFICATE, tags.TAG_ISSUER_REMAINDER),
        *(
            tags.TAG_ISSUER_EXPONENT,
            tags.TAG_STATIC_SIGNATURE,
            tags.TAG_CARD_CERTIFICATE,
            tags.TAG_CARD_EXPONENT,
        ),
        *(tags.TAG_CARD_REMAINDER, tags.TAG_DDOL, tags.TAG_STATIC_TAGS, tags.TAG_DYNAMIC_SIGNATURE),
        *(
            tags.TAG_CARD_AUTHENTICATION_RELATED,
            tags.TAG_TRACK_2,
            tags.TAG_CRYPTOGRAM,
            tags.TAG_ATC,
            tags.TAG_PAR,
        ),
    }
)
"""What is relied on: two of one would let a card show one and sign the other. Of anything else the first counts."""


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """One record to read; `signed`: it belongs to what the card's certificate covers."""

    sfi: int
    record_number: int
    signed: bool


@dataclass(frozen=True, slots=True)
class ProcessingOptions:
    """The application's profile, where its records are, and what it gave at once."""

    aip: int
    places: tuple[RecordPlace, ...]
    objects: tuple[Tlv, ...]


@dataclass(frozen=True, slots=True)
class CardRecord:
    """A record's objects, and its bytes as a signature covers them (None: it cannot be signed)."""

    objects: tuple[Tlv, ...]
    signable: bytes | None


@dataclass(frozen=True, slots=True)
class CardData:
    """Everything an application gave, once. `static` is what its certificate covers, None where it cannot be made.

    `signed_tags` are those that stand in `static`: what they hold is the issuer's word once authentication succeeds.
    Shows tags only.
    """

    values: Mapping[int, bytes] = field(repr=False)
    signed_tags: frozenset[int]
    static: bytes | None = field(repr=False)

    def get(self, tag: int) -> bytes | None:
        """The value of a tag; None when the card has none."""
        return self.values.get(tag)


def parse_options(answer: bytes) -> ProcessingOptions:
    """Format 1 (tag 80: profile, locator) or 2 (tag 77). Raises `FormatError`, `ReadingEnded` (no records)."""
    outer, rest = split_tlv(answer)
    objects: tuple[Tlv, ...] = ()
    if rest:
        raise FormatError("GET PROCESSING OPTIONS", "has bytes behind its template")
    if outer.tag == tags.TAG_ANSWER_1:
        aip, afl = outer.value[:2], outer.value[2:]
    elif outer.tag == tags.TAG_ANSWER_2:
        objects = parse_tlv(outer.value, skip_filler=True)
        given = _once(objects)
        aip, afl = given.get(tags.TAG_AIP, b""), given.get(tags.TAG_AFL, b"")
    else:
        raise FormatError("GET PROCESSING OPTIONS", "answers with neither template 80 nor 77")
    if len(aip) != 2 and afl:
        raise FormatError("GET PROCESSING OPTIONS", "has no application interchange profile")
    if not afl:
        raise ReadingEnded(ReadFault.NO_RECORDS)
    return ProcessingOptions(int.from_bytes(aip, "big"), parse_afl(afl), objects)


def _once(objects: Iterable[Tlv]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for one in objects:
        if one.tag in _ONCE and one.tag in found:
            raise ReadingEnded(ReadFault.REPEATED_OBJECT)
        found.setdefault(one.tag, one.value)
    return found


@lru_cache(64)  # cards of one issue have the same
def parse_afl(afl: bytes) -> tuple[RecordPlace, ...]:
    """The records in the card's order. Raises `FormatError` for an impossible entry, `ReadingEnded` for too many."""
    if not afl or len(afl) % _AFL_ENTRY_BYTES:
        raise FormatError("AFL", f"of {len(afl)} bytes")
    places: list[RecordPlace] = []
    for at in range(0, len(afl), _AFL_ENTRY_BYTES):
        places += _places(*afl[at : at + _AFL_ENTRY_BYTES])
        if len(places) > MAX_RECORDS:
            raise ReadingEnded(ReadFault.TOO_MUCH)
    if len({(one.sfi, one.record_number) for one in places}) != len(places):
        raise FormatError("AFL", "names a record twice")
    return tuple(places)


def _places(sfi_bits: int, first: int, last: int, signed: int) -> Iterator[RecordPlace]:
    sfi = sfi_bits >> 3
    if sfi_bits & 0x07 or sfi not in _SFI or not 1 <= first <= last or signed > last - first + 1:
        raise FormatError("AFL", "holds an impossible entry")
    for number in range(first, last + 1):
        yield RecordPlace(sfi, number, number - first < signed)


def parse_record(sfi: int, answer: bytes) -> CardRecord:
    """A record as cards answer it. What stands behind the template is not read, and then nothing can be signed.

    A template 77, which some phones answer, is read and cannot be signed, either. Beyond file 10 a record need not
    be BER-TLV: it then has no objects, and is signed as it is. Raises `FormatError`.
    """
    if sfi not in _SFI_OF_EMV:
        return CardRecord(_objects_of_scheme(answer), answer)
    template, rest = split_tlv(answer)
    if template.tag not in (tags.TAG_RECORD, tags.TAG_ANSWER_2):
        raise FormatError("record", "is no template 70")
    proper = template.tag == tags.TAG_RECORD and not rest
    return CardRecord(template.children(skip_filler=True), template.value if proper else None)


def _objects_of_scheme(answer: bytes) -> tuple[Tlv, ...]:
    try:
        template, _ = split_tlv(answer)
        return template.children(skip_filler=True) if template.tag == tags.TAG_RECORD else ()
    except FormatError:
        return ()  # a format of the scheme's own: no object of it is relied on


def collect(options: ProcessingOptions, records: Iterable[tuple[RecordPlace, CardRecord]]) -> CardData:
    """The data as one value. Raises `ReadingEnded`: an object twice that counts once, or too many objects or bytes."""
    read = tuple(records)
    found: dict[int, bytes] = {tags.TAG_AIP: options.aip.to_bytes(2, "big")}
    signed: set[int] = set()
    in_options = tuple(one for one in options.objects if one.tag != tags.TAG_AIP)
    for objects, is_signed in (
        (in_options, False),
        *((record.objects, place.signed) for place, record in read),
    ):
        for tag, value in objects:
            if tag in found:
                if tag in _ONCE:
                    raise ReadingEnded(ReadFault.REPEATED_OBJECT)
                continue
            found[tag] = value
            if is_signed:
                signed.add(tag)
    if len(found) > MAX_OBJECTS or sum(map(len, found.values())) > MAX_DATA_BYTES:
        raise ReadingEnded(ReadFault.TOO_MUCH)
    return _with_static_tags(found, signed, [record.signable for place, record in read if place.signed])


def _with_static_tags(found: dict[int, bytes], signed: set[int], parts: list[bytes | None]) -> CardData:
    listed = found.get(tags.TAG_STATIC_TAGS)
    whole = [part for part in parts if part is not None]
    static: bytes | None = b"".join(whole)
    if len(whole) != len(parts) or listed not in (None, bytes((tags.TAG_AIP,))):
        static = None  # Book 3, 10.3: the list may name the profile only
    elif listed is not None:
        static = b"".join((*whole, found[tags.TAG_AIP]))
        signed.add(tags.TAG_AIP)
    return CardData(found, frozenset(signed), static)
