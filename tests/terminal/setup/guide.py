"""A Russian guide as a test reads it: each numbered step is pressed on the page exactly as it is written.

**Название школы**: «Школа № 12»     a field or a choice, and what is put in
*Завтрак*                            the frame, or the row of a table, in which the next fields stand
**Далее**                            what is pressed; a field without a value only has to be there
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from playwright.sync_api import Locator, Page, expect

GUIDES = Path(__file__).resolve().parents[3] / "docs" / "ru"
PATIENCE_MS = 40_000
STEP = re.compile(r"^\d+\. (.+?)(?=^\d+\. |^\S*$|\Z)", re.MULTILINE | re.DOTALL)
TOKEN = re.compile(r"\*\*(?P<name>.+?)\*\*(?:: «(?P<value>.+?)»)?|\*(?P<scope>.+?)\*")


@dataclass(frozen=True)
class GuideStep:
    """One step: its text in one line."""

    text: str

    @property
    def tokens(self) -> Iterator[re.Match[str]]:
        return TOKEN.finditer(self.text)


def steps_of(guide: str, heading: str) -> list[GuideStep]:
    """The numbered steps under a heading of a guide."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [GuideStep(" ".join(found.split())) for found in STEP.findall(section)]


def press_through(
    page: Page,
    step: GuideStep,
    instead: Mapping[str, Callable[[], str]],
    hands: GuideHands | None = None,
) -> None:
    """Do what `step` says, with these `hands`. `instead` has what only the screens of this very run show, by the
    field's name."""
    hands = hands or _Mouse()
    place: Page | Locator = page
    row = ""
    for token in step.tokens:
        if token["scope"]:
            group = page.get_by_role("group", name=token["scope"], exact=True).first
            place, row = (group, "") if group.count() else (place, f"{token['scope']}: ")
            continue
        name, value = row + token["name"], token["value"]
        _await(page, token["name"], place.get_by_label(name, exact=True), step)
        button = None if value is not None else _button(place, token["name"]) or _button(page, token["name"])
        if button is not None:
            hands.press(button)
            place, row = page, ""
            continue
        field = place.get_by_label(name, exact=True).first
        expect(field, step.text).to_be_visible()
        if value is not None:
            hands.fill(field, instead[name]() if name in instead else value)


def _await(page: Page, name: str, field: Locator, step: GuideStep) -> None:
    """The page that has it may still be on its way."""
    there = field
    for role in ("button", "link"):
        there = there.or_(page.get_by_role(role, name=_called(name)))  # type: ignore[arg-type]
    expect(there.locator("visible=true").first, step.text).to_be_visible(timeout=PATIENCE_MS)


def _called(name: str) -> re.Pattern[str]:
    """What a control counts does not belong to its name: «Аннулировать ещё 5 мин»."""
    return re.compile(rf"^{re.escape(name)}(\s+(ещё )?\d+( мин)?)?$")


def _button(page: Page | Locator, name: str) -> Locator | None:
    """The button or link of that name, where there is one: of the frame at hand before others."""
    for role in ("button", "link"):
        found = page.get_by_role(role, name=_called(name)).locator("visible=true")  # type: ignore[arg-type]
        if found.count():
            return found.first
    return None


class GuideHands(Protocol):
    """How a guide is followed."""

    def press(self, control: Locator) -> None: ...

    def fill(self, field: Locator, value: str) -> None: ...


class _Mouse:
    def press(self, control: Locator) -> None:
        control.click()

    def fill(self, field: Locator, value: str) -> None:
        if field.evaluate("one => one.tagName") == "SELECT":
            field.select_option(label=value)
        else:
            field.fill(value)
