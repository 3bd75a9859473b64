"""What was typed, as values: read, checked question by question, and what contradicts something else on its page.

A page and an answers file are judged by the same functions, so that a school set up by command is right where one set
up by pages is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import date, time
from typing import Final

from terminal.errors import Mistake, MistakeCode
from terminal.money import AmountRefused, typed_amount
from terminal.screen.setup.asked import YES, AnswerKind, Question, SetupPage, Texts, matters
from terminal.screen.setup.meal_questions import BY_SHIFT, CATEGORIES, FUNDERS, KINDS, MORE_BREAKS
from terminal.screen.setup.questions import (
    BY_NAME,
    HOLIDAYS,
    LINK_PORT,
    MOST_MONEY,
    PAUSES,
    PRODUCTS,
    REGIONS,
    ROUBLES,
    TILLS,
    TILLS_PAGE,
)
from terminal.texts import N_

_DIGITS: Final = re.compile("[0-9]{1,9}")
_CLOCK: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
READER: Final = "terminal.reader"
_READER: Final = re.compile("pcsc(:.+)?")
_HOST: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{1,5})?")
_PUBLIC_KEY: Final = re.compile(
    r"-----BEGIN PUBLIC KEY-----\s+MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=\s+-----END PUBLIC KEY-----"
)
"""Of Ed25519, as terminals have them (RFC 8410)."""
TILL_PARTS: Final = ("number", "address", "key")


class SetupMistake(MistakeCode):
    """What may be wrong with an answer."""

    MISSING = "missing", N_("not filled in"), N_("Fill it in.")
    TOO_LONG = "too_long", N_("longer than {high} characters"), N_("Shorten it.")
    NO_NUMBER = "no_number", N_("not a number from {low} to {high}"), N_("Write digits only.")
    NO_MONEY = "no_money", N_("not a sum of money"), N_("Write roubles and kopecks: 78,02.")
    NOTHING_TO_PAY = "nothing_to_pay", N_("a price of 0"), N_("Leave it empty if nothing is paid.")
    TOO_MUCH = "too_much", N_("more than cards can hold"), N_("Check the sum.")
    NO_CLOCK = "no_clock", N_("not a time of day"), N_("Write hours and minutes: 08:30.")
    NO_DAY = "no_day", N_("not a date"), N_("Choose a day of the calendar.")
    NO_CHOICE = "no_choice", N_("none of the choices"), N_("Choose one: {choices}.")
    NO_READER = (
        "no_reader",
        N_("not a card reader"),
        N_("Write pcsc, or pcsc: and the name of one of several readers."),
    )
    ENDS_FIRST = "ends_first", N_("ends before it begins"), N_("Correct one of the two.")
    HALF_A_LINE = (
        "half_a_line",
        N_("a day is missing on this line"),
        N_("Fill in both days, or empty the line."),
    )
    HALF_A_BREAK = (
        "half_a_break",
        N_("one of the two times of this break is missing"),
        N_("Fill in both times, or empty both."),
    )
    HALF_A_PRODUCT = (
        "half_a_product",
        N_("name or price is missing on this line"),
        N_("Fill in both, or empty the line."),
    )
    PRODUCT_TWICE = (
        "product_twice",
        N_("this product stands above already"),
        N_("Empty one of the two lines."),
    )
    HALF_A_TILL = (
        "half_a_till",
        N_("something of this till is missing"),
        N_("Fill in number, address and key, or empty all three."),
    )
    TILL_TWICE = "till_twice", N_("another till has this number"), N_("Each till has a number of its own.")
    NO_ADDRESS = "no_address", N_("not an address"), N_("Write it by its number: 192.168.1.12.")
    NO_PUBLIC_KEY = (
        "no_public_key",
        N_("not the public key of a terminal"),
        N_("Copy all of it, from BEGIN PUBLIC KEY to END PUBLIC KEY."),
    )
    OVERLAP = "overlap", N_("served while another meal still is"), N_("Let one end before the other begins.")
    NO_MEAL = "no_meal", N_("no meal is served"), N_("Switch one on.")
    SHIFT_NOT_SERVED = (
        "shift_not_served",
        N_("this meal is not served"),
        N_("Choose a meal that is switched on."),
    )
    NO_PORTION = (
        "no_portion",
        N_("this category gets no meal"),
        N_("Write what one portion costs a budget, or switch the category off."),
    )
    PARENTS_ALONE = (
        "parents_alone",
        N_("parents pay all of it"),
        N_("Write what a budget pays, or empty the line: the price on the page of meals applies."),
    )
    ABOVE_PRICE = (
        "above_price",
        N_("parents would pay more than for a meal without any category"),
        N_("Compare it with the price on the page of meals."),
    )
    NOT_SERVED = (
        "not_served",
        N_("sums for a meal that is not served"),
        N_("Empty the line, or switch the meal on."),
    )
    MEAL_TWICE = (
        "setup_meal_twice",
        N_("the meal of the shift is this meal"),
        N_("Fill in the meal of the shift or the meal itself, not both."),
    )
    NOT_ASKED = "not_asked", N_("no such question"), N_("Compare it with `terminal setup --questions`.")
    KEY_UNREADABLE = (
        "key_unreadable",
        N_("this is no key file of `terminal keys`, or it was changed"),
        N_("Choose the file as it came, and ask the region for it again if that does not help."),
    )
    KEY_OF_OTHER_ROLE = (
        "key_of_other_role",
        N_("this key file is not for a canteen"),
        N_("Ask the region for a key file of the role canteen."),
    )
    KEY_OF_OTHER_TERMINAL = (
        "key_of_other_terminal",
        N_(
            "made for terminal {own_number} of region {own_region}, this is terminal {number} of region {region}"
        ),
        N_("Correct number and region on the page of the school, or ask for the file of this terminal."),
    )
    NO_REGION = (
        "no_region",
        N_("there are no keys yet"),
        N_("Fill in the pages of the school and of the keys first."),
    )
    NO_STAFF = "no_staff", N_("no staff yet"), N_("Add a cashier and a meal officer, each with a PIN.")
    NO_CASHIER = (
        "no_cashier",
        N_("no cashier has a PIN"),
        N_("Add one: a cashier opens the shift and serves."),
    )
    PIN_AGAIN = "pin_again", N_("the keys were changed since"), N_("Give {ref} a PIN again.")


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
            right = _DIGITS.fullmatch(text) and question.low <= int(text) <= question.high
            return None if right else SetupMistake.NO_NUMBER
        case AnswerKind.MONEY:
            return _no_money(text)
        case AnswerKind.CLOCK:
            return None if _CLOCK.fullmatch(text) else SetupMistake.NO_CLOCK
        case AnswerKind.DAY:
            return None if _day(text) else SetupMistake.NO_DAY
        case _:
            right = text in [one.value for one in question.choices]
            return None if right else SetupMistake.NO_CHOICE


def _no_text(question: Question, text: str) -> SetupMistake | None:
    if len(text) > question.high:
        return SetupMistake.TOO_LONG
    return SetupMistake.NO_READER if question.name == READER and not _READER.fullmatch(text) else None


def _no_money(text: str) -> SetupMistake | None:
    minor = _minor(text)
    if minor is None or minor < 0:
        return SetupMistake.NO_MONEY
    if minor == 0:
        return SetupMistake.NOTHING_TO_PAY
    return SetupMistake.TOO_MUCH if minor > MOST_MONEY else None


def _minor(text: str) -> int | None:
    """Kopecks: "78", "78,5" and "78.50" are what people write."""
    try:
        return typed_amount(text.replace("₽", ""), ROUBLES)
    except AmountRefused:
        return None


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if len(text) == 10 and 2000 <= found.year <= 2999 else None


# values of sound answers


def is_yes(texts: Texts, name: str) -> bool:
    """Whether a box is ticked."""
    return texts.get(name, "") == YES


def text_of(texts: Texts, name: str) -> str:
    """The answer without blanks around it."""
    return texts.get(name, "").strip()


def number_of(texts: Texts, name: str) -> int:
    """A number that was checked."""
    return int(text_of(texts, name))


def number_or_0(texts: Texts, name: str) -> int:
    """A number, 0 where none stands."""
    text = text_of(texts, name)
    return int(text) if _DIGITS.fullmatch(text) else 0


def minor_of(texts: Texts, name: str) -> int:
    """Kopecks; 0 where nothing stands, or nothing that is a sum."""
    return _minor(text_of(texts, name) or "0") or 0


def breaks_of(texts: Texts, kind: str) -> tuple[tuple[time, time], ...]:
    """When a meal is served, break by break in the order of the day."""
    spans = sorted((begins, ends) for begins, ends, _ in _spans(texts, kind))
    return tuple((time.fromisoformat(begins), time.fromisoformat(ends)) for begins, ends in spans)


def products_of(texts: Texts) -> tuple[tuple[str, int], ...]:
    """Names and prices of what the buffet sells."""
    names = (f"buffet.product{number}" for number in range(1, PRODUCTS + 1))
    found = ((text_of(texts, f"{name}.name"), minor_of(texts, f"{name}.price")) for name in names)
    return tuple(one for one in found if one[0])


def clock_of(texts: Texts, name: str) -> time:
    """A time of day that was checked."""
    return time.fromisoformat(text_of(texts, name))


def day_of(texts: Texts, name: str) -> date | None:
    """A day; None where none stands."""
    return _day(text_of(texts, name))


def of_region(texts: Texts) -> bool:
    """Whether the region's keys open the cards."""
    return texts.get("keys.whose") == REGIONS


def served(texts: Texts) -> tuple[str, ...]:
    """The meals that are switched on."""
    return tuple(kind for kind in KINDS if is_yes(texts, f"meals.{kind}.served"))


def sums_of(texts: Texts, category: str, kind: str) -> dict[str, int]:
    """Who pays how much of a portion, in kopecks; who pays nothing is not in it."""
    sums = {funder: minor_of(texts, f"categories.{category}.{kind}.{funder}") for funder in FUNDERS}
    return {funder: minor for funder, minor in sums.items() if minor}


# what contradicts something else on a page


def _none(_texts: Texts) -> Iterator[Mistake]:
    yield from ()


def _meals(texts: Texts) -> Iterator[Mistake]:
    kinds = served(texts)
    if not kinds:
        yield Mistake("meals.breakfast.served", SetupMistake.NO_MEAL)
        return
    spans = [span for kind in kinds for span in _spans(texts, kind)]
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


def _spans(texts: Texts, kind: str) -> Iterator[tuple[str, str, str]]:
    """Each break of a meal as it was typed, and the question that its beginning answers."""
    for number in ("", *map(str, MORE_BREAKS)):
        path = f"meals.{kind}.from{number}"
        begins, ends = text_of(texts, path), text_of(texts, f"meals.{kind}.until{number}")
        if all(not one or _CLOCK.fullmatch(one) for one in (begins, ends)) and (begins or ends):
            yield begins, ends, path


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
    if listen and not _HOST.fullmatch(listen):
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
        if address and not _HOST.fullmatch(address):
            yield Mistake(f"{path}.address", SetupMistake.NO_ADDRESS)
        if not listen:
            yield Mistake("link.listen", SetupMistake.MISSING)
        numbers.append(number)


def tills_of(texts: Texts) -> tuple[str, ...]:
    """The questions' names of the other tills that something is said of."""
    names = (f"link.till{number}" for number in range(1, TILLS + 1))
    return tuple(name for name in names if any(text_of(texts, f"{name}.{part}") for part in TILL_PARTS))


def host_port(texts: Texts, name: str) -> str:
    """An address that was checked, with the port that tills use where none is said."""
    address = text_of(texts, name)
    return address if ":" in address else f"{address}:{LINK_PORT}"


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
