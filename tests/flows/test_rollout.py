"""A roll-out as it runs in service: the office publishes by its commands, a running terminal takes it and goes back,
the collector hears of it (O-12).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import pytest

from terminal.journal.operation_records import SetReturned
from tests import by_hand
from tests.flows.live import collector, live_terminal, run
from tests.flows.test_recomputed import TABLES, ask, followed, in_force, publish, until
from tests.terminal.publish.conftest import office as office  # noqa: PLC0414 the fixture
from tests.terminal.publish.office import Office
from tests.terminal.updates.published import region
from tests.terminal.updates.served import serving
from tests.terminal.updates.test_live import activated

ON_TRIAL: Final = ("[[transfers]]", "[trial]\ndays = 7\n\n[[transfers]]")
BROKEN_BUILD: Final = """
import sys
if "run" in sys.orig_argv and "--config" in sys.orig_argv:
    from terminal.policy.policy import Policy
    fare = Policy.ordinary_fare
    def failing(self, *ride, **more):
        return fare(self, *ride, **more) if self.document.header.version != 2 else 1 // 0
    Policy.ordinary_fare = failing
"""
"""A terminal whose software has a mistake that only the second version of the tariff reaches."""


def test_a_decision_that_fails_is_made_by_the_tariff_before_and_the_collector_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "sitecustomize.py").write_text(BROKEN_BUILD, "utf-8")
    path = os.pathsep.join((str(tmp_path / "build"), by_hand.ENVIRONMENT["PYTHONPATH"]))
    monkeypatch.setitem(by_hand.ENVIRONMENT, "PYTHONPATH", path)
    publish(tmp_path, 1)
    with live_terminal(tmp_path, **TABLES) as bus:
        card = bus.card("adult_purse")
        publish(tmp_path, 2, ON_TRIAL)
        until(lambda: in_force(bus, 2))
        paid = bus.tap(card)
        assert (paid["message"], paid["charge_minor"], paid["tariff"]) == ("ok_paid", 2400, "demo:1")
        (row,) = (one for one in bus.rows() if one["kind"] == "SetReturned")
        assert (row["version"], row["cause"], row["back_to"], row["taps"]) == (2, "failed", 1, 0)
    monkeypatch.undo()
    with collector(tmp_path) as url:
        run(tmp_path, "sync", "--collector", url)
        followed(url)
        kinds = {one["kind"]: one for one in ask(tmp_path, "alarms")["alarms"]}
        alarm = kinds["taken_back"]
        assert (alarm["terminal"], alarm["sequence"]) == (7, row["sequence"])
        assert alarm["detail"].startswith("set_returned edition=demo:2 back_to=1 why=failed")
        assert "recomputed" not in kinds, "the older document came back in good order"


def test_steps_are_published_by_the_office_and_withdrawn(office: Office, tmp_path: Path) -> None:
    """The one terminal is among those that are named; the replay is of its own journal."""
    state, sound = tmp_path / "state", ("--by", "A. Orlova")
    office.begin()
    (tmp_path / "first.toml").write_bytes(region(1))
    later = tmp_path / "later.toml"
    later.write_bytes(region(2, fare_minor=3100, trial_days=7))
    everyone = {"terminals": ["70001-70099"], "takes": ["tariff/city"]}
    (tmp_path / "assignment.json").write_text(json.dumps({"format": 1, "groups": [everyone]}))
    office.publish("add", "tariff/city", "first.toml")
    office.publish("add", "assign/fleet", "assignment.json")
    office.sign("tariff", "tariff-1", "tariff-2")
    office.release("assign-1")
    (state / "trust").mkdir(parents=True)
    (state / "trust/root.json").write_bytes((office.bundles / "metadata/1.root.json").read_bytes())
    with serving(tmp_path, "adult_purse", bundles={"folder": office.bundles, "every_min": 0.01}) as served:
        served.tap()
        office.publish("add", "tariff/city-2", later)
        office.sign("tariff", "tariff-1", "tariff-2")
        told = office.run("policy", "impact", "first.toml", later, "--journal", state, "--json")
        (tmp_path / "impact.json").write_text(told.stdout)
        start = ("rollout", "start", "tariff/city-2", "--to", "70001-70099", "--impact")
        other = office.run("policy", "impact", "first.toml", "first.toml", "--journal", state, "--json")
        (tmp_path / "other.json").write_text(other.stdout)
        assert "is about demo:1, and demo:2 is published" in office.refused(*start, "other.json", *sound)
        assert "a person answers" in office.refused(*start, "impact.json", "--by", " ")
        office.publish(*start, "impact.json", *sound)
        office.release("assign-1")
        served.said("in_force", kind="region", edition="demo:2")
        assert "tariff/city-2 (demo:2): 100 % of 70001-70099" in office.publish("rollout", "status").stdout
        assert "demo:9 is given to no terminal" in office.refused("rollout", "withdraw", "demo:9", *sound)
        office.publish("rollout", "withdraw", "demo:2", *sound)
        office.release("assign-1")
        served.said("in_force", kind="region", edition="demo:1")
        assert [row.cause for row in served.rows() if isinstance(row, SetReturned)] == ["withdrawn"]
        assert activated(served, "region") == [1, 2, 1]  # type: ignore[arg-type]
    noted = [
        one for one in map(json.loads, office.publish("log", "--json").stdout.splitlines()) if one.get("by")
    ]
    assert [(one["did"], one["role"], one["version"]) for one in noted] == [
        ("rollout:start tariff/city-2", "demo", 2),
        ("rollout:withdrawn", "demo", 2),
    ]
    assert {one["by"] for one in noted} == {"A. Orlova"}
