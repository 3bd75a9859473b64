"""What a decision may know of one pupil: the roster's entry, moved on by this terminal's own records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from terminal.canteen.accounts import buffet_minor, hot_minor, spent_today
from terminal.canteen.documents import Grant, RosterPupil
from terminal.canteen.ledger import Ledger
from terminal.canteen.roster import Roster
from terminal.decision.canteen.pupil import Account, MealGrant, ParentLimits, Pupil
from terminal.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class Known:
    """Where the facts come from. `left` is the last journal row that is no longer held here."""

    terminal: int
    policy: Policy
    roster: Roster
    ledger: Ledger
    left: int = 0

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
            grade=self.policy.meals.grade_on(listed.grade, header.grades_on, day),
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

    def open_orders(self, listed: RosterPupil, day: date) -> frozenset[str]:
        """The kinds ordered for `day` that were neither fetched nor marked as not collected (M-32)."""
        ref, on = bytes.fromhex(listed.ref), day.isoformat()
        fetched = {
            meal.line.kind for meal in self.ledger.standing(self.ledger.meals_of(ref)) if meal.day == on
        }
        return frozenset(
            order.kind
            for order in listed.orders
            if order.day == day
            and order.kind not in fetched
            and (ref, on, order.kind) not in self.ledger.not_collected
        )

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


def _grant(grant: Grant) -> MealGrant:
    return MealGrant(
        code=grant.code,
        valid_from=grant.valid_from,
        valid_to=grant.valid_to,
        issued_on=grant.issued_on,
        blocked=grant.blocked,
    )
