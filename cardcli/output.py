"""Standard output that arrives: readable in every encoding, quiet when its reader leaves, one line when it is lost.

A character the locale cannot show is spelled in ASCII (`readable`), so printing never raises `UnicodeEncodeError`.
A write the system refuses becomes `OutputLost`, which no command catches: `run` turns it into an exit code.
Data for programs does not depend on the locale: JSON is bytes or ASCII, tables are written to `data_output`.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EXIT_LOST: Final = 90
EXIT_READER_LEFT: Final = 141
"""What shells report for a program that ended as a pipe's reader left."""
INTERRUPTED: Final = 130
"""… and for one that was interrupted."""

READABLE: Final = "readable"
"""The name of our error handler among Python's codecs."""

_SIGNS: Final = {
    "→": "->",
    "«": "<",
    "»": ">",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "·": "-",
    "⁄": "/",
    "✓": "+",
    "✕": "x",
    "§": "par. ",
    "₽": "RUB",
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "’": "'",
}
_LETTERS: Final = dict(
    zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True),
    **{"ё": "yo", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ю": "yu", "я": "ya"},
    **{"ъ": "", "ь": ""},
)
SPELLINGS: Final = MappingProxyType(
    _SIGNS | _LETTERS | {letter.upper(): spelling.capitalize() for letter, spelling in _LETTERS.items()}
)
"""Russian in Latin letters as people write it, and the signs of our texts; what is missing is decomposed."""


class OutputLost(Exception):
    """Standard output takes no more; `reason` is the system's error."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason.strerror)
        self.reason = reason


class _Descriptor(io.FileIO):
    """A file descriptor whose refusal is ours; after the first one, what follows is dropped without another."""

    _lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._lost:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as reason:
            self._lost = True
            raise OutputLost(reason) from reason


def run(program: str, command: Callable[[], None]) -> None:
    """Run `command` with readable output; lost output ends it with 90 and a line, a reader that left with
    141, an interrupt with 130.
    """
    before = sys.stdout
    try:
        sys.stdout = _output(before)
        if sys.stderr is None:
            sys.stderr = _null()
        if isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr.reconfigure(errors=READABLE)
        try:
            command()
        finally:
            sys.stdout.flush()
    except OutputLost as lost:
        sys.exit(_last_line(program, lost.reason))
    except KeyboardInterrupt:  # before a command could take it: while it is made, or as its answer is written
        sys.exit(INTERRUPTED)
    finally:
        sys.stdout = before


def readable(text: str, encoding: str) -> str:
    """`text` with what `encoding` lacks spelled in ASCII."""
    return text.encode(encoding, READABLE).decode(encoding)


def shows_cyrillic() -> bool:
    """Whether standard output can show Russian; a stream without an encoding keeps text and can."""
    try:
        "Яя".encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def data_output() -> TextIO:
    """Standard output for a table that programs read: UTF-8 whatever the locale, as in a file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    return sys.stdout


def _output(stream: TextIO | None) -> TextIO:
    """`stream` over a descriptor of ours; a closed one becomes the null device, before a file gets its number."""
    if stream is None:
        return _null()
    try:
        descriptor = _Descriptor(stream.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:  # a stream in memory shows everything and is never full
        return stream
    at_once = bool(stream.line_buffering or getattr(stream, "write_through", False))
    return io.TextIOWrapper(io.BufferedWriter(descriptor), stream.encoding, READABLE, line_buffering=at_once)


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unknown = error.object[error.start : error.end]
    return "".join(map(_spelled, unknown)), error.end


def _spelled(character: str) -> str:
    """One character in ASCII: by the table, else its parts without accents, else its number."""
    if character in SPELLINGS:
        return SPELLINGS[character]
    parts = "".join(SPELLINGS.get(part, part) for part in unicodedata.normalize("NFKD", character))
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    if plain and plain.isascii():
        return plain
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(READABLE, _spell)


def _last_line(program: str, reason: OSError) -> int:
    if reason.errno == errno.EPIPE:
        return EXIT_READER_LEFT
    with suppress(OSError):  # standard error may be on the same full disk; the exit code still says it
        print(
            f"{program}: standard output cannot be written: {reason.strerror}. "
            "Make room, or send it elsewhere, and run this again.",
            file=sys.stderr,
        )
    return EXIT_LOST
