"""The reference part of docs/tariff-author.md, printed from the types: every table, key, kind, message and rule id.

    python -m terminal.scenario.reference docs/tariff-author.md

writes it between the two marks of that file; a test keeps it equal.
"""

from __future__ import annotations

import ast
import inspect as python_inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from terminal.decision.outcome import Message
from terminal.messages import wording
from terminal.policy.base import Section
from terminal.policy.document.schema import RegionDocument
from terminal.scenario.schema import ScenarioFile
from terminal.trail_steps import RULES, rule_title
from terminal.trail_words import WORDS, effect_words

BEGIN: Final = "<!-- reference: printed from the types by `make docs` -->"
END: Final = "<!-- end of the reference -->"


def reference() -> str:
    """The whole reference as Markdown."""
    parts = [
        "## Reference: the region document",
        *_tables(RegionDocument),
        "## Reference: the scenario file",
        *_tables(ScenarioFile),
        "## Reference: messages",
        "What `message` may be, and what the passenger reads.",
        _table(("message", "Russian", "English"), _messages()),
        "## Reference: rule ids",
        "What `reasons` may name: the rules by their ids, each with an example in [rules.md](rules.md), and the effects"
        " of each.",
        _table(
            ("id", "Russian", "English"),
            ((linked(rule), rule_title(rule, "ru"), rule_title(rule, "en")) for rule in RULES),
        ),
        _table(
            ("effect", "Russian", "English"),
            ((f"`{effect}`", effect_words(effect, "ru"), effect_words(effect, "en")) for effect in WORDS),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def linked(rule: str) -> str:
    """A rule's id as a link to where docs/rules.md states it."""
    return f"[{rule}](rules.md#{rule.lower()})"


def put_into(text: str) -> str:
    """`text` of the document with its reference part written anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def _tables(root: type) -> Iterator[str]:
    """One part for each table that can be written below `root`, each once, in reading order."""
    waiting: list[inspect.StructType] = [_struct(inspect.type_info(root))]
    seen: set[type] = set()
    while waiting:
        table = waiting.pop(0)
        if table.cls in seen:
            continue
        seen.add(table.cls)
        yield _part(table)
        below = [found for field in table.fields for found in _structs(field.type)]
        waiting = below + waiting


def _part(table: inspect.StructType) -> str:
    kind = f' (`kind = "{table.tag}"`)' if table.tag else ""
    lines = [f"### {table.cls.__name__}{kind}", _docstrings(table.cls)]
    if table.fields:
        remarks = _remarks(table.cls)
        rows = [_row(field, remarks.get(field.name, "")) for field in table.fields]
        lines.append(_table(("key", "value", "without it"), rows))
    return "\n\n".join(lines)


def _docstrings(cls: type) -> str:
    """The docstrings of a table and of what it extends."""
    family = [base for base in cls.__mro__ if issubclass(base, Section) and base is not Section]
    said = [python_inspect.cleandoc(base.__doc__) for base in family if base.__doc__]
    return "\n\n".join(" ".join(text.split("\n")) if "\n\n" not in text else text for text in said)


def _row(field: inspect.Field, remark: str) -> tuple[str, str, str]:
    if field.required:
        default = "required"
    elif field.default is not msgspec.NODEFAULT:
        default = _default(field.default)
    else:
        default = "empty"
    return f"`{field.encode_name}`", f"{_type(field.type)}{f'. {remark}' if remark else ''}", default


def _remarks(cls: type) -> dict[str, str]:
    """What stands under single keys of a table, as docstrings of its attributes."""
    found: dict[str, str] = {}
    for base in cls.__mro__:
        if not issubclass(base, Section) or base is Section:
            continue
        body = ast.parse(textwrap.dedent(python_inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for key, said in pairwise(body.body):
            if (
                isinstance(key, ast.AnnAssign)
                and isinstance(said, ast.Expr)
                and isinstance(key.target, ast.Name)
            ):
                found[key.target.id] = " ".join(str(ast.literal_eval(said.value)).split())
    return found


def _default(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Section):
        return "all defaults"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(kind: inspect.Type) -> str:
    said: str | None = None
    match kind:
        case inspect.Metadata():
            said = _type(kind.type)
        case inspect.StructType():
            said = f"[{kind.cls.__name__}](#{_anchor(kind)})"
        case inspect.UnionType():
            said = " or ".join(_type(one) for one in kind.types if not isinstance(one, inspect.NoneType))
        case inspect.VarTupleType() | inspect.ListType():
            said = f"list of {_type(kind.item_type)}{_length(kind)}"
        case inspect.TupleType():
            said = "list of " + " and ".join(_type(one) for one in kind.item_types)
        case inspect.DictType():
            said = f"table: name = {_type(kind.value_type)}"
        case inspect.EnumType():
            said = ", ".join(f"`{member.value}`" for member in kind.cls)
        case inspect.LiteralType():
            said = ", ".join(f"`{value}`" for value in kind.values)
    return said or _plain(kind)


PLAIN: Final = {
    "IntType": "whole number",
    "StrType": "text",
    "BoolType": "true or false",
    "DateType": "date",
    "TimeType": "time of day",
    "DateTimeType": "date and time",
}


SHAPES: Final = {
    "^[a-z][a-z0-9_]*$": "name of small letters, digits and _",
    r"^[^\n]*$": "text of one line",
    r"^[A-Z]-\d\d$": "rule id like M-10",
}
"""How people call the shapes of texts."""


def _plain(kind: Any) -> str:
    name = PLAIN[type(kind).__name__]
    if isinstance(kind, inspect.DateTimeType) and kind.tz:
        return f"{name} with offset"
    low, high = getattr(kind, "ge", None), getattr(kind, "le", None)
    if high is None and getattr(kind, "lt", None) is not None:
        high = kind.lt - 1
    pattern = getattr(kind, "pattern", None)
    if pattern:
        return SHAPES.get(pattern, f"{name} like `{pattern}`".replace("|", "\\|"))
    if low is None:
        return name
    return f"{name}, at least {low}" if high is None else f"{name}, {low} to {high}"


def _length(kind: inspect.VarTupleType | inspect.ListType) -> str:
    if kind.max_length is not None:
        return f", at most {kind.max_length}"
    return ", at least one" if kind.min_length else ""


def _structs(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """The tables that may stand where `kind` is asked for."""
    match kind:
        case inspect.StructType():
            yield kind
        case inspect.Metadata():
            yield from _structs(kind.type)
        case inspect.UnionType():
            for one in kind.types:
                yield from _structs(one)
        case inspect.VarTupleType() | inspect.ListType():
            yield from _structs(kind.item_type)
        case inspect.DictType():
            yield from _structs(kind.value_type)
        case _:
            return


def _struct(kind: inspect.Type) -> inspect.StructType:
    return next(_structs(kind))


def _anchor(table: inspect.StructType) -> str:
    """The anchor Markdown viewers give the heading of `table`."""
    name = table.cls.__name__.lower()
    return f"{name}-kind--{table.tag}" if table.tag else name


def _messages() -> Iterator[tuple[str, str, str]]:
    for message in Message:
        yield f"`{message.value}`", wording(message, "ru"), wording(message, "en")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(path: Path) -> None:
    path.write_text(put_into(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
