"""Every string in a journal row is a code: the pattern, the fields that hold people's own text, and the scan."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from terminal.journal.reader import JournalReader
from terminal.journal.records import AnyRecord, parse_record

CODE: Final = re.compile(r"[a-z0-9_.:-]*")
FREE_TEXT: Final[Mapping[str, str]] = {
    "operator_ref": "a staff number, which the operator's own numbering may write with capital letters",
    "operator": "the same, of a canteen's staff",
    "confirmed_by": "the same, of the second person",
    "currency": "a code of ISO 4217, in capital letters as everywhere else",
    "class_id": "a class as the school calls it: 3А",
}
"""Fields, or inputs by name, whose text is written by people or other systems, and why."""


def prose_in(record: AnyRecord) -> list[str]:
    """Every string of a row that is no code, with the place it stands in."""
    return [f"{type(record).__name__}.{place}: {text!r}" for place, text in _strings(record, "")]


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if place.rpartition(".")[2] in FREE_TEXT:
        return
    if isinstance(value, str):
        if not CODE.fullmatch(value):
            yield place, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _strings(getattr(value, name), f"{place}.{name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from _strings(name, f"{place}.key")
            yield from _strings(one, f"{place}.{name}")
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _strings(one, place)


def assert_codes(records: Iterable[AnyRecord]) -> int:
    """Fail with every string that is no code; return how many rows were looked at."""
    count, found = 0, set[str]()
    for record in records:
        count += 1
        found.update(prose_in(record))
    assert not found, "\n".join(sorted(found))
    return count


def assert_codes_in(path: Path) -> int:
    """The same for every row of the plain journal at `path`, in use or not."""
    with closing(JournalReader(path)) as reader:
        return assert_codes(parse_record(row.body) for row in reader.all_rows())
