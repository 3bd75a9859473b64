"""TIDES fare transactions against the published table schema: names, order, types, required fields, closed texts."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from cardproto.resident.records.event import EventKind, PaidBy
from terminal.export.reports import DAY_FIELDS, SHIFT_FIELDS, write_table
from terminal.export.tides import FIELDS, fare_transaction
from terminal.journal.taps import JournalTap, taps
from tests.terminal.export.recorded import (
    CARD_REF,
    POLICY,
    TERMINAL,
    at,
    committed,
    intent,
    not_committed,
    numbered,
    unwritten,
)

PUBLISHED = json.loads(
    (Path(__file__).parents[2] / "vectors" / "tides_fare_transactions.json").read_text(encoding="utf-8")
)
SCHEMA: dict[str, dict[str, Any]] = {field["name"]: field for field in PUBLISHED["fields"]}


def is_boolean(text: str) -> bool:
    return text in {"true", "false", "True", "False", "TRUE", "FALSE", "1", "0"}


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def is_aware_time(text: str) -> bool:
    return datetime.fromisoformat(text).utcoffset() is not None


TYPES = {
    "string": lambda text: True,
    "number": is_number,
    "integer": lambda text: re.fullmatch(r"-?\d+", text) is not None,
    "boolean": is_boolean,
    "date": lambda text: date.fromisoformat(text) is not None,
    "datetime": is_aware_time,
}


def problems(row: dict[str, str]) -> list[str]:
    """What the published schema holds against a row."""
    found = []
    for name, field in SCHEMA.items():
        constraints, text = field.get("constraints", {}), row[name]
        if text in PUBLISHED["missing_values"]:
            if constraints.get("required"):
                found.append(f"{name} is missing")
            continue
        if not TYPES[field["type"]](text):
            found.append(f"{name}: {text!r} is no {field['type']}")
        if "enum" in constraints and text not in constraints["enum"]:
            found.append(f"{name}: {text!r} is not one of the closed texts")
        if "minimum" in constraints and float(text) < constraints["minimum"]:
            found.append(f"{name}: {text} is too small")
    return found


def backwards(card_ref: bytes) -> bytes:
    return card_ref[::-1]


def rows(*records: Any) -> list[dict[str, str]]:
    made = (fare_transaction(tap, POLICY, backwards) for tap in taps(TERMINAL, numbered(*records)))
    return [row for row in made if row is not None]


def row(tap: Any) -> dict[str, str]:
    (only,) = rows(tap, committed(1))
    return only


def test_the_published_schema_has_24_fields_and_ours_are_those_in_that_order() -> None:
    assert len(SCHEMA) == 24
    assert tuple(SCHEMA) == FIELDS
    required = {name for name, field in SCHEMA.items() if field.get("constraints", {}).get("required")}
    assert required == {
        "transaction_id",
        "service_date",
        "event_timestamp",
        "amount",
        "fare_action",
        "fare_capped",
    }


@pytest.mark.parametrize("paid_by", PaidBy)
@pytest.mark.parametrize(
    "kind", [EventKind.RIDE, EventKind.CHECK_IN, EventKind.CHECK_OUT, EventKind.CORRECTION]
)
def test_every_sort_of_ride_satisfies_the_published_schema(paid_by: PaidBy, kind: EventKind) -> None:
    assert problems(row(intent(at("08:00"), 0 if paid_by is PaidBy.TRANSFER else 2400, paid_by, kind))) == []


def test_the_checker_itself_finds_what_is_wrong() -> None:
    good = row(intent(at("08:00")))
    for name, text in (
        ("amount", "24,00"),
        ("fare_action", "Board"),
        ("service_date", ""),
        ("num_riders", "-1"),
        ("fare_capped", "no"),
    ):
        try:
            assert problems(good | {name: text}) != []
        except ValueError:
            pytest.fail(f"{name} was not understood")


@pytest.mark.parametrize(
    ("currency", "amount", "balance"),
    [
        ("RUB", "24.01", "76.00"),
        ("EUR", "24.01", "76.00"),
        ("JPY", "2401", "7600"),
        ("BHD", "2.401", "7.600"),
    ],
)
def test_money_is_a_decimal_number_of_the_rows_currency(currency: str, amount: str, balance: str) -> None:
    found = row(intent(at("08:00"), 2401, currency=currency))
    assert (found["amount"], found["balance"], found["currency_type"]) == (amount, balance, currency)


def test_t_14_a_ride_before_three_belongs_to_the_day_before() -> None:
    found = row(intent(at("02:59:59", "2026-10-01")))
    assert (found["service_date"], found["event_timestamp"]) == ("2026-09-30", "2026-10-01T02:59:59+03:00")


def test_the_token_is_a_pseudonym_of_the_export_and_not_the_terminals() -> None:
    found = row(intent(at("08:00")))
    assert found["token_id"] == CARD_REF[::-1].hex()
    assert CARD_REF.hex() not in ",".join(found.values())


@pytest.mark.parametrize(
    ("paid_by", "charge_minor", "kind", "action"),
    [
        (PaidBy.PURSE, 2400, EventKind.RIDE, "Enter"),
        (PaidBy.CONCESSION_A, 0, EventKind.RIDE, "Enter"),
        (PaidBy.TRANSFER, 0, EventKind.RIDE, "Transfer entrance"),
        (PaidBy.TRANSFER, 1000, EventKind.RIDE, "Enter"),  # a reduced following trip is paid (T-31)
        (PaidBy.PURSE, 5000, EventKind.CHECK_IN, "Enter"),
        (PaidBy.PURSE, 0, EventKind.CHECK_OUT, "Exit"),
        (PaidBy.TRANSFER, 0, EventKind.CHECK_IN, "Transfer entrance"),
        (PaidBy.TRANSFER, 0, EventKind.CHECK_OUT, "Exit"),
        (PaidBy.PURSE, 0, EventKind.CORRECTION, "Adjust"),
    ],
)
def test_the_action_is_what_the_rider_did(
    paid_by: PaidBy, charge_minor: int, kind: EventKind, action: str
) -> None:
    assert row(intent(at("08:00"), charge_minor, paid_by, kind))["fare_action"] == action


def test_caps_companions_stops_and_turns_are_told() -> None:
    found = row(
        intent(at("08:00"), flags=("capped",), trip={"companions": 2, "place.stop": 31}, turn=4, shift=9)
    )
    assert (found["fare_capped"], found["num_riders"], found["stop_id"]) == ("true", "3", "31")
    assert (found["trip_id_performed"], found["pattern_id"]) == ("7-9-4", "15-1")


def test_t_07_who_leaves_is_told_and_rides_no_second_time() -> None:
    left = intent(at("08:30"), 5000, kind=EventKind.CHECK_OUT, values={"sum_minor": 5000, "left": 3})
    found = row(left)
    assert (found["fare_action"], found["num_riders"], found["amount"]) == ("Exit", "3", "50.00")
    (tap,) = taps(7, numbered(left, committed(1)))
    assert (tap.left, tap.riders) == (3, 0)


def test_d_03_the_category_stays_in_the_bus() -> None:
    found = row(intent(at("08:00"), 2000, PaidBy.CONCESSION_B))
    assert (found["rider_category"], found["fare_product"]) == ("Concession", "Concession")


def test_only_rides_known_to_be_committed_are_transactions() -> None:
    meal = intent(at("09:00"), 0, PaidBy.BUDGET, EventKind.MEAL, profile="canteen")
    ride = intent(at("08:00"))
    found = rows(ride, committed(1), ride, not_committed(3), ride, unwritten(at("08:01")), meal, committed(7))
    assert [one["transaction_id"] for one in found] == ["7-1"]


def test_cells_never_become_formulas() -> None:
    out = io.StringIO()
    write_table(out, ("a", "b"), [{"a": "=1+1", "b": "-5.00"}])
    assert list(csv.reader(io.StringIO(out.getvalue()))) == [["a", "b"], ["'=1+1", "-5.00"]]
    for fields in (FIELDS, DAY_FIELDS, SHIFT_FIELDS):
        assert len(fields) == len(set(fields))


def test_taps_are_told_with_their_ends() -> None:
    ride = intent(at("08:00"))
    found: list[JournalTap] = list(
        taps(7, numbered(ride, ride, ride, committed(1), not_committed(2), unwritten(at("08:02"))))
    )
    assert [(tap.sequence, tap.end.value, tap.charge_minor, tap.accepted) for tap in found] == [
        (1, "committed", 2400, True),
        (2, "not_committed", 0, False),
        (6, "nothing_written", 0, False),
        (3, "unresolved", 0, False),
    ]
