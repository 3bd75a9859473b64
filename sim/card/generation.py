"""The chips a software card can be: how each names itself and what it knows.

    EV1     D40, ISO and AES authentication, native chaining; no EV2 sessions, no transaction MAC
    EV2     all of that, EV2 sessions, transaction MAC, additional access-right sets, key sets
    EV3     as EV2, and a transaction timer, as far as public documents tell the two apart
    Light   one fixed application, EV2 sessions only, wrapped and ISO commands only

GetVersion figures are the published ones; where none is published it says `(?)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.desfire import commands as ins

LEGACY_AUTHENTICATION: Final = frozenset(
    (ins.INS_AUTHENTICATE_D40, ins.INS_AUTHENTICATE_ISO, ins.INS_AUTHENTICATE_AES)
)
EV2_AUTHENTICATION: Final = frozenset((ins.INS_AUTHENTICATE_EV2_FIRST, ins.INS_AUTHENTICATE_EV2_NON_FIRST))
PROXIMITY_CHECK: Final = frozenset(
    (ins.INS_PREPARE_PROXIMITY_CHECK, ins.INS_PROXIMITY_CHECK, ins.INS_VERIFY_PROXIMITY_CHECK)
)
KEY_SETS: Final = frozenset(
    (ins.INS_CHANGE_KEY_EV2, ins.INS_INITIALIZE_KEY_SET, ins.INS_FINALIZE_KEY_SET, ins.INS_ROLL_KEY_SET)
)
NATIVE_CHAINED: Final = frozenset(
    (
        ins.INS_READ_DATA_NATIVE,
        ins.INS_WRITE_DATA_NATIVE,
        ins.INS_READ_RECORDS_NATIVE,
        ins.INS_WRITE_RECORD_NATIVE,
    )
)
_SINCE_EV2: Final = (
    EV2_AUTHENTICATION
    | PROXIMITY_CHECK
    | KEY_SETS
    | ins.ISO_CHAINED
    | {
        ins.INS_UPDATE_RECORD_NATIVE,
        ins.INS_CREATE_TRANSACTION_MAC_FILE,
        ins.INS_COMMIT_READER_ID,
        ins.INS_READ_SIGNATURE,
    }
)
_NOT_ON_LIGHT: Final = (
    LEGACY_AUTHENTICATION
    | PROXIMITY_CHECK
    | KEY_SETS
    | NATIVE_CHAINED
    | {
        ins.INS_UPDATE_RECORD_NATIVE,
        ins.INS_SELECT_APPLICATION,
        ins.INS_GET_APPLICATION_IDS,
        ins.INS_GET_DF_NAMES,
        ins.INS_FREE_MEMORY,
        ins.INS_CREATE_APPLICATION,
        ins.INS_DELETE_APPLICATION,
        ins.INS_FORMAT_PICC,
        ins.INS_GET_KEY_SETTINGS,
        ins.INS_CHANGE_KEY_SETTINGS,
        ins.INS_CREATE_STANDARD_FILE,
        ins.INS_CREATE_BACKUP_FILE,
        ins.INS_CREATE_VALUE_FILE,
        ins.INS_CREATE_LINEAR_FILE,
        ins.INS_CREATE_CYCLIC_FILE,
    }
)


@dataclass(frozen=True, slots=True)
class Generation:
    """One chip. `hardware` and `software` are GetVersion's 7-byte parts, `unknown` the codes it refuses."""

    name: str
    hardware: bytes
    software: bytes
    ats: bytes
    memory_bytes: int
    unknown: frozenset[int]
    transaction_mac: bool = True
    native_framing: bool = True
    fixed: bool = False
    transaction_timer: bool = False
    most_applications: int = 0xFFFF


_ATS: Final = bytes.fromhex("067577810280")
_ATS_LIGHT: Final = bytes.fromhex("067777710280")

GENERATIONS: Final = {
    g.name: g
    for g in (
        Generation(
            "EV1",
            bytes.fromhex("04010101001A05"),
            bytes.fromhex("04010101041A05"),
            _ATS,
            8192,
            frozenset(_SINCE_EV2),
            transaction_mac=False,
            most_applications=28,
        ),
        Generation(
            "EV2", bytes.fromhex("04010112001A05"), bytes.fromhex("04010102011A05"), _ATS, 8192, frozenset()
        ),
        Generation(
            "EV3",
            bytes.fromhex("04010133001A05"),
            bytes.fromhex("04010103001A05"),
            _ATS,
            8192,
            frozenset(),
            transaction_timer=True,
        ),
        # Software part (?): not in the published example, which shows the first frame only.
        Generation(
            "Light",
            bytes.fromhex("04080130001305"),
            bytes.fromhex("04080100021305"),
            _ATS_LIGHT,
            896,
            frozenset(_NOT_ON_LIGHT),
            native_framing=False,
            fixed=True,
        ),
    )
}


def generation_of(name: str) -> Generation:
    """The chip of this name; raises `ValueError` naming the ones there are."""
    try:
        return GENERATIONS[name]
    except KeyError:
        raise ValueError(f"no generation {name!r}; there are {', '.join(GENERATIONS)}") from None
