"""The shapes of what a school is given as files: its roster and its buffet's price list.

Both carry a header as every list a terminal works with (O-01): for which school, from when until when, and a
sequence that only grows. Money is in minor units of the region's currency. Either may be TOML or JSON, by the name of
the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from terminal.errors import RosterError
from terminal.policy.base import Fare, Name, Problem, Section, Version, moment_problems
from terminal.policy.document.meals import Grade, Shift
from terminal.policy.explain import place_of

SCHEMA_VERSION: Final = 1

Reference = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]
"""A pseudonym of the purpose "school", in hex."""
TerminalNumber = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,6}$")]
ClassId = Annotated[str, Meta(pattern=r"^\S{1,8}$")]
Balance = Annotated[int, Meta(ge=-0xFFFFFF, le=0xFFFFFF)]
OnAccount = Annotated[int, Meta(ge=0, le=0xFFFFFF)]
"""Minor units that the server keeps: no card has to hold them."""


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
    """One pupil. `name` is for the screen of the staff only: it enters no record, report, log or error (D-02).

    `hot_minor` and `buffet_minor` are the two accounts (M-01) as last known; without one the pupil has none.
    `cards_since`: cards issued to this pupil before that day are lost (M-35).
    """

    ref: Reference
    class_id: ClassId
    grade: Grade
    shift: Shift
    name: str = ""
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


class PriceListDocument(Section, frozen=True, kw_only=True):
    """Everything one buffet sells."""

    header: PriceListHeader
    products: tuple[Product, ...]


Document = TypeVar("Document", RosterDocument, PriceListDocument)


class ListFile(msgspec.Struct, frozen=True):
    """A list as it came: the content of a file and its name, by which it is TOML or JSON."""

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> ListFile:
        """The file at `path`. Raises `RosterError`."""
        try:
            return cls(path.name, path.read_bytes())
        except OSError as error:
            raise RosterError(f"{path} cannot be read ({error.strerror})", "Check the path.") from error

    def document(self, shape: type[Document]) -> Document:
        """The typed document in it. Raises `RosterError` naming file, place and what to change.

        No error quotes what stands in the file beyond the place: a roster holds personal data.
        """
        return parse_document(self.content, self.name, shape, toml=Path(self.name).suffix == ".toml")

    def __repr__(self) -> str:
        return f"ListFile({self.name}, {len(self.content)} bytes)"


def parse_document(content: bytes, name: str, shape: type[Document], *, toml: bool) -> Document:
    """Return the typed document in `content`; `name` is the file in `RosterError`s."""
    raw = _raw(content, name, toml=toml)
    header = raw.get("header")
    schema = header.get("schema") if isinstance(header, dict) else None
    if isinstance(schema, int) and schema != SCHEMA_VERSION:
        raise RosterError(
            f"{name}: header.schema: schema {schema}, this terminal knows {SCHEMA_VERSION}",
            "Update the terminal's software, or export the list for its schema.",
        )
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        what, _ = place_of(error, raw, shape)
        raise RosterError(f"{name}: {what}", "Correct that entry where the list is made.") from None


def require_sound(problems: Iterator[Problem], name: str) -> None:
    """Raise `RosterError` for the first of `problems`."""
    found = list(problems)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RosterError(f"{name}: {found[0].path}: {found[0].what}{more}", found[0].advice)


def lasting_problems(header: ListHeader) -> Iterator[Problem]:
    """What stands against a list with this header, whenever it is used."""
    yield from moment_problems(
        {
            "header.issued_at": header.issued_at,
            "header.valid_from": header.valid_from,
            "header.valid_to": header.valid_to,
        }
    )
    if header.valid_from >= header.valid_to:
        yield Problem("header.valid_to", "the list is never valid", "Put it after `valid_from`.")


def header_problems(header: ListHeader, region: int, now: datetime) -> Iterator[Problem]:
    """What stands against loading a list with this header at `now` in `region`."""
    if header.region != region:
        yield Problem(
            "header.region",
            f"made for region {header.region}, this terminal works in {region}",
            "Load the list of this region.",
        )
    yield from lasting_problems(header)
    if now >= header.valid_to:
        yield Problem("header.valid_to", f"ended on {header.valid_to}", "Load its successor.")


def _raw(content: bytes, name: str, *, toml: bool) -> dict[str, Any]:
    try:
        raw = tomllib.loads(content.decode("utf-8")) if toml else msgspec.json.decode(content)
    except (
        ValueError,
        RecursionError,
        msgspec.DecodeError,
    ):  # of UTF-8, both parsers, and tables without end
        # The parsers quote what they could not read, and that may be a name.
        shape = "TOML" if toml else "JSON"
        raise RosterError(f"{name} is not {shape} in UTF-8", "Have the list made again.") from None
    if not isinstance(raw, dict):
        raise RosterError(f"{name} is not a table", "Have the list made again.")
    return raw
