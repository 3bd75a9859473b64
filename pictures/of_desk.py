"""The developer's desk, the tariff playground, and a storm that has blown itself out."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from playwright.sync_api import Page

from pictures.studio import Studio
from sim.desk.disturbance import Disturbance, Mishap
from terminal.cli.desk import open_desk
from terminal.lab.desk.session import BusMove, DeskSession, arrange

SIZE: Final = (1500, 940)
DEVICES_SIZE: Final = (1500, 1300)
TARIFF_SIZE: Final = (1400, 900)
FARE: Final = "transport_card = 2400"
TARIFF_WORDS: Final = {"en": ("ride", "change", "Why"), "ru": ("поездка", "пересадка", "Почему")}
STORM_SIZE: Final = (1180, 700)
STORM_SEED, STORM_TAPS = 7, 1500
STORM_MS: Final = 240_000
LAST_TAPS: Final = (("pupil_two_meals", "canteen"), ("blocked", "rear"), ("student_limit_used", "front"))
"""Once the page is open, so that every display shows something."""
COMPLETE: Final = "() => [...document.images].every(image => image.loading === 'lazy' || image.complete)"


def desk(studio: Studio) -> None:
    """Cards, terminals, a tap with its reasons and its air time."""
    folder = studio.work / "desk"
    folder.mkdir()
    with open_desk(folder) as (server, session), studio.page(*SIZE) as page:
        arrange(session)
        session.move_bus(BusMove.NEXT_STOP)
        page.goto(server.url)
        _wait_for_displays(page)
        for card, place in LAST_TAPS:
            _tap(session, card, place)
        _shows_a_result(page, LAST_TAPS[-1][1])
        page.wait_for_function(COMPLETE)
        studio.keep(page, "desk")


def devices(studio: Studio) -> None:
    """A paid tap: the tones that were heard, the open barrier, the ticket on paper."""
    folder = studio.work / "devices"
    folder.mkdir()
    with open_desk(folder, collector=False) as (server, session), studio.page(*DEVICES_SIZE) as page:
        page.goto(server.url)
        page.locator("[data-lamp=ready].lit").wait_for()
        _tap(session, "adult_purse", "front")
        page.locator("#paper:has-text('Чек')").wait_for()
        page.locator("#barrier.open").wait_for()
        page.locator("#tones:has-text('high')").wait_for()
        box = page.locator(".devices").bounding_box()
        assert box is not None, "the panel is shown"
        edge = {
            "x": box["x"] - 8,
            "y": box["y"] - 8,
            "width": box["width"] + 16,
            "height": box["height"] + 16,
        }
        studio.keep(page, "desk-devices", clip=edge, full_page=True)


def _tap(session: DeskSession, card: str, place: str) -> None:
    session.advance(timedelta(seconds=40))
    session.tap(card, place, Disturbance(Mishap.NONE))


def _wait_for_displays(page: Page) -> None:
    for frame in page.locator("iframe").all():
        frame.content_frame.locator("#display").wait_for()


def _shows_a_result(page: Page, place: str) -> None:
    display = page.frame_locator(f"iframe[src*='{place}']")
    display.locator("#display:is([data-look=green], [data-look=yellow], [data-look=red])").wait_for()


def tariff(studio: Studio) -> None:
    """A rider under a document with a dearer fare, and what the fare was before."""
    _tariff(studio, "en", "tariff")


def tariff_ru(studio: Studio) -> None:
    """The same in Russian."""
    _tariff(studio, "ru", "ru-tarify")


def _tariff(studio: Studio, language: str, name: str) -> None:
    ride, change, why = TARIFF_WORDS[language]
    folder = studio.work / name
    folder.mkdir()
    with (
        open_desk(folder, collector=False) as (server, _session),
        studio.page(*TARIFF_SIZE) as page,
    ):
        page.goto(f"{server.url}/tariff?language={language}")
        page.locator("#state.good").wait_for()
        page.get_by_role("button", name=f"+ {ride}").click()
        page.locator("#field-tap-0-at").fill("2026-09-15T08:00:00")
        page.get_by_role("button", name=f"+ {change}").click()
        page.locator("[data-tap='2'] .said").wait_for()
        page.locator("[data-tap='2']").get_by_text(why).click()
        _dearer(page)
        page.locator("#state.bad").wait_for()
        page.locator("#mistakes button").first.click()
        studio.keep(page, name)


def _dearer(page: Page) -> None:
    """As an author types it who does not think of kopecks."""
    area = page.locator("#editor textarea")
    text = area.input_value()
    area.fill(text.replace(FARE, "transport_card = 26.00"))


def storm(studio: Studio) -> None:
    """Every fault there is, and four figures that stayed nought."""
    folder = studio.work / "storm"
    folder.mkdir()
    with open_desk(folder) as (server, _session), studio.page(*STORM_SIZE) as page:
        page.goto(f"{server.url}/storm")
        order = {"seed": STORM_SEED, "taps": STORM_TAPS}
        page.request.post(f"{server.url}/api/storm/start", data=order, headers={"Origin": server.url})
        page.get_by_text("Finished").wait_for(timeout=STORM_MS)
        studio.keep(page, "storm")
