"""The passenger display as a passenger sees and hears it, in Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from babel.messages.catalog import Catalog
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.routing import Mount

from make_texts import SOURCE_LANGUAGE, read
from sim.air import VirtualClock
from terminal.app.simulated import laboratory_keys
from terminal.app.station import journal_reader
from terminal.clock import SystemClock
from terminal.codes import Admission
from terminal.decision.outcome import Message, Outcome
from terminal.journal.records import Unwritten
from terminal.journal.taps import End
from terminal.messages import colour, sound, text
from terminal.screen.display import Display, DisplaySettings
from terminal.screen.display_page import display_routes
from terminal.screen.server import ScreenServer
from terminal.support_code import row_of_code
from terminal.tap_report import TapReport
from tests.config_file import config_file
from tests.terminal.screen.browser import NewPage, assert_accessible, wait_until
from tests.terminal.screen.shown import VALUES, outcome
from tests.terminal.screen.test_display import START
from tests.test_texts import polish

__all__ = ["polish"]

ROOT = Path(__file__).resolve().parents[3]
SIZES = [(480, 272), (272, 480), (800, 480), (1920, 1080), (1080, 1920)]
SETTINGS = {
    "ru": DisplaySettings("ru"),
    "en": DisplaySettings("en"),
    "both": DisplaySettings("ru", "en"),
    "canteen": DisplaySettings("ru", "en", discreet=True),
}

REPORT = TapReport(outcome(Message.NO_FUNDS), End.NOTHING_WRITTEN, START, 0, 0, "RUB")

LISTEN = """
globalThis.heard = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) {
  heard.push({at, pitch: this.frequency.value});
  return start.call(this, at);
};
"""

RECORD = """
globalThis.seen = [];
new MutationObserver(() => {
  const line = document.getElementById("line").textContent;
  if (line !== seen.at(-1)) seen.push(line);
}).observe(document.getElementById("display"), {childList: true, characterData: true, subtree: true});
"""

SHOWN = """
async (position) => {
  while (document.getElementById("display").dataset.shown !== position) await new Promise(requestAnimationFrame);
  const words = document.querySelector(".words");
  const outside = [...document.querySelectorAll(".words, #line, #second, .icon")]
    .map((element) => [element.id, element.getBoundingClientRect().toJSON()])
    .filter(([, {left, top, right, bottom}]) => left < 0 || top < 0 || right > innerWidth || bottom > innerHeight);
  const over = [...words.children, words]
    .filter((element) => element.scrollWidth > element.clientWidth + 1)
    .map((element) => [element.id, element.scrollWidth, element.clientWidth]);
  return {
    letters: parseFloat(getComputedStyle(words).fontSize),
    clipped: outside.length + over.length > 0,
    outside, over,
  };
}
"""
"""Once the display shows what was published at `position`: how large its letters are, and whether any are cut off,
leave the screen, or run under the picture."""


@pytest.fixture
def ids() -> Catalog:
    """What is worded, by the catalogue: that it lacks nothing of the sources, which take seconds, is a test there."""
    return read(SOURCE_LANGUAGE)


@pytest.fixture
def display() -> Iterator[Display]:
    """A display whose terminal is alive."""
    display, done = Display(SystemClock()), Event()

    def live() -> None:
        while not done.wait(0.2):
            display.beat()

    thread = Thread(target=live)
    thread.start()
    yield display
    done.set()
    thread.join()


@pytest.fixture
def served(display: Display) -> Iterator[ScreenServer]:
    """Each of `SETTINGS` under its own path, showing the same display."""
    routes = [
        Mount(f"/{name}", routes=display_routes(display, settings)) for name, settings in SETTINGS.items()
    ]
    with ScreenServer(Starlette(routes=routes)) as server:
        yield server


def looks(page: Page, look: str) -> None:
    expect(page.locator("#display")).to_have_attribute("data-look", look)


def opened(page: Page, server: ScreenServer, name: str = "ru") -> Page:
    page.goto(f"{server.url}/{name}/")
    looks(page, "idle")
    return page


# what is seen


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_message_is_shown_in_words_colour_and_shape(
    display: Display, served: ScreenServer, page: Page, language: str
) -> None:
    opened(page, served, language)
    for message in Message:
        display.outcome(outcome(message))
        expect(page.get_by_role("heading")).to_have_text(text(message, language, VALUES))
        looks(page, colour(message))
        assert page.locator(".icon svg:visible").get_attribute("class") == colour(message)


@pytest.mark.parametrize("name", ["ru", "en", "both"])
def test_every_message_fits_any_size_in_letters_for_one_and_a_half_metres(
    display: Display, served: ScreenServer, page: Page, name: str
) -> None:
    opened(page, served, name)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for message in Message:
            display.outcome(outcome(message))
            told = page.evaluate(SHOWN, display.feed.position)
            where = f"{message} at {width}×{height}: {told}"
            assert not told["clipped"], where
            assert told["letters"] >= 0.09 * min(width, height), where


@pytest.mark.parametrize("name", ["ru", "en", "both"])
def test_axe_finds_nothing_in_any_state(
    display: Display, served: ScreenServer, page: Page, name: str
) -> None:
    opened(page, served, name)
    assert_accessible(page)
    display.card()
    looks(page, "card")
    assert_accessible(page)
    for message in (Message.OK_BENEFIT, Message.LIMIT_REACHED, Message.DENY_LIST):
        display.outcome(outcome(message))
        looks(page, colour(message))
        assert_accessible(page)
    display.fault()
    looks(page, "fault")
    assert_accessible(page)


@pytest.mark.parametrize(("wish", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_for_those_who_asked_for_it(
    display: Display, served: ScreenServer, new_page: NewPage, wish: str, moves: bool
) -> None:
    page = opened(new_page(reduced_motion=wish), served)
    running = "document.getAnimations().length > 0"
    assert page.evaluate(running) is moves
    display.card()
    looks(page, "card")
    assert page.evaluate(running) is moves
    display.outcome(outcome(Message.OK_PAID))
    looks(page, "green")
    if not moves:
        assert page.evaluate(running) is False


# what is heard


def test_one_short_tone_is_done_two_attention_three_refused(
    display: Display, served: ScreenServer, page: Page
) -> None:
    page.add_init_script(LISTEN)
    opened(page, served)
    pitches = set()
    for message in (Message.OK_PAID, Message.READ_AGAIN, Message.NO_FUNDS):
        page.evaluate("heard.length = 0")
        display.outcome(outcome(message))
        beeps = sound(message).beeps
        wait_until(page, f"heard.length === {beeps}")
        tones = page.evaluate("heard")
        pitches |= {tone["pitch"] for tone in tones}
        apart = [after["at"] - before["at"] for before, after in pairwise(tones)]
        assert apart == pytest.approx([0.2] * (beeps - 1))
    assert len(pitches) == 3


# when it goes


def test_a_result_stays_to_be_read_and_then_leaves(
    display: Display, served: ScreenServer, page: Page
) -> None:
    opened(page, served)
    display.card()
    looks(page, "card")
    display.outcome(outcome(Message.OK_PAID))
    display.removed()
    looks(page, "green")
    looks(page, "idle")


def test_a_card_that_is_taken_away_unread_leaves_at_once(
    display: Display, served: ScreenServer, page: Page
) -> None:
    opened(page, served)
    display.card()
    looks(page, "card")
    display.removed()
    looks(page, "idle")


def test_out_of_order_stays_until_the_reader_works(
    display: Display, served: ScreenServer, page: Page
) -> None:
    opened(page, served)
    display.fault()
    expect(page.get_by_role("heading")).to_have_text("Терминал неисправен")
    display.works()
    looks(page, "idle")


def test_a_reload_in_the_middle_shows_the_rest(display: Display, served: ScreenServer, page: Page) -> None:
    opened(page, served)
    display.card()
    display.outcome(outcome(Message.LIMIT_REACHED))
    display.removed()
    looks(page, "yellow")
    page.reload()
    looks(page, "yellow")
    looks(page, "idle")


def test_two_hundred_rapid_taps_are_shown_in_order(
    display: Display, served: ScreenServer, page: Page
) -> None:
    opened(page, served)
    page.evaluate(RECORD.strip().removesuffix(";"))
    for number in range(200):
        display.card()
        display.outcome(outcome(Message.OK_BENEFIT, n=number))
    wait_until(page, "document.getElementById('line').textContent.endsWith(' 199')")
    numbers = page.evaluate("seen.map((line) => line.match(/\\d+$/)?.[0]).filter(Boolean).map(Number)")
    assert numbers == list(range(200))


def test_at_a_counter_a_delicate_message_only_asks(
    display: Display, served: ScreenServer, page: Page
) -> None:
    opened(page, served, "canteen")
    display.outcome(outcome(Message.NO_FUNDS))
    expect(page.get_by_role("heading")).to_have_text("Обратитесь на раздачу")
    expect(page.locator("#second")).to_have_text("Please ask at the counter")
    looks(page, "yellow")
    display.outcome(outcome(Message.MEAL_OK))
    expect(page.get_by_role("heading")).to_have_text("Приятного аппетита!")


def test_markup_in_values_is_text(display: Display, served: ScreenServer, page: Page) -> None:
    opened(page, served, "both")
    for hostile in (
        "<img src=x onerror='globalThis.hacked = 1'>",
        "</h1><script>globalThis.hacked = 1</script>",
        '"\' onload="globalThis.hacked = 1',
        "{{ 7 * 7 }} {n} %(n)s",
        "אב\u202eגד",
    ):
        display.outcome(Outcome(Message.MEAL_ALREADY, Admission.REFUSED, values={"meal": hostile}))
        expect(page.get_by_role("heading")).to_have_text(f"{hostile} уже получен".replace("\u202e", ""))
        assert page.evaluate("globalThis.hacked") is None
        assert page.locator("#display img, #display script").count() == 0
        assert not page.evaluate(SHOWN, display.feed.position)["clipped"]


def test_a_third_language_is_a_folder(display: Display, page: Page, polish: Path) -> None:
    with ScreenServer(Starlette(routes=display_routes(display, DisplaySettings("pl", "ru")))) as server:
        page.goto(server.url)
        expect(page.get_by_role("heading")).to_have_text("Przyłóż kartę")
        assert page.get_by_role("heading").get_attribute("lang") == "pl"
        for message in Message:
            display.outcome(outcome(message))
            expect(page.get_by_role("heading")).to_have_text(text(message, "pl", VALUES))
        display.outcome(outcome(Message.OK_CHECKOUT))
        expect(page.get_by_role("heading")).to_have_text("Wyjście. Pobrano 1.234,00 RUB")
        expect(page.locator("#second")).to_contain_text("1\u00a0234,00 ₽")
        assert_accessible(page)


# silence and coming back


def test_a_terminal_that_hangs_behind_a_live_server_is_out_of_order(page: Page) -> None:
    clock = VirtualClock(START)
    display = Display(clock)
    with ScreenServer(Starlette(routes=display_routes(display, DisplaySettings("en")))) as server:
        page.goto(server.url)
        looks(page, "idle")
        clock.advance(2.1)
        expect(page.get_by_role("heading")).to_have_text("Terminal out of order")
        display.beat()
        looks(page, "idle")


def test_it_comes_back_by_itself_after_a_restart(display: Display, page: Page) -> None:
    app = Starlette(routes=display_routes(display, DisplaySettings("ru")))
    with ScreenServer(app) as server:
        page.goto(server.url)
        display.outcome(outcome(Message.OK_PAID))
        looks(page, "green")
        port = server.port
    looks(page, "fault")
    later = Display(SystemClock())
    with ScreenServer(Starlette(routes=display_routes(later, DisplaySettings("ru"))), port=port):
        looks(page, "idle")
        later.outcome(outcome(Message.NO_FUNDS))
        looks(page, "red")


Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(port, pace_s)` starts `terminal run --screen` on simulated cards; returns the process and its address."""
    started: list[subprocess.Popen[str]] = []

    def start_one(port: int, pace_s: float = 3600) -> tuple[subprocess.Popen[str], str]:
        config = config_file(
            tmp_path,
            terminal={"profile": "bus", "state": tmp_path / "state"},
            reader={"name": "sim:blocked", "pace_s": pace_s},
            shift={"operator": "driver"},
            screen={"enabled": True, "port": port},
        )
        command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
        started.append(process)
        assert process.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert address is not None
        return process, address[0]

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def test_a_frozen_and_a_killed_terminal_are_out_of_order_until_they_are_back(
    page: Page, start: Start
) -> None:
    process, address = start(0)
    page.goto(address)
    looks(page, "idle")
    process.send_signal(signal.SIGSTOP)
    looks(page, "fault")
    process.send_signal(signal.SIGCONT)
    looks(page, "idle")
    process.kill()
    process.wait()
    looks(page, "fault")
    start(int(address.rsplit(":", 1)[1].strip("/")))
    looks(page, "idle")


def test_who_is_refused_reads_a_code_that_names_the_row_of_the_tap(
    page: Page, start: Start, tmp_path: Path
) -> None:
    _process, address = start(0, 0.5)
    page.goto(address)
    expect(page.locator("#code")).to_be_visible()
    said = page.locator("#code").inner_text()
    label, _, code = said.partition(": ")
    named = row_of_code(code)
    assert label == "Код обращения"
    assert named is not None
    with journal_reader(tmp_path / "state", laboratory_keys()) as reader:
        row = next(row for row in reader.all_rows() if row.sequence == named[1])
    assert isinstance(row.record, Unwritten)
    assert row.record.message == Message.BLOCKED


def test_a_support_code_leaves_with_its_result(display: Display, served: ScreenServer, page: Page) -> None:
    opened(page, served, "both")
    refused, paid = (
        replace(REPORT, outcome=Outcome(message, admission), terminal=70001, row=5123)
        for message, admission in (
            (Message.NO_FUNDS, Admission.REFUSED),
            (Message.OK_PAID, Admission.LET_IN),
        )
    )
    display.outcome(refused.outcome)
    display.ended(refused)
    expect(page.locator("#code")).to_have_text(f"Код обращения · Support code: {refused.support_code}")
    assert_accessible(page)
    display.outcome(paid.outcome)
    display.ended(paid)
    looks(page, "green")
    expect(page.locator("#code")).to_be_hidden()
