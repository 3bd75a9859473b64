"""The shapes of what a school is given as files: its roster and its buffet's price list.

Both carry a header as every list a terminal works with (O-01): for which school, from when until when, and a
sequence that only grows. Money is in minor units of the region's currency. Either may be TOML or JSON, by the name of
the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from terminal.errors import Mistake, MistakeCode, RosterError
from terminal.mistakes.document import parsed
from terminal.mistakes.finding import placed
from terminal.mistakes.form import FileForm, other_schema
from terminal.mistakes.reading import Unreadable, content_of
from terminal.mistakes.words import refusal
from terminal.policy.base import Fare, Name, Section, Version, moment_problems
from terminal.policy.document.meals import LAST_GRADE, Shift
from terminal.texts import N_

SCHEMA_VERSION: Final = 1

Reference = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
"""A pseudonym of the purpose "school", in hex."""
TerminalNumber = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,6}$")]
ClassId = Annotated[str, Meta(pattern=r"^\S{1,12}$")]
ListedGrade = Annotated[int, Meta(ge=0, le=LAST_GRADE)]
"""A school grade; 0 for who is in none: a member of staff who eats here."""
OwnNumber = Annotated[str, Meta(max_length=32)]
"""What the school itself calls a pupil, as it types it: the number of his file."""
Balance = Annotated[int, Meta(ge=-0xFFFFFF, le=0xFFFFFF)]
OnAccount = Annotated[int, Meta(ge=0, le=0xFFFFFF)]
"""Minor units that the server keeps: no card has to hold them."""


MOST_LIST_BYTES: Final = 16 << 20


class ListMistake(MistakeCode):
    """What may be wrong with a roster or a price list."""

    NEVER_VALID = "list_never_valid", N_("the list is never valid"), N_("Put it after `valid_from`.")
    ENDED = "list_ended", N_("ended on {end}"), N_("Load its successor.")
    OTHER_REGION = (
        "list_other_region",
        N_("made for region {stated}, this terminal works in {region}"),
        N_("Load the list of this region."),
    )
    GRANT_ENDS_FIRST = "grant_ends_first", N_("ends before it begins"), N_("Correct the dates.")
    ORDER_WITH_OFFSET = "order_with_offset", N_("a time with an offset"), N_("Write local time.")


class ListHeader(Section, frozen=True, kw_only=True):
    """Which list this is. `valid_from` is included, `valid_to` excluded; `issued_at` gives its age (O-03)."""

    kind: str
    schema: int
    school: Name
    region: Annotated[int, Meta(ge=1, le=0xFFFF)]
    sequence: Version
    issued_at: Annotated[datetime, Meta(tz=True)]
    valid_from: Annotated[datetime, Meta(tz=True)]
    valid_to: Annotated[datetime, Meta(tz=True)]


class RosterHeader(ListHeader, frozen=True, kw_only=True):
    """`grades_on` is the day the grades are true of; after it pupils move up by themselves (M-20).

    `through` names, for each terminal number, the last journal row the balances already include; of a terminal it
    does not name they include none.
    """

    kind: Literal["roster"]
    grades_on: date
    through: dict[TerminalNumber, Annotated[int, Meta(ge=0)]] = msgspec.field(default_factory=dict)


class RosterGrant(Section, frozen=True, kw_only=True):
    """A ground for meals, both days included. `blocked` withdraws it from cards that still carry it (O-02)."""

    code: Annotated[int, Meta(ge=1, le=255)]
    valid_from: date
    valid_to: date
    issued_on: date
    blocked: bool = False


class MealOrder(Section, frozen=True, kw_only=True):
    """A meal the parents ordered (M-32); `placed_at` is local time."""

    day: date
    kind: Name
    placed_at: datetime


class RosterPupil(Section, frozen=True, kw_only=True):
    """One pupil. `name`, `number` and `born` are for the staff and for finding him again in the next list: they
    enter no record, report, log or error (D-02).

    `hot_minor` and `buffet_minor` are the two accounts (M-01) as last known; without one the pupil has none.
    `cards_since`: cards issued to this pupil before that day are lost (M-35).
    """

    ref: Reference
    class_id: ClassId
    grade: ListedGrade
    shift: Shift
    name: str = ""
    number: OwnNumber = ""
    born: date | None = None
    home_schooled: bool = False
    grants: tuple[RosterGrant, ...] = ()
    hot_minor: Balance | None = None
    buffet_minor: OnAccount | None = None
    day_limit_minor: OnAccount | None = None
    buffet_limit_minor: OnAccount | None = None
    forbidden: tuple[Name, ...] = ()
    orders: tuple[MealOrder, ...] = ()
    cards_since: date | None = None

    def __repr__(self) -> str:
        return f"RosterPupil({self.ref}, {self.class_id})"


class RosterDocument(Section, frozen=True, kw_only=True):
    """All pupils of one school."""

    header: RosterHeader
    pupils: tuple[RosterPupil, ...]

    def __repr__(self) -> str:
        return f"RosterDocument({self.header.school}, {self.header.sequence}, {len(self.pupils)} pupils)"


class PriceListHeader(ListHeader, frozen=True, kw_only=True):
    """The header of a price list."""

    kind: Literal["price_list"]


class Product(Section, frozen=True, kw_only=True):
    """What the buffet sells. `foods` are what parents may exclude it by ("nuts"), besides its own id (M-02)."""

    id: Name
    name: str
    price_minor: Fare
    foods: tuple[Name, ...] = ()


class MenuOfDay(Section, frozen=True, kw_only=True):
    """The dishes of one meal on one day, as the kitchen calls them."""

    day: date
    kind: Name
    dishes: Annotated[tuple[Annotated[str, Meta(max_length=80)], ...], Meta(max_length=12)]


class PriceListDocument(Section, frozen=True, kw_only=True):
    """Everything one buffet sells, and the menu of the days where the school states one."""

    header: PriceListHeader
    products: tuple[Product, ...]
    menu: Annotated[tuple[MenuOfDay, ...], Meta(max_length=1000)] = ()


Document = TypeVar("Document", RosterDocument, PriceListDocument)


def form_of(shape: type[Document]) -> FileForm[Document]:
    """How such a list is read. No message quotes what stands in it: a roster holds personal data."""
    return FileForm(
        shape,
        RosterError,
        beforehand=lambda raw: other_schema(raw, "header.schema", SCHEMA_VERSION),
        most_bytes=MOST_LIST_BYTES,
        private=shape is RosterDocument,
    )


class ListFile(msgspec.Struct, frozen=True):
    """A list as it came: the content of a file and its name, by which it is TOML or JSON."""

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> ListFile:
        """The file at `path`. Raises `RosterError`."""
        try:
            return cls(path.name, content_of(path, MOST_LIST_BYTES))
        except Unreadable as unreadable:
            raise refusal(RosterError, unreadable.in_file(str(path))) from unreadable

    @property
    def json(self) -> bool:
        """Whether it is JSON, by its name."""
        return Path(self.name).suffix != ".toml"

    def document(self, shape: type[Document]) -> Document:
        """The typed document in it. Raises `RosterError` with all mistakes, their places and what to change."""
        return parsed(form_of(shape), self.content, self.name, json=self.json)

    def require_sound(self, shape: type[Document], found: Iterable[Mistake], called: str = "") -> None:
        """Raise `RosterError` with all of `found`, if any, and where they stand in this file."""
        first = tuple(found)
        if first:
            name = called or self.name
            raise refusal(RosterError, placed(form_of(shape), first, self.content, name, json=self.json))

    def __repr__(self) -> str:
        return f"ListFile({self.name}, {len(self.content)} bytes)"


def lasting_problems(header: ListHeader) -> Iterator[Mistake]:
    """What stands against a list with this header, whenever it is used."""
    yield from moment_problems(
        {
            "header.issued_at": header.issued_at,
            "header.valid_from": header.valid_from,
            "header.valid_to": header.valid_to,
        }
    )
    if header.valid_from >= header.valid_to:
        yield Mistake("header.valid_to", ListMistake.NEVER_VALID)


def header_problems(header: ListHeader, region: int, now: datetime) -> Iterator[Mistake]:
    """What stands against loading a list with this header at `now` in `region`."""
    if header.region != region:
        values = {"stated": header.region, "region": region}
        yield Mistake("header.region", ListMistake.OTHER_REGION, values)
    yield from lasting_problems(header)
    if now >= header.valid_to:
        yield Mistake("header.valid_to", ListMistake.ENDED, {"end": str(header.valid_to)})
