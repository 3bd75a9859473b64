"""Each format of docs/compatibility.md states its version where the page says, in files that the product wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.golden.asked import ROOT, copied
from tests.golden.formats import SILENT, STATES
from tests.golden.test_golden import VERSIONS

PAGE = ROOT / "docs" / "compatibility.md"


def rows() -> dict[str, str]:
    """Format to the version that the page says its files state."""
    found = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| ([^|]+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: version.strip("`") for name, version in found if set(name) != {"-"} and name != "format"}


def test_the_page_and_the_files_name_the_same_formats() -> None:
    assert set(rows()) == {*STATES, *SILENT}


@pytest.mark.parametrize("name", [*STATES, *SILENT])
def test_the_page_states_the_version_of_the_newest_files(name: str, tmp_path: Path) -> None:
    found = (STATES | SILENT)[name]
    assert found.reading(copied(VERSIONS[-1], tmp_path) / found.file) == found.version
    text = (
        found.version.decode().rstrip("\n")
        if isinstance(found.version, bytes)
        else str(found.version or "none")
    )
    assert rows()[name] == text
