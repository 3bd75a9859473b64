"""Short fuzzing in every run: the corpus, mutations of it, any bytes, and a few seconds guided by coverage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.__main__ import ENGINE
from tests.fuzz.harness import CORPUS, HARNESSES, corpus, run_mutations
from tests.properties import examples

ROOT = Path(__file__).parents[2]
SLOW = {
    "card",
    "terminal_answers",
    "terminal_content",
    "region_document",
    "transcript",
    "stored_file",
    "feed_archive",
    "bank_answers",
    "bank_medium",
    "bundle_file",
    "ceremony_file",
}


@pytest.mark.parametrize("name", HARNESSES)
def test_everything_kept_in_the_corpus_is_survived(name: str) -> None:
    kept = corpus(name)
    assert kept, "a harness without seeds finds nothing"
    for data in (*kept, b""):
        HARNESSES[name](data)


def test_the_corpus_belongs_to_the_harnesses() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(HARNESSES)


@pytest.mark.parametrize("name", HARNESSES)
def test_mutations_are_survived(name: str) -> None:
    runs = 100 if name in SLOW else 500
    assert run_mutations(name, runs=runs, seed=1) == runs


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", HARNESSES)
def test_any_bytes_are_survived(name: str) -> None:
    @examples(30 if name in SLOW else 100)
    @given(st.binary(max_size=300) | st.sampled_from(corpus(name)).map(lambda data: data[:-1]))
    def survives(data: bytes) -> None:
        HARNESSES[name](data)

    survives()


def test_a_short_guided_run(tmp_path: Path) -> None:
    """With atheris where it is installed, with mutations where not: the command works and finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "card", "--seconds", "8", "--runs", "150", "--seed", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = done.stdout + done.stderr
    assert ("stat::number_of_executed_units" in said) if ENGINE == "atheris" else ("150 executions" in said)


def test_a_violated_promise_is_reported_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine itself must be able to fail."""

    def never_two(data: bytes) -> None:
        assert len(data) != 2

    monkeypatch.setitem(HARNESSES, "apdu", never_two)
    with pytest.raises(AssertionError) as caught:
        run_mutations("apdu", runs=100_000)
    assert caught.value.__notes__[0].startswith("apdu: ")
