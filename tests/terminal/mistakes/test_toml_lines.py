"""The line map against the standard library's parser: every place it reads has a line, and that is the right one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.mistakes.toml_lines import Place, statement_at, toml_lines
from tests.properties import examples

ROOT = Path(__file__).parents[3]
KEYS = st.sampled_from(["a", "b-1", '"q.x"', "'s]'", '"é#"', "c"])
PLAIN = st.sampled_from(
    [
        *("1", "-2.5", "true", "2026-09-01", "2026-09-01 07:30:00", "07:30:00", '"a # b"', "'[x]'", '""'),
        *('"""\none = 1\n[two]\n"""', "'''\n# three\n'''", '"\\"]"', '"""ends in ""quotes"""""'),
    ]
)
GAPS = st.sampled_from(["", "\n", "# [not] = a\n", "\n\n"])


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in what the standard library made of a document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in below:
        yield (*at, step)
        yield from places(one, (*at, step))


@st.composite
def values(draw: st.DrawFn, depth: int = 0) -> str:
    """A value of any form."""
    form = draw(st.integers(0, 3 if depth < 2 else 0))
    if form == 1:
        inside = draw(st.lists(values(depth + 1), max_size=3))
        gap = draw(st.sampled_from(["", "\n", " # why ]\n"]))
        return "[" + gap + f",{gap}".join(inside) + gap + "]"
    if form == 2:
        keys = draw(st.lists(KEYS, max_size=3, unique=True))
        return "{ " + ", ".join(f"{key} = {draw(values(depth + 1))}" for key in keys) + " }"
    return draw(PLAIN)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Tables, lists of tables and dotted keys, with anything between."""
    text = ""
    for number in range(draw(st.integers(0, 5))):
        form = draw(
            st.sampled_from([f"[t{number}]", "[[list]]", f"[list.t{number}]", f'["t {number}".x]', ""])
        )
        text += draw(GAPS) + (f"{form} # here\n" if form else "")
        for key in draw(st.lists(KEYS, max_size=3, unique=True)):
            text += draw(GAPS) + f"{key}{draw(st.sampled_from(['', f'.d{number}']))} = {draw(values())}\n"
    return text if draw(st.booleans()) else text.replace("\n", "\r\n")


@examples(150)
@given(documents())
def test_every_place_that_the_parser_reads_has_a_line_and_no_other(text: str) -> None:
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = toml_lines(text)
    assert set(lines) == set(places(read))
    written = text.split("\n")
    for place, line in lines.items():
        name = next((str(step) for step in reversed(place) if isinstance(step, str)), "")
        assert 1 <= line <= len(written)
        if isinstance(place[-1], str):
            assert name in written[line - 1], (place, line)


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("terminal/policy/*/*.toml")) + sorted(ROOT.glob("sim/**/*.toml")),
    ids=lambda p: p.name,
)
def test_every_place_of_the_supplied_documents_has_a_line(path: Path) -> None:
    text = path.read_text("utf-8")
    assert set(toml_lines(text)) == set(places(tomllib.loads(text)))


def test_the_line_is_that_of_the_key_of_the_entry_and_of_the_table() -> None:
    text = 'a = 1\n\n[[t]]\nx = [\n  { y = 1 },\n  { y = 2 }, # second\n]\n[[t]]\nz.w = """\n\n"""\n[t.sub]\nk = 0\n'
    lines = toml_lines(text)
    assert lines["t", 0] == lines["t",] == 3
    assert (lines["t", 0, "x", 0, "y"], lines["t", 0, "x", 1, "y"]) == (5, 6)
    assert (lines["t", 1], lines["t", 1, "z", "w"], lines["t", 1, "sub"], lines["t", 1, "sub", "k"]) == (
        8,
        9,
        12,
        13,
    )


def test_a_statement_that_the_parser_refuses_is_found_with_what_stood_before() -> None:
    text = "[a]\nx = 1\n[a.b]\nx = [\n1,\n2]\nx = 3\n"
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert "line 7" in str(caught.value)
    place, line, before = statement_at(text, 7, 6)
    assert (place, line, before[place]) == (("a", "b", "x"), 7, 4)
