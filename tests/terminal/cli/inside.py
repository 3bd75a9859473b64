"""Commands run inside the test's own process: the same words, exit codes and output, without the start of Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from terminal.cli.app import main


class Told(NamedTuple):
    """What a command answered."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Told]


def runner(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("policy", "check", …)` runs `terminal policy check …` in `folder`."""
    monkeypatch.chdir(folder)

    def run_one(*arguments: object) -> Told:
        monkeypatch.setattr(sys, "argv", ["terminal", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        code = ended.value.code
        return Told(code if isinstance(code, int) else 0, *capfd.readouterr())

    return run_one
