"""The systemd units: valid to systemd, and what they start really starts."""

from __future__ import annotations

import os
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
from terminal.cli.app import whole
from terminal.collector.store import CollectorStore
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
from tests.terminal.cli.conftest import ENVIRONMENT, Run
from tests.terminal.operations.service import Manager, manager

ROOT = Path(__file__).resolve().parents[3]
UNITS = ROOT / "packaging" / "systemd"
START = ROOT / "packaging" / "deb" / "terminal" / "start"
INSTALLED = re.compile(r"/usr/(?:lib/resident-\w+/(?:bin/terminal|start|advice)|bin/cage)(?= )")
BACKUP = ("terminal-backup@.service", "terminal-backup@.timer")
AROUND = ("terminal-advice@.service", "terminal-kiosk.service", "terminal-setup@.service")
CREDENTIALS = "243"
"""How systemd ends a unit whose credential cannot be opened."""
BANK = ("collector-bank.service", "collector-bank.timer")
STATE = {"terminal@.service": "resident-terminal/70001", "collector.service": "resident-collector"}


@pytest.fixture
def systemd() -> Iterator[Manager]:
    with manager() as made:
        yield made


def settings(unit: Path) -> dict[str, str]:
    """The settings of a unit, the last one of each name."""
    text = unit.read_text().replace("\\\n", " ")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def program(folder: Path) -> Path:
    """The tree's program in place of the installed one."""
    made = folder / "terminal"
    made.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m terminal.cli.app "$@"\n')
    made.chmod(0o755)
    return made


def start_script(folder: Path, configurations: Path) -> Path:
    """What the units start, with this folder's configurations and this tree's program."""
    text = START.read_text()
    for installed, here in (
        ("folder=/etc/resident-terminal", f"folder='{configurations}'"),
        ("/usr/lib/resident-terminal/bin/terminal", str(program(folder))),
    ):
        assert text.count(installed) == 1
        text = text.replace(installed, here)
    made = folder / "start"
    made.write_text(text)
    made.chmod(0o755)
    return made


def started(folder: Path, keys: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`start` for terminal 7 with these credentials, in a folder that has a configuration or not."""
    (folder / "terminal-keys").write_text(keys)
    environment = {
        **ENVIRONMENT,
        "CREDENTIALS_DIRECTORY": str(folder),
        "STATE_DIRECTORY": str(folder / "state"),
    }
    command = [start_script(folder, folder), *(words or ("run", "7"))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_terminal_without_a_file_of_its_own_is_told_what_to_do(tmp_path: Path) -> None:
    done = started(tmp_path, LAB_KEYS.read_text())
    assert done.returncode == ConfigError.exit_code
    assert "config init" in done.stderr
    assert "--number 7" in done.stderr


def test_a_terminal_that_was_set_up_by_pages_has_its_file_beside_its_journal(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "terminal.toml").write_text("[terminal]\nnumber = 0\n")
    done = started(tmp_path, "none")
    assert done.returncode == ConfigError.exit_code
    assert "state/terminal.toml:2: terminal.number" in done.stderr
    ended = started(tmp_path, "none", "setup", "7")
    assert (ended.returncode, ended.stderr) == (0, ""), "its unit starts the terminal"


@pytest.mark.parametrize("line", ["number = 70001", "number = 77", "# number = 7"])
def test_the_file_of_another_terminal_is_not_taken(tmp_path: Path, line: str) -> None:
    (tmp_path / "terminal.toml").write_text(f"[terminal]\n{line}\n")
    done = started(tmp_path, LAB_KEYS.read_text())
    assert done.returncode == ConfigError.exit_code
    assert "Set number = 7 " in done.stderr


@pytest.mark.parametrize("instance", ["seven", "07", ".*", ""])
def test_an_instance_that_is_no_number_is_refused(tmp_path: Path, instance: str) -> None:
    (tmp_path / "terminal.toml").write_text("[terminal]\nnumber = 7\n")
    done = started(tmp_path, LAB_KEYS.read_text(), "run", instance)
    assert done.returncode == ConfigError.exit_code
    assert f"terminal@{instance}: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_terminal_without_keys_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "terminal.toml").write_text("[terminal]\nnumber = 7  # ours\n")
    unit = settings(UNITS / "terminal@.service")
    name, word = unit["SetCredential"].split(":")
    done = started(tmp_path, word)
    assert done.returncode == KeyFileError.exit_code
    assert done.stderr.count("\n") == 1
    assert unit["LoadCredential"].partition(":")[::2] == (name, "/etc/resident-terminal/keys.toml")
    assert "keys.toml" in done.stderr


@pytest.mark.parametrize(("status", "said"), [("243", "cannot be opened"), ("11", ""), ("", "")])
def test_the_advice_is_about_what_the_program_could_not_say(status: str, said: str) -> None:
    done = subprocess.run(
        [ROOT / "packaging" / "deb" / "terminal" / "advice", "7"],
        env={"MONITOR_EXIT_STATUS": status, "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert bool(done.stderr) is bool(said)
    assert said in done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here (Debian: systemd)")
@pytest.mark.parametrize("name", [*STATE, *BACKUP, *BANK, *AROUND])
def test_systemd_understands_every_line(tmp_path: Path, name: str) -> None:
    """The programs are put where there are some; nothing else is changed."""
    for unit in (*STATE, *BACKUP, *BANK, *AROUND):
        text = (UNITS / unit).read_text()
        assert unit.endswith(".timer") or INSTALLED.search(text)
        (tmp_path / unit).write_text(INSTALLED.sub("/bin/true", text))
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
    shutil.copy(LAB_KEYS, credentials / "terminal-keys")
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
    if "terminal" in name:
        config.rename(config.with_name("70001.toml"))
        command = [str(start_script(tmp_path, config.parent)), "run", "70001"]
        assert shlex.split(unit["ExecStart"]) == ["/usr/lib/resident-terminal/start", "run", "%i"]
    else:
        words = shlex.split(unit["ExecStart"].replace("${STATE_DIRECTORY}", str(state)))
        assert (words[0], words[-1]) == ("/usr/lib/resident-collector/bin/terminal", "$COLLECTOR_OPTIONS")
        command = [str(program(tmp_path)), *words[1:-1], *options.split()]
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
        name for option in typer.main.get_command(whole()).commands["backup"].params for name in option.opts
    }
    assert words == ["/usr/lib/resident-terminal/start", "backup", "%i", "/mnt/backup/%i.backup"]
    given = set(re.findall(r"--[a-z]+", START.read_text().splitlines()[-1]))
    assert given == {"--config", "--state", "--keys"}
    assert given <= known


def test_bank_cards_are_settled_once_as_their_unit_says(tmp_path: Path) -> None:
    """With the keys that systemd hands over, and never with the laboratory's in their place."""
    unit, state = settings(UNITS / BANK[0]), tmp_path / "state"
    state.mkdir(mode=0o700)
    CollectorStore(state / "collector.db").close()
    words = shlex.split(unit["ExecStart"])
    assert words[-1] == "$BANK_OPTIONS"
    places = {"${STATE_DIRECTORY}": str(state), "${CREDENTIALS_DIRECTORY}": str(tmp_path)}
    for place, here in places.items():
        words = [word.replace(place, here) for word in words]

    def settled() -> subprocess.CompletedProcess[str]:
        environment = {**ENVIRONMENT, "CREDENTIALS_DIRECTORY": str(tmp_path)}
        command = [str(program(tmp_path)), *words[1:-1]]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    without = settled()
    assert (without.returncode, without.stderr.count("\n")) == (KeyFileError.exit_code, 1), without.stderr
    assert not (state / "bank").exists()
    shutil.copy(LAB_KEYS, tmp_path / "terminal-keys")
    (tmp_path / "terminal-keys").chmod(0o400)
    done = settled()
    assert (done.returncode, done.stderr) == (0, "")
    assert "rides proven 0" in done.stdout
    assert (state / "bank/acquirer/out").is_dir()


def test_the_example_is_what_config_init_writes_and_is_sound(run: Run, tmp_path: Path) -> None:
    made = ("--service", "--number", 70001, "--collector", "https://collector.example:8470")
    assert run("config", "init", "70001.toml", *made).returncode == 0
    text = (UNITS / "example.toml").read_text("utf-8")
    assert (tmp_path / "70001.toml").read_text("utf-8") == text
    assert mistakes_in(text, "70001.toml") == []


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
    assert given_up == [*(str(error.exit_code) for error in errors), CREDENTIALS]


@pytest.mark.parametrize("name", [*STATE, BACKUP[0], BANK[0]])
def test_a_unit_gives_its_process_nothing_it_does_not_need(name: str) -> None:
    unit = settings(UNITS / name)
    assert unit["CapabilityBoundingSet"] == ""
    assert (unit["UMask"], unit["StateDirectoryMode"], unit["LimitCORE"]) == ("0077", "0700", "0")
    for yes in ("NoNewPrivileges", "ProtectHome", "PrivateUsers", "MemoryDenyWriteExecute"):
        assert unit[yes] == "yes", yes
    assert unit.get("PrivateDevices") == "yes" or unit["DevicePolicy"] == "closed"
    assert unit["ProtectSystem"] == "strict"
    assert unit["SystemCallFilter"] == "~@privileged"
