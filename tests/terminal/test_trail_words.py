"""The codes of effects, and the words that are made from them: complete, unique, and never more than codes in a row."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from cardproto.credential.grant import CredentialDefect
from make_texts import po_file, read_room
from terminal.decision.bus.effects import FareEffect, TransferEffect
from terminal.decision.canteen.effects import AccountEffect, CorrectionEffect, GroundEffect
from terminal.decision.effects import CredentialEffect
from terminal.policy.document.meals import MealRuleId
from terminal.policy.load import REGIONS, load_region
from terminal.policy.policy import Policy
from terminal.policy.rights.index import LimitEffect, PriceEffect, RidePrice
from terminal.scenario.load import load_scenarios, supplied_scenarios
from terminal.scenario.result import run
from terminal.texts import languages
from terminal.trail import Effect, Reason, TrailEntry, recorded, rule_of
from terminal.trail_steps import INPUTS, RULES, rule_title, step_line
from terminal.trail_words import ROOMS, WORDS, effect_words

PACKAGE = Path(__file__).resolve().parents[2] / "terminal"
MEMBERS = tuple(effect for room in ROOMS for effect in room)
FUNDERS = {"federal", "regional", "municipal", "parents"}
CODE = re.compile(r"[a-z0-9_.:-]*")
BY_RULE = {TransferEffect, GroundEffect, PriceEffect}
"""Rooms with members that are found by rule, where several rules do alike."""


@cache
def sources() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def members_named() -> Iterator[str]:
    """Every `Room.MEMBER` that stands anywhere but in the table of words."""
    rooms = {room.__name__ for room in ROOMS}
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if path.name != "trail_words.py" and isinstance(node, ast.Attribute):
                name = ast.unparse(node.value)
                if name in rooms:
                    yield f"{name}.{node.attr}"


def test_codes_are_codes_and_none_stands_for_two_effects() -> None:
    codes = Counter(effect.code for effect in MEMBERS)
    assert [code for code, count in codes.items() if count > 1] == []
    assert all(re.fullmatch(r"([a-z]-[0-9]{2}|cap|credential|phone):[a-z0-9_]+", code) for code in codes)


def test_every_enum_of_effects_has_its_place_in_the_table() -> None:
    defined = {
        node.name
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "Effect" in map(ast.unparse, node.bases)
    }
    assert defined == {room.__name__ for room in ROOMS}


def test_every_effect_has_words_and_every_word_an_effect() -> None:
    assert set(MEMBERS) == set(WORDS)
    assert {effect.rule for effect in MEMBERS} <= set(RULES)


@pytest.mark.parametrize("language", languages())
def test_every_effect_and_rule_is_worded_in_every_language(language: str) -> None:
    messages = {m.id: m.string for part in ("decision", "common") for m in read_room(po_file(language, part))}
    for effect in MEMBERS:
        assert messages[WORDS[effect]] == effect_words(effect.code, language) != ""
    for rule, title in RULES.items():
        assert messages[title] == rule_title(rule, language) != ""


def test_every_effect_is_noted_somewhere() -> None:
    """Named in the code, or found by the rule or the refusal it belongs to."""
    named = set(members_named())
    unnamed = {effect for effect in MEMBERS if f"{type(effect).__name__}.{effect.name}" not in named}
    by_refusal = {CredentialEffect.of("credential", refusal) for refusal in CredentialDefect}
    assert {effect for effect in unnamed if type(effect) not in BY_RULE} <= by_refusal


@pytest.mark.parametrize("region", sorted(path.stem for path in REGIONS.glob("*.toml")))
def test_trails_of_supplied_scenarios_hold_codes_and_numbers_with_words_for_each(region: str) -> None:
    policy = Policy.of(load_region(region))
    trails = [
        recorded(tap.decision.facts)
        for path in supplied_scenarios(region)
        for result in run(load_scenarios(path), policy)
        for tap in result.played
    ]
    entries = [entry for trail in trails for entry in trail]
    assert entries
    texts = [text for entry in entries for text in (entry.code, *entry.inputs, *entry.inputs.values())]
    assert [text for text in texts if isinstance(text, str) and not CODE.fullmatch(text)] == []
    assert sorted({name for entry in entries for name in entry.inputs} - INPUTS.keys() - FUNDERS) == []
    assert not any("code" in entry.inputs for entry in entries), "D-03: no category in a row"


def test_a_code_names_its_rule() -> None:
    assert (LimitEffect.MONTH_TRIP.rule, LimitEffect.MONTH_TRIP.code) == ("T-12", "t-12:month_trip")
    assert FareEffect.REST_OF_CAP.rule == rule_of("cap:rest_of_cap") == "CAP"
    assert GroundEffect.of("M-11", "free_meals") is GroundEffect.SPECIAL_NEEDS_FREE
    with pytest.raises(ValueError, match="t-30:reduced_trip"):
        TransferEffect.of("T-30", "reduced_trip")


def test_every_rule_that_may_do_something_has_a_member_for_it() -> None:
    """Members that are found by rule: each rule that can stand there, with each thing it may do."""
    for rule in (*get_args(MealRuleId), "M-19"):
        assert {GroundEffect.of(rule, f"{what}_meals").rule for what in ("free", "part_price")} == {rule}
    for rule in ("T-30", "T-31", "T-32"):
        assert {TransferEffect.of(rule, what).rule for what in ("none_left", "other_mode")} == {rule}
    for price in (RidePrice(PriceEffect.PERCENT, percent=50), RidePrice(PriceEffect.AMOUNT_OFF, off_minor=1)):
        assert price.of(None) is None
        assert price.unknown.code == f"{price.effect.rule.lower()}:fare_unknown"
    assert RidePrice(PriceEffect.FREE).of(None) == RidePrice(PriceEffect.FIXED).of(None) == 0


def test_sums_are_shown_as_money_spans_in_seconds_and_moments_as_times() -> None:
    limit = Reason(TransferEffect.FREE, {"journey_age_s": 1200, "price_minor": 2450, "transfers": 1})
    assert step_line(limit, "RUB", "en") == (
        "T-30 (free transfer): free transfer [journey age 1200 s, price RUB 24.50, transfers 1]"
    )
    assert step_line(limit, "RUB", "ru").endswith("[от начала поездки 1200 с, цена 24,50 ₽, пересадок 1]")
    since = Reason(FareEffect.ORDINARY, {"since_at": 1_789_452_000})
    assert step_line(since, "RUB", titled=False) == (
        "T-01: ordinary fare of the transport card [since 2026-09-15 06:00:00Z]"
    )


def test_m_01_each_funder_is_shown_with_the_sum_it_pays() -> None:
    paid = Reason(AccountEffect.FROM_BUDGET, {"meal": "lunch", "sum_minor": 7109, "federal": 5616})
    assert step_line(paid, "RUB").endswith("[meal lunch, sum RUB 71.09, federal RUB 56.16]")


def test_a_row_of_other_software_is_shown_by_its_codes() -> None:
    assert (
        step_line(TrailEntry("x-99:something_new", {"odd": 3}), "RUB", "ru")
        == "X-99: x-99:something_new [odd 3]"
    )
    assert Effect.__members__ == {}
    assert CorrectionEffect.SECOND_PERSON in WORDS
