"""What happened to a terminal as a machine. Tags 40 to 49, and 60 on."""

from __future__ import annotations

from typing import Final, TypeAlias

from terminal.codes import ReturnCause, SkipCause
from terminal.devices import ExtensionRole
from terminal.journal.record_base import Record

CLOCK_TOLERANCE_MS: Final = 300_000
"""Clocks that differ by no more than five minutes agree (O-05)."""


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


class ClockAuthenticated(Record, frozen=True, array_like=True, tag=43):
    """The collector's signature says that it was `stated_ms` when this terminal's clock showed `at_ms`.

    When the two agree, no doubt about the clock is left.
    """

    stated_ms: int

    @property
    def agrees(self) -> bool:
        return abs(self.at_ms - self.stated_ms) <= CLOCK_TOLERANCE_MS


class ClockConfirmed(Record, frozen=True, array_like=True, tag=44):
    """A service card confirmed the time `at_ms` of a clock in doubt: a bus sells again, the doubt stays."""

    operator_ref: str


class ClockAccepted(Record, frozen=True, array_like=True, tag=45):
    """An operator answers for the clock as it stands at `at_ms`: the doubt `code` is over, empty where there was none.

    Rows before this one no longer say how late it must be.
    """

    operator_ref: str
    code: str = ""


class SetActivated(Record, frozen=True, array_like=True, tag=46):
    """From this row on decisions are made with this issue of `kind`, a `terminal.codes.SetKind` (O-01).

    Version `version` of `id`, by the hash of the file as it was published. `since_ms` is earlier than `at_ms` where it
    was in force before, and this journal did not say so: on new hardware. `trial_days`: for so long it is on trial
    here, and what was in force before comes back where it is taken back (O-12); 0: it is in force for good.
    """

    kind: str
    id: str
    version: int
    sha256: bytes
    since_ms: int
    trial_days: int = 0


class RazziaChanged(Record, frozen=True, array_like=True, tag=47):
    """The vehicle says from here on that an inspection is under way, or no longer (T-70). It stops no tap.

    `source` is that of `terminal.toml`. Edges that keep following one another are not all on record.
    """

    razzia: bool
    source: str


class NumbersSkipped(Record, frozen=True, array_like=True, tag=48):
    """No row of this terminal has a number from `first` to `last` (T-63); this one has the next and is chained to the
    row before `first`.

    The numbers up to `stored` belonged to rows that had been reported as stored and are lost here: the collector may
    hold them. With `stored` before `first` no lost row is known. With `SkipCause.BEGAN_ANEW` what the collector does
    not hold before `first` is lost, too.
    """

    first: int
    last: int
    stored: int
    cause: SkipCause

    @property
    def lost(self) -> int:
        """How many rows are known to be lost here."""
        return max(0, self.stored - self.first + 1)


class SelfRecomputed(Record, frozen=True, array_like=True, tag=49):
    """The terminal has decided its own rows again, from `first` through `through`, refusals and what needs its lists
    and roster included: `recomputed` followed from what is recorded with them, `differing` did not, of which `rows` are
    the first. `unproven` counts what could not be decided again, by `terminal.decision.recompute.RecomputeGap`.
    `documents` are the SHA-256 of the region documents it used. Rows travel in signed batches: this is signed as they
    are.
    """

    first: int
    through: int
    recomputed: int
    differing: int
    rows: tuple[int, ...]
    unproven: dict[str, int]
    documents: tuple[bytes, ...]
    software: str
    version: str = ""


class SetReturned(Record, frozen=True, array_like=True, tag=60):
    """Version `version` of the region document `id`, on trial here, decides no longer; the `SetActivated` row of what
    was in force before, version `back_to`, follows.

    By the version on trial `taps` were decided here and `refused` of them as a tariff can cause; by the one before
    `taps_before` and `refused_before`, in the last days that are counted.
    """

    id: str
    version: int
    sha256: bytes
    cause: ReturnCause
    back_to: int
    back_sha256: bytes
    taps: int
    refused: int
    taps_before: int
    refused_before: int


class ShadowCompared(Record, frozen=True, array_like=True, tag=61):
    """Of the taps since the last such row, `taps` were decided once more by version `version` of the region document
    `id`, which is in shadow here: nothing is charged by it, and no card, gate or rider hears of it (O-13).

    `same`: it came to the same answer and charge. `dearer` and `cheaper`: it would have let in for another charge;
    `answered`: for the same charge or none, with another message. `refused`: it alone would have refused; `let_in`: it
    alone would not. `failed`: it ended in a mistake of the software; `missed`: there was no time for it. The sum of its
    charges less that of those made is `sum_minor`, of `failed` and `missed` taps neither. `differing` names the first:
    the tap's row, message and charge as decided, and in shadow.
    """

    id: str
    version: int
    sha256: bytes
    currency: str
    taps: int
    same: int
    dearer: int
    cheaper: int
    refused: int
    let_in: int
    answered: int
    failed: int
    missed: int
    sum_minor: int
    differing: tuple[tuple[int, str, int, str, int], ...] = ()


MOST_DIFFERING_NAMED: Final = 100
"""Of the rows that differ a statement names so many."""


OperationRecord: TypeAlias = (
    Restored
    | ExtensionLoaded
    | AnswerRepeated
    | ClockAuthenticated
    | ClockConfirmed
    | ClockAccepted
    | SetActivated
    | RazziaChanged
    | NumbersSkipped
    | SelfRecomputed
    | SetReturned
    | ShadowCompared
)
