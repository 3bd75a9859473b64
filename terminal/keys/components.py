"""The root of a region in components, one for each custodian: none has a key alone, all together make it again.

    form = "resident-key-component-1"
    environment = "production"
    region = 34
    part = 1
    parts = 3
    component = "64 hexadecimal digits"
    check = "6 hexadecimal digits"              # check value of this component
    root_check = "6 hexadecimal digits"         # check value of the root

The root is the exclusive or of all components; all but one are random, and so is each of them by itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from terminal.errors import KeyFileError
from terminal.files import create_file
from terminal.keys.check_values import check_value, is_public
from terminal.keys.office import ROOT_BYTES
from terminal.keys.signed import Bytes32, Environment
from terminal.mistakes.reading import Unreadable, content_of, text_of, toml_of
from terminal.mistakes.words import refusal

FEWEST: Final = 2
MOST: Final = 9
COMPONENT_BYTES: Final = 4096
"""Of a component's file; ours have 300."""
CheckValue = Annotated[str, Meta(pattern="^[0-9A-F]{6}$")]
AGAIN: Final = "Have its custodian look at the paper or file again."


class KeyComponent(Struct, frozen=True, forbid_unknown_fields=True):
    """What one custodian keeps."""

    environment: Environment
    region: Annotated[int, Meta(ge=0, le=0xFFFF)]
    part: Annotated[int, Meta(ge=1, le=MOST)]
    parts: Annotated[int, Meta(ge=FEWEST, le=MOST)]
    component: Bytes32
    check: CheckValue
    root_check: CheckValue
    form: Literal["resident-key-component-1"] = "resident-key-component-1"

    def __repr__(self) -> str:
        return f"KeyComponent(part {self.part} of {self.parts}, {self.check})"


def split(root: bytes, parts: int, region: int, environment: Environment) -> list[KeyComponent]:
    """`root` in so many components. Raises `KeyFileError` for too few or too many."""
    if not FEWEST <= parts <= MOST:
        raise KeyFileError(f"a root has {FEWEST} to {MOST} components, not {parts}", "Name another number.")
    shares = [secrets.token_bytes(ROOT_BYTES) for _ in range(parts - 1)]
    shares.append(_xor([root, *shares]))
    whole = check_value(root)
    return [
        KeyComponent(environment, region, number, parts, share.hex(), check_value(share), whole)
        for number, share in enumerate(shares, 1)
    ]


def combined(components: Sequence[KeyComponent]) -> bytes:
    """The root. Raises `KeyFileError` unless all components of one ceremony are there, each once and as it was made."""
    first = components[0]
    for one in components:
        _require_whole(one)
        if (one.region, one.environment, one.parts, one.root_check) != (
            first.region,
            first.environment,
            first.parts,
            first.root_check,
        ):
            what = f"components {first.part} and {one.part} are of two ceremonies"
            raise KeyFileError(what, "Bring the components that were made together.")
    if len({one.component for one in components}) < len(components):
        raise KeyFileError("two components are the same", "Each custodian brings another one.")
    if missing := sorted(set(range(1, first.parts + 1)) - {one.part for one in components}):
        raise KeyFileError(
            f"component {missing[0]} of {first.parts} is missing", "All components are needed at once."
        )
    if len(components) != first.parts:
        raise KeyFileError(f"{len(components)} components where {first.parts} were made", "Bring each once.")
    root = _xor([bytes.fromhex(one.component) for one in components])
    if check_value(root) != first.root_check:
        raise KeyFileError(f"the components do not make the root {first.root_check}", AGAIN)
    return root


def read_component(path: Path) -> KeyComponent:
    """The component in the file at `path`; raises `KeyFileError`, which quotes none of it."""
    try:
        tables = toml_of(text_of(content_of(path, COMPONENT_BYTES), private=True), private=True)
        return msgspec.convert(tables, KeyComponent)
    except Unreadable as unreadable:
        raise refusal(KeyFileError, unreadable.in_file(f"component {path}")) from None
    except msgspec.ValidationError:
        raise KeyFileError(f"component {path} is not whole, or none", AGAIN) from None


def write_component(path: Path, component: KeyComponent) -> None:
    """Write it for its owner alone; raises `KeyFileError`, also for a file that is there already."""
    text = "".join(
        f"{name} = {msgspec.json.encode(value).decode()}\n"
        for name, value in msgspec.to_builtins(component).items()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if create_file(path, text.encode()):
            return
    except OSError as error:
        what = f"component {path} cannot be written ({error.strerror})"
        raise KeyFileError(what, "Name another folder.") from error
    raise KeyFileError(f"{path} exists already", "Components are never overwritten: name another folder.")


def _require_whole(one: KeyComponent) -> None:
    share = bytes.fromhex(one.component)
    if check_value(share) != one.check:
        what = f"component {one.part} has the check value {check_value(share)}, not {one.check}"
        raise KeyFileError(what, AGAIN)
    if is_public(share):
        raise KeyFileError(f"component {one.part} is no random key", AGAIN)


def _xor(shares: Sequence[bytes]) -> bytes:
    total = bytes(ROOT_BYTES)
    for share in shares:
        total = bytes(a ^ b for a, b in zip(total, share, strict=True))
    return total
