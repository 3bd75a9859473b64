"""The first run as a school has it: `terminal setup` in an empty folder, Chromium, and a terminal at work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from terminal.clock import SystemClock
from terminal.screen.setup.draft import DraftKeeper
from tests.terminal.screen.browser import NewPage, assert_accessible
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


def sign_in(page: Page, ref: str, pin: str = PIN) -> None:
    page.locator("#ref").fill(ref)
    page.locator("#pin").fill(pin)
    page.locator("#pin").press("Enter")
    page.wait_for_url(lambda address: "sign-in" not in address, timeout=PATIENCE_MS)


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
    for name in (
        "school",
        "keys",
        "meals",
        "categories",
        "buffet",
        "calendar",
        "rules",
        "tills",
        "staff",
        "review",
    ):
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
