"""The passenger display in Chromium: how soon a result is visible, how much is loaded, what it costs while idle."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from playwright.sync_api import Page, Response, sync_playwright
from starlette.applications import Starlette

from bench.cards import SteppedClock, bus, resident
from bench.result import Result, at_most
from terminal.app.config.write import new_file
from terminal.clock import SystemClock
from terminal.screen.display import Display, DisplaySettings
from terminal.screen.display_page import display_routes
from terminal.screen.server import ScreenServer
from terminal.tap import take_tap

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
NO_CHROMIUM = "no chromium"
TAPS = 100
IDLE_S = 6.0
TICKS = os.sysconf("SC_CLK_TCK")

RECORD = """
() => {
  globalThis.visible = {};
  const display = document.getElementById("display");
  new MutationObserver(() => {
    const id = display.dataset.shown;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();  // its turn comes after the frame, not before it
      painted.port1.onmessage = () => { visible[id] ??= performance.timeOrigin + performance.now(); };
      painted.port2.postMessage(0);
    });
  }).observe(display, {attributeFilter: ["data-shown"]});
}
"""
WHEN = """
async (id) => {
  while (!(id in visible)) await new Promise((done) => setTimeout(done, 2));
  return visible[id];
}
"""


@contextmanager
def chromium_page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_page(viewport={"width": 1024, "height": 600})
        finally:
            browser.close()


@contextmanager
def alive(display: Display) -> Iterator[None]:
    """A loop that beats, as the presence loop does."""
    done = Event()

    def beat() -> None:
        while not done.wait(0.25):
            display.beat()

    thread = Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def visible() -> Iterator[Result]:
    """From the first byte of a tap, not only from its decision, to the frame that shows the result."""
    name = "tap's start to its result visible in Chromium, p95"
    if CHROMIUM is None:
        yield Result(name, float("nan"), "ms", "<= 100", None, NO_CHROMIUM)
        return
    display, clock, card = Display(SystemClock()), SteppedClock(), resident("month_pass")
    app = Starlette(routes=display_routes(display, DisplaySettings("ru", "en")))
    took = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ScreenServer(app) as server,
        alive(display),
        chromium_page() as page,
    ):
        terminal = bus(Path(folder), clock)
        terminal.signal = display.outcome
        page.goto(server.url, wait_until="load")
        page.evaluate(RECORD)
        for _ in range(TAPS):
            clock.next_ride()
            card.power_on()
            display.card()
            begun = SystemClock().now().timestamp()  # the page's clock is the same machine's
            take_tap(card, terminal)
            took.append(page.evaluate(WHEN, display.feed.position) - begun * 1000)
            display.removed()
        terminal.journal.close()
    cuts = statistics.quantiles(took, n=20)
    yield at_most(
        name, cuts[18], "ms", 100, f"median {statistics.median(took):.0f}, worst of {TAPS}: {max(took):.0f}"
    )


def load() -> Iterator[Result]:
    """Everything the browser gets until the display stands, headers included."""
    if CHROMIUM is None:
        yield Result("first load of the passenger display", float("nan"), "kB", "<= 150", None, NO_CHROMIUM)
        return
    display = Display(SystemClock())
    answers: list[Response] = []
    app = Starlette(routes=display_routes(display, DisplaySettings("ru", "en")))
    with ScreenServer(app) as server, alive(display), chromium_page() as page:
        page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 a bound method of a list cannot be marked
        page.goto(server.url, wait_until="load")
        page.wait_for_selector("#display[data-shown]")
        loaded = [
            answer for answer in answers if "event-stream" not in answer.headers.get("content-type", "")
        ]
        total = sum(
            len(answer.body()) + len(str(answer.headers)) for answer in loaded if "http" in answer.url
        )
    yield at_most("first load of the passenger display", total / 1000, "kB", 150, f"{len(loaded)} files")


def idle() -> Iterator[Result]:
    """CPU time of the whole terminal process while nobody taps and a browser shows its display."""
    name = "CPU of an idle terminal with its display"
    if CHROMIUM is None or not Path("/proc/self/stat").exists():
        yield Result(name, float("nan"), "%", "<= 2", None, f"{NO_CHROMIUM} or no /proc")
        return
    with tempfile.TemporaryDirectory() as folder, chromium_page() as page:
        config = Path(folder) / "terminal.toml"
        values: dict[str, dict[str, object]] = {
            "terminal": {"profile": "bus", "state": folder},
            "reader": {"name": "sim:blocked", "pace_s": 3600.0},
            "screen": {"enabled": True, "port": 0},
            "shift": {"operator": "bench"},
        }
        config.write_text(new_file(values), "utf-8")
        command = [sys.executable, "-m", "terminal.cli.app", "run", "--config", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            address = re.search(r"http://\S+", process.stderr.readline())
            assert address is not None
            page.goto(address[0], wait_until="load")
            page.wait_for_selector("#display[data-shown]")
            page.wait_for_timeout(1000)
            before, begun = cpu_ticks(process.pid), time.monotonic()
            page.wait_for_timeout(IDLE_S * 1000)
            used, took = cpu_ticks(process.pid) - before, time.monotonic() - begun
        finally:
            process.terminate()
            process.communicate()
    yield at_most(name, 100 * used / TICKS / took, "%", 2, f"of one core, over {took:.0f} s")


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
