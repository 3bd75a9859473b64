"""Rights and events as `docs/card-layout.md` states them: the layouts, and parsers made from them.

No terminal loads this: `rights` and `event` hold the parsers that taps use. These are slow, and the yardstick by which
those are tested.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from construct import (
    Array,
    BitsInteger,
    Bitwise,
    Bytes,
    Const,
    ConstructError,
    Int8ub,
    Int16ub,
    Terminated,
)
from construct import Struct as Layout

from cardproto.errors import FormatError
from cardproto.resident.records import event, rights
from cardproto.resident.records.event import EVENT_VERSION, FIRST_AT, NO_JOURNEY, Event, codes_of
from cardproto.resident.records.rights import (
    CONCESSION_SLOTS,
    CONTRACT_SLOTS,
    FLAG_BLOCKED,
    FLAG_INACTIVE,
    KNOWN_FLAGS,
    RIGHTS_VERSION,
    Rights,
    concession_in,
    contract_in,
    day_of,
)

CONCESSION_SCHEMA: Final[Any] = Layout(
    "code" / Int8ub * "category in the region document; 0: empty slot, all zero",
    "parameter" / Int8ub * "what the region document makes of it",
    "valid_from" / Int16ub * "first day",
    "valid_to" / Int16ub * "last day",
)
CONTRACT_SCHEMA: Final[Any] = Layout(
    "product" / Int16ub * "pass or pack in the region document; 0: empty slot, all zero",
    "valid_from" / Int16ub * "first day",
    "valid_to" / Int16ub * "last day",
    "trips" / Int8ub * "trips bought; 0: a pass",
    "reserved" / Const(b"\0") * "zero",
)
RIGHTS_SCHEMA: Final[Any] = Layout(
    "version" / Int8ub * "format version, 1",
    "flags" / Int8ub * "01 blocked, 02 inactive; the others are reserved, zero",
    "region" / Int16ub * "region id, as in key diversification",
    "pseudonym" / Bytes(8) * "the resident's, meaningless outside the region",
    "valid_from" / Int16ub * "first day of the card",
    "valid_to" / Int16ub * "last day of the card",
    "issued_on" / Int16ub * "day of issue",
    "revision" / Int16ub * "counts every rewriting of this file",
    "concessions" / Array(CONCESSION_SLOTS, CONCESSION_SCHEMA) * "concessions A, B, C",
    "contracts" / Array(CONTRACT_SLOTS, CONTRACT_SCHEMA) * "contracts A, B",
    "credential_digest"
    / Bytes(8)
    * "first 8 bytes of SHA-256 over the credential, without the zeros behind it; zero: there is none",
    "reserved" / Const(bytes(2)) * "zero",
)
"""File 01; days are counted from 2000-01-01. `parse_rights` is its fast twin."""

EXACT_RIGHTS: Final[Any] = Layout("rights" / RIGHTS_SCHEMA, Terminated)

EVENT_SCHEMA: Final[Any] = Bitwise(
    Layout(
        "version" / BitsInteger(4) * "record version, 2",
        "kind" / BitsInteger(4) * "kind of event, see below",
        "at" / BitsInteger(30) * "UTC, seconds since 2024-01-01 00:00",
        "period_ahead"
        / BitsInteger(6, signed=True)
        * "signed: days from the service day of `at` to the card's period day; -32 and 31: that far or further",
        "terminal" / BitsInteger(20) * "terminal or service point that wrote it",
        "sequence" / BitsInteger(28) * "its journal number there",
        "balance_after_minor" / BitsInteger(21) * "purse after the event, minor units",
        "amount_minor"
        / BitsInteger(21)
        * "charged or credited, minor units; the fare where an order is carried out with it",
        "direction" / BitsInteger(1) * "direction of the trip: 0 out, 1 back",
        "route" / BitsInteger(15) * "route, 0 where there is none",
        "inside" / BitsInteger(3) * "persons checked in, companions included; 0: none",
        "journey_age_s"
        / BitsInteger(17)
        * "seconds since the open journey's first tap; all ones: none is open",
        "transfers" / BitsInteger(4) * "transfers used in the open journey; 15: that many or more",
        "paid_by" / BitsInteger(4) * "what covered it, see below",
        "counter_layout" / BitsInteger(4) * "which split of the region document the counters follow",
        "last_order"
        / BitsInteger(10)
        * "number of the newest card order carried out, modulo 1024; 0 at issue",
        "meals"
        / BitsInteger(8)
        * "meals of the period day, of kind meal those of the service day of `at`, a bit each",
        "counters" / BitsInteger(56) * "counters of the open periods",
    )
)
"""File 02, most significant bit first; `parse_event` and `build_event` are its fast twins."""

EXACT_EVENT: Final[Any] = Layout("event" / EVENT_SCHEMA, Terminated)


def parse_rights_with_schema(data: bytes) -> Rights:
    """As `parse_rights`."""
    try:
        raw = EXACT_RIGHTS.parse(data).rights
    except ConstructError as error:
        raise FormatError(rights.WHERE, str(error)) from error
    if raw.version != RIGHTS_VERSION or raw.flags & ~KNOWN_FLAGS:
        raise FormatError(rights.WHERE, f"unknown format version {raw.version} or flags {raw.flags:02X}", 0)
    return Rights(
        region=raw.region,
        pseudonym=raw.pseudonym,
        valid_from=day_of(raw.valid_from),
        valid_to=day_of(raw.valid_to),
        issued_on=day_of(raw.issued_on),
        revision=raw.revision,
        blocked=bool(raw.flags & FLAG_BLOCKED),
        inactive=bool(raw.flags & FLAG_INACTIVE),
        concessions=tuple(
            concession_in(c.code, c.parameter, c.valid_from, c.valid_to) for c in raw.concessions
        ),
        contracts=tuple(contract_in(c.product, c.valid_from, c.valid_to, c.trips, 0) for c in raw.contracts),
        credential_digest=raw.credential_digest,
    )


def parse_event_with_schema(data: bytes) -> Event:
    """As `parse_event`."""
    try:
        raw = EXACT_EVENT.parse(data).event
    except ConstructError as error:
        raise FormatError(event.WHERE, str(error)) from error
    if raw.version != EVENT_VERSION:
        raise FormatError(
            event.WHERE, f"record of layout {raw.version}, not {EVENT_VERSION}: issue the card anew", 0
        )
    kind, paid_by = codes_of(raw.kind, raw.paid_by)
    return Event(
        kind=kind,
        at=FIRST_AT + timedelta(seconds=raw.at),
        terminal=raw.terminal,
        sequence=raw.sequence,
        balance_after_minor=raw.balance_after_minor,
        amount_minor=raw.amount_minor,
        route=raw.route,
        direction=raw.direction,
        journey_age_s=None if raw.journey_age_s == NO_JOURNEY else raw.journey_age_s,
        transfers=raw.transfers,
        paid_by=paid_by,
        counter_layout=raw.counter_layout,
        meals=raw.meals,
        counters=raw.counters,
        period_ahead=raw.period_ahead,
        inside=raw.inside,
        last_order=raw.last_order,
    )
