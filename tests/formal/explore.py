"""Walk every world that can be reached, breadth first, each once: `python -m tests.formal.explore [TAPS [CRASHES]]`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from tests.formal.world import (
    START,
    Broken,
    Rules,
    World,
    check_books,
    check_closing,
    on_card,
    successors,
)


@dataclass(frozen=True)
class Explored:
    """How far it went."""

    presentations: int
    crashes: int
    worlds: int
    steps: int
    closings: int
    deepest: int

    def __str__(self) -> str:
        return (
            f"{self.worlds} worlds, {self.steps} steps, {self.closings} closings, at most {self.deepest} steps deep "
            f"({self.presentations} presentations, {self.crashes} crashes)"
        )


def explore(
    presentations: int, crashes: int, rules: Rules | None = None, *, any_prefix: bool = False
) -> Explored:
    """Raises `Broken` naming the shortest way to a world that must not be.

    `any_prefix` lets the collector look at every pair of journal prefixes and not only at whole journals.
    """
    rules = rules or Rules()
    came_from: dict[World, tuple[World | None, str]] = {START: (None, "")}
    layer, deepest, steps = [START], 0, 0
    closed: set[tuple[object, ...]] = set()
    while layer:
        following = []
        for world in layer:
            try:
                for name, after in successors(world, rules, (presentations, crashes)):
                    steps += 1
                    if after not in came_from:
                        came_from[after] = (world, name)
                        following.append(after)
                if on_card(world) is None and (world.events, world.journals) not in closed:
                    closed.add((world.events, world.journals))
                    _close(world, rules, any_prefix)
            except Broken as broken:
                raise Broken(f"{broken}; after: {' / '.join(_way(came_from, world))}") from broken
        layer = following
        deepest += bool(layer)
    return Explored(presentations, crashes, len(came_from), steps, len(closed), deepest)


def _close(world: World, rules: Rules, any_prefix: bool) -> None:
    check_closing(world, rules)
    if any_prefix:
        for first in range(len(world.journals[0]) + 1):
            for second in range(len(world.journals[1]) + 1):
                check_books(world, (first, second))


def _way(came_from: dict[World, tuple[World | None, str]], world: World) -> list[str]:
    names: list[str] = []
    at: World | None = world
    while at is not None:
        at, name = came_from[at]
        names.append(name)
    return names[-2::-1]


if __name__ == "__main__":
    limits = [int(argument) for argument in sys.argv[1:]] + [4, 1][len(sys.argv) - 1 :]
    started = time.monotonic()
    print(explore(*limits), f"in {time.monotonic() - started:.1f} s")
