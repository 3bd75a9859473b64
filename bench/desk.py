"""How soon the desk answers a hand: from the input event to the frame that shows its effect, with a full trace."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.result import Result, at_most

EXCHANGES = 10_000
ROUNDS = 30
LIMIT_MS = 100.0
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
    import shutil  # noqa: PLC0415 beside what only this measurement needs

    program = next((found for found in map(shutil.which, CHROMIUM) if found), None)
    if program is None:
        yield Result("desk_input_to_paint_p95", 0.0, "ms", f"<= {LIMIT_MS:g}", None, "no chromium here")
        return
    yield from _measure(program)


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
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        page.wait_for_selector("#result-body[data-tap]")
        page.evaluate(WATCH)

        def timed(seen: str, act: Callable[[], None]) -> float:
            page.evaluate(f"() => {{ window.watched = null; window.awaited = {{seen: () => {seen}}}; }}")
            act()
            handle = None
            while handle is None:
                handle = page.evaluate("() => window.watched")
            return float(handle)

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
