"""Instruction codes of the native command set, D40 to EV3, with the names people read in errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INS_AUTHENTICATE_D40: Final = 0x0A
INS_AUTHENTICATE_ISO: Final = 0x1A
INS_AUTHENTICATE_AES: Final = 0xAA
INS_AUTHENTICATE_EV2_FIRST: Final = 0x71
INS_AUTHENTICATE_EV2_NON_FIRST: Final = 0x77
INS_ADDITIONAL_FRAME: Final = 0xAF
INS_SELECT_APPLICATION: Final = 0x5A
INS_GET_VERSION: Final = 0x60
INS_GET_CARD_UID: Final = 0x51
INS_GET_FILE_IDS: Final = 0x6F
INS_GET_ISO_FILE_IDS: Final = 0x61
INS_GET_FILE_SETTINGS: Final = 0xF5
INS_CHANGE_FILE_SETTINGS: Final = 0x5F
INS_GET_KEY_VERSION: Final = 0x64
INS_CHANGE_KEY: Final = 0xC4
INS_CHANGE_KEY_EV2: Final = 0xC6
INS_INITIALIZE_KEY_SET: Final = 0x56
INS_FINALIZE_KEY_SET: Final = 0x57
INS_ROLL_KEY_SET: Final = 0x55
INS_SET_CONFIGURATION: Final = 0x5C
INS_GET_KEY_SETTINGS: Final = 0x45
INS_CHANGE_KEY_SETTINGS: Final = 0x54
INS_GET_APPLICATION_IDS: Final = 0x6A
INS_GET_DF_NAMES: Final = 0x6D
INS_FREE_MEMORY: Final = 0x6E
INS_CREATE_APPLICATION: Final = 0xCA
INS_DELETE_APPLICATION: Final = 0xDA
INS_FORMAT_PICC: Final = 0xFC
INS_CREATE_STANDARD_FILE: Final = 0xCD
INS_CREATE_BACKUP_FILE: Final = 0xCB
INS_CREATE_VALUE_FILE: Final = 0xCC
INS_CREATE_LINEAR_FILE: Final = 0xC1
INS_CREATE_CYCLIC_FILE: Final = 0xC0
INS_CREATE_TRANSACTION_MAC_FILE: Final = 0xCE
INS_DELETE_FILE: Final = 0xDF
INS_READ_DATA: Final = 0xAD
INS_WRITE_DATA: Final = 0x8D
INS_GET_VALUE: Final = 0x6C
INS_CREDIT: Final = 0x0C
INS_DEBIT: Final = 0xDC
INS_LIMITED_CREDIT: Final = 0x1C
INS_READ_RECORDS: Final = 0xAB
INS_WRITE_RECORD: Final = 0x8B
INS_UPDATE_RECORD: Final = 0xBA
INS_CLEAR_RECORD_FILE: Final = 0xEB
INS_COMMIT_READER_ID: Final = 0xC8
INS_COMMIT_TRANSACTION: Final = 0xC7
INS_ABORT_TRANSACTION: Final = 0xA7
INS_READ_SIGNATURE: Final = 0x3C
INS_PREPARE_PROXIMITY_CHECK: Final = 0xF0
INS_PROXIMITY_CHECK: Final = 0xF2
INS_VERIFY_PROXIMITY_CHECK: Final = 0xFD
INS_READ_DATA_NATIVE: Final = 0xBD
INS_WRITE_DATA_NATIVE: Final = 0x3D
INS_READ_RECORDS_NATIVE: Final = 0xBB
INS_WRITE_RECORD_NATIVE: Final = 0x3B
INS_UPDATE_RECORD_NATIVE: Final = 0xDB

ISO_CHAINED: Final = frozenset(
    (INS_READ_DATA, INS_WRITE_DATA, INS_READ_RECORDS, INS_WRITE_RECORD, INS_UPDATE_RECORD)
)
"""Codes whose long data is chained below the APDU (ISO 14443-4), so one APDU may be full."""


@dataclass(frozen=True, slots=True)
class ContentCodes:
    """The two codes each long content command has; `whole` when no APDU limits how much one command takes."""

    read_data: int
    write_data: int
    read_records: int
    write_record: int
    update_record: int
    whole: bool


ISO_CHAINED_CODES: Final = ContentCodes(
    INS_READ_DATA, INS_WRITE_DATA, INS_READ_RECORDS, INS_WRITE_RECORD, INS_UPDATE_RECORD, whole=False
)
"""EV2, EV3 and Light: chained below the APDU, so that a tap needs no more exchanges than commands."""

NATIVE_CHAINED_CODES: Final = ContentCodes(
    INS_READ_DATA_NATIVE,
    INS_WRITE_DATA_NATIVE,
    INS_READ_RECORDS_NATIVE,
    INS_WRITE_RECORD_NATIVE,
    INS_UPDATE_RECORD_NATIVE,
    whole=True,
)
"""All cards but Light: chained by AF frames of at most 59 bytes."""

_NAMES: Final = {
    INS_AUTHENTICATE_D40: "Authenticate",
    INS_AUTHENTICATE_ISO: "AuthenticateISO",
    INS_AUTHENTICATE_AES: "AuthenticateAES",
    INS_AUTHENTICATE_EV2_FIRST: "AuthenticateEV2First",
    INS_AUTHENTICATE_EV2_NON_FIRST: "AuthenticateEV2NonFirst",
    INS_ADDITIONAL_FRAME: "AdditionalFrame",
    INS_SELECT_APPLICATION: "SelectApplication",
    INS_GET_VERSION: "GetVersion",
    INS_GET_CARD_UID: "GetCardUID",
    INS_GET_FILE_IDS: "GetFileIDs",
    INS_GET_ISO_FILE_IDS: "GetISOFileIDs",
    INS_GET_FILE_SETTINGS: "GetFileSettings",
    INS_CHANGE_FILE_SETTINGS: "ChangeFileSettings",
    INS_GET_KEY_VERSION: "GetKeyVersion",
    INS_CHANGE_KEY: "ChangeKey",
    INS_CHANGE_KEY_EV2: "ChangeKeyEV2",
    INS_INITIALIZE_KEY_SET: "InitializeKeySet",
    INS_FINALIZE_KEY_SET: "FinalizeKeySet",
    INS_ROLL_KEY_SET: "RollKeySet",
    INS_SET_CONFIGURATION: "SetConfiguration",
    INS_GET_KEY_SETTINGS: "GetKeySettings",
    INS_CHANGE_KEY_SETTINGS: "ChangeKeySettings",
    INS_GET_APPLICATION_IDS: "GetApplicationIDs",
    INS_GET_DF_NAMES: "GetDFNames",
    INS_FREE_MEMORY: "FreeMem",
    INS_CREATE_APPLICATION: "CreateApplication",
    INS_DELETE_APPLICATION: "DeleteApplication",
    INS_FORMAT_PICC: "Format",
    INS_CREATE_STANDARD_FILE: "CreateStdDataFile",
    INS_CREATE_BACKUP_FILE: "CreateBackupDataFile",
    INS_CREATE_VALUE_FILE: "CreateValueFile",
    INS_CREATE_LINEAR_FILE: "CreateLinearRecordFile",
    INS_CREATE_CYCLIC_FILE: "CreateCyclicRecordFile",
    INS_CREATE_TRANSACTION_MAC_FILE: "CreateTransactionMACFile",
    INS_DELETE_FILE: "DeleteFile",
    INS_READ_DATA: "ReadData",
    INS_WRITE_DATA: "WriteData",
    INS_GET_VALUE: "GetValue",
    INS_CREDIT: "Credit",
    INS_DEBIT: "Debit",
    INS_LIMITED_CREDIT: "LimitedCredit",
    INS_READ_RECORDS: "ReadRecords",
    INS_WRITE_RECORD: "WriteRecord",
    INS_UPDATE_RECORD: "UpdateRecord",
    INS_CLEAR_RECORD_FILE: "ClearRecordFile",
    INS_COMMIT_READER_ID: "CommitReaderID",
    INS_COMMIT_TRANSACTION: "CommitTransaction",
    INS_ABORT_TRANSACTION: "AbortTransaction",
    INS_READ_SIGNATURE: "Read_Sig",
    INS_PREPARE_PROXIMITY_CHECK: "PreparePC",
    INS_PROXIMITY_CHECK: "ProximityCheck",
    INS_VERIFY_PROXIMITY_CHECK: "VerifyPC",
    INS_READ_DATA_NATIVE: "ReadData",
    INS_WRITE_DATA_NATIVE: "WriteData",
    INS_READ_RECORDS_NATIVE: "ReadRecords",
    INS_WRITE_RECORD_NATIVE: "WriteRecord",
    INS_UPDATE_RECORD_NATIVE: "UpdateRecord",
}


def command_name(ins: int) -> str:
    """The command's name as the datasheet prints it, or its code."""
    return _NAMES.get(ins, f"command {ins:02X}")
