"""What is doubtful in a list of pupils, by code. Those of `NOTES` were mended or mean nothing bad; the others stop the
loading until someone decides."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from terminal.canteen.pupils.columns import PupilColumn
from terminal.errors import MistakeCode
from terminal.texts import N_


class PupilDoubt(MistakeCode):
    """What may be wrong with one row or with one text that several rows have."""

    NO_NAME = "pupil_no_name", N_("no name"), N_("Write the name, or leave the row out.")
    NAME_UNLIKELY = (
        "pupil_name_unlikely",
        N_("«{text}» is hardly a pupil's name"),
        N_("Leave the row out, or correct the name."),
    )
    NO_CLASS = "pupil_no_class", N_("no class"), N_("Write the class, or leave the row out.")
    CLASS_UNKNOWN = (
        "pupil_class_unknown",
        N_("no class from 1 to 11: «{text}»"),
        N_("Write the class as the school calls it, such as 5в."),
    )
    CLASS_UNCERTAIN = (
        "pupil_class_uncertain",
        N_("a Latin letter in «{text}»"),
        N_("Write the class with a Cyrillic letter."),
    )
    CLASS_LETTERS = (
        "pupil_class_letters",
        N_("«{text}» is read as {class_id}"),
        N_("Nothing has to be done: the letter only looks like a Latin one."),
    )
    CLASS_NEW = (
        "pupil_class_new",
        N_("the school had no class {class_id}"),
        N_("Nothing has to be done if it is a new class."),
    )
    FROM_MERGED = (
        "pupil_from_merged",
        N_("taken from a merged cell above"),
        N_("Nothing has to be done if it is true of this row, too."),
    )
    CATEGORY_UNKNOWN = (
        "pupil_category_unknown",
        N_("unknown category «{text}»"),
        N_("Choose what it means here; it then holds for every row with this text."),
    )
    BORN_UNREADABLE = (
        "pupil_born_unreadable",
        N_("«{text}» is no date"),
        N_("Write it as 14.03.2015, or clear it."),
    )
    BORN_UNLIKELY = (
        "pupil_born_unlikely",
        N_("{years} years old"),
        N_("Correct the date, or write the same again if it is true."),
    )
    BORN_SERIAL = (
        "pupil_born_serial",
        N_("the number {text} is read as the date {day}"),
        N_("Nothing has to be done: this is how spreadsheets count days."),
    )
    GRANT_UNREADABLE = (
        "pupil_grant_unreadable",
        N_("«{text}» is no date"),
        N_("Write it as 14.03.2015, or clear it."),
    )
    GRANT_ENDS_FIRST = (
        "pupil_grant_ends_first",
        N_("the category ends before it begins"),
        N_("Correct the dates."),
    )
    SHIFT_UNKNOWN = "pupil_shift_unknown", N_("«{text}» is no school shift"), N_("Write 1 or 2, or clear it.")
    SUM_UNREADABLE = (
        "pupil_sum_unreadable",
        N_("«{text}» is no sum"),
        N_("Write it as 1234,50, or clear it: then the balance stays as it is."),
    )
    SAME_NUMBER = (
        "pupil_same_number",
        N_("row {row} has the same personal number"),
        N_("Correct one of them, or leave one row out."),
    )
    TWICE = (
        "pupil_twice",
        N_("row {row} is the same pupil"),
        N_("Leave one of them out, or write the dates of birth if they are two."),
    )
    RESEMBLES = (
        "pupil_resembles",
        N_("may be a pupil of class {class_id} who is in the list already"),
        N_("Say whether it is the same one: accounts and cards stay with him."),
    )
    NUMBER_OF_ANOTHER = (
        "pupil_number_of_another",
        N_("this number is another pupil's, of class {class_id}"),
        N_("Say whether it is the same one, or correct the number."),
    )
    NO_SUCH_ROW = (
        "pupil_no_such_row",
        N_("the balances are said to count up to row {text}; this terminal knows rows {first} to {last}"),
        N_("State the row that the report you were given names."),
    )
    CARD_UNREADABLE = (
        "pupil_card_unreadable",
        N_("no reference of a card"),
        N_("Tie the card by holding it against the terminal."),
    )


NOTES: Final = frozenset(
    {
        PupilDoubt.CLASS_LETTERS,
        PupilDoubt.CLASS_NEW,
        PupilDoubt.FROM_MERGED,
        PupilDoubt.BORN_SERIAL,
        PupilDoubt.CARD_UNREADABLE,
    }
)
OF_TEXTS: Final = frozenset(
    {
        PupilDoubt.CLASS_UNKNOWN,
        PupilDoubt.CLASS_UNCERTAIN,
        PupilDoubt.CLASS_LETTERS,
        PupilDoubt.CLASS_NEW,
        PupilDoubt.CATEGORY_UNKNOWN,
    }
)
"""Said once for all rows that have the text."""

NO_VALUES: Final[Mapping[str, str | int]] = MappingProxyType({})


class DoubtfulCell(msgspec.Struct, frozen=True, kw_only=True):
    """One doubt: the first row it is about (`line` as `DraftLine` counts, `row` as the spreadsheet does), how many rows
    share it, and the text there. `resembles` is the reference of the pupil it may be. No `repr` shows a text."""

    code: str
    line: int
    row: int
    sheet: str = ""
    column: PupilColumn | None = None
    values: dict[str, str | int] = {}
    text: str = ""
    rows: int = 1
    resembles: str = ""
    proposal: str = ""

    def __repr__(self) -> str:
        return f"DoubtfulCell({self.code}, row {self.row})"

    @property
    def blocks(self) -> bool:
        """Whether it has to be settled before the list is loaded."""
        return self.code not in NOTES


def doubtful(
    code: PupilDoubt,
    line: int,
    row: int,
    sheet: str,
    column: PupilColumn | None = None,
    text: str = "",
    *,
    proposal: str = "",
    resembles: str = "",
    values: Mapping[str, str | int] = NO_VALUES,
) -> DoubtfulCell:
    """One doubt, with the values of its words."""
    return DoubtfulCell(
        code=code.value,
        line=line,
        row=row,
        sheet=sheet,
        column=column,
        values={"text": text, **values},
        text=text,
        proposal=proposal,
        resembles=resembles,
    )


CODES: Final[Mapping[str, PupilDoubt]] = MappingProxyType({code.value: code for code in PupilDoubt})
"""By the text a `DoubtfulCell` holds."""
