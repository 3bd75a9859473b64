"""The evidence of a day in one file, for an auditor who has nothing else.

A line that names the format, then frames: four bytes of length, and a msgpack array that begins with its kind. Read
and written one frame at a time, so neither side holds a day in memory:

    DossierHeader       which day, of which collector
    DossierDocument    a region document or the tables of a feed, as published
    DossierIssuers     whose phones were known: the list of issuers as published
    DossierTerminal    one per terminal: its public keys, where its rows of the day stand, who speaks of them elsewhere
    DossierBatch       one per signed batch: the rows as the terminal sent them, its signature, and the session keys of
                       the card proofs among them
    DossierStatement   what the collector found
    DossierEnd          the SHA-256 of all before it, signed by the collector

A session key holds for one card and one value of its counter (`cardproto.desfire.transaction_mac`): it proves that one
transaction and no other. A card's own key is in no dossier.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, BinaryIO, Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from terminal.audit.statement import MOST_STATEMENT_BYTES
from terminal.collector.issuers import MOST_ISSUERS_BYTES
from terminal.errors import AuditError
from terminal.journal.checkpoint import FirstRow, Hash, Moment, RowNumber, Signature, Signer, TerminalNumber
from terminal.policy.gtfs.section import MOST_TABLES_BYTES
from terminal.sync.wire import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, Body

DOSSIER_VERSION: Final = 1
MAGIC: Final = b"resident-audit-dossier-1\n"
LENGTH_BYTES: Final = 4
MOST_FRAME_BYTES: Final = MOST_TABLES_BYTES + (1 << 16)
MOST_TERMINALS: Final = 1 << 20
MOST_DOCUMENTS: Final = 4_096
MOST_PARTS: Final = 100_000
"""Stretches of one terminal in a day, and rows that speak of them: a clock that jumps with every tap makes many."""
_DOMAIN: Final = b"resident-audit-dossier-1"

PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
SessionKey = Annotated[bytes, Meta(max_length=16)]
DayText = Annotated[str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class ProofSource(StrEnum):
    """Where the auditor learns what cards proved."""

    SESSION_KEYS = "session_keys"
    """From the session keys in the dossier."""
    SERVICE = "service"
    """The dossier holds none: the verify-only service is asked."""
    NOTHING = "nothing"
    """The collector was given no card registry."""


class DossierHeader(Struct, frozen=True, array_like=True, tag=1):
    """`collector` is its public key, which also signs."""

    version: int
    day: DayText
    zone: Annotated[str, Meta(max_length=64)]
    day_ends_at: Annotated[int, Meta(ge=0, le=23)]
    made_at_ms: Moment
    collector: PublicKey
    proofs: ProofSource


class DossierDocument(Struct, frozen=True, array_like=True, tag=2):
    """A file by the SHA-256 of its content."""

    sha256: Hash
    content: Annotated[bytes, Meta(max_length=MOST_TABLES_BYTES)]


class DossierIssuers(Struct, frozen=True, array_like=True, tag=7):
    """The file of the issuers' public keys. Without it nothing of phones is proven."""

    content: Annotated[bytes, Meta(max_length=MOST_ISSUERS_BYTES)]


class DossierTerminal(Struct, frozen=True, array_like=True, tag=3):
    """`keys`: any of them may have signed. `stretches` are (first, last) of the day's rows, `words` are
    (row, terminal, row): another row says how the first ended. `open` is an `OpenReason` or empty.
    """

    terminal: TerminalNumber
    keys: Annotated[tuple[PublicKey, ...], Meta(max_length=1_000)]
    open: Annotated[str, Meta(max_length=32)]
    stretches: Annotated[tuple[tuple[FirstRow, RowNumber], ...], Meta(max_length=MOST_PARTS)]
    words: Annotated[tuple[tuple[RowNumber, TerminalNumber, RowNumber], ...], Meta(max_length=MOST_PARTS)]


class DossierBatch(Struct, frozen=True, array_like=True, tag=4):
    """A batch as it was signed: `envelope` is it without its rows.

    `session_keys` of the cards behind its commits of the day that the registry knows, by the row of the commit; empty
    where the row states no counter. `unable`: those of them whose cards cannot prove.
    """

    terminal: TerminalNumber
    envelope: Annotated[bytes, Meta(max_length=MAX_BATCH_BYTES)]
    bodies: Annotated[tuple[Body, ...], Meta(min_length=1, max_length=MAX_BATCH_RECORDS)]
    session_keys: Annotated[dict[RowNumber, SessionKey], Meta(max_length=MAX_BATCH_RECORDS)]
    unable: Annotated[tuple[RowNumber, ...], Meta(max_length=MAX_BATCH_RECORDS)]


class DossierStatement(Struct, frozen=True, array_like=True, tag=5):
    """The file of the collector's statement."""

    content: Annotated[bytes, Meta(max_length=MOST_STATEMENT_BYTES)]


class DossierEnd(Struct, frozen=True, array_like=True, tag=6):
    """The digest of everything before this frame, and the collector's signature over it."""

    digest: Hash
    signature: Signature


Frame: TypeAlias = (
    DossierHeader
    | DossierDocument
    | DossierIssuers
    | DossierTerminal
    | DossierBatch
    | DossierStatement
    | DossierEnd
)
_ORDER: Final[tuple[type[Frame], ...]] = (
    DossierHeader,
    DossierDocument,
    DossierIssuers,
    DossierTerminal,
    DossierBatch,
    DossierStatement,
    DossierEnd,
)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class DossierWriter:
    """Writes frames in their order; `end` signs. May raise `OSError`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self._put(MAGIC)

    def write(self, frame: Frame) -> None:
        content = _encode(frame)
        self._put(len(content).to_bytes(LENGTH_BYTES, "big") + content)

    def end(self, signer: Signer) -> None:
        """Close the dossier: what is appended or changed later does not fit the signature."""
        digest = self._digest.digest()
        self.write(DossierEnd(digest, signer.sign(_DOMAIN + digest)))

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def read_dossier(file: BinaryIO) -> Iterator[Frame]:
    """Every frame of a whole dossier, one at a time. Raises `AuditError` for anything else, at the latest at its end:
    what was read before is to be believed only when the iterator has come to an end by itself.
    """
    reader = _FrameReader(file)
    digest, place, header = reader.digest, 0, None
    while True:
        before = digest.digest()
        frame = reader.frame()
        kind = _ORDER.index(type(frame))
        if kind < place or (header is None) != (kind == 0) or (kind == place and frame_is_single(frame)):
            raise broken("its parts are not in their order")
        place = kind
        if isinstance(frame, DossierHeader):
            if frame.version != DOSSIER_VERSION:
                raise AuditError(
                    f"the dossier has version {frame.version}, this software reads {DOSSIER_VERSION}",
                    "Use the software that wrote it, or a newer one.",
                )
            header = frame
        if isinstance(frame, DossierEnd):
            assert header is not None, "the order was checked"
            _require_end(frame, before, header, reader)
            yield frame
            return
        yield frame


def frame_is_single(frame: Frame) -> bool:
    """Whether a dossier has just one of its kind."""
    return isinstance(frame, DossierIssuers | DossierStatement | DossierEnd)


class _FrameReader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = sha256()
        if self._exactly(len(MAGIC)) != MAGIC:
            raise AuditError(
                "this is no audit dossier", "Give the file that `terminal collector audit --dossier` wrote."
            )

    def frame(self) -> Frame:
        length = int.from_bytes(self._exactly(LENGTH_BYTES), "big")
        if length > MOST_FRAME_BYTES:
            raise broken(f"a part of {length} bytes")
        try:
            frame: Frame = _decode(self._exactly(length))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise broken(str(error)) from error
        return frame

    def at_end(self) -> bool:
        return not self._file.read(1)

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise broken("it ends too early")
        self.digest.update(data)
        return data


def _require_end(end: DossierEnd, digest: bytes, header: DossierHeader, reader: _FrameReader) -> None:
    if end.digest != digest or not reader.at_end():
        raise broken("its content does not fit its digest")
    try:
        Ed25519PublicKey.from_public_bytes(header.collector).verify(end.signature, _DOMAIN + digest)
    except InvalidSignature as error:
        raise broken("its signature does not fit") from error


def broken(what: str) -> AuditError:
    """The error for a file that is damaged or was changed."""
    return AuditError(
        f"the audit dossier is damaged or was changed: {what}", "Ask the collector's operator for it again."
    )
