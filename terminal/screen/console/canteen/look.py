"""What all pages of a canteen's console share: who may open what, and the counter as one visit sees it.

cashier        serving, class, buffet, single pupils, putting right, report
teacher        class and its attendance
meal officer   attendance, orders not collected, report
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from terminal.canteen.counter import CanteenCounter
from terminal.codes import ReaderFault
from terminal.screen.console.canteen.counter import (
    AtCounter,
    at_counter,
    kind_served,
    notices,
)
from terminal.screen.console.canteen.people import Person, person
from terminal.screen.console.canteen.words import Words
from terminal.screen.console.console import ActionRefused, Console
from terminal.screen.console.roles import Role
from terminal.screen.console.visit import View, Visit
from terminal.texts import N_

AT: Final = "/canteen"
TAKES_NONE: Final = frozenset(
    {ReaderFault.GONE, ReaderFault.SERVICE_GONE, ReaderFault.IN_USE, ReaderFault.FAILED}
)
"""With these no card can be read; with the others cards are served all the same."""
NO_RECORD: Final = N_("There is no such record today.")
NOT_LISTED: Final = N_("This pupil or class is not in the list.")

CASHIER: Final = frozenset({Role.CASHIER})
GROUP: Final = frozenset({Role.CASHIER, Role.TEACHER})
ATTENDANCE: Final = frozenset({Role.TEACHER, Role.MEAL_OFFICER})
AFTERWARDS: Final = frozenset({Role.CASHIER, Role.MEAL_OFFICER})
REPORT: Final = frozenset({Role.CASHIER, Role.MEAL_OFFICER})
CANTEEN_STAFF: Final = frozenset({Role.CASHIER, Role.TEACHER, Role.MEAL_OFFICER})


class May(Struct, frozen=True):
    """What the pages offer to a role; the actions check for themselves."""

    group: bool
    single: bool
    buffet: bool
    annul: bool
    not_collected: bool
    attendance: bool
    close: bool

    @classmethod
    def of(cls, role: Role) -> May:
        return cls(
            group=role in GROUP,
            single=role in CASHIER,
            buffet=role in CASHIER,
            annul=role in CASHIER,
            not_collected=role in AFTERWARDS,
            attendance=role in ATTENDANCE,
            close=role in REPORT,
        )


class Look:
    """The counter as one visit sees it. Use inside `looking`."""

    def __init__(self, visit: Visit, counter: CanteenCounter, now: datetime) -> None:
        self.visit = visit
        self.counter = counter
        self.now = now
        self.words = Words(visit.language)

    def view(self, template: str, status: int = 200, **values: Any) -> View:
        """A template of the canteen with what all of them need."""
        common = {
            "at": AT,
            "words": self.words,
            "may": May.of(Role(self.visit.who.role)),
            "notices": notices(self.counter, self.now, **health_of(self.visit.console)),
            "means": self.words.means(self.visit.console.taps_are, kind_served(self.counter, self.now)),
        }
        return View(f"canteen/{template}", common | values, status)

    def person(self, name: str = "ref") -> Person:
        """The pupil the address names; raises `ActionRefused`."""
        return pupil_of(self.counter, self.visit.query.text(name))

    def taps(self) -> list[AtCounter]:
        """The newest taps, the last one first."""
        return [at_counter(self.counter, heard) for heard in reversed(tuple(self.visit.console.heard_taps))]

    def last_person(self) -> Person | None:
        """Who held his card against the terminal last; none where the last card is in no list."""
        heard = tuple(self.visit.console.heard_taps)
        return at_counter(self.counter, heard[-1]).person if heard else None


def looking(show: Callable[[Look], View]) -> Callable[[Visit], View]:
    """`show` with the counter to itself: taps and actions wait, so it has to be quick."""

    def shown(visit: Visit) -> View:
        console = visit.console
        counter = console.terminal.canteen
        assert counter is not None, "the canteen's pages are for a canteen's terminal"
        with console.lock:
            counter.follow()
            return show(Look(visit, counter, console.clock.now()))

    return shown


def pupil_of(counter: CanteenCounter, ref: str) -> Person:
    """The pupil with this reference; raises `ActionRefused`."""
    try:
        found = person(counter, bytes.fromhex(ref))
    except ValueError:
        found = None
    if found is None:
        raise ActionRefused(NOT_LISTED)
    return found


def health_of(console: Console) -> dict[str, Any]:
    """Whether records reach the collector and cards can be read, as far as the composition root can tell."""
    return {
        "offline": console.offline(),
        "unsent": console.terminal.journal.unsent,
        "no_cards": console.reader_fault() in TAKES_NONE,
    }
