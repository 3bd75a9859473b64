"""From a feed to checked tables, or the list of everything that has to be corrected first.

Only what a fare depends on is read: trips and timetables are not opened. Conditions that are not known are never
dropped (`conditions`); what has no effect, or not the one it seems to have, is a warning (`warnings`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from terminal.errors import FeedError
from terminal.policy.gtfs.cells import CellError
from terminal.policy.gtfs.checks import known_time_zone, tables_problems
from terminal.policy.gtfs.columns import FILES, REQUIRED_FILES, Column, FileSpec
from terminal.policy.gtfs.conditions import (
    LeavingOut,
    Marked,
    UnknownColumns,
    misnamed_files,
    misspelt_columns,
    unknown_files,
)
from terminal.policy.gtfs.files import CsvFile, Feed, FeedProblem, FileRefused, open_feed
from terminal.policy.gtfs.tables import GtfsTables
from terminal.policy.gtfs.warnings import feed_warnings

NOT_V2: Final = "Only GTFS-Fares v2 can be imported: fare_products.txt and fare_leg_rules.txt at least."
CURRENCY: Final = "RUB"
MOST_PROBLEMS: Final = 10_000
"""So many mistakes end the reading of a file."""
RANGES: Final = 100
"""How many ranges of lines a message names; programs get them all."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Checked tables and what was reported on the way. `left_out` are rows, and what follows from it."""

    name: str
    tables: GtfsTables
    warnings: tuple[FeedProblem, ...]
    left_out: tuple[FeedProblem, ...] = ()


class FeedRefused(FeedError):
    """A feed with mistakes: `problems` holds each once, the message the first."""

    def __init__(self, name: str, problems: Iterable[FeedProblem]) -> None:
        self.problems = each_once(problems)
        first, others = self.problems[0], len(self.problems) - 1
        more = f" (and {others} more)" if others else ""
        super().__init__(f"{name}: {first}{more}", first.advice)


def import_feed(path: Path, *, leaves_out: bool = False, currency: str = CURRENCY) -> Imported:
    """Return the fares of the feed in a directory or zip file; `leaves_out`: without the rows that have a condition
    that is not known. `currency` is the region document's: a warning says that it is another.

    Raises `FeedError` when there is no feed, `FeedRefused` when something in it is wrong or not known.
    """
    with open_feed(path) as feed:
        _require_files(feed)
        misnamed = tuple(misnamed_files(feed))
        reading = _FeedReading(feed)
        for spec in FILES.values():
            reading.read(spec)
        files = tuple(unknown_files(feed))
    problems = (*misnamed, *reading.problems, *(() if leaves_out else (*files, *reading.conditions)))
    if problems:
        raise FeedRefused(feed.name, problems)
    left_out = (*files, *reading.leave_out()) if leaves_out else ()
    tables = _tables(reading)
    found = [
        reading.at(wrong.table, wrong.row, wrong.column, wrong.what, wrong.advice)
        for wrong in tables_problems(tables)
    ]
    if found:
        raise FeedRefused(feed.name, found)
    warnings = each_once((*reading.warnings, *feed_warnings(tables, reading.at, currency)))
    return Imported(feed.name, _without_trip_services(tables), warnings, each_once(left_out))


def each_once(problems: Iterable[FeedProblem]) -> tuple[FeedProblem, ...]:
    """The same thing in many rows is reported once, with all its lines."""
    rows: dict[tuple[str, str | None, str], list[FeedProblem]] = {}
    for problem in problems:
        rows.setdefault((problem.file, problem.column, problem.what), []).append(problem)
    return tuple(found[0] if len(found) == 1 else _together(found) for found in rows.values())


def _together(found: list[FeedProblem]) -> FeedProblem:
    lines = tuple(problem.line for problem in found if problem.line is not None)
    what = f"{found[0].what} (in {len(found)} rows: lines {_ranges(lines)})"
    return dataclasses.replace(found[0], what=what, lines=lines)


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
    return shown if len(ranges) <= RANGES else f"{shown} and {len(ranges) - RANGES} more"


def _require_files(feed: Feed) -> None:
    missing = [file for file in REQUIRED_FILES if file not in feed]
    if not missing:
        return
    v1 = "fare_attributes.txt" in feed and "fare_products.txt" in missing
    what = "has GTFS-Fares v1 only" if v1 else "is not in the feed"
    advice = NOT_V2 if v1 else "Add it."
    raise FeedRefused(feed.name, [FeedProblem(file, what, advice) for file in missing])


class _FeedReading:
    """Rows of every file with the lines they came from, and everything reported on the way."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.rows: dict[str, list[Any]] = {}
        self.lines: dict[str, list[int]] = {}
        self.headers: dict[str, tuple[str, ...]] = {}
        self.problems: list[FeedProblem] = []
        self.conditions: list[FeedProblem] = []
        self.warnings: list[FeedProblem] = []
        self._marked: dict[str, Marked] = {}

    def read(self, spec: FileSpec) -> None:
        """Read one file into rows; what is wrong joins `problems`, what is not known `conditions`."""
        table = spec.file.removesuffix(".txt")
        rows, lines = self.rows.setdefault(table, []), self.lines.setdefault(table, [])
        if spec.file not in self.feed:
            return
        try:
            content = self.feed.read(spec.file)
            self.headers[table] = content.header
            missing = tuple(_missing_columns(spec, content))
            self.problems += (*missing, *misspelt_columns(spec, content))
            if not missing:
                self._rows(spec, content, rows, lines)
        except FileRefused as refused:
            self.problems.append(refused.problem)

    def _rows(self, spec: FileSpec, content: CsvFile, rows: list[Any], lines: list[int]) -> None:
        columns = [(content.header.index(c.name), c) for c in spec.columns if c.name in content.header]
        unknown = UnknownColumns(spec, content)
        marked = self._marked.setdefault(spec.file.removesuffix(".txt"), {})
        for line, cells in content.rows:
            for name, cell in unknown.in_row(cells) if unknown.places else ():
                self.conditions.append(unknown.problem(name, cell, line))
                marked[len(rows)] = name
            try:
                rows.append(_row(spec, columns, cells))
            except CellError as error:
                self.problems.append(FeedProblem(spec.file, error.what, error.advice, line, error.column))
                marked.pop(len(rows), None)
                if len(self.problems) >= MOST_PROBLEMS:
                    return
            else:
                lines.append(line)
        self.warnings += unknown.blank()

    def leave_out(self) -> tuple[FeedProblem, ...]:
        """Take the rows with conditions that are not known out, and say what follows; their conditions first."""
        if not any(self._marked.values()):
            return ()
        wide = "rule_priority" in self.headers["fare_leg_rules"]
        leaving = LeavingOut(self.rows, self.lines, self._marked, wide)
        leaving.run()
        return (*self.conditions, *leaving.report)

    def at(self, table: str, row: int | None, column: str, what: str, advice: str) -> FeedProblem:
        """The problem at a row of a table, where the author finds it."""
        line = None if row is None else self.lines[table][row]
        return FeedProblem(f"{table}.txt", what, advice, line, column or None)


def _row(spec: FileSpec, columns: list[tuple[int, Column]], cells: list[str]) -> Any:
    """One row of `spec`; a short row has blank cells at its end. Raises `CellError`."""
    values: dict[str, Any] = {}
    for place, column in columns:
        cell = cells[place].strip() if place < len(cells) else ""
        if cell:
            values[column.field or column.name] = _cell(column, cell)
        elif column.required:
            raise CellError("is blank", "Fill it in every row.", column.name)
    return spec.row(**(values if spec.finish is None else spec.finish(values)))


def _cell(column: Column, cell: str) -> object:
    try:
        return column.read(cell)
    except CellError as error:
        error.column = column.name
        raise


def _missing_columns(spec: FileSpec, content: CsvFile) -> Iterator[FeedProblem]:
    for column in spec.columns:
        if column.required and column.name not in content.header:
            close = get_close_matches(column.name, content.header, n=1)
            advice = f"Did you mean it by {close[0]}?" if close else "Add it."
            yield FeedProblem(spec.file, "the column is missing", advice, 1, column.name)


def _tables(reading: _FeedReading) -> GtfsTables:
    """The tables as read. Raises `FeedRefused` for what concerns the feed as a whole."""
    rows: Mapping[str, list[Any]] = reading.rows
    zones = [row.agency_timezone for row in rows["agency"]]
    problem = _zone_problem(zones)
    if problem is not None:
        row, what, advice = problem
        column = "agency_timezone"
        raise FeedRefused(
            reading.feed.name, (reading.at("agency", row if zones else None, column, what, advice),)
        )
    for file in ("fare_products", "fare_leg_rules"):
        if not rows[file]:
            empty = reading.at(file, None, "", "has no rows: every fare is unknown", "Add the feed's fares.")
            raise FeedRefused(reading.feed.name, (empty,))
    info = rows["feed_info"]
    values: dict[str, Any] = {
        name: tuple(found) for name, found in rows.items() if name not in ("agency", "feed_info")
    }
    return GtfsTables(
        time_zone=zones[0],
        uses_rule_priority="rule_priority" in reading.headers["fare_leg_rules"],
        feed_version=info[0].feed_version if info else None,
        **values,
    )


def _zone_problem(zones: list[str]) -> tuple[int, str, str] | None:
    if not zones:
        return 0, "no agency, so no time zone", "Name the agency and its time zone."
    for row, zone in enumerate(zones):
        if not known_time_zone(zone):
            return (
                row,
                f"unknown time zone {zone!r}",
                "Use a name of the IANA database such as Europe/Volgograd.",
            )
        if zone != zones[0]:
            return (
                row,
                f"{zone} beside {zones[0]} of another agency",
                "All agencies of a feed share one time zone.",
            )
    return None


def _without_trip_services(tables: GtfsTables) -> GtfsTables:
    """Only the services that timeframes and leg rules name: those of trips change no fare."""
    named = {row.service_id for row in tables.timeframes} | {row.service_id for row in tables.fare_leg_rules}
    return replace(
        tables,
        calendar=tuple(row for row in tables.calendar if row.service_id in named),
        calendar_dates=tuple(row for row in tables.calendar_dates if row.service_id in named),
    )
