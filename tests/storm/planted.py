"""`python -m tests.storm.planted [NAME …]`: mistakes planted in the product, and whether a small stress run notices.

Each runs in a process of its own; every one must be caught.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.planted import ROOT, Mistake, mistakes_in, plant

LIST: Final = Path(__file__).with_name("planted.toml")
TAPS: Final = 2_000
SEED: Final = 11
NOTICED: Final = 12
LONGEST_S: Final = 600


def mistakes() -> list[Mistake]:
    """Those of the list."""
    return mistakes_in(LIST)


def noticed(mistake: Mistake) -> subprocess.CompletedProcess[str]:
    """Play a town of the product with the mistake; the process ends with `NOTICED` when it is not sound."""
    command = [sys.executable, "-m", "tests.storm.planted", "--run", mistake.name]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST_S)


def _play(mistake: Mistake) -> int:
    plant(mistake)
    from terminal.lab.stress.faults.plan import Kind  # noqa: PLC0415  # only now: it imports the product
    from terminal.lab.stress.run import TownSeed, play_town  # noqa: PLC0415

    town = TownSeed(mistake.seed or SEED, 6, 24, mistake.region or "demo")
    found = play_town(town, town.plan(mistake.taps or TAPS, frozenset(Kind)), at_once=True)
    print(f"{found.taps} taps: {'; '.join(found.problems[:2])}" if found.problems else "sound")
    return 0 if found.sound else NOTICED


def main(names: Sequence[str]) -> int:
    """Plant each of the mistakes named, or all; code 1 when one goes unnoticed."""
    missed = 0
    for mistake in mistakes():
        if names and mistake.name not in names:
            continue
        done = noticed(mistake)
        missed += done.returncode != NOTICED
        said = (
            done.stdout.strip()[:200] if done.returncode == NOTICED else f"NOT NOTICED {done.stderr[-400:]}"
        )
        print(f"{mistake.name}: {said}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.exit(_play(next(one for one in mistakes() if one.name == sys.argv[2])))
    sys.exit(main(sys.argv[1:]))
