"""The crew's console in a real Chromium: by touch, by keyboard alone, at four sizes, through reloads and kill -9."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from sim.air import DeskClock
from terminal.journal.console_records import SignedIn, TurnStarted
from terminal.journal.key_file import load_key
from terminal.journal.reader import JournalReader
from terminal.journal.records import CashSale, ShiftClosed, ShiftOpened
from terminal.screen.console.roles import Role
from tests.config_file import config_file
from tests.terminal.screen.browser import NewPage, assert_accessible
from tests.terminal.screen.console.cab import (
    DRIVER,
    KEYS,
    PIN,
    ROUTES,
    SERVICE_CARD,
    START,
    Cab,
    everybody,
    open_cab,
    ref_of,
)
from tests.terminal.screen.console.test_bus_console import zoned
from tests.terminal.screen.console.test_crew import SOLD, selling

SMALL = ((480, 272), (800, 480))
SIZES = [(480, 272), (1024, 600), (600, 1024), (1920, 1080)]
LEAST_PX = 44
TOO_SMALL = """least => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select")]
    .filter(e => !(e.getAttribute("class") || "").includes("skip") && e.checkVisibility({visibilityProperty: true}))
    .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
    .filter(([, box]) => box.width > 1 && box.height > 1 && (box.width < least || box.height < least))
    .map(([text, box]) => `${text} ${box.width} x ${box.height}`)"""
FOCUSED = """() => {
    const e = document.activeElement, named = ["name", "value", "aria-label"].map(a => e.getAttribute(a) || "");
    return [e.matches("body, input") ? "" : e.innerText, ...named].join(" ");
}"""
PAGES = ("/shift", "/sale", "/taps", "/report", "/state")


@pytest.fixture
def cab(tmp_path: Path) -> Iterator[Cab]:
    with open_cab(tmp_path) as cab:
        yield cab


def sign_in(page: Page, cab: Cab, ref: str = DRIVER) -> None:
    """By keyboard, without the card."""
    page.goto(cab.server.url + "/sign-in?typed=1")
    type_and_enter(page, ref)
    page.wait_for_url(lambda address: "/sign-in" not in address)


def type_and_enter(page: Page, ref: str) -> None:
    """The field has the focus from the page's first frame on, and that may come later than its load event."""
    expect(page.locator("#ref")).to_be_focused()
    page.keyboard.type(ref)
    page.keyboard.press("Tab")
    page.keyboard.type(PIN)
    page.keyboard.press("Enter")


def open_shift(page: Page) -> None:
    page.locator("input[name=run]").first.check()
    page.get_by_role("button", name="Open shift").click()
    expect(page.get_by_role("heading", name="Route 15")).to_be_visible()


def next_card(page: Page) -> Locator:
    """What is asked of the next card."""
    return page.get_by_role("region", name="Next card").get_by_role("status")


def out_of_reach(buttons: Locator, height: int) -> list[str]:
    """Those of `buttons` that a finger does not reach on a screen so high before it scrolls, or that are too small."""
    found = []
    for button in buttons.locator("visible=true").all():
        box = button.bounding_box()
        assert box is not None
        below = box["y"] < 0 or box["y"] + box["height"] > height
        if box["width"] > 1 and (below or min(box["height"], box["width"]) < LEAST_PX):
            found.append(f"{button.inner_text()} {box}")
    return found


def targets(page: Page) -> list[str]:
    """What can be pressed on the page and is smaller than a finger; asked of the page at once."""
    small: list[str] = page.evaluate(TOO_SMALL, LEAST_PX)
    return small


# signing in


def test_the_page_goes_on_by_itself_when_the_service_card_is_presented(page: Page, cab: Cab) -> None:
    page.goto(cab.server.url)
    expect(page.get_by_role("heading")).to_have_text("Present your service card")
    assert_accessible(page)
    cab.tap(SERVICE_CARD)
    expect(page.get_by_role("heading")).to_have_text(f"Card {DRIVER}")
    assert_accessible(page)
    for digit in PIN:
        page.locator(".pad").get_by_role("button", name=digit, exact=True).click()
    page.locator(".pad").get_by_role("button", name="OK").click()
    expect(page.get_by_role("heading")).to_have_text("Open shift")
    assert [record.how for record in cab.records(SignedIn)] == ["card"]  # type: ignore[attr-defined]


def test_the_pad_clears_and_a_wrong_pin_is_told(page: Page, cab: Cab) -> None:
    cab.tap(SERVICE_CARD)
    page.goto(cab.server.url)
    pad = page.locator(".pad")
    pad.get_by_role("button", name="9", exact=True).click()
    pad.get_by_role("button", name="Clear").click()
    expect(page.locator("#pin")).to_have_value("")
    for digit in "9999":
        pad.get_by_role("button", name=digit, exact=True).click()
    pad.get_by_role("button", name="OK").click()
    expect(page.get_by_role("alert").first).to_have_text("This PIN is wrong.")
    assert_accessible(page)


@pytest.mark.parametrize("script", [True, False])
def test_every_flow_of_a_driver_by_keyboard_alone(new_page: NewPage, cab: Cab, script: bool) -> None:
    page = new_page(java_script_enabled=script)

    def to(name: str) -> None:
        """Tab until the focus is on what is called `name`."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if name in page.evaluate(FOCUSED):
                return
        raise AssertionError(f"the keyboard does not come to {name}")

    page.goto(cab.server.url + "/sign-in")
    to("Without a card")
    page.keyboard.press("Enter")
    type_and_enter(page, DRIVER)
    expect(page.get_by_role("heading", name="Open shift")).to_be_visible()
    to("run")
    page.keyboard.press("Space")
    to("Open shift")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Route 15 к Университету")).to_be_visible()
    to("one person more")
    page.keyboard.press("Enter")
    expect(next_card(page)).to_contain_text("2 persons")
    to("Next turn")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Route 15 к Вокзалу")).to_be_visible()
    expect(next_card(page)).to_contain_text("1 person")
    to("stop")
    page.keyboard.press("ArrowDown")
    to("Set place")
    page.keyboard.press("Enter")
    expect(page.locator("dd", has_text="Университет, zone 2")).to_be_visible()
    to("Cash")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cash")).to_be_visible()
    to("persons")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
    for name in ("Taps", "Terminal", "Report"):
        to(name)
        page.keyboard.press("Enter")
        expect(page.locator("[aria-current=page]")).to_have_text(name)
    to("Close shift")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The shift is closed.")
    to("Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading")).to_have_text("Present your service card")
    kinds = (ShiftOpened, TurnStarted, CashSale, ShiftClosed)
    assert [len(cab.records(kind)) for kind in kinds] == [1, 1, 1, 1]
    assert cab.records(CashSale)[0].persons == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("theme", ["day", "night"])
def test_every_page_is_accessible_fits_and_has_targets_for_gloves(
    new_page: NewPage, cab: Cab, theme: str
) -> None:
    page = new_page(width=SIZES[0][0], height=SIZES[0][1])
    page.context.add_cookies([{"name": "console_look", "value": f"ru.{theme}", "url": cab.server.url}])

    def look(path: str) -> None:
        page.goto(cab.server.url + path)
        assert_accessible(page)
        for width, height in reversed(SIZES):  # the first one last: it is the next page's
            page.set_viewport_size({"width": width, "height": height})
            assert targets(page) == []
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, f"{path} is wider than the screen"
            pad = page.locator(".pad-go")
            if pad.count():
                assert pad.bounding_box()["y"] < height, "the whole pad is on the screen"  # type: ignore[index]

    look("/sign-in")
    look("/sign-in?typed=1")
    cab.tap(SERVICE_CARD)
    look("/sign-in")
    assert page.locator(".pad-go").count()
    cab.sign_in()
    page.context.add_cookies(_cookies(cab))
    for path in PAGES:
        look(path)
    cab.open_shift()
    for resident in ("adult_purse", "blocked", "month_pass"):
        cab.tap(resident)
    ticket = cab.act("/sale", "/sale", persons=1).headers["location"]
    for path in (*PAGES, ticket, "/inspection"):
        look(path)
    cab.act("/state", "/state/order")
    look("/state")
    look(cab.act("/report", "/shift/close").headers["location"])
    cab.client.cookies.clear()
    cab.sign_in(ref_of(Role.INSPECTOR))
    page.context.add_cookies(_cookies(cab))
    look("/inspection")
    cab.act("/inspection", "/inspection/start", route=15, direction=0)
    look("/inspection")


MAIN = "main .button-main, main .stays button, .cab button"
"""What a page is for."""
NOTICED = f"{ROUTES}\n[[notices]]\nid = 'detour'\ntext = '{'Объезд по Советской. ' * 8}'\n"


def test_what_a_crew_presses_most_is_on_small_screens_without_scrolling(
    new_page: NewPage, tmp_path: Path
) -> None:
    """Each page of driver, relief and inspector as it stands in a shift, a finger reaches what it is for."""
    with open_cab(tmp_path, policy=selling(SOLD), routes=NOTICED, language="ru") as cab:
        page = new_page(width=480, height=272)

        def look(path: str, least: int = 1, main: str = MAIN) -> None:
            page.context.add_cookies(_cookies(cab))
            for width, height in SMALL:
                page.set_viewport_size({"width": width, "height": height})
                page.goto(cab.server.url + path)
                assert out_of_reach(page.locator(main), height) == [], f"{path} at {width}×{height}"
                assert page.locator(main).locator("visible=true").count() >= least, path

        def as_who(role: Role) -> None:
            cab.client.cookies.clear()
            cab.sign_in(ref_of(role))

        as_who(Role.DRIVER)
        look("/shift")
        cab.open_shift()
        look("/shift", 3)
        look("/office")
        cab.act("/office", "/shift/read")
        ticket = cab.act("/sale", "/sale", persons=2).headers["location"]
        for path in ("/sale", "/sale?kind=luggage", ticket, ticket.replace("ticket", "cancel"), "/cash"):
            look(path)
        look("/report", 2)
        cab.act("/shift", "/shift/break")
        look("/shift")
        look("/sale")
        cab.act("/shift", "/shift/break")
        as_who(Role.CONDUCTOR)
        look("/shift", 4, ".cab button, a[href='#take']")
        assert_accessible(page)
        page.set_viewport_size({"width": 480, "height": 272})
        page.get_by_role("link", name="Принять смену").click()
        for name in ("Посчитано", "Принять"):
            expect(page.get_by_label(name).or_(page.get_by_role("button", name=name))).to_be_in_viewport(
                ratio=1
            )
        as_who(Role.INSPECTOR)
        look("/inspection")
        cab.act("/inspection", "/inspection/start", route=15, direction=0)
        for resident in ("adult_purse", "blocked"):
            cab.tap(resident)
        look("/inspection")
        cab.act("/inspection", "/inspection/stop")
        as_who(Role.DRIVER)
        cab.act("/state", "/state/order")
        look("/state")
        look(cab.act("/report", "/shift/close").headers["location"], 2)


def test_where_the_next_ride_goes_is_said_on_the_smallest_screen(new_page: NewPage, tmp_path: Path) -> None:
    with open_cab(tmp_path, policy=zoned()) as cab:
        cab.sign_in()
        cab.open_shift()
        page = new_page(width=480, height=272)
        page.context.add_cookies(_cookies(cab))
        page.goto(cab.server.url + "/shift")
        assert out_of_reach(page.locator(MAIN), 272) == []
        page.locator("button[value='1']").click()
        page.select_option("select[name=to]", "stop-1503")
        page.locator("form[action='/next/destination'] button").click()
        expect(page.locator("#next + [role=status]")).to_contain_text("Университет")
        assert_accessible(page)
        assert targets(page) == []


def test_what_is_asked_of_the_next_card_leaves_the_page_with_its_tap_and_with_its_time(
    page: Page, tmp_path: Path
) -> None:
    with open_cab(tmp_path, clock=DeskClock(START)) as cab:
        sign_in(page, cab)
        open_shift(page)
        more = page.get_by_role("button", name="one person more")
        for persons in ("2 persons", "3 persons"):
            more.click()
            expect(next_card(page)).to_contain_text(persons)
        cab.tap("adult_purse")
        expect(next_card(page)).to_have_text("1 person")
        expect(page.locator("[data-live=persons]")).to_have_text("1")
        more.click()
        expect(next_card(page)).to_contain_text("2 persons")
        page.evaluate("document.querySelector('[data-refresh-in]').dataset.refreshIn = 0.2")
        cab.clock.advance(60)
        cab.console.changed()
        expect(next_card(page)).to_have_text("1 person")


def _cookies(cab: Cab) -> list[dict[str, str]]:
    name = f"console_{cab.terminal.number}"
    return [{"name": name, "value": cab.client.cookies[name], "url": cab.server.url}]


# live


def test_taps_appear_by_themselves_and_looking_on_keeps_nobody_signed_in(page: Page, cab: Cab) -> None:
    sign_in(page, cab)
    open_shift(page)
    page.goto(cab.server.url + "/taps")
    expect(page.get_by_text("No taps yet.")).to_be_visible()
    cab.tap("adult_purse")
    expect(page.get_by_text("Paid by card")).to_be_visible()
    cab.tap("blocked")
    expect(page.get_by_text("Card blocked").first).to_be_visible()
    cab.clock.advance(3600)
    cab.tap("blocked")
    expect(page.get_by_role("heading", name="Present your service card")).to_be_visible()


def test_a_form_being_filled_in_is_not_touched_by_taps(page: Page, cab: Cab) -> None:
    sign_in(page, cab)
    open_shift(page)
    page.goto(cab.server.url + "/sale")
    page.locator("[data-step='1']").click()
    page.locator("[data-step='1']").click()
    expect(page.locator("output")).to_have_text("RUB\N{NO-BREAK SPACE}96.00")
    cab.tap("adult_purse")
    cab.tap("blocked")
    page.get_by_role("button", name="Sell").click()
    expect(page.locator("article")).to_contain_text("RUB 96.00")


def test_the_inspectors_page_follows_the_cards(page: Page, cab: Cab) -> None:
    cab.sign_in()
    cab.open_shift()
    cab.tap("adult_purse")
    sign_in(page, cab, ref_of(Role.INSPECTOR))
    page.locator("input[name=run]").first.check()
    page.get_by_role("button", name="Start inspection").click()
    cab.tap("adult_purse")
    expect(page.locator(".verdict")).to_contain_text("Paid")
    assert_accessible(page)
    cab.tap("month_pass")
    expect(page.locator(".verdict")).to_contain_text("No payment")
    assert_accessible(page)


# reloads and restarts


def test_reload_and_back_button_in_the_middle_of_a_sale(page: Page, cab: Cab) -> None:
    sign_in(page, cab)
    open_shift(page)
    page.goto(cab.server.url + "/sale")
    page.reload()
    page.get_by_role("button", name="Sell").click()
    expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
    ticket = page.url
    page.reload()
    assert page.url == ticket
    page.go_back()
    page.locator("form[action$='/sale']").evaluate(
        "form => form.submit()"
    )  # also where the page is an old picture
    expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
    assert page.url == ticket
    page.go_back()
    page.reload()
    expect(page.locator("p[role=status]")).to_contain_text("This ticket was sold already.")
    expect(page.get_by_role("button", name="Sell")).to_be_disabled()
    assert_accessible(page)
    assert len(cab.records(CashSale)) == 1
    page.get_by_role("link", name="New ticket").click()
    page.get_by_role("button", name="Sell").click()
    expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
    assert page.url != ticket
    assert len(cab.records(CashSale)) == 2


def answer_lost(route: Route) -> None:
    """The terminal hears the form; its answer never arrives."""
    if route.request.method == "POST":
        route.fetch(max_redirects=0)
        route.abort()
    else:
        route.continue_()


def test_an_answer_that_never_came_repeats_nothing(page: Page, cab: Cab) -> None:
    sign_in(page, cab)
    open_shift(page)
    page.goto(cab.server.url + "/sale")
    page.route("**/sale", answer_lost)
    with page.expect_event("requestfailed", lambda request: request.method == "POST"):
        page.get_by_role("button", name="Sell").click(no_wait_after=True)
    page.unroute("**/sale")
    assert len(cab.records(CashSale)) == 1
    page.reload()  # of the browser's error page: the form is sent once more
    expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
    assert len(cab.records(CashSale)) == 1
    page.goto(cab.server.url + "/sale")
    assert len(cab.records(CashSale)) == 1


def test_a_double_click_with_and_without_script(new_page: NewPage, cab: Cab) -> None:
    for number, script in enumerate((True, False), start=1):
        page = new_page(java_script_enabled=script)
        sign_in(page, cab)
        if number == 1:
            open_shift(page)
        page.goto(cab.server.url + "/sale")
        page.get_by_role("button", name="Sell").dblclick()
        expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
        assert len(cab.records(CashSale)) == number


class Running:
    """`terminal run --console` as a process of its own."""

    def __init__(self, state: Path, port: int = 0) -> None:
        config = config_file(
            state.parent,
            terminal={"profile": "bus", "state": state, "language": "en"},
            reader={"name": "sim:blocked", "pace_s": 600},
            console={"enabled": True, "port": port, "typed_sign_in": True},
            lists={"routes": state / "routes.toml"},
        )
        command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"operator console: (http://127\.0\.0\.1:(\d+))/", line):
                self.url, self.port = found[1], int(found[2])
                return
        raise AssertionError("the terminal did not start")

    def kill(self) -> None:
        """As a power cut would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


def test_kill_9_in_the_middle_of_a_sale(page: Page, tmp_path: Path) -> None:
    (tmp_path / "staff.json").write_bytes(msgspec.json.encode({"kind": "staff", "members": everybody()}))
    (tmp_path / "routes.toml").write_text(ROUTES.replace("region = 999", "region = 34"), "utf-8")
    running = Running(tmp_path)
    try:
        page.goto(running.url + "/sign-in?typed=1")
        type_and_enter(page, DRIVER)
        open_shift(page)
        page.goto(running.url + "/sale")
        sale = {
            field.get_attribute("name"): field.input_value() for field in page.locator("main input").all()
        }
        running.kill()
        expect(page.locator("#silent")).to_be_visible()
        running = Running(tmp_path, running.port)
        expect(page.locator("#silent")).to_be_hidden()
        page.get_by_role("button", name="Sell").click()  # the form that was open all the time
        expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
        ticket = page.url
        cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
        running.kill()
        running = Running(tmp_path, running.port)
        answer = httpx.post(running.url + "/sale", data=sale, cookies=cookies)
        assert running.url + answer.headers["location"] == ticket
        page.reload()
        expect(page.get_by_role("heading", name="Ticket")).to_be_visible()
    finally:
        running.kill()
    path = tmp_path / "journal.db"
    reader = JournalReader(path, load_key(path, KEYS.sealer))
    kinds = [type(row.record) for row in reader.all_rows()]
    reader.close()
    assert (kinds.count(ShiftOpened), kinds.count(CashSale)) == (1, 1)


def test_on_paper_there_is_only_the_report(page: Page, cab: Cab) -> None:
    sign_in(page, cab)
    open_shift(page)
    cab.tap("adult_purse")
    page.goto(cab.server.url + "/report")
    page.emulate_media(media="print")
    for hidden in (".bar", ".menu", ".button"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.get_by_text("Signature")).to_be_visible()
    expect(page.locator("dd", has_text="RUB 24.00")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
