"""A list of pupils on its way into the terminal: what was read, and what people decided about it, kept sealed until it
is loaded or given up. Names are in here: it has no `repr` (D-02).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from terminal.canteen.pupils.columns import Headings, PupilColumn, headings_of, without_unkept
from terminal.canteen.pupils.sheet import Sheet, SheetRow, Workbook
from terminal.canteen.pupils.values import parse_class, plain

NEW: Final = "new"
"""For `Choices.same`: this row is another pupil than the one he resembles."""
EVERY_SHEET: Final = -1
NO_COLUMN: Final = -1
MOST_FILE_NAME: Final = 80
TOTAL: Final = re.compile(r"(итого|всего)\b")

Text = Annotated[str, Meta(max_length=200)]


class Choices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people decided. `columns`: where each `PupilColumn` stands, `NO_COLUMN` for nowhere; what is not named is as
    it was recognised. `classes` and `categories` are by the text as typed and hold for every row with it; `cells` are
    by "line:column" and hold for one. `same`: by line, which pupil of the list in force this is, or `NEW`.
    `whole`: whether pupils who are not in the file leave; None: not decided. `through`: the balances in the file
    include this terminal's rows up to that one; None: the file changes no balance. `primary`: grades 1 to 4 have
    their meal by law without being listed for it (M-10).
    """

    school: Text = ""
    sheet: Annotated[int, Meta(ge=EVERY_SHEET)] | None = None
    columns: dict[PupilColumn, int] = {}
    classes: dict[Text, Text] = {}
    categories: dict[Text, tuple[int, ...]] = {}
    cells: dict[Text, Text] = {}
    left_out: tuple[int, ...] = ()
    same: dict[str, Text] = {}
    whole: bool | None = None
    through: Annotated[int, Meta(ge=0)] | None = None
    primary: bool = True


class DraftLine(msgspec.Struct, frozen=True):
    """One row of the list below its headings. `line` counts them over all sheets; `section` is the class that a title
    above it or its sheet's name states."""

    line: int
    sheet: str
    row: SheetRow
    section: str = ""

    def __repr__(self) -> str:
        return f"DraftLine({self.line})"


def _is_of_the_form(row: SheetRow, headings: Headings) -> bool:
    """Whether it belongs to the printed form and to no pupil: the headings once more, as on each page; the numbers of
    the columns; a total."""
    titles = [one for one in headings.titles if one.title]
    if titles and all(plain(row.cell(one.column)) == plain(one.title) for one in titles):
        return True
    texts = [cell for cell in row.cells if cell]
    numbers = [str(number) for number in range(1, len(texts) + 1)]
    return (len(texts) > 1 and texts == numbers) or bool(TOTAL.match(plain(texts[0])))


class PupilDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list that was read and is not loaded. `dropped`: the columns by heading that were not kept, and as what."""

    file: Text
    sheets: tuple[Sheet, ...]
    dropped: dict[str, str]
    choices: Choices = Choices()

    def __repr__(self) -> str:
        return f"PupilDraft({len(self.sheets)} sheets)"

    @classmethod
    def of(cls, file: str, book: Workbook, choices: Choices | None = None) -> PupilDraft:
        """What was read, without the columns that must not be kept."""
        kept, dropped = without_unkept(book)
        return cls(
            file=file[-MOST_FILE_NAME:], sheets=kept.sheets, dropped=dropped, choices=choices or Choices()
        )

    @property
    def sheet(self) -> int:
        """Which sheet is the list; `EVERY_SHEET` where each is one class."""
        if self.choices.sheet is not None and self.choices.sheet < len(self.sheets):
            return self.choices.sheet
        classes = [parse_class(sheet.name) for sheet in self.sheets]
        return EVERY_SHEET if len(classes) > 1 and all(classes) else 0

    @property
    def headings(self) -> Headings:
        """The columns as recognised, with what was chosen in place of that."""
        if not self.sheets:
            return Headings(0, (), {}, {})
        found = headings_of(self.sheets[max(self.sheet, 0)])
        chosen = {kind.value: at for kind, at in self.choices.columns.items()}
        columns = {kind: at for kind, at in (found.columns | chosen).items() if at != NO_COLUMN}
        return msgspec.structs.replace(found, columns=columns)

    def lines(self) -> Iterator[DraftLine]:
        """The rows below the headings, titles of classes taken out."""
        line = 0
        for at, sheet in enumerate(self.sheets):
            if self.sheet not in (EVERY_SHEET, at):
                continue
            section = sheet.name if self.sheet == EVERY_SHEET else ""
            headings = headings_of(sheet)
            first = headings.first_row
            for row in sheet.rows:
                if row.number < first or _is_of_the_form(row, headings):
                    continue
                texts = [cell for cell in row.cells if cell]
                if (
                    len(texts) == 1
                    and (stated := parse_class(texts[0])) is not None
                    and not texts[0].isdigit()
                ):
                    section = stated.id
                    continue
                yield DraftLine(line, sheet.name, row, section)
                line += 1
