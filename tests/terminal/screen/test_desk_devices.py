"""The devices around the desk's front door: what is seen and done in the page reaches the product's ports."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from cardproto.connection import CardConnection
from sim.desk.disturbance import Disturbance
from terminal.cli.desk import open_desk
from terminal.decision.outcome import Message
from terminal.journal.records import Fault
from terminal.journal.taps import End
from terminal.lab.desk.devices import LAMPS, DeskDevices
from terminal.lab.desk.refusals import DeskFault, DeskRefused
from terminal.lab.desk.scenario import scenario_of
from terminal.lab.desk.session import DeskSession
from terminal.tap_report import TapReport
from tests.terminal.screen.browser import NewPage, assert_accessible, wait_until
from tests.terminal.screen.test_desk_page import NOTED, SIZES, Desk, card, shown, tap

LONG_MS = 30_000
COMMIT = 0xC7
"""CommitTransaction."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(tmp_path_factory.mktemp("desk"), collector=False) as desk:
        yield desk


@pytest.fixture
def session(opened: Desk) -> DeskSession:
    opened[1].reset("demo")
    return opened[1]


@pytest.fixture
def desk(opened: Desk, session: DeskSession, new_page: NewPage) -> Page:
    page = new_page(1440, 900)
    page.goto(opened[0].url)
    expect(card(page, "adult_purse")).to_be_visible()
    expect(page.locator('[data-lamp="ready"]')).to_have_class("lit")
    assert session.taps == []
    return page


def until(holds: Callable[[], bool]) -> None:
    """Wait for what no page shows while a tap is under way."""
    ends = time.monotonic() + LONG_MS / 1000
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def lines_of(desk: Page) -> Callable[[], list[str]]:
    """Every line that the driver's display shows from now on: each stands there for seconds only."""
    front = desk.locator('[data-terminal="front"] iframe').element_handle().content_frame()
    assert front is not None
    front.wait_for_selector("#line", state="attached")
    front.evaluate(NOTED)
    return lambda: list(front.evaluate("noted"))


def faults(session: DeskSession) -> list[str]:
    """The faults in the journal of the driver's terminal."""
    rows = session.town.terminals["front"].journal.rows(0, 100)
    return [str(row.record.code) for row in rows if isinstance(row.record, Fault)]


def test_a_paid_tap_is_green_sounds_opens_the_barrier_and_prints_its_ticket(desk: Page) -> None:
    sound = desk.get_by_role("switch", name="Let it sound")
    sound.click()
    expect(sound).to_have_attribute("aria-checked", "true")
    tap(desk, "adult_purse", "front")
    expect(desk.locator('[data-lamp="accepted"]')).to_have_class("lit")
    expect(desk.locator("#barrier-state")).to_have_text("open")
    expect(desk.locator("#tones")).to_have_text(re.compile(r"♪ low \d+ ms · high \d+ ms"))
    wait_until(desk, "document.documentElement.dataset.sounded === '2'")
    expect(desk.locator("#paper")).to_contain_text("Билет 70001-6")
    expect(desk.locator("#paper")).to_contain_text("Оплачено: 24,00 руб.")
    expect(desk.locator("#paper-state")).to_have_text("tickets printed: 1")
    desk.get_by_role("button", name="A person passes").click()
    expect(desk.locator("#barrier-state")).to_have_text("closed")
    expect(desk.locator("#barrier-counts")).to_have_text("opened 1, passed 1, alarms 0")
    expect(desk.locator('[data-lamp="ready"]')).to_have_class("lit")
    tap(desk, "blocked", "front")
    expect(desk.locator('[data-lamp="refused"]')).to_have_class("lit")
    expect(desk.locator("#barrier-state")).to_have_text("closed")


def test_a_barrier_that_is_pushed_open_is_an_alarm_on_record(desk: Page, session: DeskSession) -> None:
    desk.get_by_role("switch", name="Pushed open").click()
    expect(desk.locator("#barrier-state")).to_have_text("stands open though it was closed")
    expect(desk.locator("#barrier-counts")).to_contain_text("alarms 1")
    expect(desk.locator("#journal")).to_contain_text("barrier", ignore_case=True)
    assert faults(session) == ["barrier:forced"]


def test_a_code_is_scanned_from_the_keyboard_and_answered(desk: Page, session: DeskSession) -> None:
    noted = lines_of(desk)
    desk.locator("#scan").focus()
    desk.keyboard.type("RC1:ПРИВЕТ")
    desk.keyboard.press("Enter")
    until(lambda: "Card not confirmed by its issuer" in noted())
    expect(desk.locator("#scan-count")).to_have_text("codes read: 1")
    lines = session.town.devices.lines
    until(lambda: any(line == LAMPS.refused and active for line, active, _ in tuple(lines.history)))
    assert session.taps == []
    desk.get_by_role("button", name="Show the code of the pensioner's phone").click()
    until(lambda: "Concession trip" in noted())
    expect(desk.locator("#barrier-state")).to_have_text("open")
    expect(desk.locator("#scan-count")).to_have_text("codes read: 2")
    line = desk.locator("#taps li").filter(has_text="Concession trip")
    expect(line).to_have_count(1)
    expect(line).to_contain_text("ensioner")
    (tap,) = session.taps
    assert [type(row.record).__name__ for row in tap.journal] == ["Intent", "Committed"]
    with pytest.raises(DeskRefused) as none:
        scenario_of(session)
    assert none.value.mistake.code is DeskFault.NOTHING_TO_SAVE, "a scenario has cards, no phones"


def test_a_printed_code_rides_when_the_driver_has_seen_the_holder(desk: Page, session: DeskSession) -> None:
    text, pensioner = session.town.document_path.read_text("utf-8"), 'name = "pensioner, free"\n'
    session.use_document(text.replace(pensioner, f"{pensioner}printed = true\n"))
    holder = desk.get_by_role("button", name="It is the holder")
    expect(holder).to_be_hidden()
    desk.get_by_role("button", name="Show the pensioner's printed code").click()
    front = desk.frame_locator('[data-terminal="front"] iframe')
    expect(front.locator("#line")).to_have_text("Printed code. Please wait for the check")
    holder.click()
    expect(front.locator("#line")).to_have_text("Concession trip")
    expect(holder).to_be_hidden()
    expect(desk.locator("#taps li")).to_have_count(2)
    assert "phone:printed_checked" in [reason.code for reason in session.taps[-1].report.reasons]


def laid_once(desk: Page, session: DeskSession, place: str) -> TapReport:
    """The next tap of the browser's phone."""
    number = len(session.taps) + 1
    tap(desk, "phone_in_browser", place)
    shown(desk, number)
    return session.taps[-1].report


def laid(desk: Page, session: DeskSession, place: str) -> str:
    """What it ends with. A busy machine may answer late; people tap again."""
    said = str(Message.READ_AGAIN)
    while said == Message.READ_AGAIN:
        said = str(laid_once(desk, session, place).outcome.message)
    return said


def test_a_phone_in_the_browser_answers_the_desks_terminals_with_its_own_key(
    desk: Page, session: DeskSession
) -> None:
    with desk.expect_popup() as opened:
        desk.get_by_role("link", name="A phone in the browser").click()
    phone = opened.value
    wait_until(phone, "document.getElementById('code').dataset.counter === '1'")
    phone.get_by_role("button", name="Hold to the reader").click()
    assert laid(desk, session, "front") == "ok_benefit_unlimited"
    expect(phone.locator("#answers li").first).to_contain_text("terminal 70001")
    assert session.taps[-1].report.reasons[0].code == "phone:answered"
    assert laid(desk, session, "front") == "already_paid"
    assert_accessible(phone)
    noted = lines_of(desk)
    desk.locator("#scan").fill(phone.locator("#code").input_value())
    desk.get_by_role("button", name="Scan", exact=True).click()
    until(lambda: "Already paid" in noted())
    phone.route("**/field", late)
    assert laid_once(desk, session, "rear").outcome.message == Message.READ_AGAIN
    phone.unroute("**/field")
    phone.get_by_role("button", name="New phone").click()
    wait_until(phone, "document.getElementById('code').dataset.counter === '1'")
    assert laid(desk, session, "front") == "ok_benefit_unlimited", "another key, another phone"
    phone.get_by_role("button", name="Take away").click()
    expect(phone.get_by_role("button", name="Hold to the reader")).to_be_enabled()
    assert laid_once(desk, session, "front").outcome.message == Message.READ_AGAIN


def late(route: Route) -> None:
    """An answer that was fetched from elsewhere."""
    time.sleep(0.31)
    route.continue_()


def test_a_ticket_waits_for_paper(desk: Page) -> None:
    desk.get_by_role("switch", name="Paper", exact=True).click()
    tap(desk, "adult_purse", "front")
    expect(desk.locator("#paper-state")).to_have_text("tickets that wait: 1")
    expect(desk.locator("#devices-failing")).to_contain_text("periphery:printer")
    expect(desk.locator("#paper")).to_have_text("")
    desk.get_by_role("switch", name="Paper", exact=True).click()
    expect(desk.locator("#paper")).to_contain_text("Билет 70001-6")
    expect(desk.locator("#devices-failing")).to_have_text("")
    expect(desk.locator("#tones")).to_have_text(re.compile("low"))
    assert desk.evaluate("document.documentElement.dataset.sounded ?? ''") == ""  # unless it is wanted


def test_no_tap_begins_while_the_supply_fails(desk: Page, session: DeskSession) -> None:
    desk.get_by_role("switch", name="Supply").focus()
    desk.keyboard.press("Space")
    expect(desk.locator("#power-state")).to_contain_text("The supply fails")
    expect(desk.locator('[data-lamp="ready"]')).not_to_have_class("lit")
    tap(desk, "adult_purse", "front")
    expect(desk.locator("#notice")).to_contain_text("the supply of this terminal fails")
    assert session.taps == []
    session.tap("adult_purse", "rear", Disturbance())  # the other door has a supply of its own
    desk.get_by_role("switch", name="Supply").click()
    expect(desk.locator('[data-lamp="ready"]')).to_have_class("lit")
    tap(desk, "month_pass", "front")
    shown(desk, 2)
    assert faults(session) == ["power:failing", "power:back"]


class HeldAtCommit:
    """A card whose commit is held up until `go`; what was begun before is answered at once."""

    def __init__(self, card: CardConnection) -> None:
        self._card = card
        self.reached, self.go = threading.Event(), threading.Event()

    def transmit(self, command: bytes) -> bytes:
        if command[1] == COMMIT:
            self.reached.set()
            assert self.go.wait(LONG_MS / 1000)
        return self._card.transmit(command)


def folded(journal: Path) -> int:
    """The newest row in the database file itself, without its log."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro&immutable=1", uri=True)) as file:
        (newest,) = file.execute("SELECT max(sequence) FROM row").fetchone()
    return int(newest or 0)


def test_a_tap_under_way_ends_well_when_the_supply_fails_and_no_other_begins(
    desk: Page, session: DeskSession
) -> None:
    devices, journal = session.town.devices, session.town.terminals["front"].journal
    held: list[HeldAtCommit] = []
    guarded = devices.guarded

    def around(card: CardConnection) -> CardConnection:
        held.append(HeldAtCommit(card))
        return guarded(held[-1])

    devices.guarded = around  # type: ignore[method-assign]  # the card is slow, and the supply is guarded as ever
    tap(desk, "adult_purse", "front")
    until(lambda: bool(held))
    assert held[0].reached.wait(LONG_MS / 1000)
    desk.get_by_role("switch", name="Supply").click()
    until(lambda: devices.as_json()["failures"] == 1)
    assert folded(journal.path) < journal.head.sequence, "behind the tap, not in its middle"
    held[0].go.set()
    shown(desk, 1)
    expect(desk.locator("#power-state")).to_contain_text("The supply fails")
    assert session.taps[0].report.end is End.COMMITTED
    assert session.taps[0].report.sequence is not None
    until(lambda: folded(journal.path) > (session.taps[0].report.sequence or 0))
    tap(desk, "month_pass", "front")
    expect(desk.locator("#notice")).to_contain_text("the supply of this terminal fails")
    assert (len(session.taps), len(held)) == (1, 1)


def test_an_opened_housing_wipes_the_key_and_the_collector_hears_of_it(
    desk: Page, session: DeskSession
) -> None:
    desk.get_by_role("switch", name="Housing closed").click()
    expect(desk.locator("#power-state")).to_contain_text("The journal's key is wiped")
    tap(desk, "adult_purse", "front")
    expect(desk.locator("#notice")).to_contain_text("its journal's key is wiped")
    desk.get_by_role("switch", name="Housing closed").click()  # too late
    expect(desk.get_by_role("switch", name="Housing closed")).to_have_attribute("aria-checked", "true")
    expect(desk.locator("#power-state")).to_contain_text("The journal's key is wiped")
    with pytest.raises(DeskRefused, match="key is wiped"):
        session.use_document()
    desk.get_by_role("switch", name="Collector").click()
    expect(desk.locator("#queue-state")).to_have_text("Everything is acknowledged", timeout=LONG_MS)
    expect(desk.locator("#power-state")).to_contain_text("Rows that wait: 0")
    assert faults(session) == ["housing:opened"]
    alarms = session.wire.wait_for_report(LONG_MS / 1000)["alarms"]
    assert [(alarm["kind"], alarm["terminal"]) for alarm in alarms] == [("housing", 70001)]
    desk.get_by_role("button", name="Reset").click()
    expect(desk.locator("#power-state")).to_have_text("Taps are taken.")
    session.switch(collector=False)


class SetAsItGivesUp(threading.Event):
    """Its first wait ends in vain, and right then a device stirs."""

    given_up = False

    def wait(self, timeout: float | None = None) -> bool:
        if self.given_up:
            return super().wait(timeout)
        self.given_up = True
        self.set()
        return False


def test_what_stirs_as_a_wait_ends_in_vain_is_shown_all_the_same() -> None:
    shown = threading.Event()
    devices = DeskDevices(threading.RLock(), lambda _written: shown.set())
    devices._wake = SetAsItGivesUp()
    devices._thread.start()
    try:
        assert shown.wait(LONG_MS / 1000)
    finally:
        devices.close()


def test_the_devices_fit_every_window_in_both_languages_and_take_fingers(
    opened: Desk, session: DeskSession, new_page: NewPage
) -> None:
    session.tap("adult_purse", "front", Disturbance())
    page = new_page(*SIZES[0], has_touch=True)
    for language in ("ru", "en"):
        page.goto(f"{opened[0].url}/?language={language}")
        expect(page.locator("#paper")).to_contain_text("Билет")
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate(CUT) == []
    expect(page.locator("#barrier-state")).to_have_text("closed")
    page.get_by_role("button", name="A person passes").tap()
    expect(page.locator("#barrier-counts")).to_contain_text("alarms 1")


CUT = """
() => [...document.querySelectorAll(".devices *")].filter((one) => {
  const box = one.getBoundingClientRect();
  const cut = one.scrollWidth > one.clientWidth + 1 && !one.closest("input, .paper, .visually-hidden, .gate");
  return box.right > innerWidth || cut;
}).map((one) => one.id || one.className || one.tagName)
"""
"""What stands beyond the window, or is wider than its place."""


def test_axe_finds_nothing_in_any_state(opened: Desk, session: DeskSession, new_page: NewPage) -> None:
    english, russian = (new_page(1280, 800, color_scheme=scheme) for scheme in ("dark", "light"))
    english.goto(opened[0].url)
    expect(english.locator('[data-lamp="ready"]')).to_have_class("lit")
    session.tap("adult_purse", "front", Disturbance())
    expect(english.locator("#paper")).to_contain_text("Билет")
    expect(english.locator("#barrier")).to_have_class(re.compile("open"))
    assert_accessible(english)
    russian.goto(f"{opened[0].url}/?language=ru")
    for name in ("supply", "barrier-forced", "housing"):
        russian.locator(f"#{name}").click()
    expect(russian.locator("#power-state")).to_contain_text("Ключ журнала стёрт")
    expect(russian.locator("#power-state")).to_have_class(re.compile("trouble"))
    assert_accessible(russian)
