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

from playwright.sync_api import Locator, Page, expect

GUIDES = Path(__file__).resolve().parents[3] / "docs" / "ru"
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


def press_through(page: Page, step: GuideStep, instead: Mapping[str, Callable[[], str]]) -> None:
    """Do what `step` says. `instead` has what only the screens of this very run show, by the field's name."""
    place: Page | Locator = page
    row = ""
    for token in step.tokens:
        if token["scope"]:
            group = page.get_by_role("group", name=token["scope"], exact=True).first
            place, row = (group, "") if group.count() else (place, f"{token['scope']}: ")
            continue
        name, value = row + token["name"], token["value"]
        if value is None:
            _wait_for(page, token["name"], place.get_by_label(name, exact=True))
        if value is None and _pressed(page, token["name"]):
            place, row = page, ""
            continue
        field = place.get_by_label(name, exact=True).first
        expect(field, step.text).to_be_visible()
        if value is not None:
            _fill(field, instead[name]() if name in instead else value)


def _wait_for(page: Page, name: str, field: Locator) -> None:
    """Until what is named stands on the page, be it a button, a link or a field."""
    button, link = (page.get_by_role(role, name=name, exact=True) for role in ("button", "link"))  # type: ignore[arg-type]
    expect(button.or_(link).or_(field).locator("visible=true").first, name).to_be_visible()


def _pressed(page: Page, name: str) -> bool:
    """Press the button or link of that name, where it is one; what it counts does not belong to its name."""
    for role in ("button", "link"):
        found = page.get_by_role(role, name=name, exact=True).locator("visible=true")  # type: ignore[arg-type]
        if found.count():
            found.first.click()
            return True
    return False


def _fill(field: Locator, value: str) -> None:
    if field.evaluate("one => one.tagName") == "SELECT":
        field.select_option(label=value)
    else:
        field.fill(value)
