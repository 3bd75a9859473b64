"""How something wrong in the tables is told: a row and a column, which importer and document turn into a place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

SIMILAR_AMONG: Final = 2000
"""Among so many ids a similar one is looked for; among more it takes too long."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """`table` as the field of `GtfsTables`, `row` its index there, `column` as in the feed ("" for the row)."""

    table: str
    row: int
    column: str
    what: str
    advice: str


def resolve(
    table: str, column: str, rows: Iterable[Any], known: Collection[str], where: str
) -> Iterator[RowProblem]:
    for index, row in enumerate(rows):
        value = getattr(row, column)
        if value is not None and value not in known:
            yield RowProblem(
                table, index, column, f"{value!r} is not in {where}", add_or_correct(value, known, where)
            )


def add_or_correct(value: str, known: Collection[str], where: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 only needed when something is wrong

    close = get_close_matches(value, known, n=1) if len(known) <= SIMILAR_AMONG else []
    return f"Did you mean {close[0]!r}?" if close else f"Add it to {where}, or correct the id."
