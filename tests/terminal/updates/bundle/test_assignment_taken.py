"""Which of several names a terminal takes: by the signed assignment, and by the one before where that fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terminal.updates.bundle.assignment import AssignmentError, place_in, read_assignment
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


def test_a_share_grows_by_the_same_terminals_and_another_name_meets_others() -> None:
    def taking(name: str, percent: int) -> set[int]:
        groups = [{"terminals": ["1-9999"], "percent": percent, "takes": [name]}]
        found = read_assignment(json.dumps({"format": 1, "groups": groups}).encode())
        now = datetime(2026, 12, 1, tzinfo=UTC)
        return {number for number in range(1, 10_000) if found.taken(number, now)}

    five, twenty = taking("tariff/next", 5), taking("tariff/next", 20)
    assert five < twenty < taking("tariff/next", 100) == set(range(1, 10_000))
    assert (400 < len(five) < 600, 1_800 < len(twenty) < 2_200) == (True, True)
    assert len(five & taking("tariff/other", 5)) < 60


def test_a_share_goes_before_the_group_of_all_from_its_moment(publisher: Publisher, taker: Taker) -> None:
    two_cities(publisher)
    place = place_in("tariff/suburb", 70001)
    moment = publisher.issued.isoformat()
    everyone = {"terminals": [70001], "takes": ["tariff/city"]}
    some = {"terminals": [70001], "takes": ["tariff/suburb"], "from": moment}
    assign(publisher, everyone, {**some, "percent": max(1, place)})
    taker.look(publisher.folder)
    assert taker.has("tariff", "region.toml") == b"city"
    assign(publisher, everyone, {**some, "percent": place + 1})
    taker.look(publisher.folder)
    assert taker.has("tariff", "region.toml") == b"suburb"


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": 0},
        {"percent": 101},
        {"confirmed": ["demo"]},
        {"withdrawn": ["demo:0"]},
        {"confirmed": ["d:1"] * 101},
    ],
)
def test_shares_and_words_have_limits(wrong: dict[str, object]) -> None:
    group = {"terminals": [1], "takes": ["tariff/city"]}
    file = (
        {"format": 1, "groups": [group | wrong]}
        if "percent" in wrong
        else {"format": 1, "groups": [], **wrong}
    )
    with pytest.raises(AssignmentError):
        read_assignment(json.dumps(file).encode())


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
    publisher = Publisher(tmp_path / "repository", {**ROLES, "roster.17": (1, 1), "roster.170": (1, 1)})
    for operator in ("17", "170"):
        publisher.put(f"roster.{operator}", "school", {"roster.json": operator.encode()})
    publisher.publish()
    publisher.pin(tmp_path / "state")
    taker = Taker(tmp_path / "state")
    if broken:
        publisher.metadata("1.roster.170.json").unlink()
    faults = taker.faults(taker.look(publisher.folder))
    assert faults["roster.17"] == "bundle:not_assigned"
    assert faults["roster.170"] == ("bundle:incomplete" if broken else "bundle:not_assigned")
    assert taker.has("roster", "roster.json") is None
    if not broken:
        assign(publisher, {"terminals": [70001], "takes": ["roster/170/school"]})
        assert taker.faults(taker.look(publisher.folder)) == {}
        assert taker.has("roster", "roster.json") == b"170"
