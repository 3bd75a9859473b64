"""What the terminal and the side process that fetches bundles say to each other (ADR 53): bounded messages.

Down goes `BundleSettings`, once and first, then a `Look` whenever it is time. Up comes a `BundleReport` after each
look, and a `Working` now and then.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from terminal.codes import BundleFault
from terminal.side_process import Frames
from terminal.updates.bundle.roles import MOST_ROLES

MOST_UP_BYTES: Final = 64 << 10
MOST_DOWN_BYTES: Final = 64 << 10
SILENT_S: Final = 60.0
"""A process that says nothing for so long hangs; no step of a look takes a tenth of it."""
BEAT_S: Final = 5.0
"""How often it says that it lives."""

Short = Annotated[str, Meta(max_length=100)]


class BundleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="settings"):
    """`state`: the terminal's folder. `sources`: addresses or folders, asked in this order; a folder that is not there
    is no source (`stick`). `wanted`: the roles whose files this terminal uses.
    """

    state: str
    number: int
    sources: tuple[str, ...]
    stick: str = ""
    tls_ca: str = ""
    stand_alone: bool = False
    wanted: tuple[str, ...] = ()


class Look(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="look"):
    """Look now. `now_ms` by the terminal's clock, which cannot be before `floor_ms`; `number` tells looks apart.
    `stick`: at the stick alone.
    """

    number: int
    now_ms: int
    floor_ms: int
    stick: bool = False


class RoleState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One role: what of it lies ready for the active set (`name`, metadata `version`), and why nothing newer does."""

    role: Short
    name: Short = ""
    version: int = 0
    issued_ms: int = 0
    fault: BundleFault | None = None
    inputs: dict[Short, int | Short] = {}


class BundleReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="report"):
    """How a look went. `fault`: why no role could be looked at; `issued_ms`: when the newest accepted set was signed,
    0 for none. `source` is the one that was looked at, `detail` for the log.
    """

    number: int
    source: Annotated[str, Meta(max_length=300)] = ""
    fault: BundleFault | None = None
    inputs: dict[Short, int | Short] = {}
    detail: Annotated[str, Meta(max_length=300)] = ""
    issued_ms: int = 0
    versions: Annotated[dict[Short, int], Meta(max_length=2 * MOST_ROLES)] = {}
    roles: Annotated[tuple[RoleState, ...], Meta(max_length=2 * MOST_ROLES)] = ()


class Working(Struct, frozen=True, tag="working"):
    """It lives."""


UpMessage: TypeAlias = BundleReport | Working
DownMessage: TypeAlias = BundleSettings | Look


def up_frames() -> Frames[UpMessage]:
    """For the terminal: what the side process says."""
    return Frames(msgspec.msgpack.Decoder(UpMessage), MOST_UP_BYTES)


def down_frames() -> Frames[DownMessage]:
    """For the side process: what the terminal says."""
    return Frames(msgspec.msgpack.Decoder(DownMessage), MOST_DOWN_BYTES)
