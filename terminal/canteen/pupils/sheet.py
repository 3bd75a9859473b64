"""A spreadsheet as the terminal takes it: cells as text, and what stands against the file as a whole.

Texts are as people typed them: dates as 2015-03-14, whole numbers without a point. Names are in here: no `repr` shows a
cell (D-02).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from terminal.errors import MistakeCode
from terminal.texts import N_

MOST_FILE_BYTES: Final = 8 << 20
MOST_ROWS: Final = 5_000
"""Of all sheets together; a school has 1 500 pupils."""
MOST_COLUMNS: Final = 64
MOST_SHEETS: Final = 100
MOST_CELL: Final = 200
"""Characters of a cell; longer ones are cut, no column that is kept needs them."""


class SheetFault(MistakeCode):
    """Why a file cannot be read as a list of pupils."""

    TOO_LARGE = (
        "sheet_too_large",
        N_("the file is larger than {most} MB"),
        N_("Save only the list of pupils, without pictures."),
    )
    TOO_MANY_ROWS = (
        "sheet_too_many_rows",
        N_("the file has more than {most} rows"),
        N_("Delete the empty rows below the list, or save the list alone."),
    )
    TOO_MANY_SHEETS = (
        "sheet_too_many_sheets",
        N_("the file has more than {most} sheets"),
        N_("Save the sheets with pupils alone."),
    )
    UNFOLDS = (
        "sheet_unfolds",
        N_("the file unfolds to more than it may: this is no ordinary list"),
        N_("Copy the list into a new file and save that one."),
    )
    HAS_ENTITIES = (
        "sheet_has_entities",
        N_("the file asks for other files: no spreadsheet program writes this"),
        N_("Copy the list into a new file and save that one."),
    )
    OLD_OR_LOCKED = (
        "sheet_old_or_locked",
        N_("the file is in the old Excel format (.xls) or has a password"),
        N_("Save it as an Excel workbook (.xlsx) without a password."),
    )
    OTHER_PROGRAM = (
        "sheet_other_program",
        N_("the file is no Excel workbook"),
        N_("Save it as an Excel workbook (.xlsx) or as CSV."),
    )
    NOT_CALCULATED = (
        "sheet_not_calculated",
        N_("the file has formulas without their results"),
        N_("Open it in Excel, save it again and load that."),
    )
    BROKEN = (
        "sheet_broken",
        N_("the file is damaged"),
        N_("Open it in Excel, save it again as .xlsx and load that."),
    )
    NOT_TEXT = (
        "sheet_not_text",
        N_("the file is neither a workbook nor text"),
        N_("Save it as an Excel workbook (.xlsx) or as CSV."),
    )
    EMPTY = "sheet_empty", N_("the file has no rows"), N_("Save the list of pupils and load it.")
    TOO_LONG = (
        "sheet_too_long",
        N_("reading the file took longer than {most} s"),
        N_("Copy the list into a new file and save that one."),
    )
    NOT_READ = (
        "sheet_not_read",
        N_("the file needs more memory than it may"),
        N_("Copy the list into a new file and save that one."),
    )


FAULTS: Final[Mapping[str, SheetFault]] = MappingProxyType({fault.value: fault for fault in SheetFault})
"""By the text a `SheetRefused` holds."""


class SheetRow(msgspec.Struct, frozen=True, array_like=True):
    """One row that is not empty. `number` as the spreadsheet program shows it; `filled`: the columns whose text comes
    from a merged cell that begins in an earlier row."""

    number: int
    cells: tuple[str, ...]
    filled: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"SheetRow({self.number}, {len(self.cells)} cells)"

    def cell(self, column: int) -> str:
        """The text in a column, empty past the last."""
        return self.cells[column] if 0 <= column < len(self.cells) else ""


class Sheet(msgspec.Struct, frozen=True, array_like=True):
    """One sheet of a workbook, or all of a CSV file."""

    name: str
    rows: tuple[SheetRow, ...]

    def __repr__(self) -> str:
        return f"Sheet({len(self.rows)} rows)"


class Workbook(msgspec.Struct, frozen=True, tag=True):
    """What was read, without sheets that are empty."""

    sheets: tuple[Sheet, ...]


class SheetRefused(msgspec.Struct, frozen=True, tag=True):
    """The file cannot be used; `values` fill the words of `fault`."""

    fault: str
    values: dict[str, int] = {}
