"""The carriers document: who runs which route from when, and by which key a journey's money is divided.

    split = "legs"                # of a journey with transfers: "none", "legs" or "weights"
    together = [11]               # concessions whose code reveals health: settled as one (D-03)

    [header]
    id = "city_carriers"
    version = 1
    region = 34
    issued_at = 2026-08-20T00:00:00+03:00

    [[carriers]]
    id = "tram_depot"
    name = "Трамвайное депо"
    weight = 3                    # where `split` is "weights"
    routes = [{ number = 15 }, { number = 16, since = 2026-09-01 }]

It is the office's: no terminal needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from terminal.errors import DocumentError, Mistake, MistakeCode
from terminal.files import replacing
from terminal.mistakes.document import parsed
from terminal.mistakes.form import FileForm
from terminal.policy.base import Code, Name, Route, Section, moment_problems, unique
from terminal.policy.routes import DocumentIssue
from terminal.texts import N_

CARRIERS_FILE: Final = "carriers.toml"
MOST_BYTES: Final = 1024 * 1024
NO_CARRIER: Final = ""
"""Of rides on a route that no carrier of the document ran on that day. They are stated, too."""


class CarriersError(DocumentError):
    """The carriers document cannot be used; the one in force stays in force."""


class CarriersMistake(MistakeCode):
    """What types cannot say of carriers."""

    TWO_CARRIERS = (
        "two_carriers",
        N_("route {route} is run by `{other}` as well at that time"),
        N_("End the one with `until`, which is excluded, where the other begins with `since`."),
    )
    NEVER_RUN = ("never_run", N_("the route is never run"), N_("Put `until` after `since`."))


class SplitKey(StrEnum):
    """How the money of one journey with transfers is divided among those who ran its legs."""

    NONE = "none"
    """Not at all: who took it keeps it."""
    LEGS = "legs"
    """In equal parts, one for each leg."""
    WEIGHTS = "weights"
    """By the weights of the legs' carriers."""


class CarrierRoute(Section, frozen=True, kw_only=True):
    """A route of a carrier, from service day `since` to the one before `until`."""

    number: Route
    since: date | None = None
    until: date | None = None

    def runs_on(self, day: str) -> bool:
        """Whether it is run on that service day; one without a date is counted as today's."""
        begun = self.since is None or self.since.isoformat() <= day
        return begun and (self.until is None or day < self.until.isoformat())

    def meets(self, other: CarrierRoute) -> bool:
        """Whether there is a day on which both are run."""
        first, last = date.min, date.max
        begins = max(self.since or first, other.since or first)
        return begins < min(self.until or last, other.until or last)


class Carrier(Section, frozen=True, kw_only=True):
    """Who runs routes. `weight` counts where money is divided by weights."""

    id: Name
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    routes: Annotated[tuple[CarrierRoute, ...], Meta(max_length=2_000)] = ()


class CarriersDocument(Section, frozen=True, kw_only=True):
    """All carriers of a region."""

    header: DocumentIssue
    split: SplitKey = SplitKey.NONE
    together: Annotated[tuple[Code, ...], Meta(max_length=255)] = ()
    carriers: Annotated[tuple[Carrier, ...], Meta(max_length=500)] = ()


@dataclass(frozen=True)
class CarrierBook:
    """A carriers document made ready for asking. `digest` is the SHA-256 of the file, empty for none."""

    document: CarriersDocument | None = None
    digest: bytes = b""

    @property
    def version(self) -> str:
        """Which document this is ("city_carriers:3"); empty for none."""
        return "" if self.document is None else f"{self.document.header.id}:{self.document.header.version}"

    @property
    def split(self) -> SplitKey:
        return SplitKey.NONE if self.document is None else self.document.split

    @property
    def together(self) -> tuple[int, ...]:
        """Concessions that are settled as one."""
        return () if self.document is None else self.document.together

    @cached_property
    def by_id(self) -> dict[str, Carrier]:
        return {} if self.document is None else {one.id: one for one in self.document.carriers}

    @cached_property
    def _by_route(self) -> dict[int, list[tuple[CarrierRoute, str]]]:
        found: dict[int, list[tuple[CarrierRoute, str]]] = {}
        for carrier in self.by_id.values():
            for route in carrier.routes:
                found.setdefault(route.number, []).append((route, carrier.id))
        return found

    def carrier_of(self, route: int, day: str) -> str:
        """Who ran a route on a service day; `NO_CARRIER` where no one is known to."""
        run = self._by_route.get(route, ())
        return next((carrier for one, carrier in run if one.runs_on(day)), NO_CARRIER)

    def weight_of(self, carrier: str) -> int:
        found = self.by_id.get(carrier)
        return 1 if found is None else found.weight

    def name_of(self, carrier: str) -> str:
        """For people; the code itself of one that is not in the document any more."""
        found = self.by_id.get(carrier)
        return carrier if found is None else found.name


NO_CARRIERS: Final = CarrierBook()


def _problems(document: CarriersDocument) -> Iterator[Mistake]:
    header = document.header
    yield from moment_problems({"header.issued_at": header.issued_at, "header.valid_from": header.valid_from})
    yield from unique("carriers", (one.id for one in document.carriers), "id")
    run: dict[int, list[tuple[CarrierRoute, str]]] = {}
    for place, carrier in enumerate(document.carriers):
        for at, route in enumerate(carrier.routes):
            path = f"carriers[{place}].routes[{at}]"
            if route.since is not None and route.until is not None and route.until <= route.since:
                yield Mistake(path, CarriersMistake.NEVER_RUN)
                continue
            for other, whose in run.setdefault(route.number, []):
                if route.meets(other):
                    inputs: dict[str, int | str] = {"route": route.number, "other": whose}
                    yield Mistake(path, CarriersMistake.TWO_CARRIERS, inputs)
                    break
            run[route.number].append((route, carrier.id))


CARRIERS: Final = FileForm(CarriersDocument, CarriersError, checks=_problems, most_bytes=MOST_BYTES)


def parse_carriers(content: bytes, name: str) -> CarrierBook:
    """The document in `content`; `name` is the file in `CarriersError`s."""
    return CarrierBook(parsed(CARRIERS, content, name), sha256(content).digest())


def carriers_in(folder: Path) -> CarrierBook:
    """The carriers document of a collector's folder, `NO_CARRIERS` where there is none. Raises `CarriersError`."""
    path = folder / CARRIERS_FILE
    try:
        with path.open("rb") as file:
            return parse_carriers(file.read(MOST_BYTES + 1), str(path))
    except FileNotFoundError:
        return NO_CARRIERS
    except OSError as error:
        raise CarriersError(f"{path} cannot be read: {error.strerror}", "Check its rights.") from error


def put_carriers(folder: Path, content: bytes, name: str) -> CarrierBook:
    """Put a document in force after checking it. Raises `CarriersError`."""
    book = parse_carriers(content, name)
    try:
        with replacing(folder / CARRIERS_FILE) as file:
            file.write(content)
    except OSError as error:
        raise CarriersError(
            f"{folder / CARRIERS_FILE} cannot be written: {error.strerror}",
            "Check the folder and its rights.",
        ) from error
    return book
