"""Every mistake in a `terminal.toml`, with its line and what to write instead. Imported when there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from terminal.app.config.codes import ConfigMistake
from terminal.app.config.keys import (
    OPTION_WANTED,
    Key,
    by_table,
    keys_of,
    nested,
    rooms,
    table_names,
    takes_option,
)
from terminal.app.config.rules import beside, contradictions, incomplete, missing_files, unusable, with_paths
from terminal.app.config.settings import CONFIG_SCHEMA, EXTENSIONS, StationConfig
from terminal.errors import Mistake
from terminal.mistakes.form import other_schema
from terminal.mistakes.places import line_at
from terminal.mistakes.reading import Unreadable, toml_of, unseen
from terminal.mistakes.toml_lines import toml_lines
from terminal.mistakes.values import shown


def mistakes_in(text: str, name: str, folder: Path | None = None) -> list[Mistake]:
    """Every mistake in the file's text, in the order of its lines; with `folder`, also files that are named and not
    there, and what `terminal run` needs besides. `name` is the file in them.
    """
    try:
        data = toml_of(text)
    except Unreadable as unreadable:
        return list(unreadable.in_file(name))
    if other := list(other_schema(data, "terminal.schema", CONFIG_SCHEMA)):
        return placed(other, text, name)
    found = [*unseen(data), *_unreadable(data)]
    reported = {
        one.path for one in found
    }  # what is missing or wrong about these follows from the first mistake
    found += [one for one in _meant_wrongly(_sound_part(data), folder) if one.path not in reported]
    return placed(found, text, name)


def placed(found: Sequence[Mistake], text: str, name: str) -> list[Mistake]:
    """Mistakes with their places in the file; those of another file have theirs already."""
    lines = toml_lines(text)
    here = [one if one.file else replace(one, file=name, line=line_at(one.path, lines)) for one in found]
    return sorted(here, key=lambda one: (one.line or 0) if one.file == name else 0)


def _unreadable(data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Tables and keys that are unknown, and values of another type or out of range."""
    for name, table in by_table(data).items():
        if name == EXTENSIONS:
            yield from _unreadable_options(table)
        elif name in rooms():
            yield Mistake(name, ConfigMistake.NO_TABLE, {"table": f"{name}.NAME"})
        elif name not in table_names():
            yield _unknown_table(name)
        elif not isinstance(table, dict):
            yield Mistake(name, ConfigMistake.NO_TABLE, {"table": name})
        else:
            yield from _unreadable_keys(name, table)


def _unreadable_keys(name: str, table: Mapping[str, Any]) -> Iterator[Mistake]:
    known = keys_of(name)
    for word, value in table.items():
        if word not in known:
            yield _unknown_key(name, word)
        elif not known[word].takes(value):
            values = {
                "given": shown(value),
                "wanted": known[word].wanted,
                "example": known[word].example_line,
            }
            yield Mistake(f"{name}.{word}", ConfigMistake.VALUE, values)


def _unreadable_options(tables: object) -> Iterator[Mistake]:
    """What stands in tables of extensions and cannot be handed over, or stands outside of them."""
    if not isinstance(tables, dict):
        yield Mistake(EXTENSIONS, ConfigMistake.NO_TABLE, {"table": f"{EXTENSIONS}.NAME"})
        return
    for name, options in tables.items():
        path = f"{EXTENSIONS}.{name}"
        if not isinstance(options, dict):
            yield Mistake(path, ConfigMistake.NO_TABLE, {"table": path})
            continue
        for key, value in options.items():
            if not takes_option(value):
                yield Mistake(f"{path}.{key}", ConfigMistake.OPTION, {"wanted": OPTION_WANTED})


def _unknown_table(name: str) -> Mistake:
    word = name.rpartition(".")[2]
    homes = [table for table in table_names() if word in keys_of(table)]
    if homes:
        return Mistake(name, ConfigMistake.OUTSIDE, {"table": homes[0]})
    tables = (*table_names(), EXTENSIONS)
    near = get_close_matches(name, tables, 1)
    if near:
        return Mistake(name, ConfigMistake.UNKNOWN_TABLE_NEAR, {"near": near[0]})
    return Mistake(name, ConfigMistake.UNKNOWN_TABLE, {"known": ", ".join(f"[{one}]" for one in tables)})


def _unknown_key(table: str, word: str) -> Mistake:
    path, known = f"{table}.{word}", tuple(keys_of(table))
    near = get_close_matches(word, known, 1)
    homes = [other for other in table_names() if word in keys_of(other)]
    if near:
        return Mistake(path, ConfigMistake.UNKNOWN_KEY_NEAR, {"table": table, "near": near[0]})
    if homes:
        return Mistake(path, ConfigMistake.OTHER_TABLE, {"table": table, "key": word, "home": homes[0]})
    return Mistake(path, ConfigMistake.UNKNOWN_KEY, {"table": table, "known": ", ".join(known)})


def _sound_part(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of the file can be read, so that its meaning can be looked at, too."""
    sound: dict[str, Any] = {
        name: {word: value for word, value in table.items() if _takes(keys_of(name).get(word), value)}
        for name, table in by_table(data).items()
        if name in table_names() and isinstance(table, dict)
    }
    sound = nested(sound)
    if EXTENSIONS in data and not any(True for _ in _unreadable_options(data[EXTENSIONS])):
        sound[EXTENSIONS] = data[EXTENSIONS]
    return sound


def _takes(key: Key | None, value: object) -> bool:
    return key is not None and key.takes(value)


def _meant_wrongly(data: Mapping[str, Any], folder: Path | None) -> Iterator[Mistake]:
    place = folder or Path()
    config = msgspec.convert(data, StationConfig, dec_hook=beside(place))
    yield from contradictions(config)
    if folder is not None:
        there = with_paths(config, place)
        yield from missing_files(there)
        yield from unusable(there)
        yield from incomplete(config)
