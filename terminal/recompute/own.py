"""A terminal decides its own rows again: refusals, and whatever needs the lists and the roster that only it has.

Rows are gone through in the order of the journal. Which region document was in force at each is known from the
`SetActivated` rows before it; the documents lie in the terminal's folder by their hashes, so a tariff that followed
another one changes nothing for the taps of the earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from msgspec import Struct, field

from terminal.canteen.facts import Replay
from terminal.codes import SetKind
from terminal.decision.recompute import CannotRecompute, RecomputeGap
from terminal.journal.canteen_records import MealServed
from terminal.journal.operation_records import MOST_DIFFERING_NAMED, SelfRecomputed, SetActivated
from terminal.journal.reader import JournalReader
from terminal.journal.records import AnyRecord, CashSale, UnreadableRecord, parse_record
from terminal.journal.stored import Row
from terminal.policy.policy import Policy
from terminal.recompute.documents import DocumentFolder
from terminal.recompute.rows import Decided, Verdict, VerdictKind, list_named, moment_of, unproven, verdict_of

STATEMENT_TAG: Final = b"\x31"
ACTIVATED_TAG: Final = b"\x2e"
"""The third byte of a row of `SelfRecomputed` and of one of `SetActivated`: others are not taken apart for them."""
PAGE_ROWS: Final = 500
Judged: TypeAlias = tuple[int, Decided, Verdict]
"""A row's number, the decision in it, and the verdict."""


class OwnSources(Struct, frozen=True):
    """What a terminal's rows are decided again from: `documents` by hash, `otherwise` policies by the tariff rows name,
    for rows whose document is not among them. `replay` follows a canteen's rows from the first.
    """

    documents: DocumentFolder | None = None
    otherwise: dict[str, Policy] = field(default_factory=dict)
    replay: Replay | None = None


def judged(reader: JournalReader, sources: OwnSources, after: int = 0) -> Iterator[Judged]:
    """Every decision in rows above `after`, with its verdict. Raises `JournalError`."""
    if sources.documents is not None:
        sources.documents.refresh()
    state = reader.state()
    terminal, document = state.terminal, _named_before(state.base.sequence, state.notes)
    for row in reader.all_rows():
        record = _record_of(row)
        if isinstance(record, SetActivated) and record.kind == SetKind.REGION:
            document = record.sha256.hex()
        elif isinstance(record, Decided) and row.sequence > after:
            yield row.sequence, record, _verdict(terminal, row.sequence, record, document, sources)
        if sources.replay is not None and record is not None:
            sources.replay.follow(row.sequence, record)


def statement(
    reader: JournalReader, sources: OwnSources, at_ms: int, software: str, version: str
) -> SelfRecomputed:
    """What the terminal may put on record of its rows since the last statement. Raises `JournalError`."""
    after, through = _stated_through(reader), reader.last_sequence()
    counts = dict.fromkeys(VerdictKind, 0)
    gaps: dict[str, int] = {}
    rows: list[int] = []
    for sequence, _, verdict in judged(reader, sources, after):
        if sequence > through:
            break
        counts[verdict.kind] += 1
        if verdict.reason is not None:
            gaps[verdict.reason.value] = gaps.get(verdict.reason.value, 0) + 1
        if verdict.kind is VerdictKind.DIFFERING and len(rows) < MOST_DIFFERING_NAMED:
            rows.append(sequence)
    return SelfRecomputed(
        at_ms=at_ms,
        first=after + 1,
        through=through,
        recomputed=counts[VerdictKind.RECOMPUTED],
        differing=counts[VerdictKind.DIFFERING],
        rows=tuple(rows),
        unproven=gaps,
        documents=() if sources.documents is None else sources.documents.used(),
        software=software,
        version=version,
    )


def _verdict(terminal: int, sequence: int, record: Decided, document: str, sources: OwnSources) -> Verdict:
    policy: Policy | Verdict | None = None
    if document and sources.documents is not None:
        policy = sources.documents.policy(document, list_named(record))
    if not isinstance(policy, Policy):
        policy = sources.otherwise.get(record.tariff) or policy or _not_given(record.tariff)
    if not isinstance(policy, Policy):
        return policy
    pupil = None
    if sources.replay is not None and not isinstance(record, CashSale):
        try:
            at = moment_of(record)
            if isinstance(record, MealServed):
                pupil = sources.replay.listed_at(record, at)
            else:
                pupil = sources.replay.pupil_at(record, at)
        except CannotRecompute as error:
            return unproven(error.gap, says=str(error))
    return verdict_of(terminal, sequence, record, policy, pupil)


def _not_given(tariff: str) -> Verdict:
    return unproven(RecomputeGap.REGION, says=f"region document {tariff} not given")


def _named_before(base: int, notes: tuple[tuple[int, bytes], ...]) -> str:
    """The document in force at the first row that is still held, as far as the journal's notes tell."""
    document = ""
    for number, body in notes:
        record = parse_record(body)
        if number <= base and isinstance(record, SetActivated) and record.kind == SetKind.REGION:
            document = record.sha256.hex()
    return document


def newest_document(reader: JournalReader) -> str:
    """The hash of the region document that the journal says is in force; empty for none."""
    document = _named_before(reader.last_sequence(), reader.state().notes)
    for row in reader.all_rows():
        record = _record_of(row) if row.body[2:3] == ACTIVATED_TAG else None
        if isinstance(record, SetActivated) and record.kind == SetKind.REGION:
            document = record.sha256.hex()
    return document


def _stated_through(reader: JournalReader) -> int:
    """How far the newest statement reaches. Rows are not taken apart for it."""
    after = through = 0
    while rows := reader.rows(after, PAGE_ROWS):
        for row in rows:
            if row.body[2:3] == STATEMENT_TAG:
                record = _record_of(row)
                through = record.through if isinstance(record, SelfRecomputed) else through
        after = rows[-1].sequence
    return through


def _record_of(row: Row) -> AnyRecord | None:
    try:
        return row.record
    except UnreadableRecord:
        return None
