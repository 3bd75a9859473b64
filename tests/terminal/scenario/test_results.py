"""Expectations: each kind can fail, silence about the charge means none, and a new document shows what it changes."""

from __future__ import annotations

import pytest

from terminal.errors import ScenarioFileError
from terminal.policy.load import REGIONS as REGIONS_FOLDER
from terminal.policy.load import load_region
from terminal.policy.policy import Policy
from terminal.scenario.diff import document_changes, rider_diffs
from terminal.scenario.load import SCENARIOS, load_scenarios, parse_scenarios, supplied_scenarios
from terminal.scenario.result import run, run_sales
from terminal.scenario.words import tap_lines
from tests.terminal.scenario.story import (
    DEMO,
    HEADER,
    PAID,
    STUDENT,
    demo_with,
    played,
    result,
    story,
    story_text,
)

AT = "at = 2026-09-15T08:00:00"
RIGHT = {
    "message": "'ok_benefit'",
    "charge_minor": "2000",
    "admission": "'let_in'",
    "balance_minor": "8000",
    "paid_by": "'concession_a'",
    "counters": "{ concession_month = 1 }",
    "values": "{ n = 49 }",
    "meals": "[]",
    "transfers": "0",
    "written": "true",
    "reasons": "['T-02', 't-12:month_trip']",
    "flags": "[]",
}
WRONG = [
    ("message", "'ok_paid'", "message"),
    ("charge_minor", "2001", "charge_minor"),
    ("admission", "'inside'", "admission"),
    ("balance_minor", "8001", "balance_minor"),
    ("paid_by", "'purse'", "paid_by"),
    ("counters", "{ concession_month = 2 }", "counters.concession_month"),
    ("values", "{ n = 48 }", "values.n"),
    ("values", "{ date = '2026-09-15' }", "values.date"),
    ("meals", "['lunch']", "meals"),
    ("transfers", "1", "transfers"),
    ("written", "false", "written"),
    ("reasons", "['T-12', 'T-02']", "reasons"),
    ("reasons", "['T-01']", "reasons"),
    ("reasons", "['t-02:fare_unknown']", "reasons"),
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
    (impact,) = rider_diffs(file, DEMO, new)
    assert (impact.name, impact.rider, impact.old_charge_minor, impact.new_charge_minor) == (
        "one",
        "adult",
        2400,
        2500,
    )
    assert [(tap.played.tap, [(c.what, c.old, c.new) for c in tap.changes]) for tap in impact.taps] == [
        (1, [("charge_minor", 2400, 2500)])
    ]
    assert list(rider_diffs(file, DEMO, DEMO)) == []


@pytest.mark.parametrize(
    ("language", "rule", "end"),
    [("ru", "T-02 (льгота в процентах", "на карте 80,00"), ("en", "T-02 (a share", "balance RUB 80.00")],
)
def test_a_decision_is_told_step_by_step(language: str, rule: str, end: str) -> None:
    (tap,) = played(expecting(), card=STUDENT)
    lines = list(tap_lines(tap, DEMO, language))
    assert lines[0].startswith("1. 2026-09-15 08:00:00 bus 1/0")
    assert lines[1].strip().startswith(f"1) {rule}")
    assert len(lines) == 2 + len(tap.decision.facts)
    assert end in lines[-1]


def test_silence_about_totals_and_each_total_that_differs() -> None:
    two = f"{AT}, expect = {{ message = 'ok_paid', charge_minor = 2400 }}"
    assert result(two, more="total = { charge_minor = 2400, meals_minor = 0 }").ok
    told_wrong = result(two, more="total = { charge_minor = 2500 }")
    assert not told_wrong.ok
    assert [(one.what, one.expected, one.got) for one in told_wrong.total] == [
        ("total.charge_minor", 2500, 2400)
    ]


VOLGOGRAD = Policy.of(load_region("volgograd"))
IN_VOLGOGRAD = HEADER.replace("demo", "volgograd")
SALE = "[[sales]]\nproduct = 145\nmonth = 2026-10-01\non = 2026-10-05\nsold = {}\nprice_minor = {}\n"


@pytest.mark.parametrize(
    ("sold", "price", "differ"),
    [("true", 45000, []), ("false", 45000, ["sold"]), ("true", 1, ["price_minor"])],
)
def test_t_16_sales_are_compared(sold: str, price: int, differ: list[str]) -> None:
    text = IN_VOLGOGRAD + SALE.format(sold, price) + story_text(PAID)
    (found,) = run_sales(parse_scenarios(text, "sales.toml"), VOLGOGRAD)
    assert [one.what for one in found.differences] == differ


def test_a_sale_of_nothing_names_its_place() -> None:
    text = IN_VOLGOGRAD + SALE.format("true", 1).replace("145", "9999") + story_text(PAID)
    with pytest.raises(ScenarioFileError, match=r"sales\[0\].product: unknown product 9999"):
        run_sales(parse_scenarios(text, "sales.toml"), VOLGOGRAD)


REGIONS = sorted(path.stem for path in REGIONS_FOLDER.glob("*.toml"))


@pytest.mark.parametrize("region", REGIONS)
def test_the_scenarios_that_come_with_a_region_come_out_as_written(region: str) -> None:
    policy = Policy.of(load_region(region))
    files = [load_scenarios(path) for path in supplied_scenarios(region)]
    assert files, "a region document comes with scenarios"
    results = [result for file in files for result in run(file, policy)]
    assert [(one.name, one.misses, one.total) for one in results if not one.ok] == []
    assert [sale for file in files for sale in run_sales(file, policy) if not sale.ok] == []


def test_no_scenario_file_is_left_without_its_region() -> None:
    assert {load_scenarios(path).region for path in SCENARIOS.glob("*.toml")} <= set(REGIONS)
