"""Feeds made to do harm, or saved in the wrong way: refused at once with what to do, never read without an end."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from terminal.errors import FeedError
from terminal.policy.gtfs import files
from terminal.policy.gtfs.importer import FeedRefused, import_feed
from tests.terminal.policy.gtfs.feeds import write_feed

SINGLE = {
    "fare_products": "fare_product_id,amount,currency\nsingle,24.00,RUB\n",
    "fare_leg_rules": "fare_product_id\nsingle\n",
}
APART = """
import resource, subprocess, sys
command = [sys.executable, "-m", "terminal.cli.app", "policy", "import-gtfs", sys.argv[1]]
done = subprocess.run(command, check=False)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
sys.exit(done.returncode)
"""


def zipped(folder: Path, **changes: str | bytes) -> Path:
    """The small feed as a zip file, with files in place of its own."""
    feed = write_feed(folder / "feed", **SINGLE)
    path = folder / "feed.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in feed.iterdir():
            if file.stem not in changes:
                archive.write(file, file.name)
        for table, content in changes.items():
            archive.writestr(f"{table}.txt", content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(FeedError) as caught:
        import_feed(path)
    return f"{caught.value.what}. {caught.value.advice}"


def test_a_small_archive_that_unfolds_to_120_mb_is_refused(tmp_path: Path) -> None:
    feed = zipped(tmp_path, stops="stop_id\n" + "A\n" * 60_000_000)
    assert feed.stat().st_size < 130_000
    begun = time.process_time()
    assert "stops.txt: unfolds from" in refusal(feed)
    assert time.process_time() - begun < 1.0


def test_a_stops_file_of_120_mb_is_read_within_bounds(tmp_path: Path) -> None:
    """By the product's command, in a process started by a small one: a process begins with the size of its parent."""
    feed = write_feed(tmp_path / "feed", **SINGLE)
    described = "a stop with a long description, " * 36
    with (feed / "stops.txt").open("w", encoding="utf-8") as file:
        file.write("stop_id,stop_name,stop_desc\n")
        file.writelines(f'RU:34:{number:09}:0:1,Stop {number},"{described}"\n' for number in range(102_000))
    assert (feed / "stops.txt").stat().st_size > 118_000_000
    command = [sys.executable, "-c", APART, str(feed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stops                102000" in done.stdout
    assert int(done.stdout.splitlines()[-1]) < 300


def test_more_lines_than_any_city_has_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.Feed.read, "__defaults__", (1000,))
    feed = write_feed(tmp_path / "feed", **(SINGLE | {"stops": "stop_id\n" + "A\n" * 2000}))
    assert "stops.txt line 1001: the file has more than 1000 lines. Split the feed." in refusal(feed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (",".join(f"c{n}" for n in range(200_000)) + "\nA\n", "stops.txt line 1: is longer than 65536 bytes"),
        (
            ",".join(f"c{n}" for n in range(300)) + "\nA\n",
            "stops.txt line 1: a row of 300 cells. At most 256",
        ),
        ("stop_id\n" + "," * 300 + "\n", "stops.txt line 2: a row of 301 cells"),
        ("stop_id\n" + "x" * 70_000 + "\n", "stops.txt line 2: is longer than 65536 bytes"),
        ("stop_id\n" + '"a\n",' * 200_000, "bytes ends here. Close the quotation mark that begins before."),
        ('stop_id\n"' + "a\n" * 200_000, "stops.txt line"),
        (
            "stop_id\nA\0B\n",
            "stops.txt line 2: holds a NUL character, as UTF-16 text does. Save the file in UTF-8.",
        ),
        ("stop_id\rA\rB\r", "stops.txt line 1: is not CSV: lines end by CR alone"),
    ],
    ids=["columns", "header", "cells", "line", "row", "quotation mark", "NUL", "CR alone"],
)
def test_text_that_no_spreadsheet_writes(tmp_path: Path, text: str, says: str) -> None:
    begun = time.process_time()
    assert says in refusal(write_feed(tmp_path / "feed", **(SINGLE | {"stops": text})))
    assert time.process_time() - begun < 5.0


def test_a_quoted_cell_may_have_line_breaks(tmp_path: Path) -> None:
    stops = 'stop_id,stop_name\nA,"one\ntwo\nthree"\nB,B\n'
    tables = import_feed(write_feed(tmp_path / "feed", **(SINGLE | {"stops": stops}))).tables
    assert [stop.stop_id for stop in tables.stops] == ["A", "B"]


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("utf-16", "areas.txt line 1: is UTF-16. Save the file in UTF-8."),
        ("utf-16-le", "areas.txt line 1: holds a NUL character, as UTF-16 text does. Save"),
        ("cp1251", "areas.txt line 2: is not UTF-8 here, but Windows-1251 it seems. Save the file in UTF-8."),
        ("iso-8859-5", "areas.txt line 2: is not UTF-8 here"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, encoding: str, says: str) -> None:
    feed = write_feed(tmp_path / "feed", **SINGLE)
    (feed / "areas.txt").write_bytes("area_id,area_name\ncentre,Центр города\n".encode(encoding))
    assert says in refusal(feed)


def test_utf_8_with_a_mark_is_taken(tmp_path: Path) -> None:
    feed = write_feed(tmp_path / "feed", **SINGLE)
    (feed / "areas.txt").write_bytes("area_id,area_name\ncentre,Центр\n".encode("utf-8-sig"))
    assert import_feed(feed).tables.areas[0].area_id == "centre"


def test_archives_that_are_no_feed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.write(zipped(tmp_path), "inner/feed.zip")
    assert "holds another zip file, inner/feed.zip. Unpack it" in refusal(tmp_path / "outer.zip")
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}.txt", "")
    assert "many.zip holds 1001 files. A feed has at most 1000." in refusal(tmp_path / "many.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("notes.html", "nothing")
    assert "holds no GTFS file" in refusal(tmp_path / "empty.zip")
    lzma = zipped(tmp_path)
    with zipfile.ZipFile(lzma, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("areas.txt", "area_id\n")
    assert "compressed by method 14. Make the zip with" in refusal(lzma)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("stops.txt", "stop_id\nZ\n")
    assert "feed.zip has stops.txt twice. Remove one of them." in refusal(path)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the files that are read: shapes and timetables may have any size."""
    monkeypatch.setattr(files, "FILE_LIMIT_BYTES", 1 << 20)
    large = "stop_id\n" + "A,,\n" * 400_000
    assert "stops.txt: has 1 MB. At most 1 MB are read: split the feed." in refusal(
        zipped(tmp_path, stops=large)
    )
    import_feed(zipped(tmp_path, shapes=large))


def test_a_size_that_is_a_lie_changes_nothing(tmp_path: Path) -> None:
    """The directory of the archive says 100 bytes; what is read ends there, and the file is known to be damaged."""
    path = zipped(tmp_path, stops="stop_id\n" + "A\n" * 5_000_000)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02", 0, content.rindex(b"stops.txt"))
    content[place + 24 : place + 28] = struct.pack("<I", 100)
    path.write_bytes(content)
    assert "stops.txt" in refusal(path)


def test_an_archive_that_was_cut_short(tmp_path: Path) -> None:
    path = zipped(tmp_path, stops="stop_id\n" + "".join(f"stop_{n * n}\n" for n in range(5000)))
    content = bytearray(path.read_bytes())
    place = content.index(b"stops.txt") + 200
    content[place : place + 20] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(FeedRefused, match=r"stops\.txt: cannot be read"):
        import_feed(path)
