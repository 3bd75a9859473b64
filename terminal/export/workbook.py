"""A small XLSX file: sheets of texts, counts and sums, as a bookkeeper's program opens them.

Only what reports need: one bold head row, sums with two decimals, column widths, A4. Texts are inline, so that nothing
in a cell is a formula, whatever it begins with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Final, TypeAlias
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from msgspec import Struct

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PLAIN, _BOLD, _SUM = 0, 1, 2
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_EMPTY: Final = "<c/>"
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_TITLE: Final = re.compile(r"[\[\]:*?/\\']")
_STYLES: Final = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="2"><font/><font><b/></font></fonts>'
    '<fills count="1"><fill/></fills><borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3"><xf/>'
    '<xf fontId="1" applyFont="1"/><xf numFmtId="4" applyNumberFormat="1"/></cellXfs></styleSheet>'
)


class Sum(Struct, frozen=True):
    """Money as machines write it: "1234.50"."""

    text: str


Cell: TypeAlias = str | int | Sum
"""A text, a count, or a sum."""


class WorkSheet(Struct, frozen=True):
    """One sheet. `head_rows` of `rows` are bold."""

    title: str
    rows: Sequence[Sequence[Cell]]
    landscape: bool = False
    head_rows: int = 1


def workbook(sheets: Sequence[WorkSheet]) -> bytes:
    """The file with these sheets; the same content is the same bytes."""
    parts = {
        "[Content_Types].xml": _content_types(len(sheets)),
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": _book(sheets),
        "xl/_rels/workbook.xml.rels": _relations(
            [("worksheet", f"worksheets/sheet{at + 1}.xml") for at in range(len(sheets))]
            + [("styles", "styles.xml")]
        ),
        "xl/styles.xml": _STYLES,
        **{f"xl/worksheets/sheet{at + 1}.xml": _sheet(sheet) for at, sheet in enumerate(sheets)},
    }
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(ZipInfo(name), content.encode(), ZIP_DEFLATED)
    return made.getvalue()


def _content_types(count: int) -> str:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = [("/xl/workbook.xml", "sheet.main"), ("/xl/styles.xml", "styles")]
    parts += [(f"/xl/worksheets/sheet{at + 1}.xml", "worksheet") for at in range(count)]
    overrides = "".join(
        f'<Override PartName="{name}" ContentType="{kind}.{what}+xml"/>' for name, what in parts
    )
    rels = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    )
    return f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">{rels}{overrides}</Types>'


def _relations(targets: Iterable[tuple[str, str]]) -> str:
    found = "".join(
        f'<Relationship Id="r{at}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(targets)
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{found}</Relationships>'


def _book(sheets: Sequence[WorkSheet]) -> str:
    named = "".join(
        f'<sheet name="{escape(_TITLE.sub(" ", sheet.title)[:31])}" sheetId="{at + 1}" r:id="r{at}"/>'
        for at, sheet in enumerate(sheets)
    )
    return f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{named}</sheets></workbook>'


def _sheet(sheet: WorkSheet) -> str:
    widths = [0] * max((len(row) for row in sheet.rows), default=1)
    for row in sheet.rows:
        for at, cell in enumerate(row):
            if cell != "":  # most of a month table
                widths[at] = max(widths[at], len(_shown(cell)))
    columns = "".join(
        f'<col min="{at}" max="{at}" width="{min(width, 60) + 2}" customWidth="1"/>'
        for at, width in enumerate(widths, start=1)
    )
    rows = "".join(
        f'<row r="{at}">{_cells(row, bold=at <= sheet.head_rows)}</row>'
        for at, row in enumerate(sheet.rows, start=1)
    )
    turned = ' orientation="landscape"' if sheet.landscape else ""
    setup = f'<pageSetup paperSize="9" fitToHeight="0"{turned}/>'
    fit = '<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}">{fit}<cols>{columns}</cols>'
        f"<sheetData>{rows}</sheetData>{setup}</worksheet>"
    )


def _cells(row: Sequence[Cell], *, bold: bool) -> str:
    return "".join(_EMPTY if cell == "" else _cell(cell, bold=bold) for cell in row)


def _cell(cell: Cell, *, bold: bool) -> str:
    if isinstance(cell, Sum):
        return f'<c s="{_SUM}"><v>{_shown(cell)}</v></c>'
    style = f' s="{_BOLD}"' if bold else ""
    if isinstance(cell, int):
        return f"<c{style}><v>{cell}</v></c>"
    text = escape(_UNPRINTABLE.sub(" ", cell))
    return f'<c t="inlineStr"{style}><is><t xml:space="preserve">{text}</t></is></c>'


def _shown(cell: Cell) -> str:
    return cell.text if isinstance(cell, Sum) else str(cell)
