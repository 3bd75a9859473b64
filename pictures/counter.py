"""A school canteen in the middle of its breakfast, on a virtual clock: what the pictures and browser tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from pictures.school import SCHOOL, price_list, roster_document
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.issuing import How, ServingList, issue
from terminal.canteen.roster import Roster
from terminal.lab.town import DAY, TerminalSite, Town, open_town
from terminal.lab.world import pseudonym_on
from terminal.policy.load import DEMO_REGION
from terminal.policy.policy import Policy
from terminal.screen.console.canteen.school_class import tick_list
from terminal.tap import Terminal

COUNTER: Final = TerminalSite(80001, "canteen", "school canteen")
RESIDENTS: Final = {
    "pupil_grade3": ("3а", 3),
    "pupil_two_meals": ("3а", 11),
    "pupil_large_family": ("7б", 5),
    "adult_purse": None,
}
"""Who has a card to tap, and which pupil that is; the last is a spare card of the school."""
SCHOOL_TEXT: Final = f"""
[[meals.schools]]
id = "{SCHOOL}"
name = "Школа № 12"
"""
CATEGORIES: Final = {"pupil of grades 1-4": "1–4 классы", "pupil of a large family": "многодетная семья"}
"""What the documents of a Russian region would call them."""
OPERATOR: Final = "1207"


@dataclass(frozen=True, slots=True)
class Counter:
    """A canteen with a roster, prices and an open shift."""

    town: Town
    terminal: Terminal
    canteen: CanteenCounter

    def ref(self, resident: str) -> bytes:
        """The pupil behind a card, as the canteen knows him."""
        return pupil_ref(self.town, self.terminal, resident)

    def serve(self, class_id: str, count: int, serving: str = "breakfast") -> None:
        """Issue to the first `count` of those a class's list ticks by itself."""
        now = self.town.clock.now()
        lines = tick_list(self.canteen, class_id, serving, now).lines
        refs = [line.person.pupil for line in lines if line.ticked][:count]
        issue(self.canteen, refs, ServingList(serving, How.CLASS_LIST, OPERATOR, now))


def pupil_ref(town: Town, terminal: Terminal, resident: str) -> bytes:
    """The reference of the card's holder for the purpose "school" (D-01)."""
    pseudonym = pseudonym_on(town.cards[resident])
    assert pseudonym is not None, "a resident's card has rights"
    return terminal.keys.token("school", pseudonym)


@contextmanager
def open_counter(folder: Path, at: str = "08:40:00", day: date = DAY, seed: int = 7) -> Iterator[Counter]:
    """A counter on the morning of `day`; the same one for the same seed."""
    (folder / "town").mkdir(parents=True)
    region = folder / "region.toml"
    text = DEMO_REGION.read_text(encoding="utf-8") + SCHOOL_TEXT
    for english, russian in CATEGORIES.items():
        assert english in text, f"{english!r} is not in the region any more"
        text = text.replace(english, russian)
    region.write_text(text, encoding="utf-8")
    with open_town(folder / "town", (COUNTER,), RESIDENTS, day, seed, str(region)) as town:
        town.at(day, at)
        terminal = town.terminals[COUNTER.number]
        assert terminal.canteen is not None, "a canteen's terminal"
        cards = {
            place: pupil_ref(town, terminal, resident)
            for resident, place in RESIDENTS.items()
            if place is not None
        }
        now = town.clock.now()
        school_counter, policy = terminal.canteen, Policy.of(terminal.policy.document)
        school_counter.roster = Roster.of(roster_document(day, now, cards), policy)
        school_counter.price_list = price_list(now)
        yield Counter(town, terminal, school_counter)
