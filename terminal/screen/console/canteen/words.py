"""The canteen's codes in the reader's language: meals, foods, reasons, notices, findings, sources of money.

What a document names in its own words (a product, a concession, a new kind of meal) is shown as it stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from terminal.canteen.issuing import How
from terminal.canteen.report import Finding
from terminal.codes import CanteenFault
from terminal.decision.canteen.effects import CorrectionEffect, MealEffect
from terminal.decision.effects import TerminalEffect
from terminal.decision.flags import MealFlag
from terminal.messages import text
from terminal.screen.console.canteen.counter import Elsewhere, Notice
from terminal.screen.console.canteen.report import Category
from terminal.screen.console.console import TapsAre
from terminal.texts import N_, Translator, translator

MEALS: Final[Mapping[str, str]] = {
    "breakfast": N_("Breakfast"),
    "second_breakfast": N_("Second breakfast"),
    "lunch": N_("Lunch"),
    "snack": N_("Snack"),
    "dinner": N_("Dinner"),
    "by_shift": N_("Meal of the shift"),
}

FOODS: Final[Mapping[str, str]] = {
    "nuts": N_("nuts"),
    "milk": N_("milk"),
    "gluten": N_("gluten"),
    "eggs": N_("eggs"),
    "fish": N_("fish"),
    "citrus": N_("citrus fruit"),
    "honey": N_("honey"),
    "sugar": N_("sugar"),
    "chocolate": N_("chocolate"),
    "soy": N_("soya"),
    "meat": N_("meat"),
    "pork": N_("pork"),
}

WHYS: Final[Mapping[str, str]] = {
    "no_meal_now": N_("Nothing is served at this hour."),
    "none_for_shift": N_("The region document assigns no meal to this shift."),
    "no_such_meal": N_("The region document has no such meal."),
    "no_meals_today": N_("By the school's calendar there are no meals today."),
    "not_ordered": N_("There is no order for it, or it was fetched already."),
    "not_for_sale": N_("This meal is not sold."),
    "no_account": N_("The list has no account for this pupil."),
    "day_limit": N_("The parents' limit for the day is reached."),
    "buffet_limit": N_("The parents' limit for the buffet is reached."),
    "day_closed": N_("The day is closed."),
    "lost_card": N_("This card was reported lost. The pupil has a newer one."),
    "not_listed": N_("Not in the list of this school."),
    "roster_expired": N_("The list of pupils has expired. Ask for a new one."),
    "selling_stopped": N_("Nothing can be sold now: the records cannot be kept."),
    "document_ended": N_("Nothing can be sold now: the region's rules have ended, and no new ones are here."),
    "no_shift": N_("Open a shift first."),
}

ASKS: Final[Mapping[str, str]] = {
    MealFlag.WITHOUT_ORDER: N_("No order: the parents' account pays."),
    MealFlag.OTHER_ENTITLEMENT: N_("Entitled to another meal today: this one the parents' account pays."),
    MealFlag.NOT_IN_ROSTER: N_("The card has a concession, and the school's list does not have this card."),
    MealFlag.SERVED_ELSEWHERE: N_("Another terminal has handed it out already."),
}
"""What the cashier decides, by the flag of `QUESTIONS`."""

NOTES: Final[Mapping[str, str]] = {
    MealFlag.WITHOUT_ORDER: N_("paid, no order"),
    MealFlag.OTHER_ENTITLEMENT: N_("paid, entitled to another meal"),
    MealFlag.SERVED_ELSEWHERE: N_("handed out at another terminal"),
}
"""The same beside a name."""

MEANS: Final[Mapping[str, str]] = {
    TapsAre.BUYER: N_("Cards: who is buying"),
    TapsAre.WHO: N_("Cards: who is it. No meal is handed out"),
}
"""What cards are presented for, where that is no meal."""

NOTICES: Final[Mapping[str, str]] = {
    "no_shift": N_("The shift is not open: nothing can be issued. Open it first."),
    "no_cards": N_("The card reader does not answer: check its cable. Meanwhile issue by the class list."),
    "day_closed": N_("The day is closed: nothing more is issued or sold today."),
    "selling_stopped": N_(
        "Selling is stopped: records cannot be kept. Go on with free meals and call the operator."
    ),
    "document_ended": N_(
        "Selling is stopped: the region's rules have ended, and no new ones are here. Go on with free meals and call "
        "the operator."
    ),
    "no_roster": N_("There is no list of pupils. Cards are served by what is on them."),
    "roster_stale": N_("The list of pupils is more than a day old. Go on; ask for a new one."),
    "roster_expired": N_(
        "The list of pupils has expired. Meals go on, the buffet does not. Ask for a new list."
    ),
}

FINDINGS: Final[Mapping[str, str]] = {
    "unresolved_tap": N_("card taken away too early"),
    "flagged": N_("given on old or incomplete data"),
    "duplicate_entitlement": N_("given twice"),
    "annulled": N_("annulled"),
}

MARKS: Final[Mapping[str, str]] = {"absent": N_("a"), "not_collected": N_("–")}
"""Signs of a month table where there was no meal."""

TO_DO: Final[Mapping[str, str]] = {
    "unresolved_tap": N_("present the card again: the terminal settles it"),
    "flagged": N_("check with the list; annul it if it should not count"),
    "duplicate_entitlement": N_("counted once; nothing to do"),
    "annulled": N_("does not count; nothing to do"),
}
"""What staff do about a finding."""

FIGURE_NAMES: Final[Mapping[str, str]] = {
    "entitled": N_("Entitled"),
    "ordered": N_("Ordered"),
    "not_ordered": N_("Without an order"),
    "served": N_("Served"),
    "not_collected": N_("Not collected"),
    "absent": N_("Absent"),
    "not_come": N_("Not come"),
}
"""The columns of the day report."""

FLAGS: Final[Mapping[str, str]] = {
    MealFlag.STALE_ROSTER: N_("old list"),
    MealFlag.EXPIRED_ROSTER: N_("expired list"),
    MealFlag.CALENDAR_SILENT: N_("day not in the calendar"),
    MealFlag.WAS_ABSENT: N_("was marked absent"),
    MealFlag.BALANCE_UNCERTAIN: N_("balance not certain"),
    MealFlag.ACCOUNT_UNKNOWN: N_("account not known"),
    MealFlag.NOT_IN_ROSTER: N_("not in the list"),
    MealFlag.WITHOUT_ORDER: N_("without an order, the cashier decided"),
    MealFlag.OTHER_ENTITLEMENT: N_("entitled to another meal, the cashier decided"),
    MealFlag.SERVED_ELSEWHERE: N_("given at another terminal before, the cashier decided"),
    MealFlag.FROM_SPARE_LOG: N_("from the spare log"),
}

SOURCES: Final[Mapping[str, str]] = {
    "federal": N_("federal budget"),
    "regional": N_("regional budget"),
    "municipal": N_("municipal budget"),
    "parents": N_("parents"),
}

WAYS: Final[Mapping[str, str]] = {
    How.CLASS_LIST: N_("by class list"),
    How.COVERED_TABLE: N_("tables laid beforehand"),
    How.PRE_ORDER: N_("by the parents' orders"),
}

REFUSALS: Final[Mapping[str, str]] = {
    CorrectionEffect.ORDER_TOO_LATE: N_("It is too late to order for that day."),
    CorrectionEffect.STILL_SERVED: N_("Orders can be marked only when the serving of that meal is over."),
    CorrectionEffect.ATTENDANCE_TOO_LATE: N_("It is too late to correct the attendance of today."),
    CorrectionEffect.NOT_THE_LAST: N_("Only the last record of a pupil can be annulled."),
    CorrectionEffect.ANNULMENT_TOO_LATE: N_("It is too late to annul it."),
    CorrectionEffect.SECOND_PERSON: N_("A second person has to confirm."),
    CorrectionEffect.CARD_NOT_PRESENTED: N_("Hold the spare card against the terminal first."),
    CorrectionEffect.PUPILS_OWN_CARD: N_("This card is a pupil's own. Lend one of the school's spare cards."),
    CorrectionEffect.CARD_LENT_ALREADY: N_("This card is lent to another pupil today. Take another one."),
    MealEffect.DAY_CLOSED: N_("The day is closed already."),
    MealEffect.NOT_LISTED: N_("This pupil is not in the list."),
    TerminalEffect.NO_SHIFT: N_("Open a shift first."),
    CanteenFault.NO_ROSTER: N_("No list of pupils is loaded."),
    CanteenFault.NO_PRICE_LIST: N_("No price list is loaded."),
    CanteenFault.OTHER_CURRENCY: N_(
        "Records are in another currency than the document: sums cannot be added up."
    ),
    CanteenFault.NO_CLASS: N_("This class is not in the list."),
    CanteenFault.NO_MEAL: N_("The region document has no such meal."),
    CanteenFault.NO_PRODUCT: N_("The price list has no such product."),
    CanteenFault.EMPTY_BASKET: N_("The basket is empty."),
    CanteenFault.BAD_COUNT: N_("Sell one or more of each product."),
    CanteenFault.NOTHING_TO_ANNUL: N_("This pupil has no meal or sale here."),
    CanteenFault.REPORT_DIFFERS: N_("The report differs from the records. Do not sign it."),
    CanteenFault.NOT_UNDERSTOOD: N_("This was not understood."),
    CanteenFault.LIST_DOUBTFUL: N_("Something in the list has to be decided first."),
    CanteenFault.CARD_UNKNOWN: N_("Hold the card against the terminal first."),
    CanteenFault.CARD_OF_ANOTHER: N_("This card is another pupil's. Take it from him first."),
}
"""By code: why the staff's request was refused. There is a line for every code of `CanteenRefused`."""

TOO_LATE_TO_ANNUL: Final = N_(
    "It cannot be annulled any more: too late, not the last record, or the day is closed."
)
"""For the page that offers it, before anything was asked."""


@dataclass(frozen=True, slots=True)
class Words:
    """Everything above in one language."""

    language: str
    _texts: Translator = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_texts", translator(self.language))

    def meal(self, kind: str) -> str:
        """The name of a kind of meal; a kind without one is shown as the document calls it."""
        return self._of(MEALS, kind)

    def food(self, food: str) -> str:
        """What parents exclude; a food or product without a name is shown as the list calls it."""
        return self._of(FOODS, food)

    def foods(self, foods: tuple[str, ...]) -> str:
        """Several of them."""
        return ", ".join(map(self.food, foods))

    def message(self, message: str, meal: str = "") -> str:
        """What the passenger's display says too."""
        return text(message, self.language, {"meal": meal})

    def why(self, code: str) -> str:
        """The staff's line to a refusal; empty for none."""
        return self._of(ASKS if code in ASKS else WHYS, code)

    def asks(self, flag: str, elsewhere: Elsewhere | None) -> str:
        """What the cashier decides."""
        if flag == MealFlag.SERVED_ELSEWHERE and elsewhere is not None:
            said = self._texts.gettext("Handed out already at terminal {number} at {time}.")
            return said.format(number=elsewhere.terminal, time=elsewhere.at)
        return self._of(ASKS, flag)

    def note(self, flag: str) -> str:
        """The same beside a name in a list."""
        return self._of(NOTES, flag)

    def means(self, taps: TapsAre, serving: str) -> str:
        """What cards are presented for now; `serving` is the meal of this break, empty for none."""
        if taps in MEANS:
            return self._of(MEANS, taps)
        if not serving:
            return self._texts.gettext("Cards: nothing is served now")
        return self._texts.gettext("Cards: {meal}").format(meal=self.meal(serving))

    def too_late_to_annul(self) -> str:
        """In place of the button."""
        return self._texts.gettext(TOO_LATE_TO_ANNUL)

    def notice(self, notice: Notice) -> str:
        """A line for the top of the page."""
        if notice.code != "offline":
            return self._of(NOTICES, notice.code)
        return self._texts.ngettext(
            "No network. Serving goes on; {n} record waits to be sent.",
            "No network. Serving goes on; {n} records wait to be sent.",
            notice.rows,
        ).format(n=notice.rows)

    def finding(self, what: str) -> str:
        """Why a record is to be looked at."""
        return self._of(FINDINGS, what)

    def mark(self, mark: str) -> str:
        """What stands in a month table: the first letter of a meal, or a sign."""
        if mark in MARKS:
            return self._of(MARKS, mark)
        return self.meal(mark)[:1]

    def to_do(self, finding: Finding) -> str:
        """What staff do about a finding."""
        return self._of(TO_DO, finding.what)

    def figure(self, name: str) -> str:
        """A column of the day report."""
        return self._of(FIGURE_NAMES, name)

    def flags(self, flags: tuple[str, ...]) -> str:
        """What was old or missing when a record was made."""
        return ", ".join(self._of(FLAGS, flag) for flag in flags)

    def source(self, source: str) -> str:
        """Who pays."""
        return self._of(SOURCES, source)

    def way(self, how: How) -> str:
        """How a class is served from its list."""
        return self._of(WAYS, how)

    def category(self, category: Category) -> str:
        """A category of the report; one that reveals health is its effect (D-03)."""
        if category.name:
            return category.name
        if not category.meals:
            return self._texts.gettext("paid")
        return self._texts.ngettext("free, {n} meal a day", "free, {n} meals a day", category.meals).format(
            n=category.meals
        )

    def portions(self, count: int) -> str:
        """1 portion, 2 portions."""
        return self._texts.ngettext("{n} portion", "{n} portions", count).format(n=count)

    def _of(self, words: Mapping[str, str], code: str) -> str:
        known = words.get(code)
        return code if known is None else self._texts.gettext(known)
