"""A single value against the type it has to be of: what is wrong with it, in words of the author's subject, and what
may stand there instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import inspect

from cardproto.resident.limits import LARGEST_MINOR
from terminal.errors import Mistake, MistakeCode
from terminal.mistakes.reading import MOST_MISTAKES
from terminal.texts import N_

_SHOWN: Final = 40
_BIG: Final = 1 << 63
_NAME_PATTERN: Final = r"^[a-z][a-z0-9_]*$"
_WORDS: Final = (
    "name",
    "2026-09",
    "09-01",
    "0123456789abcdef",
    "1",
    "7",
    "5а",
    "https://example.org/receipts",
    "a" * 64,
    "00112233445566",
    "0123456789abcdef" * 2,
    "deny:1",
)
"""Of which each form that a document asks for takes one."""
_DECIMAL: Final = re.compile(r"^\s*(-?\d{1,9})(?:[.,](\d{1,6}))?\s*([^\d\s]\D{0,7})?$")


class ShapeMistake(MistakeCode):
    """What is wrong with a value by itself."""

    UNKNOWN_KEY_NEAR = "unknown_key_near", N_("there is no key `{key}` here"), N_("Did you mean `{near}`?")
    UNKNOWN_KEY = "unknown_key", N_("there is no key `{key}` here"), N_("Known here: {known}.")
    MISSING_KEY = "missing_key", N_("the key `{key}` is missing"), N_("Add it: {example}")
    UNKNOWN_KIND = "unknown_kind", N_("unknown kind {given}"), N_("Kinds here: {known}.")
    UNKNOWN_KIND_NEAR = (
        "unknown_kind_near",
        N_("unknown kind {given}"),
        N_("Did you mean `{near}`? Kinds here: {known}."),
    )
    MISSING_KIND = "missing_kind", N_("the table does not say its `{key}`"), N_("Add it, one of: {known}.")
    UNKNOWN_WORD = "unknown_word", N_("unknown word {given}"), N_("Write one of: {known}.")
    UNKNOWN_WORD_NEAR = (
        "unknown_word_near",
        N_("unknown word {given}"),
        N_("Did you mean `{near}`? Known: {known}."),
    )
    MONEY = (
        "money",
        N_("{given} is no amount"),
        N_("Write kopecks as a whole number: {amount_minor}"),
    )
    MONEY_OF = (
        "money_of",
        N_("{given} is no amount"),
        N_("Write the amount in the smallest unit of {currency} as a whole number: {amount_minor}"),
    )
    MONEY_TOO_FINE = (
        "money_too_fine",
        N_("{given} is no amount: {currency} has {decimals} decimals"),
        N_("Round it, and write the smallest unit as a whole number."),
    )
    NEEDS_NUMBER = (
        "needs_number",
        N_("{given} where a whole number is needed"),
        N_("Write a whole number without quotes, as {example}."),
    )
    NEEDS_DECIMAL = (
        "needs_decimal",
        N_("{given} where a number is needed"),
        N_("Write a number without quotes, as {example}."),
    )
    NEEDS_TEXT = "needs_text", N_("{given} where text is needed"), N_("Write it in quotes: {example}")
    NEEDS_SWITCH = "needs_switch", N_("{given} where true or false is needed"), N_("Write true or false.")
    NEEDS_LIST = "needs_list", N_("{given} where a list is needed"), N_("Write it in brackets: {example}")
    NEEDS_TABLE = (
        "needs_table",
        N_("{given} where a table is needed"),
        N_("Write [{path}] with its keys below, or {{ key = value }}."),
    )
    NEEDS_TABLES = (
        "needs_tables",
        N_("one table where a list of tables is needed"),
        N_("Write [[{path}]] in double brackets, once for each."),
    )
    NEEDS_MOMENT = (
        "needs_moment",
        N_("{given} where a date with time and offset is needed"),
        N_("Write, for example: {example}"),
    )
    NEEDS_DATE = "needs_date", N_("{given} where a date is needed"), N_("Write, for example: {example}")
    NEEDS_LOCAL = (
        "needs_local",
        N_("{given} has an offset where local time is meant"),
        N_("Write it without: {example}"),
    )
    NEEDS_TIME = (
        "needs_time",
        N_("{given} where a time of day is needed"),
        N_("Write, for example: {example}"),
    )
    TOO_SMALL = "too_small", N_("{given} is less than allowed"), N_("At least {least}.")
    TOO_BIG = "too_big", N_("{given} is more than allowed"), N_("At most {most}.")
    OTHER_FORM = "other_form", N_("{given} has not the form needed"), N_("Write it like {example}")
    NAME_FORM = (
        "name_form",
        N_("{given} is no name"),
        N_("Use small Latin letters, digits and _, a letter first: {example}"),
    )
    TOO_SHORT = "too_short", N_("{length} entries or characters are too few"), N_("At least {least}.")
    TOO_LONG = "too_long_here", N_("{length} entries or characters are too many"), N_("At most {most}.")
    OTHER_TYPE = "other_type", N_("this cannot be read here: {says}"), N_("Correct the value.")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the file says that examples are made of: its zone, its currency and how many decimals that has."""

    zone: tzinfo | None = None
    currency: str = "RUB"
    decimals: int = 2
    private: bool = False
    """Its values are never shown."""

    @classmethod
    def of(cls, raw: object, decimals: Mapping[str, int], *, private: bool = False) -> Surroundings:
        """As the header of `raw` says, where it does."""
        header = raw.get("header") if isinstance(raw, dict) else None
        stated = header if isinstance(header, dict) else {}
        zone, currency = stated.get("time_zone"), stated.get("currency")
        known = currency if isinstance(currency, str) and currency in decimals else "RUB"
        return cls(_zone(zone), known, decimals.get(known, 2), private)


def _zone(name: object) -> tzinfo | None:
    try:
        return ZoneInfo(name) if isinstance(name, str) else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


class EnoughMistakes(Exception):
    """More are not listed, and looking for near names takes time; it carries those of the table it was raised in."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(len(mistakes))
        self.mistakes = mistakes


@dataclass
class Mended:
    """What `mend` found, and where it put something else than the author wrote."""

    around: Surroundings = field(default_factory=Surroundings)
    mistakes: list[Mistake] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def note(self, path: str, code: ShapeMistake, /, at: str | None = None, **values: int | str) -> None:
        """`at` is the path that was changed, where that is another one. Raises `EnoughMistakes`."""
        if len(self.mistakes) >= MOST_MISTAKES:
            raise EnoughMistakes(self.mistakes)
        self.mistakes.append(Mistake(path, code, values))
        self.changed.append(path if at is None else at)

    def given(self, value: object) -> str:
        """`value` as the author wrote it, near enough and short."""
        if self.around.private:
            return _form_of(value)
        return shown(value)


def shown(value: object) -> str:
    """A value in one short line without anything a screen would obey."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = f'"{value}"' if len(value) <= _SHOWN else f'"{value[:_SHOWN]}…"'
        return "".join(letter if letter.isprintable() else "·" for letter in text)
    if isinstance(value, int | float):
        return str(value)[:_SHOWN]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return _form_of(value)


def _form_of(value: object) -> str:
    return "{…}" if isinstance(value, dict) else "[…]" if isinstance(value, list) else "…"


def plain_value(found: Mended, kind: inspect.Type, value: Any, path: str) -> bool:
    """Whether `value` can be read as `kind`, which is no table and no list; what is against it is noted."""
    before = len(found.mistakes)
    if isinstance(kind, inspect.IntType):
        _whole(found, kind, value, path)
    elif isinstance(kind, inspect.FloatType):
        _decimal(found, kind, value, path)
    elif isinstance(kind, inspect.StrType | inspect.CustomType):
        _text(found, kind, value, path)
    elif isinstance(kind, inspect.BoolType):
        if not isinstance(value, bool):
            found.note(path, ShapeMistake.NEEDS_SWITCH, given=found.given(value))
    elif isinstance(kind, inspect.DateTimeType):
        _moment(found, kind, value, path)
    elif isinstance(kind, inspect.DateType):
        if isinstance(value, datetime) or not _is(value, date):
            found.note(path, ShapeMistake.NEEDS_DATE, given=found.given(value), example=_day_of(value))
    elif isinstance(kind, inspect.TimeType):
        if not _is(value, time):
            found.note(path, ShapeMistake.NEEDS_TIME, given=found.given(value), example="07:30:00")
    else:
        _word(found, kind, value, path)
    return len(found.mistakes) == before


def _whole(found: Mended, kind: inspect.IntType, value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        money = kind.le == LARGEST_MINOR or path.endswith("_minor")
        if not (money and _money(found, value, path)):
            meant = whole_number(value, path)
            near = written(example(kind, found.around) if meant is None or found.around.private else meant)
            found.note(path, ShapeMistake.NEEDS_NUMBER, given=found.given(value), example=near)
        return
    _range(found, kind, value, path)


_UNITS: Final = (("s", 1), ("с", 1), ("m", 60), ("м", 60), ("h", 3600), ("ч", 3600))
"""By how seconds, minutes and hours begin."""
_COUNTED: Final = re.compile(r"\s*(-?\d{1,9}(?:[.,]\d{1,6})?)\s*([^\W\d]*)\.?\s*(%?)\s*")


def whole_number(value: object, path: str) -> int | None:
    """The whole number that is meant at `path` by something else, as far as that can be seen."""
    if isinstance(value, time):
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        return seconds if path.endswith("_s") else value.hour if path.endswith("hour") else None
    if isinstance(value, float):
        share = path.endswith("percent") and 0 < value < 1
        whole = value * 100 if share else value
        return int(whole) if whole.is_integer() and abs(whole) < _BIG else None
    match = _COUNTED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    factor = next((factor for begins, factor in _UNITS if match[2].lower().startswith(begins)), None)
    if match[2] and (factor is None or not path.endswith("_s")):
        return None
    number = Decimal(match[1].replace(",", ".")) * (factor or 1)
    return int(number) if number == number.to_integral_value() else None


def _range(found: Mended, kind: inspect.IntType | inspect.FloatType, value: float, path: str) -> None:
    given = found.given(value)
    whole = isinstance(kind, inspect.IntType)
    if (kind.ge is not None and value < kind.ge) or (kind.gt is not None and value <= kind.gt):
        least = kind.ge if kind.gt is None else kind.gt + 1 if whole else f"> {kind.gt}"
        found.note(path, ShapeMistake.TOO_SMALL, given=given, least=str(least))
    elif (kind.le is not None and value > kind.le) or (kind.lt is not None and value >= kind.lt):
        most = kind.le if kind.lt is None else kind.lt - 1 if whole else f"< {kind.lt}"
        found.note(path, ShapeMistake.TOO_BIG, given=given, most=str(most))


def _money(found: Mended, value: Any, path: str) -> bool:
    """Notes an amount that is written with decimals, where `value` is one."""
    written_as = repr(value) if isinstance(value, float) else value if isinstance(value, str) else ""
    match = _DECIMAL.match(re.sub(r"(?<=\d)[ \u00a0](?=\d{3}(?!\d))", "", written_as))
    if match is None or (isinstance(value, str) and match[2] is None and not match[3]):
        return False
    around = found.around
    amount = Decimal(f"{match[1]}.{match[2] or 0}").scaleb(around.decimals)
    given = found.given(value)
    if amount != amount.to_integral_value():
        found.note(
            path, ShapeMistake.MONEY_TOO_FINE, given=given, currency=around.currency, decimals=around.decimals
        )
    elif around.currency == "RUB":
        found.note(path, ShapeMistake.MONEY, given=given, amount_minor=_shown_amount(found, amount))
    else:
        amount_minor = _shown_amount(found, amount)
        found.note(
            path, ShapeMistake.MONEY_OF, given=given, currency=around.currency, amount_minor=amount_minor
        )
    return True


def _shown_amount(found: Mended, amount: Decimal) -> int | str:
    return "…" if found.around.private else int(amount)


def _decimal(found: Mended, kind: inspect.FloatType, value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        found.note(path, ShapeMistake.NEEDS_DECIMAL, given=found.given(value), example="50.6")
    else:
        _range(found, kind, value, path)


def _text(found: Mended, kind: inspect.StrType | inspect.CustomType, value: Any, path: str) -> None:
    if not isinstance(value, str):
        inside = (
            value if isinstance(value, int) and not isinstance(value, bool) else example(kind, found.around)
        )
        shown_example = "…" if found.around.private else written(str(inside))
        found.note(path, ShapeMistake.NEEDS_TEXT, given=found.given(value), example=shown_example)
        return
    if isinstance(kind, inspect.CustomType):
        return
    length = len(value)
    if kind.min_length is not None and length < kind.min_length:
        found.note(path, ShapeMistake.TOO_SHORT, length=length, least=kind.min_length)
    elif kind.max_length is not None and length > kind.max_length:
        found.note(path, ShapeMistake.TOO_LONG, length=length, most=kind.max_length)
    elif kind.pattern is not None and not re.search(kind.pattern, value):
        code = ShapeMistake.NAME_FORM if kind.pattern == _NAME_PATTERN else ShapeMistake.OTHER_FORM
        found.note(path, code, given=found.given(value), example=written(example(kind, found.around)))


def _moment(found: Mended, kind: inspect.DateTimeType, value: Any, path: str) -> None:
    if not _is(value, datetime):
        found.note(
            path, ShapeMistake.NEEDS_MOMENT, given=found.given(value), example=_moment_of(value, found.around)
        )
        return
    moment = msgspec.convert(value, datetime)
    if kind.tz is True and moment.tzinfo is None:
        found.note(
            path,
            ShapeMistake.NEEDS_MOMENT,
            given=found.given(value),
            example=_moment_of(moment, found.around),
        )
    elif kind.tz is False and moment.tzinfo is not None:
        local = moment.replace(tzinfo=None).isoformat()
        found.note(path, ShapeMistake.NEEDS_LOCAL, given=found.given(value), example=local)


def _is(value: Any, kind: type) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError):
        return False
    return True


def _day_of(value: Any) -> str:
    return value.date().isoformat() if isinstance(value, datetime) else "2026-09-01"


def _moment_of(value: Any, around: Surroundings) -> str:
    """A moment as it may be written: on the day that the author names, with the document's own offset."""
    if isinstance(value, str) and _is(value, date):
        value = msgspec.convert(value, date)
    day = value if isinstance(value, date) else date(2026, 9, 1)
    moment = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)  # noqa: DTZ001 it gets one
    return moment.replace(tzinfo=around.zone or UTC).isoformat()


def _word(found: Mended, kind: inspect.Type, value: Any, path: str) -> None:
    if isinstance(kind, inspect.EnumType):
        known = [str(one.value) for one in kind.cls]
        sound = any(value == one.value and type(value) is type(one.value) for one in kind.cls) or (
            isinstance(value, str) and value in known
        )
    elif isinstance(kind, inspect.LiteralType):
        known, sound = [str(one) for one in kind.values], value in kind.values and not isinstance(value, bool)
    elif isinstance(kind, inspect.NoneType):
        known, sound = [], value is None
    else:
        _by_itself(found, kind, value, path)
        return
    if sound:
        return
    near = get_close_matches(value, known, 1) if isinstance(value, str) else []
    given, listed = found.given(value), ", ".join(sorted(known))
    if near:
        found.note(path, ShapeMistake.UNKNOWN_WORD_NEAR, given=given, near=near[0], known=listed)
    else:
        found.note(path, ShapeMistake.UNKNOWN_WORD, given=given, known=listed)


def _by_itself(found: Mended, kind: inspect.Type, value: Any, path: str) -> None:
    """A type no document has yet: msgspec's own words."""
    if not isinstance(value, str):
        found.note(path, ShapeMistake.OTHER_TYPE, says=type(kind).__name__.removesuffix("Type"))


def first_kind(kind: inspect.Type) -> inspect.Type:
    """What a value of `kind` is first of all."""
    if isinstance(kind, inspect.Metadata):
        return first_kind(kind.type)
    if isinstance(kind, inspect.UnionType):
        some = (one for one in kind.types if not isinstance(one, inspect.NoneType))
        return first_kind(next(some, kind.types[0]))
    return kind


def example(kind: inspect.Type, around: Surroundings) -> Any:  # noqa: PLR0911 a line for each type
    """Something that can be read as `kind`."""
    kind = first_kind(kind)
    if isinstance(kind, inspect.StructType):
        tag = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
        return tag | {one.encode_name: example(one.type, around) for one in kind.fields if one.required}
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return [example(kind.item_type, around)] * (kind.min_length or 0)
    if isinstance(kind, inspect.TupleType):
        return [example(one, around) for one in kind.item_types]
    if isinstance(kind, inspect.DictType):
        return {}
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _number(kind)
    if isinstance(kind, inspect.StrType | inspect.CustomType):
        return _word_like(kind)
    if isinstance(kind, inspect.EnumType):
        first: Enum = next(iter(kind.cls))
        return first.value
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.DateTimeType):
        return datetime(2026, 9, 1, tzinfo=None if kind.tz is False else around.zone or UTC)
    if isinstance(kind, inspect.DateType):
        return date(2026, 9, 1)
    if isinstance(kind, inspect.TimeType):
        return time(7, 30)
    return False if isinstance(kind, inspect.BoolType) else None


def _number(kind: inspect.IntType | inspect.FloatType) -> int | float:
    if kind.le == LARGEST_MINOR:
        return 3500
    least = kind.ge if kind.ge is not None else None if kind.gt is None else kind.gt + 1
    number = 0 if least is None else max(least, 0)
    return int(number) if isinstance(kind, inspect.IntType) else float(number)


def _word_like(kind: inspect.StrType | inspect.CustomType) -> str:
    if isinstance(kind, inspect.CustomType):
        return "file.toml"
    pattern = kind.pattern or ""
    found = next((word for word in _WORDS if re.search(pattern, word)), "name")
    return found.ljust(kind.min_length or 0, "a")[: kind.max_length]


def written(value: object) -> str:
    """A plain value as TOML has it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(written(one) for one in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {written(one)}" for key, one in value.items()) + " }"
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)
