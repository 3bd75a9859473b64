"""When a terminal serves and when it hears: a day's rule for each kind of terminal, and moments by arithmetic.

Times are seconds since the first midnight. A terminal is in contact during one span of a day, on every day or on one
day in several; it serves during another. What happens in between is never stepped through.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from random import Random
from typing import Final, NamedTuple

HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S


class TerminalKind(StrEnum):
    """How a terminal meets the network."""

    CONNECTED = "connected"
    """A bus with a modem, all day; some looks find no network."""
    COUNTER = "counter"
    """A canteen or shop on a wire, during its hours."""
    DEPOT = "depot"
    """A bus that hears in its depot alone, each night."""
    AWAY = "away"
    """A bus that is in its depot only every few days."""


class DaySpan(NamedTuple):
    """From `begins` on for `lasts` seconds, each day; may go over midnight."""

    begins: float
    lasts: float


class KindRule(NamedTuple):
    """`share` of the city; `lost` of its looks fail; contact on one day of `every_days`, which differs by terminal."""

    share: float
    serves: DaySpan
    hears: DaySpan
    lost: float = 0.0
    every_days: tuple[int, int] = (1, 1)


RULES: Final = {
    TerminalKind.CONNECTED: KindRule(
        0.70, DaySpan(5.5 * HOUR_S, 18 * HOUR_S), DaySpan(5 * HOUR_S, 19 * HOUR_S), lost=0.03
    ),
    TerminalKind.COUNTER: KindRule(0.15, DaySpan(8 * HOUR_S, 8 * HOUR_S), DaySpan(7 * HOUR_S, 11 * HOUR_S)),
    TerminalKind.DEPOT: KindRule(
        0.10, DaySpan(5.5 * HOUR_S, 18 * HOUR_S), DaySpan(23.75 * HOUR_S, 5 * HOUR_S)
    ),
    TerminalKind.AWAY: KindRule(
        0.05,
        DaySpan(5.5 * HOUR_S, 18 * HOUR_S),
        DaySpan(23.75 * HOUR_S, 5 * HOUR_S),
        every_days=(2, 6),
    ),
}
STAGGER_S: Final = 1.5 * HOUR_S
"""By so much do terminals of a kind differ in when their day begins."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """One terminal's."""

    kind: TerminalKind
    serves: DaySpan
    hears: DaySpan
    lost: float = 0.0
    every_days: int = 1
    first_day: int = 0

    def next_look(self, at: float, every_s: float, random: Random) -> float:
        """The first look at or after `at` that finds the network: as a contact begins, then each `every_s`."""
        day = floor((at - self.hears.begins) / DAY_S)
        while True:
            begins = day * DAY_S + self.hears.begins
            number = max(0, ceil((at - begins) / every_s))
            while self.lost and random.random() < self.lost:
                number += 1
            if self._in_contact_on(day) and number * every_s < self.hears.lasts:
                return begins + number * every_s
            day += 1

    def is_heard(self, at: float) -> bool:
        """Whether the terminal is in contact at `at`."""
        day = floor((at - self.hears.begins) / DAY_S)
        return self._in_contact_on(day) and at - day * DAY_S - self.hears.begins < self.hears.lasts

    def _in_contact_on(self, day: int) -> bool:
        return (day - self.first_day) % self.every_days == 0

    def looks_a_day(self, every_s: float) -> float:
        """On average, over all days."""
        return ceil(self.hears.lasts / every_s) / self.every_days

    def serving_s(self, begins: float, ends: float) -> float:
        """How long it serves between two moments."""
        first, last = floor((begins - self.serves.begins) / DAY_S), floor(ends / DAY_S)
        return sum(
            max(0.0, min(ends, opens + self.serves.lasts) - max(begins, opens))
            for opens in (day * DAY_S + self.serves.begins for day in range(first, last + 1))
        )

    def served_at(self, begins: float, seconds: float) -> float:
        """When it has served for so many seconds since `begins`."""
        day, left = floor((begins - self.serves.begins) / DAY_S), seconds
        while True:
            opens = day * DAY_S + self.serves.begins
            room = opens + self.serves.lasts - max(begins, opens)
            if room >= left:
                return max(begins, opens) + left
            left -= max(0.0, room)
            day += 1


def made_city(terminals: int, seed: int) -> list[Timetable]:
    """So many terminals of all kinds, in the shares of `RULES`; the same for the same seed."""
    random = Random(f"city {seed}")  # noqa: S311 a seeded city is the same again
    kinds = list(RULES)
    drawn = random.choices(kinds, [RULES[kind].share for kind in kinds], k=terminals)
    return [_made(kind, random) for kind in drawn]


def _made(kind: TerminalKind, random: Random) -> Timetable:
    rule, later = RULES[kind], random.uniform(0, STAGGER_S)
    every = random.randint(*rule.every_days)
    return Timetable(
        kind,
        DaySpan(rule.serves.begins + later, rule.serves.lasts - STAGGER_S),
        DaySpan(rule.hears.begins + later, rule.hears.lasts - STAGGER_S),
        rule.lost,
        every,
        random.randrange(every),
    )
