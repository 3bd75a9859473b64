"""How canteen commands print: tables for the staff, JSON for programs. Names appear only where they were asked for."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from terminal.app.output import print_json
from terminal.canteen.answers import MealsIssued, PaymentsLoaded, PupilsListed, RosterInForce, SaleDone
from terminal.canteen.facts import Known
from terminal.canteen.month import MonthTable, PupilMonth
from terminal.canteen.report import FIGURES, DayReport, Finding
from terminal.clock import from_unix_ms
from terminal.codes import CanteenFault
from terminal.errors import CanteenRefused
from terminal.messages import meal
from terminal.money import money
from terminal.policy.document.meals import PAID
from terminal.texts import NP_, translator
from terminal.trail import TrailEntry
from terminal.trail_words import ENGLISH, effect_words

WORDS: Final[Mapping[str, str]] = {
    "day": NP_("report", "Day report"),
    "month": NP_("report", "Month table"),
    "closed": NP_("report", "day closed"),
    "open": NP_("report", "day still open"),
    "class": NP_("report", "class"),
    "category": NP_("report", "category"),
    "meal": NP_("report", "meal"),
    "entitled": NP_("report", "entitled"),
    "ordered": NP_("report", "ordered"),
    "not_ordered": NP_("report", "no order"),
    "served": NP_("report", "served"),
    "not_collected": NP_("report", "not collected"),
    "absent": NP_("report", "absent"),
    "not_come": NP_("report", "not come"),
    "absent_mark": NP_("report", "a"),
    "sum": NP_("report", "sum"),
    "sources": NP_("report", "By source of money"),
    "buffet": NP_("report", "buffet"),
    "products": NP_("report", "Sold in the buffet"),
    "uncertain": NP_("report", "To be looked at"),
    "duplicates": NP_("report", "Given twice"),
    "annulled": NP_("report", "Annulled"),
    "control": NP_("report", "Against the records"),
    "paid": NP_("report", "paid"),
    "meals_of": NP_("report", "free, meals: {n}"),
    "pupil": NP_("report", "pupil"),
    "total": NP_("report", "total"),
    "lacking": NP_("report", "INCOMPLETE: records have left the terminal"),
}
"""Headings, as the catalogues know them."""


def in_force_from(begins_at_ms: int) -> str:
    """Whether a list is in force, or from when (0: it is)."""
    return f"waits until {from_unix_ms(begins_at_ms):%Y-%m-%d %H:%M} UTC" if begins_at_ms else "is in force"


def show_roster(roster: RosterInForce, state: str, json: bool) -> None:
    """What a roster holds, in numbers."""
    if json:
        print_json(
            {
                "school": roster.school,
                "sequence": roster.sequence,
                "pupils": roster.pupils,
                "classes": roster.classes,
                "late_orders": roster.late_orders,
                "begins_at_ms": roster.begins_at_ms,
            }
        )
        return
    print(f"roster {roster.sequence} of {roster.school} {state}: {roster.pupils} pupils")
    print("  " + ", ".join(f"{name}: {count}" for name, count in roster.classes.items()))
    if roster.late_orders:
        print(f"  {roster.late_orders} orders came after the cut-off and are left out (M-32)")


def show_pupils(listed: PupilsListed) -> None:
    """The pupils of one class or of all, with their accounts."""
    for pupil in listed.pupils:
        accounts = " ".join(
            f"{name} {money(balance_minor, listed.currency, ENGLISH)}"
            for name, balance_minor in (("hot", pupil.hot_minor), ("buffet", pupil.buffet_minor))
            if balance_minor is not None
        )
        print(f"{pupil.ref}  {pupil.class_id:<4} {accounts:<36} {pupil.name}".rstrip())


def show_issued(issued: MealsIssued, json: bool) -> None:
    """What came of each pupil of a list; the reasons are for the staff."""
    for one in issued.pupils:
        reasons = [reason.code for reason in one.reasons]
        if json:
            print_json(
                {
                    "pupil": one.pupil.hex(),
                    "message": one.message,
                    "accepted": one.accepted,
                    "sequence": one.sequence,
                    "reasons": reasons,
                }
            )
        else:
            why = "" if one.accepted or not reasons else f"  {_because(one.reasons[-1])}"
            print(f"{one.pupil.hex()}  {one.message}{why}")
    if not json:
        print(f"{sum(one.accepted for one in issued.pupils)} of {len(issued.pupils)} served")


def _because(step: TrailEntry) -> str:
    return f"{step.rule}: {effect_words(step.code)}"


def refs(texts: Sequence[str] | None) -> tuple[bytes, ...]:
    """The references of pupils or cards; raises as `ref`."""
    return tuple(ref(text) for text in texts or ())


def ref(text: str) -> bytes:
    """A pupil's or card's reference. Raises `CanteenRefused`."""
    try:
        reference = bytes.fromhex(text)
    except ValueError:
        reference = b""
    if len(reference) != 8:
        raise CanteenRefused(
            f"{text!r} is no reference",
            "Give 16 hexadecimal digits, see `roster show`.",
            CanteenFault.NOT_UNDERSTOOD,
        )
    return reference


MAX_COUNT_DIGITS: Final = 4


def basket(products: Sequence[str]) -> dict[str, int]:
    """Counts by product from PRODUCT and PRODUCT=COUNT."""
    counts: dict[str, int] = {}
    for text in products:
        product, stated, count = text.partition("=")
        if stated and not (count.isdecimal() and len(count) <= MAX_COUNT_DIGITS):
            raise CanteenRefused(
                f"{text!r} is no sale", "Write PRODUCT or PRODUCT=COUNT.", CanteenFault.NOT_UNDERSTOOD
            )
        counts[product] = counts.get(product, 0) + int(count or 1)
    return counts


def show_sale(sold: SaleDone, json: bool) -> None:
    """What came of a sale."""
    if json:
        print_json(
            {
                "message": sold.message,
                "accepted": sold.accepted,
                "sold_minor": sold.sold_minor,
                "currency": sold.currency,
                "forbidden": sold.forbidden,
                "sequence": sold.sequence,
            }
        )
        return
    result = money(sold.sold_minor, sold.currency, ENGLISH) if sold.accepted else _because(sold.reasons[-1])
    print(f"{sold.message}  {result}  {' '.join(sold.forbidden)}".rstrip())


def show_payments(taken: PaymentsLoaded, json: bool) -> None:
    """What came of a file of payments."""
    if json:
        print_json(_builtins(taken))
        return
    came = money(taken.sum_minor, taken.currency, ENGLISH)
    print(f"{taken.new} payments entered, {came}; {taken.known} were known before")


def show_day(report: DayReport, concessions: Mapping[str, str], language: str, json: bool) -> None:
    """The day report. Raises `CanteenRefused` after printing when it does not equal the records.

    `concessions` are their names by code.
    """
    if json:
        print_json({**_builtins(report), "difference_minor": report.control.difference_minor})
    else:
        _print_day(report, concessions, language)
    if report.control.difference_minor:
        lost = money(report.control.difference_minor, report.currency, ENGLISH)
        raise CanteenRefused(
            f"the report differs from the records by {lost}",
            "Do not sign it; send the journal to the operator.",
            CanteenFault.REPORT_DIFFERS,
        )


def _word(name: str, language: str) -> str:
    return translator(language).pgettext("report", WORDS[name])


def _print_day(report: DayReport, concessions: Mapping[str, str], language: str) -> None:
    def word(name: str) -> str:
        return _word(name, language)

    def sum_text(minor: int) -> str:
        return money(minor, report.currency, language)

    state = word("closed" if report.closed else "open")
    print(f"{word('day')}  {report.school}  {report.day}  ({state})")
    head = ("class", "category", "meal", *FIGURES, "sum")
    rows = [
        (
            group.class_id,
            category_name(group.category, concessions, language),
            meal(group.kind, language),
            *(str(getattr(group, name)) for name in FIGURES),
            sum_text(group.sum_minor),
        )
        for group in report.groups
    ]
    _table([word(name) for name in head], rows, numbers_from=3)
    print(f"{word('sources')}:")
    for source, amount in (*report.sources.items(), (word("buffet"), report.buffet_minor)):
        print(f"  {source:<24}{sum_text(amount):>16}")
    if report.products:
        print(f"{word('products')}:")
        for product in report.products:
            print(f"  {product.product:<24}{product.count:>6}{sum_text(product.sum_minor):>16}")
    _findings(word("uncertain"), report.uncertain, sum_text)
    _findings(word("duplicates"), report.duplicates, sum_text)
    _findings(word("annulled"), report.annulled, sum_text)
    control = report.control
    print(f"{word('control')}: {control.records}, {sum_text(control.records_minor)} = ", end="")
    parts = (control.served_minor, control.buffet_minor, control.annulled_minor, control.duplicates_minor)
    print(" + ".join(map(sum_text, parts)))


def show_month(table: MonthTable, names: Known | None, language: str, json: bool) -> None:
    """The month table; with `names` each pupil's name stands beside the reference."""
    if json:
        groups = [
            {"class_id": class_id, "category": category, "kind": kind, "meals": count}
            for (class_id, category, kind), count in table.meals.items()
        ]
        print_json({**_builtins(table, leave_out="meals"), "meals": groups, "complete": table.complete})
        return
    print(f"{_word('month', language)}  {table.school}  {table.month}")
    if not table.complete:
        print(f"!! {_word('lacking', language)}: {dict(table.left)}")
    year, of = map(int, table.month.split("-"))
    days = range(1, monthrange(year, of)[1] + 1)
    head = [_word("class", language), _word("pupil", language), *map(str, days), _word("total", language)]
    rows = [
        (line.class_id, _who(line, names), *(_mark(line, day, language) for day in days), str(line.meals))
        for line in table.pupils
    ]
    _table(head, rows, numbers_from=2)
    print(f"{_word('sources', language)}:")
    for source, amount in (*table.sources.items(), (_word("buffet", language), table.buffet_minor)):
        print(f"  {source:<24}{money(amount, table.currency, language):>16}")


def category_name(category: str, concessions: Mapping[str, str], language: str) -> str:
    """A category for people; one that reveals health stays its effect (D-03)."""
    if category == PAID:
        return _word("paid", language)
    if category.startswith("meals_"):
        return _word("meals_of", language).format(n=category.removeprefix("meals_"))
    return " + ".join(concessions.get(code, code) for code in category.split("+"))


def _mark(line: PupilMonth, day: int, language: str) -> str:
    if day in line.days:
        return "".join(sorted(meal(kind, language)[0] for kind in line.days[day]))
    if day in line.absent:
        return _word("absent_mark", language)
    return "-" if day in line.not_collected else "."


def _who(line: PupilMonth, names: Known | None) -> str:
    listed = None if names is None else names.roster.pupils.get(bytes.fromhex(line.pupil))
    return line.pupil if listed is None or not listed.name else f"{line.pupil} {listed.name}"


def _findings(title: str, findings: Sequence[Finding], sum_text: Callable[[int], str]) -> None:
    if findings:
        print(f"{title}:")
    for found in findings:
        row = f"{found.row[0]}/{found.row[1]}"
        print(
            f"  {row:<16}{found.pupil}{sum_text(found.sum_minor):>16}  {found.what} {' '.join(found.flags)}"
        )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int) -> None:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        cells = (
            cell.rjust(width) if at >= numbers_from else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _builtins(value: Any, leave_out: str = "") -> dict[str, Any]:
    fields = {name: getattr(value, name) for name in value.__struct_fields__ if name != leave_out}
    plain: dict[str, Any] = msgspec.to_builtins(fields, str_keys=True)
    return plain
