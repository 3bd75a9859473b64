"""Pictures of the documents: each one there, each one taken by `make screenshots`, none left over."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="pictures are taken with the development environment")

from pictures.__main__ import SHOTS
from pictures.studio import PICTURES, ROOT

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
MOST_BYTES = 700_000


def used() -> dict[str, Path]:
    """Every picture a document shows, by where it lies."""
    found = {}
    for document in DOCUMENTS:
        for target in PICTURE.findall(document.read_text(encoding="utf-8")):
            found[str((document.parent / target).resolve())] = document
    return found


def test_every_picture_a_document_shows_is_there() -> None:
    missing = {path: document.name for path, document in used().items() if not Path(path).is_file()}
    assert missing == {}


def test_every_picture_is_taken_by_the_command() -> None:
    by_hand = {path for path in used() if Path(path).parent != PICTURES or Path(path).stem not in SHOTS}
    assert by_hand == set()


def test_no_picture_is_left_over() -> None:
    assert {path.name for path in PICTURES.iterdir()} == {f"{name}.png" for name in SHOTS}
    shown = {Path(path).stem for path in used()}
    assert sorted(set(SHOTS) - shown) == []


def test_pictures_have_words_for_those_who_do_not_see_them() -> None:
    for document in DOCUMENTS:
        assert re.findall(r"!\[\s*\]\(", document.read_text(encoding="utf-8")) == [], document.name


@pytest.mark.parametrize("name", SHOTS)
def test_a_picture_is_of_a_sensible_size(name: str) -> None:
    content = (PICTURES / f"{name}.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert 400 <= width <= 2000
    assert 200 <= height <= 2000
    assert len(content) <= MOST_BYTES
