"""One city under every way of asking and every plan of steps: what `terminal city` shows."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, Final, NamedTuple

from terminal.lab.city.contact import CONTACTS, Contact
from terminal.lab.city.costs import ENTRY_BYTES
from terminal.lab.city.load import DayLoad, day_load
from terminal.lab.city.rollout import Harm, WrongTariff, harm_of
from terminal.lab.city.spread import PARTS, Spread, spread_of
from terminal.lab.city.timetable import DAY_S, HOUR_S, made_city

STEPS: Final = ((1, 5, 25, 100), (5, 25, 100), (25, 100), (100,))
WRONG: Final = (WrongTariff(0.1), WrongTariff(0.1, judged=False), WrongTariff(0.03))
ENTERED: Final = tuple(7 * DAY_S + hour * HOUR_S for hour in range(10, 34, 2))
"""Deny entries that are followed: one every two hours of a day, from ten in the morning."""
ROLLED_OUT_BY: Final = CONTACTS[1]


class CityPlan(NamedTuple):
    """`denied` entries are made a day and published every `issue_min` minutes; a list has `listed` entries; a card on
    it still makes `rides` a day of `fare_minor` each where it is not known.
    """

    terminals: int = 10_000
    seed: int = 1
    denied: int = 100
    listed: int = 20_000
    issue_min: float = 5
    rides: float = 3
    fare_minor: int = 3500

    @property
    def issues(self) -> int:
        """That bring something new in a day, at most one for each entry."""
        return min(self.denied, int(DAY_S / (60 * self.issue_min)) if self.issue_min else self.denied)


class ContactResult(NamedTuple):
    contact: Contact
    spread: Spread
    load: DayLoad


class StepResult(NamedTuple):
    steps: tuple[int, ...]
    wrong: WrongTariff
    harm: Harm


class CityResult(NamedTuple):
    plan: CityPlan
    contacts: tuple[ContactResult, ...]
    steps: tuple[StepResult, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs: seconds, bytes and counts."""
        return {
            "plan": self.plan._asdict(),
            "parts": PARTS,
            "contacts": [
                {
                    "name": one.contact.name,
                    **_without_curve(one.spread),
                    "lost_fares_a_day_minor": self.lost_minor(one),
                    **one.load._asdict(),
                }
                for one in self.contacts
            ],
            "steps": [
                {"steps": one.steps, **one.wrong._asdict(), **one.harm._asdict()} for one in self.steps
            ],
        }

    def lost_minor(self, one: ContactResult) -> int:
        """Fares that the cards denied in a day do not pay until every terminal knows them."""
        return round(one.spread.lost_rides * self.plan.denied * self.plan.fare_minor)


def _without_curve(spread: Spread) -> dict[str, Any]:
    return {name: value for name, value in spread._asdict().items() if name != "curve_s"}


def play_city(plan: CityPlan, progress: Callable[[str], None] = lambda _what: None) -> CityResult:
    """The same result for the same plan. `progress` hears what is played next."""
    city = made_city(plan.terminals, plan.seed)
    contacts, steps = [], []
    for contact in CONTACTS:
        progress(contact.name)
        load = day_load(city, contact, plan.issues, plan.listed * ENTRY_BYTES)
        cores = max(1, ceil(load.cores))
        spread = spread_of(city, contact, ENTERED, 60 * plan.issue_min, plan.rides, cores, plan.seed)
        contacts.append(ContactResult(contact, spread, load))
    for wrong in WRONG:
        for planned in STEPS:
            progress("/".join(map(str, planned)))
            harm = harm_of(city, ROLLED_OUT_BY, planned, wrong, plan.seed)
            steps.append(StepResult(planned, wrong, harm))
    return CityResult(plan, tuple(contacts), tuple(steps))
