"""Which tap's passage has begun, kept for a terminal that starts after it was killed: the passage it owes (ADR 48).

The file holds one number and is written without a flush, so that a tap costs no flush more: it outlives the process. A
power cut may take it, and the terminal is then seldom back within the time in which a passage is owed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminal.files import replace_file
from terminal.journal.taps import End

if TYPE_CHECKING:
    from terminal.journal.open_records import LastIntent

FILE: Final = "passages"
MOST_DIGITS: Final = 20


class PassageFile:
    """The journal's number of the newest tap whose passage began. The barrier's thread writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> int | None:
        """None where there is no such file, or none that can be read: nothing is owed then."""
        try:
            with self._path.open("rb") as file:
                text = file.read(MOST_DIGITS + 2).strip()
        except OSError:
            return None
        return int(text) if text.isdigit() and len(text) <= MOST_DIGITS else None

    def begins(self, sequence: int) -> None:
        """The passage of that tap begins; raises `OSError`."""
        replace_file(self._path, b"%d\n" % sequence, durable=False)


def owed_passage(last: LastIntent | None, file: PassageFile) -> LastIntent | None:
    """The newest tap of the journal, if it is committed and its passage has not begun. Where nothing is known, the file
    begins with that tap. Raises `OSError`.
    """
    newest = file.newest()
    if newest is None:
        file.begins(0 if last is None else last.sequence)
        return None
    owed = last is not None and last.end is End.COMMITTED and last.sequence > newest
    return last if owed else None
