"""The result of a replay as lines of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final

from terminal.impact.report import GroupRow, ImpactReport, ReasonRow, most_different
from terminal.impact.tally import Dimension, ShownTap, Side
from terminal.impact.words import ImpactWords, heading
from terminal.messages import text
from terminal.texts import N_
from terminal.trail_steps import step_line

WIDTH: Final = 80
NAME: Final = 22
COUNT: Final = 8
SUM: Final = 14
MOST_ROWS: Final = 12
ALL_HOURS: Final = 24
MOST_REASONS: Final = 8
MOST_TAPS: Final = 3


def lines(report: ImpactReport, language: str) -> Iterator[str]:
    """All of it; groups without a difference are counted in one line."""
    words = ImpactWords(language, report.currency)
    yield heading(report, words)
    yield from _totals(report, words)
    if report.equal:
        yield words.text(N_("Nothing comes out differently."))
    else:
        yield ""
        said = N_("Taps and cards that come out differently; sums of all taps, in {currency}.")
        yield from _wrapped(words.text(said).format(currency=report.currency), "")
        for dimension in Dimension:
            yield from _group(words.title(dimension), dimension, report.groups[dimension.value], words)
        yield from _refusals(words.text(N_("Newly refused")), report.refused, words, refused=True)
        yield from _refusals(words.text(N_("Newly accepted")), report.accepted, words, refused=False)
        yield from _months(report, words)
        yield from _largest(report, words)
    yield from _gaps(report, words)


def _totals(report: ImpactReport, words: ImpactWords) -> Iterator[str]:
    total = report.total
    pairs = (
        (N_("terminals"), words.count(report.terminals)),
        (N_("cards"), words.count(report.cards)),
        (N_("taps and cash sales"), words.count(total.taps)),
        (N_("of them come out differently"), words.count(total.changed)),
        (N_("cards that notice it"), words.count(total.changed_cards)),
        (N_("newly refused"), words.count(total.refused)),
        (N_("newly accepted"), words.count(total.accepted)),
        (N_("recorded"), words.sum(report.recorded_minor)),
        (N_("under the old document"), words.sum(total.old_minor)),
        (N_("under the new document"), words.sum(total.new_minor)),
        (N_("difference"), words.more(total.difference_minor)),
    )
    for name, value in pairs:
        yield f"  {words.text(name):<44}{value:>20}"


def _group(title: str, dimension: Dimension, rows: Sequence[GroupRow], words: ImpactWords) -> Iterator[str]:
    changed = [row for row in rows if row.changed]
    if not changed:
        return
    yield ""
    heads = (N_("taps"), N_("cards"), N_("old"), N_("new"), N_("difference"))
    taps, cards, *sums = (words.text(head) for head in heads)
    yield f"{title:<{NAME}}{taps:>{COUNT}}{cards:>{COUNT}}" + "".join(f"{head:>{SUM}}" for head in sums)
    shown = most_different(changed, ALL_HOURS if dimension is Dimension.HOUR else MOST_ROWS)
    for row in shown:
        yield from _row(words.label(dimension, row), row, words)
    left = [row for row in changed if row not in shown]
    if left:
        rest = words.more(sum(row.difference_minor for row in left))
        further = words.text(N_("further groups"))
        yield f"  … {further}: {len(left)}, {rest}"
    same = len(rows) - len(changed)
    if same:
        without = words.text(N_("groups without a difference"))
        yield f"  {without}: {same}"


def _row(label: str, row: GroupRow, words: ImpactWords) -> Iterator[str]:
    *above, last = wrap(label, NAME - 2) or [""]
    for line in above:
        yield f"  {line}"
    sums = (words.amount(row.old_minor), words.amount(row.new_minor), words.more_amount(row.difference_minor))
    counts = f"{words.count(row.changed):>{COUNT}}{words.count(row.changed_cards):>{COUNT}}"
    yield f"  {last:<{NAME - 2}}{counts}" + "".join(f"{one:>{SUM}}" for one in sums)


def _refusals(title: str, rows: Sequence[ReasonRow], words: ImpactWords, *, refused: bool) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield title
    for row in rows[:MOST_REASONS]:
        side = row.example.new if refused else row.example.old
        said = f"{text(side.message, words.language, side.values)}: {words.rule(row.code)}"
        cards = words.text(N_("cards"))
        yield from _wrapped(f"{row.taps} ({cards}: {row.cards})  {said}")


def _months(report: ImpactReport, words: ImpactWords) -> Iterator[str]:
    yield ""
    months = words.text(N_("Months of cards"))
    yield f"{months}: {words.count(report.card_months)}"
    heads = (words.text(head) for head in (N_("by over"), N_("pay more"), N_("pay less")))
    yield "  {:<24}{:>20}{:>20}".format(*heads)
    for row in report.months:
        yield f"  {words.sum(row.over_minor):<24}{words.count(row.more):>20}{words.count(row.less):>20}"


def _largest(report: ImpactReport, words: ImpactWords) -> Iterator[str]:
    yield ""
    yield words.text(N_("Largest differences"))
    for shown in report.largest[:MOST_TAPS]:
        yield from _tap(shown, words)


def _tap(shown: ShownTap, words: ImpactWords) -> Iterator[str]:
    card, route = words.text(N_("card")), words.text(N_("route"))
    where = f"{card} {shown.card}, {shown.at:%Y-%m-%d %H:%M}, {route} {shown.route}"
    yield f"  {where}, {shown.terminal}/{shown.sequence}"
    for name, side in ((N_("old"), shown.old), (N_("new"), shown.new)):
        yield from _wrapped(f"{words.text(name)}: {side_words(side, words)}", "    ")


def side_words(side: Side, words: ImpactWords) -> str:
    """What one document makes of a tap, with its trail."""
    trail = " | ".join(step_line(step, words.currency, words.language, titled=False) for step in side.trail)
    return f"{words.sum(side.charge_minor)} {text(side.message, words.language, side.values)} ({trail})"


def _gaps(report: ImpactReport, words: ImpactWords) -> Iterator[str]:
    if not report.gaps:
        return
    yield ""
    yield words.text(N_("What cannot be known, or is otherwise than recorded"))
    for gap in report.gaps:
        yield from _wrapped(f"{words.count(gap.count):>7}  {words.gap(gap)} ({words.places(gap)})")


def _wrapped(line: str, indent: str = "  ") -> Iterator[str]:
    yield from wrap(line, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}         ")
