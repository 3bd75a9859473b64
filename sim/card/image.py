"""Committed memory as plain JSON values, for comparing cards and for people to look at.

Keys appear as check values (the first three bytes of the zero block enciphered), never as themselves.
"""

from __future__ import annotations

from typing import TypeAlias

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.legacy_crypto import DesKey
from sim.card.files import CardFile, DataFile, RecordFile, TransactionMacFile, ValueFile
from sim.card.memory import Application, KeySlot, Memory, StoredKeySets

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool | None"


def image_of(uid: bytes, memory: Memory) -> dict[str, Json]:
    """Everything that survives power loss; equal images mean equal cards."""
    applications: dict[str, Json] = {
        app.aid[::-1].hex().upper(): _application(app) for app in memory.applications.values()
    }
    return {
        "uid": uid.hex().upper(),
        "ats": memory.ats.hex().upper(),
        "format_disabled": memory.format_disabled,
        "random_uid": memory.random_uid,
        "transaction_timer": memory.transaction_timer,
        "default_key": _key(memory.default_key.slot(KeyType.AES)),
        "proximity_key": _key(memory.proximity_key),
        "applications": applications,
    }


def _application(app: Application) -> Json:
    files: dict[str, Json] = {f"{number:02X}": _file(file) for number, file in app.files.items()}
    return {
        "key_settings": app.key_settings,
        "key_type": app.key_type.name,
        "keys": [_key(slot) for slot in app.keys],
        "key_sets": None if app.key_sets is None else _key_sets(app.key_sets),
        "iso_id": app.iso_id,
        "df_name": app.df_name.hex().upper(),
        "files": files,
    }


def _key_sets(sets: StoredKeySets) -> Json:
    others: dict[str, Json] = {
        str(number): {
            "version": chosen.version,
            "finalized": chosen.finalized,
            "keys": [_key(slot) for slot in chosen.keys],
        }
        for number, chosen in sets.others.items()
    }
    return {
        "active_version": sets.active_version,
        "count": sets.count,
        "roll_settings": sets.roll_settings,
        "others": others,
    }


def _key(slot: KeySlot) -> Json:
    return {"check": check_value(slot), "version": slot.version}


def check_value(slot: KeySlot) -> str:
    """Distinguishes keys without showing them."""
    key = AesKey(slot.key) if slot.type is KeyType.AES else DesKey(slot.key)
    block = bytes(slot.type.block_bytes)
    return key.encrypt(block, block)[:3].hex().upper()


def _file(file: CardFile) -> Json:
    head: dict[str, Json] = {
        "type": file.type_code,
        "option": file.head.option,
        "rights": [f"{value:04X}" for value in file.head.rights.sets],
        "iso_id": file.head.iso_id,
    }
    return {**head, **_content(file)}


def _content(file: CardFile) -> dict[str, Json]:
    match file:
        case DataFile():
            return {"content": file.content.hex().upper()}
        case ValueFile():
            return {
                "lower": file.lower,
                "upper": file.upper,
                "value": file.value,
                "allowance": file.allowance,
                "limited_credit": file.limited_credit,
                "free_get_value": file.free_get_value,
            }
        case RecordFile():
            records: list[Json] = [record.hex().upper() for record in file.records]
            return {"record_bytes": file.record_bytes, "max_records": file.max_records, "records": records}
        case TransactionMacFile():
            return {
                "key": _key(KeySlot(file.key, file.key_version)),
                "counter": file.counter,
                "value": file.value.hex().upper(),
                "previous_reader": file.previous_reader.hex().upper(),
                "limit": file.limit,
            }
