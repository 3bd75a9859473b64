"""What the terminal and the side process of its vehicle say to each other (ADR 31): bounded messages.

Down goes `SourceSettings`, once and first, then a
`VehicleRun` whenever what the terminal runs changes. Up come `VehicleReport`s and `SourceSays`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from terminal.side_process import Frames

MOST_UP_BYTES: Final = 64 * 1024
"""Of one message of the side process: a report takes a few hundred."""
MOST_DOWN_BYTES: Final = 4 * 1024 * 1024
"""Of one message of the terminal: a route's stops, and its shape of 20 000 points."""
SILENT_S: Final = 10.0
"""A side process says something at least this often; one that does not hangs."""
BEAT_S: Final = 2.0
"""How often it says that it lives, where it has nothing else to say."""

Reference = Annotated[str, Meta(max_length=100)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Metres = Annotated[float, Meta(ge=-1e7, le=1e7)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]


class VehicleReport(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="report"
):
    """Everything a source knows of the vehicle at one moment; the next one replaces it whole.

    `heard_s`: when the *place* was heard, by `time.monotonic` of this machine; a report that repeats an old place
    because something else changed keeps it. Nothing here is believed: the terminal looks every name up on the route
    it runs.

    `line`, `trip`: as the on-board computer calls them, empty where it does not say; `direction` is the terminal's own
    0 or 1, None where the source cannot know. `stop_ref` is the stop the vehicle stands at or has passed last,
    `stop_index` its place in the order of stops, from 0: it distinguishes stops that share a reference, and needs no
    reference where `line` and `direction` are stated. `coming_ref` is the stop that comes next, `arriving` whether the
    vehicle is all but there (a rider who leaves now leaves there), `doors_open` None where unknown. `zones` are names
    of the operator's. `off_route`: the vehicle has left its way. `estimated`: the source says so itself. `off_order`:
    the stops of the vehicle's own trip are not those of the run, or come in another order. `razzia`: an inspection is
    under way, None where the source cannot know. `mark` are metres along the way.
    """

    heard_s: Seconds
    source: Annotated[str, Meta(min_length=1, max_length=40)]
    line: Reference = ""
    trip: Reference = ""
    direction: Annotated[int, Meta(ge=0, le=1)] | None = None
    stop_ref: Reference = ""
    stop_index: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    zones: Annotated[tuple[Reference, ...], Meta(max_length=32)] = ()
    coming_ref: Reference = ""
    arriving: bool = False
    doors_open: bool | None = None
    off_route: bool = False
    estimated: bool = False
    off_order: bool = False
    razzia: bool | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    mark: Metres | None = None


class SourceState(StrEnum):
    """How a source does, by its own account."""

    LISTENS = "listens"
    """It works: also where the vehicle has nothing to say."""
    UNREACHABLE = "unreachable"
    """What it listens to does not answer; it goes on trying."""
    REFUSED = "refused"
    """What it listens to does not give what is asked for, or a stranger spoke."""
    ENDED = "ended"
    """A recording has come to its end: there is no more to hear."""
    BROKEN = "broken"
    """It cannot go on; the process ends after this message."""


class SourceSays(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="says"
):
    """How the source does, said at the start, at each change, and now and then. `detail` is for the log only."""

    state: SourceState
    detail: Annotated[str, Meta(max_length=300)] = ""


class SourceSettings(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="settings"
):
    """[vehicle] of terminal.toml, as far as it concerns a source: the first message down, and all it is given."""

    source: str
    replay: str = ""
    replay_speed: float = 1.0
    publisher: str = ""
    reply_host: str = ""
    reply_port: int = 0
    gpsd: str = ""


class RunStop(Struct, frozen=True, array_like=True):
    """A stop of the run: what on-board computers call it, and where it lies, None where that is not stated."""

    refs: tuple[str, ...]
    zone: int
    lat: float | None
    lon: float | None


class VehicleRun(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag="run"
):
    """What the terminal runs now: route 0 for nothing. Stops are in the order in which the vehicle comes to them.

    `lines`: what on-board computers call the route. `shape`: points (latitude, longitude) of the way, where listed.
    """

    route: int = 0
    direction: int = 0
    lines: tuple[str, ...] = ()
    stops: tuple[RunStop, ...] = ()
    shape: tuple[tuple[float, float], ...] = ()


NO_RUN: Final = VehicleRun()

UpMessage: TypeAlias = VehicleReport | SourceSays
DownMessage: TypeAlias = SourceSettings | VehicleRun


def up_frames() -> Frames[UpMessage]:
    """For the terminal: what the side process says."""
    return Frames(msgspec.msgpack.Decoder(UpMessage), MOST_UP_BYTES)


def down_frames() -> Frames[DownMessage]:
    """For the side process: what the terminal says."""
    return Frames(msgspec.msgpack.Decoder(DownMessage), MOST_DOWN_BYTES)
