"""Master keys that were made elsewhere, in a ceremony with its own machine, and limits that an office sets.

    [masters]
    validate = { 1 = "32 hexadecimal digits", 2 = "..." }
    picc = { 1 = "..." }
    [check]
    validate = { 1 = "6 hexadecimal digits", 2 = "..." }

Each key stands with the check value its maker wrote down: a key that was copied wrong opens no card, and on the
day of issue the reason would not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from terminal.errors import KeyFileError
from terminal.keys.check_values import check_value
from terminal.keys.file import key_tables
from terminal.keys.provider import BANK
from terminal.keys.roles import MASTERS, PURPOSES
from terminal.keys.signed import MAX_VERSION, CeilingTables, VersionName
from terminal.mistakes.reading import Unreadable, text_of, toml_of
from terminal.mistakes.words import refusal

FORM_ADVICE: Final = "Write [masters] and [check] as in docs/keys.md."
GivenKey = Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")]
GivenCheck = Annotated[str, Meta(pattern="^[0-9a-fA-F]{6}$")]


class _Masters(Struct, frozen=True, forbid_unknown_fields=True):
    masters: dict[str, dict[VersionName, GivenKey]]
    check: dict[str, dict[VersionName, GivenCheck]]


class _LimitsFile(Struct, frozen=True, forbid_unknown_fields=True):
    limits: CeilingTables


def read_masters(path: Path, content: bytes | None = None) -> Mapping[str, Mapping[int, bytes]]:
    """The keys by name and version; `content` is what came from elsewhere than a file. Raises `KeyFileError`, which
    quotes no key."""
    tables = key_tables(path) if content is None else _tables(content)
    try:
        given = msgspec.convert(tables, _Masters)
    except msgspec.ValidationError:
        raise KeyFileError("the master keys are not of the form they are imported in", FORM_ADVICE) from None
    if not given.masters:
        raise KeyFileError("there is no master key to import", FORM_ADVICE)
    return {
        name: {int(version): _checked(given, name, version) for version in versions}
        for name, versions in given.masters.items()
    }


def read_limits(path: Path) -> CeilingTables:
    """Raises `KeyFileError`."""
    try:
        limits = msgspec.convert(key_tables(path), _LimitsFile).limits
    except msgspec.ValidationError as error:
        raise KeyFileError(f"limits {path}: {error}", "Write [limits] as in docs/keys.md.") from error
    for names, known in ((limits.authentications, MASTERS), (limits.tokens, (*PURPOSES, BANK))):
        if unknown := sorted(names.keys() - set(known)):
            raise KeyFileError(
                f"limits {path}: no key is called {unknown[0][:16]!r}", f"Known are: {', '.join(known)}."
            )
    return limits


def _tables(content: bytes) -> dict[str, Any]:
    try:
        return toml_of(text_of(content, private=True), private=True)
    except Unreadable as unreadable:
        raise refusal(KeyFileError, unreadable.in_file("standard input")) from None


def _checked(given: _Masters, name: str, version: str) -> bytes:
    if name not in MASTERS or int(version) > MAX_VERSION:
        raise KeyFileError("a master key has a name or version that there is none of", FORM_ADVICE)
    key = bytes.fromhex(given.masters[name][version])
    stated = given.check.get(name, {}).get(version)
    if stated is None:
        raise KeyFileError(f"masters.{name}.{version} has no check value", FORM_ADVICE)
    if stated.upper() != check_value(key):
        raise KeyFileError(
            f"masters.{name}.{version} has the check value {check_value(key)}, not {stated.upper()}",
            "Compare the key with what its maker wrote down.",
        )
    return key
