"""What is published while a terminal runs: `terminal run --config` started, a file replaced, the row read back."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from terminal.app.simulated import laboratory_keys
from terminal.clock import SystemClock, unix_ms
from terminal.codes import SetKind
from terminal.journal.operation_records import SetActivated
from terminal.journal.records import Fault, Intent, Unwritten
from terminal.keys.file import load_file_keys
from terminal.lab.world import DENIED_PROFILE, laboratory_deny_list
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.keyed_file import ListIssue
from tests.config_file import config_file
from tests.terminal.cli.conftest import Run
from tests.terminal.updates.published import REGION, region, routes
from tests.terminal.updates.served import Served, serving

KEYS = load_file_keys(laboratory_keys())
MANY = ",".join(["adult_purse"] * 60)
"""Cards that have not paid yet, one after the other."""
BY_MODE = """
[[fares.rules]]
id = "metro"
kind = "flat"
modes = ["metro"]
by_medium = { transport_card = 5000, bank_card = 5000, cash = 5000 }
"""


def publish(path: Path, content: bytes) -> None:
    """As an operator should: whole, by one rename."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    os.replace(draft, path)


def deny_list(folder: Path, version: int, denied: Iterable[tuple[DenyKind, bytes]] = ()) -> bytes:
    path = folder / f"deny-{version}"
    issue = ListIssue(version, REGION, SystemClock().now().replace(microsecond=0))
    build_deny_list(path, KEYS.list_key("deny"), issue, denied)
    return path.read_bytes()


def denied_resident(folder: Path) -> bytes:
    """The deny list with version 1, on which the resident of these tests stands."""
    return laboratory_deny_list(folder / "later", KEYS, REGION).read_bytes()


def activated(served: Served, kind: SetKind) -> list[int]:
    return [row.version for row in served.rows() if isinstance(row, SetActivated) and row.kind == kind]


def charges(served: Served) -> list[int]:
    return [row.charge_minor for row in served.rows() if isinstance(row, Intent)]


def test_a_replaced_deny_list_refuses_the_next_card_and_lets_it_in_again(tmp_path: Path) -> None:
    listed = tmp_path / "deny-list"
    listed.write_bytes(denied_resident(tmp_path))
    with serving(tmp_path, DENIED_PROFILE, lists={"deny": listed}) as served:
        assert served.tap()["message"] == "deny_list"
        publish(listed, deny_list(tmp_path, 2))
        served.said("in_force", kind="deny", edition="deny:2")
        assert served.tap(lambda tap: tap["admission"] == "let_in")["message"] != "deny_list"
        assert activated(served, SetKind.DENY) == [1, 2]
        refused = [row for row in served.rows() if isinstance(row, Unwritten) and row.message == "deny_list"]
        assert all(name.startswith("1:") for row in refused for name in row.lists.values())


def test_what_is_no_successor_is_refused_said_once_and_stands_in_health(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "region.toml").write_bytes(region(3))
    yesterday = (SystemClock().now() - timedelta(days=1)).isoformat()
    with serving(tmp_path, "adult_purse", updates={"folder": folder}) as served:
        assert served.tap()["message"] == "ok_paid"
        assert activated(served, SetKind.REGION) == [3], "the newest of the named file and the folder"
        for content, code in (
            (region(2), "update:older"),
            (region(4, until=yesterday), "update:ended"),
            (region(4, number=35), "update:other_region"),
            (region(4, name="other"), "update:other_document"),
            (region(4)[:-30], "update:unreadable"),
            (region(4).replace(b"schema = 2", b"schema = 99", 1), "update:needs_newer"),
        ):
            publish(folder / "region.toml", content)
            served.hang_up()
            served.said("update", code=code)
        checks = json.loads(run("health", "--state", served.state, "--json").stdout)["checks"]
        assert checks["in_force:region"]["inputs"]["edition"] == "demo:3"
        assert checks["update:region"]["code"] == "update:refused"
        assert checks["update:region"]["inputs"]["fault"] == "update:needs_newer"
        status = run("updates", "status", "--state", served.state, "--language", "ru")
        assert "написан для более новой программы" in status.stdout
        publish(folder / "region.toml", region(4))
        served.said("in_force", kind="region", edition="demo:4")
        faults = [row.code for row in served.rows() if isinstance(row, Fault)]
        assert [code for code in faults if code.startswith("update:")] == [
            *("update:older", "update:ended", "update:other_region"),
            *("update:other_document", "update:unreadable", "update:needs_newer"),
        ]
        served.tap(lambda tap: tap["admission"] == "let_in")
        assert served.process.poll() is None


def test_a_tariff_comes_into_force_at_its_own_moment(tmp_path: Path) -> None:
    """Published some seconds ahead; which tap is the first by it is read from the rows, not from a clock."""
    document = tmp_path / "region.toml"
    document.write_bytes(region(1))
    with serving(tmp_path, "adult_purse", terminal={"region": document}) as served:
        served.tap()
        moment = SystemClock().now() + timedelta(seconds=6)
        publish(document, region(2, since=moment.isoformat(), fare_minor=3100))
        served.said("in_force", kind="region", edition="demo:2")
        (row,) = (one for one in served.rows() if isinstance(one, SetActivated) and one.version == 2)
        assert unix_ms(moment) <= row.at_ms < unix_ms(moment) + 10_000
        assert row.since_ms == row.at_ms


def test_routes_replaced_change_mode_and_fare(tmp_path: Path) -> None:
    document, listed = tmp_path / "region.toml", tmp_path / "routes.toml"
    text = region(1).decode()
    document.write_bytes(text.replace("[[transfers]]", f"{BY_MODE}\n[[transfers]]", 1).encode())
    listed.write_bytes(routes(1, mode="bus"))
    with serving(tmp_path, MANY, terminal={"region": document}, lists={"routes": listed}) as served:
        served.tap()
        publish(listed, routes(2, mode="metro"))
        served.said("in_force", kind="routes", edition="city_routes:2")
        served.tap(lambda tap: tap["charge_minor"] > 2400)
        modes = [row.trip.get("mode", "bus") for row in served.rows() if isinstance(row, Intent)]
        assert (modes[0], modes[-1]) == ("bus", "metro")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (region(2, until="9999-12-31T00:00:00+03:00"), "the year 9999 is out of reach"),
        (region(2, since="0001-01-01T00:00:00+14:00"), "the year 1 is out of reach"),
        (region(2**63), "header.version"),
    ],
)
def test_a_header_beyond_all_numbers_is_refused_in_words(
    run: Run, tmp_path: Path, content: bytes, what: str
) -> None:
    document = tmp_path / "region.toml"
    document.write_bytes(content + b"\n[ended]\ngo_on_days = 30\n")
    file = config_file(tmp_path, terminal={"region": document, "profile": "bus", "number": 70001})
    checked = run("policy", "check", document, "--terminal", file)
    assert (checked.returncode, "Traceback" in checked.stderr) == (10, False), checked.stderr
    assert what in checked.stderr


def test_routes_without_the_one_that_is_run_are_refused_where_fares_depend_on_its_mode(
    tmp_path: Path,
) -> None:
    document, listed = tmp_path / "region.toml", tmp_path / "routes.toml"
    text = region(1).decode()
    document.write_bytes(text.replace("[[transfers]]", f"{BY_MODE}\n[[transfers]]", 1).encode())
    listed.write_bytes(routes(1, mode="metro"))
    with serving(tmp_path, MANY, terminal={"region": document}, lists={"routes": listed}) as served:
        served.tap()
        publish(listed, routes(2, mode="metro").replace(b"number = 15\n", b"number = 16\n"))
        served.hang_up()
        served.said("update", code="update:unknowable")
        served.tap()
        assert {row.trip.get("mode") for row in served.rows() if isinstance(row, Intent)} == {"metro"}


def test_a_start_takes_the_newest_and_never_an_older_one(run: Run, tmp_path: Path) -> None:
    document = tmp_path / "region.toml"
    document.write_bytes(region(2))
    tables = {"terminal": {"region": document}}
    with serving(tmp_path, "adult_purse", **tables) as served:
        served.tap()
    document.write_bytes(region(1))
    with serving(tmp_path, "adult_purse", **tables) as served:
        assert served.said("ready")["tariff"] == "demo:2"
    document.write_bytes(b"damaged")
    with serving(tmp_path, "adult_purse", **tables) as served:
        assert served.said("ready")["tariff"] == "demo:2"
        served.said("update", code="update:unreadable")
    (slot,) = (served.state / "active/region").iterdir()
    (slot / "region.toml").write_bytes(b"damaged")
    file = tmp_path / "terminal.toml"
    finished = run("run", "--config", file)
    assert finished.returncode == 10
    document.write_bytes(region(1))
    finished = run("run", "--config", file)
    assert finished.returncode == 18, finished.stderr
    assert "region: version 2 was in force" in finished.stderr
    document.write_bytes(region(2))
    with serving(tmp_path, "adult_purse", **tables) as served:
        assert served.said("ready")["tariff"] == "demo:2"


def test_a_terminal_is_set_up_while_the_tariff_of_tomorrow_is_published_already(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    tomorrow = (SystemClock().now() + timedelta(days=1)).isoformat()
    (folder / "region.toml").write_bytes(region(2, since=tomorrow, fare_minor=3100))
    with serving(tmp_path, "adult_purse", updates={"folder": folder}) as served:
        assert served.said("ready")["tariff"] == "demo:1"
        assert served.tap()["message"] == "ok_paid"
        waits = [path.name for path in (served.state / "active/region").iterdir()]
    assert charges(served)[0] == 2400
    assert len(waits) == 2, "the slot in force, and the one that waits"
    checks = json.loads(run("health", "--state", served.state, "--json").stdout)["checks"]
    assert checks["in_force:region"]["inputs"]["edition"] == "demo:1"


def test_a_successor_that_waits_ends_the_warning_of_the_end(run: Run, tmp_path: Path) -> None:
    """Staff are warned; the successor lies there, and neither log nor health asks for it any more."""
    document = tmp_path / "region.toml"
    ends = (SystemClock().now() + timedelta(days=3)).isoformat()
    document.write_bytes(region(1, until=ends))
    tables = {"terminal": {"region": document}}
    with serving(tmp_path, MANY, **tables) as served:
        served.said("document", code="document:ends")
        publish(document, region(2, since=ends))
        assert health(run, served, lambda checks: "pending:region" in checks)["policy"]["level"] == "ok"
    with serving(tmp_path, MANY, **tables) as served:
        served.tap()
        assert health(run, served)["policy"]["level"] == "ok"
    assert not [line for line in served.raw if '"event":"document"' in line]


def health(
    run: Run, served: Served, until: Callable[[dict[str, Any]], object] = lambda _checks: True
) -> dict[str, Any]:
    """What `terminal health` finds, once it says what is waited for."""
    until_s = time.monotonic() + 30
    while True:
        checks = dict(json.loads(run("health", "--state", served.state, "--json").stdout)["checks"])
        if until(checks):
            return checks
        assert time.monotonic() < until_s, checks
        served.tap()


def test_a_document_without_the_meal_that_the_till_serves_is_no_successor(tmp_path: Path) -> None:
    """It came into force, and the next start ended with it: no child was served."""
    document = tmp_path / "region.toml"
    document.write_bytes(region(1))
    tables: dict[str, dict[str, object]] = {
        "terminal": {"region": document, "profile": "canteen"},
        "shift": {"operator": "17", "route": 0},
        "canteen": {"serving": "breakfast"},
    }
    with serving(tmp_path, "pupil_grade3", **tables) as served:
        assert served.tap()["message"] == "meal_ok"
        publish(document, without_meals(region(2)))
        served.said("update", code="update:no_meal")
    with serving(tmp_path, "pupil_grade3", **tables) as served:
        assert served.said("ready")["tariff"] == "demo:1"


def without_meals(document: bytes) -> bytes:
    tables = re.split(r"(?m)^(?=\[)", document.decode())
    return "".join(table for table in tables if not table.lstrip("[").startswith("meals")).encode()
