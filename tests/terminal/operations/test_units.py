"""The systemd units: valid to systemd, and what they start really starts."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from sim.profile import LAB_KEYS
from terminal.app.config.mistakes import mistakes_in
from terminal.app.config.read import parse
from terminal.app.config.rules import missing_files
from terminal.cli.app import whole
from terminal.errors import (
    ConfigError,
    JournalDamaged,
    JournalSealed,
    KeyFileError,
    OtherSoftware,
    RegionDocumentError,
    RosterError,
)
from tests.config_file import config_file
from tests.terminal.cli.conftest import Run
from tests.terminal.operations.service import Manager, manager

ROOT = Path(__file__).resolve().parents[3]
UNITS = ROOT / "packaging" / "systemd"
PROGRAM = "/opt/resident-card-terminal/.venv/bin/terminal"
BACKUP = ("terminal-backup@.service", "terminal-backup@.timer")
STATE = {"terminal@.service": "resident-terminal/70001", "collector.service": "resident-collector"}


@pytest.fixture
def systemd() -> Iterator[Manager]:
    with manager() as made:
        yield made


def settings(unit: Path) -> dict[str, str]:
    """The settings of a unit, the last one of each name."""
    text = unit.read_text().replace("\\\n", " ")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here (Debian: systemd)")
@pytest.mark.parametrize("name", [*STATE, *BACKUP])
def test_systemd_understands_every_line(tmp_path: Path, name: str) -> None:
    """The programs are put where there are some; nothing else is changed."""
    for unit in (*STATE, *BACKUP):
        (tmp_path / unit).write_text((UNITS / unit).read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("terminal@.service", ""),
        ("collector.service", "--port 0"),
    ],
)
def test_what_a_unit_starts_runs_in_its_folder(
    systemd: Manager, tmp_path: Path, name: str, options: str
) -> None:
    """Its own command line, in an environment as systemd makes it, up to READY=1 and a clean stop."""
    unit = settings(UNITS / name)
    credentials, state = tmp_path / "credentials", tmp_path / unit["StateDirectory"].replace("%i", "70001")
    credentials.mkdir()
    state.mkdir(parents=True, mode=int(unit["StateDirectoryMode"], 8))
    shutil.copy(LAB_KEYS, credentials / unit.get("LoadCredential", "none:").partition(":")[0])
    environment = {
        **systemd.environment(float(unit["WatchdogSec"])),
        "STATE_DIRECTORY": str(state),
        "CREDENTIALS_DIRECTORY": str(credentials),
        "JOURNAL_STREAM": "8:1",
    }
    config = config_file(
        tmp_path,
        terminal={"profile": "bus", "region": "demo"},
        reader={"name": "sim:"},
        shift={"operator": "17"},
        metrics={"port": 0},
        log={"format": "json"},
    )
    words: list[str] = []
    for word in shlex.split(unit["ExecStart"].replace("%i", "70001")):
        if word == "/etc/resident-terminal/70001.toml":
            words.append(str(config))
        elif word == "$COLLECTOR_OPTIONS":
            words += options.split()
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda found: environment[found[1]], word))
    assert words[0] == PROGRAM
    command = [sys.executable, "-m", "terminal.cli.app", *words[1:]]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert systemd.hear_until("READY")["READY"] == "1"
        process.terminate()
        systemd.hear_until("STOPPING")
        _, said = process.communicate(timeout=float(unit["TimeoutStopSec"]))
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0, said
    assert (state / ("journal.db" if "terminal" in name else "collector.db")).exists()


def test_the_backup_is_a_command_line() -> None:
    words = shlex.split(settings(UNITS / BACKUP[0])["ExecStart"])
    known = {
        name for option in typer.main.get_command(whole()).commands[words[1]].params for name in option.opts
    }
    assert words[:2] == [PROGRAM, "backup"]
    assert {word for word in words if word.startswith("--")} <= known


def test_the_example_is_what_config_init_writes_and_is_sound(run: Run, tmp_path: Path) -> None:
    made = ("--service", "--number", 70001, "--collector", "https://collector.example:8470")
    assert run("config", "init", "70001.toml", *made).returncode == 0
    text = (UNITS / "example.toml").read_text("utf-8")
    assert (tmp_path / "70001.toml").read_text("utf-8") == text
    assert mistakes_in(text, "70001.toml") == []


def test_the_guide_installs_every_file_that_units_and_example_name() -> None:
    """An install line's sources are in the repository, and what is read from /etc has an install line."""
    guide = (ROOT / "docs" / "operations.md").read_text()
    installed = re.findall(r"install -m \d+ (.+?) (/etc/\S+)", guide)
    for sources, _ in installed:
        assert all(any(ROOT.glob(source)) for source in sources.split()), sources
    folder = Path("/etc/resident-terminal")
    units = "".join((UNITS / name).read_text() for name in ("terminal@.service", BACKUP[0]))
    of_units = set(re.findall(rf"{folder}/[\w.-]+", units.replace("%i", "70001")))
    _, config = parse(folder / "70001.toml", (UNITS / "example.toml").read_text("utf-8"))
    of_example = {str(mistake.values["path"]) for mistake in missing_files(config)}
    made = set(re.findall(rf"terminal config init ({folder}/\S+)", guide))
    targets = {target for _, target in installed if target.startswith(f"{folder}/")}
    assert of_units | of_example == targets | made
    assert str(config.keys.file) in of_units


def test_what_a_person_must_look_at_first_is_not_started_again_and_again() -> None:
    given_up = settings(UNITS / "terminal@.service")["RestartPreventExitStatus"].split()
    errors = (
        RegionDocumentError,
        KeyFileError,
        RosterError,
        ConfigError,
        JournalDamaged,
        JournalSealed,
        OtherSoftware,
    )
    assert given_up == [str(error.exit_code) for error in errors]


@pytest.mark.parametrize("name", [*STATE, BACKUP[0]])
def test_a_unit_gives_its_process_nothing_it_does_not_need(name: str) -> None:
    unit = settings(UNITS / name)
    assert unit["CapabilityBoundingSet"] == ""
    assert (unit["UMask"], unit["StateDirectoryMode"], unit["LimitCORE"]) == ("0077", "0700", "0")
    for yes in ("NoNewPrivileges", "ProtectHome", "PrivateDevices", "PrivateUsers", "MemoryDenyWriteExecute"):
        assert unit[yes] == "yes", yes
    assert unit["ProtectSystem"] == "strict"
    assert unit["SystemCallFilter"] == "~@privileged"
