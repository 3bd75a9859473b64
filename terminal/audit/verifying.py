"""The audit of a day made again from its dossier, by an auditor who has nothing else.

It is the same pass over the same frames as at the collector (`terminal.audit.examining`): what the collector states is
what an auditor finds, or one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from terminal.audit.dossier import (
    DossierBatch,
    DossierDocument,
    DossierEnd,
    DossierHeader,
    DossierStatement,
    Frame,
    ProofSource,
    broken,
    read_dossier,
)
from terminal.audit.examining import calendar_of, examined
from terminal.audit.proofs import CardQuestion, CardWord, question_of
from terminal.audit.statement import AuditStatement, SignedStatement, parse_statement, statement_bytes
from terminal.collector.day_rows import day_of
from terminal.collector.reading import read_record
from terminal.errors import AuditError
from terminal.journal.records import AnyRecord, Committed, Intent, NotCommitted, UnreadableRecord
from terminal.journal.taps import TapId
from terminal.recompute.documents import DocumentFolder
from terminal.sync.wire import Malformed, parse_batch

Ask: TypeAlias = Callable[[Mapping[TapId, CardQuestion]], Mapping[TapId, CardWord]]
"""The verify-only service."""
CHUNK_BYTES: Final = 1 << 20
QUESTIONS_AT_ONCE: Final = 500


class Differing(Struct, frozen=True):
    """One thing that the collector stated and its evidence does not come to, by its place in the statement."""

    place: str
    stated: object
    found: object


class Verified(Struct, frozen=True):
    """A dossier examined: what the collector stated, what its evidence comes to, and where these differ."""

    stated: SignedStatement
    found: AuditStatement
    differences: tuple[Differing, ...]


def verify_dossier(
    path: Path, collector: bytes | None = None, ask: Ask | None = None, grants_key: bytes | None = None
) -> Verified:
    """Examine the dossier at `path`, with nothing but what is in it. `collector`: the public key that must have signed
    it; `ask`: the verify-only service, where the dossier holds no session keys.

    Raises `AuditError` for a dossier that is damaged, changed, or of another collector.
    """
    with TemporaryDirectory(prefix="audit-") as scratch:
        folder = DocumentFolder(Path(scratch), grants_key)
        header, stated = _looked_through(path, Path(scratch))
        _require_collector(header, stated, collector)
        words = None
        if header.proofs is ProofSource.SERVICE:
            words = _asked(path, header, ask)
        with _opened(path) as file:
            found = examined(_evidence(read_dossier(file)), folder, words)
    differences = tuple(_differences("", _plain(stated.statement), _plain(found)))
    return Verified(stated, found, differences)


def _looked_through(path: Path, folder: Path) -> tuple[DossierHeader, SignedStatement]:
    """The whole dossier once: that it is whole and signed; its documents are put into `folder`."""
    header: DossierHeader | None = None
    stated: SignedStatement | None = None
    with _opened(path) as file:
        for frame in read_dossier(file):
            match frame:
                case DossierHeader():
                    header = frame
                case DossierDocument():
                    _keep_document(frame, folder)
                case DossierStatement():
                    stated = parse_statement(frame.content)
                case _:
                    pass
    if header is None or stated is None:
        raise broken("it holds no statement")
    return header, stated


def _keep_document(frame: DossierDocument, folder: Path) -> None:
    if sha256(frame.content).digest() != frame.sha256:
        raise broken(f"document {frame.sha256.hex()} is not what its hash says")
    (folder / frame.sha256.hex()).write_bytes(frame.content)


def _require_collector(header: DossierHeader, stated: SignedStatement, collector: bytes | None) -> None:
    if stated.key != header.collector.hex() or stated.statement.day != header.day:
        raise broken("its statement is another collector's, or about another day")
    if collector is not None and header.collector != collector:
        raise AuditError(
            f"the dossier is signed by the collector with key {header.collector.hex()}, not by the one given",
            "Ask for the dossier of the collector whose key you have, or for its present key.",
        )


def _asked(path: Path, header: DossierHeader, ask: Ask | None) -> dict[TapId, CardWord]:
    if ask is None:
        raise AuditError(
            "the dossier holds no session keys: its proofs are checked by the verify-only service",
            "Give --service and --token-file.",
        )
    words: dict[TapId, CardWord] = {}
    pending: dict[TapId, CardQuestion] = {}
    with _opened(path) as file:
        for row, question in _questions(header, read_dossier(file)):
            pending[row] = question
            if len(pending) >= QUESTIONS_AT_ONCE:
                words.update(ask(pending))
                pending.clear()
    if pending:
        words.update(ask(pending))
    return words


def _questions(header: DossierHeader, frames: Iterator[Frame]) -> Iterator[tuple[TapId, CardQuestion]]:
    """What to ask about the commits of the day's taps."""
    calendar, taps = calendar_of(header), dict[TapId, Intent]()
    for row, record in _records(frames):
        if isinstance(record, Intent) and day_of(record, calendar) == header.day:
            taps[row] = record
        elif isinstance(record, Committed | NotCommitted):
            intent = taps.pop((row[0], record.intent), None)
            if intent is not None and isinstance(record, Committed):
                yield row, question_of(intent, record)


def _records(frames: Iterator[Frame]) -> Iterator[tuple[TapId, AnyRecord]]:
    for frame in frames:
        if not isinstance(frame, DossierBatch):
            continue
        try:
            first = parse_batch(frame.envelope).first
        except Malformed as error:
            raise broken(str(error)) from error
        for sequence, body in enumerate(frame.bodies, first):
            try:
                record = read_record(body)
            except UnreadableRecord:
                continue
            yield (frame.terminal, sequence), record


def _evidence(frames: Iterator[Frame]) -> Iterator[Frame]:
    return (frame for frame in frames if not isinstance(frame, DossierStatement | DossierEnd))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb", buffering=CHUNK_BYTES) as file:
            yield file
    except OSError as error:
        raise AuditError(
            f"{path} cannot be read: {error.strerror}", "Check the path and its rights."
        ) from error


def _plain(statement: AuditStatement) -> dict[str, object]:
    plain: dict[str, object] = msgspec.json.decode(statement_bytes(replace(statement, supplement=None)))
    return plain


def _differences(place: str, stated: object, found: object) -> Iterator[Differing]:
    """Where two plain values differ, by the innermost place."""
    if isinstance(stated, dict) and isinstance(found, dict):
        for name in sorted(stated.keys() | found.keys()):
            yield from _differences(f"{place}.{name}".lstrip("."), stated.get(name), found.get(name))
    elif isinstance(stated, list) and isinstance(found, list) and len(stated) == len(found):
        for index, (one, other) in enumerate(zip(stated, found, strict=True)):
            yield from _differences(f"{place}[{index}]", one, other)
    elif stated != found:
        yield Differing(place, stated, found)
