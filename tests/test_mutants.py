"""The list of what `make mutants` changes is true, and a sample of it is noticed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.mutants.__main__ import sample, try_all
from tests.mutants.plan import ROOT, Mutant, equivalents, listed, mutants_of, numbers_of, planted
from tests.mutants.trial import tree
from tests.planted import mistakes_in

HOLDS = {"money", "rights", "proof", "access"}
SAMPLED = 6
QUICK = (
    "cardproto/desfire/transaction_mac.py",
    "terminal/decision/bus/cash.py",
    "terminal/decision/bus/sale.py",
)
"""Modules whose tests take a second: every run of the suite pays for the sample."""
SEED = 53


@pytest.fixture(scope="module")
def changes() -> list[Mutant]:
    return [mutant for lines in listed() for mutant in mutants_of(lines)]


def test_the_listed_lines_and_their_tests_are_there() -> None:
    seen: Counter[tuple[str, int]] = Counter()
    for lines in listed():
        assert lines.holds in HOLDS
        assert lines.reason
        assert lines.tests
        for test in lines.tests:
            assert (ROOT / test).exists(), test
        numbers = numbers_of(lines)
        assert numbers, lines.module
        seen.update((lines.module, number) for number in numbers)
    assert set(seen.values()) == {1}, "a line is listed once"
    assert 4_000 < len(seen) < 7_000


def test_constants_and_decorated_functions_are_changed(changes: list[Mutant]) -> None:
    operators = Counter(mutant.operator for mutant in changes)
    assert operators["NumberReplacer"] > 200
    assert operators["RemoveDecorator"] > 10
    assert 3_000 < len(changes) < 5_000


def test_what_is_listed_as_equivalent_is_a_change_that_is_made_and_has_a_reason(
    changes: list[Mutant],
) -> None:
    for one in equivalents():
        assert len(one.reason) > 10
        text = (ROOT / one.module).read_text("utf-8").splitlines()
        alike = [
            mutant
            for mutant in changes
            if mutant.module == one.module and text[mutant.number - 1].strip()[:2] == one.line[:2]
        ]
        assert any(mutant.line() == one.line for mutant in alike), f"{one.module}: {one.line}"


@pytest.mark.parametrize("place", ["oracle", "storm"])
def test_mistakes_planted_for_a_checker_fit_the_code(place: str) -> None:
    """Also those that are tried by command alone: code that moved on would leave them without effect."""
    lost = [
        mistake.name
        for mistake in mistakes_in(ROOT / "tests" / place / "planted.toml")
        if (ROOT / mistake.file).read_text("utf-8").count(mistake.old) != 1
    ]
    assert not lost


def test_planted_mistakes_fit_the_code_and_their_tests_are_there() -> None:
    for mistake in planted():
        assert mistake.source()
        for test in mistake.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), test


def test_a_sample_of_the_changes_is_noticed(changes: list[Mutant]) -> None:
    """The same one in every run: `make mutants` tries all of them, and other samples with --sample and --seed."""
    with tree() as copy:
        quick = [mutant for mutant in changes if mutant.module in QUICK]
        assert try_all(copy, sample(quick, SAMPLED, SEED)) == []
