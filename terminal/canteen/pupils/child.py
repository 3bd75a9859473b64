"""The process that reads one spreadsheet (ADR 68): the file comes on standard input, a `Workbook` or `SheetRefused`
goes out as MessagePack on standard output. It has no files, keys or environment of the terminal, and limits that the
system holds: memory, processor time, files.

`python -I -m terminal.canteen.pupils.child`
"""

from __future__ import annotations

import csv
import io
import re
import resource
import sys
import unicodedata
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from terminal.canteen.pupils.sheet import (
    MOST_CELL,
    MOST_COLUMNS,
    MOST_FILE_BYTES,
    MOST_ROWS,
    MOST_SHEETS,
    Sheet,
    SheetFault,
    SheetRefused,
    SheetRow,
    Workbook,
)

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

MOST_MEMORY_BYTES: Final = 512 << 20
MOST_CPU_S: Final = 10
MOST_FILES: Final = 32
MOST_MEMBERS: Final = 400
MOST_MEMBER_BYTES: Final = 48 << 20
MOST_UNFOLDED_BYTES: Final = 96 << 20
PART_BYTES: Final = 1 << 16
ZIP: Final = b"PK\x03\x04"
OLE: Final = bytes.fromhex("d0cf11e0a1b11ae1")
"""The old Excel format; a workbook with a password is wrapped into it, too."""
WORKBOOK: Final = "xl/workbook.xml"
SHEETS: Final = "xl/worksheets/"
MOST_EMPTY: Final = 4
"""So many times the rows that are taken a sheet may have, most of them formatted and empty: reading them costs time."""
ROW: Final = re.compile(rb"<(?:\w+:)?row[ />]")
UNCOUNTED: Final = re.compile(
    rb"""<c\ (?![^>]*t="str")[^>]*>\s*<f(?:[^<]*/>|[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>""", re.VERBOSE
)
"""A formula without its result: the program that wrote the file has not calculated. A text ("str") may be empty."""
LONGEST_CELL: Final = 10_000
OTHERS: Final = ("<", "%PDF", "{\\rtf")
"""Tables of web pages, the XML of older programs, papers: what portals call "Excel" as well."""
FORBIDDEN: Final = ("<!DOCTYPE", "<!ENTITY")
ENCODINGS: Final = ("utf-8", "utf-16-le", "utf-16-be")
DELIMITERS: Final = ";,\t"
SNIFFED_LINES: Final = 50
UTF16_SHARE: Final = 4
"""Of a text in UTF-16 without a mark at least every fourth byte is 0 (digits, blanks, semicolons) or 4 (Cyrillic)."""


class _Unread(Exception):
    """The file is refused."""

    def __init__(self, fault: SheetFault, **values: int) -> None:
        super().__init__(str(fault))
        self.refused = SheetRefused(str(fault), values)


def main() -> None:
    """One file, one answer."""
    _keep_small()
    answer = answer_to(sys.stdin.buffer.read(MOST_FILE_BYTES + 1))
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


def answer_to(content: bytes) -> Workbook | SheetRefused:
    """What is in the file, or why it is not taken."""
    try:
        sheets = tuple(sheet for sheet in _sheets(content) if sheet.rows)
        if not sheets:
            raise _Unread(SheetFault.EMPTY)
        return Workbook(sheets)
    except _Unread as unread:
        return unread.refused
    except MemoryError:
        return SheetRefused(str(SheetFault.NOT_READ))


def _sheets(content: bytes) -> Iterable[Sheet]:
    if len(content) > MOST_FILE_BYTES:
        raise _Unread(SheetFault.TOO_LARGE, most=MOST_FILE_BYTES >> 20)
    if content.startswith(OLE):
        raise _Unread(SheetFault.OLD_OR_LOCKED)
    if content.startswith(ZIP):
        return _of_workbook(content)
    return (_of_text(content),)


# Workbooks


def _of_workbook(content: bytes) -> list[Sheet]:
    _require_ordinary(content)
    from openpyxl import load_workbook  # noqa: PLC0415 a quarter of a second that CSV does without

    warnings.simplefilter("ignore")  # of parts that a list of pupils does not need
    try:
        book = load_workbook(io.BytesIO(content), data_only=True, keep_links=False)
        worksheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    except MemoryError:
        raise
    except Exception as error:
        raise _Unread(SheetFault.BROKEN) from error
    if len(worksheets) > MOST_SHEETS:
        raise _Unread(SheetFault.TOO_MANY_SHEETS, most=MOST_SHEETS)
    left, sheets = MOST_ROWS, []
    for worksheet in worksheets:
        rows = tuple(_rows_of(worksheet))
        left -= len(rows)
        if left < 0:
            raise _Unread(SheetFault.TOO_MANY_ROWS, most=MOST_ROWS)
        sheets.append(Sheet(_text(worksheet.title), rows))
    return sheets


def _require_ordinary(content: bytes) -> None:
    """Raise `_Unread` for an archive that is no workbook, unfolds without end, or declares entities."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if WORKBOOK not in archive.namelist():
                raise _Unread(SheetFault.OTHER_PROGRAM)
            sizes = [member.file_size for member in members]
            if (
                len(members) > MOST_MEMBERS
                or max(sizes) > MOST_MEMBER_BYTES
                or sum(sizes) > MOST_UNFOLDED_BYTES
            ):
                raise _Unread(SheetFault.UNFOLDS)
            for member in members:
                if member.filename.endswith((".xml", ".rels", ".vml")):
                    _require_plain(archive, member)
                if member.filename.startswith(SHEETS) and member.filename.endswith(".xml"):
                    _require_readable(archive, member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise _Unread(SheetFault.BROKEN) from error


def _require_plain(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    needles = tuple(word.encode(encoding) for word in FORBIDDEN for encoding in ENCODINGS)
    with archive.open(member) as file:  # gives no more than the stated size, which was looked at
        kept = b""
        while part := file.read(PART_BYTES):
            window = kept + part
            if any(needle in window for needle in needles):
                raise _Unread(SheetFault.HAS_ENTITIES)
            kept = window[-64:]


def _require_readable(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Raise `_Unread` for a sheet that would take long to read, or whose cells are not what its reader would see."""
    rows, kept = 0, b""
    with archive.open(member) as file:
        while part := file.read(PART_BYTES):
            window = kept + part
            rows += len(ROW.findall(window)) - len(ROW.findall(kept))
            if rows > MOST_EMPTY * MOST_ROWS:
                raise _Unread(SheetFault.TOO_MANY_ROWS, most=MOST_ROWS)
            if UNCOUNTED.search(window):
                raise _Unread(SheetFault.NOT_CALCULATED)
            kept = window[max(window.rfind(b"<c "), len(window) - LONGEST_CELL, 0) :]


def _rows_of(worksheet: Worksheet) -> Iterator[SheetRow]:
    """The rows with content. A cell merged downwards stands in each of its rows, one merged sideways in its first."""
    cells: dict[int, dict[int, str]] = {}
    for (row, column), cell in sorted(worksheet._cells.items()):
        text = _text(cell.value)
        if text and column <= MOST_COLUMNS:
            cells.setdefault(row, {})[column] = text
        if len(cells) > MOST_ROWS:
            raise _Unread(SheetFault.TOO_MANY_ROWS, most=MOST_ROWS)
    filled: dict[int, list[int]] = {}
    for merged in worksheet.merged_cells.ranges:
        text = cells.get(merged.min_row, {}).get(merged.min_col, "")
        for row in range(merged.min_row + 1, min(merged.max_row, merged.min_row + MOST_ROWS) + 1):
            if text and row in cells:
                cells[row][merged.min_col] = text
                filled.setdefault(row, []).append(merged.min_col - 1)
    for row, texts in cells.items():
        line = tuple(texts.get(column, "") for column in range(1, max(texts) + 1))
        yield SheetRow(row, line, tuple(filled.get(row, ())))


def _text(value: Any) -> str:
    """A cell as people read it; nothing for an error (#N/A)."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat(" ", "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    text = f"{value:.15g}" if isinstance(value, float) else str(value)[: 4 * MOST_CELL]
    if text.startswith("#") and text.endswith(("!", "?", "/A")):
        return ""
    return " ".join("".join(map(_shown, unicodedata.normalize("NFC", text))).split())[:MOST_CELL]


def _shown(character: str) -> str:
    """Nothing for a soft hyphen and the like: it does not divide a word."""
    if character.isprintable():
        return character
    return "" if unicodedata.category(character) == "Cf" else " "


# Text


def _of_text(content: bytes) -> Sheet:
    text = _decoded(content).rstrip("\x1a")
    if text.lstrip("\ufeff \r\n\t").startswith(OTHERS):
        raise _Unread(SheetFault.OTHER_PROGRAM)
    if any(unicodedata.category(c) == "Cc" and not c.isspace() for c in set(text)):
        raise _Unread(SheetFault.NOT_TEXT)
    csv.field_size_limit(1 << 16)
    rows = []
    try:
        for number, cells in enumerate(
            csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)), 1
        ):
            line = tuple(_text(cell) for cell in cells[:MOST_COLUMNS])
            if any(line):
                rows.append(SheetRow(number, line))
            if len(rows) > MOST_ROWS:
                raise _Unread(SheetFault.TOO_MANY_ROWS, most=MOST_ROWS)
    except csv.Error as error:
        raise _Unread(SheetFault.BROKEN) from error
    return Sheet("", tuple(rows))


def _decoded(content: bytes) -> str:
    """UTF-8 with or without its mark, UTF-16 with or without one, else cp1251."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _strictly(content, encoding)
    for encoding, high in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if content and (high.count(0) + high.count(4)) * UTF16_SHARE > 3 * len(content) // 2:
            return _strictly(content, encoding)
    if b"\0" in content:
        raise _Unread(SheetFault.NOT_TEXT)
    with suppress(UnicodeDecodeError):
        return content.decode("utf-8")
    return _strictly(content, "cp1251")


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _Unread(SheetFault.NOT_TEXT) from error


def _delimiter(text: str) -> str:
    """The one that gives most lines the same number of columns, of equals the one that gives more columns."""
    lines = text.splitlines()[:SNIFFED_LINES]

    def regularity(delimiter: str) -> tuple[int, int]:
        with suppress(csv.Error):
            widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
            if widths:
                width, count = widths.most_common(1)[0]
                return count, width
        return 0, 0

    return max(DELIMITERS, key=regularity)


def _keep_small() -> None:
    for what, most in (
        (resource.RLIMIT_AS, MOST_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MOST_CPU_S),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    main()
