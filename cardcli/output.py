"""Standard output that arrives: readable in every encoding, quiet when its reader leaves, one line when it is lost.

A character the locale cannot show is spelled in ASCII (`readable`), so printing never raises `UnicodeEncodeError`.
A character that a screen would obey is spelled, too (`cardcli.characters`), on both outputs:
colours and progress bars are rich's alone, which writes to `rich_proxied_file`. An argument with one is refused.
A write the system refuses becomes `OutputLost`, which no command catches: `run` turns it into an exit code.
Data for programs does not depend on the locale: JSON is bytes or ASCII, tables are written to `data_output`.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from cardcli.characters import code_point, first_unseen, visible, visible_line

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

EXIT_LOST: Final = 90
EXIT_READER_LEFT: Final = 141
"""What shells report for a program that ended as a pipe's reader left."""
EXIT_USAGE: Final = 2
"""As for every other mistake in what was typed."""
_NOT_OTHERS: Final = 0o022
"""What no file or folder that is made here is ever without: other users change nothing in it."""
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


_STYLING: Final = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z])")
"""Colours and movements of the cursor, as rich writes them."""


class VisibleOutput(io.TextIOWrapper):
    """Text with nothing in it that a screen would obey. The end of a CSV row keeps its CR."""

    def write(self, text: str, /) -> int:
        row = text.endswith("\r\n")
        super().write(visible(text[:-2]) + "\r\n" if row else visible(text))
        return len(text)

    @property
    def rich_proxied_file(self) -> TextIO:
        """Where rich writes."""
        return cast(TextIO, _StyledOutput(self))

    def write_styled(self, text: str) -> None:
        """`text` with colours and movements, and nothing else of this kind."""
        parts = _STYLING.split(text)
        super().write("".join(part if odd % 2 else visible(part, "\n\t\r") for odd, part in enumerate(parts)))


class _StyledOutput:
    """What rich sees of an output."""

    def __init__(self, output: VisibleOutput) -> None:
        self._output = output

    def write(self, text: str) -> int:
        self._output.write_styled(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)


def styled(stream: TextIO) -> TextIO:
    """What rich may write to for colours and progress to arrive on `stream`."""
    return stream.rich_proxied_file if isinstance(stream, VisibleOutput) else stream


def run(program: str, command: Callable[[], None]) -> None:
    """Run `command` with readable output; lost output ends it with 90 and a line, a reader that left with
    141, an interrupt with 130, an argument with characters that cannot be seen with 2.
    """
    os.umask(os.umask(_NOT_OTHERS) | _NOT_OTHERS)
    before = sys.stdout
    try:
        sys.stdout = _output(before)
        sys.stderr = _errors(sys.stderr)
        try:
            _require_visible(program, sys.argv[1:])
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
    return VisibleOutput(io.BufferedWriter(descriptor), stream.encoding, READABLE, line_buffering=at_once)


def _errors(stream: TextIO | None) -> TextIO:
    """Standard error from now on, and for the trace-back of a defect as well."""
    if stream is None:
        return _null()
    if isinstance(stream, VisibleOutput):
        return stream
    try:
        descriptor = io.FileIO(stream.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=READABLE)
        return stream
    stream.flush()
    return VisibleOutput(io.BufferedWriter(descriptor), stream.encoding, READABLE, line_buffering=True)


def _require_visible(program: str, arguments: Iterable[str]) -> None:
    """Names are copied from listings and messages: what cannot be seen there was not meant. Half a pair is a byte of a
    file's name that is no text.
    """
    for number, argument in enumerate(arguments, 1):
        character = first_unseen(argument.encode("utf-8", "replace").decode())
        if character is not None:
            print(
                f"{program}: argument {number} has the character {code_point(character)}, which cannot be seen. "
                f"Type it without: {visible_line(argument)}",
                file=sys.stderr,
            )
            sys.exit(EXIT_USAGE)


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
