"""A pupil of a scenario: what the roster says, and how accounts and portions move from meal to meal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from terminal.decision.canteen.pupil import Account, Age, MealGrant, ParentLimits
from terminal.decision.canteen.pupil import Pupil as KnownPupil
from terminal.decision.outcome import Decision
from terminal.policy.policy import Policy
from terminal.scenario.schema import Grant, Pupil

REF: Final = b"scenario"


class PupilBook:
    """What a canteen terminal would know of the pupil, kept up to date by its own records."""

    def __init__(self, pupil: Pupil, policy: Policy) -> None:
        self._bits = {kind.id: 1 << kind.bit for kind in policy.document.meals.kinds}
        self._day: date | None = None
        self._known = KnownPupil(
            ref=REF,
            school=pupil.school,
            class_id=pupil.class_id,
            grade=pupil.grade,
            shift=pupil.shift,
            home_schooled=pupil.home_schooled,
            grants=tuple(map(_grant, pupil.grants)),
            hot=None if pupil.hot_minor is None else Account(pupil.hot_minor),
            buffet=None if pupil.buffet_minor is None else Account(pupil.buffet_minor),
            limits=ParentLimits(pupil.day_limit_minor, pupil.buffet_limit_minor),
            forbidden=frozenset(pupil.forbidden),
            orders=frozenset(pupil.orders),
            absent=pupil.absent,
            age=Age(pupil.age),
        )

    @property
    def hot_minor(self) -> int | None:
        """The hot-meal account."""
        return None if self._known.hot is None else self._known.hot.balance_minor

    def on(self, day: date) -> KnownPupil:
        """The pupil on service day `day`: what was served and spent on another one is forgotten."""
        if self._day not in (None, day):
            self._known = replace(
                self._known,
                served=0,
                annulled=0,
                spent_hot_minor=0,
                spent_buffet_minor=0,
                orders=frozenset(),
                absent=False,
            )
        self._day = day
        return self._known

    def served(self, decision: Decision, day: date) -> None:
        """Book the portion of `decision`, if it gave one."""
        meal, pupil = decision.meal, self.on(day)
        if meal is None or not decision.outcome.accepted:
            return
        paid = meal.parents_minor
        hot = pupil.hot and Account(pupil.hot.balance_minor - paid, pupil.hot.uncertain)
        self._known = replace(
            pupil,
            served=pupil.served | self._bits.get(meal.kind, 0),
            hot=hot,
            spent_hot_minor=pupil.spent_hot_minor + paid,
            orders=pupil.orders - {meal.kind},
        )


def _grant(grant: Grant) -> MealGrant:
    return MealGrant(grant.code, grant.valid_from, grant.valid_to, grant.valid_from, grant.grade, grant.shift)
