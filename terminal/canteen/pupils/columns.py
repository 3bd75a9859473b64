"""Which column of a sheet is what: by its heading, else by what stands in it; and which must not be kept (D-02)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final

from msgspec import Struct

from terminal.canteen.pupils.sheet import Sheet, SheetRow, Workbook
from terminal.canteen.pupils.values import date_of, parse_class, plain
from terminal.texts import N_

SEARCHED_ROWS: Final = 30
"""The headings stand in one of the first rows with content."""
LOOKED_AT: Final = 200
"""Cells of a column that are looked at for what it is."""
LIKELY: Final = 0.6
"""The share of a column's cells that have to look like it where no heading says what it is."""


class PupilColumn(StrEnum):
    """What a column may hold, as far as the terminal takes it."""

    FULL_NAME = "full_name"
    SURNAME = "surname"
    GIVEN_NAME = "given_name"
    PATRONYMIC = "patronymic"
    CLASS = "class"
    NUMBER = "number"
    BORN = "born"
    CATEGORY = "category"
    GRANT_FROM = "grant_from"
    GRANT_UNTIL = "grant_until"
    SHIFT = "shift"
    HOME = "home"
    HOT = "hot"
    BUFFET = "buffet"
    CARD = "card"


COLUMN_NAMES: Final[Mapping[str, str]] = {
    PupilColumn.FULL_NAME: N_("Full name"),
    PupilColumn.SURNAME: N_("Surname"),
    PupilColumn.GIVEN_NAME: N_("Given name"),
    PupilColumn.PATRONYMIC: N_("Patronymic"),
    PupilColumn.CLASS: N_("Class of the pupil"),
    PupilColumn.NUMBER: N_("Personal number"),
    PupilColumn.BORN: N_("Date of birth"),
    PupilColumn.CATEGORY: N_("Meal category"),
    PupilColumn.GRANT_FROM: N_("Category from"),
    PupilColumn.GRANT_UNTIL: N_("Category until"),
    PupilColumn.SHIFT: N_("School shift"),
    PupilColumn.HOME: N_("Taught at home"),
    PupilColumn.HOT: N_("Balance of hot meals"),
    PupilColumn.BUFFET: N_("Balance of the buffet"),
    PupilColumn.CARD: N_("Card reference"),
}
"""For people; translated where they are shown."""

INDEX: Final = re.compile(r"^(№|n|no|#|п п|п/п|№ п п|номер п п|номер по порядку)$")
"""The row's own number: of no use, and no pupil's."""
HEADINGS: Final[tuple[tuple[PupilColumn, str], ...]] = (
    (PupilColumn.GIVEN_NAME, r"имя( ученика| обучающегося| ребенка)?|given name|first name"),
    (PupilColumn.PATRONYMIC, r"отчество.*|patronymic|middle name"),
    (PupilColumn.SURNAME, r"фамилия( ученика| обучающегося| ребенка)?|surname|last name"),
    (
        PupilColumn.FULL_NAME,
        r".*\bфио\b.*|ф и о.*|.*фамилия.*имя.*|ученик|обучающийся|воспитанник|(full )?name|pupil",
    ),
    (
        PupilColumn.NUMBER,
        r".*личн\w* (дел|номер).*|табельн.*|номер (ученика|обучающегося)|лицевой счет.*|.*number",
    ),
    (PupilColumn.CLASS, r"класс|класс \S+|группа|параллель и литер\w*|class"),
    (PupilColumn.BORN, r".*дата рожд.*|д р|др|год рождения|born|date of birth|birth date"),
    (PupilColumn.GRANT_FROM, r"(льгота|категория|питание|действует|справка) (с|от)|начало.*|category from"),
    (
        PupilColumn.GRANT_UNTIL,
        r"(льгота|категория|питание|действует|справка) (по|до)|окончание.*|category until",
    ),
    (PupilColumn.CATEGORY, r".*(льгот|категори).*|вид питания|category|concession"),
    (PupilColumn.SHIFT, r"смена.*|shift"),
    (PupilColumn.HOME, r".*(надомн|на дому).*|home schooled"),
    (PupilColumn.BUFFET, r".*(баланс|остаток|счет).*буфет.*|буфет|buffet.*"),
    (PupilColumn.HOT, r"баланс.*|остаток.*|.*счет.*(горяч|питани).*|сальдо.*|(hot )?balance"),
    (PupilColumn.CARD, r"карта.*|номер карты.*|card.*"),
)
"""In the order they are tried, over texts in lower case without punctuation."""


class Unkept(StrEnum):
    """Personal data that no canteen needs: such a column is named and dropped before anything is kept."""

    INSURANCE = "insurance"
    ADDRESS = "address"
    PHONE = "phone"
    PASSPORT = "passport"
    MAIL = "mail"
    PARENTS = "parents"
    HEALTH = "health"


UNKEPT_NAMES: Final[Mapping[str, str]] = {
    Unkept.INSURANCE: N_("insurance number (SNILS)"),
    Unkept.ADDRESS: N_("address"),
    Unkept.PHONE: N_("phone"),
    Unkept.PASSPORT: N_("passport or certificate"),
    Unkept.MAIL: N_("e-mail"),
    Unkept.PARENTS: N_("parents"),
    Unkept.HEALTH: N_("health"),
}
UNKEPT_HEADINGS: Final[tuple[tuple[Unkept, str], ...]] = (
    (Unkept.INSURANCE, r".*(снилс|страхов\w* (номер|свид)|полис|snils|insurance).*"),
    (Unkept.ADDRESS, r".*(адрес|прожива|прописк|место жительства|address).*"),
    (Unkept.PHONE, r".*(телефон|моб\w* номер|phone).*|тел|моб"),
    (Unkept.PASSPORT, r".*(паспорт|свидетельств\w* о рожд|серия|удостоверя\w* личност|passport).*"),
    (Unkept.MAIL, r".*(почт|e ?mail|емейл).*"),
    (Unkept.PARENTS, r".*(родител|представител|опекун|parent).*|мать|отец|мама|папа"),
    (Unkept.HEALTH, r".*(диагноз|группа здоровья|заболеван|аллерг|diagnos).*"),
)
_UNKEPT_CELLS: Final[tuple[tuple[Unkept, re.Pattern[str]], ...]] = (
    (Unkept.INSURANCE, re.compile(r"\d{3}-\d{3}-\d{3}[ -]\d\d")),
    (Unkept.PHONE, re.compile(r"(\+7|8)[ (-]*\d{3}[ )-]*\d{3}[ -]*\d\d[ -]*\d\d")),
    (Unkept.MAIL, re.compile(r"\S+@\S+\.\w+")),
    (Unkept.PASSPORT, re.compile(r"\d\d ?\d\d \d{6}|[IVXLC]+-[А-Я]{2} ?№? ?\d{6}")),
)
_NAME: Final = re.compile(r"[А-ЯЁA-Z][\w-]+( [А-ЯЁA-Z][\w-]*\.?){1,3}")


class Heading(Struct, frozen=True):
    """One column as the file names it; `title` is empty where it does not."""

    column: int
    title: str


class Headings(Struct, frozen=True):
    """What is known of a sheet's columns. `first_row`: the number of the first row below the headings."""

    first_row: int
    titles: tuple[Heading, ...]
    columns: dict[str, int]
    """By `PupilColumn`: where it stands."""
    dropped: dict[str, str]
    """By heading: which `Unkept`."""

    @property
    def complete(self) -> bool:
        """Whether there is a name to go by."""
        return bool(self.columns.keys() & {PupilColumn.FULL_NAME, PupilColumn.SURNAME})


def headings_of(sheet: Sheet) -> Headings:
    """The headings of a sheet, found and understood as far as they go."""
    rows = sheet.rows[:SEARCHED_ROWS]
    best = max(rows, key=_understood, default=None)
    titled = best is not None and (_understood(best) >= 2 or any(map(_names, best.cells)))
    titles = best.cells if best is not None and titled else ()
    body = [row for row in sheet.rows if best is None or not titled or row.number > best.number]
    width = max((len(row.cells) for row in sheet.rows), default=0)
    columns: dict[str, int] = {}
    dropped: dict[str, str] = {}
    shown = []
    for at in range(width):
        title = titles[at] if at < len(titles) else ""
        if (unkept := _unkept(title, body, at)) is not None:
            dropped[title or f"№ {at + 1}"] = unkept
            continue
        shown.append(Heading(at, title))
        if (kind := _column(title)) is not None:
            columns.setdefault(kind, at)
    for kind, looks in _LOOKS.items():
        if kind not in columns and not (kind is PupilColumn.FULL_NAME and PupilColumn.SURNAME in columns):
            free = [one.column for one in shown if one.column not in columns.values()]
            found = [at for at in free if _share(body, at, looks) >= LIKELY]
            if found and not any(_title_says_otherwise(titles, at) for at in found[:1]):
                columns[kind] = found[0]
    return Headings(best.number + 1 if best is not None and titled else 0, tuple(shown), columns, dropped)


def without_unkept(book: Workbook) -> tuple[Workbook, dict[str, str]]:
    """The workbook with the columns emptied that must not be kept, and which those were by heading."""
    sheets, dropped = [], dict[str, str]()
    for sheet in book.sheets:
        headings = headings_of(sheet)
        kept = {one.column for one in headings.titles}
        rows = (
            SheetRow(
                row.number,
                tuple(cell if at in kept else "" for at, cell in enumerate(row.cells)),
                row.filled,
            )
            for row in sheet.rows
        )
        sheets.append(Sheet(sheet.name, tuple(row for row in rows if any(row.cells))))
        dropped |= headings.dropped
    return Workbook(tuple(sheets)), dropped


def _understood(row: SheetRow) -> int:
    known = (_column(cell) or _unkept_by_title(cell) for cell in row.cells)
    return len({kind for kind in known if kind is not None})


def _names(title: str) -> bool:
    return _column(title) in (PupilColumn.FULL_NAME, PupilColumn.SURNAME)


def _column(title: str) -> PupilColumn | None:
    words = plain(title)
    if not words or INDEX.match(words):
        return None
    return next((kind for kind, pattern in HEADINGS if re.fullmatch(pattern, words)), None)


def _unkept_by_title(title: str) -> Unkept | None:
    words = plain(title)
    return next((kind for kind, pattern in UNKEPT_HEADINGS if words and re.fullmatch(pattern, words)), None)


def _unkept(title: str, body: Sequence[SheetRow], at: int) -> Unkept | None:
    by_title = _unkept_by_title(title)
    if by_title is not None:
        return by_title
    for kind, pattern in _UNKEPT_CELLS:
        if _share(body, at, lambda text, pattern=pattern: bool(pattern.fullmatch(text))) >= LIKELY:  # type: ignore[misc]
            return kind
    return None


def _title_says_otherwise(titles: Sequence[str], at: int) -> bool:
    return at < len(titles) and bool(INDEX.match(plain(titles[at])))


def _share(rows: Iterable[SheetRow], at: int, looks: Callable[[str], bool]) -> float:
    texts = list(islice((text for row in rows if (text := row.cell(at))), LOOKED_AT))
    return sum(map(looks, texts)) / len(texts) if texts else 0.0


_LOOKS: Final[Mapping[PupilColumn, Callable[[str], bool]]] = {
    PupilColumn.FULL_NAME: lambda text: bool(_NAME.fullmatch(text)) and parse_class(text) is None,
    PupilColumn.CLASS: lambda text: (found := parse_class(text)) is not None and bool(found.letter),
    PupilColumn.BORN: lambda text: not text.isdigit() and date_of(text) is not None,
}
