"""File 01, rights: what the issuer says the holder may do (64 bytes, written by issuing and reload points)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from construct import Array, Bytes, Const, ConstructError, Int8ub, Int16ub, Terminated
from construct import Struct as Layout

from cardproto.errors import FormatError

RIGHTS_BYTES: Final = 64
RIGHTS_VERSION: Final = 1
CONCESSION_SLOTS: Final = 3
CONTRACT_SLOTS: Final = 2
FLAG_BLOCKED: Final = 0x01
FLAG_INACTIVE: Final = 0x02
KNOWN_FLAGS: Final = FLAG_BLOCKED | FLAG_INACTIVE
WHERE: Final = "file 01 (rights)"

_EPOCH: Final = date(2000, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Concession:
    """A льгота on the card: category `code`, a `parameter` for the region document; both days inclusive."""

    code: int
    parameter: int
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class Contract:
    """A pass (`trips` 0) or trip pack bought for the card; `product` names it in the region document."""

    product: int
    valid_from: date
    valid_to: date
    trips: int


@dataclass(frozen=True, slots=True)
class Rights:
    """The whole file. None is an empty slot; slots keep their place because events refer to them by it."""

    region: int
    pseudonym: bytes
    valid_from: date
    valid_to: date
    issued_on: date
    revision: int
    blocked: bool = False
    inactive: bool = False
    concessions: tuple[Concession | None, ...] = (None,) * CONCESSION_SLOTS
    contracts: tuple[Contract | None, ...] = (None,) * CONTRACT_SLOTS
    credential_digest: bytes = bytes(8)


CONCESSION_SCHEMA: Final[Any] = Layout(
    "code" / Int8ub * "category in the region document; 0: empty slot, all zero",
    "parameter" / Int8ub * "what the region document makes of it",
    "valid_from" / Int16ub * "first day",
    "valid_to" / Int16ub * "last day",
)
CONTRACT_SCHEMA: Final[Any] = Layout(
    "product" / Int16ub * "pass or pack in the region document; 0: empty slot, all zero",
    "valid_from" / Int16ub * "first day",
    "valid_to" / Int16ub * "last day",
    "trips" / Int8ub * "trips bought; 0: a pass",
    "reserved" / Const(b"\0") * "zero",
)
SCHEMA: Final[Any] = Layout(
    "version" / Int8ub * "format version, 1",
    "flags" / Int8ub * "01 blocked, 02 inactive; the others are reserved, zero",
    "region" / Int16ub * "region id, as in key diversification",
    "pseudonym" / Bytes(8) * "the resident's, meaningless outside the region",
    "valid_from" / Int16ub * "first day of the card",
    "valid_to" / Int16ub * "last day of the card",
    "issued_on" / Int16ub * "day of issue",
    "revision" / Int16ub * "counts every rewriting of this file",
    "concessions" / Array(CONCESSION_SLOTS, CONCESSION_SCHEMA) * "concessions A, B, C",
    "contracts" / Array(CONTRACT_SLOTS, CONTRACT_SCHEMA) * "contracts A, B",
    "credential_digest"
    / Bytes(8)
    * "first 8 bytes of SHA-256 over the credential, without the zeros behind it; zero: there is none",
    "reserved" / Const(bytes(2)) * "zero",
)
"""The file as documented; days are counted from 2000-01-01. `parse_rights` is its fast twin."""

EXACT_SCHEMA: Final[Any] = Layout("rights" / SCHEMA, Terminated)

_FAST: Final = struct.Struct(">BBH8sHHHH" + "BBHH" * CONCESSION_SLOTS + "HHHBB" * CONTRACT_SLOTS + "8sH")


def days_of(day: date) -> int:
    """Days since 2000-01-01, as cards store dates."""
    return day.toordinal() - _EPOCH


def day_of(days: int) -> date:
    """The date `days` after 2000-01-01."""
    return date.fromordinal(_EPOCH + days)


def _concession(code: int, parameter: int, valid_from: int, valid_to: int) -> Concession | None:
    if code:
        return Concession(code, parameter, day_of(valid_from), day_of(valid_to))
    if parameter or valid_from or valid_to:
        raise FormatError(WHERE, "empty concession slot that is not all zero", 20)
    return None


def _contract(product: int, valid_from: int, valid_to: int, trips: int, reserved: int) -> Contract | None:
    if reserved:
        raise FormatError(WHERE, "reserved contract bits set", 38)
    if product:
        return Contract(product, day_of(valid_from), day_of(valid_to), trips)
    if valid_from or valid_to or trips:
        raise FormatError(WHERE, "empty contract slot that is not all zero", 38)
    return None


def parse_rights(data: bytes) -> Rights:
    """Return the rights in exactly 64 bytes; raises `FormatError` for anything else, naming the byte."""
    if len(data) != RIGHTS_BYTES:
        raise FormatError(WHERE, f"{len(data)} bytes, expected {RIGHTS_BYTES}")
    f = _FAST.unpack(data)
    if f[0] != RIGHTS_VERSION:
        raise FormatError(WHERE, f"unknown format version {f[0]}", 0)
    if f[1] & ~KNOWN_FLAGS:
        raise FormatError(WHERE, f"unknown flags {f[1]:02X}", 1)
    if f[31]:
        raise FormatError(WHERE, "reserved bytes set", 62)
    return Rights(
        region=f[2],
        pseudonym=f[3],
        valid_from=day_of(f[4]),
        valid_to=day_of(f[5]),
        issued_on=day_of(f[6]),
        revision=f[7],
        blocked=bool(f[1] & FLAG_BLOCKED),
        inactive=bool(f[1] & FLAG_INACTIVE),
        concessions=(_concession(*f[8:12]), _concession(*f[12:16]), _concession(*f[16:20])),
        contracts=(_contract(*f[20:25]), _contract(*f[25:30])),
        credential_digest=f[30],
    )


def build_rights(rights: Rights) -> bytes:
    """Return the 64 bytes of `rights`; raises `FormatError` when a value does not fit its field."""
    if len(rights.concessions) != CONCESSION_SLOTS or len(rights.contracts) != CONTRACT_SLOTS:
        raise FormatError(WHERE, "wrong number of concession or contract slots")
    if len(rights.pseudonym) != 8 or len(rights.credential_digest) != 8:
        raise FormatError(WHERE, "pseudonym and credential digest are 8 bytes each")
    if any(c is not None and not c.code for c in rights.concessions):
        raise FormatError(WHERE, "a concession with code 0 would read back as an empty slot", 20)
    if any(c is not None and not c.product for c in rights.contracts):
        raise FormatError(WHERE, "a contract with product 0 would read back as an empty slot", 38)
    slots: list[int] = []
    for grant in rights.concessions:
        slots += (
            (0, 0, 0, 0)
            if grant is None
            else (grant.code, grant.parameter, days_of(grant.valid_from), days_of(grant.valid_to))
        )
    for bought in rights.contracts:
        slots += (
            (0, 0, 0, 0, 0)
            if bought is None
            else (bought.product, days_of(bought.valid_from), days_of(bought.valid_to), bought.trips, 0)
        )
    try:
        return _FAST.pack(
            RIGHTS_VERSION,
            rights.blocked * FLAG_BLOCKED | rights.inactive * FLAG_INACTIVE,
            rights.region,
            rights.pseudonym,
            days_of(rights.valid_from),
            days_of(rights.valid_to),
            days_of(rights.issued_on),
            rights.revision,
            *slots,
            rights.credential_digest,
            0,
        )
    except struct.error as error:
        raise FormatError(WHERE, f"value does not fit: {error}") from error


def parse_rights_with_schema(data: bytes) -> Rights:
    """The documented schema, slowly: the yardstick `parse_rights` is compared with."""
    try:
        raw = EXACT_SCHEMA.parse(data).rights
    except ConstructError as error:
        raise FormatError(WHERE, str(error)) from error
    if raw.version != RIGHTS_VERSION or raw.flags & ~KNOWN_FLAGS:
        raise FormatError(WHERE, f"unknown format version {raw.version} or flags {raw.flags:02X}", 0)
    return Rights(
        region=raw.region,
        pseudonym=raw.pseudonym,
        valid_from=day_of(raw.valid_from),
        valid_to=day_of(raw.valid_to),
        issued_on=day_of(raw.issued_on),
        revision=raw.revision,
        blocked=bool(raw.flags & FLAG_BLOCKED),
        inactive=bool(raw.flags & FLAG_INACTIVE),
        concessions=tuple(
            _concession(c.code, c.parameter, c.valid_from, c.valid_to) for c in raw.concessions
        ),
        contracts=tuple(_contract(c.product, c.valid_from, c.valid_to, c.trips, 0) for c in raw.contracts),
        credential_digest=raw.credential_digest,
    )
