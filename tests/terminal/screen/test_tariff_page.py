"""The tariff playground in a real browser, as an author in a council uses it: nothing is fed to it by hand."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from typer.testing import CliRunner

from terminal.cli.app import whole
from terminal.cli.desk import open_desk
from terminal.policy.load import REGIONS
from terminal.scenario.load import SCENARIOS
from tests.terminal.screen.browser import NewPage, assert_accessible

DEMO = (REGIONS / "demo.toml").read_text("utf-8")
LONG_MS = 30_000
STORY = """
[[scenarios]]
name = "commuter {number}"
rider = "commuter"
card = {{ balance_minor = 10000 }}
[[scenarios.taps]]
at = 2026-01-12T08:00:00
repeat = {{ times = 1000, clock = [08:00:00] }}
expect = {{ message = "ok_paid", charge_minor = 2400 }}
"""
FOR_MINUTES = 'schema = 1\nregion = "demo"\nabout = "commuters"\n' + "".join(
    STORY.format(number=number) for number in range(1000)
)
END_S = 30
FARE = "transport_card = 2400"
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def tariffs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An author's folder."""
    folder = tmp_path_factory.mktemp("tariffs")
    (folder / "own.toml").write_text(DEMO.replace('id = "demo"', 'id = "own"'), "utf-8")
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, tariffs: Path) -> Iterator[str]:
    with open_desk(tmp_path_factory.mktemp("desk"), collector=False, tariffs=tariffs) as (server, _session):
        yield f"{server.url}/tariff"


@pytest.fixture
def author(address: str, new_page: NewPage) -> Page:
    """The page as it opens: with the demo region's document."""
    page = new_page(1280, 900)
    page.goto(f"{address}?language=en")
    sound(page)
    return page


def sound(page: Page, document: str = "demo") -> None:
    """The text as it stands is judged, and good."""
    expect(page.locator("#state")).to_contain_text(f": {document},", timeout=LONG_MS)


def text_of(page: Page) -> Locator:
    return page.locator("#editor textarea")


def edit(page: Page, old: str, new: str) -> None:
    """Select `old` and type `new` over it, as a hand does."""
    at = text_of(page).input_value().index(old)
    text_of(page).evaluate(
        "(area, [at, end]) => (area.focus(), area.setSelectionRange(at, end))", [at, at + len(old)]
    )
    page.keyboard.type(new)


def put(area: Locator, text: str) -> None:
    """As a paste over all of it does, for texts that take a browser long to type."""
    area.evaluate("(area, text) => { area.value = text; area.dispatchEvent(new Event('input')); }", text)


def ride(page: Page, name: str = "+ ride") -> None:
    page.locator("#adding").get_by_role("button", name=name).click()


def tap(page: Page, number: int) -> Locator:
    return page.locator(f'#story [data-tap="{number}"]')


def test_a_mistake_is_seen_by_its_line_while_typing_and_mended(author: Page) -> None:
    edit(author, FARE, 'transport_card = "')
    expect(author.locator("#state")).to_have_text("Mistakes: 1")
    line = DEMO[: DEMO.index(FARE)].count("\n") + 1
    mistake = author.locator("#mistakes .mistake").first
    expect(mistake).to_contain_text(f"line {line}")
    expect(author.locator(f'#editor .mark[data-line="{line}"]')).to_have_count(1)
    author.locator("#tab-rider").focus()
    mistake.click()
    selected = text_of(author).evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)")
    assert selected.startswith('transport_card = "')
    author.locator("#tab-rider").focus()
    author.keyboard.press("F8")
    expect(text_of(author)).to_be_focused()
    edit(author, 'transport_card = "', "transport_card = 2600")
    sound(author)
    expect(author.locator("#mistakes li")).to_have_count(0)
    expect(author.locator("#editor .mark")).to_have_count(0)


def test_a_rider_is_played_again_with_every_change_of_the_document(author: Page, tmp_path: Path) -> None:
    ride(author)
    expect(tap(author, 1).locator(".said")).to_have_text("Paid. Have a good trip!")
    expect(tap(author, 1).locator(".facts")).to_contain_text("476.00")
    ride(author, "+ change, 10 minutes later")
    expect(tap(author, 2).locator(".said")).to_contain_text("Transfer")
    edit(author, FARE, "transport_card = 2600")
    expect(tap(author, 1).locator(".facts")).to_contain_text("474.00")
    expect(author.locator("#total")).to_have_text("In all: RUB 26.00")
    edit(author, "transport_card = 2600", "transport_card = ")
    expect(author.locator("#panel-rider .stale-note")).to_be_visible()
    expect(tap(author, 1).locator(".facts")).to_contain_text("474.00")
    edit(author, "transport_card = ", FARE)
    expect(tap(author, 1).locator(".facts")).to_contain_text("476.00")

    author.get_by_role("button", name="+ concession").click()
    author.get_by_label("Concession", exact=True).select_option("2")
    expect(tap(author, 1).locator(".said")).to_contain_text("Concession")
    expect(tap(author, 1).locator(".facts")).to_contain_text("concession_month")
    tap(author, 1).get_by_text("Why").click()
    expect(tap(author, 1).locator(".reasons code").first).to_have_text("T-02")

    author.get_by_role("button", name="Save as scenario").click()
    expect(author.locator("#saved-verdict")).to_have_text("The scenario plays to the same result.")
    with author.expect_download() as download:
        author.locator("#saved-download").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    done = CliRunner().invoke(whole(), ["policy", "run", "demo", str(path)])
    assert done.exit_code == 0, done.output
    assert "1 scenarios, 2 taps: 0 differ" in done.output


def test_companions_zones_and_the_canteen_are_asked_for_where_the_document_has_them(author: Page) -> None:
    author.locator("#source").select_option("belgorod")
    sound(author, "belgorod")
    ride(author)
    expect(tap(author, 1).locator(".said")).to_be_visible()
    tap(author, 1).get_by_text("Place, companions, terminal").click()
    tap(author, 1).get_by_label("Route").fill("101")
    tap(author, 1).get_by_label("Zone", exact=True).select_option("1")
    tap(author, 1).get_by_label("Zone of the terminus").select_option("3")
    tap(author, 1).get_by_label("Companions").fill("1")
    expect(tap(author, 1).locator(".said")).to_contain_text("Checked in")
    author.locator("#source").select_option("demo")
    sound(author)
    author.get_by_role("button", name="+ canteen").click()
    expect(tap(author, 2).locator(".said")).to_be_visible()
    expect(tap(author, 2).get_by_label("Route")).to_have_count(0)


def test_a_scenario_file_is_run_and_a_scenario_is_taken_as_a_story(author: Page) -> None:
    author.get_by_role("tab", name="Scenarios").click()
    state = author.locator("#scenarios-state")
    expect(state).to_contain_text("Everything comes out as written")
    expect(state).to_contain_text("taps: 65")
    area = author.locator("#scenarios-editor textarea")
    area.fill(area.input_value().replace("charge_minor = 2400", "charge_minor = 2300", 1))
    expect(state).to_contain_text("Differ: 1")
    differing = author.locator("#scenarios-found .differs")
    expect(differing.locator("del")).to_have_text("RUB 23.00")
    expect(differing.locator("ins")).to_have_text("RUB 24.00")
    author.locator('[data-scenario="5"]').get_by_role("button", name="Play").click()
    expect(author.get_by_role("tab", name="Rider")).to_have_attribute("aria-selected", "true")
    expect(tap(author, 1).locator(".said")).to_contain_text("50 ×")
    author.get_by_role("tab", name="Scenarios").click()
    area.fill("schema = 1\n[[[")
    expect(state).to_have_class(re.compile("bad"))


def test_two_versions_are_compared_with_sums(author: Page) -> None:
    ride(author)
    expect(tap(author, 1).locator(".said")).to_be_visible()
    author.get_by_role("tab", name="Two versions").click()
    expect(author.locator("#compare-state")).to_have_text("Both versions say the same.")
    expect(author.locator("#before-editor textarea")).to_have_value(DEMO)
    edit(author, FARE, "transport_card = 2600")
    expect(author.locator("#compare-state")).to_have_text("Values that differ: 1")
    found = author.locator("#compare-found")
    expect(found.locator("tbody th").first).to_have_text("fares.by_medium.transport_card")
    expect(found.locator(".riders").first).to_contain_text("RUB 24.00 → RUB 26.00")
    scenarios = found.locator(".riders").nth(1)
    expect(scenarios.locator('[data-rider="1"]')).to_contain_text("RUB 48.00 → RUB 52.00")
    author.get_by_role("button", name="The text as it is now").click()
    expect(author.locator("#compare-state")).to_have_text("Both versions say the same.")
    author.locator("#before").select_option("sakhalin")
    expect(author.locator("#compare-found .riders .mistake").first).to_be_visible()


def test_nothing_written_is_lost_by_a_reload_another_document_or_another_language(author: Page) -> None:
    edit(author, FARE, "transport_card = 2700")
    ride(author)
    expect(tap(author, 1).locator(".facts")).to_contain_text("473.00")
    author.reload()
    sound(author)
    expect(text_of(author)).to_have_value(DEMO.replace(FARE, "transport_card = 2700"))
    expect(tap(author, 1).locator(".facts")).to_contain_text("473.00")
    author.locator("#source").select_option("tyumen")
    sound(author, "tyumen")
    author.get_by_role("button", name="Bring back the text before").click()
    sound(author)
    expect(text_of(author)).to_have_value(re.compile("transport_card = 2700"))
    author.get_by_role("link", name="Русский").click()
    expect(author.locator("#state")).to_contain_text("Документ годен: demo", timeout=LONG_MS)
    expect(text_of(author)).to_have_value(re.compile("transport_card = 2700"))
    expect(tap(author, 1).locator(".facts")).to_contain_text("473,00")


def test_two_windows_hold_two_texts(author: Page, address: str) -> None:
    edit(author, FARE, "transport_card = 2800")
    ride(author)
    other = author.context.new_page()
    other.goto(f"{address}?language=en")
    sound(other)
    expect(text_of(other)).to_have_value(DEMO)
    ride(other)
    expect(tap(other, 1).locator(".facts")).to_contain_text("476.00")
    expect(tap(author, 1).locator(".facts")).to_contain_text("472.00")


def test_files_come_and_go(author: Page, tmp_path: Path) -> None:
    author.locator("#source").select_option("folder/own.toml")
    sound(author, "own")
    in_cp1251 = tmp_path / "старый.toml"
    in_cp1251.write_bytes(DEMO.replace("# Laboratory", "# Лаборатория", 1).encode("cp1251", "replace"))
    author.locator("#file").set_input_files(in_cp1251)
    expect(author.locator("#notice")).to_contain_text("Windows-1251")
    sound(author)
    expect(text_of(author)).to_have_value(re.compile("^# Лаборатория"))
    with author.expect_download() as download:
        author.keyboard.press("Control+s")
    path = tmp_path / "kept.toml"
    download.value.save_as(path)
    assert download.value.suggested_filename == "старый.toml"
    assert path.read_text("utf-8") == text_of(author).input_value()
    assert CliRunner().invoke(whole(), ["policy", "check", str(path)]).exit_code == 0


def test_scenarios_that_take_minutes_give_way_to_a_newer_text(author: Page) -> None:
    author.get_by_role("tab", name="Scenarios").click()
    expect(author.locator("#scenarios-state")).to_contain_text("taps: 65")
    area = author.locator("#scenarios-editor textarea")
    with author.expect_response(lambda answer: answer.status == 409):  # given up
        with author.expect_request("**/api/tariff*"):
            put(area, FOR_MINUTES)
        put(area, "")
        author.locator("#source").select_option("sakhalin")
    sound(author, "sakhalin")
    expect(author.locator("#scenarios-state")).to_contain_text("Everything comes out as written")


def test_hostile_texts_stay_texts(author: Page) -> None:
    title = author.title()
    text_of(author).fill(f'"{EVIL.replace(chr(34), "")}" = 1\n')
    expect(author.locator("#mistakes .mistake").first).to_be_visible()
    text_of(author).fill(f"a = {'[' * 20_000}")
    expect(author.locator("#state")).to_have_text("Mistakes: 1")
    evil = EVIL.replace('"', "'")
    text_of(author).fill(DEMO.replace('name = "student, half', f'name = "{evil}'))
    sound(author)
    author.get_by_role("button", name="+ concession").click()
    expect(author.get_by_label("Concession", exact=True)).to_contain_text("<script>")
    author.get_by_role("tab", name="Scenarios").click()
    scenarios = (SCENARIOS / "demo.toml").read_text("utf-8").replace('rider = "student', f'rider = "{evil}')
    author.locator("#scenarios-editor textarea").fill(scenarios)
    expect(author.locator("#scenarios-found")).to_contain_text("<script>")
    assert author.title() == title
    assert author.locator("img[src=x]").count() == 0


def test_ten_megabytes_are_not_judged_and_not_lost(author: Page) -> None:
    put(text_of(author), "# a long line of a comment\n" * 400_000)
    expect(author.locator("#state")).to_contain_text("longer than a million bytes", timeout=LONG_MS)
    expect(author.locator("#notice")).to_contain_text("too long to be kept")
    assert text_of(author).evaluate("area => area.value.length") > 10_000_000
    asked: list[str] = []
    author.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    author.evaluate("location.reload()")
    author.wait_for_function("() => performance.now() > 0")
    assert asked == ["beforeunload"]
    assert text_of(author).evaluate("area => area.value.length") > 10_000_000
    put(text_of(author), DEMO)
    sound(author)


def test_everything_can_be_done_from_the_keyboard(author: Page) -> None:
    author.locator("#tab-rider").focus()
    author.keyboard.press("ArrowRight")
    expect(author.locator("#tab-scenarios")).to_be_focused()
    expect(author.locator("#panel-scenarios")).to_be_visible()
    author.keyboard.press("ArrowRight")
    expect(author.locator("#panel-compare")).to_be_visible()
    author.keyboard.press("ArrowRight")
    expect(author.locator("#panel-rider")).to_be_visible()
    author.locator("#adding button").first.focus()
    author.keyboard.press("Enter")
    expect(tap(author, 1).locator(".said")).to_be_visible()
    expect(tap(author, 1).get_by_label("Time")).to_be_focused()
    author.get_by_role("button", name="Remove: Tap 1").focus()
    author.keyboard.press("Enter")
    expect(tap(author, 1)).to_have_count(0)


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ru", "dark")])
def test_axe_finds_nothing(address: str, new_page: NewPage, language: str, scheme: str) -> None:
    page = new_page(1280, 900, color_scheme=scheme)
    page.goto(f"{address}?language={language}")
    sound(page)
    page.locator("#adding button").first.click()
    page.locator("#card .adding button").first.click()
    expect(tap(page, 1).locator(".said")).to_be_visible()
    tap(page, 1).locator("summary").first.click()
    assert_accessible(page)
    page.locator("#tab-scenarios").click()
    expect(page.locator('[data-scenario="7"]')).to_be_visible()
    assert_accessible(page)
    page.locator("#tab-compare").click()
    edit(page, FARE, "transport_card = 2600")
    expect(page.locator("#compare-found .riders").first).to_be_visible()
    page.locator("#compare-found summary").first.click()
    assert_accessible(page)
    edit(page, "transport_card = 2600", "transport_card = ")
    expect(page.locator("#mistakes .mistake")).to_be_visible()
    assert_accessible(page)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 800), (900, 800), (390, 844)])
def test_nothing_is_cut_at_any_width(address: str, new_page: NewPage, width: int, height: int) -> None:
    page = new_page(width, height)
    page.goto(f"{address}?language=ru")
    sound(page)
    page.locator("#adding button").first.click()
    for button in page.locator("#card .adding button").all():
        button.click()
    expect(tap(page, 1).locator(".said")).to_be_visible()
    for panel in ("rider", "scenarios", "compare"):
        page.locator(f"#tab-{panel}").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, panel
        wide = page.evaluate(
            """(width) => [...document.querySelectorAll("main button, main input, main select, main label, main p")]
              .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > width)
              .map((one) => one.id || one.textContent)""",
            width,
        )
        assert wide == [], panel


@contextmanager
def desk_command(port: str, folder: Path) -> Iterator[str]:
    """`terminal desk` as a program; its port."""
    command = [
        sys.executable,
        "-m",
        "terminal.cli.app",
        "desk",
        "--port",
        port,
        "--no-open",
        "--no-collector",
    ]
    surroundings = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings) as desk:
        assert desk.stdout is not None
        address = desk.stdout.readline().split()[4]
        yield address.rstrip("/").rpartition(":")[2]
        desk.send_signal(signal.SIGTERM)
        assert desk.wait(END_S) == 0


def test_the_command_is_restarted_in_between(new_page: NewPage, tmp_path: Path) -> None:
    page = new_page(1280, 900)
    with desk_command("0", tmp_path) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("link", name="Tariffs").click()
        sound(page)
        ride(page)
        expect(tap(page, 1).locator(".facts")).to_contain_text("476.00")
    edit(page, FARE, "transport_card = 2600")
    expect(page.locator("#state")).to_contain_text("kept in this window")
    with desk_command(port, tmp_path):
        sound(page)
        expect(text_of(page)).to_have_value(re.compile("transport_card = 2600"))
        expect(tap(page, 1).locator(".facts")).to_contain_text("474.00")
