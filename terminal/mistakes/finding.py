"""Everything that is wrong with a file, types and meaning in one pass. Imported when there is a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import msgspec

from terminal.errors import DocumentError, Mistake
from terminal.mistakes.form import FileForm
from terminal.mistakes.places import Place, entries_on, line_at, meet
from terminal.mistakes.reading import MOST_MISTAKES, Unreadable, sized, text_of, unseen
from terminal.mistakes.shapes import mend
from terminal.mistakes.toml_lines import toml_lines
from terminal.mistakes.values import Mended, ShapeMistake, Surroundings

Shape = TypeVar("Shape")


def mistakes_in(
    form: FileForm[Shape], content: bytes, name: str, *, json: bool = False
) -> tuple[Mistake, ...]:
    """All mistakes of a file that has some, in the order of its lines."""
    try:
        raw = form.raw(content, json=json)
    except Unreadable as unreadable:
        return unreadable.in_file(name)
    too_much = sized(raw)
    found = [too_much] if too_much else list(form.beforehand(raw)) or [*unseen(raw), *_found(form, raw)]
    return _placed(form, found, raw, _lines(content, found, json=json), name)


def placed(
    form: FileForm[Shape], found: Sequence[Mistake], content: bytes, name: str, *, json: bool = False
) -> tuple[Mistake, ...]:
    """Mistakes that were found in what a sound file says, with their places in it."""
    raw = form.raw(content, json=json)
    return _placed(form, found, raw, _lines(content, found, json=json), name)


def _lines(content: bytes, found: Iterable[Mistake], *, json: bool) -> dict[Place, int]:
    """By place; none where no mistake is at one."""
    return {} if json or not any(one.path for one in found) else toml_lines(text_of(content))


def _placed(
    form: FileForm[Shape], found: Iterable[Mistake], raw: object, lines: Mapping[Place, int], name: str
) -> tuple[Mistake, ...]:
    once = {_key(one): one for one in found}
    complete = [
        replace(
            one,
            file=name,
            line=line_at(one.path, lines) if one.line is None else one.line,
            entries={} if form.private else entries_on(one.path, raw),
        )
        for one in islice(once.values(), MOST_MISTAKES)
    ]
    return tuple(sorted(complete, key=lambda one: one.line or 0))


def _key(mistake: Mistake) -> tuple[object, ...]:
    return mistake.path, mistake.code, tuple(mistake.values.items())


def _found(form: FileForm[Shape], raw: dict[str, Any]) -> list[Mistake]:
    around = Surroundings.of(raw, form.decimals, private=form.private)
    mended, value = mend(raw, form.shape, around)
    try:
        document = msgspec.convert(value, form.shape, dec_hook=form.dec_hook)
    except (ValueError, RecursionError) as error:
        says = type(error).__name__ if form.private else str(error)
        return mended.mistakes or [Mistake("", ShapeMistake.OTHER_TYPE, {"says": says})]
    return [*mended.mistakes, *islice(_meant(form, document, mended), MOST_MISTAKES)]


def _meant(form: FileForm[Shape], document: Shape, mended: Mended) -> Iterator[Mistake]:
    """What the checks find that does not follow from what was mended."""
    changed = list(mended.changed)
    try:
        document = form.complete(document)
    except DocumentError as error:
        yield from (one for one in error.mistakes if not _overlap(one.path, changed))
        changed += [one.path for one in error.mistakes]
    following = {code for path in changed for code in form.follows(path)}
    for mistake in form.checks(document):
        if mistake.code not in following and not _overlap(mistake.path, changed):
            yield mistake


def _overlap(path: str, changed: Iterable[str]) -> bool:
    return any(meet(path, other) for other in changed)
