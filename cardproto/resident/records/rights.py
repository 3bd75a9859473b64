"""File 01, rights: what the issuer says the holder may do (64 bytes, written by issuing and reload points)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date
from typing import Final

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


_FAST: Final = struct.Struct(">BBH8sHHHH" + "BBHH" * CONCESSION_SLOTS + "HHHBB" * CONTRACT_SLOTS + "8sH")


def days_of(day: date) -> int:
    """Days since 2000-01-01, as cards store dates."""
    return day.toordinal() - _EPOCH


def day_of(days: int) -> date:
    """The date `days` after 2000-01-01."""
    return date.fromordinal(_EPOCH + days)


def concession_in(code: int, parameter: int, valid_from: int, valid_to: int) -> Concession | None:
    if code:
        return Concession(code, parameter, day_of(valid_from), day_of(valid_to))
    if parameter or valid_from or valid_to:
        raise FormatError(WHERE, "empty concession slot that is not all zero", 20)
    return None


def contract_in(product: int, valid_from: int, valid_to: int, trips: int, reserved: int) -> Contract | None:
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
        concessions=(concession_in(*f[8:12]), concession_in(*f[12:16]), concession_in(*f[16:20])),
        contracts=(contract_in(*f[20:25]), contract_in(*f[25:30])),
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
