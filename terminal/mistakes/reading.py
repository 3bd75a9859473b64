"""From a path to the tables in a file: its bytes, its text, its TOML or JSON. What cannot be read is a mistake with
the line it is on.

The limits of every file that people write stand here; what a single format allows less of is said beside it.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from cardcli.characters import code_point, first_unseen
from terminal.errors import Mistake, MistakeCode
from terminal.texts import N_

MOST_BYTES: Final = 4 << 20
"""Of a document; the largest region that comes with the terminal has 60 kB."""
MOST_DEPTH: Final = 64
"""Tables and lists inside each other, and parts of a dotted key."""
MOST_KEYS: Final = 200_000
"""Keys and entries of lists in one file."""
MOST_TEXT: Final = 100_000
"""Characters of one text."""
PIECE_BYTES: Final = 1 << 20
"""What is read at once of a file that is not held; no line of it is longer."""
MOST_MISTAKES: Final = 1000
"""Of one file: the first of them are said."""
FIRST_FOREIGN: Final = 0x80
FIRST_CYRILLIC: Final = 0xC0
"""Of cp1251's letters."""
_BINARY: Final = b"\0"
_WIDE: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_LONG_KEY: Final = re.compile(
    rf"""(?<![\w.-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MOST_DEPTH}}}"""
)
_JSON_AT: Final = re.compile(r" \(byte (\d+)\)$")


class FileMistake(MistakeCode):
    """Why a file cannot be read at all."""

    ABSENT = "absent", N_("there is no such file"), N_("Check the path.")
    FOLDER = "folder", N_("this is a folder"), N_("Name a file in it.")
    NO_FILE = (
        "no_file",
        N_("this is a device or a pipe, not a file"),
        N_("Save the document as a file, and name that."),
    )
    UNREADABLE = "unreadable", N_("cannot be read ({error})"), N_("Check the path and its rights.")
    TOO_LARGE = (
        "too_large",
        N_("larger than {most_bytes} bytes"),
        N_("It is no document of this kind: check the name, or divide it."),
    )
    EMPTY = "empty", N_("the file is empty"), N_("Restore it, or begin from an example of the documentation.")
    BINARY = "binary", N_("this is no text: it has a byte 0"), N_("Name a text file in UTF-8.")
    UTF_16 = (
        "utf_16",
        N_("this text is in {encoding}, not in UTF-8"),
        N_('Save it as UTF-8: in Notepad "Save as", encoding UTF-8.'),
    )
    CP1251 = (
        "cp1251",
        N_("this is not UTF-8; read as cp1251 the line has «{text}»"),
        N_('Save the file as UTF-8: in Notepad "Save as", encoding UTF-8; or iconv -f cp1251 -t utf-8.'),
    )
    NOT_UTF_8 = (
        "not_utf_8",
        N_("byte {byte} here is not UTF-8"),
        N_('Save the file as UTF-8: in Notepad "Save as", encoding UTF-8.'),
    )
    NOT_JSON = "not_json", N_("this is not JSON: {says}"), N_("Correct that line.")
    NO_TABLE = "no_table", N_("the file holds no table"), N_("Begin it with a table.")
    TOO_DEEP = (
        "too_deep",
        N_("tables and lists lie more than {most} deep"),
        N_("Write it flat: no document needs more than ten."),
    )
    TOO_MANY_KEYS = "too_many_keys", N_("more than {most} keys and entries"), N_("Divide the file.")
    TOO_LONG = "too_long", N_("a text of {length} characters; at most {most}"), N_("Shorten it.")
    UNSEEN = (
        "unseen",
        N_("the character {character} cannot be seen"),
        N_("Delete it: texts are shown on screens and printed on one line."),
    )
    TOO_MANY_DIGITS = (
        "too_many_digits",
        N_("a number has too many digits"),
        N_("Write a number of at most 18 digits."),
    )


class Unreadable(Exception):
    """What stops reading: mistakes that hide all others."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__(mistakes[0].code)
        self.mistakes = mistakes

    def in_file(self, name: str) -> tuple[Mistake, ...]:
        """The mistakes with the file's name."""
        return tuple(replace(one, file=name) for one in self.mistakes)


def _stop(code: FileMistake, line: int | None = None, **values: int | str) -> Unreadable:
    return Unreadable(Mistake("", code, values, line=line))


def content_of(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of the file at `path`; never waits for a pipe and never reads more than it may. Raises `Unreadable`."""
    with _opened(path) as file:
        content = file.read(most_bytes + 1)
    check_size(content, most_bytes)
    return content


def lines_of(
    path: Path,
    most_bytes: int,
    *,
    private: bool = False,
    on_read: Callable[[int], None] = lambda _bytes: None,
) -> Iterator[str]:
    """The lines, with their ends, of a text that is too large to hold. Raises `Unreadable` as `content_of` and
    `text_of` do, after the lines before the mistake. `on_read` hears how many bytes more were read.
    """
    rest, lines, length, is_empty = b"", 0, 0, True
    with _opened(path) as file:
        while read := file.read(PIECE_BYTES):
            length += len(read)
            if length > most_bytes:
                raise _stop(FileMistake.TOO_LARGE, most_bytes=most_bytes)
            on_read(len(read))
            rest += read
            end = 1 + max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, -1))
            if len(read) < PIECE_BYTES:
                end = len(rest)
            elif not end:
                raise _stop(FileMistake.TOO_LONG, lines + 1, length=len(rest), most=PIECE_BYTES)
            piece, rest = rest[:end], rest[end:]
            for line in io.StringIO(_decoded(piece, lines, private=private), newline=""):
                is_empty = is_empty and not line.strip()
                lines += 1
                yield line
        if rest:
            yield _decoded(rest, lines, private=private)
    if is_empty:
        raise _stop(FileMistake.EMPTY)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file at `path` to read from; what the disk says meanwhile is a mistake, too."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _stop(FileMistake.ABSENT) from None
    except (OSError, ValueError) as error:  # ValueError: of a path with a byte 0
        raise _stop(FileMistake.UNREADABLE, error=_reason(error)) from error
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            raise _stop(FileMistake.FOLDER)
        if not stat.S_ISREG(mode):
            raise _stop(FileMistake.NO_FILE)
        with os.fdopen(file, "rb", closefd=False) as opened:
            yield opened
    except OSError as error:
        raise _stop(FileMistake.UNREADABLE, error=_reason(error)) from error
    finally:
        os.close(file)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def check_size(content: bytes, most_bytes: int = MOST_BYTES) -> None:
    """Raise `Unreadable` for more than `most_bytes`."""
    if len(content) > most_bytes:
        raise _stop(FileMistake.TOO_LARGE, most_bytes=most_bytes)


def text_of(content: bytes, *, private: bool = False) -> str:
    """The text in `content`, a byte order mark of UTF-8 taken away. Raises `Unreadable` with the line of the first byte
    that is none; of a `private` file nothing is quoted.
    """
    text = _decoded(content, 0, private=private)
    if not text.strip():
        raise _stop(FileMistake.EMPTY)
    return text


def _decoded(content: bytes, before: int, *, private: bool) -> str:
    """The text in a piece of a file that has `before` lines before it."""
    wide = None if before else _WIDE.get(content[:2])
    if wide is not None:
        raise _stop(FileMistake.UTF_16, 1, encoding=wide)
    try:
        text = content.decode("utf-8" if before else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf_8(content, error.start, before, private=private) from error
    if "\0" in text:
        raise _stop(FileMistake.BINARY, before + _line_of_binary(content))
    return text


def _line_of_binary(content: bytes) -> int:
    return 1 + content.count(b"\n", 0, content.index(_BINARY))


def _not_utf_8(content: bytes, start: int, before: int, *, private: bool) -> Unreadable:
    line = before + 1 + content.count(b"\n", 0, start)
    if _BINARY in content:
        return _stop(FileMistake.BINARY, before + _line_of_binary(content))
    begins, end = content.rfind(b"\n", 0, start) + 1, content.find(b"\n", start)
    written = content[begins : end if end >= 0 else len(content)]
    foreign = [byte for byte in written if byte >= FIRST_FOREIGN]
    if 2 * sum(byte >= FIRST_CYRILLIC for byte in foreign) > len(foreign) > 1:
        word = written.decode("cp1251", "replace").strip()
        return _stop(FileMistake.CP1251, line, text="…" if private else word)
    return _stop(FileMistake.NOT_UTF_8, line, byte=f"{content[start]:02x}")


def toml_of(text: str, *, private: bool = False) -> dict[str, Any]:
    """The tables in TOML `text`. Raises `Unreadable`."""
    _require_short_keys(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        from terminal.mistakes.syntax import syntax_mistakes  # noqa: PLC0415 only needed when something is wrong

        raise Unreadable(*syntax_mistakes(str(error), text, private=private)) from error
    except RecursionError as error:
        raise _stop(FileMistake.TOO_DEEP, most=MOST_DEPTH) from error
    except ValueError as error:
        raise _stop(FileMistake.TOO_MANY_DIGITS, _line_of_digits(text)) from error


def _require_short_keys(text: str) -> None:
    """A dotted key costs the parser the square of its parts, so it is looked at before."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") >= MOST_DEPTH and _LONG_KEY.search(line):
            raise _stop(FileMistake.TOO_DEEP, number, most=MOST_DEPTH)


def _line_of_digits(text: str) -> int | None:
    found = re.search(r"[\d_]{400}", text)
    return None if found is None else 1 + text.count("\n", 0, found.start())


def json_of(content: bytes, *, private: bool = False) -> dict[str, Any]:
    """The table in JSON. Raises `Unreadable`."""
    text = text_of(content, private=private)
    try:
        value = msgspec.json.decode(text)
    except RecursionError as error:
        raise _stop(FileMistake.TOO_DEEP, most=MOST_DEPTH) from error
    except msgspec.DecodeError as error:
        at = _JSON_AT.search(str(error))
        says = str(error).removeprefix("JSON is malformed: ")
        line = 1 + text.encode().count(b"\n", 0, int(at[1])) if at else 1 + text.count("\n")
        shown = "…" if private else says[: at.start()] if at and says.endswith(at[0]) else says
        raise _stop(FileMistake.NOT_JSON, line, says=shown) from error
    if not isinstance(value, dict):
        raise _stop(FileMistake.NO_TABLE, 1)
    return value


def unseen(raw: Any, path: str = "") -> Iterator[Mistake]:
    """Every text and key in the tables `raw` that has a character a screen would obey or hide, or a second line."""
    if isinstance(raw, str):
        character = first_unseen(raw)
        if character is not None:
            yield Mistake(path, FileMistake.UNSEEN, {"character": code_point(character)})
    elif isinstance(raw, dict):
        for key, value in raw.items():
            character = first_unseen(key)
            if character is not None:
                yield Mistake(path, FileMistake.UNSEEN, {"character": code_point(character)})
            yield from unseen(value, f"{path}.{key}" if path else key)
    elif isinstance(raw, list):
        for index, value in enumerate(raw):
            yield from unseen(value, f"{path}[{index}]")


def sized(raw: Any) -> Mistake | None:
    """What in a file that parsed is deeper, longer or more than any document needs; None for nothing."""
    todo: list[tuple[Any, int]] = [(raw, 1)]
    count = 0
    while todo:
        value, depth = todo.pop()
        if depth > MOST_DEPTH:
            return Mistake("", FileMistake.TOO_DEEP, {"most": MOST_DEPTH})
        if isinstance(value, str) and len(value) > MOST_TEXT:
            return Mistake("", FileMistake.TOO_LONG, {"length": len(value), "most": MOST_TEXT})
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += len(below)
        if count > MOST_KEYS:
            return Mistake("", FileMistake.TOO_MANY_KEYS, {"most": MOST_KEYS})
        todo += [(one, depth + 1) for one in below]
    return None
