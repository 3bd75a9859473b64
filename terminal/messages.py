"""What passenger and operator read and hear: one table of all messages, worded by the catalogues.

Decisions carry codes and bare values; here they become text. Words, dates, sums and plurals take the form of the
language's catalogue (`terminal.texts`). Colour never stands alone: each has its sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from string import Formatter
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import Struct

from terminal.decision.outcome import NO_VALUES, Message
from terminal.errors import TerminalError
from terminal.money import money
from terminal.texts import N_, NP_, languages, translator

LANGUAGES: Final = languages()
"""Every language there was a catalogue for when the program started."""


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

TABLE: Final[Mapping[str, tuple[Colour, str]]] = MappingProxyType(
    {
        Message.OK_PAID: (_GREEN, N_("Paid. Have a good trip!")),
        Message.OK_PAID_BY_BANK: (_GREEN, N_("Paid by bank card. Have a good trip!")),
        Message.OK_PASS: (_GREEN, N_("Pass valid until {date}")),
        Message.OK_PACK: (_GREEN, N_("Trips left: {n}")),
        Message.OK_BENEFIT: (_GREEN, N_("Concession trip. Trips left: {n}")),
        Message.OK_BENEFIT_UNLIMITED: (_GREEN, N_("Concession trip")),
        Message.OK_GRACE: (_YELLOW, N_("Ride on credit. Rides on credit left: {n}")),
        Message.OK_TRANSFER: (_GREEN, N_("Transfer. Free until {time}")),
        Message.OK_CHECKIN: (_GREEN, N_("Checked in. Tap again when leaving")),
        Message.OK_CHECKOUT: (_GREEN, N_("Checked out. Charged {sum}")),
        Message.LIMIT_REACHED: (_YELLOW, N_("No concession trips left. Full fare charged")),
        Message.PACK_USED_UP: (_YELLOW, N_("Pack used up. Full fare charged")),
        Message.PACK_LAPSED: (_YELLOW, N_("Pack of another month. Full fare charged")),
        Message.COUNT_UNREADABLE: (_YELLOW, N_("Trips left unknown. Full fare charged")),
        Message.PASS_USED_UP: (_YELLOW, N_("Pass used up. Full fare charged")),
        Message.ALREADY_PAID: (_YELLOW, N_("Already paid")),
        Message.NO_FUNDS: (_RED, N_("Not enough money")),
        Message.DEBT: (_RED, N_("Unpaid rides. Please settle the debt")),
        Message.DENY_LIST: (_RED, N_("Card on the deny list. Please settle the debt")),
        Message.BLOCKED: (_RED, N_("Card blocked")),
        Message.EXPIRED: (_RED, N_("Card expired")),
        Message.NOT_YET_VALID: (_RED, N_("Card not valid yet")),
        Message.OTHER_REGION: (_RED, N_("Card of another region")),
        Message.CREDENTIAL_EXPIRED: (_RED, N_("Concession to be renewed at an issuing point")),
        Message.CREDENTIAL_NOT_TRUSTED: (_RED, N_("Card not confirmed by its issuer")),
        Message.BENEFIT_EXPIRED: (_YELLOW, N_("Concession expired. Full fare")),
        Message.BENEFIT_OUT_OF_SEASON: (_YELLOW, N_("Concession not in season. Full fare")),
        Message.BENEFIT_NOT_CHECKED: (_YELLOW, N_("Concession could not be checked. Full fare")),
        Message.MEDIUM_INACTIVE: (_RED, N_("Another card or phone is active")),
        Message.READ_AGAIN: (_YELLOW, N_("Tap again")),
        Message.ONE_CARD: (_YELLOW, N_("Present one card only")),
        Message.UNKNOWN_CARD: (_RED, N_("Card not supported")),
        Message.BANK_CLOSED: (_YELLOW, N_("Bank cards are not accepted now")),
        Message.NOT_ACCEPTED: (_RED, N_("Card not accepted")),
        Message.UNLOCK_PHONE: (_YELLOW, N_("Unlock the phone and tap again")),
        Message.NO_RIGHT_IN_PHONE: (_RED, N_("No concession for this ride. Pay otherwise")),
        Message.CODE_USED: (_RED, N_("Code already used. Show the next one")),
        Message.CODE_TOO_OLD: (_YELLOW, N_("Code out of date. Open the app again")),
        Message.CODE_AHEAD: (_YELLOW, N_("Check the time on the phone")),
        Message.CODE_OF_OTHERS: (_YELLOW, N_("Another code. Show the code of the resident card")),
        Message.CODE_OF_BANK: (_YELLOW, N_("A payment code. Show the resident card's code")),
        Message.CODE_OF_RAIL: (_YELLOW, N_("A train ticket. Show the resident card's code")),
        Message.CODE_OF_HEALTH: (_YELLOW, N_("A health code. Show the resident card's code")),
        Message.CODE_IS_LINK: (_YELLOW, N_("A web link. Show the resident card's code")),
        Message.CODE_PRINTED: (_RED, N_("Printed code. Show the code in the app")),
        Message.CODE_CHECK: (_YELLOW, N_("Printed code. Please wait for the check")),
        Message.CODE_NOT_ACCEPTED: (_YELLOW, N_("Codes are not accepted here")),
        Message.SHIFT_CLOSED: (_RED, N_("Terminal not in service yet")),
        Message.CLOCK_UNCONFIRMED: (_RED, N_("Terminal temporarily not in service")),
        Message.CLOCK_CONFIRMED: (_GREEN, N_("Time confirmed: {date}, {time}")),
        Message.OUT_OF_ORDER: (_RED, N_("Terminal out of order")),
        Message.TOO_MANY_PERSONS: (_RED, N_("Too many persons for one card")),
        Message.FARE_UNKNOWN: (_RED, N_("Fare not known. Please pay the driver")),
        Message.STAFF_CARD: (_GREEN, N_("Service card. Enter the PIN by {time}")),
        Message.INSPECTION_PAID: (_GREEN, N_("Ride paid")),
        Message.INSPECTION_UNPAID: (_RED, N_("Ride not paid")),
        Message.MEAL_OK: (_GREEN, N_("Enjoy your meal!")),
        Message.MEAL_ALREADY: (_YELLOW, N_("{meal} already served")),
        Message.MEAL_NOT_ORDERED: (_YELLOW, N_("No meal ordered today")),
        Message.MEAL_ASK: (_YELLOW, N_("Please wait for the cashier")),
        Message.CARD_READ: (_YELLOW, N_("Card read")),
        Message.MEAL_NOT_ARRANGED: (_YELLOW, N_("No meal arranged")),
        Message.NO_MEAL_NOW: (_YELLOW, N_("No meals are served now")),
        Message.NO_MEAL_TODAY: (_YELLOW, N_("No meals today")),
        Message.MEAL_FORBIDDEN: (_RED, N_("Not allowed by parents")),
        Message.MEAL_LIMIT: (_RED, N_("Daily limit reached")),
        Message.SERVING_CLOSED: (_RED, N_("Serving is over for today")),
        Message.SELLING_STOPPED: (_RED, N_("Selling is stopped")),
        Message.PUPIL_UNKNOWN: (_RED, N_("Pupil not in the list")),
        Message.NOT_ON_SITE: (_YELLOW, N_("Pupil is home schooled")),
        Message.ONLINE_ONLY: (_YELLOW, N_("Connection needed, try later")),
        Message.DISCOUNT_OK: (_GREEN, N_("Discount {p} %")),
        Message.PERMIT_OK: (_GREEN, N_("Permit valid until {time}")),
        Message.PERMIT_NONE: (_RED, N_("No permit")),
    }
)
"""Every message: its colour, and its wording as the catalogues know it."""

SOURCE: Final = "en"
"""The language every message has a line in; shown where a medium's message has none in the language asked for."""


class MediumMessage(Struct, frozen=True):
    """A message that a medium brings with it: its code, `medium.name` with a dot, and a line in each of its languages.

    The lines may use the values of the outcome as all messages do: {n}, {date}, {time}, {sum}, {meal}, {p}.
    """

    code: str
    colour: Colour
    texts: Mapping[str, str]


_of_media: Final[dict[str, MediumMessage]] = {}
"""Registered when the terminal is composed, before its first tap."""

_CODE: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_VALUES: Final = frozenset(("n", "date", "time", "sum", "meal", "p"))


def register(medium: str, messages: Iterable[MediumMessage]) -> None:
    """Let `text` and the others know the messages of `medium`; the same ones again change nothing.

    Raises `TerminalError` for a code that is not the medium's own or is taken, for a message without an English line or
    a colour of ours, and for lines that are not printable, ask for a value no outcome has, or not all for the same.
    Then none of them is known.
    """
    found: dict[str, MediumMessage] = {}
    for message in messages:
        problem = _problem(medium, message, found | _of_media)
        if problem:
            raise TerminalError(
                f"message {message.code!r} of medium {medium} {problem}",
                "Take the medium out of the list, or a version of it made for this terminal.",
            )
        found[message.code] = message
    _of_media.update(found)


def _problem(medium: str, message: MediumMessage, others: Mapping[str, MediumMessage]) -> str:
    """What forbids to register `message`, or nothing."""
    if not _CODE.fullmatch(message.code) or not message.code.startswith(f"{medium}."):
        return f"has another form than {medium}.name"
    if others.get(message.code, message) != message:
        return "clashes with another message of the same code"
    if message.colour not in tuple(Colour):
        return "has a colour that is none of ours"
    return _problem_of_lines(message.texts)


def _problem_of_lines(lines: Mapping[str, str]) -> str:
    if not lines.get(SOURCE):
        return "has no English line"
    if not all(line.isprintable() for line in lines.values()):
        return "has a line with characters that cannot be shown"
    try:
        asked = {frozenset(_fields(line)) for line in lines.values()}
    except ValueError as error:
        return f"is malformed ({error})"
    if len(asked) != 1 or not next(iter(asked)) <= _VALUES:
        return "asks for values that not every outcome has"
    return ""


def _fields(line: str) -> list[str]:
    """The values `line` asks for; a conversion or format of its own counts into the name and so is none of ours."""
    parts = ((name, form, how) for _, name, form, how in Formatter().parse(line) if name is not None)
    return [f"{name}{form}{how or ''}" for name, form, how in parts]


MEALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "breakfast": N_("Breakfast"),
        "second_breakfast": N_("Second breakfast"),
        "lunch": N_("Lunch"),
        "snack": N_("Snack"),
        "dinner": N_("Dinner"),
    }
)
"""Names of the usual meal kinds, masculine in Russian as `meal_already` needs; other kinds show their id."""

_MONTHS: Final = (
    *(NP_("month", "Jan"), NP_("month", "Feb"), NP_("month", "Mar"), NP_("month", "Apr")),
    *(NP_("month", "May"), NP_("month", "Jun"), NP_("month", "Jul"), NP_("month", "Aug")),
    *(NP_("month", "Sep"), NP_("month", "Oct"), NP_("month", "Nov"), NP_("month", "Dec")),
)


def wording(message: str, language: str) -> str:
    """The line as the catalogue has it, its values still by name: `Trips left: {n}`.

    A code without a line, as an old row may have it whose medium is gone, stands for itself.
    """
    t, brought = translator(language), _of_media.get(message)
    if brought is not None:
        return brought.texts.get(language, brought.texts[SOURCE])
    return t.gettext(TABLE[message][1]) if message in TABLE else str(message)


def text(message: str, language: str, values: Mapping[str, int | str] = NO_VALUES) -> str:
    """Return the line for the passenger. `values` are the outcome's: n, date, time, meal, p; sum_minor with currency.

    Raises `TerminalError` for a language without texts and for a value the message needs and did not get.
    """
    template = wording(message, language)
    try:
        return template.format_map(
            {name: _shown(name, value, language, values) for name, value in _named(values)}
        )
    except KeyError as error:
        raise TerminalError(
            f"message {message} needs {error}", "Give the values of the outcome it belongs to."
        ) from error


def colour(message: str) -> Colour:
    """The colour the message is shown in; yellow for a code without a line."""
    brought = _of_media.get(message)
    if brought is not None:
        return brought.colour
    return TABLE[message][0] if message in TABLE else Colour.YELLOW


def sound(message: str) -> Sound:
    """What the message sounds like: one beep done, two attention, three refused."""
    return SOUNDS[colour(message)]


def meal(kind: str, language: str) -> str:
    """The name of a meal kind; a region's own kind shows its id."""
    return translator(language).gettext(MEALS[kind]) if kind in MEALS else kind


def trips(count: int, language: str) -> str:
    """1 поездка, 2 поездки, 5 поездок, 11 поездок, 21 поездка; 1 trip, 2 trips."""
    return translator(language).ngettext("{n} trip", "{n} trips", count).format(n=count)


def day(iso: str, language: str) -> str:
    """An ISO date as `31.12.2026` or `31 Dec 2026`: the catalogue may use {d}, {dd}, {mm}, {month}, {yyyy}."""
    t, when = translator(language), date.fromisoformat(iso)
    return t.pgettext("date format", "{d} {month} {yyyy}").format(
        d=when.day,
        dd=f"{when.day:02d}",
        mm=f"{when.month:02d}",
        month=t.pgettext("month", _MONTHS[when.month - 1]),
        yyyy=f"{when.year:04d}",
    )


def _named(values: Mapping[str, int | str]) -> list[tuple[str, int | str]]:
    return [("sum" if name == "sum_minor" else name, value) for name, value in values.items()]


def _shown(name: str, value: int | str, language: str, values: Mapping[str, int | str]) -> str:
    if name == "date":
        return day(str(value), language)
    if name == "sum":
        return money(int(value), str(values["currency"]), language)
    if name == "meal":
        return meal(str(value), language)
    return str(value)
