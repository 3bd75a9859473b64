"""The page of a month's settlement: what each carrier is due, by what it comes to, and corrections by themselves."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from html import escape
from typing import Final

from terminal.collector.order_sums import OrderSum
from terminal.collector.page_parts import (
    PageTexts,
    document,
    form,
    language_links,
    order_table,
    section,
    shown_code,
)
from terminal.collector.settlement.carriers import CarrierBook
from terminal.collector.settlement.lines import TOGETHER, LineKey, LineNumbers
from terminal.collector.settlement.periods import CarrierStatement, StatementLine, added
from terminal.collector.settlement.tables import HEADS, carrier_shown, of_carrier, of_route
from terminal.collector.stated import ClosedMonth
from terminal.money import amount_text
from terminal.texts import N_

MOST_LINES: Final = 2_000
CARRIER: Final = "carrier_name"
CURRENCY: Final = "currency"
SHOWN: Final = (
    *("rides_proven", "rides_unproven", "rides_cash", "rides_open", "proven_minor", "unproven_minor"),
    *("cash_minor", "moved_proven_minor", "moved_unproven_minor", "unlinked"),
)


class LinesBy(StrEnum):
    """By what a statement is broken down."""

    CARRIER = "carrier"
    ROUTE = "route"
    PRODUCT = "product"
    CONCESSION = "concession"
    DAY = "day"


BY_TITLES: Final = {
    LinesBy.CARRIER: N_("By carrier"),
    LinesBy.ROUTE: N_("By route"),
    LinesBy.PRODUCT: N_("By what paid"),
    LinesBy.CONCESSION: N_("By concession"),
    LinesBy.DAY: N_("By day"),
}
KEPT: Final[dict[LinesBy, Callable[[StatementLine], LineKey]]] = {
    LinesBy.CARRIER: of_carrier,
    LinesBy.ROUTE: of_route,
    LinesBy.PRODUCT: lambda line: line.key._replace(route=0, concession=""),
    LinesBy.CONCESSION: lambda line: line.key._replace(route=0, product=""),
    LinesBy.DAY: lambda line: of_carrier(line)._replace(product=line.day),
}
"""Of a line's key what a breakdown leaves; a day stands in the place of what paid."""


def settlement_page(
    words: PageTexts,
    months: list[tuple[str, ClosedMonth | None]],
    statement: CarrierStatement | None,
    book: CarrierBook,
    by: LinesBy,
    proof: str,
    orders: list[OrderSum],
) -> str:
    """The whole page. `proof` is what its form carries, "" for who may not close; `orders` are those for cards that
    were done in the month."""
    _ = words.gettext
    title = _("Settlement with carriers")
    body = [
        f"<nav><a href=/operator/>{escape(_('Collector'))}</a>{language_links(words.language)}</nav>",
        f"<h1>{escape(title)}</h1>",
        _months(words, months, statement),
        f"<p>{escape(_('Carriers document: {version}').format(version=book.version or _('none')))}."
        f" {escape(_('It is changed at the collector: terminal collector settlement carriers FILE'))}</p>",
    ]
    if statement is not None:
        body += [_head(words, statement, proof), _ways(words, statement.month, by)]
        own = [line for line in statement.lines if not line.earlier]
        earlier = [line for line in statement.lines if line.earlier]
        body.append(_table(words, _(BY_TITLES[by]), own, book, by))
        if earlier:
            body.append(_table(words, _("Corrections of earlier months"), earlier, book, LinesBy.DAY))
        body.append(_totals(words, statement))
        body.append(
            order_table(words, _("Orders for cards done in this month, not part of any carrier's"), orders)
        )
    return document(title, words.language, "".join(body))


def _months(
    words: PageTexts, months: list[tuple[str, ClosedMonth | None]], statement: CarrierStatement | None
) -> str:
    _ = words.gettext
    shown = "" if statement is None else statement.month
    options = "".join(
        f"<option value='{month}'{' selected' if month == shown else ''}>{month}"
        f"{' ' + escape(_('closed')) if closed else ''}</option>"
        for month, closed in months
    )
    if not options:
        return f"<p>{escape(_('No rides have come yet.'))}</p>"
    return (
        f"<form method=get action=/operator/settlement><label>{escape(_('Month'))}"
        f"<select name=month aria-label='{escape(_('Month'))}'>{options}</select></label>"
        f"<button>{escape(_('Show'))}</button></form>"
    )


def _head(words: PageTexts, statement: CarrierStatement, proof: str) -> str:
    _ = words.gettext
    month, closed = statement.month, statement.closed
    files = " ".join(
        f"<a href='/operator/settlement/{month}.{kind}?language={escape(words.language)}'>{kind.upper()}</a>"
        for kind in ("csv", "xlsx")
    )
    if closed is not None:
        said = _("Closed {at} by {by}.").format(at=words.time(closed.closed_at_ms), by=closed.by)
        return f"<p>{escape(said)} {files}</p>"
    ask = form(proof, "close_month", _("Close the month"), month) if proof else ""
    return f"<p>{escape(_('Open: as the records are now.'))} {files}</p>{ask}"


def _ways(words: PageTexts, month: str, by: LinesBy) -> str:
    _ = words.gettext
    links = " ".join(
        f"<b>{escape(_(BY_TITLES[one]))}</b>"
        if one is by
        else f"<a href='/operator/settlement?month={month}&amp;by={one}'>{escape(_(BY_TITLES[one]))}</a>"
        for one in LinesBy
    )
    label = escape(_("Broken down"))
    return f"<nav aria-label='{label}'>{links}</nav>"


def _table(words: PageTexts, title: str, lines: list[StatementLine], book: CarrierBook, by: LinesBy) -> str:
    _ = words.gettext
    sums = list(added(lines, KEPT[by]).items())
    named = {LinesBy.CARRIER: "", LinesBy.DAY: "day"}.get(by, by.value)
    heads = [_(HEADS[CARRIER]), *([_(HEADS[named])] if named else []), _(HEADS[CURRENCY])]
    rows = [
        (
            carrier_shown(book, key.carrier, words.language),
            *([_what(words, key, by)] if named else []),
            key.currency,
            *_numbers(numbers, key.currency),
        )
        for key, numbers in sums[:MOST_LINES]
    ]
    said = _("The first {shown} of {all} lines; the files have all.").format(shown=MOST_LINES, all=len(sums))
    first = len(heads)
    heads += [_(HEADS[name]) for name in (*SHOWN, "due")]
    columns = set(range(first, len(heads)))
    return section(title, tuple(heads), rows, columns, said if len(sums) > MOST_LINES else "")


def _numbers(numbers: LineNumbers, currency: str) -> tuple[str, ...]:
    shown = (getattr(numbers, name) for name in SHOWN)
    cells = (
        amount_text(number, currency) if name.endswith("_minor") else str(number)
        for name, number in zip(SHOWN, shown, strict=True)
    )
    return (*cells, amount_text(numbers.due_minor, currency))


def _what(words: PageTexts, key: LineKey, by: LinesBy) -> str:
    _ = words.gettext
    if by is LinesBy.DAY:
        return words.day(key.product)
    if by is LinesBy.ROUTE:
        return str(key.route)
    if by is LinesBy.CONCESSION:
        return {"": "—", TOGETHER: _("settled together")}.get(key.concession, key.concession)
    return product_shown(words, key.product)


def product_shown(words: PageTexts, product: str) -> str:
    """What paid, for people: a product by its number."""
    kind, _, number = product.partition(":")
    return f"{shown_code(words, kind)} {number}".strip()


def _totals(words: PageTexts, statement: CarrierStatement) -> str:
    """What the statement comes to in all, by currency."""
    _ = words.gettext
    sums = added(statement.lines, lambda line: of_carrier(line)._replace(carrier=""))
    rows = [(key.currency, *_numbers(numbers, key.currency)) for key, numbers in sums.items()]
    heads = (_(HEADS[CURRENCY]), *(_(HEADS[name]) for name in (*SHOWN, "due")))
    return section(_("Everything together"), heads, rows, set(range(1, len(heads))))
