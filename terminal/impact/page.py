"""The result of a replay as one HTML page that stands alone: no script, nothing loaded, light and dark, printable."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cardcli.characters import visible
from terminal.impact.gaps import Gap
from terminal.impact.picture import STYLE, bars_of, drawn
from terminal.impact.report import GroupRow, ImpactReport
from terminal.impact.table import side_words
from terminal.impact.tally import Dimension, ShownTap
from terminal.impact.words import ImpactWords, heading
from terminal.texts import translator

TEMPLATES: Final = Path(__file__).parent / "templates"


def page(report: ImpactReport, language: str) -> str:
    """The whole page in one language."""
    words = ImpactWords(language, report.currency)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translator(language), newstyle=True)  # type: ignore[attr-defined]
    return environment.get_template("impact.html").render(
        language=language,
        style=Markup(STYLE),  # noqa: S704 our own words
        heading=heading(report, words),
        report=report,
        words=words,
        sections=[_GroupSection(dimension, report.groups[dimension.value], words) for dimension in Dimension],
        taps=[_tap(shown, words) for shown in report.largest],
        refused=[(row, side_words(row.example.new, words)) for row in report.refused],
        accepted=[(row, side_words(row.example.old, words)) for row in report.accepted],
        gaps=[_gap(gap, words) for gap in report.gaps],
    )


class _GroupSection:
    """One dimension: its groups that differ, and their bars."""

    def __init__(self, dimension: Dimension, rows: tuple[GroupRow, ...], words: ImpactWords) -> None:
        self.id = dimension.value
        self.title = words.title(dimension)
        self.rows = [(words.label(dimension, row), row) for row in rows if row.changed]
        self.same = len(rows) - len(self.rows)
        bars = bars_of(dimension, rows, words)
        # every label and number in it is escaped where it is drawn
        self.bars = Markup(drawn(bars, self.title, words)) if bars else ""  # noqa: S704


def _tap(shown: ShownTap, words: ImpactWords) -> dict[str, object]:
    return {
        "tap": shown,
        "at": f"{shown.at:%Y-%m-%d %H:%M}",
        "old": side_words(shown.old, words),
        "new": side_words(shown.new, words),
    }


def _gap(gap: Gap, words: ImpactWords) -> tuple[int, str, str]:
    return gap.count, words.gap(gap), words.places(gap)
