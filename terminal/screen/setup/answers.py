"""What was typed, as values; of answers that were checked (`checking`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from typing import Final

from terminal.money import AmountRefused, typed_amount
from terminal.screen.setup.asked import YES, Texts
from terminal.screen.setup.meal_questions import FUNDERS, KINDS, MORE_BREAKS
from terminal.screen.setup.questions import LINK_PORT, PRODUCTS, REGIONS, ROUBLES, TILLS

DIGITS: Final = re.compile("[0-9]{1,9}")
CLOCK: Final = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")
TILL_PARTS: Final = ("number", "address", "key")


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
    return int(text) if DIGITS.fullmatch(text) else 0


def minor_of(texts: Texts, name: str) -> int:
    """Kopecks; 0 where nothing stands, or nothing that is a sum."""
    return minor_in(text_of(texts, name) or "0") or 0


def breaks_of(texts: Texts, kind: str) -> tuple[tuple[time, time], ...]:
    """When a meal is served, break by break in the order of the day."""
    spans = sorted((begins, ends) for begins, ends, _ in spans_of(texts, kind))
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
    return day_in(text_of(texts, name))


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


def spans_of(texts: Texts, kind: str) -> Iterator[tuple[str, str, str]]:
    """Each break of a meal as it was typed, and the question that its beginning answers."""
    for number in ("", *map(str, MORE_BREAKS)):
        path = f"meals.{kind}.from{number}"
        begins, ends = text_of(texts, path), text_of(texts, f"meals.{kind}.until{number}")
        if all(not one or CLOCK.fullmatch(one) for one in (begins, ends)) and (begins or ends):
            yield begins, ends, path


def tills_of(texts: Texts) -> tuple[str, ...]:
    """The questions' names of the other tills that something is said of."""
    names = (f"link.till{number}" for number in range(1, TILLS + 1))
    return tuple(name for name in names if any(text_of(texts, f"{name}.{part}") for part in TILL_PARTS))


def host_port(texts: Texts, name: str) -> str:
    """An address that was checked, with the port that tills use where none is said."""
    address = text_of(texts, name)
    return address if ":" in address else f"{address}:{LINK_PORT}"


def minor_in(text: str) -> int | None:
    """Kopecks: "78", "78,5" and "78.50" are what people write."""
    try:
        return typed_amount(text.replace("₽", ""), ROUBLES)
    except AmountRefused:
        return None


def day_in(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if len(text) == 10 and 2000 <= found.year <= 2999 else None
