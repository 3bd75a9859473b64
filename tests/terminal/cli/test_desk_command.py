"""`terminal desk` as a program: it says where it is, answers there, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

END_S = 30


def started(*options: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "terminal.cli.app", "desk", "--port", "0", "--no-open", *options]
    surroundings = os.environ | {"TMPDIR": str(folder)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_address_and_ends_when_told(tmp_path: Path, end: signal.Signals) -> None:
    desk = started("--no-collector", folder=tmp_path)
    assert desk.stdout is not None
    with desk.stdout as lines:
        line = lines.readline()
        assert line.startswith("The desk is open: http://127.0.0.1:")
        with urlopen(line.split()[4]) as page:
            assert "<title>The desk</title>" in page.read().decode()
        assert list(tmp_path.glob("resident-card-desk-*"))
        desk.send_signal(end)
        assert desk.wait(END_S) == 0
    assert list(tmp_path.glob("resident-card-desk-*")) == []


def test_its_folder_stays_when_asked_and_the_collector_goes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    desk = started("--state", str(state), "--scene", folder=tmp_path)
    assert desk.stdout is not None
    with desk.stdout as lines:
        lines.readline()
        desk.send_signal(signal.SIGTERM)
        assert desk.wait(END_S) == 0
    assert (state / "session-1" / "70001" / "journal.db").is_file()
    assert (state / "session-1" / "collector" / "collector.db").is_file()
    assert not list((state / "session-1" / "collector").glob("*-wal"))


def test_a_taken_port_is_said_in_a_sentence(tmp_path: Path) -> None:
    first = started("--no-collector", folder=tmp_path)
    assert first.stdout is not None
    with first.stdout as lines:
        port = lines.readline().split()[4].rstrip("/").rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "terminal.cli.app", "desk", "--port", port, "--no-open", "--no-collector"],
            capture_output=True,
            text=True,
            check=False,
            timeout=END_S,
        )
        assert second.returncode == 41
        assert "in use by another program" in second.stderr
        first.terminate()
        first.wait(END_S)
