"""What the Russian guides of a school name stands on its pages: all that is bold, and the tables of what is written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.terminal.setup.guide import GUIDES

CATALOGUES = Path(__file__).resolve().parents[3] / "terminal/locale/ru/LC_MESSAGES"
VALUE = re.compile(r"\{\w+\}|%\(\w+\)[sd]")
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
TABLE = re.compile(r"^\| что написано \|.*\n\|[- |]+\n((?:\|.*\n)+)", re.MULTILINE)
A_CLASS = "4б"


@cache
def shown() -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """Every Russian text in lower case; those with values in them as patterns."""
    found = set[str]()
    for file in CATALOGUES.glob("*.po"):
        with file.open("rb") as content:
            for text in (one.string for one in read_po(content) if one.id):
                found |= {text.lower()} if isinstance(text, str) else {part.lower() for part in text}
    valued = {text for text in found if VALUE.search(text)}
    worded = (text for text in valued if len(re.findall(r"\w", VALUE.sub("", text))) > 1)
    patterns = tuple(re.compile(".+".join(map(re.escape, VALUE.split(text)))) for text in worded)
    return frozenset(found - valued), patterns


def stands(name: str) -> bool:
    """Whether a page says it: whole, or as the beginning up to a point, a colon or a comma."""
    texts, patterns = shown()
    bare = name.lower().strip("«» ").rstrip(".:")
    begins = tuple(bare + end for end in ".:,")
    unnumbered = re.sub(r" \d+$", "", bare)
    return (
        bool({bare, f"{bare}.", unnumbered} & texts)
        or any(
            text.startswith(begins) for text in (*texts, *(one.pattern.replace("\\", "") for one in patterns))
        )
        or any(one.fullmatch(bare) or one.fullmatch(f"{bare}.") for one in patterns)
    )


def named(guide: str) -> Iterator[str]:
    text = (GUIDES / guide).read_text(encoding="utf-8")
    yield from (" ".join(found.split()) for found in BOLD.findall(text))
    for table in TABLE.findall(text):
        firsts = (
            re.split(r" и название|: карта", row.split("|")[1].strip())[0] for row in table.splitlines()
        )
        yield from (first for first in firsts if first[:1].isupper() or first.startswith("«"))


@pytest.mark.parametrize("guide", ["zaveduyushchaya.md", "stolovaya.md"])
def test_what_a_guide_names_stands_on_a_page(guide: str) -> None:
    assert [one for one in named(guide) if one != A_CLASS and not stands(one)] == []
