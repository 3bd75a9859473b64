"""The words of a replay's result, in every language: table, page and picture are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from terminal.impact.gaps import Gap, GapKind
from terminal.impact.report import SENSITIVE, GroupRow, ImpactReport
from terminal.impact.tally import CASH, REFUSED, REPEATED, Dimension
from terminal.messages import day
from terminal.money import money, money_number, sum_format
from terminal.texts import N_, translator
from terminal.trail import rule_of
from terminal.trail_words import effect_words

TITLES: Final[Mapping[Dimension, str]] = MappingProxyType(
    {
        Dimension.CONCESSION: N_("By concession"),
        Dimension.ROUTE: N_("By route"),
        Dimension.HOUR: N_("By hour"),
        Dimension.RIGHT: N_("By what pays"),
        Dimension.RULE: N_("By rule"),
    }
)

GAPS: Final[Mapping[GapKind, str]] = MappingProxyType(
    {
        GapKind.CARD_FIRST_SEEN: N_("cards met for the first time: their state is that of the row"),
        GapKind.RELOAD: N_("purses filled elsewhere: the same money in both replays"),
        GapKind.OTHER_CHANGE: N_(
            "rights, orders or corrections written elsewhere: both replays go on with them"
        ),
        GapKind.MEAL_BETWEEN: N_("meals between rides: what they took is taken in both replays"),
        GapKind.OTHER_TERMINAL: N_("cards used at terminals without a journal here: both replays begin anew"),
        GapKind.ROWS_MISSING: N_("cards whose rows are missing in between: both replays begin anew"),
        GapKind.CARD_REISSUED: N_("cards issued anew: both replays begin anew"),
        GapKind.OUT_OF_ORDER: N_("cards read as before a row already replayed: decided by the row alone"),
        GapKind.PURSE_SHORT: N_("replayed purses that held less than was taken elsewhere: empty then"),
        GapKind.OTHER_LAYOUT: N_("cards whose counters a document cannot read"),
        GapKind.OTHER_DOCUMENT: N_("another version was in force: the old document decides otherwise"),
        GapKind.FOLLOWS_EARLIER: N_("decided otherwise, because an earlier tap of the card was"),
        GapKind.OLD_DIFFERS: N_("the old document decides otherwise than was recorded under its name"),
        GapKind.NOT_COMMITTED: N_("taps the card did not take: nothing was charged"),
        GapKind.UNRESOLVED: N_("taps of unknown end: not counted"),
        GapKind.NOTHING_READ: N_("no resident card was read: not counted"),
        GapKind.CARD_UNREADABLE: N_("what was read from the card is not understood: not counted"),
        GapKind.FACTS_UNKNOWN: N_("what the terminal knew is not understood: not counted"),
        GapKind.TIME_UNKNOWN: N_("no calendar has the time: not counted"),
        GapKind.OTHER_REGION: N_("decided by the document of another tariff: not counted"),
        GapKind.GRANTS_MISSING: N_("decided with a list of grants that is not at hand: not counted"),
        GapKind.MEAL: N_("meals: not counted"),
        GapKind.INSPECTION: N_("inspections: not counted"),
        GapKind.ROWS_LEFT: N_("journals whose first rows have left"),
        GapKind.NUMBERS_MISSING: N_("numbers missing in journals"),
        GapKind.ROW_DAMAGED: N_("damaged rows"),
        GapKind.ROW_NEWER: N_("rows of newer software"),
        GapKind.JOURNAL_UNREADABLE: N_("journals that cannot be read, or not to their end"),
    }
)

RIGHTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "nothing": N_("nothing"),
        "purse": N_("purse"),
        "concession": N_("concession"),
        "transfer": N_("transfer"),
        "budget": N_("budget"),
        "grace": N_("ride on credit"),
        "bank": N_("bank card"),
        "product": N_("product"),
        "other": N_("other"),
        "others": N_("others"),
        CASH: N_("cash"),
        REFUSED: N_("refused"),
        REPEATED: N_("paid before"),
    }
)


class ImpactWords:
    """Everything in one language, with sums in one currency."""

    def __init__(self, language: str, currency: str) -> None:
        self.language, self.currency = language, currency
        self._t = translator(language)

    def text(self, message: str) -> str:
        return self._t.gettext(message)

    def title(self, dimension: Dimension) -> str:
        return self.text(TITLES[dimension])

    def gap(self, gap: Gap) -> str:
        return self.text(GAPS[gap.kind])

    def places(self, gap: Gap) -> str:
        """Where it was met first: rows as terminal/number, or files."""
        return ", ".join(one.file or f"{one.terminal}/{one.sequence}" for one in gap.examples)

    def sum(self, minor: int) -> str:
        return money(minor, self.currency, self.language)

    def amount(self, minor: int) -> str:
        """A sum in a column whose head names the currency."""
        return money_number(minor, self.currency, self.language)

    def count(self, number: int) -> str:
        """A whole number with its thousands apart."""
        return f"{number:,}".replace(",", sum_format(self.currency, self.language).group)

    def more_amount(self, minor: int) -> str:
        """A difference in such a column, with its sign."""
        return f"+{self.amount(minor)}" if minor > 0 else self.amount(minor)

    def more(self, minor: int) -> str:
        """A difference, with its sign."""
        return f"+{self.sum(minor)}" if minor > 0 else self.sum(minor)

    def day(self, when: date | None) -> str:
        return "" if when is None else day(when.isoformat(), self.language)

    def label(self, dimension: Dimension, row: GroupRow) -> str:
        """What a group is called."""
        match dimension:
            case Dimension.CONCESSION:
                return self._concession(row)
            case Dimension.HOUR:
                return f"{row.old}:00"
            case Dimension.RIGHT:
                return " → ".join(dict.fromkeys((self._right(row.old, row), self._right(row.new, row))))
            case Dimension.RULE:
                return " → ".join(dict.fromkeys((self.rule(row.old), self.rule(row.new))))
            case _:
                return row.old

    def rule(self, step: str) -> str:
        """The step of a trail that set a price: its rule, the entry it names, else what it did."""
        code, _, entry = step.partition(" ")
        if not code:
            return "–"
        return f"{rule_of(code)} {entry or effect_words(code, self.language)}"

    def _concession(self, row: GroupRow) -> str:
        if row.old == SENSITIVE:
            return self.text(N_("sensitive, few cards"))
        return self.text(N_("none")) if row.old == "0" else f"{row.old} {row.name}".rstrip()

    def _right(self, code: str, row: GroupRow) -> str:
        kind, _, number = code.partition(":")
        if number and row.name and " → " not in row.name:
            return row.name
        return f"{self.text(RIGHTS.get(kind, kind))} {number}".rstrip()


def heading(report: ImpactReport, words: ImpactWords) -> str:
    """Which documents, which days."""
    days = " – ".join(dict.fromkeys((words.day(report.first_day), words.day(report.last_day))))
    return f"{report.old.tariff} → {report.new.tariff}, {days}"
