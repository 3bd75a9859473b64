"""What a chip does differently from a plain one, for each `ChipDeviation` it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cardproto.desfire.status import Status
from sim.card.deviation import ChipDeviation
from sim.card.files import RecordFile, ValueFile
from sim.card.refusal import DesfireRefusal
from sim.card.state import CardState

_PICC: Final = bytes(3)
_KEY_SETS_FLAG: Final = 0x10
_OPTION_TIMER: Final = 5
_TYPE_BITS: Final = 0xC0


def refuse_deviating(state: CardState, ins: int, payload: bytes) -> None:
    """Refuse what this chip does not do as assumed; raises `DesfireRefusal`."""
    has = state.deviations
    refused: tuple[tuple[ChipDeviation, int, bool, Status], ...] = (
        (ChipDeviation.TIMER_REFUSED, 0x5C, payload[:1] == bytes((_OPTION_TIMER,)), Status.PARAMETER_ERROR),
        (ChipDeviation.TIMER_TOO_SHORT, 0xC7, bool(state.memory.transaction_timer), Status.PERMISSION_DENIED),
        (ChipDeviation.NO_ADDITIONAL_RIGHTS, 0x5F, True, Status.PARAMETER_ERROR),
        (ChipDeviation.NO_KEY_SETS, 0xCA, _asks_for_key_sets(payload), Status.PARAMETER_ERROR),
        (ChipDeviation.NO_KEYS_IN_SETS, 0xC6, True, Status.ILLEGAL_COMMAND),
        (ChipDeviation.NO_ROLL, 0x55, True, Status.ILLEGAL_COMMAND),
        (ChipDeviation.NO_WAY_BACK, 0xC4, _becomes_des(state, payload), Status.PARAMETER_ERROR),
    )
    for deviation, code, applies, status in refused:
        if deviation in has and ins == code and applies:
            raise DesfireRefusal(status)


def leave_deviating(state: CardState) -> None:
    """What a chip that tears transactions apart does with the running one as its power goes."""
    if ChipDeviation.TORN_APART not in state.deviations:
        return
    for change in state.transaction.pending.values():
        file = change.applied()
        if isinstance(file, ValueFile):
            state.application = state.application.with_file(file)


def keep_fewer_records(state: CardState) -> None:
    """After a commit: the oldest record is gone one commit early."""
    if ChipDeviation.FEWER_RECORDS not in state.deviations:
        return
    for file in state.application.files.values():
        if isinstance(file, RecordFile) and file.cyclic and len(file.records) >= file.readable:
            state.application = state.application.with_file(
                replace(file, records=file.records[: file.readable - 1])
            )


def _asks_for_key_sets(payload: bytes) -> bool:
    return len(payload) > 4 and bool(payload[4] & _KEY_SETS_FLAG)


def _becomes_des(state: CardState, payload: bytes) -> bool:
    return state.selected == _PICC and payload[:1] != b"" and not payload[0] & _TYPE_BITS
