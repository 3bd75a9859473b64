"""`terminal health`: what each trouble looks like from outside, and what it never does: stand in the way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.app.station import JOURNAL_FILE
from terminal.clock import from_unix_ms, unix_ms
from terminal.codes import ClockFault, ReaderFault, SetKind, SyncFault, VehicleFault
from terminal.devices import DeviceState, ExtensionRole
from terminal.journal.journal import Journal
from terminal.journal.records import Started
from terminal.operations.findings import TEXTS, VALUES, Health, HealthCode, HealthFinding, HealthLevel
from terminal.operations.health import examine, holder_of
from terminal.operations.status import (
    STATUS_FILE,
    KindInForce,
    LoadedExtension,
    TerminalStatus,
    VehicleStatus,
    read_status,
    write_status,
)
from terminal.reader.presence import PresenceState
from tests.journal_rows import CODE
from tests.terminal.cli.conftest import Run
from tests.terminal.operations.service import HANGING, running, waiting_terminal

NOW = datetime(2026, 9, 15, 12, tzinfo=UTC)
NOW_MS = unix_ms(NOW)
HOUR_MS = 3_600_000


def in_force(hours_left: float, **more: Any) -> KindInForce:
    """A region document that holds so long."""
    until_ms = NOW_MS + round(hours_left * HOUR_MS)
    return KindInForce(
        kind=SetKind.REGION, edition="demo:1", since_ms=NOW_MS - HOUR_MS, until_ms=until_ms, **more
    )


def listed_since(kind: SetKind, hours: int) -> KindInForce:
    """A list of this age."""
    issued_at_ms = NOW_MS - hours * HOUR_MS
    return KindInForce(kind=kind, edition=f"{kind}:3", since_ms=NOW_MS, issued_at_ms=issued_at_ms)


def denied_since(hours: int) -> KindInForce:
    """A deny list of this age."""
    return listed_since(SetKind.DENY, hours)


WELL = TerminalStatus(
    terminal=7,
    profile="bus",
    software="a program 1",
    process=os.getpid(),
    started_at_ms=NOW_MS - HOUR_MS,
    at_ms=NOW_MS - 1000,
    loop="wait_for_card",
    reader="a reader",
    shift_open=True,
    taps=3,
    last_tap_at_ms=NOW_MS - 60_000,
    active=(in_force(30 * 24), denied_since(1)),
    rows=5,
    capacity_rows=100,
    unsent=2,
    oldest_unsent_at_ms=NOW_MS - HOUR_MS,
    clock_floor_ms=NOW_MS - 60_000,
    collector="http://127.0.0.1:8470",
    collector_heard_at_ms=NOW_MS - 60_000,
)

Say = Callable[..., Health]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Held by this very process, as a running terminal holds its own."""
    made = Journal.open(tmp_path / JOURNAL_FILE, 7)
    made.append(Started(NOW_MS - HOUR_MS, software="a program 1"))
    return made


@pytest.fixture
def say(tmp_path: Path, journal: Journal) -> Say:
    """`say(reader_fault=ReaderFault.GONE)`: examine a terminal that is well but for that."""

    def say_it(**changes: Any) -> Health:
        write_status(tmp_path, msgspec.structs.replace(WELL, **changes))
        return examine(tmp_path, tmp_path / JOURNAL_FILE, NOW)

    yield say_it
    journal.close()


def level(health: Health, name: str) -> HealthLevel:
    return next(one.level for one in health.findings if one.name == name)


def test_a_terminal_that_is_well(say: Say) -> None:
    health = say()
    assert {one.level for one in health.findings} == {HealthLevel.OK}, health
    assert health.exit_code == 0
    assert [one.name for one in health.findings] == [
        *("process", "file", "journal", "unsent", "clock"),
        *("last_tap", "reader", "policy", "deny_list"),
        *("in_force:region", "in_force:deny", "collector", "disk"),
    ]


@pytest.mark.parametrize(
    ("changes", "check", "bad"),
    [
        ({"at_ms": NOW_MS - 61_000}, "process", 2),
        ({"process": 1}, "process", 1),
        ({"stopped": True}, "process", 1),
        ({"reader_fault": ReaderFault.GONE}, "reader", 2),
        ({"active": (in_force(-0.001),)}, "policy", 2),
        ({"active": (in_force(6 * 24),)}, "policy", 1),
        (
            {"active": (in_force(6 * 24, pending="demo:2", pending_from_ms=NOW_MS + 144 * HOUR_MS),)},
            "policy",
            0,
        ),
        (
            {"active": (in_force(6 * 24, pending="demo:2", pending_from_ms=NOW_MS + 145 * HOUR_MS),)},
            "policy",
            1,
        ),
        ({"active": (in_force(30 * 24), denied_since(8 * 24))}, "deny_list", 1),
        ({"active": (in_force(30 * 24), listed_since(SetKind.GRANTS, 8 * 24))}, "grants", 1),
        ({"active": (in_force(30 * 24), listed_since(SetKind.GRANTS, 6 * 24))}, "grants", 0),
        ({"active": (in_force(30 * 24, refused="update:older"),)}, "update:region", 1),
        ({"clock_fault": ClockFault.JUMPED, "clock_inputs": {"jump_s": 900}}, "clock", 1),
        ({"sync_fault": SyncFault.REFUSED, "collector_heard_at_ms": NOW_MS - 2 * HOUR_MS}, "collector", 1),
        ({"sync_fault": SyncFault.REFUSED}, "collector", 0),
        (
            {"sync_fault": SyncFault.REFUSED, "collector_heard_at_ms": None, "started_at_ms": 0},
            "collector",
            1,
        ),
        ({"rows": 100}, "journal", 2),
        ({"rows": 75}, "journal", 1),
        ({"rows": 74}, "journal", 0),
        ({"oldest_unsent_at_ms": NOW_MS - 25 * HOUR_MS}, "unsent", 1),
        ({"oldest_unsent_at_ms": None, "unsent": 0}, "unsent", 0),
        ({"clock_fault": ClockFault.BEHIND, "clock_inputs": {"behind_s": 900}, "stopped": True}, "clock", 1),
        ({"clock_floor_ms": NOW_MS + 300_000}, "clock", 0),
        ({"clock_floor_ms": NOW_MS + 301_000}, "clock", 1),
        ({"clock_off_s": 301}, "clock", 1),
        ({"clock_off_s": 300, "clock_authenticated": True}, "clock", 0),
        ({"last_tap_at_ms": None}, "last_tap", 0),
        ({"vehicle": VehicleStatus(source="gpsd", heard_at_ms=NOW_MS, quality="exact")}, "vehicle", 0),
        ({"vehicle": VehicleStatus(source="gpsd", heard_at_ms=NOW_MS - 601_000)}, "vehicle", 1),
        ({"vehicle": VehicleStatus(source="gpsd")}, "vehicle", 1),
        (
            {"vehicle": VehicleStatus(source="gpsd", heard_at_ms=NOW_MS, fault=VehicleFault.DIED)},
            "vehicle",
            1,
        ),
        ({"vehicle": VehicleStatus(source="gpsd", heard_at_ms=NOW_MS, razzia=True)}, "razzia", 0),
    ],
    ids=str,
)
def test_each_trouble_is_seen_and_weighed(say: Say, changes: dict[str, Any], check: str, bad: int) -> None:
    health = say(**changes)
    assert level(health, check) == bad
    assert health.exit_code == bad


def test_a_journal_that_is_none_or_cannot_be_written(say: Say, tmp_path: Path, journal: Journal) -> None:
    journal.close()
    say()
    (tmp_path / JOURNAL_FILE).write_bytes(b"no database")
    damaged = examine(tmp_path, tmp_path / JOURNAL_FILE, NOW)
    assert level(damaged, "file") is HealthLevel.OUT_OF_ORDER
    (found,) = [one for one in damaged.findings if one.name == "file"]
    assert found.code in (HealthCode.FILE_DAMAGED, HealthCode.FILE_UNUSABLE)
    gone = examine(tmp_path, tmp_path / "none.sqlite", NOW)
    assert HealthCode.FILE_MISSING in [one.code for one in gone.findings]


def test_it_takes_no_lock_and_sees_whose_it_is(tmp_path: Path, journal: Journal) -> None:
    assert holder_of(journal.path) == os.getpid()
    files = set(os.listdir(tmp_path))
    journal.close()
    assert holder_of(journal.path) is None
    examine(tmp_path, journal.path, NOW)
    assert set(os.listdir(tmp_path)) <= files, "nothing new is left behind"
    Journal.open(journal.path, 7).close()


def test_a_running_a_stopped_and_a_killed_terminal(run: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(waiting_terminal(state)) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if ": ready: " in line)
        _wait_for(lambda: read_status(state) is not None)
        finished = run("health", "--state", state, "--json")
        told = json.loads(finished.stdout)
        assert (finished.returncode, told["exit_code"]) == (0, 0), told
        assert told["checks"]["process"]["says"].startswith(f"process {process.pid}, up for")
        assert told["checks"]["reader"]["says"] == "empty simulated reader, waits for a card"
        process.kill()
        process.wait(20)
        killed = run("health", "--state", state)
        assert killed.returncode == 2
        assert "OUT OF ORDER  process    not running, and it did not stop in good order" in killed.stdout
    assert run("run", "--profile", "bus", "--reader", "sim:month_pass", "--state", state).returncode == 0
    stopped = run("health", "--state", state)
    assert stopped.returncode == 2
    assert "OUT OF ORDER  process    not running\n" in stopped.stdout


def test_a_hanging_terminal_is_found_from_outside(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with running(waiting_terminal(state), script=HANGING) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        status = read_status(state)
        assert status is not None
        later = from_unix_ms(status.at_ms) + timedelta(seconds=61)
        health = examine(state, state / JOURNAL_FILE, later)
        assert health.exit_code == 2
        assert "hangs: its loop was last heard of 61 s ago" in health.findings[0].says()


def test_extensions_are_named_and_a_device_that_fails_asks_for_a_look(say: Say) -> None:
    loaded = LoadedExtension(ExtensionRole.SIGNAL, "led", "acme-led", "1.0", "ab" * 32)
    well = say(extensions=(loaded,))
    (found,) = [one for one in well.findings if one.name == "extension:signal:led"]
    assert (found.level, found.says()) == (HealthLevel.OK, f"acme-led 1.0, sha256 {'ab' * 32}")
    assert well.exit_code == 0
    failing = say(extensions=(loaded,), devices_failing={"signal:led": DeviceState.HANGS})
    assert (level(failing, "device:signal:led"), failing.exit_code) == (HealthLevel.LOOK, 1)


def test_the_vehicle_is_named_with_its_age_and_what_is_wrong_with_it(say: Say) -> None:
    def says(**changes: Any) -> list[str]:
        health = say(vehicle=VehicleStatus(source="vdv301", **changes))
        return [one.says() for one in health.findings if one.name == "vehicle"]

    heard = {"heard_at_ms": NOW_MS - 3000}
    assert says(quality="exact", **heard) == ["vdv301: its place is 3 s old, exact"]
    assert says(**heard) == ["vdv301: its place is 3 s old, not on the route"]
    assert says(heard_at_ms=NOW_MS - 1_200_000) == ["vdv301: its place is 20 min old"]
    assert says() == ["vdv301: nothing heard since the start"]
    wrong = {"fault": VehicleFault.OTHER_LINE, "inputs": {"heard": "16"}}
    assert says(**heard, **wrong) == ["Vehicle says line 16, the shift runs another"]


def test_a_folder_without_a_terminal(run: Run, tmp_path: Path) -> None:
    finished = run("health", "--state", tmp_path / "nowhere", "--json")
    assert finished.returncode == 2
    checks = json.loads(finished.stdout)["checks"]
    assert checks["process"]["level"] == checks["file"]["level"] == checks["disk"]["level"] == "out_of_order"


def test_what_is_no_status_is_none(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / STATUS_FILE).write_text("{")
    assert read_status(tmp_path) is None


def _wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_finding_is_codes_and_has_words_in_every_language(say: Say) -> None:
    """What is stored or sent of it is a code with inputs; paths, and names other people gave, are the exception."""
    free = {"path", "reader", "folder", "collector", "tariff"}
    loop = [state.name.lower() for state in PresenceState]
    assert set(VALUES["loop"]) == set(loop)
    assert set(VALUES["state"]) == set(DeviceState) - {DeviceState.WORKS}
    assert set(TEXTS) == set(HealthCode)
    for changes in (
        {},
        {"laboratory": ("keys", "issuers")},
        {"devices_failing": {"led": DeviceState.RAISES}},
        {"vehicle": VehicleStatus(source="gpsd", heard_at_ms=NOW_MS, quality="estimated")},
    ):
        for one in say(**changes).findings:
            texts = [str(value) for name, value in one.inputs.items() if name not in free]
            assert all(CODE.fullmatch(text) for text in texts), (one.code, texts)
            assert one.says("ru") != ""
    lab = HealthFinding(HealthCode.LABORATORY, HealthLevel.LOOK, {"parts": "keys:issuers"})
    assert lab.says() == "public keys, issuers on a real reader: anyone can make cards for this terminal"
    assert "ключи, эмитенты" in lab.says("ru")
    old = HealthFinding(HealthCode.UNSENT, HealthLevel.LOOK, {"rows": 7, "age_ms": 25 * HOUR_MS})
    assert (old.says(), old.says("ru")) == (
        "7 rows, the oldest 1 d 1 h old",
        "не передано записей: 7, самой старой 1 сут 1 ч",
    )


def test_the_command_speaks_russian_and_its_codes_stay(run: Run, tmp_path: Path) -> None:
    shown = run("health", "--state", tmp_path, "--language", "ru")
    assert "НЕ РАБОТАЕТ   process    не запущен\n" in shown.stdout
    english, russian = (
        json.loads(run("health", "--state", tmp_path, "--json", "--language", language).stdout)["checks"]
        for language in ("en", "ru")
    )
    assert english["process"]["says"] != russian["process"]["says"]
    assert english["process"]["code"] == russian["process"]["code"] == "process:stopped"
