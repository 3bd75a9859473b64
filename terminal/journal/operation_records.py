"""What happened to a terminal as a machine. Tags 40 to 49."""

from __future__ import annotations

from terminal.devices import ExtensionRole
from terminal.journal.record_base import Record


class Restored(Record, frozen=True, array_like=True, tag=40):
    """The first row on new hardware: this terminal goes on here, behind every number its old hardware may have used.

    Row `after` is the newest that the collector held then, and this row is chained to it; the numbers in between are
    lost with the old hardware, or were never used. The backup was made at `backup_at_ms` and ended with row `backup`;
    `unresolved` taps in it still wait for their cards.
    """

    after: int
    backup: int
    backup_at_ms: int
    unresolved: int = 0
    software: str = ""
    version: str = ""


class ExtensionLoaded(Record, frozen=True, array_like=True, tag=41):
    """After `Started`, one row each: code of another author works in this terminal from here on.

    `extension` is its name in `terminal.toml`; `distribution`, `version` and `sha256` (over the installed files) say
    which code that is. In a version, + and ! are written as a dot.
    """

    role: ExtensionRole
    extension: str
    distribution: str
    version: str
    sha256: bytes


class AnswerRepeated(Record, frozen=True, array_like=True, tag=42):
    """A card lay on the reader when the terminal or its reader came back, and its newest event was that of the intent
    in row `intent`: the passenger got that answer again, and this row is no tap.
    """

    intent: int
