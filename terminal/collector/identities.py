"""What the collector knows of a terminal's identity: the keys in force, those that wait, and all that ever were.

A terminal that enrols gets its keys put in force at once: what it had before ends. One that renews has both for a
while: the new keys wait until the first batch signed with them arrives, and only then do the old ones end, because an
answer may be lost and a terminal go on with what it has. Keys that have ended stay on record: rows signed with them can
be verified for ever. This module computes records from records; who keeps them is `terminal.collector.enrolment`.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from terminal.sync.enrolment import Hex32

RENEWABLE_MS: Final = 90 * 24 * 3600 * 1000
"""How long after the end of its certificate a terminal may still renew it without a new code."""
MOST_FORMER: Final = 1_000
RECORD_VERSION: Final = 1
"""Of the file of a terminal's record."""

HexOrNone = Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")]


class TerminalKeySet(Struct, frozen=True, forbid_unknown_fields=True):
    """The public keys of a terminal from one enrolment or renewal to the next. Keys are hex.

    `certificate` is PEM and `until_ms` its end; both are empty for a key that was carried here by hand. `ended_ms` is 0
    while it is in force or waits.
    """

    signing: Hex32
    from_ms: int
    sealing: HexOrNone = ""
    tls: str = ""
    certificate: str = ""
    until_ms: int = 0
    ended_ms: int = 0

    @property
    def key(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.signing))

    def is_same(self, other: TerminalKeySet) -> bool:
        """Whether these are the very keys, whatever was made of them."""
        return (self.signing, self.sealing, self.tls) == (other.signing, other.sealing, other.tls)


class TerminalRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One terminal. `revoked_ms` is 0 unless it was revoked last."""

    in_force: TerminalKeySet | None = None
    waiting: TerminalKeySet | None = None
    former: tuple[TerminalKeySet, ...] = ()
    revoked_ms: int = 0
    version: Annotated[int, Meta(ge=1, le=RECORD_VERSION)] = RECORD_VERSION

    @property
    def live(self) -> tuple[TerminalKeySet, ...]:
        """What batches may be signed with: in force first."""
        return tuple(keys for keys in (self.in_force, self.waiting) if keys is not None)

    @property
    def ever(self) -> tuple[TerminalKeySet, ...]:
        """Every set there was, the oldest first: what was signed with any of them can be verified."""
        return (*self.former, *self.live)


def enrolled(record: TerminalRecord, keys: TerminalKeySet) -> TerminalRecord:
    """With `keys` in force and nothing else."""
    return TerminalRecord(in_force=keys, former=_ended(record, keys.from_ms))


def renewed(record: TerminalRecord, keys: TerminalKeySet) -> TerminalRecord:
    """With `keys` waiting for their first use."""
    return msgspec.structs.replace(record, waiting=keys)


def used(record: TerminalRecord, signing: str, at_ms: int) -> TerminalRecord:
    """After a batch signed with the key `signing` (hex) arrived: keys that waited are in force, those before ended."""
    waiting = record.waiting
    if waiting is None or waiting.signing != signing:
        return record
    before = msgspec.structs.replace(record, waiting=None)
    return TerminalRecord(in_force=waiting, former=_ended(before, at_ms))


def revoked(record: TerminalRecord, at_ms: int) -> TerminalRecord:
    """With no keys that batches may be signed with."""
    return TerminalRecord(former=_ended(record, at_ms), revoked_ms=at_ms)


def _ended(record: TerminalRecord, at_ms: int) -> tuple[TerminalKeySet, ...]:
    ended = tuple(msgspec.structs.replace(keys, ended_ms=at_ms) for keys in record.live)
    return (*record.former, *ended)[-MOST_FORMER:]
