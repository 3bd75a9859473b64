"""Which of several names a terminal takes: by the signed assignment, and by the one before where that fails."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.terminal.updates.bundle.conftest import Taker
from tests.terminal.updates.bundle.repository import ROLES, Publisher


def assign(publisher: Publisher, *groups: dict[str, object]) -> None:
    content = json.dumps({"format": 1, "groups": groups}).encode()
    publisher.put("assign", "fleet", {"assignment.json": content})
    publisher.publish()


def two_cities(publisher: Publisher) -> None:
    publisher.put("tariff", "city", {"region.toml": b"city"})
    publisher.put("tariff", "suburb", {"region.toml": b"suburb"}, alone=False)


def test_a_terminal_takes_what_is_assigned_to_it(publisher: Publisher, taker: Taker) -> None:
    two_cities(publisher)
    assign(publisher, {"terminals": ["70000-70010"], "takes": ["tariff/suburb", "deny/all"]})
    report = taker.look(publisher.folder)
    assert taker.faults(report) == {}
    assert taker.has("tariff", "region.toml") == b"suburb"
    assert taker.has("deny", "deny-list") == b"deny 1"
    assign(publisher, {"terminals": [70001], "takes": ["tariff/city"]})
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("tariff", "region.toml") == b"city"
    assert taker.has("deny", "deny-list") is None, "what is not assigned any more is not offered any more"


def test_a_group_counts_from_its_moment(publisher: Publisher, taker: Taker) -> None:
    two_cities(publisher)
    moment = (publisher.issued + timedelta(days=1)).isoformat()
    assign(
        publisher,
        {"terminals": [70001], "takes": ["tariff/city"]},
        {"terminals": [70001], "takes": ["tariff/suburb"], "from": moment},
    )
    taker.look(publisher.folder)
    assert taker.has("tariff", "region.toml") == b"city"
    taker.look(publisher.folder, later=timedelta(days=2))
    assert taker.has("tariff", "region.toml") == b"suburb"


def test_a_terminal_of_no_group_hears_so_and_takes_nothing(publisher: Publisher, taker: Taker) -> None:
    assign(publisher, {"terminals": [1], "takes": ["tariff/city"]})
    assert taker.faults(taker.look(publisher.folder)) == {"assign": "bundle:not_assigned"}
    assert taker.has("tariff", "region.toml") is None


def test_an_assignment_that_is_refused_leaves_the_one_before(publisher: Publisher, taker: Taker) -> None:
    two_cities(publisher)
    assign(publisher, {"terminals": [70001], "takes": ["tariff/suburb"]})
    taker.look(publisher.folder)
    publisher.put("tariff", "suburb", {"region.toml": b"suburb 2"}, alone=False)
    publisher.put("assign", "fleet", {"assignment.json": b"{}"})
    publisher.publish()
    publisher.sign_role("assign", publisher.new_keys())
    publisher.sign_snapshot()
    publisher.sign_timestamp()
    assert taker.faults(taker.look(publisher.folder)) == {"assign": "bundle:unsigned"}
    assert taker.has("tariff", "region.toml") == b"suburb 2"


def test_an_assignment_that_cannot_be_read_takes_nothing_away(publisher: Publisher, taker: Taker) -> None:
    assign(publisher, {"terminals": [70001], "takes": ["tariff/city"]})
    taker.look(publisher.folder)
    publisher.put("assign", "fleet", {"assignment.json": b"[" * 3000})
    publisher.publish()
    assert taker.faults(taker.look(publisher.folder)) == {"assign": "bundle:unreadable"}
    assert taker.has("tariff", "region.toml") == b"tariff 1"


def test_an_assigned_name_that_is_not_published_is_refused(publisher: Publisher, taker: Taker) -> None:
    assign(publisher, {"terminals": [70001], "takes": ["tariff/nowhere", "deny/all"]})
    assert taker.faults(taker.look(publisher.folder)) == {"tariff": "bundle:incomplete"}
    assert taker.has("deny", "deny-list") == b"deny 1"


def test_a_role_that_was_never_published_is_no_fault(publisher: Publisher, taker: Taker) -> None:
    publisher.signers["staff"], publisher.thresholds["staff"] = publisher.new_keys(), 1
    publisher.meta.pop("staff")
    publisher.sign_snapshot()
    publisher.sign_timestamp()
    assert taker.faults(taker.look(publisher.folder)) == {}


@pytest.mark.parametrize("broken", [False, True])
def test_of_two_operators_a_canteen_without_an_assignment_takes_none(broken: bool, tmp_path: Path) -> None:
    """Else the last in the publisher's order would feed every school, or the one whose metadata are sound."""
    publisher = Publisher(tmp_path / "repository", {**ROLES, "roster.17": (1, 1), "roster.18": (1, 1)})
    for operator in ("17", "18"):
        publisher.put(f"roster.{operator}", "school", {"roster.json": operator.encode()})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    taker = Taker(tmp_path / "state")
    if broken:
        publisher.metadata("1.roster.18.json").unlink()
    faults = taker.faults(taker.look(publisher.folder))
    assert faults["roster.17"] == "bundle:not_assigned"
    assert faults["roster.18"] == ("bundle:incomplete" if broken else "bundle:not_assigned")
    assert taker.has("roster", "roster.json") is None
    if not broken:
        assign(publisher, {"terminals": [70001], "takes": ["roster/17/school"]})
        assert taker.faults(taker.look(publisher.folder)) == {}
        assert taker.has("roster", "roster.json") == b"17"
