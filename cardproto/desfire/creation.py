"""What Create*File and ChangeFileSettings carry for the settings of a file.

Additional access-right sets are not part of creation: ChangeFileSettings adds them afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cardproto.desfire.commands import (
    INS_CREATE_BACKUP_FILE,
    INS_CREATE_CYCLIC_FILE,
    INS_CREATE_LINEAR_FILE,
    INS_CREATE_STANDARD_FILE,
    INS_CREATE_TRANSACTION_MAC_FILE,
    INS_CREATE_VALUE_FILE,
)
from cardproto.desfire.files import (
    FLAG_FREE_GET_VALUE,
    FLAG_LIMITED_CREDIT,
    KEY_OPTION_AES,
    OPTION_ADDITIONAL,
    OPTION_EXCLUDE_UNAUTHENTICATED,
    OPTION_TMC_LIMIT,
    AccessRights,
    DataFileSettings,
    FileSettings,
    FileType,
    RecordFileSettings,
    TransactionMacSettings,
    ValueFileSettings,
)
from cardproto.desfire.messaging import CommMode

CREATE_INS: Final = {
    FileType.STANDARD: INS_CREATE_STANDARD_FILE,
    FileType.BACKUP: INS_CREATE_BACKUP_FILE,
    FileType.VALUE: INS_CREATE_VALUE_FILE,
    FileType.LINEAR: INS_CREATE_LINEAR_FILE,
    FileType.CYCLIC: INS_CREATE_CYCLIC_FILE,
    FileType.TRANSACTION_MAC: INS_CREATE_TRANSACTION_MAC_FILE,
}


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What ChangeFileSettings sets: mode, rights, and (EV2/EV3) the additional access-right sets.

    `tmc_limit` and `exclude_unauthenticated` are for the transaction MAC file only.
    """

    mode: CommMode
    rights: AccessRights
    additional: tuple[AccessRights, ...] = ()
    tmc_limit: int | None = None
    exclude_unauthenticated: bool = False


def build_create(file_no: int, settings: FileSettings, iso_id: int | None = None) -> bytes:
    """The header Create*File sends for `settings`; the INS is `CREATE_INS[settings.type]`.

    For the transaction MAC file the key and its version follow, encrypted, as command data.
    """
    iso = b"" if iso_id is None else iso_id.to_bytes(2, "little")
    head = bytes((file_no,)) + iso + bytes((_option(settings),)) + settings.rights.to_bytes()
    match settings:
        case DataFileSettings():
            return head + settings.size.to_bytes(3, "little")
        case ValueFileSettings():
            numbers = (settings.lower, settings.upper, settings.value)
            flags = (
                settings.limited_credit * FLAG_LIMITED_CREDIT | settings.free_get_value * FLAG_FREE_GET_VALUE
            )
            return head + b"".join(n.to_bytes(4, "little", signed=True) for n in numbers) + bytes((flags,))
        case RecordFileSettings():
            return (
                head
                + settings.record_bytes.to_bytes(3, "little")
                + settings.max_records.to_bytes(3, "little")
            )
        case TransactionMacSettings():
            if settings.tmc_limit is not None:
                raise ValueError("a TMC limit is set by ChangeFileSettings, not when creating")
            return head + bytes((KEY_OPTION_AES,))


def _option(settings: FileSettings) -> int:
    if isinstance(settings, TransactionMacSettings) and settings.exclude_unauthenticated:
        return settings.mode | OPTION_EXCLUDE_UNAUTHENTICATED
    return settings.mode


def build_change(change: SettingsChange) -> bytes:
    """The data of ChangeFileSettings, which goes after the file number: option, rights, sets, limit."""
    sets, limit = change.additional, change.tmc_limit
    option = change.mode | (OPTION_ADDITIONAL if sets else 0)
    option |= OPTION_EXCLUDE_UNAUTHENTICATED if change.exclude_unauthenticated else 0
    option |= 0 if limit is None else OPTION_TMC_LIMIT
    body = bytes((option,)) + change.rights.to_bytes()
    if sets:
        body += bytes((len(sets),)) + b"".join(s.to_bytes() for s in sets)
    return body if limit is None else body + limit.to_bytes(4, "little")
