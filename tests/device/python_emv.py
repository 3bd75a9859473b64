"""Another project's reader of bank cards: `python -m tests.device.python_emv READER` prints what it read as JSON.

A program of its own, as `tests.device.python_desfire` is: its PC/SC library keeps threads as long as the process lives.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from emv.card import Card  # type: ignore[import-untyped]
from emv.protocol.command import SelectCommand  # type: ignore[import-untyped]
from emv.protocol.data import Tag  # type: ignore[import-untyped]
from emv.protocol.response import ErrorResponse  # type: ignore[import-untyped]
from smartcard.System import readers


def plain(value: Any) -> str:
    """A value of a data object, in hexadecimal."""
    return bytes(value).hex()


def name_of(tag: Any) -> str:
    """A tag in hexadecimal; this library keeps one byte as a number and two as a pair."""
    return plain(tag.id if isinstance(tag.id, tuple) else (tag.id,))


def directory(card: Any) -> list[str]:
    """Names of the applications: by the list for contacts, else by the one for the air."""
    try:
        entries = card._list_applications_sfi()
    except ErrorResponse:
        answer = card.tp.exchange(SelectCommand("2PAY.SYS.DDF01")).data
        entries = answer[Tag.FCI][Tag.FCI_PROP][(0xBF, 0x0C)][Tag.APP]
        entries = entries if isinstance(entries, list) else [entries]
    return [plain(entry[Tag.ADF_NAME]) for entry in entries]


def read(card: Any) -> dict[str, Any]:
    """Everything this library reads of the first application."""
    names = directory(card)
    card.select_application(list(bytes.fromhex(names[0])))
    options = card.get_processing_options()
    data = card.get_application_data(options["AFL"])
    return {
        "applications": names,
        "aip": plain(options["AIP"]),
        "afl": plain(options["AFL"]),
        "data": {name_of(tag): plain(value) for tag, value in data.items() if type(value) in (list, bytes)},
        "counters": card.get_metadata(),
    }


def main(reader_name: str) -> None:
    (reader,) = [reader for reader in readers() if str(reader) == reader_name]
    connection = reader.createConnection()
    print(json.dumps(read(Card(connection.component))))
    connection.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
