"""The files of a feed, from a directory or a zip file, as rows of text with their line numbers.

Nothing is held in memory but the line at hand, and everything a file may be large in has a limit: a feed comes from
elsewhere, and a small archive can unfold to any size. What CSV itself can get wrong is found here, each as a
`FeedProblem`: another encoding, a row with more cells than the header, quotation marks that never close.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

from terminal.errors import FeedError, Mistake, MistakeCode, MistakeValues
from terminal.mistakes.words import ENGLISH, said
from terminal.policy.gtfs.feed_mistakes import FeedFileMistake
from terminal.texts import N_, translator

MOST_FILES: Final = 1_000
FILE_LIMIT_BYTES: Final = 256 << 20
STREAM_LIMIT_BYTES: Final = 8 << 30
MOST_RATIO: Final = 100
"""How many times larger than its part of the archive a file may be, above `RATIO_FROM_BYTES`: text takes about 10."""
RATIO_FROM_BYTES: Final = 4 << 20
LONGEST_LINE_BYTES: Final = 64 << 10
LONGEST_ROW_BYTES: Final = 256 << 10
"""A row is longer than its lines where a quoted cell has line breaks."""
MOST_COLUMNS: Final = 256
MOST_LINES: Final = 400_000
"""Of a file that fares are read from; the largest known stops.txt has about as many."""
MOST_LINES_OF_TRIPS: Final = 50_000_000
ADVICE: Final = "Give a directory of GTFS files or a zip of them."
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_MARK: Final = b"\xef\xbb\xbf"
_COMPRESSED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN: Final = (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError)
"""What reading a damaged, encrypted or vanished file raises."""


@dataclass(frozen=True, slots=True)
class FeedProblem:
    """One thing wrong (or, as a warning, odd) in a feed. `line` counts from 1; None: the file as a whole.

    `lines` are all of them where the same is in several rows, and where `line` alone is not enough.
    """

    file: str
    code: MistakeCode
    values: MistakeValues = field(default_factory=dict)
    line: int | None = None
    column: str | None = None
    lines: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """As people look for it: file, line, column."""
        return self.place_in(ENGLISH)

    def place_in(self, language: str) -> str:
        """The same in another language."""
        t = translator(language)
        line = "" if self.line is None else t.gettext(AT_LINE).format(line=self.line)
        column = "" if self.column is None else t.gettext(IN_COLUMN).format(column=self.column)
        return f"{self.file}{line}{column}"

    def words(self, language: str = ENGLISH) -> tuple[str, str]:
        """What is wrong, and what to do."""
        what, advice = said(Mistake(self.place, self.code, self.values), language)
        if len(self.lines) < 2:
            return what, advice
        rows = translator(language).gettext(IN_ROWS)
        return f"{what} {rows.format(rows=len(self.lines), lines=_ranges(self.lines))}", advice

    @property
    def what(self) -> str:
        return self.words()[0]

    @property
    def advice(self) -> str:
        return self.words()[1]

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


AT_LINE: Final = N_(" line {line}")
IN_COLUMN: Final = N_(", column {column}")
IN_ROWS: Final = N_("(in {rows} rows: lines {lines})")
RANGES: Final = 100
"""How many ranges of lines a message names; programs get them all."""


def _ranges(lines: Iterable[int]) -> str:
    """Lines as people write them: 2-5, 9."""
    ranges: list[list[int]] = []
    for line in sorted(set(lines)):
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    shown = ", ".join(
        str(first) if first == last else f"{first}-{last}" for first, last in islice(ranges, RANGES)
    )
    return shown if len(ranges) <= RANGES else f"{shown} … (+{len(ranges) - RANGES})"


class FileRefused(Exception):
    """A file that cannot be read as CSV: `problem` says where and why."""

    def __init__(self, problem: FeedProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file of the feed: its header, then (line number, cells) of every row that is not blank, read as they are
    asked for. Raises `FileRefused` where it comes to what is no CSV.
    """

    name: str
    header: tuple[str, ...]
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a feed that is opened when it is read. `packed_bytes`: what it takes in an archive."""

    open: Callable[[], BinaryIO]
    size_bytes: int
    packed_bytes: int | None = None
    method: int = zipfile.ZIP_STORED

    def problem(self, file: str, most_bytes: int) -> FeedProblem | None:
        """What only a file made to do harm can be: too large, unfolding to very much, or packed in a rare way."""
        if self.method not in _COMPRESSED:
            return FeedProblem(file, FeedFileMistake.PACKED, {"method": self.method})
        if self.size_bytes > most_bytes:
            sizes = {"size_mb": self.size_bytes >> 20, "most_mb": most_bytes >> 20}
            return FeedProblem(file, FeedFileMistake.TOO_LARGE, sizes)
        packed = self.size_bytes if self.packed_bytes is None else self.packed_bytes
        if self.size_bytes > max(RATIO_FROM_BYTES, MOST_RATIO * packed):
            unfolds = {"packed": packed, "bytes": self.size_bytes, "most": MOST_RATIO}
            return FeedProblem(file, FeedFileMistake.UNFOLDS, unfolds)
        return None


class Feed:
    """Reads files by name. Make one with `open_feed`, and close it, or use it in a `with` statement.

    `deeper`: names of a zip's files that lie in folders of it, where nothing is read.
    """

    def __init__(
        self,
        name: str,
        files: Mapping[str, StoredFile],
        closed: Callable[[], None] = lambda: None,
        deeper: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.deeper = tuple(deeper)
        self.close = closed
        self._files = files

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, file: str) -> bool:
        return file in self._files

    @property
    def files(self) -> frozenset[str]:
        """Names of all its files."""
        return frozenset(self._files)

    def read(self, file: str, most_lines: int = MOST_LINES) -> CsvFile:
        """Open a file. Raises `FileRefused` for what stops it from being read as CSV."""
        rows = self._rows(file, most_lines, FILE_LIMIT_BYTES)
        header = tuple(cell.strip() for cell in next(rows, (1, []))[1])
        problem = _header_problem(file, header)
        if problem is not None:
            raise FileRefused(problem)
        return CsvFile(file, header, _below(file, header, rows))

    def stream(self, file: str) -> Iterator[Row]:
        """Line number and cells of every row that is not blank, the header first: for files of millions of rows.
        Raises `FeedError`.
        """
        try:
            for line, cells in self._rows(file, MOST_LINES_OF_TRIPS, STREAM_LIMIT_BYTES):
                if any(cells):
                    yield line, cells
        except FileRefused as refused:
            raise FeedError(str(refused.problem), refused.problem.advice) from refused

    def _rows(self, file: str, most_lines: int, most_bytes: int) -> Iterator[Row]:
        stored = self._files[file]
        problem = stored.problem(file, most_bytes)
        if problem is not None:
            raise FileRefused(problem)
        return _rows(file, stored.open, most_lines)


def open_feed(path: Path) -> Feed:
    """Return the feed in a directory or zip file; its files are opened when they are read.

    Raises `FeedError` when there is no such feed, or when it is larger than any feed is.
    """
    name = path.name or str(path)
    try:
        if path.is_dir():
            return Feed(name, _in_folder(path, name))
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise FeedError(f"no feed {path}", ADVICE) from error
    except _BROKEN as error:
        raise FeedError(f"{path} cannot be read: {error}", ADVICE) from error
    try:
        deeper = sorted(entry for entry in archive.namelist() if "/" in entry)
        return Feed(name, _in_archive(archive, name), archive.close, deeper)
    except FeedError:
        archive.close()
        raise


def _in_folder(path: Path, name: str) -> dict[str, StoredFile]:
    entries = list(path.iterdir())
    found = [entry for entry in entries if entry.is_file()]
    _few(name, len(found))
    for entry in entries:
        if (
            entry.name.lower().endswith(".txt") and not entry.is_file()
        ):  # passing it over would drop what it says
            advice = "Put the file in its place, or remove it."
            raise FeedError(f"{name} has {entry.name}, and it is no file that can be read", advice)
    return {entry.name: StoredFile(partial(_opened, entry), entry.stat().st_size) for entry in found}


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _in_archive(archive: zipfile.ZipFile, name: str) -> dict[str, StoredFile]:
    if not all(member.filename for member in archive.infolist()):
        raise FeedError(f"{name} holds a file without a name", "Make the zip again.")
    members = [member for member in archive.infolist() if not member.is_dir()]
    _few(name, len(members))
    at_root = [member for member in members if "/" not in member.filename]
    if not any(member.filename.endswith(".txt") for member in at_root):
        raise _no_files(name, members)
    files: dict[str, StoredFile] = {}
    for member in at_root:
        if member.filename in files:
            raise FeedError(f"{name} has {member.filename} twice", "Remove one of them.")
        opens = partial(_member, archive, member)
        files[member.filename] = StoredFile(
            opens, member.file_size, member.compress_size, member.compress_type
        )
    return files


def _few(name: str, files: int) -> None:
    if files > MOST_FILES:
        raise FeedError(f"{name} holds {files} files", f"A feed has at most {MOST_FILES}.")


def _no_files(name: str, members: list[zipfile.ZipInfo]) -> FeedError:
    """Why an archive is no feed."""
    inside = next((member.filename for member in members if member.filename.lower().endswith(".zip")), None)
    if inside is not None:
        return FeedError(f"{name} holds another zip file, {inside}", "Unpack it and give the feed inside.")
    folder = next((m.filename.rpartition("/")[0] for m in members if m.filename.endswith(".txt")), None)
    if folder is not None:
        return FeedError(f"{name} holds its files in the folder {folder}", "Put the files at the zip's root.")
    return FeedError(f"{name} holds no GTFS file", ADVICE)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    return io.BufferedReader(cast(io.RawIOBase, archive.open(member)), 1 << 16)


# Lines and rows


class _Lines:
    """The lines of a file as text, one at a time. `row_bytes`: how long the row is that they are of; its reader sets
    it to 0 with every row.
    """

    __slots__ = ("_file", "_most", "number", "row_bytes")

    def __init__(self, file: str, most: int) -> None:
        self._file, self._most = file, most
        self.number = self.row_bytes = 0

    def of(self, stream: BinaryIO) -> Iterator[str]:
        while raw := stream.readline(LONGEST_LINE_BYTES + 1):
            self.number += 1
            self.row_bytes += len(raw)
            if self.number == 1:
                raw = raw.removeprefix(_MARK)
            if self.row_bytes > LONGEST_LINE_BYTES or self.number > self._most or b"\0" in raw:
                self._check(raw)
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                raise self._refused(_not_utf_8(raw)) from error
            yield text

    def _check(self, raw: bytes) -> None:
        if b"\0" in raw:
            utf_16 = self.number == 1 and raw.startswith(_UTF_16)
            raise self._refused(FeedFileMistake.UTF_16 if utf_16 else FeedFileMistake.NUL)
        if len(raw) > LONGEST_LINE_BYTES:
            raise self._refused(FeedFileMistake.LONG_LINE, most=LONGEST_LINE_BYTES)
        if self.row_bytes > LONGEST_ROW_BYTES:
            raise self._refused(FeedFileMistake.LONG_ROW, most=LONGEST_ROW_BYTES)
        if self.number > self._most:
            raise self._refused(FeedFileMistake.MANY_LINES, most=self._most)

    def _refused(self, code: FeedFileMistake, **values: int | str) -> FileRefused:
        return FileRefused(FeedProblem(self._file, code, values, self.number))


def _not_utf_8(raw: bytes) -> FeedFileMistake:
    """What a line is instead."""
    if raw.startswith(_UTF_16):
        return FeedFileMistake.UTF_16
    letters = raw.decode("cp1251", "replace")
    russian = sum("А" <= letter <= "я" for letter in letters)
    if russian * 2 > sum(byte > 127 for byte in raw):
        return FeedFileMistake.CP1251
    return FeedFileMistake.NOT_UTF_8


def _rows(file: str, opened: Callable[[], BinaryIO], most_lines: int) -> Iterator[Row]:
    """Every row with the line it begins at, blank ones included. Raises `FileRefused`."""
    lines = _Lines(file, most_lines)
    line = 1
    try:
        with opened() as stream:
            reader = csv.reader(lines.of(stream), strict=True)
            for cells in reader:
                if len(cells) > MOST_COLUMNS:
                    wide = {"cells": len(cells), "most": MOST_COLUMNS}
                    raise FileRefused(FeedProblem(file, FeedFileMistake.WIDE_ROW, wide, line))
                yield line, cells
                line = reader.line_num + 1
                lines.row_bytes = 0
    except csv.Error as error:
        raise FileRefused(_not_csv(file, str(error), lines.number)) from error
    except _BROKEN as error:
        raise FileRefused(FeedProblem(file, FeedFileMistake.UNREADABLE, {"error": str(error)})) from error


def _not_csv(file: str, error: str, line: int) -> FeedProblem:
    """What Python's reader of CSV says in English alone, as far as it is known."""
    for says, code in (("new-line", FeedFileMistake.LINE_ENDS), ("unexpected end", FeedFileMistake.UNCLOSED)):
        if says in error:
            return FeedProblem(file, code, {}, line)
    return FeedProblem(file, FeedFileMistake.NOT_CSV, {"error": error}, line)


def _below(file: str, header: tuple[str, ...], rows: Iterator[Row]) -> Iterator[Row]:
    """The rows under `header` that are not blank."""
    columns = len(header)
    for line, cells in rows:
        if len(cells) > columns and any(cell.strip() for cell in cells[columns:]):
            surplus = {"cells": len(cells), "columns": columns}
            raise FileRefused(FeedProblem(file, FeedFileMistake.MANY_CELLS, surplus, line))
        if cells and (cells[0] or any(cell.strip() for cell in cells)):
            yield line, cells


def _header_problem(file: str, header: tuple[str, ...]) -> FeedProblem | None:
    if not any(header):
        return FeedProblem(file, FeedFileMistake.NO_HEADER, {}, 1)
    if len(header) == 1 and re.search(r"\w[;\t|]\w", header[0]):
        return FeedProblem(file, FeedFileMistake.SEPARATOR, {}, 1)
    seen: set[str] = set()
    for column in header:
        if column and column in seen:
            return FeedProblem(file, FeedFileMistake.COLUMN_TWICE, {}, 1, column)
        seen.add(column)
    return None
