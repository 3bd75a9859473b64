"""The canteen's console in a real browser: every flow by keyboard, every page for everybody, nothing done twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from playwright.sync_api import Page, expect

from pictures.console import CASHIER, OFFICER, PIN, STAFF, TEACHER, canteen_console
from pictures.counter import COUNTER, Counter, open_counter, pupil_ref
from terminal.canteen.issuing import How, ServingList, issue
from terminal.canteen.price_list import PriceList
from terminal.canteen.report import FIGURES
from terminal.canteen.roster import Roster
from terminal.codes import ReaderFault
from terminal.journal.action import acting
from terminal.journal.canteen_records import (
    Annulment,
    BuffetSale,
    CardLent,
    DayClosed,
    MealServed,
    NotCollected,
)
from terminal.journal.records import AnyRecord, parse_record
from terminal.screen.console.canteen.actions import canteen_area
from terminal.screen.console.canteen.people import Person, classmates
from terminal.screen.console.console import Console
from terminal.screen.console.staff import member_proof
from tests.terminal.screen.browser import NewPage, assert_accessible

NUMBER = COUNTER.number
SIZES = ((480, 272), (600, 1024), (1024, 600), (1920, 1080))
PAGES = (
    "counter",
    "class",
    "class?id=3а",
    "buffet",
    "pupils",
    "pupils?q=аб",
    "records",
    "report",
    "close",
    "shift",
)
TEACHERS_PAGES = ("attendance", "attendance?id=3а")


@dataclass
class School:
    """The console of a school at breakfast, and the hands at it."""

    counter: Counter
    console: Console
    url: str

    def at(self, path: str) -> str:
        return f"{self.url}/canteen/{path}"

    def token(self, ref: str) -> str:
        """A session as the sign-in would begin it."""
        member = self.console.staff.get(ref)
        assert member is not None
        return self.console.sessions.begin(
            member.ref, "typed", member_proof(member), self.console.now_ms(), role=member.role
        )

    def cookie(self, ref: str) -> str:
        return f"console_{NUMBER}={self.token(ref)}"

    def sign_in(self, page: Page, ref: str) -> None:
        cookie = {"name": f"console_{NUMBER}", "value": self.token(ref), "url": self.url}
        page.context.add_cookies([cookie])  # type: ignore[list-item]

    def tap(self, resident: str) -> None:
        with self.console.lock:
            report = self.counter.town.tap(NUMBER, resident).report
        self.console.heard(report)

    def rows(self, kind: type[AnyRecord]) -> list[Any]:
        rows = self.counter.terminal.journal.rows(limit=5000)
        return [record for row in rows if isinstance(record := parse_record(row.body), kind)]

    def pupils(self, class_id: str) -> tuple[Person, ...]:
        return classmates(self.counter.canteen, class_id)


OpenSchool = Callable[..., School]


@pytest.fixture
def open_school(tmp_path: Path) -> Iterator[OpenSchool]:
    with ExitStack() as stack:

        def open_one(at: str = "08:40:00", language: str = "en") -> School:
            counter = stack.enter_context(open_counter(tmp_path / "school", at))
            console, url = stack.enter_context(canteen_console(counter, tmp_path / "console", language))
            return School(counter, console, url)

        yield open_one


@pytest.fixture
def school(open_school: OpenSchool) -> School:
    return open_school()


def tab_to(page: Page, selector: str, most: int = 120) -> None:
    """Press Tab until the element has the focus, as somebody without a mouse does."""
    for _ in range(most):
        if page.evaluate("s => !!document.activeElement?.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not reach {selector}")


def press(page: Page, selector: str) -> None:
    """Go to a link or button by Tab, press Enter, and wait for the page it leads to."""
    tab_to(page, selector)
    enter(page)


def enter(page: Page) -> None:
    with page.expect_navigation():
        page.keyboard.press("Enter")


def sign_in_by_keyboard(page: Page, school: School, ref: str) -> None:
    page.goto(f"{school.url}/sign-in?typed=1")
    tab_to(page, "#ref")
    page.keyboard.type(ref)
    tab_to(page, "#pin")
    page.keyboard.type(PIN)
    enter(page)
    page.wait_for_url("**/canteen/**")


# by keyboard alone


def test_m_31_a_class_is_served_by_keyboard(school: School, page: Page) -> None:
    sign_in_by_keyboard(page, school, CASHIER)
    press(page, ".menu a[href$='/canteen/class']")
    press(page, ".tile[href*='3%D0%B0']")
    tab_to(page, ".tick input")
    page.keyboard.press("Space")  # the first one is not there
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")  # nor is the third
    expect(page.locator("[data-count]")).to_have_text("22")
    press(page, ".ticks-form .button-main")
    expect(page.locator("h1")).to_contain_text("Served: 22")
    pupils = school.pupils("3а")
    served = {record.pupil for record in school.rows(MealServed)}
    assert served == {one.pupil for at, one in enumerate(pupils) if at not in (0, 2)}


def test_m_02_the_buffet_sells_by_keyboard(school: School, page: Page) -> None:
    buyer = next(one for one in school.pupils("5а") if not listed(school, one).forbidden)
    sign_in_by_keyboard(page, school, CASHIER)
    press(page, ".menu a[href$='/canteen/buffet']")
    press(page, ".basket-who .button-main")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type(f"5а {buyer.name.split()[0]}")
    enter(page)
    press(page, f".found a[href*='{buyer.ref}']")
    press(page, ".ware[value='apple']")
    expect(page.locator(".basket-lines")).to_contain_text("Яблоко")
    press(page, ".step[name='add'][value='apple']")
    expect(page.locator(".basket-total")).to_contain_text("50")
    press(page, ".basket form[method='post'] .button-main")
    expect(page.locator(".notice-green")).to_contain_text(buyer.name)
    [sale] = school.rows(BuffetSale)
    assert (sale.pupil, sale.sum_minor, sale.operator) == (buyer.pupil, 5000, CASHIER)


def test_m_34_the_last_record_is_annulled_by_keyboard(school: School, page: Page) -> None:
    school.tap("pupil_grade3")
    sign_in_by_keyboard(page, school, CASHIER)
    press(page, ".menu a[href$='/canteen/records']")
    press(page, ".record-annul")
    press(page, ".button-danger")
    page.wait_for_url("**/canteen/records")
    expect(page.locator(".record-annulled")).to_have_count(1)
    [annulled] = school.rows(Annulment)
    assert annulled.pupil == school.counter.ref("pupil_grade3")


def test_m_35_a_forgotten_card_needs_a_second_person(school: School, page: Page) -> None:
    pupil = school.pupils("3а")[5]
    sign_in_by_keyboard(page, school, CASHIER)
    page.goto(school.at(f"pupil?ref={pupil.ref}"))
    tab_to(page, "#issue-staff")
    page.keyboard.type(CASHIER)  # oneself does not count
    tab_to(page, "#issue-pin")
    page.keyboard.type(PIN)
    enter(page)
    expect(page.locator(".notice-red")).to_contain_text("another member of staff")
    assert school.rows(MealServed) == []
    page.goto(school.at(f"pupil?ref={pupil.ref}"))
    tab_to(page, "#issue-staff")
    page.keyboard.type(TEACHER)
    tab_to(page, "#issue-pin")
    page.keyboard.type(PIN)
    enter(page)
    expect(page.locator("h1")).to_contain_text("Served: 1")
    [meal] = school.rows(MealServed)
    assert (meal.pupil, meal.how, meal.confirmed_by) == (pupil.pupil, "forgotten_card", TEACHER)


def test_m_35_the_card_held_against_the_terminal_last_can_be_lent(school: School, page: Page) -> None:
    pupil = school.pupils("3а")[5]
    school.tap("adult_purse")
    school.sign_in(page, CASHIER)
    page.goto(school.at(f"pupil?ref={pupil.ref}"))
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    tab_to(page, "#lend-staff")
    page.keyboard.type(TEACHER)
    tab_to(page, "#lend-pin")
    page.keyboard.type(PIN)
    enter(page)
    expect(page.locator(".notice-green")).to_be_visible()
    [lent] = school.rows(CardLent)
    assert (lent.pupil, lent.confirmed_by) == (pupil.pupil, TEACHER)
    school.tap("adult_purse")
    page.goto(school.at("counter"))
    expect(page.locator(".standing-name")).to_have_text(pupil.name)


def test_m_33_absences_by_keyboard(school: School, page: Page) -> None:
    sign_in_by_keyboard(page, school, TEACHER)
    press(page, ".menu a[href$='/canteen/attendance']")
    press(page, ".tile[href*='3%D0%B0']")
    tab_to(page, ".tick input")
    page.keyboard.press("Space")
    press(page, ".ticks-form .button-main")
    page.wait_for_url("**/canteen/attendance")
    day = school.counter.canteen.day_of(school.console.clock.now()).isoformat()
    assert school.counter.canteen.ledger.absent(school.pupils("3а")[0].pupil, day)
    page.goto(school.at("attendance?id=3а"))
    page.locator(".tick input").first.uncheck()
    press(page, ".ticks-form .button-main")
    page.wait_for_url("**/canteen/attendance")
    assert not school.counter.canteen.ledger.absent(school.pupils("3а")[0].pupil, day), "there after all"


def test_m_32_m_40_the_day_ends_by_keyboard(open_school: OpenSchool, page: Page) -> None:
    school = open_school("15:10:00")
    sign_in_by_keyboard(page, school, OFFICER)
    press(page, ".menu a[href$='/canteen/records']")
    press(page, ".order .button")
    page.wait_for_url("**marked=**")
    assert school.rows(NotCollected)
    press(page, ".menu a[href$='/canteen/report']")
    press(page, "a[href$='/canteen/close']")
    press(page, ".button-danger")
    page.wait_for_url("**/canteen/report")
    expect(page.locator(".sheet-head")).to_contain_text("day closed")
    [closed] = school.rows(DayClosed)
    assert closed.operator == OFFICER


def test_t_60_a_shift_is_closed_and_opened_by_keyboard(school: School, page: Page) -> None:
    sign_in_by_keyboard(page, school, CASHIER)
    press(page, ".menu a[href$='/canteen/shift']")
    press(page, ".button-danger")
    assert school.counter.terminal.journal.open_shift is None
    press(page, ".menu a[href$='/canteen/class']")
    expect(page.locator(".notices")).to_contain_text("The shift is not open")
    press(page, ".notices a")
    press(page, ".question .button-main")
    opened = school.counter.terminal.journal.open_shift
    assert opened is not None
    assert (opened.operator_ref, opened.profile) == (CASHIER, "canteen")


# for everybody


def test_axe_finds_nothing_by_night(school: School, page: Page) -> None:
    """Colours are all that differs."""
    school.tap("pupil_grade3")
    page.context.add_cookies([{"name": "console_look", "value": "en.night", "url": school.url}])
    school.sign_in(page, CASHIER)
    buyer = next(one for one in school.pupils("3а") if "nuts" in listed(school, one).forbidden)
    for path in ("counter", "class?id=3а", f"buffet?pupil={buyer.ref}&n.bun=20", "report"):
        page.goto(school.at(path))
        assert_accessible(page)


def test_axe_finds_nothing_on_any_page(school: School, page: Page) -> None:
    school.counter.serve("3б", 3)
    school.tap("pupil_grade3")
    school.tap("adult_purse")
    pupil = school.pupils("3а")[0]
    row = school.counter.terminal.journal.head.sequence - 2
    school.sign_in(page, CASHIER)
    for path in (*PAGES, f"pupil?ref={pupil.ref}", f"buffet?pupil={pupil.ref}&n.bun=2", f"annul?row={row}"):
        page.goto(school.at(path))
        assert_accessible(page)
    school.sign_in(page, TEACHER)
    for path in TEACHERS_PAGES:
        page.goto(school.at(path))
        assert_accessible(page)
    school.sign_in(page, CASHIER)
    page.goto(school.at("class?id=3а"))
    page.locator(".ticks-form .button-main").click()
    page.wait_for_url("**class-done**")
    assert_accessible(page)


SEEN = """() => {
  const bar = document.querySelector(".ticks-form .acts").getBoundingClientRect();
  return [...document.querySelectorAll(".tick")].map(one => one.getBoundingClientRect())
    .filter(box => box.top >= 0 && box.bottom <= bar.top + 1 && box.right <= innerWidth).length;
}"""


def test_what_is_pressed_most_is_in_sight(school: School, page: Page) -> None:
    school.sign_in(page, CASHIER)
    pupil = school.pupils("3а")[0]
    for path, button in (
        ("class?id=3а", ".ticks-form .button-main"),
        (f"buffet?pupil={pupil.ref}&n.bun=2", ".basket form[method=post] .button-main"),
        ("shift", "main form[method=post] .button"),
    ):
        page.goto(school.at(path))
        for width, height, least in ((480, 272, 4), (800, 480, 8), (1024, 600, 8), (1920, 1080, 24)):
            page.set_viewport_size({"width": width, "height": height})
            box = page.locator(button).first.bounding_box()
            assert box is not None, path
            assert 0 <= box["y"] <= box["y"] + box["height"] <= height, (path, height)
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width, (path, width)
            if path.startswith("class"):
                assert page.evaluate(SEEN) >= least, (width, height)


def test_a_page_that_is_not_there_is_a_page_of_the_console_with_a_way_back(
    school: School, page: Page
) -> None:
    school.sign_in(page, CASHIER)
    for path in ("/no-such-page", "/canteen/no-such-page", "/canteen/issue"):
        answer = page.goto(school.url + path)
        assert answer is not None
        assert answer.status == 404, path
        expect(page.get_by_role("alert").last).to_contain_text("There is no such page")
        assert_accessible(page)
        page.get_by_role("link", name="To the first page").click()
        expect(page.locator(".menu")).to_be_visible()


def test_every_page_fits_every_screen(school: School, page: Page) -> None:
    school.tap("pupil_grade3")
    school.sign_in(page, CASHIER)
    pupil = school.pupils("3а")[0]
    for path in (*PAGES, f"pupil?ref={pupil.ref}", f"buffet?pupil={pupil.ref}&n.bun=2"):
        page.goto(school.at(path))
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            too_wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert too_wide <= 0, f"{path} is {too_wide} px wider than {width}×{height}"


def test_fingers_find_their_target(school: School, page: Page) -> None:
    school.sign_in(page, CASHIER)
    for path in ("class?id=3а", "buffet", "records", "class"):
        page.goto(school.at(path))
        small = page.evaluate(
            """() => [...document.querySelectorAll("main button, main a, main label.tick, main select")]
                .map(e => [e.textContent.trim(), e.getBoundingClientRect()])
                .filter(([, box]) => box.height > 0 && box.height < 44).map(([text]) => text)"""
        )
        assert small == [], path


def test_without_scripts_everything_works(school: School, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    school.sign_in(page, CASHIER)
    page.goto(school.at("class?id=3а"))
    page.locator(".tick input").first.uncheck()
    page.locator(".ticks-form .button-main").click()
    expect(page.locator("h1")).to_contain_text("Served: 23")
    buyer = next(one for one in school.pupils("5а") if not listed(school, one).forbidden)
    page.goto(school.at(f"buffet?pupil={buyer.ref}"))
    page.locator("#find").fill("ябл")
    page.locator(".search button").click()
    page.locator(".ware[value='juice']").click()
    page.locator(".basket form[method='post'] button").click()
    expect(page.locator(".notice-green")).to_contain_text(buyer.name)
    assert [sale.sum_minor for sale in school.rows(BuffetSale)] == [4500]


# what is shown


def test_a_tap_appears_without_a_reload(school: School, page: Page) -> None:
    school.sign_in(page, CASHIER)
    page.goto(school.at("counter"))
    expect(page.locator(".standing-idle")).to_be_visible()
    school.tap("pupil_grade3")
    expect(page.locator(".standing-name")).to_contain_text("Вера")
    expect(page.locator(".handout-ok")).to_contain_text("Breakfast, 1 portion")
    expect(page.locator(".meal-served")).to_have_text("1")
    school.tap("pupil_grade3")
    expect(page.locator(".handout-no")).to_contain_text("Breakfast already served")
    expect(page.locator(".earlier-list li")).to_have_count(1)


def test_m_38_the_counter_shows_free_and_paid_alike(school: School, page: Page) -> None:
    """The same markup for a pupil with one ground, with another, and for one who pays."""
    school.sign_in(page, CASHIER)
    seen = set()
    for resident in ("pupil_grade3", "pupil_two_meals", "pupil_large_family"):
        school.tap(resident)
        page.goto(school.at("counter"))
        standing = page.locator(".standing").inner_html()
        standing = re.sub(r'<h2.*?</h2>|<p class="standing-class">.*?</p>|ref=\w+|pupil=\w+', "", standing)
        seen.add(re.sub(r"\d\d:\d\d:\d\d", "", standing))
    assert len(seen) == 1


def test_m_37_o_06_what_fails_is_shown_and_meals_go_on(school: School, page: Page) -> None:
    school.console.offline = lambda: True
    school.counter.canteen._broken = True
    school.sign_in(page, CASHIER)
    page.goto(school.at("counter"))
    expect(page.locator(".notices")).to_contain_text("Selling is stopped")
    expect(page.locator(".notices")).to_contain_text("No network")
    school.console.reader_fault = lambda: ReaderFault.GONE
    school.console.changed()
    expect(page.locator(".notices")).to_contain_text("The card reader does not answer")
    page.goto(school.at("class?id=3а"))
    page.locator(".ticks-form .button-main").click()
    expect(page.locator("h1")).to_contain_text("Served: 24")
    assert len(school.counter.canteen.spare.meals()) == 24
    page.reload()
    expect(page.locator("h1")).to_contain_text("Served: 24")


def test_a_forbidden_product_has_no_button(school: School, page: Page) -> None:
    buyer = next(one for one in school.pupils("3а") if "nuts" in listed(school, one).forbidden)
    school.sign_in(page, CASHIER)
    page.goto(school.at(f"buffet?pupil={buyer.ref}&n.nut_bar=1"))
    expect(page.locator(".ware-forbidden")).to_contain_text("Батончик")
    expect(page.locator(".ware[value='nut_bar']")).to_have_count(0)
    expect(page.locator(".basket-lines")).not_to_contain_text("Батончик")


def test_names_and_products_and_policy_texts_are_text(school: School, page: Page) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    school_counter = school.counter.canteen
    assert school_counter.roster is not None
    assert school_counter.price_list is not None
    pupils = tuple(msgspec.structs.replace(one, name=evil) for one in school_counter.roster.document.pupils)
    document = msgspec.structs.replace(school_counter.roster.document, pupils=pupils)
    school_counter.roster = Roster.of(document, school_counter.policy)
    products = {
        name: msgspec.structs.replace(one, name=evil)
        for name, one in school_counter.price_list.products.items()
    }
    school_counter.price_list = PriceList(school_counter.price_list.header, products)
    schools = {
        name: msgspec.structs.replace(one, name=evil)
        for name, one in school_counter.policy.meals.schools.items()
    }
    msgspec.structs.force_setattr(school_counter.policy.meals, "schools", schools)
    for concession in school_counter.policy.document.concessions:
        msgspec.structs.force_setattr(concession, "name", evil)
    school.tap("pupil_grade3")
    pupil = school.pupils("3а")[0]
    of_cashier = (*PAGES, f"pupil?ref={pupil.ref}", f"buffet?pupil={pupil.ref}&n.bun=1&find=%3Cb%3E")
    for ref, paths in ((TEACHER, TEACHERS_PAGES), (CASHIER, of_cashier)):
        school.sign_in(page, ref)
        for path in paths:
            page.goto(school.at(path))
            assert page.title() != "owned", path
            assert page.locator("main img, main script").count() == 0, path
    page.goto(school.at("class?id=3а"))
    page.locator(".ticks-form .button-main").click()
    expect(page.locator(".results-many")).to_contain_text("<img src=x")


def test_without_any_list_the_pages_say_so(school: School, page: Page) -> None:
    school.counter.canteen.roster = None
    school.counter.canteen.price_list = None
    school.tap("pupil_grade3")
    school.sign_in(page, CASHIER)
    for path in ("counter", "class", "buffet", "pupils", "pupils?q=x", "records", "report", "close"):
        answer = page.goto(school.at(path))
        assert answer is not None
        assert answer.status == 200, path
    page.goto(school.at("counter"))
    expect(page.locator(".notices")).to_contain_text("There is no list of pupils")
    expect(page.locator(".handout-ok")).to_contain_text("Breakfast, 1 portion")
    answer = page.goto(school.at("class?id=3а"))
    assert answer is not None
    assert answer.status == 409
    expect(page.locator(".notice-red")).to_contain_text("not in the list")


def test_m_31_a_large_class_on_a_small_screen(school: School, new_page: NewPage) -> None:
    school_counter = school.counter.canteen
    assert school_counter.roster is not None
    everybody = tuple(
        msgspec.structs.replace(one, class_id="1а") for one in school_counter.roster.document.pupils
    )
    school_counter.roster = Roster.of(
        msgspec.structs.replace(school_counter.roster.document, pupils=everybody), school_counter.policy
    )
    page = new_page(480, 272)
    school.sign_in(page, TEACHER)
    page.goto(school.at("class?id=1а"))
    page.locator("[data-all]").click()
    ticked = page.locator(".tick input:checked").count()
    assert ticked > 80
    page.locator(".ticks-form .button-main").click()
    expect(page.locator(".result")).to_have_count(ticked)


# once, whatever happens


def test_a_class_sent_again_is_served_once(school: School, page: Page) -> None:
    school.sign_in(page, CASHIER)
    page.goto(school.at("class?id=3а"))
    page.locator(".ticks-form .button-main").click()
    page.wait_for_url("**class-done**")
    page.reload()
    expect(page.locator("h1")).to_contain_text("Served: 24")
    page.go_back()
    expect(page.locator(".tick-served")).to_have_count(24)
    page.locator(".ticks-form .button-main").click()
    expect(page.locator(".notice-red")).to_contain_text("No pupil is ticked")
    assert len(school.rows(MealServed)) == 24


def test_a_form_sent_twice_shows_the_same_result(school: School) -> None:
    with browserless(school, TEACHER) as client:
        form = fields(client.get("/canteen/class?id=3а").text, "issue")
        answers = [client.post("/canteen/issue", data=form) for _ in range(2)]
        pages = [client.get(answer.headers["location"]).text for answer in answers]
    assert ["Served: 24" in page for page in pages] == [True, True]
    assert len(school.rows(MealServed)) == 24


def test_a_sale_sent_again_is_one_sale(school: School) -> None:
    buyer = next(one for one in school.pupils("5а") if not listed(school, one).forbidden)
    with browserless(school, CASHIER) as client:
        form = fields(shown(client, f"/canteen/buffet?pupil={buyer.ref}&n.bun=1"), "sell")
        answers = [client.post("/canteen/sell", data=form) for _ in range(3)]
    assert {answer.headers["location"] for answer in answers} == {answers[0].headers["location"]}
    assert len(school.rows(BuffetSale)) == 1


def test_a_class_cut_off_in_the_middle_is_finished_by_the_same_form(school: School) -> None:
    with browserless(school, CASHIER) as client:
        form = fields(client.get("/canteen/class?id=3а").text, "issue")
        first = [one.pupil for one in school.pupils("3а")[:10]]
        batch = ServingList("breakfast", How.CLASS_LIST, CASHIER, school.console.clock.now())
        with school.console.lock, acting(form["action"][0]):
            issue(school.counter.canteen, first, batch)  # and here the plug was pulled
        answer = client.post("/canteen/issue", data=form)
        done = client.get(answer.headers["location"]).text
    assert "Served: 24" in done
    assert len(school.rows(MealServed)) == 24


def test_an_old_form_of_absences_does_not_undo_a_newer_one(school: School) -> None:
    first, second = school.pupils("3а")[:2]
    day = school.counter.canteen.day_of(school.console.clock.now()).isoformat()
    with browserless(school, TEACHER) as client:
        early, late = (fields(client.get("/canteen/attendance?id=3а").text, "attendance") for _ in range(2))
        client.post("/canteen/attendance", data={**early, "ref": [first.ref]})
        client.post("/canteen/attendance", data={**late, "ref": [second.ref]})
        client.post("/canteen/attendance", data={**early, "ref": [first.ref]})  # once more
    ledger = school.counter.canteen.ledger
    assert [ledger.absent(one.pupil, day) for one in (first, second)] == [False, True]


def test_o_06_a_class_sent_again_while_nothing_is_recorded_is_served_once(school: School) -> None:
    school.counter.canteen._broken = True
    with browserless(school, CASHIER) as client:
        form = fields(client.get("/canteen/class?id=3а").text, "issue")
        answers = [client.post("/canteen/issue", data=form) for _ in range(2)]
        done = client.get(answers[1].headers["location"]).text
    assert "Served: 24" in done
    assert "Not served" not in done
    assert len(school.counter.canteen.spare.meals()) == 24


def test_an_annulment_sent_again_annuls_nothing_more(school: School) -> None:
    buyer = next(one for one in school.pupils("5а") if not listed(school, one).forbidden)
    with browserless(school, CASHIER) as client:
        for _ in range(2):
            form = fields(shown(client, f"/canteen/buffet?pupil={buyer.ref}&n.bun=1"), "sell")
            client.post("/canteen/sell", data=form)
        row = school.counter.terminal.journal.head.sequence
        form = fields(client.get(f"/canteen/annul?row={row}").text, "annul")
        assert [client.post("/canteen/annul", data=form).status_code for _ in range(2)] == [303, 303]
    assert [record.of for record in school.rows(Annulment)] == [row]


# what a tap means


def test_m_30_what_a_tap_means_follows_the_page_in_use(school: School, page: Page) -> None:
    school.sign_in(page, CASHIER)
    page.goto(school.at("buffet"))
    expect(page.locator(".means")).to_contain_text("who is buying")
    school.tap("pupil_grade3")
    first, second = (school.counter.ref(resident) for resident in ("pupil_grade3", "pupil_two_meals"))
    expect(page.locator(".basket-who")).to_contain_text(name_of(school, first))
    school.tap("pupil_two_meals")  # with nothing in the basket the next card is the buyer
    expect(page.locator(".basket-who")).to_contain_text(name_of(school, second))
    page.locator(".ware[value='apple']").click()
    school.tap("pupil_grade3")  # now it asks
    expect(page.locator("[data-live=buyer] .notice")).to_contain_text(name_of(school, first))
    expect(page.locator(".basket-who")).to_contain_text(name_of(school, second))
    assert meals_of(school) == [], "no card in the buffet is a meal"
    page.goto(school.at("counter"))
    expect(page.locator(".means")).to_contain_text("Breakfast")
    school.tap("pupil_grade3")
    expect(page.locator(".handout-ok")).to_contain_text("Breakfast")
    assert meals_of(school) == [first]


def test_c4_back_and_sell_again_sells_nothing_more(school: School, page: Page) -> None:
    buyer = next(one for one in school.pupils("5а") if not listed(school, one).forbidden)
    school.sign_in(page, CASHIER)
    page.goto(school.at(f"buffet?pupil={buyer.ref}&n.bun=1"))
    page.locator(".basket form[method='post'] button").click()
    expect(page.locator(".notice-green")).to_contain_text(buyer.name)
    page.go_back()
    expect(page.locator(".notice-yellow")).to_contain_text("sold already")
    expect(page.locator(".basket form[method='post'] button")).to_be_disabled()
    assert len(school.rows(BuffetSale)) == 1


def test_m_32_what_is_not_ordered_is_the_cashiers_to_decide(school: School, page: Page) -> None:
    payer = asked_to_pay(school)
    school.sign_in(page, CASHIER)
    page.goto(school.at("counter"))
    school.tap("adult_purse")
    expect(page.locator(".handout-ask")).to_contain_text("Breakfast")
    expect(page.locator(".ask-why")).not_to_be_empty()
    assert meals_of(school) == []
    page.locator(".standing .ask button").click()
    expect(page.locator(".handout-ok")).to_contain_text("Breakfast")
    [meal] = school.rows(MealServed)
    assert (meal.pupil, meal.how, meal.operator) == (payer, "asked", CASHIER)
    assert set(meal.meal.flags) & {"without_order", "other_entitlement"}
    page.go_back()
    page.reload()
    expect(page.locator(".standing .ask button")).to_have_count(0)
    assert len(school.rows(MealServed)) == 1


def test_the_keyboard_stays_at_the_question_it_stands_at(school: School, page: Page) -> None:
    """The page changes under the hand: by an event, by the next card, which moves the question, by what is counted. The
    deed stays the same one, and with the control gone the next Tab begins at the page's content."""
    asked_to_pay(school)
    school.sign_in(page, CASHIER)
    page.goto(school.at("counter"))
    school.tap("adult_purse")
    question = page.locator(".standing .ask")
    question.locator("button").focus()
    action = question.locator("[name=action]").input_value()
    with page.expect_response(re.compile("/canteen/counter")):
        school.console.feed.publish("tap")
    school.tap("pupil_grade3")
    moved = page.locator(".earlier .ask")
    expect(moved.locator("[name=action]")).to_have_value(action)
    expect(moved.locator("button")).to_be_focused()
    a_class = page.get_by_role("link", name="5а", exact=True)
    a_class.focus()
    served = page.locator(".meal-served")
    school.tap("pupil_two_meals")
    expect(served).to_have_text("2")
    expect(a_class).to_be_focused()
    page.get_by_role("link", name="This pupil").focus()
    school.tap("adult_purse")
    expect(page.locator(".standing-name")).to_have_text("Плательщик Пётр")
    expect(page.locator("#main")).to_be_focused()


def test_m_31_a_list_ticks_whom_the_meal_is_for_and_says_why_not(school: School) -> None:
    with browserless(school, CASHIER) as client:
        html = client.get("/canteen/class?id=5а").text
        form = fields(html, "issue")
        ticked, asked = form.get("ref", []), form["asked"]
        assert asked, "some pay and ordered nothing"
        assert "paid, no order" in html or "entitled to another meal" in html
        assert not {one.split()[0] for one in asked} & set(ticked)
        everyone = [one.split()[0] for one in asked]
        answer = client.post("/canteen/issue", data={**form, "ref": [*ticked, *everyone]})
        assert answer.status_code == 303, answer.text
    flags = {record.pupil.hex(): set(record.meal.flags) for record in school.rows(MealServed)}
    assert all(flags[ref] & {"without_order", "other_entitlement"} for ref in everyone if ref in flags)
    assert set(ticked) <= flags.keys()


def test_m_35_one_pupil_of_a_class_needs_a_second_person_and_a_wrong_pin_leads_back(school: School) -> None:
    one = school.pupils("3а")[5]
    with browserless(school, CASHIER) as client:
        form = {**fields(client.get("/canteen/class?id=3а").text, "issue"), "ref": [one.ref]}
        refused = client.post("/canteen/issue", data=form)
        assert (refused.status_code, "A second person has to confirm" in refused.text) == (409, True)
        again = {**fields(refused.text, "issue"), "second": TEACHER, "second_pin": "0000"}
        assert again["ref"] == [one.ref], "the ticks are still there"
        wrong = client.post("/canteen/issue", data=again)
        assert (wrong.status_code, "This PIN is wrong" in wrong.text) == (409, True)
        last = {**fields(wrong.text, "issue"), "second": TEACHER, "second_pin": PIN}
        assert last["ref"] == [one.ref]
        assert client.post("/canteen/issue", data=last).status_code == 303
        single = fields(client.get(f"/canteen/pupil?ref={one.ref}").text, "single")
        wrong = client.post("/canteen/single", data={**single, "second": TEACHER, "second_pin": "1"})
        assert (wrong.status_code, one.name in wrong.text) == (409, True)
    [meal] = school.rows(MealServed)
    assert (meal.pupil, meal.confirmed_by) == (one.pupil, TEACHER)


def test_m_34_a_whole_list_is_taken_back_at_once_and_later_with_a_second_person(school: School) -> None:
    with browserless(school, CASHIER) as client:
        done = client.post("/canteen/issue", data=fields(client.get("/canteen/class?id=3а").text, "issue"))
        page = client.get(done.headers["location"]).text
        link = re.search(r'href="(/canteen/annul-list[^"]*)"', page)
        assert link is not None
        form = fields(client.get(link[1]).text, "annul-list")
        school.counter.town.clock.advance(301)
        late = client.post("/canteen/annul-list", data=form)
        assert (late.status_code, "too late" in late.text) == (409, True)
        assert school.rows(Annulment) == []
        again = {**fields(late.text, "annul-list"), "second": TEACHER, "second_pin": PIN}
        assert client.post("/canteen/annul-list", data=again).status_code == 303
        assert client.post("/canteen/annul-list", data=again).status_code == 303
    assert len(school.rows(Annulment)) == len(school.rows(MealServed)) == 24
    assert {record.confirmed_by for record in school.rows(Annulment)} == {TEACHER}


def test_records_are_searched_and_findings_say_who_and_what_to_do(school: School) -> None:
    school.counter.serve("3а", 20)
    school.counter.serve("3б", 20)
    one = school.pupils("3а")[3]
    with browserless(school, CASHIER) as client:
        everything = client.get("/canteen/records").text
        assert "More of today" in everything
        found = client.get(f"/canteen/records?q={one.name.split()[0]}").text
        assert found.count('class="record"') < 20
        assert one.name in found
        month = client.get("/canteen/month?id=3а").text
        assert one.name in month
        file = client.get("/canteen/month.xlsx?names=1")
        assert file.content.startswith(b"PK")
        assert client.get("/canteen/report.xlsx").content.startswith(b"PK")


def test_c6_serving_counts_as_use(school: School) -> None:
    with browserless(school, CASHIER) as client:
        for _ in range(4):
            school.counter.town.clock.advance(20 * 60)
            school.tap("pupil_grade3")
        looking_on = client.get("/canteen/counter", headers={"X-Looking-On": "1"})
        assert looking_on.status_code == 200
        school.counter.town.clock.advance(31 * 60)
        assert client.get("/canteen/counter", headers={"X-Looking-On": "1"}).status_code == 401


def meals_of(school: School) -> list[bytes]:
    ledger = school.counter.canteen.ledger
    school.counter.canteen.follow()
    return [meal.pupil for meal in ledger.standing(ledger.meals.values())]


def name_of(school: School, ref: bytes) -> str:
    assert school.counter.canteen.roster is not None
    return school.counter.canteen.roster.pupils[ref].name


def asked_to_pay(school: School) -> bytes:
    """A pupil who is entitled to nothing, ordered nothing, and has money; his card is the adult's."""
    town, counter = school.counter.town, school.counter.canteen
    ref = pupil_ref(town, school.counter.terminal, "adult_purse")
    assert counter.roster is not None
    first = counter.roster.document.pupils[0]
    payer = msgspec.structs.replace(
        first, ref=ref.hex(), name="Плательщик Пётр", grants=(), orders=(), hot_minor=100_000, grade=9
    )
    pupils = (*counter.roster.document.pupils, payer)
    counter.roster = Roster.of(
        msgspec.structs.replace(counter.roster.document, pupils=pupils), counter.policy
    )
    return ref


# roles


def test_roles_are_kept_apart(school: School) -> None:
    area = canteen_area()
    for ref, role in STAFF.items():
        with browserless(school, ref) as client:
            token = fields(shown(client, "/"), "look")
            for page in area.pages:
                status = client.get(page.path, follow_redirects=True).status_code
                assert (status == 403) == (role not in page.roles), (role, page.path, status)
            for action in area.actions:
                if role not in action.roles:
                    assert client.post(action.path, data=token).status_code == 403, (role, action.path)
    assert not school.rows(MealServed)
    assert not school.rows(DayClosed)


def test_what_each_role_finds(school: School, page: Page) -> None:
    found = {}
    for ref in STAFF:
        school.sign_in(page, ref)
        page.goto(school.url)
        found[ref] = page.locator(".menu a").all_inner_texts()
    assert found == {
        CASHIER: ["Serving", "Class", "Buffet", "Put right", "Day report", "Shift", "Cards", "Terminal"],
        TEACHER: ["Class", "Who is absent"],
        OFFICER: [
            *("Put right", "Who is absent", "Day report", "Cards", "Pupils", "Prices and menu", "Payments"),
            "Terminal",
        ],
    }


# paper


def test_the_report_is_a_sheet_of_paper(open_school: OpenSchool, page: Page) -> None:
    school = open_school(language="ru")
    school.counter.serve("3а", 20)
    school.sign_in(page, CASHIER)
    page.goto(school.at("report"))
    expect(page.locator(".signatures")).to_be_hidden()
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 within its margins
    expect(page.locator(".signatures")).to_be_visible()
    for hidden in (".menu", ".bar", ".acts"):
        assert page.locator(hidden).evaluate_all("all => all.every(e => !e.offsetParent)"), hidden
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    assert page.locator(".sheet").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 2


def test_m_40_the_page_says_what_the_records_say(school: School, page: Page) -> None:
    school.counter.serve("3а", 20)
    school.tap("pupil_large_family")
    school.sign_in(page, OFFICER)
    page.goto(school.at("report"))
    served = page.locator(".report .grand td").all_inner_texts()[FIGURES.index("served")]
    assert served == "21"
    sums = [
        kopecks(text)
        for text in page.locator(".report tbody tr:not(.subtotal) td:last-child").all_inner_texts()
    ]
    total = kopecks(page.locator(".report .grand td").last.inner_text())
    lines = page.locator(".report").first.locator("tbody tr:not(.subtotal) td:last-child").all_inner_texts()
    assert sum(map(kopecks, lines)) == total
    assert sum(record.meal.sum_minor for record in school.rows(MealServed)) + 7802 == total
    assert total in sums or total > 0


def kopecks(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def listed(school: School, one: Person) -> Any:
    assert school.counter.canteen.roster is not None
    return school.counter.canteen.roster.pupils[one.pupil]


def browserless(school: School, ref: str) -> httpx.Client:
    return httpx.Client(base_url=school.url, cookies={f"console_{NUMBER}": school.token(ref)})


def shown(client: httpx.Client, path: str) -> str:
    return client.get(path, follow_redirects=True).text


def fields(html: str, form: str) -> dict[str, str | list[str]]:
    """What a browser would send with the form to `…/form`."""
    found = re.search(rf'<form[^>]*action="[^"]*/{form}".*?</form>', html, re.DOTALL)
    assert found is not None, f"no form {form}"
    sent: dict[str, str | list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", found[0]):
        at = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if at.get("type") == "checkbox" and (" checked" not in tag or " disabled" in tag):
            continue
        if "name" not in at:
            continue
        held = sent.setdefault(at["name"], [])
        assert isinstance(held, list)
        held.append(at.get("value", ""))
    return sent
