"""Taps by each region document, and whether one on trial refuses so many more than the one before that it is taken back
(O-12). Counted from the journal's own rows, so a restart forgets nothing. Pure but for what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from terminal.codes import Admission
from terminal.decision.bus.effects import BankEffect
from terminal.decision.effects import TerminalEffect
from terminal.decision.refusals import CAUSED, UNDECIDED
from terminal.journal.records import AnyRecord, Intent, Unwritten

DAY_MS: Final = 24 * 3_600_000
DAYS_KEPT: Final = 14
"""Of each document, the newest days on which it decided: two of every weekday."""
LEAST_TAPS: Final = 200
LEAST_PERCENT: Final = 5
TIMES: Final = 3

NOT_ITS_WORD: Final = frozenset(
    {TerminalEffect.OUT_OF_SERVICE, TerminalEffect.BUNDLES_STOP, BankEffect.NOT_LATER}
)
"""Refusals of a terminal that staff took out of service, or that has had no news for too long."""


class TapCount(NamedTuple):
    """Taps of riders, and how many of them were refused for what a document can cause."""

    taps: int = 0
    refused: int = 0

    def __add__(self, other: tuple[int, ...]) -> TapCount:  # type: ignore[override]
        return TapCount(self.taps + other[0], self.refused + other[1])


def refuses_too_many(new: TapCount, before: TapCount) -> bool:
    """At least 5 % of at least 200 taps, and three times the share of the one before. By fewer than 200 taps that is
    not known, and counts as 5 % at least: a terminal without a past goes back at 15 %.
    """
    return new.taps >= LEAST_TAPS and exceeds(new, before)


def exceeds(new: TapCount, before: TapCount) -> bool:
    """Whether the shares do, of however few taps."""
    known = before.taps >= LEAST_TAPS
    least_percent = LEAST_PERCENT if known else TIMES * LEAST_PERCENT
    return (
        100 * new.refused >= least_percent * new.taps
        and new.refused * before.taps >= TIMES * before.refused * new.taps
    )


def tap_of(record: Intent | Unwritten) -> TapCount | None:
    """One tap, refused or not for what a document can cause; None where no document had a say."""
    if not _decided(record):
        return None
    refused = isinstance(record, Unwritten) and record.admission is Admission.REFUSED
    return TapCount(1, int(refused and record.message in CAUSED))


class TapCounts:
    """By document and day of UTC."""

    def __init__(self, kept: Mapping[tuple[str, int], tuple[int, int]], to: int) -> None:
        """`to`: the newest row that is counted."""
        self._days = {key: TapCount(*count) for key, count in kept.items()}
        self.to = to

    def take(self, sequence: int, record: AnyRecord) -> bool:
        """Count a row; whether it was a tap that a document decided."""
        self.to = max(self.to, sequence)
        if not isinstance(record, Intent | Unwritten) or (count := tap_of(record)) is None:
            return False
        key = record.tariff, record.at_ms // DAY_MS
        self._days[key] = self._days.get(key, TapCount()) + count
        return True

    def of(self, edition: str) -> TapCount:
        """All that is kept of one document."""
        return sum((count for (one, _), count in self._days.items() if one == edition), TapCount())

    def keep(self, editions: Iterable[str]) -> None:
        """Forget other documents, and all but the newest days of these."""
        kept: dict[tuple[str, int], TapCount] = {}
        for edition in set(editions):
            days = sorted((day for one, day in self._days if one == edition), reverse=True)[:DAYS_KEPT]
            kept |= {(edition, day): self._days[edition, day] for day in days}
        self._days = kept

    @property
    def kept(self) -> Mapping[tuple[str, int], tuple[int, int]]:
        return self._days


def _decided(record: Intent | Unwritten) -> bool:
    """Whether the document had a say. A tap without a trail ended before that."""
    not_its_word = any(entry.code in NOT_ITS_WORD for entry in record.reasons)
    return record.message not in UNDECIDED and bool(record.reasons) and not not_its_word
