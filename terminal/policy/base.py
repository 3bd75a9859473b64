"""What every part of a region document shares: the base of its tables, its field types, and its problems."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from cardproto.resident.limits import LARGEST_MINOR, LARGEST_ROUTE

Minor = Annotated[int, Meta(ge=0, le=LARGEST_MINOR)]
"""Kopecks as the card's events can hold them."""
Fare = Annotated[int, Meta(ge=1, le=LARGEST_MINOR)]
"""A price that is never 0: a free ride is a concession of its own kind, not a fare of nothing."""
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Route = Annotated[int, Meta(ge=1, le=LARGEST_ROUTE)]
"""A route's number as the card's events can hold it."""
Code = Annotated[int, Meta(ge=1, le=255)]
"""A concession as cards carry it."""
ProductId = Annotated[int, Meta(ge=1, le=0xFFFF)]
Version = Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)]
"""Which issue of a document or list: of two the one with the higher version replaces the other."""


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table in the document: immutable, and an unknown key is an error."""


class FareMedium(StrEnum):
    """What the rider pays with (T-01)."""

    TRANSPORT_CARD = "transport_card"
    BANK_CARD = "bank_card"
    CASH = "cash"


class Mode(StrEnum):
    """What is ridden (T-17)."""

    BUS = "bus"
    TROLLEYBUS = "trolleybus"
    TRAM = "tram"
    MINIBUS = "minibus"
    SUBURBAN_BUS = "suburban_bus"
    INTERCITY_BUS = "intercity_bus"
    METRO = "metro"
    TRAIN = "train"
    FERRY = "ferry"
    CABLE_CAR = "cable_car"


class Right(StrEnum):
    """What may cover a ride or a meal, in the order a profile states (K-02)."""

    PASS = "pass"  # noqa: S105 a travel pass
    PACK = "pack"
    TRANSFER = "transfer"
    CONCESSION = "concession"
    PLAN = "plan"
    PURSE = "purse"


class Weekday(StrEnum):
    """Days of the week, in order."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class Problem(Struct, frozen=True):
    """`path` inside the document ("meals.kinds[1].bit"), what is wrong there, and what to change."""

    path: str
    what: str
    advice: str


def unique(path: str, values: Iterable[Hashable], key: str = "") -> Iterator[Problem]:
    """A problem for each value that stood before; `key` names the field it was taken from."""
    seen: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            at = f"{path}[{index}].{key}" if key else f"{path}[{index}]"
            yield Problem(at, f"{value!s} is already used by [{seen[value]}]", "Give each its own.")
        seen.setdefault(value, index)


def unknown(path: str, what: str, value: object, known: Iterable[object]) -> Problem:
    """The problem of a reference to nothing; the advice lists what there is."""
    names = ", ".join(str(name) for name in known) or "none in this document"
    return Problem(path, f"unknown {what} {value!r}", f"Known: {names}.")


FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 8999
"""Days and zones can be added to every moment in it."""


def moment_problems(moments: Mapping[str, datetime | None]) -> Iterator[Problem]:
    """Moments, by their path, with which no terminal can count."""
    for path, moment in moments.items():
        if moment is not None and not FIRST_YEAR <= moment.year <= LAST_YEAR:
            yield Problem(
                path,
                f"the year {moment.year} is out of reach",
                f"Use one from {FIRST_YEAR} to {LAST_YEAR}.",
            )
