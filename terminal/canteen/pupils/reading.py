"""Reading a spreadsheet in a process of its own (`child`): what comes back is bounded, checked text, nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec

from terminal.canteen.pupils.sheet import FAULTS, MOST_FILE_BYTES, SheetFault, SheetRefused, Workbook
from terminal.decoding import decoded
from terminal.errors import Mistake, RosterError
from terminal.mistakes.reading import Unreadable, content_of
from terminal.mistakes.words import refusal
from terminal.side_process import module_command

LONGEST_S: Final = 20.0
"""From start to answer; 1 500 pupils take about a second."""
MOST_ANSWER_BYTES: Final = 32 << 20
COMMAND: Final = module_command("terminal.canteen.pupils.child")


def read_sheets(content: bytes) -> Workbook | SheetRefused:
    """The workbook or CSV text in `content`, or why it is refused. Raises `RosterError` when this machine cannot read
    anything now."""
    if len(content) > MOST_FILE_BYTES:
        return SheetRefused(str(SheetFault.TOO_LARGE), {"most": MOST_FILE_BYTES >> 20})
    try:
        done = subprocess.run(  # noqa: S603 our own interpreter and module
            COMMAND,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SheetRefused(str(SheetFault.TOO_LONG), {"most": int(LONGEST_S)})
    except OSError as error:
        raise RosterError(f"no file can be read now ({error.strerror})", "Try again in a moment.") from error
    try:
        answer: Workbook | SheetRefused = decoded(_answers, done.stdout, MOST_ANSWER_BYTES)
    except msgspec.DecodeError:
        return SheetRefused(str(SheetFault.NOT_READ))
    return answer


def read_file(path: Path) -> Workbook:
    """The spreadsheet at `path`. Raises `RosterError` that says what to do."""
    try:
        content = content_of(path, MOST_FILE_BYTES)
    except Unreadable as unreadable:
        raise refusal(RosterError, unreadable.in_file(str(path))) from unreadable
    answer = read_sheets(content)
    if isinstance(answer, SheetRefused):
        raise refusal(RosterError, (Mistake("", FAULTS[answer.fault], answer.values, str(path)),))
    return answer


_answers: Final = msgspec.msgpack.Decoder(Workbook | SheetRefused)
