"""A wrong tariff that is given to a city in steps: how many it refuses until it is withdrawn.

A terminal takes it at its first look after its step. It returns by itself once it has served `LEAST_TAPS` taps, or when
it hears that the collector has withdrawn it; the collector withdraws once as many taps of the group have reached it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil, inf
from random import Random
from typing import Final, NamedTuple

from terminal.lab.city.contact import Contact
from terminal.lab.city.timetable import DAY_S, HOUR_S, TerminalKind, Timetable

LEAST_TAPS: Final = 200
REFUSED_SHARE: Final = 0.05
"""Of fewer refusals no rule sees anything: a person does, after `PERSON_S`."""
PERSON_S: Final = 24 * HOUR_S
TAPS_A_DAY: Final = 600
BEGINS: Final = 10 * HOUR_S
STEP_S: Final = DAY_S
"""From one step to the next."""
CHECK_S: Final = 60.0
"""The collector sums up the group so often."""
HEARD_ALWAYS: Final = frozenset({TerminalKind.CONNECTED, TerminalKind.COUNTER})


class WrongTariff(NamedTuple):
    """`refused` of its taps are wrongly refused. `judged`: the collector withdraws it, not a person after a day."""

    refused: float
    judged: bool = True

    @property
    def shows(self) -> bool:
        """Whether a rule can see it."""
        return self.refused >= REFUSED_SHARE


class Harm(NamedTuple):
    """What it did: terminals that took it, taps it refused, seconds until withdrawn and until the last has returned."""

    reached: int
    refused_taps: float
    withdrawn_s: float
    last_s: float


@dataclass
class _Rollout:
    """One run. `events` are (moment, terminal); a terminal of -1 is the collector's look at the sums."""

    city: Sequence[Timetable]
    contact: Contact
    wrong: WrongTariff
    random: Random
    taken: dict[int, float] = field(default_factory=dict)
    events: list[tuple[float, int]] = field(default_factory=list)

    def withdrawn_at(self, steps: Sequence[int]) -> float:
        """Give it out by the percentages of `steps` until the collector, or a person, withdraws it."""
        first = 0
        for number, percent in enumerate(steps):
            moment, last = BEGINS + number * STEP_S, ceil(len(self.city) * percent / 100)
            for terminal in range(first, last):
                heard = self.contact.hears_at(self.city[terminal], moment, self.random)
                heappush(self.events, (heard, terminal))
            first = last
        person = inf if self.wrong.judged and self.wrong.shows else BEGINS + PERSON_S
        heappush(self.events, (BEGINS, -1))
        while self.events:
            at, terminal = heappop(self.events)
            if terminal >= 0:
                self.taken[terminal] = at
            elif at >= person or (person == inf and self._reported(at) >= LEAST_TAPS):
                return at
            else:
                heappush(self.events, (at + CHECK_S, -1))
        raise AssertionError("the collector looks until it has seen enough")

    def _reported(self, now: float) -> float:
        """Taps under it that the collector has: those of terminals that are heard now."""
        total = 0.0
        for terminal, since in self.taken.items():
            if self.city[terminal].kind in HEARD_ALWAYS or self.city[terminal].is_heard(now):
                total += taps_between(self.city[terminal], since, min(now, self._own_return(terminal)))
                if total >= LEAST_TAPS:
                    break
        return total

    def _own_return(self, terminal: int) -> float:
        if not self.wrong.shows:
            return inf
        one = self.city[terminal]
        return one.served_at(self.taken[terminal], LEAST_TAPS * one.serves.lasts / TAPS_A_DAY)

    def ended_at(self, terminal: int, withdrawn: float) -> float:
        """When the terminal has returned to the tariff before."""
        heard = self.contact.hears_at(self.city[terminal], withdrawn, self.random)
        return min(heard, self._own_return(terminal))


def harm_of(
    city: Sequence[Timetable], contact: Contact, steps: Sequence[int], wrong: WrongTariff, seed: int
) -> Harm:
    """What a wrong tariff does that is given out in steps: per cent of all terminals, one step a day."""
    rollout = _Rollout(city, contact, wrong, Random(f"roll-out {seed}"))  # noqa: S311 a seeded city is the same again
    withdrawn = rollout.withdrawn_at(steps)
    refused, last = 0.0, withdrawn
    for terminal, since in rollout.taken.items():
        ends = rollout.ended_at(terminal, withdrawn)
        refused += wrong.refused * taps_between(city[terminal], since, ends)
        last = max(last, ends)
    return Harm(len(rollout.taken), refused, withdrawn - BEGINS, last - BEGINS)


def taps_between(terminal: Timetable, begins: float, ends: float) -> float:
    """Taps that the terminal serves between two moments."""
    return terminal.serving_s(begins, ends) * TAPS_A_DAY / terminal.serves.lasts
