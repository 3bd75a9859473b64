"""One tap from presentation to outcome. Read this first.

    1 presence   terminal.reader hands over a connected card
    2 select     find the resident application                           terminal.media
    3 session    authenticate, read rights and newest event -> snapshot  terminal.media
                 and, if the policy says so, the issuer's signed grant   terminal.media.resident.credential
    9 recovery   settle an earlier tap of this card whose end is unknown terminal.media.resident.settle
    4 decide     decide(snapshot, policy, trip, now) -> Decision         terminal.decision
    5 intent     the journal durably holds what we are about to do       terminal.journal
    6 commit     one atomic, proven card transaction                     terminal.media.resident.write
    7 signal     the passenger sees and hears the result
    8 outcome    the journal records how it ended

Money moves on the card only in stage 6, only after stage 5 is on disk, and counts only with the card's own proof.
A tap that ends between "commit sent" and "answer verified" is *unresolved*: the passenger is asked to tap again,
and stage 9 of the next presentation, here, on another terminal or at the collector, settles it from what the card
itself says. So nobody is charged twice, and no ride goes unrecorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cardproto.connection import CardConnection
from cardproto.errors import CardError, TransmissionError
from cardproto.resident.records.event import Event, build_event
from cardproto.resident.snapshot import CardSnapshot
from terminal.canteen.desk import CanteenDesk
from terminal.canteen.lines import line_of
from terminal.clock import Clock, unix_ms
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision, Message, Outcome, Reason, WritePlan
from terminal.decision.trail import compact
from terminal.errors import JournalError
from terminal.journal import records
from terminal.journal.canteen_records import MealLine
from terminal.journal.journal import Journal
from terminal.keys.provider import KeyProvider
from terminal.media.resident.credential import CredentialCheck, CredentialRefusal
from terminal.media.resident.machine import SAID, Course, State
from terminal.media.resident.open import (
    CardSession,
    GuardedConnection,
    NotOurs,
    Randomness,
    open_channel,
    open_session,
)
from terminal.media.resident.settle import Settlement, settle, tap_of
from terminal.media.resident.write import (
    CommitResult,
    Committed,
    NotCommitted,
    Unknown,
    planned_commands,
    write_plan_to_card,
)
from terminal.policy.policy import Policy
from terminal.tap_report import End, TapReport
from terminal.trip.build import InspectionRound, VehicleSource, trip_of
from terminal.trip.facts import Trip
from terminal.trip.pupil import NO_CANTEEN, CanteenContext
from terminal.trip.stated import stated

PURPOSE: Final = {"bus": "transport", "canteen": "school"}
"""Under which pseudonym a profile knows people (D-01)."""

READ_AGAIN: Final = Outcome(Message.READ_AGAIN, accepted=False)
UNKNOWN_CARD: Final = Outcome(Message.UNKNOWN_CARD, accepted=False)
OUT_OF_ORDER: Final = Outcome(Message.OUT_OF_ORDER, accepted=False)

END_OF: Final = {
    State.COMMITTED: End.COMMITTED,
    State.NOT_COMMITTED: End.NOT_COMMITTED,
    State.UNRESOLVED: End.UNRESOLVED,
}
"""The states in which a tap may end and how the report calls them."""


@dataclass(slots=True)
class Terminal:
    """Everything one terminal is made of; the composition root (`terminal.app`) builds it.

    `signal` is what the passenger sees and hears; it must return at once. `canteen` is what a school's terminal
    knows besides the card. `service_card` is asked of every card that was opened: an outcome when it is one of staff,
    who is then no passenger, and nothing is decided or written. `inspecting`: taps are inspections (T-70) until that
    ends or it is None again; change it between taps only. `vehicle` says where the vehicle is.
    """

    number: int
    profile: str
    policy: Policy
    keys: KeyProvider
    journal: Journal
    clock: Clock
    random: Randomness
    signal: Callable[[Outcome], None] = field(default=lambda _outcome: None)
    canteen: CanteenDesk | None = None
    credentials: CredentialCheck = field(default_factory=CredentialCheck.never)
    service_card: Callable[[CardSnapshot, datetime], Outcome | None] = field(default=lambda _card, _now: None)
    inspecting: InspectionRound | None = None
    vehicle: VehicleSource | None = None


def take_tap(connection: CardConnection, terminal: Terminal) -> TapReport:
    """Serve one presented card, whatever it is and whatever it does; return how it ended.

    Raises `JournalError` only: the journal cannot hold the tap, and the terminal is out of order. Without a durable
    intent nothing is committed to the card; an outcome that could not be stored leaves its intent open, to be
    settled when the card comes back. A canteen goes on: entitled meals are still given (O-06).
    """
    tap = _Tap(connection, terminal)
    try:
        return tap.run()
    except JournalError as error:
        terminal.signal(OUT_OF_ORDER)
        if terminal.canteen is None:
            raise
        return tap.out_of_order(error)


class _Tap:
    """One tap while its stages run."""

    def __init__(self, connection: CardConnection, terminal: Terminal) -> None:
        self.t = terminal
        self.channel = open_channel(GuardedConnection(connection, terminal.clock))
        self.now = terminal.clock.now().replace(microsecond=0)
        inspecting = terminal.inspecting
        self.inspecting = inspecting if inspecting is not None and self.now < inspecting.ends_at else None
        self.snapshot: CardSnapshot | None = None
        self.card_ref: bytes | None = None

    def run(self) -> TapReport:
        try:
            session = self._open()
            return self._of_staff(session) or self._settle_earlier(session) or self._serve(session)
        except NotOurs as card:
            return self._write_nothing(UNKNOWN_CARD, operator=card.why)
        except CardError as error:
            return self._write_nothing(READ_AGAIN, operator=str(error))

    def out_of_order(self, error: JournalError) -> TapReport:
        return self._report(OUT_OF_ORDER, End.NOTHING_WRITTEN, operator=str(error))

    # stages 2 and 3

    def _open(self) -> CardSession:
        session = open_session(self.channel, self.t.keys, self.t.policy.document.header.region, self.t.random)
        self.snapshot = session.snapshot
        self.card_ref = self.t.keys.pseudonym(PURPOSE[self.t.profile], session.snapshot.rights.pseudonym)
        return session

    def _of_staff(self, session: CardSession) -> TapReport | None:
        """A service card opens the operator's console and pays for nothing."""
        outcome = self.t.service_card(session.snapshot, self.now)
        if outcome is None:
            return None
        self.card_ref = None  # whose it is stands in the console's own record, under another purpose (D-01)
        self.t.signal(outcome)
        return self._report(outcome, End.NOTHING_WRITTEN, operator="service card")

    # stage 9, on the next presentation

    def _settle_earlier(self, session: CardSession) -> TapReport | None:
        """Settle this card's unresolved tap, if any; a report when that is what the passenger came to hear."""
        assert self.card_ref is not None
        earlier = self.t.journal.unresolved(self.card_ref)
        if earlier is None:
            return None
        sequence, intent = earlier
        course = Course(State.UNRESOLVED)
        result = self._settlement(session, sequence, (intent.prev_terminal, intent.prev_sequence), course)
        if result is None:
            return None
        newest = session.snapshot.event
        soon = abs(self.now - newest.at) <= timedelta(seconds=self.t.policy.document.guards.retap_s)
        if isinstance(result, NotCommitted) or tap_of(newest) != (self.t.number, sequence) or not soon:
            self._record_end(sequence, result, how="recovered")
            return None
        outcome = Outcome(Message(intent.message), accepted=True, values=intent.values)
        # Told before it is recorded: if the terminal dies in between, the tap is still open and is told again. The
        # other way round it would be closed, the passenger would not know, and trying again would be a second charge.
        self.t.signal(outcome)
        self._record_end(sequence, result, how="recovered")
        return self._report(
            outcome, End.RECOVERED, sequence=sequence, operator="settled: the card had been written"
        )

    def _settlement(
        self, session: CardSession, sequence: int, previous: tuple[int, int], course: Course
    ) -> CommitResult | None:
        """What the card says of tap `sequence`; None when it cannot tell any more."""
        intended = (self.t.number, sequence)
        verdict = settle(session.snapshot.event, session.recent_events, intended, previous)
        if verdict is Settlement.STILL_OPEN or not session.purse_agrees():
            course.take(SAID[Settlement.STILL_OPEN])
            return None
        if verdict is Settlement.NOT_COMMITTED:
            course.take(SAID[verdict])
            return NotCommitted(TransmissionError(verdict.value))
        newest = tap_of(session.snapshot.event) == intended
        proof = session.last_transaction_mac() if newest else None
        course.take(SAID[verdict])
        return Committed(proof)

    # stages 4 to 8

    def _serve(self, session: CardSession) -> TapReport:
        refusal = self.t.credentials.refusal(session.card, session.snapshot, self.now)
        if refusal is not None:
            return self._not_granted(refusal)
        trip = self._trip()
        decision = decide(session.snapshot, self.t.policy, trip, self.now)
        plan = decision.write_plan
        if plan is None:
            return self._write_nothing(decision.outcome, decision)
        course = Course()
        try:
            intent = self.t.journal.begin(
                self._intent(session, trip, decision, plan), sequence=plan.event.sequence
            )
            result = write_plan_to_card(session.card, plan, intent, course, proving=session.proving)
        except JournalError:
            report = self._serve_without_journal(decision)
            if report is None:
                raise
            return report
        if isinstance(result, Unknown):
            result = self._ask_the_card(intent.sequence, session, result, course)
        return self._conclude(decision, plan, intent.sequence, result, END_OF[course.state])

    def _serve_without_journal(self, decision: Decision) -> TapReport | None:
        """O-06: an entitled meal is given all the same and noted elsewhere; the card stays as it is."""
        if self.t.canteen is None or decision.meal is None or not decision.meal.entitled:
            return None
        assert self.card_ref is not None, "set when the session was opened"
        noted = self.t.canteen.serve_without_journal(self.card_ref, decision.meal, decision.facts, self.now)
        self.t.signal(decision.outcome)
        return self._report(decision.outcome, End.NOTHING_WRITTEN, decision, operator=noted.effect)

    def _not_granted(self, refusal: CredentialRefusal) -> TapReport:
        """The rights on the card are not what an issuer signed: none of them counts, and the operator learns why."""
        message = Message.BENEFIT_EXPIRED if refusal.out_of_date else Message.UNKNOWN_CARD
        outcome = Outcome(message, accepted=False)
        decision = Decision(outcome, None, (Reason("credential", refusal.reason),))
        return self._write_nothing(outcome, decision, f"credential: {refusal.reason}")

    def _ask_the_card(
        self, sequence: int, session: CardSession, unknown: Unknown, course: Course
    ) -> CommitResult:
        """After an unverified commit answer: if the card is still there, it can tell at once what it did."""
        if isinstance(unknown.cause, TransmissionError):
            return unknown
        try:
            return self._settlement(self._open(), sequence, tap_of(session.snapshot.event), course) or unknown
        except (CardError, NotOurs):
            return unknown

    def _conclude(
        self, decision: Decision, plan: WritePlan, sequence: int, result: CommitResult, end: End
    ) -> TapReport:
        done = isinstance(result, Committed)
        outcome = decision.outcome if done else READ_AGAIN
        self.t.signal(outcome)
        self._record_end(sequence, result, how="answered")
        return self._report(
            outcome,
            end,
            decision,
            sequence=sequence,
            after=plan.event if done else None,
            operator="" if isinstance(result, Committed) else str(result.cause),
        )

    def _record_end(self, sequence: int, result: CommitResult, how: str) -> None:
        journal, at_ms = self.t.journal, unix_ms(self.now)
        match result:
            case Committed(proof):
                tmc, tmv = (None, b"") if proof is None else (proof.counter, proof.value)
                journal.append(records.Committed(at_ms=at_ms, intent=sequence, tmc=tmc, tmv=tmv, how=how))
            case NotCommitted():
                journal.append(records.NotCommitted(at_ms=at_ms, intent=sequence, how=how))
            case Unknown(cause):
                journal.append(records.Unresolved(at_ms=at_ms, intent=sequence, cause=type(cause).__name__))

    def _write_nothing(
        self, outcome: Outcome, decision: Decision | None = None, operator: str = ""
    ) -> TapReport:
        """A refusal, or a tap that needs no write: signal first, nobody's money depends on the record."""
        self.t.signal(outcome)
        shift = self.t.journal.open_shift
        seen = None if self.snapshot is None else self.snapshot.event
        refused = records.Refused(
            at_ms=unix_ms(self.now),
            card_ref=self.card_ref,
            profile=self.t.profile,
            shift=shift.shift
            if shift and self.inspecting is None
            else 0,  # an inspection is no sale of a shift
            message=outcome.message,
            accepted=outcome.accepted,
            tariff=self.t.policy.tariff,
            reasons=compact(decision.facts) if decision else (),
            prev_terminal=seen.terminal if seen else 0,
            prev_sequence=seen.sequence if seen else 0,
            flags=decision.flags if decision else (),
        )
        try:
            self.t.journal.append(refused)
        except JournalError:
            if self.t.canteen is None:  # a canteen goes on for the entitled (O-06)
                raise
        return self._report(outcome, End.NOTHING_WRITTEN, decision, operator=operator)

    # what the stages share

    def _trip(self) -> Trip:
        t = self.t
        return trip_of(
            t.journal, t.profile, t.number, self._canteen(), inspecting=self.inspecting, vehicle=t.vehicle
        )

    def _canteen(self) -> CanteenContext:
        if self.t.canteen is None or self.card_ref is None:
            return NO_CANTEEN
        return self.t.canteen.context(self.card_ref, self.now)

    def _intent(
        self, session: CardSession, trip: Trip, decision: Decision, plan: WritePlan
    ) -> records.Intent:
        seen = session.snapshot.event
        assert self.card_ref is not None, "set when the session was opened"
        return records.Intent(
            at_ms=unix_ms(self.now),
            card_ref=self.card_ref,
            profile=self.t.profile,
            shift=trip.shift,
            turn=trip.turn,
            route=trip.route,
            direction=trip.direction,
            message=decision.outcome.message,
            charge_minor=decision.outcome.charge_minor,
            balance_before_minor=session.snapshot.balance_minor,
            balance_after_minor=plan.event.balance_after_minor,
            paid_by=plan.event.paid_by,
            tariff=self.t.policy.tariff,
            reasons=compact(decision.facts),
            prev_terminal=seen.terminal,
            prev_sequence=seen.sequence,
            event=build_event(plan.event),
            proof=tuple((c.ins, c.header, c.data) for c in planned_commands(session.card, plan)),
            values=dict(decision.outcome.values),
            meal=self._meal(decision),
            trip=stated(trip),
            flags=decision.flags,
            counted=decision.counted,
        )

    def _meal(self, decision: Decision) -> MealLine | None:
        if decision.meal is None:
            return None
        return line_of(decision.meal, 0 if self.t.canteen is None else self.t.canteen.roster_sequence)

    def _report(
        self,
        outcome: Outcome,
        end: End,
        decision: Decision | None = None,
        *,
        sequence: int | None = None,
        after: Event | None = None,
        operator: str = "",
    ) -> TapReport:
        return TapReport(
            outcome=outcome,
            end=end,
            at=self.now,
            exchanges=self.channel.exchanges,
            apdu_bytes=self.channel.apdu_bytes,
            operator=operator,
            reasons=decision.facts if decision else (),
            card_ref=self.card_ref,
            sequence=sequence,
            before=self.snapshot,
            after=after,
        )
