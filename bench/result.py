"""One measured line."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """`value` in `unit` beside `goal` ("<= 7"); `met` None where there is nothing to compare, `note` says why."""

    name: str
    value: float
    unit: str
    goal: str
    met: bool | None
    note: str = ""

    def print(self) -> None:
        line = {
            "bench": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "met": self.met,
        }
        if self.note:
            line["note"] = self.note
        print(json.dumps(line, ensure_ascii=False), flush=True)


def at_most(name: str, value: float, unit: str, limit: float, note: str = "") -> Result:
    return Result(name, value, unit, f"<= {limit:g}", value <= limit, note)


def at_least(name: str, value: float, unit: str, limit: float, note: str = "") -> Result:
    return Result(name, value, unit, f">= {limit:g}", value >= limit, note)


def in_turns_us(
    first: Callable[[], object], second: Callable[[], object], rounds: int = 60, each: int = 100
) -> tuple[float, float]:
    """Of each the process CPU time of one call in its fastest round, in microseconds: measured in turns, so that what
    else the machine does falls on both.
    """
    fastest = [float("inf")] * 2
    for _ in range(rounds):
        for number, work in enumerate((first, second)):
            fastest[number] = min(fastest[number], median_us(work, 1, each))
    return fastest[0], fastest[1]


def median_us(work: Callable[[], object], rounds: int = 30, each: int = 200) -> float:
    """Median over `rounds` of the process CPU time of one call, in microseconds."""
    samples = []
    for _ in range(rounds):
        start = time.process_time_ns()
        for _ in range(each):
            work()
        samples.append((time.process_time_ns() - start) / each / 1000)
    return statistics.median(samples)
