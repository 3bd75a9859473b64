"""A roll-out as it runs in service: the office publishes by its commands, a running terminal takes it and goes back,
the collector hears of it (O-12).
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import pytest

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.simulated import issue_residents
from terminal.clock import SystemClock
from terminal.journal.operation_records import SetReturned, ShadowCompared
from terminal.operations.status import read_status
from tests import by_hand
from tests.flows.live import STATE, collector, live_terminal, run
from tests.flows.test_recomputed import TABLES, ask, beat, followed, in_force, publish, until
from tests.terminal.publish.conftest import office as office  # noqa: PLC0414 the fixture
from tests.terminal.publish.office import Office
from tests.terminal.updates.published import REGION, region
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
    shadow = tmp_path / "published/shadow/region.toml"
    shadow.parent.mkdir(parents=True)
    shadow.write_bytes(region(2))
    with live_terminal(tmp_path, **TABLES, updates={"folder": "published"}) as bus:
        card = bus.card("adult_purse")
        until(lambda: beat(bus) or in_shadow(tmp_path / STATE))
        assert bus.tap(card)["charge_minor"] == 2400
        until(lambda: beat(bus) or [row for row in bus.rows() if row["kind"] == "ShadowCompared"])
        (row,) = (one for one in bus.rows() if one["kind"] == "ShadowCompared")
        assert (row["taps"], row["failed"], row["sum_minor"], row["differing"]) == (1, 1, 0, [])
        shadow.write_bytes(b"[header]\n")
        until(lambda: beat(bus) or [row for row in bus.rows() if row["kind"] == "Fault"])
        (row,) = (one for one in bus.rows() if one["kind"] == "Fault")
        assert (row["code"], row["inputs"]["role"]) == ("bundle:unreadable", "shadow")
        bus.hand.say("clock", step_s=5400)
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


NEARLY_EMPTY: Final = """
description = { ru = "Кошелёк, которого хватает на одну поездку", en = "A purse that pays one ride" }
[card]
purse_minor = 2500
"""


def test_steps_are_published_by_the_office_and_withdrawn(office: Office, tmp_path: Path) -> None:
    """First in shadow, where taps are charged by the tariff in force and the collector shows the difference; then on
    trial, and back. The one terminal is among those that are named; the replay is of its own journal.
    """
    state, sound, now = tmp_path / "state", ("--by", "A. Orlova"), SystemClock().now()
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
    (tmp_path / "nearly_empty.toml").write_text(NEARLY_EMPTY, "utf-8")
    profiles = {"rich": "adult_purse", "poor": "empty_purse", "last": str(tmp_path / "nearly_empty.toml")}
    for name, card in zip(profiles, issue_residents([*profiles.values()], REGION, now.date()), strict=True):
        assert isinstance(card, VirtualCard)
        save_card(card, tmp_path / f"{name}.json")
    by_hand_now = {**by_hand.BY_HAND, "starts_at": now.isoformat()}
    tables = {"bundles": {"folder": office.bundles, "every_min": 0.01}, "laboratory": by_hand_now}
    with ExitStack() as stack:
        url = stack.enter_context(collector(tmp_path, number=70001, state="state"))
        served = stack.enter_context(serving(tmp_path, "", **tables, collector={"url": url}))
        served.said("ready")
        hand = stack.enter_context(closing(by_hand.Hand(tmp_path / by_hand.SOCKET)))

        def taps(*names: str) -> list[int]:
            """What each is charged, ten minutes apart."""
            charges = []
            for name in names:
                hand.say("clock", step_s=600)
                charges.append(hand.tap(tmp_path / f"{name}.json")["charge_minor"])
            return charges

        assert taps("rich") == [2400]
        office.publish("add", "tariff/city-2", later)
        office.sign("tariff", "tariff-1", "tariff-2")
        office.publish("rollout", "shadow", "tariff/city-2", "--to", "70001", *sound)
        office.release("assign-1")
        assert "tariff/city-2 (demo:2): 100 % of 70001" in office.publish("rollout", "status").stdout
        until(lambda: hand.say("clock", step_s=2) and in_shadow(state))
        assert taps("rich", "poor", "last", "rich", "rich") == [2400, 0, 2400, 2400, 2400]
        until(lambda: hand.say("clock", step_s=61) and ask(tmp_path, "shadows")["shadows"])
        compared = [one for one in served.rows() if isinstance(one, ShadowCompared)]
        named = [(*one[1:],) for row in compared for one in row.differing]
        assert named.count(("ok_paid", 2400, "ok_paid", 3100)) == 3
        assert ("ok_paid", 2400, "no_funds", 0) in named
        until(lambda: sum(one["taps"] for one in ask(tmp_path, "shadows")["shadows"]) == 5)
        (found,) = ask(tmp_path, "shadows")["shadows"]
        assert found == {
            "terminal": 70001,
            "edition": "demo:2",
            "currency": "RUB",
            "sum_minor": 3 * 700 - 2400,
            **{"taps": 5, "same": 1, "dearer": 3, "cheaper": 0, "refused": 1, "let_in": 0},
            **{"answered": 0, "failed": 0, "missed": 0},
        }
        checks = json.loads(office.run("health", "--state", state, "--json").stdout)["checks"]
        assert checks["shadow"]["inputs"] == {"edition": "demo:2", "taps": 5, "failed": 0}

        told = office.run("policy", "impact", "first.toml", later, "--journal", state, "--json")
        (tmp_path / "impact.json").write_text(told.stdout)
        start = ("rollout", "start", "tariff/city-2", "--to", "70001-70099", "--impact")
        other = office.run("policy", "impact", "first.toml", "first.toml", "--journal", state, "--json")
        (tmp_path / "other.json").write_text(other.stdout)
        assert "is about demo:1, and demo:2 is published" in office.refused(*start, "other.json", *sound)
        assert "a person answers" in office.refused(*start, "impact.json", "--by", " ")
        office.publish("rollout", "shadow", "tariff/city-2", *sound)
        office.publish(*start, "impact.json", *sound)
        office.release("assign-1")
        served.said("in_force", kind="region", edition="demo:2")
        assert "tariff/city-2 (demo:2): 100 % of 70001-70099" in office.publish("rollout", "status").stdout
        assert "demo:9 is given to no terminal" in office.refused("rollout", "withdraw", "demo:9", *sound)
        assert "is in shadow nowhere" in office.refused("rollout", "shadow", "tariff/city-2", *sound)
        assert taps("rich") == [3100]
        office.publish("rollout", "withdraw", "demo:2", *sound)
        office.release("assign-1")
        until(
            lambda: hand.say("clock", step_s=2) and [r for r in served.rows() if isinstance(r, SetReturned)]
        )
        served.said("in_force", kind="region", edition="demo:1")
        assert [row.cause for row in served.rows() if isinstance(row, SetReturned)] == ["withdrawn"]
        assert activated(served, "region") == [1, 2, 1]  # type: ignore[arg-type]
    noted = [
        one for one in map(json.loads, office.publish("log", "--json").stdout.splitlines()) if one.get("by")
    ]
    assert [(one["did"], one["role"], one["version"]) for one in noted] == [
        ("rollout:shadow tariff/city-2", "demo", 2),
        ("rollout:end-shadow tariff/city-2", "demo", 2),
        ("rollout:start tariff/city-2", "demo", 2),
        ("rollout:withdrawn", "demo", 2),
    ]
    assert {one["by"] for one in noted} == {"A. Orlova"}


def in_shadow(state: Path) -> bool:
    status = read_status(state)
    return status is not None and status.shadow is not None and status.shadow.edition == "demo:2"
