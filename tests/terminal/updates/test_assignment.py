"""Who takes what when: by the examples of docs/bundles.md and by what must be refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from terminal.updates.bundle.assignment import AssignmentError, read_assignment
from terminal.updates.bundle.roles import BundleRole

BEFORE = datetime(2026, 11, 30, tzinfo=UTC)
AFTER = datetime(2026, 12, 2, tzinfo=UTC)
FROM = "2026-12-01T03:00:00+03:00"


def file(*groups: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"format": 1, "groups": groups, **fields}).encode()


def group(*terminals: int | str, takes: list[str], begins: str | None = None) -> dict[str, Any]:
    return {"terminals": terminals, "takes": takes} | ({} if begins is None else {"from": begins})


def test_a_terminal_takes_the_names_of_its_groups() -> None:
    found = read_assignment(
        file(
            group("1-100", takes=["tariff/city", "deny/fleet"]),
            group(7, 9, takes=["roster/17/1f0e"]),
            group("200-300", takes=["tariff/region"]),
        )
    )
    assert found.taken(7, BEFORE) == {
        BundleRole.TARIFF: "tariff/city",
        BundleRole.DENY: "deny/fleet",
        BundleRole.ROSTER: "roster/17/1f0e",
    }
    assert found.taken(200, BEFORE) == found.taken(300, BEFORE) == {BundleRole.TARIFF: "tariff/region"}
    assert found.taken(150, BEFORE) == {}
    assert found.names == {"tariff/city", "deny/fleet", "roster/17/1f0e", "tariff/region"}


def test_a_group_with_a_moment_counts_from_then_on() -> None:
    found = read_assignment(
        file(group("1-100", takes=["tariff/old"]), group(5, takes=["tariff/new"], begins=FROM))
    )
    moment = datetime(2026, 12, 1, tzinfo=UTC)
    assert found.taken(5, BEFORE) == {BundleRole.TARIFF: "tariff/old"}
    assert found.taken(5, moment) == found.taken(5, AFTER) == {BundleRole.TARIFF: "tariff/new"}
    assert found.taken(6, AFTER) == {BundleRole.TARIFF: "tariff/old"}


def test_a_tariff_in_shadow_is_named_beside_what_is_taken() -> None:
    shadow = {"terminals": [5, "7-9"], "shadow": "tariff/new"}
    found = read_assignment(file(group("1-100", takes=["tariff/old"]), shadow, {**shadow, "from": FROM}))
    assert [found.in_shadow(one, BEFORE) for one in (5, 8, 6)] == ["tariff/new", "tariff/new", None]
    assert found.taken(5, BEFORE) == {BundleRole.TARIFF: "tariff/old"}
    assert found.names == {"tariff/old", "tariff/new"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no assignment"),
        (b"[]", "is no assignment"),
        (file({"terminals": [1]}), "takes nothing"),
        (file({"terminals": [1], "shadow": "deny/all"}), "is no tariff"),
        (
            file(*({"terminals": [1], "shadow": f"tariff/{name}"} for name in ("a", "b"))),
            "takes tariff/a and tariff/b from the same moment",
        ),
        (file(format=2), "version 2, this software reads 1"),
        (file(group(takes=["tariff/a"])), "is no assignment"),
        (file(group(0, takes=["tariff/a"])), "is no assignment"),
        (file(group("5", takes=["tariff/a"])), "is no assignment"),
        (file(group(1, takes=["tariff/../a"])), "is no assignment"),
        (file(group(1, takes=["tariff/a"], begins="2026-12-01T03:00:00")), "is no assignment"),
        (file(group("9-1", takes=["tariff/a"])), "range 9-1"),
        (file(group("1-9999999", takes=["tariff/a"])), "range 1-9999999"),
        (file(group(1, takes=["tariff/17/a"])), "which no role publishes"),
        (file(group(1, takes=["roster/a"])), "which no role publishes"),
        (file(group(1, takes=["assign/fleet"])), "which no role publishes"),
        (file(group(1, takes=["other/a"])), "which no role publishes"),
        (file(group("1-9", takes=["tariff/a"]), group(3, takes=["tariff/b"])), "terminal 3 takes"),
        (file(group(1, takes=["tariff/a"])) + b" " * (256 << 10), "longer than"),
        (b"[" * 100_000, "is no assignment"),
    ],
)
def test_what_is_no_assignment(content: bytes, why: str) -> None:
    with pytest.raises(AssignmentError, match=why):
        read_assignment(content)


def test_a_long_range_before_a_short_one_hides_no_contradiction() -> None:
    groups = [
        group("1-50", takes=["tariff/a"]),
        group("2-3", takes=["tariff/a"]),
        group(40, takes=["tariff/b"]),
    ]
    with pytest.raises(AssignmentError):
        read_assignment(file(*groups))
