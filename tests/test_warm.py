"""A command forked from the warm process against the same command started by exec: nothing tells them apart.

One of each group of commands is run both ways, so that each is also run by a fresh Python that imported nothing before.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminal.cli.app import COMMANDS, GROUPS
from tests import warm
from tests.terminal.cli.conftest import ENVIRONMENT, command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked warm on Linux alone")

PROBE = "tests.warm_probe"
ONE_OF_EACH = {
    "run": ("run", "--config", "none.toml"),
    "setup": ("setup", "none.toml", "--passphrase-file", "none"),
    "health": ("health", "--state", "none"),
    "peers": ("peers", "--state", "none"),
    "backup": ("backup", "--state", "none", "none.bak"),
    "restore": ("restore", "none.bak", "--state", "none"),
    "demo": ("demo", "--nonsense"),
    "desk": ("desk", "--port", "-1"),
    "storm": ("storm", "20", "--terminals", "2", "--cards", "3", "--jobs", "0"),
    "sync": ("sync", "--state", "none"),
    "enrol": ("enrol", "--state", "none"),
    "audit": ("audit", "--help"),
    "collector": ("collector", "status", "--folder", "none"),
    "fleet": ("fleet", "status"),
    "config": ("config", "check", "none.toml"),
    "shift": ("shift", "show", "--state", "none"),
    "staff": ("staff", "check", "none.toml"),
    "card": ("card", "read", "--reader", "sim:nobody"),
    "clock": ("clock", "show", "--state", "none"),
    "journal": ("journal", "show", "--state", "none"),
    "keys": ("keys", "show", "none.keys"),
    "identity": ("identity", "show", "--state", "none"),
    "canteen": ("canteen", "report", "--state", "none"),
    "export": ("export", "--help"),
    "policy": ("policy", "check", "none.toml"),
    "publish": ("publish", "status", "none"),
    "deny": ("deny", "show", "--folder", "none"),
    "updates": ("updates", "--help"),
    "trust": ("trust", "none.json", "--sha256", "00", "--state", "none"),
    "city": ("city", "--terminals", "0"),
    "receipt": ("receipt", "none"),
    "explain": ("explain", "--card", "none"),
}
"""Those that fail at once do so after the start, which is what could differ."""


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "MODULES", warm.MODULES | {PROBE})


@pytest.fixture
def fresh() -> Iterator[None]:
    before = warm.only_fresh(True)
    yield
    warm.only_fresh(before)


def both(words: list[str], folder: Path, **options: object) -> Iterator[tuple[bool, int, bytes, bytes]]:
    """How it was started, how it ended, and both outputs: warm, then fresh."""
    for is_fresh in (False, True):
        before = warm.only_fresh(is_fresh)
        try:
            with subprocess.Popen(  # type: ignore[call-overload]
                words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
            ) as process:
                output, errors = process.communicate(timeout=60)
        finally:
            warm.only_fresh(before)
        assert process.warm is not is_fresh
        yield process.warm, process.returncode, output, errors


def test_there_is_one_of_each() -> None:
    assert set(ONE_OF_EACH) == {*COMMANDS, *GROUPS}


@pytest.mark.parametrize("words", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_a_command_says_the_same_both_ways(words: tuple[str, ...], tmp_path: Path) -> None:
    (_, *forked), (_, *started) = both(command(words), tmp_path, env=ENVIRONMENT)
    assert forked == started
    assert forked[0] != 1, forked[2].decode()


def test_the_simulator_says_the_same_both_ways(tmp_path: Path) -> None:
    (_, *forked), (_, *started) = both(command(("profiles",), "sim.cli.app"), tmp_path, env=ENVIRONMENT)
    assert forked == started
    assert forked[0] == 0


@pytest.mark.usefixtures("probed")
def test_a_process_is_what_a_fresh_one_is(tmp_path: Path) -> None:
    """Its parent, folder, arguments, streams, handlers, threads, descriptors, limits, mask, path and main module."""
    environment = {**ENVIRONMENT, "TZ": "Asia/Omsk", "ONLY": "here", "BYTES": os.fsdecode(b"\xff")}
    (_, *forked), (_, *started) = both(
        [sys.executable, "-m", PROBE, "one two", "ж"],
        tmp_path,
        env=environment,
        umask=0o027,
        stdin=subprocess.DEVNULL,
    )
    assert forked[0] == started[0] == 7, started[2]
    is_warm, is_fresh = json.loads(forked[1]), json.loads(started[1])
    assert is_fresh["parent"] == os.getpid()
    assert is_warm == is_fresh
    assert forked[2] == started[2]


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_it_and_its_parent_hears_which(sent: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", PROBE, "wait"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"waiting\n"
    assert process.poll() is None
    os.kill(process.pid, sent)
    assert process.wait(20) == -sent
    assert not Path(f"/proc/{process.pid}").exists()
    process.stdout.close()


@pytest.mark.parametrize(
    "options",
    [
        {"env": {**ENVIRONMENT, "PYTHONHASHSEED": "1"}},
        {"env": {**ENVIRONMENT, "LC_ALL": "POSIX"}},
        {"env": {**ENVIRONMENT, "PYTHONPATH": "/nowhere"}},
        {"preexec_fn": lambda: None},
        {"start_new_session": True},
    ],
    ids=["hash seed", "locale", "path", "limits", "session"],
)
def test_what_forking_cannot_give_is_started_afresh(options: dict, tmp_path: Path) -> None:
    with subprocess.Popen(command(("--version",)), stdout=subprocess.DEVNULL, **options) as process:
        assert not process.warm  # type: ignore[attr-defined]


@pytest.mark.fresh
def test_a_mark_keeps_a_test_to_fresh_processes() -> None:
    with subprocess.Popen(command(("--version",)), stdout=subprocess.DEVNULL) as process:
        assert not process.warm  # type: ignore[attr-defined]


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.run(command(("--version",)), cwd=tmp_path / "none", check=False)


def test_the_warm_process_itself_has_one_thread_and_imports_are_named() -> None:
    subprocess.run(command(("--version",)), check=True, stdout=subprocess.DEVNULL)
    (state,) = warm.warm_processes()
    threads = re.search(r"^Threads:\s+(\d+)$", Path(f"/proc/{state}/status").read_text(), re.MULTILINE)
    assert threads is not None
    assert threads[1] == "1"
