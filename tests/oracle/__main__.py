"""`python -m tests.oracle [TAPS [SEED]]`: so many taps over the documents, and the table of what was met."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.oracle.life import DOCUMENTS, REGIONS, Difference, Tally, World, run


def main(taps: int = 105_000, seed: int = 1, *names: str) -> int:
    """So many taps over the supplied documents, as many over each made-up one; code 12 when one differs."""
    documents = list(DOCUMENTS)
    if names:
        documents = [path if (path := Path(name)).exists() else REGIONS / f"{name}.toml" for name in names]
    tallies = {}
    for path in documents:
        begun = time.monotonic()
        tallies[path.stem] = tally = run(World(path), taps // min(3, len(documents)), seed)
        print(
            f"{path.stem}: {tally.taps} taps of {tally.lives} cards, {len(tally.differences)} differ"
            f" ({time.monotonic() - begun:.0f} s)"
        )
        kinds: dict[str, list[Difference]] = {}
        for difference in tally.differences:
            kinds.setdefault(difference.kind, []).append(difference)
        for kind, alike in kinds.items():
            print(f"-- {len(alike)} alike: {kind}\n{alike[0]}")
    _print_table(tallies)
    return 12 if any(tally.differences for tally in tallies.values()) else 0


def _print_table(tallies: dict[str, Tally]) -> None:
    outcomes = sorted({outcome for tally in tallies.values() for outcome in tally.outcomes})
    print(f"{'':32}" + "".join(f"{name:>12}" for name in tallies) + f"{'together':>12}")
    for outcome in outcomes:
        counts = [tally.outcomes[outcome] for tally in tallies.values()]
        print(f"{outcome:32}" + "".join(f"{count:12}" for count in (*counts, sum(counts))))


if __name__ == "__main__":
    taps, seed, *names = [*sys.argv[1:], *("105000", "1")[len(sys.argv) - 1 :]]
    sys.exit(main(int(taps), int(seed), *names))
