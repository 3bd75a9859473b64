"""What passenger and operator read and hear: one table of all messages, Russian and English (domain.md §10).

Decisions carry codes and bare values; here they become text. Dates, times and sums take the form of the
language. Colour never stands alone: each has its sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from terminal.decision.outcome import NO_VALUES, Message, Outcome
from terminal.errors import TerminalError

LANGUAGES: Final = ("ru", "en")


class Colour(StrEnum):
    """Green done, red refused, yellow attention."""

    GREEN = "green"
    RED = "red"
    YELLOW = "yellow"


class Sound(NamedTuple):
    """`beeps` of `beep_ms` with `gap_ms` between them."""

    beeps: int
    beep_ms: int = 120
    gap_ms: int = 80


SOUNDS: Final[Mapping[Colour, Sound]] = MappingProxyType(
    {Colour.GREEN: Sound(1), Colour.RED: Sound(3), Colour.YELLOW: Sound(2)}
)

_GREEN, _RED, _YELLOW = Colour.GREEN, Colour.RED, Colour.YELLOW

TABLE: Final[Mapping[Message, tuple[Colour, str, str]]] = MappingProxyType(
    {
        Message.OK_PAID: (_GREEN, "Оплачено. Счастливого пути!", "Paid. Have a good trip!"),
        Message.OK_PASS: (_GREEN, "Проездной действителен до {date}", "Pass valid until {date}"),
        Message.OK_BENEFIT: (
            _GREEN,
            "Льготный проезд. Осталось поездок: {n}",
            "Concession trip. Trips left: {n}",
        ),
        Message.OK_BENEFIT_UNLIMITED: (_GREEN, "Льготный проезд", "Concession trip"),
        Message.OK_TRANSFER: (_GREEN, "Пересадка. Бесплатно до {time}", "Transfer. Free until {time}"),
        Message.OK_CHECKIN: (
            _GREEN,
            "Вход отмечен. Приложите карту на выходе",
            "Checked in. Tap again when leaving",
        ),
        Message.OK_CHECKOUT: (_GREEN, "Выход отмечен. Списано {sum}", "Checked out. Charged {sum}"),
        Message.LIMIT_REACHED: (
            _YELLOW,
            "Льготные поездки закончились. Списан полный тариф",
            "No concession trips left. Full fare charged",
        ),
        Message.ALREADY_PAID: (_YELLOW, "Проезд уже оплачен", "Already paid"),
        Message.NO_FUNDS: (_RED, "Недостаточно средств", "Not enough money"),
        Message.STOP_LIST: (
            _RED,
            "Карта в стоп-листе. Погасите задолженность",
            "Card on the stop list. Please settle the debt",
        ),
        Message.BLOCKED: (_RED, "Карта заблокирована", "Card blocked"),
        Message.EXPIRED: (_RED, "Срок действия карты истёк", "Card expired"),
        Message.BENEFIT_EXPIRED: (
            _YELLOW,
            "Срок льготы истёк. Полный тариф",
            "Concession expired. Full fare",
        ),
        Message.BENEFIT_OUT_OF_SEASON: (
            _YELLOW,
            "Льгота сейчас не действует. Полный тариф",
            "Concession not in season. Full fare",
        ),
        Message.MEDIUM_INACTIVE: (
            _RED,
            "Активна другая карта (или телефон)",
            "Another card or phone is active",
        ),
        Message.READ_AGAIN: (_YELLOW, "Приложите карту ещё раз", "Tap again"),
        Message.ONE_CARD: (_YELLOW, "Приложите одну карту", "Present one card only"),
        Message.UNKNOWN_CARD: (_RED, "Карта не поддерживается", "Card not supported"),
        Message.SHIFT_CLOSED: (_RED, "Смена не открыта", "Shift not open"),
        Message.OUT_OF_ORDER: (_RED, "Терминал неисправен", "Terminal out of order"),
        Message.MEAL_OK: (_GREEN, "Приятного аппетита!", "Enjoy your meal!"),
        Message.MEAL_ALREADY: (_YELLOW, "{meal} уже получен", "{meal} already served"),
        Message.MEAL_NOT_ORDERED: (_YELLOW, "Питание на сегодня не заказано", "No meal ordered today"),
        Message.MEAL_FORBIDDEN: (_RED, "Этот продукт исключён родителями", "Not allowed by parents"),
        Message.MEAL_LIMIT: (_RED, "Дневной лимит исчерпан", "Daily limit reached"),
        Message.NOT_ON_SITE: (_YELLOW, "Ученик на домашнем обучении", "Pupil is home schooled"),
        Message.ONLINE_ONLY: (
            _YELLOW,
            "Нужна связь, попробуйте позже",
            "Connection needed, try later",
        ),
        Message.DISCOUNT_OK: (_GREEN, "Скидка {p} %", "Discount {p} %"),
        Message.PERMIT_OK: (_GREEN, "Разрешение действует до {time}", "Permit valid until {time}"),
        Message.PERMIT_NONE: (_RED, "Разрешения нет", "No permit"),
    }
)
"""Every message: colour, Russian, English."""

MEALS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "breakfast": ("Завтрак", "Breakfast"),
        "second_breakfast": ("Второй завтрак", "Second breakfast"),
        "lunch": ("Обед", "Lunch"),
        "snack": ("Полдник", "Snack"),
        "dinner": ("Ужин", "Dinner"),
    }
)
"""Names of the usual meal kinds, masculine in Russian as `meal_already` needs; other kinds show their id."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def text(message: Message, language: str, values: Mapping[str, int | str] = NO_VALUES) -> str:
    """Return the line for the passenger. `values` are the outcome's: n, date, time, sum_minor, meal, p.

    Raises `TerminalError` for a language without texts and for a value the message needs and did not get.
    """
    column = _column(language)
    template = TABLE[message][1 + column]
    try:
        return template.format_map({name: _shown(name, value, language) for name, value in _named(values)})
    except KeyError as error:
        raise TerminalError(
            f"message {message.value} needs {error}", "Give the values of the outcome it belongs to."
        ) from error


def operator_line(outcome: Outcome, language: str) -> str:
    """Return the operator's line: the code, what was charged, and trips left when they are counted."""
    parts = [outcome.message.value]
    if outcome.charge_minor:
        parts.append(money(outcome.charge_minor, language))
    if "n" in outcome.values:
        parts.append(trips(int(outcome.values["n"]), language))
    return " · ".join(parts)


def colour(message: Message) -> Colour:
    """The colour the message is shown in."""
    return TABLE[message][0]


def sound(message: Message) -> Sound:
    """What the message sounds like: one beep done, two attention, three refused."""
    return SOUNDS[colour(message)]


def trips(count: int, language: str) -> str:
    """1 поездка, 2 поездки, 5 поездок, 11 поездок, 21 поездка; 1 trip, 2 trips."""
    if _column(language):
        return f"{count} trip" if count == 1 else f"{count} trips"
    return f"{count} {plural_ru(count, 'поездка', 'поездки', 'поездок')}"


def plural_ru(count: int, one: str, few: str, many: str) -> str:
    """The Russian form that goes with `count`: by its last digit, except that 11 to 14 take the third."""
    tens, last = count % 100 // 10, count % 10
    if tens == 1 or last == 0 or last >= 5:
        return many
    return one if last == 1 else few


def money(sum_minor: int, language: str) -> str:
    """Kopecks as `24,00 ₽` or `RUB 24.00`; thousands apart by a no-break space or a comma."""
    english = _column(language)
    sign, rest = ("-" if sum_minor < 0 else ""), abs(sum_minor)
    major = f"{rest // 100:,}"
    if english:
        return f"RUB {sign}{major}.{rest % 100:02d}"
    grouped = major.replace(",", "\N{NO-BREAK SPACE}")
    return f"{sign}{grouped},{rest % 100:02d} ₽"


def day(iso: str, language: str) -> str:
    """An ISO date as `31.12.2026` or `31 Dec 2026`."""
    when = date.fromisoformat(iso)
    if _column(language):
        return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"
    return f"{when:%d.%m.%Y}"


def _column(language: str) -> int:
    try:
        return LANGUAGES.index(language)
    except ValueError as error:
        raise TerminalError(f"no texts in language {language!r}", f"Use {' or '.join(LANGUAGES)}.") from error


def _named(values: Mapping[str, int | str]) -> list[tuple[str, int | str]]:
    return [("sum" if name == "sum_minor" else name, value) for name, value in values.items()]


def _shown(name: str, value: int | str, language: str) -> str:
    if name == "date":
        return day(str(value), language)
    if name == "sum":
        return money(int(value), language)
    if name == "meal":
        names = MEALS.get(str(value))
        return str(value) if names is None else names[_column(language)]
    return str(value)
