"""`python -m tests.mutants`: try every mutant of the listed lines, or a seeded sample.

Ends with 1 when one survives that is not listed as equivalent.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.mutants.plan import Mutant, Planted, is_equivalent, listed, mutants_of, planted
from tests.mutants.trial import Tree, Verdict, tree


def main() -> None:
    """Parse, try, report."""
    asked = _arguments()
    chosen: list[Mutant | Planted] = [one for one in planted() if asked.module in one.module]
    if not asked.planted:
        changes = [
            mutant for lines in listed() if asked.module in lines.module for mutant in mutants_of(lines)
        ]
        chosen = [*sample(changes, asked.sample, asked.seed)] if asked.sample else [*chosen, *changes]
    if asked.count:
        print(f"{len(chosen)} mutants")
        return
    if asked.workers > 1:
        sys.exit(_side_by_side(asked.workers))
    chosen = chosen[asked.part - 1 :: asked.parts]
    with tree() as copy:
        survivors = try_all(copy, chosen)
    sys.exit(bool(survivors))


def sample(mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many, from few modules, so that their tests are timed once: the same for one seed."""
    rng = random.Random(seed)
    modules = rng.sample(
        sorted({one.module for one in mutants}), min(3, len({one.module for one in mutants}))
    )
    among = [one for one in mutants if one.module in modules]
    return sorted(rng.sample(among, min(count, len(among))), key=lambda one: (one.module, one.number))


def try_all(copy: Tree, mutants: Sequence[Mutant | Planted]) -> list[Mutant | Planted]:
    """Those that survive and are not listed as equivalent, each said as it is found."""
    found: Counter[str] = Counter()
    survivors: list[Mutant | Planted] = []
    begun = time.monotonic()
    groups: dict[tuple[str, ...], list[Mutant | Planted]] = {}
    for mutant in mutants:
        if isinstance(mutant, Mutant) and is_equivalent(mutant):
            found["equivalent"] += 1
        else:
            groups.setdefault(mutant.tests, []).append(mutant)
    for tests, group in groups.items():
        for mutant, verdict in copy.verdicts(tests, group):
            found[verdict] += 1
            if verdict is Verdict.SURVIVED:
                survivors.append(mutant)
                print(f"SURVIVED {mutant}", flush=True)
    said = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    print(f"{len(mutants)} mutants in {time.monotonic() - begun:.0f} s: {said}", flush=True)
    return survivors


def _side_by_side(workers: int) -> int:
    """The same in so many processes, each with a copy of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.mutants",
        *sys.argv[1:],
        "--workers",
        "1",
        "--parts",
        str(workers),
    ]
    started = [subprocess.Popen([*command, "--part", str(part)]) for part in range(1, workers + 1)]
    return max(process.wait() for process in started)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--module", default="", help="only modules with this in their path")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--planted", action="store_true", help="only the mistakes of planted.toml")
    parser.add_argument("--workers", type=int, default=2, help="processes side by side")
    parser.add_argument("--part", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--parts", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help="only say how many there are")
    return parser.parse_args()


if __name__ == "__main__":
    main()
