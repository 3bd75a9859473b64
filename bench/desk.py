"""How soon the desk answers a hand: from the input event to the frame that shows its effect, with a full trace; and how
soon the tariff playground shows what was typed, what it comes to and what is wrong with it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.result import Result, at_most

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXCHANGES = 10_000
ROUNDS = 30
LIMIT_MS = 100.0
PAINTED, JUDGED, MISTAKE = (f"tariff_typing_to_{seen}_p95" for seen in ("paint", "judged", "mistake_shown"))
JUDGED_LIMIT_MS = 300.0
SHOWN = "(digit) => document.querySelector('#editor textarea').value.includes(`\\nversion = ${digit}\\n`)"
GOOD = "(digit) => document.getElementById('state').textContent.endsWith(`version ${digit}`)"
WRONG = "() => document.querySelector('#mistakes li') !== null"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
CHROMIUM = ("chromium", "chromium-browser")

WATCH = """
() => {
  window.watched = null;
  const hear = (event) => {
    if (!window.awaited) return;
    const began = event.timeStamp;
    const {seen} = window.awaited;
    window.awaited = null;
    const told = () => (window.watched = performance.now() - began);
    const look = () => requestAnimationFrame(seen() ? told : look);
    requestAnimationFrame(look);
  };
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, hear, true);
  window.filled = (index) => {
    const row = document.querySelector(`[data-index="${index}"]`);
    const full = row && !row.hidden && row.querySelector(".name").textContent !== "";
    return full && row.getAttribute("aria-selected") === "true";
  };
}
"""


def responsive() -> Iterator[Result]:
    """Picking a row, paging, jumping from end to end, taking a card, and a whole tap, all in the full trace."""
    program = _chromium()
    if program is None:
        yield Result("desk_input_to_paint_p95", 0.0, "ms", f"<= {LIMIT_MS:g}", None, "no chromium here")
        return
    yield from _measure(program)


def judging() -> Iterator[Result]:
    """A key in the largest supplied document of the playground, until its letter is painted, until its judgement is,
    and until the mistake it makes is.
    """
    program = _chromium()
    if program is None:
        yield Result(JUDGED, 0.0, "ms", f"<= {JUDGED_LIMIT_MS:g}", None, "no chromium here")
        return
    yield from _judge(program)


def _chromium() -> str | None:
    import shutil  # noqa: PLC0415 beside what only these measurements need

    return next((found for found in map(shutil.which, CHROMIUM) if found), None)


def _judge(program: str) -> Iterator[Result]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 development only

    from terminal.cli.desk import open_desk, passing_folder  # noqa: PLC0415
    from terminal.policy.load import REGIONS  # noqa: PLC0415

    largest = max(REGIONS.glob("*.toml"), key=lambda path: path.stat().st_size)
    with (
        tempfile.TemporaryDirectory(dir=passing_folder()) as folder,
        open_desk(Path(folder), collector=False) as (server, _session),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{server.url}/tariff?language=en")
        page.wait_for_selector("#state.good")
        page.locator("#source").select_option(largest.stem)
        page.wait_for_selector(f"#state.good:has-text('{largest.stem}')")
        page.evaluate(WATCH)
        took: dict[str, list[float]] = {PAINTED: [], JUDGED: [], MISTAKE: []}
        for number in range(ROUNDS):
            digit = str(2 + number % 8)
            took[MISTAKE].append(_typed(page, "x", WRONG))
            took[JUDGED].append(_typed(page, digit, GOOD))
            took[PAINTED].append(_typed(page, "1", SHOWN))
            page.wait_for_function(GOOD, arg="1")
        browser.close()
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    for name, samples in took.items():
        limit_ms = LIMIT_MS if name == PAINTED else JUDGED_LIMIT_MS
        note = f"{largest.stem}, {largest.stat().st_size} bytes, {len(samples)} keys"
        note += f"; median {statistics.median(samples):.0f}; {load}"
        yield at_most(name, _p95(samples), "ms", limit_ms, note)


def _typed(page: Page, key: str, seen: str) -> float:
    """From `key` in place of the document's version to the first frame in which `seen`, of the key, is true."""
    page.evaluate(
        """([key, seen]) => {
          const area = document.querySelector("#editor textarea");
          const at = area.value.indexOf("\\nversion = ") + "\\nversion = ".length;
          area.focus();
          area.setSelectionRange(at, at + 1);
          window.watched = null;
          const holds = eval(seen);
          window.awaited = {seen: () => holds(key)};
        }""",
        [key, seen],
    )
    page.keyboard.press(key)
    return _watched(page)


def _watched(page: Page) -> float:
    handle = None
    while handle is None:
        handle = page.evaluate("() => window.watched")
    return float(handle)


def _measure(program: str) -> Iterator[Result]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 development only

    from terminal.cli.desk import open_desk, passing_folder  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(dir=passing_folder()) as folder,
        open_desk(Path(folder), collector=False) as (server, session),
        sync_playwright() as playwright,
    ):
        from sim.desk.disturbance import Disturbance  # noqa: PLC0415

        cards = [name for name, laid in session.town.shelf.items() if laid.face.group != "hostile"]
        while len(session.trace) < EXCHANGES:
            for card in cards:
                session.tap(card, "front", Disturbance())
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        page.wait_for_selector("#result-body[data-tap]")
        page.evaluate(WATCH)

        def timed(seen: str, act: Callable[[], None]) -> float:
            page.evaluate(f"() => {{ window.watched = null; window.awaited = {{seen: () => {seen}}}; }}")
            act()
            return _watched(page)

        rows = page.locator("#trace [data-index]:not([hidden])")

        def choose(round_: int) -> float:
            index = rows.nth(9 + round_ % 2).get_attribute("data-index")
            return timed(f"filled({index})", page.locator(f'[data-index="{index}"]').click)

        def a_tap() -> float:
            number = len(session.taps) + 1
            seen = f"document.getElementById('result-body').dataset.tap === '{number}'"
            took = timed(seen, lambda: page.keyboard.press("1"))
            page.wait_for_selector(f'#taps [data-tap="{number}"] [aria-current=true]')  # nobody taps faster
            return took

        total = len(session.trace)
        samples = {
            "row": [choose(number) for number in range(ROUNDS)],
            "jump": [
                timed(f"filled({index})", lambda key=key: page.locator("#trace").press(key))  # type: ignore[misc]
                for key, index in [("Home", 0), ("End", total - 1)] * (ROUNDS // 2)
            ],
            "card": [
                timed(
                    f"document.querySelector('[data-card={name}]').getAttribute('aria-pressed') === 'true'",
                    page.locator(f"[data-card={name}]").click,
                )
                for name in ["adult_purse", "month_pass"] * (ROUNDS // 2)
            ],
            "tap": [a_tap() for _ in range(ROUNDS)],
        }
        browser.close()
    everything = [value for values in samples.values() for value in values]
    parts = ", ".join(
        f"{name} {statistics.median(values):.0f}/{_p95(values):.0f}" for name, values in samples.items()
    )
    note = f"{total} exchanges, {len(everything)} inputs; median/p95 by kind: {parts}"
    note += f"; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    yield at_most("desk_input_to_paint_p95", _p95(everything), "ms", LIMIT_MS, note)


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
