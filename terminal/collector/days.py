"""What a record adds to the sums of its service day, and the sums of a day by terminal, route, school or funder.

Every fact is a `DayLine`: where and when it was, what became of it, and who pays how much. Only lines that *count*
are money owed; the others stand beside them, so that all lines of a day together are all the money its records
name, to the minor unit, and no two currencies are ever added up:

    counted          rides and meals known to be on the card, meals without a card, buffet sales, cash sales
    open             taps of unknown end (nothing is owed yet)
    not_committed    taps that did not come true
    annulled         meals and sales taken back (M-34, T-54)
    duplicate        the later of two meals of one pupil, kind and day (O-08): the parents pay once, no budget twice
    overstated       what rows say was taken from a card beyond what the card's own commands say
    understated      what the card's commands say beyond the row: counted, and the only one to be taken off the rest

Rides are paid from the card's purse, so that is their funder; a cash sale's is "cash", a buffet sale's "buffet"; a
meal has those its line names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from terminal.clock import from_unix_ms
from terminal.collector.proof import Checked, Proof
from terminal.journal.canteen_records import BuffetSale, MealLine
from terminal.journal.records import CashSale, Intent
from terminal.journal.taps import End

PURSE: Final = "purse"
CASH: Final = "cash"
BUFFET: Final = "buffet"
QUARTER_MS: Final = 900_000
KEPT_QUARTERS: Final = 10_000


class What(StrEnum):
    """What was sold or given."""

    RIDE = "ride"
    CASH = "cash"
    MEAL = "meal"
    BUFFET = "buffet"


class CountState(StrEnum):
    """What became of it."""

    COUNTED = "counted"
    OPEN = "open"
    NOT_COMMITTED = "not_committed"
    ANNULLED = "annulled"
    DUPLICATE = "duplicate"
    OVERSTATED = "overstated"
    UNDERSTATED = "understated"


STATE_OF: Final[Mapping[End, CountState]] = {
    End.COMMITTED: CountState.COUNTED,
    End.UNRESOLVED: CountState.OPEN,
    End.NOT_COMMITTED: CountState.NOT_COMMITTED,
}


class By(StrEnum):
    """What a day is broken down by."""

    TERMINAL = "terminal"
    ROUTE = "route"
    SCHOOL = "school"
    FUNDER = "funder"
    PROOF = "proof"
    """Taps of cards only, by what proves them."""


class DayLine(NamedTuple):
    """One fact of a service day. `payers` are minor units of `currency` by funder, empty for what costs nothing."""

    day: str
    terminal: int
    route: int
    school: str
    what: What
    currency: str
    payers: Mapping[str, int]


Cell: TypeAlias = tuple[str, int, int, str, str, str, str, str]
"""A place in the books of days: day, terminal, route, school, what, currency, state, funder. Funder "" holds how many
facts there were, the others who pays what. A plain tuple: several are made for every tap of a fleet."""


class ServiceCalendar:
    """Service days of a region: local days that end some hours after midnight."""

    def __init__(self, zone: ZoneInfo, day_ends_at: int) -> None:
        self.zone = zone
        self.day_ends_at = day_ends_at
        self._known: dict[int, str] = {}

    def day_of(self, at_ms: int) -> str:
        """The service day of a moment; quarters of an hour are whole in every zone."""
        quarter = at_ms // QUARTER_MS
        day = self._known.get(quarter)
        if day is None:
            if len(self._known) > KEPT_QUARTERS:
                self._known.clear()
            day = self._known[quarter] = self._day_of(quarter)
        return day

    def _day_of(self, quarter: int) -> str:
        try:
            local = from_unix_ms(quarter * QUARTER_MS).astimezone(self.zone)
            return (local - timedelta(hours=self.day_ends_at)).date().isoformat()
        except (OverflowError, ValueError, OSError):
            return "unknown"  # no calendar has this time: the clock was wrong beyond all measure


def line_of_tap(terminal: int, intent: Intent, calendar: ServiceCalendar) -> DayLine:
    """The line of a tap, be it a ride or a meal."""
    if intent.meal is not None:
        return line_of_meal(terminal, intent.meal, intent.currency)
    payers = {PURSE: intent.charge_minor} if intent.charge_minor else {}
    day = calendar.day_of(intent.at_ms)
    return DayLine(day, terminal, intent.route, "", What.RIDE, intent.currency, payers)


def line_of_meal(terminal: int, meal: MealLine, currency: str) -> DayLine:
    """The line of one portion."""
    return DayLine(meal.day, terminal, 0, meal.school, What.MEAL, currency, meal.sources)


def line_of_sale(terminal: int, sale: BuffetSale) -> DayLine:
    """The line of a buffet sale."""
    return DayLine(sale.day, terminal, 0, sale.school, What.BUFFET, sale.currency, {BUFFET: sale.sum_minor})


def line_of_cash(terminal: int, sale: CashSale, calendar: ServiceCalendar) -> DayLine:
    """The line of rides sold for cash."""
    day = calendar.day_of(sale.at_ms)
    return DayLine(day, terminal, sale.route, "", What.CASH, sale.currency, {CASH: sale.sum_minor})


def cells_of(line: DayLine, state: CountState) -> Iterable[tuple[Cell, int]]:
    """The cells a line fills, each with its minor units."""
    place = line[:6]
    yield (*place, state, ""), 0
    for funder, amount_minor in line.payers.items():
        yield (*place, state, funder), amount_minor


def moved_by_proof(line: DayLine, checked: Checked) -> Iterable[tuple[Cell, int]]:
    """What a counted ride whose row says otherwise than its card moves between cells, in minor units."""
    place = line[:6]
    for state, moved_minor in (
        (CountState.OVERSTATED, checked.overstated_minor),
        (CountState.UNDERSTATED, checked.understated_minor),
    ):
        if moved_minor:
            yield (*place, state, PURSE), moved_minor
    yield (*place, CountState.COUNTED, PURSE), checked.counted_minor - checked.stated_minor


ProofCell: TypeAlias = tuple[str, int, What, str, Proof]
"""A place in the books of what proves the taps of a day: day, terminal, what, currency, proof."""


@dataclass(slots=True)
class DaySum:
    """One line of the report of a day: how many facts count, what they come to in `currency`, and what stands beside
    them.
    """

    name: str
    currency: str
    rides: int = 0
    meals: int = 0
    cash_sales: int = 0
    buffet_sales: int = 0
    counted_minor: int = 0
    open: int = 0
    open_minor: int = 0
    not_committed_minor: int = 0
    annulled_minor: int = 0
    duplicates: int = 0
    duplicate_minor: int = 0
    overstated_minor: int = 0
    understated_minor: int = 0

    @property
    def records_minor(self) -> int:
        """All money its records name, counted or not."""
        return (
            self.counted_minor
            + self.open_minor
            + self.not_committed_minor
            + self.annulled_minor
            + self.duplicate_minor
            + self.overstated_minor
            - self.understated_minor
        )

    def take(self, what: str, state: str, count: int, sum_minor: int) -> None:
        """Add facts and minor units."""
        setattr(self, f"{state}_minor", getattr(self, f"{state}_minor") + sum_minor)
        if state == CountState.COUNTED:
            name = _COUNTED_AS[What(what)]
            setattr(self, name, getattr(self, name) + count)
        elif state == CountState.OPEN:
            self.open += count
        elif state == CountState.DUPLICATE:
            self.duplicates += count


_COUNTED_AS: Final = {
    What.RIDE: "rides",
    What.CASH: "cash_sales",
    What.MEAL: "meals",
    What.BUFFET: "buffet_sales",
}


class FilledCell(NamedTuple):
    """Minor units of a currency, and facts, under one name of the breakdown; `facts` says whether they count facts or
    payments.
    """

    name: str
    currency: str
    what: str
    state: str
    facts: bool
    number: int
    sum_minor: int


def day_sums(cells: Iterable[FilledCell], by: By) -> list[DaySum]:
    """The report's lines by name and currency, in the order they first come. By funder, payments are counted."""
    sums: dict[tuple[str, str], DaySum] = {}
    for cell in cells:
        if by is By.FUNDER and cell.facts:
            continue
        counts = cell.facts or by is By.FUNDER
        line = sums.setdefault((cell.name, cell.currency), DaySum(cell.name, cell.currency))
        line.take(cell.what, cell.state, cell.number if counts else 0, cell.sum_minor)
    return list(sums.values())


def totals_of(sums: Iterable[DaySum]) -> list[DaySum]:
    """All lines of each currency together, by currency."""
    totals: dict[str, DaySum] = {}
    for line in sums:
        total = totals.setdefault(line.currency, DaySum("total", line.currency))
        for name in line.__slots__:
            if name not in ("name", "currency"):
                setattr(total, name, getattr(total, name) + getattr(line, name))
    return [totals[currency] for currency in sorted(totals)]


def proof_sums(rows: Iterable[tuple[str, str, str, int, int, int, int]]) -> list[DaySum]:
    """The report's lines by what proves the taps, of (proof, currency, what, taps, counted, overstated, understated).

    Sums are those of the cards' purses: what others pay for a meal no card proves.
    """
    sums: dict[tuple[str, str], DaySum] = {}
    for proof, currency, what, taps, *moved in rows:
        line = sums.setdefault((proof, currency), DaySum(proof, currency))
        for state, sum_minor in zip(
            (CountState.COUNTED, CountState.OVERSTATED, CountState.UNDERSTATED), moved, strict=True
        ):
            line.take(what, state, taps, sum_minor)
    return list(sums.values())
