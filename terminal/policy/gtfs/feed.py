"""A feed's files as rows of text with their line numbers, from a directory or a zip file.

What CSV itself can get wrong is found here, each as a `FeedProblem`: a file that is not UTF-8, a header named twice,
a row with more cells than the header.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminal.errors import FeedError

FILE_LIMIT_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FeedProblem:
    """One thing wrong (or, as a warning, odd) in a feed. `line` counts from 1; None: the file as a whole."""

    file: str
    what: str
    advice: str
    line: int | None = None
    column: str | None = None

    @property
    def place(self) -> str:
        """As people look for it: file, line, column."""
        line = "" if self.line is None else f" line {self.line}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{line}{column}"

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file of the feed: its header, then (line number, cells) of every row that is not blank."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]


class Feed:
    """Reads files by name. Make one with `open_feed`."""

    def __init__(self, name: str, contents: dict[str, bytes]) -> None:
        self.name = name
        self._contents = contents

    def __contains__(self, file: str) -> bool:
        return file in self._contents

    @property
    def files(self) -> frozenset[str]:
        """Names of all its files, also of those that were not read."""
        return frozenset(self._contents)

    def read(self, file: str) -> CsvFile | FeedProblem:
        """Return the file's rows, or what stops it from being read as CSV."""
        try:
            text = self._contents[file].decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self._contents[file].count(b"\n", 0, error.start) + 1
            return FeedProblem(file, "is not UTF-8 here", "Save the file in UTF-8.", line)
        return _rows(file, text)


def open_feed(path: Path, wanted: frozenset[str]) -> Feed:
    """Return the feed in a directory or zip file; of its files only those `wanted` are read.

    Raises `FeedError` when there is no such feed or it is no directory and no zip file.
    """
    name = path.name or str(path)
    try:
        if path.is_dir():
            found = {entry.name: entry for entry in path.iterdir() if entry.is_file()}
            return Feed(
                name, {file: entry.read_bytes() if file in wanted else b"" for file, entry in found.items()}
            )
        with zipfile.ZipFile(path) as archive:
            return Feed(name, dict(_members(archive, name, wanted)))
    except FileNotFoundError as error:
        raise FeedError(f"no feed {path}", "Give a directory of GTFS files or a zip of them.") from error
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise FeedError(
            f"{path} cannot be read: {error}", "Give a directory of GTFS files or a zip of them."
        ) from error


def _members(archive: zipfile.ZipFile, name: str, wanted: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if not any("/" not in member.filename for member in members) and members:
        folder = members[0].filename.rpartition("/")[0]
        raise FeedError(f"{name} holds its files in the folder {folder}", "Put the files at the zip's root.")
    for member in members:
        if member.filename not in wanted:
            yield member.filename, b""
        elif member.file_size > FILE_LIMIT_BYTES:
            raise FeedError(
                f"{name}: {member.filename} has {member.file_size} bytes",
                f"At most {FILE_LIMIT_BYTES} are read: split the feed.",
            )
        else:
            yield member.filename, archive.read(member)


def _rows(file: str, text: str) -> CsvFile | FeedProblem:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        problem = _header_problem(file, header)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells[len(header) :]):
                what = f"{len(cells)} cells under {len(header)} columns"
                problem = problem or FeedProblem(
                    file, what, "Put cells with commas in quotation marks.", line
                )
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        return FeedProblem(file, f"is not CSV: {error}", "Correct the quotation marks.", reader.line_num)
    return problem or CsvFile(file, header, tuple(rows))


def _header_problem(file: str, header: tuple[str, ...]) -> FeedProblem | None:
    if not any(header):
        return FeedProblem(file, "has no header", "Name the columns in its first line.", 1)
    for index, column in enumerate(header):
        if column and column in header[:index]:
            return FeedProblem(file, "the column is there twice", "Remove one of them.", 1, column)
    return None
