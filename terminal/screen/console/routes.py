"""The routes of a depot, so that a driver chooses a name instead of typing a number: an optional file of the terminal.

[[routes]]
number = 15
name = "Вокзал — Университет"
directions = ["к Университету", "к Вокзалу"]

[[routes.stops]]            # in the order of direction 0
number = 1501
name = "Вокзал"
zone = 1                    # the region document's number, where fares depend on zones
mark_m = 0                  # metres beyond the city boundary, where they depend on distance
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from cardproto.resident.limits import LARGEST_ROUTE
from terminal.errors import StaffError

ROUTES_FILE: Final = "routes.toml"
Text = Annotated[str, Meta(min_length=1, max_length=60)]
Number = Annotated[int, Meta(ge=1, le=LARGEST_ROUTE)]


class RouteStop(Struct, frozen=True, forbid_unknown_fields=True):
    """One stop of a route."""

    number: Annotated[int, Meta(ge=1, le=0xFFFFFF)]
    name: Text
    zone: Annotated[int, Meta(ge=0, le=255)] = 0
    mark_m: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class NamedRoute(Struct, frozen=True, forbid_unknown_fields=True):
    """One route; `directions` are the names of direction 0 and 1."""

    number: Number
    name: Text
    directions: tuple[Text, Text] | None = None
    stops: tuple[RouteStop, ...] = ()


class _RoutesFile(Struct, frozen=True, forbid_unknown_fields=True):
    routes: tuple[NamedRoute, ...] = ()


def load_routes(state: Path) -> dict[int, NamedRoute]:
    """The routes of the terminal in `state` by number, in the file's order; none without a file.

    Raises `StaffError` when there is a file that is not of the form above.
    """
    path = state / ROUTES_FILE
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_RoutesFile)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise StaffError(f"{path} is no list of routes: {error}", "Correct it or take it away.") from error
    return {route.number: route for route in file.routes}
