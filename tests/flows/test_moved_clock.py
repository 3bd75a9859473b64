"""A running terminal whose system clock is moved (O-05): the product's own commands, and a preloaded library that
moves what the operating system says the time is. The clock that only runs forward stays as it is.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from terminal.app.station import journal_reader
from terminal.clock import SystemClock
from terminal.errors import StaffError
from terminal.journal.operation_records import ClockAccepted, ClockAuthenticated, ClockConfirmed
from terminal.journal.records import AnyRecord, Fault, Intent
from terminal.operations.status import read_status
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, ROOT, command

SOURCE = Path(__file__).with_name("moved_clock.c")
COMPILER = shutil.which("cc")
FORWARD = timedelta(days=40)
BACK = timedelta(days=-3)
PACE_S = 2.0
"""Between cards: time enough to move the clock after one has been answered."""
RIDER = "adult_purse"
STAFF = "staff.json"
PATIENCE_S = 60

pytestmark = pytest.mark.skipif(
    COMPILER is None, reason="no C compiler to build the library that moves the clock"
)


class Machine:
    """A folder with a bus terminal, and a system clock that can be moved for the processes started here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clock = folder / "moved"
        self.move(timedelta())
        library = folder / "moved_clock.so"
        compile_it = [str(COMPILER), "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(compile_it, check=True)
        self.environment = ENVIRONMENT | {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(self._clock)}

    def move(self, by: timedelta) -> None:
        """The system clock is so far from the right time from now on."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{by.total_seconds():.0f}\n")
        new.replace(self._clock)

    def run(self, *arguments: object, program: str = "terminal.cli.app") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(arguments, program),
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def json(self, *arguments: object) -> Any:
        done = self.run(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def serving(self, cards: Sequence[str]) -> Iterator[Iterator[str]]:
        """`terminal run`; the codes of its messages, one after each card."""
        reader = f"sim:{','.join(cards)}"
        options = ("--reader", reader, "--taps", len(cards), "--pace", PACE_S, "--json")
        with (self.folder / "run.log").open("w") as log:
            process = subprocess.Popen(
                command(("run", *options)),
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert process.stdout is not None
            try:
                yield (json.loads(line)["message"] for line in process.stdout)
            finally:
                process.terminate()
                process.communicate(timeout=PATIENCE_S)

    def rows(self, *kinds: type) -> list[AnyRecord]:
        with journal_reader(self.folder / "term") as reader:
            return [row.record for row in reader.all_rows() if isinstance(row.record, kinds)]

    def clock_health(self) -> str:
        return str(self.json("health")["checks"]["clock"]["code"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    configure(made)
    return made


def configure(machine: Machine, **tables: dict[str, object]) -> None:
    bus: dict[str, dict[str, object]] = {
        "terminal": {"profile": "bus", "number": 7, "region": "demo", "state": "term"},
        "shift": {"operator": "17", "route": 15},
        "console": {"enabled": True, "port": 0},
    }
    config_file(machine.folder, **bus | tables)


def hire(machine: Machine) -> None:
    """A driver with a service card of his own."""
    assert machine.run("card", "new", STAFF, "--profile", "month_pass", program="sim.cli.app").returncode == 0
    added = machine.run("staff", "add", "17", "--role", "driver", "--no-pin", "--card", f"sim:{STAFF}")
    assert added.returncode == 0, added.stderr


def test_a_running_bus_notices_waits_for_a_service_card_and_sells_on(machine: Machine) -> None:
    hire(machine)
    cards = (RIDER, RIDER, STAFF, RIDER, RIDER, STAFF, RIDER, RIDER)
    heard: list[str] = []
    with machine.serving(cards) as messages:
        heard.append(next(messages))
        machine.move(BACK)
        heard += [next(messages) for _ in range(3)]
        said = read_status(machine.folder / "term")
        machine.move(FORWARD)
        heard += [next(messages) for _ in range(3)]
        machine.move(timedelta())
        heard.append(next(messages))
    assert said is not None
    assert (said.clock_fault, said.clock_confirmed) == ("clock:jumped", True)
    assert machine.clock_health() == "clock:ok"
    doubted = ["clock_unconfirmed", "clock_confirmed", "ok_paid"]
    assert heard == ["ok_paid", *doubted, *doubted, "ok_paid"]
    faults = [row for row in machine.rows(Fault) if isinstance(row, Fault)]
    assert [fault.code for fault in faults] == ["clock:jumped", "clock:jumped", "clock:works"]
    jumps = [int(fault.inputs["jump_s"]) for fault in faults[:2]]
    expected = [BACK.total_seconds(), (FORWARD - BACK).total_seconds()]
    assert all(abs(jump - whole) <= 1 for jump, whole in zip(jumps, expected, strict=True)), jumps
    confirmed = [row for row in machine.rows(ClockConfirmed) if isinstance(row, ClockConfirmed)]
    assert [row.operator_ref for row in confirmed] == ["17", "17"]
    rides = [row for row in machine.rows(Intent) if isinstance(row, Intent)]
    trusted, doubtful = {}, {"clock.suspect": True, "clock.confirmed": True}
    assert [ride.trip for ride in rides] == [trusted, doubtful, doubtful, trusted]
    assert ["clock_suspect" in ride.flags for ride in rides] == [False, True, True, False]


def test_taps_of_another_year_are_put_right_by_a_command_with_a_record(machine: Machine) -> None:
    """Nothing tells a terminal that its first day is not in a year to come; back in the present it is in doubt."""
    machine.move(FORWARD)
    with machine.serving((RIDER,) * 2) as messages:
        assert list(messages) == ["ok_paid"] * 2
    machine.move(timedelta())
    assert machine.clock_health() == "clock:behind"
    assert machine.json("clock", "show")["doubt"], "shown before a tap has recorded it"
    with machine.serving((RIDER,) * 20) as messages:
        assert next(messages) == "clock_unconfirmed"
        locked = machine.run("clock", "accept", "--by", "17")
        assert (locked.returncode, "a service card confirms the time" in locked.stderr) == (21, True)
    assert machine.clock_health() == "clock:suspect", "as it was said last"
    for nobody in ("", "Анна Тестова"):
        refused = machine.run("clock", "accept", "--by", nobody)
        assert (refused.returncode, "is no staff reference" in refused.stderr) == (StaffError.exit_code, True)
    for unseen in ("17\n", "\x1b[2J17"):
        refused = machine.run("clock", "accept", "--by", unseen)
        assert (refused.returncode, "cannot be seen" in refused.stderr) == (2, True)
    elsewhere = machine.run("clock", "accept", "--by", "17", "--state", "terms")
    assert (elsewhere.returncode, "there is no journal in terms" in elsewhere.stderr) == (20, True)
    assert not (machine.folder / "terms").exists()
    accepted = machine.run("clock", "accept", "--by", "17")
    assert accepted.returncode == 0, accepted.stderr
    assert machine.clock_health() == "clock:ok"
    with machine.serving((RIDER,)) as messages:
        assert list(messages) == ["ok_paid"]
    assert machine.clock_health() == "clock:ok"
    (row,) = [row for row in machine.rows(ClockAccepted) if isinstance(row, ClockAccepted)]
    assert (row.operator_ref, row.code) == ("17", "clock:behind")
    shown = machine.json("clock", "show")
    assert (shown["doubt"], shown["accepted_by"]) == (None, "17")
    assert shown["not_before_ms"] <= shown["now_ms"]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_a_terminal_whose_clock_starts_in_1970_starts_and_a_canteen_serves(machine: Machine) -> None:
    """The region document is not in force then, and the clock is wrong for certain."""
    for file, profile in (("rider.json", RIDER), ("child.json", "pupil_grade3")):
        made = machine.run("card", "new", file, "--profile", profile, program="sim.cli.app")
        assert made.returncode == 0, made.stderr
    machine.move(EPOCH - SystemClock().now())
    with machine.serving(("rider.json",)) as messages:
        assert list(messages) == ["clock_unconfirmed"]
    configure(
        machine,
        terminal={"profile": "canteen", "number": 9, "region": "demo", "state": "till"},
        shift={"operator": "17"},
    )
    with machine.serving(("child.json",) * 2) as messages:
        assert next(messages) == "meal_ok"
        assert next(messages) != "meal_ok"
    configure(
        machine,
        terminal={"profile": "bus", "number": 10, "region": "demo", "state": "later"},
        shift={"operator": "17", "route": 15},
    )
    machine.move(timedelta(days=4000))
    with machine.serving(("rider.json",)) as messages:
        assert list(messages) == []
    assert "ended on" in (machine.folder / "run.log").read_text("utf-8"), "nothing says that this is not so"


@pytest.fixture
def collector(machine: Machine) -> Iterator[Path]:
    """A collector process on loopback whose clock is right, and a terminal that is enrolled there."""
    folder = machine.folder / "collector"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.terminal.collector.serve", str(folder), "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        cwd=ROOT,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    configure(machine, collector={"url": url})
    try:
        code = machine.run("collector", "enrol", 7, "--folder", folder).stdout.split()[0]
        (machine.folder / "code").write_text(code)
        enrolled = machine.run("enrol", "--code-file", machine.folder / "code")
        assert enrolled.returncode == 0, enrolled.stderr
        yield folder
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def test_the_collectors_signature_raises_a_doubt_and_ends_it(machine: Machine, collector: Path) -> None:
    machine.move(FORWARD)
    with machine.serving((RIDER,) * 12) as messages:
        for message in messages:
            if message == "clock_unconfirmed":
                break
        assert machine.clock_health() == "clock:suspect"
        machine.move(timedelta())
        for message in messages:
            if message == "ok_paid":
                break
        assert machine.clock_health() == "clock:signed"
    (fault,) = [row for row in machine.rows(Fault) if isinstance(row, Fault)]
    assert fault.code == "clock:disagrees"
    assert abs(int(fault.inputs["off_s"]) - FORWARD.total_seconds()) < 60
    signed = [row for row in machine.rows(ClockAuthenticated) if isinstance(row, ClockAuthenticated)]
    assert [row.agrees for row in signed] == [False, True]
    newest = [row for row in machine.rows(Intent) if isinstance(row, Intent)][-1]
    assert newest.trip == {"clock.authenticated": True}
    assert machine.run("sync").returncode == 0
    alarms = [
        alarm["detail"] for alarm in machine.json("collector", "alarms", "--folder", collector)["alarms"]
    ]
    assert any(alarm.startswith("clock_fault fault=clock:disagrees off_s=") for alarm in alarms), alarms
    report = machine.json("collector", "report", "--folder", collector)
    assert report["day"] <= SystemClock().now().date().isoformat()
