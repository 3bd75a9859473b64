"""The audit of a day made at the collector, and made again from its bundle.

Both are one pass over the same frames: what the collector states is what an auditor finds, or one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from msgspec.structs import replace

from terminal.audit.bundle import (
    BundledBatch,
    BundledDocument,
    BundledStatement,
    BundledTerminal,
    BundleEnd,
    BundleHeader,
    BundleWriter,
    Frame,
    ProofSource,
    broken,
    read_bundle,
)
from terminal.audit.examining import Examination
from terminal.audit.gathering import DaySource, Gatherer, header_of
from terminal.audit.proofs import CardQuestion, CardWord, answered, cards_of, question_of
from terminal.audit.statement import (
    AuditStatement,
    SignedStatement,
    build_statement,
    parse_statement,
    sign_statement,
    statement_bytes,
    supplement_to,
)
from terminal.collector.reading import read_record
from terminal.collector.registry import CardRegistry
from terminal.errors import AuditError
from terminal.files import replacing
from terminal.journal.records import Committed, Intent, UnreadableRecord
from terminal.journal.taps import TapId
from terminal.recompute.documents import DocumentFolder
from terminal.sync.wire import Malformed, parse_batch

Ask: TypeAlias = Callable[[Mapping[TapId, CardQuestion]], Mapping[TapId, CardWord]]
"""The verify-only service."""


class AuditOrder(Struct, frozen=True):
    """What is wanted: the day, an earlier statement to be supplemented, the bundle's file; `by_service`: the auditor
    asks the verify-only service, and no session keys go into the bundle."""

    day: str
    after: SignedStatement | None = None
    bundle: Path | None = None
    by_service: bool = False


class Differing(Struct, frozen=True):
    """One thing that the collector stated and its evidence does not come to, by its place in the statement."""

    place: str
    stated: object
    found: object


class Verified(Struct, frozen=True):
    """A bundle examined: what the collector stated, what its evidence comes to, and where these differ."""

    stated: SignedStatement
    found: AuditStatement
    differences: tuple[Differing, ...]


def make_audit(
    source: DaySource,
    order: AuditOrder,
    documents: DocumentFolder,
    registry: CardRegistry | None,
    key: Ed25519PrivateKey,
    now_ms: int,
) -> SignedStatement:
    """The audit of a day, signed with the collector's key; its bundle, if one is wanted, appears whole or not at all.

    Raises `AuditError` or `CollectorError`.
    """
    public = key.public_key().public_bytes_raw()
    proofs = ProofSource.SESSION_KEYS if registry is not None else ProofSource.NOTHING
    header = header_of(order.day, source.calendar, now_ms, public, proofs)
    frames = Gatherer(source, header, documents, registry).frames()
    with _bundle_file(order.bundle) as file:
        writer = None if file is None else BundleWriter(file)
        statement = _examined(_kept(frames, writer, by_service=order.by_service), documents)
        if order.after is not None:
            statement = replace(statement, supplement=supplement_to(order.after, statement))
        signed = sign_statement(statement, now_ms, key, public)
        if writer is not None:
            writer.write(BundledStatement(build_statement(signed)))
            writer.end(key)
    return signed


def _bundle_file(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return nullcontext() if path is None else _written(path)


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise AuditError(f"{path} cannot be written: {error.strerror}", "Check room and rights.") from error


def _kept(frames: Iterable[Frame], writer: BundleWriter | None, *, by_service: bool) -> Iterator[Frame]:
    """`frames`, each also written to the bundle: without session keys where the auditor asks the service."""
    for frame in frames:
        if writer is not None:
            writer.write(_without_keys(frame) if by_service else frame)
        yield frame


def _without_keys(frame: Frame) -> Frame:
    match frame:
        case BundleHeader():
            return replace(frame, proofs=ProofSource.SERVICE)
        case BundledBatch():
            return replace(frame, session_keys={}, unable=())
        case _:
            return frame


def _examined(
    frames: Iterator[Frame], documents: DocumentFolder, words: Mapping[TapId, CardWord] | None = None
) -> AuditStatement:
    """What the frames from the header to the last batch come to. `words` are the service's, where it was asked."""
    header = next(frames)
    assert isinstance(header, BundleHeader), "a bundle begins with it"
    examination = Examination(header, documents)
    for frame in frames:
        match frame:
            case BundledTerminal():
                examination.add_terminal(frame)
            case BundledBatch():
                cards = cards_of(frame) if words is None else answered(_of_terminal(words, frame.terminal))
                examination.add_batch(frame, cards)
            case _:
                pass
    return examination.statement()


def _of_terminal(words: Mapping[TapId, CardWord], terminal: int) -> dict[int, CardWord]:
    return {row: word for (number, row), word in words.items() if number == terminal}


# The auditor's side

CHUNK: Final = 1 << 20


def verify_bundle(
    path: Path, collector: bytes | None = None, ask: Ask | None = None, grants_key: bytes | None = None
) -> Verified:
    """Examine the bundle at `path`, with nothing but what is in it. `collector`: the public key that must have signed
    it; `ask`: the verify-only service, where the bundle holds no session keys.

    Raises `AuditError` for a bundle that is damaged, changed, or of another collector.
    """
    with TemporaryDirectory(prefix="audit-") as scratch:
        folder = DocumentFolder(Path(scratch), grants_key)
        header, stated = _looked_through(path, Path(scratch))
        _require_collector(header, stated, collector)
        words = None
        if header.proofs is ProofSource.SERVICE:
            words = _asked(path, ask)
        with _opened(path) as file:
            found = _examined(_evidence(read_bundle(file)), folder, words)
    differences = tuple(_differences("", _plain(stated.statement), _plain(found)))
    return Verified(stated, found, differences)


def _looked_through(path: Path, folder: Path) -> tuple[BundleHeader, SignedStatement]:
    """The whole bundle once: that it is whole and signed; its documents are put into `folder`."""
    header: BundleHeader | None = None
    stated: SignedStatement | None = None
    with _opened(path) as file:
        for frame in read_bundle(file):
            match frame:
                case BundleHeader():
                    header = frame
                case BundledDocument():
                    _keep_document(frame, folder)
                case BundledStatement():
                    stated = parse_statement(frame.content)
                case _:
                    pass
    if header is None or stated is None:
        raise broken("it holds no statement")
    return header, stated


def _keep_document(frame: BundledDocument, folder: Path) -> None:
    if sha256(frame.content).digest() != frame.sha256:
        raise broken(f"document {frame.sha256.hex()} is not what its hash says")
    (folder / frame.sha256.hex()).write_bytes(frame.content)


def _require_collector(header: BundleHeader, stated: SignedStatement, collector: bytes | None) -> None:
    if stated.key != header.collector.hex() or stated.statement.day != header.day:
        raise broken("its statement is another collector's, or about another day")
    if collector is not None and header.collector != collector:
        raise AuditError(
            f"the bundle is signed by the collector with key {header.collector.hex()}, not by the one given",
            "Ask for the bundle of the collector whose key you have, or for its present key.",
        )


def _asked(path: Path, ask: Ask | None) -> dict[TapId, CardWord]:
    if ask is None:
        raise AuditError(
            "the bundle holds no session keys: its proofs are checked by the verify-only service",
            "Give --service and --token-file.",
        )
    words: dict[TapId, CardWord] = {}
    pending: dict[TapId, CardQuestion] = {}
    with _opened(path) as file:
        for row, question in _questions(read_bundle(file)):
            pending[row] = question
            if len(pending) >= QUESTIONS_AT_ONCE:
                words.update(ask(pending))
                pending.clear()
    if pending:
        words.update(ask(pending))
    return words


QUESTIONS_AT_ONCE: Final = 500


def _questions(frames: Iterator[Frame]) -> Iterator[tuple[TapId, CardQuestion]]:
    taps: dict[TapId, Intent] = {}
    for frame in frames:
        if isinstance(frame, BundledBatch):
            try:
                first = parse_batch(frame.envelope).first
            except Malformed as error:
                raise broken(str(error)) from error
            for sequence, body in enumerate(frame.bodies, first):
                yield from _question((frame.terminal, sequence), body, taps)


def _question(row: TapId, body: bytes, taps: dict[TapId, Intent]) -> Iterator[tuple[TapId, CardQuestion]]:
    try:
        record = read_record(body)
    except UnreadableRecord:
        return
    if isinstance(record, Intent):
        taps[row] = record
    elif isinstance(record, Committed):
        intent = taps.pop((row[0], record.intent), None)
        if intent is not None:
            yield row, question_of(intent, record)


def _evidence(frames: Iterator[Frame]) -> Iterator[Frame]:
    return (frame for frame in frames if not isinstance(frame, BundledStatement | BundleEnd))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb", buffering=CHUNK) as file:
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
