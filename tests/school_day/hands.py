"""A person at a page: presses by mouse, by finger or by keyboard, and what is done is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Locator, Page, expect

SIZES = ((480, 272), (800, 480), (1024, 600), (1920, 1080))
PATIENCE_MS = 60_000


class Way(StrEnum):
    """How a button is pressed."""

    MOUSE = "mouse"
    TOUCH = "touch"
    KEYBOARD = "keyboard"


class Hands:
    """Works at one page. `looks`: each page is looked at once, at all sizes and by axe, when a person leaves it."""

    def __init__(self, page: Page, way: Way, counts: Counter[str], looked: set[str], *, looks: bool) -> None:
        self.page, self.way, self.counts = page, way, counts
        self._looked, self._looks = looked, looks
        page.set_default_timeout(PATIENCE_MS)
        page.on("framenavigated", self._navigated)

    def _navigated(self, frame: Frame) -> None:
        if frame.parent_frame is None:
            self.counts["pages"] += 1

    def press(self, control: Locator, *, waits: bool = True) -> None:
        """Press a button, a link, a box: in the way this person does. With `waits` until what it leads to is coming."""
        expect(control).to_be_enabled(timeout=PATIENCE_MS)
        self.look()
        self.counts["presses"] += 1
        self.counts[f"presses by {self.way}"] += 1
        if waits and control.evaluate(LEADS_ON):
            with self.page.expect_navigation(timeout=PATIENCE_MS):
                self._press(control, waits=waits)
        else:
            self._press(control, waits=waits)

    def _press(self, control: Locator, *, waits: bool) -> None:
        match self.way:
            case Way.MOUSE:
                control.click(no_wait_after=not waits)
            case Way.TOUCH:
                control.tap()
            case Way.KEYBOARD:
                if not control.evaluate(
                    "one => one.tabIndex >= 0 || one.form.querySelector('[type=password]').focus()"
                ):
                    self.page.keyboard.press("Enter")  # the pad is for fingers: a keyboard ends the field
                    return
                control.focus()
                assert control.evaluate("one => one === document.activeElement")
                self.page.keyboard.press("Space" if control.get_attribute("type") in BOXES else "Enter")

    def fill(self, field: Locator, value: str) -> None:
        """Type or choose `value`."""
        self.counts["fields"] += 1
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(label=value)
        elif self.way is Way.KEYBOARD and field.get_attribute("type") in (None, "text", "search", "password"):
            field.fill("")
            field.focus()
            self.page.keyboard.type(value)
        else:
            field.fill(value)

    def choose(self, field: Locator, file: Path) -> None:
        """Choose a file."""
        self.counts["fields"] += 1
        field.set_input_files(file)

    def button(self, name: str) -> None:
        """Press the button of that name."""
        self.press(self.page.get_by_role("button", name=name).locator("visible=true").first)

    def link(self, name: str) -> None:
        """Press the link of that name."""
        self.press(self.page.get_by_role("link", name=name).locator("visible=true").first)

    def open(self, name: str) -> None:
        """A page of the menu."""
        menu = self.page.get_by_role("navigation", name="Страницы")
        self.press(menu.get_by_role("link", name=name, exact=True))
        here = menu.get_by_role("link", name=name, exact=True)
        expect(here).to_have_attribute("aria-current", "page", timeout=PATIENCE_MS)

    def field(self, label: str) -> Locator:
        """The field with that label."""
        return self.page.get_by_label(label, exact=True).locator("visible=true").first

    def look(self) -> None:
        """What is shown fits every screen, and axe finds nothing: once for each page."""
        path = urlsplit(self.page.url).path
        if not self._looks or path in self._looked or not path.strip("/"):
            return
        self._looked.add(path)
        results = Axe().run(self.page)
        assert results.violations_count == 0, f"{path}: {results.generate_report()}"
        before = self.page.viewport_size
        assert before is not None
        for width, height in SIZES:
            self.page.set_viewport_size({"width": width, "height": height})
            shown = self.page.evaluate("document.documentElement.scrollWidth")
            assert shown <= width, f"{path} is {shown} wide on a screen of {width}"
            self.counts["sizes looked at"] += 1
        self.page.set_viewport_size(before)
        self.counts["pages looked at"] += 1


LEADS_ON = "one => !!one.href && !one.hasAttribute('download') && !one.hash"
BOXES = ("checkbox", "radio")
Instead = dict[str, Callable[[], Any]]
