"""The first run as a school has it: `terminal setup` in an empty folder, Chromium, and a meal served by a tap."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from sim.card.virtual import VirtualCard
from sim.image_file import load_image
from terminal.canteen.documents import RosterDocument, RosterGrant, RosterHeader, RosterPupil
from terminal.clock import SystemClock
from terminal.keys.file import load_file_keys
from terminal.keys.provider import person_token
from terminal.lab.world import pseudonym_on
from terminal.screen.setup.draft import DraftKeeper
from tests.terminal.screen.browser import NewPage, assert_accessible
from tests.terminal.setup.guide import press_through, steps_of
from tests.terminal.setup.running import FirstRun

PIN = "7294"
PATIENCE_MS = 40_000
LEAST_PX = 44


@pytest.fixture
def first_run(tmp_path: Path) -> Iterator[FirstRun]:
    run = FirstRun(tmp_path)
    yield run
    run.end()


def enter(page: Page, run: FirstRun, code: str) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(run.url)
    page.get_by_label("Одноразовый код").fill(code)
    page.get_by_role("button", name="Начать").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Школа и терминал")


def kept(page: Page) -> None:
    """What was typed has been checked and is on disk."""
    expect(page.locator("form[data-check]:not([data-checking])")).to_be_attached(timeout=PATIENCE_MS)


def test_the_managers_guide_from_an_empty_folder_to_a_meal_served_by_a_tap(
    page: Page, first_run: FirstRun
) -> None:
    """Every step is what the guide says; between two of them the power goes. The card is issued by the school's own
    keys, and its tap is served by the process that showed the pages."""
    run = first_run
    run.options = ("--reader", f"sim:{run.folder / 'cards' / 'masha.json'}", "--pace", "1", "--number", "17")
    run.start()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(run.url)
    *first, last = steps_of("zaveduyushchaya.md", "Первая настройка")
    for number, step in enumerate(first):
        press_through(page, step, {"Одноразовый код": run.code})
        expect(page.locator("main h1")).to_be_visible()
        assert_accessible(page)
        if number == 4:
            run.kill()
            run.start()
            page.goto(run.url)
            expect(page.get_by_role("heading", level=1)).to_have_text("Календарь")
    expect(page.get_by_role("heading", level=1)).to_have_text("Проверка и начало")
    as_this_school_has_it(page, run)
    issue_card(run)
    page.goto(run.url + "/setup/review")
    press_through(page, last, {})
    page.wait_for_url("**/sign-in?typed=1", timeout=PATIENCE_MS)

    # The same process is the terminal now, at the same address; the PIN just given opens it.
    sign_in(page, "1001")
    expect(page.locator(".bar-role")).to_contain_text("1001")
    page.get_by_role("button", name="Выйти").click()
    load_roster(run)
    page.goto(run.url + "/sign-in?typed=1")
    for step in steps_of("zaveduyushchaya.md", "Первая выдача"):
        press_through(page, step, {})
    expect(page.locator(".meal-served")).to_have_text("1", timeout=PATIENCE_MS)
    expect(page.get_by_text("Иванова Мария").first).to_be_visible()
    expect(page.locator(".standing-class")).to_have_text("3а · 2017 г. р.")

    # Closed for good: no page of the first run is left, and the command refuses.
    page.goto(run.url + "/setup/school")
    expect(page.locator("form[data-check]")).to_have_count(0)
    again = run.run("setup")
    assert again.returncode == 15
    assert "set up already" in again.stderr
    assert not (run.folder / "var/terminal/setup").exists()


def as_this_school_has_it(page: Page, run: FirstRun) -> None:
    """Breakfast all day and every day, so that the test passes at any hour; and what is wrong shows while typing."""
    page.goto(run.url + "/setup/meals")
    breakfast = page.get_by_role("group", name="Завтрак")
    breakfast.get_by_label("Начало").fill("00:00")
    breakfast.get_by_label("Конец").fill("23:59")
    page.get_by_role("group", name="Обед").get_by_label("Цена для родителей, руб.").fill("дорого")
    wrong = page.locator("[data-wrong='meals.lunch.price']")
    expect(wrong).to_contain_text("Не сумма. Напишите рубли и копейки")
    page.get_by_role("group", name="Обед").get_by_label("Выдаётся").uncheck()
    expect(wrong).to_be_hidden()
    page.get_by_role("button", name="Далее").click()
    expect(page.get_by_role("alert")).to_contain_text("1 ответ пока неверен")
    page.get_by_label("Питание второй смены").select_option("breakfast")
    page.get_by_role("button", name="Далее").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Категории и кто платит")
    page.goto(run.url + "/setup/calendar")
    page.get_by_label("Учебных дней в неделю").select_option("7")
    for day in page.locator("input[type=date][name*=holiday]").all():
        day.fill("")
    page.get_by_role("button", name="Далее").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Правила")


def issue_card(run: FirstRun) -> None:
    """A pupil's card under the keys that this school has got."""
    (run.folder / "orders.csv").write_text("label,profile\nmasha,pupil_grade3\n")
    office = "var/terminal/setup/office-34.keys"
    for words in (
        ("keys", "init", "--role", "issue", "--office", office),
        (
            *("card", "issue-batch", "orders.csv", "--folder", "cards"),
            "--keys",
            "keys/issue.keys",
            "--production-keys",
        ),
    ):
        done = run.run(*words)
        assert done.returncode == 0, done.stderr


def sign_in(page: Page, ref: str, pin: str = PIN) -> None:
    page.locator("#ref").fill(ref)
    page.locator("#pin").fill(pin)
    page.locator("#pin").press("Enter")
    page.wait_for_url(lambda address: "sign-in" not in address, timeout=PATIENCE_MS)


def load_roster(run: FirstRun) -> None:
    """One pupil, whose card taps by itself."""
    keys = load_file_keys(run.folder / "keys" / "issue.keys")
    card = load_image(run.folder / "cards" / "masha.json", os.urandom)
    assert isinstance(card, VirtualCard)
    pseudonym = pseudonym_on(card)
    assert pseudonym is not None
    now = SystemClock().now()
    today = now.date()
    grant = RosterGrant(
        code=10, valid_from=today - timedelta(1), valid_to=today + timedelta(90), issued_on=today
    )
    roster = RosterDocument(
        header=RosterHeader(
            kind="roster",
            schema=1,
            school="school",
            region=34,
            sequence=1,
            issued_at=now,
            valid_from=now - timedelta(1),
            valid_to=now + timedelta(90),
            grades_on=today,
        ),
        pupils=(
            RosterPupil(
                ref=person_token(keys, "school", pseudonym).hex(),
                name="Иванова Мария",
                class_id="3а",
                grade=3,
                shift=1,
                born=date(2017, 5, 4),
                grants=(grant,),
            ),
        ),
    )
    (run.folder / "roster.json").write_bytes(msgspec.json.encode(roster))
    loaded = run.run("canteen", "roster", "load", "roster.json")
    assert loaded.returncode == 0, loaded.stderr


def test_a_code_opens_one_window_once(new_page: NewPage, first_run: FirstRun) -> None:
    """Wrong codes, a spent one, one that was renewed; a second window takes over, and the first is asked again."""
    run = first_run
    run.start()
    code = run.code()
    display, first, second = new_page(), new_page(), new_page()
    for one in (display, first, second):
        one.set_default_timeout(PATIENCE_MS)
    display.goto(f"http://127.0.0.1:{run.display}")
    expect(display.locator("#digits")).to_have_text(code)
    assert_accessible(display)
    first.goto(run.url + "/setup/meals")
    expect(first.get_by_label("Одноразовый код")).to_be_visible()
    assert_accessible(first)
    for _ in range(5):
        first.get_by_label("Одноразовый код").fill("00000000" if code != "0000 0000" else "11111111")
        first.get_by_role("button", name="Начать").click()
        expect(first.get_by_role("alert")).to_contain_text("другой код")
    renewed = run.code()
    expect(display.locator("#digits")).to_have_text(renewed)
    for spent in (code, renewed):
        first.get_by_label("Одноразовый код").fill(spent)
        first.get_by_role("button", name="Начать").click()
    expect(first.get_by_label("Название школы")).to_be_visible()
    first.get_by_label("Название школы").fill("Школа № 1")
    kept(first)

    newer = run.code()
    enter(second, run, newer)
    expect(second.get_by_label("Название школы")).to_have_value("Школа № 1")
    first.get_by_role("button", name="Далее").click()
    expect(first.get_by_role("alert")).to_contain_text("в другом окне")
    assert_accessible(first)
    first.goto(run.url)
    expect(first.get_by_role("alert")).to_contain_text("в другом окне")
    first.goto(run.url + "/no-such-page")
    expect(first.get_by_role("link", name="Вернуться к настройке")).to_be_visible()
    assert first.request.post(run.url + "/setup/school", form={"school.name": "x"}).status == 403
    again = first.request.post(
        run.url + "/code", form={"code": newer}, headers={"Origin": "http://other.example"}
    )
    assert again.status == 403


def test_every_page_fits_every_screen(shown: FirstRun, page: Page) -> None:
    page.context.add_cookies([{"name": "setup", "value": TOKEN, "url": shown.url}])
    page.set_default_timeout(PATIENCE_MS)
    for name in ("school", "keys", "meals", "categories", "calendar", "rules", "staff", "review"):
        page.goto(f"{shown.url}/setup/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for width, height in ((480, 272), (800, 480), (1024, 600), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            box = page.locator(".setup-form > .acts").bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height + 1, f"{name}: the way on is below the fold at {height}"
            assert page.evaluate(SMALL_TARGETS, LEAST_PX) == [], (name, width)


SMALL_TARGETS = """least => [...document.querySelectorAll("a[href], button, select, input:not([type=hidden])")]
  .filter(one => one.checkVisibility() && one.type !== "checkbox" && !one.classList.contains("skip"))
  .filter(one => one.getBoundingClientRect().height < least).map(one => one.outerHTML.slice(0, 90))"""
TOKEN = "a-token-of-the-browser"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    """A first run in which the browser with `TOKEN` goes on."""
    run = FirstRun(tmp_path_factory.mktemp("shown"))
    keeper = DraftKeeper(run.folder / "var/terminal/setup", {}, "ru", SystemClock().now().date())
    keeper.begin_session(TOKEN)
    run.start()
    yield run
    run.end()


def test_a_demonstration_school_at_one_press(page: Page, first_run: FirstRun) -> None:
    run = first_run
    run.options = ("--pace", "0.5")
    run.start()
    enter(page, run, run.code())
    page.get_by_role("button", name="Показательная школа").click()
    expect(page.get_by_role("heading", name="Выдуманные сотрудники")).to_be_visible()
    assert_accessible(page)
    lines = page.locator(".facts dt").all_inner_texts()
    pins = dict(
        zip((line.split()[0] for line in lines), page.locator(".facts dd").all_inner_texts(), strict=True)
    )
    page.get_by_role("button", name="Продолжить").click()
    page.wait_for_url("**/sign-in?typed=1", timeout=PATIENCE_MS)
    sign_in(page, "1002", pins["1002"])
    page.goto(run.url + "/canteen/counter")
    expect(page.locator(".meal-served")).not_to_have_text("0", timeout=PATIENCE_MS)
    listed = run.run("canteen", "roster", "check", "var/terminal/school/lists/roster.json")
    assert listed.returncode == 0, listed.stderr
    assert "600" in listed.stdout


def test_schools_by_command_and_every_mistake_before_the_first_file(first_run: FirstRun) -> None:
    run = first_run
    (run.folder / "pass").write_text("six words that are not in a book\n")
    (run.folder / "pass").chmod(0o600)
    schools = "".join(
        f'[[schools]]\nterminal.number = {number}\nschool.name = "Школа № {number}"\n'
        for number in (101, 102)
    )
    common = (
        'staff = [{ number = "1001", role = "cashier" }]\n[school]\nregion = 34\n'
        '[meals.breakfast]\nprice = "78,02"\n[categories.primary.by_shift]\nregional = "71,09"\n'
    )
    words = ("setup", "answers.toml", "--passphrase-file", "pass")
    (run.folder / "answers.toml").write_text(common.replace("71,09", "much") + schools)
    refused = run.run(*words)
    assert refused.returncode == 15
    assert "schools[0].categories.primary.by_shift.regional" in refused.stderr
    assert not (run.folder / "terminals").exists()

    (run.folder / "answers.toml").write_text(common + schools)
    made = run.run(*words)
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == ["terminals/101/terminal.toml", "terminals/102/terminal.toml"]
    for number in (101, 102):
        folder = run.folder / "terminals" / str(number)
        ref, pin = (folder / "pins.txt").read_text().split()
        assert ref == "1001"
        assert re.fullmatch("[0-9]{6}", pin)
        assert run.run("config", "check", "--config", folder / "terminal.toml").returncode == 0
        assert (folder / "pins.txt").stat().st_mode & 0o077 == 0
    assert run.run(*words).returncode == 15
