"""A scenario file written and read again is the same file."""

from __future__ import annotations

from pathlib import Path

import pytest

from terminal.scenario.load import SCENARIOS, load_scenarios, parse_scenarios
from terminal.scenario.write import file_text


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_supplied_file_comes_back_as_it_was(path: Path) -> None:
    file = load_scenarios(path)
    assert parse_scenarios(file_text(file), "written") == file


def test_names_and_texts_that_toml_has_to_escape() -> None:
    text = """
schema = 1
region = "demo"
about = "a \\"quoted\\" \\\\ text"
[cards."a_b"]
[[scenarios]]
name = "<script>"
rider = "Ж"
card = "a_b"
[[scenarios.taps]]
at = 2026-02-01T08:00:00
repeat = { times = 3, clock = [08:00:00], weekdays = ["mon"] }
expect = { message = "ok_paid", charge_minor = 2400, counters = { x = 1 } }
"""
    file = parse_scenarios(text, "typed")
    assert parse_scenarios(file_text(file), "written") == file
