"""What a tap in a canteen comes to, by docs/rules.md (M-01 to M-37), docs/tariff-author.md and docs/canteen.md.

By card and by the school's list alike; the buffet, class lists and lent cards are not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from typing import Final

from terminal.lab.oracle import card as cards
from terminal.lab.oracle.card import OracleAnswer, OracleCard, OracleMeal, OracleTap, refused
from terminal.lab.oracle.tariff import WEEKDAYS, DocumentTable, Tariff, replace

PARENTS: Final = "parents"
BY_SHIFT: Final = "by_shift"
HIGHEST_GRADE: Final = 99


@dataclass(frozen=True)
class OracleGround:
    """A ground for meals, both days included; `grade` (on its first day) and `shift` are 0 where not stated."""

    code: int
    first: date
    last: date
    issued: date
    grade: int = 0
    shift: int = 0
    blocked: bool = False


@dataclass(frozen=True)
class OraclePupil:
    """What the school's list says of a pupil. `hot` is the hot-meal account now, None where there is none; `spent` is
    what parents have paid today, `orders` what they ordered for today and was not collected yet."""

    grade: int = 0
    grades_on: date = date.min
    shift: int = 0
    class_id: str = ""
    grounds: tuple[OracleGround, ...] = ()
    hot: int | None = None
    spent: int = 0
    day_limit: int | None = None
    orders: frozenset[str] = frozenset()
    home_schooled: bool = False
    cards_since: date | None = None


@dataclass(frozen=True)
class OracleTill:
    """The canteen of a tap: which school, what it serves (empty: the meal of the hour), who stands there if the list
    has them, and what this terminal served to them today."""

    school: str = ""
    serving: str = ""
    pupil: OraclePupil | None = None
    served: frozenset[str] = frozenset()
    day_closed: bool = False
    selling: bool = True


NOWHERE_KNOWN: Final = OracleTill()


@dataclass(frozen=True)
class _MealRight:
    """What a ground gives: portions by kind."""

    code: int
    portions: Mapping[str, DocumentTable] = field(default_factory=dict)

    @property
    def sum_minor(self) -> int:
        return sum(portion["sum_minor"] for portion in self.portions.values())


class OracleCanteen:
    """One tap: the card as it was (`old`) and in today's periods (`card`)."""

    def __init__(
        self, tariff: Tariff, old: OracleCard, card: OracleCard, tap: OracleTap, till: OracleTill
    ) -> None:
        self.tariff, self.old, self.card, self.tap, self.till = tariff, old, card, tap, till
        self.meals: DocumentTable = tariff.doc.get("meals", {})
        self.day, self.now = tariff.day(tap.at), tariff.local(tap.at).time()
        schools = {row["id"]: row for row in self.meals.get("schools", [])}
        self.school: DocumentTable = schools.get(till.school, {})
        self.windows: list[DocumentTable] = self.school.get("windows", [])
        shifts = self.school.get("by_shift") or self.meals.get("by_shift", [])
        self.by_shift: dict[int, str] = {row["shift"]: row["kind"] for row in shifts}
        self.had = card.meals | till.served
        self.portions = self._portions()

    def decide(self) -> OracleAnswer:
        """The refusals in their order, then who pays."""
        kind = self._kind()
        if self.till.day_closed or self._lost():
            return refused(self.old, "serving_closed" if self.till.day_closed else "blocked")
        if kind is None:
            return refused(self.old, "meal_not_arranged" if self.till.serving == BY_SHIFT else "no_meal_now")
        if self.till.pupil is not None and self.till.pupil.home_schooled:
            return refused(self.old, "not_on_site")
        if kind in self.had:
            return refused(self.old, "meal_already", meal=kind)
        if self.tap.trusted and self._none_today():
            return refused(self.old, "no_meal_today")
        given = self.portions.get(kind)
        sources = {PARENTS: self._price(kind)} if given is None else dict(given)
        return self._unasked(kind, self._charged(kind, sources, entitled=given is not None))

    def _unasked(self, kind: str, answer: OracleAnswer) -> OracleAnswer:
        """The meal, unless the cashier decides of it."""
        meal = answer.meal
        asks = meal is not None and self._asks(kind, entitled=meal.entitled)
        return refused(self.old, "meal_ask", meal=kind) if asks else answer

    def _lost(self) -> bool:
        since = None if self.till.pupil is None else self.till.pupil.cards_since
        return since is not None and self.old.issued < since

    def _charged(self, kind: str, sources: Mapping[str, int | None], *, entitled: bool) -> OracleAnswer:
        pupil, share = self.till.pupil, sources.get(PARENTS, 0)
        hot = None if pupil is None else pupil.hot
        if not entitled:
            if share is None or hot is None:
                return refused(self.old, "meal_not_arranged")
            if not self.till.selling or (self.tap.at >= self.tariff.over_at and not self.tap.suspect):
                return refused(self.old, "selling_stopped")
            needs_order = self.meals.get("pre_order", {}).get("paid_needs_order", False)
            if needs_order and pupil is not None and kind not in pupil.orders:
                return refused(self.old, "meal_not_ordered")
        if pupil is not None and hot is not None and share and kind not in pupil.orders:
            if pupil.day_limit is not None and pupil.spent + share > pupil.day_limit:
                return refused(self.old, "meal_limit")
            if hot - self._put_aside(pupil) - share < -self._credit(share):
                return refused(self.old, "no_funds")
        after = replace(self.card, kind="meal", meals=self.had | {kind})
        by = "budget" if entitled else "nothing"
        after = after if after.inside else replace(after, route=0, direction=0, paid_by=by)
        meal = OracleMeal(kind, {name: sum_ or 0 for name, sum_ in sources.items()}, entitled)
        written = cards.written(self.tariff, after, self.tap)
        return OracleAnswer("let_in", "meal_ok", written, 0, {"meal": kind}, True, meal=meal)

    def _asks(self, kind: str, *, entitled: bool) -> bool:
        """Whether the cashier decides; by a tap alone nothing is answered. A switch that is not stated asks."""
        asked, pupil = self.meals.get("ask", {}), self.till.pupil
        if entitled:
            switch = "not_listed" if pupil is None and self.till.school else ""
        elif pupil is not None and kind in pupil.orders:
            switch = ""
        else:
            switch = "other_entitlement" if self.portions else "without_order"
        return switch != "" and asked.get(switch, "ask") == "ask"

    # What is served (M-15, M-30, M-37)

    def _kind(self) -> str | None:
        kinds = {row["id"]: row for row in self.meals.get("kinds", [])}
        if self.till.serving == BY_SHIFT:
            return self.by_shift.get(self._shift())
        if self.till.serving:
            return self.till.serving if self.till.serving in kinds else None
        own = {name: [row for row in self.windows if row["kind"] == name] for name in kinds}
        windows = {name: own[name] or [row] for name, row in kinds.items()}
        served = [
            name
            for name, rows in windows.items()
            if any(row["served_from"] <= self.now < row["served_until"] for row in rows)
        ]
        kind = next(iter(served), None)
        if not self.tap.trusted and not self.had and self.portions and kind not in self.portions:
            return min(self.portions, key=lambda name: min(row["served_from"] for row in windows[name]))
        return kind

    def _shift(self) -> int:
        pupil = self.till.pupil
        on_card = (right.number >> 4 for right in self.card.grants if right is not None and right.number >> 4)
        return (pupil.shift if pupil else 0) or next(on_card, 1)

    # Whether there is a meal at all today (M-17)

    def _none_today(self) -> bool:
        calendars = {row["id"]: row for row in self.meals.get("calendars", [])}
        ours = (calendars[name] for name in self.school.get("calendars", []))
        dated = next((row for row in ours if row["first"] <= self.day <= row["last"]), None)
        return self._break() or (dated is not None and not self._attended(dated))

    def _attended(self, calendar: DocumentTable) -> bool:
        holidays = any(row["first"] <= self.day <= row["last"] for row in calendar.get("holidays", []))
        on_weekday = WEEKDAYS[self.day.weekday()] in calendar["weekdays"]
        return (on_weekday and not holidays) or self.day in calendar.get("extra", [])

    def _break(self) -> bool:
        return any(
            row["first"] <= self.day <= row["last"] and self._breaks_for(row)
            for row in self.school.get("breaks", [])
        )

    def _breaks_for(self, row: DocumentTable) -> bool:
        pupil = self.till.pupil
        if "grades" not in row and not row.get("classes"):
            return True
        class_id = "" if pupil is None else pupil.class_id
        grade = 0 if pupil is None else self._moved_up(pupil.grade, pupil.grades_on)
        by_grade = "grades" in row and row["grades"]["first"] <= grade <= row["grades"]["last"]
        return by_grade or class_id in row.get("classes", [])

    # What the pupil is entitled to (M-10 to M-16, M-20, O-02)

    def _portions(self) -> dict[str, dict[str, int]]:
        """Who pays what of each kind."""
        rights: dict[int, _MealRight] = {}
        for ground in self._grounds():
            right = self._right(ground)
            if right is not None:
                rights.setdefault(right.code, right)
        portions: dict[str, dict[str, int]] = {}
        for right in self._combined(list(rights.values())):
            for kind, portion in right.portions.items():
                sources = portions.setdefault(kind, {})
                for funder in portion["funders"]:
                    sources[funder["source"]] = sources.get(funder["source"], 0) + funder["sum_minor"]
        return portions

    def _grounds(self) -> Iterable[OracleGround]:
        """Of card and list the newer issue of each code; a block of the list always wins."""
        listed = () if self.till.pupil is None else self.till.pupil.grounds
        grounds = [
            OracleGround(
                right.code, right.first, right.last, self.card.issued, right.number & 15, right.number >> 4
            )
            for right in self.card.grants
            if right is not None
        ]
        for ground in listed:
            same = [known for known in grounds if known.code == ground.code]
            if ground.blocked or not same or ground.issued > same[0].issued:
                grounds = [*(known for known in grounds if known.code != ground.code), ground]
        return [ground for ground in grounds if self._holds(ground)]

    def _holds(self, ground: OracleGround) -> bool:
        dated = ground.first <= self.day <= ground.last or not self.tap.trusted
        return dated and not ground.blocked

    def _right(self, ground: OracleGround) -> _MealRight | None:
        """The first entitlement of the code that grade and shift do not contradict; the list knows them better."""
        pupil = self.till.pupil
        grade = self._moved_up(ground.grade, ground.first)
        if pupil is not None and pupil.grade:
            grade = self._moved_up(pupil.grade, pupil.grades_on)
        shift = (pupil.shift if pupil else 0) or ground.shift or 1
        for rule in (row for row in self.meals.get("entitlements", []) if row["code"] == ground.code):
            grades = rule.get("grades", {"first": 0, "last": HIGHEST_GRADE})
            fits = not grade or grades["first"] <= grade <= grades["last"]
            if fits and rule.get("shift", shift) == shift:
                named = {self._named(portion["kind"], shift): portion for portion in rule["portions"]}
                return _MealRight(ground.code, {kind: row for kind, row in named.items() if kind is not None})
        return None

    def _named(self, kind: str, shift: int) -> str | None:
        return self.by_shift.get(shift) if kind == BY_SHIFT else kind

    def _moved_up(self, grade: int, since: date) -> int:
        """The grade on this day of a pupil who was in `grade` on `since`; a clock in doubt moves none up."""
        year = {"month": 9, "day": 1, **self.meals.get("school_year", {})}
        begins = year["month"], year["day"]
        years = [day.year - ((day.month, day.day) < begins) for day in (since, self.day)]
        return grade and grade + (years[1] - years[0]) * self.tap.trusted

    def _combined(self, rights: list[_MealRight]) -> tuple[_MealRight, ...]:
        """M-16: a pair replaces, adds, or the one with more meals holds, then the larger sum, then the smaller code."""
        pairs = self.meals.get("combine", [])
        codes = {right.code for right in rights}
        lost = {row["loser"] for row in pairs if row["kind"] == "replace" and row["winner"] in codes}
        added = [set(row["codes"]) for row in pairs if row["kind"] == "add"]
        left = [right for right in rights if right.code not in lost]
        together = [
            group
            for size in range(1, len(left) + 1)
            for group in combinations(left, size)
            if all({a.code, b.code} in added for a, b in combinations(group, 2))
        ]
        return max(together, key=_worth, default=())

    # Who pays (M-01, M-02, M-32, M-36)

    def _price(self, kind: str) -> int | None:
        pupil = self.till.pupil
        grade = 0 if pupil is None else self._moved_up(pupil.grade, pupil.grades_on)
        for row in self.meals.get("prices", []):
            grades = row.get("grades")
            if row["kind"] == kind and (grades is None or grades["first"] <= grade <= grades["last"]):
                return int(row["price_minor"])
        return None

    def _credit(self, share: int) -> int:
        credit = self.meals.get("credit", {"kind": "none"})
        return {"one_meal": share, "amount": int(credit.get("limit_minor", 0))}.get(credit["kind"], 0)

    def _put_aside(self, pupil: OraclePupil) -> int:
        """What today's open orders will take from the account."""
        shares = (
            self.portions[kind].get(PARENTS, 0) if kind in self.portions else self._price(kind) or 0
            for kind in pupil.orders
        )
        return sum(shares)


def _worth(group: tuple[_MealRight, ...]) -> tuple[int, int, int]:
    kinds = {kind for right in group for kind in right.portions}
    return len(kinds), sum(right.sum_minor for right in group), -min(right.code for right in group)
