"""The measurements of `make bench` that put a terminal together themselves still run."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.terminal.cli.conftest import ENVIRONMENT
from tests.test_project import ROOT


def test_a_terminal_that_works_for_long_can_be_measured() -> None:
    """Its clock is not the collector's, and each of its taps has to be let in."""
    done = subprocess.run(
        (sys.executable, "-m", "bench.idle", "60"),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = [json.loads(line)["bench"] for line in done.stdout.splitlines()]
    assert [name.split()[2] for name in names] == ["memory", "threads", "file"]
