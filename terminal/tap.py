"""One tap from presentation to outcome. Read this first.

    1 presence   terminal.reader hands over a connected card
    2 select     the first medium of the terminal's list that recognises it   terminal.media
    3 open       the medium reads what a decision needs -> snapshot, reference
    1 again      the card that lay there before the terminal started and was served then: its answer is repeated
    9 recovery   an earlier tap of this card whose end is unknown: the medium says what became of it
    4 decide     decide(snapshot, policy, trip, now)    -> Decision           terminal.decision, terminal.trip
    5 intent     the journal durably holds what we are about to do            terminal.journal
    6 commit     the medium's own act: all or nothing, proven                 terminal.media
    7 signal     the passenger sees and hears the result
    8 outcome    the journal records how it ended

Money moves on a card only in stage 6, only after stage 5 is on disk, and counts only with the card's own proof.

When the card leaves during commit (states of a write: terminal/media/resident/machine.py):
    before the commit was sent   WriteNotDone: the card is as it was; "tap again", on record as not committed
    after it was sent            WriteUnknown: the card may hold it or not; "tap again", the intent stays open, and
                                 stage 9 of the next presentation, here, on another terminal or at the collector,
                                 settles it from what the card itself says
No passenger is charged twice, and no ride goes unrecorded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import structs

from cardproto.connection import CardConnection
from cardproto.errors import CardError, CardGone
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.lines import line_of
from terminal.clock import Clock, unix_ms
from terminal.codes import Admission, Trouble
from terminal.decision.meal import Serving
from terminal.decision.outcome import LEFT_TO_OTHERS, Decision, Message, Outcome, WritePlan
from terminal.errors import JournalError, KeyLimitReached
from terminal.journal.journal import Journal
from terminal.journal.open_records import LastIntent
from terminal.journal.operation_records import AnswerRepeated
from terminal.journal.records import Fault, SettledBy
from terminal.journal.taps import End
from terminal.keys.provider import KeyProvider
from terminal.media.port import (
    Medium,
    MediumFailed,
    PlannedWrite,
    Presented,
    SecondMedium,
    UnsupportedCard,
    WriteDone,
    open_channel,
)
from terminal.policy.policy import Policy
from terminal.policy.routes import NO_ROUTES, RouteBook
from terminal.tap_report import (
    END_OF,
    EndedTap,
    TapReport,
    end_row,
    failed_row,
    intent_row,
    limit_row,
    unwritten_row,
)
from terminal.trip.ages import DAY_S, freshness_of, with_bank
from terminal.trip.asked import NextRide
from terminal.trip.build import NOTHING_HEARD, InspectionRound, RidesHeard, VehiclePort, trip_of
from terminal.trip.clock_watch import ClockWatch
from terminal.trip.facts import NOTHING_ASKED, AskedBy, RideAsked, Trip
from terminal.trip.pupil import NO_CANTEEN, CanteenContext
from terminal.updates.active import ActiveSet

if TYPE_CHECKING:
    from terminal.media.code import CodeTaker
    from terminal.media.held import HeldEvents

READ_AGAIN: Final = Outcome(Message.READ_AGAIN, Admission.REFUSED)
UNKNOWN_CARD: Final = Outcome(Message.UNKNOWN_CARD, Admission.REFUSED)
OUT_OF_ORDER: Final = Outcome(Message.OUT_OF_ORDER, Admission.REFUSED)
CODE_REFUSED: Final = Outcome(Message.CODE_NOT_ACCEPTED, Admission.REFUSED)
REPEATED_WITHIN: Final = timedelta(minutes=10)
"""For how long a card found lying on the reader counts as the one that was served there last. A restart takes a minute;
a card that still lies there after ten is used for another ride."""


@dataclass(slots=True)
class Terminal:
    """Everything one terminal is made of; the composition root (`terminal.app`) builds it.

    `media` is what it takes, in the order in which a card is asked. `signal` is what the passenger sees and hears,
    lamps and gates included; it must return at once. A gate opens when `outcome.admission` is `let_in`, and for no
    other value, whatever the colour of the message. `canteen` is what a school's terminal knows besides the card.
    `service_card` is asked of the snapshot of every opened card: an outcome when it is one of staff, who is then no
    passenger, and nothing is decided or written. `inspecting`: taps are inspections (T-70) until that ends or it is
    None again; change it between taps. `vehicle` says where the vehicle is, `routes` what runs where. `clock_watch`
    says at every tap whether `clock` can be trusted (O-05). `next_ride` is what crew or rider said of the next tap.
    `owed` is the tap before whose passage the terminal died (ADR 48): its rider's answer is given once more.
    `inspected` is what the vehicle's own terminal says of a card that an inspector asks about (T-70),
    `vehicle_run` the route and direction that it runs; None: it is not heard.
    `decided` hears of every tap that was decided when all of it is done, and must return at once.
    `active` is what `policy` and `routes` come from: both are replaced between two taps, so keep no copy of them.
    `bundles_at` is when the newest signed bundles were signed, None where this terminal takes none or has none yet.
    `bundles_refused`: why newer ones are not taken, the network aside.
    `codes` reads what a scanner saw; None: no codes are taken here. `held` is what is kept for media without a memory,
    where any are taken, and what taps have sealed to the back office.
    """

    number: int
    profile: str
    policy: Policy
    keys: KeyProvider
    journal: Journal
    clock: Clock
    media: tuple[Medium, ...]
    clock_watch: ClockWatch
    signal: Callable[[Outcome], None] = field(default=lambda _outcome: None)
    canteen: CanteenCounter | None = None
    service_card: Callable[[object, datetime], Outcome | None] = field(default=lambda _snapshot, _now: None)
    inspecting: InspectionRound | None = None
    inspected: Callable[[InspectionRound, bytes], RidesHeard] = field(
        default=lambda _round, _card: NOTHING_HEARD
    )
    vehicle_run: Callable[[], tuple[int, int] | None] = field(default=lambda: None)
    vehicle: VehiclePort | None = None
    owed: LastIntent | None = None
    routes: RouteBook = NO_ROUTES
    active: ActiveSet | None = None
    take_back: Callable[[Exception], bool] = field(default=lambda _error: False)
    decided: Callable[[EndedTap], None] = field(default=lambda _tap: None)
    bundles_at: datetime | None = None
    bundles_refused: tuple[Trouble, ...] = ()
    codes: CodeTaker | None = None
    held: HeldEvents | None = None
    next_ride: NextRide = field(init=False)

    def __post_init__(self) -> None:
        self.next_ride = NextRide(self.journal, self.clock)

    def trip(
        self,
        canteen: CanteenContext = NO_CANTEEN,
        *,
        inspecting: InspectionRound | None = None,
        said: RidesHeard = NOTHING_HEARD,
        asked: RideAsked = NOTHING_ASKED,
        now: datetime | None = None,
    ) -> Trip:
        """What a tap or a sale is part of (at `now`), as far as the clock was last looked at. Any thread."""
        clock, now = self.clock_watch.state, now or self.clock.now()
        return trip_of(
            self.journal,
            self.profile,
            self.number,
            canteen,
            inspecting=inspecting,
            said=said,
            vehicle=self.vehicle,
            clock=clock,
            routes=self.routes,
            freshness=freshness_of(self.policy, now, clock, self.bundles_at),
            asked=asked,
            now=now,
        )

    def limited(self, now: datetime) -> bool:
        """Whether signed bundles are so old that nothing on a card is believed without the issuer's word (O-14)."""
        freshness = freshness_of(self.policy, now, self.clock_watch.state, self.bundles_at)
        return freshness.bundles_age_s > self.policy.document.ages.bundles_limited_days * DAY_S


def take_tap(connection: CardConnection, terminal: Terminal, *, lay_there: bool = False) -> TapReport:
    """Serve one presented card, whatever it is and whatever it does; return how it ended.

    `lay_there`: the card was found on the reader when the terminal or its reader came back, and its arrival was not
    seen. If it was the last one served here, and not long ago, it has not left: it gets the same answer again.

    Raises `JournalError` only: the journal cannot hold the tap, and the terminal is out of order. Without a durable
    intent nothing is committed to the card; an outcome that could not be stored leaves its intent open, to be
    settled when the card comes back. A canteen goes on: entitled meals are still given (O-06).
    """
    return _ended(_Stages(connection, terminal, lay_there), _Stages.run)


def take_code(content: bytes, codes: CodeTaker, terminal: Terminal) -> TapReport:
    """Serve one scanned code as `take_tap` does a card; raises as it does. What is no code of a resident's phone is
    answered and leaves no row: anything may be held before a scanner, and for long.
    """
    tap = _Stages(_NoCard(), terminal, lay_there=False)
    return _ended(tap, lambda tap: tap.run_code(content, codes))


def _ended(tap: _Stages, run: Callable[[_Stages], TapReport]) -> TapReport:
    """The tap, however it ends. Where nothing can be recorded, a canteen goes on."""
    terminal = tap.t
    try:
        return run(tap)
    except JournalError as error:
        terminal.signal(OUT_OF_ORDER)
        if terminal.canteen is None:
            raise
        return tap.report(OUT_OF_ORDER, End.NOTHING_WRITTEN, operator=str(error))


class _NoCard:
    """What a code is read from is no card, and hears nothing."""

    def transmit(self, command: bytes) -> bytes:  # noqa: ARG002 the protocol's
        raise CardGone("a code was scanned")


class _Stages:
    """One tap while its stages run."""

    def __init__(self, connection: CardConnection, terminal: Terminal, lay_there: bool) -> None:
        self.t = terminal
        self.lay_there = lay_there
        self.channel = open_channel(connection, terminal.clock)
        terminal.clock_watch.look()
        self.now = terminal.clock.now().replace(microsecond=0)
        inspecting = terminal.inspecting
        self.inspecting = inspecting if inspecting is not None and self.now < inspecting.ends_at else None
        self.card: Presented | None = None
        self.card_ref: bytes | None = None

    def run(self) -> TapReport:
        try:
            medium = self._select()
            try:
                card = self._open(medium)
            except UnsupportedCard as other:  # of another issuer: what else is on it may still pay
                second = self._second(medium) if other.message == Message.UNKNOWN_CARD else None
                if second is not None:
                    return second
                raise
            return (
                self._of_staff(card) or self._repeat(card) or self._recover(card) or self._serve(medium, card)
            )
        except UnsupportedCard as card:
            return self._write_nothing(Outcome(card.message, Admission.REFUSED), operator=card.why)
        except CardError as error:
            return self._write_nothing(READ_AGAIN, operator=str(error))
        except MediumFailed as failed:  # before anything is written; the next card is another matter
            fault = failed_row(self.now, failed)
            return self._write_nothing(OUT_OF_ORDER, operator=str(failed), fault=fault)
        except KeyLimitReached as limit:  # keys are asked for before anything is written
            fault = limit_row(self.now, limit)
            return self._write_nothing(OUT_OF_ORDER, operator=limit.what, fault=fault)

    def run_code(self, content: bytes, codes: CodeTaker) -> TapReport:
        """The stages of a code: there is nothing to select, and nothing to write outside."""
        suspect = self.t.clock_watch.state.suspect
        try:
            asks = self.inspecting is not None
            card = self.card = codes.open(
                content, self.now, self.t.policy, clock_suspect=suspect, inspecting=asks
            )
            self.card_ref = card.reference
            report = self._recover(card) or self._serve(codes, card)
            if report.outcome.admission is Admission.LET_IN and report.end is not End.COMMITTED:
                codes.spend(card, self.now)
            return report
        except UnsupportedCard as code:
            outcome = Outcome(code.message, Admission.REFUSED)
            self.t.signal(outcome)
            return self.report(outcome, End.NOTHING_WRITTEN, operator=code.why)
        except KeyLimitReached as limit:
            return self._write_nothing(OUT_OF_ORDER, operator=limit.what, fault=limit_row(self.now, limit))

    # 2 select

    def _select(self) -> Medium:
        failed = None
        for medium in self.t.media:
            try:
                if medium.select(self.channel):
                    return medium
            except MediumFailed as error:  # another may know the card
                failed = failed or error
        if failed is not None:
            raise failed
        names = ", ".join(medium.name for medium in self.t.media)
        raise UnsupportedCard(f"not recognised by any of: {names}")

    # 3 open

    def _open(self, medium: Medium) -> Presented:
        card, counter = medium.open(self.channel, self.now), self.t.canteen
        if counter is not None:  # a card that the school tied to one of its pupils stands for him
            card = structs.replace(card, person=counter.person_of(card.reference, card.person))
        self.card, self.card_ref = card, card.reference
        return card

    def _of_staff(self, card: Presented) -> TapReport | None:
        """A service card opens the operator's console and pays for nothing."""
        outcome = self.t.service_card(card.snapshot, self.now)
        if outcome is None:
            return None
        self.card_ref = None  # whose it is stands in the console's own record, under another purpose (D-01)
        self.t.signal(outcome)
        return self.report(outcome, End.NOTHING_WRITTEN, operator="service card", of_staff=True)

    # 1 presence: a card that never left is no new tap

    def _repeat(self, card: Presented) -> TapReport | None:
        """The former answer, when this is the card that was served last and it has not left since."""
        last, operator = self._never_left(card), "the card had not left the reader"
        if last is None:
            last, operator = self._owed(card), "it was paid, and its passage is owed"
        if last is None or last.end is not End.COMMITTED:
            return None
        outcome = Outcome(last.intent.message, Admission.LET_IN, values=last.intent.values)
        self.t.signal(outcome)
        self.t.journal.append(AnswerRepeated(unix_ms(self.now), last.sequence))
        return self.report(outcome, End.REPEATED, sequence=last.sequence, operator=operator)

    def _owed(self, card: Presented) -> LastIntent | None:
        """The tap whose passage is owed, when this is its card and so soon after that it is the same rider (ADR 48)."""
        owed, newest = self.t.owed, card.last
        if owed is None or newest is None or self.inspecting is not None:
            return None
        same = owed.intent.card_ref == card.reference and newest.tap == (self.t.number, owed.sequence)
        soon = timedelta(seconds=self.t.policy.document.guards.retap_s)
        return owed if same and abs(self.now - newest.at) <= soon else None

    def _never_left(self, card: Presented) -> LastIntent | None:
        """Our last intent, when it is this card's newest event and the card was found lying there soon after."""
        last, newest = self.t.journal.last_intent, card.last
        if not self.lay_there or self.inspecting is not None or last is None or newest is None:
            return None
        same = last.intent.card_ref == card.reference and newest.tap == (self.t.number, last.sequence)
        return last if same and abs(self.now - newest.at) <= REPEATED_WITHIN else None

    # 9 recovery, on the next presentation

    def _recover(self, card: Presented) -> TapReport | None:
        """Settle this card's unresolved tap, if any; a report when that is what the passenger came to hear."""
        earlier = self.t.journal.unresolved(card.reference)
        if earlier is None or card.writer is None:
            return None
        sequence, intent = earlier
        result = card.writer.became((self.t.number, sequence), (intent.prev_terminal, intent.prev_sequence))
        if result is None:
            return None
        row = end_row(self.now, sequence, result, how=SettledBy.RECOVERED)
        if not isinstance(result, WriteDone) or not self._just_now(card, sequence):
            if isinstance(result, WriteDone):
                self.t.next_ride.begun(sequence)
            self.t.journal.append(row)
            return None
        outcome = Outcome(intent.message, Admission.LET_IN, values=intent.values)
        # Signalled before it is recorded: if the terminal dies in between, the tap is open and is signalled again. The
        # other way round it would be closed, the passenger would not know, and trying again would be a second charge.
        self.t.signal(outcome)
        self.t.next_ride.begun(sequence)
        self.t.journal.append(row)
        return self.report(outcome, End.RECOVERED, sequence=sequence, operator="the card had been written")

    def _just_now(self, card: Presented, sequence: int) -> bool:
        """Whether the tap `sequence` is the newest on the card, so soon before that this is the same rider's retry."""
        soon = timedelta(seconds=self.t.policy.document.guards.retap_s)
        last = card.last
        if self._never_left(card) is not None:
            soon = REPEATED_WITHIN
        return last is not None and last.tap == (self.t.number, sequence) and abs(self.now - last.at) <= soon

    # 4 decide

    def _serve(self, medium: Medium | CodeTaker, card: Presented) -> TapReport:
        trip, decision = self._decided_as_asked(medium, card)
        if decision.write_plan is None and decision.outcome.message in LEFT_TO_OTHERS:
            second = self._second(medium)
            if second is not None:
                return second
        return self._concluded(medium, card, trip, decision)

    def _second(self, medium: object) -> TapReport | None:
        """How another application of the same card ends the tap (K-02); None where there is none that does."""
        if self.inspecting is not None or medium not in self.t.media:
            return None
        first = self.card, self.card_ref
        for other in self.t.media[self.t.media.index(medium) + 1 :]:
            if not isinstance(other, SecondMedium) or not other.select(self.channel):
                continue
            with suppress(UnsupportedCard):
                card = self.card = other.open_second(self.channel, self.now)
                self.card_ref = card.reference
                report = self._recover(card)
                if report is not None:
                    return report
                trip, decision = self._decided_as_asked(other, card)
                if decision.outcome.admission is not Admission.REFUSED:
                    return self._concluded(other, card, trip, decision)
        self.card, self.card_ref = first
        return None

    def _decided_as_asked(
        self, medium: Medium | SecondMedium | CodeTaker, card: Presented
    ) -> tuple[Trip, Decision]:
        trip, decision = self._decided(medium, card, self._asked)
        if trip.asked_by is not AskedBy.NOT_ASKED and not decision.boards:
            return self._decided(medium, card, NOTHING_ASKED)  # it was asked for the next who does
        return trip, decision

    def _concluded(
        self, medium: Medium | SecondMedium | CodeTaker, card: Presented, trip: Trip, decision: Decision
    ) -> TapReport:
        plan = decision.write_plan
        report = (
            self._write_nothing(decision.outcome, decision, trip=trip)
            if plan is None
            else self._write(card, trip, decision, plan)
        )
        self.t.decided(EndedTap(medium.decide, trip, decision, report))
        return report

    def _decided(
        self, medium: Medium | SecondMedium | CodeTaker, card: Presented, asked: RideAsked
    ) -> tuple[Trip, Decision]:
        """By the document in force; by the one before where that is on trial and no decision comes of it (O-12)."""
        try:
            return self._decided_once(medium, card, asked)
        except (JournalError, CardError, MediumFailed, KeyLimitReached):
            raise
        except Exception as error:
            if not self.t.take_back(error):
                raise
        return self._decided_once(medium, card, asked)

    def _decided_once(
        self, medium: Medium | SecondMedium | CodeTaker, card: Presented, asked: RideAsked
    ) -> tuple[Trip, Decision]:
        trip = self._trip(card, asked)
        return trip, medium.decide(card.snapshot, self.t.policy, trip, self.now)

    def _trip(self, card: Presented, asked: RideAsked) -> Trip:
        counter = self.t.canteen
        canteen = NO_CANTEEN if counter is None else counter.context(card.reference, card.person, self.now)
        asks = self.inspecting
        said = NOTHING_HEARD if asks is None else self.t.inspected(asks, card.reference)
        trip = self.t.trip(canteen, inspecting=asks, said=said, asked=asked, now=self.now)
        if card.taken is None:
            return trip
        return with_bank(trip, self.t.policy, card.taken, self.now, self.t.clock_watch.state)

    @property
    def _asked(self) -> RideAsked:
        return self.t.next_ride.ride if self.inspecting is None else NOTHING_ASKED

    # 5 intent, 6 commit, 7 signal, 8 outcome

    def _write(self, card: Presented, trip: Trip, decision: Decision, plan: WritePlan) -> TapReport:
        assert card.writer is not None, "a medium that cannot be written plans no write"
        planned, counter, meal = card.writer.planned(plan), self.t.canteen, decision.meal
        line = None if meal is None else line_of(meal, 0 if counter is None else counter.roster_sequence)
        row = intent_row(self.now, self.t.policy, card, trip, decision, planned, line)
        try:
            intent = self.t.journal.begin(row, sequence=trip.sequence)
            if trip.asked_by is not AskedBy.NOT_ASKED:
                self.t.next_ride.decided(intent.sequence)
            result = card.writer.commit(plan, intent)  # changes nothing before the intent is on disk
        except JournalError:
            if counter is None or meal is None or not meal.entitled:
                raise
            return self._meal_anyway(counter, card, decision, meal)
        if isinstance(result, WriteDone):
            outcome, written, operator = decision.outcome, planned, ""
        else:
            outcome, written, operator = READ_AGAIN, None, str(result.cause)
        self.t.signal(outcome)
        if written is not None and trip.asked_by is not AskedBy.NOT_ASKED:
            self.t.next_ride.forget()
        self.t.journal.append(end_row(self.now, intent.sequence, result, how=SettledBy.ANSWERED))
        end, number = END_OF[type(result)], intent.sequence
        return self.report(outcome, end, decision, sequence=number, written=written, operator=operator)

    def _meal_anyway(
        self, counter: CanteenCounter, card: Presented, decision: Decision, meal: Serving
    ) -> TapReport:
        """O-06: an entitled meal is given without the journal and noted elsewhere; the card stays as it is."""
        noted = counter.serve_without_journal(card.reference, card.person, meal, decision.facts, self.now)
        self.t.signal(decision.outcome)
        decision = structs.replace(decision, facts=(*decision.facts, noted))
        return self.report(decision.outcome, End.NOTHING_WRITTEN, decision)

    def _write_nothing(
        self,
        outcome: Outcome,
        decision: Decision | None = None,
        operator: str = "",
        trip: Trip | None = None,
        fault: Fault | None = None,
    ) -> TapReport:
        """A refusal, or a tap that needs no write: signal first, no money depends on the record.

        `trip` is what `decision` was made from, for the row to be decided again from; without it nothing was decided.
        `fault` is why, where neither card nor rider is the reason; its row follows.
        """
        self.t.signal(outcome)
        shift = self.t.journal.open_shift if self.inspecting is None else None  # an inspection is no sale
        number = 0 if shift is None else shift.shift
        row = unwritten_row(
            self.now, self.t.profile, self.t.policy, number, self.card, outcome, decision, trip
        )
        written = None
        try:
            written = self.t.journal.append(row)
            if fault is not None:
                self.t.journal.append(fault)
        except JournalError:
            if self.t.canteen is None:  # a canteen goes on for the entitled (O-06)
                raise
        return self.report(outcome, End.NOTHING_WRITTEN, decision, row=written, operator=operator)

    def report(
        self,
        outcome: Outcome,
        end: End,
        decision: Decision | None = None,
        *,
        sequence: int | None = None,
        row: int | None = None,
        written: PlannedWrite | None = None,
        operator: str = "",
        of_staff: bool = False,
    ) -> TapReport:
        """How the tap ended, with what is known of it so far."""
        balance_minor = None if self.card is None else self.card.balance_minor
        return TapReport(
            outcome=outcome,
            end=end,
            at=self.now,
            exchanges=self.channel.exchanges,
            apdu_bytes=self.channel.apdu_bytes,
            currency=self.t.policy.currency,
            operator=operator,
            reasons=decision.facts if decision else (),
            card_ref=self.card_ref,
            person_ref=None if self.card_ref is None or self.card is None else self.card.person,
            sequence=sequence,
            snapshot=None if self.card is None else self.card.snapshot,
            written=b"" if written is None else written.event,
            balance_before_minor=balance_minor,
            balance_after_minor=written.balance_after_minor
            if written is not None and balance_minor is not None
            else balance_minor,
            of_staff=of_staff,
            terminal=self.t.number,
            row=row if sequence is None else sequence,
            uid_by_reader=False if self.channel.uid_refused else True if self.channel.uid else None,
        )
