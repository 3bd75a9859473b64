"""Walk every world that can be reached, breadth first, each once.

    python -m tests.formal.explore [WALK [PRESENTATIONS [CRASHES [PULLS]]]]

names one of `WALKS`, all of them by default, and may take it deeper.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tests.formal.books import check_at_any_moment, check_closing
from tests.formal.rides import CLOCKS, SIGHTINGS, Broken, Rules
from tests.formal.steps import successors
from tests.formal.world import Bounds, World, start

EACH_KIND: Final = (
    "right", "signed", "a day behind", "40 days ahead", "a day ahead, suspect", "40 days behind, suspect",
)  # fmt: skip
EACH_SIGHTING: Final = ("fresh", "arriving", "stale", "too old", "contradicted")
WALKS: Final = MappingProxyType(
    {
        "writes": Bounds(4, 1),
        "check-in": Bounds(4, 0, 2, check_in=True, moves=("soon", "on", "late")),
        "check-in and a crash": Bounds(3, 1, 1, check_in=True, moves=("soon", "on", "late")),
        "two cards": Bounds(3, 0, 1, cards=2, check_in=True, moves=("soon", "on", "late")),
        "two cards and a crash": Bounds(
            2, 1, 1, cards=2, check_in=True, denial=True, moves=("soon", "on", "late")
        ),
        "every clock": Bounds(3, 0, 0, terminals=1, moves=("soon", "tomorrow"), clocks=tuple(CLOCKS)),
        "clocks": Bounds(4, 0, 0, terminals=1, moves=("soon", "tomorrow"), clocks=EACH_KIND),
        "torn writes by wrong clocks": Bounds(3, 0, 1, moves=("soon", "tomorrow"), clocks=EACH_KIND),
        "check-in by wrong clocks": Bounds(
            3, 0, 0, terminals=1, check_in=True, moves=("soon", "on", "tomorrow"), clocks=EACH_KIND
        ),
        "check-in at uncertain places": Bounds(
            6, 0, 0, terminals=1, check_in=True, moves=("on", "late"), sightings=tuple(SIGHTINGS)
        ),
        "torn check-ins at uncertain places": Bounds(
            3, 1, 1, terminals=1, check_in=True, moves=("soon", "on", "late"), sightings=EACH_SIGHTING
        ),
    }
)
"""What is walked in every run of the tests; each takes some seconds."""


@dataclass(frozen=True)
class Explored:
    """How far it went."""

    bounds: Bounds
    worlds: int
    steps: int
    closings: int
    deepest: int

    def __str__(self) -> str:
        bounds = self.bounds
        return (
            f"{self.worlds} worlds, {self.steps} steps, {self.closings} closings, at most {self.deepest} steps deep "
            f"({bounds.presentations} presentations, {bounds.crashes} crashes, {bounds.pulls} pulls, "
            f"{bounds.cards} cards, {len(bounds.clocks)} clocks, {len(bounds.sightings)} ways to know a place)"
        )


def explore(bounds: Bounds, rules: Rules | None = None, *, any_prefix: bool = False) -> Explored:
    """Raises `Broken` naming the shortest way to a world that must not be.

    `any_prefix` lets the collector look at every pair of journal prefixes and not only at whole journals.
    """
    rules = rules or Rules()
    first = start(bounds)
    came_from: dict[World, tuple[World | None, str]] = {first: (None, "")}
    layer, deepest, steps = [first], 0, 0
    closed: set[tuple[object, ...]] = set()
    while layer:
        following = []
        for world in layer:
            try:
                for name, after in successors(world, rules, bounds):
                    steps += 1
                    if after not in came_from:
                        came_from[after] = (world, name)
                        following.append(after)
                _close(world, rules, bounds, closed, any_prefix=any_prefix)
            except Broken as broken:
                raise Broken(f"{broken}; after: {' / '.join(_way(came_from, world))}") from broken
        layer = following
        deepest += bool(layer)
    return Explored(bounds, len(came_from), steps, len(closed), deepest)


def _close(
    world: World, rules: Rules, bounds: Bounds, closed: set[tuple[object, ...]], *, any_prefix: bool
) -> None:
    known = (*(card.events for card in world.cards), world.journals)
    if world.running is not None or known in closed:
        return
    closed.add(known)
    check_closing(world, rules, bounds)
    if any_prefix:
        check_at_any_moment(world)


def _way(came_from: dict[World, tuple[World | None, str]], world: World) -> list[str]:
    names: list[str] = []
    at: World | None = world
    while at is not None:
        at, name = came_from[at]
        names.append(name)
    return names[-2::-1]


def main(arguments: list[str]) -> None:
    names = arguments[:1] or list(WALKS)
    deeper = dict(zip(("presentations", "crashes", "pulls"), map(int, arguments[1:]), strict=False))
    for name in names:
        started = time.monotonic()
        explored = explore(WALKS[name]._replace(**deeper))
        print(f"{name}: {explored} in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
