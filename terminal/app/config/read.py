"""From files and options to a `StationConfig`: an option wins over the file, the file over the default.

The file is the one named by an option, else by the environment, else ./terminal.toml, else the machine's own. The last
two may be absent; one that was named may not. Sound files cost a start one parse: what finds and explains mistakes is
imported when there is one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from terminal.app.config.rules import beside, contradictions, with_paths
from terminal.app.config.settings import StationConfig
from terminal.errors import ConfigError
from terminal.mistakes.reading import FileMistake, Unreadable, content_of, text_of, toml_of, unseen
from terminal.mistakes.words import refusal

VARIABLE: Final = "RESIDENT_TERMINAL_CONFIG"
FILE: Final = "terminal.toml"
SYSTEM_FILE: Final = Path("/etc/resident-terminal") / FILE
MAX_BYTES: Final = 64 * 1024


class Configured(Struct, frozen=True):
    """A configuration and where it comes from. `options` and `data` (the file's) by table and key."""

    config: StationConfig
    file: Path | None = None
    text: str = ""
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def configured(named: Path | None, options: Mapping[str, Mapping[str, object]] | None = None) -> Configured:
    """What a command works with. `options` by table and key are of the file's types already.

    Raises `ConfigError` for a named file that is missing and for the first mistake in the one that is found.
    """
    given = options or {}
    found = find_text(named)
    if found is None:
        return Configured(_overridden(StationConfig(), given), options=given)
    path, text = found
    data, config = parse(path, text)
    return Configured(_overridden(config, given), path, text, given, data)


def find_text(named: Path | None) -> tuple[Path, str] | None:
    """The file in force and its text, or None where there is none; raises `ConfigError`."""
    asked = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if asked is not None:
        return asked, read_text(asked)
    for path in (Path(FILE), SYSTEM_FILE):
        if os.path.lexists(path):
            return path, read_text(path)
    return None


def read_text(path: Path) -> str:
    """The file's text; raises `ConfigError` for one that is missing, too large, not a file, or not UTF-8."""
    try:
        return text_of(content_of(path, MAX_BYTES))
    except Unreadable as unreadable:
        if unreadable.mistakes[0].code is FileMistake.EMPTY:
            return ""
        raise refusal(ConfigError, unreadable.in_file(str(path))) from unreadable


def parse(path: Path, text: str) -> tuple[dict[str, Any], StationConfig]:
    """The file's tables as they stand there, and typed; raises `ConfigError` with all mistakes."""
    try:
        data = toml_of(text)
        config = msgspec.convert(data, StationConfig, dec_hook=beside(path.parent))
        if not any(True for _ in chain(unseen(data), contradictions(config))):
            return data, with_paths(config, path.parent)
    except (Unreadable, ValueError, RecursionError):  # of msgspec, too: a number of thousands of digits
        pass  # explained below, with line and advice
    from terminal.app.config.mistakes import mistakes_in

    raise refusal(ConfigError, mistakes_in(text, str(path)))


def _overridden(config: StationConfig, options: Mapping[str, Mapping[str, object]]) -> StationConfig:
    tables = {
        table: msgspec.structs.replace(getattr(config, table), **values)
        for table, values in options.items()
        if values
    }
    return msgspec.structs.replace(config, **tables)
