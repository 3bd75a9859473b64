"""The ISO 7816-4 commands of the card (CLA 00): parameters are most significant byte first here.

SELECT, READ BINARY and UPDATE BINARY; the latter two are plain only and refused inside a session.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.apdu import SW, CommandApdu
from cardproto.errors import ProtocolError
from sim.card.files import FREE_BIT, CardFile, DataFile
from sim.card.memory import PICC_AID
from sim.card.refusal import IsoRefusal
from sim.card.state import CardState

INS_SELECT: Final = 0xA4
INS_READ_BINARY: Final = 0xB0
INS_UPDATE_BINARY: Final = 0xD6
PICC_DF_NAME: Final = bytes.fromhex("D2760000850100")
MASTER_FILE: Final = 0x3F00
FCI_FILE: Final = 0x1F
MAX_NAME_BYTES: Final = 16


def execute(state: CardState, apdu: bytes) -> bytes:
    """Run one ISO command; returns data and status word, never raises."""
    try:
        if state.handshake is not None or state.incoming is not None or state.outgoing:
            raise IsoRefusal(SW.CONDITIONS_OF_USE)
        command = _parse(apdu)
        if command.ins == INS_SELECT:
            return _select(state, command)
        if command.ins == INS_READ_BINARY:
            return _read_binary(state, command)
        if command.ins == INS_UPDATE_BINARY:
            return _update_binary(state, command)
        raise IsoRefusal(SW.INS_NOT_SUPPORTED)
    except IsoRefusal as refusal:
        state.fail()
        return refusal.sw.to_bytes(2, "big")


def _parse(apdu: bytes) -> CommandApdu:
    try:
        return CommandApdu.parse(apdu)
    except ProtocolError as error:
        raise IsoRefusal(SW.WRONG_LENGTH) from error


def _select(state: CardState, command: CommandApdu) -> bytes:
    if command.p2 not in (0x00, 0x0C):
        raise IsoRefusal(SW.WRONG_P1_P2)
    match command.p1:
        case 0x04:
            _select_by_name(state, command.data)
        case 0x00 | 0x01 | 0x02:
            _select_by_id(state, command.p1, command.data)
        case 0x03:
            state.select(PICC_AID)
        case _:
            raise IsoRefusal(SW.WRONG_P1_P2)
    answer = _file_control(state) if command.p2 == 0x00 and state.iso_file is None else b""
    mac_file = state.transaction_mac()
    limited = mac_file is not None and mac_file.exhausted
    return answer + (SW.SELECTED_LIMITED if limited else SW.OK).to_bytes(2, "big")


def _select_by_name(state: CardState, name: bytes) -> None:
    if not 1 <= len(name) <= MAX_NAME_BYTES:
        raise IsoRefusal(SW.WRONG_LENGTH)
    if name == PICC_DF_NAME:
        state.select(PICC_AID)
        return
    for application in state.memory.applications.values():
        if application.df_name == name:
            state.select(application.aid)
            return
    raise IsoRefusal(SW.FILE_NOT_FOUND)


def _select_by_id(state: CardState, p1: int, data: bytes) -> None:
    if p1 == 0x00 and not data:
        state.select(PICC_AID)
        return
    if len(data) != 2:
        raise IsoRefusal(SW.WRONG_LENGTH)
    wanted = int.from_bytes(data, "big")
    if p1 == 0x00 and wanted == MASTER_FILE:
        state.select(PICC_AID)
        return
    if p1 != 0x02:
        for application in state.memory.applications.values():
            if application.iso_id == wanted and wanted:
                state.select(application.aid)
                return
    if p1 != 0x01:
        for file in state.application.files.values():
            if file.head.iso_id == wanted and wanted:
                state.iso_file = file.head.number
                return
    raise IsoRefusal(SW.FILE_NOT_FOUND)


def _file_control(state: CardState) -> bytes:
    """File 1F is the application's file control information when reading it is free."""
    file = state.application.files.get(FCI_FILE)
    if isinstance(file, DataFile) and not file.backup and file.head.rights.read & FREE_BIT:
        return file.content[:256]
    return b""


def _read_binary(state: CardState, command: CommandApdu) -> bytes:
    file, offset = _addressed(state, command)
    if not file.head.rights.read & FREE_BIT:
        raise IsoRefusal(SW.SECURITY_STATUS)
    if command.data or command.le is None:
        raise IsoRefusal(SW.WRONG_LENGTH)
    length = command.le or 256
    if offset >= len(file.content) or (command.le and offset + length > len(file.content)):
        raise IsoRefusal(SW.WRONG_LENGTH)
    return file.content[offset : offset + min(length, 256)] + SW.OK.to_bytes(2, "big")


def _update_binary(state: CardState, command: CommandApdu) -> bytes:
    file, offset = _addressed(state, command)
    if not file.head.rights.write & FREE_BIT:
        raise IsoRefusal(SW.SECURITY_STATUS)
    end = offset + len(command.data)
    if not command.data or end > len(file.content):
        raise IsoRefusal(SW.WRONG_LENGTH)
    if file.backup:
        raise IsoRefusal(SW.CONDITIONS_OF_USE)
    content = file.content[:offset] + command.data + file.content[end:]
    state.application = state.application.with_file(replace(file, content=content))
    return SW.OK.to_bytes(2, "big")


def _addressed(state: CardState, command: CommandApdu) -> tuple[DataFile, int]:
    """The data file and offset that P1 P2 name: the selected file, or a short id in P1 bits 5..1."""
    if state.session is not None:
        raise IsoRefusal(SW.SECURITY_STATUS)
    if state.transaction_mac() is not None:
        raise IsoRefusal(SW.CONDITIONS_OF_USE)
    file: CardFile | None
    if command.p1 & 0x80:
        file, offset = state.application.files.get(command.p1 & 0x1F), command.p2
    elif state.iso_file is not None:
        file, offset = state.application.files.get(state.iso_file), command.p1 << 8 | command.p2
    else:
        raise IsoRefusal(SW.CONDITIONS_OF_USE)
    if not isinstance(file, DataFile):
        raise IsoRefusal(SW.FILE_NOT_FOUND)
    return file, offset
