"""What terminals' rows say of tariffs on trial and in shadow, and whether a whole group refuses too many (O-12, O-13).

A terminal judges a tariff on trial by itself once it has decided 200 taps. Before that, and where each has few, the
group is judged here, by the same rule: all terminals that have, or had, that tariff on trial, against what they refused
by the one before. A card counts once a day, wherever it was refused, and three times in all by what is on trial. No
terminal alone brings a tariff down: the shares must hold without the one that refused most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.journal.operation_records import SetActivated, SetReturned, ShadowCompared
from terminal.journal.records import Intent, Unwritten
from terminal.updates.trial import DAY_MS, TapCount, exceeds, mark_of_card, refuses_too_many, tap_of

MOST_NAMED: Final = 128
"""Letters of an edition that are kept."""


class TrialAt(NamedTuple):
    """Since row `since` of a terminal `edition` is on trial there, for `days`, after `before`. `ended` is a
    `terminal.codes.ReturnCause`; empty while it is not taken back.
    """

    terminal: int
    edition: str
    since: int
    before: str
    days: int
    ended: str = ""


class ShadowSum(NamedTuple):
    """What terminal `terminal` has said of `edition` in shadow, all together."""

    terminal: int
    edition: str
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


COUNTED: Final = ShadowSum._fields[3:]
"""What of it is added up, by the names of `ShadowCompared`."""


class GroupCount(NamedTuple):
    """The terminals that have or had `edition` on trial together."""

    edition: str
    terminals: int
    taken_back: int
    taps: int
    refused: int
    taps_before: int
    refused_before: int
    withdrawn: bool


class TrialRows:
    """What some rows of one terminal, which follow one another, say; before it is kept."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.taps: dict[tuple[str, int], int] = {}
        """By edition and day of UTC, without refusals that a document can cause."""
        self.refused: set[tuple[str, int, bytes]] = set()
        """Those, each by edition, day and card (`terminal.updates.trial.mark_of_card`)."""
        self.begun: list[TrialAt] = []
        self.ended: list[tuple[str, str]] = []
        self.in_force: list[tuple[str, str]] = []
        """Each edition with the one before it."""
        self.shadows: list[ShadowSum] = []

    def take_tap(self, record: Intent | Unwritten) -> None:
        count = tap_of(record)
        if count is None:
            return
        edition, day = record.tariff[:MOST_NAMED], record.at_ms // DAY_MS
        if count.refused:
            self.refused.add((edition, day, mark_of_card(edition, record.card_ref)))
        else:
            self.taps[edition, day] = self.taps.get((edition, day), 0) + count.taps

    def take_activated(self, sequence: int, record: SetActivated, before: str) -> None:
        """A region document came into force after `before`, empty for none."""
        edition = named(record.id, record.version)
        self.in_force.append((edition, before))
        if record.trial_days and before:
            self.begun.append(TrialAt(self.terminal, edition, sequence, before, record.trial_days))

    def take_returned(self, record: SetReturned) -> None:
        self.ended.append((named(record.id, record.version), record.cause.value))

    def take_shadow(self, record: ShadowCompared) -> None:
        edition, currency = named(record.id, record.version), record.currency[:3]
        counts = (getattr(record, name) for name in COUNTED)
        self.shadows.append(ShadowSum(self.terminal, edition, currency, *counts))

    @property
    def editions(self) -> frozenset[str]:
        """Of which there is something to judge."""
        return frozenset({edition for edition, _ in self.taps} | {edition for edition, _, _ in self.refused})


def named(id_: str, version: int) -> str:
    """As rows of taps name it."""
    return f"{id_}:{version}"[:MOST_NAMED]


def group_refuses_too_many(new: Mapping[int, TapCount], before: TapCount) -> bool:
    """Whether a group does, by its terminals' counts `new`; `before` is what the same group had."""
    total = sum(new.values(), TapCount())
    if not refuses_too_many(total, before):
        return False
    worst = max(new.values(), key=lambda count: count.refused)
    rest = TapCount(total.taps - worst.taps, total.refused - worst.refused)
    return rest.taps > 0 and exceeds(rest, before)


def withdrawal(group: GroupCount) -> Alarm:
    """The alarm that is the collector's word, too: terminals hear of it with their next acknowledgement."""
    detail = detail_of(
        AlarmCause.GROUP_REFUSED,
        edition="_".join(group.edition.split()),
        terminals=group.terminals,
        refused=group.refused,
        taps=group.taps,
        refused_before=group.refused_before,
        taps_before=group.taps_before,
    )
    return Alarm(AlarmKind.WITHDRAWN, 0, 0, detail)


def summed(counts: Iterable[tuple[int, int, int]]) -> dict[int, TapCount]:
    """Taps and refusals by terminal."""
    return {terminal: TapCount(taps, refused) for terminal, taps, refused in counts}
