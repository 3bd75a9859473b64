"""What files with mistakes are said to have, for tests of every loader."""

from __future__ import annotations

from terminal.errors import DocumentError
from terminal.mistakes.words import said


def mistakes_at(error: DocumentError, path: str) -> str:
    """The words of every mistake at `path` of the file; empty for none. All of them have to stand in one line."""
    words = [" ".join(said(mistake)) for mistake in error.mistakes if mistake.path == path]
    assert not any("\n" in one for one in words)
    return "\n".join(words)
