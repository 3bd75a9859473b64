"""A recorded tap decided again: from what was read from the card, what the terminal knew, and the document.

The record holds the raw rights and the raw previous event (they are part of the card's own proof), so nothing has
to be believed: the same `decide` must come to the same event, byte for byte, and to the same charge and trail.

The card's UID is in no record; no rule looks at it. A deny list is not needed either: a card on it is not
written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cardproto.errors import FormatError
from cardproto.resident.layout import FILE_EVENTS, FILE_RIGHTS
from cardproto.resident.records.event import build_event, parse_event
from cardproto.resident.records.rights import parse_rights
from cardproto.resident.snapshot import CardSnapshot
from terminal.decision.bus.cash import decide_cash
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.decision.trail import compact
from terminal.policy.grants import NO_GRANTS
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip
from terminal.trip.pupil import Pupil
from terminal.trip.stated import PUPIL, Fact, UnknownFact, restore

INS_READ_DATA: Final = 0xAD
INS_READ_RECORDS: Final = 0xAB
LISTED: Final = "O-02:the terminal's list is newer than the card"
"""How the trail of a ride says that the grants were not the card's."""
NO_UID: Final = bytes(7)

Command = tuple[int, bytes, bytes]
"""INS, header and plain data of one command of the card's transaction."""


@dataclass(frozen=True, slots=True)
class RecordedTap:
    """What a record holds of one tap. `trip` has what the row states in fields of its own, `known`
    what else the terminal knew.
    """

    at: datetime
    trip: Trip
    known: Mapping[str, Fact]
    proof: tuple[Command, ...]
    event: bytes
    charge_minor: int
    message: str
    reasons: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing the record says and its own inputs do not lead to."""

    what: str
    recorded: object
    recomputed: object


@dataclass(frozen=True, slots=True)
class RecordedCash:
    """What a record holds of one cash sale."""

    at: datetime
    trip: Trip
    known: Mapping[str, Fact]
    persons: int
    sum_minor: int
    reasons: tuple[str, ...]
    flags: tuple[str, ...]


class CannotRecompute(Exception):
    """The record does not hold all a decision needs; the text says what is missing."""


def recompute(tap: RecordedTap, policy: Policy, pupil: Pupil | None = None) -> list[Deviation]:
    """Decide `tap` again under `policy`; return where the record deviates, nothing when it follows.

    `pupil` is what the roster said, where one was asked. Raises `CannotRecompute`.
    """
    if PUPIL in tap.known and pupil is None:
        raise CannotRecompute("decided with a school roster that is not at hand")
    if LISTED in tap.reasons and policy.grants is NO_GRANTS:
        raise CannotRecompute("decided with the terminal's own list of grants, which is not at hand")
    decision = decide(snapshot_of(tap.proof), policy, _trip(tap, pupil), tap.at)
    return list(_deviations(tap, decision))


def recompute_cash(sale: RecordedCash, policy: Policy) -> list[Deviation]:
    """Price `sale` again under `policy`; return where the record deviates."""
    decision = decide_cash(policy, _trip(sale), sale.persons, sale.at)
    pairs = (
        ("sum_minor", sale.sum_minor, decision.sum_minor),
        ("reasons", sale.reasons, compact(decision.facts)),
        ("flags", sale.flags, decision.flags),
    )
    return [Deviation(*pair) for pair in pairs if pair[1] != pair[2]]


def _trip(record: RecordedTap | RecordedCash, pupil: Pupil | None = None) -> Trip:
    try:
        return restore(record.trip, record.known, pupil)
    except UnknownFact as error:
        raise CannotRecompute(f"what the terminal knew is not understood: {error}") from error


def snapshot_of(proof: tuple[Command, ...]) -> CardSnapshot:
    """The card as it was read, from the transaction's first commands; raises `CannotRecompute`."""
    try:
        rights = parse_rights(_read(proof, INS_READ_DATA, FILE_RIGHTS, "rights"))
        return CardSnapshot(NO_UID, rights, parse_event(_read(proof, INS_READ_RECORDS, FILE_EVENTS, "event")))
    except FormatError as error:
        raise CannotRecompute(f"what was read from the card is not understood: {error}") from error


def _read(proof: tuple[Command, ...], ins: int, file_no: int, what: str) -> bytes:
    for command, header, data in proof:
        if command == ins and header[:1] == bytes((file_no,)):
            return data
    raise CannotRecompute(f"the {what} read from the card is not in the record")


def _deviations(tap: RecordedTap, decision: Decision) -> Iterator[Deviation]:
    plan, outcome = decision.write_plan, decision.outcome
    event = b"" if plan is None else build_event(plan.event)
    for what, recorded, recomputed in (
        ("event", tap.event.hex(), event.hex()),
        ("charge_minor", tap.charge_minor, outcome.charge_minor),
        ("message", tap.message, str(outcome.message)),
        ("reasons", tap.reasons, compact(decision.facts)),
        ("flags", tap.flags, decision.flags),
    ):
        if recorded != recomputed:
            yield Deviation(what, recorded, recomputed)
