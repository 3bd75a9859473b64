"""What a passenger presses on the display before the tap: by HTTP as any program would send it, and by touch in
Chromium.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from starlette.applications import Starlette

from sim.air import DeskClock
from terminal.decision.outcome import Message, Outcome
from terminal.journal.records import Intent
from terminal.policy.load import DEMO_REGION, parse_region
from terminal.policy.policy import Policy
from terminal.screen.console.inspector import LASTS
from terminal.screen.display import Display, DisplaySettings
from terminal.screen.display_page import display_routes
from terminal.screen.server import ScreenServer
from terminal.screen.touch import BURST, MOST_BY_TOUCH, PassengerTouch
from terminal.trip.asked import KEPT_S
from terminal.trip.build import InspectionRound
from terminal.trip.facts import AskedBy, Spot
from tests.terminal.screen.browser import NewPage, assert_accessible
from tests.terminal.screen.console.cab import START, Cab, open_cab
from tests.terminal.screen.console.test_bus_console import SUBURB, ZONES, asked_in, text

BOTH = '["destination", "companions"]'
SIZES = [(480, 272), (272, 480), (800, 480), (1920, 1080), (1080, 1920)]
LEAST_PX = 48
UNIVERSITY = Spot(1503, 2, 4000)


def policy_with(passenger_asks: str) -> Policy:
    """The demo region with fares by zone, and what its passengers may ask for."""
    source = DEMO_REGION.read_text("utf-8").replace(
        "[profiles.bus]", f"[profiles.bus]\npassenger_asks = {passenger_asks}"
    )
    return Policy.of(parse_region(source + ZONES, "touch.toml"))


@dataclass(slots=True)
class Screen:
    """A bus whose display is served; `client` is a browser without scripts, which follows no redirects."""

    cab: Cab
    display: Display
    url: str
    client: httpx.Client

    def fields(self) -> dict[str, str]:
        """The hidden fields of the page's forms."""
        page = self.client.get("/").text
        return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))

    def press(self, **fields: str | int) -> httpx.Response:
        said = self.fields() | {name: str(value) for name, value in fields.items()}
        return self.client.post("/next-ride", data=said)

    @property
    def asked(self) -> tuple[int, Spot, AskedBy]:
        ride = self.cab.terminal.next_ride.ride
        return ride.companions, ride.destination, ride.by


@contextmanager
def open_screen(
    folder: Path, passenger_asks: str = BOTH, settings: DisplaySettings | None = None
) -> Iterator[Screen]:
    with open_cab(folder, policy=policy_with(passenger_asks), clock=DeskClock(START)) as cab:
        cab.sign_in()
        cab.open_shift()
        cab.act("/shift", "/shift/place", stop=1501)
        display = Display(cab.clock)
        display.touch = PassengerTouch(cab.terminal)
        cab.terminal.next_ride.on_change(display.asked)
        cab.terminal.signal = display.outcome
        routes = display_routes(display, settings or DisplaySettings("en"))
        with (
            ScreenServer(Starlette(routes=routes)) as server,
            httpx.Client(base_url=server.url, timeout=20) as client,
        ):
            yield Screen(cab, display, server.url, client)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    with open_screen(tmp_path) as screen:
        yield screen


# what a press does


def test_t_34_what_a_passenger_pressed_is_shown_charged_and_over_with_the_tap(screen: Screen) -> None:
    assert screen.press(more=1).status_code == 303
    screen.press(more=1)
    screen.press(to="stop-1503")
    assert screen.asked == (2, UNIVERSITY, AskedBy.RIDER)
    assert "The card pays for 3 persons, to Университет" in screen.client.get("/").text
    assert "asked by the passenger" in text(screen.cab.client.get("/shift"))
    assert screen.cab.tap("adult_purse").outcome.charge_minor == 3 * 4000
    (ride,) = screen.cab.records(Intent)
    assert asked_in(ride) == {"companions": 2, "asked_by": "rider", **SUBURB}
    assert "t-34:asked_by_rider" in [step.code for step in ride.reasons]  # type: ignore[attr-defined]
    assert "The card pays" not in screen.client.get("/").text


def test_a_press_is_taken_back(screen: Screen) -> None:
    screen.press(more=1)
    screen.press(more=-1)
    assert screen.asked[2] is AskedBy.NOT_ASKED
    screen.press(to="stop-1503")
    screen.press(to="")
    assert screen.asked[2] is AskedBy.NOT_ASKED
    screen.press(more=1)
    screen.press(clear=1)
    assert screen.asked[2] is AskedBy.NOT_ASKED


def test_a_press_that_comes_twice_counts_once_and_one_on_an_old_page_counts_for_nobody(
    screen: Screen,
) -> None:
    screen.press(to="stop-1502")
    form = screen.fields() | {"more": "1"}
    for _ in range(3):
        assert screen.client.post("/next-ride", data=form).status_code == 303
    assert screen.asked[0] == 1
    old = screen.fields() | {"more": "1"}
    assert screen.cab.tap("adult_purse").outcome.accepted
    screen.client.post("/next-ride", data=old)
    assert screen.asked[0] == 0, "the page showed two persons, and they have boarded"


def test_a_passenger_counts_no_larger_group_than_a_family(screen: Screen) -> None:
    for _ in range(MOST_BY_TOUCH + 2):
        screen.press(more=1)
    assert screen.asked[0] == MOST_BY_TOUCH


def test_what_the_crew_has_said_is_shown_and_no_passenger_changes_it(screen: Screen) -> None:
    form = screen.fields()
    screen.cab.act("/shift", "/next/persons", more=1)
    page = screen.client.get("/").text
    assert "The card pays for 2 persons" in page
    assert "<button" not in page
    for press in ({"more": "-1", "was": "1"}, {"to": "stop-1502"}, {"clear": "1"}):
        answer = screen.client.post("/next-ride", data=form | press)
        assert answer.status_code == 409
        assert "The driver has set this." in answer.text
    assert screen.asked == (1, Spot(), AskedBy.CREW)


def test_the_crew_may_change_what_a_passenger_said(screen: Screen) -> None:
    screen.press(more=1)
    screen.cab.act("/shift", "/next/persons", more=1)
    assert screen.asked == (2, Spot(), AskedBy.CREW)


@pytest.mark.parametrize("ends", ["time", "turn", "shift", "inspection"])
def test_what_a_passenger_pressed_does_not_outlast_minute_turn_and_shift(screen: Screen, ends: str) -> None:
    screen.press(more=1)
    cab = screen.cab
    if ends == "time":
        cab.clock.advance(KEPT_S)
    elif ends == "turn":
        cab.act("/shift", "/shift/turn")
    elif ends == "shift":
        cab.act("/report", "/shift/close")
        assert screen.client.post("/next-ride", data={}).status_code == 404, "nothing is sold"
    else:
        cab.terminal.inspecting = InspectionRound(15, 0, cab.clock.now() + LASTS)
        assert screen.client.post("/next-ride", data={}).status_code == 404
        cab.tap("month_pass")
        cab.terminal.inspecting = None
        assert screen.asked[0] == 1, "an inspected card is no ride"
        return
    assert screen.asked[2] is AskedBy.NOT_ASKED


# what is refused


def test_without_the_switch_there_is_no_such_address_and_nothing_to_press(tmp_path: Path) -> None:
    with open_screen(tmp_path, "[]") as screen:
        assert screen.client.post("/next-ride", data={"more": "1"}).status_code == 404
        assert 'id="touch"' not in screen.client.get("/").text
        screen.cab.act("/shift", "/next/persons", more=1)
        page = screen.client.get("/").text
        assert "The card pays for 2 persons" in page
        assert "<form" not in page
        assert screen.client.post("/next-ride", data={"clear": "1"}).status_code == 404


@pytest.mark.parametrize(
    ("allowed", "taken", "refused"),
    [
        ('["companions"]', {"more": "1"}, {"to": "stop-1503"}),
        ('["destination"]', {"to": "stop-1503"}, {"more": "1", "was": "0"}),
    ],
)
def test_only_what_the_document_allows_is_taken(
    tmp_path: Path, allowed: str, taken: dict[str, str], refused: dict[str, str]
) -> None:
    with open_screen(tmp_path, allowed) as screen:
        assert screen.press(**refused).status_code == 409
        assert screen.asked[2] is AskedBy.NOT_ASKED
        assert screen.press(**taken).status_code == 303
        assert screen.asked[2] is AskedBy.RIDER


def test_a_place_behind_the_bus_is_refused_with_words(screen: Screen) -> None:
    screen.cab.act("/shift", "/shift/place", stop=1502)
    for place in ("stop-1501", "stop-1502", "zone-1", "x" * 200):
        answer = screen.press(to=place)
        assert answer.status_code == 409
        assert "The vehicle does not come there on this trip." in answer.text
        assert 'id="display"' in answer.text, "the kiosk still shows the display"


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"token": "0"}, {}),
        ({"token": ""}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Content-Type": "text/plain"}),
        ({"filler": "x" * 2000}, {}),
        ({f"f{number}": "1" for number in range(20)}, {}),
    ],
)
def test_a_form_of_another_page_changes_nothing(
    screen: Screen, fields: dict[str, str], headers: dict[str, str]
) -> None:
    said = screen.fields() | {"more": "1"} | fields
    answer = screen.client.post("/next-ride", data=said, headers=headers)
    assert answer.status_code in {400, 403}
    assert 'id="display"' in answer.text
    assert screen.asked[2] is AskedBy.NOT_ASKED


def test_a_screen_that_is_pressed_without_end_changes_little(screen: Screen) -> None:
    fields = screen.fields()
    answers = [screen.client.post("/next-ride", data=fields | {"to": ""}) for _ in range(BURST + 5)]
    assert [answer.status_code for answer in answers].count(429) >= 1
    assert "Too many presses." in answers[-1].text
    screen.cab.clock.advance(10)
    assert screen.client.post("/next-ride", data=fields | {"to": ""}).status_code == 303


def test_a_press_in_the_middle_of_a_tap_is_not_left_for_the_next_passenger(screen: Screen) -> None:
    screen.press(more=1)
    screen.press(to="stop-1502")
    signal = screen.cab.terminal.signal

    def late(outcome: Outcome) -> None:
        screen.cab.terminal.next_ride.count(1, AskedBy.RIDER)
        signal(outcome)

    screen.cab.terminal.signal = late
    assert screen.cab.tap("adult_purse").outcome.message is Message.OK_PAID
    assert screen.asked[2] is AskedBy.NOT_ASKED


# by touch


def on_screen(page: Page, screen: Screen, width: int, height: int) -> None:
    """Open the display at this size."""
    page.set_viewport_size({"width": width, "height": height})
    page.goto(screen.url)
    expect(page.locator("#display")).to_have_attribute("data-look", "idle")


def all_fit(page: Page) -> None:
    """Everything that can be pressed now is on the screen and large enough, and the words do not run under it."""
    size = page.viewport_size
    assert size is not None
    for element in page.locator("#touch button:visible, #touch a:visible, #touch summary:visible").all():
        box = element.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= LEAST_PX, (element.inner_text(), box)
        assert box["y"] + box["height"] <= size["height"], (element.inner_text(), box)
    strip, words = page.locator("#touch").bounding_box(), page.locator(".words").bounding_box()
    assert strip is not None
    assert words is not None
    assert words["y"] + words["height"] <= strip["y"] + 1


@pytest.mark.parametrize(
    ("width", "height", "languages"),
    [(*SIZES[0], ("ru", "")), *((*size, ("en", "ru")) for size in SIZES)],
)
def test_a_passenger_chooses_by_touch_at_every_size(
    new_page: NewPage, tmp_path: Path, width: int, height: int, languages: tuple[str, str]
) -> None:
    with open_screen(tmp_path, settings=DisplaySettings(*languages)) as screen:
        page = new_page(width=width, height=height, has_touch=True)
        on_screen(page, screen, width, height)
        assert_accessible(page)
        all_fit(page)
        page.locator("[name=more][value='1']").tap()
        expect(page.locator(".charged")).to_contain_text("2")
        all_fit(page)
        assert_accessible(page)
        page.locator("summary").tap()
        page.locator("[name=to][value='stop-1503']").tap()
        expect(page.locator(".charged")).to_contain_text("Университет")
        all_fit(page)
        assert screen.asked == (1, UNIVERSITY, AskedBy.RIDER)
        screen.cab.tap("adult_purse")
        expect(page.locator("#display")).to_have_attribute("data-look", "green")
        expect(page.locator("#touch")).to_be_hidden()
        screen.display.removed()
        expect(page.locator("#display")).to_have_attribute("data-look", "idle")
        expect(page.locator(".charged")).to_have_count(0)


def test_it_all_works_without_scripts(new_page: NewPage, screen: Screen) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(screen.url)
    page.locator("[name=more][value='1']").click()
    expect(page.locator(".charged")).to_contain_text("The card pays for 2 persons")
    page.locator("summary").click()
    page.locator("[name=to][value='stop-1502']").click()
    expect(page.locator(".charged")).to_contain_text("to Площадь Ленина")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".charged")).to_have_count(0)


def test_a_list_of_places_that_was_opened_and_left_is_closed(page: Page, screen: Screen) -> None:
    page.clock.install()
    page.goto(screen.url)
    page.locator("summary").click()
    expect(page.locator(".goals")).to_be_visible()
    page.clock.run_for(15_000)
    expect(page.locator(".goals")).to_be_hidden()
    page.locator("summary").click()
    page.get_by_role("link", name="Back").click()
    expect(page.locator(".goals")).to_be_hidden()
    expect(page.locator("summary")).to_be_visible()


def test_a_result_is_seen_although_the_list_of_places_is_open(page: Page, screen: Screen) -> None:
    page.goto(screen.url)
    page.locator("summary").click()
    expect(page.locator(".goals")).to_be_visible()
    screen.cab.tap("month_pass")
    expect(page.locator("#display")).to_have_attribute("data-look", "green")
    expect(page.locator(".goals")).to_be_hidden()
    screen.display.removed()
    expect(page.locator("summary")).to_be_visible()
    expect(page.locator(".goals")).to_be_hidden()


def test_the_page_shows_at_once_what_the_crew_sets_and_that_its_time_is_over(
    page: Page, screen: Screen
) -> None:
    page.goto(screen.url)
    screen.cab.act("/shift", "/next/persons", more=1)
    expect(page.locator(".charged")).to_contain_text("The card pays for 2 persons")
    expect(page.locator("#touch button")).to_have_count(0)
    screen.cab.act("/shift", "/next/forget")
    expect(page.locator("#touch button").first).to_be_visible()
