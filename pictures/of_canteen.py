"""The canteen's console, as a cashier has it before her at twenty to nine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page

from pictures.console import CASHIER, OFFICER, canteen_console
from pictures.counter import COUNTER, Counter, open_counter
from pictures.school import PUPILS
from pictures.studio import Studio
from terminal.canteen.buffet import sell
from terminal.canteen.corrections import annul, correct_attendance, mark_not_collected
from terminal.canteen.issuing import How, ServingList, issue
from terminal.lab.town import DAY
from terminal.screen.console.canteen.people import classmates
from terminal.screen.console.console import Console
from terminal.screen.console.staff import member_proof

SIZE = (1180, 760)
QUEUE = ("adult_purse", "pupil_large_family", "pupil_two_meals", "pupil_two_meals", "pupil_grade3")
"""Who came, the last one standing there now."""


@dataclass(frozen=True, slots=True)
class Canteen:
    """The page of a cashier who is signed in."""

    counter: Counter
    console: Console
    page: Page
    url: str

    def sign_in(self) -> None:
        """As the sign-in would, without typing; again when the clock has moved far."""
        member = self.console.staff.get(CASHIER)
        assert member is not None, "on the list since the console was opened"
        token = self.console.sessions.begin(
            member.ref, "typed", member_proof(member), self.console.now_ms(), role=member.role
        )
        cookie = {"name": f"console_{COUNTER.number}", "value": token, "url": self.url}
        self.page.context.add_cookies([cookie])  # type: ignore[list-item]

    def open(self, path: str) -> Page:
        """One of the canteen's pages."""
        self.page.goto(f"{self.url}/canteen/{path}")
        return self.page


@contextmanager
def canteen(studio: Studio, name: str, language: str, at: str = "08:40:00") -> Iterator[Canteen]:
    """A counter of its own for each picture, so that none depends on another."""
    folder = studio.work / name
    with (
        open_counter(folder / "school", at) as counter,
        canteen_console(counter, folder / "console", language) as (console, url),
        studio.page(*SIZE) as page,
    ):
        counter.serve("2а", 24)
        counter.serve("3б", 17)
        for resident in QUEUE:
            counter.town.clock.advance(9)
            console.heard(counter.town.tap(COUNTER.number, resident).report)
        at_counter = Canteen(counter, console, page, url)
        at_counter.sign_in()
        yield at_counter


def serving(studio: Studio, name: str = "console-canteen", language: str = "en") -> None:
    """The counter: who stands there, what to hand out."""
    with canteen(studio, name, language) as at:
        studio.keep(at.open("counter"), name)


def serving_ru(studio: Studio) -> None:
    """The same in Russian."""
    serving(studio, "ru-vydacha", "ru")


def whole_class(studio: Studio) -> None:
    """The tick list of a class."""
    with canteen(studio, "ru-klass", "ru") as at:
        page = at.open("class?id=3а")
        page.locator(".tick:has(:enabled) input").nth(4).uncheck()
        studio.keep(page, "ru-klass")


def buffet(studio: Studio) -> None:
    """A basket, and a product the parents excluded."""
    with canteen(studio, "ru-bufet", "ru") as at:
        roster = at.counter.canteen.roster
        assert roster is not None, "loaded with the counter"
        buyer = next(one.ref for one in roster.document.pupils if "milk" in one.forbidden)
        studio.keep(at.open(f"buffet?pupil={buyer}&n.pie_cabbage=1&n.juice=1&n.apple=2"), "ru-bufet")


def putting_right(studio: Studio) -> None:
    """The last records with what may still be annulled."""
    with canteen(studio, "ru-ispravit", "ru") as at:
        at.counter.town.clock.advance(150)
        studio.keep(at.open("records"), "ru-ispravit")


def _rest_of_the_day(at: Canteen) -> None:
    """Absences, the other classes, lunch, the buffet, a slip put right."""
    school_counter, town = at.counter.canteen, at.counter.town
    absent = [
        one.pupil for one in (*classmates(school_counter, "5а")[:3], classmates(school_counter, "7б")[9])
    ]
    correct_attendance(school_counter, absent, (), OFFICER, town.clock.now())
    town.at(DAY, "09:20:00")
    for class_id in ("3а", "3б", "5а", "7б"):
        at.counter.serve(class_id, PUPILS)
    for number, one in enumerate(classmates(school_counter, "5а")[4:14]):
        product = ("bun", "apple", "juice", "water")[number % 4]
        sell(school_counter, one.pupil, {product: 1 + number % 2}, CASHIER, town.clock.now())
    annul(school_counter, classmates(school_counter, "5а")[4].pupil, CASHIER, town.clock.now())
    town.at(DAY, "12:10:00")
    for class_id in ("2а", "3а", "5а", "7б"):
        at.counter.serve(class_id, PUPILS, "lunch")
    town.at(DAY, "15:20:00")
    came_late = ServingList("lunch", How.CLASS_LIST, CASHIER, town.clock.now())
    issue(school_counter, absent[:1], came_late)
    mark_not_collected(school_counter, "lunch", OFFICER, town.clock.now())


def report(studio: Studio) -> None:
    """The day report as it leaves the printer."""
    with canteen(studio, "ru-otchet", "ru") as at:
        _rest_of_the_day(at)
        at.sign_in()
        page = at.open("report")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 760, "height": 900})
        studio.keep(page, "ru-otchet", full_page=True)
