"""What `terminal policy run` promises is what terminals started by `terminal run` do: `policy run REGION --live`.

Nothing here imports the product: commands are started, and what they print is compared. This is a seeded slice of the
supplied scenarios; `make live` plays them all, and again with failures.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "terminal" / "policy" / "scenarios"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
SEED = 13
SLICE = 2
"""Scenarios of a region besides those named."""
NAMED: dict[str, tuple[int, ...]] = {
    "belgorod": (9,),
    "sakhalin": (11, 17, 19, 21, 22),
    "tyumen": (10, 12),
    "bashkortostan": (9,),
    "chelyabinsk": (7,),
}
"""An old place and one that is contradicted; a distance, the display, cash that is not sold, a clock in doubt and the
end of the document; lists of every age and local grants; a roster; the end of a canteen's document."""
WITH_RESTARTS = "sakhalin"
COMPARED = ("message", "admission", "charge_minor", "balance_minor")


def run(*arguments: object) -> list[dict[str, Any]]:
    """The JSON lines of `terminal policy run`, which must find no difference."""
    command = [sys.executable, "-m", "terminal.cli.app", "policy", "run", *map(str, arguments), "--json"]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def taps_of(region: str) -> dict[int, list[dict[str, Any]]]:
    """The taps of each scenario as the pure run has them."""
    return {line["scenario"]: line["taps"] for line in run(region) if "scenario" in line}


def chosen(region: str, pure: dict[int, list[dict[str, Any]]]) -> list[int]:
    """The same slice in every run: short scenarios, and those that are named."""
    short = [number for number, taps in sorted(pure.items()) if len(taps) <= 10]
    drawn = random.Random(f"{SEED} {region}").sample(short, min(SLICE, len(short)))
    return sorted({*drawn, *NAMED[region]})


@pytest.mark.parametrize("region", sorted(NAMED))
def test_a_running_terminal_decides_what_the_pure_run_does(region: str) -> None:
    pure = taps_of(region)
    file = SCENARIOS / f"{region}.toml"
    numbers = chosen(region, pure)
    restarts = ("--restarts",) if region == WITH_RESTARTS else ()
    *lines, totals = run(region, *(f"{file}#{number}" for number in numbers), "--live", *restarts)
    played = {line["scenario"]: line for line in lines if "taps" in line}
    assert sorted(played) == numbers, "each of them, bank cards and cash as well"
    for number, scenario in played.items():
        live = [[tap[name] for name in COMPARED] for tap in scenario["taps"]]
        assert live == [[tap[name] for name in COMPARED] for tap in pure[number]], (number, scenario["name"])
        for tap, expected in zip(scenario["taps"], pure[number], strict=True):
            effects = [reason["effect"] for reason in expected["reasons"]]
            assert tap["reasons"] in (None, effects), (number, scenario["name"], "None of a sale for cash")
    assert totals["totals"]["scenarios"] == len(played)
    assert totals["totals"]["starts"] > 0


NOT_AGAIN = {"ozernoe": 5}
"""Taps that are not decided again: four of which lists had a word that are not at hand, one of a torn card."""
EXAMPLES = ROOT / "docs" / "examples" / "tariffs"


@pytest.mark.parametrize("region", ["lugovoe", "rechnoe", "ozernoe"])
def test_dearer_rides_and_ways_back_are_decided_alike_and_again(region: str, tmp_path: Path) -> None:
    """The tariff author's whole examples (T-30, T-38, T-39, bank cards), and the journals that their taps leave."""
    document, scenarios, kept = (
        EXAMPLES / f"{region}.toml",
        EXAMPLES / f"{region}_scenarios.toml",
        tmp_path / "kept",
    )
    pure = {line["scenario"]: line["taps"] for line in run(document, scenarios) if "scenario" in line}
    *lines, _ = run(document, scenarios, "--live", "--keep", kept)
    played = {line["scenario"]: line["taps"] for line in lines}
    assert len(pure) > 10
    for number, taps in pure.items():
        assert [[tap[name] for name in COMPARED] for tap in played[number]] == [
            [tap[name] for name in COMPARED] for tap in taps
        ]
    again = [_decided_again(state, document) for state in kept.glob("*/lane-*/state")]
    assert sum(one["recomputed"] for one in again) == sum(map(len, pure.values())) - NOT_AGAIN.get(region, 0)


def _decided_again(state: Path, document: Path) -> dict[str, Any]:
    """What `terminal journal recompute` finds; a tap that does not follow from its record ends it with another code."""
    command = [sys.executable, "-m", "terminal.cli.app", "journal", "recompute", "--state", state]
    done = subprocess.run(
        [*map(str, command), "--region", str(document), "--json"],
        check=False,
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    totals: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return totals


DEAF = """
import sys
if "run" in sys.orig_argv and "--config" in sys.orig_argv:
    from msgspec.structs import replace
    import terminal.trip.build as build
    knows = build.trip_of
    build.trip_of = lambda *parts, **more: replace(knows(*parts, **more), mode="bus")
"""
"""Terminals that never come to know on what they ride; the command that starts them does."""
METRO = 1


def test_a_terminal_that_never_comes_to_know_the_mode_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(DEAF, "utf-8")
    command = [sys.executable, "-m", "terminal.cli.app", "policy", "run", "st_petersburg", "--live", "--json"]
    file = SCENARIOS / "st_petersburg.toml"
    done = subprocess.run(
        [*command, f"{file}#{METRO}"],
        check=False,
        cwd=ROOT,
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 12, done.stdout[-2000:] + done.stderr
    scenario, totals = map(json.loads, done.stdout.splitlines())
    found = {one["what"] for tap in scenario["taps"] for one in tap["differences"]}
    assert (scenario["ok"], totals["totals"]["differing"]) == (False, 1)
    assert "charge_minor" in found
