"""Measurements of `make bench` whose code no check of types sees, or that put a terminal together themselves, run."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.terminal.cli.conftest import ENVIRONMENT
from tests.test_project import ROOT


def measured(*command: str) -> list[str]:
    """What the lines of a part of `make bench` are about."""
    done = subprocess.run(
        (sys.executable, "-m", *command),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["bench"] for line in done.stdout.splitlines()]


def test_a_terminal_that_works_for_long_can_be_measured() -> None:
    """Its clock is not the collector's, and each of its taps has to be let in."""
    names = measured("bench.idle", "60")
    assert [name.split()[2] for name in names] == ["memory", "threads", "file"]


def test_what_loads_a_feed_in_a_process_of_its_own_can_be_measured() -> None:
    assert measured("bench", "gtfs.memory") == ["memory of loaded GTFS fares"]
