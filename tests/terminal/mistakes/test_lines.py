"""A text read line by line is the text read at once, and refused as that is."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.mistakes import reading
from terminal.mistakes.reading import FileMistake, Unreadable, content_of, lines_of, text_of

PIECES = st.sampled_from(
    [
        b"a",
        b",",
        b"\n",
        b"\r\n",
        b"\r",
        "ж".encode(),
        b"\xe6\xf3\xea\xe8",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ]
)


@given(st.lists(PIECES, max_size=30))
def test_lines_are_those_of_the_whole_text(parts: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "PIECE_BYTES", 32)
        path = Path(folder, "text")
        path.write_bytes(b"".join(parts))
        _compare(path, b"".join(parts))


def _compare(path: Path, content: bytes) -> None:
    try:
        wanted = list(io.StringIO(text_of(content), newline=""))
    except Unreadable:
        with pytest.raises(Unreadable):
            list(lines_of(path, 1000))
        return
    if max(map(len, map(str.encode, wanted))) < 32:  # a longer line fits into no piece of this test
        assert list(lines_of(path, 1000)) == wanted


def test_a_file_that_is_too_large_ends_before_it_is_read(tmp_path: Path) -> None:
    path, read = tmp_path / "text", []
    path.write_text("a line\n" * 500_000)
    with pytest.raises(Unreadable) as refused:
        list(lines_of(path, 2 << 20, on_read=read.append))
    assert refused.value.mistakes[0].code is FileMistake.TOO_LARGE
    assert sum(read) <= 2 << 20
    assert "".join(lines_of(path, 8 << 20)).encode() == content_of(path, 8 << 20)


def test_the_line_of_a_mistake_far_behind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"a line\n" * 400_000 + "жук\n".encode("cp1251"))
    with pytest.raises(Unreadable) as refused:
        list(lines_of(path, 8 << 20, private=True))
    (mistake,) = refused.value.mistakes
    assert (mistake.line, mistake.values) == (400_001, {"text": "…"})
