"""What a journal row says: one small struct per kind of fact, and its exact bytes.

Bytes: one version byte, then a msgpack array `[kind, field, field, …]`. Fields are only ever appended, each
new one with a default, so that old rows stay readable; the version byte changes only when that is impossible.

No row carries a name, a card number, a UID or a key (docs/rules.md#d-02). `card_ref` is a keyed token of the card
itself, `person_ref` one of its holder, only where a row is about a person (ADR 28). Money is in minor units of
`currency`, a code of ISO 4217 that every row with sums names, its trail included: kopecks, cents, whole yen. Times are
milliseconds since 1970 UTC. Order is given by the sequence, never by `at_ms`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, TypeAlias

import msgspec

from terminal.codes import Admission, TicketKind
from terminal.journal.canteen_records import CanteenRecord, MealLine
from terminal.journal.console_records import ConsoleRecord
from terminal.journal.operation_records import OperationRecord
from terminal.journal.record_base import Record
from terminal.trail import TrailEntry

RECORD_VERSION: Final = 1
_VERSION_BYTE: Final = bytes([RECORD_VERSION])


class UnreadableRecord(ValueError):
    """The bytes are no record this software knows."""


class Started(Record, frozen=True, array_like=True, tag=1):
    """The terminal opened this journal. `software` is the distribution's name."""

    software: str
    version: str = ""


class ShiftOpened(Record, frozen=True, array_like=True, tag=2):
    """Taps may be taken (T-60). `operator_ref` is a staff number, never a name.

    `action` here and elsewhere: the form of the operator's console this row is the answer to, empty for none.
    """

    shift: int
    operator_ref: str
    profile: str
    route: int = 0
    direction: int = 0
    action: str = ""


class ShiftClosed(Record, frozen=True, array_like=True, tag=3):
    """No more taps. `totals` is what the operator was shown, by name."""

    shift: int
    totals: dict[str, int]
    action: str = ""
    currency: str = ""


class Intent(Record, frozen=True, array_like=True, tag=4):
    """The card is about to change: everything the commit will mean, durable *before* it can happen.

    `event` is the 32-byte record the card will hold; it carries this terminal and this row's sequence.
    `prev_terminal` and `prev_sequence` are those of the event found on the card: the link by which anybody
    who sees the card next can tell whether this intent came true. `reasons` is the trail of the decision:
    codes of effects and what they looked at, no category codes. `proof` lists the transaction's data commands in
    order as (INS, header, plain data), so that the collector can recompute the card's TMV (datasheet 10.3).
    `values` fill the message when it is shown at the next presentation. `meal` is the portion, in a
    canteen. `trip` is what else the terminal knew, by name (`terminal.trip.stated`): with `proof` and the region
    document named by `tariff` the decision can be made again, to the same bytes. `flags` mark the row for
    those who read it later; `lists` are the lists of the terminal that spoke of the card, with their versions.
    `key_version` is that of the card's keys. `person_ref` is None on a bus, and of a medium that knows no person.
    """

    card_ref: bytes
    profile: str
    shift: int
    turn: int
    route: int
    direction: int
    message: str
    charge_minor: int
    balance_before_minor: int
    balance_after_minor: int
    paid_by: int
    tariff: str
    reasons: tuple[TrailEntry, ...]
    prev_terminal: int
    prev_sequence: int
    event: bytes
    proof: tuple[tuple[int, bytes, bytes], ...]
    values: dict[str, int | str]
    meal: MealLine | None = None
    trip: dict[str, bool | int | str] = msgspec.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    lists: dict[str, str] = msgspec.field(default_factory=dict)
    key_version: int = 0
    person_ref: bytes | None = None
    currency: str = ""


class SettledBy(StrEnum):
    """What settled how an intent ended."""

    ANSWERED = "answered"
    """The card answered the commit."""
    RECOVERED = "recovered"
    """The card held or lacked the event when it came back."""


class UnresolvedCause(StrEnum):
    """Why a commit got no verified answer."""

    CARD_GONE = "card_gone"
    READER_GONE = "reader_gone"
    READER_TAKEN = "reader_taken"
    SERVICE_GONE = "service_gone"
    TIMEOUT = "timeout"
    TRANSMISSION = "transmission"
    STATUS = "status"
    INTEGRITY = "integrity"
    LIMIT = "limit"
    PROTOCOL = "protocol"
    CONTENT = "content"
    OTHER = "other"


class Committed(Record, frozen=True, array_like=True, tag=5):
    """The card holds what the intent in row `intent` said.

    `tmc` is None and `tmv` empty when the card's transaction MAC of that commit is not known.
    """

    intent: int
    tmc: int | None
    tmv: bytes
    how: SettledBy


class NotCommitted(Record, frozen=True, array_like=True, tag=6):
    """The card does not hold what the intent in row `intent` said: nothing was charged."""

    intent: int
    how: SettledBy


class Unresolved(Record, frozen=True, array_like=True, tag=7):
    """The commit of intent `intent` got no verified answer: unknown, not failed. The intent stays open."""

    intent: int
    cause: UnresolvedCause


class Unwritten(Record, frozen=True, array_like=True, tag=8):
    """A tap that wrote nothing: every refusal, and what needs no write, e.g. already paid; `admission` says which.

    `card_ref` is None when no resident card could be read; then `prev_*` are 0. `read` is what a decision was made
    from, as it was read: of a resident card the rights and the newest event. It is empty when the tap ended before
    a decision. With `trip`, as in an intent, the decision can be made again. `lists` as in an intent. An inspection
    belongs to no shift (0); `route` and `direction` are then those of the vehicle inspected. `person_ref` as in an
    intent.
    """

    card_ref: bytes | None
    profile: str
    shift: int
    message: str
    admission: Admission
    tariff: str
    reasons: tuple[TrailEntry, ...]
    prev_terminal: int
    prev_sequence: int
    flags: tuple[str, ...] = ()
    turn: int = 0
    route: int = 0
    direction: int = 0
    read: tuple[bytes, ...] = ()
    trip: dict[str, bool | int | str] = msgspec.field(default_factory=dict)
    lists: dict[str, str] = msgspec.field(default_factory=dict)
    person_ref: bytes | None = None
    currency: str = ""


class Fault(Record, frozen=True, array_like=True, tag=9):
    """Something other than a card went wrong, or works again. `code` is one of `terminal.codes.FaultCode`."""

    code: str
    inputs: dict[str, int | str] = msgspec.field(default_factory=dict)


class CashSale(Record, frozen=True, array_like=True, tag=10):
    """Rides sold for cash on the driver's terminal; the row's number is the ticket's (T-53).

    `trip` as in an intent: what the terminal knew of the ride, for the fare to be found again. Of luggage,
    `persons` counts the pieces (T-55).
    """

    shift: int
    turn: int
    route: int
    direction: int
    persons: int
    sum_minor: int
    tariff: str
    reasons: tuple[TrailEntry, ...] = ()
    trip: dict[str, bool | int | str] = msgspec.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    action: str = ""
    currency: str = ""
    ticket: TicketKind = TicketKind.FULL


AnyRecord: TypeAlias = (
    Started
    | ShiftOpened
    | ShiftClosed
    | Intent
    | Committed
    | NotCommitted
    | Unresolved
    | Unwritten
    | Fault
    | CashSale
    | CanteenRecord
    | OperationRecord
    | ConsoleRecord
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyRecord).decode


def build_record(record: AnyRecord) -> bytes:
    """Return the row body of `record`."""
    return _VERSION_BYTE + _encode(record)


def parse_record(body: bytes) -> AnyRecord:
    """Return the record in a row body; raises `UnreadableRecord` for another version, an unknown kind or
    wrong types.

    Fields appended by newer software are passed over.
    """
    if body[:1] != _VERSION_BYTE:
        raise UnreadableRecord(
            f"record version {body[0] if body else 'missing'}, this software reads {RECORD_VERSION}"
        )
    try:
        record: AnyRecord = _decode(memoryview(body)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # ValidationError is one
        raise UnreadableRecord(str(error)) from error
    return record


def shown_fields(record: AnyRecord) -> dict[str, Any]:
    """A record's fields for people: bytes in hexadecimal. What was read from a card names its holder, so `proof` and
    `read` are only counted.
    """
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    if "proof" in fields:
        fields["proof"] = f"{len(fields['proof'])} card commands"
    if fields.get("read"):
        fields["read"] = f"{sum(map(len, fields['read']))} bytes"
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
