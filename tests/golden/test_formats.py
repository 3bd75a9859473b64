"""Each format of docs/compatibility.md states its version where the page says, in files that the product wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.golden.asked import COLLECTOR, DAY, ROOT, Version, copied
from tests.golden.formats import STATES
from tests.golden.test_golden import VERSIONS

PAGE = ROOT / "docs" / "compatibility.md"


def rows() -> dict[str, str]:
    """Format to the version that the page says its files state."""
    found = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: version.strip("`") for name, version in found if set(name) != {"-"} and name != "format"}


def test_the_page_and_the_files_name_the_same_formats() -> None:
    assert set(rows()) == {*STATES}


@pytest.mark.parametrize("name", STATES)
def test_the_page_states_the_version_of_the_newest_files(name: str, tmp_path: Path) -> None:
    found = STATES[name]
    assert found.reading(copied(VERSIONS[-1], tmp_path) / found.file) == found.version
    text = found.version.decode().rstrip("\n") if isinstance(found.version, bytes) else str(found.version)
    assert rows()[name] == text


NEWER = {
    "trusted issuers": (
        "bus/issuers.toml",
        "schema = 1",
        "schema = 2\nlater = 1",
        ("config", "check"),
        "bus",
    ),
    "configuration": (
        "school/terminal.toml",
        "schema = 1",
        "schema = 2\nlater = 1",
        ("config", "check"),
        "school",
    ),
    "staff list": (
        "school/var/terminal/staff.json",
        '"version": 1',
        '"version": 2, "later": 1',
        ("staff", "list"),
        "school",
    ),
    "terminal at the collector": (
        *("collector/terminals/7.json", '"version":1', '"version":2,"later":1'),
        ("collector", "enrol", 7, "--key", "bus/var/terminal/terminal.pub", *COLLECTOR),
        ".",
    ),
    "card registry": (
        *("registry.json", '"version": 1', '"version": 2, "later": 1'),
        ("collector", "audit", DAY, "--registry", "registry.json", *COLLECTOR),
        ".",
    ),
}
"""Golden file, what stands in it, what newer software might write there, and a command that reads it in a folder."""


@pytest.mark.parametrize("name", NEWER)
def test_one_of_newer_software_is_refused_in_a_line_and_stays(name: str, tmp_path: Path) -> None:
    file, old, new, words, at = NEWER[name]
    folder = copied(VERSIONS[-1], tmp_path)
    text = (folder / file).read_text("utf-8")
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(AssertionError, match=r"(version|schema) 2, this software (reads|knows) 1") as refused:
        Version().run(folder / at, *words)
    assert "Update the software" in str(refused.value)
    assert "later" not in str(refused.value)
    assert (folder / file).read_text("utf-8") == text.replace(old, new)


@pytest.mark.parametrize("name", NEWER)
def test_one_that_states_no_version_is_of_the_first(name: str, tmp_path: Path) -> None:
    file, old, _new, words, at = NEWER[name]
    folder = copied(VERSIONS[-1], tmp_path)
    text = (folder / file).read_text("utf-8")
    (folder / file).write_text(
        re.sub(rf",?\s*{re.escape(old)}(?=[\n}}])|{re.escape(old)},\s*", "", text), "utf-8"
    )
    assert old not in (folder / file).read_text("utf-8")
    Version().run(folder / at, *words)
