"""Trails told in Russian: every rule and effect the engine can state has words, and sums are money."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.decision.outcome import Reason
from terminal.policy.load import REGIONS, load_region
from terminal.policy.policy import Policy
from terminal.scenario.load import load_scenarios, supplied_scenarios
from terminal.scenario.result import run
from terminal.scenario.rules import INPUTS, RULES
from terminal.scenario.words import EFFECTS, step

PACKAGE = Path(__file__).resolve().parents[3] / "terminal"
SOURCES = [*(PACKAGE / "decision").rglob("*.py"), *(PACKAGE / "policy" / "gtfs").rglob("*.py")]
EFFECT_AT = {"note": 1, "flag": 2, "Reason": 1, "Step": 1}
"""Calls that state a step, and which argument says what it did; the first is the rule."""


def literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def steps() -> Iterator[ast.Call]:
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if len(node.args) > EFFECT_AT.get(name, len(node.args)):
                    yield node


def test_every_effect_in_the_engine_has_russian_words() -> None:
    stated = {
        effect
        for call in steps()
        for effect in literals(
            call.args[EFFECT_AT[getattr(call.func, "attr", None) or getattr(call.func, "id", "")]]
        )
    }
    assert len(stated) > 80
    assert sorted(stated - EFFECTS.keys()) == [], "add them to terminal/scenario/words.py"


def test_every_rule_in_the_engine_has_a_title_in_both_languages() -> None:
    stated = {rule for call in steps() for rule in literals(call.args[0])}
    assert len(stated) > 50
    assert sorted(stated - RULES.keys()) == [], "add them to terminal/scenario/rules.py"


@pytest.mark.parametrize("region", sorted(path.stem for path in REGIONS.glob("*.toml")))
def test_the_supplied_scenarios_are_told_wholly_in_russian(region: str) -> None:
    policy = Policy.of(load_region(region))
    facts = [
        fact
        for path in supplied_scenarios(region)
        for result in run(load_scenarios(path), policy)
        for tap in result.played
        for fact in tap.decision.facts
    ]
    assert sorted({fact.effect for fact in facts} - EFFECTS.keys()) == []
    funders = {"federal", "regional", "municipal", "parents"}
    assert sorted({name for fact in facts for name in fact.inputs} - INPUTS.keys() - funders) == []


def test_sums_are_told_as_money_and_spans_in_seconds() -> None:
    limit = Reason("T-30", "free transfer", {"journey_age_s": 1200, "price_minor": 2450, "transfers": 1})
    assert step(limit, "en") == (
        "T-30 (free transfer): free transfer [journey_age 1200 s, price RUB 24.50, transfers 1]"
    )
    assert step(limit, "ru").endswith("[от начала поездки 1200 с, цена 24,50 ₽, пересадок 1]")


def test_m_01_each_funder_is_told_with_his_sum() -> None:
    paid = Reason("M-01", "paid from the budget", {"meal": "lunch", "sum_minor": 7109, "federal": 5616})
    assert step(paid, "en").endswith("[meal lunch, sum RUB 71.09, federal RUB 56.16]")


def test_a_step_without_words_is_told_as_it_is() -> None:
    assert step(Reason("X-99", "something new", {"odd": 3}), "ru") == "X-99: something new [odd 3]"
