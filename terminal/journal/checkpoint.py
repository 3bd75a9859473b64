"""Signed checkpoints: the terminal's own word on how far its journal had come, one per batch and one at the end.

A checkpoint states the rows `first` to `last`, what they follow, and the newest row of the journal at that moment,
with the versions of what decisions were made from. The signature of a batch *is* the checkpoint over its rows: the
collector gets it with them, the journal keeps it with the acknowledgement, and nothing is signed twice. The one
at a clean shutdown covers no rows (`last` is `first - 1`): it is the greeting the next start sends.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Annotated, Final, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from cardproto.resident.limits import LARGEST_SEQUENCE, LARGEST_TERMINAL
from terminal.clock import Clock, unix_ms
from terminal.decoding import SMALL_BYTES, decode_msgpack
from terminal.journal.chain import HASH_BYTES, Head

MAX_VERSION_TEXT: Final = 64
_DOMAIN: Final = b"resident-batch-1"
_CONFIRMED: Final = struct.Struct(">I")
_HEADER: Final = struct.Struct(">IIIQI32s32s32s")

TerminalNumber = Annotated[int, Meta(ge=0, le=LARGEST_TERMINAL)]
RowNumber = Annotated[int, Meta(ge=0, le=LARGEST_SEQUENCE)]
"""0 where a row is meant that is not there yet."""
FirstRow = Annotated[int, Meta(ge=1, le=LARGEST_SEQUENCE + 1)]
"""Of a batch; a greeting names the row that would come next."""
Moment = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
VersionText = Annotated[str, Meta(max_length=MAX_VERSION_TEXT)]


class Signer(Protocol):
    """A private Ed25519 key that can be used but need not be readable."""

    def sign(self, data: bytes, /) -> bytes: ...


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """Bytes: a msgpack array; fields are only ever appended."""

    terminal: TerminalNumber
    first: FirstRow
    last: RowNumber
    at_ms: Moment
    head_sequence: RowNumber
    previous_hash: Hash
    last_hash: Hash
    head_hash: Hash
    tariff: VersionText
    deny_list: VersionText
    signature: Signature
    confirmed_through: RowNumber = 0
    """As in a batch; 0 in one that was not sent."""

    @property
    def head(self) -> Head:
        """The newest row when it was signed."""
        return Head(self.head_sequence, self.head_hash)

    @property
    def claims(self) -> dict[int, bytes]:
        """Every hash it states, by row."""
        return {
            self.first - 1: self.previous_hash,
            self.last: self.last_hash,
            self.head_sequence: self.head_hash,
        }


class Notary(Struct, frozen=True):
    """Who signs a journal's checkpoints, by which clock, and the versions decisions are made from."""

    signer: Signer
    clock: Clock
    tariff: str = ""
    deny_list: str = ""


def signed_digest(checkpoint: Checkpoint) -> bytes:
    """What the signature covers. Without the later fields it is what terminals signed before there were any."""
    header = _HEADER.pack(
        checkpoint.terminal,
        checkpoint.first,
        checkpoint.last,
        checkpoint.at_ms,
        checkpoint.head_sequence,
        checkpoint.previous_hash,
        checkpoint.last_hash,
        checkpoint.head_hash,
    )
    versions = (checkpoint.tariff, checkpoint.deny_list)
    later = b""
    if checkpoint.confirmed_through or any(versions):
        later = _CONFIRMED.pack(checkpoint.confirmed_through)
    if any(versions):
        later += msgspec.msgpack.encode(versions)
    return sha256(_DOMAIN + header + later).digest()


def sign_checkpoint(
    notary: Notary, terminal: int, previous: Head, last: Head, head: Head, at_ms: int | None = None
) -> Checkpoint:
    """The notary's word that the rows after `previous` reach `last`, and the journal `head`, now (or at `at_ms`)."""
    unsigned = Checkpoint(
        terminal=terminal,
        first=previous.sequence + 1,
        last=last.sequence,
        at_ms=unix_ms(notary.clock.now()) if at_ms is None else at_ms,
        head_sequence=head.sequence,
        previous_hash=previous.hash,
        last_hash=last.hash,
        head_hash=head.hash,
        tariff=notary.tariff[:MAX_VERSION_TEXT],
        deny_list=notary.deny_list[:MAX_VERSION_TEXT],
        signature=b"",
    )
    return msgspec.structs.replace(unsigned, signature=notary.signer.sign(signed_digest(unsigned)))


def checkpoint_is_genuine(checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool:
    """Whether the terminal with `key` signed this checkpoint."""
    try:
        key.verify(checkpoint.signature, signed_digest(checkpoint))
    except InvalidSignature:
        return False
    return True


def build_checkpoint(checkpoint: Checkpoint) -> bytes:
    return msgspec.msgpack.encode(checkpoint)


def parse_checkpoint(data: bytes) -> Checkpoint:
    """Raises `ValueError` for anything else."""
    return decode_msgpack(data, Checkpoint, SMALL_BYTES)
