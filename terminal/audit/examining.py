"""A dossier's evidence examined anew: signatures, chain, card proofs, decisions and sums, to a statement.

The collector makes its statement this way, too: it writes the evidence and has it examined as an auditor will. So what
it signs is never more than what the dossier shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct
from msgspec.structs import replace

from terminal.audit.counting import DayCount
from terminal.audit.dossier import (
    DossierBatch,
    DossierHeader,
    DossierIssuers,
    DossierTerminal,
    Frame,
    ProofSource,
    broken,
)
from terminal.audit.proofs import CardWord, answered, cards_of
from terminal.audit.statement import (
    STATEMENT_VERSION,
    AuditedDocument,
    AuditedRun,
    AuditedTerminal,
    AuditStatement,
    totals_of_lines,
)
from terminal.audit.verdicts import CardsOfBatch, Decisions, Proofs
from terminal.collector.days import ServiceCalendar
from terminal.collector.reading import read_record
from terminal.collector.registry import ProvingCard
from terminal.errors import KeyFileError
from terminal.journal.chain import genesis
from terminal.journal.records import UnreadableRecord
from terminal.journal.taps import TapId
from terminal.keys.file import issuers_in
from terminal.recompute.documents import DocumentFolder
from terminal.sync.wire import Batch, Malformed, batch_is_genuine, parse_batch, row_hashes


class _Run(Struct):
    """An unbroken part of one journal, as far as it was shown."""

    first: int
    previous_hash: bytes
    last: int = 0
    last_hash: bytes = b""
    rows: int = 0
    batches: int = 0
    newest: Batch | None = None
    key: bytes = b""

    def result(self) -> AuditedRun:
        assert self.newest is not None, "a run begins with a batch"
        return AuditedRun(
            first=self.first,
            last=self.last,
            rows=self.rows,
            batches=self.batches,
            previous_hash=self.previous_hash.hex(),
            last_hash=self.last_hash.hex(),
            head=self.newest.head_sequence,
            sent_at_ms=self.newest.sent_at_ms,
            key_sha256=sha256(self.key).hexdigest(),
            signature=self.newest.signature.hex(),
        )


class Examination:
    """One pass over the evidence of a day. Every method raises `AuditError` for evidence that contradicts itself."""

    def __init__(self, header: DossierHeader, documents: DocumentFolder) -> None:
        self._header = header
        calendar = calendar_of(header)
        self._asked: dict[TapId, set[TapId]] = {}
        self._cards = CardsOfBatch(known=header.proofs is not ProofSource.NOTHING)
        self._decisions = Decisions(documents)
        self._count = DayCount(header.day, calendar, Proofs(self._cards), self._decisions, self._asked)
        self._documents = documents
        self._terminals: dict[int, DossierTerminal] = {}
        self._keys: dict[int, list[Ed25519PublicKey]] = {}
        self._runs: dict[int, list[_Run]] = {}
        self._unreadable = 0
        documents.refresh()

    def add_issuers(self, issuers: DossierIssuers) -> None:
        """Whose phones are known, before any rows."""
        try:
            self._cards.issuers = issuers_in(issuers.content, "issuers")
        except KeyFileError as error:
            raise broken(str(error)) from error

    def add_terminal(self, terminal: DossierTerminal) -> None:
        """One terminal, before any rows."""
        if self._terminals and terminal.terminal <= max(self._terminals):
            raise broken(f"terminal {terminal.terminal} is out of order")
        self._terminals[terminal.terminal] = terminal
        self._keys[terminal.terminal] = [Ed25519PublicKey.from_public_bytes(key) for key in terminal.keys]
        for of, by_terminal, by_sequence in terminal.words:
            self._asked.setdefault((by_terminal, by_sequence), set()).add((terminal.terminal, of))

    def add_batch(self, part: DossierBatch, cards: Mapping[int, ProvingCard]) -> None:
        """One signed batch, in the order of terminals and rows; `cards` knows those behind its commits."""
        batch = _batch_of(part)
        hashes = row_hashes(batch)
        key = self._signer_of(batch, hashes[-1])
        new = self._joined(batch, hashes, key)
        self._cards.take({(batch.terminal, row): card for row, card in cards.items()})
        for sequence in range(new, batch.last + 1):
            try:
                record = read_record(batch.bodies[sequence - batch.first])
            except UnreadableRecord:
                self._unreadable += 1
                continue
            self._count.take((batch.terminal, sequence), record)

    def _signer_of(self, batch: Batch, last_hash: bytes) -> bytes:
        for key in self._keys.get(batch.terminal, ()):
            if batch_is_genuine(batch, last_hash, key):
                return key.public_bytes_raw()
        raise broken(f"rows from {batch.first} of terminal {batch.terminal} are not signed by it")

    def _joined(self, batch: Batch, hashes: list[bytes], key: bytes) -> int:
        """Note the batch in the terminal's runs; return the first of its rows that was not shown before."""
        if self._runs and batch.terminal < max(self._runs):
            raise broken(f"rows of terminal {batch.terminal} are out of order")
        runs = self._runs.setdefault(batch.terminal, [])
        run = runs[-1] if runs else None
        new = batch.first
        if run is not None and batch.first <= run.last:
            held = run.last - batch.first
            if held + 1 >= len(hashes) or hashes[held] != run.last_hash:
                raise broken(f"two versions of rows before {run.last} of terminal {batch.terminal}")
            new = run.last + 1
        elif run is None or batch.previous_hash != run.last_hash:
            if run is not None and batch.first == run.last + 1:
                raise broken(
                    f"row {batch.first} of terminal {batch.terminal} does not follow the row before it"
                )
            if batch.first == 1 and batch.previous_hash != genesis(batch.terminal).hash:
                raise broken(f"the journal of terminal {batch.terminal} begins otherwise")
            run = _Run(batch.first, batch.previous_hash)
            runs.append(run)
        assert run is not None, "made above"
        run.last, run.last_hash = batch.last, hashes[-1]
        run.rows += batch.last + 1 - new
        run.batches += 1
        run.newest, run.key = batch, key
        return new

    def statement(self) -> AuditStatement:
        """Everything was added."""
        lines = self._count.settle()
        terminals = tuple(self._terminal(one) for one in self._terminals.values())
        return AuditStatement(
            version=STATEMENT_VERSION,
            day=self._header.day,
            zone=self._header.zone,
            day_ends_at=self._header.day_ends_at,
            complete=not any(one.open for one in terminals),
            totals=totals_of_lines(lines),
            lines=lines,
            unreadable=self._unreadable,
            differing=self._count.differing,
            differing_rows=tuple(self._count.differing_rows),
            documents=tuple(self._documents_named()),
            terminals=terminals,
        )

    def _terminal(self, one: DossierTerminal) -> AuditedTerminal:
        runs = self._runs.get(one.terminal, [])
        for first, last in one.stretches:
            if not any(run.first <= first and last <= run.last for run in runs):
                raise broken(f"rows {first} to {last} of terminal {one.terminal} are not all there")
        shown = tuple(run.result() for run in runs)
        return AuditedTerminal(one.terminal, one.open, one.stretches, shown)

    def _documents_named(self) -> Iterator[AuditedDocument]:
        editions = {one.sha256: one.edition for one in self._documents.listed()}
        for name in sorted(self._decisions.named):
            yield AuditedDocument(name, editions.get(name, ""), self._decisions.named[name])


def examined(
    frames: Iterator[Frame], documents: DocumentFolder, words: Mapping[TapId, CardWord] | None = None
) -> AuditStatement:
    """What the frames of a dossier come to, up to its last batch. `words` are the service's, where it was asked."""
    header = next(frames)
    assert isinstance(header, DossierHeader), "a dossier begins with it"
    examination = Examination(header, documents)
    for frame in frames:
        match frame:
            case DossierIssuers():
                examination.add_issuers(frame)
            case DossierTerminal():
                examination.add_terminal(frame)
            case DossierBatch():
                cards = cards_of(frame) if words is None else answered(_of_terminal(words, frame.terminal))
                examination.add_batch(frame, cards)
            case _:
                pass
    return examination.statement()


def _of_terminal(words: Mapping[TapId, CardWord], terminal: int) -> dict[int, CardWord]:
    return {row: word for (number, row), word in words.items() if number == terminal}


def _batch_of(part: DossierBatch) -> Batch:
    try:
        envelope = parse_batch(part.envelope)
    except Malformed as error:
        raise broken(str(error)) from error
    batch = replace(envelope, bodies=part.bodies)
    if batch.terminal != part.terminal or batch.last > batch.head_sequence:
        raise broken(f"a batch of terminal {part.terminal} is another's, or longer than its journal")
    return batch


def calendar_of(header: DossierHeader) -> ServiceCalendar:
    """The service days of a dossier's collector; raises `AuditError`."""
    try:
        return ServiceCalendar(ZoneInfo(header.zone), header.day_ends_at)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise broken(f"no time zone {header.zone}") from error
