"""The report of an acceptance: JSON for programs, a page to sign for people. Neither names the card's UID."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from terminal.errors import ReaderError, TerminalError
from terminal.files import check_place, replace_file
from terminal.lab.acceptance.assumptions import EXPECTED, HELPS, AssumptionRow, CardVerdict
from terminal.lab.acceptance.bench import AGAIN, AcceptanceBench, AcceptanceEnd, usable
from terminal.lab.acceptance.twin import TwinDifference
from terminal.texts import N_, translator

TEMPLATES: Final = Path(__file__).parent / "templates"
REPEAT: Final = "Lay the same card on the reader and run the same command again."
REPORT_KINDS: Final = (".html", ".json")
"""How a report that may be replaced is called."""
WORD: Final = {
    CardVerdict.HOLDS: N_("holds"),
    CardVerdict.FAILS: N_("fails"),
    CardVerdict.NOT_TRIED: N_("not tried"),
}


class AcceptanceReport(Struct, frozen=True):
    """What one card showed. `without`: what it was issued without in the end; `took_s` includes waiting for people;
    `stage`: the last one begun before the card was restored; `cause`: the name of what ended it early.
    """

    at: datetime
    reader: str
    generation: str
    took_s: float
    usable: bool
    ended: AcceptanceEnd
    stage: str
    cause: str
    restored: bool
    without: tuple[str, ...]
    rows: tuple[AssumptionRow, ...]
    differences: tuple[TwinDifference, ...]

    @property
    def remarks(self) -> list[str]:
        """Message identifiers of what a reader must not overlook."""
        early = [N_("The run ended early: what it did not reach is not tried.")]
        left = [N_("The card was not restored: run the same command again.")]
        return early * (self.ended is not AcceptanceEnd.COMPLETE) + left * (not self.restored)


class AcceptanceUnfinished(ReaderError):
    """The run ended early, or the card was not restored; `report` says how far it came."""

    def __init__(self, report: AcceptanceReport) -> None:
        early = report.ended is not AcceptanceEnd.COMPLETE
        how = f"acceptance ended at {report.stage!r} ({report.cause})" if early else "acceptance is done"
        super().__init__(
            f"{how}, and the card was {'' if report.restored else 'not '}restored",
            REPEAT if report.restored else AGAIN,
        )
        self.report = report


def report_of(bench: AcceptanceBench, at: datetime, took_s: float) -> AcceptanceReport:
    """From what the stages left in `bench`."""
    rows = bench.all_rows()
    differences = () if bench.twin is None else tuple(bench.twin.differences)
    return AcceptanceReport(
        at=at,
        reader=bench.rig.name,
        generation=bench.generation,
        took_s=round(took_s, 1),
        usable=usable(rows) and bench.ended is AcceptanceEnd.COMPLETE,
        ended=bench.ended,
        stage=bench.stage,
        cause=bench.cause,
        restored=bench.restored,
        without=tuple(sorted(bench.without)),
        rows=tuple(rows),
        differences=differences,
    )


def check_report_place(path: Path) -> None:
    """Raises `TerminalError` where no report could be written, while the card is still as it was. An earlier report is
    replaced, and nothing else: a slip of the hand may name a key file.
    """
    with _written(path, "Give another --report."):
        check_place(path)
    if path.exists() and path.suffix not in REPORT_KINDS:
        raise TerminalError(
            f"{path} is there already", "Give a new name, or one that ends in .html or .json."
        )


def write_report(report: AcceptanceReport, path: Path, language: str) -> None:
    """A page where the name ends in .html, else JSON. Raises `TerminalError`."""
    content = page(report, language).encode() if path.suffix == ".html" else msgspec.json.encode(report)
    with _written(path, "What it would say was printed; the next run says it again."):
        replace_file(path, content + b"\n")


@contextmanager
def _written(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TerminalError(f"the report {path} cannot be written: {error.strerror}", advice) from error


def shown(report: AcceptanceReport, language: str) -> list[str]:
    """Lines for a console: every assumption, and below a failed one what helps."""
    texts = translator(language)
    lines = [f"{report.generation}, {report.took_s} s"]
    for row in report.rows:
        lines.append(f"{texts.gettext(WORD[row.verdict]):<14} {texts.gettext(EXPECTED[row.assumption])}")
        if row.verdict is CardVerdict.FAILS:
            lines.append(f"{'':<14} {texts.gettext(HELPS[row.fallback])}")
    usable_text = N_("Such cards can be used.") if report.usable else N_("Such cards cannot be used.")
    return [*lines, *map(texts.gettext, report.remarks), texts.gettext(usable_text)]


def page(report: AcceptanceReport, language: str) -> str:
    """One page that stands alone, in one language, with a line to sign on."""
    texts = translator(language)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    return environment.get_template("acceptance.html").render(
        language=language,
        report=report,
        remarks=[texts.gettext(each) for each in report.remarks],
        rows=[
            (
                row,
                texts.gettext(EXPECTED[row.assumption]),
                texts.gettext(WORD[row.verdict]),
                texts.gettext(HELPS[row.fallback]),
                ", ".join(f"{name}={value}" for name, value in row.saw.items()),
            )
            for row in report.rows
        ],
    )
