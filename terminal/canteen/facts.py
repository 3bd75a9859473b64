"""What a decision may know of one pupil: the roster's entry and two accounts, moved on by this terminal's own
records (M-01), now or as they stood at an earlier tap.

What was stated includes this terminal's rows up to a number the roster names; only later rows move it. Subsidy
moves no account in either direction (M-03): only the parents' part of a meal is charged, and only that comes
back when a meal is annulled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from terminal.canteen.documents import RosterGrant, RosterPupil
from terminal.canteen.ledger import Ledger, RowId
from terminal.canteen.roster import Roster
from terminal.decision.canteen.entitlement import entitlement
from terminal.decision.flags import TapFlag
from terminal.decision.tap import Trail
from terminal.journal.canteen_records import CanteenAccount, MealServed, owner_of
from terminal.journal.records import AnyRecord, Intent, Unwritten
from terminal.policy.meals.index import SchoolDay
from terminal.policy.policy import Policy
from terminal.trip.pupil import Account, MealGrant, ParentLimits, Pupil

MOST_KEPT: Final = 4
"""Days for which it is kept whom a list entitles to what."""

Rights: TypeAlias = Mapping[tuple[bytes, str], tuple[str, str]]
"""By pupil and kind of meal: his class, and the category of his entitlement."""


class Known(Struct, frozen=True):
    """Where the facts come from. `left` is the last journal row that is no longer held here."""

    terminal: int
    policy: Policy
    roster: Roster
    ledger: Ledger
    left: int = 0
    clock_suspect: bool = False
    """A suspect clock's day moves no pupil into another grade (M-37): it is the one on the day of the roster."""

    def pupil(self, ref: bytes, day: date, now: datetime) -> Pupil | None:
        """The facts on a pupil for the service day `day`, or None for one the roster does not list."""
        listed = self.roster.pupils.get(ref)
        if listed is None:
            return None
        header = self.roster.header
        served, annulled = masks(ref, day, self.ledger, self.policy)
        spent_hot_minor, spent_buffet_minor = spent_today(ref, day.isoformat(), self.ledger)
        return Pupil(
            ref=ref,
            school=header.school,
            class_id=listed.class_id,
            grade=self._grade(listed.grade, day),
            shift=listed.shift,
            home_schooled=listed.home_schooled,
            grants=tuple(_grant(grant) for grant in listed.grants),
            hot=self._account(listed.hot_minor, ref, hot=True),
            buffet=self._account(listed.buffet_minor, ref, hot=False),
            spent_hot_minor=spent_hot_minor,
            spent_buffet_minor=spent_buffet_minor,
            limits=ParentLimits(listed.day_limit_minor, listed.buffet_limit_minor),
            forbidden=frozenset(listed.forbidden),
            orders=self.open_orders(listed, day),
            served=served,
            annulled=annulled,
            absent=self.ledger.absent(ref, day.isoformat()),
            cards_since=listed.cards_since,
            age=self.roster.age(now, self.policy),
        )

    def _grade(self, listed_grade: int, day: date) -> int:
        header = self.roster.header
        issued_on = self.policy.service_date(header.issued_at.astimezone(self.policy.zone))
        graded_on = issued_on if self.clock_suspect else day
        return self.policy.meals.grade_on(listed_grade, header.grades_on, graded_on)

    def attends(self, listed: RosterPupil, day: date) -> bool:
        """Whether the pupil is taught at school, and his class has a school day."""
        if listed.home_schooled:
            return False
        grade, school = self._grade(listed.grade, day), self.roster.header.school
        on = self.policy.meals.day_of(day, school, listed.class_id, grade)
        return on in (SchoolDay.ATTENDED, SchoolDay.SILENT)

    def rights(self, day: date) -> Rights:
        """Whom the list entitles to what on `day`, of those who attend; kept with the list."""
        kept, key = self.roster.worked_out, ("rights", day, self.policy.tariff, self.clock_suspect)
        if key not in kept:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[key] = dict(self._rights(day))
        rights: Rights = kept[key]
        return rights

    def _rights(self, day: date) -> Iterator[tuple[tuple[bytes, str], tuple[str, str]]]:
        """What many pupils have in common is worked out once."""
        meals, school = self.policy.meals, self.roster.header.school
        attending: dict[tuple[str, int, bool], bool] = {}
        entitled: dict[tuple[int, int, tuple[RosterGrant, ...]], tuple[tuple[str, ...], str]] = {}
        for ref, listed in self.roster.pupils.items():
            of_class = listed.class_id, listed.grade, listed.home_schooled
            if of_class not in attending:
                attending[of_class] = self.attends(listed, day)
            if not attending[of_class]:
                continue
            alike = listed.grade, listed.shift, listed.grants
            if alike not in entitled:
                grade, grants = self._grade(listed.grade, day), tuple(map(_grant, listed.grants))
                pupil = Pupil(school=school, grade=grade, shift=listed.shift, grants=grants)
                right = entitlement(pupil, meals, day, Trail())
                entitled[alike] = tuple(right.portions), right.category
            kinds, category = entitled[alike]
            for kind in kinds:
                yield (ref, kind), (listed.class_id, category)

    def open_orders(self, listed: RosterPupil, day: date) -> frozenset[str]:
        """The kinds ordered for `day` that were neither fetched nor marked as not collected (M-32)."""
        ref, on = bytes.fromhex(listed.ref), day.isoformat()
        fetched = {
            meal.line.kind for meal in self.ledger.standing(self.ledger.meals_of(ref)) if meal.day == on
        }
        return frozenset(
            kind
            for kind in self.orders(listed, day)
            if kind not in fetched and (ref, on, kind) not in self.ledger.not_collected
        )

    def orders(self, listed: RosterPupil, day: date) -> frozenset[str]:
        """The kinds ordered for `day`, by the list or at the counter."""
        at_counter = self.ledger.orders_of(bytes.fromhex(listed.ref), day.isoformat())
        return frozenset(order.kind for order in listed.orders if order.day == day) | at_counter

    def _account(self, stated_minor: int | None, ref: bytes, *, hot: bool) -> Account | None:
        if stated_minor is None:
            return None
        through = self.roster.header.through.get(str(self.terminal), 0)
        balance = hot_minor if hot else buffet_minor
        balance_minor = balance(stated_minor, ref, self.ledger, (self.terminal, through))
        return Account(balance_minor, uncertain=self.left > through)


def masks(ref: bytes, day: date, ledger: Ledger, policy: Policy) -> tuple[int, int]:
    """The kinds served on `day` and the kinds annulled, as bits; what was served again is served."""
    served = annulled = 0
    for meal in ledger.meals_of(ref):
        kind = policy.meals.kinds.get(meal.line.kind)
        if kind is None or meal.day != day.isoformat():
            continue
        if meal.row in ledger.annulments:
            annulled |= 1 << kind.bit
        else:
            served |= 1 << kind.bit
    return served, annulled


def _grant(grant: RosterGrant) -> MealGrant:
    return MealGrant(
        code=grant.code,
        valid_from=grant.valid_from,
        valid_to=grant.valid_to,
        issued_on=grant.issued_on,
        blocked=grant.blocked,
    )


def hot_minor(stated_minor: int, pupil: bytes, ledger: Ledger, through: RowId) -> int:
    """The hot-meal account: `stated_minor` includes the rows of that terminal up to `through`."""
    meals = ledger.meals_of(pupil)
    twice = ledger.duplicates(meals)
    balance = stated_minor
    for meal in meals:
        if meal.row in twice:
            continue
        if _later(meal.row, through):
            balance -= meal.parents_minor
        balance += _returned(ledger, meal.row, through)
    return balance + _credited(ledger, pupil, through, CanteenAccount.HOT)


def buffet_minor(stated_minor: int, pupil: bytes, ledger: Ledger, through: RowId) -> int:
    """The buffet account, likewise."""
    balance = stated_minor
    for sale in ledger.sales_of(pupil):
        if _later(sale.row, through):
            balance -= sale.sale.sum_minor
        balance += _returned(ledger, sale.row, through)
    return balance + _credited(ledger, pupil, through, CanteenAccount.BUFFET)


def account(stated_minor: int | None, now_minor: int, *, uncertain: bool) -> Account | None:
    """The account as a decision sees it; none where the roster states none."""
    return None if stated_minor is None else Account(now_minor, uncertain)


def spent_today(pupil: bytes, day: str, ledger: Ledger) -> tuple[int, int]:
    """What the parents paid on `day` for hot meals and in the buffet, without what was annulled."""
    meals = ledger.meals_of(pupil)
    twice = ledger.duplicates(meals)
    hot = sum(
        meal.parents_minor for meal in ledger.standing(meals) if meal.day == day and meal.row not in twice
    )
    sales = (sale for sale in ledger.sales_of(pupil) if sale.row not in ledger.annulments)
    return hot, sum(sale.sale.sum_minor for sale in sales if sale.day == day)


def _returned(ledger: Ledger, row: RowId, through: RowId) -> int:
    annulled = ledger.annulments.get(row)
    return annulled[1].returned_minor if annulled is not None and _later(annulled[0], through) else 0


def _credited(ledger: Ledger, pupil: bytes, through: RowId, account: CanteenAccount) -> int:
    """What payments since then have brought to the account."""
    credits = ledger.credits_of(pupil)
    return sum(one.amount_minor for row, one in credits if one.account is account and _later(row, through))


def _later(row: RowId, through: RowId) -> bool:
    return row[0] == through[0] and row[1] > through[1]


class Replay(Struct):
    """Goes through one terminal's rows in order. Where the first of them have left the journal, the roster's balances
    must include those (`through`), and what happened until the end of the day `begins` is not known whole.
    """

    terminal: int
    policy: Policy
    roster: Roster
    ledger: Ledger = field(default_factory=Ledger)
    begins: date | None = None

    def pupil_at(self, tap: Intent | Unwritten, at: datetime) -> Pupil | None:
        """The pupil as the tap in the next row found him; None when another roster was in force, or the rows of
        that day are not all held.
        """
        roster = tap.trip.get("canteen.roster")
        day = self._day(at)
        if tap.card_ref is None or not self._knows(roster, day):
            return None
        holder = self.ledger.holder_of(tap.card_ref, tap.person_ref, day.isoformat())
        pupil = self._known(clock_suspect=bool(tap.trip.get("clock.suspect"))).pupil(holder, day, at)
        if pupil is not None and holder != owner_of(tap.card_ref, tap.person_ref):
            return replace(pupil, cards_since=None)
        return pupil

    def listed_at(self, served: MealServed, at: datetime) -> Pupil | None:
        """The same of the pupil of a portion that the next row says was given without a card."""
        day = self._day(at)
        if not self._knows(served.meal.roster, day):
            return None
        suspect = TapFlag.CLOCK_SUSPECT in served.meal.flags
        return self._known(clock_suspect=suspect).pupil(served.pupil, day, at)

    def _day(self, at: datetime) -> date:
        return self.policy.service_date(at.astimezone(self.policy.zone))

    def _knows(self, roster: object, day: date) -> bool:
        return roster == self.roster.header.sequence and (self.begins is None or day > self.begins)

    def _known(self, *, clock_suspect: bool) -> Known:
        return Known(self.terminal, self.policy, self.roster, self.ledger, clock_suspect=clock_suspect)

    def follow(self, sequence: int, record: AnyRecord) -> None:
        """Take in one row."""
        self.ledger.apply((self.terminal, sequence), record)
