"""The evidence of a service day, found among everything a collector or a fleet holds, without reading the rest of it.

Where the day's rows stand is known by the index that is kept with the books (`terminal.collector.day_rows`). Evidence
is whole signed batches, for a signature covers no less: those with rows of the day, those with the rows that say how
something of the day ended and which document was in force, and the batch on either side, so that an auditor sees where
the day begins and ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct

from terminal.audit.dossier import (
    DOSSIER_VERSION,
    DossierBatch,
    DossierDocument,
    DossierHeader,
    DossierIssuers,
    DossierTerminal,
    Frame,
    ProofSource,
)
from terminal.audit.proofs import session_key
from terminal.audit.statement import OpenReason
from terminal.clock import unix_ms
from terminal.codes import SetKind
from terminal.collector.day_rows import RowSpan, Word, day_of
from terminal.collector.days import ServiceCalendar
from terminal.collector.issuers import KnownIssuers
from terminal.collector.reading import read_record
from terminal.collector.registry import CardRegistry
from terminal.errors import AuditError
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, UnreadableRecord, Unwritten
from terminal.journal.taps import TapId
from terminal.recompute.documents import DocumentFolder
from terminal.sync.wire import parse_batch

ONE_DAY: Final = timedelta(days=1)


class HeldTerminal(NamedTuple):
    """What is held of one terminal, and what it said of itself: rows to `held` are here, `booked` of them in the index,
    whose newest is of `booked_at_ms`; `stated_head` is its newest row as of `sent_at_ms`.
    """

    terminal: int
    held: int
    stated_head: int
    sent_at_ms: int
    booked: int
    booked_at_ms: int
    enrolled: bool


class HeldBatch(NamedTuple):
    """Rows `first` to `last` came with one batch; `envelope` is it without its rows."""

    first: int
    last: int
    envelope: bytes


class DaySource(Protocol):
    """Everything a collector holds, as of one moment. Every method may raise `CollectorError`."""

    @property
    def calendar(self) -> ServiceCalendar: ...

    def terminals(self) -> list[HeldTerminal]:
        """Every terminal that is enrolled or was heard of, by number."""
        ...

    def keys_of(self, terminal: int) -> list[bytes]:
        """Its public keys, the present one first."""
        ...

    def stretches(self, day: str) -> Mapping[int, list[RowSpan]]:
        """Where the rows of a day stand."""
        ...

    def words_on(self, terminal: int, stretch: RowSpan) -> Iterable[Word]:
        """The rows elsewhere that say how something in a stretch ended."""
        ...

    def sets_of(self, terminal: int, stretch: RowSpan) -> list[int]:
        """The rows that put region documents in force in a stretch, and the newest before it."""
        ...

    def batches(self, terminal: int, stretch: RowSpan) -> list[HeldBatch]:
        """The batches with any of these rows, by row."""
        ...

    def bodies(self, terminal: int, stretch: RowSpan) -> list[bytes]:
        """The rows."""
        ...


class _DayPlan(Struct):
    """What of each terminal's journal is evidence."""

    stretches: Mapping[int, list[RowSpan]]
    words: dict[int, list[Word]]
    rows: dict[int, set[int]]
    """Single rows elsewhere."""
    documents: set[str]


class Gatherer:
    """Finds one day's evidence. `registry` None: what cards proved is not known here; `issuers` None: nor phones."""

    def __init__(
        self,
        source: DaySource,
        header: DossierHeader,
        documents: DocumentFolder,
        registry: CardRegistry | None,
        issuers: KnownIssuers | None = None,
    ) -> None:
        self._issuers = b"" if issuers is None else issuers.in_force.content
        self._source = source
        self._header = header
        self._documents = documents
        self._registry = registry

    def frames(self) -> Iterator[Frame]:
        """All of it, in the order of a dossier, from the header to the last batch."""
        plan = self._plan()
        yield self._header
        yield from self._document_frames(plan.documents)
        if self._issuers:
            yield DossierIssuers(self._issuers)
        day_end_ms = end_of_day(self._header)
        for held in self._source.terminals():
            yield self._terminal_frame(held, plan, day_end_ms)
        for terminal in sorted(plan.stretches.keys() | plan.rows.keys()):
            yield from self._batch_frames(terminal, plan)

    def _plan(self) -> _DayPlan:
        source, stretches = self._source, self._source.stretches(self._header.day)
        plan = _DayPlan(stretches, {}, {}, set())
        for terminal, parts in stretches.items():
            for part in parts:
                words = list(self._believed(source.words_on(terminal, part)))
                plan.words.setdefault(terminal, []).extend(words)
                for word in words:
                    plan.rows.setdefault(word.by[0], set()).add(word.by[1])
                sets = source.sets_of(terminal, part)
                plan.rows.setdefault(terminal, set()).update(sets)
                plan.documents |= self._documents_of(terminal, sets)
        return plan

    def _believed(self, words: Iterable[Word]) -> Iterator[Word]:
        """The words that count: an event speaks of a tap only where both can be of one card."""
        settled: TapId | None = None
        for word in words:
            if word.of == settled:
                continue
            if not word.shown:
                yield word
                continue
            if self._may_be_one(self._record(*word.of), self._record(*word.by)):
                settled = word.of
                yield word

    def _may_be_one(self, tap: AnyRecord | None, other: AnyRecord | None) -> bool:
        if not isinstance(tap, Intent) or not isinstance(other, Intent | Unwritten) or other.card_ref is None:
            return False
        cards = self._registry or CardRegistry()
        return cards.may_be_one(cards.name(tap.card_ref), cards.name(other.card_ref))

    def _documents_of(self, terminal: int, rows: list[int]) -> set[str]:
        records = (self._record(terminal, row) for row in rows)
        return {
            record.sha256.hex()
            for record in records
            if isinstance(record, SetActivated) and record.kind == SetKind.REGION
        }

    def _record(self, terminal: int, row: int) -> AnyRecord | None:
        for body in self._source.bodies(terminal, RowSpan(row, row)):
            try:
                return read_record(body)
            except UnreadableRecord:
                return None
        return None

    def _document_frames(self, named: set[str]) -> Iterator[DossierDocument]:
        kept = {one.sha256: one for one in self._documents.listed()}
        feeds = {kept[name].feed for name in named if name in kept}
        for name in sorted((named | feeds) & kept.keys()):
            yield DossierDocument(bytes.fromhex(name), (self._documents.path / name).read_bytes())

    def _terminal_frame(self, held: HeldTerminal, plan: _DayPlan, day_end_ms: int) -> DossierTerminal:
        number = held.terminal
        shown = number in plan.stretches or number in plan.rows
        return DossierTerminal(
            terminal=number,
            keys=tuple(self._source.keys_of(number)) if shown else (),
            open=why_open(held, day_end_ms),
            stretches=tuple((first, last) for first, last in plan.stretches.get(number, ())),
            words=tuple((word.of[1], *word.by) for word in plan.words.get(number, ())),
        )

    def _batch_frames(self, terminal: int, plan: _DayPlan) -> Iterator[DossierBatch]:
        cards = _CardsOfDay(self._header.day, self._source.calendar, self._registry)
        for batch in self._needed(terminal, plan):
            envelope = parse_batch(batch.envelope)
            bodies = tuple(self._source.bodies(terminal, RowSpan(envelope.first, batch.last)))
            if not bodies:
                raise AuditError(
                    f"rows {batch.first} to {batch.last} of terminal {terminal} are not held any more",
                    "Check the collector's database: `terminal collector backup` does.",
                )
            keys, unable = cards.behind(envelope.first, bodies)
            yield DossierBatch(terminal, batch.envelope, bodies, keys, unable)

    def _needed(self, terminal: int, plan: _DayPlan) -> list[HeldBatch]:
        """Batches by row: those of the day with their neighbours, and those of single rows."""
        found: dict[int, HeldBatch] = {}
        for first, last in plan.stretches.get(terminal, ()):
            for batch in self._source.batches(terminal, RowSpan(max(1, first - 1), last + 1)):
                found[batch.first] = batch
        for row in plan.rows.get(terminal, ()):
            for batch in self._source.batches(terminal, RowSpan(row, row)):
                found[batch.first] = batch
        return [found[first] for first in sorted(found)]


class _CardsOfDay:
    """What the registry says of the cards behind the commits of the day's taps, batch by batch of one terminal."""

    def __init__(self, day: str, calendar: ServiceCalendar, registry: CardRegistry | None) -> None:
        self._day = day
        self._calendar = calendar
        self._registry = registry
        self._open: dict[int, bytes] = {}
        self._last = 0

    def behind(self, first: int, bodies: tuple[bytes, ...]) -> tuple[dict[int, bytes], tuple[int, ...]]:
        """The session keys by the row of the commit, and the commits of cards that cannot prove."""
        keys: dict[int, bytes] = {}
        unable: list[int] = []
        new = self._last + 1
        self._last = max(self._last, first + len(bodies) - 1)
        for row, body in enumerate(bodies, first):
            if row < new:
                continue  # a batch may begin with rows that came before
            try:
                record = read_record(body)
            except UnreadableRecord:
                continue
            if isinstance(record, Intent) and day_of(record, self._calendar) == self._day:
                self._open[row] = record.card_ref
            elif isinstance(record, Committed | NotCommitted) and record.intent in self._open:
                card_ref = self._open.pop(record.intent)
                if isinstance(record, Committed):
                    self._ask(row, card_ref, record.tmc, keys, unable)
        return keys, tuple(unable)

    def _ask(
        self, row: int, card_ref: bytes, tmc: int | None, keys: dict[int, bytes], unable: list[int]
    ) -> None:
        if self._registry is None:
            return
        card, key = self._registry.card(card_ref), session_key(self._registry, card_ref, tmc)
        if card is None or key is None:
            return
        keys[row] = key
        if not card.proves:
            unable.append(row)


def end_of_day(header: DossierHeader) -> int:
    """When the service day is over, in milliseconds since 1970."""
    after = date.fromisoformat(header.day) + ONE_DAY
    return unix_ms(datetime.combine(after, time(header.day_ends_at), ZoneInfo(header.zone)))


def why_open(held: HeldTerminal, day_end_ms: int) -> str:
    """An `OpenReason`, or nothing where every row of the day that the terminal had is here."""
    if not held.enrolled:
        lost = held.stated_head > held.held and held.sent_at_ms < day_end_ms
        return OpenReason.LOST if lost else ""
    if not held.held:
        return OpenReason.NOTHING_HELD
    if held.booked < held.held and held.booked_at_ms < day_end_ms:
        return OpenReason.NOT_BOOKED
    if held.stated_head > held.held and held.booked_at_ms < day_end_ms:
        return OpenReason.UNSENT
    return OpenReason.NOT_HEARD_SINCE if held.sent_at_ms < day_end_ms else ""


def header_of(
    day: str, calendar: ServiceCalendar, made_at_ms: int, collector: bytes, proofs: ProofSource
) -> DossierHeader:
    """The header of a dossier; raises `AuditError` for what is no day."""
    try:
        date.fromisoformat(day)
    except ValueError as error:
        raise AuditError(f"{day} is no day", "Give a service day like 2026-09-15.") from error
    return DossierHeader(
        DOSSIER_VERSION, day, calendar.zone.key, calendar.day_ends_at, made_at_ms, collector, proofs
    )
