"""The desk in a real browser, from the first click to a saved session that plays to the same result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Locator, Page, expect
from typer.testing import CliRunner

from sim.desk.content import MASKED_PSEUDONYM, holding_of
from sim.desk.disturbance import Disturbance, Mishap
from sim.desk.face import CardGroup, Face
from sim.desk.shelf import Laid
from sim.profile import Description
from sim.recorder import ReplayCard
from sim.transcript import load_transcript
from terminal.cli.app import whole
from terminal.cli.desk import open_desk
from terminal.decision.outcome import Message
from terminal.lab.desk.session import DeskSession
from terminal.messages import text
from terminal.screen.server import ScreenServer
from tests.terminal.screen.browser import NewPage, assert_accessible, wait_until

LONG_MS = 30_000
SIZES = [(1920, 1080), (1440, 900), (1280, 800), (1024, 768), (800, 600), (390, 844)]
WIDEST_CARD = 230
RUNS_TOGETHER = """
() => [...document.querySelectorAll("[data-card]")].filter((card) => {
  const [chip, money] = [...card.querySelectorAll(".card-chip, .card-money")].map((one) => one.getBoundingClientRect());
  const apart = chip.right < money.left || chip.bottom <= money.top + 1;
  const title = card.querySelector(".card-title");
  const whole = title.scrollHeight <= title.clientHeight + 1 && card.scrollHeight <= card.clientHeight + 1;
  return !(apart && whole);
}).map((card) => card.dataset.card)
"""
"""Cards on whose face chip and balance touch, or whose name is cut."""
ENGLISH = """
() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const holder = walker.currentNode.parentElement, words = walker.currentNode.data.match(/[A-Za-z]{3,}/g);
    const russian = holder.closest("[lang]").lang === "ru" && !holder.closest("code, script, style, pre");
    if (words && russian) found.push(...words);
  }
  return found;
}
"""
"""Latin words on a Russian page, shown or folded away, that are neither code nor marked as another language."""
STANDARDS = {"DESFire", "Light", "EMV", "ISO", "NFC", "UID", "CDA", "DDA", "fDDA", "SDA", MASKED_PSEUDONYM}
EVIL = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
Desk = tuple[ScreenServer, DeskSession]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("desk"), collector=False) as desk:
        yield desk


@pytest.fixture
def session(opened: Desk) -> DeskSession:
    opened[1].collector = False
    opened[1].reset("demo")
    return opened[1]


@pytest.fixture
def desk(opened: Desk, session: DeskSession, new_page: NewPage) -> Page:
    """The page of a desk nobody has touched."""
    page = new_page(1440, 900)
    page.goto(opened[0].url)
    expect(card(page, "adult_purse")).to_be_visible()
    assert session.taps == []
    return page


def card(page: Page, name: str) -> Locator:
    return page.locator(f'[data-card="{name}"]')


def pad(page: Page, place: str) -> Locator:
    return page.locator(f'[data-place="{place}"]')


def tap(page: Page, name: str, place: str) -> None:
    """With two clicks."""
    if card(page, name).get_attribute("aria-pressed") != "true":
        card(page, name).click()
    pad(page, place).click()


def shown(page: Page, number: int) -> None:
    """Tap `number` is looked at."""
    expect(page.locator(f'#result-body[data-tap="{number}"]')).to_be_visible()


def message(page: Page) -> Locator:
    return page.locator("#tap-title")


NOTED = """() => {
    window.noted = [];
    new MutationObserver(() => noted.push(document.getElementById("line").textContent))
        .observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}"""
"""Notes in a display every line that it shows from now on."""


def test_from_the_first_click_to_a_scenario_that_plays_the_same(
    desk: Page, session: DeskSession, tmp_path: Path
) -> None:
    front = desk.locator('[data-terminal="front"] iframe').element_handle().content_frame()
    assert front is not None
    expect(front.locator("#line")).to_have_text("Tap your card")
    front.evaluate(NOTED)
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    expect(message(desk)).to_have_text("Paid. Have a good trip!")
    expect(desk.locator(".changes ins").first).to_have_text("RUB 476.00")
    expect(desk.locator(".reasons")).to_contain_text("T-01")
    expect(desk.locator(".waterfall .name")).to_have_count(8)
    expect(card(desk, "adult_purse")).to_contain_text("476.00")
    wait_until(front, "noted.includes('Paid. Have a good trip!')")  # by now it may have gone on

    desk.get_by_role("button", name="+1 h").click()
    expect(desk.locator("#clock-time")).to_have_text("10:38:01")
    desk.get_by_label("The next tap", exact=True).select_option("commit_after")
    tap(desk, "adult_purse", "front")
    expect(message(desk)).to_have_text("Tap again")
    expect(desk.locator(".facts")).to_contain_text("not known yet")
    tap(desk, "adult_purse", "front")
    shown(desk, 3)
    expect(desk.locator(".facts")).to_contain_text("settled later")
    tap(desk, "pupil_grade3", "canteen")
    shown(desk, 4)
    tap(desk, "endless_frames", "rear")
    shown(desk, 5)
    expect(desk.locator("#taps li")).to_have_count(5)

    desk.get_by_role("button", name="Save …").click()
    expect(desk.locator("#scenario-verdict")).to_contain_text("plays to the same result")
    expect(desk.locator("#scenario-verdict")).to_contain_text("Taps in the scenario: 3")
    with desk.expect_download() as download:
        desk.get_by_role("link", name="Save as scenario").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    done = CliRunner().invoke(whole(), ["policy", "run", "demo", str(path), "--json"])
    assert done.exit_code == 0, done.output
    results = [json.loads(line) for line in done.stdout.splitlines()]
    taps = [one for result in results for one in result.get("taps", [])]
    assert [one["message"] for one in taps] == ["ok_paid", "ok_paid", "no_meal_now"]
    saved = path.read_text("utf-8")
    assert saved.count("[[scenarios.taps]]") == 3
    assert "balance_minor = 45200" in saved
    assert holding_of(session.town.shelf["adult_purse"].card).purse_minor == 45200

    with desk.expect_download() as download:
        desk.get_by_role("link", name="Save transcript").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    (first, *others) = load_transcript(path).taps
    assert len(others) == 4
    replayed = ReplayCard(first)
    replayed.power_on()
    for exchange in first.exchanges:
        command, answer = exchange.known or (b"", b"")
        assert replayed.transmit(command) == answer


def test_a_card_is_dragged_onto_a_terminal(desk: Page) -> None:
    card(desk, "free_pensioner").drag_to(desk.locator('[data-terminal="rear"]'))
    shown(desk, 1)
    expect(desk.locator("#taps li").first).to_contain_text("Pensioner riding free")
    rear = desk.frame_locator('[data-terminal="rear"] iframe')
    expect(rear.locator("#display")).to_have_attribute("data-look", "green")


def test_everything_can_be_done_from_the_keyboard(desk: Page) -> None:
    for _ in range(40):
        desk.keyboard.press("Tab")
        if desk.evaluate("document.activeElement.dataset.card") is not None:
            break
    assert desk.evaluate("document.activeElement.dataset.card") == "adult_purse"
    desk.keyboard.press("ArrowRight")
    assert desk.evaluate("document.activeElement.dataset.card") == "adult_purse_ev1"
    desk.keyboard.press("Enter")
    desk.keyboard.press("2")
    shown(desk, 1)
    expect(desk.locator("#said")).to_contain_text("Paid")
    pad(desk, "front").focus()
    desk.keyboard.press("Enter")
    shown(desk, 2)
    desk.locator("#mishap").focus()
    desk.keyboard.press("ArrowDown")
    expect(desk.locator("#exchange")).to_be_enabled()
    desk.locator("#trace").focus()
    desk.keyboard.press("End")
    expect(desk.locator("#trace-detail")).to_be_visible()
    desk.locator("#network").focus()
    desk.keyboard.press("Space")
    expect(desk.locator("#network")).to_have_attribute("aria-checked", "false")
    desk.locator("#save").focus()
    desk.keyboard.press("Enter")
    expect(desk.locator("#save-dialog")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.locator("#save-dialog")).to_be_hidden()
    assert desk.evaluate("document.activeElement.id") == "save"


def test_a_card_torn_at_exchange_n_recovers_at_the_next_tap(desk: Page) -> None:
    desk.get_by_label("The next tap", exact=True).select_option("tear_after")
    desk.get_by_label("exchange", exact=True).fill("8")
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    expect(desk.locator(".operator:not(.log-line)")).to_have_text("the card was pulled after exchange 8")
    expect(desk.locator(".log-line")).to_have_text("In the log: pulled after exchange 8")
    expect(desk.locator(".waterfall .lost")).to_have_count(1)
    expect(desk.get_by_label("The next tap", exact=True)).to_have_value("none")
    tap(desk, "adult_purse", "front")
    shown(desk, 2)
    expect(message(desk)).to_have_text("Paid. Have a good trip!")
    expect(card(desk, "adult_purse")).to_contain_text("476.00")


def test_without_network_rows_wait_and_with_it_they_leave(desk: Page) -> None:
    queue = desk.locator("#queue-state")
    expect(queue).to_have_text("The collector is down: rows wait in the journals")
    desk.get_by_role("switch", name="Collector").click()
    expect(queue).to_have_text("Everything is acknowledged", timeout=LONG_MS)
    desk.get_by_role("switch", name="Network").click()
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    expect(queue).to_have_text("No network: rows wait in the journals")
    expect(desk.locator('[data-terminal="front"] .badge')).to_have_text("2")
    expect(desk.locator("#journal .unsent")).to_have_count(2)
    desk.get_by_role("switch", name="Network").click()
    expect(queue).to_have_text("Everything is acknowledged", timeout=LONG_MS)
    expect(desk.locator("#journal .unsent")).to_have_count(0)
    expect(desk.locator("#report")).to_contain_text("Card proofs verified")


def test_a_document_is_edited_with_its_errors_and_then_used(desk: Page) -> None:
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    desk.locator("#document").click()
    area = desk.get_by_label("Text of the document")
    expect(area).to_have_value(re.compile("transport_card"))
    before = area.input_value()
    area.fill(before.replace("transport_card = 2400", 'transport_card = "<b>dear</b>"'))
    desk.get_by_role("button", name="Use it").click()
    expect(desk.locator("#document-problem")).to_contain_text("transport_card")
    area.fill(before.replace("transport_card = 2400", "transport_card = 3300"))
    desk.get_by_role("button", name="Use it").click()
    expect(desk.locator("#document-problem")).to_contain_text("restarted with this document")
    desk.locator("#document-dialog").get_by_role("button", name="Close").click()
    desk.get_by_role("button", name="+1 h").click()
    tap(desk, "adult_purse", "rear")
    shown(desk, 2)
    expect(desk.locator(".facts")).to_contain_text("33.00")


def test_another_region_lays_out_its_own_cards(desk: Page, session: DeskSession) -> None:
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    desk.get_by_label("Region", exact=True).select_option("sakhalin")
    expect(desk.locator("#result-empty")).to_be_visible(timeout=LONG_MS)
    expect(desk.locator("#taps li")).to_have_count(0)
    assert session.town.policy.document.header.id == "sakhalin"
    tap(desk, "adult_purse", "front")
    shown(desk, 1)


def test_a_shift_is_opened_on_another_route(desk: Page) -> None:
    front = desk.locator('[data-terminal="front"]')
    front.locator("summary").click()
    front.get_by_role("button", name="Close shift").click()
    expect(front.locator(".shift")).to_have_text("No shift")
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    front.get_by_label("Route").fill("2")
    front.get_by_role("button", name="Open shift").click()
    expect(front.locator(".shift")).to_contain_text("Route 2")
    tap(desk, "adult_purse", "front")
    shown(desk, 2)
    expect(message(desk)).to_contain_text("Paid")


def test_the_clock_is_set_even_back(desk: Page) -> None:
    desk.get_by_role("button", name="Set …").click()
    desk.get_by_label("Local time").fill("2026-09-14T07:00:00")
    desk.get_by_role("button", name="Set", exact=True).click()
    expect(desk.locator("#clock-time")).to_have_text("07:00:00")
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    expect(desk.locator(".reasons")).to_be_visible()


def test_a_clock_that_goes_wrong_is_confirmed_with_a_service_card(desk: Page) -> None:
    desk.get_by_role("button", name="Set …").click()
    desk.get_by_label("Local time").fill("2026-09-18T09:00:00")
    desk.get_by_label("The clock goes wrong").check()
    desk.get_by_role("button", name="Set", exact=True).click()
    doubt = desk.locator('[data-terminal="front"] .doubt')
    expect(doubt).to_have_text("Clock in doubt: tap a service card")
    tap(desk, "driver_service", "front")
    shown(desk, 1)
    expect(doubt).to_have_text("Clock in doubt, confirmed")
    tap(desk, "adult_purse", "front")
    shown(desk, 2)
    expect(desk.locator('[data-fact="clock.suspect"]')).to_contain_text("watch over the clock")
    expect(desk.locator(".reasons")).to_contain_text("O-05")


def test_a_bus_drives_its_line_while_its_computer_dies(desk: Page, session: DeskSession) -> None:
    desk.get_by_label("Region", exact=True).select_option("belgorod")
    expect(desk.locator("#bus-stops")).to_contain_text("Разумное")  # the region before has as many stops
    expect(desk.locator("#bus-stops li")).to_have_count(6)
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    expect(desk.locator('[data-fact="place.stop"]')).to_contain_text("Автовокзал (10101)")
    desk.get_by_role("button", name="Next stop").click()
    here = desk.locator("#bus-stops [aria-current]")
    expect(here).to_contain_text("Разумное")
    desk.get_by_role("button", name="Close doors, go").click()
    expect(desk.get_by_role("button", name="Come near")).to_be_visible()
    desk.get_by_label("On-board computer").select_option("silent")
    desk.get_by_role("switch", name="Drive").click()
    expect(here).to_contain_text("Крутой Лог", timeout=LONG_MS)
    desk.get_by_role("switch", name="Drive").click()
    expect(desk.locator("#bus-heard")).to_contain_text("old: counts as an estimate")
    tap(desk, "adult_purse", "front")
    shown(desk, 2)
    expect(message(desk)).to_contain_text("Checked out")
    stop = desk.locator('[data-fact="place.stop"]')
    expect(stop).to_contain_text("Разумное (10102)")
    expect(stop).to_contain_text("vehicle")
    expect(stop).to_contain_text(
        re.compile(r"[1-9]\d* min")
    )  # how many: as long as the page took to stop the bus
    expect(desk.locator(".reasons")).to_contain_text("the vehicle's place is some time old")
    desk.get_by_label("On-board computer").select_option("wrong_zone")
    expect(desk.locator("#bus-heard")).to_contain_text("contradicts the route")


def test_the_next_ride_and_an_inspection_from_the_keyboard(desk: Page) -> None:
    front = desk.locator('[data-terminal="front"]')
    front.get_by_role("button", name="One companion more").focus()
    desk.keyboard.press("Enter")
    expect(front.locator(".companions")).to_have_text("1")
    desk.locator("#bus-razzia").focus()
    desk.keyboard.press("Space")
    expect(desk.locator("#bus-razzia")).to_have_attribute("aria-checked", "true")
    expect(front.frame_locator("iframe").locator(".razzia")).to_be_visible()
    card(desk, "adult_purse").focus()
    desk.keyboard.press("Enter")
    desk.keyboard.press("1")
    shown(desk, 1)
    expect(desk.locator(".facts")).to_contain_text("48.00")
    expect(desk.locator('[data-fact="companions"]')).to_contain_text("driver or conductor")
    expect(front.locator(".companions")).to_have_text("0")


def test_a_reload_in_the_middle_keeps_the_desk_as_it_was(desk: Page) -> None:
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    desk.reload()
    shown(desk, 1)
    expect(card(desk, "adult_purse")).to_contain_text("476.00")
    expect(desk.locator("#taps li")).to_have_count(1)


def test_every_window_shows_the_same_desk_and_one_of_them_the_displays(desk: Page, opened: Desk) -> None:
    other = desk.context.new_page()
    other.goto(opened[0].url)
    expect(card(other, "adult_purse")).to_be_visible()
    expect(desk.get_by_role("button", name="Show them here")).to_have_count(3)
    tap(other, "month_pass", "front")
    shown(other, 1)
    shown(desk, 1)
    expect(desk.locator("#taps li")).to_have_count(1)
    desk.get_by_role("button", name="Show them here").first.click()
    expect(other.get_by_role("button", name="Show them here")).to_have_count(3)
    expect(desk.get_by_role("button", name="Show them here")).to_have_count(0)


def test_a_reset_clears_every_window(desk: Page) -> None:
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    desk.get_by_role("button", name="Reset").click()
    expect(desk.locator("#result-empty")).to_be_visible(timeout=LONG_MS)
    expect(card(desk, "adult_purse")).to_contain_text("500.00")
    expect(desk.locator("#trace-count")).to_contain_text("0 exchanges")


def test_a_trace_of_ten_thousand_exchanges_is_a_few_rows(desk: Page, session: DeskSession) -> None:
    tap(desk, "adult_purse", "front")
    shown(desk, 1)
    (_, one) = session.trace[-1]
    session.trace.extend((1, one) for _ in range(10_000 - len(session.trace)))
    session.changed()
    expect(desk.locator("#trace-count")).to_contain_text("10000 exchanges")
    desk.locator("#trace").focus()
    desk.keyboard.press("End")
    expect(desk.locator('[data-index="9999"]')).to_contain_text("CommitTransaction")
    expect(desk.locator('[data-index="9999"]')).to_have_attribute("aria-selected", "true")
    assert desk.locator("#trace [data-index]").count() < 60
    desk.keyboard.press("Home")
    expect(desk.locator('[data-index="0"]')).to_contain_text("reader: UID")


def test_texts_from_cards_and_documents_stay_texts(desk: Page, session: DeskSession) -> None:
    honest = session.town.shelf["adult_purse"]
    face = Face(EVIL, CardGroup.PURSE, Description(ru=EVIL, en=EVIL), EVIL)
    session.town.shelf[EVIL] = Laid(face, honest.card)
    session.changed()
    expect(desk.locator(".card-title").filter(has_text="onerror")).to_have_count(1)
    session.tap(EVIL, "front", Disturbance())
    shown(desk, 1)
    expect(desk.locator(".eyebrow")).to_contain_text("<script>")
    desk.locator("#document").click()
    desk.get_by_label("Text of the document").fill(f'"{EVIL.replace(chr(34), "")}" = 1\n')
    desk.get_by_role("button", name="Use it").click()
    expect(desk.locator("#document-problem")).to_be_visible()
    assert desk.title() == "The desk"
    assert desk.locator("img[src=x]").count() == 0
    desk.goto(f"{desk.url.rstrip('/')}/storm")
    assert "broken" not in desk.title()


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ru", "dark")])
def test_axe_finds_nothing(
    opened: Desk, session: DeskSession, new_page: NewPage, language: str, scheme: str
) -> None:
    for name, place, mishap in (
        ("adult_purse", "front", Mishap.NONE),
        ("blocked", "rear", Mishap.NONE),
        ("adult_purse", "rear", Mishap.COMMIT_AFTER),
        ("pupil_grade3", "canteen", Mishap.NONE),
    ):
        session.tap(name, place, Disturbance(mishap))
    page = new_page(1440, 900, color_scheme=scheme)
    page.goto(f"{opened[0].url}/?language={language}")
    shown(page, 4)
    card(page, "month_pass").click()
    page.locator("#trace [data-index]").first.click()
    expect(page.locator("#trace-detail")).to_be_visible()
    assert_accessible(page)
    for opener in ("#save", "#document", '[data-opens="clock-dialog"]'):
        page.locator(opener).click()
        expect(page.locator("dialog[open]")).to_be_visible()
        assert_accessible(page, "dialog[open]")
        page.keyboard.press("Escape")
    page.goto(f"{opened[0].url}/storm?language={language}")
    expect(page.locator("#begin")).to_be_enabled()
    assert_accessible(page)


def test_russian_is_russian(opened: Desk, session: DeskSession, new_page: NewPage) -> None:
    for name in ("student_half_price", "adult_purse"):
        session.tap(name, "front", Disturbance())
    page = new_page(1440, 900)
    page.goto(f"{opened[0].url}/?language=ru")
    shown(page, 2)
    expect(message(page)).to_have_text(text(Message.OK_PAID, "ru"))
    expect(page.locator("h1")).to_have_text("Стенд")
    expect(card(page, "adult_purse")).to_contain_text("Взрослый с деньгами на карте")
    expect(page.locator('[data-fact="mode"]')).to_contain_text("справочник маршрутов")
    lines = page.locator(".columns .changes").last
    expect(page.locator(".changes ins", has_text="15.09.2026 09:38:02")).to_be_visible()
    expect(page.locator(".changes ins", has_text="поездка")).to_be_visible()
    expect(page.locator("#region option:checked")).to_have_text("Демонстрационный")
    expect(page.locator(".changes th", has_text="поездки по льготе за месяц")).to_have_count(1)
    expect(page.locator(".waterfall .name", has_text="AuthenticateEV2First, 2-й шаг")).to_have_count(1)
    page.locator("#trace [data-index]", has_text="2-й шаг").first.click()
    expect(page.locator("#trace-detail h3")).to_contain_text("AuthenticateEV2First, 2-й шаг")
    english = page.evaluate(ENGLISH)
    assert sorted(set(english) - STANDARDS) == [], "neither words of people nor marked as code"
    said = page.inner_text("body")
    assert "UTC" not in said
    assert " ms" not in said, "nor in the picture of the air time"
    assert "{" not in said, "a row's message is filled with what the row has"
    assert not re.search(r"\b(ride|purse|product|code|row)\b", lines.inner_text())


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_size_makes_it_wider_than_the_window(
    opened: Desk, session: DeskSession, new_page: NewPage, width: int, height: int
) -> None:
    session.tap("adult_purse", "front", Disturbance())
    page = new_page(width, height)
    for path in ("/", "/storm"):
        page.goto(f"{opened[0].url}{path}")
        expect(page.locator("h1")).to_be_visible()
        if path == "/":
            shown(page, 1)
            assert page.evaluate(RUNS_TOGETHER) == []
            assert page.evaluate("document.querySelector('[data-card]').offsetWidth") <= WIDEST_CARD
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_storm_ends_with_noughts_and_can_be_stopped(opened: Desk, new_page: NewPage) -> None:
    page = new_page(1440, 900)
    page.goto(f"{opened[0].url}/storm")
    page.get_by_label("Seed").fill("5")
    page.get_by_role("spinbutton", name="Taps").fill("300")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("body[data-state=finished]")).to_be_visible(timeout=LONG_MS)
    for figure in ("#lost", "#duplicated", "#money", "#open"):
        expect(page.locator(figure)).to_have_text("0")
    expect(page.locator("#command")).to_have_text("terminal storm --seed 5 --taps 300")
    assert page.locator("#kinds li[data-kind]").count() > 5
    page.get_by_role("spinbutton", name="Taps").fill("500000")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("body[data-state=running]")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("body[data-state=stopped]")).to_be_visible(timeout=LONG_MS)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain"},
    ],
)
def test_a_page_elsewhere_cannot_drive_the_desk(
    opened: Desk, session: DeskSession, headers: dict[str, str]
) -> None:
    status, _ = post(opened, "/api/tap", {"card": "adult_purse", "place": "front"}, headers)
    assert status == 403
    assert session.taps == []


def test_a_foreign_name_for_this_machine_gets_no_answer(opened: Desk, session: DeskSession) -> None:
    assert post(opened, "/api/reset", {}, {"Host": "evil.example"})[0] == 421
    assert session.taps == []


@pytest.mark.parametrize(
    ("path", "order", "status"),
    [
        ("/api/tap", {"card": "nobody", "place": "front"}, 409),
        ("/api/tap", {"card": "adult_purse", "place": "front", "exchange": 900}, 400),
        ("/api/tap", {"card": "adult_purse"}, 400),
        ("/api/clock", {"set": "yesterday"}, 400),
        ("/api/shift", {"place": "front", "open": True, "route": -1}, 400),
        ("/api/reset", {"region": "../../etc/passwd"}, 409),
        ("/api/storm/start", {"seed": -1}, 400),
    ],
)
def test_nonsense_is_refused_in_a_sentence(
    opened: Desk, session: DeskSession, path: str, order: dict[str, object], status: int
) -> None:
    found, answer = post(opened, path, order, {})
    assert found == status
    assert answer["problem"]
    assert session.taps == []


def post(
    opened: Desk, path: str, order: dict[str, object], headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    """An order as any program on this machine may send it."""
    url = opened[0].url
    request = Request(
        url + path, json.dumps(order).encode(), {"Content-Type": "application/json", "Origin": url} | headers
    )
    try:
        with urlopen(request) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        content = refused.read()
        return refused.code, json.loads(content) if content.startswith(b"{") else {"problem": "refused"}


def test_pages_and_answers_carry_the_strict_policy(opened: Desk) -> None:
    for path in ("/", "/storm", "/api/desk", "/art/adult_purse.svg", "/static/desk.js"):
        with urlopen(opened[0].url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
