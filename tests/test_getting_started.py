"""The commands of docs/getting-started.md do what the page says, in a clone with the environment of this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.getting_started import SETUP, parts, played

SAYS = {
    "You build it into a bus": ("24.00", "blocked", "the journal is sound", "differ: 0"),
    "You run a canteen": ("meal_ok", "RUB 71.09", "RUB 78.02", "RUB 149.11 = RUB 149.11"),
    "You write software, without hardware": ("is in card.json", "ok_paid", "passed"),
}


def test_it_has_a_part_for_each_of_three_people_from_the_start() -> None:
    assert [*parts()] == [*SAYS]
    assert all(lines[0].startswith(SETUP) for lines in parts().values())


@pytest.mark.parametrize("part", SAYS)
def test_the_commands_run_as_printed(part: str, tmp_path: Path) -> None:
    printed = "".join(text for _, text in played(part, tmp_path, linked=True))
    for words in SAYS[part]:
        assert words in printed
