"""The follower: goes through the rows of each terminal in order and decides again what the card's proof covers.

Decided again are taps that were to be written to a card, and cash sales. Refusals, class lists and whatever else needs
what only a terminal has are recomputed there; what it says of them is noted here.

It reads records through a port (`RowSource`), so that a fleet's PostgreSQL and a collector's SQLite are followed alike,
and is never waited for by who stores them. Alarms are raised before the verdicts are kept: after a crash in between
they are found again and kept once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Final, Protocol

import msgspec

from terminal.clock import from_unix_ms
from terminal.codes import SetKind
from terminal.collector.alarms import Alarm, AlarmCause, AlarmKind, detail_of
from terminal.collector.days import ServiceCalendar
from terminal.collector.reading import read_record
from terminal.collector.recompute.ledger import (
    CountKey,
    FollowMark,
    FoundDiffering,
    Statement,
    VerdictLedger,
    WaitingRows,
)
from terminal.collector.recompute.trials import TrialRows, group_refuses_too_many, named, withdrawal
from terminal.decision.recompute import Deviation, RecomputeGap
from terminal.journal.operation_records import SelfRecomputed, SetActivated, SetReturned, ShadowCompared
from terminal.journal.records import AnyRecord, CashSale, Intent, UnreadableRecord, Unwritten
from terminal.policy.policy import Policy
from terminal.recompute.documents import DocumentFolder
from terminal.recompute.rows import Verdict, VerdictKind, by_ev1, list_named, unproven, verdict_of
from terminal.updates.trial import TapCount

STRETCH_ROWS: Final = 2_000
"""So many rows are one transaction: what a kill costs, and how long a document that was added waits to be seen."""
UNPROVEN_CARD: Final = "unproven_card"
"""A recomputed row of a card that gives no proof (EV1): what the terminal says was read, no proof confirms."""
LONGEST_VALUE: Final = 80
JUDGE_EVERY_S: Final = 1.0
"""Between two judgements of groups while rows come; there is one when there are no more."""
FOLLOWED: Final = frozenset(
    record.__struct_config__.tag
    for record in (Intent, Unwritten, CashSale, SetActivated, SetReturned, SelfRecomputed, ShadowCompared)
)
SHORT_ARRAYS: Final = range(0x90, 0xA0)
LONG_ARRAY: Final = 0xDC
SMALL_NUMBERS: Final = range(0x80)


class RowSource(Protocol):
    """Where rows come from, and where alarms go. Every method raises `CollectorError` when that fails."""

    def held(self) -> Mapping[int, int]:
        """The newest row held of each terminal."""
        ...

    def rows(self, terminal: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most `limit` rows with a number above `after`, in order, with their bodies."""
        ...

    def received_at_ms(self, terminal: int, sequence: int) -> int:
        """When that row arrived; 0 where it is not known."""
        ...

    def keep_findings(self, found: list[Alarm], at_ms: int) -> None:
        """Keep alarms that may be found again; those already kept stay as they are."""
        ...


class RecomputeFollower:
    """Follows one source with one ledger. One thread."""

    def __init__(
        self,
        source: RowSource,
        ledger: VerdictLedger,
        documents: DocumentFolder,
        calendar: ServiceCalendar,
        now_ms: Callable[[], int],
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._documents = documents
        self._calendar = calendar
        self._now_ms = now_ms
        self._marks = ledger.marks()
        self._last = 0
        self._unjudged: set[str] = set()
        """Documents on trial of which taps have been counted since they were judged."""
        self._judge_due_s = 0.0

    def step(self, rows: int = STRETCH_ROWS) -> int:
        """Decide at most `rows` rows again, those first that waited for a file which is there now; return how many rows
        were gone through, 0 when nothing is left. Raises `CollectorError`.
        """
        went = self._step(rows)
        if self._unjudged and (not went or monotonic() >= self._judge_due_s):
            self._judge()
            self._judge_due_s = monotonic() + JUDGE_EVERY_S
        return went

    def _step(self, rows: int) -> int:
        names = self._documents.refresh()
        for one in self._ledger.waiting():
            if self._has_come(one, names):
                return self._again(one, rows)
        held = self._source.held()
        behind = [terminal for terminal, last in held.items() if last > self._mark(terminal).sequence]
        for terminal in sorted(behind, key=lambda number: (number <= self._last, number)):
            self._last = terminal
            found = self._source.rows(terminal, self._mark(terminal).sequence, rows)
            if found:
                self._follow(terminal, found)
                return len(found)
        return 0

    def look(self, stated_ms: int) -> None:
        """Raise an alarm for each terminal that goes on sending and has put nothing on record of its own rows for
        `stated_ms`, counted from the arrival of its last statement, or of its first row. Raises `CollectorError`.
        """
        said, found = self._ledger.statements(), []
        for terminal, newest in self._source.held().items():
            last = said[terminal].sequence if terminal in said else 1
            since_ms = self._source.received_at_ms(terminal, last)
            if since_ms and self._source.received_at_ms(terminal, newest) - since_ms > stated_ms:
                since = f"{from_unix_ms(since_ms):%Y-%m-%dT%H:%M:%SZ}"
                detail = detail_of(AlarmCause.NOT_STATED, since=since)
                found.append(Alarm(AlarmKind.RECOMPUTED, terminal, 0, detail))
        if found:
            self._source.keep_findings(found, self._now_ms())

    def _judge(self) -> None:
        """Take a document back from a group that refuses too many by it: the alarm is the word, and comes first."""
        for edition in sorted(self._unjudged):
            group, counts = self._ledger.group(edition)
            before = TapCount(group.taps_before, group.refused_before)
            if not group.withdrawn and group_refuses_too_many(counts, before):
                self._source.keep_findings([withdrawal(group)], self._now_ms())
                with self._ledger.changing():
                    self._ledger.put_withdrawn(edition)
        self._unjudged.clear()

    def _mark(self, terminal: int) -> FollowMark:
        return self._marks.get(terminal, FollowMark())

    # New rows

    def _follow(self, terminal: int, rows: Sequence[tuple[int, bytes]]) -> None:
        stretch = RowsAtOnce(terminal, self._documents, self._calendar, self._mark(terminal))
        for sequence, body in rows:
            stretch.take(sequence, body)
        stretch.mark = stretch.mark._replace(sequence=rows[-1][0])
        self._keep(stretch)
        self._marks[terminal] = stretch.mark

    def _keep(self, stretch: RowsAtOnce) -> None:
        found = [*stretch.alarms, *self._new_differences(stretch)]
        if found:
            self._source.keep_findings(found, self._now_ms())
        ledger = self._ledger
        with ledger.changing():
            ledger.put_in_force((stretch.terminal, mark) for mark in stretch.activated)
            ledger.add(stretch.counts.items())
            ledger.put_differing(stretch.differing)
            ledger.put_waiting(stretch.waiting.values())
            ledger.put_statements(stretch.statements)
            ledger.put_trials(stretch.trials)
            ledger.put_marks([(stretch.terminal, stretch.mark)])
        self._unjudged |= stretch.trials.editions

    def _new_differences(self, stretch: RowsAtOnce) -> list[Alarm]:
        """An alarm for the first row of a terminal's day that differs in something; the ledger has the others."""
        first: dict[tuple[str, str], FoundDiffering] = {}
        for one in stretch.differing:
            first.setdefault((one.day, one.what), one)
        return [
            _differs(one)
            for one in first.values()
            if not self._ledger.known_to_differ(one.terminal, one.day, one.what)
        ]

    # Rows that lacked a file

    def _has_come(self, one: WaitingRows, names: frozenset[str]) -> bool:
        if one.reason != RecomputeGap.GRANTS:
            return one.needs in names
        return isinstance(self._documents.policy(one.document, one.needs), Policy)

    def _again(self, one: WaitingRows, limit: int) -> int:
        rows = [row for row in self._source.rows(one.terminal, one.first - 1, limit) if row[0] <= one.last]
        stretch = RowsAtOnce(
            one.terminal, self._documents, self._calendar, FollowMark(0, one.since, one.document)
        )
        for sequence, body in rows:
            stretch.take_again(sequence, body, one)
        found = self._new_differences(stretch)
        if found:
            self._source.keep_findings(found, self._now_ms())
        ledger = self._ledger
        with ledger.changing():
            ledger.add(stretch.counts.items())
            ledger.put_differing(stretch.differing)
            ledger.settle(one, rows[-1][0] if rows else one.last)
            ledger.put_waiting(stretch.waiting.values())
        return max(1, len(rows))


class RowsAtOnce:
    """Verdicts on some rows of one terminal that follow one another, before they are kept."""

    def __init__(
        self, terminal: int, documents: DocumentFolder, calendar: ServiceCalendar, mark: FollowMark
    ) -> None:
        self.terminal = terminal
        self.mark = mark
        self.counts: dict[CountKey, tuple[int, int]] = {}
        self.differing: list[FoundDiffering] = []
        self.waiting: dict[tuple[int, str], WaitingRows] = {}
        self.activated: list[FollowMark] = []
        self.statements: list[Statement] = []
        self.alarms: list[Alarm] = []
        self.trials = TrialRows(terminal)
        self._documents = documents
        self._calendar = calendar

    def take(self, sequence: int, body: bytes) -> None:
        """The next row."""
        record = _record(body)
        if isinstance(record, Intent | Unwritten):
            self.trials.take_tap(record)
        if isinstance(record, Intent | CashSale):
            self._count(record, self._judged(sequence, record))
        elif isinstance(record, SetActivated):
            self._activate(sequence, record)
        elif isinstance(record, ShadowCompared):
            self.trials.take_shadow(record)
        elif isinstance(record, SetReturned):  # the older document that follows came back in good order
            self.trials.take_returned(record)
            self.mark = FollowMark(sequence, sequence, record.back_sha256.hex(), record.id, record.back_to)
        elif isinstance(record, SelfRecomputed):
            self._state(sequence, record)

    def take_again(self, sequence: int, body: bytes, waited: WaitingRows) -> None:
        """A row among those that lacked what `waited` says, if it is one of them."""
        record = _record(body)
        if not isinstance(record, Intent | CashSale):
            return
        if waited.reason == RecomputeGap.GRANTS and list_named(record) != waited.needs:
            return
        self._count(record, unproven(RecomputeGap(waited.reason)), -1)
        self._count(record, self._judged(sequence, record))

    def _judged(self, sequence: int, record: Intent | CashSale) -> Verdict:
        policy = self._documents.policy(self.mark.document, list_named(record))
        verdict = (
            verdict_of(self.terminal, sequence, record, policy) if isinstance(policy, Policy) else policy
        )
        if verdict.needs:
            self._wait(sequence, verdict)
        elif verdict.kind is VerdictKind.DIFFERING:
            self._differs(sequence, record, verdict.deviations)
        return verdict

    def _wait(self, sequence: int, verdict: Verdict) -> None:
        assert verdict.reason is not None
        key, mark = (self.mark.since, verdict.needs), self.mark
        first = self.waiting[key].first if key in self.waiting else sequence
        self.waiting[key] = WaitingRows(
            self.terminal, mark.since, verdict.needs, first, sequence, mark.document, verdict.reason.value
        )

    def _differs(self, sequence: int, record: Intent | CashSale, deviations: Sequence[Deviation]) -> None:
        day = self._calendar.day_of(record.at_ms)
        what = ",".join(one.what for one in deviations)
        found = {one.what: {"recorded": one.recorded, "recomputed": one.recomputed} for one in deviations}
        self.differing.append(FoundDiffering(self.terminal, sequence, day, self.mark.document, what, found))

    def _count(self, record: Intent | CashSale, verdict: Verdict, times: int = 1) -> None:
        sum_minor = record.charge_minor if isinstance(record, Intent) else record.sum_minor
        reason = verdict.reason.value if verdict.reason is not None else ""
        if verdict.kind is VerdictKind.RECOMPUTED and isinstance(record, Intent) and by_ev1(record):
            reason = UNPROVEN_CARD
        day = self._calendar.day_of(record.at_ms)
        key = CountKey(day, self.terminal, record.currency, verdict.kind.value, reason)
        count, total_minor = self.counts.get(key, (0, 0))
        self.counts[key] = count + times, total_minor + times * sum_minor

    def _activate(self, sequence: int, record: SetActivated) -> None:
        if record.kind != SetKind.REGION:
            return
        before, document = self.mark, record.sha256.hex()
        self.trials.take_activated(sequence, record, named(before.id, before.version) if before.id else "")
        if before.id and (record.id != before.id or record.version < before.version):
            cause = AlarmCause.DOCUMENT_BACK if record.id == before.id else AlarmCause.DOCUMENT_OTHER
            inputs = {"edition": f"{record.id}:{record.version}", "before": f"{before.id}:{before.version}"}
            detail = detail_of(cause, **{name: _in_detail(text) for name, text in inputs.items()})
            self.alarms.append(Alarm(AlarmKind.RECOMPUTED, self.terminal, sequence, detail))
        self.mark = FollowMark(sequence, sequence, document, record.id, record.version)
        self.activated.append(self.mark)

    def _state(self, sequence: int, record: SelfRecomputed) -> None:
        self.statements.append(
            Statement(
                self.terminal,
                sequence,
                record.at_ms,
                record.through,
                record.recomputed,
                record.differing,
                sum(record.unproven.values()),
            )
        )
        if record.differing:
            row = record.rows[0] if record.rows else 0
            detail = detail_of(AlarmCause.TERMINAL_DIFFERS, count=record.differing, row=row)
            self.alarms.append(Alarm(AlarmKind.RECOMPUTED, self.terminal, sequence, detail))


def _record(body: bytes) -> AnyRecord | None:
    """The record, where it may be one of `FOLLOWED`; None for one of newer software, or with numbers beyond all
    measure: the books count those.
    """
    if _passed_over(body):
        return None
    try:
        return read_record(body)
    except UnreadableRecord:
        return None


def _passed_over(body: bytes) -> bool:
    """Whether the kind of record, which stands first in its array, is none of `FOLLOWED`: half of all rows are the ends
    of taps, and are not taken apart. What is written in another way than ours is looked at.
    """
    if len(body) < 5:
        return False
    tag = body[2] if body[1] in SHORT_ARRAYS else body[4] if body[1] == LONG_ARRAY else LONG_ARRAY
    return tag in SMALL_NUMBERS and tag not in FOLLOWED


def _differs(one: FoundDiffering) -> Alarm:
    """What differs, with the values of the first thing that does; the ledger has all of them."""
    what = next(iter(one.found))
    values = {name: _in_detail(value) for name, value in one.found[what].items()}
    detail = detail_of(AlarmCause.DECIDED_OTHERWISE, what=one.what, **values)
    return Alarm(AlarmKind.RECOMPUTED, one.terminal, one.sequence, detail)


def _in_detail(value: object) -> str:
    """A value as an alarm's detail may hold it: short, without a space. Trails are long: they stand in the ledger."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return "_".join(text.split())[:LONGEST_VALUE] or "-"
