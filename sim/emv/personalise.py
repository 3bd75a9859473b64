"""A bank card's content, made from a profile: directory, data objects in records, certificates of the laboratory.

SFI 1 record 1   track 2
SFI 2 record 1   expiry, number, sequence, usage, DOLs, which tags are signed besides
SFI 3 records    CA index, exponents, remainders · issuer certificate · card certificate or static signature
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Final

from cardproto.emv import tags
from cardproto.tlv import Tlv, build_tlv
from sim.emv.chain import (
    ISSUER_DIGITS,
    ISSUERS,
    RID,
    LabIssuer,
    card_certificate,
    issuer_certificate,
    static_signature,
)
from sim.emv.lab_rsa import lab_key
from sim.emv.memory import ChipApplication, ChipMemory, ChipMethod, ChipWallet

AIDS: Final = (RID + bytes.fromhex("1010"), RID + bytes.fromhex("2010"))
LABELS: Final = ("LAB CREDIT", "LAB DEBIT")
COUNTRY: Final = bytes.fromhex("0643")
ISSUER_YEARS: Final = 9
"""How long an issuer's certificate outlives the day it is made."""
SERVICE_CODE: Final = "201"
PDOL_CONTACTLESS: Final = bytes.fromhex("9F66049F02069F03069F1A0295055F2A029A039C019F3704")
CDOL_1: Final = bytes.fromhex("9F02069F03069F1A0295055F2A029A039C019F37049F3501")
CDOL_2: Final = bytes.fromhex("8A02") + CDOL_1
DDOL: Final = bytes.fromhex("9F3704")
CVM_LIST: Final = bytes.fromhex("0000000000000000") + bytes.fromhex("1F00")
_AIP: Final = {
    ChipMethod.CDA: bytes.fromhex("1980"),
    ChipMethod.FDDA: bytes.fromhex("2080"),
    ChipMethod.DDA: bytes.fromhex("2000"),
    ChipMethod.STATIC: bytes.fromhex("4080"),
}
_AFL: Final = bytes.fromhex("08010100 10010101 18010300")
SFI_TRACK: Final = 1
SFI_SIGNED: Final = 2
SFI_KEYS: Final = 3


@dataclass(frozen=True, slots=True)
class ChipOrder:
    """What to make. `digits` is the length of the card's number, `account` what no other one has.

    `issuer` and `key` are names of the laboratory's; `signs_with` is another key than the certified one on a copy.
    `applications` 2 lists the less wanted one first. `tokens` over 1 makes a phone.
    """

    method: ChipMethod
    digits: int
    account: int
    sequence: int
    issuer: str
    key: str
    signs_with: str
    contacts: bool
    fields: bool
    applications: int
    tokens: int
    blocked: bool
    valid_from: date
    valid_to: date


def personalise_chip(order: ChipOrder, today: date) -> ChipMemory:
    """The chip's content. Raises `KeyError` for a name, `ValueError` for a number the laboratory does not have."""
    wallets = tuple(_wallet(order, order.account + token, today) for token in range(order.tokens))
    return ChipMemory(order.contacts, wallets)


def lab_number(digits: int, account: int) -> str:
    """A card number of the laboratory: its issuer's digits, the account, a check digit. `ValueError` when too long."""
    room = digits - len(ISSUER_DIGITS) - 1
    if not 0 <= account < 10**room:
        raise ValueError(f"account {account} does not fit a number of {digits} digits")
    body = f"{ISSUER_DIGITS}{account:0{room}d}"
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """Luhn's, for the digits before it."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::-2])
    return str(-(doubled + sum(map(int, body[-2::-2]))) % 10)


def _wallet(order: ChipOrder, account: int, today: date) -> ChipWallet:
    made = [_application(order, account, number, today) for number in range(order.applications)]
    return ChipWallet(tuple(reversed(made)))


def _application(order: ChipOrder, account: int, number: int, today: date) -> ChipApplication:
    pan, aip = lab_number(order.digits, account), _AIP[order.method]
    open_record, signed_record = _track(order, pan), _signed(order, pan)
    keys = _keys(order, pan, signed_record + aip, today)
    records = {
        SFI_TRACK << 8 | 1: _record(open_record),
        SFI_SIGNED << 8 | 1: _record(signed_record),
        **{SFI_KEYS << 8 | at: _record(content) for at, content in enumerate(keys, 1)},
    }
    asks = order.method is ChipMethod.FDDA
    return ChipApplication(
        aid=AIDS[number],
        label=LABELS[number],
        priority=number + 1,
        method=order.method,
        key=order.signs_with,
        pan=pan,
        sequence=order.sequence,
        pdol=PDOL_CONTACTLESS if asks else b"",
        cdol_1=CDOL_1,
        cdol_2=CDOL_2,
        ddol=DDOL,
        aip=aip,
        afl=_AFL,
        records=records,
        fields=order.fields,
        blocked=order.blocked,
        atc=0,
    )


def _track(order: ChipOrder, pan: str) -> bytes:
    digits = f"{pan}D{order.valid_to:%y%m}{SERVICE_CODE}0000"
    objects = [Tlv(tags.TAG_TRACK_2, bytes.fromhex(digits + "F" * (len(digits) % 2)))]
    if order.contacts:  # without contacts a name is not given to whom one passes by
        objects.append(Tlv(tags.TAG_HOLDER, b"LABORATORY/CARD"))
    return build_tlv(objects)


def _signed(order: ChipOrder, pan: str) -> bytes:
    last_day = order.valid_to.replace(day=calendar.monthrange(order.valid_to.year, order.valid_to.month)[1])
    return build_tlv(
        (
            Tlv(tags.TAG_EXPIRY, bytes.fromhex(f"{last_day:%y%m%d}")),
            Tlv(tags.TAG_EFFECTIVE, bytes.fromhex(f"{order.valid_from:%y%m%d}")),
            Tlv(tags.TAG_PAN, bytes.fromhex(pan + "F" * (len(pan) % 2))),
            Tlv(tags.TAG_SEQUENCE, bytes.fromhex(f"{order.sequence:02d}")),
            Tlv(tags.TAG_PAR, _account_reference(order)),
            Tlv(tags.TAG_USAGE, bytes.fromhex("FF00")),
            Tlv(tags.TAG_CARD_VERSION, bytes.fromhex("0096")),
            Tlv(tags.TAG_CVM_LIST, CVM_LIST),
            Tlv(tags.TAG_IAC_DEFAULT, bytes(5)),
            Tlv(tags.TAG_IAC_DENIAL, bytes(5)),
            Tlv(tags.TAG_IAC_ONLINE, bytes(5)),
            Tlv(tags.TAG_ISSUER_COUNTRY, COUNTRY),
            Tlv(tags.TAG_STATIC_TAGS, bytes((tags.TAG_AIP,))),
            Tlv(tags.TAG_CDOL_1, CDOL_1),
            Tlv(tags.TAG_CDOL_2, CDOL_2),
        )
    )


def _account_reference(order: ChipOrder) -> bytes:
    """29 characters that a phone's tokens have in common: they name the account, not the device."""
    return f"LAB0{order.account:025d}".encode()


def _keys(order: ChipOrder, pan: str, static: bytes, today: date) -> tuple[bytes, bytes, bytes]:
    issuer = ISSUERS[order.issuer]
    by_ca = issuer_certificate(issuer, date(today.year + ISSUER_YEARS, 12, 31))
    objects = [
        Tlv(tags.TAG_CA_INDEX, bytes((issuer.ca_index,))),
        Tlv(tags.TAG_ISSUER_EXPONENT, lab_key(issuer.key).exponent_bytes),
        Tlv(tags.TAG_ISSUER_REMAINDER, by_ca.remainder),  # empty where all fitted, as real cards have it
    ]
    if order.method is ChipMethod.STATIC:
        last = Tlv(tags.TAG_STATIC_SIGNATURE, static_signature(issuer, static))
    else:
        last = _certified(order, issuer, pan, static, objects)
    certificate = Tlv(tags.TAG_ISSUER_CERTIFICATE, by_ca.certificate)
    return build_tlv(objects), certificate.to_bytes(), last.to_bytes()


def _certified(order: ChipOrder, issuer: LabIssuer, pan: str, static: bytes, objects: list[Tlv]) -> Tlv:
    key = lab_key(order.key)
    made = card_certificate(issuer, key, pan, order.valid_to, static)
    objects.append(Tlv(tags.TAG_CARD_EXPONENT, key.exponent_bytes))
    if made.remainder:
        objects.append(Tlv(tags.TAG_CARD_REMAINDER, made.remainder))
    objects.append(Tlv(tags.TAG_DDOL, DDOL))
    return Tlv(tags.TAG_CARD_CERTIFICATE, made.certificate)


def _record(content: bytes) -> bytes:
    return Tlv(tags.TAG_RECORD, content).to_bytes()
