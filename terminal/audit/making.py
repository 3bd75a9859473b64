"""The audit of a day made at the collector: evidence gathered, written into its dossier, examined and signed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from msgspec.structs import replace

from terminal.audit.dossier import (
    DossierBatch,
    DossierHeader,
    DossierStatement,
    DossierWriter,
    Frame,
    ProofSource,
)
from terminal.audit.examining import examined
from terminal.audit.gathering import DaySource, Gatherer, header_of
from terminal.audit.statement import (
    SignedStatement,
    build_statement,
    sign_statement,
    supplement_to,
)
from terminal.collector.issuers import KnownIssuers
from terminal.collector.registry import CardRegistry
from terminal.errors import AuditError
from terminal.files import replacing
from terminal.recompute.documents import DocumentFolder


class AuditOrder(Struct, frozen=True):
    """What is wanted: the day, an earlier statement to be supplemented, the dossier's file; `by_service`: the auditor
    asks the verify-only service, and no session keys go into the dossier."""

    day: str
    after: SignedStatement | None = None
    dossier: Path | None = None
    by_service: bool = False


def make_audit(
    source: DaySource,
    order: AuditOrder,
    documents: DocumentFolder,
    registry: CardRegistry | None,
    key: Ed25519PrivateKey,
    now_ms: int,
    issuers: KnownIssuers | None = None,
) -> SignedStatement:
    """The audit of a day, signed with the collector's key; its dossier, if one is wanted, appears whole or not at all.

    Raises `AuditError` or `CollectorError`.
    """
    public = key.public_key().public_bytes_raw()
    proofs = ProofSource.SESSION_KEYS if registry is not None else ProofSource.NOTHING
    header = header_of(order.day, source.calendar, now_ms, public, proofs)
    frames = Gatherer(source, header, documents, registry, issuers).frames()
    with _dossier_file(order.dossier) as file:
        writer = None if file is None else DossierWriter(file)
        statement = examined(_kept(frames, writer, by_service=order.by_service), documents)
        if order.after is not None:
            statement = replace(statement, supplement=supplement_to(order.after, statement))
        signed = sign_statement(statement, now_ms, key, public)
        if writer is not None:
            writer.write(DossierStatement(build_statement(signed)))
            writer.end(key)
    return signed


def _dossier_file(path: Path | None) -> AbstractContextManager[BinaryIO | None]:
    return nullcontext() if path is None else _written(path)


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise AuditError(f"{path} cannot be written: {error.strerror}", "Check room and rights.") from error


def _kept(frames: Iterable[Frame], writer: DossierWriter | None, *, by_service: bool) -> Iterator[Frame]:
    """`frames`, each also written to the dossier: without session keys where the auditor asks the service."""
    for frame in frames:
        if writer is not None:
            writer.write(_without_keys(frame) if by_service else frame)
        yield frame


def _without_keys(frame: Frame) -> Frame:
    match frame:
        case DossierHeader():
            return replace(frame, proofs=ProofSource.SERVICE)
        case DossierBatch():
            return replace(frame, session_keys={}, unable=())
        case _:
            return frame
