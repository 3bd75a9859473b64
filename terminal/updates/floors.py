"""The floors of the active set once more, in a small file of their own: no older document comes back when the set's
database is lost, and with it the journal whose rows are the second floor.

What is in it is signed by nothing and believed only upwards: it can keep an edition out, never let one in. Its hash
finds turned bits; a file that is damaged says nothing and is written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from terminal.codes import SetKind
from terminal.decoding import SMALL_BYTES, decode_json, read_within
from terminal.files import replace_file

FLOORS_FILE: Final = "floors.json"


class SetFloor(NamedTuple):
    """The newest version that was ever in force, and its hash."""

    version: int = 0
    sha256: bytes = b""


NO_FLOOR: Final = SetFloor()


class _KeptFloors(msgspec.Struct, frozen=True):
    versions: dict[SetKind, tuple[int, str]]
    digest: str


def read_floors(folder: Path) -> dict[SetKind, SetFloor]:
    """What the file in `folder` says; nothing where there is none or it is damaged."""
    try:
        kept = decode_json(read_within(folder / FLOORS_FILE, SMALL_BYTES), _KeptFloors)
        found = {
            kind: SetFloor(version, bytes.fromhex(name)) for kind, (version, name) in kept.versions.items()
        }
    except (OSError, msgspec.DecodeError, ValueError):
        return {}
    return found if kept.digest == _digest(kept.versions) else {}


def keep_floors(folder: Path, floors: Mapping[SetKind, SetFloor]) -> None:
    """Write the file, durable, whole or not at all. Raises OSError."""
    versions = {kind: (floor.version, floor.sha256.hex()) for kind, floor in sorted(floors.items())}
    replace_file(folder / FLOORS_FILE, msgspec.json.encode(_KeptFloors(versions, _digest(versions))))


def highest(one: Mapping[SetKind, SetFloor], other: Mapping[SetKind, SetFloor]) -> dict[SetKind, SetFloor]:
    """Of each kind the newer floor; `one` where both have the same version."""
    return {
        **other,
        **{kind: floor for kind, floor in one.items() if floor.version >= other.get(kind, NO_FLOOR).version},
    }


def _digest(versions: Mapping[SetKind, tuple[int, str]]) -> str:
    return sha256(msgspec.json.encode(versions, order="sorted")).hexdigest()
