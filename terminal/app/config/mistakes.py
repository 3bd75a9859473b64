"""Every mistake in a `terminal.toml`, with its line and what to write instead. Imported when there is one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from terminal.app.config.keys import OPTION_WANTED, Key, keys_of, table_names, takes_option
from terminal.app.config.lines import lines_of
from terminal.app.config.rules import beside, contradictions, incomplete, missing_files, unusable, with_paths
from terminal.app.config.settings import EXTENSIONS, StationConfig
from terminal.errors import ConfigError

NO_LINE: Final = 0
_AT_LINE: Final = re.compile(r"line (\d+), column \d+")
_SHOWN_CHARACTERS: Final = 40


class Mistake(Struct, frozen=True):
    """`line` from 1, or 0 for what stands nowhere; `key` as table.key, or empty for the whole file."""

    line: int
    key: str
    what: str
    advice: str

    def of(self, path: Path) -> str:
        """In one line, the place first, as editors read it."""
        place = f"{path}:{self.line}" if self.line else str(path)
        key = f" {self.key}:" if self.key else ""
        return f"{place}:{key} {self.what}. {self.advice}"


def refusal(path: Path, mistakes: list[Mistake]) -> ConfigError:
    """The first of `mistakes`, and how to see the others."""
    first, others = mistakes[0], len(mistakes) - 1
    place = f"{path}:{first.line}" if first.line else str(path)
    key = f" {first.key}:" if first.key else ""
    more = f" {others} more: `terminal config check` lists them." if others else ""
    return ConfigError(f"{place}:{key} {first.what}", first.advice + more)


def mistakes_in(text: str, folder: Path | None = None) -> list[Mistake]:
    """Every mistake in the file's text, in the order of its lines; with `folder`, also files that are named and not
    there, and what `terminal run` needs besides."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [_not_toml(str(error), text)]
    except ValueError:
        what = "a number has too many digits"
        return [Mistake(NO_LINE, "", what, "Write a number of at most 18 digits.")]
    except RecursionError:
        return [Mistake(NO_LINE, "", "values are nested too deeply", "Write tables of plain values.")]
    lines = lines_of(text)
    found = list(_unreadable(data, lines))
    reported = {
        mistake.key for mistake in found
    }  # what is missing or wrong about these follows from the first mistake
    found += [m for m in _meant_wrongly(_sound_part(data), lines, folder) if m.key not in reported]
    return sorted(found, key=lambda mistake: mistake.line)


def _not_toml(says: str, text: str) -> Mistake:
    place = _AT_LINE.search(says)  # only Python 3.14's error carries the line as a number
    line = int(place[1]) if place else 1 + text.count("\n")
    return Mistake(line, "", f"this is not TOML: {says}", "Correct that line.")


def _unreadable(data: Mapping[str, Any], lines: Mapping[tuple[str, ...], int]) -> Iterator[Mistake]:
    """Tables and keys that are unknown, and values of another type or out of range."""
    for name, table in data.items():
        line = lines.get((name,), NO_LINE)
        if name == EXTENSIONS:
            yield from _unreadable_options(table, lines)
        elif name not in table_names():
            yield Mistake(line, name, *_unknown_table(name))
        elif not isinstance(table, dict):
            yield Mistake(line, name, "is a table, not a value", f"Write [{name}], and its keys below.")
        else:
            yield from _unreadable_keys(name, table, lines)


def _unreadable_keys(
    name: str, table: Mapping[str, Any], lines: Mapping[tuple[str, ...], int]
) -> Iterator[Mistake]:
    known = keys_of(name)
    for word, value in table.items():
        line = lines.get((name, word), NO_LINE)
        if word not in known:
            yield Mistake(line, f"{name}.{word}", *_unknown_key(name, word))
        elif not known[word].takes(value):
            shown = repr(value) if len(repr(value)) <= _SHOWN_CHARACTERS else type(value).__name__
            what = f"{shown} is not {known[word].wanted}"
            yield Mistake(line, f"{name}.{word}", what, f"Write, for example: {known[word].example_line}")


def _unreadable_options(tables: object, lines: Mapping[tuple[str, ...], int]) -> Iterator[Mistake]:
    """What stands in tables of extensions and cannot be handed over, or stands outside of them."""
    if not isinstance(tables, dict):
        yield Mistake(
            lines.get((EXTENSIONS,), NO_LINE), EXTENSIONS, "is a table", f"Write [{EXTENSIONS}.NAME]."
        )
        return
    for name, options in tables.items():
        if not isinstance(options, dict):
            line = lines.get((EXTENSIONS, name), NO_LINE)
            yield Mistake(line, f"{EXTENSIONS}.{name}", "is a table", f"Write [{EXTENSIONS}.{name}].")
            continue
        for key, value in options.items():
            if not takes_option(value):
                line = lines.get((EXTENSIONS, name, key), NO_LINE)
                yield Mistake(
                    line, f"{EXTENSIONS}.{name}.{key}", f"is not {OPTION_WANTED}", "Write one of these."
                )


def _unknown_table(name: str) -> tuple[str, str]:
    homes = [table for table in table_names() if name in keys_of(table)]
    if homes:
        return "this key stands outside its table", f"It belongs under [{homes[0]}]."
    return "there is no such table", _did_you_mean(name, (*table_names(), EXTENSIONS), "[{}]")


def _unknown_key(table: str, word: str) -> tuple[str, str]:
    near = get_close_matches(word, keys_of(table), 1)
    homes = [other for other in table_names() if word in keys_of(other)]
    if not near and homes:
        return f"[{table}] has no such key", f"{word} belongs under [{homes[0]}]."
    return f"[{table}] has no such key", _did_you_mean(word, tuple(keys_of(table)), "{}")


def _did_you_mean(word: str, known: tuple[str, ...], form: str) -> str:
    near = get_close_matches(word, known, 1)
    if near:
        return f"Did you mean {form.format(near[0])}?"
    return f"Known are: {', '.join(form.format(name) for name in known)}."


def _sound_part(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What of the file can be read, so that its meaning can be looked at, too."""
    sound = {
        name: {word: value for word, value in table.items() if _takes(keys_of(name).get(word), value)}
        for name, table in data.items()
        if name in table_names() and isinstance(table, dict)
    }
    if EXTENSIONS in data and not any(_unreadable_options(data[EXTENSIONS], {})):
        sound[EXTENSIONS] = data[EXTENSIONS]
    return sound


def _takes(key: Key | None, value: object) -> bool:
    return key is not None and key.takes(value)


def _meant_wrongly(
    data: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], folder: Path | None
) -> Iterator[Mistake]:
    place = folder or Path()
    config = msgspec.convert(data, StationConfig, dec_hook=beside(place))
    complaints = list(contradictions(config))
    if folder is not None:
        there = with_paths(config, place)
        complaints += [*missing_files(there), *unusable(there)]
        complaints += incomplete(config)
    for key, what, advice in complaints:
        yield Mistake(lines.get(tuple(key.split(".")), NO_LINE), key, what, advice)
