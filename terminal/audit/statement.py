"""What the audit of a day says: sums, what differs, and what all of it rests on; its exact bytes, and who signed them.

The file is one JSON object whose keys are sorted and whose numbers are whole: the same day gives the same bytes, but
for `made_at_ms` and the signature over it. Money is in minor units; two currencies are never added up.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from terminal.collector.days import CountState
from terminal.errors import AuditError
from terminal.journal.checkpoint import Signer

STATEMENT_VERSION: Final = 1
MOST_STATEMENT_BYTES: Final = 64 << 20
MOST_LISTED: Final = 10_000
"""So many rows that differ are listed one by one; all are counted."""
_DOMAIN: Final = b"resident-audit-1"

Hex32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Hex64 = Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


class Subject(StrEnum):
    """What a line is about."""

    RIDE = "ride"
    MEAL = "meal"
    CASH = "cash"
    BUFFET = "buffet"
    UNWRITTEN = "unwritten"
    """Taps that wrote no card: refusals, and what needs no write. They have no money."""


class Worth(StrEnum):
    """The first word of what was found of a row: of its proof, or of its decision. For an unproven one a colon and the
    reason follow."""

    PROVEN = "proven"
    RECOMPUTED = "recomputed"
    DIFFERING = "differing"
    UNPROVEN = "unproven"


class AuditTally(Struct, forbid_unknown_fields=True):
    """So many facts, and what they come to."""

    facts: int = 0
    sum_minor: int = 0

    def add(self, facts: int, sum_minor: int) -> None:
        self.facts += facts
        self.sum_minor += sum_minor


class AuditLine(Struct, forbid_unknown_fields=True):
    """The facts of one terminal, currency, kind and state. `right` is what paid for a ride, the category of a meal, or
    the answer to a tap that wrote nothing. The facts of `proof`, and those of `decision`, add up to `facts` each, and
    so does their money. What rows state beyond or short of what their cards say is in no sum but these two.
    """

    terminal: int
    currency: str
    sold: Subject
    right: str
    state: str
    facts: int = 0
    sum_minor: int = 0
    overstated_minor: int = 0
    understated_minor: int = 0
    payers: dict[str, int] = msgspec.field(default_factory=dict)
    proof: dict[str, AuditTally] = msgspec.field(default_factory=dict)
    decision: dict[str, AuditTally] = msgspec.field(default_factory=dict)


class AuditTotal(Struct, forbid_unknown_fields=True):
    """All terminals of one currency: what counts (`CountState.COUNTED`), what it is worth as evidence, and the money of
    the other states.
    """

    currency: str
    facts: int = 0
    sum_minor: int = 0
    overstated_minor: int = 0
    understated_minor: int = 0
    proof: dict[str, AuditTally] = msgspec.field(default_factory=dict)
    decision: dict[str, AuditTally] = msgspec.field(default_factory=dict)
    beside: dict[str, AuditTally] = msgspec.field(default_factory=dict)


class DifferingRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A row that does not follow from its inputs, or does not fit the card's proof. `decision` is what deviates, each
    as (name, recorded, recomputed); `proof` the codes of what does not fit, and their values."""

    terminal: int
    sequence: int
    at_ms: int
    sold: Subject
    currency: str
    sum_minor: int
    proof: tuple[Any, ...] = ()
    decision: tuple[Any, ...] = ()


class AuditedRun(Struct, frozen=True, forbid_unknown_fields=True):
    """Rows `first` to `last`, an unbroken chain from the row with `previous_hash` to the one with `last_hash`.

    The last of their batches was signed at `sent_at_ms` by the key with this SHA-256, with `signature`; it said that
    the terminal's newest row was `head`.
    """

    first: int
    last: int
    rows: int
    batches: int
    previous_hash: Hex32
    last_hash: Hex32
    head: int
    sent_at_ms: int
    key_sha256: Hex32
    signature: Hex64


class OpenReason(StrEnum):
    """Why a terminal may still bring rows of the day."""

    NOTHING_HELD = "nothing_held"
    """It is enrolled and never sent anything."""
    NOT_HEARD_SINCE = "not_heard_since"
    """Its newest batch was sent before the day was over."""
    UNSENT = "unsent"
    """It said that it has rows which have not arrived."""
    NOT_BOOKED = "not_booked"
    """Its rows are held and the collector has not read them all yet."""
    LOST = "lost"
    """Its key was revoked with rows unsent: they come only if it is enrolled again with them."""


class AuditedTerminal(Struct, frozen=True, forbid_unknown_fields=True):
    """One terminal: `stretches` are where the day's rows stand, `runs` what was shown of its journal. `open` says why
    rows of the day may still come; empty where all are here.
    """

    terminal: int
    open: str
    stretches: tuple[tuple[int, int], ...]
    runs: tuple[AuditedRun, ...]


class AuditedDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A region document, or the tables of a feed, that decisions were made with; `here`: it was at hand."""

    sha256: str
    edition: str
    here: bool


class Supplement(Struct, frozen=True, forbid_unknown_fields=True):
    """What came after an earlier audit of the same day, whose statement has this SHA-256: the rows, as (terminal,
    first, last), and by how much counted facts and money changed, by currency. Terminals open then and complete now are
    `closed`.
    """

    after_sha256: Hex32
    rows: tuple[tuple[int, int, int], ...]
    changes: dict[str, AuditTally]
    closed: tuple[int, ...]


class AuditStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """The audit of a service day. `complete`: no enrolled terminal may still bring rows of it."""

    version: int
    day: str
    zone: str
    day_ends_at: int
    complete: bool
    totals: tuple[AuditTotal, ...]
    lines: tuple[AuditLine, ...]
    unreadable: int
    differing: int
    differing_rows: tuple[DifferingRow, ...]
    documents: tuple[AuditedDocument, ...]
    terminals: tuple[AuditedTerminal, ...]
    supplement: Supplement | None = None


class SignedStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """A statement, when it was made, and the signature of the collector with `key` over both."""

    statement: AuditStatement
    made_at_ms: int
    key: Hex32
    signature: Hex64


_encode = msgspec.json.Encoder(order="sorted").encode


def statement_bytes(statement: AuditStatement) -> bytes:
    """Its exact bytes."""
    return _encode(statement)


def sign_statement(statement: AuditStatement, made_at_ms: int, signer: Signer, key: bytes) -> SignedStatement:
    """`statement` with the signature of the collector whose public key is `key`."""
    signature = signer.sign(_digest(statement, made_at_ms))
    return SignedStatement(statement, made_at_ms, key.hex(), signature.hex())


def build_statement(signed: SignedStatement) -> bytes:
    """The exact bytes of the file."""
    return _encode(signed) + b"\n"


def parse_statement(content: bytes) -> SignedStatement:
    """Raises `AuditError` for what is no statement, is not signed by the key it names, or is not written exactly so."""
    try:
        signed = msgspec.json.decode(content, type=SignedStatement)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AuditError(
            f"this is no audit statement: {error}", "Give the file that `terminal collector audit` wrote."
        ) from error
    if not is_genuine(signed) or build_statement(signed) != content:
        raise AuditError(
            "the audit statement was changed: its signature does not fit",
            "Ask the collector's operator for it again.",
        )
    return signed


def is_genuine(signed: SignedStatement) -> bool:
    """Whether the key it names signed it."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.key))
    try:
        key.verify(bytes.fromhex(signed.signature), _digest(signed.statement, signed.made_at_ms))
    except InvalidSignature:
        return False
    return True


def _digest(statement: AuditStatement, made_at_ms: int) -> bytes:
    return sha256(_DOMAIN + made_at_ms.to_bytes(8, "big", signed=True) + statement_bytes(statement)).digest()


def totals_of_lines(lines: tuple[AuditLine, ...]) -> tuple[AuditTotal, ...]:
    """All terminals together, by currency; facts without money are in no total."""
    totals: dict[str, AuditTotal] = {}
    for line in lines:
        if line.sold is Subject.UNWRITTEN:
            continue
        total = totals.setdefault(line.currency, AuditTotal(line.currency))
        if line.state != CountState.COUNTED:
            total.beside.setdefault(line.state, AuditTally()).add(line.facts, line.sum_minor)
            continue
        total.facts += line.facts
        total.sum_minor += line.sum_minor
        total.overstated_minor += line.overstated_minor
        total.understated_minor += line.understated_minor
        for mine, theirs in ((total.proof, line.proof), (total.decision, line.decision)):
            for name, tally in theirs.items():
                mine.setdefault(name, AuditTally()).add(tally.facts, tally.sum_minor)
    return tuple(totals[currency] for currency in sorted(totals))


def supplement_to(earlier: SignedStatement, now: AuditStatement) -> Supplement:
    """What is in `now` and was not yet in an earlier audit of the same day; raises `AuditError` for another day's."""
    before = earlier.statement
    if (before.day, before.zone, before.day_ends_at) != (now.day, now.zone, now.day_ends_at):
        raise AuditError(
            f"the earlier statement is about {before.day}, this audit about {now.day}",
            "Give that of the same day.",
        )
    was = {one.terminal: one for one in before.terminals}
    rows = [
        (one.terminal, *part)
        for one in now.terminals
        for part in _added(one.stretches, was[one.terminal].stretches if one.terminal in was else ())
    ]
    changes: dict[str, AuditTally] = {}
    for sign, statement in ((1, now), (-1, before)):
        for total in statement.totals:
            changes.setdefault(total.currency, AuditTally()).add(sign * total.facts, sign * total.sum_minor)
    now_open = {one.terminal for one in now.terminals if one.open}
    closed = tuple(
        sorted(one.terminal for one in before.terminals if one.open and one.terminal not in now_open)
    )
    digest = sha256(statement_bytes(before)).hexdigest()
    return Supplement(digest, tuple(rows), {name: changes[name] for name in sorted(changes)}, closed)


def _added(now: tuple[tuple[int, int], ...], before: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """What of the stretches `now` was in none of those `before`; a stretch only ever grows at its end."""
    ends = dict(before)
    return [(max(first, ends.get(first, 0) + 1), last) for first, last in now if last > ends.get(first, 0)]
