"""How terminals ask for news, and when each hears of it: the ways that are compared."""

from __future__ import annotations

from math import floor
from random import Random
from typing import Final, NamedTuple

from terminal.lab.city.costs import HELD_S
from terminal.lab.city.timetable import DAY_S, HOUR_S, TerminalKind, Timetable

STICK_WRITTEN_S: Final = 18 * HOUR_S
STICK_PUT_IN_S: Final = 22 * HOUR_S
"""Of each day that has a stick: what is published between the two comes with the next."""


class Contact(NamedTuple):
    """A look each `every_s`. `held`: the collector answers when there is news, and at the latest then. `sticks`: a
    stick each day for every bus that is away from its depot.
    """

    name: str
    every_s: float
    held: bool = False
    sticks: bool = False

    def hears_at(self, terminal: Timetable, at: float, random: Random) -> float:
        """When `terminal` asks, or is answered, for what is published at `at`."""
        held = self.held and terminal.is_heard(at) and random.random() >= terminal.lost
        heard = at if held else terminal.next_look(at, self.every_s, random)
        if self.sticks and terminal.kind is TerminalKind.AWAY:
            return min(heard, _stick_at(terminal, at))
        return heard


def _stick_at(terminal: Timetable, at: float) -> float:
    """The stick that was written after `at`; put in when the bus rests."""
    day = floor(at / DAY_S) + (at % DAY_S > STICK_WRITTEN_S)
    return day * DAY_S + STICK_PUT_IN_S + terminal.serves.begins % HOUR_S


CONTACTS: Final = (
    Contact("60 s", 60),
    Contact("300 s", 300),
    Contact("900 s", 900),
    Contact("held", HELD_S, held=True),
    Contact("300 s, sticks", 300, sticks=True),
)
