"""Card protocol of the resident card: bytes to meaning and back, without I/O, clock or randomness.

The names below are public, and docs/api.md says what is promised of them; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cardproto.apdu import SW, CommandApdu, ResponseApdu
    from cardproto.channel import CardChannel
    from cardproto.connection import CardConnection
    from cardproto.desfire.application import KeySettings
    from cardproto.desfire.authentication import AesAuthentication
    from cardproto.desfire.card import DesfireCard
    from cardproto.desfire.channel import DesfireChannel
    from cardproto.desfire.crypto import AesKey
    from cardproto.desfire.files import AccessRights, DataFileSettings, FileType
    from cardproto.desfire.messaging import CommMode
    from cardproto.errors import (
        CardError,
        CardGone,
        ExchangeTimeout,
        FormatError,
        IntegrityError,
        LimitExceeded,
        NotAuthenticated,
        ProtocolError,
        ReaderGone,
        ServiceGone,
        StatusError,
        TransmissionError,
    )
    from cardproto.resident.keyset import MasterKeys, ResidentKeys
    from cardproto.resident.layout import AID, FILE_EVENTS, FILE_PURSE, FILE_RIGHTS, KeyNo
    from cardproto.resident.records.event import (
        EVENT_BYTES,
        Event,
        EventKind,
        PaidBy,
        build_event,
        parse_event,
    )
    from cardproto.resident.records.rights import (
        RIGHTS_BYTES,
        Concession,
        Contract,
        Rights,
        build_rights,
        parse_rights,
    )
    from cardproto.resident.snapshot import CardSnapshot

__all__ = [
    "AID",
    "EVENT_BYTES",
    "FILE_EVENTS",
    "FILE_PURSE",
    "FILE_RIGHTS",
    "RIGHTS_BYTES",
    "SW",
    "AccessRights",
    "AesAuthentication",
    "AesKey",
    "CardChannel",
    "CardConnection",
    "CardError",
    "CardGone",
    "CardSnapshot",
    "CommMode",
    "CommandApdu",
    "Concession",
    "Contract",
    "DataFileSettings",
    "DesfireCard",
    "DesfireChannel",
    "Event",
    "EventKind",
    "ExchangeTimeout",
    "FileType",
    "FormatError",
    "IntegrityError",
    "KeyNo",
    "KeySettings",
    "LimitExceeded",
    "MasterKeys",
    "NotAuthenticated",
    "PaidBy",
    "ProtocolError",
    "ReaderGone",
    "ResidentKeys",
    "ResponseApdu",
    "Rights",
    "ServiceGone",
    "StatusError",
    "TransmissionError",
    "build_event",
    "build_rights",
    "parse_event",
    "parse_rights",
]

_HOMES: Final = {
    "apdu": (
        "SW",
        "CommandApdu",
        "ResponseApdu",
    ),
    "channel": ("CardChannel",),
    "connection": ("CardConnection",),
    "desfire.application": ("KeySettings",),
    "desfire.authentication": ("AesAuthentication",),
    "desfire.card": ("DesfireCard",),
    "desfire.channel": ("DesfireChannel",),
    "desfire.crypto": ("AesKey",),
    "desfire.files": (
        "AccessRights",
        "DataFileSettings",
        "FileType",
    ),
    "desfire.messaging": ("CommMode",),
    "errors": (
        "CardError",
        "CardGone",
        "ExchangeTimeout",
        "FormatError",
        "IntegrityError",
        "LimitExceeded",
        "NotAuthenticated",
        "ProtocolError",
        "ReaderGone",
        "ServiceGone",
        "StatusError",
        "TransmissionError",
    ),
    "resident.keyset": (
        "MasterKeys",
        "ResidentKeys",
    ),
    "resident.layout": (
        "AID",
        "FILE_EVENTS",
        "FILE_PURSE",
        "FILE_RIGHTS",
        "KeyNo",
    ),
    "resident.records.event": (
        "EVENT_BYTES",
        "Event",
        "EventKind",
        "PaidBy",
        "build_event",
        "parse_event",
    ),
    "resident.records.rights": (
        "RIGHTS_BYTES",
        "Concession",
        "Contract",
        "Rights",
        "build_rights",
        "parse_rights",
    ),
    "resident.snapshot": ("CardSnapshot",),
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
