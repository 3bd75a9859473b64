"""The canteen's counter: what its terminal works with, what it knows of a pupil, and how it writes things down.

Thin: who is served, and why not, is decided in `terminal.decision.canteen_*`. Lists are in `issuing`, the buffet
in `buffet`, what is put right in `corrections`; all of them write through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field, structs

from terminal.canteen.documents import RosterDocument, RosterPupil
from terminal.canteen.facts import Known, masks
from terminal.canteen.ledger import Ledger
from terminal.canteen.lines import line_of
from terminal.canteen.price_list import PriceList
from terminal.canteen.roster import Roster
from terminal.canteen.spare_log import SpareLog
from terminal.clock import unix_ms
from terminal.codes import CanteenFault
from terminal.decision.canteen.effects import AccountEffect, MealEffect
from terminal.decision.canteen.serving import stopped_by
from terminal.decision.effects import TerminalEffect
from terminal.decision.flags import MealFlag
from terminal.decision.meal import Serving
from terminal.decision.outcome import Message, Outcome
from terminal.decision.tap import Trail
from terminal.errors import CanteenRefused, JournalError, JournalFull
from terminal.journal.canteen_records import IssueRefused, MealServed, RosterLoaded, ServedBy, owner_of
from terminal.journal.journal import Journal
from terminal.journal.records import AnyRecord
from terminal.policy.document.meals import MealKind
from terminal.policy.policy import Policy
from terminal.trail import Effect, Reason, recorded
from terminal.trip.pupil import CanteenContext, Pupil

if TYPE_CHECKING:
    from terminal.canteen.pupil_files import PupilFiles

AGAINST_SERVING: Final[Mapping[Effect, Message]] = {
    TerminalEffect.NO_SHIFT: Message.SHIFT_CLOSED,
    MealEffect.DAY_CLOSED: Message.SERVING_CLOSED,
}
"""The message when nothing may be served at all (`CanteenCounter.against_serving`)."""
SPARE_ROWS: Final = 1 << 62
"""Row numbers above every journal's, for meals that are in the spare log only."""


class CanteenCounter(Struct):
    """One canteen terminal at work. `journal` is None when it cannot be opened: then only entitled meals go on.

    `serving` is what taps are for: a meal kind, "by_shift" for each pupil's own (M-30 stream), or empty for the
    meal of the hour. `clock_suspect` says whether the clock can be believed now (O-05), `only_read` whether a tap says
    who stands there and no more, `elsewhere` which kinds (bits) other terminals of the school say they served to a
    pupil on a day, and `said_elsewhere` which of them gave one kind, and when; all answer at once. Call `start` before
    anything else. Times are aware; days are service days.
    """

    terminal: int
    policy: Policy
    journal: Journal | None
    roster: Roster | None
    spare: SpareLog
    price_list: PriceList | None = None
    serving: str = ""
    clock_suspect: Callable[[], bool] = lambda: False
    only_read: Callable[[], bool] = lambda: False
    elsewhere: Callable[[bytes, date], int] = lambda _pupil, _day: 0
    said_elsewhere: Callable[[bytes, str, date], tuple[int, datetime] | None] = lambda _pupil, _kind, _day: (
        None
    )
    ledger: Ledger = field(default_factory=Ledger)
    files: PupilFiles | None = None
    """Where cards of pupils and a list that is being checked are kept; None where the terminal has no folder."""
    _broken: bool = False

    def start(self) -> int:
        """Read what was done so far; bring meals of the spare log into the journal. Returns how many (O-06).

        Raises `JournalError` when the spare log is damaged or the journal does not take them.
        """
        spared = self.spare.meals()
        if self.files is not None:
            self.ledger.cards.restore(self.files.cards())
        if self.journal is None:
            for number, spare in enumerate(spared):
                self.ledger.apply((self.terminal, SPARE_ROWS + number), spare.meal)
            return 0
        self.ledger.follow(self.journal)
        missing = [spare for spare in spared if spare.number not in self.ledger.spare]
        for spare in missing:
            self.journal.append(_as_spared(spare.meal, spare.number))
        self.spare.clear()
        self.ledger.follow(self.journal)
        self.keep_cards()
        return len(missing)

    def keep_cards(self) -> None:
        """Keep which card is whose outside the journal, whose rows leave this terminal. Raises `JournalError`."""
        if self.files is not None:
            self.files.keep_cards(self.ledger.cards.held())

    # What it works with

    def take_roster(self, document: RosterDocument) -> Roster:
        """It is in force from the next tap on."""
        self.roster = Roster.of(document, self.policy)
        return self.roster

    def note_roster(self, document: RosterDocument, now: datetime) -> None:
        """The journal says which roster came into force, and how far its balances reach. Raises `JournalError`."""
        header, pupils = document.header, len(document.pupils)
        through = header.through.get(str(self.terminal), 0)
        self.append(RosterLoaded(unix_ms(now), header.school, header.sequence, through, pupils))

    @property
    def school(self) -> str:
        """Where the terminal stands; empty while no roster says so."""
        return "" if self.roster is None else self.roster.header.school

    @property
    def roster_sequence(self) -> int:
        """The roster in force, 0 when there is none."""
        return 0 if self.roster is None else self.roster.header.sequence

    def require_roster(self) -> Roster:
        """The roster in force. Raises `CanteenRefused` while there is none."""
        if self.roster is None:
            raise CanteenRefused(
                "no roster is loaded",
                "Load one: `terminal canteen roster load FILE`.",
                CanteenFault.NO_ROSTER,
            )
        return self.roster

    def require_listed(self, ref: bytes) -> RosterPupil:
        """The pupil as the roster lists him. Raises `CanteenRefused` for one it does not, and while there is none."""
        listed = None if self.roster is None else self.roster.pupils.get(ref)
        if listed is None:
            raise CanteenRefused(
                "not in the roster of this school", "Check the reference.", MealEffect.NOT_LISTED
            )
        return listed

    def require_kind(self, kind: str) -> MealKind:
        """The meal by its id. Raises `CanteenRefused` for one that the document does not have."""
        kinds = self.policy.meals.kinds
        if kind not in kinds:
            raise CanteenRefused(
                f"no meal {kind!r} here", f"There are: {', '.join(kinds)}.", CanteenFault.NO_MEAL
            )
        return kinds[kind]

    @property
    def shift(self) -> int:
        """The open shift, 0 when there is none."""
        opened = None if self.journal is None else self.journal.open_shift
        return 0 if opened is None else opened.shift

    @property
    def paid_stopped(self) -> bool:
        """O-06: the journal takes no more records, so nothing may be sold."""
        return self._broken or self.journal is None or self.journal.full

    def stopped(self, now: datetime) -> Effect | None:
        """Why nothing may be sold, while meals that budgets pay go on."""
        return stopped_by(
            self.policy.document, now, journal=self.paid_stopped, clock_suspect=self.clock_suspect()
        )

    def day_of(self, now: datetime) -> date:
        """The service day of `now`."""
        return self.policy.service_date(now.astimezone(self.policy.zone))

    def time_of(self, now: datetime) -> time:
        """The local time of day."""
        return now.astimezone(self.policy.zone).time()

    def against_serving(self, now: datetime) -> Reason | None:
        """Why nothing may be served or sold at all, or None (T-60, M-34)."""
        if self.journal is not None and self.journal.open_shift is None:
            return Reason(TerminalEffect.NO_SHIFT)
        if self.day_closed(now):
            return Reason(MealEffect.DAY_CLOSED, {"day": self.day_of(now).isoformat()})
        return None

    def day_closed(self, now: datetime) -> bool:
        """Whether this terminal closed the service day of `now`."""
        return self.day_of(now).isoformat() in self.ledger.closed_days

    # What a decision may know

    def follow(self) -> None:
        """Take in the journal's new rows; one that cannot be read has stopped, and what is known stays known (O-06)."""
        if self.journal is None or self._broken:
            return
        try:
            self.ledger.follow(self.journal)
        except JournalError:
            self._broken = True

    def known(self) -> Known | None:
        """Where facts on pupils come from; None while there is no roster."""
        if self.roster is None:
            return None
        left = 0 if self.journal is None else self.journal.base.sequence
        return Known(self.terminal, self.policy, self.roster, self.ledger, left, self.clock_suspect())

    def pupil(self, ref: bytes, now: datetime) -> Pupil | None:
        """The facts on a pupil for the service day of `now`, or None for one no roster lists."""
        known = self.known()
        return None if known is None else known.pupil(ref, self.day_of(now), now)

    def context(self, card_ref: bytes, person_ref: bytes | None, now: datetime) -> CanteenContext:
        """What to tell the decision on a tap of this card of this person; a lent one stands for its borrower (M-35)."""
        self.follow()
        day = self.day_of(now)
        holder = self.ledger.holder_of(card_ref, person_ref, day.isoformat())
        pupil = self.pupil(holder, now)
        if pupil is None:
            served, annulled = masks(holder, day, self.ledger, self.policy)
            pupil = Pupil(holder, self.school, served=served, annulled=annulled, listed=False)
        elif holder != owner_of(card_ref, person_ref):
            pupil = structs.replace(
                pupil, cards_since=None
            )  # a spare card may be older than the one that was lost
        return CanteenContext(
            school=self.school,
            serving=self.serving,
            pupil=pupil,
            day_closed=self.day_closed(now),
            paid_stopped=self.paid_stopped,
            roster=self.roster_sequence,
            only_read=self.only_read(),
            elsewhere=self.elsewhere(holder, day),
            lost_since=self.ledger.cards.lost_since(card_ref),
        )

    def person_of(self, card_ref: bytes, person_ref: bytes | None) -> bytes | None:
        """Whom this card of this person stands for: the pupil it was tied to, else that person."""
        return self.ledger.cards.pupil_of(card_ref, person_ref) or person_ref

    # Writing down

    def append(self, record: AnyRecord) -> int:
        """Return the row of `record`, durable. Raises `JournalError`; a journal that broke is not asked again."""
        if self.journal is None or self._broken:
            raise JournalError(
                "the journal takes no records", "Serve entitled meals only and tell the operator."
            )
        try:
            sequence = self.journal.append(record)
        except JournalFull:
            raise
        except JournalError:
            self._broken = True
            raise
        self.follow()
        return sequence

    def serve_without_journal(
        self,
        card_ref: bytes,
        person_ref: bytes | None,
        meal: Serving,
        facts: tuple[Reason, ...],
        now: datetime,
    ) -> Reason:
        """O-06: a tap's entitled meal when the journal failed; the card stays as it is. Says where it was noted."""
        self._broken = True
        holder = self.ledger.holder_of(card_ref, person_ref, meal.day.isoformat())
        return self.write_spare(self.meal_record(holder, meal, ServedBy.CARD, facts, now))

    def write_spare(self, record: MealServed) -> Reason:
        """O-06: note an entitled meal elsewhere than in the journal; it counts at once (M-19)."""
        self.ledger.apply((self.terminal, SPARE_ROWS + len(self.ledger.meals)), record)
        try:
            self.spare.append(record)
        except JournalError:
            return Reason(AccountEffect.ON_PAPER)
        return Reason(AccountEffect.IN_SPARE_LOG)

    def note_refusal(
        self, ref: bytes, how: ServedBy, operator: str, outcome: Outcome, trail: Trail, now: datetime
    ) -> None:
        """Count a refusal by its reason (T-66). No money depends on it, so a failing journal stops nothing."""
        if self.paid_stopped:
            return
        refused = IssueRefused(
            at_ms=unix_ms(now),
            pupil=ref,
            shift=self.shift,
            how=how,
            operator=operator,
            message=outcome.message,
            tariff=self.policy.tariff,
            reasons=recorded(trail.reasons),
            currency=self.policy.currency,
        )
        try:
            self.append(refused)
        except JournalError:
            return  # the next meal or sale meets the same fault and says so

    def meal_record(
        self,
        ref: bytes,
        meal: Serving,
        how: ServedBy,
        facts: tuple[Reason, ...],
        now: datetime,
        *,
        operator: str = "",
        confirmed_by: str = "",
    ) -> MealServed:
        """The record of a portion that was given without writing a card."""
        return MealServed(
            at_ms=unix_ms(now),
            pupil=ref,
            shift=self.shift,
            how=how,
            operator=operator,
            meal=line_of(meal, self.roster_sequence),
            tariff=self.policy.tariff,
            reasons=recorded(facts),
            confirmed_by=confirmed_by,
            currency=self.policy.currency,
        )


def _as_spared(meal: MealServed, number: int) -> MealServed:
    line = msgspec.structs.replace(meal.meal, flags=(*meal.meal.flags, MealFlag.FROM_SPARE_LOG))
    return msgspec.structs.replace(meal, meal=line, spare=number)
