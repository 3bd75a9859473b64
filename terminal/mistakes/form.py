"""One kind of file that people write: its types, what they cannot say, its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from terminal.errors import DocumentError, Mistake, MistakeCode
from terminal.mistakes.reading import MOST_BYTES, check_size, json_of, text_of, toml_of
from terminal.texts import N_

Shape = TypeVar("Shape")
Findings = Iterable[Mistake]


class OtherSchema(MistakeCode):
    """A file of another schema than this software reads."""

    OTHER = (
        "other_schema",
        N_("schema {schema}, this software knows {known}"),
        N_("Update the software, or write the file for its schema."),
    )


def other_schema(raw: Mapping[str, Any], path: str, known: int) -> Iterator[Mistake]:
    """What is wrong with the schema at `path`, `schema` or `TABLE.schema`: a file of another one may have any keys, so
    this is looked at before them. One that is left out is not wrong here.
    """
    table, _, name = path.rpartition(".")
    within = raw.get(table) if table else raw
    schema = within.get(name) if isinstance(within, dict) else None
    if isinstance(schema, int) and not isinstance(schema, bool) and schema != known:
        yield Mistake(path, OtherSchema.OTHER, {"schema": schema, "known": known})


def nothing(_of: object) -> Findings:
    """No mistakes."""
    return ()


def alone(_path: str) -> frozenset[MistakeCode]:
    """Nothing follows from anything."""
    return frozenset()


def unchanged(document: Shape) -> Shape:
    """What needs nothing from beside the file."""
    return document


@dataclass(frozen=True)
class FileForm(Generic[Shape]):
    """How files of one kind are read. `error` is raised for a file with mistakes, and carries all of them."""

    shape: type[Shape]
    error: type[DocumentError]
    checks: Callable[[Shape], Findings] = nothing
    """What types cannot say."""
    beforehand: Callable[[dict[str, Any]], Findings] = nothing
    """What hides everything else: a file of another schema may have any keys."""
    complete: Callable[[Shape], Shape] = unchanged
    """Adds what lies beside the file. Raises a `DocumentError` with mistakes."""
    follows: Callable[[str], frozenset[MistakeCode]] = alone
    """What the checks may find only because something else is wrong at a path."""
    decimals: Mapping[str, int] = field(default_factory=lambda: {"RUB": 2})
    """By currency: those that amounts may be written in by mistake."""
    dec_hook: Callable[[type, Any], Any] | None = None
    most_bytes: int = MOST_BYTES
    private: bool = False
    """It is about people: nothing that stands in it is ever shown."""

    def raw(self, content: bytes, *, json: bool) -> dict[str, Any]:
        """The tables in `content`. Raises `Unreadable`."""
        check_size(content, self.most_bytes)
        if json:
            return json_of(content, private=self.private)
        return toml_of(text_of(content, private=self.private), private=self.private)
