"""The command table and the one path every native command takes through the card.

length -> gate (file, rights, mode) -> open (MAC, padding, counter) -> run -> seal -> frames
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cardproto.desfire.messaging import CommMode
from cardproto.desfire.status import Status
from sim.card import (
    access,
    applications,
    authentication,
    data,
    file_admin,
    identity,
    key_sets,
    keys,
)
from sim.card.call import Call
from sim.card.deviating import refuse_deviating
from sim.card.deviation import ChipDeviation
from sim.card.messaging import wire_bytes
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState, PartialCommand

FRAME_BYTES: Final = 59
LONGEST_ANSWER: Final = 256
LONGEST_WRITE: Final = 8192
INS_MORE: Final = 0xAF
FULL: Final = CommMode.FULL


@dataclass(frozen=True, slots=True)
class Command:
    """How one INS is taken apart. `header_bytes` are never enciphered.

    `mode` is how it travels inside a session, needed or not; the gate of a file command sets the file's own.

    `content` commands are about what is in a file. `iso_chained` commands are chained below the APDU; others
    answer in frames of 59 bytes. `counted` commands end their header with a 3-byte length that says how much
    native-chained data is to come.
    """

    header_bytes: int
    gate: Callable[[CardState, Call], None] | None
    run: Callable[[CardState, Call], bytes]
    mode: CommMode = CommMode.MAC
    content: bool = False
    iso_chained: bool = False
    counted: bool = False


COMMANDS: Final[dict[int, Command]] = {
    0x5A: Command(0, None, applications.select_application, CommMode.PLAIN),
    0x60: Command(0, None, identity.get_version),
    0x51: Command(0, access.authenticated, identity.get_card_uid, FULL),
    0x3C: Command(1, None, identity.read_signature, FULL),
    0x6A: Command(0, None, applications.get_application_ids),
    0x6D: Command(0, None, applications.get_df_names),
    0x6E: Command(0, None, applications.free_memory),
    0xCA: Command(5, None, applications.create_application),
    0xDA: Command(3, None, applications.delete_application),
    0xFC: Command(0, None, applications.format_picc),
    0x5C: Command(1, applications.set_configuration_gate, applications.set_configuration, FULL),
    0x45: Command(0, None, keys.get_key_settings),
    0x54: Command(0, keys.change_key_settings_gate, keys.change_key_settings, FULL),
    0x64: Command(1, None, keys.get_key_version),
    0xC4: Command(1, keys.change_key_gate, keys.change_key, FULL),
    0xC6: Command(2, key_sets.change_key_ev2_gate, key_sets.change_key_ev2, FULL),
    0x56: Command(0, access.authenticated, key_sets.initialize_key_set),
    0x57: Command(0, access.authenticated, key_sets.finalize_key_set),
    0x55: Command(0, access.authenticated, key_sets.roll_key_set),
    0x6F: Command(0, None, file_admin.get_file_ids),
    0x61: Command(0, None, file_admin.get_iso_file_ids),
    0xF5: Command(1, None, file_admin.get_file_settings),
    0x5F: Command(1, access.change_file_settings, file_admin.change_file_settings),
    0xCD: Command(1, None, file_admin.create_data_file),
    0xCB: Command(1, None, file_admin.create_data_file),
    0xCC: Command(1, None, file_admin.create_value_file),
    0xC1: Command(1, None, file_admin.create_record_file),
    0xC0: Command(1, None, file_admin.create_record_file),
    0xCE: Command(5, access.authenticated, file_admin.create_transaction_mac_file, FULL),
    0xDF: Command(1, None, file_admin.delete_file),
    0xAD: Command(7, access.read_data, data.read_data, content=True, iso_chained=True),
    0xBD: Command(7, access.read_data, data.read_data, content=True),
    0x8D: Command(7, access.write_data, data.write_data, content=True, iso_chained=True),
    0x3D: Command(7, access.write_data, data.write_data, content=True, counted=True),
    0x6C: Command(1, access.get_value, data.get_value, content=True),
    0x0C: Command(1, access.credit, data.credit, content=True),
    0xDC: Command(1, access.debit, data.debit, content=True),
    0x1C: Command(1, access.limited_credit, data.limited_credit, content=True),
    0xAB: Command(7, access.read_records, data.read_records, content=True, iso_chained=True),
    0xBB: Command(7, access.read_records, data.read_records, content=True),
    0x8B: Command(7, access.write_record, data.write_record, content=True, iso_chained=True),
    0x3B: Command(7, access.write_record, data.write_record, content=True, counted=True),
    0xBA: Command(10, access.update_record, data.update_record, content=True, iso_chained=True),
    0xDB: Command(10, access.update_record, data.update_record, content=True, counted=True),
    0xEB: Command(1, access.clear_records, data.clear_records),
    0xC8: Command(0, access.commit_reader_id, data.commit_reader_id),
    0xC7: Command(0, None, data.commit_transaction),
    0xA7: Command(0, None, data.abort_transaction),
}


def execute(state: CardState, ins: int, payload: bytes) -> tuple[int, bytes]:
    """Run one native frame; returns (status, answer) and never raises. A refusal ends everything running."""
    try:
        if ins == INS_MORE:
            return _continue(state, payload)
        if state.handshake is not None or state.incoming is not None or state.outgoing:
            raise DesfireRefusal(Status.COMMAND_ABORTED)
        if ins in state.identity.generation.unknown:
            raise DesfireRefusal(Status.ILLEGAL_COMMAND)
        if state.deviations:
            refuse_deviating(state, ins, payload)
        begin = authentication.BEGINNINGS.get(ins)
        if begin is not None:
            return Status.ADDITIONAL_FRAME, begin(state, payload)
        step = authentication.STEPS.get(ins)
        if step is not None:
            return Status.OK, step(state, payload)
        return _run(state, ins, payload)
    except DesfireRefusal as refusal:
        harmless = ChipDeviation.NO_CHANGES_IS_HARMLESS in state.deviations
        if not (harmless and refusal.status is Status.NO_CHANGES):
            state.refuse(refusal.status)
        return refusal.status, b""


def _continue(state: CardState, payload: bytes) -> tuple[int, bytes]:
    if state.handshake is not None:
        return Status.OK, authentication.finish(state, state.handshake, payload)
    if state.outgoing:
        if payload:
            raise DesfireRefusal(Status.LENGTH_ERROR)
        frame = state.outgoing.pop(0)
        return (Status.ADDITIONAL_FRAME if state.outgoing else Status.OK), frame
    partial = state.incoming
    if partial is None:
        raise DesfireRefusal(Status.ILLEGAL_COMMAND)
    if not payload:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    partial.payload += payload
    if len(partial.payload) < partial.total:
        return Status.ADDITIONAL_FRAME, b""
    state.incoming = None
    return _run(state, partial.ins, partial.payload)


def _run(state: CardState, ins: int, payload: bytes) -> tuple[int, bytes]:
    command = COMMANDS.get(ins)
    if command is None:
        raise DesfireRefusal(Status.ILLEGAL_COMMAND)
    at = command.header_bytes
    if len(payload) < at:
        raise DesfireRefusal(Status.LENGTH_ERROR)
    call = Call(ins, payload[:at], command.mode, command.content)
    if command.gate is not None:
        command.gate(state, call)
    if command.counted:
        total = at + _announced_bytes(state, call)
        if len(payload) < total:
            state.incoming = PartialCommand(ins, payload, total)
            return Status.ADDITIONAL_FRAME, b""
    call.data = state.open(call, payload[at:])
    answer = state.seal(call, command.run(state, call))
    if command.iso_chained:
        if len(answer) > LONGEST_ANSWER:
            raise DesfireRefusal(Status.LENGTH_ERROR)
        return Status.OK, answer
    if not call.cuts and len(answer) <= FRAME_BYTES:
        return Status.OK, answer
    first, *state.outgoing = _frames(answer, call.cuts)
    return (Status.ADDITIONAL_FRAME if state.outgoing else Status.OK), first


def _announced_bytes(state: CardState, call: Call) -> int:
    """How long the data will be on the wire, from the length field and the mode."""
    length = int.from_bytes(call.header[-3:], "little")
    if length > LONGEST_WRITE:
        raise DesfireRefusal(Status.BOUNDARY_ERROR)
    return wire_bytes(state.session, call, length)


def _frames(answer: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    frames, at = [], 0
    for length in cuts:
        frames.append(answer[at : at + length])
        at += length
    rest = answer[at:]
    pieces = [rest[i : i + FRAME_BYTES] for i in range(0, len(rest), FRAME_BYTES)]
    return frames + pieces if pieces or frames else [b""]
