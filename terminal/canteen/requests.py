"""What a school's staff may ask of the till: a closed set of typed requests; `terminal.canteen.answers` has what comes
of them.

One path for every window: `execute` does a request at a till, whether the command opened the journal itself or the
terminal that is serving cards was asked over `terminal.canteen.control`. Nothing here prints or reads a file; a list
arrives as content with the name it had. Who executes holds the till: no tap and no other request works at it meanwhile.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar, Protocol

import msgspec
from msgspec import Struct

from terminal.canteen.answers import (
    AnnulDone,
    CardLentUntil,
    DayIsClosed,
    Given,
    Given_co,
    ListedPupil,
    MealsIssued,
    PaymentsLoaded,
    PricesInForce,
    PupilsCompared,
    PupilServed,
    PupilsListed,
    Recorded,
    Ref,
    RosterInForce,
    SaleDone,
    TillAnswer,
)
from terminal.canteen.buffet import sell
from terminal.canteen.cards import mark_card, tie_card
from terminal.canteen.closing import close_day
from terminal.canteen.corrections import annul, correct_attendance, lend_card, mark_not_collected
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.documents import ListFile, PriceListDocument, RosterDocument, RosterPupil
from terminal.canteen.issuing import (
    NOTHING_ANSWERED,
    How,
    ServingList,
    issue,
    pupils_of,
    require_whole,
)
from terminal.canteen.ordering import next_school_day, order_meal
from terminal.canteen.payments import take_payments
from terminal.canteen.pupil_list import compared, load_pupils
from terminal.canteen.pupils.draft import PupilDraft
from terminal.canteen.roster import Roster
from terminal.canteen.store import CanteenLists
from terminal.clock import Clock, unix_ms
from terminal.codes import SetKind
from terminal.decision.canteen.serving import ALL_ANSWERED
from terminal.journal.canteen_records import CardUse
from terminal.policy.policy import Policy
from terminal.trail import recorded


class OpenTill(Struct, frozen=True):
    """A canteen terminal's counter at work, its lists, and its clock."""

    counter: CanteenCounter
    lists: CanteenLists
    clock: Clock

    def load_roster(self, file: ListFile, now: datetime) -> Roster | None:
        """Check a roster and put it in force; None while it waits for its moment. Raises as `CanteenLists.put`."""
        counter, document = self.counter, file.document(RosterDocument)
        before = self.lists.active.digest(SetKind.ROSTER)
        if not self.lists.put(SetKind.ROSTER, file, now, counter.journal):
            return None
        roster = counter.take_roster(document)
        if self.lists.active.digest(SetKind.ROSTER) != before:
            counter.note_roster(document, now)
        return roster


class Request(Protocol[Given_co]):
    """One thing to do. `gives` is the answer's type; `changes`: whether anything is recorded, to be `seen_in` what
    this command of `terminal` shows.
    """

    gives: ClassVar[type[TillAnswer]]
    changes: ClassVar[bool]
    seen_in: ClassVar[str]

    def done_at(self, till: OpenTill, now: datetime) -> Given_co:
        """Do it. Raises `TerminalError`."""
        ...


def execute(request: Request[Given], till: OpenTill) -> Given:
    """Do `request` at `till`, now. Raises the `TerminalError` that stands against it."""
    return request.done_at(till, till.clock.now())


class _Asked(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    changes: ClassVar[bool] = True
    seen_in: ClassVar[str] = "canteen report"


class IssueMeals(_Asked, frozen=True):
    """A portion to each of `pupils` and, with `class_id`, to all of the class but `absent` (M-30, M-31)."""

    gives: ClassVar[type[TillAnswer]] = MealsIssued
    operator: str
    pupils: tuple[Ref, ...] = ()
    class_id: str | None = None
    absent: tuple[Ref, ...] = ()
    serving: str = ""
    how: How = How.CLASS_LIST
    confirmed_by: str = ""
    asked: bool = False
    """Who is served only when the cashier is asked (paid without an order, and the like) is served, too."""

    def done_at(self, till: OpenTill, now: datetime) -> MealsIssued:
        """The class is as it stands when the request is served."""
        pupils = list(self.pupils)
        if self.class_id is not None:
            pupils += pupils_of(till.counter, self.class_id, self.absent, now)
        answered = dict.fromkeys(pupils, ALL_ANSWERED) if self.asked else NOTHING_ANSWERED
        batch = ServingList(self.serving, self.how, self.operator, now, self.confirmed_by, answered)
        require_whole(till.counter, pupils, batch)
        return MealsIssued(tuple(PupilServed.of(one) for one in issue(till.counter, pupils, batch)))


class SellProducts(_Asked, frozen=True):
    """Products of the price list, by how many of each, from the pupil's buffet account."""

    gives: ClassVar[type[TillAnswer]] = SaleDone
    pupil: Ref
    counts: dict[str, int]
    operator: str

    def done_at(self, till: OpenTill, now: datetime) -> SaleDone:
        """All of them or none."""
        sold = sell(till.counter, self.pupil, self.counts, self.operator, now)
        decision = sold.decision
        return SaleDone(
            message=str(decision.outcome.message),
            accepted=decision.outcome.accepted,
            sold_minor=decision.sold_minor,
            currency=till.counter.policy.currency,
            forbidden=decision.forbidden,
            sequence=sold.sequence,
            reasons=recorded(decision.facts),
        )


class AnnulLast(_Asked, frozen=True):
    """Annul the pupil's last meal or sale, or exactly `row`, which then must be the last (M-34)."""

    gives: ClassVar[type[TillAnswer]] = AnnulDone
    pupil: Ref
    operator: str
    row: int | None = None

    def done_at(self, till: OpenTill, now: datetime) -> AnnulDone:
        """The last one when the request is served."""
        record = annul(till.counter, self.pupil, self.operator, now, of=self.row)
        return AnnulDone(record.of, record.returned_minor, record.currency)


class CorrectAttendance(_Asked, frozen=True):
    """Who is not there today, and who is after all (M-33)."""

    gives: ClassVar[type[TillAnswer]] = Recorded
    operator: str
    absent: tuple[Ref, ...] = ()
    present: tuple[Ref, ...] = ()

    def done_at(self, till: OpenTill, now: datetime) -> Recorded:
        """Only changes are recorded."""
        return Recorded(len(correct_attendance(till.counter, self.absent, self.present, self.operator, now)))


class MarkNotCollected(_Asked, frozen=True):
    """Mark today's orders of a meal that were not collected (M-32)."""

    gives: ClassVar[type[TillAnswer]] = Recorded
    kind: str
    operator: str

    def done_at(self, till: OpenTill, now: datetime) -> Recorded:
        """Each order once."""
        return Recorded(len(mark_not_collected(till.counter, self.kind, self.operator, now)))


class LendCard(_Asked, frozen=True):
    """For today let a spare card stand for a pupil (M-35)."""

    gives: ClassVar[type[TillAnswer]] = CardLentUntil
    seen_in: ClassVar[str] = "journal show --kind CardLent"
    card: Ref
    pupil: Ref
    operator: str
    confirmed_by: str = ""

    def done_at(self, till: OpenTill, now: datetime) -> CardLentUntil:
        """Until the end of the service day."""
        return CardLentUntil(
            lend_card(till.counter, self.card, self.pupil, self.operator, self.confirmed_by, now).day
        )


class CloseDay(_Asked, frozen=True):
    """Close the day; from then on nothing of it is annulled (M-34)."""

    gives: ClassVar[type[TillAnswer]] = DayIsClosed
    operator: str

    def done_at(self, till: OpenTill, now: datetime) -> DayIsClosed:
        """With the report as it stands at that moment."""
        return DayIsClosed(close_day(till.counter, self.operator, now), concession_names(till.counter.policy))


class LoadRoster(_Asked, frozen=True):
    """Check a roster and put it in force; an older one is refused (O-01)."""

    gives: ClassVar[type[TillAnswer]] = RosterInForce
    seen_in: ClassVar[str] = "journal show --kind RosterLoaded"
    file: ListFile

    def done_at(self, till: OpenTill, now: datetime) -> RosterInForce:
        """From the next tap on."""
        roster = till.load_roster(self.file, now)
        if roster is None:
            document = self.file.document(RosterDocument)
            return RosterInForce.of(Roster.of(document, till.counter.policy), waits=True)
        return RosterInForce.of(roster)


class LoadPriceList(_Asked, frozen=True):
    """Check a price list and put it in force; an older one is refused (O-01)."""

    gives: ClassVar[type[TillAnswer]] = PricesInForce
    file: ListFile

    def done_at(self, till: OpenTill, now: datetime) -> PricesInForce:
        """From the next sale on."""
        header, products = (document := self.file.document(PriceListDocument)).header, len(document.products)
        if not till.lists.put(SetKind.PRICES, self.file, now, till.counter.journal):
            return PricesInForce(header.school, header.sequence, products, unix_ms(header.valid_from))
        till.counter.price_list = till.lists.price_list()
        return PricesInForce(header.school, header.sequence, products)


class LoadPayments(_Asked, frozen=True):
    """Payments of the parents, each once (`terminal.canteen.payments`)."""

    gives: ClassVar[type[TillAnswer]] = PaymentsLoaded
    seen_in: ClassVar[str] = "canteen roster show"
    content: bytes
    operator: str

    def done_at(self, till: OpenTill, now: datetime) -> PaymentsLoaded:
        """All of the file or nothing."""
        taken = take_payments(till.counter, self.content, self.operator, now)
        return PaymentsLoaded(taken.new, taken.known, taken.sum_minor, till.counter.policy.currency)


class OrderMeal(_Asked, frozen=True):
    """A meal for a coming day, or such an order taken back (M-32)."""

    gives: ClassVar[type[TillAnswer]] = Recorded
    seen_in: ClassVar[str] = "journal show --kind MealOrdered"
    pupil: Ref
    kind: str
    operator: str
    day: str = ""
    """Empty: the pupil's next school day."""
    cancelled: bool = False

    def done_at(self, till: OpenTill, now: datetime) -> Recorded:
        """Until the document's cut-off."""
        day = date.fromisoformat(self.day) if self.day else next_school_day(till.counter, self.pupil, now)
        made = order_meal(
            till.counter, self.pupil, self.kind, day, self.operator, now, cancelled=self.cancelled
        )
        return Recorded(int(made is not None))


class ListPupils(_Asked, frozen=True):
    """The pupils of one class or of all with their accounts; names only when asked for (D-02)."""

    gives: ClassVar[type[TillAnswer]] = PupilsListed
    changes: ClassVar[bool] = False
    class_id: str | None = None
    names: bool = False

    def done_at(self, till: OpenTill, now: datetime) -> PupilsListed:
        """As the accounts stand now."""
        roster = till.counter.require_roster()
        wanted = (one for one in roster.pupils.items() if self.class_id in (None, one[1].class_id))
        return PupilsListed(
            tuple(self._line(till.counter, ref, listed, now) for ref, listed in wanted),
            till.counter.policy.currency,
        )

    def _line(self, counter: CanteenCounter, ref: bytes, listed: RosterPupil, now: datetime) -> ListedPupil:
        pupil = counter.pupil(ref, now)
        assert pupil is not None, "taken from the roster"
        hot, buffet = (
            None if account is None else account.balance_minor for account in (pupil.hot, pupil.buffet)
        )
        return ListedPupil(listed.ref, listed.class_id, hot, buffet, listed.name if self.names else "")


class ComparePupils(_Asked, frozen=True):
    """What loading a list of pupils would change, and what is doubtful in it; nothing is changed."""

    gives: ClassVar[type[TillAnswer]] = PupilsCompared
    changes: ClassVar[bool] = False
    draft: PupilDraft

    def done_at(self, till: OpenTill, now: datetime) -> PupilsCompared:
        """Against the list that is in force now."""
        return PupilsCompared.of(compared(till.counter, self.draft, now))


class LoadPupils(_Asked, frozen=True):
    """Put a list of pupils in force, as compared at that moment: all of it or, while something is doubtful, nothing."""

    gives: ClassVar[type[TillAnswer]] = PupilsCompared
    seen_in: ClassVar[str] = "journal show --kind RosterLoaded"
    draft: PupilDraft
    operator: str

    def done_at(self, till: OpenTill, now: datetime) -> PupilsCompared:
        """From the next tap on."""
        return PupilsCompared.of(load_pupils(till, self.draft, self.operator, now))


class TieCard(_Asked, frozen=True):
    """From now on let a card that was presented here stand for a pupil (M-35); with `replaces` his others are lost."""

    gives: ClassVar[type[TillAnswer]] = Recorded
    seen_in: ClassVar[str] = "journal show --kind CardTied"
    card: Ref
    pupil: Ref
    operator: str
    replaces: bool = False

    def done_at(self, till: OpenTill, now: datetime) -> Recorded:
        """Until it is untied or lost."""
        return Recorded(
            len(tie_card(till.counter, self.card, self.pupil, self.operator, now, replaces=self.replaces))
        )


class MarkCard(_Asked, frozen=True):
    """Say of a pupil's card that it is lost, found, or stands for him no longer (M-35)."""

    gives: ClassVar[type[TillAnswer]] = Recorded
    seen_in: ClassVar[str] = "journal show --kind CardTied"
    card: Ref
    use: CardUse
    operator: str

    def done_at(self, till: OpenTill, now: datetime) -> Recorded:
        """From the next tap on."""
        return Recorded(len(mark_card(till.counter, self.card, self.use, self.operator, now)))


AnyRequest = (
    IssueMeals
    | SellProducts
    | AnnulLast
    | CorrectAttendance
    | MarkNotCollected
    | LendCard
    | CloseDay
    | LoadRoster
    | LoadPriceList
    | LoadPayments
    | OrderMeal
    | ListPupils
    | ComparePupils
    | LoadPupils
    | TieCard
    | MarkCard
)


def concession_names(policy: Policy) -> dict[str, str]:
    """The concessions' names by their codes, as categories of a report hold them."""
    return {str(concession.code): concession.name for concession in policy.document.concessions}
