"""The picture of a replay: bars of what each group pays more or less, as SVG that stands alone or in the page.

Colours follow the reader's light or dark scheme; every bar has its number beside it, so colour alone means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from cardcli.characters import visible
from terminal.impact.report import GroupRow, ImpactReport, most_different
from terminal.impact.tally import Dimension
from terminal.impact.words import ImpactWords, heading
from terminal.texts import N_

WIDTH: Final = 760
LABEL: Final = 250
NUMBER: Final = 130
LINE: Final = 24
MOST_BARS: Final = 12
ALL_HOURS: Final = 24
LONGEST_LABEL: Final = 36
SHOWN: Final = (Dimension.CONCESSION, Dimension.ROUTE, Dimension.HOUR, Dimension.RIGHT)
STYLE: Final = (
    ".impact{font:14px system-ui,sans-serif}.impact text{fill:#1c1c1c}.impact .more{fill:#b3261e}"
    ".impact .less{fill:#1d6f42}.impact .axis{stroke:#767676}.impact .ground{fill:#fff}"
    "@media (prefers-color-scheme:dark){.impact text{fill:#f0f0f0}.impact .more{fill:#ff8a80}"
    ".impact .less{fill:#7fd897}.impact .axis{stroke:#9a9a9a}.impact .ground{fill:#121212}}"
    "@media print{.impact text{fill:#000}.impact .ground{fill:#fff}}"
)


class Bar(NamedTuple):
    """One group: its name and what it pays more."""

    label: str
    minor: int


def picture(report: ImpactReport, language: str) -> str:
    """All groups that differ, one below the other, as a file of its own."""
    words, top, parts = ImpactWords(language, report.currency), 70, list[str]()
    for dimension in SHOWN:
        bars = bars_of(dimension, report.groups[dimension.value], words)
        if bars:
            title = escape(words.title(dimension))
            parts.append(f'<text x="10" y="{top}" font-weight="600">{title}</text>')
            parts.append(f'<g transform="translate(0 {top + 8})">{"".join(_bars(bars, words))}</g>')
            top += len(bars) * LINE + 50
    summed = f"{words.text(N_('difference'))}: {words.more(report.total.difference_minor)}"
    name = escape(visible(heading(report, words)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="impact" role="img" aria-label="{name}" '
        f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"><title>{name}</title>'
        f'<style>{STYLE}</style><rect class="ground" width="{WIDTH}" height="{top}"/>'
        f'<text x="10" y="24" font-weight="600">{name}</text><text x="10" y="46">{escape(summed)}</text>'
        f"{''.join(parts)}</svg>\n"
    )


def drawn(bars: Sequence[Bar], title: str, words: ImpactWords) -> str:
    """The bars for a page, whose style is `STYLE`."""
    height = len(bars) * LINE + 4
    return (
        f'<svg class="impact" role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}">{"".join(_bars(bars, words))}</svg>'
    )


def bars_of(dimension: Dimension, rows: Sequence[GroupRow], words: ImpactWords) -> list[Bar]:
    """Of the groups that differ; where there are many, of those that differ most, in the order of `rows`."""
    changed = [row for row in rows if row.difference_minor]
    most = ALL_HOURS if dimension is Dimension.HOUR else MOST_BARS
    return [Bar(words.label(dimension, row), row.difference_minor) for row in most_different(changed, most)]


def _bars(bars: Sequence[Bar], words: ImpactWords) -> Iterator[str]:
    """Around one line at 0, to the right for more."""
    room = WIDTH - LABEL - NUMBER - 20
    low = min(0, *(bar.minor for bar in bars))
    span = max(0, *(bar.minor for bar in bars)) - low or 1
    zero = LABEL + 10 - low * room / span
    yield f'<path class="axis" d="M{zero:.1f} 0V{len(bars) * LINE}"/>'
    for index, bar in enumerate(bars):
        y, length = index * LINE, abs(bar.minor) * room / span
        x = zero if bar.minor > 0 else zero - length
        sort = "more" if bar.minor > 0 else "less"
        yield f'<rect class="{sort}" x="{x:.1f}" y="{y + 4}" width="{max(length, 1):.1f}" height="{LINE - 8}"/>'
        yield f'<text x="10" y="{y + 17}">{escape(visible(_short(bar.label)))}</text>'
        yield (
            f'<text x="{WIDTH - 10}" y="{y + 17}" text-anchor="end">{escape(words.more(bar.minor))}</text>'
        )


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
