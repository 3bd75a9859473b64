"""How canteen commands print: tables for the staff, JSON for programs. Names appear only where they were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from terminal.app.output import print_json, roubles
from terminal.canteen.buffet import Sold
from terminal.canteen.desk import CanteenDesk
from terminal.canteen.facts import Known
from terminal.canteen.issuing import Issued
from terminal.canteen.month import MonthTable, PupilMonth
from terminal.canteen.report import DayReport, Finding
from terminal.canteen.roster import Roster
from terminal.errors import CanteenRefused
from terminal.messages import meal
from terminal.policy.document.meals import PAID
from terminal.policy.policy import Policy
from terminal.texts import NP_, translator

WORDS: Final[Mapping[str, str]] = {
    "day": NP_("report", "Day report"),
    "month": NP_("report", "Month table"),
    "closed": NP_("report", "day closed"),
    "open": NP_("report", "day still open"),
    "class": NP_("report", "class"),
    "category": NP_("report", "category"),
    "meal": NP_("report", "meal"),
    "entitled": NP_("report", "entitled"),
    "served": NP_("report", "served"),
    "not_collected": NP_("report", "not collected"),
    "absent": NP_("report", "absent"),
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


def show_roster(roster: Roster, state: str, json: bool) -> None:
    """What a roster holds, in numbers."""
    header = roster.header
    counts = {name: len(refs) for name, refs in roster.classes.items()}
    if json:
        print_json(
            {
                "school": header.school,
                "sequence": header.sequence,
                "pupils": len(roster.pupils),
                "classes": counts,
                "late_orders": roster.late_orders,
            }
        )
        return
    print(f"roster {header.sequence} of {header.school} {state}: {len(roster.pupils)} pupils")
    print("  " + ", ".join(f"{name}: {count}" for name, count in counts.items()))
    if roster.late_orders:
        print(f"  {roster.late_orders} orders came after the cut-off and are left out (M-32)")


def show_pupils(desk: CanteenDesk, class_id: str | None, now: datetime, *, names: bool) -> None:
    """The pupils of one class or of all, with their accounts."""
    if desk.roster is None:
        raise CanteenRefused("no roster is loaded", "Load one: `terminal canteen roster load FILE`.")
    for ref, listed in desk.roster.pupils.items():
        if class_id not in (None, listed.class_id):
            continue
        pupil = desk.pupil(ref, now)
        assert pupil is not None, "taken from the roster"
        accounts = " ".join(
            f"{name} {roubles(account.balance_minor)}"
            for name, account in (("hot", pupil.hot), ("buffet", pupil.buffet))
            if account is not None
        )
        print(f"{listed.ref}  {listed.class_id:<4} {accounts:<28} {listed.name if names else ''}".rstrip())


def show_issued(issued: Sequence[Issued], json: bool) -> None:
    """What came of each pupil of a list; the reasons are for the staff."""
    for one in issued:
        reason = one.facts[-1] if one.facts else None
        if json:
            print_json(
                {
                    "pupil": one.pupil.hex(),
                    "message": one.outcome.message,
                    "accepted": one.outcome.accepted,
                    "sequence": one.sequence,
                    "reasons": [f"{fact.rule}: {fact.effect}" for fact in one.facts],
                }
            )
        else:
            why = "" if one.outcome.accepted or reason is None else f"  {reason.rule}: {reason.effect}"
            print(f"{one.pupil.hex()}  {one.outcome.message}{why}")
    if not json:
        print(f"{sum(one.outcome.accepted for one in issued)} of {len(issued)} served")


def basket(products: Sequence[str]) -> dict[str, int]:
    """Counts by product from PRODUCT and PRODUCT=COUNT."""
    counts: dict[str, int] = {}
    for text in products:
        product, _, count = text.partition("=")
        if count and not count.isdigit():
            raise CanteenRefused(f"{text!r} is no sale", "Write PRODUCT or PRODUCT=COUNT.")
        counts[product] = counts.get(product, 0) + int(count or 1)
    return counts


def show_sale(sold: Sold, json: bool) -> None:
    """What came of a sale."""
    decision = sold.decision
    if json:
        print_json(
            {
                "message": decision.outcome.message,
                "accepted": decision.outcome.accepted,
                "sold_minor": decision.sold_minor,
                "forbidden": decision.forbidden,
                "sequence": sold.sequence,
            }
        )
        return
    why = decision.facts[-1]
    told = roubles(decision.sold_minor) if decision.outcome.accepted else f"{why.rule}: {why.effect}"
    print(f"{decision.outcome.message}  {told}  {' '.join(decision.forbidden)}".rstrip())


def show_day(report: DayReport, policy: Policy, language: str, json: bool) -> None:
    """The day report. Raises `CanteenRefused` after printing when it does not equal the records."""
    if json:
        print_json({**_builtins(report), "difference_minor": report.control.difference_minor})
    else:
        _print_day(report, policy, language)
    if report.control.difference_minor:
        raise CanteenRefused(
            f"the report differs from the records by {roubles(report.control.difference_minor)}",
            "Do not sign it; send the journal to the operator.",
        )


def _word(name: str, language: str) -> str:
    return translator(language).pgettext("report", WORDS[name])


def _print_day(report: DayReport, policy: Policy, language: str) -> None:
    def word(name: str) -> str:
        return _word(name, language)

    state = word("closed" if report.closed else "open")
    print(f"{word('day')}  {report.school}  {report.day}  ({state})")
    head = ("class", "category", "meal", "entitled", "served", "not_collected", "absent", "sum")
    rows = [
        (
            group.class_id,
            category_name(group.category, policy, language),
            meal(group.kind, language),
            *map(str, (group.entitled, group.served, group.not_collected, group.absent)),
            roubles(group.sum_minor),
        )
        for group in report.groups
    ]
    _table([word(name) for name in head], rows, numbers_from=3)
    print(f"{word('sources')}:")
    for source, amount in (*report.sources.items(), (word("buffet"), report.buffet_minor)):
        print(f"  {source:<24}{roubles(amount):>12}")
    if report.products:
        print(f"{word('products')}:")
        for product in report.products:
            print(f"  {product.product:<24}{product.count:>6}{roubles(product.sum_minor):>12}")
    _findings(word("uncertain"), report.uncertain)
    _findings(word("duplicates"), report.duplicates)
    _findings(word("annulled"), report.annulled)
    control = report.control
    print(f"{word('control')}: {control.records}, {roubles(control.records_minor)} = ", end="")
    parts = (control.served_minor, control.buffet_minor, control.annulled_minor, control.duplicates_minor)
    print(" + ".join(map(roubles, parts)))


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
    days = range(1, 32)
    head = [_word("class", language), _word("pupil", language), *map(str, days), _word("total", language)]
    rows = [
        (line.class_id, _who(line, names), *(_mark(line, day, language) for day in days), str(line.meals))
        for line in table.pupils
    ]
    _table(head, rows, numbers_from=2)
    print(f"{_word('sources', language)}:")
    for source, amount in (*table.sources.items(), (_word("buffet", language), table.buffet_minor)):
        print(f"  {source:<24}{roubles(amount):>12}")


def category_name(category: str, policy: Policy, language: str) -> str:
    """A category for people; one that reveals health stays its effect (D-03)."""
    if category == PAID:
        return _word("paid", language)
    if category.startswith("meals_"):
        return _word("meals_of", language).format(n=category.removeprefix("meals_"))
    names = {str(concession.code): concession.name for concession in policy.document.concessions}
    return " + ".join(names.get(code, code) for code in category.split("+"))


def _mark(line: PupilMonth, day: int, language: str) -> str:
    if day in line.days:
        return "".join(sorted(meal(kind, language)[0] for kind in line.days[day]))
    if day in line.absent:
        return _word("absent_mark", language)
    return "-" if day in line.not_collected else "."


def _who(line: PupilMonth, names: Known | None) -> str:
    listed = None if names is None else names.roster.pupils.get(bytes.fromhex(line.pupil))
    return line.pupil if listed is None or not listed.name else f"{line.pupil} {listed.name}"


def _findings(title: str, findings: Sequence[Finding]) -> None:
    if findings:
        print(f"{title}:")
    for found in findings:
        row = f"{found.row[0]}/{found.row[1]}"
        print(f"  {row:<16}{found.pupil}{roubles(found.sum_minor):>12}  {found.what} {' '.join(found.flags)}")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int) -> None:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        cells = (
            cell.rjust(width) if at >= numbers_from else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _builtins(value: Any, leave_out: str = "") -> dict[str, Any]:
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__ if name != leave_out}
    plain: dict[str, Any] = msgspec.to_builtins(fields, str_keys=True)
    return plain
