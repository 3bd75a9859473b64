"""Commands as their users run them: processes of their own, judged by exit code and what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from terminal.app.config.read import VARIABLE
from terminal.cli.app import main

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]


def command(arguments: tuple[object, ...], program: str = "terminal.cli.app") -> list[str]:
    return [sys.executable, "-m", program, *map(str, arguments)]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("journal", "show", …)` runs `terminal journal show …` to its end."""

    def run_one(*arguments: object, program: str = "terminal.cli.app") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(arguments, program),
            check=False,
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run_one


@pytest.fixture
def run_config(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """The same, where `terminal config …`, which starts nothing, is called in this process: half a second less each."""

    def run_one(*arguments: object, program: str = "terminal.cli.app") -> subprocess.CompletedProcess[str]:
        if arguments[0] != "config":
            return run(*arguments, program=program)
        words = list(map(str, arguments))
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.delenv(VARIABLE, raising=False)
            patched.setattr(sys, "argv", ["terminal", *words])
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        code = ended.value.code
        return subprocess.CompletedProcess(words, code if isinstance(code, int) else 0, *capfd.readouterr())

    return run_one


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("collector", …)` starts a command; whatever still runs at the end of the test is ended by its id."""
    started: list[subprocess.Popen[str]] = []

    def start_one(*arguments: object, program: str = "terminal.cli.app") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(arguments, program),
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.terminate()
        process.communicate(timeout=20)
