"""CSV as spreadsheets and TIDES tools read it: a header, UTF-8, commas, CRLF as RFC 4180 says."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TextIO

FORMULA: Final = ("=", "+", "-", "@")
"""How a cell begins that a spreadsheet would compute."""


def write_table(out: TextIO, fields: Sequence[str], rows: Iterable[Mapping[str, str]]) -> int:
    """Write the header and every row; returns how many rows. No cell starts a formula."""
    writer = csv.writer(out)
    writer.writerow(fields)
    count = 0
    for row in rows:
        writer.writerow([_plain(row[field]) for field in fields])
        count += 1
    return count


def _plain(cell: str) -> str:
    """Staff numbers come from people; a number is a number."""
    if cell.startswith(FORMULA) and not _is_number(cell):
        return f"'{cell}"
    return cell


def _is_number(cell: str) -> bool:
    return cell.removeprefix("-").replace(".", "", 1).isdigit()
