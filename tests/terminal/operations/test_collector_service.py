"""The collector as systemd and Prometheus see it; restored terminals as its operators do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from terminal.operations.findings import HealthCode
from terminal.operations.restore import RESERVE
from terminal.operations.text_format import CONTENT_TYPE
from tests.config_file import config_file
from tests.terminal.cli.conftest import ENVIRONMENT, Run
from tests.terminal.cli.inside import Run as RunInside
from tests.terminal.cli.inside import runner
from tests.terminal.collector.office import user_of
from tests.terminal.operations.service import Manager, manager
from tests.terminal.operations.test_metrics import numbers

WATCHDOG_S = 1.5


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> RunInside:
    return runner(tmp_path, monkeypatch, capfd)


@pytest.fixture
def systemd() -> Iterator[Manager]:
    with manager() as made:
        yield made


@contextmanager
def collector(folder: Path, environment: dict[str, str] = ENVIRONMENT, *more: str) -> Iterator[str]:
    """A collector process on any free port; yields its address, and stops it by its own id."""
    command = [
        sys.executable,
        "-m",
        "terminal.cli.app",
        "collector",
        "--json",
        "--port",
        "0",
        "--folder",
        str(folder),
    ]
    process = subprocess.Popen([*command, *more], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_collector_says_when_it_is_ready_alive_and_stopping(systemd: Manager, tmp_path: Path) -> None:
    with collector(tmp_path, systemd.environment(WATCHDOG_S)):
        assert systemd.hear_until("READY")["STATUS"] == "collector: answering requests"
        for _ in range(3):
            assert systemd.hear_until("WATCHDOG") == {"WATCHDOG": "1"}
    assert systemd.hear_until("STOPPING") == {"STOPPING": "1"}


def test_the_collectors_numbers_after_a_restore(run: Run, inside: RunInside, tmp_path: Path) -> None:
    """From the commands alone: backup, new hardware, enrolment, restore, and what monitoring sees of it."""
    back, old, new = tmp_path / "back", tmp_path / "old", tmp_path / "new"

    def ride(state: Path, *more: object) -> None:
        config = config_file(tmp_path, shift={"operator": "17"})
        arguments = ("--config", config, "--profile", "bus", "--reader", "sim:adult_purse", "--state", state)
        ridden = run("run", *arguments, *more)
        assert ridden.returncode == 0, ridden.stderr

    def enrol(state: Path) -> None:
        done = inside("collector", "enrol", 1, "--folder", back, "--key", state / "terminal.pub")
        assert done.returncode == 0, done.stderr
        (state / "collector.pub").write_bytes((back / "collector.pub").read_bytes())

    with collector(back) as address:
        ride(old)
        enrol(old)
        assert inside("sync", "--state", old, "--collector", address).returncode == 0
        assert inside("backup", tmp_path / "backup", "--state", old).returncode == 0
        lost = inside("restore", tmp_path / "backup", "--state", new, "--collector", address)
        assert lost.returncode == 71, lost.stderr
        assert "Enrol this machine's own public key" in lost.stderr
        enrol(new)
        done = inside("restore", tmp_path / "backup", "--state", new, "--collector", address, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["held_through"], told["first"]) == (5, 5 + RESERVE + 1)
        ride(new)
        assert inside("sync", "--state", new, "--collector", address).returncode == 0
        assert inside("journal", "verify", "--state", new).returncode == 0
        assert inside("collector", "report", "--folder", back).returncode == 0
        with urllib.request.urlopen(f"{address}/metrics") as page:
            assert page.headers["Content-Type"] == CONTENT_TYPE
            found = numbers(page.read().decode())
        with urllib.request.urlopen(f"{address}/operator/v1/report") as answer:
            total = json.loads(answer.read())["total"]
    plain = {name.removeprefix("resident_collector_"): n for (name, labels), n in found.items() if not labels}
    assert (plain["terminals"], plain["silent_terminals"], plain["unresolved_taps"]) == (1, 0, 0)
    assert plain["rows"] == 12
    by_kind = {
        name: {dict(labels)["kind"]: n for (other, labels), n in found.items() if other.endswith(name) and n}
        for name in ("open_alarms", "strange_attempts")
    }
    assert by_kind["open_alarms"] == {"gap": 1}
    assert set(by_kind["strange_attempts"]) == {"bad_signature"}
    assert (total["taps"], total["charged_minor"], total["records"]) == (2, {"RUB": 4800}, 12)


def test_health_of_a_stopped_terminal_sees_what_sync_sent(
    run: Run, inside: RunInside, tmp_path: Path
) -> None:
    back, state = tmp_path / "back", tmp_path / "state"

    def unsent() -> str:
        checks = json.loads(inside("health", "--state", state, "--json").stdout)["checks"]
        return str(checks["unsent"]["code"])

    with collector(back) as address:
        config = config_file(tmp_path, shift={"operator": "17"})
        arguments = ("--config", config, "--profile", "bus", "--reader", "sim:adult_purse", "--state", state)
        assert run("run", *arguments).returncode == 0
        assert unsent() == HealthCode.UNSENT
        key = state / "terminal.pub"
        assert inside("collector", "enrol", 1, "--folder", back, "--key", key).returncode == 0
        (state / "collector.pub").write_bytes((back / "collector.pub").read_bytes())
        assert inside("sync", "--state", state, "--collector", address).returncode == 0
        assert unsent() == HealthCode.ALL_SENT


def test_who_is_not_on_this_machine_needs_the_token(tmp_path: Path) -> None:
    with collector(tmp_path, ENVIRONMENT, "--host", "0.0.0.0") as address:
        page = address.replace("0.0.0.0", "127.0.0.1") + "/metrics"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(page)
        token = user_of(tmp_path, "prometheus-1")
        asked = urllib.request.Request(page, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked) as answer:
            assert b"resident_collector_terminals 0" in answer.read()
