"""Words are words: with every text of every effect altered, nothing that is decided, recorded or compared changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from make_texts import messages_of, mo_bytes, mo_file, read
from terminal.policy.load import REGIONS
from terminal.scenario.load import supplied_scenarios
from terminal.texts import languages
from terminal.trail_steps import RULES
from terminal.trail_words import WORDS
from tests.flows.conftest import COUNTER_A, FRONT, OpenTown

ALTERED = "XYZZY"
"""What stands before each altered text."""
TIMES = {"taps_per_s", "taps_per_cpu_s", "wall_s"}


@dataclass(frozen=True)
class Texts:
    """Commands in a process of their own, as they are and with other texts."""

    folder: Path

    def both(self, *arguments: object) -> tuple[subprocess.CompletedProcess[str], ...]:
        """`terminal …` with the bundled texts, and with the altered ones."""
        return self.run("", *arguments), self.run(str(self.folder), *arguments)

    def run(self, folder: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "terminal.cli.app", *map(str, arguments)]
        environment = {**os.environ, "TERMINAL_LOCALE": folder, "PYTHONHASHSEED": "0"}
        return subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", check=False, env=environment
        )


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    """A folder of catalogues in which every effect and every rule is worded differently, in every language."""
    folder = tmp_path_factory.mktemp("locale")
    worded = {*WORDS.values(), *RULES.values()}
    for language in languages():
        catalog = read(language)
        altered = [
            message for message in messages_of(catalog) if message.context is None and message.id in worded
        ]
        assert len(altered) == len(worded)
        for message in altered:
            message.string = f"{ALTERED} {message.string}"
        path = mo_file(language, folder)
        path.parent.mkdir(parents=True)
        path.write_bytes(mo_bytes(catalog))
    return Texts(folder)


@pytest.mark.parametrize("language", languages())
def test_the_altered_texts_are_those_that_are_shown(texts: Texts, language: str) -> None:
    (scenarios,) = supplied_scenarios("demo")
    before, after = texts.both("policy", "explain", "demo", f"{scenarios}#1.1", "--language", language)
    assert before.returncode == after.returncode == 0, after.stderr
    assert ALTERED not in before.stdout
    assert after.stdout.replace(f"{ALTERED} ", "") == before.stdout
    assert ALTERED in after.stdout


@pytest.mark.parametrize("region", sorted(path.stem for path in REGIONS.glob("*.toml")))
def test_scenarios_come_out_the_same(texts: Texts, region: str) -> None:
    before, after = texts.both("policy", "run", region, *supplied_scenarios(region), "--json")
    assert before.stdout
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout) == (0, before.stdout)


def test_a_stress_run_leaves_the_same_cards_rows_and_books(texts: Texts) -> None:
    before, after = texts.both("storm", "--taps", "150", "--seed", "3", "--digest", "--json")
    found = [json.loads(one.stdout) for one in (before, after)]
    first, second = ({name: one[name] for name in one.keys() - TIMES} for one in found)
    assert first["digest"]["whole"]
    assert (after.returncode, second) == (before.returncode, first)


def test_the_demonstration_shows_programs_the_same(texts: Texts) -> None:
    before, after = texts.both("demo", "--json")
    assert before.stdout
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout)


def test_rows_written_before_a_text_changed_are_recomputed_after_it(
    texts: Texts, town_of: OpenTown, tmp_path: Path
) -> None:
    residents = ("adult_purse", "student_half_price", "social_pack_45", "pupil_grade3")
    with town_of(*residents, stops=(FRONT, COUNTER_A)) as town:
        for resident in residents[:3]:
            town.tap(FRONT.number, resident)
            town.clock.advance(20)
        town.tap(COUNTER_A.number, residents[3])
    for stop, written in ((FRONT, 3), (COUNTER_A, 1)):
        state = tmp_path / "town" / str(stop.number)
        before, after = texts.both("journal", "recompute", "--state", state, "--json")
        assert json.loads(after.stdout) == {"recomputed": written, "differ": 0, "not_possible": 0}
        assert (after.returncode, after.stdout) == (before.returncode, before.stdout) == (0, before.stdout)
