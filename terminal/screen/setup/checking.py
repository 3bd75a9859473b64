"""What is wrong with answers: question by question, and what contradicts something else on its page.

A page and an answers file are judged by the same functions, so that a school set up by command is right where one set
up by pages is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from terminal.errors import Mistake
from terminal.screen.setup.answers import (
    CLOCK,
    DIGITS,
    TILL_PARTS,
    day_in,
    day_of,
    is_yes,
    minor_in,
    minor_of,
    number_or_0,
    served,
    spans_of,
    sums_of,
    text_of,
    tills_of,
)
from terminal.screen.setup.asked import AnswerKind, Question, SetupPage, Texts, matters
from terminal.screen.setup.meal_questions import BY_SHIFT, CATEGORIES, KINDS
from terminal.screen.setup.mistakes import SetupMistake
from terminal.screen.setup.questions import (
    BY_NAME,
    HOLIDAYS,
    MOST_MONEY,
    PAUSES,
    PRODUCTS,
    TILLS_PAGE,
)

READER: Final = "terminal.reader"
_READER: Final = re.compile("pcsc(:.+)?")
_PUBLIC_KEY: Final = re.compile(
    r"-----BEGIN PUBLIC KEY-----\s+MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=\s+-----END PUBLIC KEY-----"
)
"""Of Ed25519, as terminals have them (RFC 8410)."""


def mistakes_on(page: SetupPage, texts: Texts) -> Iterator[Mistake]:
    """Everything that is wrong on a page; of each question the first thing."""
    wrong = {found.path: found for question in page.questions for found in _of(question, texts)}
    yield from wrong.values()
    for found in _CONTRADICTIONS.get(page.name, _none)(texts):
        if found.path not in wrong:
            wrong[found.path] = found
            yield found


def not_asked(texts: Texts) -> Iterator[Mistake]:
    """Names that no question has."""
    yield from (Mistake(name, SetupMistake.NOT_ASKED) for name in texts if name not in BY_NAME)


def _of(question: Question, texts: Texts) -> Iterator[Mistake]:
    text = texts.get(question.name, "").strip()
    if not matters(question, texts) or question.kind is AnswerKind.SWITCH:
        return
    if not text:
        if question.needed:
            yield Mistake(question.name, SetupMistake.MISSING)
        return
    code = _refused(question, text)
    if code is not None:
        values: dict[str, int | str] = {"low": question.low, "high": question.high}
        if code is SetupMistake.NO_CHOICE:
            values["choices"] = ", ".join(one.value for one in question.choices)
        yield Mistake(question.name, code, values)


def _refused(question: Question, text: str) -> SetupMistake | None:
    match question.kind:
        case AnswerKind.TEXT | AnswerKind.FILE:
            return _no_text(question, text)
        case AnswerKind.NUMBER:
            right = DIGITS.fullmatch(text) and question.low <= int(text) <= question.high
            return None if right else SetupMistake.NO_NUMBER
        case AnswerKind.MONEY:
            return _no_money(text)
        case AnswerKind.CLOCK:
            return None if CLOCK.fullmatch(text) else SetupMistake.NO_CLOCK
        case AnswerKind.DAY:
            return None if day_in(text) else SetupMistake.NO_DAY
        case _:
            right = text in [one.value for one in question.choices]
            return None if right else SetupMistake.NO_CHOICE


def _no_text(question: Question, text: str) -> SetupMistake | None:
    if len(text) > question.high:
        return SetupMistake.TOO_LONG
    return SetupMistake.NO_READER if question.name == READER and not _READER.fullmatch(text) else None


def _no_money(text: str) -> SetupMistake | None:
    minor = minor_in(text)
    if minor is None or minor < 0:
        return SetupMistake.NO_MONEY
    if minor == 0:
        return SetupMistake.NOTHING_TO_PAY
    return SetupMistake.TOO_MUCH if minor > MOST_MONEY else None


# what contradicts something else on a page


def _none(_texts: Texts) -> Iterator[Mistake]:
    yield from ()


def _meals(texts: Texts) -> Iterator[Mistake]:
    kinds = served(texts)
    if not kinds:
        yield Mistake("meals.breakfast.served", SetupMistake.NO_MEAL)
        return
    spans = [span for kind in kinds for span in spans_of(texts, kind)]
    for begins, ends, number in spans:
        if not ends or not begins:
            missing = "from" if ends else "until"
            yield Mistake(number.replace("from", missing), SetupMistake.HALF_A_BREAK)
        elif ends <= begins:
            yield Mistake(number.replace("from", "until"), SetupMistake.ENDS_FIRST)
    whole = sorted(span for span in spans if span[0] and span[1])
    for (_, ends, _), (begins, _, path) in itertools.pairwise(whole):
        if begins < ends:
            yield Mistake(path, SetupMistake.OVERLAP)
    for shift in ("meals.shift1", "meals.shift2"):
        if texts.get(shift) not in kinds:
            yield Mistake(shift, SetupMistake.SHIFT_NOT_SERVED)


def _categories(texts: Texts) -> Iterator[Mistake]:
    for category in CATEGORIES:
        switch = f"categories.{category}.given"
        if not is_yes(texts, switch):
            continue
        first, last = (number_or_0(texts, f"categories.{category}.{end}") for end in ("first", "last"))
        if last < first:
            yield Mistake(f"categories.{category}.last", SetupMistake.ENDS_FIRST)
        portions = {kind: sums for kind in (BY_SHIFT, *KINDS) if (sums := sums_of(texts, category, kind))}
        if not portions:
            yield Mistake(switch, SetupMistake.NO_PORTION)
        for kind, sums in portions.items():
            yield from _portion(texts, f"categories.{category}.{kind}", kind, sums)
            if BY_SHIFT in portions and kind in (texts.get("meals.shift1"), texts.get("meals.shift2")):
                yield Mistake(f"categories.{category}.{kind}.federal", SetupMistake.MEAL_TWICE)


def _portion(texts: Texts, path: str, kind: str, sums: dict[str, int]) -> Iterator[Mistake]:
    if kind != BY_SHIFT and kind not in served(texts):
        yield Mistake(f"{path}.{next(iter(sums))}", SetupMistake.NOT_SERVED)
        return
    parents = sums.get("parents", 0)
    if parents and len(sums) == 1:
        yield Mistake(f"{path}.parents", SetupMistake.PARENTS_ALONE)
    shifts = {texts.get("meals.shift1", ""), texts.get("meals.shift2", "")}
    prices = (minor_of(texts, f"meals.{one}.price") for one in (shifts if kind == BY_SHIFT else {kind}))
    if any(price and parents > price for price in prices):
        yield Mistake(f"{path}.parents", SetupMistake.ABOVE_PRICE)


def _buffet(texts: Texts) -> Iterator[Mistake]:
    seen = set[str]()
    for number in range(1, PRODUCTS + 1):
        path = f"buffet.product{number}"
        name, price = text_of(texts, f"{path}.name"), text_of(texts, f"{path}.price")
        if bool(name) != bool(price):
            yield Mistake(f"{path}.{'price' if name else 'name'}", SetupMistake.HALF_A_PRODUCT)
        if name and name.casefold() in seen:
            yield Mistake(f"{path}.name", SetupMistake.PRODUCT_TWICE)
        seen.add(name.casefold())


def _tills(texts: Texts) -> Iterator[Mistake]:
    """All of a till or nothing of it; and where there is another one, this one has an address."""
    listen, numbers = text_of(texts, "link.listen"), [text_of(texts, "terminal.number")]
    if listen and not _is_address(listen):
        yield Mistake("link.listen", SetupMistake.NO_ADDRESS)
    for path in tills_of(texts):
        number, address = text_of(texts, f"{path}.number"), text_of(texts, f"{path}.address")
        for part in TILL_PARTS:
            if not text_of(texts, f"{path}.{part}"):
                yield Mistake(f"{path}.{part}", SetupMistake.HALF_A_TILL)
        if number in numbers:
            yield Mistake(f"{path}.number", SetupMistake.TILL_TWICE)
        if not _PUBLIC_KEY.match(text_of(texts, f"{path}.key")):
            yield Mistake(f"{path}.key", SetupMistake.NO_PUBLIC_KEY)
        if address and not _is_address(address):
            yield Mistake(f"{path}.address", SetupMistake.NO_ADDRESS)
        if not listen:
            yield Mistake("link.listen", SetupMistake.MISSING)
        numbers.append(number)


def _is_address(text: str) -> bool:
    host, colon, port = text.partition(":")
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return not colon or (port.isascii() and port.isdecimal() and int(port[:6]) < 1 << 16)


def _calendar(texts: Texts) -> Iterator[Mistake]:
    yield from _ordered(texts, "calendar", whole=False)
    for row, count in (("holiday", HOLIDAYS), ("pause", PAUSES)):
        for number in range(1, count + 1):
            yield from _ordered(texts, f"calendar.{row}{number}", whole=True)


def _ordered(texts: Texts, path: str, *, whole: bool) -> Iterator[Mistake]:
    first, last = day_of(texts, f"{path}.first"), day_of(texts, f"{path}.last")
    if first and last and last < first:
        yield Mistake(f"{path}.last", SetupMistake.ENDS_FIRST)
    if whole and (first is None) != (last is None):
        yield Mistake(f"{path}.{'last' if last is None else 'first'}", SetupMistake.HALF_A_LINE)


_CONTRADICTIONS: Final = {
    "meals": _meals,
    "categories": _categories,
    "buffet": _buffet,
    "calendar": _calendar,
    TILLS_PAGE: _tills,
}
