"""Debian's Chromium for the tests of all screens: one browser per test module, a new context per test.

    def test_something(page: Page) -> None:
        page.goto(server.url)
        assert_accessible(page)

Fixtures: `page` (1024×600), `new_page(width=..., height=..., **context_options)` for more of them or other sizes.
A page whose script raised, whose policy was broken, or that asked for anything not on this machine fails its test.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Frame,
    Page,
    Request,
    expect,
    sync_playwright,
)

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The same engine in all of them; the first has no windows, and a new context costs a third."""
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
LOCAL = {"127.0.0.1", "localhost"}
LONGEST_MS = 40_000
"""Until something is given up that did not come: spent by failing tests alone, and a loaded machine is slow."""
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module, with a new, empty profile.

    Not for the whole run: while it lives, this thread has a running event loop, and other tests want to run their own.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium: install Debian's package chromium, or name one in the variable CHROMIUM")
    expect.set_options(timeout=LONGEST_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """`new_page(width=480, height=272, reduced_motion="reduce")`: a page in a context of its own."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        # A connection that a test cuts is reported here too; what scripts and policies have to say is an error.
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(message.text)

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.hostname not in LOCAL:
            wrong.append(f"asked for {request.url}")

    def make(width: int = 1024, height: int = 600, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LONGEST_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", on_console)
        page.on("request", on_request)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """One page of 1024×600."""
    return new_page()


def assert_accessible(page: Page, within: str | None = None) -> None:
    """axe-core finds nothing on the page as it is now; `within` what a selector names, where the rest was seen."""
    results = Axe().run(page, within)
    assert results.violations_count == 0, results.generate_report()


def wait_until(page: Page | Frame, expression: str, otherwise: str = "") -> None:
    """Until `expression` is true in the page. Playwright's own waiting needs an eval that the policy forbids."""
    deadline = time.monotonic() + LONGEST_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, otherwise or f"never: {expression}"
        page.wait_for_timeout(10)


def screenshot(page: Page, path: Path) -> None:
    """A picture of the visible part, with animations at their end."""
    page.screenshot(path=str(path), animations="disabled")
