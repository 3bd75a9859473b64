"""What every part of a region document shares: the base of its tables, its field types, and references by name."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from cardproto.resident.limits import LARGEST_MINOR, LARGEST_ROUTE
from terminal.errors import Mistake
from terminal.policy.mistakes import NameMistake
from terminal.texts import N_

Minor = Annotated[int, Meta(ge=0, le=LARGEST_MINOR)]
"""Minor units (kopecks) as the card's events can hold them."""
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
    RETURN = "return"
    CONCESSION = "concession"
    PLAN = "plan"
    PURSE = "purse"


BOUGHT: Final = frozenset({Right.PASS, Right.PACK, Right.PLAN})
"""Rights that only a contract gives."""


class Weekday(StrEnum):
    """Days of the week, in order."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


class Thing(StrEnum):
    """What a name may stand for; words in messages are made from these."""

    CALENDAR = N_("calendar")
    CARD = N_("card")
    CODE_WITH_MEAL = N_("code with a meal entitlement")
    CONCESSION = N_("concession code")
    CONCESSION_WITH_FARE = N_("concession with a fare")
    COUNTER = N_("counter")
    FARE_MEDIUM = N_("fare medium")
    MEAL_KIND = N_("meal kind")
    PRODUCT = N_("product")
    RIDER_CATEGORY = N_("rider category")
    TIMEFRAME = N_("timeframe")
    TRANSFER = N_("transfer")
    TRIP_CALENDAR = N_("trip calendar")
    ZONE = N_("zone")


def unique(path: str, values: Iterable[Hashable], key: str = "") -> Iterator[Mistake]:
    """A mistake for each value that stood before; `key` names the field it was taken from."""
    seen: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            at = f"{path}[{index}].{key}" if key else f"{path}[{index}]"
            yield Mistake(at, NameMistake.USED_TWICE, {"value": str(value), "first": seen[value]})
        seen.setdefault(value, index)


MOST_KNOWN: Final = 30
"""Names that are listed."""


def unknown(path: str, thing: Thing, value: object, known: Iterable[object]) -> Mistake:
    """The mistake of a reference to nothing; it carries what there is, and what is near."""
    names = [str(name) for name in known]
    values = {"thing": thing.value, "value": f'"{value}"' if isinstance(value, str) else str(value)}
    if not names:
        return Mistake(path, NameMistake.NONE_KNOWN, values)
    listed = ", ".join(names[:MOST_KNOWN]) + (", …" if len(names) > MOST_KNOWN else "")
    near = get_close_matches(str(value), names, 1) if isinstance(value, str) else []
    if near:
        return Mistake(path, NameMistake.UNKNOWN_NEAR, values | {"near": near[0], "known": listed})
    return Mistake(path, NameMistake.UNKNOWN, values | {"known": listed})


FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 8999
"""Days and zones can be added to every moment in it."""


def moment_problems(moments: Mapping[str, datetime | None]) -> Iterator[Mistake]:
    """Moments, by their path, with which no terminal can count."""
    for path, moment in moments.items():
        if moment is not None and not FIRST_YEAR <= moment.year <= LAST_YEAR:
            values = {"year": moment.year, "first": FIRST_YEAR, "last": LAST_YEAR}
            yield Mistake(path, NameMistake.OUT_OF_REACH, values)
