"""The card map of the resident application, version 2: ONE table that everything else follows.

Personalisation creates `FILES`, the terminal reads by them, the simulator's cards come out of
personalisation, and `docs/card-layout.md` is printed from them (`python -m cardproto.resident.document`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from cardproto.desfire.application import KeySets, KeySettings
from cardproto.desfire.files import (
    NEVER,
    AccessRights,
    DataFileSettings,
    FileSettings,
    FileType,
    RecordFileSettings,
    TransactionMacSettings,
    ValueFileSettings,
)
from cardproto.desfire.messaging import CommMode
from cardproto.resident.records.event import EVENT_BYTES
from cardproto.resident.records.rights import RIGHTS_BYTES

LAYOUT_VERSION: Final = 2
AID: Final = bytes.fromhex("4B5A01")
"""As written, most significant byte first; native commands send it reversed."""
DF_NAME: Final = bytes.fromhex("F04B5A484954454C01")
ISO_DF_ID: Final = 0x4B5A

FILE_RIGHTS: Final = 0x01
FILE_EVENTS: Final = 0x02
FILE_PURSE: Final = 0x03
FILE_CREDENTIAL: Final = 0x04
FILE_DOCUMENTS: Final = 0x05
FILE_TRANSACTION_MAC: Final = 0x0F

CREDENTIAL_BYTES: Final = 256
LONGEST_CREDENTIAL: Final = 239
"""What one enciphered answer carries, so one exchange reads it; the rest of the file stays zero."""
DOCUMENTS_BYTES: Final = 128
PURSE_LIMIT_MINOR: Final = 1_500_000
EVENTS_KEPT: Final = 6


class KeyNo(IntEnum):
    """The application's keys, all AES-128 and diversified per card, except IDENTIFY: one for all cards of a region."""

    APPLICATION = 0
    VALIDATE = 1
    RELOAD = 2
    INSPECT = 3
    ENTITLE = 4
    IDENTIFY = 5
    ORDER = 6
    ROLL = 7


@dataclass(frozen=True, slots=True)
class CardKeySlot:
    """Who holds a key and what it opens, in words."""

    number: KeyNo
    holder: str
    opens: str


KEYS: Final = (
    CardKeySlot(KeyNo.APPLICATION, "issuing point", "creates files, changes keys and file settings"),
    CardKeySlot(
        KeyNo.VALIDATE,
        "validators, canteen terminals",
        "reads everything but documents, debits, appends, changes and clears events",
    ),
    CardKeySlot(KeyNo.RELOAD, "reload points", "credits the purse, changes rights, appends events"),
    CardKeySlot(KeyNo.INSPECT, "inspectors", "reads rights, events and documents"),
    CardKeySlot(
        KeyNo.ENTITLE,
        "entitlement issuers",
        "writes rights, the credential and documents, appends events",
    ),
    CardKeySlot(
        KeyNo.IDENTIFY, "openers of cards with random UID", "no file, it only lets the UID be asked for"
    ),
    CardKeySlot(
        KeyNo.ORDER,
        "terminals that carry out card orders",
        "credits and debits the purse, appends events",
    ),
    CardKeySlot(
        KeyNo.ROLL,
        "terminals that roll cards to new keys",
        "no file, it only makes a spare key set the active one",
    ),
)
KEYS_EV1: Final = KEYS[: KeyNo.IDENTIFY]
"""EV1 has no additional access-right sets and no key sets, so nothing that ORDER or ROLL could open; IDENTIFY goes only
onto those with random UID."""

PICC_KEY_VERSION: Final = 1
KEY_VERSION: Final = 1
"""Of the first generation of keys, and of keys that have one generation only."""
SPARE_KEY_SETS: Final = 2
"""Filled at issue with the keys of the next generations: a card issued without them could never be rolled."""


def key_settings(*, key_sets: bool, random_uid: bool, version: int = KEY_VERSION) -> KeySettings:
    """Only K0 creates, deletes and changes; files and settings, which hold nothing personal, are listed without a key.

    `key_sets`: whether the card can have any (EV2, EV3); `version` is the one of the set that is active at issue.
    """
    if not key_sets:
        count = len(KEYS_EV1) + random_uid
        return KeySettings(key_count=count, change_key=KeyNo.APPLICATION, free_listing=True)
    return KeySettings(
        key_count=len(KEYS),
        change_key=KeyNo.APPLICATION,
        free_listing=True,
        key_sets=KeySets(version, 1 + SPARE_KEY_SETS, roll_key=KeyNo.ROLL),
    )


TRANSACTION_TIMER: Final = 1
"""EV3: what the transaction timer is set to at issue, against a commit that is held back. `(?)` its unit is not
public."""


@dataclass(frozen=True, slots=True)
class CardFile:
    """One line of the card map."""

    number: int
    name: str
    content: str
    settings: FileSettings


def _only(*, read: int = NEVER, write: int = NEVER, read_write: int = NEVER) -> AccessRights:
    """An additional access-right set (EV2/EV3): such a set never carries the Change right."""
    return AccessRights(read=read, write=write, read_write=read_write)


FILES: Final = (
    CardFile(
        FILE_RIGHTS,
        "rights",
        "region, flags, resident pseudonym, validity, concessions, passes and packs, credential digest",
        DataFileSettings(
            FileType.BACKUP,
            CommMode.MAC,
            AccessRights(KeyNo.VALIDATE, KeyNo.ENTITLE, KeyNo.RELOAD, KeyNo.APPLICATION),
            RIGHTS_BYTES,
            additional=(_only(read=KeyNo.INSPECT), _only(read=KeyNo.ENTITLE)),
        ),
    ),
    CardFile(
        FILE_EVENTS,
        "events",
        "newest tap first, each with the running state: balance, journey, meals, counters",
        RecordFileSettings(
            FileType.CYCLIC,
            CommMode.MAC,
            AccessRights(KeyNo.INSPECT, NEVER, KeyNo.VALIDATE, KeyNo.APPLICATION),
            EVENT_BYTES,
            # One record is the pending slot of a running transaction and cannot be read.
            max_records=EVENTS_KEPT + 1,
            additional=(
                _only(read=KeyNo.RELOAD, write=KeyNo.RELOAD),
                _only(read=KeyNo.ENTITLE, write=KeyNo.ENTITLE),
                _only(write=KeyNo.ORDER),
            ),
        ),
    ),
    CardFile(
        FILE_PURSE,
        "purse",
        "minor units",
        ValueFileSettings(
            CommMode.MAC,
            # Debit needs only Read; Credit needs ReadWrite: a stolen validator takes money, never makes it.
            AccessRights(KeyNo.VALIDATE, NEVER, KeyNo.RELOAD, KeyNo.APPLICATION),
            lower=0,
            upper=PURSE_LIMIT_MINOR,
            # A card order credits on a bus, where a key that also writes rights must never be.
            additional=(_only(read_write=KeyNo.ORDER),),
        ),
    ),
    CardFile(
        FILE_CREDENTIAL,
        "credential",
        "issuer-signed grant (COSE/CWT), zero-filled when there is none",
        # Backup, so that a grant and the digest in the rights change together or not at all.
        DataFileSettings(
            FileType.BACKUP,
            CommMode.FULL,
            AccessRights(KeyNo.VALIDATE, KeyNo.ENTITLE, NEVER, KeyNo.APPLICATION),
            CREDENTIAL_BYTES,
        ),
    ),
    CardFile(
        FILE_DOCUMENTS,
        "documents",
        "references to e-documents (type, number, status date), zero-filled; no tap reads it",
        DataFileSettings(
            FileType.BACKUP,
            CommMode.FULL,
            AccessRights(KeyNo.INSPECT, NEVER, KeyNo.ENTITLE, KeyNo.APPLICATION),
            DOCUMENTS_BYTES,
        ),
    ),
    CardFile(
        FILE_TRANSACTION_MAC,
        "transaction MAC",
        "TMC and TMV: the card's own proof of the newest transaction; CommitReaderID disabled",
        TransactionMacSettings(
            CommMode.MAC, AccessRights(KeyNo.VALIDATE, NEVER, NEVER, KeyNo.APPLICATION), KEY_VERSION
        ),
    ),
)


def _for_ev1(line: CardFile) -> CardFile:
    """As an EV1 card can hold the file: without additional access-right sets.

    Where no other key has the Write right, the writer of the first additional set gets it.
    """
    settings = line.settings
    if isinstance(settings, TransactionMacSettings) or not settings.additional:
        return line
    rights = settings.rights
    if rights.write == NEVER:
        rights = replace(rights, write=settings.additional[0].write)
    return replace(line, settings=replace(settings, rights=rights, additional=()))


FILES_EV1: Final = tuple(_for_ev1(f) for f in FILES if not isinstance(f.settings, TransactionMacSettings))
"""The card map on EV1: no transaction MAC, so no proof, and fewer rights.

Reload points still credit, write rights and append events; inspectors and entitlement issuers need the validate key
to read what they may only read through an additional set, and the latter append no events. There are no card orders.
"""


def file(number: int) -> CardFile:
    """The card map's line for a file number; raises `KeyError` for a number the map does not have."""
    return _BY_NUMBER[number]


_BY_NUMBER: Final = {f.number: f for f in FILES}


@dataclass(frozen=True, slots=True)
class ExchangeBudget:
    """What a tap may spend: exchanges with the card, and command plus answer bytes with status words."""

    exchanges: int
    apdu_bytes: int


PASS_TAP: Final = ExchangeBudget(7, 370)
"""Select, EV2First (2), read rights, read newest event, append event, commit with TMC and TMV."""
PURSE_TAP: Final = ExchangeBudget(8, 400)
"""The same with a debit."""
