"""No core dump of a process that holds keys, with a control that shows that there would have been one; and no search
for cycles during a start.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from terminal.errors import ConfigError
from terminal.operations.memory import start_without_collections
from tests.terminal.cli.conftest import ENVIRONMENT
from tests.terminal.operations.service import running, waiting_terminal

pytestmark = pytest.mark.fresh  # what a start does to memory

CORES_ARE_FILES = not Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/"))
CRASH = """
import os, resource, sys
from terminal.operations.memory import dumpable, forbid_dumps
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
if sys.argv[1] == "guarded":
    forbid_dumps()
print(dumpable(), resource.getrlimit(resource.RLIMIT_CORE), flush=True)
os.abort()
"""


def crash(folder: Path, how: str) -> tuple[str, list[str]]:
    """What the process said of itself before it crashed, and the files it left."""
    finished = subprocess.run(
        [sys.executable, "-c", CRASH, how],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode < 0
    return finished.stdout.strip(), os.listdir(folder)


def test_a_guarded_process_leaves_no_core(tmp_path: Path) -> None:
    assert crash(tmp_path, "guarded") == ("False (0, 0)", [])


def test_without_the_guard_there_would_be_one(tmp_path: Path) -> None:
    """Unless cores go to a program on this machine, or are forbidden to everybody here."""
    said, left = crash(tmp_path, "bare")
    assert said.startswith("True ")
    _, allowed = resource.getrlimit(resource.RLIMIT_CORE)
    assert bool(left) is (CORES_ARE_FILES and allowed != 0)


def test_a_terminal_that_is_shot_leaves_none_either(tmp_path: Path) -> None:
    with running(waiting_terminal(tmp_path / "state")) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if ": ready: " in line)
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


def test_cycles_are_searched_for_again_once_a_terminal_has_started() -> None:
    with start_without_collections() as started:
        assert not gc.isenabled()
        kept: list[list[object]] = [[]]
        started()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert not any(one is kept for one in gc.get_objects())
    gc.unfreeze()


def test_cycles_are_searched_for_again_where_the_start_failed() -> None:
    with pytest.raises(ConfigError), start_without_collections():
        raise ConfigError("no reader", "Name one.")
    assert gc.isenabled()
