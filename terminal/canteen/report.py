"""The day report: who was entitled, served, absent, what was not collected, and who pays how much (M-40).

Every number follows from the records of the day; only how many were *entitled* needs the roster as well. Sums
stand against the records they were made from, row by row: what was served, annulled or given twice adds up to
all that was written down, to the minor unit (`Control`).

Categories are those of the records: a ground that reveals health appears as its effect, the number of meals
(D-03). There are no names; a pupil is a pseudonym.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from msgspec import Struct, field

from terminal.canteen.facts import Known, Rights
from terminal.canteen.ledger import Ledger, LedgerSale, Meal, RowId
from terminal.canteen.roster import class_order
from terminal.codes import CanteenFault
from terminal.errors import CanteenRefused
from terminal.policy.document.meals import PAID

FIGURES: Final = (
    "entitled",
    "ordered",
    "not_ordered",
    "served",
    "not_collected",
    "absent",
    "not_come",
)
"""What is counted of a group: the first three together are the other four together."""


def add_up(sums: dict[str, int], more: Mapping[str, int]) -> None:
    """Add `more` to `sums`. (A `Counter` takes ten times as long to make and to add to.)"""
    for name, minor in more.items():
        sums[name] = sums.get(name, 0) + minor


class ReportGroup(Struct):
    """One class, one category, one kind of meal, in pupils.

    Whom it was for: `entitled` by a ground, `ordered` and paid by parents, `not_ordered` paid without an order. What
    came of them: `served`, `not_collected` (marked so), `absent`, and `not_come` for the rest. Three sum to four.
    """

    class_id: str
    category: str
    kind: str
    entitled: int = 0
    ordered: int = 0
    not_ordered: int = 0
    served: int = 0
    not_collected: int = 0
    absent: int = 0
    not_come: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    """Minor units of what was served, by who pays."""

    @property
    def sum_minor(self) -> int:
        """All sources together."""
        return sum(self.sources.values())

    @property
    def adds_up(self) -> bool:
        """Whether everyone it was for is accounted for."""
        meant = self.entitled + self.ordered + self.not_ordered
        return meant == self.served + self.not_collected + self.absent + self.not_come

    @classmethod
    def total(cls, groups: Iterable[ReportGroup], class_id: str = "") -> ReportGroup:
        """All of `groups` together."""
        total = cls(class_id, "", "")
        for group in groups:
            for name in FIGURES:
                setattr(total, name, getattr(total, name) + getattr(group, name))
            add_up(total.sources, group.sources)
        return total


class Finding(Struct, frozen=True):
    """A record to be checked by staff, and why; `row` is (terminal, journal row)."""

    row: RowId
    pupil: str
    what: str
    sum_minor: int
    flags: tuple[str, ...]


class ProductSold(Struct, frozen=True):
    """What the buffet sold of one product."""

    product: str
    count: int
    sum_minor: int


class Control(Struct, frozen=True):
    """All meal and sale records of the day in minor units, and where each of them is. `difference_minor` is 0."""

    records: int
    records_minor: int
    served_minor: int
    buffet_minor: int
    annulled_minor: int
    duplicates_minor: int

    @property
    def difference_minor(self) -> int:
        """What the report would have lost or invented."""
        accounted = self.served_minor + self.buffet_minor + self.annulled_minor + self.duplicates_minor
        return self.records_minor - accounted


class DayReport(Struct, frozen=True):
    """One school, one service day, sums in `currency`.

    `roster` is the sequence of the roster that says who is entitled, 0 without.
    """

    school: str
    day: str
    roster: int
    closed: bool
    currency: str
    groups: tuple[ReportGroup, ...]
    sources: Mapping[str, int]
    buffet_minor: int
    credited_minor: int
    """Payments that came in at this school on the day, apart from what was eaten."""
    products: tuple[ProductSold, ...]
    uncertain: tuple[Finding, ...]
    duplicates: tuple[Finding, ...]
    annulled: tuple[Finding, ...]
    control: Control

    @property
    def served(self) -> int:
        """Portions."""
        return sum(group.served for group in self.groups)

    def totals(self) -> dict[str, int]:
        """The sums as the closing of a day records them, by name."""
        total = ReportGroup.total(self.groups)
        counts = {name: getattr(total, name) for name in FIGURES}
        money = {f"{source}_minor": amount for source, amount in self.sources.items()}
        return counts | money | {"buffet_minor": self.buffet_minor, "uncertain": len(self.uncertain)}


class _DayRecords(Struct, frozen=True):
    """The day's records of one school, sorted into what counts and what does not."""

    ledger: Ledger
    school: str
    day: str
    meals: tuple[Meal, ...]
    sales: tuple[LedgerSale, ...]
    twice: frozenset[RowId]

    @classmethod
    def of(cls, ledger: Ledger, school: str, day: str) -> _DayRecords:
        meals = tuple(m for m in ledger.meals.values() if m.day == day and m.line.school == school)
        sales = tuple(s for s in ledger.sales.values() if s.day == day and s.sale.school == school)
        everywhere = [meal for meal in ledger.meals.values() if meal.day == day]
        return cls(ledger, school, day, meals, sales, frozenset(ledger.duplicates(everywhere)))

    @property
    def served(self) -> list[Meal]:
        return [meal for meal in self.ledger.standing(self.meals) if meal.row not in self.twice]

    @property
    def sold(self) -> list[LedgerSale]:
        return [sale for sale in self.sales if sale.row not in self.ledger.annulments]


def day_report(ledger: Ledger, school: str, day: date, known: Known | None, currency: str) -> DayReport:
    """Return the report of `school` for the service day `day`; without `known` no pupil counts as entitled but not
    served. Raises `CanteenRefused` where a record is not in `currency`.
    """
    rows = _DayRecords.of(ledger, school, day.isoformat())
    served, sold = rows.served, rows.sold
    rights = {} if known is None else known.rights(day)
    groups = _groups(rows, served, rights, _roster_orders(known, day))
    sources: dict[str, int] = {}
    for group in groups:
        add_up(sources, group.sources)
    made: list[Meal | LedgerSale] = [*rows.meals, *rows.sales]
    require_currency(made, currency)
    annulled = [row for row in made if row.row in ledger.annulments]
    buffet_minor = sum(sale.sale.sum_minor for sale in sold)
    return DayReport(
        school=school,
        day=rows.day,
        roster=0 if known is None else known.roster.header.sequence,
        closed=rows.day in ledger.closed_days,
        currency=currency,
        groups=groups,
        sources=dict(sorted(sources.items())),
        buffet_minor=buffet_minor,
        credited_minor=_credited(ledger, school, rows.day),
        products=_products(sold),
        uncertain=_uncertain(rows, [*served, *sold]),
        duplicates=_findings(
            "duplicate_entitlement", (meal for meal in rows.meals if meal.row in rows.twice)
        ),
        annulled=_findings("annulled", annulled),
        control=Control(
            records=len(made),
            records_minor=_sum(made),
            served_minor=sum(sources.values()),
            buffet_minor=buffet_minor,
            annulled_minor=_sum(annulled),
            duplicates_minor=_sum(meal for meal in rows.meals if meal.row in rows.twice),
        ),
    )


def _credited(ledger: Ledger, school: str, day: str) -> int:
    paid = (one for _, one in ledger.credits.values() if one.day == day and one.school == school)
    return sum(one.amount_minor for one in paid)


def require_currency(rows: Iterable[Meal | LedgerSale], currency: str) -> None:
    """Raise `CanteenRefused` where a record is in another one: sums of two currencies are no sum."""
    other = next((row for row in rows if row.currency != currency), None)
    if other is not None:
        raise CanteenRefused(
            f"row {other.row[0]}/{other.row[1]} is in {other.currency or 'no currency'}, the document in {currency}",
            "Give the region document of this school: --region.",
            CanteenFault.OTHER_CURRENCY,
        )


def sum_minor(row: Meal | LedgerSale) -> int:
    """What one record is about, in minor units."""
    return row.line.sum_minor if isinstance(row, Meal) else row.sale.sum_minor


def _sum(rows: Iterable[Meal | LedgerSale]) -> int:
    return sum(map(sum_minor, rows))


def _roster_orders(known: Known | None, day: date) -> dict[tuple[bytes, str], str]:
    """By pupil and kind: the class of all who have an order for `day` and are there to collect it."""
    if known is None:
        return {}
    at_counter = known.ledger.who_ordered(day.isoformat())
    return {
        (ref, kind): listed.class_id
        for ref, listed in known.roster.pupils.items()
        if not listed.home_schooled and (listed.orders or ref in at_counter)
        for kind in known.orders(listed, day)
    }


def _groups(
    rows: _DayRecords,
    served: list[Meal],
    rights: Rights,
    orders: dict[tuple[bytes, str], str],
) -> tuple[ReportGroup, ...]:
    """A pupil counts once for each kind, under the category of his record if there is one."""
    table: dict[tuple[str, str, str], ReportGroup] = {}

    def group(class_id: str, category: str, kind: str) -> ReportGroup:
        return table.setdefault((class_id, category, kind), ReportGroup(class_id, category, kind))

    placed = set()
    for meal in served:
        line = meal.line
        row = group(line.class_id, line.category, line.kind)
        row.served += 1
        row.entitled += line.entitled
        ordered = (meal.pupil, line.kind) in orders
        row.ordered += not line.entitled and ordered
        row.not_ordered += not line.entitled and not ordered
        add_up(row.sources, line.sources)
        placed.add((meal.pupil, line.kind))
    for record in rows.ledger.not_collected.values():
        if record.day != rows.day or record.school != rows.school or (record.pupil, record.kind) in placed:
            continue
        row = group(record.class_id, record.category, record.kind)
        row.not_collected += 1
        row.entitled += record.category != PAID
        row.ordered += record.category == PAID
        placed.add((record.pupil, record.kind))
    for (pupil, kind), (class_id, category) in rights.items():
        if (pupil, kind) not in placed:
            row = group(class_id, category, kind)
            row.entitled += 1
            _missing(row, absent=rows.ledger.absent(pupil, rows.day))
            placed.add((pupil, kind))
    for (pupil, kind), class_id in orders.items():
        if (pupil, kind) not in placed:
            row = group(class_id, PAID, kind)
            row.ordered += 1
            _missing(row, absent=rows.ledger.absent(pupil, rows.day))
    return tuple(table[key] for key in sorted(table, key=lambda key: (class_order(key[0]), key)))


def _missing(row: ReportGroup, *, absent: bool) -> None:
    row.absent += absent
    row.not_come += not absent


def _products(sold: list[LedgerSale]) -> tuple[ProductSold, ...]:
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for line in (line for sale in sold for line in sale.sale.lines):
        counts[line.product] += line.count
        sums[line.product] += line.sum_minor
    return tuple(ProductSold(product, counts[product], sums[product]) for product in sorted(counts))


def _uncertain(rows: _DayRecords, counted: list[Meal | LedgerSale]) -> tuple[Finding, ...]:
    """Taps of unknown end, which are in no sum, and records made on what was old or missing, which are."""
    open_taps = (
        meal
        for meal in rows.ledger.uncertain.values()
        if meal.day == rows.day and meal.line.school == rows.school
    )
    flagged = (row for row in counted if _flags(row))
    return _findings("unresolved_tap", open_taps) + _findings("flagged", flagged)


def _flags(row: Meal | LedgerSale) -> tuple[str, ...]:
    return row.line.flags if isinstance(row, Meal) else row.sale.flags


def _findings(what: str, rows: Iterable[Meal | LedgerSale]) -> tuple[Finding, ...]:
    """By row, so that it does not matter in which order terminals were read."""
    return tuple(
        Finding(row.row, row.pupil.hex(), what, sum_minor(row), _flags(row))
        for row in sorted(rows, key=lambda row: row.row)
    )
