"""Which columns of which files are read, and how their rows become types.

One `FileSpec` a file, in the words of the specification. Columns known from drafts are named here so that they can
be warned about: they are not part of the standard and have no effect.

`Feed` gives the files as rows of text with their line numbers, from a directory or a zip file. What CSV itself
can get wrong is found here, each as a `FeedProblem`: a file that is not UTF-8, a header named twice, a row with
more cells than the header."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from terminal.errors import FeedError
from terminal.money import parse_amount
from terminal.policy.gtfs import tables
from terminal.policy.gtfs.cells import (
    CellError,
    currency,
    day,
    flag,
    not_negative,
    one_of,
    positive,
    text,
    time_of_day,
    transfer_count,
)


@dataclass(frozen=True, slots=True)
class Column:
    """`required`: every cell must be filled. `field` is its name in the row type where that differs."""

    name: str
    read: Callable[[str], object] = text
    required: bool = False
    field: str = ""


@dataclass(frozen=True, slots=True)
class FileSpec:
    """How one file becomes rows of `row`. `finish` completes what several cells say together."""

    file: str
    row: Callable[..., Any]
    columns: tuple[Column, ...]
    drafts: frozenset[str] = frozenset()
    finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    unused: frozenset[str] = frozenset()
    """Columns of the standard that no fare depends on."""
    fares: bool = True
    """It is part of the fares: an unknown column may be a misspelt one and is warned about."""


@dataclass(frozen=True, slots=True)
class AgencyRow:
    agency_timezone: str
    agency_id: str | None = None


@dataclass(frozen=True, slots=True)
class FeedInfoRow:
    feed_version: str | None = None


def _amount(cells: dict[str, Any]) -> dict[str, Any]:
    amount = cells.pop("amount")
    try:
        cells["amount_minor"] = parse_amount(amount, cells["currency"])
    except ValueError as error:
        raise CellError(
            f"{amount!r} is no amount", f"{str(error)[:1].upper()}{str(error)[1:]}.", "amount"
        ) from error
    return cells


def _timeframe(cells: dict[str, Any]) -> dict[str, Any]:
    start, end = cells.get("start_s"), cells.get("end_s")
    if (start is None) != (end is None):
        missing, there = ("start_time", "end_time") if start is None else ("end_time", "start_time")
        raise CellError(
            f"is blank beside {there}", "Fill both, or leave both blank for the whole day.", missing
        )
    if start is not None and end is not None and start >= end:
        raise CellError(
            "is not after start_time", "Split a timeframe over midnight into two rows.", "end_time"
        )
    return cells


def _required(name: str, read: Callable[[str], object] = text, field: str = "") -> Column:
    return Column(name, read, required=True, field=field)


_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DISTANCES: Final = ("min_distance", "max_distance", "distance_type")
_AREA_SETS: Final = ("contains_area_id", "contains_area_set_id", "contains_exactly_area_set_id")

FILES: Final[Mapping[str, FileSpec]] = {
    spec.file: spec
    for spec in (
        FileSpec("agency.txt", AgencyRow, (Column("agency_id"), _required("agency_timezone")), fares=False),
        FileSpec("feed_info.txt", FeedInfoRow, (Column("feed_version"),), fares=False),
        FileSpec(
            "stops.txt",
            tables.Stop,
            (
                _required("stop_id"),
                Column("location_type", one_of(tables.LocationType)),
                Column("parent_station"),
                Column("stop_timezone"),
            ),
            fares=False,
        ),
        FileSpec("routes.txt", tables.Route, (_required("route_id"), Column("network_id")), fares=False),
        FileSpec("networks.txt", tables.Network, (_required("network_id"), Column("network_name"))),
        FileSpec("route_networks.txt", tables.RouteNetwork, (_required("network_id"), _required("route_id"))),
        FileSpec("areas.txt", tables.FeedArea, (_required("area_id"), Column("area_name"))),
        FileSpec("stop_areas.txt", tables.StopArea, (_required("area_id"), _required("stop_id"))),
        FileSpec(
            "calendar.txt",
            tables.FeedCalendar,
            (
                _required("service_id"),
                *(_required(name, flag) for name in _WEEKDAYS),
                _required("start_date", day),
                _required("end_date", day),
            ),
            fares=False,
        ),
        FileSpec(
            "calendar_dates.txt",
            tables.CalendarDate,
            (
                _required("service_id"),
                _required("date", day),
                _required("exception_type", one_of(tables.Exceptional)),
            ),
            fares=False,
        ),
        FileSpec(
            "timeframes.txt",
            tables.FeedTimeframe,
            (
                _required("timeframe_group_id"),
                Column("start_time", time_of_day, field="start_s"),
                Column("end_time", time_of_day, field="end_s"),
                _required("service_id"),
            ),
            finish=_timeframe,
        ),
        FileSpec(
            "rider_categories.txt",
            tables.RiderCategory,
            (
                _required("rider_category_id"),
                Column("rider_category_name"),
                Column("is_default_fare_category", flag),
            ),
            unused=frozenset({"eligibility_url"}),
            drafts=frozenset({"min_age", "max_age"}),
        ),
        FileSpec(
            "fare_media.txt",
            tables.FareMedia,
            (
                _required("fare_media_id"),
                Column("fare_media_name"),
                _required("fare_media_type", one_of(tables.MediaType)),
            ),
        ),
        FileSpec(
            "fare_products.txt",
            tables.FareProduct,
            (
                _required("fare_product_id"),
                Column("fare_product_name"),
                Column("rider_category_id"),
                Column("fare_media_id"),
                _required("amount"),
                _required("currency", currency),
            ),
            drafts=frozenset(
                {
                    *("transfer_only", "bundle_amount", "timeframe_id", "timeframe_type", "service_id"),
                    *("duration_start", "duration_amount", "duration_unit", "duration_type"),
                    *("offset_amount", "offset_unit", "fare_container_id", "eligible_cap_id"),
                }
            ),
            finish=_amount,
        ),
        FileSpec(
            "fare_leg_rules.txt",
            tables.FareLegRule,
            (
                Column("leg_group_id"),
                Column("network_id"),
                Column("from_area_id"),
                Column("to_area_id"),
                Column("from_timeframe_group_id"),
                Column("to_timeframe_group_id"),
                _required("fare_product_id"),
                Column("rule_priority", not_negative),
            ),
            drafts=frozenset(
                {"transfer_only", "is_symmetrical", "service_id", "fare_leg_name", *_DISTANCES, *_AREA_SETS}
            ),
        ),
        FileSpec(
            "fare_leg_join_rules.txt",
            tables.FareLegJoinRule,
            (
                Column("from_network_id"),
                Column("to_network_id"),
                Column("from_stop_id"),
                Column("to_stop_id"),
            ),
        ),
        FileSpec(
            "fare_transfer_rules.txt",
            tables.FareTransferRule,
            (
                Column("from_leg_group_id"),
                Column("to_leg_group_id"),
                Column("transfer_count", transfer_count),
                Column("duration_limit", positive),
                Column("duration_limit_type", one_of(tables.LimitType)),
                _required("fare_transfer_type", one_of(tables.TransferType)),
                Column("fare_product_id"),
            ),
            drafts=frozenset(
                {
                    *("filter_fare_product_id", "fare_media_behavior", "fare_product_behavior"),
                    *("transfer_id", "is_symmetrical", "spanning_limit", "rule_priority"),
                }
            ),
        ),
    )
}
"""Every file that is read, in the order their problems are reported."""

REQUIRED_FILES: Final = ("agency.txt", "stops.txt", "routes.txt", "fare_products.txt", "fare_leg_rules.txt")
DRAFT_FILES: Final = frozenset(
    {
        "fare_containers.txt",
        "fare_capping.txt",
        "area_sets.txt",
        "area_set_elements.txt",
        "fare_capping_rules.txt",
    }
)


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

    def stream(self, file: str) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of every row that is not blank, the header first, one at a time: for files of
        millions of rows. Raises `FeedError` where it comes to what is no CSV.
        """
        lines = io.TextIOWrapper(io.BytesIO(self._contents[file]), encoding="utf-8-sig", newline="")
        reader = csv.reader(lines, strict=True)
        line = 1
        try:
            for cells in reader:
                if any(cells):
                    yield line, cells
                line = reader.line_num + 1
        except (csv.Error, UnicodeDecodeError) as error:
            raise FeedError(f"{file} line {line} is no CSV in UTF-8: {error}", "Correct it.") from error


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
