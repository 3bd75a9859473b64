"""Another project's terminal at work: `python -m tests.device.python_desfire READER JOB` prints what it found as JSON.

A program of its own, because its PC/SC library keeps threads and contexts as long as the process lives.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from desfire import DESFire, PCSCDevice  # type: ignore[import-untyped]
from desfire.enums import (  # type: ignore[import-untyped]
    DESFireCommunicationMode,
    DESFireFileType,
    DESFireKeySettings,
    DESFireKeyType,
)
from desfire.exceptions import DESFireCommunicationError  # type: ignore[import-untyped]
from desfire.key import DESFireKey  # type: ignore[import-untyped]
from desfire.schemas import FilePermissions, FileSettings, KeySettings  # type: ignore[import-untyped]
from smartcard.System import readers

ZERO, NEW = "00" * 16, "00112233445566778899AABBCCDDEEFF"
APPLICATION = "010203"
FILE_BYTES = 40
WRITTEN = b"written by somebody else"
AES = KeySettings(settings=[DESFireKeySettings.KS_FACTORY_DEFAULT], key_type=DESFireKeyType.DF_KEY_AES)


def key(secret: str) -> Any:
    return DESFireKey(AES, secret)


def file_of(mode: Any, size: int) -> Any:
    kind = DESFireFileType.MDFT_STANDARD_DATA_FILE
    return FileSettings(
        encryption=mode, permissions=FilePermissions(0, 0, 0, 0), file_size=size, file_type=kind
    )


def new_application(card: Any, keys: int) -> None:
    card.authenticate(0, DESFireKey(card.get_key_setting()))
    card.create_application(APPLICATION, AES, keys)
    card.select_application(APPLICATION)
    card.authenticate(0, key(ZERO))


def files(card: Any) -> dict[str, Any]:
    """Who it is, an application, keys, files in every mode."""
    found: dict[str, Any] = {"shown_uid": bytes(card.get_card_version().uid).hex()}
    card.authenticate(0, DESFireKey(card.get_key_setting()))
    found["real_uid"] = bytes(card.get_real_uid()).hex()
    new_application(card, 3)
    card.change_key(1, key(ZERO), key(NEW), 7)
    found["version"] = card.get_key_version(1)
    card.change_key(0, key(ZERO), key(NEW), 9)
    card.authenticate(0, key(NEW))
    for number, mode in enumerate(DESFireCommunicationMode, 1):
        card.create_standard_file(number, file_of(mode, FILE_BYTES))
        if mode is not DESFireCommunicationMode.CMAC:
            card.write_file_data(number, 3, mode, list(WRITTEN))
        found[mode.name] = bytes(
            card.read_file_data(number, card.get_file_settings(number))[:FILE_BYTES]
        ).hex()
        card.authenticate(0, key(NEW))  # it does not take the MAC off a plain answer and loses count
    found["files"] = card.get_file_ids()
    card.change_key_settings(
        [DESFireKeySettings.KS_ALLOW_CHANGE_MK, DESFireKeySettings.KS_LISTING_WITHOUT_MK]
    )
    return found


def master(card: Any) -> dict[str, Any]:
    """The card's own key becomes AES; then the card is emptied."""
    factory = card.get_key_setting()
    new_application(card, 1)
    card.select_application("000000")
    card.authenticate(0, DESFireKey(factory))
    card.last_selected_application = None  # it names the card's own key rightly only then
    card.change_key(0, DESFireKey(factory), key(NEW), 1)
    card.authenticate(0, key(NEW))
    found = {"before": card.get_application_ids()}
    card.delete_application(APPLICATION)
    found["after"] = card.get_application_ids()
    card.format_card()
    return found


def refused(card: Any) -> dict[str, Any]:
    """What this library does otherwise than cards expect."""
    new_application(card, 1)
    card.create_standard_file(1, file_of(DESFireCommunicationMode.CMAC, 60))
    tries: dict[str, Callable[[], Any]] = {
        "write": lambda: card.write_file_data(1, 0, DESFireCommunicationMode.CMAC, list(WRITTEN)),
        "delete": lambda: card.delete_file(1),
    }
    found: dict[str, Any] = {}
    for name, attempt in tries.items():
        card.select_application(APPLICATION)
        card.authenticate(0, key(ZERO))
        try:
            attempt()
        except DESFireCommunicationError as error:
            found[name] = str(error)
    return found


def main(reader_name: str, job: str) -> None:
    (reader,) = [reader for reader in readers() if str(reader) == reader_name]
    connection = reader.createConnection()
    connection.connect()
    found = {"files": files, "master": master, "refused": refused}[job](
        DESFire(PCSCDevice(connection.component))
    )
    connection.disconnect()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
