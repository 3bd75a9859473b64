"""Pages of a first run, with the answers of the guide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Final

from playwright.sync_api import Page

from pictures.studio import Studio
from terminal.app.setup.making import SchoolMaker, SetupPlace
from terminal.clock import SystemClock
from terminal.screen.server import ScreenServer
from terminal.screen.setup.code import SetupCode
from terminal.screen.setup.draft import DraftKeeper
from terminal.screen.setup.questions import PAGES
from terminal.screen.setup.web import COOKIE, SetupWeb

SIZE: Final = (1100, 760)
DAY: Final = date(2026, 9, 1)
TOKEN: Final = "the-browser-in-the-picture"  # noqa: S105 of a picture
ANSWERS: Final = {
    "school.name": "Школа № 12",
    "school.region": "34",
    "meals.breakfast.price": "78,02",
    "meals.lunch.price": "90,02",
    "categories.primary.by_shift.federal": "42,65",
    "categories.primary.by_shift.regional": "21,34",
    "categories.primary.by_shift.municipal": "7,10",
}


@contextmanager
def first_run(studio: Studio, name: str) -> Iterator[tuple[Page, str]]:
    """A browser that goes on with a first run, and its address."""
    folder, clock = studio.work / name, SystemClock()
    place = SetupPlace(config=folder / "terminal.toml", state=folder, screen_port=1, console_port=2)
    keeper = DraftKeeper(place.draft, {"terminal.reader": "pcsc", "terminal.number": "1"}, "ru", DAY)
    keeper.begin_session(TOKEN)
    for answered in PAGES[:4]:
        keeper.take(answered, lambda name: ANSWERS.get(name, keeper.texts.get(name, "")), left=True)
    web = SetupWeb(keeper, SetupCode(clock), SchoolMaker(place, clock), "http://127.0.0.1/")
    with ScreenServer(web.app()) as server, studio.page(*SIZE, locale="ru-RU") as page:
        page.context.add_cookies([{"name": COOKIE, "value": TOKEN, "url": server.url}])
        yield page, server.url


def meals(studio: Studio) -> None:
    """What is served when, and what it costs."""
    with first_run(studio, "ru-nastroyka-pitanie") as (page, url):
        page.goto(f"{url}/setup/meals")
        studio.keep(page, "ru-nastroyka-pitanie")


def categories(studio: Studio) -> None:
    """Who pays how much of a portion."""
    with first_run(studio, "ru-nastroyka-kategorii") as (page, url):
        page.goto(f"{url}/setup/categories")
        studio.keep(page, "ru-nastroyka-kategorii")
