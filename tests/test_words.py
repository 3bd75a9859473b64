"""One meaning for each word: avoided words, room-bound words, class names and the glossary.

Names are taken apart at capitals and underscores, so `NobodyListed` counts as "nobody listed". Strings, docstrings and
comments count as written; pages (HTML and JavaScript) count whole.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
PRODUCT: Final = ("cardproto", "sim", "cardcli", "terminal")
SEARCHED: Final = tuple(ROOT / one for one in PRODUCT)

AVOIDED: Final = {
    r"stop[ -]?lists?": "deny list",
    r"whoever|somebody|nobody": "the actor's name, or the passive",
    r"told|tells": "shown, stated, reported, returned, known",
    r"honest(ly)?": "leave it out",
    r"goodbye": "close",
    r"carried for nothing": "free, or refused",
}
"""A pattern over whole words, and what to write."""

BOUND: Final = {
    "desk": (
        *("terminal/lab/", "sim/desk/", "terminal/cli/desk.py", "terminal/cli/app.py", "sim/air.py"),
        "terminal/texts.py",  # names the catalogue of its texts
    ),
    "stop_list": (),
}
"""Words of one room, and where they may occur: the developers' page."""

TWICE: Final[dict[str, str]] = {}
"""Class names with two meanings, each with its reason; three at most."""

CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words_of(name: str) -> str:
    """The words of an identifier: `_NobodyListed` is "nobody listed"."""
    return CAMEL.sub(" ", name).replace("_", " ").lower().strip()


def texts_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Names as words, strings and comments as written, by line. f-strings of Python 3.12 come in parts."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], words_of(token.string)
        elif token.type not in (tokenize.OP, tokenize.NUMBER, tokenize.NEWLINE, tokenize.NL):
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line.replace("_", " ")


@cache
def texts_of(path: Path) -> tuple[tuple[int, str], ...]:
    """What a file says, line by line; each file is taken apart once."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return tuple(texts_of_python(source))
    return tuple((number, line.replace("_", " ")) for number, line in enumerate(source.splitlines(), 1))


def files(*suffixes: str) -> list[Path]:
    return sorted(path for root in SEARCHED for path in root.rglob("*") if path.suffix in suffixes)


def found(pattern: str, text: str) -> bool:
    return re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE) is not None


def occurrences(pattern: str, paths: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        for number, text in texts_of(path)
        if found(pattern, text)
    ]


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("class NobodyListed: ...", True),
        ("nobody_told = 1", True),
        ('x = "The rider is told."', True),
        ("# whoever calls", True),
        ('"""Does it.\n\nNobody\'s business.\n"""', True),
        ("untold = 1", False),
        ('x = "a dishonest card"', False),
        ("STOP_LIST = 1", True),
    ],
)
def test_avoided_words_are_found_in_names_strings_and_comments(source: str, is_found: bool) -> None:
    texts = [text for _, text in texts_of_python(source)]
    assert any(found(pattern, text) for pattern in AVOIDED for text in texts) is is_found


@pytest.mark.parametrize("pattern", AVOIDED)
def test_avoided_words_do_not_occur(pattern: str) -> None:
    where = occurrences(pattern, files(".py", ".html", ".js", ".toml"))
    assert not where, f"write: {AVOIDED[pattern]}"


@pytest.mark.parametrize("word", BOUND)
def test_a_word_of_one_room_stays_there(word: str) -> None:
    paths = [path for path in files(".py") if not path.relative_to(ROOT).as_posix().startswith(BOUND[word])]
    assert not occurrences(rf"{word}s?", paths)


def class_names() -> dict[str, list[str]]:
    """Where each class stands, private ones without their underscore."""
    where: defaultdict[str, list[str]] = defaultdict(list)
    for path in files(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                where[node.name.lstrip("_")].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return where


def test_a_class_name_has_one_meaning() -> None:
    twice = {name: where for name, where in class_names().items() if len(where) > 1}
    assert twice.keys() == TWICE.keys(), twice
    assert len(TWICE) <= 3


def terms() -> list[str]:
    """The English terms of the glossary, one or more in the first column of each row; names in code are none."""
    listed = []
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("| ---", "| English")):
            first = re.sub(r"`[^`]*`", "", line.split("|")[1])
            listed += [term for one in first.split(",") if (term := one.strip())]
    return listed


def test_each_term_of_the_glossary_is_defined_once() -> None:
    listed = terms()
    assert len(listed) > 100, "the glossary is where it was"
    assert [term for term, count in Counter(listed).items() if count > 1] == []


@pytest.mark.parametrize(
    "term",
    [
        *("deny list", "desk", "reload point", "issuing point", "counter", "turn", "bundle", "card order"),
        *("medium", "trip", "portion", "tap", "outcome"),
    ],
)
def test_a_word_with_one_meaning_is_in_the_glossary(term: str) -> None:
    assert term in terms()
