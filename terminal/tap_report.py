"""What one tap leaves behind: the rows of the journal, and a report for displays, logs and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from math import ceil
from typing import Any, Final

from msgspec import Struct

from cardproto.errors import (
    CardError,
    CardGone,
    ExchangeTimeout,
    FormatError,
    IntegrityError,
    LimitExceeded,
    ProtocolError,
    ReaderGone,
    ReaderTaken,
    ServiceGone,
    StatusError,
    TransmissionError,
)
from terminal.clock import unix_ms
from terminal.codes import ExtensionFault, KeyFault
from terminal.decision.outcome import Decision, Outcome
from terminal.devices import ExtensionRole
from terminal.errors import KeyLimitReached
from terminal.journal.canteen_records import MealLine
from terminal.journal.records import (
    Committed,
    Fault,
    Intent,
    NotCommitted,
    SettledBy,
    Unresolved,
    UnresolvedCause,
    Unwritten,
)
from terminal.journal.taps import End
from terminal.media.port import (
    MediumFailed,
    PlannedWrite,
    Presented,
    WriteDone,
    WriteNotDone,
    WriteResult,
    WriteUnknown,
)
from terminal.policy.policy import Policy
from terminal.support_code import support_code
from terminal.trail import Reason, recorded
from terminal.trip.facts import Trip
from terminal.trip.stated import stated

END_OF: Final[Mapping[type[WriteResult], End]] = {
    WriteDone: End.COMMITTED,
    WriteNotDone: End.NOT_COMMITTED,
    WriteUnknown: End.UNRESOLVED,
}
"""How a tap ended whose write came to this."""


CAUSES: Final[Mapping[type[Exception], UnresolvedCause]] = {
    CardGone: UnresolvedCause.CARD_GONE,
    ReaderGone: UnresolvedCause.READER_GONE,
    ReaderTaken: UnresolvedCause.READER_TAKEN,
    ServiceGone: UnresolvedCause.SERVICE_GONE,
    ExchangeTimeout: UnresolvedCause.TIMEOUT,
    TransmissionError: UnresolvedCause.TRANSMISSION,
    StatusError: UnresolvedCause.STATUS,
    IntegrityError: UnresolvedCause.INTEGRITY,
    LimitExceeded: UnresolvedCause.LIMIT,
    ProtocolError: UnresolvedCause.PROTOCOL,
    FormatError: UnresolvedCause.CONTENT,
}
"""How rows name the failures of a commit; a kind that is not listed counts as the one it derives from."""


class TapReport(Struct, frozen=True):
    """`operator` is one line for staff; it is never shown to passengers. `sequence` is the intent's journal number;
    `row` that of `terminal`'s row which says what came of the tap: the intent, or what was refused.

    Sums are in `currency`.

    `snapshot` is what the medium read, of its own type, and None when nothing was opened; `written` is the event it
    holds since this tap, in its own bytes. Balances are None where there is no purse.
    """

    outcome: Outcome
    end: End
    at: datetime
    exchanges: int
    apdu_bytes: int
    currency: str
    operator: str = ""
    reasons: tuple[Reason, ...] = ()
    card_ref: bytes | None = None
    person_ref: bytes | None = None
    sequence: int | None = None
    snapshot: object | None = None
    balance_before_minor: int | None = None
    balance_after_minor: int | None = None
    written: bytes = b""
    of_staff: bool = False
    """A service card, which pays for nothing."""
    uid_by_reader: bool | None = None
    """Whether the reader said which UID the card has; None where it was not asked."""
    terminal: int = 0
    row: int | None = None

    @property
    def support_code(self) -> str:
        """By which the office finds the row; empty where none was written."""
        return support_code(self.terminal, self.row) if self.terminal and self.row else ""


class EndedTap(Struct, frozen=True):
    """A tap that has ended, with what it was decided from: for those who decide it once more (O-13)."""

    decide: Callable[[Any, Policy, Trip, datetime], Decision]
    trip: Trip
    decision: Decision
    report: TapReport


def intent_row(
    at: datetime,
    policy: Policy,
    card: Presented,
    trip: Trip,
    decision: Decision,
    planned: PlannedWrite,
    meal: MealLine | None,
) -> Intent:
    """What is about to happen, as the journal must hold it before it can."""
    return Intent(
        at_ms=unix_ms(at),
        card_ref=card.reference,
        profile=trip.profile,
        shift=trip.shift,
        turn=trip.turn,
        route=trip.route,
        direction=trip.direction,
        message=decision.outcome.message,
        charge_minor=decision.outcome.charge_minor,
        balance_before_minor=planned.balance_before_minor,
        balance_after_minor=planned.balance_after_minor,
        paid_by=planned.paid_by,
        tariff=policy.tariff,
        reasons=recorded(decision.facts),
        prev_terminal=card.previous[0],
        prev_sequence=card.previous[1],
        event=planned.event,
        proof=planned.proof,
        values=dict(decision.outcome.values),
        meal=meal,
        trip=stated(trip),
        flags=decision.flags,
        lists=dict(decision.lists),
        key_version=planned.key_version,
        person_ref=card.person,
        currency=policy.currency,
    )


def end_row(
    at: datetime, sequence: int, result: WriteResult, how: SettledBy
) -> Committed | NotCommitted | Unresolved:
    """How the intent in row `sequence` ended."""
    match result:
        case WriteDone(counter, mac):
            return Committed(at_ms=unix_ms(at), intent=sequence, tmc=counter, tmv=mac, how=how)
        case WriteNotDone():
            return NotCommitted(at_ms=unix_ms(at), intent=sequence, how=how)
        case WriteUnknown(cause):
            return Unresolved(at_ms=unix_ms(at), intent=sequence, cause=_cause_of(cause))


def unwritten_row(
    at: datetime,
    profile: str,
    policy: Policy,
    shift: int,
    card: Presented | None,
    outcome: Outcome,
    decision: Decision | None,
    trip: Trip | None,
) -> Unwritten:
    """A tap that writes nothing to the card. `decision` and the `trip` it was made from are None when none was made."""
    prev_terminal, prev_sequence = (0, 0) if card is None else card.previous
    return Unwritten(
        at_ms=unix_ms(at),
        card_ref=None if card is None else card.reference,
        profile=profile,
        shift=shift,
        message=outcome.message,
        admission=outcome.admission,
        tariff=policy.tariff,
        reasons=recorded(decision.facts) if decision else (),
        prev_terminal=prev_terminal,
        prev_sequence=prev_sequence,
        flags=decision.flags if decision else (),
        turn=trip.turn if trip else 0,
        route=trip.route if trip else 0,
        direction=trip.direction if trip else 0,
        read=card.read if card and trip else (),
        trip=stated(trip) if trip else {},
        lists=dict(decision.lists) if decision else {},
        person_ref=None if card is None else card.person,
        currency=policy.currency,
    )


def limit_row(at: datetime, limit: KeyLimitReached) -> Fault:
    """Why the tap before this row was out of order."""
    inputs: dict[str, int | str] = {"use": limit.use, "opens_in_s": ceil(limit.opens_in_s)}
    return Fault(unix_ms(at), KeyFault.LIMIT, inputs)


def failed_row(at: datetime, failed: MediumFailed) -> Fault:
    """Whose code put the tap before this row out of order."""
    return Fault(unix_ms(at), ExtensionFault.FAILED, {"extension": f"{ExtensionRole.MEDIUM}:{failed.medium}"})


def _cause_of(error: CardError) -> UnresolvedCause:
    return next((CAUSES[kind] for kind in type(error).__mro__ if kind in CAUSES), UnresolvedCause.OTHER)
