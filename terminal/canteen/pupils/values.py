"""What stands in a cell: names, classes, dates, sums, categories, as schools type them.

Pure: a text goes in, a value comes out, or None where it is none. Letters that only look like Cyrillic ones are
replaced where the rest of the word is Cyrillic.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from msgspec import Struct

LOOK_ALIKE: Final = str.maketrans("ABCEHKMOPTXYaceopxyk", "АВСЕНКМОРТХУасеорхук")
"""Latin letters by the Cyrillic ones they are taken for."""
EXCEL_BEGINS: Final = date(1899, 12, 30)
SERIALS: Final = range(25_000, 60_000)
"""Dates from 1968 to 2064 as a spreadsheet program counts them."""
MONTHS: Final = ("янв", "фев", "мар", "апр", "ма", "июн", "июл", "авг", "сен", "окт", "ноя", "дек")
NO: Final = frozenset(
    {"", "нет", "no", "0", "платно", "платник", "за плату", "без льгот", "нет льгот", "нет льготы"}
)
YES: Final = frozenset({"да", "yes", "1", "+", "надомное", "на дому", "х", "v"})
STAFF_CLASSES: Final = frozenset(
    {"сотрудники", "сотрудник", "учителя", "учитель", "педагоги", "персонал", "staff"}
)
STAFF_CLASS: Final = "сотрудники"
"""Where members of staff who eat here stand; their grade is 0."""
ENDINGS: Final = frozenset({"й", "ый", "ой", "ий", "го", "х"})
"""Of "6-й": the grade alone, with no letter of a class."""
MOST_NUMBER: Final = 32
NO_PERSON: Final = re.compile(
    r"\W*(классн|директор|заведующ|ответственн|руководител)|.*[:_]|[\W\d_]*$", re.IGNORECASE
)
"""What stands above or below a list in place of a name: "Классный руководитель: …", "____"."""

_BETWEEN_WORDS: Final = re.compile(r"[^\w№#]+|_+")
_LATIN: Final = re.compile(r"[A-Za-z]")
_CYRILLIC: Final = re.compile(r"[А-Яа-яЁё]")
_CLASS: Final = re.compile(
    r"""(\d{1,2})\s*[-–—_.\s]?\s*["'«“„]?\s*((?:[^\W\d_]{1,3}\d?)|\d{1,2})?\s*["'»”“]?\s*(?:класс|кл\.?)?""",
    re.IGNORECASE,
)
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[./\- ](\d{1,2})[./\- ](\d{4}|\d\d)(?: ?г\.?)?")
_YEAR_FIRST: Final = re.compile(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:[ T]\d\d:\d\d(?::\d\d)?)?")
_IN_WORDS: Final = re.compile(r"(\d{1,2}) ([а-я]+)\.? (\d{4})(?: ?г\.?| года)?")
_SUM: Final = re.compile(r"(-?)(\d{1,7})(?:[.,](\d{1,2}))?")


class ParsedClass(Struct, frozen=True):
    """A class as it was typed: `letter` is what follows the grade, in lower case, "" for none. `certain` is false where
    a letter may stand for two Cyrillic ones."""

    grade: int
    letter: str
    certain: bool = True

    @property
    def id(self) -> str:
        """As the roster calls it."""
        divided = "-" if self.letter[:1].isdigit() else ""
        return f"{self.grade or ''}{divided}{self.letter}"


STAFF: Final = ParsedClass(0, STAFF_CLASS)


def plain(text: str) -> str:
    """For comparing: lower case, ё as е, punctuation as blanks, one blank between words."""
    return _BETWEEN_WORDS.sub(" ", text.casefold().replace("ё", "е")).strip()


def cyrillic(text: str) -> str:
    """`text` with look-alike letters replaced in words that have Cyrillic ones."""
    if text.isascii() or not _LATIN.search(text):
        return text
    return " ".join(
        word.translate(LOOK_ALIKE) if _CYRILLIC.search(word) else word for word in text.split(" ")
    )


def name_of(*parts: str) -> str:
    """A whole name of its parts, as people write it: "ИВАНОВ  пётр" is "Иванов Пётр"."""
    words = cyrillic(" ".join(" ".join(parts).split())).split()
    return " ".join(_capital(word) if word.isupper() or word.islower() else word for word in words)


def _capital(word: str) -> str:
    return "-".join(part[:1].upper() + part[1:].lower() for part in word.split("-"))


def parse_class(text: str) -> ParsedClass | None:
    """The class in `text`: "5В", "5 «в»", "10-1", "Учителя"; None where no grade from 1 to 11 can be read."""
    if plain(text) in STAFF_CLASSES:
        return STAFF
    found = _CLASS.fullmatch(text.strip())
    if found is None or not 1 <= int(found[1]) <= 11 or (found[2] or "").casefold() in ENDINGS:
        return None
    typed = found[2] or ""
    letter = typed.translate(LOOK_ALIKE).casefold()
    certain = not any("a" <= c <= "z" for c in letter)
    return ParsedClass(int(found[1]), "в" if letter == "b" else letter, certain)


def date_of(text: str) -> date | None:
    """A date as people and spreadsheet programs write it, also as a program's serial number; 15 is 2015, 62 is 1962."""
    words = text.strip().casefold()
    if words.isdigit() and int(words) in SERIALS:
        return EXCEL_BEGINS + timedelta(days=int(words))
    if found := _YEAR_FIRST.fullmatch(words):
        return _day(found[1], found[2], found[3])
    if found := _DAY_FIRST.fullmatch(words):
        century = "" if len(found[3]) == 4 else "20" if found[3] < "50" else "19"
        return _day(century + found[3], found[2], found[1])
    if found := _IN_WORDS.fullmatch(words):
        month = next((at for at, name in enumerate(MONTHS, 1) if found[2].startswith(name)), 0)
        return _day(found[3], str(month), found[1])
    return None


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def sum_of(text: str) -> int | None:
    """Minor units of a sum such as "1 234,50", "-12.5", "120 руб."; None for anything else."""
    bare = re.sub(r"\s|руб\.?|р\.|₽", "", text.casefold()).replace("−", "-")
    found = _SUM.fullmatch(bare)
    if found is None:
        return None
    minor = int(found[2]) * 100 + int((found[3] or "0").ljust(2, "0"))
    return -minor if found[1] else minor


def number_key(number: str) -> str:
    """A pupil's number for comparing: without blanks, in one case, with one kind of letters."""
    return "".join(number.split()).translate(LOOK_ALIKE).casefold()
