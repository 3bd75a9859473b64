"""Rows of a list made pupils, and what is doubtful about them; nothing here knows the list in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from terminal.canteen.pupils.columns import PupilColumn
from terminal.canteen.pupils.doubts import OF_TEXTS, DoubtfulCell, PupilDoubt, doubtful
from terminal.canteen.pupils.draft import DraftLine, PupilDraft
from terminal.canteen.pupils.values import (
    EXCEL_BEGINS,
    MOST_NUMBER,
    NO,
    NO_PERSON,
    STAFF_CLASS,
    YES,
    cyrillic,
    date_of,
    name_of,
    number_key,
    parse_class,
    plain,
    sum_of,
)
from terminal.policy.policy import Policy

AGES: Final = range(5, 21)
AGES_OF_STAFF: Final = range(14, 100)
NAMES: Final = (
    PupilColumn.FULL_NAME,
    PupilColumn.SURNAME,
    PupilColumn.GIVEN_NAME,
    PupilColumn.PATRONYMIC,
)
SEPARATORS: Final = str.maketrans(",/+\n", ";;;;")
LARGEST_SUM: Final = 0xFFFFFF


class SheetPupil(Struct, frozen=True, kw_only=True):
    """One pupil as the file states him; None where it states nothing. `codes` are concessions, None for a file without
    that column."""

    line: int
    row: int
    sheet: str
    name: str
    class_id: str
    grade: int
    number: str = ""
    born: date | None = None
    codes: tuple[int, ...] | None = None
    grant_from: date | None = None
    grant_until: date | None = None
    shift: int | None = None
    home: bool | None = None
    hot_minor: int | None = None
    buffet_minor: int | None = None
    card: str = ""

    def __repr__(self) -> str:
        return f"SheetPupil({self.line})"

    @property
    def person(self) -> tuple[str, date | None]:
        """Who he is without a number."""
        return plain(self.name), self.born


class CheckedRows(Struct, frozen=True):
    """The pupils of a file in its order, and all doubts about its rows."""

    pupils: tuple[SheetPupil, ...]
    doubts: tuple[DoubtfulCell, ...]


class _RowReader(Struct):
    """Goes through the rows once."""

    draft: PupilDraft
    policy: Policy
    today: date
    columns: Mapping[str, int] = field(default_factory=dict)
    categories: dict[str, tuple[int, ...]] = field(default_factory=dict)
    doubts: list[DoubtfulCell] = field(default_factory=list)
    shared: dict[tuple[str, str], int] = field(default_factory=dict)

    def pupil(self, line: DraftLine) -> SheetPupil | None:
        """The pupil in one row, with what could be read of him; None for a row without name and class."""
        name = name_of(*(self.text(line, kind) for kind in NAMES))
        typed_class = self.text(line, PupilColumn.CLASS) or line.section
        if not name and not typed_class:
            return None
        if not name:
            self._doubt(PupilDoubt.NO_NAME, line, self._name_column)
        elif NO_PERSON.match(name) and not self._accepted(line, self._name_column):
            self._doubt(PupilDoubt.NAME_UNLIKELY, line, self._name_column, self.text(line, self._name_column))
        class_id, grade = self._class(line, typed_class)
        return SheetPupil(
            line=line.line,
            row=line.row.number,
            sheet=line.sheet,
            name=name,
            class_id=class_id,
            grade=grade,
            number=cyrillic(self.text(line, PupilColumn.NUMBER))[:MOST_NUMBER],
            born=self._born(line, AGES if grade else AGES_OF_STAFF if class_id == STAFF_CLASS else None),
            codes=self._codes(line),
            grant_from=self._day(line, PupilColumn.GRANT_FROM),
            grant_until=self._day(line, PupilColumn.GRANT_UNTIL),
            shift=self._shift(line),
            home=plain(self.text(line, PupilColumn.HOME)) in YES
            if PupilColumn.HOME in self.columns
            else None,
            hot_minor=self._sum(line, PupilColumn.HOT),
            buffet_minor=self._sum(line, PupilColumn.BUFFET),
            card=self._card(line),
        )

    def text(self, line: DraftLine, column: PupilColumn) -> str:
        """What stands in a cell, or what was written in its place."""
        mended = self.draft.choices.cells.get(f"{line.line}:{column}")
        return line.row.cell(self.columns.get(column, -1)) if mended is None else mended.strip()

    def _accepted(self, line: DraftLine, column: PupilColumn) -> bool:
        """Whether people wrote there, be it the same again."""
        return f"{line.line}:{column}" in self.draft.choices.cells

    @property
    def _name_column(self) -> PupilColumn:
        return PupilColumn.FULL_NAME if PupilColumn.FULL_NAME in self.columns else PupilColumn.SURNAME

    def _class(self, line: DraftLine, typed: str) -> tuple[str, int]:
        if not typed:
            self._doubt(PupilDoubt.NO_CLASS, line, PupilColumn.CLASS)
            return "", 0
        chosen = self.draft.choices.classes.get(typed)
        found = parse_class(chosen or typed)
        if found is None:
            self._doubt(PupilDoubt.CLASS_UNKNOWN, line, PupilColumn.CLASS, typed)
            return "", 0
        if chosen is None and not found.certain:
            self._doubt(PupilDoubt.CLASS_UNCERTAIN, line, PupilColumn.CLASS, typed, proposal=found.id)
        elif chosen is None and any("a" <= c <= "z" for c in typed.casefold()) and found.id != STAFF_CLASS:
            self._doubt(PupilDoubt.CLASS_LETTERS, line, PupilColumn.CLASS, typed, class_id=found.id)
        if self.columns.get(PupilColumn.CLASS, -1) in line.row.filled:
            self._doubt(PupilDoubt.FROM_MERGED, line, PupilColumn.CLASS)
        return found.id, found.grade

    def _born(self, line: DraftLine, ages: range | None) -> date | None:
        typed = self.text(line, PupilColumn.BORN)
        if not typed:
            return None
        found = date_of(typed)
        if found is None:
            self._doubt(PupilDoubt.BORN_UNREADABLE, line, PupilColumn.BORN, typed)
            return None
        accepted = self._accepted(line, PupilColumn.BORN)
        if typed.isdigit() and found > EXCEL_BEGINS and not accepted:
            self._doubt(PupilDoubt.BORN_SERIAL, line, PupilColumn.BORN, typed, day=f"{found:%d.%m.%Y}")
        years = self.today.year - found.year - ((self.today.month, self.today.day) < (found.month, found.day))
        if ages is not None and years not in ages and not accepted:
            self._doubt(PupilDoubt.BORN_UNLIKELY, line, PupilColumn.BORN, typed, years=years)
        return found

    def _codes(self, line: DraftLine) -> tuple[int, ...] | None:
        if PupilColumn.CATEGORY not in self.columns:
            return None
        typed = self.text(line, PupilColumn.CATEGORY)
        chosen = self.draft.choices.categories.get(typed)
        if chosen is not None:
            return tuple(sorted(code for code in chosen if code in self.policy.meals.rules))
        codes: set[int] = set()
        for part in self._parts(typed):
            known = self.categories.get(part)
            if known is None:
                near = get_close_matches(part, self.categories, n=1, cutoff=0.6)
                proposal = str(self.categories[near[0]][0]) if near and self.categories[near[0]] else ""
                self._doubt(PupilDoubt.CATEGORY_UNKNOWN, line, PupilColumn.CATEGORY, typed, proposal=proposal)
                return ()
            codes.update(known)
        return tuple(sorted(codes))

    def _parts(self, typed: str) -> list[str]:
        """A concession's name may hold a comma itself."""
        if plain(typed) in self.categories:
            return [plain(typed)]
        return [plain(part) for part in typed.translate(SEPARATORS).split(";")]

    def _day(self, line: DraftLine, column: PupilColumn) -> date | None:
        typed = self.text(line, column)
        found = date_of(typed) if typed else None
        if typed and found is None:
            self._doubt(PupilDoubt.GRANT_UNREADABLE, line, column, typed)
        until = column is PupilColumn.GRANT_UNTIL and date_of(self.text(line, PupilColumn.GRANT_FROM))
        if until and found is not None and found < until:
            self._doubt(PupilDoubt.GRANT_ENDS_FIRST, line, column, typed)
        return found

    def _shift(self, line: DraftLine) -> int | None:
        typed = self.text(line, PupilColumn.SHIFT)
        if typed and typed[0] not in "12":
            self._doubt(PupilDoubt.SHIFT_UNKNOWN, line, PupilColumn.SHIFT, typed)
            return None
        return int(typed[0]) if typed else None

    def _sum(self, line: DraftLine, column: PupilColumn) -> int | None:
        typed = self.text(line, column)
        if not typed or self.draft.choices.through is None:
            return None
        found = sum_of(typed)
        below = column is PupilColumn.BUFFET and found is not None and found < 0
        if found is None or abs(found) > LARGEST_SUM or below:
            self._doubt(PupilDoubt.SUM_UNREADABLE, line, column, typed)
            return None
        return found

    def _card(self, line: DraftLine) -> str:
        typed = self.text(line, PupilColumn.CARD).casefold()
        if typed and not (len(typed) == 16 and all(c in "0123456789abcdef" for c in typed)):
            self._doubt(PupilDoubt.CARD_UNREADABLE, line, PupilColumn.CARD)
            return ""
        return typed

    def _doubt(
        self,
        code: PupilDoubt,
        line: DraftLine,
        column: PupilColumn,
        text: str = "",
        *,
        proposal: str = "",
        **values: str | int,
    ) -> None:
        if code in OF_TEXTS:
            at = self.shared.setdefault((code, text), len(self.doubts))
            if at < len(self.doubts):
                self.doubts[at] = replace(self.doubts[at], rows=self.doubts[at].rows + 1)
                return
        self.doubts.append(
            doubtful(
                code, line.line, line.row.number, line.sheet, column, text, proposal=proposal, values=values
            )
        )


def categories_of(policy: Policy) -> dict[str, tuple[int, ...]]:
    """Concessions that give meals by what a file may call them: the document's name or the code; and none."""
    known = {
        plain(concession.name): (concession.code,)
        for concession in policy.document.concessions
        if concession.code in policy.meals.rules
    }
    codes = {str(code): (code,) for code in policy.meals.rules}
    return known | codes | {plain(word): () for word in (*NO, "-", "—")}


def check_rows(draft: PupilDraft, policy: Policy, today: date) -> CheckedRows:
    """Every pupil of the file, without the rows that were left out."""
    rows = _RowReader(draft, policy, today, draft.headings.columns, categories_of(policy))
    left_out = frozenset(draft.choices.left_out)
    found = (rows.pupil(line) for line in draft.lines() if line.line not in left_out)
    pupils = tuple(pupil for pupil in found if pupil is not None)
    return CheckedRows(pupils, (*rows.doubts, *_twice(pupils)))


def _twice(pupils: Sequence[SheetPupil]) -> Iterator[DoubtfulCell]:
    """Two rows of one number, or of one name and date of birth without two numbers, are one pupil."""
    numbers: dict[str, SheetPupil] = {}
    people: dict[tuple[str, date | None], SheetPupil] = {}
    for pupil in pupils:
        number = number_key(pupil.number)
        same = numbers.setdefault(number, pupil) if number else pupil
        if same is not pupil:
            yield doubtful(
                PupilDoubt.SAME_NUMBER,
                pupil.line,
                pupil.row,
                pupil.sheet,
                PupilColumn.NUMBER,
                pupil.number,
                values={"row": same.row},
            )
            continue
        other = people.setdefault(pupil.person, pupil)
        if other is not pupil and pupil.name and not (number and number_key(other.number)):
            yield doubtful(
                PupilDoubt.TWICE,
                pupil.line,
                pupil.row,
                pupil.sheet,
                PupilColumn.BORN,
                values={"row": other.row},
            )
