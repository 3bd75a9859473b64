"""`python -m tests.oracle.planted [NAME …]`: mistakes planted in the product, and whether the oracle notices them.

Each runs in a process of its own (tests/planted.py).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.planted import ROOT, Mistake, mistakes_in, plant

LIST: Final = Path(__file__).with_name("planted.toml")
TAPS: Final = 28_000
"""How long the oracle looks for a difference."""
NOTICED: Final = 12


def mistakes() -> list[Mistake]:
    """Those of the list."""
    return mistakes_in(LIST)


def noticed(mistake: Mistake, taps: int = TAPS) -> subprocess.CompletedProcess[str]:
    """Run the oracle against the product with the mistake; it ends with `NOTICED` at the first difference."""
    command = [sys.executable, "-m", "tests.oracle.planted", "--run", mistake.name, str(taps)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def _run(name: str, taps: int) -> int:
    plant(next(mistake for mistake in mistakes() if mistake.name == name))
    from tests.oracle.life import DOCUMENTS, World, run  # noqa: PLC0415  # only now: it imports the product

    for path in DOCUMENTS:
        tally = run(World(path), taps // len(DOCUMENTS), seed=1, most=1)
        if tally.differences:
            print(f"after {tally.taps} taps of {path.stem}: {tally.differences[0].kind}")
            return NOTICED
    return 0


def main(names: Sequence[str]) -> int:
    """Plant each of the mistakes named, or all; code 1 when one goes unnoticed."""
    missed = 0
    for mistake in mistakes():
        if names and mistake.name not in names:
            continue
        done = noticed(mistake)
        missed += done.returncode != NOTICED
        said = (
            done.stdout.strip() if done.returncode == NOTICED else f"NOT NOTICED {done.stderr.strip()[-300:]}"
        )
        print(f"{mistake.name}: {said}")
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.exit(_run(sys.argv[2], int(sys.argv[3])))
    sys.exit(main(sys.argv[1:]))
