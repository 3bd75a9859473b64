"""Which lines are changed, how, and by which tests that has to be noticed: from lines.toml and equivalent.toml.

The changes are cosmic-ray's: it changes constants and decorated functions, too, and applies each to the text of the
file, so that nothing of ours runs inside the code under trial. Of its operators those are taken that a person might
mistype: a limit off by one, a comparison the other way round, `and` for `or`, a sign, a decorator that is missing.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT: Final = Path(__file__).resolve().parents[2]
HERE: Final = Path(__file__).parent
LINES_FILE: Final = HERE / "lines.toml"
EQUIVALENT_FILE: Final = HERE / "equivalent.toml"
PLANTED_FILE: Final = HERE / "planted.toml"
OPERATORS: Final = (
    "AddNot",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
    *(
        f"ReplaceComparisonOperator_{one}"
        for one in (
            "Eq_NotEq",
            "NotEq_Eq",
            "Lt_LtE",
            "LtE_Lt",
            "Gt_GtE",
            "GtE_Gt",
            "Lt_GtE",
            "Gt_LtE",
            "Is_IsNot",
            "IsNot_Is",
        )
    ),
    *(
        f"ReplaceBinaryOperator_{one}"
        for one in (
            "Add_Sub",
            "Sub_Add",
            "Mul_Add",
            "FloorDiv_Mul",
            "Mod_Mul",
            "BitAnd_BitOr",
            "BitOr_BitAnd",
            "LShift_RShift",
            "RShift_LShift",
        )
    ),
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
)
UNION: Final = "ReplaceBinaryOperator_BitOr_BitAnd"
WHOLE: Final = "*"
_SHAPE: Final = re.compile(r"^\s*(class |@dataclass\(|@overload)|\b(frozen|kw_only|slots|repr)=")
"""How a value is declared: that nothing changes a frozen one is held by the type checker, not by a test."""


class Lines(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of a module: functions and constants by name ("Terminal.take"), or all of it; why a mistake there would be
    dear; the tests that look at it.
    """

    module: str
    names: tuple[str, ...]
    holds: str
    reason: str
    tests: tuple[str, ...]


class Equivalent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that changes nothing that can be seen, and why. `line` is the changed line as it then stands."""

    module: str
    line: str
    reason: str


class Mutant(msgspec.Struct, frozen=True):
    """One change of a module's text."""

    module: str
    operator: str
    occurrence: int
    number: int
    """Of the line."""
    tests: tuple[str, ...]

    def numbers(self) -> frozenset[int]:
        """Of the lines it changes."""
        return frozenset({self.number})

    def source(self) -> str:
        """The module with the change in it."""
        made = mutate_code((ROOT / self.module).read_text("utf-8"), _operator(self.operator), self.occurrence)
        assert made is not None, self
        return str(made)

    def line(self) -> str:
        """The first line that is another, as it is after the change; empty where one is gone."""
        before = (ROOT / self.module).read_text("utf-8").splitlines()
        after = self.source().splitlines()
        return next((new.strip() for old, new in zip(before, after, strict=False) if old != new), "")

    def __str__(self) -> str:
        return f"{self.module}:{self.number} {self.operator}: {self.line()}"


class Planted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mistake as a person makes it, by the text it changes."""

    name: str
    module: str
    before: str
    after: str
    tests: tuple[str, ...]

    def numbers(self) -> frozenset[int]:
        """Of the lines it changes."""
        text = (ROOT / self.module).read_text("utf-8")
        first = text[: text.index(self.before)].count("\n") + 1
        return frozenset(range(first, first + self.before.strip("\n").count("\n") + 1))

    def source(self) -> str:
        """The module with the mistake. Raises `LookupError` where its text is not there once."""
        text = (ROOT / self.module).read_text("utf-8")
        if text.count(self.before) != 1:
            raise LookupError(f"{self.module} has not once: {self.before}")
        return text.replace(self.before, self.after)

    def __str__(self) -> str:
        return f"{self.module}: {self.name}"


def planted() -> tuple[Planted, ...]:
    """Mistakes that have to be noticed."""
    return msgspec.convert(tomllib.loads(PLANTED_FILE.read_text("utf-8"))["planted"], tuple[Planted, ...])


def listed() -> tuple[Lines, ...]:
    """What is under trial."""
    return msgspec.convert(tomllib.loads(LINES_FILE.read_text("utf-8"))["lines"], tuple[Lines, ...])


@cache
def equivalents() -> tuple[Equivalent, ...]:
    """What need not be noticed."""
    found = tomllib.loads(EQUIVALENT_FILE.read_text("utf-8")).get("mutant", [])
    return msgspec.convert(found, tuple[Equivalent, ...])


def is_equivalent(mutant: Mutant) -> bool:
    lines = [one.line for one in equivalents() if one.module == mutant.module]
    return bool(lines) and mutant.line() in lines


def numbers_of(lines: Lines) -> frozenset[int]:
    """The lines of code among them, without documentation. Raises `LookupError` for a name that is not there."""
    tree = ast.parse((ROOT / lines.module).read_text("utf-8"))
    if lines.names == (WHOLE,):
        spans: list[ast.AST] = [
            node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)
        ]
    else:
        named = dict(_named(tree))
        missing = [name for name in lines.names if name not in named]
        if missing:
            raise LookupError(f"{lines.module} has no {missing[0]}")
        spans = [named[name] for name in lines.names]
    documented = {number for span in spans for node in ast.walk(span) for number in _documentation(node)}
    text = (ROOT / lines.module).read_text("utf-8").splitlines()
    numbers = {number for span in spans for number in _span(span)} - documented
    return frozenset(
        number
        for number in numbers
        if text[number - 1].split("#")[0].strip() and not _SHAPE.search(text[number - 1])
    )


def mutants_of(lines: Lines) -> Iterator[Mutant]:
    """Every change of these lines, in the order of operators and places."""
    numbers, tree, types = numbers_of(lines), _tree(lines.module), _types(lines.module)
    for name in OPERATORS:
        operator, occurrence = _operator(name), 0
        for node in ast_nodes(tree):
            for (number, column), _end in operator.mutation_positions(node):
                union = name == UNION and any(first <= (number, column) < last for first, last in types)
                if number in numbers and not union:
                    yield Mutant(lines.module, name, occurrence, number, lines.tests)
                occurrence += 1


@cache
def _types(module: str) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Where types are stated: `A | None` there is read by no program. Limits in them are, and are changed."""
    stated = [
        one
        for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8")))
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if isinstance(one, ast.expr)
    ]
    return tuple(
        ((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0)) for one in stated
    )


@cache
def _tree(module: str) -> object:
    return get_ast((ROOT / module).read_text("utf-8"))


@cache
def _operator(name: str):  # type: ignore[no-untyped-def]
    return get_operator(f"core/{name}")()


def _named(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from (
                (f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, ast.FunctionDef)
            )
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node


def _span(node: ast.AST) -> range:
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
    return range(first, node.end_lineno + 1)


def _documentation(node: ast.AST) -> range:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return _span(node)
    return range(0)
