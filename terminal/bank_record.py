"""What the back office gets of one tap of a bank card, and what of it stays where.

    terminal                                     back office
    row      keyed token, hash of the sealed bytes ─▶ row, chained and signed as every other
    sealed   `sealed_record(record, key)`          ─▶ `open_record(keys, …)` → `record_verdict(record, trust)`

The row is what the terminal can read; the record is what an acquirer needs, and the terminal cannot read it again: it
is sealed to a key whose private half only the back office has. The sealed bytes lie in a table beside the journal's
rows, go to the collector in the batch of their row (`Batch.sealed`, by the row's number) and are dropped once that row
is acknowledged. The row keeps their SHA-256 (`terminal.decision.bank_row`), and so the chain holds.

A record is a msgpack array, version first, fields only ever appended. Sealed in a series (`terminal.sealed_box`:
X25519, HKDF-SHA256, ChaCha20-Poly1305):

    "RCBANK2\\n" | mark of the key (8: begin of the SHA-256 of the public key) | sealed content (its length + 49)

bound to terminal and moment, as both stand in the row. Sources: EMV Book 2, 6 and Book 3, annex A (data objects); PCI
DSS 3.5.1 (a number is kept only where it cannot be read again, or as a keyed hash).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Meta, Struct

from cardproto.emv import tags
from cardproto.emv.authentication import OfflineAuthentication, OfflineMethod
from cardproto.emv.dol import build_dol, fill_dol, parse_dol
from cardproto.emv.keys import Trust
from cardproto.emv.numbers import Pan, parse_date
from cardproto.emv.opening import OpenedApplication
from cardproto.emv.proving import CardSignature, verify_again
from cardproto.emv.reading import BankReading
from cardproto.emv.records import MAX_DATA_BYTES, MAX_OBJECTS, CardData
from cardproto.emv.selection import BankApplication
from cardproto.errors import FormatError
from cardproto.tlv import parse_tlv
from terminal.decoding import decode_msgpack
from terminal.sealed_box import SERIES_OVERHEAD_BYTES, NotSealedToUs, SealedSeries, open_in_series

RECORD_VERSION: Final = 1
MAX_RECORD_BYTES: Final = 8_192
"""In clear. A card with keys of 1984 bits comes to about 2 300."""
MARK_BYTES: Final = 8
MAGIC: Final = b"RCBANK2\n"
SEALED_HEAD_BYTES: Final = len(MAGIC) + MARK_BYTES
MAX_SEALED_BYTES: Final = SEALED_HEAD_BYTES + MAX_RECORD_BYTES + SERIES_OVERHEAD_BYTES
REFERENCE_BYTES: Final = 16
HASH_BYTES: Final = 32
_BOUND: Final = b"bank-record-1"

NEVER_KEPT: Final = frozenset(
    {
        *(tags.TAG_HOLDER, tags.TAG_HOLDER_EXTENDED, tags.TAG_TRACK_1_MAGNETIC, tags.TAG_TRACK_2_MAGNETIC),
        *(tags.TAG_TRACK_1_DISCRETIONARY, tags.TAG_TRACK_2_DISCRETIONARY),
    }
)
"""No charge needs them. Where one stands in a signed record, it is in `static` all the same."""


class NoBankRecord(ValueError):
    """What was opened is no record that this software reads."""


Objects = dict[Annotated[int, Meta(ge=0, le=0xFF_FFFF)], Annotated[bytes, Meta(max_length=MAX_DATA_BYTES)]]


class BankRecord(Struct, frozen=True, array_like=True):
    """One tap, complete: what was charged for is in the row; here is whose account, and the card's own proof of it.

    `terminal`, `at_ms` (milliseconds since 1970 UTC, whole seconds) and `reference` (`card_ref`, the keyed token) are
    the row's: where they differ, row and record do not belong together. `pan` is 8 to 19 digits, `sequence` tag 5F34
    (0 to 99), `expires_on` the card's last day (tag 5F24, YYYYMMDD as a number, 0: not stated). `amount_minor`,
    `currency` and `country` (ISO 4217, 3166 numbers) are what the card was shown, so what its signature covers: an
    amount of 0 means that the fare comes later. `method` is `fdda`, `cda` or `dda`.

    `given` is everything the card could be shown, by tag: 9F37 random number, 9A date (YYMMDD, local), 9F02 amount, …
    `card` is what it gave, by tag: 57 track 2, 82 AIP, 5A, 5F24, 8F, 90, 92, 9F32, 9F46, 9F47, 9F48, 8C, 9F49, 9F69.
    `pdol` is its list 9F38. `signed_tags` stand in `static`, the bytes that its certificate covers. `signature` is
    9F4B, `answer` what GENERATE AC answered without it (CDA alone). `cryptogram` (9F26), `cryptogram_kind` (9F27: 128
    ARQC, 64 TC, None not stated), `counter` (9F36) and `issuer_data` (9F10) are for the issuer; empty where the card
    gave none.
    """

    version: Annotated[int, Meta(ge=RECORD_VERSION, le=RECORD_VERSION)]
    terminal: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
    at_ms: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    reference: Annotated[bytes, Meta(min_length=REFERENCE_BYTES, max_length=REFERENCE_BYTES)]
    aid: Annotated[bytes, Meta(min_length=5, max_length=16)]
    pan: Annotated[str, Meta(pattern="^[0-9]{8,19}$")]
    sequence: Annotated[int, Meta(ge=0, le=99)] | None
    expires_on: Annotated[int, Meta(ge=0, le=20_991_231)]
    amount_minor: Annotated[int, Meta(ge=0, lt=10**12)]
    currency: Annotated[int, Meta(ge=0, le=999)]
    country: Annotated[int, Meta(ge=0, le=999)]
    method: OfflineMethod
    given: Annotated[Objects, Meta(max_length=MAX_OBJECTS)]
    card: Annotated[Objects, Meta(max_length=MAX_OBJECTS)]
    signed_tags: Annotated[tuple[int, ...], Meta(max_length=MAX_OBJECTS)]
    static: Annotated[bytes, Meta(max_length=MAX_DATA_BYTES)]
    pdol: Annotated[bytes, Meta(max_length=252)]
    signature: Annotated[bytes, Meta(max_length=248)]
    answer: Annotated[bytes, Meta(max_length=1024)]
    cryptogram: Annotated[bytes, Meta(max_length=8)] = b""
    cryptogram_kind: int | None = None
    counter: Annotated[bytes, Meta(max_length=2)] = b""
    issuer_data: Annotated[bytes, Meta(max_length=64)] = b""

    def __repr__(self) -> str:
        return f"BankRecord({self.terminal}, {self.at_ms}, {Pan(self.pan)})"

    @property
    def track_2(self) -> bytes:
        """Track 2 equivalent data (tag 57), for an acquirer; empty where the card has none."""
        return self.card.get(tags.TAG_TRACK_2, b"")


def bank_record(terminal: int, at_ms: int, reference: bytes, reading: BankReading) -> BankRecord:
    """The record of a tap whose card proved itself."""
    opened, data, cryptogram = reading.opened, reading.opened.data, reading.cryptogram
    kind = None if cryptogram is None or cryptogram.kind is None else int(cryptogram.kind)
    return BankRecord(
        version=RECORD_VERSION,
        terminal=terminal,
        at_ms=at_ms,
        reference=reference,
        aid=opened.application.aid,
        pan=opened.pan.in_clear,
        sequence=opened.sequence,
        expires_on=_day_number(opened.expires_on),
        amount_minor=_number(opened.values, tags.TAG_AMOUNT),
        currency=_number(opened.values, tags.TAG_CURRENCY),
        country=_number(opened.values, tags.TAG_COUNTRY),
        method=reading.authentication.method,
        given=dict(opened.values),
        card={tag: value for tag, value in data.values.items() if tag not in NEVER_KEPT},
        signed_tags=tuple(sorted(data.signed_tags - NEVER_KEPT)),
        static=data.static or b"",
        pdol=build_dol(opened.application.pdol),
        signature=reading.signed.value,
        answer=reading.signed.answer,
        cryptogram=b"" if cryptogram is None else cryptogram.value,
        cryptogram_kind=kind,
        counter=b"" if cryptogram is None else cryptogram.counter,
        issuer_data=b"" if cryptogram is None else cryptogram.issuer_data,
    )


def record_verdict(record: BankRecord, trust: Trust) -> OfflineAuthentication:
    """The card's signature verified once more, from its chain on: what a terminal cannot invent.

    Proven are number, expiry (when `TAG_EXPIRY` is in `signed_tags` of the verdict), random number and, for fDDA and
    CDA, the amount as far as the card signs it. A signature that was used before is still a right one: the caller holds
    `(reference, counter)` and `(reference, given[9F37])` apart. Raises `NoBankRecord` where the record contradicts
    itself: what it states in clear is not what stands in the objects that were signed.
    """
    try:
        opened, on = _opened(record), parse_date(record.given[tags.TAG_DATE])
    except (FormatError, KeyError, ValueError) as error:
        raise NoBankRecord(f"it does not fit together: {error}") from error
    signed = CardSignature(record.signature, record.answer)
    return verify_again(opened, record.method, signed, trust, on)


def card_identity(pan: str, sequence: int | None) -> bytes:
    """What a card's token is made of: its digits, and the sequence number that sets it apart from the one before it."""
    return b"pan" + pan.encode() + (b"" if sequence is None else b"/%02d" % sequence)


def account_identity(par: bytes) -> bytes:
    """What an account's token is made of: the payment account reference (tag 9F24), the same on card and phone."""
    return b"par" + par


def sealed_record(record: BankRecord, series: SealedSeries) -> bytes:
    """Only the owner of the series' public key can read it. Raises `ValueError` for a record that is too long."""
    content = msgspec.msgpack.encode(record)
    if len(content) > MAX_RECORD_BYTES:
        raise ValueError(f"a record of {len(content)} bytes; {MAX_RECORD_BYTES} is the most")
    bound = _bound_to(record.terminal, record.at_ms)
    return MAGIC + key_mark(series.public) + series.seal(content, bound)


def key_mark(public: bytes) -> bytes:
    """By which a back office with several keys finds the one that opens a record."""
    return sha256(public).digest()[:MARK_BYTES]


def sealed_for(sealed: bytes) -> bytes:
    """The mark of the key that opens it. Raises `NotSealedToUs` for what is no sealed record."""
    if (
        not sealed.startswith(MAGIC)
        or not SEALED_HEAD_BYTES + SERIES_OVERHEAD_BYTES <= len(sealed) <= MAX_SEALED_BYTES
    ):
        raise NotSealedToUs("it is no sealed record of a bank card")
    return sealed[len(MAGIC) : SEALED_HEAD_BYTES]


def open_record(keys: Iterable[X25519PrivateKey], sealed: bytes, terminal: int, at_ms: int) -> BankRecord:
    """The record of the row that terminal `terminal` wrote at `at_ms`. Raises `NotSealedToUs` when none of `keys` opens
    it, `NoBankRecord` for what is inside.
    """
    mark = sealed_for(sealed)
    for key in keys:
        if key_mark(key.public_key().public_bytes_raw()) == mark:
            content = open_in_series(key, sealed[SEALED_HEAD_BYTES:], _bound_to(terminal, at_ms))
            return _parsed(content, terminal, at_ms)
    raise NotSealedToUs("it is sealed to a key that is not here")


def _parsed(content: bytes, terminal: int, at_ms: int) -> BankRecord:
    try:
        record = decode_msgpack(content, BankRecord, MAX_RECORD_BYTES)
    except msgspec.DecodeError as error:
        raise NoBankRecord(str(error)) from error
    if (record.terminal, record.at_ms) != (terminal, at_ms):
        raise NoBankRecord("it is of another row")
    return record


def _opened(record: BankRecord) -> OpenedApplication:
    """As the terminal read it. Raises `FormatError`, `KeyError`, `ValueError`."""
    pan, wanted = Pan(record.pan), parse_dol(record.pdol)
    expires_on = _day(record.expires_on)
    stated = record.card.get(tags.TAG_EXPIRY)
    if stated is not None and parse_date(stated) != expires_on:
        raise ValueError("another expiry stands in the signed objects")
    shown = (_number(record.given, tag) for tag in (tags.TAG_AMOUNT, tags.TAG_CURRENCY, tags.TAG_COUNTRY))
    if tuple(shown) != (record.amount_minor, record.currency, record.country):
        raise ValueError("the card was shown another amount, currency or country")
    if len(record.given[tags.TAG_UNPREDICTABLE]) != 4:
        raise ValueError("no random number")
    data = CardData(record.card, _standing_in(record), record.static)
    return OpenedApplication(
        *(BankApplication(record.aid, b"", wanted), _aip(record), data, pan, record.sequence),
        *(expires_on, None, record.given, fill_dol(wanted, record.given)),
    )


def _standing_in(record: BankRecord) -> frozenset[int]:
    """The stated tags whose values do stand in the bytes that are signed: a certificate covers those, not the list."""
    static, aip = record.static, record.card[tags.TAG_AIP]
    listed = tags.TAG_STATIC_TAGS in record.card and static.endswith(aip)
    try:
        objects = parse_tlv(static[: -len(aip)] if listed else static, skip_filler=True)
    except (
        FormatError
    ):  # a file of the scheme's own is among it: the number alone, which the certificate names
        return frozenset()
    found = {one.tag: one.value for one in objects} | ({tags.TAG_AIP: aip} if listed else {})
    return frozenset(tag for tag in record.signed_tags if tag in found and found[tag] == record.card.get(tag))


def _aip(record: BankRecord) -> int:
    return int.from_bytes(record.card[tags.TAG_AIP], "big")


def _day(number: int) -> date | None:
    return None if number == 0 else date(number // 10_000, number // 100 % 100, number % 100)


def _day_number(day: date | None) -> int:
    return 0 if day is None else day.year * 10_000 + day.month * 100 + day.day


def _number(values: dict[int, bytes], tag: int) -> int:
    return int(values[tag].hex())


def _bound_to(terminal: int, at_ms: int) -> bytes:
    return _BOUND + terminal.to_bytes(4, "big") + at_ms.to_bytes(8, "big")
