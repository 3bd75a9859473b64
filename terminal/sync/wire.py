"""What travels between a terminal and the collector, and what each signature covers.

    POST /v1/batches   msgpack `Batch`   → 200 msgpack `Ack`, or 4xx JSON `Refusal`

A batch carries consecutive row bodies only; their hashes follow from `previous_hash`, so the signature over
the last hash covers every body and its place. That signature is the terminal's checkpoint over these rows
(`terminal.journal.checkpoint`). An empty batch is a greeting: it states the terminal's head and asks for an
acknowledgement; the checkpoint of a clean shutdown is one. Arrays, version first, fields only ever appended (as
in `terminal.journal.records`).

A collector that cannot take more just now answers 429 or 503 with `RefusalCode.BUSY` or `RefusalCode.UNAVAILABLE` and
may say `Retry-After: SECONDS`; the terminal keeps its rows and comes back then.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from functools import reduce
from typing import Annotated, Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from terminal.bank_record import MAX_SEALED_BYTES
from terminal.decoding import decode_msgpack
from terminal.journal.chain import Head, link
from terminal.journal.checkpoint import (
    Checkpoint,
    FirstRow,
    Hash,
    Moment,
    RowNumber,
    Signature,
    Signer,
    TerminalNumber,
    VersionText,
    checkpoint_is_genuine,
    signed_digest,
)

WIRE_VERSION: Final = 1
BATCHES_PATH: Final = "/v1/batches"
BATCH_TYPE: Final = "application/msgpack"
MAX_BATCH_RECORDS: Final = 200
MAX_BODY_BYTES: Final = 4_096
MAX_BATCH_BYTES: Final = 1 << 20

MOST_WITHDRAWN: Final = 16
EditionText = Annotated[str, Meta(min_length=1, max_length=128)]
Body = Annotated[bytes, Meta(min_length=1, max_length=MAX_BODY_BYTES)]
SealedPart = tuple[FirstRow, Annotated[bytes, Meta(min_length=1, max_length=MAX_SEALED_BYTES)]]

_ACK_DOMAIN: Final = b"resident-ack-1"
_ACK_FIELDS: Final = struct.Struct(">IIQ32s")


Message = TypeVar("Message", "Batch", "Ack")


class Malformed(ValueError):
    """The bytes are no message of this protocol version."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Rows `first` to `last` of one terminal, after that with `previous_hash`; `head_*` is its newest row."""

    version: int
    terminal: TerminalNumber
    first: FirstRow
    previous_hash: Hash
    bodies: tuple[Body, ...]
    head_sequence: RowNumber
    head_hash: Hash
    sent_at_ms: Moment
    signature: Signature
    confirmed_through: RowNumber = 0
    """The highest row that an acknowledgement has named to the sending program since it started. Above the head it
    is a confession: this journal is shorter than what was once sent from it."""
    tariff: VersionText = ""
    deny_list: VersionText = ""
    """The versions decisions were made from, as the checkpoint states them."""
    sealed: Annotated[tuple[SealedPart, ...], Meta(max_length=MAX_BATCH_RECORDS)] = ()
    """What rows of this batch sealed to the back office (`terminal.bank_record`), each with its row's number. Not
    signed: the row states the hash. It can be taken out on the way, so the acknowledgement names what came."""

    @property
    def last(self) -> int:
        """The sequence of the last row; `first - 1` in a greeting."""
        return self.first + len(self.bodies) - 1

    @property
    def previous(self) -> Head:
        return Head(self.first - 1, self.previous_hash)

    @property
    def head(self) -> Head:
        return Head(self.head_sequence, self.head_hash)

    def checkpoint(self, last_hash: bytes) -> Checkpoint:
        """The checkpoint its signature is; `last_hash` is that of the last row (of the one before, in a greeting)."""
        return Checkpoint(
            terminal=self.terminal,
            first=self.first,
            last=self.last,
            at_ms=self.sent_at_ms,
            head_sequence=self.head_sequence,
            previous_hash=self.previous_hash,
            last_hash=last_hash,
            head_hash=self.head_hash,
            tariff=self.tariff,
            deny_list=self.deny_list,
            signature=self.signature,
            confirmed_through=self.confirmed_through,
        )


class Ack(msgspec.Struct, frozen=True, array_like=True):
    """The collector durably holds every row of `terminal` up to `through`, whose hash is `head_hash`.

    `withdrawn`: region documents ("demo:2") that terminals which have them on trial give up (O-12). Each
    acknowledgement says them, so that one that is lost costs nothing. `sealed`: the rows of the batch whose sealed
    records came with it and are held as durably. The signature covers both.
    """

    version: int
    terminal: TerminalNumber
    through: RowNumber
    head_hash: Hash
    at_ms: Moment
    signature: Signature
    withdrawn: Annotated[tuple[EditionText, ...], Meta(max_length=MOST_WITHDRAWN)] = ()
    sealed: Annotated[tuple[FirstRow, ...], Meta(max_length=MAX_BATCH_RECORDS)] = ()


class RefusalCode(StrEnum):
    """Why the collector took nothing."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNKNOWN_TERMINAL = "unknown_terminal"
    BAD_SIGNATURE = "bad_signature"
    GAP = "gap"
    OTHER_HASH = "other_hash"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    CODE_REFUSED = "code_refused"
    """There is no such code for this terminal."""
    CODE_EXPIRED = "code_expired"
    CODE_SPENT = "code_spent"
    """The code is right and has enrolled other keys already."""
    KEYS_UNPROVEN = "keys_unproven"
    """The sender does not show that it has the keys it sends."""
    KEYS_OUTDATED = "keys_outdated"
    """The keys that approve a renewal are not in force."""
    RENEWAL_TOO_LATE = "renewal_too_late"


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a refusal. `wants` is the row the collector lacks next; it is a hint and not signed."""

    error: str
    advice: str
    wants: FirstRow | None = None


def row_hashes(batch: Batch) -> list[bytes]:
    """The hash of each row in the batch, in order."""
    hashes: list[bytes] = []
    previous = batch.previous_hash
    for body in batch.bodies:
        previous = link(previous, body)
        hashes.append(previous)
    return hashes


def build_batch(
    terminal: int,
    previous: Head,
    bodies: tuple[bytes, ...],
    head: Head,
    sent_at_ms: int,
    signer: Signer,
    *,
    confirmed_through: int = 0,
    tariff: str = "",
    deny_list: str = "",
    sealed: tuple[tuple[int, bytes], ...] = (),
) -> Batch:
    """The signed batch of the rows with `bodies` that follow `previous`, and what they `sealed`."""
    unsigned = Batch(
        version=WIRE_VERSION,
        terminal=terminal,
        first=previous.sequence + 1,
        previous_hash=previous.hash,
        bodies=bodies,
        head_sequence=head.sequence,
        head_hash=head.hash,
        sent_at_ms=sent_at_ms,
        signature=b"",
        confirmed_through=confirmed_through,
        tariff=tariff,
        deny_list=deny_list,
        sealed=sealed,
    )
    last_hash = reduce(link, bodies, previous.hash)
    return msgspec.structs.replace(
        unsigned, signature=signer.sign(signed_digest(unsigned.checkpoint(last_hash)))
    )


def greeting_of(checkpoint: Checkpoint) -> Batch:
    """A checkpoint that covers no rows, as the greeting it is."""
    return Batch(
        version=WIRE_VERSION,
        terminal=checkpoint.terminal,
        first=checkpoint.first,
        previous_hash=checkpoint.previous_hash,
        bodies=(),
        head_sequence=checkpoint.head_sequence,
        head_hash=checkpoint.head_hash,
        sent_at_ms=checkpoint.at_ms,
        signature=checkpoint.signature,
        confirmed_through=checkpoint.confirmed_through,
        tariff=checkpoint.tariff,
        deny_list=checkpoint.deny_list,
    )


def batch_is_genuine(batch: Batch, last_hash: bytes, key: Ed25519PublicKey) -> bool:
    """Whether the terminal with `key` signed this batch; `last_hash` is computed from the bodies received."""
    return checkpoint_is_genuine(batch.checkpoint(last_hash), key)


def build_ack(
    terminal: int,
    head: Head,
    at_ms: int,
    signer: Signer,
    withdrawn: tuple[str, ...] = (),
    sealed: tuple[int, ...] = (),
) -> Ack:
    """The signed acknowledgement of everything up to `head`, and of what the rows `sealed`."""
    unsigned = Ack(WIRE_VERSION, terminal, head.sequence, head.hash, at_ms, b"", withdrawn, sealed)
    return msgspec.structs.replace(unsigned, signature=signer.sign(_ack_bytes(unsigned)))


def ack_is_genuine(ack: Ack, key: Ed25519PublicKey) -> bool:
    """Whether the collector with `key` signed this acknowledgement."""
    try:
        key.verify(ack.signature, _ack_bytes(ack))
    except InvalidSignature:
        return False
    return True


def encode(message: Batch | Ack) -> bytes:
    return msgspec.msgpack.encode(message)


def parse_batch(data: bytes) -> Batch:
    """Raises `Malformed`."""
    batch = _parse(data, Batch)
    if batch.last > batch.head_sequence:
        raise Malformed(f"rows up to {batch.last}, but a head at {batch.head_sequence}")
    return batch


def parse_ack(data: bytes) -> Ack:
    """Raises `Malformed`."""
    return _parse(data, Ack)


def _parse(data: bytes, kind: type[Message]) -> Message:
    try:
        message = decode_msgpack(data, kind, MAX_BATCH_BYTES)
    except msgspec.DecodeError as error:
        raise Malformed(str(error)) from error
    if message.version != WIRE_VERSION:
        raise Malformed(f"wire version {message.version}, this side speaks {WIRE_VERSION}")
    return message


def _ack_bytes(ack: Ack) -> bytes:
    """Behind fields of one length each: what is withdrawn and then what is held sealed, as on the wire; nothing where
    neither is.
    """
    more = (ack.withdrawn, ack.sealed) if ack.sealed else ack.withdrawn
    fields = _ACK_FIELDS.pack(ack.terminal, ack.through, ack.at_ms, ack.head_hash)
    return _ACK_DOMAIN + fields + (msgspec.msgpack.encode(more) if more else b"")
