"""Expectations: each kind can fail, silence about the charge means none, and a new document shows what it changes."""

from __future__ import annotations

import pytest

from terminal.policy.document import load_region
from terminal.policy.policy import Policy
from terminal.scenario.impact import document_changes, impacts
from terminal.scenario.load import bundled_scenarios, load_scenarios
from terminal.scenario.result import run
from terminal.scenario.words import told
from tests.terminal.scenario.story import DEMO, STUDENT, demo_with, played, result, story

AT = "at = 2026-09-15T08:00:00"
RIGHT = {
    "message": "'ok_benefit'",
    "charge_minor": "2000",
    "accepted": "true",
    "balance_minor": "8000",
    "paid_by": "'concession_a'",
    "counters": "{ concession_month = 1 }",
    "counts": "{}",
    "values": "{ n = 49 }",
    "meals": "[]",
    "transfers": "0",
    "written": "true",
    "reasons": "['T-02', 'T-12']",
    "flags": "[]",
}
WRONG = [
    ("message", "'ok_paid'", "message"),
    ("charge_minor", "2001", "charge_minor"),
    ("accepted", "false", "accepted"),
    ("balance_minor", "8001", "balance_minor"),
    ("paid_by", "'purse'", "paid_by"),
    ("counters", "{ concession_month = 2 }", "counters.concession_month"),
    ("counts", "{ server = 1 }", "counts.server"),
    ("values", "{ n = 48 }", "values.n"),
    ("values", "{ date = '2026-09-15' }", "values.date"),
    ("meals", "['lunch']", "meals"),
    ("transfers", "1", "transfers"),
    ("written", "false", "written"),
    ("reasons", "['T-12', 'T-02']", "reasons"),
    ("reasons", "['T-01']", "reasons"),
    ("flags", "['capped']", "flags"),
    ("sources", "{ federal = 1 }", "sources"),
    ("hot_minor", "0", "hot_minor"),
]


def expecting(**changes: str) -> str:
    wanted = ", ".join(f"{name} = {value}" for name, value in {**RIGHT, **changes}.items())
    return f"{AT}, expect = {{ {wanted} }}"


def test_an_expectation_that_holds_leaves_no_difference() -> None:
    assert result(expecting(), card=STUDENT).ok


@pytest.mark.parametrize(("field", "value", "what"), WRONG)
def test_each_expectation_can_fail(field: str, value: str, what: str) -> None:
    missed = result(expecting(**{field: value}), card=STUDENT).misses
    assert [difference.what for difference in missed[0].differences] == [what]


def test_silence_about_the_charge_means_none() -> None:
    (miss,) = result(f"{AT}, expect = {{ message = 'ok_paid' }}").misses
    assert [(d.what, d.expected, d.got) for d in miss.differences] == [("charge_minor", 0, 2400)]


def test_the_last_of_a_repeated_tap_may_be_expected_apart() -> None:
    repeat = "repeat = { times = 3, clock = [08:00:00] }"
    each = "expect = { message = 'ok_benefit', charge_minor = 2000 }"
    last = "expect_last = { message = 'ok_benefit', charge_minor = 2000, values = { n = 0 } }"
    (miss,) = result(f"{AT}, {repeat}, {each}, {last}", card=STUDENT).misses
    assert (miss.played.turn, miss.differences[0].what, miss.differences[0].got) == (3, "values.n", 47)


def test_what_a_new_document_changes_is_told_by_path() -> None:
    new = demo_with(("transport_card = 2400", "transport_card = 2500"), ("trips = 45", "trips = 40"))
    changes = {
        change.what: (change.old, change.new) for change in document_changes(DEMO.document, new.document)
    }
    assert changes == {
        "fares.by_medium.transport_card": (2400, 2500),
        "products[name=social pack of 45 trips].trips": (45, 40),
    } or changes == {
        "fares.by_medium.transport_card": (2400, 2500),
        "products[id=145].trips": (45, 40),
    }
    assert document_changes(DEMO.document, DEMO.document) == []


def test_whom_a_new_document_touches_is_told_with_the_sums() -> None:
    new = demo_with(("transport_card = 2400", "transport_card = 2500"))
    file = story(
        f"{AT}, expect = {{ message = 'ok_paid' }}",
        "after_s = 60, route = 9, expect = { message = 'ok_paid' }",
    )
    (impact,) = impacts(file, DEMO, new)
    assert (impact.name, impact.rider, impact.old_charge_minor, impact.new_charge_minor) == (
        "one",
        "adult",
        2400,
        2500,
    )
    assert [(tap.played.tap, [(c.what, c.old, c.new) for c in tap.changes]) for tap in impact.taps] == [
        (1, [("charge_minor", 2400, 2500)])
    ]
    assert list(impacts(file, DEMO, DEMO)) == []


@pytest.mark.parametrize(
    ("language", "rule", "end"),
    [("ru", "T-02 (льгота в процентах", "на карте 80,00"), ("en", "T-02 (a share", "balance RUB 80.00")],
)
def test_a_decision_is_told_step_by_step(language: str, rule: str, end: str) -> None:
    (tap,) = played(expecting(), card=STUDENT)
    lines = list(told(tap, DEMO, language))
    assert lines[0].startswith("1. 2026-09-15 08:00:00 bus 1/0")
    assert lines[1].strip().startswith(f"1) {rule}")
    assert len(lines) == 2 + len(tap.decision.facts)
    assert end in lines[-1]


@pytest.mark.parametrize("region", ["demo"])
def test_the_scenarios_that_come_with_a_region_come_out_as_written(region: str) -> None:
    policy = Policy.of(load_region(region))
    files = bundled_scenarios(region)
    assert files
    missed = [
        (path.name, result.name, result.misses)
        for path in files
        for result in run(load_scenarios(path), policy)
        if not result.ok
    ]
    assert missed == []
