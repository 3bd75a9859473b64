"""How a command fails: what happened and what to do, a line for each mistake in a file, and a distinct exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from terminal.errors import DocumentError, TerminalError

if TYPE_CHECKING:
    from terminal.errors import Mistake

MOST_LINES: Final = 50
"""Of mistakes on a screen; --json lists the others."""


def explain(error: TerminalError) -> int:
    """Print the error on stderr; return its exit code (the table is in `terminal.errors`)."""
    if isinstance(error, DocumentError) and error.mistakes:
        _list(error.mistakes)
    else:
        print(f"terminal: {error.what}. {error.advice}", file=sys.stderr)
    return error.exit_code


def _list(mistakes: tuple[Mistake, ...], language: str = "en") -> None:
    from terminal.mistakes.words import line_of

    for mistake in mistakes[:MOST_LINES]:
        print(f"terminal: {line_of(mistake, language)}", file=sys.stderr)
    if len(mistakes) > MOST_LINES:
        print(f"terminal: {len(mistakes) - MOST_LINES} more: --json lists all of them", file=sys.stderr)


@contextmanager
def mistakes_as(json: bool, language: str = "en") -> Iterator[None]:
    """Prints the mistakes of a file that cannot be used as the command was asked to: as data on stdout, or in words
    on stderr, in that language. The command ends with the error's exit code.
    """
    try:
        yield
    except DocumentError as error:
        if not error.mistakes and not json:
            raise
        say_mistakes(error, json=json, language=language)
        raise SystemExit(error.exit_code) from error


def say_mistakes(error: DocumentError, *, json: bool, language: str = "en") -> None:
    """The mistakes that the error carries: as data on stdout, or in words on stderr."""
    if json:
        _print_data(error, language)
    else:
        _list(error.mistakes, language)


def _print_data(error: DocumentError, language: str) -> None:
    from terminal.app.output import print_json
    from terminal.mistakes.words import as_data

    found = [as_data(mistake, language) for mistake in error.mistakes]
    print_json({"ok": False, "mistakes": found, "what": error.what, "advice": error.advice})
