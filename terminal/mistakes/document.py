"""From the bytes of a file that people write to what is in it, or to everything that is wrong with it.

A sound file costs one parse and its checks. Lines, entries' names and words are looked up when there are mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from terminal.errors import DocumentError, Mistake
from terminal.mistakes.form import FileForm
from terminal.mistakes.reading import Unreadable, content_of, sized, unseen

Shape = TypeVar("Shape")
LARGE: Final = 256 << 10
"""A smaller file cannot hold too many keys."""


def read(form: FileForm[Shape], path: Path, called: str = "", *, json: bool = False) -> Shape:
    """What is in the file at `path`, which messages name so or as it is `called`. Raises the form's error with all
    mistakes.
    """
    name = called or str(path)
    try:
        content = content_of(path, form.most_bytes)
    except Unreadable as unreadable:
        raise _refusal(form.error, unreadable.in_file(name)) from unreadable
    return parsed(form, content, name, json=json)


def parsed(form: FileForm[Shape], content: bytes, name: str, *, json: bool = False) -> Shape:
    """What is in `content`; `name` is the file in messages. Raises the form's error with all mistakes."""
    found = judged(form, content, name, json=json)
    if isinstance(found, Mistakes):
        raise _refusal(form.error, found) from None  # what parsers say may quote what is private
    return found


class Mistakes(tuple[Mistake, ...]):
    """All mistakes of one file, in the order of its lines; never none."""

    __slots__ = ()


def judged(form: FileForm[Shape], content: bytes, name: str, *, json: bool = False) -> Shape | Mistakes:
    """What is in `content`, or all its mistakes."""
    try:
        raw = form.raw(content, json=json)
        too_much = sized(raw) if len(content) > LARGE else None
        if too_much is None and not any(True for _ in chain(form.beforehand(raw), unseen(raw))):
            document = form.complete(msgspec.convert(raw, form.shape, dec_hook=form.dec_hook))
            if not any(True for _ in form.checks(document)):
                return document
    except (Unreadable, DocumentError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        pass  # found again below, with everything else
    from terminal.mistakes.finding import mistakes_in  # noqa: PLC0415 only needed when something is wrong

    return Mistakes(mistakes_in(form, content, name, json=json))


def _refusal(error: type[DocumentError], mistakes: Iterable[Mistake]) -> DocumentError:
    from terminal.mistakes.words import refusal  # noqa: PLC0415 only needed when something is wrong

    return refusal(error, mistakes)
