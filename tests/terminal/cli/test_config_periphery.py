"""[periphery.*] of terminal.toml: what contradicts itself is named with its line, before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.config_file import config_file
from tests.terminal.cli.conftest import Run


@pytest.fixture
def run(run_config: Run) -> Run:
    """`terminal config …` in this process."""
    return run_config


BUS = {"terminal": {"profile": "bus"}, "reader": {"name": "sim:"}}
GPIO = {"chip": "/dev/gpiochip0"}


def said(run: Run, folder: Path, **tables: dict[str, object]) -> dict[str, str]:
    """Each key that `terminal config check` refuses, and why."""
    named = {f"periphery.{table}": values for table, values in tables.items()}
    config_file(folder, **(BUS | named))
    mistakes = json.loads(run("config", "check", "--json").stdout)["mistakes"]
    assert all(one["line"] for one in mistakes)
    return {one["path"]: one["what"] for one in mistakes}


def test_devices_that_are_apart_are_sound(run: Run, tmp_path: Path) -> None:
    found = said(
        run,
        tmp_path,
        gpio=GPIO | {"active_low": ["door"], "pull_up": ["door"]},
        lamps={"accepted": "green", "refused": "red", "buzzer": "buzz"},
        barrier={"line": "gate", "passed": "beam"},
        printer={"device": "/dev/printer"},
        scanner={"serial": "/dev/qr"},
        power={"tamper": "door"},
    )
    assert found == {}


@pytest.mark.parametrize(
    ("tables", "key", "what"),
    [
        (
            {"gpio": GPIO, "lamps": {"accepted": "l"}, "barrier": {"line": "l"}},
            "barrier.line",
            "lamps.accepted",
        ),
        ({"gpio": GPIO, "lamps": {"accepted": "l", "refused": "l"}}, "lamps.refused", "lamps.accepted"),
        ({"gpio": GPIO, "barrier": {"line": "l"}, "power": {"tamper": "l"}}, "power.tamper", "barrier.line"),
        ({"lamps": {"accepted": "green"}}, "lamps.accepted", "chip"),
        ({"gpio": GPIO | {"pull_up": ["x"]}}, "gpio.pull_up", "used for nothing"),
        ({"gpio": GPIO, "lamps": {"ready": "я" * 16}}, "lamps.ready", "31 bytes"),
        (
            {"printer": {"device": "/dev/a"}, "scanner": {"serial": "/dev/a"}},
            "scanner.serial",
            "printer.device",
        ),
        (
            {"printer": {"device": "/dev/../dev/a"}, "scanner": {"hid": "/dev/a"}},
            "scanner.hid",
            "printer.device",
        ),
        ({"gpio": GPIO, "printer": {"device": "/dev/gpiochip0"}}, "printer.device", "gpio.chip"),
        ({"scanner": {"serial": "/dev/a", "hid": "/dev/b"}}, "scanner.hid", "not both"),
        ({"gpio": GPIO, "barrier": {"passed": "beam"}}, "barrier.passed", "without a barrier"),
        ({"gpio": GPIO, "lamps": {"buzzer_high": "b"}}, "lamps.buzzer_high", "lower one"),
        ({"lamps": {"refused_tones": ["shrill:10"]}}, "lamps.refused_tones", "is not"),
        ({"barrier": {"open_ms": 600000}}, "barrier.open_ms", "200 to 30000"),
        ({"lights": {"green": "l"}}, "periphery.lights", "no such table"),
        ({"lamps": {"lamp": "l"}}, "lamps.lamp", "no such key"),
    ],
)
def test_what_contradicts_itself_is_refused(
    run: Run, tmp_path: Path, tables: dict[str, dict[str, object]], key: str, what: str
) -> None:
    found = said(run, tmp_path, **tables)
    path = key if key.startswith("periphery.") else f"periphery.{key}"
    assert what in found[path]
    assert list(found) == [path]


def test_a_key_beside_the_tables_is_no_device(run: Run, tmp_path: Path) -> None:
    config_file(tmp_path, **BUS, periphery={"chip": "sim"})
    (mistake,) = json.loads(run("config", "check", "--json").stdout)["mistakes"]
    assert (mistake["path"], mistake["code"]) == ("periphery.chip", "config_outside")


def test_lines_in_memory_are_for_a_simulated_reader(run: Run, tmp_path: Path) -> None:
    laboratory = {"profile": "bus", "laboratory": True}
    gpio = {"chip": "sim"}
    config_file(tmp_path, terminal=laboratory, reader={"name": "pcsc"}, **{"periphery.gpio": gpio})
    (mistake,) = json.loads(run("config", "check", "--json").stdout)["mistakes"]
    assert (mistake["path"], mistake["code"]) == ("periphery.gpio.chip", "config_simulated_lines")
