"""The canteen's console, as a cashier has it before her at twenty to nine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page

from pictures.console import CASHIER, canteen_console
from pictures.counter import COUNTER, Counter, open_counter
from pictures.studio import Studio
from terminal.screen.console.console import Console

SIZE = (1180, 760)
QUEUE = ("adult_purse", "pupil_large_family", "pupil_two_meals", "pupil_two_meals", "pupil_grade3")
"""Who came, the last one standing there now."""


@dataclass(frozen=True, slots=True)
class Canteen:
    """The page of a cashier who is signed in."""

    counter: Counter
    page: Page
    url: str

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
        _sign_in(console, page, url)
        yield Canteen(counter, page, url)


def _sign_in(console: Console, page: Page, url: str) -> None:
    member = console.staff.get(CASHIER)
    assert member is not None, "on the list since the console was opened"
    token = console.sessions.begin(member, "typed", console.now_ms())
    page.context.add_cookies([{"name": f"console_{COUNTER.number}", "value": token, "url": url}])


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
        roster = at.counter.desk.roster
        assert roster is not None, "loaded with the counter"
        buyer = next(one.ref for one in roster.document.pupils if "milk" in one.forbidden)
        studio.keep(at.open(f"buffet?pupil={buyer}&n.pie_cabbage=1&n.juice=1&n.apple=2"), "ru-bufet")


def putting_right(studio: Studio) -> None:
    """The last records with what may still be annulled."""
    with canteen(studio, "ru-ispravit", "ru") as at:
        at.counter.town.clock.advance(150)
        studio.keep(at.open("records"), "ru-ispravit")


def report(studio: Studio) -> None:
    """The day report as it leaves the printer."""
    with canteen(studio, "ru-otchet", "ru") as at:
        page = at.open("report")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 760, "height": 900})
        studio.keep(page, "ru-otchet", full_page=True)
